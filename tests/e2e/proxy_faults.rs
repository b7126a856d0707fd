//! Upstreams that fail, stall, lie or break off: each failure has its status, and half is never passed off as the whole.

use std::time::Duration;

use harness::{Answer, Call, Shop, eventually};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::hostile_corpus::ANONYMOUS;
use crate::hostile_frames::{HEADERS, RST_STREAM, Raw, get};
use crate::proxy_double::{Double, answer, read_head, shop_before};

pub(crate) fn call(mark: &str) -> Call {
    Call::get(&format!("{ANONYMOUS}/{mark}"))
}

fn double(mark: &str) -> Call {
    Call::get(&format!("/double/{mark}"))
}

pub(crate) fn raw(octets: &str) -> Answer {
    Answer::Raw(octets.as_bytes().to_vec())
}

#[tokio::test]
async fn an_upstream_that_is_not_there_can_not_be_reached() {
    let closed = harness::free_port();
    let shop = shop_before(&format!("[\"http://127.0.0.1:{closed}\"]")).start().await;

    let refused = double("away").asking_for_the_cause().send(&shop.gateway).await;

    assert_eq!(refused.refusal(), (502, "upstream_connect"));
    let line = shop.gateway.access_line(&refused).await;
    assert_eq!(
        (line["cause"].as_str(), line["side"].as_str()),
        (Some("upstream_connect"), Some("upstream"))
    );
}

#[tokio::test]
async fn an_answer_that_is_none_is_a_bad_gateway() {
    let shop = Shop::attacked().await;
    let answers = [
        Answer::Close,
        raw("garbage"),
        raw("\r\n\r\n"),
        raw("HTTP/1.1\r\n\r\n"),
        raw("HTTP/1.1 2000 OK\r\n\r\n"),
        raw("HTTP/9.9 200 OK\r\n\r\n"),
        raw("HTTP/1.1 200 OK\r\nContent-Le"),
        raw("HTTP/1.1 200 OK\r\nNo Colon\r\n\r\n"),
        raw("HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n"),
        raw("HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n"),
        raw("HTTP/1.1 200 OK\r\nA: b\rSet-Cookie: x=y\r\n\r\n"),
        raw("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nhello"),
        raw("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello"),
        raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
        raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello"),
        raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        raw("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nframes"),
        raw("HTTP/1.1 600 Beyond\r\nContent-Length: 0\r\n\r\n"),
        raw("HTTP/1.1 999 Beyond\r\nContent-Length: 0\r\n\r\n"),
        raw(&format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "b".repeat(300_000))),
        raw(&format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(500))),
    ];

    for (number, answer) in answers.into_iter().enumerate() {
        let mark = format!("no-answer-{number}.");
        shop.upstream.answers(&mark, answer.clone());

        let refused = call(&mark).asking_for_the_cause().send(&shop.gateway).await;

        assert_eq!(refused.refusal(), (502, "upstream_broken"), "{answer:?}");
        assert_eq!(refused.header("set-cookie"), None, "{answer:?}");
    }
}

#[tokio::test]
async fn interim_responses_without_end_hold_up_nobody() {
    let upstream = Double::start(|mut stream, _| async move {
        read_head(&mut stream).await;
        let interim = "HTTP/1.1 102 Processing\r\n\r\n".repeat(2_000);
        while stream.write_all(interim.as_bytes()).await.is_ok() {}
    })
    .await;
    let shop = shop_before(&upstream.targets()).start().await;

    let flooded = double("flooded").asking_for_the_cause();
    let (refused, served) = tokio::join!(flooded.send(&shop.gateway), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        call("beside-a-flood").send(&shop.gateway).await
    });

    assert_eq!(refused.refusal(), (502, "upstream_broken"));
    assert_eq!(served.status, 200);
}

