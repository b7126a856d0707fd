//! What upstream answers, as the client gets it: its own words, without what concerns one connection or nobody.

use harness::{Answer, Call, Shop};

use crate::hostile_corpus::ANONYMOUS;
use crate::proxy_faults::{call, raw};

#[tokio::test]
async fn a_length_that_is_told_twice_goes_on_once() {
    let shop = Shop::attacked().await;
    for (mark, head) in [
        ("twice-in-one.", "Content-Length: 5, 5"),
        ("twice-in-two.", "Content-Length: 5\r\nContent-Length: 5"),
    ] {
        shop.upstream
            .answers(mark, raw(&format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\nhello")));

        let answer = call(mark).send(&shop.gateway).await;

        assert_eq!((answer.status, answer.text().as_str()), (200, "hello"), "{head}");
        let lengths = answer
            .headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        assert_eq!(
            lengths.map(|(_, value)| value.as_str()).collect::<Vec<_>>(),
            ["5"],
            "{head}"
        );
    }
}

#[tokio::test]
async fn informational_answers_are_passed_over() {
    let shop = Shop::attacked().await;
    let answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n\
                  HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";
    shop.upstream.answers("informed", raw(answer));

    let got = call("informed").send(&shop.gateway).await;

    assert_eq!((got.status, got.text().as_str()), (200, "hello"));
}

#[tokio::test]
async fn answers_without_a_body_have_none_and_keep_their_length() {
    let shop = Shop::attacked().await;
    let answers = [
        (
            "head",
            "HEAD",
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 500\r\n\r\n",
            200,
            Some("500"),
        ),
        (
            "204",
            "GET",
            "HTTP/1.1 204 No Content\r\nConnection: close\r\nETag: x\r\n\r\n",
            204,
            None,
        ),
        (
            "304",
            "GET",
            "HTTP/1.1 304 Not Modified\r\nConnection: close\r\nETag: x\r\nContent-Length: 500\r\n\r\n",
            304,
            None,
        ),
        (
            "empty",
            "GET",
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            200,
            Some("0"),
        ),
    ];

    for (mark, method, octets, status, length) in answers {
        let mark = format!("bodiless-{mark}.");
        shop.upstream.answers(&mark, raw(octets));
        let message = Call::new(method, &format!("{ANONYMOUS}/{mark}")).to(&shop.gateway);
        let next = call("bodiless-next").to(&shop.gateway);
        let mut connection = message.connect().await.unwrap();

        connection.write(&message.octets()).await.unwrap();
        let got = connection.response(method).await.unwrap();
        // Whatever were taken for a body would be in the way of the next answer.
        connection.write(&next.octets()).await.unwrap();
        let after = connection.response("GET").await.unwrap();

        assert_eq!((got.status, got.body.len(), after.status), (status, 0, 200), "{mark}");
        if status == 200 {
            assert_eq!(got.header("content-length"), length, "{mark}");
        }
        assert_eq!(got.header("transfer-encoding"), None, "{mark}");
    }
}

#[tokio::test]
async fn what_upstream_says_passes_as_it_said_it() {
    let shop = Shop::attacked().await;
    let answer = "HTTP/1.1 401 No Entry Here\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nWWW-Authenticate: Basic realm=\"store\"\r\n\
                  Connection: close\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nX-Magento-Tags: caf\u{e9}\r\nContent-Length: 2\r\nServer: Apache\r\n\r\nno";
    let octets = answer
        .chars()
        .map(|one| u8::try_from(u32::from(one)).unwrap())
        .collect();
    shop.upstream.answers("said-so", Answer::Raw(octets));

    let got = call("said-so").send(&shop.gateway).await;

    assert_eq!((got.status, got.text().as_str()), (401, "no"));
    assert_eq!(got.header("date"), Some("Mon, 01 Jan 2024 00:00:00 GMT"));
    assert_eq!(got.header("www-authenticate"), Some("Basic realm=\"store\""));
    assert_eq!(got.header("x-magento-tags"), Some("caf\u{e9}"));
    assert_eq!(got.header("server"), Some("Apache"));
    let cookies = got
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    assert_eq!(cookies.count(), 2);
}

#[tokio::test]
async fn a_date_that_is_none_or_one_of_two_is_replaced() {
    let shop = Shop::attacked().await;
    let then = "Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n";
    for (number, dates) in ["Date: garbage\r\n", "Date: \r\n", "", &then.repeat(2)]
        .into_iter()
        .enumerate()
    {
        let mark = format!("dated-{number}.");
        let octets = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{dates}Content-Length: 2\r\n\r\nok");
        shop.upstream.answers(&mark, raw(&octets));

        let got = call(&mark).send(&shop.gateway).await;

        let said = got.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("date"));
        let said: Vec<&str> = said.map(|(_, value)| value.as_str()).collect();
        assert!(
            matches!(said[..], [date] if date.len() == 29 && date.ends_with(" GMT") && !date.contains("2024")),
            "{dates}: {said:?}"
        );
    }
}

#[tokio::test]
async fn a_large_but_sane_head_passes() {
    let shop = Shop::attacked().await;
    let policy = "b".repeat(60_000);
    shop.upstream.answers(
        "large-head",
        raw(&format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nCSP: {policy}\r\nContent-Length: 2\r\n\r\nok"
        )),
    );

    let got = call("large-head").send(&shop.gateway).await;

    assert_eq!(got.header("csp").map(str::len), Some(60_000));
}
