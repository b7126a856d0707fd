//! A request that somebody pastes, explained by the admin API.

use harness::{Admin, Call, Shop, Signing, now};
use serde_json::{Value, json};

use crate::explain::{ids, without_query};

#[tokio::test]
async fn a_pasted_request_is_explained_with_the_stores_secrets() {
    let shop = Shop::shared().await;
    let one = shop.integration().granted_all().active().await;
    let raw = raw(shop, &without_query(shop, &one));

    let answer = shop.admin.post("/explain", &json!({ "request": raw })).await;

    assert_eq!(answer.status, 200, "{}", answer.text());
    let told = answer.json();
    assert_eq!(
        (&told["result"], ids(&told)),
        (&json!("diagnosed"), vec!["E20".to_owned()])
    );
    assert_eq!(told["consumer_key"], one.credentials.consumer_key);
    assert_eq!(told["integration_id"], one.id);
    assert!(told["base_string"].as_str().unwrap().contains("%26page%3D2"), "{told}");
    for secret in [&*one.credentials.consumer_secret, one.credentials.token_secret()] {
        assert!(!answer.text().contains(secret));
    }
}

#[tokio::test]
async fn a_sound_request_is_valid_however_old_it_is_and_its_clock_is_judged_when_that_is_asked() {
    let shop = Shop::shared().await;
    let one = shop.integration().granted_all().active().await;
    let old = Call::get("/rest/V1/products/old").signed(Signing::with(&one.credentials).at(-86_400));
    let raw = raw(shop, &old);

    let sound = shop.admin.post("/explain", &json!({ "request": raw })).await.json();
    let late = json!({ "request": raw, "received_at": now() });
    let late = shop.admin.post("/explain", &late).await.json();

    assert_eq!((&sound["result"], &sound["cost"]["macs"]), (&json!("valid"), &json!(1)));
    assert_eq!(ids(&late), ["N1"]);
}

#[tokio::test]
async fn given_secrets_are_tried_in_place_of_the_stores_and_never_written_down() {
    let shop = Shop::shared().await;
    let one = shop.integration().granted_all().active().await;
    let raw = raw(shop, &without_query(shop, &one));
    let given = json!({ "consumer_secret": "made-up-secret", "token_secret": "another-made-up" });
    let own = json!({
        "consumer_secret": *one.credentials.consumer_secret,
        "token_secret": one.credentials.token_secret(),
    });
    let ask = async |secrets: &Value| {
        let body = json!({ "request": raw, "secrets": secrets });
        shop.admin.post("/explain", &body).await.json()
    };

    let wrong = ask(&given).await;
    let right = ask(&own).await;

    assert_eq!(wrong["result"], "unknown");
    assert_eq!(ids(&right), ["E20"]);
    assert_eq!(right["integration_id"], Value::Null);
    let audit = shop.admin.get("/audit?limit=1000").await.text();
    assert!(!audit.contains("made-up") && !audit.contains(one.credentials.token_secret()));
}

#[tokio::test]
async fn the_secrets_of_another_consumer_are_not_tried() {
    let shop = Shop::shared().await;
    let (one, other) = (
        shop.integration().granted_all().active().await,
        shop.integration().granted_all().active().await,
    );
    let mut mixed = other.credentials.clone();
    mixed.consumer_key.clone_from(&one.credentials.consumer_key);
    let mixed = raw(
        shop,
        &Call::get("/rest/V1/products/a").signed_by(&mixed.without_token()),
    );
    let mut unknown = one.credentials.clone();
    unknown.consumer_key = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk".to_owned();
    let unknown = raw(shop, &Call::get("/rest/V1/products/a").signed_by(&unknown));

    let mixed = shop.admin.post("/explain", &json!({ "request": mixed })).await.json();
    let unknown = shop.admin.post("/explain", &json!({ "request": unknown })).await.json();

    assert_eq!(mixed["result"], "unknown", "{mixed}");
    assert_eq!(
        (ids(&unknown), &unknown["cost"]["macs"]),
        (vec!["N2".to_owned()], &json!(0))
    );
}

