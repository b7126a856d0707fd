//! Messages that two parsers could end in different places: refused and closed, and what follows is never a request.

use harness::{Connection, Response, Shop};

use crate::hostile_corpus::{ANONYMOUS, Case, refused_all};

/// Behind each message: what must never be taken for a request.
fn smuggled(mark: &str) -> String {
    format!("GET {ANONYMOUS}/smuggled-{mark} HTTP/1.1\r\nHost: shop.example\r\nX: y\r\n\r\n")
}

fn post(mark: &str, fields: &str, body: &str) -> Vec<u8> {
    let head = format!("POST {ANONYMOUS}/{mark} HTTP/1.1\r\nHost: shop.example\r\n{fields}\r\n");
    format!("{head}\r\n{body}{}", smuggled(mark)).into_bytes()
}

#[tokio::test]
async fn a_message_with_both_framings_is_refused_and_the_connection_closed() {
    let chunked = "0\r\n\r\n";
    let cases = [
        ("cl-te", "Content-Length: 5\r\nTransfer-Encoding: chunked", chunked),
        ("te-cl", "Transfer-Encoding: chunked\r\nContent-Length: 5", chunked),
        ("cl-0-te", "Content-Length: 0\r\nTransfer-Encoding: chunked", chunked),
        ("te-cl-0", "Transfer-Encoding: chunked\r\nContent-Length: 0", chunked),
        (
            "cl-te-long",
            "Content-Length: 100\r\nTransfer-Encoding: chunked",
            chunked,
        ),
        (
            "cl-te-twice",
            "Content-Length: 5\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
            chunked,
        ),
        ("cl-te-bad", "Content-Length: 5\r\nTransfer-Encoding: xchunked", "hello"),
    ];
    let mut cases: Vec<Case> = cases
        .iter()
        .map(|(mark, fields, body)| Case::malformed(mark, post(mark, fields, body)))
        .collect();
    let old = String::from_utf8(post("te-1-0", "Transfer-Encoding: chunked", chunked)).unwrap();
    cases.push(Case::malformed(
        "te-1-0",
        old.replacen("HTTP/1.1", "HTTP/1.0", 1).into_bytes(),
    ));

    refused_all(Shop::attacked().await, &cases).await;
}

#[tokio::test]
async fn a_transfer_encoding_in_any_spelling_but_its_own_is_refused() {
    let spellings = [
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunkedx",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding:",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: 'chunked'",
        "Transfer-Encoding: chunked;a=b",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer-Encoding: chunked\u{c}",
        "Transfer-Encoding: chun\0ked",
        "Transfer-Encoding: ch\u{fc}nked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        " Transfer-Encoding: chunked",
        "Transfer-Encoding:\r\n chunked",
        "X: y\r\n Transfer-Encoding: chunked",
        "Transfer_Encoding: chunked",
        "X: y\nTransfer-Encoding: chunked",
        "X: y\rTransfer-Encoding: chunked",
        "\nTransfer-Encoding: chunked",
    ];
    let numbered = spellings.iter().enumerate();
    let cases: Vec<Case> = numbered
        .map(|(number, fields)| {
            let mark = format!("te-spelling-{number}.");
            Case::malformed(&mark, post(&mark, fields, "0\r\n\r\n"))
        })
        .collect();

    refused_all(Shop::attacked().await, &cases).await;
}

#[tokio::test]
async fn a_content_length_that_is_not_digits_once_is_refused() {
    let lengths = [
        "",
        "+5",
        "-5",
        "--5",
        "0x5",
        "5_0",
        "5e0",
        "5.0",
        "5 5",
        "5,5",
        "5, 5",
        "5;5",
        "\"5\"",
        "'5'",
        "\u{b}5",
        "5\u{c}",
        "5\0",
        "\r\n 5",
        "5\r\nContent-Length: 5",
        "5\r\nContent-Length: 6",
        "6\r\nContent-Length: 5",
        "9223372036854775808000",
        "18446744073709551621",
        "five",
        "\u{664}",
        "NaN",
        "5\r\nContent_Length: 6",
    ];
    let numbered = lengths.iter().enumerate();
    let mut cases: Vec<Case> = numbered
        .map(|(number, length)| {
            let mark = format!("cl-spelling-{number}.");
            Case::malformed(&mark, post(&mark, &format!("Content-Length: {length}"), "hello"))
        })
        .collect();
    let digits = "0".repeat(400);
    cases.push(Case::malformed(
        "cl-400",
        post("cl-400", &format!("Content-Length: {digits}"), ""),
    ));
    cases.push(Case::malformed(
        "cl-under",
        post("cl-under", "Content_Length: 5", "hello"),
    ));

    refused_all(Shop::attacked().await, &cases).await;
}

