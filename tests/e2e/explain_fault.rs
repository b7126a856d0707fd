//! Whose a mistake is: the operator's where the gateway is more likely wrong than the client.

use harness::{Call, Integration, Shop, Signing};
use serde_json::{Value, json};

#[tokio::test]
async fn while_nothing_has_verified_on_a_route_what_may_be_the_gateways_is_told_to_its_operator() {
    let shop = Shop::new().start().await;
    let one = shop.integration().granted_all().active().await;

    let before = of_https(&shop, &one, PATH).await;
    let good = Call::get(PATH).signed_by(&one.credentials).send(&shop.gateway).await;
    let after = of_https(&shop, &one, PATH).await;
    let elsewhere = of_https(&shop, &one, "/rest/V1/observed/elsewhere").await;

    assert_eq!(good.status, 200);
    let public = shop.gateway.base_url();
    assert_eq!((&before["id"], &before["fault"]), (&json!("E2"), &json!("operator")));
    let sentence = before["sentence"].as_str().unwrap();
    assert!(
        sentence.starts_with("Clients sign https://") && sentence.contains(public),
        "{sentence}"
    );
    assert!(
        before["fault_reason"]
            .as_str()
            .unwrap()
            .contains("No signature has verified")
    );
    assert!(before.get("usual_cause").is_none());
    assert_eq!((&after["id"], &after["fault"]), (&json!("E2"), &json!("developer")));
    assert!(
        after["sentence"]
            .as_str()
            .unwrap()
            .starts_with("Your client signed https://")
    );
    assert!(after.get("fault_reason").is_none());
    assert_eq!(elsewhere["fault"], "operator", "each route stands for itself");
}

#[tokio::test]
async fn a_new_configuration_has_verified_nothing_yet() {
    let shop = Shop::new().start().await;
    let one = shop.integration().granted_all().active().await;
    let good = async || {
        Call::get(PATH)
            .signed_by(&one.credentials)
            .send(&shop.gateway)
            .await
            .status
    };
    assert_eq!(good().await, 200);
    assert_eq!(of_https(&shop, &one, PATH).await["fault"], "developer");

    let reloaded = shop.admin.post("/reload", &Value::Null).await;

    assert_eq!(reloaded.status, 200, "{}", reloaded.text());
    assert_eq!(of_https(&shop, &one, PATH).await["fault"], "operator");
    assert_eq!(good().await, 200);
    assert_eq!(of_https(&shop, &one, PATH).await["fault"], "developer");
}

#[tokio::test]
async fn what_three_integrations_do_wrong_is_the_operators() {
    let shop = Shop::new().start().await;
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(shop.integration().granted_all().active().await);
    }
    Call::get(PATH).signed_by(&all[0].credentials).send(&shop.gateway).await;

    let mut faults = Vec::new();
    for one in &all {
        faults.push(of_https(&shop, one, PATH).await);
    }

    let of: Vec<_> = faults.iter().map(|entry| entry["fault"].as_str().unwrap()).collect();
    assert_eq!(of, ["developer", "developer", "operator"]);
    assert!(
        faults[2]["fault_reason"]
            .as_str()
            .unwrap()
            .starts_with("Three integrations")
    );
}

#[tokio::test]
async fn a_mistake_that_is_the_clients_alone_is_the_developers_whatever_else_is() {
    let shop = Shop::new().start().await;
    let one = shop.integration().granted_all().active().await;
    let https = format!("{}{PATH}", shop.gateway.base_url()).replace("http://", "https://");
    let key = format!("{}&", one.credentials.consumer_secret);
    let alone = Call::get(PATH).signed(Signing::with(&one.credentials).keyed(&key));
    let both = Call::get(PATH).signed(Signing::with(&one.credentials).keyed(&key).for_url(&https));

    let alone = diagnosis(&shop, &alone).await;
    let both = diagnosis(&shop, &both).await;

    let of = |all: &Value| -> Vec<(String, String)> {
        let entries = all.as_array().unwrap().iter();
        let text = |entry: &Value, name: &str| entry[name].as_str().unwrap().to_owned();
        entries.map(|entry| (text(entry, "id"), text(entry, "fault"))).collect()
    };
    let pair = |id: &str, fault: &str| (id.to_owned(), fault.to_owned());
    assert_eq!(of(&alone), [pair("E73", "developer")]);
    assert_eq!(of(&both), [pair("E2", "operator"), pair("E73", "developer")]);
}

#[tokio::test]
async fn the_tokens_holder_is_told_that_it_is_the_operators_in_every_dialect() {
    let shop = Shop::new().start().await;
    let one = shop.integration().granted_all().active().await;
    let path = format!("/integrations/{}/debug-token", one.id);
    let token = shop.admin.post(&path, &Value::Null).await.field("debug_token");
    let call = |call: Call| call.header("X-Countersign-Debug", &token);
    let https = |path: &str| format!("{}{path}", shop.gateway.base_url()).replace("http://", "https://");
    let consumer = one.credentials.without_token();

    let rest = call(Call::get(PATH).signed(Signing::with(&one.credentials).for_url(&https(PATH))));
    let rest = rest.send(&shop.gateway).await.json();
    let endpoint = "/oauth/token/request";
    let form = call(Call::post(endpoint).signed(Signing::with(&consumer).for_url(&https(endpoint))));
    let form = form.send(&shop.gateway).await.form("explanation");

    assert_eq!(rest["explanation"]["diagnosis"][0]["fault"], "operator");
    assert!(form.starts_with("diagnosed; E2: Clients sign https://"), "{form}");
    assert!(form.ends_with(" (for the operator)"), "{form}");
}

#[tokio::test]
async fn the_command_says_whose_it_is() {
    let shop = Shop::new().start().await;
    let one = shop.integration().granted_all().active().await;
    let https = format!("{}{PATH}", shop.gateway.base_url()).replace("http://", "https://");
    let call = Call::get(PATH).signed(Signing::with(&one.credentials).for_url(&https));
    let refused = call.send(&shop.gateway).await;
    let id = refused.header("X-Request-Id").unwrap().to_owned();

    let told = shop.gateway.command(&["explain", "--request", &id]);

    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(
        text.contains("For the operator, not the client's developer: No signature"),
        "{text}"
    );
}

const PATH: &str = "/rest/V1/products/whose";

/// What is said of a call that was signed with https.
async fn of_https(shop: &Shop, one: &Integration, path: &str) -> Value {
    let https = format!("{}{path}", shop.gateway.base_url()).replace("http://", "https://");
    let call = Call::get(path).signed(Signing::with(&one.credentials).for_url(&https));
    diagnosis(shop, &call).await[0].clone()
}

async fn diagnosis(shop: &Shop, call: &Call) -> Value {
    let sent = call.send(&shop.gateway).await;
    let id = sent.header("X-Request-Id").unwrap();
    shop.admin.get(&format!("/rejections/{id}")).await.json()["diagnosis"].clone()
}
