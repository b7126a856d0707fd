//! Methods, upgrades and expectations that could make more of a request than was judged; and headers of one hop.

use harness::{Call, Connection, Seen, Shop};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::hostile_corpus::ANONYMOUS;

async fn send(shop: &Shop, octets: &str) -> (Connection, harness::Response) {
    let mut connection = Connection::open(shop.gateway.public()).await.unwrap();
    connection.write(octets.as_bytes()).await.unwrap();
    let method = octets.split(' ').next().unwrap_or_default();
    let response = connection.response(method).await.unwrap();
    (connection, response)
}

/// What upstream got of an anonymous GET with these fields.
async fn seen_with(shop: &Shop, mark: &str, fields: &str) -> Seen {
    let (_, response) = send(
        shop,
        &format!("GET {ANONYMOUS}/{mark} HTTP/1.1\r\nHost: shop.example\r\n{fields}\r\n"),
    )
    .await;
    assert_eq!(response.status, 200, "{fields}: {}", response.text());
    shop.upstream.only(mark)
}

#[tokio::test]
async fn connect_opens_no_tunnel_anywhere() {
    let shop = Shop::attacked().await;
    let canary = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = canary.local_addr().unwrap();

    let (mut connection, response) = send(shop, &format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n")).await;
    // What a tunnel would carry is at most a request of its own, and this is none.
    let _sent = connection.write(b"*1\r\n$4\r\nPING\r\n").await;

    assert_eq!(response.status, 405);
    assert!(response.header("allow").is_some_and(|allow| !allow.contains("CONNECT")));
    let reached = tokio::time::timeout(std::time::Duration::from_millis(200), canary.accept()).await;
    assert!(reached.is_err(), "the canary was reached");
}

#[tokio::test]
async fn trace_is_refused_and_echoes_nothing() {
    let shop = Shop::attacked().await;
    let head =
        format!("TRACE {ANONYMOUS}/traced-by-hand HTTP/1.1\r\nHost: a\r\nCookie: secret=1\r\nMax-Forwards: 0\r\n\r\n");

    let (_, response) = send(shop, &head).await;

    assert_eq!(response.status, 405);
    assert!(!response.text().contains("secret"));
    assert_eq!(shop.upstream.count("traced-by-hand"), 0);
}

#[tokio::test]
async fn an_upgrade_is_never_made_and_never_asked_of_upstream() {
    let shop = Shop::attacked().await;
    let upgrades = [
        "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
        "Upgrade: h2c\r\n",
        "Upgrade: h2c, websocket\r\nConnection: upgrade\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "Upgrade: TLS/1.0\r\nConnection: Upgrade\r\n",
        "Upgrade: HTTP/2.0\r\nConnection: keep-alive, upgrade\r\n",
    ];

    for (number, fields) in upgrades.into_iter().enumerate() {
        let seen = seen_with(shop, &format!("upgrade-{number}-asked"), fields).await;

        for gone in ["upgrade", "http2-settings", "connection"] {
            assert_eq!(seen.header(gone), None, "{gone} of {fields}");
        }
    }
    let unsigned = Call::get("/rest/V1/products/upgrade")
        .header("Upgrade", "websocket")
        .header("Connection", "Upgrade");
    assert_eq!(unsigned.send(&shop.gateway).await.status, 401);
}

#[tokio::test]
async fn the_go_ahead_comes_only_after_the_head_was_judged() {
    let shop = Shop::attacked().await;
    let head = |target: &str, fields: &str| {
        format!(
            "POST {target} HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 5\r\nExpect: 100-continue\r\n{fields}\r\n"
        )
    };
    let refused = [
        (head("/rest/V1/products", "Content-Type: application/json\r\n"), 401),
        (head("/rest/V1/unknown", ""), 404),
        (head(&format!("{ANONYMOUS}/../x"), ""), 400),
        (head(&format!("{ANONYMOUS}/expect"), "Content-Length: 5\r\n"), 400),
        (
            head(&format!("{ANONYMOUS}/expect"), "").replace("Length: 5", "Length: 99999999"),
            413,
        ),
    ];

    for (head, status) in refused {
        let mut connection = Connection::open(shop.gateway.public()).await.unwrap();
        connection.write(head.as_bytes()).await.unwrap();
        let first = connection.read().await.unwrap();
        let first = String::from_utf8_lossy(&first).into_owned();
        assert!(first.starts_with(&format!("HTTP/1.1 {status} ")), "{head}{first}");
        // The client may or may not send its body now: only a new connection is free of doubt.
        assert!(connection.closes().await, "{head}");
    }

    let mut connection = Connection::open(shop.gateway.public()).await.unwrap();
    let good = head(&format!("{ANONYMOUS}/expected"), "");
    connection.write(good.as_bytes()).await.unwrap();
    let first = connection.read().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&first), "HTTP/1.1 100 Continue\r\n\r\n");
    connection.write(b"hello").await.unwrap();
    let response = connection.response("POST").await.unwrap();
    assert_eq!(response.status, 200);
    let seen = shop.upstream.only("expected");
    assert_eq!((seen.text().as_str(), seen.header("expect")), ("hello", None));
}

