//! Start, reload and end: what is under way is finished, and the last good configuration stays in force.

use std::time::Duration;

use harness::{Answer, Call, Config, Connection, Shop, eventually};
use serde_json::json;
use tokio::time::Instant;

const NEW_ROUTE: &str =
    "[[routes]]\npath = \"/rest/V1/brand-new\"\nupstream = \"storefront\"\nresources = [\"anonymous\"]";

#[tokio::test]
async fn hup_brings_new_routes() {
    let shop = Shop::new().start().await;
    assert_eq!(Call::get("/rest/V1/brand-new").send(&shop.gateway).await.status, 404);

    shop.gateway.reload(|config| config.append(NEW_ROUTE)).await;

    assert_eq!(Call::get("/rest/V1/brand-new").send(&shop.gateway).await.status, 200);
}

#[tokio::test]
async fn hup_takes_routes_away() {
    let shop = Shop::new().without_routes().append(NEW_ROUTE).start().await;
    assert_eq!(Call::get("/rest/V1/brand-new").send(&shop.gateway).await.status, 200);
    let moved = NEW_ROUTE.replace("brand-new", "moved");

    shop.gateway.reload(|config| config.without_more().append(&moved)).await;

    assert_eq!(Call::get("/rest/V1/brand-new").send(&shop.gateway).await.status, 404);
    assert_eq!(Call::get("/rest/V1/moved").send(&shop.gateway).await.status, 200);
}

