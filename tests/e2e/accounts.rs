//! Admin accounts by the API: read, changed, disabled, given another password; and the tokens that end with it.

use std::time::Duration;

use harness::redis::{Options, Server};
use harness::{ADMIN, Admin, Call, Gateway, PASSWORD, Response, Shop};
use serde_json::{Value, json};

#[tokio::test]
async fn an_account_is_read_with_its_version_and_without_its_password() {
    let shop = Shop::shared().await;
    let id = new_account(shop, "accounts-read", "operator").await;

    let read = shop.admin.get(&format!("/admins/{id}")).await;

    assert_eq!((read.status, read.header("etag")), (200, Some("\"1\"")));
    let account = read.json();
    assert_eq!(
        (&account["username"], &account["role"]),
        (&json!("accounts-read"), &json!("operator"))
    );
    assert_eq!((&account["active"], &account["totp"]), (&json!(true), &json!(false)));
    assert!(!read.text().contains("argon2"));
    assert_eq!(shop.admin.get("/admins/999999").await.status, 404);
}

#[tokio::test]
async fn what_a_change_does_not_name_stays() {
    let shop = Shop::shared().await;
    let id = new_account(shop, "accounts-change", "operator").await;
    let path = format!("/admins/{id}");
    shop.admin
        .put(
            &path,
            &json!({ "email": "who@example.org", "resources": ["Magento_Sales::sales"] }),
        )
        .await;

    let changed = shop.admin.put(&path, &json!({ "role": "viewer" })).await;
    let reset = shop.admin.put(&path, &json!({ "resources": null })).await;

    assert_eq!((changed.status, changed.header("etag")), (200, Some("\"3\"")));
    let account = changed.json();
    assert_eq!(
        (&account["email"], &account["role"]),
        (&json!("who@example.org"), &json!("viewer"))
    );
    assert_eq!(account["resources"], json!(["Magento_Sales::sales"]));
    assert_eq!(reset.json()["resources"], Value::Null);
}

#[tokio::test]
async fn a_change_needs_the_version_that_stands() {
    let shop = Shop::shared().await;
    let id = new_account(shop, "accounts-version", "operator").await;
    let put = |tag: Option<&str>| {
        let call = Call::new("PUT", &format!("/api/v1/admins/{id}"));
        let call = match tag {
            Some(tag) => call.header("If-Match", tag),
            None => call,
        };
        shop.admin.call(call.json(&json!({ "email": "a@example.org" })))
    };

    let (none, old, current) = (put(None).await, put(Some("\"7\"")).await, put(Some("\"1\"")).await);

    assert_eq!((none.status, old.status, current.status), (428, 412, 200));
}

#[tokio::test]
async fn of_two_admins_who_disable_each_other_at_once_one_is_left() {
    let redis = Server::start(Options::default()).await;
    let shop = Shop::new().store(&redis.url()).start().await;
    let other = shop.second_gateway().await;
    let id = new_account(&shop, "accounts-other", "admin").await;
    let own = shop.admin.get("/admins").await.json();
    let is_own = |one: &&Value| one["username"] == ADMIN;
    let own = own["items"].as_array().unwrap().iter().find(is_own).unwrap()["id"].clone();
    for (round, address) in [shop.gateway.admin(), other.admin(), shop.gateway.admin(), other.admin()]
        .into_iter()
        .enumerate()
    {
        let first = Admin::sign_in(shop.gateway.admin(), ADMIN, PASSWORD).await;
        let second = Admin::sign_in(address, "accounts-other", PASSWORD).await;
        let (theirs, mine) = (format!("/admins/{id}/disable"), format!("/admins/{own}/disable"));

        let (one, another) = tokio::join!(first.post(&theirs, &Value::Null), second.post(&mine, &Value::Null));

        assert!(
            one.status == 200 || another.status == 200,
            "round {round}: {}",
            one.text()
        );
        assert_ne!(one.status, another.status, "round {round}: {}", another.text());
        let (left, gone) = if one.status == 200 {
            (first, json!(id))
        } else {
            (second, own.clone())
        };
        let enabled = left.post(&format!("/admins/{gone}/enable"), &Value::Null).await;
        assert_eq!(enabled.status, 200, "round {round}: {}", enabled.text());
    }
}

