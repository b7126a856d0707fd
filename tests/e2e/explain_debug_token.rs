//! What an integration's developer is told in the refusal itself, with a debug token.

use harness::{Call, Integration, Shop, Signing};
use serde_json::{Value, json};

use crate::explain::{ids, signed_in, without_query};

#[tokio::test]
async fn a_debug_token_of_the_integration_explains_its_refusals() {
    let shop = Shop::shared().await;
    let one = shop.integration().granted_all().active().await;
    let token = debug_token(shop, &one).await;

    let refused = without_query(shop, &one)
        .header("X-Countersign-Debug", &token)
        .send(&shop.gateway)
        .await;

    let body = refused.json();
    assert_eq!(refused.status, 401);
    assert_eq!(body["message"], "The signature is invalid. Verify and try again.");
    assert_eq!(ids(&body["explanation"]), ["E20"]);
    let audit = shop.admin.audit().await;
    let about = format!("integration/{}", one.id);
    let issued =
        |entry: &Value| entry["action"] == "integration.debug_token_issued" && entry["subject"] == about.as_str();
    assert!(audit.iter().any(issued));
    let audit = Value::from(audit).to_string();
    assert!(audit.contains("debug token") && !audit.contains(&token));
}

#[tokio::test]
async fn white_space_behind_the_key_is_told_to_the_tokens_holder_too() {
    let shop = Shop::shared().await;
    let one = shop.integration().granted_all().active().await;
    let token = debug_token(shop, &one).await;
    let mut padded = one.credentials.clone();
    padded.consumer_key.push(' ');

    let refused = Call::get("/rest/V1/products")
        .header("X-Countersign-Debug", &token)
        .signed_by(&padded)
        .send(&shop.gateway)
        .await;

    assert_eq!(refused.status, 401);
    assert_eq!(ids(&refused.json()["explanation"]), ["N3"], "{}", refused.text());
}

#[tokio::test]
async fn every_dialect_carries_the_explanation() {
    let shop = Shop::shared().await;
    let one = shop.integration().granted_all().active().await;
    let token = debug_token(shop, &one).await;
    let call = |call: Call| call.header("X-Countersign-Debug", &token);

    let xml = call(without_query(shop, &one))
        .header("Accept", "application/xml")
        .send(&shop.gateway)
        .await;
    let problem = call(without_query(shop, &one))
        .asking_for_the_cause()
        .send(&shop.gateway)
        .await;
    let consumer = one.credentials.without_token();
    let signing = || Signing::with(&consumer).keyed(&consumer.consumer_secret);
    let form = call(Call::post("/oauth/token/request").signed(signing()))
        .send(&shop.gateway)
        .await;
    let rfc = call(Call::post("/oauth/initiate").signed(signing().set("oauth_callback", "oob")))
        .send(&shop.gateway)
        .await;

    assert!(
        xml.text().contains("<explanation>") && xml.text().contains("<id>E20</id>"),
        "{}",
        xml.text()
    );
    assert_eq!(ids(&problem.json()["explanation"]), ["E20"]);
    assert!(
        form.form("explanation").starts_with("diagnosed; E74: "),
        "{}",
        form.text()
    );
    assert!(
        rfc.form("explanation").starts_with("diagnosed; E74: "),
        "{}",
        rfc.text()
    );
}

#[tokio::test]
async fn without_a_debug_token_of_its_own_a_refusal_says_no_more_than_ever() {
    let shop = Shop::shared().await;
    let (one, other) = (
        shop.integration().granted_all().active().await,
        shop.integration().granted_all().active().await,
    );
    let foreign = debug_token(shop, &other).await;
    let changed = debug_token(shop, &one).await.replace('.', ".1");
    let plain = without_query(shop, &one).send(&shop.gateway).await;

    for token in [foreign.as_str(), &changed, "", "nonsense"] {
        let refused = without_query(shop, &one)
            .header("X-Countersign-Debug", token)
            .send(&shop.gateway)
            .await;

        assert_eq!(
            (refused.status, refused.text()),
            (plain.status, plain.text()),
            "{token}"
        );
        assert_eq!(refused.header("WWW-Authenticate"), plain.header("WWW-Authenticate"));
    }
}

