//! Sessions of the console over two gateways on one Redis; everything else of it is tested in a browser.

use harness::redis::{Options, Server};
use harness::{ADMIN, Call, Gateway, PASSWORD, Response, Shop};
use tokio::sync::OnceCell;

#[tokio::test]
async fn a_session_begun_on_one_gateway_opens_the_console_of_the_other() {
    let (shop, other) = two().await;

    let session = begin(&shop.gateway).await;

    assert_eq!(page(&shop.gateway, &session).await.status, 200);
    assert_eq!(page(other, &session).await.status, 200);
}

#[tokio::test]
async fn signing_out_on_one_gateway_ends_the_session_on_the_other_within_a_second() {
    let (shop, other) = two().await;
    let session = begin(&shop.gateway).await;
    let text = page(other, &session).await.text();
    let csrf = text.split("name=\"csrf\" value=\"").nth(1).unwrap();
    let csrf = csrf.split('"').next().unwrap();

    let ended = Call::post("/sign-out")
        .header("Cookie", &session)
        .form(&format!("csrf={csrf}"));
    assert_eq!(other.admin_call(ended).await.status, 303);

    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(page(other, &session).await.status, 303);
    assert_eq!(page(&shop.gateway, &session).await.status, 303);
}

#[tokio::test]
async fn tokens_that_an_admin_ends_take_the_sessions_along() {
    let (shop, other) = two().await;
    let guest = serde_json::json!({ "username": "guest", "password": PASSWORD, "role": "viewer" });
    let made = shop.admin.post("/admins", &guest);
    let id = made.await.json()["id"].clone();
    let session = begin_as(&shop.gateway, "guest").await;
    assert_eq!(page(other, &session).await.status, 200);

    shop.admin.delete(&format!("/admins/{id}/tokens")).await;

    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(page(other, &session).await.status, 303);
    assert_eq!(page(&shop.gateway, &session).await.status, 303);
}

async fn two() -> &'static (Shop, Gateway) {
    static TWO: OnceCell<(Shop, Gateway)> = OnceCell::const_new();
    let start = async || {
        // Kept until the process ends.
        let redis = Box::leak(Box::new(Server::start(Options::default()).await));
        let shop = Shop::new().store(&redis.url()).start().await;
        let other = shop.second_gateway().await;
        (shop, other)
    };
    TWO.get_or_init(start).await
}

async fn begin(gateway: &Gateway) -> String {
    begin_as(gateway, ADMIN).await
}

/// Signs in; answers the cookie.
async fn begin_as(gateway: &Gateway, username: &str) -> String {
    let form = format!("username={username}&password={}", PASSWORD.replace(' ', "+"));
    let answer = gateway.admin_call(Call::post("/sign-in").form(&form)).await;
    assert_eq!(answer.status, 303);
    let cookie = answer.header("set-cookie").unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

async fn page(gateway: &Gateway, session: &str) -> Response {
    gateway
        .admin_call(Call::get("/integrations").header("Cookie", session))
        .await
}
