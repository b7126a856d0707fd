//! `format = "jwt"`: signed bearer tokens, read back by another implementation of HMAC; revoked, expired, forged.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use harness::redis::{Options, Server};
use harness::{ADMIN, Admin, Answer, CUSTOMER, Call, Gateway, PASSWORD, Response, Shop, ShopBuilder, Upstream, now};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use token_store::{OpenOptions, Secret, Store, open};

#[tokio::test]
async fn a_jwt_says_who_it_is_for_and_until_when_under_the_key_of_the_store() {
    let shop = jwt_shop().start().await;
    let before = now();

    let token = admin_token(&shop.gateway).await;

    let claims = claims(&token);
    assert_eq!(
        json_of(token.split('.').next().unwrap()),
        json!({ "kid": "1", "alg": "HS256" })
    );
    assert_eq!((&claims["uid"], &claims["utypid"]), (&json!(1), &json!(2)));
    let iat = claims["iat"].as_u64().unwrap();
    assert!((before..before + 5).contains(&iat), "{claims}");
    assert_eq!(claims["exp"], json!(iat + 4 * 3600));
    assert_eq!(products(&shop.gateway, &token).await.status, 200);
    assert_eq!(shop.admin.get("/admins").await.status, 200);
    shop.gateway.stop().await;
    assert_eq!(signed_with(&key(&shop).await, &token), token);
}

#[tokio::test]
async fn a_customer_s_jwt_opens_what_is_theirs() {
    let shop = jwt_shop().start().await;
    let id = shop.gateway.add_customer(CUSTOMER).await;
    let token = customer_token(&shop.gateway).await;

    let me = me(&shop.gateway, &token).await;

    assert_eq!(
        (claims(&token)["uid"].as_u64(), &claims(&token)["utypid"]),
        (Some(id), &json!(3))
    );
    assert_eq!(me.status, 200);
    assert_eq!(
        shop.upstream.only("/me/jwt").header("x-user-id"),
        Some(id.to_string().as_str())
    );
    assert_eq!(
        products(&shop.gateway, &token).await.refusal(),
        (401, "resource_denied")
    );
}

#[tokio::test]
async fn a_jwt_without_end_has_no_exp_and_one_that_expired_opens_nothing() {
    let never = jwt_shop().set("tokens.admin", "lifetime", "\"never\"").start().await;
    let short = jwt_shop().set("tokens.admin", "lifetime", "\"5s\"").start().await;
    let (endless, ending) = (admin_token(&never.gateway).await, admin_token(&short.gateway).await);
    assert_eq!(products(&short.gateway, &ending).await.status, 200);

    tokio::time::sleep(Duration::from_millis(5100)).await;

    assert_eq!(claims(&endless).get("exp"), None);
    assert_eq!(products(&never.gateway, &endless).await.status, 200);
    assert_eq!(
        products(&short.gateway, &ending).await.refusal(),
        (401, "bearer_invalid")
    );
}

#[tokio::test]
async fn a_revocation_ends_all_jwts_of_its_user_and_the_next_sign_in_is_good_at_once() {
    let shop = jwt_shop().start().await;
    let (one, other) = (admin_token(&shop.gateway).await, admin_token(&shop.gateway).await);

    shop.admin.delete("/admins/1/tokens").await;
    let fresh = admin_token(&shop.gateway).await;

    for ended in [&one, &other, shop.admin.token()] {
        assert_eq!(products(&shop.gateway, ended).await.refusal(), (401, "bearer_invalid"));
    }
    assert_eq!(products(&shop.gateway, &fresh).await.status, 200);
    let again = Admin::sign_in(shop.gateway.admin(), ADMIN, PASSWORD).await;
    again.delete("/admins/1/tokens").await;
    assert_eq!(products(&shop.gateway, &fresh).await.refusal(), (401, "bearer_invalid"));
}

#[tokio::test]
async fn a_customer_ends_their_own_jwts() {
    let shop = jwt_shop().start().await;
    shop.gateway.add_customer(CUSTOMER).await;
    let token = customer_token(&shop.gateway).await;

    let revoke = bearer(
        Call::post("/rest/V1/integration/customer/revoke-customer-token"),
        &token,
    );
    let revoked = revoke.send(&shop.gateway).await;

    assert_eq!((revoked.status, revoked.text()), (200, "true".to_owned()));
    assert_eq!(me(&shop.gateway, &token).await.refusal(), (401, "bearer_invalid"));
}

