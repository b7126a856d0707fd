//! Which token opens what: only a live access token of the consumer that signs.

use harness::{Call, Credentials, Refusal, Response, Shop, Signing};
use serde_json::json;

#[tokio::test]
async fn a_request_token_is_no_access_token() {
    let shop = Shop::shared().await;
    let granted = shop.integration().granted(&["Magento_Catalog::products"]);
    let (_, handshake) = granted.posted(&shop.partner, &shop.gateway).await;

    let refused = products(shop, &handshake.request_token().await).await;

    assert_eq!(refused.refusal(), (401, "token_rejected"));
    assert_eq!(refused.field("message"), "Token is not an access token");
}

#[tokio::test]
async fn another_consumers_token_is_refused() {
    let shop = Shop::shared().await;
    let (one, other) = (shop.reader().await, shop.reader().await);

    let refused = products(shop, &one.with_token(other.token(), other.token_secret())).await;

    assert_eq!(refused.refusal(), (401, "token_rejected"));
    assert_eq!(
        refused.field("message"),
        "Token is not associated with the specified consumer"
    );
}

#[tokio::test]
async fn an_unknown_token_is_refused() {
    let shop = Shop::shared().await;

    let refused = products(shop, &shop.reader().await.with_token(&"x".repeat(32), "secret")).await;

    assert_eq!(refused.refusal(), (401, "token_rejected"));
    assert_eq!(refused.field("message"), "Specified token does not exist");
}

#[tokio::test]
async fn an_ill_sized_token_is_a_bad_request() {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;

    for length in [0, 1, 31, 33, 255] {
        let token = reader.with_token(&"x".repeat(length), "secret");
        let answer = products(shop, &token).await;

        assert_eq!(answer.status, 400, "{length}");
        assert_eq!(
            answer.field("message"),
            "The token length is invalid. Check the length and try again."
        );
        assert_eq!(
            call().signed_by(&token).refusal(&shop.gateway).await,
            (400, "token_rejected")
        );
    }
}

#[tokio::test]
async fn a_token_in_another_case_is_unknown() {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;

    let refused = products(
        shop,
        &reader.with_token(&reader.token().to_uppercase(), reader.token_secret()),
    )
    .await;

    assert_eq!(refused.refusal(), (401, "token_rejected"));
}

#[tokio::test]
async fn a_consumer_secret_is_no_token() {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;

    let refused = products(shop, &reader.with_token(&reader.consumer_secret, reader.token_secret())).await;

    assert_eq!(refused.refusal(), (401, "token_rejected"));
}

#[tokio::test]
async fn an_unknown_consumer_is_refused() {
    let shop = Shop::shared().await;
    let unknown = Credentials::consumer(&"x".repeat(32), "secret").with_token(&"y".repeat(32), "secret");

    let refused = products(shop, &unknown).await;

    assert_eq!(refused.refusal(), (401, "consumer_key_unknown"));
    assert_eq!(
        refused.field("message"),
        "A consumer having the specified key does not exist"
    );
}

#[tokio::test]
async fn an_ill_sized_consumer_key_is_refused() {
    let shop = Shop::shared().await;
    let short = Credentials::consumer("short", "secret").with_token(&"y".repeat(32), "secret");

    let refused = products(shop, &short).await;

    assert_eq!(refused.refusal(), (401, "consumer_key_unknown"));
    assert_eq!(refused.field("message"), "Consumer key is not the correct length");
}

#[tokio::test]
async fn an_empty_consumer_key_is_unknown() {
    let shop = Shop::shared().await;
    let empty = Credentials::consumer("", "secret").with_token(&"y".repeat(32), "secret");

    let refused = products(shop, &empty).await;

    assert_eq!(refused.refusal(), (401, "consumer_key_unknown"));
    assert_eq!(
        refused.field("message"),
        "A consumer having the specified key does not exist"
    );
}

#[tokio::test]
async fn a_revoked_token_ends_at_once() {
    let shop = Shop::shared().await;
    let integration = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .active()
        .await;
    let consumer = shop
        .admin
        .get(&format!("/integrations/{}", integration.id))
        .await
        .field("consumer_id");
    assert_eq!(products(shop, &integration.credentials).await.status, 200);

    let revoked = shop.admin.delete(&format!("/consumers/{consumer}/access-token")).await;

    assert_eq!(revoked.text(), "true");
    assert_eq!(
        products(shop, &integration.credentials).await.refusal(),
        (401, "token_rejected")
    );
}