#[tokio::test]
async fn other_expectations_are_not_passed_on() {
    let shop = Shop::attacked().await;
    let junk = [
        "200-ok",
        "100-continue, x",
        "\"100-continue\"",
        "100-continue;q=1",
        "",
        "x".repeat(500).as_str(),
    ]
    .map(str::to_owned);

    for (number, value) in junk.into_iter().enumerate() {
        let seen = seen_with(shop, &format!("expect-{number}-junk"), &format!("Expect: {value}\r\n")).await;

        assert_eq!(seen.header("expect"), None, "{value}");
    }
}

#[tokio::test]
async fn headers_of_one_hop_end_here_with_all_that_connection_names() {
    let shop = Shop::attacked().await;
    let fields = "Connection: X-Hop, keep-alive ,, Cookie,close\r\nConnection: x-other\r\nX-Hop: 1\r\nX-Other: 2\r\nCookie: a=b\r\n\
                  Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic eDp5\r\nProxy-Authenticate: x\r\n\
                  TE: gzip;q=0.5\r\nTrailer: X-User-Id\r\nX-Stays: 3\r\n";

    let seen = seen_with(shop, "of-one-hop-only", fields).await;

    let gone = [
        "connection",
        "x-hop",
        "x-other",
        "cookie",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "proxy-authenticate",
        "te",
        "trailer",
        "transfer-encoding",
    ];
    for name in gone {
        assert_eq!(seen.header(name), None, "{name}");
    }
    assert_eq!(seen.header("x-stays"), Some("3"));
}

#[tokio::test]
async fn connection_cannot_name_what_we_say() {
    let shop = Shop::attacked().await;
    let reader = shop.reader().await;
    let ours = [
        "X-Consumer-Id",
        "X-Consumer-Key",
        "X-Integration-Id",
        "X-Integration-Name",
        "X-User-Type",
        "X-User-Id",
        "X-Request-Id",
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "Forwarded",
        "Traceparent",
        "Host",
    ];
    for (number, name) in ours.into_iter().enumerate() {
        let target = format!("/rest/V1/products/named-{number}-by-connection");
        let call = Call::get(&target).header("Connection", &format!("close, {name}, {}", name.to_lowercase()));

        let response = call.signed_by(&reader).send(&shop.gateway).await;

        assert_eq!(response.status, 200, "{name}: {}", response.text());
        let seen = shop.upstream.only(&format!("named-{number}-by"));
        assert!(seen.header(name).is_some(), "{name} was dropped");
    }
}

#[tokio::test]
async fn a_claim_of_identity_never_arrives_however_it_is_spelled() {
    let shop = Shop::attacked().await;
    let reader = shop.reader().await;
    let names = [
        "X-Consumer-Id",
        "X-Consumer-Key",
        "X-Consumer-Custom",
        "X-Integration-Id",
        "X-Integration-Name",
        "X-User-Type",
        "X-User-Id",
        "X-Request-Id",
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "X-Forwarded-Port",
        "X-Forwarded-Prefix",
        "X-Forwarded-Uri",
        "Forwarded",
        "X-Countersign-Assertion",
        "X-Countersign-Debug",
        "X-Real-IP",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
    ];
    for (number, name) in names.into_iter().enumerate() {
        let mark = format!("claimed-{number}-identity");
        let mut call = Call::get(&format!("/rest/V1/products/{mark}"));
        let spellings = [
            name.to_owned(),
            name.to_lowercase(),
            name.to_uppercase(),
            name.replace('-', "_"),
            name.replacen('-', "_", 1),
            name.to_lowercase().replace('-', "_"),
        ];
        for spelling in &spellings {
            call = call.header(spelling, "forged");
        }

        let response = call.signed_by(&reader).send(&shop.gateway).await;

        assert_eq!(response.status, 200, "{name}: {}", response.text());
        let seen = shop.upstream.only(&mark);
        for (field, value) in &seen.headers {
            assert!(!value.contains("forged"), "{field}: {value}");
        }
        let folded = seen
            .headers
            .iter()
            .filter(|(field, _)| field.replace('_', "-").eq_ignore_ascii_case(name));
        assert!(folded.count() <= 1, "{name}");
    }
}

#[tokio::test]
async fn a_get_with_a_body_is_forwarded_with_it() {
    let shop = Shop::attacked().await;
    let bodies = [
        ("get-length", "Content-Length: 5\r\n\r\nhello"),
        (
            "get-chunked",
            "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ),
    ];
    for (mark, rest) in bodies {
        let (_, response) = send(shop, &format!("GET {ANONYMOUS}/{mark} HTTP/1.1\r\nHost: a\r\n{rest}")).await;

        assert_eq!(response.status, 200, "{}", response.text());
        assert_eq!(shop.upstream.only(mark).text(), "hello");
    }
}

#[tokio::test]
async fn an_http_1_0_request_is_answered_and_its_connection_closed() {
    let shop = Shop::attacked().await;
    let mut socket = tokio::net::TcpStream::connect(shop.gateway.public()).await.unwrap();
    let head = format!("GET {ANONYMOUS}/old HTTP/1.0\r\nHost: shop.example\r\n\r\n");

    tokio::io::AsyncWriteExt::write_all(&mut socket, head.as_bytes())
        .await
        .unwrap();
    let mut all = Vec::new();
    socket.read_to_end(&mut all).await.unwrap();

    let text = String::from_utf8_lossy(&all).into_owned();
    assert!(
        text.starts_with("HTTP/1.0 200") || text.starts_with("HTTP/1.1 200"),
        "{text}"
    );
    assert!(!text.to_lowercase().contains("transfer-encoding"), "{text}");
}
