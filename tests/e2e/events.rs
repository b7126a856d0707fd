//! Events at webhooks: every change is told, signed, without secrets, to who wants to hear of it.

use harness::redis::{Options, Server};
use harness::{CUSTOMER, Call, PASSWORD, Shop, Webhook, eventually, now};
use serde_json::{Value, json};

#[tokio::test]
async fn an_integrations_life_is_told_signed_and_without_secrets() {
    let shop = Shop::new().start().await;
    let webhook = Webhook::of(&shop.gateway, &shop.partner, "hook").await;

    let integration = shop.integration().with("name", "Told").active().await;
    let path = format!("/integrations/{}", integration.id);
    shop.admin.post(&format!("{path}/deactivate"), &json!(null)).await;
    shop.admin.activate(integration.id).await;
    shop.admin.post(&format!("{path}/reauthorize"), &json!(null)).await;
    shop.admin
        .put(&format!("{path}/resources"), &json!({ "all": true }))
        .await;
    shop.admin.delete(&path).await;

    let deleted = webhook.event("integration.deleted").await;
    assert_eq!(deleted["data"]["integration"]["id"], integration.id);
    assert_eq!(deleted["data"]["integration"]["name"], "Told");
    assert!(deleted["at"].as_u64().unwrap().abs_diff(now()) < 60);
    let told = |name: &str| webhook.events(name).len();
    // In any order: several are on their way at a time.
    let wanted = [
        ("integration.created", 1),
        ("integration.activated", 2),
        ("integration.deactivated", 1),
        ("integration.reauthorized", 1),
        ("integration.updated", 1),
        ("integration.deleted", 1),
        ("token.issued", 2),
        ("token.revoked", 2),
    ];
    eventually("all are told", async || {
        wanted.iter().all(|(name, times)| told(name) == *times).then_some(())
    })
    .await;
    let all: String = webhook.posts().into_iter().map(|posted| posted.body).collect();
    let credentials = &integration.credentials;
    for secret in [
        &credentials.consumer_secret,
        credentials.token(),
        credentials.token_secret(),
    ] {
        assert!(!all.contains(secret), "{all}");
    }
}

#[tokio::test]
async fn an_exchange_is_told_as_activation_and_token() {
    let shop = Shop::new().start().await;
    let webhook = Webhook::of(&shop.gateway, &shop.partner, "hook").await;

    let (id, handshake) = shop.integration().posted(&shop.partner, &shop.gateway).await;
    assert!(webhook.events("integration.activated").is_empty());
    handshake.finish().await;

    let activated = webhook.event("integration.activated").await;
    assert_eq!(activated["data"]["integration"]["id"], id);
    assert_eq!(activated["data"]["integration"]["status"], "active");
    let issued = webhook.event("token.issued").await;
    assert_eq!(issued["data"]["token"], "access");
    assert_eq!(issued["data"]["integration_id"], id);
}

#[tokio::test]
async fn a_customers_and_an_admins_sign_in_are_told_with_their_numbers() {
    let shop = Shop::new().start().await;
    let customer = shop.gateway.add_customer(CUSTOMER).await;
    let webhook = Webhook::of(&shop.gateway, &shop.partner, "hook").await;

    let token = shop.customer_token().await;
    let credentials = json!({ "username": harness::ADMIN, "password": PASSWORD });
    let signed_in = Call::post("/rest/V1/integration/admin/token").json(&credentials);
    assert_eq!(signed_in.send(&shop.gateway).await.status, 200);

    let login = webhook.event("customer_login").await;
    assert_eq!(login["data"]["customer"], json!({ "id": customer }));
    let lives = login["data"]["expires_at"].as_u64().unwrap() - login["at"].as_u64().unwrap();
    assert_eq!(lives, 3600);
    let login = webhook.event("admin_login").await;
    assert_eq!(login["data"]["admin"]["id"], 1);
    let all: String = webhook.posts().into_iter().map(|posted| posted.body).collect();
    assert!(!all.contains(&token) && !all.contains(PASSWORD), "{all}");
}

