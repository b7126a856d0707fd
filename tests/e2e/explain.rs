//! Refusals explained by the running gateway: kept, asked for by an admin, told to who has a debug token.

use harness::{Admin, Call, Integration, PASSWORD, Response, Shop, Signing, now};
use serde_json::{Value, json};

use crate::explain_debug_token::debug_token;

#[tokio::test]
async fn an_admin_is_told_why_a_request_was_refused() {
    let shop = Shop::shared().await;
    let reader = shop.integration().granted_all().active().await;
    let refused = without_query(shop, &reader).send(&shop.gateway).await;

    let answer = explained(&shop.admin, &refused).await.json();

    assert_eq!(refused.status, 401);
    assert_eq!(answer["result"], "diagnosed");
    assert_eq!(ids(&answer), ["E20"]);
    assert_eq!(answer["request_id"].as_str(), refused.header("X-Request-Id"));
    assert_eq!(answer["cause"], "signature_invalid");
    assert_eq!(answer["integration_id"], reader.id);
    assert_eq!(answer["key_shape"], "<consumer secret>&<token secret>");
    let base = answer["base_string"].as_str().unwrap();
    assert!(base.contains("%26page%3D2"), "{base}");
    let whole = answer.to_string();
    assert!(!whole.contains(&reader.credentials.consumer_secret) && !whole.contains(reader.credentials.token_secret()));
}

#[tokio::test]
async fn each_kind_of_mistake_is_seen_with_the_stores_secrets() {
    let shop = Shop::shared().await;
    let path = "/rest/V1/products/kinds";
    let url = format!("{}{path}", shop.gateway.base_url()).replace("http://", "https://");
    let one = shop.integration().granted_all().active().await;
    let signing = || Signing::with(&one.credentials);
    let own = &one.credentials;
    let key = format!("{}&", own.consumer_secret);
    let swapped = own.with_token(own.token(), &own.consumer_secret);
    let foreign = own.with_token("tttttttttttttttttttttttttttttttt", own.token_secret());
    for (names, call) in [
        (vec!["E2"], Call::get(path).signed(signing().for_url(&url))),
        (vec!["E73"], Call::get(path).signed(signing().keyed(&key))),
        (vec!["E91"], Call::get(path).signed(signing().computed_by("HMAC-SHA1"))),
        (
            vec!["E46"],
            Call::new("PUT", path).form("a=1&b=2").signed(signing().for_form("")),
        ),
        (vec!["N1"], Call::get(path).signed(signing().at(-4000))),
        (vec!["N4"], Call::get(path).signed_by(&foreign)),
        (
            vec![],
            Call::get(path).signed_by(&swapped.with_token(own.token(), "nobody's secret")),
        ),
    ] {
        let refused = call.send(&shop.gateway).await;

        let answer = explained(&shop.admin, &refused).await.json();

        assert_eq!(ids(&answer), names, "{answer}");
    }
}

#[tokio::test]
async fn a_replayed_request_and_an_unknown_key_are_no_mistake_of_the_signature() {
    let shop = Shop::shared().await;
    let one = shop.integration().granted_all().active().await;
    let call = Call::get("/rest/V1/products/replayed")
        .signed_by(&one.credentials)
        .to(&shop.gateway);
    assert_eq!(call.send().await.status, 200);
    let mut unknown = one.credentials.clone();
    unknown.consumer_key = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk".to_owned();

    let replayed = call.send().await;
    let nobody = Call::get("/rest/V1/products/a")
        .signed_by(&unknown)
        .send(&shop.gateway)
        .await;

    assert_eq!(ids(&explained(&shop.admin, &replayed).await.json()), ["N7"]);
    let answer = explained(&shop.admin, &nobody).await.json();
    assert_eq!(ids(&answer), ["N2"]);
    assert_eq!(answer["cost"]["macs"], 0);
}

