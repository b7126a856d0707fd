//! HTTP/2: requests are judged as over HTTP/1, and floods of cheap frames end their connection, nobody else's.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use harness::{Answer, Call, Connection, Shop};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::hostile_corpus::ANONYMOUS;
use crate::hostile_frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, Raw, SETTINGS, WINDOW_UPDATE,
    block, frame, get, pseudo,
};
use crate::tls_certificates::Authority;

type Client = SendRequest<Full<Bytes>>;

async fn connect(address: SocketAddr) -> Client {
    let stream = TcpStream::connect(address).await.unwrap();
    let (client, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}

fn request(path: &str) -> http::request::Builder {
    Request::builder().uri(format!("http://shop.example{path}"))
}

async fn send(client: &mut Client, request: http::request::Builder, body: &str) -> Response<Incoming> {
    client.ready().await.unwrap();
    client
        .send_request(request.body(Full::new(Bytes::from(body.to_owned()))).unwrap())
        .await
        .unwrap()
}

fn header<'a>(response: &'a Response<Incoming>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_client_with_prior_knowledge_is_served() {
    let shop = Shop::attacked().await;
    let mut client = connect(shop.gateway.public()).await;

    let got = send(&mut client, request(&format!("{ANONYMOUS}/prior-1?a=b")), "").await;
    let posted = send(
        &mut client,
        request(&format!("{ANONYMOUS}/prior-2")).method("POST"),
        "hello",
    )
    .await;

    for response in [got, posted] {
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "x-request-id").len(), 32);
        assert!(!header(&response, "date").is_empty());
    }
    assert_eq!(shop.upstream.only("prior-1").target, format!("{ANONYMOUS}/prior-1?a=b"));
    assert_eq!(shop.upstream.only("prior-2").text(), "hello");
}

#[tokio::test]
async fn a_signature_holds_over_either_version() {
    let shop = Shop::attacked().await;
    let reader = shop.reader().await;
    let signed = Call::get("/rest/V1/products/over-h2?b=1&a=2")
        .signed_by(&reader)
        .to(&shop.gateway);
    let mut client = connect(shop.gateway.public()).await;
    let authorized = |path: &str| {
        let uri = format!("{}{path}", shop.gateway.base_url());
        Request::builder()
            .uri(uri)
            .header("authorization", signed.header("authorization"))
    };

    let served = send(&mut client, authorized(&signed.target), "").await;
    let replayed = signed.send().await;

    assert_eq!(served.status(), 200);
    assert_eq!(replayed.refusal(), (401, "nonce_used"));
    assert_eq!(shop.upstream.only("over-h2").header("x-user-type"), Some("integration"));
}

#[tokio::test]
async fn cookies_that_were_split_reach_upstream_as_one_field() {
    let shop = Shop::attacked().await;
    let mut client = connect(shop.gateway.public()).await;
    let split = request(&format!("{ANONYMOUS}/split-crumbs"))
        .header("cookie", "a=1")
        .header("accept", "text/plain")
        .header("cookie", "b=2; c=3")
        .header("cookie", "d=4");

    let got = send(&mut client, split, "").await;

    assert_eq!(got.status(), 200);
    let seen = shop.upstream.only("split-crumbs");
    assert_eq!(seen.header("cookie"), Some("a=1; b=2; c=3; d=4"));
}

#[tokio::test]
async fn answers_without_a_body_are_well_formed() {
    let shop = Shop::attacked().await;
    let mut client = connect(shop.gateway.public()).await;
    for (status, method, length) in [
        (204, "GET", ""),
        (204, "HEAD", ""),
        (304, "GET", "5"),
        (200, "HEAD", "5"),
    ] {
        let mark = format!("without-a-body-{status}-{method}");
        let octets = format!("HTTP/1.1 {status} Answer\r\nConnection: close\r\nContent-Length: 5\r\n\r\n");
        shop.upstream.answers(&mark, Answer::Raw(octets.into_bytes()));

        let bodiless = request(&format!("{ANONYMOUS}/{mark}")).method(method);
        let got = send(&mut client, bodiless, "").await;

        assert_eq!(
            (got.status().as_u16(), header(&got, "content-length")),
            (status, length),
            "{mark}"
        );
        assert!(got.into_body().collect().await.unwrap().to_bytes().is_empty(), "{mark}");
    }
}

