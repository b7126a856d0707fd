//! Commands that need no gateway.

use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use harness::{Shop, binary, eventually};
use rcgen::{CertificateParams, KeyPair};

use crate::{Run, conf, doctor, folder};

#[test]
fn check_passes_the_configurations_that_are_shipped() {
    let conf = conf();

    for file in ["countersign.toml", "magento/countersign.toml"] {
        let told = Run::within(&conf).told(&["check", "--config", file]);
        assert_eq!((told.code, told.err.as_str()), (Some(0), ""), "{file}");
        assert!(told.out.contains(": ok: "), "{}", told.out);
    }
}

#[test]
fn check_names_every_fault_at_once_and_exits_78() {
    let folder =
        folder("[public]\nthreds = 1\n[public.limits]\nhead = \"1TB\"\n[[routes]]\npath = \"x\"\nupstream = \"y\"\n");

    let told = Run::within(folder.path()).told(&["check", "-c", "c.toml"]);

    assert_eq!((told.code, told.out.as_str()), (Some(78), ""));
    let lines: Vec<&str> = told.err.lines().collect();
    assert_eq!(lines.len(), 5, "{lines:?}");
    assert_eq!(
        lines[0],
        "c.toml:2: public.threds: unknown key; did you mean \"threads\"?"
    );
    assert!(lines[1].starts_with("c.toml:4: public.limits.head: "), "{lines:?}");
    assert_eq!(lines[4], "4 faults in the configuration");
}

