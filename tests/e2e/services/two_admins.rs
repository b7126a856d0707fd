//! Two admins at once: who changes what the other has changed meanwhile is told, and nothing is lost.

use harness::{ADMIN, Admin, Call, PASSWORD, Shop};
use serde_json::{Value, json};

use super::{PRODUCTS, over_both_stores};

over_both_stores!(
    an_edit_of_what_changed_meanwhile_is_refused_and_nothing_is_lost,
    a_grant_over_what_changed_meanwhile_is_refused,
    a_deletion_of_what_changed_meanwhile_is_refused,
    an_edit_after_an_activation_is_of_another_version,
    an_edit_without_a_version_is_refused,
);

async fn an_edit_of_what_changed_meanwhile_is_refused_and_nothing_is_lost(shop: &Shop) {
    let id = shop.integration().with("name", "Edited by two").created().await;
    let path = format!("/integrations/{id}");
    let (mine, theirs) = (version(shop, &path).await, version(shop, &path).await);

    let first = json!({ "name": "Edited by two", "email": "first@example.com", "resources": [PRODUCTS] });
    let second = json!({ "name": "Edited by two", "email": "second@example.com" });
    let done = change(shop, "PUT", &path, &mine, Some(&first)).await;
    let late = change(shop, "PUT", &path, &theirs, Some(&second)).await;

    assert_eq!((done, late), (200, 412));
    let now = shop.admin.get(&path).await.json();
    assert_eq!(
        (&now["email"], &now["resources"]),
        (&json!("first@example.com"), &json!([PRODUCTS]))
    );
    // Read again and repeated, it is made.
    let read_again = version(shop, &path).await;
    assert_eq!(change(shop, "PUT", &path, &read_again, Some(&second)).await, 200);
}

async fn a_grant_over_what_changed_meanwhile_is_refused(shop: &Shop) {
    let id = shop.integration().created().await;
    let path = format!("/integrations/{id}");
    let before = version(shop, &path).await;
    shop.admin.put(&format!("{path}/resources"), &json!([PRODUCTS])).await;

    let late = change(shop, "PUT", &format!("{path}/resources"), &before, Some(&json!([]))).await;
    let taken = change(shop, "DELETE", &format!("{path}/resources"), &before, None).await;

    assert_eq!((late, taken), (412, 412));
    assert_eq!(shop.admin.get(&path).await.json()["resources"], json!([PRODUCTS]));
}

async fn a_deletion_of_what_changed_meanwhile_is_refused(shop: &Shop) {
    let id = shop.integration().created().await;
    let path = format!("/integrations/{id}");
    let before = version(shop, &path).await;
    shop.admin.put(&format!("{path}/resources"), &json!([PRODUCTS])).await;

    let late = change(shop, "DELETE", &path, &before, None).await;

    assert_eq!(late, 412);
    assert_eq!(shop.admin.get(&path).await.status, 200);
}

async fn an_edit_after_an_activation_is_of_another_version(shop: &Shop) {
    let id = shop
        .integration()
        .with("name", format!("Activated between {}", shop.gateway.process_id()))
        .created()
        .await;
    let path = format!("/integrations/{id}");
    let before = version(shop, &path).await;
    shop.admin.activate(id).await;

    let late = change(shop, "PUT", &path, &before, Some(&json!({ "name": "Lost" }))).await;

    assert_eq!(late, 412);
    assert_eq!(shop.admin.status(id).await, "active");
}

async fn an_edit_without_a_version_is_refused(shop: &Shop) {
    let id = shop.integration().created().await;
    let path = format!("/api/v1/integrations/{id}");

    let put = shop
        .admin
        .call(Call::new("PUT", &path).json(&json!({ "name": "x" })))
        .await;
    let delete = shop.admin.call(Call::new("DELETE", &path)).await;

    assert_eq!((put.status, delete.status), (428, 428));
    assert_eq!(shop.admin.status(id).await, "inactive");
}

async fn version(shop: &Shop, path: &str) -> String {
    shop.admin.get(path).await.header("etag").unwrap().to_owned()
}

/// By an admin of their own.
async fn change(shop: &Shop, method: &str, path: &str, version: &str, body: Option<&Value>) -> u16 {
    let call = Call::new(method, &format!("/api/v1{path}")).header("If-Match", version);
    let call = match body {
        Some(body) => call.json(body),
        None => call,
    };
    let other = Admin::sign_in(shop.gateway.admin(), ADMIN, PASSWORD).await;
    other.call(call).await.status
}
