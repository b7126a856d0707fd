//! Which tokens there are, and the end of one of them.

use harness::{ADMIN, Admin, Call, PASSWORD, Shop};
use serde_json::{Value, json};

#[tokio::test]
async fn the_list_names_every_token_that_opens_something_and_shows_none() {
    let shop = Shop::new().start().await;
    let bearer = Admin::sign_in(shop.gateway.admin(), ADMIN, PASSWORD).await;
    let integration = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .active()
        .await;

    let items = all(&shop, "").await;

    let kinds: Vec<&str> = items.iter().map(|item| item["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["admin", "admin", "integration"]);
    assert_eq!((&items[0]["user_id"], &items[0]["name"]), (&json!(1), &json!(ADMIN)));
    assert_eq!(items[2]["integration_id"].to_string(), integration.id.to_string());
    let text = Value::from(items).to_string();
    let (token, _) = integration.credentials.token.unwrap();
    assert!(!text.contains(bearer.token()) && !text.contains(&token));
    assert!(text.contains(&format!("\"{}…\"", token.get(..4).unwrap())));
}

#[tokio::test]
async fn a_list_is_narrowed_by_kind_user_and_integration() {
    let shop = Shop::new().start().await;
    let new = json!({ "username": "second", "password": PASSWORD, "role": "viewer" });
    assert_eq!(shop.admin.post("/admins", &new).await.status, 201);
    Admin::sign_in(shop.gateway.admin(), "second", PASSWORD).await;
    let one = shop.integration().granted(&[]).active().await;
    shop.integration().granted(&[]).active().await;
    let count = async |query: &str| all(&shop, query).await.len();

    assert_eq!(count("&kind=admin").await, 2);
    assert_eq!(count("&kind=admin&user_id=2").await, 1);
    assert_eq!(count("&kind=customer").await, 0);
    assert_eq!(count("&kind=integration").await, 2);
    assert_eq!(count(&format!("&integration_id={}", one.id)).await, 1);
    assert_eq!(count("&limit=1").await, 4);
    for bad in ["user_id=2", "kind=integration&user_id=2", "kind=nobody", "what=1"] {
        assert_eq!(shop.admin.get(&format!("/tokens?{bad}")).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn a_list_says_how_many_there_are_where_one_page_holds_them_all() {
    let shop = Shop::new().start().await;
    let id = shop.integration().granted(&[]).active().await.id;
    Admin::sign_in(shop.gateway.admin(), ADMIN, PASSWORD).await;
    let total = async |query: &str| shop.admin.get(&format!("/tokens{query}")).await.json()["total"].clone();

    assert_eq!(total("?kind=admin&user_id=1").await, 2);
    assert_eq!(total(&format!("?integration_id={id}")).await, 1);
    assert_eq!(total("?kind=integration").await, 1);
    assert_eq!(total("").await, Value::Null);
    assert_eq!(total("?after=integrations:").await, Value::Null);
}

#[tokio::test]
async fn an_expired_token_is_not_listed() {
    let shop = Shop::new().start().await;
    shop.gateway
        .reload(|config| config.set("tokens.admin", "lifetime", "\"5s\""))
        .await;
    Admin::sign_in(shop.gateway.admin(), ADMIN, PASSWORD).await;
    assert_eq!(all(&shop, "&kind=admin").await.len(), 2);

    tokio::time::sleep(std::time::Duration::from_millis(5100)).await;

    assert_eq!(all(&shop, "&kind=admin").await.len(), 1);
}

#[tokio::test]
async fn one_token_of_a_user_is_ended_and_the_others_hold() {
    let shop = Shop::new().start().await;
    let before = all(&shop, "&kind=admin").await;
    let other = Admin::sign_in(shop.gateway.admin(), ADMIN, PASSWORD).await;
    let items = all(&shop, "&kind=admin").await;
    let id_of = |one: &Value| one["id"].as_str().unwrap().to_owned();
    let (own, mut added) = (id_of(&before[0]), items.iter().map(id_of));
    let id = added.find(|id| *id != own).unwrap();

    let ended = shop.admin.delete(&format!("/tokens/{id}")).await;

    assert_eq!((ended.status, ended.json()), (200, json!({ "revoked": 1 })));
    assert_eq!(shop.admin.get("/admins").await.status, 200);
    assert_eq!(other.get("/admins").await.status, 401);
    assert_eq!(shop.admin.delete(&format!("/tokens/{id}")).await.status, 404);
    let audit = shop.admin.get("/audit").await.json();
    let last = audit["items"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (&last["action"], &last["subject"]),
        (&json!("token.revoked"), &json!("admin/1"))
    );
}

#[tokio::test]
async fn an_integration_s_token_is_ended_by_its_id() {
    let shop = Shop::shared().await;
    let integration = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .active()
        .await;
    let products = || Call::get("/rest/V1/products/token-list").signed_by(&integration.credentials);
    assert_eq!(products().send(&shop.gateway).await.status, 200);
    let items = all(shop, &format!("&integration_id={}", integration.id)).await;

    let ended = shop
        .admin
        .delete(&format!("/tokens/{}", items[0]["id"].as_str().unwrap()))
        .await;

    assert_eq!(ended.status, 200);
    assert_eq!(products().send(&shop.gateway).await.refusal(), (401, "token_rejected"));
}

#[tokio::test]
async fn what_names_no_token_is_404() {
    let shop = Shop::shared().await;

    for id in ["0", "x", "1-2", "-", "999999-abc", "%2e%2e"] {
        assert_eq!(shop.admin.delete(&format!("/tokens/{id}")).await.status, 404, "{id}");
    }
}

async fn all(shop: &Shop, query: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let mut after = String::new();
    loop {
        let filters = format!("{query}{after}");
        let page = shop
            .admin
            .get(&format!("/tokens?{}", filters.trim_start_matches('&')))
            .await;
        assert_eq!(page.status, 200, "{}", page.text());
        let page = page.json();
        items.extend(page["items"].as_array().cloned().unwrap());
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return items,
        }
    }
}
