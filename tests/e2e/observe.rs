//! A route that only observes judges every request, records the verdict, and forwards it anyway.

use harness::{Call, Shop};

#[tokio::test]
async fn a_request_without_credentials_is_forwarded_as_a_guest_and_recorded() {
    let shop = Shop::shared().await;

    let answer = Call::get("/rest/V1/observed/guest").send(&shop.gateway).await;

    assert_eq!(answer.status, 200);
    assert_eq!(
        shop.upstream.only("observed/guest").header("x-user-type"),
        Some("guest")
    );
    let line = shop.gateway.access_line(&answer).await;
    assert_eq!(line["cause"], "resource_denied");
    assert_eq!(line["observed"], true);
}

#[tokio::test]
async fn a_good_request_is_forwarded_as_who_signed_it() {
    let shop = Shop::shared().await;

    let answer = Call::get("/rest/V1/observed/good")
        .signed_by(&shop.reader().await)
        .send(&shop.gateway)
        .await;

    assert_eq!(answer.status, 200);
    assert_eq!(
        shop.upstream.only("observed/good").header("x-user-type"),
        Some("integration")
    );
    assert_eq!(shop.gateway.access_line(&answer).await.get("cause"), None);
}

#[tokio::test]
async fn a_forged_request_is_forwarded_as_a_guest_and_recorded() {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;
    let forged = reader.with_token(reader.token(), "wrong");

    let call = Call::get("/rest/V1/observed/forged")
        .header("X-User-Type", "admin")
        .signed_by(&forged);
    let answer = call.send(&shop.gateway).await;

    assert_eq!(answer.status, 200);
    let seen = shop.upstream.only("observed/forged");
    assert_eq!(seen.header("x-user-type"), Some("guest"));
    assert_eq!(seen.header("x-consumer-id"), None);
    assert_eq!(shop.gateway.access_line(&answer).await["cause"], "signature_invalid");
}

#[tokio::test]
async fn a_replay_is_forwarded_and_recorded() {
    let shop = Shop::shared().await;
    let call = Call::get("/rest/V1/observed/replay")
        .signed_by(&shop.reader().await)
        .to(&shop.gateway);

    call.send().await;
    let replay = call.send().await;

    assert_eq!(replay.status, 200);
    assert_eq!(shop.gateway.access_line(&replay).await["cause"], "nonce_used");
    assert_eq!(shop.upstream.count("observed/replay"), 2);
}

#[tokio::test]
async fn a_refused_form_is_forwarded_whole() {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;
    let forged = reader.with_token(reader.token(), "wrong");

    let call = Call::post("/rest/V1/observed/form")
        .form("a=1&b=%20")
        .signed_by(&forged);

    assert_eq!(call.send(&shop.gateway).await.status, 200);
    assert_eq!(shop.upstream.only("observed/form").text(), "a=1&b=%20");
}

#[tokio::test]
async fn observed_refusals_are_counted_apart() {
    let shop = Shop::new().start().await;
    let counted = "countersign_observed_refusals_total{cause=\"resource_denied\"}";

    Call::get("/rest/V1/observed/counted").send(&shop.gateway).await;

    assert_eq!(shop.gateway.metric(counted).await, 1);
    assert_eq!(
        shop.gateway
            .metric("countersign_refusals_total{cause=\"resource_denied\"}")
            .await,
        0
    );
}

#[tokio::test]
async fn a_target_that_nobody_may_send_is_refused_there_too() {
    let shop = Shop::shared().await;

    let refused = Call::get("/rest/V1/observed/..%2fsecret").refusal(&shop.gateway).await;

    assert_eq!(refused, (400, "target_refused"));
}