#[tokio::test]
async fn every_customer_token_is_told() {
    let shop = Shop::new().start().await;
    shop.gateway.add_customer(CUSTOMER).await;
    let webhook = Webhook::of(&shop.gateway, &shop.partner, "hook").await;

    for _ in 0..5 {
        shop.customer_token().await;
    }

    eventually("five are told", async || {
        (webhook.events("customer_login").len() == 5).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_token_that_is_a_jwt_is_told_as_well() {
    let shop = Shop::new().set("tokens.customer", "format", "\"jwt\"").start().await;
    let customer = shop.gateway.add_customer(CUSTOMER).await;
    let webhook = Webhook::of(&shop.gateway, &shop.partner, "hook").await;

    let token = shop.customer_token().await;
    shop.admin.delete(&format!("/customers/{customer}/tokens")).await;

    let login = webhook.event("customer_login").await;
    assert_eq!(login["data"]["customer"], json!({ "id": customer }));
    let revoked = webhook.event("token.revoked").await;
    assert_eq!(revoked["data"]["user_id"], customer);
    let all: String = webhook.posts().into_iter().map(|posted| posted.body).collect();
    assert!(!all.contains(&token), "{all}");
}

#[tokio::test]
async fn a_users_revocation_is_told_with_its_count() {
    let shop = Shop::new().start().await;
    let customer = shop.gateway.add_customer(CUSTOMER).await;
    let webhook = Webhook::of(&shop.gateway, &shop.partner, "hook").await;
    shop.customer_token().await;
    shop.customer_token().await;

    shop.admin.delete(&format!("/customers/{customer}/tokens")).await;

    let revoked = webhook.event("token.revoked").await;
    let expected = json!({ "token": "bearer", "user_type": "customer", "user_id": customer, "count": 2 });
    assert_eq!(revoked["data"], expected);
}

#[tokio::test]
async fn a_refused_sign_in_is_not_told() {
    let shop = Shop::new().start().await;
    let webhook = Webhook::of(&shop.gateway, &shop.partner, "hook").await;

    let credentials = json!({ "username": harness::ADMIN, "password": "wrong password" });
    let refused = Call::post("/rest/V1/integration/admin/token").json(&credentials);
    assert_eq!(refused.send(&shop.gateway).await.status, 401);
    shop.integration().created().await;

    webhook.event("integration.created").await;
    assert!(webhook.events("admin_login").is_empty());
}

#[tokio::test]
async fn a_webhook_hears_only_what_it_asks_for() {
    let shop = Shop::new().start().await;
    let (some, all) = (Webhook::new(&shop.partner), Webhook::new(&shop.partner));
    let entries = some.entry("some", "events = [\"integration.deleted\"]") + &all.entry("all", "");
    shop.gateway.reload(|config| config.append(&entries)).await;

    let id = shop.integration().created().await;
    all.event("integration.created").await;
    shop.admin.delete(&format!("/integrations/{id}")).await;

    some.event("integration.deleted").await;
    assert_eq!(some.posts().len(), 1);
}

#[tokio::test]
async fn a_fault_in_a_webhook_is_told_with_its_key() {
    let shop = Shop::new().start().await;
    let entry =
        "[[webhooks]]\nname = \"a b\"\nurl = \"ftp://x\"\nsecret = \"short\"\nevents = [\"integration.actived\"]";
    shop.gateway.write_config(|config| config.append(entry));

    let checked = shop.gateway.command(&["check"]);

    let told = String::from_utf8_lossy(&checked.stderr).into_owned() + &String::from_utf8_lossy(&checked.stdout);
    for key in ["webhooks.name", "webhooks.url", "webhooks.secret", "webhooks.events"] {
        assert!(told.contains(key), "{key}: {told}");
    }
    assert!(told.contains("integration.activated"), "{told}");
    assert_eq!(checked.status.code(), Some(78));
}

#[tokio::test]
async fn two_gateways_on_one_redis_deliver_each_event_once() {
    let redis = Server::start(Options::default()).await;
    let shop = Shop::new().store(&redis.url()).start().await;
    let other = shop.second_gateway().await;
    let webhook = Webhook::of(&shop.gateway, &shop.partner, "hook").await;
    let entry = webhook.entry("hook", "");
    other.reload(|config| config.append(&entry)).await;

    for number in 0..20 {
        let credentials = json!({ "username": harness::ADMIN, "password": PASSWORD });
        let sign_in = Call::post("/rest/V1/integration/admin/token").json(&credentials);
        let at = if number % 2 == 0 { &shop.gateway } else { &other };
        assert_eq!(sign_in.send(at).await.status, 200);
    }

    eventually("all are delivered", async || {
        (webhook.events("admin_login").len() >= 20).then_some(())
    })
    .await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let mut ids: Vec<String> = webhook
        .events("admin_login")
        .iter()
        .map(|event| event["id"].to_string())
        .collect();
    assert_eq!(ids.len(), 20);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 20);
}

#[tokio::test]
async fn a_delegated_token_is_told_with_its_user() {
    let shop = Shop::new().start().await;
    let webhook = Webhook::of(&shop.gateway, &shop.partner, "hook").await;
    let app = shop
        .integration()
        .with("callback_urls", json!([harness::CALLBACK]))
        .active()
        .await;
    let consumer = shop
        .admin
        .get(&format!("/integrations/{}", app.id))
        .await
        .field("consumer_id");

    shop.gateway.delegated_by(harness::ADMIN, &app.credentials).await;

    let of_user = async || {
        let issued = webhook.events("token.issued").into_iter();
        issued
            .map(|event| event["data"].clone())
            .find(|data| data["token"] == "delegated")
    };
    let issued: Value = eventually("the delegated token", of_user).await;
    assert_eq!((&issued["user_type"], &issued["user_id"]), (&json!("admin"), &json!(1)));
    assert_eq!(issued["consumer_id"].to_string(), consumer);
}
