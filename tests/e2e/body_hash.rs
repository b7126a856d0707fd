//! `oauth_body_hash`: a body that its client hashed is the one that is forwarded.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use harness::{Call, Shop, Signing};
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
