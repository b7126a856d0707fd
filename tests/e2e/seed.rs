//! What the storefront's module keeps and does on its own (magento.md 0.1), over both stores: its tables, its cron jobs and
//! what it takes from other modules. Its public API has its tests in `services`.

use std::time::Duration;

use harness::redis::{Options, Server};
use harness::{ADMIN, Call, Credentials, PASSWORD, Shop, ShopBuilder, Signing};
use serde_json::{Value, json};

use crate::services::over_both_stores;

over_both_stores!(
    table_oauth_consumer,
    table_oauth_token,
    table_oauth_nonce,
    table_integration,
    table_oauth_token_request_log,
    dependency_store,
    dependency_user,
);

async fn table_oauth_consumer(shop: &Shop) {
    let urls =
        json!({ "name": "A row", "callback_url": "https://a.example/", "rejected_callback_url": "https://b.example/" });

    let made = shop.admin.post("/consumers", &urls).await.json();

    let mut names: Vec<&String> = made.as_object().unwrap().keys().collect();
    names.sort_unstable();
    let expected = [
        "callback_url",
        "created_at",
        "id",
        "integration_id",
        "key",
        "name",
        "rejected_callback_url",
        "secret",
        "updated_at",
    ];
    assert_eq!(names, expected);
    assert_eq!(
        (
            made["key"].as_str().map(str::len),
            made["secret"].as_str().map(str::len)
        ),
        (Some(32), Some(32))
    );
    assert_eq!(
        (&made["callback_url"], &made["integration_id"]),
        (&urls["callback_url"], &Value::Null)
    );
}

/// One row a consumer, changed in place: verifier, request, access.
async fn table_oauth_token(shop: &Shop) {
    let (id, handshake) = shop.integration().posted(&shop.partner, &shop.gateway).await;
    let stage = async || {
        shop.admin
            .get(&format!("/integrations/{id}/handshake"))
            .await
            .field("stage")
    };

    assert_eq!(stage().await, "verifier");
    let request_token = handshake.request_token().await;
    assert_eq!(stage().await, "request");
    let access_token = handshake.access_token(&request_token).await;
    assert_eq!(stage().await, "access");

    assert_ne!(request_token.token(), access_token.token());
    assert_ne!(request_token.token_secret(), access_token.token_secret());
}

async fn table_oauth_nonce(shop: &Shop) {
    let reader = shop.reader().await;
    let now = harness::now().to_string();
    let served = async |credentials: &Credentials, timestamp: &str| {
        let signing = Signing::with(credentials)
            .set("oauth_nonce", "kept")
            .set("oauth_timestamp", timestamp);
        Call::get("/rest/V1/products/nonce")
            .signed(signing)
            .send(&shop.gateway)
            .await
            .status
            == 200
    };

    assert!(served(&reader, &now).await);
    assert!(!served(&reader, &now).await);
    assert!(served(&shop.reader().await, &now).await);
}

async fn table_integration(shop: &Shop) {
    let made = shop.integration().with("email", "a@b.example").send().await.json();

    for column in [
        "id",
        "name",
        "email",
        "endpoint",
        "status",
        "consumer_id",
        "created_at",
        "setup",
        "updated_at",
        "identity_link_url",
    ] {
        assert!(made.as_object().unwrap().contains_key(column), "{column}");
    }
    assert_eq!(
        (&made["endpoint"], &made["identity_link_url"]),
        (&Value::Null, &Value::Null)
    );
    assert!(made["id"].as_u64() > Some(0) && made["consumer_id"].as_u64() > Some(0));
    assert!(
        made["created_at"]
            .as_u64()
            .is_some_and(|at| at.abs_diff(harness::now()) < 60),
        "{made}"
    );
}

/// Failures are counted by name and kind: an admin's lock is no customer's, and a success forgets them.
async fn table_oauth_token_request_log(shop: &Shop) {
    let name = "counted-by-kind";
    let new = json!({ "username": name, "password": PASSWORD, "role": "viewer" });
    assert_eq!(shop.admin.post("/admins", &new).await.status, 201);
    let sign_in = async |kind: &str, password: &str| {
        let call = Call::post(&format!("/rest/V1/integration/{kind}/token"));
        call.json(&json!({ "username": name, "password": password }))
            .send(&shop.gateway)
            .await
            .status
    };
    for _ in 0..6 {
        assert_eq!(sign_in("customer", "wrong").await, 401);
    }

    assert_eq!(sign_in("admin", PASSWORD).await, 200);
    for _ in 0..6 {
        assert_eq!(sign_in("admin", "wrong").await, 401);
    }
    assert_eq!(sign_in("admin", PASSWORD).await, 401);
}

/// The store's address is what partners are told, with its slash.
async fn dependency_store(shop: &Shop) {
    let endpoint = shop.partner.endpoint();
    let id = shop.integration().with("endpoint", endpoint.as_str()).created().await;

    shop.admin.activate(id).await;

    let posted = shop.partner.posted(&endpoint).await;
    assert_eq!(posted.field("store_base_url"), format!("{}/", shop.gateway.base_url()));
}

