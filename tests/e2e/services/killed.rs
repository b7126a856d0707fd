//! A gateway that is killed in the midst of an activation or an exchange: what stands afterwards is whole, and the
//! integration can be activated again.

use std::time::Duration;

use harness::{Call, Credentials, Handshake, Message, PartnerAnswer, Shop, eventually};
use serde_json::json;

use super::{PRODUCTS, is_served, new_on_redis, refused};

macro_rules! over_both_stores_of_its_own {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[tokio::test]
            async fn embedded() {
                super::$name(harness::Shop::new().start().await).await;
            }

            #[tokio::test]
            async fn redis() {
                super::$name(super::new_on_redis().await).await;
            }
        }
    )+};
}

over_both_stores_of_its_own!(
    killed_during_the_verifier_post,
    killed_between_request_and_access_token,
    killed_right_after_the_access_token,
    killed_at_any_moment_of_an_activation,
);

async fn killed_during_the_verifier_post(shop: Shop) {
    let endpoint = shop.partner.endpoint();
    shop.partner.answers(&endpoint, PartnerAnswer::Never);
    let id = shop
        .integration()
        .granted(&[PRODUCTS])
        .with("endpoint", endpoint.as_str())
        .created()
        .await;
    // It is never answered: the gateway is killed.
    let call = to_admin(&shop, &format!("/integrations/{id}/activate"));
    let activating = tokio::spawn(async move { call.try_send().await.map(|answer| answer.status) });
    let posted = shop.partner.posted(&endpoint).await;

    shop.gateway.kill();
    assert!(activating.await.is_ok_and(|answer| answer.is_err()));
    shop.gateway.start_again().await;

    // The verifier was kept before it was posted: a partner that has it can go on.
    assert_eq!(shop.admin.status(id).await, "inactive");
    let credentials = Handshake::with(&posted, &shop.gateway).finish().await;
    assert_eq!(shop.admin.status(id).await, "active");
    assert!(is_served(&shop, &credentials).await);
}

async fn killed_between_request_and_access_token(shop: Shop) {
    let (id, handshake) = shop
        .integration()
        .granted(&[PRODUCTS])
        .posted(&shop.partner, &shop.gateway)
        .await;
    let request_token = handshake.request_token().await;

    shop.gateway.kill();
    shop.gateway.start_again().await;

    // Either the partner goes on, or the integration is activated again and the old token is worth nothing.
    assert_eq!(shop.admin.status(id).await, "inactive");
    shop.admin.activate(id).await;
    let stale = handshake
        .ask_access_token(handshake.access_signing(&request_token))
        .await;
    assert_eq!(stale.status, 401);
    let credentials = handshake.finish().await;
    assert!(is_served(&shop, &credentials).await);
    assert_eq!(shop.admin.status(id).await, "active");
}

async fn killed_right_after_the_access_token(shop: Shop) {
    let (id, handshake) = shop
        .integration()
        .granted(&[PRODUCTS])
        .posted(&shop.partner, &shop.gateway)
        .await;
    let credentials = handshake.finish().await;

    shop.gateway.kill();
    shop.gateway.start_again().await;

    // What was answered stands, whole.
    assert_eq!(shop.admin.status(id).await, "active");
    assert!(is_served(&shop, &credentials).await);
}

async fn killed_at_any_moment_of_an_activation(shop: Shop) {
    for round in 0..6_u64 {
        let id = shop.integration().granted(&[PRODUCTS]).created().await;
        let call = to_admin(&shop, &format!("/integrations/{id}/reauthorize"));
        let activating = tokio::spawn(async move { while call.try_send().await.is_ok() {} });
        tokio::time::sleep(Duration::from_millis(7 * round)).await;

        shop.gateway.kill();
        activating.await.unwrap();
        shop.gateway.start_again().await;

        // Active with an access token, or inactive with none: never one without the other.
        let record = eventually("the integration", async || {
            let answer = shop.admin.get(&format!("/integrations/{id}")).await;
            (answer.status == 200).then(|| answer.json())
        })
        .await;
        let path = format!("/consumers/{}/access-token", record["consumer_id"]);
        let has_token = shop.admin.get(&path).await.status == 200;
        assert_eq!(record["status"] == "active", has_token, "{record}");
        let renewed = shop
            .admin
            .post(&format!("/integrations/{id}/reauthorize"), &json!(null))
            .await;
        assert_eq!((renewed.status, renewed.field("status")), (200, "active".to_owned()));
        let consumer = Credentials::consumer(&renewed.field("consumer_key"), &renewed.field("consumer_secret"));
        let credentials = consumer.with_token(&renewed.field("access_token"), &renewed.field("access_token_secret"));
        assert!(is_served(&shop, &credentials).await);
        assert_eq!(
            refused(&shop, &consumer.with_token(&"x".repeat(32), "y")).await,
            (401, "token_rejected")
        );
    }
}

/// A call that may be cut.
fn to_admin(shop: &Shop, path: &str) -> Message {
    let call = Call::post(&format!("/api/v1{path}")).header("Authorization", &format!("Bearer {}", shop.admin.token()));
    call.to_address(shop.gateway.admin(), "http://admin.example")
}
