//! The access log: one JSON object a request whatever it holds, without secrets, and a sink that blocks blocks nobody.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use harness::{Call, Connection, Placement, Shop, Signing, binary, eventually};
use serde_json::Value;

use crate::hostile_corpus::ANONYMOUS;
use crate::proxy_double::{Double, answer, read_head, shop_before};

fn lines(shop: &Shop) -> Vec<String> {
    let log = std::fs::read_to_string(shop.gateway.folder().join("stdout")).unwrap();
    log.lines().map(str::to_owned).collect()
}

/// The lines that hold a mark, once there are so many.
async fn lines_with(shop: &Shop, mark: &str, count: usize) -> Vec<Value> {
    let found = async || {
        let found: Vec<String> = lines(shop).into_iter().filter(|line| line.contains(mark)).collect();
        (found.len() >= count).then_some(found)
    };
    let found = eventually("the lines", found).await;
    found.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn every_request_is_one_line_of_json_whatever_it_holds() {
    let shop = Shop::new().start().await;
    let long = "x".repeat(7_000);
    let paths = [
        "/plain",
        "/caf\u{e9}/\u{4e2d}\u{6587}",
        "/a\"b\"c",
        "/%0d%0a%22forged%22:1",
        "/{\"status\":200}",
        "/%00%1b[2J",
        "/a%5c%22b",
        "/[]|'",
        &long,
        "/\u{85}\u{9b}",
    ];

    for path in paths {
        let target = format!("{ANONYMOUS}/in-the-log{path}?secret-needle=1");
        let _answer = Call::get(&target).to(&shop.gateway).send().await;
    }
    let odd_method = Call::new("M-SEARCH", &format!("{ANONYMOUS}/in-the-log"))
        .to(&shop.gateway)
        .send()
        .await;
    let no_request = Call::new("GET", "in-the-log").to(&shop.gateway).send().await;

    let found = lines_with(&shop, "in-the-log", paths.len() + 1).await;
    assert_eq!(found.len(), paths.len() + 1);
    for line in &found {
        for member in [
            "ts",
            "request_id",
            "client",
            "method",
            "path",
            "route",
            "status",
            "octets",
            "t",
        ] {
            assert!(line.get(member).is_some(), "{member} of {line}");
        }
    }
    assert_eq!(shop.gateway.access_line(&odd_method).await["method"], "M-SEARCH");
    assert_eq!(shop.gateway.access_line(&no_request).await["cause"], "target_refused");
    assert!(
        lines(&shop)
            .iter()
            .all(|line| line.len() <= 8 * 1024 && !line.contains("needle"))
    );
}

#[tokio::test]
async fn a_line_says_which_target_was_asked_how_long_it_took_and_in_which_trace() {
    let upstream = Double::start(|mut stream, _| async move {
        while !read_head(&mut stream).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(80)).await;
            drop(answer(&mut stream, "late").await);
        }
    })
    .await;
    let shop = shop_before(&upstream.targets()).start().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let call = Call::get("/double/asked").header("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"));

    let asked = call.send(&shop.gateway).await;
    let (asked, own) = (shop.gateway.access_line(&asked).await, "/rest/V1/nowhere");
    let refused = Call::get(own).send(&shop.gateway).await;
    let refused = shop.gateway.access_line(&refused).await;

    assert_eq!(asked["upstream"], upstream.address.to_string());
    let (whole, of_upstream) = (asked["t"].as_u64().unwrap(), asked["t_upstream"].as_u64().unwrap());
    assert!((80_000..=whole).contains(&of_upstream), "{asked}");
    assert_eq!(asked["trace_id"], trace);
    for member in ["upstream", "t_upstream", "trace_id"] {
        assert!(refused.get(member).is_none(), "{refused}");
    }
    let metrics = shop.gateway.admin_call(Call::get("/metrics")).await.text();
    let all = metrics
        .lines()
        .find_map(|line| line.strip_prefix("countersign_upstream_seconds_total "));
    assert!(all.unwrap().parse::<f64>().unwrap() >= 0.08);
}

#[tokio::test]
async fn a_target_that_was_away_is_named() {
    let away = harness::free_port();
    let shop = shop_before(&format!("[\"http://127.0.0.1:{away}\"]")).start().await;

    let failed = Call::get("/double/x").send(&shop.gateway).await;

    let line = shop.gateway.access_line(&failed).await;
    assert_eq!(line["cause"], "upstream_connect");
    assert_eq!(line["upstream"], format!("127.0.0.1:{away}"));
}

