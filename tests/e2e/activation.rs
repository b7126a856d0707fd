//! Activation: by exchange where there is an endpoint, else the credentials are there at once; idempotent, and under races.

use harness::{Call, Credentials, Handshake, Response, Shop};
use serde_json::{Value, json};
use tokio::task::JoinSet;

#[tokio::test]
async fn an_integration_without_endpoint_has_its_credentials_at_once() {
    let shop = Shop::shared().await;
    let id = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .created()
        .await;

    let answer = shop.admin.activate(id).await;

    assert_eq!(
        (answer.field("status"), answer.field("exchange")),
        ("active".to_owned(), "false".to_owned())
    );
    assert_eq!(products(shop, &credentials(&answer)).await.status, 200);
}

#[tokio::test]
async fn credentials_are_shown_once() {
    let shop = Shop::shared().await;
    let id = shop.integration().created().await;
    let first = shop.admin.activate(id).await;

    let second = shop.admin.activate(id).await;

    assert_eq!(second.json(), json!({ "status": "active", "exchange": false }));
    let said = [
        shop.admin.get(&format!("/integrations/{id}")).await.text(),
        shop.admin.get("/integrations?limit=1000").await.text(),
        shop.admin.get(&format!("/integrations/{id}/handshake")).await.text(),
        Value::from(shop.admin.audit().await).to_string(),
        shop.gateway.whole_log().await,
    ]
    .concat();
    for name in ["consumer_secret", "access_token", "access_token_secret"] {
        assert!(!said.contains(&first.field(name)), "{name}");
    }
}

#[tokio::test]
async fn activating_again_keeps_the_tokens() {
    let shop = Shop::shared().await;
    let integration = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .active()
        .await;

    shop.admin.activate(integration.id).await;

    assert_eq!(products(shop, &integration.credentials).await.status, 200);
}

#[tokio::test]
async fn of_many_activations_at_once_one_shows_the_credentials() {
    let shop = Shop::shared().await;
    let id = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .created()
        .await;

    let answers = eight(shop, id).await;

    let shown: Vec<&Response> = answers
        .iter()
        .filter(|answer| answer.text().contains("access_token"))
        .collect();
    assert!(
        answers
            .iter()
            .all(|answer| answer.status == 200 && answer.field("status") == "active")
    );
    assert_eq!(shown.len(), 1);
    assert_eq!(products(shop, &credentials(shown[0])).await.status, 200);
}

#[tokio::test]
async fn the_verifier_post_has_four_fields() {
    let shop = Shop::shared().await;
    let endpoint = shop.partner.endpoint();
    let id = shop.integration().with("endpoint", endpoint.as_str()).created().await;

    let answer = shop.admin.activate(id).await;

    assert_eq!(answer.field("status"), "inactive");
    assert_eq!(
        (answer.field("exchange"), answer.field("callback_status")),
        ("true".to_owned(), "200".to_owned())
    );
    let posted = shop.partner.posted(&endpoint).await;
    let names: Vec<&str> = posted.fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "oauth_consumer_key",
            "oauth_consumer_secret",
            "store_base_url",
            "oauth_verifier"
        ]
    );
    assert_eq!(posted.field("store_base_url"), format!("{}/", shop.gateway.base_url()));
    for name in ["oauth_consumer_key", "oauth_consumer_secret", "oauth_verifier"] {
        let value = posted.field(name);
        assert_eq!(value.len(), 32, "{name}");
        assert!(
            value
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()),
            "{name}"
        );
    }
    let content_type = posted
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    assert_eq!(
        content_type.map(|(_, value)| value.as_str()),
        Some("application/x-www-form-urlencoded")
    );
}

#[tokio::test]
async fn neither_an_identity_link_nor_its_lack_matters() {
    let shop = Shop::shared().await;
    let endpoint = shop.partner.endpoint();
    let linked = shop.integration().with("endpoint", endpoint.as_str());
    let linked = linked
        .with("identity_link_url", "https://partner.example/link")
        .created()
        .await;

    assert_eq!(shop.admin.activate(linked).await.field("exchange"), "true");

    assert_eq!(shop.partner.posts(&endpoint).len(), 1);
}

