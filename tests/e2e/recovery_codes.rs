//! Recovery codes of a second factor: shown once, good once each, counted and audited.

use harness::redis::{Options, Server};
use harness::{Call, Gateway, PASSWORD, Response, Shop};
use serde_json::{Value, json};

use crate::totp::code;

#[tokio::test]
async fn ten_codes_are_shown_with_the_enrolment_and_nowhere_else() {
    let shop = Shop::shared().await;
    let one = enrolled(shop, "recovery-shown").await;

    let account = shop.admin.get(&format!("/admins/{}", one.id)).await;

    assert_eq!(one.codes.len(), 10);
    assert!(one.codes.iter().all(|code| code.len() == 14), "{:?}", one.codes);
    assert_eq!(account.json()["recovery_codes"], 10);
    let audit = shop.admin.get("/audit?limit=1000").await.text();
    for told in [account.text(), audit] {
        assert!(!one.codes.iter().any(|code| told.contains(code.as_str())));
    }
}

#[tokio::test]
async fn each_code_signs_in_once_in_place_of_six_digits_on_either_listener() {
    let shop = Shop::shared().await;
    let one = enrolled(shop, "recovery-once").await;
    let typed = one.codes[1].replace('-', " ").to_uppercase();
    let at_admin = async |code: &str| {
        let body = json!({ "username": one.name, "password": PASSWORD, "code": code });
        shop.gateway.admin_call(Call::post("/api/v1/tokens").json(&body)).await
    };

    let first = sign_in(&shop.gateway, &one.name, &one.codes[0]).await;
    let again = sign_in(&shop.gateway, &one.name, &one.codes[0]).await;
    let other = at_admin(&typed).await;
    let other_again = at_admin(&one.codes[1]).await;
    let digits = sign_in(&shop.gateway, &one.name, &code(&one.secret, 1)).await;

    let statuses = [&first, &again, &other, &other_again, &digits].map(|answer| answer.status);
    assert_eq!(statuses, [200, 401, 200, 401, 200]);
    assert_eq!(again.refusal(), (401, "sign_in_failed"));
    let account = shop.admin.get(&format!("/admins/{}", one.id)).await.json();
    assert_eq!(account["recovery_codes"], 8);
}

#[tokio::test]
async fn a_code_that_is_used_stands_in_the_audit_log() {
    let shop = Shop::shared().await;
    let one = enrolled(shop, "recovery-audited").await;

    sign_in(&shop.gateway, &one.name, &one.codes[3]).await;

    let audit = shop.admin.get("/audit?limit=1000").await.json();
    let mut entries = audit["items"].as_array().unwrap().iter();
    let entry = entries
        .find(|entry| entry["action"] == "admin.recovery_code_used" && entry["actor"] == one.name)
        .unwrap();
    assert_eq!(entry["subject"], format!("admin/{}", one.id));
    assert_eq!(
        (&entry["before"], &entry["after"]),
        (&json!({ "recovery_codes": 10 }), &json!({ "recovery_codes": 9 }))
    );
}

#[tokio::test]
async fn wrong_codes_lock_the_name_for_right_ones_too() {
    let shop = Shop::shared().await;
    let one = enrolled(shop, "recovery-locked").await;
    for _ in 0..6 {
        assert_eq!(sign_in(&shop.gateway, &one.name, "aaaa-bbbb-cccc").await.status, 401);
    }

    let locked = sign_in(&shop.gateway, &one.name, &one.codes[0]).await;

    assert_eq!(locked.refusal(), (401, "sign_in_failed"));
    let account = shop.admin.get(&format!("/admins/{}", one.id)).await.json();
    assert_eq!(account["recovery_codes"], 10, "nothing is tried while a name is locked");
}

