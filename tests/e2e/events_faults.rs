//! Webhooks that fail: nothing waits for them, what they miss is tried again, and in the end it can be listed and replayed.

use std::time::Duration;

use harness::{ADMIN, Call, PASSWORD, PartnerAnswer, Posted, Shop, ShopBuilder, Webhook, eventually};
use serde_json::{Value, json};
use tokio::time::Instant;

#[tokio::test]
async fn what_a_receiver_refuses_is_tried_again_with_the_same_id() {
    let shop = shop().start().await;
    let webhook = Webhook::of(&shop.gateway, &shop.partner, "hook").await;
    webhook.answers(PartnerAnswer::Status(500));
    shop.integration().created().await;
    eventually("a second try", async || (webhook.posts().len() >= 2).then_some(())).await;

    webhook.answers(PartnerAnswer::Status(204));

    let delivered = async || {
        shop.gateway
            .metric("countersign_webhook_deliveries_total{outcome=\"delivered\"}")
            .await
    };
    eventually("it is delivered", async || (delivered().await == 1).then_some(())).await;
    let before = webhook.posts().len();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(webhook.posts().len(), before);
    let events = webhook.events("integration.created");
    assert_eq!(events.len(), before);
    assert!(events.iter().all(|event| event == &events[0]));
    // Receivers refuse what was signed long ago: each try is signed for its own time.
    let times: Vec<u64> = webhook.posts().iter().map(signed_at).collect();
    assert!(times.is_sorted_by(|one, next| one < next), "{times:?}");
}

fn signed_at(posted: &Posted) -> u64 {
    let is_it = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("webhook-timestamp");
    posted.headers.iter().find(is_it).unwrap().1.parse().unwrap()
}

#[tokio::test]
async fn after_the_last_try_it_is_a_dead_letter_that_is_listed_and_replayed() {
    let shop = shop().set("events", "tries", "2").start().await;
    let webhook = Webhook::of(&shop.gateway, &shop.partner, "hook").await;
    webhook.answers(PartnerAnswer::Status(503));
    let id = shop.integration().created().await;

    let letter = dead_letter(&shop).await;

    assert_eq!(letter["webhook"], "hook");
    assert_eq!(
        (&letter["tries"], &letter["error"]),
        (&json!(2), &json!("answered 503"))
    );
    assert_eq!(letter["event"]["data"]["integration"]["id"], id);
    let listed = shop.gateway.command(&["event", "dead"]);
    let name = letter["name"].as_str().unwrap();
    assert!(String::from_utf8_lossy(&listed.stdout).contains(name), "{listed:?}");
    webhook.answers(PartnerAnswer::Status(200));
    let replayed = shop.gateway.command(&["event", "replay", name]);
    assert!(replayed.status.success(), "{replayed:?}");
    eventually("a third post", async || (webhook.posts().len() == 3).then_some(())).await;
    assert_eq!(shop.admin.get("/events/dead").await.json()["total"], 0);
    let again = shop
        .admin
        .post(&format!("/events/dead/{name}/replay"), &json!(null))
        .await;
    assert_eq!(again.status, 404);
}

#[tokio::test]
async fn all_dead_letters_are_replayed_at_once() {
    let shop = shop().set("events", "tries", "1").start().await;
    let webhook = Webhook::of(&shop.gateway, &shop.partner, "hook").await;
    webhook.answers(PartnerAnswer::Close);
    shop.integration().created().await;
    shop.integration().created().await;
    eventually("two are dead", async || {
        (shop.admin.get("/events/dead").await.json()["total"] == 2).then_some(())
    })
    .await;
    webhook.answers(PartnerAnswer::Status(200));

    let replayed = shop.gateway.command(&["event", "replay", "--all"]);

    assert_eq!(
        String::from_utf8_lossy(&replayed.stdout),
        "2 wait to be delivered again\n"
    );
    eventually("both come", async || (webhook.posts().len() == 4).then_some(())).await;
}

