//! `/oauth/token`: strictly once, and a user's new token ends the one before.

use harness::redis::{Options, Server};
use harness::{ADMIN, CALLBACK, Call, Credentials, Shop};
use serde_json::json;
use tokio::task::JoinSet;

use crate::three_legged::{allowed, app};

#[tokio::test]
async fn a_new_token_of_the_same_user_ends_the_old_one() {
    let (shop, app) = app().await;
    let old = shop.gateway.delegated_by(ADMIN, &app).await;

    let new = shop.gateway.delegated_by(ADMIN, &app).await;

    let get = async |token: &Credentials| {
        Call::get("/rest/V1/products/renewed")
            .signed_by(token)
            .send(&shop.gateway)
            .await
    };
    assert_eq!(get(&new).await.status, 200);
    assert_eq!(get(&old).await.refusal(), (401, "token_rejected"));
    assert_eq!(get(&app).await.status, 200);
}

#[tokio::test]
async fn a_new_token_is_told_though_the_old_one_can_not_be_ended() {
    let redis = Server::start(Options::default()).await;
    let shop = Shop::new().store(&redis.url()).start().await;
    let app = shop.integration().granted(&["Magento_Catalog::products"]);
    let app = app.with("callback_urls", json!([CALLBACK])).active().await;
    let old = shop.gateway.delegated_by(ADMIN, &app.credentials).await;
    let (pair, verifier) = allowed(&shop, &app.credentials).await;
    // What lists a consumer's tokens, as nothing else here does, is not allowed.
    redis.command(&["ACL", "SETUSER", "default", "-hgetall"]).await;

    let told = shop.gateway.exchange_delegated(&pair, &verifier).await;

    assert_eq!(told.status, 200, "{}", told.text());
    let new = app
        .credentials
        .with_token(&told.form("oauth_token"), &told.form("oauth_token_secret"));
    let get = async |token: &Credentials| {
        let call = Call::get("/rest/V1/products/told").signed_by(token);
        call.send(&shop.gateway).await.status
    };
    assert_eq!((get(&new).await, get(&old).await), (200, 200));
    shop.gateway.logged("older access token stands").await;
    redis.command(&["ACL", "SETUSER", "default", "+hgetall"]).await;
    let newest = shop.gateway.delegated_by(ADMIN, &app.credentials).await;
    assert_eq!((get(&newest).await, get(&new).await, get(&old).await), (200, 401, 401));
}

#[tokio::test]
async fn a_token_is_exchanged_strictly_once() {
    let (shop, app) = app().await;
    let (pair, verifier) = allowed(shop, &app).await;

    let mut calls = JoinSet::new();
    for _ in 0..8 {
        let (pair, verifier) = (pair.clone(), verifier.clone());
        calls.spawn(async move { shop.gateway.exchange_delegated(&pair, &verifier).await });
    }
    let answers = calls.join_all().await;
    let later = shop.gateway.exchange_delegated(&pair, &verifier).await;

    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert!(answers.iter().all(|answer| [200, 401].contains(&answer.status)));
    assert_eq!(later.status, 401);
}
