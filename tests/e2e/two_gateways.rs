//! Two gateways on one Redis: what one has seen, done or undone counts for the other, too.

use std::time::Duration;

use harness::redis::{Options, Server};
use harness::{Call, Credentials, Gateway, Handshake, Message, PASSWORD, Refusal, Shop};
use serde_json::json;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

#[tokio::test]
async fn a_request_is_served_by_one_of_them_once() {
    let (shop, other) = two().await;
    let reader = shop.reader().await;
    let call = |mark: &str| {
        Call::get(&format!("/rest/V1/products/{mark}"))
            .signed_by(&reader)
            .to(&shop.gateway)
    };
    let (there, back) = (call("there"), call("back"));

    assert_eq!(there.send().await.status, 200);
    assert_eq!(there.at(other).send().await.refusal(), (401, "nonce_used"));
    assert_eq!(back.clone().at(other).send().await.status, 200);
    assert_eq!(back.send().await.refusal(), (401, "nonce_used"));
}

#[tokio::test]
async fn a_request_sent_to_both_at_once_is_served_once() {
    let (shop, other) = two().await;
    let reader = shop.reader().await;
    for round in 0..10 {
        let path = format!("/rest/V1/products/both-{round}");
        let call = Call::get(&path).signed_by(&reader).to(&shop.gateway);
        let mut calls = JoinSet::new();
        for number in 0..16 {
            let call: Message = if number % 2 == 0 {
                call.clone()
            } else {
                call.clone().at(other)
            };
            calls.spawn(async move { call.send().await.status });
        }

        let mut statuses = calls.join_all().await;

        statuses.sort_unstable();
        assert_eq!(statuses, [[200].as_slice(), &[401; 15]].concat());
        assert_eq!(shop.upstream.count(&path), 1);
    }
}

#[tokio::test]
async fn a_new_integration_is_known_to_both() {
    let (shop, other) = two().await;
    let reader = shop.reader().await;

    assert_eq!(products(other, &reader).await, 200);
}

#[tokio::test]
async fn a_deleted_integration_ends_on_the_other_within_a_second() {
    let (shop, other) = two().await;
    let integration = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .active()
        .await;
    assert_eq!(products(other, &integration.credentials).await, 200);

    let deleted = shop.admin.delete(&format!("/integrations/{}", integration.id)).await;

    assert_eq!(deleted.status, 200);
    assert_eq!(
        a_second_later(other, &integration.credentials).await,
        (401, "consumer_key_unknown")
    );
}

#[tokio::test]
async fn a_deactivated_integration_ends_on_the_other_within_a_second() {
    let (shop, other) = two().await;
    let integration = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .active()
        .await;
    assert_eq!(products(other, &integration.credentials).await, 200);

    shop.admin
        .post(&format!("/integrations/{}/deactivate", integration.id), &json!(null))
        .await;

    assert_eq!(
        a_second_later(other, &integration.credentials).await,
        (401, "integration_inactive")
    );
    shop.admin.activate(integration.id).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(products(other, &integration.credentials).await, 200);
}

#[tokio::test]
async fn a_revoked_token_ends_on_the_other_within_a_second() {
    let (shop, other) = two().await;
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
    assert_eq!(products(other, &integration.credentials).await, 200);

    shop.admin.delete(&format!("/consumers/{consumer}/access-token")).await;

    assert_eq!(
        a_second_later(other, &integration.credentials).await,
        (401, "token_rejected")
    );
}

#[tokio::test]
async fn a_grant_that_is_taken_away_ends_on_the_other_within_a_second() {
    let (shop, other) = two().await;
    let integration = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .active()
        .await;
    assert_eq!(products(other, &integration.credentials).await, 200);

    shop.admin
        .delete(&format!("/integrations/{}/resources", integration.id))
        .await;

    assert_eq!(
        a_second_later(other, &integration.credentials).await,
        (401, "resource_denied")
    );
}

