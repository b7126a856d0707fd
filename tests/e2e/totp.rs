//! Codes by time as a second factor of admin accounts: enrolled, asked for, good once.

use std::time::Duration;

use harness::redis::{Options, Server};
use harness::{Admin, CALLBACK, Call, Gateway, PASSWORD, Response, Shop, now};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha1::Sha1;

#[tokio::test]
async fn an_enrolment_shows_its_secret_once_and_asks_for_no_code_until_it_is_confirmed() {
    let shop = Shop::shared().await;
    let id = new_account(shop, "totp-enrol").await;

    let enrolled = shop.admin.post(&format!("/admins/{id}/totp"), &json!(null)).await;
    let before = sign_in(&shop.gateway, "totp-enrol", None).await;
    let wrong = confirm(shop, &id, "000000x").await;
    let confirmed = confirm(shop, &id, &code(&enrolled.field("secret"), 0)).await;
    let after = sign_in(&shop.gateway, "totp-enrol", None).await;

    assert_eq!((enrolled.status, enrolled.field("secret").len()), (201, 32));
    let uri = format!(
        "otpauth://totp/Countersign:totp-enrol?secret={}&",
        enrolled.field("secret")
    );
    assert!(enrolled.field("uri").starts_with(&uri));
    assert_eq!(
        (before.status, wrong.status, confirmed.status, after.status),
        (200, 400, 200, 401)
    );
    let account = shop.admin.get(&format!("/admins/{id}")).await;
    assert_eq!(account.json()["totp"], json!(true));
    let audit = Value::from(shop.admin.audit().await).to_string();
    for answer in [account.text(), confirmed.text(), audit] {
        assert!(!answer.contains(&enrolled.field("secret")));
    }
    assert_eq!(
        shop.admin
            .post(&format!("/admins/{id}/totp"), &json!(null))
            .await
            .status,
        409
    );
    assert_eq!(confirm(shop, &id, "000000").await.status, 409);
}

#[tokio::test]
async fn a_right_password_without_code_is_told_so_as_magento_tells_it() {
    let shop = Shop::shared().await;
    let (id, _) = with_code(shop, "totp-missing").await;
    let sentence = "Please use the 2fa provider-specific endpoints to obtain a token.";

    let missing = sign_in(&shop.gateway, "totp-missing", None).await;
    let empty = sign_in(&shop.gateway, "totp-missing", Some("")).await;

    assert_eq!(missing.refusal(), (401, "sign_in_failed"));
    let parameters = json!({ "user_id": id, "active_providers": ["totp"] });
    assert_eq!(missing.json(), json!({ "message": sentence, "parameters": parameters }));
    assert_eq!(empty.json(), missing.json());
    let body = json!({ "username": "totp-missing", "password": "wrong" });
    let wrong = Call::post(TOKEN).json(&body).send(&shop.gateway).await;
    assert_ne!(wrong.json()["message"], json!(sentence));
}

#[tokio::test]
async fn a_code_is_good_one_step_early_and_one_late_once_and_never_after_a_later_one() {
    let shop = Shop::shared().await;
    // Confirmed one step late, so that the step of now is still to be used.
    let (_, secret) = with_code_of(shop, "totp-steps", -1).await;
    let tried = async |offset: i64| {
        sign_in(&shop.gateway, "totp-steps", Some(&code(&secret, offset)))
            .await
            .status
    };

    assert_eq!(tried(-1).await, 401, "confirmed with it");
    assert_eq!(tried(2).await, 401);
    assert_eq!(tried(0).await, 200);
    assert_eq!(tried(0).await, 401);
    assert_eq!(tried(1).await, 200);
    assert_eq!(tried(0).await, 401);
    assert_eq!(tried(1).await, 401);
}

#[tokio::test]
async fn wrong_codes_are_counted_and_a_missing_one_clears_nothing() {
    let shop = Shop::shared().await;
    let (_, secret) = with_code(shop, "totp-locked").await;
    for _ in 0..6 {
        assert_eq!(sign_in(&shop.gateway, "totp-locked", Some("000000x")).await.status, 401);
        sign_in(&shop.gateway, "totp-locked", None).await;
    }

    let locked = sign_in(&shop.gateway, "totp-locked", Some(&code(&secret, 1))).await;
    let without = sign_in(&shop.gateway, "totp-locked", None).await;

    assert_eq!(locked.refusal(), (401, "sign_in_failed"));
    assert_eq!(without.json(), locked.json());
}

#[tokio::test]
async fn the_admin_listener_takes_the_code_too() {
    let shop = Shop::shared().await;
    let (_, secret) = with_code(shop, "totp-listener").await;
    let post = async |body: Value| shop.gateway.admin_call(Call::post("/api/v1/tokens").json(&body)).await;

    let missing = post(json!({ "username": "totp-listener", "password": PASSWORD })).await;
    let good = post(json!({ "username": "totp-listener", "password": PASSWORD, "code": code(&secret, 1) })).await;

    assert_eq!((missing.status, good.status), (401, 200));
    assert_eq!(missing.json()["parameters"]["active_providers"], json!(["totp"]));
}

#[tokio::test]
async fn the_consent_page_asks_for_the_code_too() {
    let shop = Shop::shared().await;
    let (_, secret) = with_code(shop, "totp-consent").await;
    let app = shop
        .integration()
        .with("callback_urls", json!([CALLBACK]))
        .active()
        .await;
    let asked = shop.gateway.initiate(&app.credentials).await.form("oauth_token");
    let decide = async |code: &str| {
        let decided = shop
            .gateway
            .decide_with_code(&asked, "totp-consent", "allow", code)
            .await;
        (decided.status, decided.text().contains("name=\"code\""))
    };

    assert_eq!(decide("").await, (401, true));
    assert_eq!(decide("000000x").await, (401, false));
    assert_eq!(decide(&code(&secret, 1)).await, (303, false));
}

