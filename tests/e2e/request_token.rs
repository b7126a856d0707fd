//! `/oauth/token/request`: every check, status and body, in their order.

use std::time::Duration;

use harness::{Call, Credentials, Handshake, Placement, Response, Shop, Signing};
use serde_json::json;
use tokio::task::JoinSet;

#[tokio::test]
async fn a_posted_consumer_gets_a_request_token() {
    let (_, handshake) = posted().await;

    let answer = handshake.ask_request_token(handshake.request_signing()).await;

    let pair = handshake.pair(&answer);
    assert_eq!(
        answer.text(),
        format!(
            "oauth_token={}&oauth_token_secret={}",
            pair.token(),
            pair.token_secret()
        )
    );
    assert_eq!((pair.token().len(), pair.token_secret().len()), (32, 32));
    assert!(
        pair.token()
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    );
    assert_eq!(answer.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn who_comes_with_another_scheme_is_told_all_that_is_required() {
    let shop = Shop::shared().await;
    let call = Call::post("/oauth/token/request");
    let none = call.send(&shop.gateway).await;

    for scheme in ["Basic dTpw", "Bearer x"] {
        let told = call.clone().header("Authorization", scheme).send(&shop.gateway).await;

        assert_eq!((told.status, told.text()), (400, none.text()), "{scheme}");
    }
    assert!(none.text().contains("oauth_timestamp"));
    let both = call.header("Authorization", "Bearer x").form("oauth_consumer_key=x");
    assert_eq!(both.refusal(&shop.gateway).await, (400, "request_malformed"));
}

#[tokio::test]
async fn a_callback_is_confirmed_to_who_sent_one() {
    let (_, handshake) = posted().await;

    let answer = handshake
        .ask_request_token(handshake.request_signing().set("oauth_callback", "oob"))
        .await;

    assert!(
        answer.text().ends_with("&oauth_callback_confirmed=true"),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn get_and_a_trailing_slash_are_accepted() {
    for (method, path) in [("GET", "/oauth/token/request"), ("POST", "/oauth/token/request/")] {
        let (shop, handshake) = posted().await;

        let answer = Call::new(method, path)
            .signed(handshake.request_signing())
            .send(&shop.gateway)
            .await;

        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
    }
}

#[tokio::test]
async fn query_and_form_may_carry_the_parameters() {
    for placement in [Placement::Query, Placement::Form] {
        let (_, handshake) = posted().await;

        let answer = handshake
            .ask_request_token(handshake.request_signing().placed(placement))
            .await;

        assert_eq!(answer.status, 200, "{placement:?}");
    }
}

#[tokio::test]
async fn other_methods_are_told_which_ones_there_are() {
    let shop = Shop::shared().await;

    for method in ["PUT", "DELETE", "HEAD", "PATCH"] {
        let told = Call::new(method, "/oauth/token/request").send(&shop.gateway).await;

        assert_eq!(told.status, 405, "{method}");
        assert_eq!(told.header("allow"), Some("GET, POST"));
    }
}

#[tokio::test]
async fn an_unsigned_call_is_told_all_that_it_lacks() {
    let shop = Shop::shared().await;

    let told = Call::post("/oauth/token/request").send(&shop.gateway).await;

    assert_eq!(told.status, 400);
    assert_eq!(
        told.text(),
        "oauth_problem=%22oauth_consumer_key%22+is+required.+Enter+and+try+again%2C+\
         %22oauth_signature%22+is+required.+Enter+and+try+again%2C+\
         %22oauth_signature_method%22+is+required.+Enter+and+try+again%2C+\
         %22oauth_nonce%22+is+required.+Enter+and+try+again%2C+\
         %22oauth_timestamp%22+is+required.+Enter+and+try+again"
    );
}

#[tokio::test]
async fn one_absent_parameter_keeps_its_period() {
    let told = refused(|signing| signing.without("oauth_nonce")).await;

    assert_eq!(told.status, 400);
    assert_eq!(
        told.text(),
        "oauth_problem=%22oauth_nonce%22+is+required.+Enter+and+try+again."
    );
}

#[tokio::test]
async fn another_version_is_refused_before_what_is_absent() {
    let told = refused(|signing| signing.set("oauth_version", "2.0").without("oauth_nonce")).await;

    assert_eq!(told.status, 400);
    assert_eq!(told.form("oauth_problem"), "The \"2.0\" Oauth version isn't supported.");
}

#[tokio::test]
async fn an_ill_sized_token_is_refused_here_too() {
    for token in ["", "short"] {
        let told = refused(|signing| signing.set("oauth_token", token)).await;

        assert_eq!(told.status, 400, "{token:?}");
        assert_eq!(
            told.form("oauth_problem"),
            "The token length is invalid. Check the length and try again."
        );
    }
}

#[tokio::test]
async fn an_unknown_method_is_refused() {
    let told = refused(|signing| signing.method("HMAC-MD5")).await;

    assert_eq!(told.status, 400);
    assert_eq!(told.form("oauth_problem"), "Signature method HMAC-MD5 is not supported");
}

#[tokio::test]
async fn an_ill_sized_consumer_key_is_refused() {
    let told = refused(|signing| signing.set("oauth_consumer_key", "short")).await;

    assert_eq!(told.refusal(), (401, "consumer_key_unknown"));
    assert_eq!(told.form("oauth_problem"), "Consumer key is not the correct length");
}

#[tokio::test]
async fn an_unknown_consumer_key_is_refused() {
    let told = refused(|signing| signing.set("oauth_consumer_key", &"x".repeat(32))).await;

    assert_eq!(told.refusal(), (401, "consumer_key_unknown"));
    assert_eq!(
        told.form("oauth_problem"),
        "A consumer having the specified key does not exist"
    );
}

#[tokio::test]
async fn a_timestamp_outside_the_window_is_refused() {
    let told = refused(|signing| signing.at(-3600)).await;

    assert_eq!(told.refusal(), (401, "timestamp_refused"));
    assert_eq!(told.form("oauth_problem"), "An error occurred validating the nonce");
}

#[tokio::test]
async fn a_bad_signature_is_refused_and_changes_nothing() {
    let (_, handshake) = posted().await;

    let forged = handshake
        .ask_request_token(handshake.request_signing().keyed("wrong&"))
        .await;

    assert_eq!(forged.refusal(), (401, "signature_invalid"));
    assert_eq!(
        forged.form("oauth_problem"),
        "The signature is invalid. Verify and try again."
    );
    assert_eq!(forged.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(handshake.request_token().await.token().len(), 32);
}

#[tokio::test]
async fn a_second_request_token_is_refused() {
    let (_, handshake) = posted().await;
    handshake.request_token().await;

    let told = handshake.ask_request_token(handshake.request_signing()).await;

    assert_eq!(told.refusal(), (401, "token_used"));
    assert_eq!(
        told.form("oauth_problem"),
        "Cannot create request token because consumer token is not a verifier token"
    );
}

#[tokio::test]
async fn an_active_integration_gets_no_request_token() {
    let (_, handshake) = posted().await;
    handshake.finish().await;

    let told = handshake.ask_request_token(handshake.request_signing()).await;

    assert_eq!(told.refusal(), (401, "token_used"));
}

#[tokio::test]
async fn a_consumer_whose_token_is_gone_is_told_so() {
    let shop = Shop::shared().await;
    let (id, handshake) = shop.integration().posted(&shop.partner, &shop.gateway).await;
    let consumer = shop
        .admin
        .get(&format!("/integrations/{id}"))
        .await
        .field("consumer_id");
    shop.admin
        .post(&format!("/integrations/{id}/deactivate"), &json!(null))
        .await;

    let told = handshake.ask_request_token(handshake.request_signing()).await;

    assert_eq!(told.refusal(), (401, "token_rejected"));
    assert_eq!(
        told.form("oauth_problem"),
        format!("A token with consumer ID {consumer} does not exist")
    );
}

#[tokio::test]
async fn a_consumer_that_was_never_posted_counts_as_expired() {
    let shop = Shop::shared().await;
    let made = shop.admin.post("/consumers", &json!({ "name": "by hand" })).await;
    let consumer = Credentials::consumer(&made.field("key"), &made.field("secret"));
    let handshake = Handshake::of_consumer(&consumer, &shop.gateway);

    let told = handshake.ask_request_token(handshake.request_signing()).await;

    assert_eq!(told.refusal(), (401, "consumer_key_expired"));
    assert_eq!(told.form("oauth_problem"), "Consumer key has expired");
}

#[tokio::test]
async fn a_consumer_expires_some_time_after_the_post() {
    let shop = Shop::new().set("oauth", "consumer_expiry", "\"1s\"").start().await;
    let (_, handshake) = shop.integration().posted(&shop.partner, &shop.gateway).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;

    let told = handshake.ask_request_token(handshake.request_signing()).await;
    let forged = handshake
        .ask_request_token(handshake.request_signing().keyed("wrong&"))
        .await;

    assert_eq!(told.refusal(), (401, "consumer_key_expired"));
    assert_eq!(forged.refusal(), (401, "signature_invalid"));
}

#[tokio::test]
async fn an_expired_consumer_can_be_posted_again() {
    let shop = Shop::new().set("oauth", "consumer_expiry", "\"4s\"").start().await;
    let (id, handshake) = shop.integration().posted(&shop.partner, &shop.gateway).await;
    tokio::time::sleep(Duration::from_millis(4100)).await;
    let expired = handshake.ask_request_token(handshake.request_signing()).await;

    shop.admin.activate(id).await;

    assert_eq!(expired.refusal(), (401, "consumer_key_expired"));
    assert_eq!(handshake.request_token().await.token().len(), 32);
}

#[tokio::test]
async fn of_many_calls_at_once_one_gets_the_request_token() {
    let (_, handshake) = posted().await;
    let mut calls = JoinSet::new();
    for _ in 0..16 {
        let handshake = handshake.clone();
        calls.spawn(async move { handshake.ask_request_token(handshake.request_signing()).await.refusal() });
    }

    let answers = calls.join_all().await;

    let served = answers.iter().filter(|answer| answer.status == 200).count();
    let used = answers.iter().filter(|answer| **answer == (401, "token_used")).count();
    assert_eq!((served, used), (1, 15), "{answers:?}");
}

#[tokio::test]
async fn problem_json_is_answered_to_who_asks_for_it() {
    let shop = Shop::shared().await;

    let told = Call::post("/oauth/token/request")
        .asking_for_the_cause()
        .send(&shop.gateway)
        .await;

    assert_eq!(told.header("content-type"), Some("application/problem+json"));
    assert_eq!(told.field("cause"), "parameter_absent");
}

#[tokio::test]
async fn a_bearer_token_opens_no_token_endpoint() {
    let shop = Shop::shared().await;
    let bearer = format!("Bearer {}", shop.admin.token());

    let told = Call::post("/oauth/token/request")
        .header("Authorization", &bearer)
        .send(&shop.gateway)
        .await;

    assert_eq!(told.status, 400);
}

async fn posted() -> (&'static Shop, Handshake) {
    let shop = Shop::shared().await;
    let (_, handshake) = shop.integration().posted(&shop.partner, &shop.gateway).await;
    (shop, handshake)
}

async fn refused(sign: impl FnOnce(Signing) -> Signing) -> Response {
    let (_, handshake) = posted().await;
    handshake.ask_request_token(sign(handshake.request_signing())).await
}