#[tokio::test]
async fn a_disabled_account_s_jwt_opens_nothing_and_a_revocation_outlives_a_kill() {
    let shop = jwt_shop().start().await;
    let new = json!({ "username": "second", "password": PASSWORD, "role": "admin" });
    shop.admin.post("/admins", &new).await;
    let second = Admin::sign_in(shop.gateway.admin(), "second", PASSWORD).await;
    assert_eq!(products(&shop.gateway, second.token()).await.status, 200);

    shop.admin.post("/admins/2/disable", &json!(null)).await;
    assert_eq!(
        products(&shop.gateway, second.token()).await.refusal(),
        (401, "bearer_invalid")
    );
    shop.admin.post("/admins/2/enable", &json!(null)).await;
    shop.gateway.kill();
    shop.gateway.start_again().await;

    assert_eq!(
        products(&shop.gateway, second.token()).await.refusal(),
        (401, "bearer_invalid")
    );
    assert_eq!(products(&shop.gateway, shop.admin.token()).await.status, 200);
}

#[tokio::test]
async fn nothing_but_our_own_signature_under_our_own_header_opens_anything() {
    let shop = jwt_shop().start().await;
    let token = admin_token(&shop.gateway).await;
    let parts: Vec<&str> = token.split('.').collect();
    let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let other_user = encoded(&json!({ "uid": 1, "utypid": 2, "iat": now(), "exp": now() + 60 }).to_string());
    let forged = [
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}.{}.{}", encoded(r#"{"alg":"none"}"#), parts[1], parts[2]),
        format!("{}.{}.", encoded(r#"{"kid":"1","alg":"none"}"#), parts[1]),
        format!("{}.{other_user}.{}", parts[0], parts[2]),
        signed_with(&[0; 32], &format!("{}.{other_user}.", parts[0])),
        signed_with(&[], &format!("{}.{other_user}.", parts[0])),
        format!("{token}="),
        format!("{token}.{}", parts[2]),
        token.to_uppercase(),
    ];

    for forgery in forged {
        assert_eq!(
            products(&shop.gateway, &forgery).await.refusal(),
            (401, "bearer_invalid"),
            "{forgery}"
        );
    }
    assert_eq!(products(&shop.gateway, &token).await.status, 200);
}

#[tokio::test]
async fn a_good_signature_over_nonsense_opens_nothing() {
    let shop = jwt_shop().start().await;
    let header = admin_token(&shop.gateway).await.split('.').next().unwrap().to_owned();
    shop.gateway.stop().await;
    let key = key(&shop).await;
    shop.gateway.start_again().await;
    let signed = |claims: &Value| {
        let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
        signed_with(&key, &format!("{header}.{claims}."))
    };
    let claims = |uid: u64, utypid: u8, rev: u64| json!({ "uid": uid, "utypid": utypid, "iat": now(), "exp": now() + 60, "rev": rev });

    assert_eq!(products(&shop.gateway, &signed(&claims(1, 2, 0))).await.status, 200);
    for nonsense in [
        claims(999, 2, 0),
        claims(1, 1, 0),
        claims(1, 4, 0),
        claims(1, 2, now() + 60),
        json!({ "uid": "1", "utypid": 2, "iat": now() }),
        json!({ "utypid": 2, "iat": now() }),
        json!([]),
    ] {
        let told = products(&shop.gateway, &signed(&nonsense)).await;
        assert_eq!(told.refusal(), (401, "bearer_invalid"), "{nonsense}");
    }
}

#[tokio::test]
async fn opaque_tokens_and_jwts_are_read_side_by_side_while_jwts_are_issued() {
    let shop = Shop::new().start().await;
    let opaque = admin_token(&shop.gateway).await;
    let reload = async |format: &'static str| {
        shop.gateway
            .reload(|config| config.set("tokens.admin", "format", format))
            .await;
    };

    reload("\"jwt\"").await;
    let jwt = admin_token(&shop.gateway).await;
    let both = (
        products(&shop.gateway, &opaque).await.status,
        products(&shop.gateway, &jwt).await.status,
    );
    reload("\"opaque\"").await;

    assert_eq!((opaque.len(), jwt.matches('.').count(), both), (32, 2, (200, 200)));
    assert_eq!(products(&shop.gateway, &jwt).await.refusal(), (401, "bearer_invalid"));
    assert_eq!(products(&shop.gateway, &opaque).await.status, 200);
}

