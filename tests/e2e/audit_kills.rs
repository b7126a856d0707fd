//! No change without its entry in the audit log, and no entry without its change, whenever the gateway is killed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use harness::redis::{Options, Server};
use harness::{ADMIN, Admin, Call, PASSWORD, Shop, ShopBuilder};
use serde_json::{Value, json};
use tokio::task::JoinSet;

#[tokio::test]
async fn every_change_before_a_kill_has_its_entry() {
    changes_and_entries_agree(Shop::new()).await;
}

#[tokio::test]
async fn every_change_before_a_kill_has_its_entry_on_redis() {
    let redis = Server::start(Options::default()).await;
    changes_and_entries_agree(Shop::new().store(&redis.url())).await;
}

async fn changes_and_entries_agree(shop: ShopBuilder) {
    let shop = shop.start().await;
    for round in 0..KILLS {
        let mut changing = JoinSet::new();
        for task in 0..6 {
            let admin = Admin::sign_in(shop.gateway.admin(), ADMIN, PASSWORD).await;
            changing.spawn(change_until_killed(
                shop.gateway.admin(),
                admin,
                format!("Killed {round}/{task}"),
            ));
        }
        tokio::time::sleep(Duration::from_millis(150 + 37 * round)).await;
        shop.gateway.kill();
        changing.join_all().await;
        shop.gateway.start_again().await;
    }

    let admin = Admin::sign_in(shop.gateway.admin(), ADMIN, PASSWORD).await;
    let mut changes = BTreeMap::new();
    let listed = admin.get("/integrations?limit=1000&name=Killed").await.json();
    for one in listed["items"].as_array().unwrap() {
        let one = admin.get(&format!("/integrations/{}", one["id"])).await;
        let version = one.header("etag").unwrap().trim_matches('"').parse::<u64>().unwrap();
        changes.insert(format!("integration/{}", one.json()["id"]), version);
    }
    let mut entries = BTreeMap::<String, u64>::new();
    for entry in admin.audit().await {
        let subject = entry["subject"].as_str().unwrap().to_owned();
        if subject.starts_with("integration/") {
            *entries.entry(subject).or_default() += 1;
        }
    }
    assert!(changes.len() > 10, "{changes:?}");
    assert_eq!(entries, changes);
}

/// A new integration, then one change of it after the other: each moves its version by one.
async fn change_until_killed(address: SocketAddr, admin: Admin, name: String) {
    let call = async |call: Call| {
        let authorized = call
            .header("Authorization", &format!("Bearer {}", admin.token()))
            .header("If-Match", "*");
        let message = authorized.to_address(address, &format!("http://{address}"));
        message.try_send().await
    };
    for number in 0..30 {
        let new = Call::post("/api/v1/integrations").json(&json!({ "name": format!("{name}/{number}") }));
        let Ok(made) = call(new).await else { return };
        let id: Value = made.json()["id"].clone();
        for resources in [json!(["Magento_Sales::sales"]), json!([])] {
            let path = format!("/api/v1/integrations/{id}/resources");
            if call(Call::new("PUT", &path).json(&resources)).await.is_err() {
                return;
            }
        }
    }
}

const KILLS: u64 = 4;
