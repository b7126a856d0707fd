//! Request heads that no honest client sends: lines, names, `Host`, request lines, and what is no HTTP at all.

use harness::{Connection, Shop};

use crate::hostile_corpus::{ANONYMOUS, Case, refused_all};

fn with_fields(mark: &str, fields: &str) -> Vec<u8> {
    format!("GET {ANONYMOUS}/{mark} HTTP/1.1\r\nHost: shop.example\r\n{fields}\r\n").into_bytes()
}

fn numbered(kind: &str, all: &[&str], make: impl Fn(&str, &str) -> Vec<u8>) -> Vec<Case> {
    let case = |(number, one): (usize, &&str)| {
        let mark = format!("bad-{kind}-{number}.");
        Case::malformed(&mark, make(&mark, one))
    };
    all.iter().enumerate().map(case).collect()
}

#[tokio::test]
async fn lines_and_names_that_others_read_differently_are_refused() {
    let fields = [
        "A: b\n",
        "A: b\nC: d\r\n",
        "A: b\rC: d\r\n",
        "A: b\r\r\n",
        "A: \0\r\n",
        "A\0: b\r\n",
        "A: \u{1}b\r\n",
        "A: b\u{8}\r\n",
        "A: \u{1b}[2J\r\n",
        "A: b\u{7f}\r\n",
        "A: b\r\n c\r\n",
        "A: b\r\n\tc\r\n",
        " A: b\r\n",
        "\tA: b\r\n",
        "A\r\n",
        "A b\r\n",
        ": b\r\n",
        " : b\r\n",
        "A : b\r\n",
        "A\t: b\r\n",
        "A b: c\r\n",
        "\"A\": b\r\n",
        "A(x): b\r\n",
        "A@b: c\r\n",
        "A=b: c\r\n",
        "\u{c4}: b\r\n",
        "A{: b\r\n",
        "A: b\u{b}\r\n",
        "\u{feff}A: b\r\n",
    ];

    refused_all(Shop::attacked().await, &numbered("line", &fields, with_fields)).await;
}

#[tokio::test]
async fn a_request_names_exactly_one_valid_host() {
    let hosts = [
        "",
        "Host:\r\n",
        "Host: \r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nHost: b\r\n",
        "Host: a\r\nhost: a\r\n",
        "Host: a, b\r\n",
        "Host: a b\r\n",
        "Host: user@a\r\n",
        "Host: user:pass@a:80\r\n",
        "Host: a/b\r\n",
        "Host: a?b\r\n",
        "Host: a#b\r\n",
        "Host: a\\b\r\n",
        "Host: http://a\r\n",
        "Host: a:b\r\n",
        "Host: a:99999\r\n",
        "Host: a:-80\r\n",
        "Host: a:80:80\r\n",
        "Host: [::1\r\n",
        "Host: [::g]\r\n",
        "Host: ::1\r\n",
        "Host: \u{e4}\r\n",
        "Host: a%2eb\r\n",
        "Host: <a>\r\n",
        "Host: a;b\r\n",
        "Host: \"a\"\r\n",
        "Connection: Host\r\n",
        "X-Host: a\r\n",
    ];
    let make = |mark: &str, host: &str| format!("GET {ANONYMOUS}/{mark} HTTP/1.1\r\n{host}\r\n").into_bytes();
    let mut cases: Vec<Case> = numbered("host", &hosts, make)
        .into_iter()
        .map(Case::may_go_on)
        .collect();
    cases.push(Case::malformed("host-nul", with_host("host-nul", "a\0b")));
    cases.push(Case::malformed(
        "host-1-0",
        "GET /rest/V1/store/host-1-0 HTTP/1.0\r\n\r\n",
    ));

    refused_all(Shop::attacked().await, &cases).await;
}

