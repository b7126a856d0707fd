//! The API's own description: what is answered is as it is described.

use harness::{Call, PASSWORD, Response, Shop};
use serde_json::{Value, json};

#[tokio::test]
async fn anybody_may_read_the_description() {
    let shop = Shop::shared().await;

    let document = shop.gateway.admin_call(Call::get("/api/v1/openapi.json")).await;

    assert_eq!(document.status, 200);
    assert_eq!(document.json()["openapi"], "3.1.0");
    assert_eq!(document.json()["servers"], json!([{ "url": "/api/v1" }]));
}

#[tokio::test]
async fn what_is_read_is_as_it_is_described() {
    let (shop, _) = Shop::with_customer().await;
    let one = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .active()
        .await;
    Call::get("/rest/V1/products/described")
        .signed_by(&one.credentials)
        .send(&shop.gateway)
        .await;
    let integration = shop.admin.get(&format!("/integrations/{}", one.id)).await.json();
    let admin = shop.admin.get("/admins").await.json()["items"][0]["id"].clone();
    let calls = [
        ("/tokens", String::new()),
        ("/integrations", String::new()),
        ("/integrations/{id}", one.id.to_string()),
        ("/integrations/{id}/resources", one.id.to_string()),
        ("/integrations/{id}/handshake", one.id.to_string()),
        (
            "/consumers",
            format!("?key={}", integration["consumer_key"].as_str().unwrap()),
        ),
        ("/consumers/{id}", integration["consumer_id"].to_string()),
        ("/consumers/{id}/access-token", integration["consumer_id"].to_string()),
        ("/admins", String::new()),
        ("/admins/{id}", admin.to_string()),
        ("/resources", String::new()),
        ("/routes", String::new()),
        ("/upstreams", String::new()),
        ("/limits", String::new()),
        ("/usage", String::new()),
        ("/audit", String::new()),
        ("/events/dead", String::new()),
        ("/sweeps", String::new()),
    ];
    for (path, what) in calls {
        let called = if what.starts_with('?') {
            format!("{path}{what}")
        } else {
            path.replace("{id}", &what)
        };
        assert_described(shop, ("get", path), &shop.admin.get(&called).await).await;
    }
}

#[tokio::test]
async fn what_is_changed_is_answered_as_it_is_described() {
    let shop = Shop::shared().await;
    let none = Value::Null;
    let made = shop.integration().send().await;
    let id = made.field("id");
    let own = |rest: &str| format!("/integrations/{id}{rest}");
    assert_described(shop, ("post", "/integrations"), &made).await;
    let activated = shop.admin.post(&own("/activate"), &none).await;
    assert_described(shop, ("post", "/integrations/{id}/activate"), &activated).await;
    let rotated = shop.admin.post(&own("/rotate-secret"), &json!({})).await;
    assert_described(shop, ("post", "/integrations/{id}/rotate-secret"), &rotated).await;
    let granted = shop.admin.put(&own("/resources"), &json!([])).await;
    assert_described(shop, ("put", "/integrations/{id}/resources"), &granted).await;
    let consumer = shop.admin.post("/consumers", &json!({ "name": "Described" })).await;
    assert_described(shop, ("post", "/consumers"), &consumer).await;
    let path = format!("/consumers/{}/access-token", consumer.field("id"));
    let token = shop.admin.post(&path, &none).await;
    assert_described(shop, ("post", "/consumers/{id}/access-token"), &token).await;
    let ended = shop.admin.delete(&path).await;
    assert_described(shop, ("delete", "/consumers/{id}/access-token"), &ended).await;
    let new = json!({ "username": "described", "password": PASSWORD, "role": "viewer" });
    let account = shop.admin.post("/admins", &new).await;
    assert_described(shop, ("post", "/admins"), &account).await;
    let enrolled = shop
        .admin
        .post(&format!("/admins/{}/totp", account.field("id")), &none)
        .await;
    assert_described(shop, ("post", "/admins/{id}/totp"), &enrolled).await;
    let tried = json!({ "method": "GET", "url": "/rest/V1/products", "integration_id": made.json()["id"] });
    let tried = shop.admin.post("/routes/test", &tried).await;
    assert_described(shop, ("post", "/routes/test"), &tried).await;
    let pasted = json!({ "request": "GET / HTTP/1.1\nHost: h\nAuthorization: OAuth oauth_token=\"t\"\n\n" });
    let pasted = shop.admin.post("/explain", &pasted).await;
    assert_described(shop, ("post", "/explain"), &pasted).await;
    let swept = shop.admin.post("/sweeps/expired_tokens_cleanup", &none).await;
    assert_described(shop, ("post", "/sweeps/{name}"), &swept).await;
    let gone = shop.admin.delete(&own("")).await;
    assert_described(shop, ("delete", "/integrations/{id}"), &gone).await;
}

#[tokio::test]
async fn refusals_are_as_they_are_described() {
    let shop = Shop::shared().await;
    let path = "/integrations/{id}";

    let unknown = shop.admin.get("/integrations/999999999").await;
    let unsigned = shop.gateway.admin_call(Call::get("/api/v1/integrations/1")).await;
    let bad = shop.admin.post("/integrations", &json!({})).await;

    assert_eq!((unknown.status, unsigned.status, bad.status), (404, 401, 400));
    assert_described(shop, ("get", path), &unknown).await;
    assert_described(shop, ("get", path), &unsigned).await;
    assert_described(shop, ("post", "/integrations"), &bad).await;
}

/// The answer's status is among those of the call, and its body fits the schema there.
async fn assert_described(shop: &Shop, (method, path): (&str, &str), answer: &Response) {
    let document = shop.gateway.admin_call(Call::get("/api/v1/openapi.json")).await.json();
    let described = &document["paths"][path][method]["responses"][answer.status.to_string()];
    assert!(
        described.is_object(),
        "{method} {path} {}: {}",
        answer.status,
        answer.text()
    );
    let schema = &described["content"]["application/json"]["schema"];
    assert_fits(&document, schema, &answer.json(), &format!("{method} {path}"));
}

/// The part of JSON Schema that the description uses.
fn assert_fits(document: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let schema = document.pointer(reference.trim_start_matches('#')).unwrap();
        return assert_fits(document, schema, value, at);
    }
    if let Some(words) = schema["enum"].as_array() {
        assert!(words.contains(value), "{at}: {value} is none of {words:?}");
    }
    if let Some(forms) = schema["oneOf"].as_array() {
        let is_null = |form: &&Value| form["type"] == "null";
        let form = if value.is_null() {
            forms.iter().find(is_null)
        } else {
            forms.iter().find(|form| !is_null(form))
        };
        return assert_fits(document, form.unwrap(), value, at);
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() || number.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let takes = |wanted: &Value| *wanted == kind || (wanted == "number" && kind == "integer");
    let kinds = schema["type"].as_array();
    let fits = schema["type"].is_null() || takes(&schema["type"]) || kinds.is_some_and(|kinds| kinds.iter().any(takes));
    assert!(fits, "{at}: {value} is no {}", schema["type"]);
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        for value in values {
            assert_fits(document, items, value, &format!("{at}[]"));
        }
    }
    let (Some(properties), Some(members)) = (schema["properties"].as_object(), value.as_object()) else {
        return;
    };
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(
            members.contains_key(name.as_str().unwrap()),
            "{at}: {name} is missing in {value}"
        );
    }
    for (name, value) in members {
        let schema = properties.get(name);
        assert!(schema.is_some(), "{at}: {name} is not described");
        assert_fits(document, schema.unwrap(), value, &format!("{at}.{name}"));
    }
}
