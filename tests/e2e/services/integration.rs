//! `IntegrationService` (magento.md 4.7).

use harness::{Call, Shop, percent_encode};
use serde_json::{Value, json};

use super::{PRODUCTS, is_served, over_both_stores, refused};

over_both_stores!(
    integration_create,
    integration_create_refused,
    integration_create_name_taken,
    integration_update,
    integration_update_name_taken,
    integration_get,
    integration_find_by_name,
    integration_find_by_consumer_id,
    integration_find_active_integration_by_consumer_id,
    integration_delete,
    integration_get_selected_resources,
);

async fn integration_create(shop: &Shop) {
    let new = shop.integration().with("name", "Created by its service");
    let new = new.with("email", "erp@example.com").granted(&[PRODUCTS]);

    let made = new.send().await;

    let body = made.json();
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(
        (&body["status"], &body["setup"]),
        (&json!("inactive"), &json!("manual"))
    );
    assert_eq!(body["resources"], json!([PRODUCTS]));
    assert_eq!(body["consumer_key"].as_str().map(str::len), Some(32));
    let consumer = shop
        .admin
        .get(&format!("/consumers/{}", body["consumer_id"]))
        .await
        .json();
    assert_eq!(consumer["name"], format!("Integration{}", body["id"]));
    assert_eq!(consumer["integration_id"], body["id"]);
    assert_eq!(consumer["key"], body["consumer_key"]);
}

async fn integration_create_refused(shop: &Shop) {
    let required = "\"%fieldName\" is required. Enter and try again.";
    let email = format!("{}@example.com", "x".repeat(243));
    let cases = [
        ("name", json!(null), 400, required),
        ("name", json!(""), 400, required),
        ("name", json!("x".repeat(256)), 400, "name: at most 255 characters"),
        ("email", json!("nobody"), 400, "email: an e-mail address"),
        ("email", json!(email), 400, "email: an e-mail address"),
        ("endpoint", json!("nowhere"), 400, "endpoint: Invalid Callback URL"),
        ("endpoint", json!("http://10.0.0.1/callback"), 422, "endpoint: "),
        (
            "identity_link_url",
            json!("javascript:alert(1)"),
            400,
            "identity_link_url: Invalid Identity Link URL",
        ),
        (
            "resources",
            json!(["Magento_Catalog::product"]),
            400,
            "resources: resource \"Magento_Catalog::product\" is unknown; did you mean \"Magento_Catalog::products\"?",
        ),
    ];
    for (field, value, status, sentence) in cases {
        let answer = shop.integration().with(field, value).send().await;

        assert_eq!(answer.status, status, "{field}: {}", answer.text());
        assert!(
            answer.field("message").starts_with(sentence),
            "{field}: {}",
            answer.text()
        );
    }
    let fits = shop.integration().with("name", "é".repeat(255));
    assert_eq!(fits.send().await.status, 201);
}

async fn integration_create_name_taken(shop: &Shop) {
    shop.integration().with("name", "Taken by its service").created().await;

    let answer = shop.integration().with("name", "Taken by its service").send().await;

    assert_eq!(answer.status, 400);
    let expected =
        json!({ "message": "The integration with name \"%1\" exists.", "parameters": ["Taken by its service"] });
    assert_eq!(answer.json(), expected);
}

async fn integration_update(shop: &Shop) {
    let one = shop.integration().granted(&[PRODUCTS]).active().await;
    let path = format!("/integrations/{}", one.id);
    let before = shop.admin.get(&path).await.json();

    let new = json!({ "name": before["name"], "email": "new@example.com", "resources": ["Magento_Sales::sales"] });
    let answer = shop.admin.put(&path, &new).await;

    let after = answer.json();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        (&after["email"], &after["resources"]),
        (&new["email"], &new["resources"])
    );
    for kept in [
        "id",
        "name",
        "status",
        "setup",
        "consumer_id",
        "consumer_key",
        "created_at",
    ] {
        assert_eq!(after[kept], before[kept], "{kept}");
    }
    // The grant was saved along, and counts from now on; the tokens stay.
    assert_eq!(refused(shop, &one.credentials).await, (401, "resource_denied"));
    assert_eq!(shop.admin.put("/integrations/999999999", &new).await.status, 404);
}

async fn integration_update_name_taken(shop: &Shop) {
    shop.integration().with("name", "Somebody else's name").created().await;
    let id = shop.integration().with("name", "A name to keep").created().await;
    let path = format!("/integrations/{id}");

    let same = shop.admin.put(&path, &json!({ "name": "A name to keep" })).await;
    let taken = shop.admin.put(&path, &json!({ "name": "Somebody else's name" })).await;

    assert_eq!(same.status, 200, "{}", same.text());
    assert_eq!(taken.status, 400);
    assert_eq!(taken.field("message"), "The integration with name \"%1\" exists.");
    assert_eq!(shop.admin.get(&path).await.field("name"), "A name to keep");
}