#[tokio::test]
async fn an_accepted_request_is_not_kept_and_an_unsigned_one_neither() {
    let shop = Shop::shared().await;
    let one = shop.integration().granted_all().active().await;

    let served = Call::get("/rest/V1/products/kept")
        .signed_by(&one.credentials)
        .send(&shop.gateway)
        .await;
    let unsigned = Call::get("/rest/V1/products/kept").send(&shop.gateway).await;

    assert_eq!((served.status, unsigned.status), (200, 401));
    for answer in [served, unsigned] {
        assert_eq!(explained(&shop.admin, &answer).await.status, 404);
    }
}

#[tokio::test]
async fn the_list_shows_viewers_who_was_refused_and_why_and_nothing_that_was_sent() {
    let shop = Shop::shared().await;
    let one = shop.integration().granted_all().active().await;
    let viewer = signed_in(shop, "explain-viewer", "viewer").await;
    let operator = signed_in(shop, "explain-operator", "operator").await;
    let refused = without_query(shop, &one).send(&shop.gateway).await;

    let list = viewer
        .get(&format!("/rejections?consumer_key={}", one.credentials.consumer_key))
        .await;

    let list = list.json();
    assert_eq!(list["total"], 1);
    let item = &list["items"][0];
    assert_eq!(item["request_id"].as_str(), refused.header("X-Request-Id"));
    assert_eq!(
        (&item["cause"], &item["path"]),
        (&json!("signature_invalid"), &json!("/rest/V1/products"))
    );
    assert!(!list.to_string().contains("page"));
    assert_eq!(item["finding"], Value::Null);
    assert_eq!(viewer.get("/rejections?cause=nonce_used&limit=1").await.status, 200);
    assert_eq!(explained(&viewer, &refused).await.status, 403);
    assert_eq!(explained(&operator, &refused).await.status, 200);
}

#[tokio::test]
async fn the_list_says_what_is_seen_at_once_and_to_who_may_explain_what_was_found() {
    let shop = Shop::shared().await;
    let one = shop.integration().granted(&["Magento_Sales::sales"]).active().await;
    let viewer = signed_in(shop, "finding-viewer", "viewer").await;
    let operator = signed_in(shop, "finding-operator", "operator").await;
    let signed_at = |offset| Call::get("/rest/V1/products").signed(Signing::with(&one.credentials).at(offset));
    let late = signed_at(-3_720).send(&shop.gateway).await;
    let ahead = signed_at(900).send(&shop.gateway).await;
    let denied = signed_at(0).send(&shop.gateway).await;
    let wrong = without_query(shop, &one).send(&shop.gateway).await;
    let found = async |admin: &Admin, refused: &Response| {
        let key = &one.credentials.consumer_key;
        let list = admin.get(&format!("/rejections?consumer_key={key}")).await.json();
        let id = refused.header("X-Request-Id").unwrap();
        let items = list["items"].as_array().unwrap();
        let item = items.iter().find(|item| item["request_id"] == id).unwrap();
        item["finding"].as_str().unwrap_or_default().to_owned()
    };

    assert!(
        found(&viewer, &late)
            .await
            .starts_with("signed 1 h 2 min before it came")
    );
    assert!(found(&viewer, &ahead).await.ends_with("later than it came"));
    assert_eq!(
        found(&viewer, &denied).await,
        "the route needs Magento_Catalog::products"
    );
    assert_eq!(found(&operator, &wrong).await, "");

    assert_eq!(explained(&operator, &wrong).await.status, 200);
    assert!(found(&operator, &wrong).await.contains("left the query"));
    assert_eq!(found(&viewer, &wrong).await, "");
}

#[tokio::test]
async fn each_explanation_is_audited_and_too_many_are_refused() {
    let shop = Shop::new().start().await;
    let one = shop.integration().granted_all().active().await;
    let refused = without_query(&shop, &one).send(&shop.gateway).await;

    let mut statuses = Vec::new();
    let began = now() / 60;
    for _ in 0..31 {
        statuses.push(explained(&shop.admin, &refused).await);
    }

    let audit = shop.admin.get("/audit?limit=1000").await.json();
    let entries = audit["items"].as_array().unwrap().iter();
    let entry = entries
        .clone()
        .find(|entry| entry["action"] == "rejection.explained")
        .unwrap();
    assert_eq!(entry["after"]["diagnosis"], json!(["E20"]));
    assert_eq!(entry["subject"], format!("integration/{}", one.id));
    let last = statuses.last().unwrap();
    if began == now() / 60 {
        assert_eq!(last.status, 429, "{}", last.text());
        assert!(last.header("Retry-After").is_some());
    }
}

