//! The console's forms as raw calls, without a browser that would keep the rules by itself: where a form may come from, what
//! version it is of, how long its session stands, and that nobody keeps what it answers.

use harness::{ADMIN, Call, PASSWORD, Response, Shop, eventually};
use serde_json::json;

#[tokio::test]
async fn a_form_counts_from_our_own_pages_alone_even_with_its_csrf_token() {
    let shop = Shop::shared().await;
    let session = begin(shop, ADMIN).await;
    let id = shop.integration().created().await;
    let path = format!("/integrations/{id}/delete");
    let form = form_of(&read(shop, &session, &path).await, &[]);
    let here = shop.gateway.admin();
    let post = async |headers: &[(&str, &str)]| {
        let call = Call::post(&path).header("Cookie", &session).form(&form);
        let call = headers
            .iter()
            .fold(call, |call, (name, value)| call.header(name, value));
        shop.gateway.admin_call(call).await.status
    };

    let (own, prefix) = (format!("http://{here}"), format!("http://{here}.evil.example"));
    for headers in [
        &[("Sec-Fetch-Site", "cross-site")][..],
        &[("Sec-Fetch-Site", "same-site")],
        &[("Sec-Fetch-Site", "")],
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", &own)],
        &[("Origin", "https://evil.example")],
        &[("Origin", &prefix)],
        &[("Origin", "")],
        &[("Origin", "http://127.0.0.1:1")],
    ] {
        assert_eq!(post(headers).await, 403, "{headers:?}");
    }
    assert_eq!(shop.admin.status(id).await, "inactive");
    assert_eq!(post(&[("Sec-Fetch-Site", "same-origin"), ("Origin", &own)]).await, 303);
    assert_eq!(shop.admin.get(&format!("/integrations/{id}")).await.status, 404);
}

#[tokio::test]
async fn a_csrf_token_is_of_one_session() {
    let shop = Shop::shared().await;
    let (session, other) = (begin(shop, ADMIN).await, begin(shop, ADMIN).await);
    let id = shop.integration().created().await;
    let path = format!("/integrations/{id}/delete");

    let form = form_of(&read(shop, &other, &path).await, &[]);
    let refused = send(shop, &session, &path, &form).await;

    assert_eq!(refused.status, 403);
    assert_eq!(shop.admin.status(id).await, "inactive");
    assert_eq!(send(shop, &other, &path, &form).await.status, 303);
}

#[tokio::test]
async fn what_changed_since_it_was_shown_is_not_deleted() {
    let shop = Shop::shared().await;
    let session = begin(shop, ADMIN).await;
    let id = shop.integration().created().await;
    let path = format!("/integrations/{id}/delete");
    let shown = read(shop, &session, &path).await;
    let change = json!({ "name": format!("Changed since {id}") });
    assert_eq!(
        shop.admin.put(&format!("/integrations/{id}"), &change).await.status,
        200
    );

    let stale = send(shop, &session, &path, &form_of(&shown, &[])).await;
    let unversioned = send(shop, &session, &path, &form_of(&shown, &[("version", "")])).await;

    assert_eq!((stale.status, unversioned.status), (412, 412));
    assert!(stale.text().contains("it changed meanwhile"), "{}", stale.text());
    assert_eq!(shop.admin.status(id).await, "inactive");
}

#[tokio::test]
async fn no_form_does_more_than_its_role_may() {
    let shop = Shop::new().start().await;
    let (viewer, operator) = ("forms-viewer", "forms-operator");
    for (name, role) in [(viewer, "viewer"), (operator, "operator")] {
        let new = json!({ "username": name, "password": PASSWORD, "role": role });
        assert_eq!(shop.admin.post("/admins", &new).await.status, 201);
    }
    let inactive = shop.integration().created().await;
    let active = shop.integration().active().await.id;
    let forms = [
        (operator, format!("/integrations/{active}/delete")),
        (operator, format!("/integrations/{active}/rotate")),
        (operator, format!("/integrations/{active}/tokens")),
        (operator, format!("/integrations/{active}/debug-token")),
        (operator, format!("/integrations/{active}")),
        (operator, "/integrations".to_owned()),
        (operator, "/accounts".to_owned()),
        (operator, "/accounts/1".to_owned()),
        (viewer, format!("/integrations/{inactive}/permissions")),
    ];
    let before = stands(&shop, &[inactive, active]).await;

    for (name, path) in forms {
        let session = begin(&shop, name).await;
        let overview = read(&shop, &session, "/integrations").await;
        let named = format!("Smuggled {}", path.len());
        let sent = [
            ("name", named.as_str()),
            ("username", "smuggled"),
            ("password", PASSWORD),
            ("current_password", PASSWORD),
            ("role", "admin"),
            ("version", "*"),
            ("grace", "0s"),
            ("lifetime", "1h"),
            ("do", "save"),
            ("active", "1"),
        ];
        let refused = send(&shop, &session, &path, &form_of(&overview, &sent)).await;

        assert_eq!(refused.status, 403, "{name} {path}: {}", refused.text());
    }
    assert_eq!(stands(&shop, &[inactive, active]).await, before);
}

#[tokio::test]
async fn a_session_ends_when_its_time_is_over() {
    let shop = Shop::new().set("tokens.admin", "lifetime", "\"3s\"").start().await;
    let answer = signed_in(&shop, ADMIN).await;
    let cookie = answer.header("set-cookie").unwrap().to_owned();
    let session = cookie.split(';').next().unwrap().to_owned();
    assert_eq!(ask(&shop, &session, "/integrations").await.status, 200);

    eventually("the session's end", async || {
        let answer = ask(&shop, &session, "/integrations").await;
        (answer.status == 303).then_some(())
    })
    .await;

    assert!(cookie.contains("; Max-Age=3"), "{cookie}");
    assert_eq!(ask(&shop, &session, "/api/v1/integrations").await.status, 401);
}