#[test]
fn a_stderr_that_takes_nothing_leaves_the_exit_code() {
    let faulty = folder("[public]\nthreds = 1\n");
    let sound = folder("");

    for (folder, arguments, code) in [
        (&faulty, &["check", "-c", "c.toml"][..], 78),
        (&faulty, &["serve", "-c", "c.toml"], 78),
        (&faulty, &["doctor", "-c", "c.toml"], 78),
        (&sound, &["check", "-c", "c.toml"], 0),
        (&sound, &["integration", "list", "-c", "c.toml"], 1),
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(folder.path()).env_clear();

        let ended = command.stdin(Stdio::null()).stderr(full).output().unwrap();

        assert_eq!(ended.status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn a_key_of_another_certificate_is_named_by_file_line_and_key() {
    let (own, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let params = CertificateParams::new(vec!["shop.example".to_owned()]).unwrap();
    let folder = folder("[public.tls]\ncert = \"a.pem\"\nkey = \"b.key\"\n[log]\nacces = true\n");
    std::fs::write(folder.path().join("a.pem"), params.self_signed(&own).unwrap().pem()).unwrap();
    std::fs::write(folder.path().join("b.key"), other.serialize_pem()).unwrap();

    let told = Run::within(folder.path()).told(&["check", "-c", "c.toml"]);

    assert_eq!(told.code, Some(78));
    assert_eq!(
        told.err,
        "c.toml:3: public.tls.key: doesn't belong to cert\nc.toml:5: log.acces: unknown key; did you mean \"access\"?\n2 \
         faults in the configuration\n"
    );
}

#[test]
fn what_can_not_be_read_exits_78_and_says_why() {
    let folder = folder("[public]\nlisten = \"\n");
    let run = Run::within(folder.path());

    for (file, why) in [
        ("gone.toml", "No such file"),
        (".", "is a folder"),
        ("c.toml", "c.toml:2: "),
    ] {
        for command in ["check", "serve"] {
            let told = run.told(&[command, "-c", file]);
            assert_eq!(told.code, Some(78), "{command} {file}: {}", told.err);
            assert!(told.err.contains(why), "{command} {file}: {}", told.err);
        }
    }
}

#[test]
fn wrong_usage_exits_2() {
    let folder = folder("");
    let run = Run::within(folder.path());

    for arguments in [
        &["chek"][..],
        &["serve", "--colour"],
        &["sign", "GET", "shop.example/a"],
        &["sign", "GE T", "http://shop.example/a"],
        &["sign", "GET", "http://shop.example/a", "--signature-method", "RSA-SHA1"],
        &["admin", "create", "-c", "c.toml", "--role", "root"],
        &["integration", "create"],
        &["route", "test", "GET", "nowhere"],
    ] {
        let told = run.told(arguments);
        assert_eq!((told.code, told.out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(!told.err.is_empty(), "{arguments:?}");
    }
}

#[test]
fn who_only_looks_makes_no_store_and_who_makes_one_says_where() {
    let folder = folder(&doctor::configuration("http://127.0.0.1:9", ""));
    let run = Run::within(folder.path()).with("COUNTERSIGN_ADMIN_PASSWORD", "long enough 1");

    let list = run.told(&["admin", "list", "-c", "c.toml"]);
    let made_by_looking = folder.path().join("var").exists();
    let create = run.told(&["admin", "create", "-c", "c.toml", "--username", "a"]);
    let then = run.told(&["admin", "list", "-c", "c.toml"]);

    assert_eq!((list.code, made_by_looking), (Some(1), false), "{}", list.err);
    assert!(list.err.contains("no store is there"), "{}", list.err);
    assert_eq!(create.code, Some(0), "{}", create.err);
    assert!(create.err.contains("a new store is made in /"), "{}", create.err);
    assert_eq!((then.code, then.err.as_str()), (Some(0), ""));
}

#[tokio::test]
async fn beside_a_gateway_with_another_store_a_new_one_is_made_with_a_warning() {
    let shop = Shop::new().start().await;
    let configuration = std::fs::read_to_string(shop.gateway.config_path()).unwrap();
    let folder = folder(&configuration);
    let run = Run::within(folder.path()).with("COUNTERSIGN_ADMIN_PASSWORD", "long enough 1");

    let list = run.told(&["admin", "list", "-c", "c.toml"]);
    let examined = run.told(&["doctor", "-c", "c.toml"]);
    let create = run.told(&["admin", "create", "-c", "c.toml", "--username", "a"]);

    assert_eq!(list.code, Some(1), "{}", list.err);
    assert!(list.err.contains("has its store elsewhere"), "{}", list.err);
    let found = doctor::line(&examined, "has another store open");
    assert!(found.starts_with("fail store"), "{found}");
    assert!(
        !examined.out.contains("is open in the running gateway"),
        "{}",
        examined.out
    );
    assert!(create.err.contains("warning: the gateway at"), "{}", create.err);
}

#[test]
fn nothing_is_asked_where_nobody_can_answer() {
    let folder = folder("");
    let run = Run::within(folder.path());

    let sign = run.told(&["sign", "GET", "http://shop.example/a"]);
    let create = run.told(&["admin", "create", "-c", "c.toml", "--username", "a"]);
    let list = run.told(&["integration", "list", "-c", "c.toml"]);

    assert!(sign.err.contains("--profile"), "{}", sign.err);
    assert!(create.err.contains("nothing came on stdin"), "{}", create.err);
    assert!(list.err.contains("set COUNTERSIGN_TOKEN"), "{}", list.err);
    assert_eq!((sign.code, create.code, list.code), (Some(2), Some(2), Some(1)));
}

#[test]
fn a_new_key_is_32_octets_and_another_each_time() {
    let folder = folder("");
    let keys = [(); 2].map(|()| Run::within(folder.path()).told(&["config", "new-key"]).out);

    assert_eq!(BASE64_STANDARD.decode(keys[0].trim()).unwrap().len(), 32);
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn what_is_shown_is_a_configuration_and_says_where_each_value_comes_from() {
    let folder = folder(
        "[public.limits]\nbody = \"1MiB\"\n[store]\nurl = \"redis://u:geheim@h\"\nencryption_keys = [\"env:KEY\"]\n",
    );
    let run = Run::within(folder.path())
        .with("KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
        .with("COUNTERSIGN_PUBLIC_LIMITS_HEAD", "64KiB")
        .with("COUNTERSIGN_OAUTH_PLACEMENTS", "header, query")
        .with("COUNTERSIGN_OAUTH_COMPAT", "");

    let told = run.told(&["config", "show", "-c", "c.toml"]);

    assert_eq!(told.code, Some(0), "{}", told.err);
    let has = |setting: &str, origin: &str| {
        let line = told.out.lines().find(|line| line.starts_with(setting));
        assert!(
            line.is_some_and(|line| line.ends_with(&format!("# {origin}"))),
            "{setting}: {line:?}"
        );
    };
    has("body = \"1MiB\"", "c.toml:2");
    has("head = \"64KiB\"", "COUNTERSIGN_PUBLIC_LIMITS_HEAD");
    has("headers = 100", "default");
    // As a file takes them.
    has("placements = [\"header\", \"query\"]", "COUNTERSIGN_OAUTH_PLACEMENTS");
    has("compat = []", "COUNTERSIGN_OAUTH_COMPAT");
    has("encryption_keys = [\"env:KEY\"]", "c.toml:5");
    assert!(
        !told.out.contains("geheim") && !told.out.contains("AAEC"),
        "{}",
        told.out
    );
}

#[test]
fn the_schema_is_json_and_knows_the_sections() {
    let folder = folder("");

    let told = Run::within(folder.path()).told(&["config", "schema"]);

    let schema: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    let properties = &schema["properties"];
    assert_eq!(
        properties["public"]["properties"]["limits"]["properties"]["headers"]["maximum"],
        100
    );
    assert_eq!(
        properties["routes"]["items"]["properties"]["mode"]["default"],
        "enforce"
    );
    assert_eq!(properties["upstreams"]["additionalProperties"]["type"], "object");
}

#[test]
fn a_route_is_found_without_a_gateway() {
    let conf = conf();
    let test = |method: &str, url: &str| {
        Run::within(&conf).told(&["route", "test", method, url, "--config", "magento/countersign.toml"])
    };

    let mine = test("GET", "http://127.0.0.1:8080/rest/de/V1/carts/mine?x=y");
    let unknown = test("GET", "/rest/V1/modules");

    assert_eq!(mine.code, Some(0));
    assert!(
        mine.out.contains("/rest/{store?}/V1/carts/mine\n") && mine.out.contains("resources   self"),
        "{}",
        mine.out
    );
    assert_eq!(
        (unknown.code, unknown.out.contains("404 route_unknown")),
        (Some(1), true)
    );
    assert!(
        mine.out.contains("forced      customerId = %customer_id%"),
        "{}",
        mine.out
    );
    assert!(
        test("PATCH", "/rest/V1/orders/1")
            .out
            .contains("405 method_refused: this path takes GET, HEAD")
    );
    assert!(test("POST", "/oauth/token/access").out.contains("our own"));
}

#[test]
fn a_curl_line_is_signed_afresh_each_time() {
    let folder = folder("");
    std::fs::write(
        folder.path().join("p.json"),
        r#"{"consumer_key":"k","consumer_secret":"s","access_token":"t","access_token_secret":"u","status":"active"}"#,
    )
    .unwrap();
    let line = || {
        let arguments = [
            "sign",
            "GET",
            "http://shop.example/a?b[0]='c'",
            "--profile",
            "p.json",
            "--curl",
        ];
        Run::within(folder.path()).told(&arguments).out
    };

    let (first, second) = (line(), line());

    assert!(
        first.starts_with("curl -sS -X GET -H 'Authorization: OAuth "),
        "{first}"
    );
    assert!(
        first.ends_with("--globoff --path-as-is 'http://shop.example/a?b[0]='\\''c'\\'''\n"),
        "{first}"
    );
    assert_ne!(first, second);
}

#[test]
fn an_empty_variable_names_no_configuration() {
    let folder = folder("");

    let told = Run::within(folder.path())
        .with("COUNTERSIGN_CONFIG", "")
        .told(&["check"]);
    let named = Run::within(folder.path())
        .with("COUNTERSIGN_CONFIG", "c.toml")
        .told(&["check"]);

    assert!(
        told.out.starts_with("built-in defaults: ok"),
        "{} {}",
        told.out,
        told.err
    );
    assert!(named.out.starts_with("c.toml: ok"), "{} {}", named.out, named.err);
}

/// Routes that are secure, that observe, and that do neither; limits of each kind.
const ROUTES: &str = r#"
[public]
base_url = ["http://plain.example", "https://shop.example"]
[upstreams.a]
targets = ["http://127.0.0.1:1"]
credentials = { mode = "bearer", token = "geheim" }
[[resources]]
id = "A::a"
[[resources]]
id = "A::b"
[[integrations]]
name = "Courier"
resources = ["A::a"]
[[routes]]
path = "/a"
upstream = "a"
resources = ["A::a"]
secure = true
mode = "observe"
[[routes]]
path = "/b"
upstream = "a"
resources = ["A::b"]
mode = "observe"
[[routes]]
path = "/c"
upstream = "a"
resources = ["A::b"]
[[limits]]
per = "route"
requests = 5
window = "1m"
only = ["/b"]
[[limits]]
per = "integration"
concurrency = 3
only = ["Other"]
[[limits]]
per = "address"
requests = 100
burst = 20
"#;

#[test]
fn a_route_is_told_with_its_limits_its_headers_and_the_decision() {
    let folder = folder(ROUTES);
    let test = |url: &str, more: &[&str]| {
        let told = Run::within(folder.path()).told(&[&["route", "test", "GET", url, "-c", "c.toml"], more].concat());
        assert_eq!(told.code, Some(0), "{}", told.err);
        told.out
    };
    let courier = ["--integration", "Courier"];
    let decision = |out: &str| {
        out.lines()
            .last()
            .unwrap()
            .trim_start_matches("decision")
            .trim()
            .to_owned()
    };

    assert!(decision(&test("http://plain.example/a", &courier)).starts_with("400 https_required"));
    assert!(decision(&test("/a", &[])).starts_with("400 https_required"));
    assert!(decision(&test("https://shop.example/a", &courier)).starts_with("granted"));
    let observed = test("/b", &courier);
    assert!(
        decision(&observed)
            .starts_with("forwarded as a guest's (observe); recorded is 401 resource_denied: lacks A::b")
    );
    assert!(decision(&test("/c", &courier)).starts_with("401 resource_denied: lacks A::b"));
    assert!(decision(&test("/c", &[])).starts_with("forwarded for who is granted"));

    assert!(
        observed.contains("limit       per route: 5 in 60s, 5 at once\n"),
        "{observed}"
    );
    assert!(
        observed.contains("limit       per address: 100 in 1s, 20 at once\n"),
        "{observed}"
    );
    assert!(
        !observed.contains("per integration") && !observed.contains("geheim"),
        "{observed}"
    );
    assert!(test("/c", &[]).contains("per integration (only Other): 3 under way"));
    assert!(
        observed.contains("x-integration-name") && observed.contains("authorization (bearer)"),
        "{observed}"
    );
}

/// The sandbox's folders in a folder for scratch.
fn scratch_in(folder: &std::path::Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[tokio::test]
async fn a_sandbox_that_is_told_to_stop_leaves_nothing_behind() {
    for arguments in [&["sandbox"][..], &["sandbox", "--check"]] {
        for name in ["HUP", "TERM", "INT"] {
            let scratch = tempfile::tempdir().unwrap();
            let mut child = Command::new(binary())
                .args(arguments)
                .env_clear()
                .env("TMPDIR", scratch.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            eventually("its folder is there", async || {
                (scratch_in(scratch.path()) == 1).then_some(())
            })
            .await;
            // Already in the middle of the start, which takes longer than this.
            let kill = Command::new("kill")
                .args(["-s", name, &child.id().to_string()])
                .status();
            assert!(kill.unwrap().success());

            let ended = child.wait().unwrap();

            let was_asked_to_pass = arguments.contains(&"--check");
            assert_eq!(ended.code(), Some(i32::from(was_asked_to_pass)), "{arguments:?} {name}");
            assert_eq!(scratch_in(scratch.path()), 0, "{arguments:?} {name}");
        }
    }
}
