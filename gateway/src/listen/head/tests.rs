use super::*;

const BOUNDS: Bounds = Bounds {
    head: 1024,
    fields: 10,
    target: 100,
};

fn judge(head: &[u8]) -> Judged {
    Scan::default().run(head, &BOUNDS)
}

fn with_fields(fields: &str) -> Judged {
    judge(format!("POST /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes())
}

fn framing(fields: &str) -> Option<Framing> {
    match with_fields(fields) {
        Judged::Whole(_, framing) => Some(framing),
        Judged::Partial | Judged::Refused(_) => None,
    }
}

const MALFORMED: Judged = Judged::Refused(Cause::RequestMalformed);

#[test]
fn a_head_says_where_it_ends_and_what_follows() {
    let head = b"GET /a?b=c HTTP/1.1\r\nHost: a\r\n\r\nGET";

    assert_eq!(judge(head), Judged::Whole(32, Framing::Nothing));
    assert_eq!(framing("Content-Length: 007 \r\n"), Some(Framing::Length(7)));
    assert_eq!(framing("content-length: 0\r\n"), Some(Framing::Nothing));
    assert_eq!(framing("transfer-ENCODING:\tChunked\r\n"), Some(Framing::Chunked));
}

#[test]
fn a_head_in_pieces_is_judged_as_the_same_in_one() {
    let head = b"\r\nPOST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
    let mut scan = Scan::default();

    let judged: Vec<Judged> = (1..=head.len()).map(|end| scan.run(&head[..end], &BOUNDS)).collect();

    let (last, before) = judged.split_last().unwrap();
    assert_eq!(*last, Judged::Whole(head.len(), Framing::Length(5)));
    assert!(before.iter().all(|one| *one == Judged::Partial));
}

#[test]
fn a_message_with_two_framings_is_refused_in_either_order() {
    let both = [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "Content-Length: 5\r\nTransfer_Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent_Length: 5\r\n",
    ];

    for fields in both {
        assert_eq!(with_fields(fields), MALFORMED, "{fields}");
    }
}

#[test]
fn a_transfer_encoding_is_chunked_once_and_in_http_1_1_or_nothing() {
    let refused = [
        "xchunked",
        "chunked, identity",
        "identity, chunked",
        "gzip, chunked",
        "chunked, chunked",
        "\"chunked\"",
        "chunked;q=1",
        "chunke\u{64}\u{b}",
        "\u{b}chunked",
        "chunked\u{c}",
        "chun\0ked",
        "identity",
        "",
        ",chunked",
        "chunked\r\nTransfer-Encoding: chunked",
        "chunked\r\nTransfer-Encoding: identity",
        "\r\n chunked",
    ];

    for value in refused {
        assert_eq!(
            with_fields(&format!("Transfer-Encoding: {value}\r\n")),
            MALFORMED,
            "{value:?}"
        );
    }
    for name in [
        "Transfer-Encoding ",
        "Transfer-Encoding\t",
        " Transfer-Encoding",
        "Transfer_Encoding",
        "Transfer\rEncoding",
    ] {
        assert_eq!(with_fields(&format!("{name}: chunked\r\n")), MALFORMED, "{name:?}");
    }
    assert_eq!(
        judge(b"POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        MALFORMED
    );
}

#[test]
fn a_content_length_is_digits_once_or_refused() {
    let refused = [
        "",
        "+5",
        "-5",
        "0x5",
        "5_0",
        "5e1",
        "5.0",
        "5 5",
        "5,5",
        "5, 6",
        "\"5\"",
        "５",
        "٥",
        "5;",
        "5\u{b}",
        "5\0",
        "\r\n 5",
        "18446744073709551616",
        "99999999999999999999",
        "5\r\nContent-Length: 5",
        "5\r\nContent-Length: 6",
    ];

    for value in refused {
        assert_eq!(
            with_fields(&format!("Content-Length: {value}\r\n")),
            MALFORMED,
            "{value:?}"
        );
    }
    let long = "0".repeat(400);
    assert_eq!(with_fields(&format!("Content-Length: {long}\r\n")), MALFORMED);
    assert_eq!(with_fields("Content_Length: 5\r\n"), MALFORMED);
    assert_eq!(
        framing("Content-Length: 9223372036854775808\r\n"),
        Some(Framing::Length(1 << 63))
    );
}

#[test]
fn a_line_that_others_would_split_or_join_elsewhere_is_refused() {
    let refused = [
        "A: b\n",
        "A: b\rc\r\n",
        "A: b\0c\r\n",
        "A: \u{1}\r\n",
        "A: \u{7f}\r\n",
        "A: b\r\n c\r\n",
        " A: b\r\n",
        "\tA: b\r\n",
        "A\r\n",
        ": b\r\n",
        "A : b\r\n",
        "A b: c\r\n",
        "\"A\": b\r\n",
        "A\0: b\r\n",
        "(A): b\r\n",
        "A@: b\r\n",
        "Ä: b\r\n",
        "A: b\r\r\n",
    ];

    for fields in refused {
        assert_eq!(with_fields(fields), MALFORMED, "{fields:?}");
    }
    assert_eq!(framing("A:\tb\tc é \r\nB:\r\n"), Some(Framing::Nothing));
}

#[test]
fn a_request_line_is_three_words_or_refused() {
    let refused = [
        "GET /a",
        "GET /a HTTP/0.9",
        "GET /a HTTP/1.2",
        "GET /a HTTP/2.0",
        "GET /a http/1.1",
        "GET /a HTTP/1.1 ",
        "GET /a HTTP/1.11",
        "GET /a FTP/1.1",
        "GET  /a HTTP/1.1",
        "GET /a  HTTP/1.1",
        "GET\t/a HTTP/1.1",
        "GET /a\tHTTP/1.1",
        "GET /a b HTTP/1.1",
        " GET /a HTTP/1.1",
        "GE\0T /a HTTP/1.1",
        "GET /a\0 HTTP/1.1",
        "GET HTTP/1.1",
        "/a HTTP/1.1",
        "G(T /a HTTP/1.1",
        "HTTP/1.1",
        "",
        "GET /a HTTP/1.1\r",
        "GET /\u{7f} HTTP/1.1",
    ];

    for line in refused {
        assert_eq!(
            judge(format!("{line}\r\nHost: a\r\n\r\n").as_bytes()),
            MALFORMED,
            "{line:?}"
        );
    }
    let long = "M".repeat(LONGEST_METHOD + 1);
    assert_eq!(judge(format!("{long} /a HTTP/1.1\r\n\r\n").as_bytes()), MALFORMED);
    assert_eq!(judge(b"GET /a HTTP/1.1\nHost: a\n\n"), MALFORMED);
}

#[test]
fn a_target_is_of_a_known_form_and_has_no_fragment() {
    let refused = [
        "a",
        "?a",
        "#",
        "/a#b",
        "/a?b#c",
        "**",
        "/<",
        "/\\>",
        "/^`",
        "/a?<",
        "http://a/#b",
        "http://",
        "//[::1",
        "/a?\"",
    ];
    let fine = [
        "/",
        "/a//b/../%2e",
        "*",
        "http://a/b?c",
        "/a?b=[0]{}|^`é",
        "/é\"{}",
        "//a@b/",
    ];

    for target in refused {
        let head = format!("GET {target} HTTP/1.1\r\n\r\n");
        if http::Uri::try_from(target).is_ok() && !target.contains('#') {
            continue;
        }
        assert_eq!(
            judge(head.as_bytes()),
            Judged::Refused(Cause::TargetRefused),
            "{target:?}"
        );
    }
    for target in fine {
        let head = format!("GET {target} HTTP/1.1\r\n\r\n");
        assert!(matches!(judge(head.as_bytes()), Judged::Whole(..)), "{target:?}");
    }
    assert_eq!(
        judge(b"GET /\xC0\xAE HTTP/1.1\r\n\r\n"),
        Judged::Refused(Cause::TargetRefused)
    );
}

#[test]
fn every_bound_has_its_own_status() {
    let fields = |count: usize| "A: b\r\n".repeat(count);
    let target = |length: usize| format!("GET /{} HTTP/1.1\r\n", "a".repeat(length - 1));

    assert_eq!(
        with_fields(&fields(9)),
        judge(format!("POST /a HTTP/1.1\r\nHost: a\r\n{}\r\n", fields(9)).as_bytes())
    );
    assert!(matches!(with_fields(&fields(9)), Judged::Whole(..)));
    assert_eq!(with_fields(&fields(10)), Judged::Refused(Cause::HeadTooLarge));
    assert_eq!(judge(target(100).as_bytes()), Judged::Partial);
    assert_eq!(judge(target(101).as_bytes()), Judged::Refused(Cause::TargetTooLong));
    assert_eq!(
        judge("GET /".repeat(60).replace("/G", "/g").as_bytes()),
        Judged::Refused(Cause::TargetTooLong)
    );
    assert_eq!(
        judge(format!("GET / HTTP/1.1\r\nA: {}", "b".repeat(1024)).as_bytes()),
        Judged::Refused(Cause::HeadTooLarge)
    );
    assert_eq!(judge("\r\n".repeat(5).as_bytes()), MALFORMED);
}

#[test]
fn a_head_of_exactly_its_bound_is_whole() {
    let head = |fill: usize| format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "b".repeat(fill));
    let around = head(0).len();

    assert!(matches!(
        judge(head(BOUNDS.head - around).as_bytes()),
        Judged::Whole(1024, _)
    ));
    assert_eq!(
        judge(head(BOUNDS.head - around + 1).as_bytes()),
        Judged::Refused(Cause::HeadTooLarge)
    );
}

/// hyper's own answers have neither id nor cause: whatever passes here, it must take.
#[tokio::test]
async fn what_passes_is_taken_by_hyper() {
    let heads: [&[u8]; 4] = [
        b"GET /a%20b?c=[0]&d|e HTTP/1.1\r\nHost: a.example:80\r\nAccept: */*\r\n\r\n",
        b"POST http://a.example/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n",
        b"\r\nPUT /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\nConnection: close, x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nTransfer-Encoding: chunked\r\nUpgrade: h2c\r\n\r\n",
    ];
    let mut passed = 0;
    for head in heads {
        for at in 0..head.len() {
            for byte in 0..=u8::MAX {
                let mut changed = head.to_vec();
                changed[at] = byte;
                if let Judged::Whole(length, _) = judge(&changed) {
                    changed.truncate(length);
                    assert!(hyper_takes(&changed).await, "{}", changed.escape_ascii());
                    passed += 1;
                }
            }
        }
    }
    assert!(passed > 10_000, "{passed}");
}

async fn hyper_takes(head: &[u8]) -> bool {
    use hyper::service::service_fn;
    let taken = std::cell::Cell::new(false);
    let service = service_fn(|_request| {
        taken.set(true);
        std::future::ready(Ok::<_, std::convert::Infallible>(http::Response::new(
            http_body_util::Empty::<bytes::Bytes>::new(),
        )))
    });
    let (mut client, server) = tokio::io::duplex(4096);
    tokio::io::AsyncWriteExt::write_all(&mut client, head).await.unwrap();
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(hyper_util::rt::TokioIo::new(server), service);
    tokio::pin!(connection);
    // One poll reads the head and calls the service.
    std::future::poll_fn(|cx| {
        let _served = connection.as_mut().poll(cx);
        std::task::Poll::Ready(())
    })
    .await;
    taken.get()
}