#[tokio::test]
async fn nothing_secret_is_ever_logged() {
    const SECRETS: [&str; 3] = ["upstream-secret-1", "upstream-secret-2", "upstream-secret-3"];
    let more = format!(
        "[upstreams.double.credentials]\nmode = \"header\"\nname = \"X-Api-Key\"\nvalue = \"{}\"\n\
         [upstreams.storefront.credentials]\nmode = \"basic\"\nusername = \"{}\"\npassword = \"{}\"\n",
        SECRETS[0], SECRETS[1], SECRETS[2]
    );
    let away = harness::free_port();
    let shop = shop_before(&format!("[\"http://127.0.0.1:{away}\"]"))
        .set("log", "level", "\"trace\"")
        .append(&more)
        .start()
        .await;
    let reader = shop.reader().await;
    let mut secrets: Vec<String> = SECRETS.iter().map(|one| (*one).to_owned()).collect();
    secrets.extend([
        reader.consumer_secret.clone(),
        reader.token_secret().to_owned(),
        reader.token().to_owned(),
    ]);
    secrets.extend(["query-needle", "body-needle", "cookie-needle", "bearer-needle"].map(str::to_owned));
    secrets.push(harness::PASSWORD.to_owned());

    for placement in [Placement::Header, Placement::Query, Placement::Form] {
        let call = Call::post("/rest/V1/products?q=query-needle").header("Cookie", "a=cookie-needle");
        let signed = call
            .form("b=body-needle")
            .signed(Signing::with(&reader).placed(placement))
            .to(&shop.gateway);
        let (served, replayed) = (signed.send().await, signed.send().await);
        assert_eq!((served.status, replayed.status), (200, 401), "{}", served.text());
        let signature = [
            signed.target.clone(),
            String::from_utf8_lossy(&signed.octets()).into_owned(),
        ]
        .concat()
        .split("oauth_signature=")
        .nth(1)
        .map(|rest| rest.trim_start_matches('"').chars().take(20).collect::<String>());
        secrets.extend(signature);
    }
    let bearer = Call::get("/rest/V1/products").header("Authorization", "Bearer bearer-needle");
    assert_eq!(bearer.send(&shop.gateway).await.status, 401);
    assert_eq!(Call::get("/double/x").send(&shop.gateway).await.status, 502);
    let _malformed = Call::get("/rest/V1/products")
        .header("Authorization", "OAuth bearer-needle")
        .send(&shop.gateway)
        .await;
    lines_with(&shop, "/double/", 1).await;

    let logs = [lines(&shop).join("\n"), shop.gateway.whole_log().await].concat();
    for secret in secrets {
        assert!(!logs.contains(&secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn a_sink_that_blocks_drops_lines_and_counts_them_and_stops_neither_serving_nor_the_end() {
    let shop = Shop::new().start().await;
    let mut blocked = serve_again(&shop, Stdio::piped(), Stdio::null()).await;
    let head = format!("GET {ANONYMOUS}/{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(2_000));
    let mut connection = Connection::open(shop.gateway.public()).await.unwrap();

    let flooded = async || {
        for _ in 0..200 {
            connection.write(head.as_bytes()).await.unwrap();
            assert_eq!(connection.response("GET").await.unwrap().status, 200);
        }
        (shop.gateway.metric("countersign_access_log_dropped_lines_total").await > 0).then_some(())
    };
    eventually("lines are dropped", flooded).await;
    let after = Call::get(&format!("{ANONYMOUS}/after")).send(&shop.gateway).await;
    assert_eq!(after.status, 200);
    ends(&mut blocked).await;
}

#[tokio::test]
async fn an_application_log_that_nobody_reads_stops_neither_serving_nor_the_end() {
    let shop = Shop::new().start().await;
    let mut blocked = serve_again(&shop, Stdio::null(), Stdio::piped()).await;

    // Each refused reload says all that is wrong in a line.
    let wrong = "[[routes]]\nunknown = 1\n".repeat(2000);
    shop.gateway.write_config(|config| config.append(&wrong));
    let flooded = async || {
        for _ in 0..5 {
            assert_eq!(shop.admin.post("/reload", &Value::Null).await.status, 422);
        }
        (shop.gateway.metric("countersign_log_dropped_lines_total").await > 0).then_some(())
    };
    eventually("lines are dropped", flooded).await;
    let after = Call::get(&format!("{ANONYMOUS}/after")).send(&shop.gateway).await;
    assert_eq!(after.status, 200);
    ends(&mut blocked).await;
}

#[tokio::test]
async fn of_a_head_that_nobody_can_read_the_access_log_claims_nothing() {
    let shop = Shop::shared().await;
    let mut connection = Connection::open(shop.gateway.public()).await.unwrap();

    connection
        .write(b"G@T /x\x01 HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let refused = connection.response("GET").await.unwrap();
    let line = shop.gateway.access_line(&refused).await;

    assert_eq!(refused.status, 400);
    assert_eq!((&line["method"], &line["path"]), (&"-".into(), &"-".into()));
}

#[tokio::test]
async fn the_store_and_the_configuration_have_metrics_of_their_own() {
    let shop = Shop::shared().await;

    let text = shop.gateway.admin_call(Call::get("/metrics")).await.text();

    assert!(text.contains("countersign_store_up 1\n"), "{text}");
    assert!(
        text.contains("countersign_store_heartbeat_duration_seconds_count 0\n"),
        "{text}"
    );
    let since = shop
        .gateway
        .metric("countersign_reload_last_success_timestamp_seconds ")
        .await;
    assert!(since.abs_diff(harness::now()) < 3600, "{since}");
}

#[tokio::test]
async fn metrics_have_their_prefix_and_units_and_labels_that_no_client_makes() {
    let shop = Shop::new().start().await;
    let series = async || {
        let text = shop.gateway.admin_call(Call::get("/metrics")).await.text();
        let names = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.rsplit_once(' ').unwrap().0.to_owned());
        (names.collect::<Vec<String>>(), text.clone())
    };
    let (before, _) = series().await;

    for number in 0..50 {
        let target = format!("{ANONYMOUS}/labels-{number}/{}", "x".repeat(number));
        let _answer = Call::get(&target)
            .header("Host", "b")
            .header("User-Agent", &format!("agent-{number}"))
            .send(&shop.gateway)
            .await;
        let _answer = Call::new(&format!("METHOD{number}"), &target).send(&shop.gateway).await;
        let _answer = Call::get(&format!("/unknown-{number}")).send(&shop.gateway).await;
    }
    let (after, text) = series().await;

    assert_eq!(before, after);
    assert!(after.iter().all(|name| name.starts_with("countersign_")), "{after:?}");
    for family in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = family.split_once(' ').unwrap();
        assert!(text.contains(&format!("# HELP {name} ")), "{name}");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{family}");
        for unit in ["_ms", "_millis", "_micros", "_kb", "_percent"] {
            assert!(!name.contains(unit), "{name}");
        }
    }
    assert!(text.contains("countersign_build_info{version=\""));
}

#[tokio::test]
async fn latency_is_a_histogram_that_adds_up() {
    let shop = Shop::new().start().await;
    for _ in 0..10 {
        let _answer = Call::get(&format!("{ANONYMOUS}/timed")).send(&shop.gateway).await;
    }
    let counted =
        async || (shop.gateway.metric("countersign_request_duration_seconds_count").await >= 10).then_some(());
    tokio::time::timeout(Duration::from_secs(20), eventually("all are counted", counted))
        .await
        .unwrap();

    let text = shop.gateway.admin_call(Call::get("/metrics")).await.text();
    let buckets: Vec<u64> = text
        .lines()
        .filter(|line| line.starts_with("countersign_request_duration_seconds_bucket"))
        .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
        .collect();

    assert!(buckets.is_sorted(), "{buckets:?}");
    assert_eq!(buckets.last(), Some(&10));
}

/// The same gateway in another process, its outputs as given: a pipe is one that nobody reads.
async fn serve_again(shop: &Shop, stdout: Stdio, stderr: Stdio) -> Child {
    assert!(shop.gateway.stop().await.success());
    let process = Command::new(binary())
        .args(["serve", "--config", "countersign.toml"])
        .current_dir(shop.gateway.folder())
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
        .unwrap();
    eventually("it serves", async || shop.gateway.is_ready().await.then_some(())).await;
    process
}

/// On TERM, as it should.
async fn ends(process: &mut Child) {
    let told = Command::new("kill")
        .args(["-TERM", &process.id().to_string()])
        .status()
        .unwrap();
    let ended = eventually("it ends", async || process.try_wait().unwrap()).await;
    assert!(told.success() && ended.success(), "{ended}");
}
