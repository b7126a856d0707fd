//! The step between the verifier POST and the exchange: the merchant signs in to the third party and comes back.

use harness::{Call, Response, Shop};
use serde_json::json;

#[tokio::test]
async fn an_activation_by_exchange_answers_where_to_sign_in() {
    let shop = Shop::shared().await;

    let (answer, key) = activated(shop, "https://partner.example/login").await;

    let page = format!(
        "http%3A%2F%2F127.0.0.1%3A{}%2Fintegration%2FloginSuccessCallback",
        shop.gateway.admin().port()
    );
    let expected = format!("https://partner.example/login?oauth_consumer_key={key}&success_call_back={page}");
    assert_eq!(answer.field("identity_link_url"), expected);
}

#[tokio::test]
async fn a_links_own_query_is_kept() {
    let shop = Shop::shared().await;

    let (answer, key) = activated(shop, "https://partner.example/login?shop=a%20b&plan=x+y").await;

    let link = answer.field("identity_link_url");
    let expected =
        format!("https://partner.example/login?shop=a%20b&plan=x+y&oauth_consumer_key={key}&success_call_back=");
    assert!(link.starts_with(&expected), "{link}");
}

#[tokio::test]
async fn without_a_link_or_an_exchange_none_is_answered() {
    let shop = Shop::shared().await;
    let endpoint = shop.partner.endpoint();
    let linkless = shop.integration().with("endpoint", endpoint.as_str()).created().await;
    let at_once = shop
        .integration()
        .with("identity_link_url", "https://partner.example/login");
    let at_once = at_once.created().await;

    for id in [linkless, at_once] {
        let answer = shop.admin.activate(id).await.json();
        assert_eq!(answer.get("identity_link_url"), None, "{answer}");
    }
}

#[tokio::test]
async fn the_page_to_come_back_to_needs_no_sign_in_and_closes_the_window_by_the_console_s_script() {
    let shop = Shop::shared().await;
    let page = shop
        .gateway
        .admin_call(Call::get("/integration/loginSuccessCallback"))
        .await;
    let source = page.text();
    let source = source
        .split_once("<script src=\"")
        .and_then(|(_, rest)| rest.split_once('"'));
    let script = shop.gateway.admin_call(Call::get(source.unwrap().0)).await;

    assert_eq!((page.status, script.status), (200, 200));
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("default-src 'none'") && policy.contains("script-src 'self'"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe-inline"), "{policy}");
    assert!(page.text().contains(" data-closes"), "{}", page.text());
    assert!(script.text().contains("[data-closes]"));
    let public = Call::get("/integration/loginSuccessCallback").send(&shop.gateway).await;
    assert_eq!(public.status, 404);
}

async fn activated(shop: &Shop, link: &str) -> (Response, String) {
    let endpoint = shop.partner.endpoint();
    let integration = shop.integration().with("endpoint", endpoint.as_str());
    let id = integration.with("identity_link_url", link).created().await;
    let key = shop
        .admin
        .get(&format!("/integrations/{id}"))
        .await
        .field("consumer_key");
    let answer = shop
        .admin
        .post(&format!("/integrations/{id}/activate"), &json!(null))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    (answer, key)
}