#[tokio::test]
async fn a_deleted_integrations_consumer_is_unknown_at_once() {
    let shop = Shop::shared().await;
    let integration = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .active()
        .await;
    assert_eq!(products(shop, &integration.credentials).await.status, 200);

    let deleted = shop.admin.delete(&format!("/integrations/{}", integration.id)).await;

    assert_eq!(deleted.status, 200);
    assert_eq!(
        products(shop, &integration.credentials).await.refusal(),
        (401, "consumer_key_unknown")
    );
}

#[tokio::test]
async fn a_deactivated_integrations_token_opens_nothing_from_then_on() {
    let shop = Shop::shared().await;
    let integration = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .active()
        .await;
    assert_eq!(products(shop, &integration.credentials).await.status, 200);

    let deactivated = shop
        .admin
        .post(&format!("/integrations/{}/deactivate", integration.id), &json!(null))
        .await;

    assert_eq!(deactivated.field("status"), "inactive");
    assert_eq!(
        products(shop, &integration.credentials).await.refusal(),
        (401, "integration_inactive")
    );
    let path = "/rest/V1/store/paused-guest";
    let as_guest = Call::get(path).signed_by(&integration.credentials);
    assert_eq!(as_guest.send(&shop.gateway).await.status, 200);
    assert_eq!(shop.upstream.only("paused-guest").header("x-user-type"), Some("guest"));
}

#[tokio::test]
async fn a_reauthorized_integrations_old_token_ends_at_once() {
    let shop = Shop::shared().await;
    let integration = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .active()
        .await;
    assert_eq!(products(shop, &integration.credentials).await.status, 200);

    let path = format!("/integrations/{}/reauthorize", integration.id);
    let renewed = shop.admin.post(&path, &json!(null)).await;

    let fresh = integration
        .credentials
        .with_token(&renewed.field("access_token"), &renewed.field("access_token_secret"));
    let refused = products(shop, &integration.credentials).await;
    assert_eq!(refused.field("message"), "Specified token does not exist");
    assert_eq!(products(shop, &fresh).await.status, 200);
}

#[tokio::test]
async fn a_rotated_secret_is_accepted_for_its_grace() {
    let shop = Shop::shared().await;
    let integration = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .active()
        .await;

    let path = format!("/integrations/{}/rotate-secret", integration.id);
    let rotated = shop.admin.post(&path, &json!({ "grace": "1h" })).await;

    let fresh = Credentials {
        consumer_secret: rotated.field("consumer_secret"),
        ..integration.credentials.clone()
    };
    assert_ne!(fresh, integration.credentials);
    assert_eq!(products(shop, &integration.credentials).await.status, 200);
    assert_eq!(products(shop, &fresh).await.status, 200);
}

#[tokio::test]
async fn a_secret_rotated_without_grace_ends_at_once() {
    let shop = Shop::shared().await;
    let integration = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .active()
        .await;

    let path = format!("/integrations/{}/rotate-secret", integration.id);
    shop.admin.post(&path, &json!({ "grace": "0s" })).await;

    assert_eq!(
        products(shop, &integration.credentials).await.refusal(),
        (401, "signature_invalid")
    );
}

#[tokio::test]
async fn a_call_without_token_is_incomplete() {
    let shop = Shop::shared().await;
    let two_legged = shop.reader().await.without_token();

    let answer = products(shop, &two_legged).await;

    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["parameters"], json!({ "fieldName": "oauth_token" }));
}

#[tokio::test]
async fn an_integration_that_may_sign_without_token_is_served() {
    let shop = Shop::shared().await;
    let integration = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .with("two_legged", true);
    let two_legged = integration.active().await.credentials.without_token();

    assert_eq!(products(shop, &two_legged).await.status, 200);
    // Early libraries send the token's name and nothing behind it; it is signed as it was sent.
    assert_eq!(products(shop, &two_legged.with_token("", "")).await.status, 200);
}

#[tokio::test]
async fn an_inactive_integration_may_not_sign_without_token() {
    let shop = Shop::shared().await;
    let integration = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .with("two_legged", true);
    let integration = integration.active().await;
    shop.admin
        .post(&format!("/integrations/{}/deactivate", integration.id), &json!(null))
        .await;

    let refused = products(shop, &integration.credentials.without_token()).await;

    assert_eq!(refused.refusal(), (401, "integration_inactive"));
    assert_eq!(
        refused.field("message"),
        "The consumer isn't authorized to access %resources."
    );
}

