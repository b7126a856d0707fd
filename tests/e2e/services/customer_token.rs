//! `CustomerTokenService` (magento.md 4.1, 4.3 to 4.5).

use harness::{CUSTOMER, Call, PASSWORD, Response, Shop};
use serde_json::{Value, json};

use super::new_on_redis;

const SENTENCE: &str =
    "The account sign-in was incorrect or your account is disabled temporarily. Please wait and try again later.";

// Each with a customer of its own: revoking ends all of a customer's tokens.
macro_rules! over_both_stores_with_a_customer {
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

over_both_stores_with_a_customer!(
    customer_token_create,
    customer_token_create_refused,
    customer_token_revoke,
    customer_token_revoke_by_an_admin,
);

async fn customer_token_create(shop: Shop) {
    let customer = shop.gateway.add_customer(CUSTOMER).await;
    // Under any store code.
    for store in ["", "/default", "/all"] {
        let token = sign_in(&shop, store, json!({ "username": CUSTOMER, "password": PASSWORD })).await;
        let mark = format!("created-{}", store.trim_start_matches('/'));

        assert_eq!(token.status, 200, "{store}: {}", token.text());
        assert_eq!(me(&shop, &token, &mark).await.status, 200);
        let seen = shop.upstream.seen(&format!("me/{mark}"));
        let last = seen.last().unwrap();
        assert_eq!(last.header("x-user-type"), Some("customer"));
        assert_eq!(last.header("x-user-id"), Some(customer.to_string().as_str()));
    }
}

async fn customer_token_create_refused(shop: Shop) {
    let absent = sign_in(&shop, "", json!({})).await;
    let unknown = sign_in(
        &shop,
        "",
        json!({ "username": "nobody@example.com", "password": PASSWORD }),
    )
    .await;

    assert_eq!(absent.status, 400);
    assert_eq!(absent.json()["errors"].as_array().map(Vec::len), Some(2));
    assert_eq!((unknown.status, unknown.json()), (401, json!({ "message": SENTENCE })));
}

async fn customer_token_revoke(shop: Shop) {
    shop.gateway.add_customer(CUSTOMER).await;
    let credentials = json!({ "username": CUSTOMER, "password": PASSWORD });
    let token = sign_in(&shop, "", credentials).await;
    assert_eq!(me(&shop, &token, "revoking").await.status, 200);

    let call = Call::post("/rest/V1/integration/customer/revoke-customer-token");
    let revoked = call
        .clone()
        .header("Authorization", &bearer(&token))
        .send(&shop.gateway)
        .await;
    let again = call.header("Authorization", &bearer(&token)).send(&shop.gateway).await;

    assert_eq!((revoked.status, revoked.json()), (200, json!(true)));
    let refused = me(&shop, &token, "revoked").await;
    assert_eq!(
        (refused.status, refused.json()["parameters"].clone()),
        (401, json!({ "resources": "self" }))
    );
    assert_eq!(again.status, 401);
}

async fn customer_token_revoke_by_an_admin(shop: Shop) {
    let customer = shop.gateway.add_customer(CUSTOMER).await;
    let credentials = json!({ "username": CUSTOMER, "password": PASSWORD });
    let token = sign_in(&shop, "", credentials).await;

    let revoked = shop.admin.delete(&format!("/customers/{customer}/tokens")).await;
    let none = shop.admin.delete("/customers/999999999/tokens").await;

    assert_eq!(revoked.status, 200);
    assert!(revoked.json()["revoked"].as_u64() >= Some(1));
    assert_eq!(
        me(&shop, &token, "revoked-by-admin").await.refusal(),
        (401, "bearer_invalid")
    );
    // A customer may be known to the storefront alone.
    assert_eq!((none.status, none.json()), (200, json!({ "revoked": 0 })));
}

async fn sign_in(shop: &Shop, store: &str, body: Value) -> Response {
    let call = Call::post(&format!("/rest{store}/V1/integration/customer/token")).json(&body);
    call.send(&shop.gateway).await
}

fn bearer(token: &Response) -> String {
    format!("Bearer {}", token.json().as_str().unwrap_or_default())
}

async fn me(shop: &Shop, token: &Response, mark: &str) -> Response {
    let call = Call::get(&format!("/rest/V1/customers/me/{mark}")).header("Authorization", &bearer(token));
    call.send(&shop.gateway).await
}