#[tokio::test]
async fn hup_changes_what_a_route_needs() {
    let shop = Shop::new().without_routes().append(NEW_ROUTE).start().await;
    let needy = NEW_ROUTE.replace("anonymous", "Shop::extra");
    let needy = format!("[[resources]]\nid = \"Shop::extra\"\n{needy}");

    shop.gateway.reload(|config| config.without_more().append(&needy)).await;

    let refused = Call::get("/rest/V1/brand-new").send(&shop.gateway).await;
    assert_eq!(refused.refusal(), (401, "resource_denied"));
    let extra = shop.integration().granted(&["Shop::extra"]).active().await.credentials;
    assert_eq!(
        Call::get("/rest/V1/brand-new")
            .signed_by(&extra)
            .send(&shop.gateway)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn hup_changes_the_upstream() {
    let shop = Shop::new().start().await;
    let other = harness::Upstream::start().await;
    assert_eq!(
        Call::get("/rest/V1/store/swapped").send(&shop.gateway).await.status,
        200
    );

    let targets = format!("[\"http://{}\"]", other.address());
    shop.gateway
        .reload(|config| config.set("upstreams.storefront", "targets", &targets))
        .await;

    assert_eq!(
        Call::get("/rest/V1/store/swapped").send(&shop.gateway).await.status,
        200
    );
    assert_eq!((shop.upstream.count("swapped"), other.count("swapped")), (1, 1));
}

#[tokio::test]
async fn a_faulty_configuration_leaves_the_last_good_one_in_force() {
    let shop = Shop::new().start().await;
    let reader = shop.reader().await;

    shop.gateway
        .reload(|config| config.set("oauth", "timestamp_windoww", "\"1s\"").append(NEW_ROUTE))
        .await;

    shop.gateway.logged("timestamp_window").await;
    let log = shop.gateway.log();
    assert!(log.contains("countersign.toml"), "{log}");
    assert_eq!(Call::get("/rest/V1/brand-new").send(&shop.gateway).await.status, 404);
    assert_eq!(
        Call::get("/rest/V1/products/1")
            .signed_by(&reader)
            .send(&shop.gateway)
            .await
            .status,
        200
    );
    assert_eq!(shop.gateway.metric("countersign_reload_failures_total").await, 1);
}

#[tokio::test]
async fn the_admin_api_reloads_and_says_what_needs_a_restart() {
    let shop = Shop::new().start().await;
    shop.gateway
        .write_config(|config| config.append(NEW_ROUTE).set("store", "timeout", "\"300ms\""));

    let reloaded = shop.admin.post("/reload", &json!(null)).await;

    assert_eq!(reloaded.status, 200);
    assert_eq!(
        reloaded.json(),
        json!({ "reloaded": true, "needs_restart": ["store.timeout"] })
    );
    assert_eq!(Call::get("/rest/V1/brand-new").send(&shop.gateway).await.status, 200);
}

#[tokio::test]
async fn the_admin_api_refuses_a_faulty_configuration_by_its_faults() {
    let shop = Shop::new().start().await;
    shop.gateway
        .write_config(|config| config.append("[[routes]]\npath = \"/x\"\nupstream = \"nowhere\""));

    let refused = shop.admin.post("/reload", &json!(null)).await;

    assert_eq!(refused.status, 422);
    assert!(
        refused.json()["faults"].to_string().contains("nowhere"),
        "{}",
        refused.text()
    );
}

#[tokio::test]
async fn what_is_under_way_ends_well_across_a_reload() {
    let shop = Shop::new().start().await;
    shop.upstream
        .answers("store/slow", Answer::Late(Duration::from_secs(2)));
    let slow = Call::get("/rest/V1/store/slow").to(&shop.gateway);
    let under_way = tokio::spawn(async move { slow.send().await });
    eventually("upstream has the request", async || {
        (shop.upstream.count("store/slow") == 1).then_some(())
    })
    .await;

    shop.gateway.reload(Config::without_more).await;

    assert_eq!(under_way.await.map(|answer| answer.status).ok(), Some(200));
    assert_eq!(Call::get("/rest/V1/store/slow").send(&shop.gateway).await.status, 404);
}

#[tokio::test]
async fn term_finishes_what_is_under_way_and_ends_with_success() {
    let shop = Shop::new().start().await;
    shop.upstream
        .answers("store/slow", Answer::Late(Duration::from_secs(2)));
    let slow = Call::get("/rest/V1/store/slow").to(&shop.gateway);
    let under_way = tokio::spawn(async move { slow.send().await });
    eventually("upstream has the request", async || {
        (shop.upstream.count("store/slow") == 1).then_some(())
    })
    .await;

    shop.gateway.signal("TERM");
    let refused = async || Connection::open(shop.gateway.public()).await.is_err().then_some(());
    eventually("new connections are refused", refused).await;

    assert_eq!(under_way.await.map(|answer| answer.status).ok(), Some(200));
    assert_eq!(shop.gateway.end().await.code(), Some(0));
}

#[tokio::test]
async fn term_finishes_an_answer_that_streams() {
    let shop = Shop::new().start().await;
    let pause = Duration::from_millis(300);
    shop.upstream.answers(
        "store/stream",
        Answer::Stream {
            piece: "piece",
            times: 6,
            pause,
        },
    );
    let stream = Call::get("/rest/V1/store/stream").to(&shop.gateway);
    let under_way = tokio::spawn(async move { stream.send().await });
    eventually("upstream has the request", async || {
        (shop.upstream.count("store/stream") == 1).then_some(())
    })
    .await;

    let ended = shop.gateway.stop().await;

    assert_eq!(
        under_way.await.map(|answer| answer.text()).ok(),
        Some("piece".repeat(6))
    );
    assert_eq!(ended.code(), Some(0));
}

#[tokio::test]
async fn readiness_ends_with_the_drain_while_health_stays() {
    let shop = Shop::new().start().await;
    shop.upstream
        .answers("store/slow", Answer::Late(Duration::from_secs(3)));
    let slow = Call::get("/rest/V1/store/slow").to(&shop.gateway);
    let under_way = tokio::spawn(async move { slow.send().await });
    eventually("upstream has the request", async || {
        (shop.upstream.count("store/slow") == 1).then_some(())
    })
    .await;

    shop.gateway.signal("TERM");
    eventually("readiness ends", async || {
        (!shop.gateway.is_ready().await).then_some(())
    })
    .await;

    let live = shop.gateway.admin_call(Call::get("/health/live")).await;
    let ready = shop.gateway.admin_call(Call::get("/health/ready")).await;
    assert_eq!((live.status, ready.status), (200, 503));
    assert_eq!(ready.json()["components"]["listener"]["status"], "draining");
    assert_eq!(under_way.await.map(|answer| answer.status).ok(), Some(200));
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_the_end() {
    let shop = Shop::new().start().await;
    let call = Call::get("/rest/V1/store/kept").to(&shop.gateway);
    let mut kept = call.connect().await.expect("connects");
    kept.write(&call.octets()).await.expect("writes");
    assert_eq!(kept.response("GET").await.expect("answers").status, 200);
    let _silent = Connection::open(shop.gateway.public()).await.expect("connects");
    let began = Instant::now();

    let ended = shop.gateway.stop().await;

    assert_eq!(ended.code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(kept.closes().await);
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut_and_that_is_no_success() {
    let shop = Shop::new()
        .set("public.limits", "drain_timeout", "\"500ms\"")
        .start()
        .await;
    shop.upstream.answers("store/endless", Answer::Never);
    let endless = Call::get("/rest/V1/store/endless").to(&shop.gateway);
    let under_way = tokio::spawn(async move { endless.try_send().await });
    eventually("upstream has the request", async || {
        (shop.upstream.count("store/endless") == 1).then_some(())
    })
    .await;

    let ended = shop.gateway.stop().await;

    assert_eq!(ended.code(), Some(1));
    assert!(under_way.await.is_ok_and(|answer| answer.is_err()));
}

#[tokio::test]
async fn a_second_int_ends_at_once() {
    let shop = Shop::new().start().await;
    shop.upstream.answers("store/endless", Answer::Never);
    let endless = Call::get("/rest/V1/store/endless").to(&shop.gateway);
    tokio::spawn(async move { endless.try_send().await });
    eventually("upstream has the request", async || {
        (shop.upstream.count("store/endless") == 1).then_some(())
    })
    .await;
    let began = Instant::now();
    shop.gateway.signal("INT");
    eventually("it drains", async || {
        shop.gateway.log().contains("draining").then_some(())
    })
    .await;

    shop.gateway.signal("INT");

    assert_eq!(shop.gateway.end().await.code(), Some(1));
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn the_start_says_what_clients_must_sign() {
    let shop = Shop::new().signed_as("https://shop.example/base").start().await;

    shop.gateway.logged("https://shop.example/base/").await;
}

#[tokio::test]
async fn a_request_to_another_address_than_is_signed_is_warned_of() {
    let shop = Shop::new().signed_as("https://shop.example").start().await;
    let warned = || shop.gateway.log().contains("must_sign");
    assert!(!warned());

    let call = Call::get("/rest/V1/store/elsewhere").to(&shop.gateway);
    call.with_changed_header("host", |_| "10.0.0.7:8080".to_owned())
        .send()
        .await;

    shop.gateway.logged("must_sign").await;
    assert!(shop.gateway.log().contains("10.0.0.7:8080"));
    assert_eq!(shop.gateway.metric("countersign_host_mismatch_total").await, 1);
}

#[tokio::test]
async fn a_path_prefix_that_a_proxy_strips_is_signed() {
    let shop = Shop::new().signed_as("https://shop.example/base").start().await;
    let reader = shop.reader().await;

    let call = Call::get("/rest/V1/products/prefixed").signed_by(&reader);

    let answer = call.send(&shop.gateway).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(shop.upstream.only("prefixed").target, "/rest/V1/products/prefixed");
}

#[tokio::test]
async fn one_of_several_addresses_is_picked_by_the_host() {
    let urls = "[\"https://shop.example\", \"https://b2b.example:8443\"]";
    let shop = Shop::new().set("public", "base_url", urls).start().await;
    let reader = shop.reader().await;
    let call = |signed: &str, host: &'static str| {
        let url = format!("{signed}/rest/V1/products/several");
        let signing = harness::Signing::with(&reader).for_url(&url);
        Call::get("/rest/V1/products/several")
            .signed(signing)
            .to(&shop.gateway)
            .with_changed_header("host", |_| host.to_owned())
    };

    assert_eq!(
        call("https://b2b.example:8443", "b2b.example:8443").send().await.status,
        200
    );
    assert_eq!(call("https://shop.example", "shop.example").send().await.status, 200);
    assert_eq!(call("https://shop.example", "10.0.0.1").send().await.status, 200);
    assert_eq!(
        call("https://shop.example", "b2b.example:8443").send().await.refusal(),
        (401, "signature_invalid")
    );
}
