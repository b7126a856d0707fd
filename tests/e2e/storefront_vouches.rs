//! `[tokens.customer] credentials = "http"`: the storefront vouches for a customer's password, and its own token goes
//! upstream with what the customer asks.

use std::time::Duration;

use harness::redis::{Options, Server};
use harness::{Answer, Call, Gateway, PASSWORD, Response, Shop, ShopBuilder, Upstream, Webhook, eventually};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::tls_certificates::Authority;
use crate::tls_upstream::secure_answering;

const TOKEN: &str = "storefronts-own-token-0123456789";
const VOUCHED: &str = r#"{"id": 7, "token": "storefronts-own-token-0123456789"}"#;
const WHO: &str = "roni@example.com";

#[tokio::test]
async fn whom_the_storefront_vouches_for_gets_a_token_of_their_number() {
    let (shop, front) = shop().await;
    front.answers("/vouch", Answer::Status(200, VOUCHED));

    let token = sign_in(&shop.gateway, PASSWORD).await;
    let me = me(&shop.gateway, &token).await;

    assert_eq!((token.status, me.status), (200, 200));
    let seen = shop.upstream.only("/me/vouched");
    assert_eq!(
        (seen.header("x-user-type"), seen.header("x-user-id")),
        (Some("customer"), Some("7"))
    );
    let asked = front.only("/vouch");
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/vouch"));
    assert_eq!(asked.header("content-type"), Some("application/json"));
    assert_eq!(asked.header("host"), Some(front.address().to_string().as_str()));
    let body: Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!(body, json!({ "username": WHO, "password": PASSWORD }));
}

#[tokio::test]
async fn who_is_vouched_for_is_told_as_customer_login() {
    let (shop, front) = shop().await;
    front.answers("/vouch", Answer::Status(200, VOUCHED));
    let webhook = Webhook::of(&shop.gateway, &shop.partner, "hook").await;

    sign_in(&shop.gateway, PASSWORD).await;

    let login = webhook.event("customer_login").await;
    assert_eq!(login["data"]["customer"], json!({ "id": 7 }));
    let all: String = webhook.posts().into_iter().map(|posted| posted.body).collect();
    assert!(!all.contains(TOKEN) && !all.contains(PASSWORD), "{all}");
}

#[tokio::test]
async fn a_wrong_password_is_counted_and_a_locked_name_is_not_asked_for() {
    let (shop, front) = shop().await;
    front.answers("/vouch", Answer::Status(401, "{}"));
    for _ in 0..6 {
        assert_eq!(sign_in(&shop.gateway, "wrong").await.refusal(), (401, "sign_in_failed"));
    }
    front.answers("/vouch", Answer::Status(200, VOUCHED));

    let locked = sign_in(&shop.gateway, PASSWORD).await;

    assert_eq!(locked.refusal(), (401, "sign_in_failed"));
    assert_eq!(front.count("/vouch"), 6);
}

#[tokio::test]
async fn a_right_password_forgets_the_wrong_ones_before_it() {
    let (shop, front) = shop().await;
    for _ in 0..2 {
        front.answers("/vouch", Answer::Status(401, "{}"));
        for _ in 0..5 {
            assert_eq!(sign_in(&shop.gateway, "wrong").await.status, 401);
        }
        front.answers("/vouch", Answer::Status(200, VOUCHED));

        assert_eq!(sign_in(&shop.gateway, PASSWORD).await.status, 200);
    }
}

#[tokio::test]
async fn a_lock_holds_on_the_other_gateway_too() {
    let redis = Server::start(Options::default()).await;
    let front = Upstream::start().await;
    let shop = vouched_by(&front).store(&redis.url()).start().await;
    let other = shop.second_gateway().await;
    front.answers("/vouch", Answer::Status(401, "{}"));
    for turn in 0..6 {
        let gateway = if turn % 2 == 0 { &shop.gateway } else { &other };
        assert_eq!(sign_in(gateway, "wrong").await.status, 401);
    }
    front.answers("/vouch", Answer::Status(200, VOUCHED));

    for gateway in [&shop.gateway, &other] {
        assert_eq!(sign_in(gateway, PASSWORD).await.refusal(), (401, "sign_in_failed"));
    }
    assert_eq!(front.count("/vouch"), 6);
}

