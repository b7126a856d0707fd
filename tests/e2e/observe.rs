//! A route that only observes judges every request, records the verdict, and forwards it anyway.

use harness::redis::{Options, Server};
use harness::{Call, Placement, Shop, Signing};

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
async fn a_refused_form_that_was_signed_in_the_header_is_forwarded_as_it_came() {
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
async fn what_nobody_could_spend_does_not_reach_upstream() {
    let redis = Server::start(Options::default()).await;
    let shop = Shop::new().store(&redis.url()).start().await;
    let reader = shop.reader().await;
    let call = Call::get("/rest/V1/observed/unspent?a=1&b=%20");
    let signed = || call.clone().signed(Signing::with(&reader).placed(Placement::Query));
    assert_eq!(signed().send(&shop.gateway).await.status, 200);

    redis.set("min-replicas-to-write", "1").await;
    let unspent = signed().send(&shop.gateway).await;

    assert_eq!(unspent.status, 200);
    assert_eq!(shop.gateway.access_line(&unspent).await["cause"], "store_unavailable");
    for seen in shop.upstream.seen("observed/unspent") {
        assert_eq!(seen.target, "/rest/V1/observed/unspent?a=1&b=%20");
    }
}

#[tokio::test]
async fn credentials_that_were_refused_are_removed_wherever_they_stand() {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;
    let forged = reader.with_token(reader.token(), "wrong");
    let placed = |placement| Signing::with(&forged).placed(placement);
    let query = Call::get("/rest/V1/observed/refused-1?a=1").signed(placed(Placement::Query));
    let form = Call::post("/rest/V1/observed/refused-2")
        .form("a=1")
        .signed(placed(Placement::Form));
    let in_two_places = Call::post("/rest/V1/observed/refused-3?oauth_token=x&a=1&%6Fauth_nonce=y")
        .form("oauth_token=x&a=1")
        .signed_by(&reader);
    let two_headers = Call::post("/rest/V1/observed/refused-4?a=1")
        .header("Authorization", "Bearer x")
        .header("Authorization", "Bearer y")
        .form("oauth_token=x&a=1");

    for call in [query, form, in_two_places, two_headers] {
        assert_eq!(call.send(&shop.gateway).await.status, 200);
    }

    let reached: Vec<(String, String)> = shop
        .upstream
        .seen("observed/refused")
        .iter()
        .map(|seen| (seen.target.clone(), seen.text()))
        .collect();
    let path = |end: &str| format!("/rest/V1/observed/refused-{end}");
    let expected = [("1?a=1", ""), ("2", "a=1"), ("3?a=1", "a=1"), ("4?a=1", "a=1")];
    assert_eq!(reached, expected.map(|(end, body)| (path(end), body.to_owned())));
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
