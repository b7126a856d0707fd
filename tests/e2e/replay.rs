//! A request counts once.

use harness::{Call, Shop};

#[tokio::test]
async fn the_same_request_is_served_once() {
    let shop = Shop::shared().await;
    let integration = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .active()
        .await;
    let call = Call::get("/rest/V1/products/replay-sequential")
        .signed_by(&integration.credentials)
        .to(&shop.gateway);

    let first = call.send().await;
    let second = call.send().await;

    assert_eq!(first.status, 200, "{}", first.text());
    assert_eq!(second.refusal(), (401, "nonce_used".to_owned()));
    assert_eq!(shop.upstream.count("replay-sequential"), 1);
}
