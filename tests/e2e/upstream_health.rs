//! Targets that are asked how they are: one that fails its check gets no requests until it passes again.

use std::time::Duration;

use harness::{Answer, Call, Config, Response, Shop, ShopBuilder, Upstream, eventually};

use crate::proxy_double::shop_before;

const CHECK: &str = "/health_check.php?deep=1";

fn checked(upstreams: &[&Upstream]) -> ShopBuilder {
    let urls: Vec<String> = upstreams
        .iter()
        .map(|one| format!("\"http://{}\"", one.address()))
        .collect();
    shop_before(&format!("[{}]", urls.join(", ")))
        .set("upstreams.double.health_check", "path", &format!("{CHECK:?}"))
        .set("upstreams.double.health_check", "interval", "\"100ms\"")
        .set("upstreams.double.health_check", "timeout", "\"300ms\"")
}

async fn ask(shop: &Shop, mark: &str) -> Response {
    let call = Call::get(&format!("/double/{mark}")).asking_for_the_cause();
    call.send(&shop.gateway).await
}

async fn target_becomes(shop: &Shop, number: usize, status: &str) {
    eventually(status, async || {
        let shown = shop.admin.get("/upstreams").await.json();
        let upstreams = shown["items"].as_array().unwrap();
        let double = upstreams.iter().find(|one| one["name"] == "double").unwrap();
        (double["targets"][number]["status"] == status).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_target_that_fails_gets_no_requests_until_it_passes_again() {
    let (ill, well) = (Upstream::start().await, Upstream::start().await);
    ill.answers("health_check", Answer::Status(503, "{}"));
    let shop = checked(&[&ill, &well]).start().await;
    target_becomes(&shop, 0, "unhealthy").await;

    for _ in 0..20 {
        assert_eq!(ask(&shop, "while-ill").await.status, 200);
    }

    assert_eq!((ill.count("while-ill"), well.count("while-ill")), (0, 20));
    let series = "countersign_upstream_targets_unhealthy{upstream=\"double\"}";
    assert_eq!(shop.gateway.metric(series).await, 1);
    let health = shop.gateway.admin_call(Call::get("/health/ready")).await;
    assert_eq!(health.json()["components"]["upstreams"]["double"]["status"], "degraded");
    shop.gateway.logged("a target fails its health check").await;

    ill.answers("health_check", Answer::Status(200, "{}"));
    target_becomes(&shop, 0, "ok").await;
    shop.gateway.logged("a target passes its health check again").await;
    for _ in 0..20 {
        assert_eq!(ask(&shop, "while-well").await.status, 200);
    }
    assert_eq!((ill.count("while-well"), well.count("while-well")), (10, 10));
}

#[tokio::test]
async fn where_no_target_passes_the_answer_is_503_and_none_is_asked_for_it() {
    let upstream = Upstream::start().await;
    upstream.answers("health_check", Answer::Status(500, "{}"));
    let shop = checked(&[&upstream]).start().await;
    target_becomes(&shop, 0, "unhealthy").await;

    let refused = ask(&shop, "only").await;

    assert_eq!(refused.refusal(), (503, "upstream_unhealthy"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(upstream.count("only"), 0);
}

#[tokio::test]
async fn it_takes_as_many_failures_in_a_row_as_are_configured() {
    let upstream = Upstream::start().await;
    let shop = checked(&[&upstream])
        .set("upstreams.double.health_check", "failures", "1000")
        .start()
        .await;
    upstream.answers("health_check", Answer::Status(500, "{}"));
    eventually("checks failed", async || {
        (upstream.count("health_check") > 5).then_some(())
    })
    .await;

    assert_eq!(ask(&shop, "still").await.status, 200);
    target_becomes(&shop, 0, "ok").await;
}

#[tokio::test]
async fn no_answer_in_time_no_http_and_no_connection_fail_and_a_redirect_passes() {
    let fails = [
        Answer::Never,
        Answer::Close,
        Answer::Raw(b"SSH-2.0-x\r\n".to_vec()),
        Answer::Status(404, "{}"),
    ];
    for answer in fails {
        let upstream = Upstream::start().await;
        upstream.answers("health_check", answer.clone());
        let shop = checked(&[&upstream]).start().await;

        target_becomes(&shop, 0, "unhealthy").await;

        upstream.answers("health_check", Answer::Status(302, ""));
        target_becomes(&shop, 0, "ok").await;
        assert_eq!(ask(&shop, "after").await.status, 200, "{answer:?}");
    }
}

#[tokio::test]
async fn what_is_asked_carries_the_host_and_no_credentials() {
    let upstream = Upstream::start().await;
    let _shop = checked(&[&upstream])
        .set("upstreams.double", "host", "\"shop.example\"")
        .set("upstreams.double.credentials", "mode", "\"bearer\"")
        .set("upstreams.double.credentials", "token", "\"geheim\"")
        .start()
        .await;
    eventually("a check", async || (upstream.count("health_check") > 0).then_some(())).await;

    let seen = upstream.seen("health_check").remove(0);

    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", CHECK));
    assert_eq!(seen.header("host"), Some("shop.example"));
    assert_eq!(seen.header("authorization"), None);
    assert!(seen.header("user-agent").unwrap().starts_with("countersign/"));
}

#[tokio::test]
async fn a_reload_keeps_what_is_known_and_another_path_is_another_check() {
    let upstream = Upstream::start().await;
    upstream.answers("health_check", Answer::Status(500, "{}"));
    let shop = checked(&[&upstream])
        .set("upstreams.double.health_check", "failures", "8")
        .start()
        .await;
    target_becomes(&shop, 0, "unhealthy").await;

    shop.gateway.reload(|config| config).await;

    assert_eq!(ask(&shop, "kept").await.refusal(), (503, "upstream_unhealthy"));

    let elsewhere = |config: Config| config.set("upstreams.double.health_check", "path", "\"/other\"");
    shop.gateway.reload(elsewhere).await;
    assert_eq!(ask(&shop, "free").await.status, 200);
    eventually("it is asked", async || (upstream.count("/other") > 0).then_some(())).await;
    let asked = upstream.count("health_check");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(upstream.count("health_check"), asked, "it is still asked as before");
}
