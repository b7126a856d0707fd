//! deploy/redis: a gateway needs no more of Redis than the user of `users.acl` may do.

use std::fs;

use harness::redis::{Options, Reply, Server};
use harness::{Call, Shop};
use serde_json::Value;

/// What `users.acl` lets the gateway's user do.
fn rules() -> String {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/redis/users.acl");
    let text = fs::read_to_string(file).unwrap();
    let user = text
        .lines()
        .find_map(|line| line.strip_prefix("user countersign on >REPLACE-THIS-PASSWORD "));
    user.unwrap().to_owned()
}

#[tokio::test]
async fn the_documented_redis_user_may_do_all_that_a_gateway_does() {
    let user = Some(("countersign".to_owned(), "geheim".to_owned(), rules()));
    let redis = Server::start(Options {
        user,
        ..Options::default()
    })
    .await;
    let shop = Shop::new().store(&redis.url()).start().await;

    // A handshake, a signed call and its replay; a rotated secret, a deletion; a failed sign-in; the sweeps.
    let integration = shop.integration().granted(&["Magento_Catalog::products"]);
    let integration = integration.exchanged(&shop.partner, &shop.gateway).await;
    let message = Call::get("/rest/V1/products/24-MB01")
        .signed_by(&integration.credentials)
        .to(&shop.gateway);
    assert_eq!((message.send().await.status, message.send().await.status), (200, 401));
    let id = integration.id;
    let rotate = serde_json::json!({ "grace": "1h" });
    assert_eq!(
        shop.admin
            .post(&format!("/integrations/{id}/rotate-secret"), &rotate)
            .await
            .status,
        200
    );
    assert_eq!(
        shop.admin
            .post(&format!("/integrations/{id}/deactivate"), &Value::Null)
            .await
            .status,
        200
    );
    assert_eq!(shop.admin.get("/integrations").await.status, 200);
    assert_eq!(shop.admin.delete(&format!("/integrations/{id}")).await.status, 200);
    assert_eq!(shop.admin.get("/audit").await.status, 200);
    let wrong = serde_json::json!({ "username": "nobody", "password": "wrong password" });
    let refused = Call::post("/rest/V1/integration/admin/token")
        .json(&wrong)
        .send(&shop.gateway)
        .await;
    assert_eq!(refused.status, 401);

    let denied = redis.command(&["ACL", "LOG"]).await;
    assert!(
        matches!(&denied, Reply::List(entries) if entries.is_empty()),
        "{denied:?}"
    );
}
