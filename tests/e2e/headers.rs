//! What upstream sees: who calls, as the gateway says it and nobody else; nothing of one hop on the next.

use harness::{Answer, Call, Seen, Shop, Signing};

#[tokio::test]
async fn upstream_is_told_who_signed() {
    let shop = Shop::shared().await;
    let integration = shop.integration().with("name", "ERP Größe").active().await;
    let consumer = shop
        .admin
        .get(&format!("/integrations/{}", integration.id))
        .await
        .field("consumer_id");

    let call = Call::get("/rest/V1/store/told-who").signed_by(&integration.credentials);
    let answer = call.send(&shop.gateway).await;

    let seen = shop.upstream.only("told-who");
    let id = integration.id.to_string();
    assert_eq!(seen.header("x-consumer-id"), Some(consumer.as_str()));
    assert_eq!(
        seen.header("x-consumer-key"),
        Some(integration.credentials.consumer_key.as_str())
    );
    assert_eq!(seen.header("x-integration-id"), Some(id.as_str()));
    assert_eq!(
        seen.header("x-integration-name").map(latin1),
        Some("ERP Größe".to_owned())
    );
    assert_eq!(seen.header("x-user-type"), Some("integration"));
    assert_eq!(seen.header("x-user-id"), Some(id.as_str()));
    assert_eq!(seen.header("x-request-id"), answer.header("x-request-id"));
}

#[tokio::test]
async fn upstream_is_told_where_the_request_came_from() {
    let shop = Shop::shared().await;
    let authority = shop.gateway.public().to_string();

    Call::get("/rest/V1/store/told-where").send(&shop.gateway).await;

    let seen = shop.upstream.only("told-where");
    let forwarded = format!("for=127.0.0.1;host=\"{authority}\";proto=http");
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.header("x-forwarded-host"), Some(authority.as_str()));
    assert_eq!(seen.header("forwarded"), Some(forwarded.as_str()));
    assert!(
        seen.header("traceparent")
            .is_some_and(|trace| trace.starts_with("00-") && trace.len() == 55)
    );
}

#[tokio::test]
async fn a_guest_has_no_identity() {
    let shop = Shop::shared().await;

    Call::get("/rest/V1/store/no-identity").send(&shop.gateway).await;

    let seen = shop.upstream.only("no-identity");
    assert_eq!(seen.header("x-user-type"), Some("guest"));
    for name in [
        "x-user-id",
        "x-consumer-id",
        "x-consumer-key",
        "x-integration-id",
        "x-integration-name",
    ] {
        assert_eq!(seen.header(name), None, "{name}");
    }
}

const IDENTITY: [&str; 7] = [
    "X-Consumer-Id",
    "X-Consumer-Key",
    "X-Integration-Id",
    "X-Integration-Name",
    "X-User-Type",
    "X-User-Id",
    "X-Request-Id",
];

#[tokio::test]
async fn no_spelling_of_an_identity_header_gets_through() {
    let shop = Shop::shared().await;
    let integration = shop.integration().active().await;

    for name in IDENTITY
        .into_iter()
        .chain(["X-Countersign-Assertion", "X-Countersign-Debug"])
    {
        let spellings = [
            name.to_owned(),
            name.to_lowercase(),
            name.to_uppercase(),
            name.replace('-', "_"),
            name.replacen('-', "_", 1),
        ];
        for spelling in spellings {
            let path = format!("/rest/V1/store/spoof-{spelling}");
            let call = Call::get(&path)
                .header(&spelling, "spoofed")
                .header(&spelling, "spoofed too");
            let call = call.signed_by(&integration.credentials);

            assert_eq!(call.send(&shop.gateway).await.status, 200, "{spelling}");
            assert_says_nothing_of(&shop.upstream.only(&path), "spoofed");
        }
    }
}

#[tokio::test]
async fn a_guest_can_not_lend_itself_an_identity() {
    let shop = Shop::shared().await;
    let call = Call::get("/rest/V1/store/lent");
    let spoofed = IDENTITY
        .into_iter()
        .fold(call, |call, name| call.header(name, "spoofed"));

    assert_eq!(spoofed.send(&shop.gateway).await.status, 200);

    let seen = shop.upstream.only("store/lent");
    assert_says_nothing_of(&seen, "spoofed");
    assert_eq!(seen.header("x-user-type"), Some("guest"));
}