#[tokio::test]
async fn chunks_that_are_none_are_refused_and_nothing_after_them_is_read() {
    let long = "x".repeat(20_000);
    let (extensions, trailers) = (format!("1;{long}\r\na\r\n0\r\n\r\n"), format!("0\r\nA: {long}\r\n\r\n"));
    let many_trailers = format!("0\r\n{}\r\n", "A: b\r\n".repeat(5_000));
    let flood = "1;a=b\r\na\r\n".repeat(10_000);
    let bodies = [
        "-1\r\na\r\n0\r\n\r\n",
        "+1\r\na\r\n0\r\n\r\n",
        "0x1\r\na\r\n0\r\n\r\n",
        "1_0\r\na\r\n0\r\n\r\n",
        "00000000000000001\r\na\r\n0\r\n\r\n",
        "10000000000000000\r\na\r\n0\r\n\r\n",
        "ffffffffffffffff1\r\na\r\n0\r\n\r\n",
        "\r\na\r\n0\r\n\r\n",
        "g\r\na\r\n0\r\n\r\n",
        " 1\r\na\r\n0\r\n\r\n",
        "\t1\r\na\r\n0\r\n\r\n",
        ";a\r\na\r\n0\r\n\r\n",
        "1\na\n0\n\n",
        "1\r\na\n0\r\n\r\n",
        "1\na\r\n0\r\n\r\n",
        "1\ra\r0\r\r",
        "1\r\nab\r\n0\r\n\r\n",
        "1\r\na0\r\n\r\n",
        "2\r\na\r\n0\r\n\r\n",
        "1\r\na\r\r\n0\r\n\r\n",
        "1;a\nb\r\na\r\n0\r\n\r\n",
        "1;a\rb\r\na\r\n0\r\n\r\n",
        "1;a\0b\r\na\r\n0\r\n\r\n",
        "1 1\r\na\r\n0\r\n\r\n",
        "1,1\r\na\r\n0\r\n\r\n",
        "1\r\na\r\n0\n\r\n",
        "1\r\na\r\n0\r\nA: b\n\r\n",
        "1\r\na\r\n0\r\n\0\r\n\r\n",
        &extensions,
        &trailers,
        &many_trailers,
        &flood,
    ];
    let numbered = bodies.iter().enumerate();
    let cases: Vec<Case> = numbered
        .map(|(number, body)| {
            let mark = format!("chunks-{number}.");
            Case::malformed(&mark, post(&mark, "Transfer-Encoding: chunked", body))
        })
        .collect();

    refused_all(Shop::attacked().await, &cases).await;
}

#[tokio::test]
async fn chunk_extensions_and_trailers_end_here() {
    let shop = Shop::attacked().await;
    let trailers =
        "Content-Length: 3\r\nX-User-Id: 1\r\nAuthorization: Bearer x\r\nX-Consumer-Id: 7\r\nHost: other\r\n";
    let message = format!(
        "POST {ANONYMOUS}/extended HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\
         Trailer: X-User-Id\r\nTE: trailers\r\n\r\n5;a=b;c=\"d\"\r\nhello\r\n0;e\r\n{trailers}\r\n"
    );
    let mut connection = Connection::open(shop.gateway.public()).await.unwrap();

    connection.write(message.as_bytes()).await.unwrap();
    let response = connection.response("POST").await.unwrap();

    assert_eq!(response.status, 200, "{}", response.text());
    let seen = shop.upstream.only("extended");
    assert_eq!(seen.text(), "hello");
    for gone in ["x-user-id", "authorization", "x-consumer-id", "trailer"] {
        assert_eq!(seen.header(gone), None, "{gone}");
    }
}

#[tokio::test]
async fn pipelined_messages_are_served_in_order_each_judged_by_itself() {
    let shop = Shop::attacked().await;
    let get = |mark: &str| format!("GET {ANONYMOUS}/{mark} HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    let with_body = format!(
        "POST {ANONYMOUS}/piped-2 HTTP/1.1\r\nHost: shop.example\r\nContent-Length: {}\r\n\r\n{}",
        get("not-a-request").len(),
        get("not-a-request")
    );
    let bad = format!("GET {ANONYMOUS}/piped-4 HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 5,5\r\n\r\n");
    let octets = [get("piped-1"), with_body, get("piped-3"), bad, get("piped-5")].concat();
    let mut connection = Connection::open(shop.gateway.public()).await.unwrap();

    connection.write(octets.as_bytes()).await.unwrap();
    let mut responses: Vec<Response> = Vec::new();
    for method in ["GET", "POST", "GET", "GET"] {
        responses.push(connection.response(method).await.unwrap());
    }

    let statuses: Vec<u16> = responses.iter().map(|one| one.status).collect();
    assert_eq!(statuses, [200, 200, 200, 400]);
    assert!(connection.closes().await);
    assert_eq!(
        (shop.upstream.count("piped-"), shop.upstream.count("not-a-request")),
        (3, 0)
    );
}
