use super::*;

const BOUNDS: Bounds = Bounds {
    head: 1024,
    fields: 10,
    target: 100,
};

/// What is handed over when the octets come in pieces of that length.
fn handed_over(octets: &[u8], piece: usize) -> (Vec<u8>, Messages) {
    let mut messages = Messages::new(BOUNDS);
    let mut all = Vec::new();
    for fresh in octets.chunks(piece) {
        if messages.is_over() || messages.is_broken() {
            break;
        }
        let good = messages.take(fresh);
        all.extend_from_slice(&fresh[..good]);
        while messages.has_good() {
            all.extend(messages.hand_over(7));
        }
    }
    (all, messages)
}

const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn messages_pass_as_they_are_in_whatever_pieces_they_come() {
    let length = "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 33\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n";
    let chunks = "POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nGET /\r\n0\r\nA: b\r\n\r\n";
    let octets = format!("{GET}{length}{GET}{chunks}{GET}");

    for piece in 1..=octets.len() {
        let (all, messages) = handed_over(octets.as_bytes(), piece);

        assert_eq!(
            all.escape_ascii().to_string(),
            octets.as_bytes().escape_ascii().to_string(),
            "{piece}"
        );
        assert_eq!(messages.refused(), None);
        assert!(!messages.is_unfinished());
    }
}

#[test]
fn a_refused_head_is_replaced_by_what_its_answer_depends_on_and_nothing_follows() {
    let octets = format!("{GET}POST /b?c HTTP/1.1\r\nAccept: text/xml\r\nContent-Length: x\r\n\r\n{GET}");
    let expected = format!("{GET}POST /b HTTP/1.1\r\nconnection: close\r\naccept: text/xml\r\n\r\n");

    for piece in 1..=octets.len() {
        let (all, messages) = handed_over(octets.as_bytes(), piece);

        assert_eq!(
            all.escape_ascii().to_string(),
            expected.as_bytes().escape_ascii().to_string(),
            "{piece}"
        );
        assert_eq!(messages.refused(), Some((1, Cause::RequestMalformed)));
        assert!(messages.is_over());
    }
}

#[test]
fn a_request_line_that_is_none_is_replaced() {
    let lines: [&[u8]; 4] = [
        b"\x16\x03\x01\x02\x00\x01\x00\n",
        b"GET\n",
        b"G\0T /a HTTP/1.1\n",
        b"GET /\x01 HTTP/1.1\n",
    ];
    for line in lines {
        let (all, messages) = handed_over(line, 100);

        assert_eq!(all, b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n");
        assert_eq!(messages.refused(), Some((0, Cause::RequestMalformed)));
    }
}

#[test]
fn a_head_that_takes_too_long_is_refused_with_its_own_request_line_if_that_came() {
    for (came, stands) in [
        ("GET /a HTTP/1.1\r\nHos", "GET /a HTTP/1.1"),
        ("GET /a", "GET / HTTP/1.1"),
    ] {
        let mut messages = Messages::new(BOUNDS);
        messages.take(came.as_bytes());
        assert!(messages.is_partial());

        messages.time_out();

        assert_eq!(messages.refused(), Some((0, Cause::RequestTimeout)));
        let stand_in = String::from_utf8(messages.hand_over(1000)).unwrap();
        assert_eq!(stand_in, format!("{stands}\r\nconnection: close\r\n\r\n"));
    }
}

#[test]
fn empty_lines_alone_are_no_head_that_has_begun() {
    let mut messages = Messages::new(BOUNDS);

    messages.take(b"\r\n\r");

    assert!(!messages.is_partial());
}

#[test]
fn a_body_whose_chunks_break_ends_the_reading() {
    let head = "POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let octets = format!("{head}5\r\nhello\r\n0x0\r\n\r\n{GET}");

    let (all, messages) = handed_over(octets.as_bytes(), octets.len());

    assert!(messages.is_broken());
    assert_eq!(all, head.as_bytes());
}