#[tokio::test]
async fn a_rotated_secret_ends_on_the_other_within_a_second() {
    let (shop, other) = two().await;
    let integration = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .active()
        .await;
    assert_eq!(products(other, &integration.credentials).await, 200);

    let path = format!("/integrations/{}/rotate-secret", integration.id);
    shop.admin.post(&path, &json!({ "grace": "0s" })).await;

    assert_eq!(
        a_second_later(other, &integration.credentials).await,
        (401, "signature_invalid")
    );
}

#[tokio::test]
async fn an_admins_token_counts_on_both_and_ends_on_both() {
    let (shop, other) = two().await;
    let new = json!({ "username": "on-both", "password": PASSWORD, "role": "admin" });
    let id = shop.admin.post("/admins", &new).await.field("id");
    let token = harness::Admin::sign_in(other.admin(), "on-both", PASSWORD)
        .await
        .token()
        .to_owned();
    let bearer = |gateway| {
        let call = Call::get("/rest/V1/products/admin-on-both").header("Authorization", &format!("Bearer {token}"));
        async move { call.send(gateway).await.refusal() }
    };
    assert_eq!(bearer(&shop.gateway).await.status, 200);
    assert_eq!(bearer(other).await.status, 200);

    shop.admin.delete(&format!("/admins/{id}/tokens")).await;

    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(bearer(&shop.gateway).await, (401, "bearer_invalid"));
    assert_eq!(bearer(other).await, (401, "bearer_invalid"));
}

#[tokio::test]
async fn failed_sign_ins_are_counted_together() {
    let (shop, other) = two().await;
    let new = json!({ "username": "counted-together", "password": PASSWORD, "role": "admin" });
    shop.admin.post("/admins", &new).await;
    let sign_in = async |gateway: &Gateway, password: &str| {
        let credentials = json!({ "username": "counted-together", "password": password });
        Call::post("/rest/V1/integration/admin/token")
            .json(&credentials)
            .send(gateway)
            .await
            .status
    };
    for _ in 0..3 {
        assert_eq!(sign_in(&shop.gateway, "wrong").await, 401);
        assert_eq!(sign_in(other, "wrong").await, 401);
    }

    assert_eq!(sign_in(&shop.gateway, PASSWORD).await, 401);
    assert_eq!(sign_in(other, PASSWORD).await, 401);
}

#[tokio::test]
async fn a_handshake_may_go_over_both() {
    let (shop, other) = two().await;
    let granted = shop.integration().granted(&["Magento_Catalog::products"]);
    let (id, here) = granted.posted(&shop.partner, &shop.gateway).await;
    let there = here.clone().at(other);

    let request_token = there.request_token().await;
    let access_token = here.access_token(&request_token).await;

    assert_eq!(products(other, &access_token).await, 200);
    assert_eq!(shop.admin.status(id).await, "active");
}

#[tokio::test]
async fn of_calls_to_both_at_once_one_gets_the_request_token() {
    let (shop, other) = two().await;
    let (_, here) = shop.integration().posted(&shop.partner, &shop.gateway).await;
    let there = here.clone().at(other);
    let mut calls = JoinSet::new();
    for number in 0..16 {
        let handshake: Handshake = if number % 2 == 0 { here.clone() } else { there.clone() };
        calls.spawn(async move { handshake.ask_request_token(handshake.request_signing()).await.refusal() });
    }

    let answers = calls.join_all().await;

    let served = answers.iter().filter(|answer| answer.status == 200).count();
    let used = answers.iter().filter(|answer| **answer == (401, "token_used")).count();
    assert_eq!((served, used), (1, 15), "{answers:?}");
}

#[tokio::test]
async fn a_lost_response_may_be_asked_of_the_other() {
    let (shop, other) = two().await;
    let (_, here) = shop.integration().posted(&shop.partner, &shop.gateway).await;
    let request_token = here.request_token().await;
    let first = here.access_token(&request_token).await;

    let again = here.clone().at(other).access_token(&request_token).await;

    assert_eq!(again, first);
}