#[tokio::test]
async fn what_no_configured_webhook_would_get_is_not_replayed() {
    let shop = shop().set("events", "tries", "1").start().await;
    let webhook = Webhook::of(&shop.gateway, &shop.partner, "hook").await;
    webhook.answers(PartnerAnswer::Status(500));
    shop.integration().created().await;
    let letter = dead_letter(&shop).await;
    shop.gateway
        .reload(|config| config.replace("name = \"hook\"", "name = \"another\""))
        .await;

    let name = letter["name"].as_str().unwrap();
    let one = shop
        .admin
        .post(&format!("/events/dead/{name}/replay"), &json!(null))
        .await;
    let all = shop.gateway.command(&["event", "replay", "--all"]);

    assert_eq!(one.status, 409, "{}", one.text());
    assert_eq!(one.json()["parameters"], json!(["hook"]));
    assert_eq!(
        String::from_utf8_lossy(&all.stdout),
        "0 wait to be delivered again; 1 stay: their webhook is not configured\n"
    );
    assert_eq!(shop.admin.get("/events/dead").await.json()["total"], 1);
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_not_followed() {
    let shop = shop().set("events", "tries", "1").start().await;
    let (webhook, canary) = (
        Webhook::of(&shop.gateway, &shop.partner, "hook").await,
        shop.partner.endpoint(),
    );
    webhook.answers(PartnerAnswer::Redirect(canary.clone()));
    shop.integration().created().await;

    let letter = dead_letter(&shop).await;

    assert_eq!(letter["error"], "answered 302");
    assert!(shop.partner.posts(&canary).is_empty());
}

#[tokio::test]
async fn a_private_address_is_not_called_unless_it_is_listed() {
    let shop = shop()
        .set("events", "tries", "1")
        .set("callbacks", "allow", "[]")
        .start()
        .await;
    let webhook = Webhook::of(&shop.gateway, &shop.partner, "hook").await;
    shop.integration().created().await;

    let letter = dead_letter(&shop).await;

    assert!(
        letter["error"].as_str().unwrap().contains("callbacks.allow"),
        "{letter}"
    );
    assert!(webhook.posts().is_empty());
}

#[tokio::test]
async fn the_gateways_own_admin_listener_is_not_called_though_it_is_listed() {
    let shop = shop().set("events", "tries", "1").start().await;
    let url = format!("http://{}/api/v1/reload", shop.gateway.admin());
    let entry = format!("[[webhooks]]\nname = \"own\"\nurl = \"{url}\"\nsecret = \"0123456789abcdef\"\n");
    shop.gateway.reload(|config| config.append(&entry)).await;
    shop.integration().created().await;

    let letter = dead_letter(&shop).await;

    assert!(letter["error"].as_str().unwrap().contains("own addresses"), "{letter}");
}

#[tokio::test]
async fn an_answer_without_end_is_delivered_and_read_no_further() {
    let shop = shop().start().await;
    let webhook = Webhook::of(&shop.gateway, &shop.partner, "hook").await;
    webhook.answers(PartnerAnswer::Endless);

    shop.integration().created().await;

    webhook.event("integration.created").await;
    let delivered = async || {
        shop.gateway
            .metric("countersign_webhook_deliveries_total{outcome=\"delivered\"}")
            .await
    };
    eventually("it counts as delivered", async || {
        (delivered().await == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn nothing_waits_for_a_receiver_that_never_answers() {
    let shop = shop().set("callbacks", "timeout", "\"2s\"").start().await;
    let (hung, well) = (Webhook::new(&shop.partner), Webhook::new(&shop.partner));
    let entries = hung.entry("hung", "") + &well.entry("well", "");
    shop.gateway.reload(|config| config.append(&entries)).await;
    hung.answers(PartnerAnswer::Never);
    let began = Instant::now();

    for _ in 0..30 {
        sign_in(&shop).await;
    }

    let took = began.elapsed();
    eventually("the other webhook has them all", async || {
        (well.events("admin_login").len() == 30).then_some(())
    })
    .await;
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test]
async fn what_comes_too_late_is_a_failure_that_ends_in_time() {
    let shop = shop()
        .set("events", "tries", "1")
        .set("callbacks", "timeout", "\"500ms\"")
        .start()
        .await;
    let webhook = Webhook::of(&shop.gateway, &shop.partner, "hook").await;
    webhook.answers(PartnerAnswer::Late(Duration::from_secs(5)));
    let began = Instant::now();
    shop.integration().created().await;

    let letter = dead_letter(&shop).await;

    assert_eq!(letter["error"], "no answer in time");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_waits_outlives_a_kill_of_the_gateway() {
    let shop = shop().start().await;
    let webhook = Webhook::of(&shop.gateway, &shop.partner, "hook").await;
    webhook.answers(PartnerAnswer::Never);
    let id = shop.integration().created().await;

    shop.gateway.kill();
    shop.gateway.end().await;
    let before = webhook.posts().len();
    webhook.answers(PartnerAnswer::Status(200));
    shop.gateway.start_again().await;

    eventually("it comes after the start", async || {
        (webhook.posts().len() > before).then_some(())
    })
    .await;
    let event = webhook.event("integration.created").await;
    assert_eq!(event["data"]["integration"]["id"], id);
}

#[tokio::test]
async fn a_full_outbox_drops_its_oldest_and_says_so() {
    let shop = shop()
        .set("events", "outbox", "3")
        .set("events", "retry_first", "\"1h\"")
        .start()
        .await;
    let webhook = Webhook::new(&shop.partner);
    let entry = webhook.entry("hook", "events = [\"integration.created\"]");
    shop.gateway.reload(|config| config.append(&entry)).await;
    webhook.answers(PartnerAnswer::Status(500));

    for number in 0..6 {
        shop.integration()
            .with("name", format!("Number {number}"))
            .created()
            .await;
    }

    eventually("three are dropped", async || {
        (shop.gateway.metric("countersign_events_dropped_total").await == 3).then_some(())
    })
    .await;
    assert_eq!(shop.gateway.metric("countersign_event_outbox").await, 3);
    shop.gateway.logged("events were dropped undelivered").await;
}

#[tokio::test]
async fn who_may_only_read_replays_nothing() {
    let shop = shop().start().await;
    let viewer = shop.admin.colleague("viewer").await;

    assert_eq!(viewer.get("/events/dead").await.status, 200);
    assert_eq!(viewer.post("/events/dead/replay", &json!(null)).await.status, 403);
    let unknown = shop.gateway.admin_call(Call::get("/api/v1/events")).await;
    assert_eq!(unknown.status, 401);
}

fn shop() -> ShopBuilder {
    Shop::new().set("events", "retry_first", "\"1s\"")
}

async fn dead_letter(shop: &Shop) -> Value {
    eventually("a dead letter", async || {
        let dead = shop.admin.get("/events/dead").await.json();
        dead["items"].get(0).cloned()
    })
    .await
}

async fn sign_in(shop: &Shop) {
    let credentials = json!({ "username": ADMIN, "password": PASSWORD });
    let call = Call::post("/rest/V1/integration/admin/token").json(&credentials);
    assert_eq!(call.send(&shop.gateway).await.status, 200);
}