#[tokio::test]
async fn what_no_account_can_have_is_refused_and_changes_nothing() {
    let shop = Shop::shared().await;
    let id = new_account(shop, "accounts-bad", "operator").await;
    let path = format!("/admins/{id}");
    let bad = [
        json!({ "username": "" }),
        json!({ "username": "a b" }),
        json!({ "email": "a\nb" }),
        json!({ "role": "owner" }),
        json!({ "resources": ["Magento_Catalog::product"] }),
        json!({ "resources": 7 }),
        json!({ "password": PASSWORD }),
        json!([]),
    ];

    for change in bad {
        assert_eq!(shop.admin.put(&path, &change).await.status, 400, "{change}");
    }

    let taken = shop.admin.put(&path, &json!({ "username": ADMIN })).await;
    assert_eq!(taken.status, 409);
    assert_eq!(shop.admin.get(&path).await.header("etag"), Some("\"1\""));
}

#[tokio::test]
async fn a_disabled_account_and_its_tokens_end_at_once_and_for_good() {
    let shop = Shop::shared().await;
    let id = new_account(shop, "accounts-disable", "admin").await;
    let token = Admin::sign_in(shop.gateway.admin(), "accounts-disable", PASSWORD).await;
    assert_eq!(products(&shop.gateway, token.token()).await.status, 200);

    let disabled = shop.admin.post(&format!("/admins/{id}/disable"), &json!(null)).await;

    assert_eq!((disabled.status, &disabled.json()["active"]), (200, &json!(false)));
    assert_eq!(
        products(&shop.gateway, token.token()).await.refusal(),
        (401, "bearer_invalid")
    );
    assert_eq!(token.get("/admins").await.status, 401);
    assert_eq!(sign_in(shop, "accounts-disable", PASSWORD).await, 401);

    let enabled = shop.admin.post(&format!("/admins/{id}/enable"), &json!(null)).await;

    assert_eq!(enabled.status, 200);
    assert_eq!(
        products(&shop.gateway, token.token()).await.refusal(),
        (401, "bearer_invalid")
    );
    assert_eq!(sign_in(shop, "accounts-disable", PASSWORD).await, 200);
}

#[tokio::test]
async fn a_disabled_account_s_token_is_refused_with_the_resources_of_the_route() {
    let shop = Shop::shared().await;
    let id = new_account(shop, "accounts-resources", "admin").await;
    let token = Admin::sign_in(shop.gateway.admin(), "accounts-resources", PASSWORD).await;
    shop.admin.post(&format!("/admins/{id}/disable"), &json!(null)).await;

    let refused = products(&shop.gateway, token.token()).await;

    assert_eq!(refused.status, 401);
    let expected = json!({
        "message": "The consumer isn't authorized to access %resources.",
        "parameters": { "resources": "Magento_Catalog::products" },
    });
    assert_eq!(refused.json(), expected);
}

#[tokio::test]
async fn a_new_password_ends_the_old_one_and_its_tokens() {
    let shop = Shop::shared().await;
    let id = new_account(shop, "accounts-password", "admin").await;
    let token = Admin::sign_in(shop.gateway.admin(), "accounts-password", PASSWORD).await;
    let path = format!("/admins/{id}/password");

    let short = shop.admin.post(&path, &json!({ "password": "short" })).await;
    let set = shop.admin.post(&path, &json!({ "password": "another long one" })).await;

    assert_eq!((short.status, set.status), (400, 200));
    assert_eq!(
        products(&shop.gateway, token.token()).await.refusal(),
        (401, "bearer_invalid")
    );
    assert_eq!(sign_in(shop, "accounts-password", PASSWORD).await, 401);
    assert_eq!(sign_in(shop, "accounts-password", "another long one").await, 200);
}

#[tokio::test]
async fn everybody_sets_their_own_password_by_the_present_one_and_nobody_elses() {
    let shop = Shop::shared().await;
    let own = new_account(shop, "accounts-own-password", "viewer").await;
    let other = new_account(shop, "accounts-other-password", "viewer").await;
    let viewer = Admin::sign_in(shop.gateway.admin(), "accounts-own-password", PASSWORD).await;
    let set = async |id: &Value, current: Option<&str>| {
        let body = json!({ "password": "another long one", "current_password": current });
        viewer.post(&format!("/admins/{id}/password"), &body).await.status
    };

    assert_eq!(set(&other, Some(PASSWORD)).await, 403);
    assert_eq!(set(&own, None).await, 400);
    assert_eq!(set(&own, Some("not the present one")).await, 403);
    assert_eq!(sign_in(shop, "accounts-own-password", PASSWORD).await, 200);
    assert_eq!(set(&own, Some(PASSWORD)).await, 200);

    assert_eq!(sign_in(shop, "accounts-own-password", PASSWORD).await, 401);
    assert_eq!(sign_in(shop, "accounts-own-password", "another long one").await, 200);
}