#[tokio::test]
async fn what_a_route_only_observed_is_explained_too() {
    let shop = Shop::shared().await;
    let one = shop.integration().granted_all().active().await;
    let token = debug_token(shop, &one).await;
    let wrong = one.credentials.with_token(one.credentials.token(), "");
    let answer = Call::get("/rest/V1/observed/explained")
        .signed_by(&wrong)
        .header("X-Countersign-Debug", &token)
        .send(&shop.gateway)
        .await;

    let explanation = explained(&shop.admin, &answer).await.json();

    assert_eq!(answer.status, 200);
    assert_eq!(ids(&explanation), ["E73"]);
    assert_eq!(explanation["observed"], true);
    let seen = shop.upstream.only("observed/explained");
    assert!(!format!("{:?}", seen.headers).contains(&token));
}

#[tokio::test]
async fn plaintext_is_never_kept() {
    let shop = Shop::new()
        .set("oauth", "signature_methods", "[\"PLAINTEXT\", \"HMAC-SHA256\"]")
        .signed_as("https://shop.example")
        .start()
        .await;
    let one = shop.integration().granted_all().active().await;
    let wrong = one.credentials.with_token(one.credentials.token(), "mistaken");
    let refused = Call::get("/rest/V1/products/plain")
        .signed(Signing::with(&wrong).method("PLAINTEXT"))
        .send(&shop.gateway)
        .await;

    let answer = explained(&shop.admin, &refused).await.json();

    assert_eq!((refused.status, &answer["result"]), (401, &json!("unknown")));
    assert!(
        answer["advice"]
            .as_str()
            .unwrap()
            .contains("the signature itself was not kept")
    );
    assert!(!answer.to_string().contains("mistaken"));
    assert!(!answer.to_string().contains(&one.credentials.consumer_secret));
}

#[tokio::test]
async fn plaintext_by_http_is_told_that_it_needs_tls() {
    let shop = Shop::new()
        .set("oauth", "signature_methods", "[\"PLAINTEXT\", \"HMAC-SHA256\"]")
        .start()
        .await;
    let one = shop.integration().granted_all().active().await;
    let refused = Call::get("/rest/V1/products/plain")
        .signed(Signing::with(&one.credentials).method("PLAINTEXT"))
        .send(&shop.gateway)
        .await;

    let answer = explained(&shop.admin, &refused).await.json();

    assert_eq!((refused.status, &answer["cause"]), (400, &json!("https_required")));
    assert!(
        answer["advice"].as_str().unwrap().starts_with("PLAINTEXT needs TLS"),
        "{answer}"
    );
}

#[tokio::test]
async fn secrets_sent_for_a_signature_are_told_to_be_rotated_and_not_kept() {
    let shop = Shop::shared().await;
    let one = shop.integration().granted_all().active().await;
    let authorization = format!(
        "OAuth oauth_consumer_key=\"{}\", oauth_token=\"{}\", oauth_signature_method=\"HMAC-SHA256\", \
         oauth_timestamp=\"{}\", oauth_nonce=\"in clear\", oauth_signature=\"{}%26hush\"",
        one.credentials.consumer_key,
        one.credentials.token(),
        now(),
        one.credentials.consumer_secret,
    );
    let refused = Call::get("/rest/V1/products/clear")
        .header("Authorization", &authorization)
        .send(&shop.gateway)
        .await;

    let answer = explained(&shop.admin, &refused).await.json();

    assert_eq!(refused.refusal(), (401, "signature_invalid"));
    let advice = answer["advice"].as_str().unwrap();
    assert!(
        advice.contains("in clear, so correct it and rotate both secrets now"),
        "{advice}"
    );
    assert!(!answer.to_string().contains("hush"));
    assert!(!answer.to_string().contains(&one.credentials.consumer_secret));
}