#[tokio::test]
async fn signing_in_again_ends_the_session_that_the_browser_had() {
    let shop = Shop::shared().await;
    let before = begin(shop, ADMIN).await;

    let form = format!("username={ADMIN}&password={}", PASSWORD.replace(' ', "+"));
    let again = send(shop, &before, "/sign-in", &form).await;

    let cookie = again.header("set-cookie").unwrap_or_default();
    let session = cookie.split(';').next().unwrap_or_default();
    assert_eq!(again.status, 303);
    assert_ne!(session, before);
    assert_eq!(ask(shop, session, "/integrations").await.status, 200);
    assert_eq!(ask(shop, &before, "/integrations").await.status, 303);
}

#[tokio::test]
async fn a_session_changes_nothing_by_the_api_without_its_csrf_token() {
    let shop = Shop::shared().await;
    let (session, other) = (begin(shop, ADMIN).await, begin(shop, ADMIN).await);
    let id = shop.integration().created().await;
    let token = |page: String| {
        let after = page.split("name=\"csrf\" value=\"").nth(1).unwrap_or_default();
        after.split('"').next().unwrap_or_default().to_owned()
    };
    let own = token(read(shop, &session, "/integrations").await);
    let others = token(read(shop, &other, "/integrations").await);
    let delete = async |csrf: Option<&str>| {
        let call = Call::new("DELETE", &format!("/api/v1/integrations/{id}")).header("If-Match", "*");
        let call = csrf
            .into_iter()
            .fold(call, |call, csrf| call.header("X-CSRF-Token", csrf));
        shop.gateway.admin_call(call.header("Cookie", &session)).await.status
    };

    for csrf in [None, Some(""), Some("x"), Some(others.as_str())] {
        assert_eq!(delete(csrf).await, 403, "{csrf:?}");
    }
    assert_eq!(shop.admin.status(id).await, "inactive");
    assert_eq!(delete(Some(own.as_str())).await, 200);
}

#[tokio::test]
async fn an_answer_that_shows_keys_is_kept_by_nobody() {
    let shop = &Shop::new().start().await;
    let session = begin(shop, ADMIN).await;
    let one = shop.integration().active().await;

    for (path, fields) in [
        ("tokens", &[("current_password", PASSWORD)][..]),
        ("rotate", &[("current_password", PASSWORD), ("grace", "1h")]),
        ("debug-token", &[("lifetime", "1h")]),
    ] {
        let path = format!("/integrations/{}/{path}", one.id);
        let form = form_of(&read(shop, &session, &path).await, fields);
        let shown = send(shop, &session, &path, &form).await;

        assert_eq!(shown.status, 200, "{path}: {}", shown.text());
        assert_eq!(shown.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(shown.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert_eq!(shown.header("x-frame-options"), Some("DENY"), "{path}");
        let wrong = form_of(
            &read(shop, &session, &path).await,
            &[("current_password", "wrong horse 1")],
        );
        let wrong = send(shop, &session, &path, &wrong).await;
        let secret = &one.credentials.consumer_secret;
        assert!(
            path.ends_with("debug-token") || !wrong.text().contains(secret.as_str()),
            "{path}"
        );
    }
}

/// What must not have changed.
async fn stands(shop: &Shop, ids: &[u64]) -> Vec<String> {
    let mut found = Vec::new();
    for id in ids {
        found.push(shop.admin.get(&format!("/integrations/{id}")).await.text());
    }
    found.push(shop.admin.get("/integrations").await.json()["total"].to_string());
    found.push(shop.admin.get("/admins").await.json()["total"].to_string());
    found.push(shop.admin.get("/admins/1").await.text());
    found
}

async fn signed_in(shop: &Shop, username: &str) -> Response {
    let form = format!("username={username}&password={}", PASSWORD.replace(' ', "+"));
    let answer = shop.gateway.admin_call(Call::post("/sign-in").form(&form)).await;
    assert_eq!(answer.status, 303);
    answer
}

/// Signs in; answers the cookie.
async fn begin(shop: &Shop, username: &str) -> String {
    let answer = signed_in(shop, username).await;
    let cookie = answer.header("set-cookie").unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

async fn ask(shop: &Shop, session: &str, path: &str) -> Response {
    shop.gateway.admin_call(Call::get(path).header("Cookie", session)).await
}

async fn read(shop: &Shop, session: &str, path: &str) -> String {
    let page = ask(shop, session, path).await;
    assert_eq!(page.status, 200, "{path}: {}", page.text());
    page.text()
}

async fn send(shop: &Shop, session: &str, path: &str, form: &str) -> Response {
    let call = Call::post(path).header("Cookie", session).form(form);
    shop.gateway.admin_call(call).await
}

/// The CSRF token and the version that a page holds, and fields of one's own, which count before those.
fn form_of(page: &str, fields: &[(&str, &str)]) -> String {
    let hidden = |name: &str| {
        let after = page
            .split(&format!("name=\"{name}\" value=\""))
            .nth(1)
            .unwrap_or_default();
        let value = after.split('"').next().unwrap_or_default();
        value.replace("&quot;", "\"")
    };
    let mut pairs: Vec<String> = fields.iter().map(|(name, value)| pair(name, value)).collect();
    for name in ["csrf", "version"] {
        if fields.iter().all(|(own, _)| *own != name) {
            pairs.push(pair(name, &hidden(name)));
        }
    }
    pairs.join("&")
}

fn pair(name: &str, value: &str) -> String {
    format!("{name}={}", harness::percent_encode(value))
}
