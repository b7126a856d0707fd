//! Customers' accounts, where they are kept here: made with the storefront's number, and deleted.

use harness::redis::{Options, Server};
use harness::{Call, PASSWORD, Response, Shop};
use serde_json::{Value, json};

use crate::services::over_both_stores;

over_both_stores!(
    a_customer_signs_in_once_the_account_is_made,
    a_number_and_an_address_are_taken_once,
    a_deleted_customer_is_out_at_once,
);

async fn a_customer_signs_in_once_the_account_is_made(shop: &Shop) {
    let new = account(701, "made@example.com");
    assert_eq!(sign_in(shop, "made@example.com").await.status, 401);

    let made = shop.admin.post("/customers", &new).await;

    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(
        (made.field("id"), made.header("etag")),
        ("701".to_owned(), Some("\"1\""))
    );
    assert!(!made.text().contains("argon2") && !made.text().contains(PASSWORD));
    let token = sign_in(shop, "made@example.com").await;
    assert_eq!(token.status, 200, "{}", token.text());
    assert_eq!(me(shop, &token, "made").await.status, 200);
    let seen = shop.upstream.seen("me/customer-made");
    assert_eq!(seen.last().unwrap().header("x-user-id"), Some("701"));
    let listed = shop.admin.get("/customers").await;
    assert!(listed.text().contains("made@example.com"), "{}", listed.text());
    assert_eq!(shop.admin.get("/customers/701").await.json(), made.json());
    let audited = shop.admin.audit().await;
    let entry = audited.iter().find(|entry| entry["subject"] == "customer/701").unwrap();
    assert_eq!(
        (&entry["action"], &entry["after"]),
        (&json!("customer.created"), &made.json())
    );
}

async fn a_number_and_an_address_are_taken_once(shop: &Shop) {
    let post = async |body: Value| shop.admin.post("/customers", &body).await;
    assert_eq!(post(account(702, "taken@example.com")).await.status, 201);

    let number = post(account(702, "another@example.com")).await;
    let address = post(account(703, "taken@example.com")).await;
    let nameless = post(account(704, "nobody")).await;
    let short = post(json!({ "id": 704, "username": "short@example.com", "password": "short" })).await;
    let nothing = post(account(0, "nothing@example.com")).await;
    let absent = post(json!({ "username": "absent@example.com", "password": PASSWORD })).await;

    assert_eq!((number.status, address.status), (409, 409));
    assert_eq!((nameless.status, short.status), (400, 400));
    assert_eq!((nothing.status, absent.status), (400, 400));
    assert_eq!(absent.json()["parameters"], json!({ "fieldName": "id" }));
}

async fn a_deleted_customer_is_out_at_once(shop: &Shop) {
    let new = account(705, "deleted@example.com");
    assert_eq!(shop.admin.post("/customers", &new).await.status, 201);
    let token = sign_in(shop, "deleted@example.com").await;
    assert_eq!(me(shop, &token, "kept").await.status, 200);

    let deleted = shop.admin.delete("/customers/705").await;
    let again = shop.admin.delete("/customers/705").await;

    assert_eq!((deleted.status, again.status), (200, 404));
    assert_eq!(me(shop, &token, "gone").await.status, 401);
    assert_eq!(sign_in(shop, "deleted@example.com").await.status, 401);
    let anew = account(705, "deleted@example.com");
    assert_eq!(shop.admin.post("/customers", &anew).await.status, 201);
}

#[tokio::test]
async fn a_deletion_that_the_store_ended_half_way_is_repeated_and_ends_the_tokens() {
    let redis = Server::start(Options::default()).await;
    let shop = Shop::new().store(&redis.url()).start().await;
    let new = account(706, "half-way@example.com");
    assert_eq!(shop.admin.post("/customers", &new).await.status, 201);
    let token = sign_in(&shop, "half-way@example.com").await;
    assert_eq!(me(&shop, &token, "before").await.status, 200);
    // Of another type than it must be: what ends a user's tokens fails, all else works.
    redis.command(&["SET", REVOKED_BEFORE, "junk"]).await;

    let failed = shop.admin.delete("/customers/706").await;
    redis.command(&["DEL", REVOKED_BEFORE]).await;
    let again = shop.admin.delete("/customers/706").await;

    assert_eq!((failed.status, again.status), (503, 200), "{}", failed.text());
    assert_eq!(me(&shop, &token, "after").await.status, 401);
}

fn account(id: u64, username: &str) -> Value {
    json!({ "id": id, "username": username, "password": PASSWORD })
}

async fn sign_in(shop: &Shop, username: &str) -> Response {
    let credentials = json!({ "username": username, "password": PASSWORD });
    let call = Call::post("/rest/V1/integration/customer/token").json(&credentials);
    call.send(&shop.gateway).await
}

async fn me(shop: &Shop, token: &Response, mark: &str) -> Response {
    let bearer = format!("Bearer {}", token.json().as_str().unwrap_or_default());
    let call = Call::get(&format!("/rest/V1/customers/me/customer-{mark}")).header("Authorization", &bearer);
    call.send(&shop.gateway).await
}

const REVOKED_BEFORE: &str = "{countersign}:revoked-before:customer";
