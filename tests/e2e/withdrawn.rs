//! What is withdrawn from a user, an integration or a callback ends what was delegated, and the flows that have begun.

use harness::{CALLBACK, CUSTOMER, Call, Credentials, PASSWORD, Response, Shop};
use serde_json::{Value, json};

macro_rules! over_both_stores {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[tokio::test]
            async fn embedded() {
                super::$name(harness::Shop::new().start().await).await;
            }

            #[tokio::test]
            async fn redis() {
                super::$name(crate::services::new_on_redis().await).await;
            }
        }
    )+};
}

over_both_stores!(
    what_a_customer_delegated_ends_with_their_tokens,
    what_an_admin_delegated_ends_with_their_tokens,
);

async fn what_a_customer_delegated_ends_with_their_tokens(shop: Shop) {
    let customer = shop.gateway.add_customer(CUSTOMER).await;
    let (integration, app) = app(&shop).await;
    let first = shop.gateway.delegated_by(CUSTOMER, &app).await;

    let path = format!("/tokens?kind=customer&user_id={customer}");
    let listed = shop.admin.get(&path).await.json();
    assert_eq!(listed["items"][0]["on_behalf_of"]["id"], customer, "{listed}");

    let ended = shop.admin.delete(&format!("/customers/{customer}/tokens")).await;

    assert_eq!(ended.json()["revoked"], 1);
    assert_eq!(shop.admin.get(&path).await.json()["total"], 0);
    assert_eq!(me(&shop, &first).await.refusal(), (401, "token_revoked"));
    // Within the same second, too.
    let second = shop.gateway.delegated_by(CUSTOMER, &app).await;
    assert_eq!(me(&shop, &second).await.status, 200);

    let revoke = Call::post("/rest/V1/integration/customer/revoke-customer-token");
    let bearer = format!("Bearer {}", shop.customer_token().await);
    let revoked = revoke.header("Authorization", &bearer).send(&shop.gateway).await;

    assert_eq!(revoked.status, 200, "{}", revoked.text());
    assert_eq!(me(&shop, &second).await.refusal(), (401, "token_revoked"));
    let audit = shop.admin.audit().await;
    let who = format!("customer/{customer}");
    let by_themselves = |action: &str, subject: &str| {
        let is_it = |one: &&Value| one["actor"] == who.as_str() && one["action"] == action && one["subject"] == subject;
        audit.iter().filter(is_it).count()
    };
    assert_eq!(by_themselves("token.revoked", &who), 1);
    assert_eq!(
        by_themselves("consent.allowed", &format!("integration/{integration}")),
        2
    );
}

async fn what_an_admin_delegated_ends_with_their_tokens(shop: Shop) {
    let (integration, app) = app(&shop).await;
    let new = json!({ "username": "delegating", "password": PASSWORD, "role": "admin" });
    let id = shop.admin.post("/admins", &new).await.field("id");
    let password = json!({ "password": PASSWORD });
    let ends = [
        vec![("DELETE", format!("/admins/{id}/tokens"), json!(null))],
        vec![("POST", format!("/admins/{id}/password"), password)],
        vec![
            ("POST", format!("/admins/{id}/disable"), json!(null)),
            ("POST", format!("/admins/{id}/enable"), json!(null)),
        ],
    ];
    for calls in ends {
        let token = shop.gateway.delegated_by("delegating", &app).await;
        assert_eq!(products(&shop, &token).await.status, 200);

        for (method, path, body) in &calls {
            let answer = match *method {
                "DELETE" => shop.admin.delete(path).await,
                _ => shop.admin.post(path, body).await,
            };
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        }

        assert_eq!(
            products(&shop, &token).await.refusal(),
            (401, "token_revoked"),
            "{calls:?}"
        );
        let listed = shop.admin.get(&format!("/tokens?integration_id={integration}")).await;
        assert!(!listed.text().contains("on_behalf_of"), "{}", listed.text());
    }
}