#[tokio::test]
async fn forwarding_headers_of_a_stranger_are_not_passed_on() {
    let shop = Shop::shared().await;
    let names = [
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "X-Forwarded-Port",
        "X-Forwarded-Prefix",
        "X_Forwarded_For",
        "Forwarded",
        "X-Real-IP",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-HTTP-Method-Override",
    ];
    let call = names
        .into_iter()
        .fold(Call::get("/rest/V1/store/stranger"), |call, name| {
            call.header(name, "spoofed")
        });

    assert_eq!(call.send(&shop.gateway).await.status, 200);

    assert_says_nothing_of(&shop.upstream.only("store/stranger"), "spoofed");
}

#[tokio::test]
async fn identity_headers_can_not_be_dropped_by_naming_them_in_connection() {
    let shop = Shop::shared().await;
    let integration = shop.integration().active().await;
    let listed = format!(
        "{}, X-Forwarded-For, Authorization, Host, Content-Length, close",
        IDENTITY.join(", ")
    );

    let call = Call::get("/rest/V1/store/connection-named").header("Connection", &listed);
    let call = call.signed_by(&integration.credentials);

    assert_eq!(call.send(&shop.gateway).await.status, 200);
    let seen = shop.upstream.only("connection-named");
    for name in IDENTITY.into_iter().chain(["X-Forwarded-For", "Host"]) {
        assert!(seen.header(name).is_some(), "{name}");
    }
    assert_eq!(seen.header("x-user-type"), Some("integration"));
}

#[tokio::test]
async fn what_concerns_one_connection_ends_there() {
    let shop = Shop::shared().await;
    let call = Call::get("/rest/V1/store/one-hop")
        .header("Connection", "X-Private, keep-alive")
        .header("X-Private", "1")
        .header("Keep-Alive", "timeout=5")
        .header("Proxy-Connection", "keep-alive")
        .header("Proxy-Authorization", "Basic dTpw")
        .header("TE", "trailers")
        .header("Upgrade", "h2c")
        .header("HTTP2-Settings", "AAMAAABkAAQAAP__");

    assert_eq!(call.send(&shop.gateway).await.status, 200);

    let seen = shop.upstream.only("one-hop");
    for name in [
        "x-private",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "upgrade",
        "http2-settings",
    ] {
        assert_eq!(seen.header(name), None, "{name}");
    }
    // Trailers do pass, so that they are accepted is said anew for the next hop.
    assert_eq!(seen.header("te"), Some("trailers"));
}

#[tokio::test]
async fn all_other_headers_pass_as_they_came() {
    let shop = Shop::shared().await;
    let call = Call::get("/rest/V1/store/passing")
        .header("Cookie", "a=1; b=2")
        .header("X-Custom", "one")
        .header("X-Custom", "two")
        .header("Accept-Language", "de, en;q=0.5")
        .header("User-Agent", "Client/1.0");

    assert_eq!(call.send(&shop.gateway).await.status, 200);

    let seen = shop.upstream.only("store/passing");
    assert_eq!(seen.header("cookie"), Some("a=1; b=2"));
    assert_eq!(seen.all("x-custom"), ["one", "two"]);
    assert_eq!(seen.header("accept-language"), Some("de, en;q=0.5"));
    assert_eq!(seen.header("user-agent"), Some("Client/1.0"));
}

#[tokio::test]
async fn the_clients_authorization_ends_here() {
    let shop = Shop::shared().await;
    let oauth = Call::get("/rest/V1/store/ends-oauth").signed_by(&shop.reader().await);
    let bearer = Call::get("/rest/V1/store/ends-bearer").header("Authorization", "Bearer x");
    let basic = Call::get("/rest/V1/store/ends-basic").header("Authorization", "Basic dTpw");

    for call in [oauth, bearer, basic] {
        assert_eq!(call.send(&shop.gateway).await.status, 200);
    }

    assert!(
        shop.upstream
            .seen("store/ends-")
            .iter()
            .all(|seen| seen.header("authorization").is_none())
    );
}

#[tokio::test]
async fn a_route_may_keep_what_was_signed() {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;
    let header = Call::get("/rest/V1/kept/header").signed_by(&reader).to(&shop.gateway);
    let query = Call::get("/rest/V1/kept/query?a=1").signed(Signing::with(&reader).placed(harness::Placement::Query));
    let query = query.to(&shop.gateway);

    assert_eq!((header.send().await.status, query.send().await.status), (200, 200));

    assert_eq!(
        shop.upstream.only("kept/header").header("authorization"),
        Some(header.header("authorization"))
    );
    assert_eq!(shop.upstream.only("kept/query").target, query.target);
}