#[tokio::test]
async fn an_expired_debug_token_explains_nothing_and_none_holds_longer_than_a_day() {
    let shop = Shop::shared().await;
    let one = shop.integration().granted_all().active().await;
    let path = format!("/integrations/{}/debug-token", one.id);

    let short = shop.admin.post(&path, &json!({ "lifetime": "1s" })).await;
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    let refused = without_query(shop, &one)
        .header("X-Countersign-Debug", &short.field("debug_token"))
        .send(&shop.gateway)
        .await;

    assert!(refused.json().get("explanation").is_none());
    for (lifetime, status) in [("24h", 200), ("25h", 400), ("0s", 400), ("soon", 400)] {
        let answer = shop.admin.post(&path, &json!({ "lifetime": lifetime })).await;
        assert_eq!(answer.status, status, "{lifetime}: {}", answer.text());
    }
    let operator = signed_in(shop, "debug-operator", "operator").await;
    assert_eq!(operator.post(&path, &Value::Null).await.status, 403);
    assert_eq!(
        shop.admin
            .post("/integrations/999999/debug-token", &Value::Null)
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn the_debug_token_never_reaches_upstream() {
    let shop = Shop::shared().await;
    let one = shop.integration().granted_all().active().await;
    let token = debug_token(shop, &one).await;

    let served = Call::get("/rest/V1/products/debugged")
        .header("X-Countersign-Debug", &token)
        .header("X_Countersign_Debug", &token)
        .signed_by(&one.credentials)
        .send(&shop.gateway)
        .await;

    assert_eq!(served.status, 200);
    let seen = shop.upstream.only("debugged");
    assert!(!format!("{:?}", seen.headers).contains(&token));
    assert!(!served.text().contains("explanation"));
}

#[tokio::test]
async fn a_drifting_client_is_told_by_how_much_only_when_it_holds_the_secret() {
    let shop = Shop::shared().await;
    let one = shop.integration().granted_all().active().await;
    let token = debug_token(shop, &one).await;
    let late = |key: &str| {
        let signing = Signing::with(&one.credentials).at(-4000);
        let signing = if key.is_empty() { signing } else { signing.keyed(key) };
        Call::get("/rest/V1/products/late")
            .signed(signing)
            .header("X-Countersign-Debug", &token)
    };

    let holder = late("").send(&shop.gateway).await.json();
    let guesser = late("guessed&guessed").send(&shop.gateway).await.json();

    let sentence = holder["explanation"]["diagnosis"][0]["sentence"].as_str().unwrap();
    assert!(sentence.contains("s behind"), "{sentence}");
    assert_eq!(guesser["explanation"]["result"], "unknown");
    assert!(!guesser["explanation"].to_string().contains("behind"));
}

#[tokio::test]
async fn uniform_errors_are_explained_to_the_tokens_holder_alone() {
    let shop = Shop::new().set("oauth", "uniform_errors", "true").start().await;
    let one = shop.integration().granted_all().active().await;
    let token = debug_token(&shop, &one).await;

    let plain = without_query(&shop, &one).send(&shop.gateway).await;
    let told = without_query(&shop, &one)
        .header("X-Countersign-Debug", &token)
        .send(&shop.gateway)
        .await;

    assert!(plain.json().get("explanation").is_none());
    assert_eq!(ids(&told.json()["explanation"]), ["E20"]);
    assert_eq!(plain.json()["message"], told.json()["message"]);
}

pub(crate) async fn debug_token(shop: &Shop, one: &Integration) -> String {
    let path = format!("/integrations/{}/debug-token", one.id);
    let answer = shop.admin.post(&path, &Value::Null).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.field("debug_token")
}
