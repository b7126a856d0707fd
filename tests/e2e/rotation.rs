//! A rotated consumer secret: both are accepted for the grace, and it is told which of them is still used.

use harness::{Call, Credentials, Shop, eventually, now};
use serde_json::{Value, json};

#[tokio::test]
async fn the_last_use_of_both_secrets_is_told() {
    let (shop, id, old, new) = rotated().await;
    let before = shown(shop, id).await;
    assert_eq!(before["previous_secret_last_used_at"], json!(null));
    assert_eq!(before["secret_last_used_at"], json!(null));

    served(shop, &old).await;
    let old_used = eventually("the old secret's use", async || {
        shown(shop, id).await["previous_secret_last_used_at"].as_u64()
    })
    .await;

    assert!(old_used.abs_diff(now()) < 40, "{old_used}");
    let shown = shown(shop, id).await;
    assert_eq!(shown["secret_last_used_at"], json!(null));
    let valid_until = shown["previous_secret_valid_until"].as_u64().unwrap();
    assert!(valid_until.abs_diff(now() + 3600) < 60, "{valid_until}");
    assert_eq!(served(shop, &new).await, 200);
}

#[tokio::test]
async fn the_new_secrets_use_is_told_and_changes_no_version() {
    let (shop, id, _, new) = rotated().await;
    let before = shop.admin.get(&format!("/integrations/{id}")).await;

    served(shop, &new).await;
    eventually("the new secret's use", async || {
        shown(shop, id).await["secret_last_used_at"].as_u64()
    })
    .await;

    let after = shop.admin.get(&format!("/integrations/{id}")).await;
    assert_eq!(after.header("etag"), before.header("etag"));
    assert_eq!(after.json()["previous_secret_last_used_at"], json!(null));
    let replaced = shop.admin.put(&format!("/integrations/{id}"), &after.json()).await;
    assert_eq!(replaced.status, 200, "{}", replaced.text());
}

#[tokio::test]
async fn the_old_secret_ends_with_its_grace() {
    let shop = Shop::shared().await;
    let (_, old, new) = rotate(shop, "3s").await;
    let before = served(shop, &old).await;

    tokio::time::sleep(std::time::Duration::from_millis(4100)).await;

    assert_eq!((before, served(shop, &old).await), (200, 401));
    assert_eq!(served(shop, &new).await, 200);
}

#[tokio::test]
async fn a_forged_request_uses_no_secret() {
    let (shop, id, old, _) = rotated().await;
    let forged = Credentials {
        consumer_secret: "x".repeat(32),
        ..old
    };

    assert_eq!(served(shop, &forged).await, 401);
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;

    let shown = shown(shop, id).await;
    assert_eq!(shown["secret_last_used_at"], json!(null));
    assert_eq!(shown["previous_secret_last_used_at"], json!(null));
}

#[tokio::test]
async fn what_was_seen_is_kept_over_a_clean_end() {
    let shop = Shop::new().start().await;
    let (id, old, _) = rotate(&shop, "1h").await;
    served(&shop, &old).await;

    shop.gateway.stop().await;
    shop.gateway.start_again().await;

    assert!(shown(&shop, id).await["previous_secret_last_used_at"].is_u64());
}

/// The integration's number, its old and its new credentials.
async fn rotated() -> (&'static Shop, u64, Credentials, Credentials) {
    let shop = Shop::shared().await;
    let (id, old, new) = rotate(shop, "1h").await;
    (shop, id, old, new)
}

/// Accepts the old secret for so long.
async fn rotate(shop: &Shop, grace: &str) -> (u64, Credentials, Credentials) {
    let integration = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .active()
        .await;
    let path = format!("/integrations/{}/rotate-secret", integration.id);
    let rotated = shop.admin.post(&path, &json!({ "grace": grace })).await;
    let new = Credentials {
        consumer_secret: rotated.field("consumer_secret"),
        ..integration.credentials.clone()
    };
    (integration.id, integration.credentials, new)
}

async fn shown(shop: &Shop, id: u64) -> Value {
    shop.admin.get(&format!("/integrations/{id}")).await.json()
}

async fn served(shop: &Shop, credentials: &Credentials) -> u16 {
    let call = Call::get("/rest/V1/products/rotated").signed_by(credentials);
    call.send(&shop.gateway).await.status
}
