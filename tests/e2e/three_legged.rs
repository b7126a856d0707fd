//! `/oauth/initiate`, `/oauth/authorize`, `/oauth/token`: the whole flow of RFC 5849, in its own dialect.

use std::time::Duration;

use harness::{
    ADMIN, CALLBACK, Call, Credentials, PASSWORD, Response, Shop, Signing, eventually, pairs_of_form, percent_encode,
};
use serde_json::json;

#[tokio::test]
async fn the_whole_flow_gives_the_user_s_token() {
    let (shop, app) = app().await;

    let token = shop.gateway.delegated_by(ADMIN, &app).await;

    assert_eq!((token.token().len(), token.token_secret().len()), (32, 32));
    assert_ne!(token.token(), app.token());
    let call = Call::get("/rest/V1/products/whole-flow").signed_by(&token);
    assert_eq!(call.send(&shop.gateway).await.status, 200);
    assert_eq!(shop.upstream.only("whole-flow").header("x-user-type"), Some("admin"));
}

#[tokio::test]
async fn a_request_token_is_confirmed() {
    let (shop, app) = app().await;

    let answer = shop.gateway.initiate(&app).await;

    assert_eq!(answer.status, 200);
    assert_eq!(answer.form("oauth_callback_confirmed"), "true");
    assert_eq!(answer.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn a_callback_must_be_there_and_registered() {
    let (shop, app) = app().await;
    let initiate = async |signing: Signing| Call::post("/oauth/initiate").signed(signing).send(&shop.gateway).await;
    let consumer = app.without_token();

    let absent = initiate(Signing::with(&consumer)).await;
    assert_eq!(
        (absent.status, absent.form("oauth_problem")),
        (400, "parameter_absent".to_owned())
    );
    assert_eq!(absent.form("oauth_parameters_absent"), "oauth_callback");
    for callback in [
        "https://evil.example/",
        "https://app.example/callback/",
        "https://app.example/callback?x",
        "https://app.example.evil.example/callback",
        "https://app.example@evil.example/callback",
        "HTTPS://app.example/callback",
        "javascript:alert(1)",
        "OOB",
        "",
    ] {
        let refused = initiate(Signing::with(&consumer).set("oauth_callback", callback)).await;

        let rejected = format!("oauth_callback={}", percent_encode(callback));
        assert_eq!(refused.status, 400, "{callback}");
        assert_eq!(refused.form("oauth_problem"), "parameter_rejected", "{callback}");
        assert_eq!(refused.form("oauth_parameters_rejected"), rejected);
    }
}

#[tokio::test]
async fn refusals_speak_the_rfc() {
    let (shop, app) = app().await;
    let initiate = async |signing: Signing| {
        let signing = signing.set("oauth_callback", CALLBACK);
        Call::post("/oauth/initiate").signed(signing).send(&shop.gateway).await
    };
    let consumer = app.without_token();
    let signing = || Signing::with(&consumer);

    let version = initiate(signing().set("oauth_version", "2.0")).await;
    let method = initiate(signing().method("MD5")).await;
    let late = initiate(signing().at(-86_400)).await;
    let forged = initiate(signing().keyed("wrong&")).await;
    let unknown = initiate(signing().set("oauth_consumer_key", &"x".repeat(32))).await;

    assert_eq!(
        (version.status, version.form("oauth_problem")),
        (400, "version_rejected".to_owned())
    );
    assert_eq!(version.form("oauth_acceptable_versions"), "1.0-1.0");
    assert_eq!(
        (method.status, method.form("oauth_problem")),
        (400, "signature_method_rejected".to_owned())
    );
    assert_eq!(
        (late.status, late.form("oauth_problem")),
        (400, "timestamp_refused".to_owned())
    );
    assert!(late.form("oauth_acceptable_timestamps").contains('-'));
    assert_eq!(
        (forged.status, forged.form("oauth_problem")),
        (401, "signature_invalid".to_owned())
    );
    assert_eq!(
        (unknown.status, unknown.form("oauth_problem")),
        (401, "consumer_key_unknown".to_owned())
    );
}

#[tokio::test]
async fn an_inactive_integration_starts_no_flow() {
    let shop = Shop::shared().await;
    let integration = shop
        .integration()
        .with("callback_urls", json!([CALLBACK]))
        .active()
        .await;
    shop.admin
        .post(&format!("/integrations/{}/deactivate", integration.id), &json!(null))
        .await;

    let refused = shop.gateway.initiate(&integration.credentials).await;

    assert_eq!(
        (refused.status, refused.form("oauth_problem")),
        (401, "integration_inactive".to_owned())
    );
}

#[tokio::test]
async fn the_page_says_who_asks_and_can_not_be_framed_or_cached() {
    let (shop, app) = app_named("Asking <app> & sons").await;
    let asked = shop.gateway.initiate(&app).await;

    let page = page(shop, &asked.form("oauth_token")).await;

    assert_eq!(page.status, 200);
    assert!(page.text().contains("Asking &lt;app&gt; &amp; sons"), "{}", page.text());
    let policy = page.header("content-security-policy").unwrap_or_default();
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    let cookie = page.header("set-cookie").unwrap_or_default();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite="), "{cookie}");
}

#[tokio::test]
async fn an_unknown_or_decided_request_is_a_page_and_sends_nobody_anywhere() {
    let (shop, app) = app().await;
    let asked = shop.gateway.initiate(&app).await;
    let decided = asked.form("oauth_token");
    shop.gateway.decide(&decided, ADMIN, "allow").await;

    for token in [decided.as_str(), &"x".repeat(32), "short", "", app.token()] {
        let answer = page(shop, token).await;

        assert_eq!(answer.status, 400, "{token}");
        assert_eq!(answer.header("location"), None);
    }
    let none = Call::get("/oauth/authorize").send(&shop.gateway).await;
    assert_eq!(none.status, 400);
}

#[tokio::test]
async fn the_form_is_sent_to_where_the_page_came_from_below_a_prefix_that_a_proxy_strips() {
    let shop = Shop::new().signed_as("https://shop.example/base").start().await;
    let app = shop
        .integration()
        .with("callback_urls", json!([CALLBACK]))
        .active()
        .await;
    let asked = shop.gateway.initiate(&app.credentials).await;

    let page = page(&shop, &asked.form("oauth_token")).await.text();

    assert!(page.contains("action=\"/base/oauth/authorize\""), "{page}");
}

#[tokio::test]
async fn a_callback_on_the_page_is_ignored() {
    let (shop, app) = app().await;
    let asked = shop.gateway.initiate(&app).await;
    let target = format!(
        "/oauth/authorize?oauth_token={}&oauth_callback={}",
        asked.form("oauth_token"),
        percent_encode("https://evil.example/")
    );

    let page = Call::get(&target).send(&shop.gateway).await;

    assert!(!page.text().contains("evil.example"));
}

#[tokio::test]
async fn a_decision_needs_the_form_of_the_page_that_was_shown() {
    let (shop, app) = app().await;
    let asked = shop.gateway.initiate(&app).await;
    let token = asked.form("oauth_token");
    let shown = page(shop, &token).await;
    let (cookie, csrf) = (cookie_of(&shown), csrf_of(&shown));
    let decide = async |csrf: &str, cookie: &str, more: (&str, &str)| {
        let form = format!(
            "oauth_token={token}&username={ADMIN}&password={}&decision=allow&csrf={}",
            percent_encode(PASSWORD),
            percent_encode(csrf)
        );
        let call = Call::post("/oauth/authorize")
            .header("Cookie", cookie)
            .header(more.0, more.1);
        call.form(&form).send(&shop.gateway).await
    };
    let nothing = ("X-Nothing", "1");

    for (csrf, cookie, more) in [
        ("", cookie.as_str(), nothing),
        ("foreign", cookie.as_str(), nothing),
        (csrf.as_str(), "", nothing),
        (
            csrf.as_str(),
            "countersign_consent=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            nothing,
        ),
        (csrf.as_str(), cookie.as_str(), ("Origin", "https://evil.example")),
        (csrf.as_str(), cookie.as_str(), ("Sec-Fetch-Site", "cross-site")),
    ] {
        let refused = decide(csrf, cookie, more).await;

        assert_eq!(refused.status, 403, "{csrf} {cookie} {more:?}");
        assert_eq!(refused.header("location"), None);
    }
    assert_eq!(decide(&csrf, &cookie, nothing).await.status, 303);
}

#[tokio::test]
async fn nothing_is_decided_by_get() {
    let (shop, app) = app().await;
    let asked = shop.gateway.initiate(&app).await;
    let token = asked.form("oauth_token");
    let shown = page(shop, &token).await;
    let query = format!(
        "oauth_token={token}&username={ADMIN}&password={}&decision=allow&csrf={}",
        percent_encode(PASSWORD),
        csrf_of(&shown)
    );

    let call = Call::get(&format!("/oauth/authorize?{query}")).header("Cookie", &cookie_of(&shown));

    assert_eq!(call.send(&shop.gateway).await.status, 200);
    assert_eq!(page(shop, &token).await.status, 200);
}

#[tokio::test]
async fn a_wrong_password_shows_the_page_again() {
    let (shop, app) = app().await;
    let asked = shop.gateway.initiate(&app).await;

    let again = shop
        .gateway
        .decide(&asked.form("oauth_token"), "nobody-here", "allow")
        .await;

    assert_eq!(again.status, 401);
    assert_eq!(again.header("location"), None);
    assert_eq!(page(shop, &asked.form("oauth_token")).await.status, 200);
}

#[tokio::test]
async fn the_page_counts_failed_sign_ins_too() {
    let (shop, app) = app().await;
    let new = json!({ "username": "locked-by-page", "password": "another password", "role": "viewer" });
    assert_eq!(shop.admin.post("/admins", &new).await.status, 201);
    let asked = shop.gateway.initiate(&app).await;
    for _ in 0..6 {
        assert_eq!(
            shop.gateway
                .decide(&asked.form("oauth_token"), "locked-by-page", "allow")
                .await
                .status,
            401
        );
    }

    let right = json!({ "username": "locked-by-page", "password": "another password" });
    let locked = Call::post("/rest/V1/integration/admin/token")
        .json(&right)
        .send(&shop.gateway)
        .await;

    assert_eq!(locked.status, 401);
}

#[tokio::test]
async fn a_rejection_is_told_to_the_app() {
    let (shop, app) = app().await;
    let asked = shop.gateway.initiate(&app).await;

    let sent_back = shop.gateway.decide(&asked.form("oauth_token"), ADMIN, "reject").await;

    let location = sent_back.header("location").unwrap_or_default();
    assert_eq!(sent_back.status, 303);
    assert_eq!(
        location,
        format!(
            "{CALLBACK}?oauth_token={}&oauth_problem=permission_denied",
            asked.form("oauth_token")
        )
    );
    let pair = app.with_token(&asked.form("oauth_token"), &asked.form("oauth_token_secret"));
    let refused = shop.gateway.exchange_delegated(&pair, &"x".repeat(32)).await;
    assert_eq!(
        (refused.status, refused.form("oauth_problem")),
        (401, "token_rejected".to_owned())
    );
}

#[tokio::test]
async fn out_of_band_the_page_shows_the_verifier() {
    let (shop, app) = app().await;
    let signing = Signing::with(&app.without_token()).set("oauth_callback", "oob");
    let asked = Call::post("/oauth/initiate").signed(signing).send(&shop.gateway).await;

    let shown = shop.gateway.decide(&asked.form("oauth_token"), ADMIN, "allow").await;

    assert_eq!((shown.status, shown.header("location")), (200, None));
    let text = shown.text();
    let words = text
        .split(|one: char| !one.is_ascii_alphanumeric())
        .filter(|word| word.len() == 32);
    let pair = app.with_token(&asked.form("oauth_token"), &asked.form("oauth_token_secret"));
    let mut statuses = Vec::new();
    for word in words {
        statuses.push(shop.gateway.exchange_delegated(&pair, word).await.status);
    }
    assert!(statuses.contains(&200), "{statuses:?}");
}

#[tokio::test]
async fn before_consent_no_verifier_is_right() {
    let (shop, app) = app().await;
    let asked = shop.gateway.initiate(&app).await;
    let pair = app.with_token(&asked.form("oauth_token"), &asked.form("oauth_token_secret"));

    let refused = shop.gateway.exchange_delegated(&pair, &"x".repeat(32)).await;

    assert_eq!(
        (refused.status, refused.form("oauth_problem")),
        (401, "verifier_invalid".to_owned())
    );
}

#[tokio::test]
async fn verifiers_can_not_be_guessed() {
    let (shop, app) = app().await;
    let (pair, verifier) = allowed(shop, &app).await;
    for _ in 0..5 {
        let guess = shop.gateway.exchange_delegated(&pair, &"x".repeat(32)).await;
        assert_eq!(guess.form("oauth_problem"), "verifier_invalid");
    }

    let right = shop.gateway.exchange_delegated(&pair, &verifier).await;

    assert_eq!(
        (right.status, right.form("oauth_problem")),
        (401, "token_rejected".to_owned())
    );
}

#[tokio::test]
async fn who_can_not_sign_does_not_use_up_guesses() {
    let (shop, app) = app().await;
    let (pair, verifier) = allowed(shop, &app).await;
    let forger = pair.with_token(pair.token(), "wrong");
    for _ in 0..6 {
        assert_eq!(
            shop.gateway
                .exchange_delegated(&forger, "guess")
                .await
                .form("oauth_problem"),
            "signature_invalid"
        );
    }

    assert_eq!(shop.gateway.exchange_delegated(&pair, &verifier).await.status, 200);
}

#[tokio::test]
async fn another_flows_verifier_is_wrong() {
    let (shop, app) = app().await;
    let ((one, _), (_, others)) = (allowed(shop, &app).await, allowed(shop, &app).await);

    let refused = shop.gateway.exchange_delegated(&one, &others).await;

    assert_eq!(refused.form("oauth_problem"), "verifier_invalid");
}

#[tokio::test]
async fn another_app_can_not_finish_the_flow() {
    let ((shop, one), (_, other)) = (app().await, app().await);
    let (pair, verifier) = allowed(shop, &one).await;
    let stolen = other.with_token(pair.token(), pair.token_secret());

    let refused = shop.gateway.exchange_delegated(&stolen, &verifier).await;

    assert_eq!(
        (refused.status, refused.form("oauth_problem")),
        (401, "token_rejected".to_owned())
    );
    assert_eq!(shop.gateway.exchange_delegated(&pair, &verifier).await.status, 200);
}

#[tokio::test]
async fn a_request_that_nobody_decides_expires() {
    let shop = Shop::new().set("oauth", "initiate_lifetime", "\"1s\"").start().await;
    let app = shop
        .integration()
        .with("callback_urls", json!([CALLBACK]))
        .active()
        .await
        .credentials;
    let asked = shop.gateway.initiate(&app).await;

    let expired = async || (page(&shop, &asked.form("oauth_token")).await.status == 400).then_some(());
    eventually("the request expires", expired).await;

    let pair = app.with_token(&asked.form("oauth_token"), &asked.form("oauth_token_secret"));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let refused = shop.gateway.exchange_delegated(&pair, &"x".repeat(32)).await;
    assert_eq!(
        (refused.status, refused.form("oauth_problem")),
        (401, "token_expired".to_owned())
    );
}

pub(crate) async fn app() -> (&'static Shop, Credentials) {
    let shop = Shop::shared().await;
    let app = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .with("callback_urls", json!([CALLBACK]));
    (shop, app.active().await.credentials)
}

async fn app_named(name: &str) -> (&'static Shop, Credentials) {
    let shop = Shop::shared().await;
    let app = shop
        .integration()
        .with("name", name)
        .with("callback_urls", json!([CALLBACK]));
    (shop, app.active().await.credentials)
}

/// A request token that the user has allowed, and the verifier.
pub(crate) async fn allowed(shop: &Shop, app: &Credentials) -> (Credentials, String) {
    let asked = shop.gateway.initiate(app).await;
    let verifier = shop.gateway.allowed_by(&asked.form("oauth_token"), ADMIN).await;
    (
        app.with_token(&asked.form("oauth_token"), &asked.form("oauth_token_secret")),
        verifier,
    )
}

async fn page(shop: &Shop, token: &str) -> Response {
    Call::get(&format!("/oauth/authorize?oauth_token={token}"))
        .send(&shop.gateway)
        .await
}

fn cookie_of(page: &Response) -> String {
    let set = page.header("set-cookie").unwrap_or_default();
    set.split(';').next().unwrap_or_default().to_owned()
}

fn csrf_of(page: &Response) -> String {
    let text = page.text();
    let rest = text.split("name=\"csrf\" value=\"").nth(1).unwrap_or_default();
    let value = rest.split('"').next().unwrap_or_default();
    pairs_of_form(value).pop().map_or_else(String::new, |(name, _)| name)
}