#[tokio::test]
async fn a_body_that_breaks_off_breaks_off_for_the_client_too() {
    let shop = Shop::attacked().await;
    let broken = [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b",
    ];

    for (number, octets) in broken.into_iter().enumerate() {
        let mark = format!("broken-off-{number}.");
        shop.upstream.answers(&mark, raw(octets));

        let got = call(&mark).to(&shop.gateway).try_send().await;

        assert!(got.is_err(), "{octets}: {got:?}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_before_its_first_octet_leaves_the_head() {
    let shop = Shop::attacked().await;
    let broken = [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ];

    for (number, octets) in broken.into_iter().enumerate() {
        let mark = format!("broken-at-once-{number}.");
        shop.upstream.answers(&mark, raw(octets));
        let message = call(&mark).to(&shop.gateway);
        let mut connection = message.connect().await.unwrap();
        let mut http2 = Raw::open(shop.gateway.public(), &[]).await;

        connection.write(&message.octets()).await.unwrap();
        let head = String::from_utf8(connection.read().await.unwrap()).unwrap();
        http2.send(&get(1, &message.target)).await.unwrap();
        let headers = http2.until(HEADERS).await;
        let reset = http2.until(RST_STREAM).await;

        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{octets}: {head}");
        assert!(head.contains("x-request-id: "), "{octets}: {head}");
        assert!(connection.closes().await, "{octets}");
        assert_eq!((headers.stream, reset.stream), (1, 1), "{octets}");
    }
}

#[tokio::test]
async fn an_upstream_that_says_nothing_in_time_is_a_gateway_timeout() {
    let shop = Shop::new()
        .set("upstreams.storefront", "first_byte_timeout", "\"300ms\"")
        .start()
        .await;
    shop.upstream.answers("silent", Answer::Never);

    let get = call("silent").asking_for_the_cause().send(&shop.gateway).await;
    let post = Call::post(&format!("{ANONYMOUS}/silent"))
        .body("text/plain", "hello")
        .asking_for_the_cause();

    assert_eq!(get.refusal(), (504, "upstream_timeout"));
    assert_eq!(post.send(&shop.gateway).await.refusal(), (504, "upstream_timeout"));
}

#[tokio::test]
async fn the_time_for_the_whole_exchange_bounds_the_wait_for_its_first_octet() {
    let shop = Shop::new()
        .set("upstreams.storefront", "request_timeout", "\"300ms\"")
        .start()
        .await;
    shop.upstream.answers("late", Answer::Late(Duration::from_secs(3)));

    let late = call("late").asking_for_the_cause().send(&shop.gateway).await;

    assert_eq!(late.refusal(), (504, "upstream_timeout"));
}

#[tokio::test]
async fn an_answer_that_trickles_past_the_whole_time_is_cut_and_logged_as_such() {
    let shop = Shop::new()
        .set("upstreams.storefront", "request_timeout", "\"1s\"")
        .start()
        .await;
    let trickle = Answer::Stream {
        piece: "x",
        times: 200,
        pause: Duration::from_millis(100),
    };
    shop.upstream.answers("trickles", trickle);
    let message = call("trickles").to(&shop.gateway);
    let mut connection = message.connect().await.unwrap();

    connection.write(&message.octets()).await.unwrap();
    let got = connection.response("GET").await;

    assert!(got.is_err());
    let logged = async || {
        let log = std::fs::read_to_string(shop.gateway.folder().join("stdout")).unwrap();
        log.lines().find(|line| line.contains("trickles")).map(str::to_owned)
    };
    let line = eventually("its line", logged).await;
    assert!(
        line.contains("\"cause\":\"upstream_timeout\"") && line.contains("\"cut\":true"),
        "{line}"
    );
}

#[tokio::test]
async fn an_answer_nobody_asked_for_is_never_given_to_the_next_request() {
    let upstream = Double::start(|mut stream, _| async move {
        while !read_head(&mut stream).await.is_empty() {
            let stolen = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen";
            let both = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{stolen}");
            if stream.write_all(both.as_bytes()).await.is_err() {
                return;
            }
        }
    })
    .await;
    let shop = shop_before(&upstream.targets()).start().await;

    for _ in 0..20 {
        let got = double("asked").send(&shop.gateway).await;
        assert_eq!((got.status, got.text().as_str()), (200, "ok"));
    }
}

#[tokio::test]
async fn a_connection_that_upstream_closed_while_it_idled_costs_no_request() {
    let (closed, mut closes) = tokio::sync::mpsc::unbounded_channel();
    let upstream = Double::start(move |mut stream, _| {
        let closed = closed.clone();
        async move {
            if !read_head(&mut stream).await.is_empty() {
                let _sent = answer(&mut stream, "ok").await;
                tokio::time::sleep(Duration::from_millis(20)).await;
                drop(stream);
                let _told = closed.send(());
            }
        }
    })
    .await;
    let shop = shop_before(&upstream.targets()).start().await;

    for _ in 0..20 {
        let got = Call::post("/double/idled")
            .body("text/plain", "x")
            .send(&shop.gateway)
            .await;
        assert_eq!(got.status, 200, "{}", got.text());
        closes.recv().await.unwrap();
        // Closed is not yet noticed: a request sent into the end is lost, and not sent again.
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    assert_eq!(upstream.accepted(), 20);
}

#[tokio::test]
async fn connections_to_upstream_are_kept_and_used_again() {
    let upstream = Double::start(|mut stream, _| async move {
        while !read_head(&mut stream).await.is_empty() {
            if answer(&mut stream, "ok").await.is_err() {
                return;
            }
        }
    })
    .await;
    let shop = shop_before(&upstream.targets()).start().await;

    for _ in 0..50 {
        assert_eq!(double("again").send(&shop.gateway).await.status, 200);
    }

    assert!(upstream.accepted() <= 2, "{}", upstream.accepted());
}

#[tokio::test]
async fn what_was_sent_once_is_never_sent_again() {
    let upstream = Double::start(|mut stream, number| async move {
        // The first connection serves one request and breaks in the second, after it was read.
        for turn in 0.. {
            if read_head(&mut stream).await.is_empty() || (number == 0 && turn == 1) {
                return;
            }
            if answer(&mut stream, "ok").await.is_err() {
                return;
            }
        }
    })
    .await;
    let shop = shop_before(&upstream.targets()).start().await;
    let post = Call::post("/double/once")
        .body("text/plain", "x")
        .asking_for_the_cause();

    let first = post.send(&shop.gateway).await;
    let second = post.send(&shop.gateway).await;
    let third = post.send(&shop.gateway).await;

    assert_eq!(first.status, 200);
    assert_eq!(second.refusal(), (502, "upstream_broken"));
    assert_eq!((third.status, upstream.accepted()), (200, 2));
}

#[tokio::test]
async fn an_upload_that_is_answered_early_spoils_no_connection() {
    let upstream = Double::start(|mut stream, _| async move {
        while !read_head(&mut stream).await.is_empty() {
            // Answered before the body came, and the rest is never read.
            if answer(&mut stream, "early").await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    })
    .await;
    let shop = shop_before(&upstream.targets()).start().await;
    let head = "POST /double/early HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
    let mut connection = harness::Connection::open(shop.gateway.public()).await.unwrap();
    connection.write(head.as_bytes()).await.unwrap();
    connection.write(&[b'x'; 1000]).await.unwrap();
    let early = connection.response("POST").await.unwrap();

    let begun = tokio::time::Instant::now();
    let next = double("next").send(&shop.gateway).await;

    assert_eq!((early.status, early.text().as_str()), (200, "early"));
    assert_eq!(next.status, 200);
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "waited for a stranger's upload"
    );
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_request_with_it() {
    let (closed, mut was_closed) = tokio::sync::mpsc::unbounded_channel();
    let upstream = Double::start(move |mut stream, _| {
        let closed = closed.clone();
        async move {
            read_head(&mut stream).await;
            let mut rest = Vec::new();
            let _ended = stream.read_to_end(&mut rest).await;
            let _told = closed.send(());
        }
    })
    .await;
    let shop = shop_before(&upstream.targets()).start().await;
    let message = double("gone").to(&shop.gateway);
    let mut connection = message.connect().await.unwrap();
    connection.write(&message.octets()).await.unwrap();
    eventually("it is upstream", async || (upstream.accepted() == 1).then_some(())).await;

    drop(connection);

    let ended = tokio::time::timeout(Duration::from_secs(10), was_closed.recv()).await;
    assert_eq!(ended, Ok(Some(())));
    let logged = async || {
        let log = std::fs::read_to_string(shop.gateway.folder().join("stdout")).unwrap();
        log.lines().find(|line| line.contains("gone")).map(str::to_owned)
    };
    let line = eventually("its line", logged).await;
    assert!(
        line.contains("\"status\":499") && line.contains("\"cut\":true"),
        "{line}"
    );
}