#[tokio::test]
async fn an_inactive_integration_is_a_guest_where_everybody_may() {
    let shop = Shop::shared().await;
    let integration = shop.integration().with("two_legged", true).active().await;
    shop.admin
        .post(&format!("/integrations/{}/deactivate", integration.id), &json!(null))
        .await;

    let path = "/rest/V1/store/inactive-guest";
    let served = Call::get(path)
        .signed_by(&integration.credentials.without_token())
        .send(&shop.gateway)
        .await;

    assert_eq!(served.status, 200);
    let seen = shop.upstream.only("inactive-guest");
    assert_eq!(seen.header("x-user-type"), Some("guest"));
    assert_eq!(seen.header("x-integration-id"), None);
}

#[tokio::test]
async fn unknown_foreign_and_forged_share_one_answer_where_errors_are_uniform() {
    let shop = Shop::new().set("oauth", "uniform_errors", "true").start().await;
    let (one, other) = (shop.reader().await, shop.reader().await);
    let told = async |credentials: &Credentials| {
        let answer = products(&shop, credentials).await;
        (answer.status, answer.cause(), answer.text())
    };

    let forged = told(&one.with_token(one.token(), "wrong")).await;

    assert_eq!(forged.1, "signature_invalid");
    assert_eq!(told(&one.with_token(&"x".repeat(32), "wrong")).await, forged);
    assert_eq!(told(&one.with_token(other.token(), other.token_secret())).await, forged);
    assert_eq!(
        told(&Credentials::consumer(&"x".repeat(32), "wrong").with_token(one.token(), "wrong")).await,
        forged
    );
}

#[tokio::test]
async fn a_stale_request_is_told_of_its_time_whoever_signs_where_errors_are_uniform() {
    let shop = Shop::new().set("oauth", "uniform_errors", "true").start().await;
    let one = shop.reader().await;
    let unknown = Credentials::consumer(&"x".repeat(32), "wrong").with_token(one.token(), "wrong");
    let mut told = Vec::new();

    for credentials in [one.with_token(one.token(), "wrong"), unknown] {
        let answer = call()
            .signed(Signing::with(&credentials).at(-3600))
            .send(&shop.gateway)
            .await;
        told.push((answer.status, answer.cause(), answer.text()));
    }

    assert_eq!(told[0].1, "timestamp_refused");
    assert_eq!(told[0], told[1]);
}

#[tokio::test]
async fn an_access_token_is_no_bearer_token_unless_that_is_wanted() {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;

    assert_eq!(bearer(shop, reader.token()).await, (401, "bearer_invalid"));
}

#[tokio::test]
async fn an_access_token_is_a_bearer_token_where_that_is_wanted() {
    let shop = Shop::new()
        .set("oauth", "access_tokens_as_bearer", "true")
        .start()
        .await;
    let integration = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .active()
        .await;
    let token = integration.credentials.token();
    let call = Call::get("/rest/V1/products/as-bearer").header("Authorization", &format!("Bearer {token}"));
    assert_eq!(call.send(&shop.gateway).await.status, 200);
    assert_eq!(
        shop.upstream.only("as-bearer").header("x-user-type"),
        Some("integration")
    );

    shop.admin
        .post(&format!("/integrations/{}/deactivate", integration.id), &json!(null))
        .await;

    assert_eq!(call.send(&shop.gateway).await.refusal(), (401, "integration_inactive"));
}

#[tokio::test]
async fn a_request_token_is_no_bearer_token_either() {
    let shop = Shop::new()
        .set("oauth", "access_tokens_as_bearer", "true")
        .start()
        .await;
    let granted = shop.integration().granted(&["Magento_Catalog::products"]);
    let (_, handshake) = granted.posted(&shop.partner, &shop.gateway).await;
    let request_token = handshake.request_token().await;

    assert_eq!(bearer(&shop, request_token.token()).await, (401, "bearer_invalid"));
}

fn call() -> Call {
    Call::get("/rest/V1/products/tokens")
}

async fn products(shop: &Shop, credentials: &Credentials) -> Response {
    call().signed(Signing::with(credentials)).send(&shop.gateway).await
}

async fn bearer(shop: &Shop, token: &str) -> Refusal {
    call()
        .header("Authorization", &format!("Bearer {token}"))
        .send(&shop.gateway)
        .await
        .refusal()
}