#[tokio::test]
async fn over_tls_the_client_chooses_its_version() {
    let authority = Authority::new();
    let identity = authority.server(&["shop.example"]);
    let shop = Shop::new()
        .set("public.tls", "cert", &format!("\"{}\"", identity.certificate()))
        .set("public.tls", "key", &format!("\"{}\"", identity.key()))
        .start()
        .await;
    let tls = TlsConnector::from(authority.trusting(&["h2", "http/1.1"]));
    let stream = TcpStream::connect(shop.gateway.public()).await.unwrap();
    let stream = tls.connect("shop.example".try_into().unwrap(), stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut client, connection) = handshake.await.unwrap();
    tokio::spawn(connection);

    let over_2 = send(&mut client, request(&format!("{ANONYMOUS}/tls-2")), "").await;
    let over_1 = Call::get(&format!("{ANONYMOUS}/tls-1"))
        .to(&shop.gateway)
        .over_tls(&authority.trusting(&["http/1.1"]), "shop.example")
        .send()
        .await;

    assert_eq!((over_2.status().as_u16(), over_1.status), (200, 200));
    assert_eq!(shop.upstream.only("tls-2").header("x-forwarded-proto"), Some("https"));
}

#[tokio::test]
async fn heads_have_the_same_bounds_as_over_http_1() {
    let shop = Shop::attacked().await;
    let mut client = connect(shop.gateway.public()).await;
    let long = |length: usize| "x".repeat(length);
    let many = |count: usize| {
        (0..count).fold(request(&format!("{ANONYMOUS}/bounds")), |request, _| {
            request.header("a", "b")
        })
    };
    let target = request(&format!("{ANONYMOUS}/bounds?{}", long(9_000)));
    let field = request(&format!("{ANONYMOUS}/bounds")).header("a", long(33_000));
    let huge = request(&format!("{ANONYMOUS}/bounds")).header("a", long(200_000));

    let mut refused = Vec::new();
    for request in [target, field, many(101)] {
        refused.push(send(&mut client, request, "").await);
    }
    client.ready().await.unwrap();
    let huge = client.send_request(huge.body(Full::new(Bytes::new())).unwrap()).await;

    let statuses: Vec<u16> = refused.iter().map(|one| one.status().as_u16()).collect();
    assert_eq!(statuses, [414, 431, 431]);
    assert!(refused.iter().all(|one| !header(one, "x-request-id").is_empty()));
    assert!(huge.is_err() || huge.is_ok_and(|answer| answer.status() == 431));
    assert_eq!(shop.upstream.count("bounds"), 0);
    assert_eq!(
        Call::get(&format!("{ANONYMOUS}/after-huge"))
            .send(&shop.gateway)
            .await
            .status,
        200
    );
}

/// Sends a head on a connection of its own; none may be answered with a success or reach upstream.
async fn none_is_served(mark: &str, heads: &[Vec<(&str, &str)>]) {
    let shop = Shop::attacked().await;
    for fields in heads {
        let mut raw = Raw::open(shop.gateway.public(), &[]).await;
        let head = frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(fields));
        raw.send(&head).await.unwrap();
        let answer = loop {
            let next = raw.next().await;
            if next
                .as_ref()
                .is_none_or(|one| matches!(one.kind, HEADERS | RST_STREAM | GOAWAY))
            {
                break next;
            }
        };
        // An indexed status of 200, 204, 206 or 304 would be a success.
        let first = answer.as_ref().and_then(|one| one.payload.first());
        let is_success = first.is_some_and(|octet| (0x88..=0x8B).contains(octet));
        let is_head = answer.as_ref().is_some_and(|one| one.kind == HEADERS);
        assert!(answer.is_some() && !(is_head && is_success), "{fields:?}: {answer:?}");
    }
    assert_eq!(shop.upstream.count(mark), 0);
}