#[tokio::test]
async fn consent_given_before_all_tokens_ended_is_no_consent() {
    let shop = Shop::shared().await;
    let (_, app) = app(shop).await;
    let new = json!({ "username": "consented-before", "password": PASSWORD, "role": "admin" });
    let id = shop.admin.post("/admins", &new).await.field("id");
    let (pair, verifier) = allowed(shop, &app, "consented-before").await;

    shop.admin.delete(&format!("/admins/{id}/tokens")).await;

    let refused = shop.gateway.exchange_delegated(&pair, &verifier).await;
    assert_eq!(
        (refused.status, refused.form("oauth_problem")),
        (401, "token_revoked".to_owned())
    );
}

#[tokio::test]
async fn the_flow_of_an_integration_that_was_deactivated_ends() {
    let shop = Shop::shared().await;
    let (id, app) = app(shop).await;
    let asked = shop.gateway.initiate(&app).await.form("oauth_token");
    let (pair, verifier) = allowed(shop, &app, harness::ADMIN).await;

    shop.admin
        .post(&format!("/integrations/{id}/deactivate"), &json!(null))
        .await;

    let page = page(shop, &asked).await;
    assert_eq!(page.status, 401);
    assert!(page.text().contains("not active"), "{}", page.text());
    let challenge = page.header("www-authenticate").unwrap_or_default();
    assert!(challenge.contains("integration_inactive"), "{challenge}");
    let refused = shop.gateway.exchange_delegated(&pair, &verifier).await;
    assert_eq!(
        (refused.status, refused.form("oauth_problem")),
        (401, "integration_inactive".to_owned())
    );
}

#[tokio::test]
async fn a_callback_that_was_withdrawn_gets_no_verifier() {
    let shop = Shop::shared().await;
    let (id, app) = app(shop).await;
    let asked = shop.gateway.initiate(&app).await.form("oauth_token");

    let mut changed = shop.admin.get(&format!("/integrations/{id}")).await.json();
    changed["callback_urls"] = json!(["https://app.example/another"]);
    shop.admin.put(&format!("/integrations/{id}"), &changed).await;

    let decided = shop.gateway.decide(&asked, harness::ADMIN, "allow").await;
    assert_eq!((decided.status, decided.header("location")), (400, None));
}

#[tokio::test]
async fn the_page_is_a_page_also_where_it_is_refused() {
    let shop = Shop::shared().await;
    let form = format!("oauth_token={}", "x".repeat(2 << 20));

    let refused = Call::post("/oauth/authorize").form(&form).send(&shop.gateway).await;
    let asked_for = Call::post("/oauth/authorize")
        .header("Accept", "application/problem+json")
        .form(&form);
    let problem = asked_for.send(&shop.gateway).await;

    assert_eq!(refused.status, 413);
    assert_eq!(refused.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(problem.status, 413);
    assert_eq!(problem.header("content-type"), Some("application/problem+json"));
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

/// A request token that the user has allowed, and the verifier.
async fn allowed(shop: &Shop, app: &Credentials, username: &str) -> (Credentials, String) {
    let asked = shop.gateway.initiate(app).await;
    let verifier = shop.gateway.allowed_by(&asked.form("oauth_token"), username).await;
    let pair = app.with_token(&asked.form("oauth_token"), &asked.form("oauth_token_secret"));
    (pair, verifier)
}

async fn page(shop: &Shop, token: &str) -> Response {
    let call = Call::get(&format!("/oauth/authorize?oauth_token={token}"));
    call.send(&shop.gateway).await
}

async fn me(shop: &Shop, credentials: &Credentials) -> Response {
    let call = Call::get("/rest/V1/customers/me/withdrawn").signed_by(credentials);
    call.send(&shop.gateway).await
}

async fn products(shop: &Shop, credentials: &Credentials) -> Response {
    let call = Call::get("/rest/V1/products/withdrawn").signed_by(credentials);
    call.send(&shop.gateway).await
}
