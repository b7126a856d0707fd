//! Signature methods: those that are configured, those that an integration was given, and no way from one to another.

use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{Call, Credentials, Refusal, Shop, Signing};
use serde_json::json;
use tokio::sync::OnceCell;

const ALL: &str = r#"["HMAC-SHA256", "HMAC-SHA1", "HMAC-SHA512", "RSA-SHA1", "RSA-SHA256", "PLAINTEXT"]"#;

#[tokio::test]
async fn the_two_usual_methods_are_served() {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;

    assert_eq!(status(shop, Signing::with(&reader).method("HMAC-SHA256")).await, 200);
    assert_eq!(status(shop, Signing::with(&reader).method("HMAC-SHA1")).await, 200);
}

#[tokio::test]
async fn a_method_that_is_not_configured_is_refused() {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;

    for method in [
        "HMAC-SHA512",
        "hmac-sha256",
        "HMAC-MD5",
        "none",
        "HMAC-SHA256,HMAC-SHA1",
        "HMAC-SHA256\0",
        "PLAINTEXT",
    ] {
        let told = call()
            .signed(Signing::with(&reader).method(method))
            .send(&shop.gateway)
            .await;

        assert_eq!(told.status, 400, "{method}");
        assert_eq!(told.field("message"), "Signature method %1 is not supported");
        assert_eq!(told.json()["parameters"], json!([method]));
        assert_eq!(
            refusal(shop, Signing::with(&reader).method(method)).await,
            (400, "signature_method_rejected")
        );
    }
}

#[tokio::test]
async fn a_configured_method_is_served() {
    let shop = with_all_methods().await;
    let reader = shop.reader().await;

    assert_eq!(status(shop, Signing::with(&reader).method("HMAC-SHA512")).await, 200);
}

#[tokio::test]
async fn an_integrations_own_methods_count_instead() {
    let shop = Shop::shared().await;
    let own = granted(shop, "signature_methods", json!(["HMAC-SHA512"])).await;

    assert_eq!(status(shop, Signing::with(&own).method("HMAC-SHA512")).await, 200);
    assert_eq!(
        refusal(shop, Signing::with(&own).method("HMAC-SHA256")).await,
        (400, "signature_method_rejected")
    );
}

#[tokio::test]
async fn plaintext_is_refused_without_tls() {
    let shop = with_all_methods().await;
    let reader = shop.reader().await;

    assert_eq!(
        refusal(shop, Signing::with(&reader).method("PLAINTEXT")).await,
        (400, "https_required")
    );
    let stranger = Signing::with(&Credentials::consumer(&"x".repeat(32), "x").with_token(&"x".repeat(32), "x"))
        .method("PLAINTEXT");
    assert_eq!(refusal(shop, stranger).await, (400, "https_required"));
}

#[tokio::test]
async fn a_strangers_word_that_it_came_by_tls_is_not_believed() {
    let shop = Shop::new()
        .set("public", "base_url", "[]")
        .set("oauth", "signature_methods", ALL)
        .start()
        .await;
    let call = call()
        .header("X-Forwarded-Proto", "https")
        .header("Forwarded", "proto=https");

    let call = call.signed(Signing::with(&shop.reader().await).method("PLAINTEXT"));

    assert_eq!(call.refusal(&shop.gateway).await, (400, "https_required"));
}

#[tokio::test]
async fn a_secure_route_is_refused_to_what_came_to_a_trusted_proxy_by_plain_http() {
    let shop = Shop::new()
        .signed_as("https://shop.example")
        .set("public", "trusted_proxies", "[\"127.0.0.0/8\"]")
        .start()
        .await;
    let reader = shop.reader().await;
    let come = async |proto: &str| {
        let call = Call::get(&format!("/rest/V1/secure/{proto}")).signed_by(&reader);
        let call = match proto {
            "unsaid" => call,
            proto => call.header("X-Forwarded-Proto", proto),
        };
        let answer = call.asking_for_the_cause().send(&shop.gateway).await;
        (answer.status, answer.json()["cause"].clone())
    };

    let (plain, tls, unsaid) = (come("http").await, come("https").await, come("unsaid").await);

    assert_eq!(plain, (400, json!("https_required")));
    // A proxy that says nothing of it may have ended the TLS.
    assert_eq!((tls.0, unsaid.0), (200, 200));
}

#[tokio::test]
async fn plaintext_is_served_where_clients_come_by_tls() {
    let shop = Shop::new()
        .signed_as("https://shop.example")
        .set("oauth", "signature_methods", ALL)
        .start()
        .await;
    let reader = shop.reader().await;
    let plain = || Signing::with(&reader).method("PLAINTEXT");

    assert_eq!(status(&shop, plain()).await, 200);
    assert_eq!(
        status(&shop, plain().without("oauth_nonce").without("oauth_timestamp")).await,
        200
    );
    assert_eq!(
        refusal(&shop, plain().finished(|secrets| secrets.replace('&', "%26"))).await,
        (401, "signature_invalid")
    );
    assert_eq!(refusal(&shop, plain().keyed("&")).await, (401, "signature_invalid"));
}

#[tokio::test]
async fn plaintext_with_a_nonce_is_served_once() {
    let shop = Shop::new()
        .signed_as("https://shop.example")
        .set("oauth", "signature_methods", ALL)
        .start()
        .await;
    let signing = Signing::with(&shop.reader().await).method("PLAINTEXT");
    let call = call().signed(signing).to(&shop.gateway);

    assert_eq!(call.send().await.status, 200);
    assert_eq!(call.send().await.refusal(), (401, "nonce_used"));
}

