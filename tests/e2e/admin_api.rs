//! The admin API's calls: what they take, refuse and answer.

use harness::{Call, Response, Shop, percent_encode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

#[tokio::test]
async fn a_new_integration_is_answered_as_it_is() {
    let shop = Shop::shared().await;

    let made = shop
        .integration()
        .with("name", "As it is")
        .with("email", "erp@example.com")
        .send()
        .await;

    let body = made.json();
    assert_eq!(made.status, 201);
    assert!(made.header("etag").is_some());
    assert_eq!(body["status"], "inactive");
    assert_eq!(body["setup"], "manual");
    assert_eq!(body["all_resources"], false);
    assert_eq!(body["signature_methods"], Value::Null);
    assert_eq!(body["two_legged"], false);
    assert_eq!(body["consumer_key"].as_str().map(str::len), Some(32));
    assert!(!made.text().contains("secret"));
    let again = shop.admin.get(&format!("/integrations/{}", body["id"])).await;
    assert_eq!((again.json(), again.header("etag")), (body, made.header("etag")));
}

#[tokio::test]
async fn fields_are_refused_with_their_sentence() {
    let shop = Shop::shared().await;
    let long = "x".repeat(256);
    let wrong: [(&str, Value, &str); 12] = [
        ("name", json!(""), "\"%fieldName\" is required. Enter and try again."),
        ("name", json!("  "), "\"%fieldName\" is required. Enter and try again."),
        ("name", json!(long), "name: "),
        ("name", json!("a\u{0}b"), "name: "),
        ("email", json!("nobody"), "email: "),
        ("identity_link_url", json!("javascript:alert(1)"), "identity_link_url: "),
        ("endpoint", json!("nowhere"), "endpoint: Invalid Callback URL"),
        ("signature_methods", json!(["MD5"]), "signature_methods: "),
        ("placements", json!(["cookie"]), "placements: "),
        ("flags", json!(["unknown"]), "flags: "),
        ("callback_urls", json!(["https://u@app.example/"]), "callback_urls: "),
        ("rsa_public_key", json!("no key"), "rsa_public_key: "),
    ];
    for (field, value, sentence) in wrong {
        let refused = shop.integration().with(field, value).send().await;

        assert_eq!(refused.status, 400, "{field}");
        assert!(
            refused.field("message").starts_with(sentence),
            "{field}: {}",
            refused.text()
        );
    }
}

#[tokio::test]
async fn unknown_fields_and_wrong_types_are_refused() {
    let shop = Shop::shared().await;
    let bodies = [
        json!({ "name": "x", "statsu": "active" }),
        json!({ "name": 1 }),
        json!({ "name": ["x"] }),
        json!([]),
        json!("x"),
    ];
    for body in bodies {
        assert_eq!(shop.admin.post("/integrations", &body).await.status, 400, "{body}");
    }
}

#[tokio::test]
async fn bodies_that_are_no_json_are_refused() {
    let shop = Shop::shared().await;
    let post = |content_type: &str, body: &[u8]| Call::post("/api/v1/integrations").body(content_type, body);
    let deep = "[".repeat(100_000);

    for body in [
        b"{".as_slice(),
        b"\xFF\xFE",
        b"{\"name\":\"\xC3\"}",
        b"",
        deep.as_bytes(),
    ] {
        assert_eq!(shop.admin.call(post("application/json", body)).await.status, 400);
    }
    assert_eq!(shop.admin.call(post("text/plain", b"{}")).await.status, 415);
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(2_000_000));
    assert_eq!(
        shop.admin.call(post("application/json", large.as_bytes())).await.status,
        413
    );
}

#[tokio::test]
async fn of_many_with_one_name_at_once_one_is_made() {
    let shop = Shop::shared().await;
    let mut calls = JoinSet::new();
    for _ in 0..8 {
        calls.spawn(async move { shop.integration().with("name", "Raced name").send().await.status });
    }

    let mut statuses = calls.join_all().await;

    statuses.sort_unstable();
    assert_eq!(statuses, [201, 400, 400, 400, 400, 400, 400, 400]);
}

