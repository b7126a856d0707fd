//! `X-Countersign-Assertion`: upstream verifies who calls by itself, with the published key. Here openssl does it.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use harness::redis::{Options, Server};
use harness::{ADMIN, Call, Gateway, PASSWORD, Shop, ShopBuilder, now};
use serde_json::{Value, json};

const HEADER: &str = "X-Countersign-Assertion";

#[tokio::test]
async fn upstream_verifies_who_signed_with_the_published_key() {
    let shop = asserting().start().await;
    let integration = shop.integration().with("name", "ERP Größe").active().await;
    let id = integration.id;
    let consumer = shop.admin.get(&format!("/integrations/{id}")).await.json()["consumer_id"].clone();
    let before = now();

    let call = Call::get("/rest/V1/store/asserted").signed_by(&integration.credentials);
    call.send(&shop.gateway).await;
    let after = now();

    let token = asserted(&shop, "store/asserted");
    let keys = published(&shop.gateway).await;
    assert!(holds(&token, &keys["keys"][0]));
    let (head, claims) = (part(&token, 0), part(&token, 1));
    assert_eq!(
        head,
        json!({ "alg": "ES256", "typ": "JWT", "kid": keys["keys"][0]["kid"] })
    );
    let issued = claims["iat"].as_u64().unwrap();
    assert!((before..=after).contains(&issued), "{claims}");
    assert_eq!(
        claims,
        json!({
            "iss": shop.gateway.base_url(), "aud": "storefront", "sub": format!("integration/{id}"),
            "iat": issued, "exp": issued + 60,
            "user_type": "integration", "user_id": id,
            "consumer_id": consumer, "consumer_key": integration.credentials.consumer_key,
            "integration_id": id, "integration_name": "ERP Größe",
        })
    );
}

#[tokio::test]
async fn a_changed_assertion_does_not_verify() {
    let shop = asserting().start().await;
    Call::get("/rest/V1/store/changed").send(&shop.gateway).await;
    let token = asserted(&shop, "changed");
    let key = published(&shop.gateway).await["keys"][0].clone();
    let claims = URL_SAFE_NO_PAD.encode(json!({ "user_type": "admin", "user_id": 1 }).to_string());
    let parts: Vec<&str> = token.split('.').collect();

    let forged = format!("{}.{claims}.{}", parts[0], parts[2]);

    assert_eq!((holds(&token, &key), holds(&forged, &key)), (true, false));
}

#[tokio::test]
async fn every_caller_is_asserted_as_themselves() {
    let shop = asserting().start().await;
    let (one, other) = (shop.reader().await, shop.reader().await);
    let token = harness::Admin::sign_in(shop.gateway.admin(), ADMIN, PASSWORD).await;
    for (mark, call) in [
        ("by-one", Call::get("/rest/V1/products/by-one").signed_by(&one)),
        ("by-other", Call::get("/rest/V1/products/by-other").signed_by(&other)),
        (
            "by-admin",
            Call::get("/rest/V1/products/by-admin").header("Authorization", &format!("Bearer {}", token.token())),
        ),
        ("store/by-guest", Call::get("/rest/V1/store/by-guest")),
    ] {
        assert_eq!(call.send(&shop.gateway).await.status, 200, "{mark}");
    }

    let who = |mark: &str| {
        let claims = part(&asserted(&shop, mark), 1);
        (claims["sub"].clone(), claims["consumer_key"].clone())
    };
    assert_eq!(who("by-one").1, json!(one.consumer_key));
    assert_eq!(who("by-other").1, json!(other.consumer_key));
    assert_eq!(who("by-admin"), (json!("admin/1"), Value::Null));
    assert_eq!(who("by-guest"), (json!("guest"), Value::Null));
}

#[tokio::test]
async fn an_assertion_is_sent_again_for_half_its_life_and_then_renewed() {
    let shop = asserting()
        .set("upstreams.storefront", "assertion_lifetime", "\"10s\"")
        .set("public", "threads", "1")
        .start()
        .await;
    let ask = async |mark: &str| {
        Call::get(&format!("/rest/V1/store/{mark}")).send(&shop.gateway).await;
        asserted(&shop, mark)
    };

    let (first, again) = (ask("first").await, ask("again").await);
    tokio::time::sleep(Duration::from_millis(5_100)).await;
    let renewed = ask("renewed").await;

    assert_eq!(first, again);
    assert_ne!(first, renewed);
    let until = |token: &str| part(token, 1)["exp"].as_u64().unwrap();
    assert!(until(&renewed) >= until(&first) + 5);
}

#[tokio::test]
async fn a_new_name_is_asserted_at_once() {
    let shop = asserting().set("public", "threads", "1").start().await;
    let integration = shop.integration().with("name", "Before").active().await;
    let named = async |mark: &str| {
        let path = format!("/rest/V1/store/{mark}");
        Call::get(&path)
            .signed_by(&integration.credentials)
            .send(&shop.gateway)
            .await;
        part(&asserted(&shop, mark), 1)["integration_name"].clone()
    };
    assert_eq!(named("old-name").await, "Before");

    let path = format!("/integrations/{}", integration.id);
    let mut changed = shop.admin.get(&path).await.json();
    changed["name"] = json!("After");
    assert_eq!(shop.admin.put(&path, &changed).await.status, 200);

    assert_eq!(named("new-name").await, "After");
}

