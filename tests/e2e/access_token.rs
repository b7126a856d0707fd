//! `/oauth/token/access`: every check, status and body, in their order; and what happens to a lost response.

use std::time::Duration;

use harness::{Call, Credentials, Handshake, Response, Shop, Signing, percent_encode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

#[tokio::test]
async fn the_whole_handshake_ends_with_an_active_integration() {
    let shop = Shop::shared().await;
    let granted = shop.integration().granted(&["Magento_Catalog::products"]);
    let (id, handshake) = granted.posted(&shop.partner, &shop.gateway).await;
    assert_eq!(shop.admin.status(id).await, "inactive");
    let request_token = handshake.request_token().await;
    assert_eq!(shop.admin.status(id).await, "inactive");

    let answer = handshake
        .ask_access_token(handshake.access_signing(&request_token))
        .await;

    let pair = handshake.pair(&answer);
    let about = format!("integration/{id}");
    let audit = shop.admin.audit().await;
    let exchanged = |one: &&Value| one["action"] == "integration.exchanged" && one["subject"] == about.as_str();
    let entry = audit.iter().find(exchanged).unwrap();
    assert_eq!(
        (&entry["actor"], &entry["origin"]),
        (&json!(about), &json!("127.0.0.1"))
    );
    assert_eq!(entry["before"], json!({ "status": "inactive", "token": "request" }));
    assert_eq!(entry["after"], json!({ "status": "active", "token": "access" }));
    assert_eq!(
        answer.text(),
        format!(
            "oauth_token={}&oauth_token_secret={}",
            pair.token(),
            pair.token_secret()
        )
    );
    assert_eq!(answer.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(shop.admin.status(id).await, "active");
    assert_ne!(pair.token(), request_token.token());
    assert_eq!(products(shop, &pair).await.status, 200);
}

#[tokio::test]
async fn a_request_token_that_was_exchanged_opens_nothing_and_spends_no_grace() {
    let shop = Shop::shared().await;
    let granted = shop.integration().granted(&["Magento_Catalog::products"]);
    let (_, handshake) = granted.posted(&shop.partner, &shop.gateway).await;
    let request_token = handshake.request_token().await;
    let pair = handshake.access_token(&request_token).await;

    let spent = products(shop, &request_token).await;

    assert_eq!(spent.refusal(), (401, "token_rejected"));
    let again = handshake.access_token(&request_token).await;
    assert_eq!(
        (again.token(), again.token_secret()),
        (pair.token(), pair.token_secret())
    );
    assert_eq!(products(shop, &pair).await.status, 200);
    assert_eq!(products(shop, &request_token).await.refusal(), (401, "token_rejected"));
}

#[tokio::test]
async fn an_unsigned_call_is_told_all_that_it_lacks() {
    let shop = Shop::shared().await;

    let told = Call::post("/oauth/token/access").send(&shop.gateway).await;

    assert_eq!(told.status, 400);
    let problem = told.form("oauth_problem");
    assert_eq!(problem.matches("is required. Enter and try again").count(), 7);
    assert!(problem.ends_with(
        "\"oauth_token\" is required. Enter and try again, \"oauth_verifier\" is required. Enter and try again"
    ));
}

#[tokio::test]
async fn an_absent_verifier_is_a_bad_request() {
    let told = refused(|signing| signing.without("oauth_verifier")).await;

    assert_eq!(told.status, 400);
    assert_eq!(
        told.form("oauth_problem"),
        "\"oauth_verifier\" is required. Enter and try again."
    );
}

#[tokio::test]
async fn an_unknown_token_is_refused() {
    let told = refused(|signing| signing.set("oauth_token", &"x".repeat(32))).await;

    assert_eq!(told.refusal(), (401, "token_rejected"));
    assert_eq!(told.form("oauth_problem"), "Specified token does not exist");
}

#[tokio::test]
async fn an_ill_sized_token_is_a_bad_request() {
    let told = refused(|signing| signing.set("oauth_token", "short")).await;

    assert_eq!(told.status, 400);
    assert_eq!(
        told.form("oauth_problem"),
        "The token length is invalid. Check the length and try again."
    );
}

#[tokio::test]
async fn another_consumers_request_token_is_refused() {
    let (one, _) = with_request_token().await;
    let (_, others) = with_request_token().await;
    let mixed = one.consumer.with_token(others.token(), others.token_secret());

    let told = one.ask_access_token(one.access_signing(&mixed)).await;

    assert_eq!(told.refusal(), (401, "token_rejected"));
    assert_eq!(
        told.form("oauth_problem"),
        "Request token is not associated with the specified consumer"
    );
}

#[tokio::test]
async fn an_access_token_is_used_already() {
    let (handshake, request_token) = with_request_token().await;
    let access_token = handshake.access_token(&request_token).await;

    let told = handshake
        .ask_access_token(handshake.access_signing(&access_token))
        .await;

    assert_eq!(told.refusal(), (401, "token_used"));
    assert_eq!(told.form("oauth_problem"), "Token is already being used");
}

#[tokio::test]
async fn a_verifier_has_32_characters_and_matches() {
    let sentences = [
        ("short".to_owned(), "Verifier is not the correct length"),
        (String::new(), "Verifier is not the correct length"),
        ("x".repeat(32), "Token verifier and verifier token do not match"),
    ];
    for (verifier, sentence) in sentences {
        let told = refused(|signing| signing.set("oauth_verifier", &verifier)).await;

        assert_eq!(told.refusal(), (401, "verifier_invalid"), "{verifier:?}");
        assert_eq!(told.form("oauth_problem"), sentence);
    }
}

#[tokio::test]
async fn a_verifier_in_another_case_does_not_match() {
    let (handshake, request_token) = with_request_token().await;
    let signing = Signing::with(&request_token).set("oauth_verifier", &handshake.verifier.to_uppercase());

    assert_eq!(
        handshake.ask_access_token(signing).await.refusal(),
        (401, "verifier_invalid")
    );
}

#[tokio::test]
async fn another_integrations_verifier_does_not_match() {
    let ((one, request_token), (other, _)) = (with_request_token().await, with_request_token().await);
    let signing = Signing::with(&request_token).set("oauth_verifier", &other.verifier);

    assert_eq!(one.ask_access_token(signing).await.refusal(), (401, "verifier_invalid"));
}

#[tokio::test]
async fn a_wrong_verifier_may_be_mended() {
    let (handshake, request_token) = with_request_token().await;
    for _ in 0..8 {
        let wrong = Signing::with(&request_token).set("oauth_verifier", &"x".repeat(32));
        assert_eq!(
            handshake.ask_access_token(wrong).await.refusal(),
            (401, "verifier_invalid")
        );
    }

    let right = handshake
        .ask_access_token(handshake.access_signing(&request_token))
        .await;

    assert_eq!(right.status, 200);
}

#[tokio::test]
async fn the_signature_is_judged_before_the_verifier() {
    let told = refused(|signing| signing.set("oauth_verifier", "wrong").keyed("wrong&wrong")).await;

    assert_eq!(told.refusal(), (401, "signature_invalid"));
    assert_eq!(
        told.form("oauth_problem"),
        "The signature is invalid. Verify and try again."
    );
}

#[tokio::test]
async fn the_request_tokens_secret_signs_too() {
    let (handshake, request_token) = with_request_token().await;
    let without = handshake
        .access_signing(&request_token)
        .keyed(&format!("{}&", handshake.consumer.consumer_secret));

    assert_eq!(
        handshake.ask_access_token(without).await.refusal(),
        (401, "signature_invalid")
    );
}

#[tokio::test]
async fn a_request_token_expires() {
    let shop = Shop::new()
        .set("oauth", "request_token_lifetime", "\"1s\"")
        .start()
        .await;
    let (_, handshake) = shop.integration().posted(&shop.partner, &shop.gateway).await;
    let request_token = handshake.request_token().await;
    tokio::time::sleep(Duration::from_millis(1100)).await;

    let told = handshake
        .ask_access_token(handshake.access_signing(&request_token))
        .await;

    assert_eq!(told.refusal(), (401, "token_expired"));
}

#[tokio::test]
async fn an_access_token_may_be_fetched_after_the_consumer_expired() {
    let shop = Shop::new().start().await;
    let (_, handshake) = shop.integration().posted(&shop.partner, &shop.gateway).await;
    let request_token = handshake.request_token().await;
    shop.gateway
        .reload(|config| config.set("oauth", "consumer_expiry", "\"1s\""))
        .await;
    tokio::time::sleep(Duration::from_millis(1100)).await;

    let answer = handshake
        .ask_access_token(handshake.access_signing(&request_token))
        .await;

    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn a_verifier_that_is_repeated_in_the_form_counts_once() {
    let shop = Shop::shared().await;
    let (_, handshake) = shop.integration().posted(&shop.partner, &shop.gateway).await;
    let request_token = handshake.request_token().await;
    let call = |verifier: &str| {
        let form = format!("oauth_verifier={}", percent_encode(verifier));
        let call = Call::post("/oauth/token/access").form(&form);
        call.signed(handshake.access_signing(&request_token).for_form(""))
    };

    assert_eq!(call("another").send(&shop.gateway).await.status, 400);
    let answer = call(&handshake.verifier).send(&shop.gateway).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn a_lost_response_may_be_asked_again() {
    let (handshake, request_token) = with_request_token().await;
    let first = handshake.access_token(&request_token).await;

    let again = handshake.access_token(&request_token).await;

    assert_eq!(again, first);
}

#[tokio::test]
async fn a_lost_response_is_given_to_who_knows_verifier_and_secret_alone() {
    let (handshake, request_token) = with_request_token().await;
    handshake.access_token(&request_token).await;
    let wrong = Signing::with(&request_token).set("oauth_verifier", &"x".repeat(32));
    let forged = handshake.access_signing(&request_token).keyed("wrong&wrong");

    assert_eq!(
        handshake.ask_access_token(wrong).await.refusal(),
        (401, "verifier_invalid")
    );
    assert_eq!(
        handshake.ask_access_token(forged).await.refusal(),
        (401, "signature_invalid")
    );
}

#[tokio::test]
async fn a_response_was_not_lost_once_its_token_is_used() {
    let shop = Shop::shared().await;
    let granted = shop.integration().granted(&["Magento_Catalog::products"]);
    let (_, handshake) = granted.posted(&shop.partner, &shop.gateway).await;
    let request_token = handshake.request_token().await;
    let access_token = handshake.access_token(&request_token).await;
    assert_eq!(products(shop, &access_token).await.status, 200);

    let told = handshake
        .ask_access_token(handshake.access_signing(&request_token))
        .await;

    assert_eq!(told.refusal(), (401, "token_rejected"));
    assert_eq!(told.form("oauth_problem"), "Specified token does not exist");
    assert_eq!(products(shop, &access_token).await.status, 200);
}

#[tokio::test]
async fn a_lost_response_is_lost_for_good_after_a_while() {
    let shop = Shop::new().set("oauth", "exchange_grace", "\"1s\"").start().await;
    let (_, handshake) = shop.integration().posted(&shop.partner, &shop.gateway).await;
    let request_token = handshake.request_token().await;
    handshake.access_token(&request_token).await;
    tokio::time::sleep(Duration::from_millis(2100)).await;

    let told = handshake
        .ask_access_token(handshake.access_signing(&request_token))
        .await;

    assert_eq!(told.refusal(), (401, "token_rejected"));
    assert_eq!(told.form("oauth_problem"), "Specified token does not exist");
}

#[tokio::test]
async fn a_lost_response_is_still_there_after_a_restart() {
    let shop = Shop::new().start().await;
    let (_, handshake) = shop.integration().posted(&shop.partner, &shop.gateway).await;
    let request_token = handshake.request_token().await;
    let first = handshake.access_token(&request_token).await;

    shop.gateway.kill();
    shop.gateway.start_again().await;

    assert_eq!(handshake.access_token(&request_token).await, first);
}

#[tokio::test]
async fn of_many_calls_at_once_all_get_the_one_pair() {
    let (handshake, request_token) = with_request_token().await;

    let answers = sixteen(&handshake, &request_token).await;

    let pairs: std::collections::BTreeSet<String> = answers.iter().map(Response::text).collect();
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(pairs.len(), 1, "{pairs:?}");
}

#[tokio::test]
async fn without_grace_one_of_many_calls_gets_the_pair() {
    let shop = Shop::new().set("oauth", "exchange_grace", "\"0s\"").start().await;
    let (_, handshake) = shop.integration().posted(&shop.partner, &shop.gateway).await;
    let request_token = handshake.request_token().await;

    let answers = sixteen(&handshake, &request_token).await;

    let served = answers.iter().filter(|answer| answer.status == 200).count();
    let refused = answers
        .iter()
        .filter(|answer| answer.refusal() == (401, "token_rejected"))
        .count();
    assert_eq!((served, refused), (1, 15));
}

#[tokio::test]
async fn a_request_token_ends_when_the_integration_is_activated_again() {
    let shop = Shop::shared().await;
    let (id, handshake) = shop.integration().posted(&shop.partner, &shop.gateway).await;
    let stuck = handshake.request_token().await;

    shop.admin.activate(id).await;

    let told = handshake.ask_access_token(handshake.access_signing(&stuck)).await;
    assert_eq!(told.refusal(), (401, "token_rejected"));
    let fresh = handshake.finish().await;
    assert_ne!(fresh.token(), stuck.token());
    assert_eq!(shop.admin.status(id).await, "active");
}

#[tokio::test]
async fn a_deleted_integrations_handshake_ends() {
    let shop = Shop::shared().await;
    let (id, handshake) = shop.integration().posted(&shop.partner, &shop.gateway).await;
    let request_token = handshake.request_token().await;

    shop.admin.delete(&format!("/integrations/{id}")).await;

    let told = handshake
        .ask_access_token(handshake.access_signing(&request_token))
        .await;
    assert_eq!(told.refusal(), (401, "consumer_key_unknown"));
}

async fn with_request_token() -> (Handshake, Credentials) {
    let shop = Shop::shared().await;
    let (_, handshake) = shop.integration().posted(&shop.partner, &shop.gateway).await;
    let request_token = handshake.request_token().await;
    (handshake, request_token)
}

async fn refused(sign: impl FnOnce(Signing) -> Signing) -> Response {
    let (handshake, request_token) = with_request_token().await;
    handshake
        .ask_access_token(sign(handshake.access_signing(&request_token)))
        .await
}

/// Each with a nonce of its own.
async fn sixteen(handshake: &Handshake, request_token: &Credentials) -> Vec<Response> {
    let mut calls = JoinSet::new();
    for _ in 0..16 {
        let (handshake, request_token) = (handshake.clone(), request_token.clone());
        calls.spawn(async move {
            handshake
                .ask_access_token(handshake.access_signing(&request_token))
                .await
        });
    }
    calls.join_all().await
}

async fn products(shop: &Shop, credentials: &Credentials) -> Response {
    Call::get("/rest/V1/products/exchanged")
        .signed_by(credentials)
        .send(&shop.gateway)
        .await
}
