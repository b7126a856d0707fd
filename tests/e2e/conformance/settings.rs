//! What depends on a setting, or on time.

use std::time::Duration;

use harness::redis::{Options, Server};
use harness::{Call, PASSWORD, Shop};
use serde_json::json;
use tokio::sync::OnceCell;

macro_rules! over_both_stores_soon_over {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[tokio::test]
            async fn embedded() {
                super::$name(super::embedded().await).await;
            }

            #[tokio::test]
            async fn redis() {
                super::$name(super::redis().await).await;
            }
        }
    )+};
}

over_both_stores_soon_over!(
    a_consumer_expires_after_the_post,
    a_lock_ends_after_its_time,
    a_users_token_ends_after_its_lifetime,
    an_access_token_is_a_bearer_token_where_that_is_set,
);

fn soon_over() -> harness::ShopBuilder {
    Shop::new()
        .set("oauth", "consumer_expiry", "\"1s\"")
        .set("oauth", "access_tokens_as_bearer", "true")
        .set("tokens.admin", "lifetime", "\"6s\"")
        // Each failure must come before the one before it is forgotten.
        .set("lockout", "duration", "\"5s\"")
}

async fn embedded() -> &'static Shop {
    static SHOP: OnceCell<Shop> = OnceCell::const_new();
    SHOP.get_or_init(async || soon_over().start().await).await
}

async fn redis() -> &'static Shop {
    static SHOP: OnceCell<Shop> = OnceCell::const_new();
    let start = async || {
        // Kept until the process ends.
        let redis = Box::leak(Box::new(Server::start(Options::default()).await));
        soon_over().store(&redis.url()).start().await
    };
    SHOP.get_or_init(start).await
}

async fn a_consumer_expires_after_the_post(shop: &Shop) {
    let admin = signed_in(shop).await;
    let (_, handshake) = admin.integration().posted(&shop.partner, &shop.gateway).await;
    tokio::time::sleep(Duration::from_millis(2100)).await;

    let refused = handshake.ask_request_token(handshake.request_signing()).await;

    assert_eq!(
        (refused.status, refused.text()),
        (401, "oauth_problem=Consumer+key+has+expired".to_owned())
    );
}

async fn a_lock_ends_after_its_time(shop: &Shop) {
    let new = json!({ "username": "locked-for-a-while", "password": PASSWORD, "role": "viewer" });
    assert_eq!(signed_in(shop).await.post("/admins", &new).await.status, 201);
    let sign_in = async |password: &str| {
        let call = Call::post("/rest/V1/integration/admin/token");
        let body = json!({ "username": "locked-for-a-while", "password": password });
        call.json(&body).send(&shop.gateway).await.status
    };
    for _ in 0..6 {
        assert_eq!(sign_in("wrong").await, 401);
    }
    assert_eq!(sign_in(PASSWORD).await, 401);

    tokio::time::sleep(Duration::from_millis(5100)).await;

    assert_eq!(sign_in(PASSWORD).await, 200);
}

async fn a_users_token_ends_after_its_lifetime(shop: &Shop) {
    let admin = signed_in(shop).await;
    let products = async || {
        let call = Call::get("/rest/V1/products/short").header("Authorization", &format!("Bearer {}", admin.token()));
        call.send(&shop.gateway).await
    };
    assert_eq!(products().await.status, 200);

    tokio::time::sleep(Duration::from_millis(6100)).await;

    assert_eq!(products().await.refusal(), (401, "bearer_invalid"));
    assert_eq!(admin.get("/integrations").await.status, 401);
}

async fn an_access_token_is_a_bearer_token_where_that_is_set(shop: &Shop) {
    let admin = signed_in(shop).await;
    let one = admin
        .integration()
        .granted(&["Magento_Catalog::products"])
        .active()
        .await;
    let products = async || {
        let bearer = format!("Bearer {}", one.credentials.token());
        let call = Call::get("/rest/V1/products/as-bearer").header("Authorization", &bearer);
        call.send(&shop.gateway).await
    };
    assert_eq!(products().await.status, 200);

    admin
        .post(&format!("/integrations/{}/deactivate", one.id), &json!(null))
        .await;

    // Its status counts here, too.
    assert_eq!(products().await.refusal(), (401, "integration_inactive"));
}

/// The first sign-in may be over already.
async fn signed_in(shop: &Shop) -> harness::Admin {
    harness::Admin::sign_in(shop.gateway.admin(), harness::ADMIN, PASSWORD).await
}
