//! Users' sign-ins and their bearer tokens: Magento's answers, the lock-out, expiry and revocation.

use std::time::Duration;

use harness::{ADMIN, Admin, CUSTOMER, Call, Gateway, PASSWORD, Response, Shop};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const ADMIN_TOKEN: &str = "/rest/V1/integration/admin/token";
const CUSTOMER_TOKEN: &str = "/rest/V1/integration/customer/token";
const SENTENCE: &str =
    "The account sign-in was incorrect or your account is disabled temporarily. Please wait and try again later.";

#[tokio::test]
async fn an_admin_gets_a_token_as_a_json_string() {
    let shop = Shop::shared().await;

    let answer = sign_in(&shop.gateway, ADMIN, PASSWORD).await;

    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(answer.json().as_str().map(str::len), Some(32));
    assert_eq!(products(&shop.gateway, &answer).await.status, 200);
}

#[tokio::test]
async fn a_token_is_answered_in_xml_to_who_prefers_it() {
    let shop = Shop::shared().await;
    let call = Call::post(ADMIN_TOKEN).header("Accept", "application/xml");

    let answer = call
        .json(&json!({ "username": ADMIN, "password": PASSWORD }))
        .send(&shop.gateway)
        .await;

    let text = answer.text();
    assert!(text.starts_with("<?xml version=\"1.0\"?>\n<response>"), "{text}");
    assert!(text.ends_with("</response>\n"), "{text}");
}