#[tokio::test]
async fn an_exchange_can_be_skipped() {
    let shop = Shop::shared().await;
    let endpoint = shop.partner.endpoint();
    let granted = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .with("endpoint", endpoint.as_str());
    let id = granted.created().await;

    let answer = shop
        .admin
        .post(&format!("/integrations/{id}/activate"), &json!({ "exchange": false }))
        .await;

    assert_eq!((answer.status, answer.field("status")), (200, "active".to_owned()));
    assert_eq!(products(shop, &credentials(&answer)).await.status, 200);
    assert!(shop.partner.posts(&endpoint).is_empty());
}

#[tokio::test]
async fn activating_again_before_the_exchange_posts_the_same_verifier() {
    let shop = Shop::shared().await;
    let endpoint = shop.partner.endpoint();
    let id = shop.integration().with("endpoint", endpoint.as_str()).created().await;

    shop.admin.activate(id).await;
    shop.admin.activate(id).await;

    let posts = shop.partner.posts(&endpoint);
    assert_eq!(posts.len(), 2);
    assert_eq!(posts[0].fields, posts[1].fields);
}

#[tokio::test]
async fn activating_again_frees_a_stuck_request_token() {
    let shop = Shop::shared().await;
    let (id, handshake) = shop.integration().posted(&shop.partner, &shop.gateway).await;
    handshake.request_token().await;

    shop.admin.activate(id).await;

    handshake.finish().await;
    assert_eq!(shop.admin.status(id).await, "active");
}

#[tokio::test]
async fn an_active_integration_is_not_posted_again() {
    let shop = Shop::shared().await;
    let granted = shop.integration().granted(&["Magento_Catalog::products"]);
    let integration = granted.exchanged(&shop.partner, &shop.gateway).await;
    let before = endpoint_posts(shop, integration.id).await;

    let answer = shop.admin.activate(integration.id).await;

    assert_eq!(answer.json(), json!({ "status": "active", "exchange": true }));
    assert_eq!(endpoint_posts(shop, integration.id).await, before);
    assert_eq!(products(shop, &integration.credentials).await.status, 200);
}

#[tokio::test]
async fn of_many_activations_at_once_all_post_the_same_verifier() {
    let shop = Shop::shared().await;
    let endpoint = shop.partner.endpoint();
    let id = shop.integration().with("endpoint", endpoint.as_str()).created().await;

    let answers = eight(shop, id).await;

    assert!(answers.iter().all(|answer| answer.status == 200));
    let posts = shop.partner.posts(&endpoint);
    assert!(posts.iter().all(|posted| posted.fields == posts[0].fields));
    Handshake::with(&posts[0], &shop.gateway).finish().await;
    assert_eq!(shop.admin.status(id).await, "active");
}

#[tokio::test]
async fn reauthorizing_posts_a_new_verifier_and_ends_the_old_token_at_once() {
    let shop = Shop::shared().await;
    let endpoint = shop.partner.endpoint();
    let granted = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .with("endpoint", endpoint.as_str());
    let id = granted.created().await;
    shop.admin.activate(id).await;
    let first = shop.partner.posted(&endpoint).await;
    let old = Handshake::with(&first, &shop.gateway).finish().await;

    let answer = shop
        .admin
        .post(&format!("/integrations/{id}/reauthorize"), &json!(null))
        .await;

    assert_eq!(answer.field("status"), "inactive");
    assert_eq!(products(shop, &old).await.refusal(), (401, "token_rejected"));
    let second = shop.partner.posted(&endpoint).await;
    assert_ne!(second.field("oauth_verifier"), first.field("oauth_verifier"));
    assert_eq!(
        second.field("oauth_consumer_secret"),
        first.field("oauth_consumer_secret")
    );
    let fresh = Handshake::with(&second, &shop.gateway).finish().await;
    assert_eq!(products(shop, &fresh).await.status, 200);
}

#[tokio::test]
async fn an_old_verifier_is_worth_nothing_after_reauthorizing() {
    let shop = Shop::shared().await;
    let endpoint = shop.partner.endpoint();
    let id = shop.integration().with("endpoint", endpoint.as_str()).created().await;
    shop.admin.activate(id).await;
    let old = Handshake::with(&shop.partner.posted(&endpoint).await, &shop.gateway);

    shop.admin
        .post(&format!("/integrations/{id}/reauthorize"), &json!(null))
        .await;

    let request_token = old.request_token().await;
    let told = old.ask_access_token(old.access_signing(&request_token)).await;
    assert_eq!(told.refusal(), (401, "verifier_invalid"));
}