#[tokio::test]
async fn without_it_nothing_is_asserted_and_no_key_published() {
    let shop = Shop::shared().await;

    Call::get("/rest/V1/store/unasserted").send(&shop.gateway).await;
    let keys = published(&shop.gateway).await;

    assert_eq!(shop.upstream.only("unasserted").header(HEADER), None);
    assert_eq!(keys, json!({ "keys": [] }));
}

#[tokio::test]
async fn a_client_s_own_assertion_never_reaches_upstream() {
    let shop = asserting().start().await;
    for (mark, name) in [("own-one", HEADER), ("own-two", "X_Countersign_Assertion")] {
        let call = Call::get(&format!("/rest/V1/store/{mark}")).header(name, "forged");

        call.send(&shop.gateway).await;

        let seen = shop.upstream.only(mark);
        assert_eq!(seen.all("x_countersign_assertion"), Vec::<&str>::new());
        assert!(holds(
            seen.header(HEADER).unwrap(),
            &published(&shop.gateway).await["keys"][0]
        ));
    }
}

#[tokio::test]
async fn gateways_on_one_store_share_the_key_over_restarts() {
    let server = Server::start(Options {
        append_only: true,
        ..Options::default()
    })
    .await;
    let shop = asserting().store(&server.url()).start().await;
    let other = shop.second_gateway().await;

    let (here, there) = (published(&shop.gateway).await, published(&other).await);
    shop.gateway.stop().await;
    shop.gateway.start_again().await;
    let later = published(&shop.gateway).await;

    assert_eq!((&here, &here), (&there, &later));
    assert_eq!(here["keys"][0]["crv"], "P-256");
}

#[tokio::test]
async fn the_keys_are_read_and_nothing_else() {
    let shop = asserting().start().await;

    let got = Call::get("/.well-known/jwks.json").send(&shop.gateway).await;
    let head = Call::new("HEAD", "/.well-known/jwks.json").send(&shop.gateway).await;
    let posted = Call::post("/.well-known/jwks.json").send(&shop.gateway).await;

    assert_eq!((got.status, head.status, posted.status), (200, 200, 405));
    assert_eq!(got.header("content-type"), Some("application/jwk-set+json"));
    assert_eq!(posted.header("allow"), Some("GET, HEAD"));
    assert!(got.json()["keys"][0].get("d").is_none());
}

fn asserting() -> ShopBuilder {
    Shop::new().set("upstreams.storefront", "assertion", "true")
}

/// What upstream got with that request.
fn asserted(shop: &Shop, mark: &str) -> String {
    shop.upstream.only(mark).header(HEADER).unwrap().to_owned()
}

async fn published(gateway: &Gateway) -> Value {
    let got = Call::get("/.well-known/jwks.json").send(gateway).await;
    assert_eq!(got.status, 200, "{}", got.text());
    got.json()
}

fn part(token: &str, number: usize) -> Value {
    let text = token.split('.').nth(number).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
}

/// Whether openssl verifies it with a JWK.
fn holds(token: &str, jwk: &Value) -> bool {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (key, mark) = (folder.path().join("key.pem"), folder.path().join("signature"));
    std::fs::write(&key, pem(jwk)).unwrap();
    std::fs::write(&mark, der(&URL_SAFE_NO_PAD.decode(signature).unwrap())).unwrap();
    let mut openssl = Command::new("openssl")
        .args(["dgst", "-sha256", "-verify"])
        .arg(&key)
        .arg("-signature")
        .arg(&mark)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    openssl.stdin.take().unwrap().write_all(signed.as_bytes()).unwrap();
    openssl.wait().unwrap().success()
}

/// RFC 5480: a P-256 key's `SubjectPublicKeyInfo` is the same up to the point.
fn pem(jwk: &Value) -> String {
    let mut octets = STANDARD.decode("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE").unwrap();
    for name in ["x", "y"] {
        octets.extend(URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap());
    }
    let text = STANDARD.encode(octets);
    let (first, second) = text.split_at(64);
    format!("-----BEGIN PUBLIC KEY-----\n{first}\n{second}\n-----END PUBLIC KEY-----\n")
}

/// RFC 3279, 2.2.3, of what RFC 7518, 3.4 joins.
fn der(joined: &[u8]) -> Vec<u8> {
    let integer = |octets: &[u8]| {
        let first = octets.iter().position(|octet| *octet != 0).unwrap_or(octets.len() - 1);
        let mut number = octets[first..].to_vec();
        if number[0] >= 0x80 {
            number.insert(0, 0);
        }
        [vec![2, u8::try_from(number.len()).unwrap()], number].concat()
    };
    assert_eq!(joined.len(), 64);
    let both = [integer(&joined[..32]), integer(&joined[32..])].concat();
    [vec![0x30, u8::try_from(both.len()).unwrap()], both].concat()
}