#[tokio::test]
async fn any_other_answer_is_503_and_no_failure_of_the_customer() {
    let (shop, front) = shop().await;
    let redirect = "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n";
    let huge = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{}",
        " ".repeat(100_000)
    );
    let answers = [
        Answer::Status(200, ""),
        Answer::Status(200, "7"),
        Answer::Status(200, r#"{"token": "t"}"#),
        Answer::Status(200, r#"{"id": 0}"#),
        Answer::Status(200, r#"{"id": -7}"#),
        Answer::Status(200, r#"{"id": "7"}"#),
        Answer::Status(200, r#"{"id": 7, "token": "a b\n"}"#),
        Answer::Status(200, r#"{"id": 7, "token": 1}"#),
        Answer::Status(201, VOUCHED),
        Answer::Status(403, "{}"),
        Answer::Status(500, "{}"),
        Answer::Raw(redirect.as_bytes().to_vec()),
        Answer::Raw(huge.into_bytes()),
        Answer::Raw(b"nonsense\r\n\r\n".to_vec()),
        Answer::Close,
    ];
    for answer in answers {
        front.answers("/vouch", answer.clone());

        let told = sign_in(&shop.gateway, PASSWORD).await;

        assert_eq!(told.refusal(), (503, "upstream_unhealthy"), "{answer:?}");
    }
    assert_eq!(front.count("/elsewhere"), 0);

    front.answers("/vouch", Answer::Status(200, r#"{"id": 7, "more": []}"#));
    assert_eq!(sign_in(&shop.gateway, PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_storefront_that_does_not_answer_is_503_in_time() {
    let (shop, front) = shop().await;
    front.answers("/vouch", Answer::Never);

    let told = tokio::time::timeout(Duration::from_secs(3), sign_in(&shop.gateway, PASSWORD)).await;

    assert_eq!(told.unwrap().refusal(), (503, "upstream_unhealthy"));
}

#[tokio::test]
async fn a_flood_of_sign_ins_that_hang_is_turned_away_and_nothing_else_waits() {
    let front = Upstream::start().await;
    // Else all of them were one address's, which has fewer places.
    let trusted = "[\"127.0.0.1/32\"]";
    let shop = vouched_by(&front)
        .set("public", "trusted_proxies", trusted)
        .start()
        .await;
    front.answers("/vouch", Answer::Never);
    let address = shop.gateway.public();
    let mut flood = JoinSet::new();
    for number in 0..300 {
        let credentials = json!({ "username": format!("name-{number}"), "password": PASSWORD });
        let call = Call::post("/rest/V1/integration/customer/token").json(&credentials);
        let call = call.asking_for_the_cause();
        flood.spawn(async move { call.to_address(address, "http://shop.example").send().await });
    }
    let first = flood.join_next().await.unwrap().unwrap();
    let other = Call::get("/rest/V1/store/meanwhile").send(&shop.gateway).await;

    let answers = flood.join_all().await;

    assert_eq!(first.refusal(), (503, "overloaded"));
    assert_eq!(other.status, 200);
    let turned_away = answers.iter().filter(|answer| answer.cause() == "overloaded").count();
    assert!(turned_away >= 100, "{turned_away}");
    assert!(answers.iter().all(|answer| answer.status == 503));
}

#[tokio::test]
async fn passwords_and_the_storefront_s_tokens_reach_no_log_and_no_disk() {
    let front = Upstream::start().await;
    let shop = vouched_by(&front)
        .set("log", "level", "\"trace\"")
        .set("upstreams.storefront.credentials", "mode", "\"customer\"")
        .start()
        .await;
    front.answers("/vouch", Answer::Status(200, VOUCHED));
    let token = sign_in(&shop.gateway, PASSWORD).await;
    let used = me(&shop.gateway, &token).await;
    shop.gateway.access_line(&used).await;
    front.answers("/vouch", Answer::Status(500, VOUCHED));
    assert_eq!(sign_in(&shop.gateway, "a-mistyped-password").await.status, 503);

    let said = shop.gateway.whole_log().await + &shop.gateway.access_log();
    let kept = all_files(&shop.gateway);

    assert!(said.contains("did not say whether"));
    for secret in [PASSWORD, "a-mistyped-password", TOKEN] {
        assert!(!said.contains(secret), "{secret}");
        assert!(!kept.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
}

#[tokio::test]
async fn the_storefront_s_own_token_goes_upstream_with_its_customer_alone() {
    let front = Upstream::start().await;
    let shop = vouched_by(&front)
        .set("upstreams.storefront.credentials", "mode", "\"customer\"")
        .start()
        .await;
    front.answers("/vouch", Answer::Status(200, VOUCHED));
    let token = sign_in(&shop.gateway, PASSWORD).await;
    front.answers("/vouch", Answer::Status(200, r#"{"id": 8}"#));
    let without = sign_in(&shop.gateway, PASSWORD).await;
    let reader = shop.reader().await;

    let guest = Call::get("/rest/V1/store/guest").header("Authorization", "Bearer nobody's");
    assert_eq!(me(&shop.gateway, &token).await.status, 200);
    let path = "/rest/V1/customers/me/tokenless";
    assert_eq!(bearer(path, &without).send(&shop.gateway).await.status, 200);
    assert_eq!(guest.send(&shop.gateway).await.status, 200);
    let signed = Call::get("/rest/V1/products/signed").signed_by(&reader);
    assert_eq!(signed.send(&shop.gateway).await.status, 200);
    let admin = Call::get("/rest/V1/products/admin").header("Authorization", &format!("Bearer {}", shop.admin.token()));
    assert_eq!(admin.send(&shop.gateway).await.status, 200);

    let sent = |mark: &str| shop.upstream.only(mark).header("authorization").map(str::to_owned);
    assert_eq!(sent("/me/vouched"), Some(format!("Bearer {TOKEN}")));
    for mark in ["/me/tokenless", "/store/guest", "/products/signed", "/products/admin"] {
        assert_eq!(sent(mark), None, "{mark}");
    }
}

#[tokio::test]
async fn the_storefront_s_certificate_is_verified_by_the_configured_authority() {
    let (trusted, other) = (Authority::new(), Authority::new());
    let front = secure_answering(&trusted.server(&["localhost"]), VOUCHED).await;
    let start = async |authority: &Authority| {
        let shop = Shop::new()
            .set("tokens.customer", "credentials", "\"http\"")
            .set(
                "tokens.customer",
                "url",
                &format!("\"https://localhost:{}/vouch\"", front.port),
            )
            .set("tokens.customer", "ca", &format!("\"{}\"", authority.path().display()))
            .start()
            .await;
        sign_in(&shop.gateway, PASSWORD).await.status
    };

    assert_eq!(start(&other).await, 503);
    assert_eq!(start(&trusted).await, 200);
}

#[tokio::test]
async fn a_reload_changes_who_is_asked() {
    let (shop, front) = shop().await;
    front.answers("/vouch", Answer::Status(401, "{}"));
    front.answers("/other", Answer::Status(200, VOUCHED));
    assert_eq!(sign_in(&shop.gateway, PASSWORD).await.status, 401);
    let url = format!("\"http://{}/other\"", front.address());

    shop.gateway
        .reload(|config| config.set("tokens.customer", "url", &url))
        .await;

    eventually("the other is asked", async || {
        (sign_in(&shop.gateway, PASSWORD).await.status == 200).then_some(())
    })
    .await;
}

fn vouched_by(front: &Upstream) -> ShopBuilder {
    let url = format!("\"http://{}/vouch\"", front.address());
    Shop::new()
        .set("tokens.customer", "credentials", "\"http\"")
        .set("tokens.customer", "url", &url)
        .set("tokens.customer", "timeout", "\"1s\"")
}

async fn shop() -> (Shop, Upstream) {
    let front = Upstream::start().await;
    (vouched_by(&front).start().await, front)
}

async fn sign_in(gateway: &Gateway, password: &str) -> Response {
    let credentials = json!({ "username": WHO, "password": password });
    let call = Call::post("/rest/V1/integration/customer/token").json(&credentials);
    call.asking_for_the_cause().send(gateway).await
}

fn bearer(path: &str, token: &Response) -> Call {
    let token = token.json().as_str().unwrap_or_default().to_owned();
    Call::get(path).header("Authorization", &format!("Bearer {token}"))
}

async fn me(gateway: &Gateway, token: &Response) -> Response {
    bearer("/rest/V1/customers/me/vouched", token).send(gateway).await
}

/// What stands in the store's folder.
fn all_files(gateway: &Gateway) -> Vec<u8> {
    let entries = std::fs::read_dir(gateway.folder().join("store")).unwrap();
    let files = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    files.flat_map(|path| std::fs::read(path).unwrap()).collect()
}