#[tokio::test]
async fn without_the_password_a_code_is_neither_good_nor_used() {
    let shop = Shop::shared().await;
    let one = enrolled(shop, "recovery-password").await;
    let body = json!({ "username": one.name, "password": "wrong password", "code": one.codes[0] });

    let refused = Call::post(TOKEN).json(&body).send(&shop.gateway).await;

    assert_eq!(refused.status, 401);
    assert_eq!(sign_in(&shop.gateway, &one.name, &one.codes[0]).await.status, 200);
}

#[tokio::test]
async fn codes_prove_no_enrolment_and_end_with_their_factor() {
    let shop = Shop::shared().await;
    let id = new_account(shop, "recovery-ended").await;
    let path = format!("/admins/{id}/totp");
    let pending = shop.admin.post(&path, &Value::Null).await.json();
    let codes = codes_of(&pending);
    let confirm = json!({ "code": codes[0] });

    let unproved = shop.admin.post(&format!("{path}/confirm"), &confirm).await;
    let one = enrolled_as(shop, "recovery-ended", &id).await;
    let of_before = sign_in(&shop.gateway, &one.name, &codes[0]).await;
    shop.admin.delete(&path).await;
    let anew = enrolled_as(shop, "recovery-ended", &id).await;
    let of_removed = sign_in(&shop.gateway, &one.name, &one.codes[0]).await;

    let statuses = [&unproved, &of_before, &of_removed].map(|answer| answer.status);
    assert_eq!(statuses, [400, 401, 401]);
    assert_eq!(sign_in(&shop.gateway, &anew.name, &anew.codes[0]).await.status, 200);
}

#[tokio::test]
async fn of_many_sign_ins_at_once_on_two_gateways_one_is_good() {
    let redis = Server::start(Options::default()).await;
    let shop = Shop::new().store(&redis.url()).start().await;
    let other = shop.second_gateway().await;
    let one = enrolled(&shop, "recovery-two").await;
    let try_it = |gateway| sign_in(gateway, &one.name, &one.codes[0]);

    let answers = tokio::join!(
        try_it(&shop.gateway),
        try_it(&other),
        try_it(&shop.gateway),
        try_it(&other)
    );

    let mut statuses = [answers.0.status, answers.1.status, answers.2.status, answers.3.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401, 401, 401]);
    let account = shop.admin.get(&format!("/admins/{}", one.id)).await.json();
    assert_eq!(account["recovery_codes"], 9);
}

struct Enrolled {
    id: Value,
    name: String,
    secret: String,
    codes: Vec<String>,
}

async fn enrolled(shop: &Shop, name: &str) -> Enrolled {
    let id = new_account(shop, name).await;
    enrolled_as(shop, name, &id).await
}

async fn enrolled_as(shop: &Shop, name: &str, id: &Value) -> Enrolled {
    let path = format!("/admins/{id}/totp");
    let handed = shop.admin.post(&path, &Value::Null).await;
    assert_eq!(handed.status, 201, "{}", handed.text());
    let secret = handed.field("secret");
    let proof = json!({ "code": code(&secret, 0) });
    let proved = shop.admin.post(&format!("{path}/confirm"), &proof).await;
    assert_eq!(proved.status, 200, "{}", proved.text());
    Enrolled {
        id: id.clone(),
        name: name.to_owned(),
        secret,
        codes: codes_of(&handed.json()),
    }
}

fn codes_of(handed: &Value) -> Vec<String> {
    let codes = handed["recovery_codes"].as_array().unwrap().iter();
    codes.map(|code| code.as_str().unwrap().to_owned()).collect()
}

async fn new_account(shop: &Shop, username: &str) -> Value {
    let new = json!({ "username": username, "password": PASSWORD, "role": "viewer" });
    let made = shop.admin.post("/admins", &new).await;
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()["id"].clone()
}

async fn sign_in(gateway: &Gateway, username: &str, code: &str) -> Response {
    let body = json!({ "username": username, "password": PASSWORD, "code": code });
    Call::post(TOKEN).json(&body).send(gateway).await
}

const TOKEN: &str = "/rest/V1/integration/admin/token";
