//! A target's circuit breaker: opens after failures in a row, is tried by one request, and is shown to operators.

use std::time::Duration;

use harness::{Answer, Call, Response, Shop, ShopBuilder, Upstream, eventually};

use crate::proxy_double::shop_before;

async fn ask(shop: &Shop, mark: &str) -> Response {
    let call = Call::get(&format!("/double/{mark}")).asking_for_the_cause();
    call.send(&shop.gateway).await
}

fn guarded(upstreams: &[&Upstream]) -> ShopBuilder {
    let urls: Vec<String> = upstreams
        .iter()
        .map(|one| format!("\"http://{}\"", one.address()))
        .collect();
    shop_before(&format!("[{}]", urls.join(", ")))
        .set("upstreams.double", "first_byte_timeout", "\"200ms\"")
        .set("upstreams.double.circuit_breaker", "failures", "3")
        .set("upstreams.double.circuit_breaker", "open_for", "\"2s\"")
}

async fn status_of_target(shop: &Shop, number: usize) -> String {
    let shown = shop.admin.get("/upstreams").await.json();
    let upstreams = shown["items"].as_array().unwrap();
    let double = upstreams.iter().find(|one| one["name"] == "double").unwrap();
    double["targets"][number]["status"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn after_failures_in_a_row_nothing_is_sent_until_one_request_finds_it_well() {
    let upstream = Upstream::start().await;
    let shop = guarded(&[&upstream]).start().await;
    upstream.answers("hangs", Answer::Never);
    for _ in 0..3 {
        assert_eq!(ask(&shop, "hangs").await.refusal(), (504, "upstream_timeout"));
    }

    let refused = ask(&shop, "well").await;

    assert_eq!(refused.refusal(), (503, "upstream_unhealthy"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(upstream.count("well"), 0);
    eventually("it is shown", async || {
        (status_of_target(&shop, 0).await == "open").then_some(())
    })
    .await;
    let series = "countersign_upstream_targets_unhealthy{upstream=\"double\"}";
    assert_eq!(shop.gateway.metric(series).await, 1);
    let health = shop.gateway.admin_call(Call::get("/health/ready")).await;
    assert_eq!(health.status, 200);
    assert_eq!(
        health.json()["components"]["upstreams"]["double"]["status"],
        "unavailable"
    );

    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(ask(&shop, "well").await.status, 200);
    assert_eq!(ask(&shop, "well").await.status, 200);
    eventually("it is shown", async || {
        (status_of_target(&shop, 0).await == "ok").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_try_that_fails_shuts_it_again() {
    let upstream = Upstream::start().await;
    let shop = guarded(&[&upstream]).start().await;
    upstream.answers("hangs", Answer::Never);
    for _ in 0..3 {
        ask(&shop, "hangs").await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;

    let tried = ask(&shop, "hangs").await;
    let next = ask(&shop, "well").await;

    assert_eq!(tried.refusal(), (504, "upstream_timeout"));
    assert_eq!(next.refusal(), (503, "upstream_unhealthy"));
}

#[tokio::test]
async fn the_other_targets_get_what_it_would_have_got() {
    let (ill, well) = (Upstream::start().await, Upstream::start().await);
    ill.answers("/double/", Answer::Close);
    let shop = guarded(&[&ill, &well]).start().await;
    for _ in 0..6 {
        ask(&shop, "before").await;
    }
    let before = ill.count("/double/");

    for _ in 0..20 {
        assert_eq!(ask(&shop, "after").await.status, 200);
    }

    assert_eq!((before, ill.count("/double/")), (3, 3));
    assert_eq!(well.count("after"), 20);
}

#[tokio::test]
async fn an_answer_in_between_and_answers_of_5xx_keep_it_shut_to_nobody() {
    let upstream = Upstream::start().await;
    let shop = guarded(&[&upstream]).start().await;
    upstream.answers("hangs", Answer::Never);
    upstream.answers("fault", Answer::Status(500, "{}"));

    for _ in 0..3 {
        for mark in ["hangs", "hangs", "fault"] {
            ask(&shop, mark).await;
        }
    }

    assert_eq!(ask(&shop, "well").await.status, 200);
}

#[tokio::test]
async fn without_the_table_it_never_opens() {
    let upstream = Upstream::start().await;
    upstream.answers("closes", Answer::Close);
    let urls = format!("[\"http://{}\"]", upstream.address());
    let shop = shop_before(&urls).start().await;

    for _ in 0..10 {
        assert_eq!(ask(&shop, "closes").await.refusal(), (502, "upstream_broken"));
    }

    assert_eq!(ask(&shop, "well").await.status, 200);
}