#[tokio::test]
async fn a_valid_traceparent_is_kept() {
    let shop = Shop::shared().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    Call::get("/rest/V1/store/traced")
        .header("traceparent", trace)
        .send(&shop.gateway)
        .await;
    Call::get("/rest/V1/store/untraced")
        .header("traceparent", "00-zz-01")
        .send(&shop.gateway)
        .await;

    assert_eq!(shop.upstream.only("store/traced").header("traceparent"), Some(trace));
    assert_ne!(
        shop.upstream.only("store/untraced").header("traceparent"),
        Some("00-zz-01")
    );
}

#[tokio::test]
async fn a_trusted_proxys_word_counts() {
    let shop = Shop::new()
        .set("public", "trusted_proxies", "[\"127.0.0.0/8\"]")
        .set("public", "base_url", "[]");
    let shop = shop.start().await;
    let reader = shop.reader().await;
    let url = "https://shop.example/rest/V1/products/trusted";
    let call = Call::get("/rest/V1/products/trusted")
        .header("X-Forwarded-Proto", "https")
        .header("X-Forwarded-Host", "shop.example")
        .header("X-Forwarded-For", "203.0.113.9, 198.51.100.7")
        .header("X-Request-Id", "from-the-proxy-1")
        .signed(Signing::with(&reader).for_url(url));

    let answer = call.send(&shop.gateway).await;

    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-request-id"), Some("from-the-proxy-1"));
    let seen = shop.upstream.only("products/trusted");
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
    assert_eq!(seen.header("x-forwarded-host"), Some("shop.example"));
    assert_eq!(
        seen.header("forwarded"),
        Some("for=198.51.100.7;host=\"shop.example\";proto=https")
    );
    assert_eq!(seen.header("x-forwarded-for"), Some("198.51.100.7"));
    assert_eq!(seen.header("x-request-id"), Some("from-the-proxy-1"));
    // It is no trace's name, but each request has a trace of its own.
    let again = Call::get("/rest/V1/store/trusted-again").header("X-Request-Id", "from-the-proxy-1");
    again.send(&shop.gateway).await;
    let again = shop.upstream.only("store/trusted-again");
    assert_eq!(again.header("x-request-id"), Some("from-the-proxy-1"));
    assert_ne!(again.header("traceparent"), seen.header("traceparent"));
}

#[tokio::test]
async fn a_trusted_proxys_header_that_came_twice_counts_for_nothing() {
    let shop = Shop::new()
        .set("public", "trusted_proxies", "[\"127.0.0.0/8\"]")
        .set("public", "base_url", "[]");
    let shop = shop.start().await;
    let call = Call::get("/rest/V1/store/forwarded-twice")
        .header("X-Forwarded-Proto", "http")
        .header("X-Forwarded-Proto", "https")
        .header("X-Forwarded-Host", "shop.example")
        .header("X-Forwarded-Host", "evil.example");

    assert_eq!(call.send(&shop.gateway).await.status, 200);

    let seen = shop.upstream.only("forwarded-twice");
    let own = shop.gateway.public().to_string();
    assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.header("x-forwarded-host"), Some(own.as_str()));
}

#[tokio::test]
async fn upstreams_own_connection_headers_end_here() {
    let shop = Shop::shared().await;
    let raw = "HTTP/1.1 200 OK\r\nConnection: X-Secret, close\r\nX-Secret: 1\r\nKeep-Alive: timeout=5\r\n\
               Proxy-Authenticate: Basic\r\nX-Request-Id: upstreams\r\nX-Open: 1\r\nContent-Length: 2\r\n\r\nok";
    shop.upstream.answers("own-connection", Answer::Raw(raw.into()));

    let answer = Call::get("/rest/V1/store/own-connection").send(&shop.gateway).await;

    assert_eq!((answer.status, answer.text()), (200, "ok".to_owned()));
    assert_eq!(answer.header("x-open"), Some("1"));
    for name in ["x-secret", "keep-alive", "proxy-authenticate"] {
        assert_eq!(answer.header(name), None, "{name}");
    }
    assert_ne!(answer.header("x-request-id"), Some("upstreams"));
}

#[tokio::test]
async fn every_response_has_an_id_of_its_own_and_a_date() {
    let shop = Shop::shared().await;
    let paths = [
        "/rest/V1/store/dated",
        "/rest/V1/products/1",
        "/nowhere",
        "/oauth/token/request",
        "/%2e%2e",
    ];
    let mut ids = std::collections::BTreeSet::new();

    for path in paths {
        let answer = Call::get(path).header("X-Request-Id", "mine").send(&shop.gateway).await;

        assert!(
            answer.header("date").is_some_and(|date| date.ends_with(" GMT")),
            "{path}"
        );
        ids.insert(answer.header("x-request-id").unwrap_or_default().to_owned());
    }

    assert_eq!(ids.len(), paths.len());
    assert!(!ids.contains("mine") && !ids.contains(""));
}