#[tokio::test]
async fn a_store_code_may_stand_in_the_path() {
    let shop = Shop::shared().await;
    let credentials = json!({ "username": ADMIN, "password": PASSWORD });

    let call = Call::post("/rest/default/V1/integration/admin/token").json(&credentials);

    assert_eq!(call.send(&shop.gateway).await.status, 200);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_get_the_same_answer() {
    let shop = Shop::shared().await;

    let wrong = sign_in(&shop.gateway, ADMIN, "not the password").await;
    let unknown = sign_in(&shop.gateway, "nobody-at-all", PASSWORD).await;

    assert_eq!(wrong.refusal(), (401, "sign_in_failed"));
    assert_eq!(wrong.json(), json!({ "message": SENTENCE }));
    assert_eq!((wrong.status, wrong.body), (unknown.status, unknown.body));
}

#[tokio::test]
async fn absent_and_empty_fields_are_named() {
    let shop = Shop::shared().await;
    let post = async |body: Value| Call::post(ADMIN_TOKEN).json(&body).send(&shop.gateway).await;
    let required = |field: &str| json!({ "message": "\"%fieldName\" is required. Enter and try again.", "parameters": { "fieldName": field } });

    let both = post(json!({})).await;
    let one = post(json!({ "username": ADMIN, "password": "" })).await;

    assert_eq!((both.status, one.status), (400, 400));
    assert_eq!(
        both.json(),
        json!({
            "message": "One or more input exceptions have occurred.",
            "errors": [required("username"), required("password")],
        })
    );
    assert_eq!(one.json(), required("password"));
}

#[tokio::test]
async fn an_empty_body_lacks_what_an_empty_object_lacks() {
    let shop = Shop::shared().await;
    let told = async |body| {
        let call = Call::post(ADMIN_TOKEN).body("application/json", body);
        let told = call.send(&shop.gateway).await;
        (told.status, told.text())
    };

    let nothing = told("").await;

    assert_eq!(nothing, told("{}").await);
    assert_eq!(nothing.0, 400);
}

#[tokio::test]
async fn what_is_no_json_object_is_not_decoded() {
    let shop = Shop::shared().await;
    let bodies = [
        "{",
        "[]",
        "null",
        "\"a\"",
        "{\"username\":1,\"password\":{}}",
        "\u{0}",
        &"[".repeat(100_000),
    ];

    for body in bodies {
        let told = Call::post(ADMIN_TOKEN)
            .body("application/json", body)
            .send(&shop.gateway)
            .await;

        assert_eq!(told.status, 400);
        assert_eq!(told.field("message"), "Decoding error.");
    }
}

#[tokio::test]
async fn the_media_type_must_be_json() {
    let shop = Shop::shared().await;
    let form = Call::post(ADMIN_TOKEN)
        .form("username=a&password=b")
        .send(&shop.gateway)
        .await;
    let none = Call::post(ADMIN_TOKEN).send(&shop.gateway).await;

    assert_eq!(
        (form.status, form.field("message")),
        (400, "Content-Type header is invalid.".to_owned())
    );
    assert_eq!(
        (none.status, none.field("message")),
        (400, "Content-Type header is empty.".to_owned())
    );
}

#[tokio::test]
async fn the_charset_must_be_utf_8() {
    let shop = Shop::shared().await;
    let credentials = json!({ "username": ADMIN, "password": PASSWORD }).to_string();
    let sign_in = async |charset: &str| {
        let media_type = format!("application/json{charset}");
        let call = Call::post(ADMIN_TOKEN).body(&media_type, &credentials);
        call.send(&shop.gateway).await
    };

    for charset in ["", "; charset=utf-8", ";Charset=\"UTF-8\"", "; a=b; charset=utf8"] {
        assert_eq!(sign_in(charset).await.status, 200, "{charset}");
    }
    for charset in ["; charset=iso-8859-1", ";CHARSET=\"utf-16\"", "; charset="] {
        let refused = sign_in(charset).await;
        let message = "UTF-8 is the only supported charset.".to_owned();
        assert_eq!((refused.status, refused.field("message")), (400, message), "{charset}");
    }
}

#[tokio::test]
async fn only_post_signs_in() {
    let shop = Shop::shared().await;

    let told = Call::get(ADMIN_TOKEN).send(&shop.gateway).await;

    assert_eq!((told.status, told.header("allow")), (405, Some("POST")));
}

#[tokio::test]
async fn five_failures_are_forgiven_by_a_success() {
    let shop = Shop::shared().await;
    let name = new_admin(shop, "five-failures").await;

    for _ in 0..2 {
        for _ in 0..5 {
            assert_eq!(sign_in(&shop.gateway, name, "wrong").await.status, 401);
        }
        assert_eq!(sign_in(&shop.gateway, name, PASSWORD).await.status, 200);
    }
}

#[tokio::test]
async fn after_six_failures_the_right_password_is_refused_too() {
    let shop = Shop::shared().await;
    let name = new_admin(shop, "six-failures").await;
    for _ in 0..6 {
        sign_in(&shop.gateway, name, "wrong").await;
    }

    let locked = sign_in(&shop.gateway, name, PASSWORD).await;

    assert_eq!(locked.refusal(), (401, "sign_in_failed"));
    assert_eq!(locked.json(), json!({ "message": SENTENCE }));
    assert_eq!(sign_in(&shop.gateway, ADMIN, PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_lock_ends_with_another_password_and_where_the_account_is_enabled() {
    let shop = Shop::shared().await;
    for (name, call, body, password) in [
        (
            "unlocked-by-password",
            "password",
            json!({ "password": "another-passw0rd" }),
            "another-passw0rd",
        ),
        ("unlocked-by-hand", "enable", json!(null), PASSWORD),
    ] {
        let name = new_admin(shop, name).await;
        for _ in 0..6 {
            sign_in(&shop.gateway, name, "wrong").await;
        }
        assert_eq!(sign_in(&shop.gateway, name, PASSWORD).await.status, 401);

        let path = format!("/admins/{}/{call}", admin_id(shop, name).await);
        let changed = shop.admin.post(&path, &body).await;

        assert_eq!(changed.status, 200, "{}", changed.text());
        assert_eq!(sign_in(&shop.gateway, name, password).await.status, 200, "{name}");
    }
}

#[tokio::test]
async fn the_admin_listener_counts_the_same_failures() {
    let shop = Shop::shared().await;
    let name = new_admin(shop, "both-listeners").await;
    let admin_side = async |password: &str| {
        let body = json!({ "username": name, "password": password });
        shop.gateway
            .admin_call(Call::post("/api/v1/tokens").json(&body))
            .await
            .status
    };
    for _ in 0..3 {
        sign_in(&shop.gateway, name, "wrong").await;
        assert_eq!(admin_side("wrong").await, 401);
    }

    assert_eq!(sign_in(&shop.gateway, name, PASSWORD).await.status, 401);
    assert_eq!(admin_side(PASSWORD).await, 401);
}

#[tokio::test]
async fn a_lock_ends() {
    let shop = Shop::new()
        .set("lockout", "max_failures", "2")
        .set("lockout", "duration", "\"4s\"")
        .start()
        .await;
    for _ in 0..2 {
        sign_in(&shop.gateway, ADMIN, "wrong").await;
    }
    assert_eq!(sign_in(&shop.gateway, ADMIN, PASSWORD).await.status, 401);

    tokio::time::sleep(Duration::from_millis(5100)).await;

    assert_eq!(sign_in(&shop.gateway, ADMIN, PASSWORD).await.status, 200);
}

#[tokio::test]
async fn an_address_that_fails_on_many_names_is_told_to_wait_and_nobody_else_is() {
    let shop = Shop::new()
        .set("public", "trusted_proxies", "[\"127.0.0.1/32\"]")
        .set("lockout", "max_failures_per_address", "3")
        .start()
        .await;
    let from = async |address: &str, name: &str, password: &str| {
        let credentials = json!({ "username": name, "password": password });
        let call = Call::post(ADMIN_TOKEN).json(&credentials).asking_for_the_cause();
        let call = call.header("X-Forwarded-For", address);
        call.send(&shop.gateway).await
    };

    let mut guessed = Vec::new();
    for name in ["one", "two", "three", "four"] {
        guessed.push(from("2001:db8::1", name, "wrong").await.status);
    }
    let waiting = from("2001:db8::2", ADMIN, PASSWORD).await;
    let other = from("192.0.2.1", ADMIN, PASSWORD).await;

    assert_eq!(guessed, [401, 401, 401, 429]);
    assert_eq!(waiting.refusal(), (429, "rate_limited"));
    assert!(
        waiting
            .header("retry-after")
            .is_some_and(|secs| secs.parse::<u64>().is_ok())
    );
    assert_eq!(other.status, 200);
    Admin::sign_in(shop.gateway.admin(), ADMIN, PASSWORD).await;
}

#[tokio::test]
async fn a_lock_outlives_a_kill() {
    let shop = Shop::new().start().await;
    for _ in 0..6 {
        sign_in(&shop.gateway, ADMIN, "wrong").await;
    }

    shop.gateway.kill();
    shop.gateway.start_again().await;

    assert_eq!(sign_in(&shop.gateway, ADMIN, PASSWORD).await.status, 401);
}

#[tokio::test]
async fn guesses_at_once_do_not_slip_past_the_count() {
    let shop = Shop::new().start().await;
    let address = shop.gateway.public();
    let mut guesses = JoinSet::new();
    for _ in 0..24 {
        let call = Call::post(ADMIN_TOKEN).json(&json!({ "username": ADMIN, "password": "guess" }));
        guesses.spawn(async move { call.to_address(address, "http://shop.example").send().await.status });
    }

    let answers = guesses.join_all().await;

    assert!(answers.iter().all(|status| *status == 401));
    assert_eq!(shop.gateway.failures_of_admin(ADMIN).await, 6);
}

#[tokio::test]
async fn a_token_expires() {
    let shop = Shop::new().set("tokens.admin", "lifetime", "\"2s\"").start().await;
    let token = sign_in(&shop.gateway, ADMIN, PASSWORD).await;
    assert_eq!(products(&shop.gateway, &token).await.status, 200);

    tokio::time::sleep(Duration::from_millis(2100)).await;

    assert_eq!(products(&shop.gateway, &token).await.refusal(), (401, "bearer_invalid"));
}

#[tokio::test]
async fn several_tokens_of_one_user_hold_until_all_are_revoked() {
    let shop = Shop::shared().await;
    let name = new_admin(shop, "several-tokens").await;
    let id = admin_id(shop, name).await;
    let (one, other) = (
        sign_in(&shop.gateway, name, PASSWORD).await,
        sign_in(&shop.gateway, name, PASSWORD).await,
    );
    assert_ne!(one.body, other.body);
    assert_eq!(products(&shop.gateway, &one).await.status, 200);

    let revoked = shop.admin.delete(&format!("/admins/{id}/tokens")).await;

    assert_eq!(revoked.json(), json!({ "revoked": 2 }));
    for token in [one, other] {
        assert_eq!(products(&shop.gateway, &token).await.refusal(), (401, "bearer_invalid"));
    }
}

#[tokio::test]
async fn a_token_survives_a_kill() {
    let shop = Shop::new().start().await;
    let token = sign_in(&shop.gateway, ADMIN, PASSWORD).await;

    shop.gateway.kill();
    shop.gateway.start_again().await;

    assert_eq!(products(&shop.gateway, &token).await.status, 200);
}

#[tokio::test]
async fn a_customer_signs_in_and_out() {
    let shop = Shop::new().start().await;
    shop.gateway.add_customer(CUSTOMER).await;
    let token = shop.customer_token().await;
    let me = || Call::get("/rest/V1/customers/me/signed-in").header("Authorization", &format!("Bearer {token}"));
    assert_eq!(me().send(&shop.gateway).await.status, 200);

    let revoke = Call::post("/rest/V1/integration/customer/revoke-customer-token");
    let revoked = revoke
        .header("Authorization", &format!("Bearer {token}"))
        .send(&shop.gateway)
        .await;

    assert_eq!((revoked.status, revoked.text()), (200, "true".to_owned()));
    assert_eq!(me().send(&shop.gateway).await.refusal(), (401, "bearer_invalid"));
}

#[tokio::test]
async fn a_customers_tokens_are_revoked_by_an_admin() {
    let shop = Shop::new().start().await;
    let customer = shop.gateway.add_customer(CUSTOMER).await;
    let token = shop.customer_token().await;

    let revoked = shop.admin.delete(&format!("/customers/{customer}/tokens")).await;

    assert_eq!(revoked.status, 200);
    let me = Call::get("/rest/V1/customers/me/revoked").header("Authorization", &format!("Bearer {token}"));
    assert_eq!(me.send(&shop.gateway).await.refusal(), (401, "bearer_invalid"));
}

#[tokio::test]
async fn a_customers_sign_in_is_not_an_admins() {
    let (shop, _) = Shop::with_customer().await;

    let as_admin = sign_in(&shop.gateway, CUSTOMER, PASSWORD).await;
    let credentials = json!({ "username": ADMIN, "password": PASSWORD });
    let as_customer = Call::post(CUSTOMER_TOKEN).json(&credentials).send(&shop.gateway).await;

    assert_eq!((as_admin.status, as_customer.status), (401, 401));
}

#[tokio::test]
async fn sign_ins_that_fail_are_counted_on_whichever_listener_and_a_lock_is_in_the_log() {
    let shop = Shop::new().set("lockout", "max_failures", "3").start().await;
    let series = "countersign_sign_in_failures_total{kind=\"admin\"}";
    let before = shop.gateway.metric(series).await;
    let wrong = json!({ "username": "no-such-admin", "password": "a-mistyped-password" });

    for _ in 0..2 {
        let call = Call::post("/api/v1/tokens").json(&wrong);
        assert_eq!(shop.gateway.admin_call(call).await.status, 401);
    }
    assert_eq!(sign_in(&shop.gateway, "no-such-admin", "x").await.status, 401);

    assert_eq!(shop.gateway.metric(series).await - before, 3);
    shop.gateway.logged("a name failed to sign in too often").await;
    assert!(!shop.gateway.whole_log().await.contains("no-such-admin"));
}

#[tokio::test]
async fn only_a_customer_revokes_a_customers_tokens() {
    let shop = Shop::shared().await;
    let revoke = || Call::post("/rest/V1/integration/customer/revoke-customer-token");

    let guest = revoke().send(&shop.gateway).await;
    let admin = revoke()
        .header("Authorization", &format!("Bearer {}", shop.admin.token()))
        .send(&shop.gateway)
        .await;

    assert_eq!(guest.refusal(), (401, "resource_denied"));
    assert_eq!(admin.refusal(), (401, "resource_denied"));
    assert_eq!(guest.json()["parameters"], json!({ "resources": "self" }));
}

#[tokio::test]
async fn passwords_and_tokens_reach_no_log() {
    let shop = Shop::new().set("log", "level", "\"trace\"").start().await;
    let token = sign_in(&shop.gateway, ADMIN, PASSWORD).await;
    sign_in(&shop.gateway, ADMIN, "a-mistyped-password").await;
    let used = products(&shop.gateway, &token).await;
    shop.gateway.access_line(&used).await;

    let said = shop.gateway.whole_log().await + &shop.gateway.access_log();

    assert!(!said.contains(PASSWORD) && !said.contains("a-mistyped-password"));
    assert!(!said.contains(token.json().as_str().unwrap_or_default()));
}

async fn sign_in(gateway: &Gateway, username: &str, password: &str) -> Response {
    let credentials = json!({ "username": username, "password": password });
    Call::post(ADMIN_TOKEN).json(&credentials).send(gateway).await
}

/// A full admin of the test's own: their lock-out is nobody else's.
async fn new_admin<'a>(shop: &Shop, username: &'a str) -> &'a str {
    let new = json!({ "username": username, "password": PASSWORD, "role": "admin" });
    assert_eq!(shop.admin.post("/admins", &new).await.status, 201);
    username
}

async fn admin_id(shop: &Shop, username: &str) -> Value {
    let listed = shop.admin.get("/admins").await.json();
    let items = listed["items"].as_array().cloned().unwrap_or_default();
    items
        .iter()
        .find(|one| one["username"] == username)
        .map_or(Value::Null, |one| one["id"].clone())
}

async fn products(gateway: &Gateway, token: &Response) -> Response {
    let token = token.json().as_str().unwrap_or_default().to_owned();
    let call = Call::get("/rest/V1/products/users").header("Authorization", &format!("Bearer {token}"));
    call.send(gateway).await
}
