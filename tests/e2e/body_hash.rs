//! `oauth_body_hash`: a body that its client hashed is the one that is forwarded.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use harness::{Call, Shop, Signing};
use serde_json::json;
use sha2::{Digest as _, Sha256};

#[tokio::test]
async fn a_body_hash_is_compared() {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;
    let hash = BASE64_STANDARD.encode(Sha256::digest("{\"a\":1}"));
    let call = |body: &str| {
        let signing = Signing::with(&reader).set("oauth_body_hash", &hash);
        Call::post("/rest/V1/products?mark=body-hash")
            .body("application/json", body)
            .signed(signing)
    };

    assert_eq!(call("{\"a\":1}").send(&shop.gateway).await.status, 200);
    assert_eq!(
        call("{\"a\":2}").refusal(&shop.gateway).await,
        (401, "body_hash_invalid")
    );
    assert_eq!(call("").refusal(&shop.gateway).await, (401, "body_hash_invalid"));
    assert_eq!(shop.upstream.only("body-hash").text(), "{\"a\":1}");
}

#[tokio::test]
async fn a_wrong_body_hash_does_not_use_the_nonce() {
    let shop = Shop::shared().await;
    let hash = BASE64_STANDARD.encode(Sha256::digest("right"));
    let signing = Signing::with(&shop.reader().await).set("oauth_body_hash", &hash);
    let call = Call::post("/rest/V1/products?mark=hash-nonce")
        .body("text/plain", "right")
        .signed(signing);
    let call = call.to(&shop.gateway);

    assert_eq!(
        call.clone().with_body("wrong").refusal().await,
        (401, "body_hash_invalid")
    );
    assert_eq!(call.send().await.status, 200);
}

#[tokio::test]
async fn a_body_hash_on_a_form_is_refused() {
    let shop = Shop::shared().await;
    let hash = BASE64_STANDARD.encode(Sha256::digest("a=1"));
    let signing = Signing::with(&shop.reader().await).set("oauth_body_hash", &hash);

    let call = Call::post("/rest/V1/products").form("a=1").signed(signing);

    assert_eq!(call.refusal(&shop.gateway).await, (400, "parameter_rejected"));
}

#[tokio::test]
async fn an_integration_may_have_to_hash_what_it_does_not_sign() {
    let shop = Shop::shared().await;
    let strict = shop
        .integration()
        .granted_all()
        .with("flags", json!(["require_body_hash"]));
    let strict = strict.active().await.credentials;
    let hash = BASE64_STANDARD.encode(Sha256::digest("{\"a\":1}"));
    let body = |signing: Signing| {
        Call::post("/rest/V1/products?mark=hash-required")
            .body("application/json", "{\"a\":1}")
            .signed(signing)
    };

    // Also once the gateway has the consumer and its token in memory.
    for _ in 0..2 {
        let bare = body(Signing::with(&strict)).refusal(&shop.gateway).await;
        let hashed = body(Signing::with(&strict).set("oauth_body_hash", &hash));

        assert_eq!(bare, (400, "parameter_absent"));
        assert_eq!(hashed.send(&shop.gateway).await.status, 200);
    }
    let form = Call::post("/rest/V1/products").form("a=1").signed_by(&strict);
    let nothing = Call::get("/rest/V1/products/hash-required").signed_by(&strict);
    assert_eq!(form.send(&shop.gateway).await.status, 200);
    assert_eq!(nothing.send(&shop.gateway).await.status, 200);
    assert_eq!(shop.upstream.count("mark=hash-required"), 2);
}

#[tokio::test]
async fn mastercards_dialect_is_accepted_of_an_integration_with_that_flag() {
    let shop = Shop::shared().await;
    let flagged = shop.integration().granted_all().with("flags", json!(["mastercard"]));
    let flagged = flagged.active().await.credentials;
    let other = shop.reader().await;
    let hash = BASE64_STANDARD.encode(Sha256::digest("x"));
    let call = |credentials| {
        let signing = Signing::with(credentials)
            .set("oauth_body_hash", &hash)
            .reordered(|pairs| {
                for (name, value) in pairs {
                    if name == "oauth_body_hash" {
                        *value = value.replace("%2F", "/").replace("%2B", "+").replace("%3D", "=");
                    }
                }
            });
        Call::post("/rest/V1/products").body("text/plain", "x").signed(signing)
    };

    assert_eq!(call(&flagged).send(&shop.gateway).await.status, 200);
    assert_eq!(call(&other).refusal(&shop.gateway).await, (401, "signature_invalid"));
}

#[tokio::test]
async fn a_hashed_body_is_read_up_to_the_bound_of_what_is_signed() {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;
    let body = "x".repeat(1024 * 1024 + 1);
    let hash = BASE64_STANDARD.encode(Sha256::digest(&body));
    let call = Call::post("/rest/V1/products").body("text/plain", &body);

    let hashed = call.signed(Signing::with(&reader).set("oauth_body_hash", &hash));

    assert_eq!(hashed.refusal(&shop.gateway).await, (413, "body_too_large"));
}