#[tokio::test]
async fn upstream_credentials_are_added_and_a_client_can_not_set_them() {
    let shop = Shop::new()
        .set(
            "upstreams.storefront",
            "credentials",
            "{ mode = \"bearer\", token = \"upstream-secret\" }",
        )
        .start()
        .await;

    Call::get("/rest/V1/store/credentials")
        .header("Authorization", "Bearer mine")
        .send(&shop.gateway)
        .await;

    let seen = shop.upstream.only("store/credentials");
    assert_eq!(seen.all("authorization"), ["Bearer upstream-secret"]);
}

#[tokio::test]
async fn a_header_credential_replaces_what_the_client_sent_under_that_name() {
    let header = "{ mode = \"header\", name = \"X-Upstream-Key\", value = \"upstream-secret\" }";
    let shop = Shop::new()
        .set("upstreams.storefront", "credentials", header)
        .start()
        .await;

    let call = Call::get("/rest/V1/store/key")
        .header("X-Upstream-Key", "mine")
        .header("X_Upstream_Key", "mine");
    call.send(&shop.gateway).await;

    let seen = shop.upstream.only("store/key");
    assert_eq!(seen.all("x-upstream-key"), ["upstream-secret"]);
    assert_says_nothing_of(&seen, "mine");
}

#[tokio::test]
async fn basic_credentials_are_added() {
    let basic = "{ mode = \"basic\", username = \"shop\", password = \"pässword\" }";
    let shop = Shop::new()
        .set("upstreams.storefront", "credentials", basic)
        .start()
        .await;

    Call::get("/rest/V1/store/basic").send(&shop.gateway).await;

    assert_eq!(
        shop.upstream.only("store/basic").header("authorization"),
        Some("Basic c2hvcDpww6Rzc3dvcmQ=")
    );
}

/// Not one header, whatever its name, has that value.
fn assert_says_nothing_of(seen: &Seen, value: &str) {
    let said = seen.headers.iter().find(|(_, one)| one.contains(value));
    assert_eq!(said, None, "{}", seen.target);
}

/// Header octets are read as Latin-1; as UTF-8 they say:
fn latin1(value: &str) -> String {
    let octets: Vec<u8> = value
        .chars()
        .filter_map(|one| u8::try_from(u32::from(one)).ok())
        .collect();
    String::from_utf8_lossy(&octets).into_owned()
}

#[tokio::test]
async fn what_was_answered_to_somebody_is_for_nobody_else_unless_upstream_says_so() {
    let shop = Shop::new().start().await;
    let reader = shop.reader().await;
    let public =
        "HTTP/1.1 200 OK\r\nConnection: close\r\nCache-Control: public, max-age=60\r\nContent-Length: 2\r\n\r\nok";
    shop.upstream.answers("cached", Answer::Raw(public.into()));

    let signed = Call::get("/rest/V1/products/mine").signed_by(&reader);
    let signed = signed.send(&shop.gateway).await;
    let guest = Call::get("/rest/V1/store/anybodys").send(&shop.gateway).await;
    let cached = Call::get("/rest/V1/products/cached").signed_by(&reader);
    let cached = cached.send(&shop.gateway).await;

    assert_eq!(signed.header("cache-control"), Some("private"));
    assert_eq!(signed.header("vary"), Some("authorization"));
    assert_eq!((guest.header("cache-control"), guest.header("vary")), (None, None));
    assert_eq!(cached.header("cache-control"), Some("public, max-age=60"));
    assert_eq!(cached.header("vary"), None);
}

#[tokio::test]
async fn what_a_request_is_judged_by_reaches_upstream_and_no_proxy_is_named_to_it() {
    let shop = Shop::shared().await;
    let listing = Call::get("/rest/V1/store/judged-by")
        .header("Connection", "content-type, Content-Encoding, x-hop")
        .header("Content-Type", "text/plain")
        .header("Content-Encoding", "br")
        .header("X-Hop", "1")
        .header("Proxy", "http://192.0.2.1:8080");

    listing.send(&shop.gateway).await;

    let seen = shop.upstream.only("judged-by");
    assert_eq!(seen.header("content-type"), Some("text/plain"));
    assert_eq!(seen.header("content-encoding"), Some("br"));
    assert_eq!((seen.header("x-hop"), seen.header("proxy")), (None, None));
}
