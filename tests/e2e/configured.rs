//! Integrations that the configuration defines, on a Redis that two gateways share.

use harness::redis::{Options, Server};
use harness::{Call, Credentials, Gateway, Shop, ShopBuilder, eventually};
use serde_json::{Value, json};

#[tokio::test]
async fn gateways_that_start_on_one_redis_make_an_integration_once() {
    let redis = Server::start(Options::default()).await;
    let shop = defining(&redis, &["Shop::a", "Shop::b"]).start().await;
    let other = shop.second_gateway().await;
    let made = only(&shop, |_| true).await;

    redefine(&other, &definition(&["Shop::a", "Shop::b"]), LATER).await;
    let listed = until_later(&shop).await;

    assert_eq!(listed, std::slice::from_ref(&made));
    assert_eq!(
        (&made["status"], &made["setup"]),
        (&json!("inactive"), &json!("config"))
    );
    assert_eq!(made["resources"], json!(["Shop::a", "Shop::b"]));
}

#[tokio::test]
async fn nobody_edits_or_deletes_it_by_hand() {
    let redis = Server::start(Options::default()).await;
    let shop = defining(&redis, &["Shop::a"]).start().await;
    let made = only(&shop, |_| true).await;
    let path = format!("/integrations/{}", made["id"]);

    let new = json!({ "name": "Courier", "resources": ["Shop::b"] });
    let edited = shop.admin.put(&path, &new).await;
    let granted = shop
        .admin
        .put(&format!("{path}/resources"), &json!({ "all": true }))
        .await;
    let deleted = shop.admin.delete(&path).await;

    assert_eq!((edited.status, granted.status, deleted.status), (400, 400, 400));
    assert_eq!(only(&shop, |_| true).await, made);
}

#[tokio::test]
async fn what_the_configuration_does_is_audited() {
    let redis = Server::start(Options::default()).await;
    let shop = defining(&redis, &["Shop::a"]).start().await;
    let made = only(&shop, |_| true).await;
    redefine(&shop.gateway, &definition(&["Shop::b"]), "").await;
    let anew = only(&shop, |one| one["status"] == "recreated").await;

    let entries = eventually("all of it is audited", async || {
        let of_configuration = |entry: &Value| entry["actor"] == "configuration";
        let entries: Vec<Value> = shop.admin.audit().await.into_iter().filter(of_configuration).collect();
        (entries.len() == 3).then_some(entries)
    })
    .await;

    assert_eq!(
        (&entries[0]["action"], &entries[0]["after"]),
        (&json!("integration.created"), &made)
    );
    assert_eq!(
        (&entries[1]["action"], &entries[1]["before"], &entries[1]["after"]),
        (&json!("integration.deleted"), &made, &json!(null))
    );
    assert_eq!(
        (&entries[2]["action"], &entries[2]["before"], &entries[2]["after"]),
        (&json!("integration.recreated"), &made, &anew)
    );
}

#[tokio::test]
async fn what_the_configuration_no_longer_names_can_be_edited_and_deleted() {
    let redis = Server::start(Options::default()).await;
    let shop = defining(&redis, &["Shop::a"]).start().await;
    let made = only(&shop, |_| true).await;
    let path = format!("/integrations/{}", made["id"]);

    redefine(
        &shop.gateway,
        &definition(&["Shop::a"]).replace("Courier", "Another"),
        "",
    )
    .await;

    let granted = shop.admin.put(&format!("{path}/resources"), &json!(["Shop::b"])).await;
    let deleted = shop.admin.delete(&path).await;
    assert_eq!((granted.status, deleted.status), (200, 200), "{}", deleted.text());
    assert_eq!(shop.admin.get(&path).await.status, 404);
}