#[tokio::test]
async fn one_enrols_oneself_and_only_who_manages_accounts_takes_it_away() {
    let shop = Shop::shared().await;
    let id = new_account(shop, "totp-self").await;
    let other = new_account(shop, "totp-other").await;
    let viewer = Admin::sign_in(shop.gateway.admin(), "totp-self", PASSWORD).await;

    let enrolled = viewer.post(&format!("/admins/{id}/totp"), &json!(null)).await;
    let body = json!({ "code": code(&enrolled.field("secret"), 0) });
    let confirmed = viewer.post(&format!("/admins/{id}/totp/confirm"), &body).await;
    let others = viewer.post(&format!("/admins/{other}/totp"), &json!(null)).await;
    let removed = viewer.delete(&format!("/admins/{id}/totp")).await;

    assert_eq!(
        (enrolled.status, confirmed.status, others.status, removed.status),
        (201, 200, 403, 403)
    );
    assert_eq!(shop.admin.delete(&format!("/admins/{id}/totp")).await.status, 200);
    assert_eq!(sign_in(&shop.gateway, "totp-self", None).await.status, 200);
}

#[tokio::test]
async fn a_code_is_used_up_on_every_gateway_and_of_many_at_once_one_is_good() {
    let redis = Server::start(Options::default()).await;
    let shop = Shop::new().store(&redis.url()).start().await;
    let other = shop.second_gateway().await;
    let (_, secret) = with_code(&shop, "totp-two").await;
    let code = code(&secret, 1);

    let answers = tokio::join!(
        sign_in(&shop.gateway, "totp-two", Some(&code)),
        sign_in(&other, "totp-two", Some(&code)),
        sign_in(&shop.gateway, "totp-two", Some(&code)),
        sign_in(&other, "totp-two", Some(&code)),
    );

    let mut statuses = [answers.0.status, answers.1.status, answers.2.status, answers.3.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401, 401, 401]);
}

#[tokio::test]
async fn the_secret_is_sealed_and_in_no_log() {
    let shop = Shop::new().set("log", "level", "\"trace\"").start().await;
    let (_, secret) = with_code(&shop, "totp-sealed").await;
    sign_in(&shop.gateway, "totp-sealed", Some(&code(&secret, 1))).await;

    let folder = shop.gateway.folder().join("store");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut kept: Vec<u8> = files
        .filter(|path| path.is_file())
        .flat_map(|path| std::fs::read(path).unwrap())
        .collect();
    kept.extend((shop.gateway.whole_log().await + &shop.gateway.access_log()).into_bytes());

    assert!(!kept.windows(secret.len()).any(|window| window == secret.as_bytes()));
}

const TOKEN: &str = "/rest/V1/integration/admin/token";

async fn new_account(shop: &Shop, username: &str) -> Value {
    let new = json!({ "username": username, "password": PASSWORD, "role": "viewer" });
    let made = shop.admin.post("/admins", &new).await;
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()["id"].clone()
}

/// An account that needs codes, at the beginning of a step: its number, and its secret.
async fn with_code(shop: &Shop, username: &str) -> (Value, String) {
    with_code_of(shop, username, 0).await
}

/// The same, confirmed with the code so many steps from now.
async fn with_code_of(shop: &Shop, username: &str, offset: i64) -> (Value, String) {
    let id = new_account(shop, username).await;
    if now() % 30 > 20 {
        wait_for_next_step().await;
    }
    let secret = shop
        .admin
        .post(&format!("/admins/{id}/totp"), &json!(null))
        .await
        .field("secret");
    assert_eq!(confirm(shop, &id, &code(&secret, offset)).await.status, 200);
    (id, secret)
}

async fn confirm(shop: &Shop, id: &Value, code: &str) -> Response {
    shop.admin
        .post(&format!("/admins/{id}/totp/confirm"), &json!({ "code": code }))
        .await
}

async fn sign_in(gateway: &Gateway, username: &str, code: Option<&str>) -> Response {
    let mut body = json!({ "username": username, "password": PASSWORD });
    if let Some(code) = code {
        body["code"] = json!(code);
    }
    Call::post(TOKEN).json(&body).send(gateway).await
}

async fn wait_for_next_step() {
    tokio::time::sleep(Duration::from_secs(30 - now() % 30)).await;
}

/// RFC 6238, from its text: the code so many steps from now.
pub(crate) fn code(secret: &str, offset: i64) -> String {
    let bits: String = secret
        .bytes()
        .map(|letter| match letter {
            b'A'..=b'Z' => letter - b'A',
            digit => digit - b'2' + 26,
        })
        .fold(String::new(), |bits, value| bits + &format!("{value:05b}"));
    let key: Vec<u8> = bits
        .as_bytes()
        .chunks_exact(8)
        .map(|octet| u8::from_str_radix(std::str::from_utf8(octet).unwrap(), 2).unwrap())
        .collect();
    let step = (now() / 30).checked_add_signed(offset).unwrap();
    let mut mac = Hmac::<Sha1>::new_from_slice(&key).unwrap();
    mac.update(&step.to_be_bytes());
    let tag = mac.finalize().into_bytes();
    let at = usize::from(tag[19] & 15);
    let number = u32::from_be_bytes([tag[at] & 127, tag[at + 1], tag[at + 2], tag[at + 3]]);
    format!("{:06}", number % 1_000_000)
}
