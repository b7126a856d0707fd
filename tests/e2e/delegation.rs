//! Tokens that users delegate by the three-legged flow: they open what both the integration and its user may.

use harness::{CALLBACK, CUSTOMER, Call, Credentials, PASSWORD, Response, Shop};
use serde_json::json;

#[tokio::test]
async fn a_customers_delegated_token_opens_what_is_theirs() {
    let (shop, customer) = Shop::with_customer().await;
    let app = app(shop).await;

    let token = shop.gateway.delegated_by(CUSTOMER, &app.1).await;

    let served = Call::get("/rest/V1/customers/me/delegated")
        .signed_by(&token)
        .send(&shop.gateway)
        .await;
    assert_eq!(served.status, 200, "{}", served.text());
    let seen = shop.upstream.only("me/delegated");
    assert_eq!(seen.header("x-user-type"), Some("customer"));
    assert_eq!(seen.header("x-user-id"), Some(customer.to_string().as_str()));
    assert_eq!(seen.header("x-integration-id"), Some(app.0.to_string().as_str()));
}

#[tokio::test]
async fn a_customers_delegated_token_opens_nothing_of_the_integrations() {
    let (shop, _) = Shop::with_customer().await;
    let app = app(shop).await;

    let token = shop.gateway.delegated_by(CUSTOMER, &app.1).await;

    assert_eq!(products(shop, &token).await.refusal(), (401, "resource_denied"));
}

#[tokio::test]
async fn a_customers_delegated_token_ends_with_the_integrations_activation() {
    let (shop, _) = Shop::with_customer().await;
    let app = app(shop).await;
    let token = shop.gateway.delegated_by(CUSTOMER, &app.1).await;

    shop.admin
        .post(&format!("/integrations/{}/deactivate", app.0), &json!(null))
        .await;

    let refused = Call::get("/rest/V1/customers/me/withdrawn")
        .signed_by(&token)
        .send(&shop.gateway)
        .await;
    assert_eq!(refused.refusal(), (401, "integration_inactive"));
    assert_eq!(shop.upstream.count("me/withdrawn"), 0);
}

#[tokio::test]
async fn an_admins_delegated_token_opens_what_both_may() {
    let shop = Shop::shared().await;
    let app = app(shop).await;

    let token = shop.gateway.delegated_by(harness::ADMIN, &app.1).await;

    assert_eq!(products(shop, &token).await.status, 200);
    let orders = Call::get("/rest/V1/orders/1")
        .signed_by(&token)
        .send(&shop.gateway)
        .await;
    assert_eq!(orders.refusal(), (401, "resource_denied"));
}

#[tokio::test]
async fn an_admin_whose_name_is_an_address_consents_as_an_admin() {
    let shop = Shop::shared().await;
    let named = "delegating@example.com";
    let account = json!({ "username": named, "password": PASSWORD, "role": "admin" });
    assert_eq!(shop.admin.post("/admins", &account).await.status, 201);
    let app = app(shop).await;

    let token = shop.gateway.delegated_by(named, &app.1).await;

    assert_eq!(products(shop, &token).await.status, 200);
    let asked = shop.gateway.initiate(&app.1).await;
    let unknown = shop
        .gateway
        .decide(&asked.form("oauth_token"), "nobody@example.com", "allow")
        .await;
    assert_eq!(unknown.status, 401);
}

#[tokio::test]
async fn a_delegated_token_opens_nothing_that_its_admin_may_not() {
    let shop = Shop::shared().await;
    let viewer = json!({ "username": "delegating-viewer", "password": PASSWORD, "role": "viewer" });
    assert_eq!(shop.admin.post("/admins", &viewer).await.status, 201);
    let app = app(shop).await;

    let token = shop.gateway.delegated_by("delegating-viewer", &app.1).await;

    assert_eq!(products(shop, &token).await.refusal(), (401, "resource_denied"));
}

#[tokio::test]
async fn a_token_that_waits_for_consent_opens_nothing() {
    let shop = Shop::shared().await;
    let app = app(shop).await;

    let asked = shop.gateway.initiate(&app.1).await;

    let request_token = app
        .1
        .with_token(&asked.form("oauth_token"), &asked.form("oauth_token_secret"));
    assert_eq!(products(shop, &request_token).await.refusal(), (401, "token_rejected"));
}

#[tokio::test]
async fn another_integrations_delegated_token_is_refused() {
    let shop = Shop::shared().await;
    let (one, other) = (app(shop).await, app(shop).await);

    let token = shop.gateway.delegated_by(harness::ADMIN, &one.1).await;

    let stolen = other.1.with_token(token.token(), token.token_secret());
    let refused = products(shop, &stolen).await;
    assert_eq!(refused.refusal(), (401, "token_rejected"));
    assert_eq!(
        refused.field("message"),
        "Token is not associated with the specified consumer"
    );
}

/// An integration that users delegate to; it may use products.
async fn app(shop: &Shop) -> (u64, Credentials) {
    let app = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .with("callback_urls", json!([CALLBACK]));
    let app = app.active().await;
    (app.id, app.credentials)
}

async fn products(shop: &Shop, credentials: &Credentials) -> Response {
    Call::get("/rest/V1/products/delegated")
        .signed_by(credentials)
        .send(&shop.gateway)
        .await
}