#[tokio::test]
async fn what_is_no_request_is_malformed_and_what_is_too_long_or_absent_is_refused() {
    let shop = Shop::shared().await;
    let ask = async |body: &Value| shop.admin.post("/explain", body).await;

    let text = ask(&json!({ "request": "hello" })).await.json();
    let unsigned = ask(&json!({ "request": "GET / HTTP/1.1\nHost: h\n\n" })).await.json();
    let long = format!("POST / HTTP/1.1\n\n{}", "x".repeat(256 * 1024));
    let long = ask(&json!({ "request": long })).await;
    let absent = ask(&json!({ "request": " \n" })).await;
    let address = json!({ "request": "GET / HTTP/1.1\nHost: h\n\n", "secrets": { "base_url": "shop" } });
    let address = ask(&address).await;

    assert_eq!(
        (&text["result"], ids(&text)),
        (&json!("malformed"), vec!["N5".to_owned()])
    );
    assert_eq!(ids(&unsigned), ["N6"]);
    assert_eq!((long.status, absent.status, address.status), (413, 400, 400));
    assert!(address.text().contains("base_url: "), "{}", address.text());
    assert!(absent.text().contains("fieldName"), "{}", absent.text());
}

#[tokio::test]
async fn a_body_that_is_not_taken_is_refused_without_a_word_of_it() {
    let shop = Shop::shared().await;

    for body in [
        json!({ "request": "GET / HTTP/1.1", "secrets": { "consumer_secret": ["geheim"] } }),
        json!({ "request": "GET / HTTP/1.1", "geheim": 1 }),
        json!("geheim"),
    ] {
        let refused = shop.admin.post("/explain", &body).await;

        assert_eq!(refused.status, 400, "{}", refused.text());
        assert!(!refused.text().contains("geheim"), "{}", refused.text());
    }
}

#[tokio::test]
async fn explaining_takes_an_operator_is_audited_and_counted_with_the_integrations_other_explanations() {
    let shop = Shop::new().start().await;
    let one = shop.integration().granted_all().active().await;
    let operator = shop.admin.colleague("operator").await;
    let viewer = shop.admin.colleague("viewer").await;
    let call = without_query(&shop, &one);
    let body = json!({ "request": raw(&shop, &call) });
    let refused = call.send(&shop.gateway).await;
    let of_refusal = format!("/rejections/{}", refused.header("X-Request-Id").unwrap());

    let began = now() / 60;
    let first = operator.post("/explain", &body).await;
    for _ in 0..29 {
        operator.get(&of_refusal).await;
    }
    let one_too_many = operator.post("/explain", &body).await;
    let given = json!({ "request": body["request"], "secrets": {} });
    let given = operator.post("/explain", &given).await;

    assert_eq!(first.status, 200);
    assert_eq!(viewer.post("/explain", &body).await.status, 403);
    if began == now() / 60 {
        assert_eq!(one_too_many.status, 429, "{}", one_too_many.text());
        assert!(one_too_many.header("Retry-After").is_some());
    }
    assert_eq!(given.status, 200, "given secrets confirm no guess");
    let entry = audited(&shop.admin).await;
    assert_eq!(entry["subject"], format!("integration/{}", one.id));
    assert_eq!(
        entry["after"],
        json!({ "result": "diagnosed", "diagnosis": ["E20"], "secrets": "store" })
    );
}

fn raw(shop: &Shop, call: &Call) -> String {
    String::from_utf8(call.to(&shop.gateway).octets()).unwrap()
}

async fn audited(admin: &Admin) -> Value {
    let audit = admin.get("/audit?limit=1000").await.json();
    let mut entries = audit["items"].as_array().unwrap().iter();
    entries
        .find(|entry| entry["action"] == "request.explained")
        .unwrap()
        .clone()
}