/// Admin accounts and their roles.
async fn dependency_user(shop: &Shop) {
    for role in ["viewer", "operator", "admin"] {
        let name = format!("seed-{role}");
        let new = json!({ "username": name, "password": PASSWORD, "role": role, "email": "a@b.example" });

        let made = shop.admin.post("/admins", &new).await;

        assert_eq!(
            (made.status, made.field("role")),
            (201, role.to_owned()),
            "{}",
            made.text()
        );
        let signed_in = harness::Admin::sign_in(shop.gateway.admin(), &name, PASSWORD).await;
        assert_eq!(signed_in.get("/integrations").await.status, 200);
    }
    let taken = json!({ "username": ADMIN, "password": PASSWORD, "role": "admin" });
    assert_eq!(shop.admin.post("/admins", &taken).await.status, 409);
}

mod jobs {
    //! Cron jobs, by hand: the schedule is off.

    use super::*;

    #[tokio::test]
    async fn outdated_authentication_failures_cleanup_on_embedded() {
        failures(swept().start().await).await;
    }

    #[tokio::test]
    async fn outdated_authentication_failures_cleanup_on_redis() {
        failures(on_redis(swept()).await).await;
    }

    #[tokio::test]
    async fn expired_tokens_cleanup_on_embedded() {
        tokens(swept().start().await).await;
    }

    #[tokio::test]
    async fn expired_tokens_cleanup_on_redis() {
        tokens(on_redis(swept()).await).await;
    }

    #[tokio::test]
    async fn what_a_sweep_did_is_counted_by_its_name() {
        let shop = swept().start().await;
        let counted = async |name: &str, sweep: &str| {
            let series = format!("countersign_sweep_{name}{{sweep=\"{sweep}\"}} ");
            shop.gateway.metric(&series).await
        };
        let (failures, tokens) = ("outdated_authentication_failures_cleanup", "expired_tokens_cleanup");
        for name in ["one", "other"] {
            let call = Call::post("/rest/V1/integration/admin/token");
            let wrong = call.json(&json!({ "username": name, "password": "wrong" }));
            wrong.send(&shop.gateway).await;
        }
        assert_eq!(counted("last_success_timestamp_seconds", failures).await, 0);
        tokio::time::sleep(Duration::from_millis(2100)).await;

        assert_eq!(run(&shop, failures).await, 2);
        assert_eq!(run(&shop, failures).await, 0);

        assert_eq!(counted("removed_total", failures).await, 2);
        assert_eq!(counted("runs_total", failures).await, 2);
        assert_eq!(counted("failures_total", failures).await, 0);
        let last = counted("last_success_timestamp_seconds", failures).await;
        assert!(last.abs_diff(harness::now()) < 60, "{last}");
        for name in ["removed_total", "runs_total", "last_success_timestamp_seconds"] {
            assert_eq!(counted(name, tokens).await, 0, "{name}");
        }
    }

    fn swept() -> ShopBuilder {
        Shop::new()
            .set("lockout", "max_failures", "2")
            .set("lockout", "duration", "\"1s\"")
            .set("tokens.customer", "lifetime", "\"1s\"")
            .set("sweeps", "outdated_authentication_failures_cleanup", "\"never\"")
            .set("sweeps", "expired_tokens_cleanup", "\"never\"")
    }

    async fn on_redis(shop: ShopBuilder) -> Shop {
        let redis = Box::leak(Box::new(Server::start(Options::default()).await));
        shop.store(&redis.url()).start().await
    }

    async fn run(shop: &Shop, job: &str) -> Value {
        let ran = shop.admin.post(&format!("/sweeps/{job}"), &json!(null)).await;
        assert_eq!(ran.status, 200, "{}", ran.text());
        ran.json()["removed"].clone()
    }

    async fn failures(shop: Shop) {
        let fail = async |name: &str| {
            let call = Call::post("/rest/V1/integration/admin/token");
            call.json(&json!({ "username": name, "password": "wrong" }))
                .send(&shop.gateway)
                .await
        };
        for name in ["one", "one", "other"] {
            fail(name).await;
        }
        assert_eq!(run(&shop, "outdated_authentication_failures_cleanup").await, 0);
        tokio::time::sleep(Duration::from_millis(2100)).await;
        fail("fresh").await;

        assert_eq!(run(&shop, "outdated_authentication_failures_cleanup").await, 2);
        assert_eq!(run(&shop, "outdated_authentication_failures_cleanup").await, 0);
    }

    /// Expired tokens of users go; those that live, and integrations' access tokens, are never touched.
    async fn tokens(shop: Shop) {
        let integration = shop
            .integration()
            .granted(&["Magento_Catalog::products"])
            .active()
            .await;
        let customer = shop.gateway.add_customer(harness::CUSTOMER).await;
        shop.customer_token().await;
        tokio::time::sleep(Duration::from_millis(2100)).await;

        let removed = run(&shop, "expired_tokens_cleanup").await;

        // Redis may have forgotten it by itself.
        assert!(removed.as_u64() <= Some(1), "{removed}");
        assert_eq!(run(&shop, "expired_tokens_cleanup").await, 0);
        let left = shop.admin.delete(&format!("/customers/{customer}/tokens")).await;
        assert_eq!(left.json(), json!({ "revoked": 0 }));
        let call = Call::get("/rest/V1/products/kept").signed_by(&integration.credentials);
        assert_eq!(call.send(&shop.gateway).await.status, 200);
        assert_eq!(shop.admin.get("/integrations").await.status, 200);
    }
}