#[tokio::test]
async fn one_key_serves_all_gateways_and_a_revocation_holds_on_the_other_within_a_second() {
    let redis = Server::start(Options::default()).await;
    let shop = jwt_shop().store(&redis.url()).start().await;
    let other = shop.second_gateway().await;
    let (here, there) = (admin_token(&shop.gateway).await, admin_token(&other).await);
    for gateway in [&shop.gateway, &other] {
        assert_eq!(products(gateway, &here).await.status, 200);
        assert_eq!(products(gateway, &there).await.status, 200);
    }

    shop.admin.delete("/admins/1/tokens").await;
    tokio::time::sleep(Duration::from_secs(1)).await;

    for gateway in [&shop.gateway, &other] {
        assert_eq!(products(gateway, &here).await.refusal(), (401, "bearer_invalid"));
        assert_eq!(products(gateway, &there).await.refusal(), (401, "bearer_invalid"));
    }
}

#[tokio::test]
async fn a_store_that_is_gone_is_503_for_a_jwt_never_401() {
    let redis = Server::start(Options::default()).await;
    let shop = jwt_shop().store(&redis.url()).start().await;
    let token = admin_token(&shop.gateway).await;
    assert_eq!(products(&shop.gateway, &token).await.status, 200);

    drop(redis);
    tokio::time::sleep(Duration::from_millis(1200)).await;

    let call = bearer(Call::get("/rest/V1/products/jwt-gone"), &token).asking_for_the_cause();
    assert_eq!(call.send(&shop.gateway).await.refusal(), (503, "store_unavailable"));
}

#[tokio::test]
async fn the_storefront_s_own_token_goes_upstream_with_a_customer_s_jwt_too() {
    let front = Upstream::start().await;
    front.answers(
        "/vouch",
        Answer::Status(200, r#"{"id": 7, "token": "storefronts-own"}"#),
    );
    let shop = jwt_shop()
        .set("tokens.customer", "credentials", "\"http\"")
        .set(
            "tokens.customer",
            "url",
            &format!("\"http://{}/vouch\"", front.address()),
        )
        .set("upstreams.storefront.credentials", "mode", "\"customer\"")
        .start()
        .await;

    let token = customer_token(&shop.gateway).await;
    assert_eq!(me(&shop.gateway, &token).await.status, 200);

    let sent = shop.upstream.only("/me/jwt");
    assert_eq!(
        (token.matches('.').count(), sent.header("authorization")),
        (2, Some("Bearer storefronts-own"))
    );
    let listed = shop.admin.get("/tokens?kind=customer").await.json();
    assert_eq!(listed["items"], json!([]));
}

fn jwt_shop() -> ShopBuilder {
    Shop::new()
        .set("tokens.admin", "format", "\"jwt\"")
        .set("tokens.customer", "format", "\"jwt\"")
}

async fn admin_token(gateway: &Gateway) -> String {
    sign_in(gateway, "/rest/V1/integration/admin/token", ADMIN).await
}

async fn customer_token(gateway: &Gateway) -> String {
    sign_in(gateway, "/rest/V1/integration/customer/token", CUSTOMER).await
}

async fn sign_in(gateway: &Gateway, path: &str, username: &str) -> String {
    let call = Call::post(path).json(&json!({ "username": username, "password": PASSWORD }));
    let answer = call.send(gateway).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json().as_str().unwrap_or_default().to_owned()
}

fn bearer(call: Call, token: &str) -> Call {
    call.header("Authorization", &format!("Bearer {token}"))
}

async fn products(gateway: &Gateway, token: &str) -> Response {
    bearer(Call::get("/rest/V1/products/jwt"), token).send(gateway).await
}

async fn me(gateway: &Gateway, token: &str) -> Response {
    bearer(Call::get("/rest/V1/customers/me/jwt"), token)
        .send(gateway)
        .await
}

fn json_of(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn claims(token: &str) -> Value {
    json_of(token.split('.').nth(1).unwrap())
}

/// The token as this key signs what it says: header and claims are taken over.
fn signed_with(key: &[u8], token: &str) -> String {
    let (said, _) = token.rsplit_once('.').unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(said.as_bytes());
    format!("{said}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

/// The key that stands in the store, while no process has it open.
async fn key(shop: &Shop) -> Vec<u8> {
    let options = OpenOptions {
        url: format!("embedded:{}/store", shop.gateway.folder().display()),
        encryption_keys: Vec::new(),
        timeout: Duration::from_secs(1),
        connect_timeout: Duration::from_secs(1),
        cache: 100,
        now: now(),
        serves: false,
    };
    let store: Arc<dyn Store> = open(&options).await.unwrap();
    let key = store.shared_secret("jwt", &Secret::new("")).await.unwrap();
    store.close().await.unwrap();
    STANDARD.decode(key.expose()).unwrap()
}