#[tokio::test]
async fn a_lost_response_is_not_asked_again_once_the_other_has_seen_the_token() {
    let (shop, other) = two().await;
    let granted = shop.integration().granted(&["Magento_Catalog::products"]);
    let (_, here) = granted.posted(&shop.partner, &shop.gateway).await;
    let request_token = here.request_token().await;
    let access_token = here.access_token(&request_token).await;
    assert_eq!(products(other, &access_token).await, 200);

    let told = here.ask_access_token(here.access_signing(&request_token)).await;

    assert_eq!(told.refusal(), (401, "token_rejected"));
}

#[tokio::test]
async fn activations_on_both_at_once_show_the_credentials_once() {
    let (shop, other) = two().await;
    let there = harness::Admin::sign_in(other.admin(), harness::ADMIN, PASSWORD).await;
    let id = shop.integration().created().await;
    let mut calls = JoinSet::new();
    for number in 0..8 {
        let admin = if number % 2 == 0 {
            shop.admin.clone()
        } else {
            there.clone()
        };
        calls.spawn(async move { admin.post(&format!("/integrations/{id}/activate"), &json!(null)).await });
    }

    let answers = calls.join_all().await;

    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert_eq!(
        answers
            .iter()
            .filter(|answer| answer.text().contains("access_token"))
            .count(),
        1
    );
}

#[tokio::test]
async fn a_refusal_is_explained_by_the_gateway_that_answered_and_a_debug_token_holds_on_both() {
    let (shop, other) = two().await;
    let one = shop.integration().granted_all().active().await;
    let path = format!("/integrations/{}/debug-token", one.id);
    let token = shop.admin.post(&path, &json!(null)).await.field("debug_token");
    let wrong = one.credentials.with_token(one.credentials.token(), "");
    let call = Call::get("/rest/V1/products/elsewhere").signed_by(&wrong);

    let refused = call.clone().header("X-Countersign-Debug", &token).send(other).await;

    let id = refused.header("X-Request-Id").unwrap().to_owned();
    assert_eq!(refused.json()["explanation"]["diagnosis"][0]["id"], "E73");
    let here = shop.admin.get(&format!("/rejections/{id}")).await;
    assert_eq!(here.status, 404);
    assert!(here.text().contains("Each gateway keeps its own"), "{}", here.text());
    let there = harness::Admin::sign_in(other.admin(), harness::ADMIN, PASSWORD).await;
    let there = there.get(&format!("/rejections/{id}")).await;
    assert_eq!(there.json()["diagnosis"][0]["id"], "E73");
}

/// A shop on a Redis of its own, and one more gateway.
async fn two() -> &'static (Shop, Gateway) {
    static TWO: OnceCell<(Shop, Gateway)> = OnceCell::const_new();
    let start = async || {
        // Kept until the process ends.
        let redis = Box::leak(Box::new(Server::start(Options::default()).await));
        // Sixteen calls at once on a busy machine may each take longer than the usual 250 ms: that is not what is tested.
        let shop = Shop::new()
            .store(&redis.url())
            .set("store", "timeout", "\"5s\"")
            .set("store", "connect_timeout", "\"5s\"")
            .set("store", "request_timeout", "\"10s\"");
        let shop = shop.start().await;
        let other = shop.second_gateway().await;
        (shop, other)
    };
    TWO.get_or_init(start).await
}

async fn products(gateway: &Gateway, credentials: &Credentials) -> u16 {
    Call::get("/rest/V1/products/on-both")
        .signed_by(credentials)
        .send(gateway)
        .await
        .status
}

async fn a_second_later(gateway: &Gateway, credentials: &Credentials) -> Refusal {
    tokio::time::sleep(Duration::from_secs(1)).await;
    Call::get("/rest/V1/products/on-both")
        .signed_by(credentials)
        .send(gateway)
        .await
        .refusal()
}
