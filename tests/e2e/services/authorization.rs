//! `AuthorizationService` (magento.md 4.6, 5.5).

use harness::{Call, Credentials, Shop};
use serde_json::json;

use super::{PRODUCTS, over_both_stores};

over_both_stores!(
    authorization_grant_permissions,
    authorization_grant_permissions_refused,
    authorization_grant_all_permissions,
    authorization_remove_permissions,
);

async fn authorization_grant_permissions(shop: &Shop) {
    let one = shop.integration().active().await;
    let path = format!("/integrations/{}/resources", one.id);
    assert_eq!(opened(shop, &one.credentials).await, (false, false));

    let given = shop.admin.put(&path, &json!([PRODUCTS])).await;
    assert_eq!(given.json(), json!({ "all": false, "resources": [PRODUCTS] }));
    assert_eq!(opened(shop, &one.credentials).await, (true, false));

    // What is given replaces what was; ancestors and children are not implied.
    let orders = ["Magento_Sales::actions_view", "Magento_Sales::sales"];
    shop.admin.put(&path, &json!(orders)).await;
    assert_eq!(opened(shop, &one.credentials).await, (false, true));
    shop.admin.put(&path, &json!(["Magento_Backend::admin"])).await;
    assert_eq!(opened(shop, &one.credentials).await, (false, false));
    // An empty list permits nothing.
    shop.admin.put(&path, &json!([])).await;
    assert_eq!(opened(shop, &one.credentials).await, (false, false));
}

async fn authorization_grant_permissions_refused(shop: &Shop) {
    let one = shop.integration().granted(&[PRODUCTS]).active().await;
    let path = format!("/integrations/{}/resources", one.id);

    let unknown = shop
        .admin
        .put(&path, &json!([PRODUCTS, "Magento_Sales::action_view"]))
        .await;

    assert_eq!(unknown.status, 400);
    let sentence =
        "resources: resource \"Magento_Sales::action_view\" is unknown; did you mean \"Magento_Sales::actions_view\"?";
    assert_eq!(unknown.field("message"), sentence);
    for bad in [json!("Magento_Catalog::products"), json!({ "all": "yes" }), json!([1])] {
        assert_eq!(shop.admin.put(&path, &bad).await.status, 400, "{bad}");
    }
    assert_eq!(opened(shop, &one.credentials).await, (true, false));
    let nobody = shop
        .admin
        .put("/integrations/999999999/resources", &json!([PRODUCTS]))
        .await;
    assert_eq!(nobody.status, 404);
}

async fn authorization_grant_all_permissions(shop: &Shop) {
    let one = shop.integration().active().await;
    let path = format!("/integrations/{}/resources", one.id);

    let by_word = shop.admin.put(&path, &json!({ "all": true })).await;
    assert_eq!((by_word.status, &by_word.json()["all"]), (200, &json!(true)));
    assert_eq!(opened(shop, &one.credentials).await, (true, true));
    assert_eq!(
        shop.admin.get(&format!("/integrations/{}", one.id)).await.json()["all_resources"],
        true
    );

    // The root's own name says the same.
    shop.admin.put(&path, &json!([])).await;
    assert_eq!(opened(shop, &one.credentials).await, (false, false));
    let by_name = shop.admin.put(&path, &json!(["Magento_Backend::all"])).await;
    assert_eq!(by_name.json()["all"], true);
    assert_eq!(opened(shop, &one.credentials).await, (true, true));
}

async fn authorization_remove_permissions(shop: &Shop) {
    let one = shop.integration().granted_all().active().await;
    assert_eq!(opened(shop, &one.credentials).await, (true, true));

    let removed = shop.admin.delete(&format!("/integrations/{}/resources", one.id)).await;

    assert_eq!(
        (removed.status, removed.json()),
        (200, json!({ "all": false, "resources": [] }))
    );
    assert_eq!(opened(shop, &one.credentials).await, (false, false));
    // The tokens stay: what everybody may is still signed well.
    let open = Call::get("/rest/V1/store/config").signed_by(&one.credentials);
    assert_eq!(open.send(&shop.gateway).await.status, 200);
    assert_eq!(shop.admin.delete("/integrations/999999999/resources").await.status, 404);
}

/// Whether products, and whether orders (which need two resources) are served.
async fn opened(shop: &Shop, credentials: &Credentials) -> (bool, bool) {
    let get = async |path: &str| {
        let answer = Call::get(path).signed_by(credentials).send(&shop.gateway).await;
        assert!(matches!(answer.status, 200 | 401), "{}", answer.text());
        answer.status == 200
    };
    (get("/rest/V1/products/granted").await, get("/rest/V1/orders/1").await)
}