#[tokio::test]
async fn a_changed_definition_makes_it_anew_and_ends_its_tokens_on_both_gateways() {
    let redis = Server::start(Options::default()).await;
    let shop = defining(&redis, &["Shop::a"]).start().await;
    let other = shop.second_gateway().await;
    let before = only(&shop, |_| true).await;
    let activated = shop.admin.activate(before["id"].as_u64().unwrap()).await.json();
    let credentials = credentials(&activated);
    for gateway in [&shop.gateway, &other] {
        assert_eq!(called(gateway, &credentials).await, 200);
    }

    redefine(&shop.gateway, &definition(&["Shop::a", "Shop::b"]), "").await;

    let after = only(&shop, |one| one["id"] != before["id"] && one["status"] == "recreated").await;
    assert_eq!(after["setup"], "config");
    assert_eq!(after["resources"], json!(["Shop::a", "Shop::b"]));
    assert_ne!(after["consumer_key"], before["consumer_key"]);
    for gateway in [&shop.gateway, &other] {
        eventually("the old key ends", async || {
            (called(gateway, &credentials).await == 401).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_definition_in_another_order_leaves_it_and_its_tokens_alone() {
    let redis = Server::start(Options::default()).await;
    let shop = defining(&redis, &["Shop::a", "Shop::b"]).start().await;
    let before = only(&shop, |_| true).await;
    let activated = shop.admin.activate(before["id"].as_u64().unwrap()).await.json();
    let active = only(&shop, |_| true).await;

    redefine(&shop.gateway, &definition(&["Shop::b", "Shop::a"]), LATER).await;
    let listed = until_later(&shop).await;

    assert_eq!(listed, [active]);
    assert_eq!(called(&shop.gateway, &credentials(&activated)).await, 200);
}

fn defining(redis: &Server, resources: &[&str]) -> ShopBuilder {
    let shop = Shop::new().store(&redis.url()).without_routes();
    shop.append(&definition(resources))
}

fn definition(resources: &[&str]) -> String {
    format!(
        "[[resources]]\nid = \"Shop::a\"\n[[resources]]\nid = \"Shop::b\"\n\
         [[routes]]\npath = \"/rest/V1/{{*rest}}\"\nmethods = [\"GET\"]\nupstream = \"storefront\"\n\
         resources = [\"Shop::a\"]\n\
         [[integrations]]\nname = \"Courier\"\nresources = {resources:?}\n"
    )
}

async fn redefine(gateway: &Gateway, definition: &str, more: &str) {
    gateway
        .reload(|config| config.without_more().append(definition).append(more))
        .await;
}

/// All but the later one, once that one is there: then what is defined before it was applied as well.
async fn until_later(shop: &Shop) -> Vec<Value> {
    eventually("the later integration", async || {
        let listed = shop.admin.get("/integrations").await.json();
        let (later, others): (Vec<Value>, Vec<Value>) = listed["items"]
            .as_array()
            .unwrap()
            .iter()
            .cloned()
            .partition(|one| one["name"] == "Later");
        (!later.is_empty()).then_some(others)
    })
    .await
}

/// The one integration that there is, once it is as wanted.
async fn only(shop: &Shop, is_wanted: impl Fn(&Value) -> bool) -> Value {
    eventually("the configuration's integration", async || {
        let listed = shop.admin.get("/integrations").await.json();
        let items = listed["items"].as_array().unwrap();
        assert!(items.len() <= 1, "{listed}");
        items.first().filter(|one| is_wanted(one)).cloned()
    })
    .await
}

fn credentials(activated: &Value) -> Credentials {
    let text = |name: &str| activated[name].as_str().unwrap().to_owned();
    Credentials {
        consumer_key: text("consumer_key"),
        consumer_secret: text("consumer_secret"),
        token: Some((text("access_token"), text("access_token_secret"))),
    }
}

async fn called(gateway: &Gateway, credentials: &Credentials) -> u16 {
    let call = Call::get("/rest/V1/configured").signed_by(credentials);
    call.send(gateway).await.status
}

const LATER: &str = "[[integrations]]\nname = \"Later\"\n";
