//! What the admin API says of a body or a query that it can't take: the field and what it must be, never a parser's words.

use harness::{Call, PASSWORD, Shop};
use serde_json::{Value, json};

#[tokio::test]
async fn a_field_of_the_wrong_type_is_named_with_what_it_must_be() {
    let shop = Shop::shared().await;
    let account = |role: Value| json!({ "username": "bodies", "password": PASSWORD, "role": role });
    let cases = [
        (
            "/admins",
            account(json!("boss")),
            json!({ "fieldName": "role", "expected": "one of \"viewer\", \"operator\", \"admin\"" }),
        ),
        (
            "/admins",
            json!({ "username": 5 }),
            json!({ "fieldName": "username", "expected": "a text" }),
        ),
        (
            "/integrations",
            json!({ "resources": [1] }),
            json!({ "fieldName": "resources[0]", "expected": "a text" }),
        ),
        (
            "/integrations",
            json!({ "two_legged": "no" }),
            json!({ "fieldName": "two_legged", "expected": "true or false" }),
        ),
    ];
    for (path, body, parameters) in cases {
        let refused = shop.admin.post(path, &body).await;

        assert_eq!(refused.status, 400, "{body}: {}", refused.text());
        assert_eq!(refused.json()["message"], "\"%fieldName\" must be %expected.");
        assert_eq!(refused.json()["parameters"], parameters, "{body}");
    }
    let unknown = shop.admin.post("/consumers", &json!({ "nmae": "x" })).await;
    assert_eq!(
        unknown.json()["message"],
        "\"%fieldName\" is no field here. Expected: %expected."
    );
    assert_eq!(unknown.json()["parameters"]["fieldName"], "nmae");
}

#[tokio::test]
async fn a_list_is_no_object() {
    let shop = Shop::shared().await;
    let cases = [
        ("/admins", json!(["bodies-list", PASSWORD, "viewer", ""])),
        ("/consumers", json!(["x", null, null])),
        ("/tokens", json!(["first-admin", PASSWORD, null])),
    ];
    for (path, body) in cases {
        let refused = shop.admin.post(path, &body).await;

        assert_eq!(
            (refused.status, refused.field("message")),
            (400, "The body must be a JSON object.".to_owned()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn what_is_no_json_is_said_to_be_none() {
    let shop = Shop::shared().await;
    let call = Call::post("/api/v1/integrations").body("application/json", b"{\"name\":");

    let refused = shop.admin.call(call).await;

    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["message"], "The body is not JSON: %1.");
    let form = Call::post("/api/v1/integrations").form("name=x");
    assert_eq!(shop.admin.call(form).await.status, 415);
}

#[tokio::test]
async fn where_every_field_may_be_left_out_so_may_the_body() {
    let shop = Shop::shared().await;
    let endpoint = shop.partner.endpoint();
    let id = shop.integration().with("endpoint", endpoint.as_str()).created().await;
    let consumer = shop
        .admin
        .get(&format!("/integrations/{id}"))
        .await
        .field("consumer_id");

    let rotated = shop
        .admin
        .post(&format!("/integrations/{id}/rotate-secret"), &Value::Null)
        .await;
    let posted = shop
        .admin
        .post(&format!("/consumers/{consumer}/verifier"), &Value::Null)
        .await;

    assert_eq!(rotated.status, 200, "{}", rotated.text());
    // To its integration's endpoint.
    assert_eq!(posted.status, 200, "{}", posted.text());
    assert_eq!(shop.partner.posts(&endpoint).len(), 1);
    let nothing = shop.admin.post("/consumers", &Value::Null).await;
    assert_eq!(nothing.json()["parameters"], json!({ "fieldName": "name" }));
}

#[tokio::test]
async fn what_nobody_could_sign_with_or_call_is_refused() {
    let shop = Shop::shared().await;
    let long = format!("https://partner.example/{}", "x".repeat(240));
    let wrong = [
        ("signature_methods", json!([])),
        ("placements", json!([])),
        ("endpoint", json!(long)),
        ("identity_link_url", json!(long)),
        ("endpoint", json!("https://partner.example:0/")),
        ("callback_urls", json!(["https://partner.example:0/"])),
        ("name", json!(" Outer spaces ")),
        ("name", json!("Turned \u{202E}round")),
    ];
    for (field, value) in wrong {
        let refused = shop.integration().with(field, value.clone()).send().await;

        assert_eq!(refused.status, 400, "{field}: {value}");
        let message = refused.field("message");
        assert!(message.starts_with(&format!("{field}: ")), "{message}");
    }
    for name in ["x".repeat(256), " x".to_owned(), "x\ny".to_owned()] {
        let refused = shop.admin.post("/consumers", &json!({ "name": name })).await;
        assert_eq!(refused.status, 400, "{name}");
    }
}

#[tokio::test]
async fn an_admins_address_is_one() {
    let shop = Shop::shared().await;
    let account =
        |email: &str| json!({ "username": "addressed", "password": PASSWORD, "role": "viewer", "email": email });

    let refused = shop.admin.post("/admins", &account("nobody")).await;
    let made = shop.admin.post("/admins", &account("who@example.com")).await;
    let path = format!("/admins/{}", made.field("id"));
    let changed = shop.admin.put(&path, &json!({ "email": "nobody@nowhere" })).await;
    let emptied = shop.admin.put(&path, &json!({ "email": "" })).await;

    assert_eq!((refused.status, made.status), (400, 201));
    assert_eq!((changed.status, emptied.status), (400, 200));
}

#[tokio::test]
async fn a_secret_that_was_replaced_ends_within_ninety_days() {
    let shop = Shop::shared().await;
    let id = shop.integration().created().await;
    let rotate = async |grace: &str| {
        let path = format!("/integrations/{id}/rotate-secret");
        shop.admin.post(&path, &json!({ "grace": grace })).await
    };

    let (long, longest) = (rotate("91d").await, rotate("90d").await);

    assert_eq!((long.status, longest.status), (400, 200), "{}", long.text());
    assert!(long.field("message").contains("90d"), "{}", long.text());
}

#[tokio::test]
async fn a_page_has_one_item_at_least() {
    let shop = Shop::shared().await;

    for path in [
        "/integrations",
        "/audit",
        "/tokens",
        "/routes",
        "/usage",
        "/rejections",
        "/events/dead",
    ] {
        let refused = shop.admin.get(&format!("{path}?limit=0")).await;

        assert_eq!(refused.status, 400, "{path}");
        let expected = json!({ "fieldName": "limit", "expected": "a number from 1" });
        assert_eq!(refused.json()["parameters"], expected, "{path}");
    }
}