#[tokio::test]
async fn fields_that_http_2_has_no_place_for_are_refused() {
    let path = format!("{ANONYMOUS}/fields-2");
    let fields = [
        ("host", "other.example"),
        ("transfer-encoding", "chunked"),
        ("connection", "x-user-id"),
        ("upgrade", "websocket"),
        ("keep-alive", "1"),
        ("proxy-connection", "x"),
        ("te", "gzip"),
        ("X-Upper", "1"),
        (":status", "200"),
        ("content-length", "5"),
        ("a", "b\r\nx-user-id: 1"),
        ("a", "b\0c"),
        ("a b", "c"),
        (":path", "/other"),
        (":unknown", "x"),
        ("", "x"),
    ];
    let mut heads: Vec<Vec<(&str, &str)>> = fields
        .map(|field| [pseudo("GET", &path).as_slice(), &[field]].concat())
        .to_vec();
    let twice = [("host", "shop.example"), ("host", "shop.example")];
    heads.push([pseudo("GET", &path).as_slice(), &twice].concat());

    none_is_served("fields-2", &heads).await;
}

#[tokio::test]
async fn methods_paths_and_authorities_are_judged_as_over_http_1() {
    let path = format!("{ANONYMOUS}/judged-2");
    let (traversal, nul) = (format!("{ANONYMOUS}/../judged-2"), format!("{ANONYMOUS}/%00/judged-2"));
    let of = |authority: &'static str| {
        [
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", authority),
            (":path", path.as_str()),
        ]
        .to_vec()
    };
    let heads = vec![
        pseudo("TRACE", &path).to_vec(),
        pseudo("get", &path).to_vec(),
        pseudo("GET", &traversal).to_vec(),
        pseudo("GET", &nul).to_vec(),
        pseudo("GET", "*").to_vec(),
        pseudo("GET", "").to_vec(),
        pseudo("GET", "judged-2").to_vec(),
        of("user@shop.example"),
        of("a,b"),
        of(""),
        of("shop.example/judged-2"),
        vec![(":method", "GET"), (":scheme", "http"), (":path", &path)],
        vec![(":method", "GET"), (":authority", "shop.example"), (":path", &path)],
        vec![(":scheme", "http"), (":authority", "shop.example"), (":path", &path)],
        vec![(":method", "CONNECT"), (":authority", "127.0.0.1:6379")],
        [pseudo("CONNECT", &path).as_slice(), &[(":protocol", "websocket")]].concat(),
    ];

    none_is_served("judged-2", &heads).await;
}

#[tokio::test]
async fn identity_of_a_clients_making_never_arrives() {
    let shop = Shop::attacked().await;
    let mut client = connect(shop.gateway.public()).await;
    let names = [
        "x-user-id",
        "x_user_id",
        "x-consumer-key",
        "x_consumer_key",
        "x-forwarded-for",
        "forwarded",
        "x-request-id",
    ];
    let forged = names
        .iter()
        .fold(request(&format!("{ANONYMOUS}/forged-2")), |request, name| {
            request.header(*name, "forged")
        });

    let response = send(&mut client, forged, "").await;

    assert_eq!(response.status(), 200);
    let seen = shop.upstream.only("forged-2");
    assert!(
        seen.headers.iter().all(|(_, value)| !value.contains("forged")),
        "{:?}",
        seen.headers
    );
}

#[tokio::test]
async fn bodies_are_bounded_and_timed() {
    let shop = Shop::new()
        .set("public.limits", "body", "\"100KiB\"")
        .set("public.limits", "body_timeout", "\"1s\"")
        .start()
        .await;
    let mut client = connect(shop.gateway.public()).await;
    let large = "x".repeat(150 * 1024);

    let declared = send(
        &mut client,
        request(&format!("{ANONYMOUS}/large-2")).method("POST"),
        &large,
    )
    .await;
    let mut raw = Raw::open(shop.gateway.public(), &[]).await;
    raw.send(&frame(
        HEADERS,
        END_HEADERS,
        1,
        &block(&pseudo("POST", &format!("{ANONYMOUS}/slow-2"))),
    ))
    .await
    .unwrap();
    let slow = raw.until(HEADERS).await;

    assert_eq!(declared.status(), 413);
    assert_eq!(slow.stream, 1);
    assert_eq!((shop.upstream.count("large-2"), shop.upstream.count("slow-2")), (0, 0));
}