#[tokio::test]
async fn the_last_who_manages_accounts_stays() {
    let shop = Shop::new().start().await;
    new_account(&shop, "operator", "operator").await;

    let disabled = shop.admin.post("/admins/1/disable", &json!(null)).await;
    let demoted = shop.admin.put("/admins/1", &json!({ "role": "operator" })).await;

    assert_eq!((disabled.status, demoted.status), (409, 409));
    assert_eq!(shop.admin.get("/admins/1").await.json()["role"], json!("admin"));

    new_account(&shop, "second", "admin").await;
    assert_eq!(shop.admin.post("/admins/1/disable", &json!(null)).await.status, 200);
}

#[tokio::test]
async fn only_the_role_admin_manages_accounts() {
    let shop = Shop::shared().await;
    let id = new_account(shop, "accounts-target", "viewer").await;
    new_account(shop, "accounts-operator", "operator").await;
    let operator = Admin::sign_in(shop.gateway.admin(), "accounts-operator", PASSWORD).await;

    let refused = [
        operator.post(&format!("/admins/{id}/disable"), &json!(null)).await,
        operator.post(&format!("/admins/{id}/enable"), &json!(null)).await,
        operator
            .post(&format!("/admins/{id}/password"), &json!({ "password": PASSWORD }))
            .await,
        operator
            .put(&format!("/admins/{id}"), &json!({ "role": "admin" }))
            .await,
    ];

    assert!(refused.iter().all(|answer| answer.status == 403));
    assert_eq!(operator.get(&format!("/admins/{id}")).await.status, 200);
    assert_eq!(operator.delete(&format!("/admins/{id}/tokens")).await.status, 200);
}

#[tokio::test]
async fn every_change_of_an_account_is_audited_without_secrets() {
    let shop = Shop::new().start().await;
    let id = new_account(&shop, "audited", "viewer").await;

    shop.admin.post(&format!("/admins/{id}/disable"), &json!(null)).await;
    shop.admin
        .post(
            &format!("/admins/{id}/password"),
            &json!({ "password": "another long one" }),
        )
        .await;

    let audit = shop.admin.get("/audit").await;
    let mut entries = audit.json()["items"].as_array().cloned().unwrap_or_default();
    // The shop's first admin.
    entries.remove(0);
    let done: Vec<(&str, &str)> = entries
        .iter()
        .map(|one| (one["action"].as_str().unwrap(), one["subject"].as_str().unwrap()))
        .collect();
    let subject = format!("admin/{id}");
    assert_eq!(
        done,
        ["admin.created", "admin.disabled", "admin.password_set"].map(|action| (action, subject.as_str()))
    );
    assert_eq!(entries[1]["before"]["active"], json!(true));
    assert_eq!(entries[1]["after"]["active"], json!(false));
    assert!(!audit.text().contains("argon2") && !audit.text().contains("another long one"));
}

#[tokio::test]
async fn a_disabled_account_s_tokens_end_on_another_gateway_within_a_second() {
    let redis = Server::start(Options::default()).await;
    let shop = Shop::new().store(&redis.url()).start().await;
    let other = shop.second_gateway().await;
    let id = new_account(&shop, "elsewhere", "admin").await;
    let token = Admin::sign_in(other.admin(), "elsewhere", PASSWORD).await;
    assert_eq!(products(&other, token.token()).await.status, 200);

    shop.admin.post(&format!("/admins/{id}/disable"), &json!(null)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;

    assert_eq!(products(&other, token.token()).await.refusal(), (401, "bearer_invalid"));
    assert_eq!(token.get("/admins").await.status, 401);
}

async fn new_account(shop: &Shop, username: &str, role: &str) -> Value {
    let new = json!({ "username": username, "password": PASSWORD, "role": role });
    let made = shop.admin.post("/admins", &new).await;
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()["id"].clone()
}

async fn sign_in(shop: &Shop, username: &str, password: &str) -> u16 {
    let credentials = json!({ "username": username, "password": password });
    let call = Call::post("/rest/V1/integration/admin/token").json(&credentials);
    call.send(&shop.gateway).await.status
}

async fn products(gateway: &Gateway, token: &str) -> Response {
    let call = Call::get("/rest/V1/products/accounts").header("Authorization", &format!("Bearer {token}"));
    call.send(gateway).await
}