#[tokio::test]
async fn a_change_keeps_credentials_and_status() {
    let shop = Shop::shared().await;
    let integration = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .active()
        .await;
    let body = json!({ "name": format!("Kept {}", integration.id), "resources": ["Magento_Catalog::products"] });

    let changed = shop
        .admin
        .put(&format!("/integrations/{}", integration.id), &body)
        .await;

    assert_eq!((changed.status, changed.field("status")), (200, "active".to_owned()));
    let call = Call::get("/rest/V1/products/kept-credentials").signed_by(&integration.credentials);
    assert_eq!(call.send(&shop.gateway).await.status, 200);
}

#[tokio::test]
async fn ids_are_never_given_again() {
    let shop = Shop::shared().await;
    let first = shop.integration().created().await;
    shop.admin.delete(&format!("/integrations/{first}")).await;

    let second = shop.integration().created().await;

    assert!(second > first);
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill() {
    let shop = Shop::new().start().await;
    let kept = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .active()
        .await;
    let gone = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .active()
        .await;
    assert_eq!(
        shop.admin.delete(&format!("/integrations/{}", gone.id)).await.status,
        200
    );

    shop.gateway.kill();
    shop.gateway.start_again().await;

    let get = async |credentials| {
        Call::get("/rest/V1/products/durable")
            .signed_by(credentials)
            .send(&shop.gateway)
            .await
    };
    assert_eq!(get(&kept.credentials).await.status, 200);
    assert_eq!(get(&gone.credentials).await.refusal(), (401, "consumer_key_unknown"));
}

#[tokio::test]
async fn integrations_are_listed_by_page_name_status_and_consumer() {
    let shop = Shop::new().start().await;
    for name in ["Alpha", "Beta", "Gamma"] {
        shop.integration().with("name", name).created().await;
    }
    let active = shop.integration().with("name", "Delta").active().await;

    let names = |answer: &Response| -> Vec<String> {
        let items = answer.json()["items"].as_array().cloned().unwrap_or_default();
        items
            .iter()
            .filter_map(|one| one["name"].as_str().map(str::to_owned))
            .collect()
    };
    let first = shop.admin.get("/integrations?sort=name&limit=3").await;
    let next = percent_encode(&first.field("next"));
    let second = shop
        .admin
        .get(&format!("/integrations?sort=name&limit=3&after={next}"))
        .await;
    let active_ones = shop.admin.get("/integrations?status=active").await;
    let consumer = active_ones.json()["items"][0]["consumer_id"].clone();

    assert_eq!(names(&first), ["Alpha", "Beta", "Delta"]);
    assert_eq!(
        (names(&second), second.json()["next"].clone()),
        (vec!["Gamma".to_owned()], Value::Null)
    );
    assert_eq!(first.json()["total"], 4);
    assert_eq!(names(&active_ones), ["Delta"]);
    assert_eq!(
        names(&shop.admin.get(&format!("/integrations?consumer_id={consumer}")).await),
        ["Delta"]
    );
    assert_eq!(names(&shop.admin.get("/integrations?name=amm").await), ["Gamma"]);
    assert_eq!(
        active.id,
        active_ones.json()["items"][0]["id"].as_u64().unwrap_or_default()
    );
    assert_eq!(shop.admin.get("/integrations?sort=secret").await.status, 400);
    assert_eq!(shop.admin.get("/integrations?unknown=1").await.status, 400);
}

#[tokio::test]
async fn a_list_that_is_asked_what_it_does_not_know_says_so() {
    let shop = Shop::shared().await;

    for list in [
        "integrations",
        "consumers",
        "customers",
        "tokens",
        "resources",
        "routes",
        "upstreams",
        "limits",
        "sweeps",
        "usage",
        "audit",
        "rejections",
        "traffic",
        "events/dead",
    ] {
        let refused = shop.admin.get(&format!("/{list}?colour=blue")).await;
        assert_eq!(refused.status, 400, "{list}: {}", refused.text());
    }
}