#[tokio::test]
async fn what_is_no_frame_ends_the_connection() {
    let shop = Shop::attacked().await;
    let junk: [(&str, Vec<u8>); 9] = [
        ("letters", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(10)),
        ("a frame that is too large", frame(DATA, 0, 1, &vec![0; 20_000])),
        ("DATA on stream 0", frame(DATA, 0, 0, b"x")),
        (
            "HEADERS on stream 0",
            frame(HEADERS, END_HEADERS, 0, &block(&pseudo("GET", "/"))),
        ),
        ("an even stream", get(2, "/")),
        (
            "a broken block",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xFF; 50]),
        ),
        ("SETTINGS of a wrong size", frame(SETTINGS, 0, 0, b"x")),
        ("PING of a wrong size", frame(PING, 0, 0, b"x")),
        ("CONTINUATION of nothing", frame(CONTINUATION, END_HEADERS, 1, b"x")),
    ];

    for (what, octets) in junk {
        let mut raw = Raw::open(shop.gateway.public(), &[]).await;
        raw.send(&octets).await.unwrap();
        let (took, _) = raw.closes().await;
        assert!(took < Duration::from_secs(5), "{what}: {took:?}");
    }
    let honest = Call::get(&format!("{ANONYMOUS}/honest")).send(&shop.gateway).await;
    assert_eq!(honest.status, 200);
}

#[tokio::test]
async fn a_preface_without_anything_after_it_is_ended_like_an_idle_connection() {
    let shop = Shop::new()
        .set("public.limits", "idle_timeout", "\"1s\"")
        .set("public.limits", "header_timeout", "\"1s\"")
        .start()
        .await;
    let mut preface = Connection::open(shop.gateway.public()).await.unwrap();
    preface.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let mut settings = Raw::open(shop.gateway.public(), &[]).await;
    let mut half_a_frame = Raw::open(shop.gateway.public(), &[]).await;
    half_a_frame.send(b"\0\0\x08\x06").await.unwrap();

    assert!(preface.closes().await);
    assert_eq!(settings.closes().await.1, Some(0));
    half_a_frame.closes().await;
}

#[tokio::test]
async fn a_connection_that_idles_between_requests_lives_as_long_as_one_of_http_1() {
    let shop = Shop::new()
        .set("public.limits", "header_timeout", "\"500ms\"")
        .set("public.limits", "idle_timeout", "\"30s\"")
        .start()
        .await;
    let mut raw = Raw::open(shop.gateway.public(), &[]).await;
    raw.send(&get(1, &format!("{ANONYMOUS}/idles"))).await.unwrap();
    raw.until(HEADERS).await;
    // What a client sends of its own between requests is no head that has begun.
    raw.send(&frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1, 0])).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;

    raw.send(&get(3, &format!("{ANONYMOUS}/idles"))).await.unwrap();
    let second = raw.until(HEADERS).await;

    assert_eq!(second.stream, 3);
}

#[tokio::test]
async fn a_connection_ends_politely_after_its_last_request() {
    let shop = Shop::new()
        .set("public.limits", "requests_per_connection", "2")
        .start()
        .await;
    let mut raw = Raw::open(shop.gateway.public(), &[]).await;
    raw.send(
        &[
            get(1, &format!("{ANONYMOUS}/last")),
            get(3, &format!("{ANONYMOUS}/last")),
        ]
        .concat(),
    )
    .await
    .unwrap();

    let (_, said) = raw.closes().await;

    assert_eq!(said, Some(0));
    assert_eq!(shop.upstream.count("last"), 2);
}

#[tokio::test]
async fn trailers_of_a_response_pass_without_those_that_frame_or_identify() {
    let shop = Shop::attacked().await;
    let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\nTrailer: grpc-status\r\n\r\n\
                  5\r\nhello\r\n0\r\ngrpc-status: 0\r\nContent-Length: 3\r\nX-User-Id: 7\r\n\r\n";
    shop.upstream
        .answers("grpc-call", Answer::Raw(answer.as_bytes().to_vec()));
    let mut client = connect(shop.gateway.public()).await;

    let response = send(
        &mut client,
        request(&format!("{ANONYMOUS}/grpc-call")).header("te", "trailers"),
        "",
    )
    .await;
    let body = response.into_body().collect().await.unwrap();

    let trailers = body.trailers().cloned().unwrap_or_default();
    assert_eq!(trailers.get("grpc-status").unwrap(), "0");
    assert_eq!(trailers.len(), 1, "{trailers:?}");
    assert_eq!(body.to_bytes(), "hello");
    assert_eq!(shop.upstream.only("grpc-call").header("te"), Some("trailers"));
}
