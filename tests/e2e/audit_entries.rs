//! What was done stands in the audit log, though the client goes or the store fails meanwhile; and what can't be written there
//! beforehand isn't done, where it is the store's own change.

use std::time::Duration;

use harness::{Call, PartnerAnswer, Shop, eventually};
use serde_json::Value;

#[tokio::test]
async fn keys_that_are_posted_are_told_though_who_asked_for_it_is_gone() {
    let shop = Shop::shared().await;
    let endpoint = shop.partner.endpoint();
    shop.partner
        .answers(&endpoint, PartnerAnswer::Late(Duration::from_secs(2)));
    let id = shop.integration().with("endpoint", endpoint.as_str()).created().await;
    let address = shop.gateway.admin();
    let activation = Call::post(&format!("/api/v1/integrations/{id}/activate"))
        .header("Authorization", &format!("Bearer {}", shop.admin.token()))
        .to_address(address, &format!("http://{address}"));
    let mut asking = activation.connect().await.unwrap();
    asking.write(&activation.octets()).await.unwrap();
    shop.partner.posted(&endpoint).await;

    drop(asking);

    let told = entry(shop, "integration.keys_posted", &format!("integration/{id}")).await;
    assert_eq!(told["after"]["callback"]["status"], 200, "{told}");
}

/// The one entry of that action on that subject, once it is there.
async fn entry(shop: &Shop, action: &str, subject: &str) -> Value {
    eventually(action, async || {
        let is_it = |one: &Value| one["action"] == action && one["subject"] == subject;
        let entries: Vec<Value> = shop.admin.audit().await.into_iter().filter(is_it).collect();
        assert!(entries.len() <= 1, "{entries:?}");
        entries.into_iter().next()
    })
    .await
}
