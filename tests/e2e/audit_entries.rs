//! What was done stands in the audit log, though the client goes or the store fails meanwhile; and what can't be written there
//! beforehand isn't done, where it is the store's own change.

use std::time::Duration;

use harness::redis::{Options, Server};
use harness::{ADMIN, CALLBACK, Call, PartnerAnswer, Shop, Webhook, eventually};
use serde_json::{Value, json};

#[tokio::test]
async fn keys_that_are_posted_are_told_though_who_asked_for_it_is_gone() {
    let shop = Shop::shared().await;
    let endpoint = shop.partner.endpoint();
    shop.partner
        .answers(&endpoint, PartnerAnswer::Late(Duration::from_secs(2)));
    let id = shop.integration().with("endpoint", endpoint.as_str()).created().await;
    let address = shop.gateway.admin();
    let activation = Call::post(&format!("/api/v1/integrations/{id}/activate"))
        .header("Authorization", &format!("Bearer {}", shop.admin.token()))
        .to_address(address, &format!("http://{address}"));
    let mut asking = activation.connect().await.unwrap();
    asking.write(&activation.octets()).await.unwrap();
    shop.partner.posted(&endpoint).await;

    drop(asking);

    let told = entry(shop, "integration.keys_posted", &format!("integration/{id}")).await;
    assert_eq!(told["after"]["callback"]["status"], 200, "{told}");
}

#[tokio::test]
async fn a_reload_by_signal_is_told() {
    let shop = Shop::new().start().await;

    shop.gateway
        .reload(|config| config.set("admin", "listen", "\"127.0.0.1:1\""))
        .await;

    let told = entry(&shop, "configuration.reloaded", "configuration").await;
    assert_eq!((&told["actor"], &told["origin"]), (&json!("signal"), &json!("HUP")));
    assert_eq!(told["after"], json!({ "needs_restart": ["admin.listen"] }));
}

#[tokio::test]
async fn what_is_done_is_answered_though_its_entry_can_not_be_written() {
    let redis = Server::start(Options::default()).await;
    let shop = Shop::new().store(&redis.url()).start().await;
    close_log(&redis).await;
    let post = async |path: &str| shop.admin.post(path, &Value::Null).await.status;

    let reloaded = post("/reload").await;
    let swept = post("/sweeps/expired_tokens_cleanup").await;
    let resealed = post("/store/reseal").await;

    assert_eq!((reloaded, swept), (200, 200));
    // The broken log can't be sealed anew; that is told as it is.
    assert_ne!(resealed, 200);
    for action in ["configuration.reloaded", "sweep.run", "store.resealed"] {
        shop.gateway.logged(action).await;
    }
    shop.gateway.logged("is not in the audit log").await;
}

#[tokio::test]
async fn a_user_consents_with_the_entry_or_not_at_all() {
    let redis = Server::start(Options::default()).await;
    let shop = Shop::new().store(&redis.url()).start().await;
    let granted = shop.integration().granted(&["Magento_Catalog::products"]);
    let app = granted.with("callback_urls", json!([CALLBACK])).active().await;
    let asked = shop.gateway.initiate(&app.credentials).await;
    let token = asked.form("oauth_token");
    close_log(&redis).await;

    let failed = shop.gateway.decide(&token, ADMIN, "allow").await;
    open_log(&redis).await;
    let allowed = shop.gateway.decide(&token, ADMIN, "allow").await;

    assert_eq!((failed.status, allowed.status), (503, 303), "{}", failed.text());
    entry(&shop, "consent.allowed", &format!("integration/{}", app.id)).await;
}

#[tokio::test]
async fn a_dead_letter_is_replayed_with_the_entry_or_not_at_all() {
    let redis = Server::start(Options::default()).await;
    let shop = Shop::new()
        .store(&redis.url())
        .set("events", "tries", "1")
        .start()
        .await;
    let webhook = Webhook::of(&shop.gateway, &shop.partner, "hook").await;
    webhook.answers(PartnerAnswer::Status(500));
    shop.integration().created().await;
    let letter = eventually("a dead letter", async || {
        let dead = shop.admin.get("/events/dead").await.json();
        dead["items"].as_array()?.first().cloned()
    })
    .await;
    let path = format!("/events/dead/{}/replay", letter["name"].as_str().unwrap());
    close_log(&redis).await;

    let failed = shop.admin.post(&path, &Value::Null).await;
    let kept = shop.admin.get("/events/dead").await.json();
    open_log(&redis).await;
    let replayed = shop.admin.post(&path, &Value::Null).await;

    assert_eq!((failed.status, replayed.status), (503, 200), "{}", failed.text());
    assert_eq!(kept["items"], json!([letter]));
    let subject = format!("event/{}", letter["event"]["id"].as_str().unwrap());
    let told = entry(&shop, "event.replayed", &subject).await;
    assert_eq!(told["after"], letter);
}

#[tokio::test]
async fn an_integration_that_nobody_can_read_is_deleted_with_the_entry_or_not_at_all() {
    let redis = Server::start(Options::default()).await;
    let shop = Shop::new().store(&redis.url()).start().await;
    let id = shop.integration().created().await;
    let consumer = redis
        .command(&["HGET", "{countersign}:integrations", &id.to_string()])
        .await;
    let row = ["HSET", "{countersign}:consumers", consumer.text().unwrap(), "junk"];
    redis.command(&row).await;
    // Whoever has it in memory forgets.
    redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    let path = format!("/integrations/{id}");
    eventually("it can't be read", async || {
        (shop.admin.get(&path).await.status != 200).then_some(())
    })
    .await;
    close_log(&redis).await;

    let failed = shop.admin.delete(&path).await;
    open_log(&redis).await;
    let deleted = shop.admin.delete(&path).await;

    assert_eq!((failed.status, deleted.status), (503, 200), "{}", failed.text());
    let told = entry(&shop, "integration.deleted", &format!("integration/{id}")).await;
    assert_eq!(told["before"], json!({ "id": id, "unreadable": true }));
}

/// The one entry of that action on that subject, once it is there.
async fn entry(shop: &Shop, action: &str, subject: &str) -> Value {
    eventually(action, async || {
        let is_it = |one: &Value| one["action"] == action && one["subject"] == subject;
        let entries: Vec<Value> = shop.admin.audit().await.into_iter().filter(is_it).collect();
        assert!(entries.len() <= 1, "{entries:?}");
        entries.into_iter().next()
    })
    .await
}

/// From now on it is of another type than it must be: nothing can be appended, all else works.
async fn close_log(redis: &Server) {
    redis.command(&["RENAME", LOG, ASIDE]).await;
    redis.command(&["SET", LOG, "junk"]).await;
}

async fn open_log(redis: &Server) {
    redis.command(&["RENAME", ASIDE, LOG]).await;
}

const LOG: &str = "{countersign}:audit";
const ASIDE: &str = "{countersign}:aside";