#[tokio::test]
async fn a_consumer_does_not_fall_to_plaintext_unless_it_may() {
    let shop = Shop::new().signed_as("https://shop.example").start().await;
    let signing = Signing::with(&shop.reader().await).method("PLAINTEXT");

    assert_eq!(refusal(&shop, signing).await, (400, "signature_method_rejected"));
}

#[tokio::test]
async fn an_rsa_key_signs() {
    let shop = Shop::shared().await;
    let keys = rsa_keys();
    let rsa = granted(shop, "rsa_public_key", keys.public.clone().into()).await;

    for method in ["RSA-SHA1", "RSA-SHA256"] {
        let signing = Signing::with(&rsa).method(method).with_rsa_key(keys.private.clone());
        assert_eq!(status(shop, signing).await, 200, "{method}");
    }
}

#[tokio::test]
async fn another_rsa_key_does_not_sign() {
    let shop = Shop::shared().await;
    let (keys, other) = (rsa_keys(), rsa_keys());
    let rsa = granted(shop, "rsa_public_key", keys.public.clone().into()).await;

    let signing = Signing::with(&rsa)
        .method("RSA-SHA256")
        .with_rsa_key(other.private.clone());

    assert_eq!(refusal(shop, signing).await, (401, "signature_invalid"));
}

#[tokio::test]
async fn an_rsa_consumer_can_not_sign_by_hmac() {
    let shop = with_all_methods().await;
    let keys = rsa_keys();
    let rsa = granted(shop, "rsa_public_key", keys.public.clone().into()).await;
    let hmac = |key: &str| Signing::with(&rsa).method("HMAC-SHA1").keyed(key);

    for key in ["", "&", &keys.public, &format!("{}&", rsa.consumer_secret)] {
        assert_eq!(refusal(shop, hmac(key)).await, (400, "signature_method_rejected"));
    }
    let renamed = |name| {
        Signing::with(&rsa)
            .method(name)
            .computed_by("HMAC-SHA1")
            .keyed(&keys.public)
    };
    assert_eq!(refusal(shop, renamed("RSA-SHA1")).await, (401, "signature_invalid"));
}

#[tokio::test]
async fn an_hmac_consumer_can_not_sign_by_rsa() {
    let shop = with_all_methods().await;
    let keys = rsa_keys();
    let signing = Signing::with(&shop.reader().await)
        .method("RSA-SHA256")
        .with_rsa_key(keys.private.clone());

    let refused = refusal(shop, signing).await;

    assert!([400, 401].contains(&refused.status), "{refused:?}");
}

#[tokio::test]
async fn a_small_rsa_key_is_not_registered() {
    let shop = Shop::shared().await;
    let small = make_rsa_keys(1024).public;

    let refused = shop.integration().with("rsa_public_key", small).send().await;

    assert_eq!(refused.status, 400);
    assert!(
        refused.field("message").starts_with("rsa_public_key: "),
        "{}",
        refused.text()
    );
}

#[tokio::test]
async fn token_calls_are_held_to_the_same_methods() {
    let shop = Shop::shared().await;
    let (_, handshake) = shop.integration().posted(&shop.partner, &shop.gateway).await;

    let refused = handshake
        .ask_request_token(handshake.request_signing().method("HMAC-SHA512"))
        .await;

    assert_eq!(refused.status, 400);
    assert_eq!(
        refused.form("oauth_problem"),
        "Signature method HMAC-SHA512 is not supported"
    );
}

#[tokio::test]
async fn a_reload_that_takes_a_method_away_holds_at_once() {
    let shop = Shop::new().start().await;
    let reader = shop.reader().await;
    assert_eq!(status(&shop, Signing::with(&reader).method("HMAC-SHA1")).await, 200);

    shop.gateway
        .reload(|config| config.set("oauth", "signature_methods", "[\"HMAC-SHA256\"]"))
        .await;

    let refused = refusal(&shop, Signing::with(&reader).method("HMAC-SHA1")).await;
    assert_eq!(refused, (400, "signature_method_rejected"));
    assert_eq!(status(&shop, Signing::with(&reader)).await, 200);
}

struct RsaKeys {
    private: PathBuf,
    public: String,
    _folder: tempfile::TempDir,
}

fn rsa_keys() -> RsaKeys {
    make_rsa_keys(2048)
}

/// By openssl, which also signs.
fn make_rsa_keys(bits: u32) -> RsaKeys {
    let folder = tempfile::tempdir().expect("a folder");
    let private = folder.path().join("private.pem");
    let openssl = |arguments: &[&str], last: &Path| {
        let output = Command::new("openssl")
            .args(arguments)
            .arg(last)
            .output()
            .expect("openssl runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    openssl(
        &[
            "genpkey",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            &format!("rsa_keygen_bits:{bits}"),
            "-out",
        ],
        &private,
    );
    RsaKeys {
        public: openssl(&["pkey", "-pubout", "-in"], &private),
        private,
        _folder: folder,
    }
}

async fn with_all_methods() -> &'static Shop {
    static SHOP: OnceCell<Shop> = OnceCell::const_new();
    SHOP.get_or_init(async || Shop::new().set("oauth", "signature_methods", ALL).start().await)
        .await
}

async fn granted(shop: &Shop, field: &str, value: serde_json::Value) -> Credentials {
    let integration = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .with(field, value);
    integration.active().await.credentials
}

fn call() -> Call {
    Call::get("/rest/V1/products/methods?a=1")
}

async fn status(shop: &Shop, signing: Signing) -> u16 {
    call().signed(signing).send(&shop.gateway).await.status
}

async fn refusal(shop: &Shop, signing: Signing) -> Refusal {
    call().signed(signing).refusal(&shop.gateway).await
}
