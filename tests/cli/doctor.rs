//! `doctor`: what it finds in a deployment, and what it exits with.

use std::process::{Command, Stdio};
use std::time::Duration;

use harness::redis::{Options, Server};
use harness::{Answer, Call, Shop, Upstream, binary, eventually, free_port, now};
use serde_json::Value;
use token_store::{OpenOptions, open};
use tokio::io::AsyncWriteExt as _;

use crate::{Run, Told, folder};

/// A configuration on free ports, with one upstream.
pub(crate) fn configuration(upstream: &str, more: &str) -> String {
    format!(
        "[public]\nlisten = [\"127.0.0.1:{}\"]\n[admin]\nlisten = \"127.0.0.1:{}\"\n\
         [upstreams.storefront]\ntargets = [\"{upstream}\"]\n{more}\n",
        free_port(),
        free_port()
    )
}

pub(crate) fn doctor(configuration: &str) -> Told {
    let folder = folder(configuration);
    Run::within(folder.path())
        .with("KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
        .told(&["doctor", "-c", "c.toml"])
}

/// The first line that holds the words, its columns separated by one space.
pub(crate) fn line(told: &Told, words: &str) -> String {
    let mut lines = told
        .out
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let found = lines.find(|line| line.contains(words));
    assert!(found.is_some(), "no {words:?} in {} {}", told.out, told.err);
    found.unwrap()
}

async fn upstream() -> (Upstream, String) {
    let upstream = Upstream::start().await;
    let url = format!("http://{}", upstream.address());
    (upstream, url)
}

fn in_redis(server: &Server) -> String {
    format!("[store]\nurl = \"{}\"\nencryption_keys = [\"env:KEY\"]\n", server.url())
}

#[tokio::test]
async fn a_sound_deployment_passes_before_its_first_start_and_nothing_is_made() {
    let (_upstream, url) = upstream().await;
    let folder = folder(&configuration(&url, "[store]\nurl = \"embedded:var/store\""));

    let told = Run::within(folder.path()).told(&["doctor", "-c", "c.toml"]);

    assert_eq!((told.code, told.out.contains("fail")), (Some(0), false), "{}", told.out);
    assert!(line(&told, "ports public").ends_with("is free"), "{}", told.out);
    assert!(
        line(&told, "upstreams storefront").contains("ok upstreams storefront"),
        "{}",
        told.out
    );
    assert!(
        line(&told, "at the first start").starts_with("ok store embedded"),
        "{}",
        told.out
    );
    assert!(!folder.path().join("var").exists());
}

#[tokio::test]
async fn beside_a_running_gateway_its_ports_and_its_store_are_its_own() {
    let shop = Shop::new().start().await;

    let told = Run::within(shop.gateway.folder()).told(&["doctor", "-c", "countersign.toml"]);

    assert_eq!(told.code, Some(0), "{}", told.out);
    for words in ["runs and is ready", "ports public", "ports admin"] {
        assert!(line(&told, words).starts_with("ok "), "{words}: {}", told.out);
    }
    assert!(line(&told, "open in the running gateway").starts_with("ok store embedded"));
}

#[tokio::test]
async fn a_clock_that_was_ahead_shows_in_the_doctor_and_in_readiness_until_the_store_forgets_it() {
    let shop = Shop::new().start().await;
    let reader = shop.reader().await;
    let folder = shop.gateway.folder();
    shop.gateway.kill();
    shop.gateway.end().await;
    // What a start by a clock that is a day ahead leaves.
    let options = OpenOptions {
        url: format!("embedded:{}", folder.join("store").display()),
        encryption_keys: Vec::new(),
        timeout: Duration::from_secs(1),
        connect_timeout: Duration::from_secs(1),
        cache: 10,
        now: now() + 86_400,
        serves: false,
    };
    let store = eventually("the store can be opened", async || open(&options).await.ok()).await;
    store.close().await.unwrap();
    drop(store);
    let told = || Run::within(folder).told(&["doctor", "-c", "countersign.toml"]);

    let before = told();
    let mut serving = Command::new(binary())
        .args(["serve", "-c", "countersign.toml"])
        .current_dir(folder)
        .env_clear()
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let ready = eventually("the gateway answers", async || {
        let ready = Call::get("/health/ready").to_address(shop.gateway.admin(), "http://health");
        ready.try_send().await.ok()
    })
    .await;
    let beside = told();
    serving.kill().unwrap();
    serving.wait().unwrap();
    let init = Run::within(folder).told(&["store", "init", "-c", "countersign.toml"]);
    let again = Run::within(folder).told(&["store", "init", "-c", "countersign.toml"]);

    let status = ready.json()["components"]["store"]["status"].to_string();
    assert_eq!(
        (ready.status, status.contains("replay_unsure")),
        (503, true),
        "{status}"
    );
    for doctor in [before, beside] {
        let found = line(&doctor, "is behind; correct");
        assert!(found.starts_with("fail store embedded"), "{found}");
        assert!(found.ends_with("run `countersign store init`"), "{found}");
    }
    assert_eq!(
        (init.code, init.out.contains("count again")),
        (Some(0), true),
        "{}",
        init.err
    );
    assert!(again.out.contains("needed no init"), "{}", again.out);
    shop.gateway.start_again().await;
    let served = Call::get("/rest/V1/products/clock")
        .signed_by(&reader)
        .send(&shop.gateway)
        .await;
    assert_eq!(served.status, 200, "{}", served.text());
}

#[tokio::test]
async fn a_port_of_another_process_fails_with_its_cure() {
    let (_upstream, url) = upstream().await;
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    // Not the usual one: where another gateway answers there, it is taken for the one that has the port.
    let admin = free_port();
    let taken = format!(
        "[public]\nlisten = [\"{}\"]\n[admin]\nlisten = \"127.0.0.1:{admin}\"\n[upstreams.s]\ntargets = [\"{url}\"]\n",
        other.local_addr().unwrap()
    );

    let told = doctor(&taken);

    assert_eq!(told.code, Some(1), "{}", told.out);
    let found = line(&told, "public 127.0.0.1");
    assert!(
        found.starts_with("fail ports") && found.contains("in use by another process; end it"),
        "{found}"
    );
}

#[tokio::test]
async fn a_redis_that_would_evict_or_lose_fails_and_a_sound_one_passes() {
    let (_upstream, url) = upstream().await;
    let server = Server::start(Options {
        append_only: true,
        ..Options::default()
    })
    .await;
    let told = async |setting: &str, value: &str, usual: &str| {
        server.set(setting, value).await;
        let told = doctor(&configuration(&url, &in_redis(&server)));
        server.set(setting, usual).await;
        told
    };

    let sound = told("maxmemory-policy", "noeviction", "noeviction").await;
    assert_eq!(
        (sound.code, sound.out.contains("warn")),
        (Some(0), false),
        "{}",
        sound.out
    );
    assert!(line(&sound, "evicts nothing").starts_with("ok store redis"));
    assert!(line(&sound, "clock redis").starts_with("ok clock"), "{}", sound.out);

    for (setting, value, usual, code, found, cure) in [
        (
            "maxmemory-policy",
            "volatile-ttl",
            "noeviction",
            1,
            "volatile-ttl, which evicts",
            "set maxmemory-policy noeviction",
        ),
        (
            "appendonly",
            "no",
            "yes",
            1,
            "keeps nothing on disk",
            "set appendonly yes",
        ),
        (
            "appendfsync",
            "no",
            "always",
            0,
            "appendfsync is no",
            "set appendfsync everysec",
        ),
        (
            "min-replicas-to-write",
            "1",
            "0",
            1,
            "takes no write below",
            "bring its replicas back",
        ),
        ("maxmemory", "1mb", "0", 0, "of its 1 MiB of memory", "raise maxmemory"),
    ] {
        let told = told(setting, value, usual).await;
        let found = line(&told, found);
        let state = if code == 0 { "warn store" } else { "fail store" };
        assert_eq!(
            (told.code, found.starts_with(state)),
            (Some(code), true),
            "{setting}: {}",
            told.out
        );
        assert!(found.contains(cure), "{found}");
    }
}

#[tokio::test]
async fn snapshots_alone_and_replicas_that_are_not_waited_for_are_warned_of() {
    let (_upstream, url) = upstream().await;
    let server = Server::start(Options::default()).await;
    server.set("save", "3600 1").await;
    let replica = Server::start(Options {
        lines: vec![format!("replicaof 127.0.0.1 {}", server.port())],
        ..Options::default()
    })
    .await;
    eventually("the replica follows", async || {
        let followers = server.info("connected_slaves").await;
        (followers.as_deref() == Some("1")).then_some(())
    })
    .await;

    let told = doctor(&configuration(&url, &in_redis(&server)));

    drop(replica);
    assert_eq!(told.code, Some(0), "{}", told.out);
    assert!(
        line(&told, "snapshots only (save 3600 1)").starts_with("warn store"),
        "{}",
        told.out
    );
    assert!(
        line(&told, "min-replicas-to-write is 0").starts_with("warn store"),
        "{}",
        told.out
    );
}

#[tokio::test]
async fn the_user_that_the_deployment_page_names_may_ask_enough() {
    let (_upstream, url) = upstream().await;
    let rules = include_str!("../../deploy/redis/users.acl");
    let rules = rules
        .lines()
        .find_map(|line| line.split_once(">REPLACE-THIS-PASSWORD "));
    let server = Server::start(Options {
        append_only: true,
        user: Some((
            "countersign".to_owned(),
            "pass-word".to_owned(),
            rules.unwrap().1.to_owned(),
        )),
        ..Options::default()
    })
    .await;

    let told = doctor(&configuration(&url, &in_redis(&server)));

    assert_eq!((told.code, told.out.contains("warn")), (Some(0), false), "{}", told.out);
    assert!(
        line(&told, "kept on disk").starts_with("ok store redis"),
        "{}",
        told.out
    );
}

#[tokio::test]
async fn a_redis_that_is_away_or_tells_no_settings_is_named() {
    let (_upstream, url) = upstream().await;
    let limited = Server::start(Options {
        user: Some((
            "gate".to_owned(),
            "pass-word".to_owned(),
            "~* &* +@all -config".to_owned(),
        )),
        ..Options::default()
    })
    .await;
    let mut away = Server::start(Options::default()).await;
    let gone = in_redis(&away);
    away.stop().await;

    let told = doctor(&configuration(&url, &in_redis(&limited)));
    let dead = doctor(&configuration(&url, &gone));

    assert!(
        line(&told, "no append-only file").starts_with("warn store"),
        "{}",
        told.out
    );
    assert!(!told.out.contains("pass-word"));
    assert_eq!(dead.code, Some(1));
    assert!(
        line(&dead, "the connection is refused").starts_with("fail store redis"),
        "{}",
        dead.out
    );
}

#[tokio::test]
async fn a_dead_upstream_and_one_that_never_answers_fail() {
    let (upstream, silent) = upstream().await;
    upstream.answers("/", Answer::Never);
    let dead = format!("http://127.0.0.1:{}", free_port());

    let told = doctor(&configuration(
        &dead,
        &format!("[upstreams.silent]\ntargets = [\"{silent}\"]"),
    ));

    assert_eq!(told.code, Some(1));
    let (gone, late) = (line(&told, "can't be reached"), line(&told, "did not answer within"));
    assert!(
        gone.starts_with("fail upstreams storefront") && gone.contains("; start it"),
        "{gone}"
    );
    assert!(late.starts_with("fail upstreams silent"), "{late}");
}

#[tokio::test]
async fn a_target_is_asked_what_its_health_check_asks() {
    let (upstream, url) = upstream().await;
    let check = "[upstreams.storefront.health_check]\npath = \"/health_check.php\"";
    let well = doctor(&configuration(&url, check));
    upstream.answers("/health_check.php", Answer::Status(404, "{}"));

    let ill = doctor(&configuration(&url, check));

    assert_eq!((well.code, ill.code), (Some(0), Some(1)), "{} {}", well.out, ill.out);
    let (well, ill) = (
        line(&well, "GET /health_check.php"),
        line(&ill, "GET /health_check.php"),
    );
    assert!(well.starts_with("ok upstreams storefront"), "{well}");
    assert!(
        ill.starts_with("fail upstreams storefront") && ill.contains("404") && ill.contains("health_check.path"),
        "{ill}"
    );
    assert!(upstream.seen("/").iter().all(|one| one.target == "/health_check.php"));
}

#[tokio::test]
async fn an_upstream_with_a_wrong_clock_is_found_by_its_date() {
    for (ahead, code, state) in [
        (0, 0, "ok"),
        (30, 0, "warn"),
        (-30, 0, "warn"),
        (3600, 1, "fail"),
        (-3600, 1, "fail"),
    ] {
        let (upstream, url) = upstream().await;
        let date = http_date(i64::try_from(now()).unwrap() + ahead);
        let head = format!("HTTP/1.1 204 No Content\r\nDate: {date}\r\nConnection: close\r\n\r\n");
        upstream.answers("/", Answer::Raw(head.into_bytes()));

        let told = doctor(&configuration(&url, ""));

        assert_eq!(told.code, Some(code), "{ahead}: {}", told.out);
        let found = line(&told, "clock storefront");
        assert!(
            found.starts_with(&format!("{state} clock storefront")),
            "{ahead}: {found}"
        );
        assert_eq!(found.contains("(NTP)"), state != "ok", "{found}");
    }
}

/// As `date` of the system writes it.
fn http_date(second: i64) -> String {
    let written = Command::new("date")
        .args(["-u", "-R", "-d", &format!("@{second}")])
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let written = String::from_utf8(written.stdout).unwrap();
    written.trim().replace("+0000", "GMT")
}

#[tokio::test]
async fn programs_are_told_the_same_as_people() {
    let dead = format!("http://127.0.0.1:{}", free_port());
    let folder = folder(&configuration(&dead, ""));

    let told = Run::within(folder.path()).told(&["doctor", "-c", "c.toml", "--format", "json"]);

    let told_all: Value = serde_json::from_str(&told.out).unwrap();
    let findings = told_all["findings"].as_array().unwrap();
    let failed = findings.iter().find(|one| one["check"] == "upstreams").unwrap();
    assert_eq!((told.code, &told_all["state"]), (Some(1), &Value::from("fail")));
    assert_eq!(failed["state"], "fail");
    assert_eq!(failed["of"], format!("storefront {dead}"));
    assert!(failed["cure"].as_str().unwrap().contains("start it"), "{failed}");
}

#[test]
fn a_bad_configuration_is_not_examined() {
    let told = doctor("[public]\nlisten = \"nowhere\"\n");

    assert_eq!((told.code, told.out.as_str()), (Some(78), ""));
    assert!(told.err.contains("1 fault in the configuration"), "{}", told.err);
}

#[tokio::test]
async fn each_way_in_which_a_redis_can_not_be_asked_is_named() {
    let (_upstream, url) = upstream().await;
    let guarded = Server::start(Options {
        password: Some("pass-word".to_owned()),
        ..Options::default()
    })
    .await;
    let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at_other = other.local_addr().unwrap();
    let answering = tokio::spawn(async move {
        let (mut stream, _) = other.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        std::future::pending::<()>().await;
    });
    let login = in_redis(&guarded);
    let at = |url: String| login.replace(&guarded.url(), &url);
    let address = guarded.url().rsplit_once('@').unwrap().1.to_owned();

    for (store, words) in [
        (
            at(format!("redis://{address}")),
            "demands a password, and store.url has none",
        ),
        (at(format!("redis://:wrong@{address}")), "takes no such login"),
        (at(format!("redis://{at_other}")), "is not a Redis"),
        (
            at(format!("redis://127.0.0.1:{}", free_port())),
            "the connection is refused",
        ),
    ] {
        let text = configuration(&url, &store);
        let told = tokio::task::spawn_blocking(move || doctor(&text)).await.unwrap();

        assert!(line(&told, words).starts_with("fail store redis"), "{}", told.out);
    }
    answering.abort();
}