fn with_host(mark: &str, host: &str) -> Vec<u8> {
    format!("GET {ANONYMOUS}/{mark} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn connection_cannot_take_the_host_away() {
    let shop = Shop::attacked().await;
    let head = format!(
        "GET {ANONYMOUS}/kept-host HTTP/1.1\r\nHost: shop.example\r\nConnection: Host, X-Forwarded-Host, X-Request-Id\r\n\r\n"
    );
    let mut connection = Connection::open(shop.gateway.public()).await.unwrap();

    connection.write(head.as_bytes()).await.unwrap();
    let response = connection.response("GET").await.unwrap();

    assert_eq!(response.status, 200);
    let seen = shop.upstream.only("kept-host");
    assert_eq!(seen.header("host"), Some(shop.upstream.address().to_string().as_str()));
    assert_eq!(seen.header("x-forwarded-host"), Some("shop.example"));
    assert_eq!(seen.header("x-request-id"), response.header("x-request-id"));
}

#[tokio::test]
async fn a_request_line_is_a_method_a_target_and_a_version() {
    let lines = [
        "GET {}",
        "GET {} HTTP/0.9",
        "GET {} HTTP/1.2",
        "GET {} HTTP/2.0",
        "GET {} HTTP/3",
        "GET {} HTTP/1.1 x",
        "GET {} HTTP/1.1\t",
        "GET {} http/1.1",
        "GET {} HTTP/1.10",
        "GET {} HTTP/01.1",
        "GET {} HTTP/1,1",
        "GET {} HTTPS/1.1",
        "GET {}HTTP/1.1",
        "GET  {} HTTP/1.1",
        "GET {}  HTTP/1.1",
        "GET\t{} HTTP/1.1",
        "GET {}\tHTTP/1.1",
        "GET {} a HTTP/1.1",
        " GET {} HTTP/1.1",
        "\tGET {} HTTP/1.1",
        "G\0ET {} HTTP/1.1",
        "GET {}\0 HTTP/1.1",
        "G(T {} HTTP/1.1",
        "{} HTTP/1.1",
        "GET",
        "HTTP/1.1",
        "GET HTTP/1.1",
        "G\u{c9}T {} HTTP/1.1",
        "\r\n\r\n\r\n\r\n\r\nGET {} HTTP/1.1",
    ];
    let make = |mark: &str, line: &str| {
        let line = line.replace("{}", &format!("{ANONYMOUS}/{mark}"));
        format!("{line}\r\nHost: shop.example\r\n\r\n").into_bytes()
    };
    let mut cases = numbered("request-line", &lines, make);
    let long = format!(
        "{} {ANONYMOUS}/long-method HTTP/1.1\r\nHost: a\r\n\r\n",
        "M".repeat(5_000)
    );
    cases.push(Case::malformed("long-method", long));
    let crlf_flood = "\r\n".repeat(20_000);
    cases.push(Case::malformed("crlf-flood", crlf_flood));
    cases.push(Case::malformed(
        "bare-lf",
        format!("GET {ANONYMOUS}/bare-lf HTTP/1.1\nHost: a\n\n"),
    ));

    refused_all(Shop::attacked().await, &cases).await;
}

#[tokio::test]
async fn methods_that_nobody_serves_are_refused_by_name() {
    let methods = [
        "get", "Get", "GETX", "XGET", "PROPFIND", "PURGE", "M-SEARCH", "LINK", "!", "TRACE", "TRACK", "DEBUG",
    ];
    let make = |mark: &str, method: &str| {
        format!("{method} {ANONYMOUS}/{mark} HTTP/1.1\r\nHost: shop.example\r\n\r\n").into_bytes()
    };
    let cases = numbered("method", &methods, make).into_iter();
    let cases: Vec<Case> = cases.map(|case| case.with(&[405, 501]).may_go_on()).collect();

    refused_all(Shop::attacked().await, &cases).await;
}

#[tokio::test]
async fn an_empty_line_before_a_request_is_passed_over() {
    let shop = Shop::attacked().await;
    let octets = format!("\r\nGET {ANONYMOUS}/after-empty-line HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut connection = Connection::open(shop.gateway.public()).await.unwrap();

    connection.write(octets.as_bytes()).await.unwrap();
    let response = connection.response("GET").await.unwrap();

    assert_eq!(response.status, 200);
}

#[tokio::test]
async fn what_is_no_http_gets_a_refusal_or_a_close_and_costs_nobody_else() {
    let shop = Shop::attacked().await;
    let tls_hello = [b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03".as_slice(), &[7; 190]].concat();
    let proxy_v2 = [
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".as_slice(),
        &[127, 0, 0, 1, 127, 0, 0, 1, 0, 80, 0, 80],
    ]
    .concat();
    let junk: [(&str, Vec<u8>); 14] = [
        ("h2 preface cut", b"PRI * HTTP/2.0\r\n\r\nSM\r\nXX".to_vec()),
        (
            "h2 preface in another case",
            b"pri * http/2.0\r\n\r\nsm\r\n\r\n".to_vec(),
        ),
        ("tls hello", tls_hello),
        ("ssl 2 hello", [b"\x80\x2e\x01\x00\x02".as_slice(), &[0; 60]].concat()),
        ("resp", b"*1\r\n$4\r\nPING\r\n".to_vec()),
        ("inline redis", b"FLUSHALL\r\nQUIT\r\n".to_vec()),
        (
            "proxy 1",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 80 80\r\nGET /rest/V1/store/proxied-junk HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        ),
        ("proxy 2", proxy_v2),
        ("nul flood", vec![0; 100_000]),
        ("ff flood", vec![0xFF; 100_000]),
        ("smtp", b"EHLO example.org\r\n".to_vec()),
        ("ssh", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        ("a flood of letters", vec![b'A'; 100_000]),
        ("lines without end", b"GET / HTTP/1.1\r\n".repeat(10_000)),
    ];

    for (what, octets) in junk {
        let mut connection = Connection::open(shop.gateway.public()).await.unwrap();
        // It may close before all is sent.
        let _sent = connection.write(&octets).await;
        let answer = connection.read().await.unwrap_or_default();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{what}: {answer}"
        );
        assert!(connection.closes().await, "{what}");
    }
    assert_eq!(shop.upstream.count("proxied-junk"), 0);
    refused_all(shop, &[]).await;
}
