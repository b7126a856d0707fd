//! A change of the encryption key, to its end: sealed anew, what was kept is read with the new key alone.

use harness::{Call, Shop};

use crate::services::new_on_redis;

#[tokio::test]
async fn after_a_change_of_the_key_the_old_one_can_go_from_an_embedded_store() {
    let shop = Shop::new()
        .set("store", "encryption_keys", &format!("[{OLD:?}]"))
        .start()
        .await;
    after_a_change_of_the_key_the_old_one_can_go(&shop).await;
}

#[tokio::test]
async fn after_a_change_of_the_key_the_old_one_can_go_from_redis() {
    after_a_change_of_the_key_the_old_one_can_go(&new_on_redis().await).await;
}

async fn after_a_change_of_the_key_the_old_one_can_go(shop: &Shop) {
    let reader = shop.reader().await;
    let serves = async |mark: &str| {
        let call = Call::get(&format!("/rest/V1/products/{mark}")).signed_by(&reader);
        call.send(&shop.gateway).await.status
    };
    let with_keys = async |keys: &str| {
        shop.gateway.stop().await;
        let keys = keys.to_owned();
        shop.gateway
            .write_config(|config| config.set("store", "encryption_keys", &keys));
    };
    with_keys(&format!("[{NEW:?}, {OLD:?}]")).await;
    shop.gateway.start_again().await;
    assert_eq!(serves("both-keys").await, 200);

    let resealed = shop.admin.post("/store/reseal", &serde_json::json!(null)).await;

    assert_eq!(resealed.status, 200, "{}", resealed.text());
    assert!(resealed.json()["resealed"].as_u64().unwrap() > 2, "{}", resealed.text());
    with_keys(&format!("[{NEW:?}]")).await;
    shop.gateway.start_again().await;
    assert_eq!(serves("new-key").await, 200);
    let viewed = shop.admin.get("/audit?limit=1000").await.text();
    assert!(viewed.contains("store.resealed"), "{viewed}");
}

const OLD: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW: &str = "HxwdHhsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";