async fn integration_get(shop: &Shop) {
    let one = shop.integration().granted(&[PRODUCTS]).active().await;

    let got = shop.admin.get(&format!("/integrations/{}", one.id)).await;
    let unknown = shop.admin.get("/integrations/999999999").await;

    let body = got.json();
    assert_eq!((body["id"].as_u64(), &body["status"]), (Some(one.id), &json!("active")));
    assert_eq!(body["resources"], json!([PRODUCTS]));
    let tokens = shop
        .admin
        .get(&format!("/consumers/{}/access-token", body["consumer_id"]))
        .await;
    assert_eq!(tokens.field("consumer_key"), body["consumer_key"]);
    assert_eq!(tokens.field("access_token"), one.credentials.token());
    assert_eq!(tokens.field("access_token_secret"), one.credentials.token_secret());
    assert_eq!(tokens.field("consumer_secret").len(), 32);
    assert_eq!(unknown.status, 404);
    let expected = json!({ "message": "The integration with ID \"%1\" doesn't exist.", "parameters": ["999999999"] });
    assert_eq!(unknown.json(), expected);
}

async fn integration_find_by_name(shop: &Shop) {
    let id = shop.integration().with("name", "To be found, by name").created().await;
    let find = async |name: &str| {
        shop.admin
            .get(&format!("/integrations?name={}", percent_encode(name)))
            .await
            .json()
    };

    let found = find("To be found, by name").await;
    let none = find("Nobody has this name").await;

    assert_eq!(
        (&found["total"], found["items"][0]["id"].as_u64()),
        (&json!(1), Some(id))
    );
    assert_eq!(none, json!({ "items": [], "next": null, "total": 0 }));
}

async fn integration_find_by_consumer_id(shop: &Shop) {
    let id = shop.integration().created().await;
    let consumer = shop
        .admin
        .get(&format!("/integrations/{id}"))
        .await
        .field("consumer_id");

    let found = shop
        .admin
        .get(&format!("/integrations?consumer_id={consumer}"))
        .await
        .json();
    let none = shop.admin.get("/integrations?consumer_id=999999999").await.json();

    assert_eq!(
        (&found["total"], found["items"][0]["id"].as_u64()),
        (&json!(1), Some(id))
    );
    assert_eq!(none, json!({ "items": [], "next": null, "total": 0 }));
}

async fn integration_find_active_integration_by_consumer_id(shop: &Shop) {
    let id = shop.integration().created().await;
    let consumer = shop
        .admin
        .get(&format!("/integrations/{id}"))
        .await
        .field("consumer_id");
    let find = async |status: &str| {
        let path = format!("/integrations?consumer_id={consumer}&status={status}");
        shop.admin.get(&path).await.json()["total"].clone()
    };

    let before = (find("active").await, find("inactive").await);
    shop.admin.activate(id).await;
    let after = (find("active").await, find("inactive").await);

    assert_eq!(before, (json!(0), json!(1)));
    assert_eq!(after, (json!(1), json!(0)));
}

async fn integration_delete(shop: &Shop) {
    let one = shop.integration().granted(&[PRODUCTS]).active().await;
    let path = format!("/integrations/{}", one.id);
    let before = shop.admin.get(&path).await.json();
    assert!(is_served(shop, &one.credentials).await);

    let gone = shop.admin.delete(&path).await;

    assert_eq!((gone.status, gone.json()), (200, before.clone()));
    assert_eq!(shop.admin.get(&path).await.status, 404);
    let consumer = shop.admin.get(&format!("/consumers/{}", before["consumer_id"])).await;
    assert_eq!(consumer.status, 404);
    assert_eq!(refused(shop, &one.credentials).await, (401, "consumer_key_unknown"));
    let again = shop.admin.delete(&path).await;
    assert_eq!(again.status, 404);
    assert_eq!(again.field("message"), "The integration with ID \"%1\" doesn't exist.");
    // Numbers are never given again.
    assert!(shop.integration().created().await > one.id);
}

async fn integration_get_selected_resources(shop: &Shop) {
    let some = shop.integration().granted(&[PRODUCTS]).created().await;
    let all = shop.integration().granted_all().created().await;
    let none = shop.integration().created().await;
    let selected = async |id| {
        let call = Call::get(&format!("/api/v1/integrations/{id}/resources"));
        shop.admin.call(call).await.json()
    };

    assert_eq!(selected(some).await, json!({ "all": false, "resources": [PRODUCTS] }));
    assert_eq!(selected(none).await, json!({ "all": false, "resources": [] }));
    // "all" expands to the whole tree.
    let tree = shop.admin.get("/resources").await.json();
    let ids: Vec<Value> = tree["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].clone())
        .collect();
    assert_eq!(selected(all).await, json!({ "all": true, "resources": ids }));
    assert!(ids.len() > 3);
}