#[tokio::test]
async fn a_deactivated_integration_goes_on_with_its_credentials_once_activated() {
    let shop = Shop::shared().await;
    let integration = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .active()
        .await;
    shop.admin
        .post(&format!("/integrations/{}/deactivate", integration.id), &json!(null))
        .await;

    let answer = shop.admin.activate(integration.id).await;

    assert_eq!(answer.json(), json!({ "status": "active", "exchange": false }));
    assert_eq!(products(shop, &integration.credentials).await.status, 200);
}

#[tokio::test]
async fn a_deactivated_integration_with_an_endpoint_is_not_posted_to_again() {
    let shop = Shop::shared().await;
    let granted = shop.integration().granted(&["Magento_Catalog::products"]);
    let integration = granted.exchanged(&shop.partner, &shop.gateway).await;
    let shown = shop.admin.get(&format!("/integrations/{}", integration.id)).await;
    let posts = || shop.partner.posts(&shown.field("endpoint")).len();
    let before = posts();
    shop.admin
        .post(&format!("/integrations/{}/deactivate", integration.id), &json!(null))
        .await;

    let answer = shop.admin.activate(integration.id).await;

    assert_eq!(answer.json(), json!({ "status": "active", "exchange": false }));
    assert_eq!(posts(), before);
    assert_eq!(products(shop, &integration.credentials).await.status, 200);
}

#[tokio::test]
async fn activation_by_exchange_needs_to_know_the_shops_address() {
    let shop = Shop::new().set("public", "base_url", "[]").start().await;
    let endpoint = shop.partner.endpoint();
    let id = shop.integration().with("endpoint", endpoint.as_str()).created().await;

    let refused = shop
        .admin
        .post(&format!("/integrations/{id}/activate"), &json!(null))
        .await;

    assert_eq!(refused.status, 400);
    assert!(
        refused.field("message").contains("public.base_url"),
        "{}",
        refused.text()
    );
    assert!(shop.partner.posts(&endpoint).is_empty());
}

#[tokio::test]
async fn the_handshake_can_be_watched() {
    let shop = Shop::shared().await;
    let granted = shop.integration().granted(&["Magento_Catalog::products"]);
    let (id, handshake) = granted.posted(&shop.partner, &shop.gateway).await;
    let stage = async || {
        shop.admin
            .get(&format!("/integrations/{id}/handshake"))
            .await
            .field("stage")
    };
    assert_eq!(stage().await, "verifier");
    let request_token = handshake.request_token().await;
    assert_eq!(stage().await, "request");
    handshake.access_token(&request_token).await;

    let told = shop.admin.get(&format!("/integrations/{id}/handshake")).await.json();

    assert_eq!(
        (told["stage"].as_str(), told["status"].as_str()),
        (Some("access"), Some("active"))
    );
    let steps = told["steps"].as_array().cloned().unwrap_or_default();
    let steps: Vec<&str> = steps.iter().filter_map(|step| step["step"].as_str()).collect();
    assert_eq!(steps, ["verifier_posted", "request_token", "access_token"]);
}

#[tokio::test]
async fn an_activation_is_audited_without_secrets() {
    let shop = Shop::shared().await;
    let id = shop.integration().created().await;

    let answer = shop.admin.activate(id).await;

    let audit = shop.admin.audit().await;
    let about = format!("integration/{id}");
    let is_it = |entry: &&Value| entry["action"] == "integration.activated" && entry["subject"] == about.as_str();
    assert_eq!(audit.iter().filter(is_it).count(), 1);
    assert!(
        !Value::from(audit)
            .to_string()
            .contains(&answer.field("consumer_secret"))
    );
}

async fn eight(shop: &'static Shop, id: u64) -> Vec<Response> {
    let mut calls = JoinSet::new();
    for _ in 0..8 {
        calls.spawn(async move {
            shop.admin
                .post(&format!("/integrations/{id}/activate"), &json!(null))
                .await
        });
    }
    calls.join_all().await
}

async fn endpoint_posts(shop: &Shop, id: u64) -> usize {
    let endpoint = shop.admin.get(&format!("/integrations/{id}")).await.field("endpoint");
    shop.partner.posts(&endpoint).len()
}

fn credentials(answer: &Response) -> Credentials {
    let consumer = Credentials::consumer(&answer.field("consumer_key"), &answer.field("consumer_secret"));
    consumer.with_token(&answer.field("access_token"), &answer.field("access_token_secret"))
}

async fn products(shop: &Shop, credentials: &Credentials) -> Response {
    Call::get("/rest/V1/products/activated")
        .signed_by(credentials)
        .send(&shop.gateway)
        .await
}