#[tokio::test]
async fn a_body_that_is_no_form_is_not_kept_and_that_is_said() {
    let shop = Shop::shared().await;
    let one = shop.integration().granted_all().active().await;
    let refused = Call::new("PUT", "/rest/V1/products/body")
        .json(&json!({ "sku": "hush" }))
        .signed(Signing::with(&one.credentials).for_form("sku=hush"))
        .send(&shop.gateway)
        .await;

    let answer = explained(&shop.admin, &refused).await.json();

    assert_eq!(answer["result"], "unknown");
    assert!(answer["advice"].as_str().unwrap().contains("the body was not kept"));
    assert!(!answer.to_string().contains("hush"));
}

#[tokio::test]
async fn a_form_too_long_to_be_kept_is_neither_called_valid_nor_given_a_mistake() {
    let shop = Shop::shared().await;
    let one = shop.integration().granted_all().active().await;
    let form = format!("a={}", "x".repeat(70 * 1024));
    let refused = Call::new("PUT", "/rest/V1/products/long")
        .form(&form)
        .signed(Signing::with(&one.credentials).for_form(""))
        .send(&shop.gateway)
        .await;

    let answer = explained(&shop.admin, &refused).await.json();

    assert_eq!((refused.status, &answer["result"]), (401, &json!("unknown")));
    assert!(answer["advice"].as_str().unwrap().contains("the body was not kept"));
    assert_eq!(answer["base_string"], Value::Null);
    assert_eq!(answer["cost"]["macs"], 0);
    assert_eq!(answer["consumer_key"], one.credentials.consumer_key);
}

#[tokio::test]
async fn what_is_refused_before_its_signature_is_looked_at_is_explained_too() {
    let shop = Shop::shared().await;
    let one = shop.integration().granted_all().active().await;
    let call = |path: &str| Call::get(path).signed_by(&one.credentials);
    for (call, cause) in [
        (call("/nowhere/at/all"), "route_unknown"),
        (call("/rest/V1/a/../products"), "target_refused"),
        (
            Call::new("DELETE", "/oauth/token/request").signed_by(&one.credentials),
            "method_refused",
        ),
    ] {
        let refused = call.send(&shop.gateway).await;

        let answer = explained(&shop.admin, &refused).await;

        assert_eq!(answer.status, 200, "{cause}: {} {}", refused.status, answer.text());
        let answer = answer.json();
        assert_eq!(
            (&answer["cause"], &answer["result"]),
            (&json!(cause), &json!("valid")),
            "{answer}"
        );
    }
    let unsigned = Call::get("/nowhere/at/all").send(&shop.gateway).await;
    assert_eq!(explained(&shop.admin, &unsigned).await.status, 404);
}

#[tokio::test]
async fn the_command_asks_the_running_gateway() {
    let shop = Shop::shared().await;
    let one = shop.integration().granted_all().active().await;
    let refused = without_query(shop, &one).send(&shop.gateway).await;
    let id = refused.header("X-Request-Id").unwrap().to_owned();

    let told = shop.gateway.command(&["explain", "--request", &id]);
    let unknown = shop.gateway.command(&["explain", "--request", "0123"]);

    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    assert!(text.contains("\nE20   Your client left the query"), "{text}");
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("Each gateway keeps its own"));
}

pub(crate) fn without_query(shop: &Shop, one: &Integration) -> Call {
    let signed = format!("{}/rest/V1/products", shop.gateway.base_url());
    Call::get("/rest/V1/products?page=2").signed(Signing::with(&one.credentials).for_url(&signed))
}

pub(crate) async fn explained(admin: &Admin, refused: &Response) -> Response {
    let id = refused.header("X-Request-Id").unwrap();
    admin.get(&format!("/rejections/{id}")).await
}

pub(crate) async fn signed_in(shop: &Shop, username: &str, role: &str) -> Admin {
    let body = json!({ "username": username, "password": PASSWORD, "role": role, "email": "a@shop.example" });
    assert_eq!(shop.admin.post("/admins", &body).await.status, 201);
    Admin::sign_in(shop.gateway.admin(), username, PASSWORD).await
}

pub(crate) fn ids(answer: &Value) -> Vec<String> {
    let entries = answer["diagnosis"].as_array().unwrap().iter();
    entries.map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
}
