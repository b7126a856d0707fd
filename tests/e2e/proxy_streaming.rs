//! Bodies stream both ways as they come, and however large they are, memory stays flat.

use std::time::Duration;

use harness::{Answer, Call, Connection, Gateway, Placement, Shop, Signing};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::hostile_corpus::ANONYMOUS;
use crate::proxy_double::{Double, read_head, shop_before};

/// The gateway's resident memory, in KiB.
fn resident(gateway: &Gateway) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.process_id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_response_arrives_as_upstream_sends_it() {
    let shop = Shop::attacked().await;
    let pieces = Answer::Stream {
        piece: "data: tick\n\n",
        times: 3,
        pause: Duration::from_secs(2),
    };
    shop.upstream.answers("events", pieces);
    let message = Call::get(&format!("{ANONYMOUS}/events")).to(&shop.gateway);
    let mut connection = message.connect().await.unwrap();
    connection.write(&message.octets()).await.unwrap();

    let begun = tokio::time::Instant::now();
    let mut text = String::new();
    while !text.contains("tick") {
        text.push_str(&String::from_utf8_lossy(&connection.read().await.unwrap()));
    }

    // The last comes after six seconds.
    assert!(begun.elapsed() < Duration::from_millis(5_500), "held back");
}

#[tokio::test]
async fn a_post_without_a_body_says_so() {
    let shop = Shop::attacked().await;
    let reader = shop.reader().await;
    let path = |mark: &str| format!("{ANONYMOUS}/no-body-{mark}");
    let told = Call::post(&path("told")).to(&shop.gateway);
    let untold = told
        .clone()
        .with_target(&path("untold"))
        .without_header("content-length");
    let emptied = Call::post(&path("emptied")).signed(Signing::with(&reader).placed(Placement::Form));
    let get = Call::get(&path("get")).to(&shop.gateway);

    for message in [told, untold, emptied.to(&shop.gateway), get] {
        assert_eq!(message.send().await.status, 200, "{}", message.target);
    }

    for (mark, length) in [
        ("told", Some("0")),
        ("untold", Some("0")),
        ("emptied", Some("0")),
        ("get", None),
    ] {
        let seen = shop.upstream.only(&path(mark));
        assert_eq!(seen.header("content-length"), length, "{mark}");
        assert_eq!(seen.header("transfer-encoding"), None, "{mark}");
    }
}

#[tokio::test]
async fn a_request_body_arrives_as_the_client_sends_it() {
    let (came, mut first_octets) = tokio::sync::mpsc::unbounded_channel();
    let upstream = Double::start(move |mut stream, _| {
        let came = came.clone();
        async move {
            let mut text = read_head(&mut stream).await;
            while !text.contains("first") {
                let mut some = [0; 100];
                let more = stream.read(&mut some).await.unwrap();
                text.push_str(&String::from_utf8_lossy(some.get(..more).unwrap()));
            }
            let _told = came.send(());
            let _sent = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .await;
            let mut rest = Vec::new();
            let _ended = stream.read_to_end(&mut rest).await;
        }
    })
    .await;
    let shop = shop_before(&upstream.targets()).start().await;
    let head = "POST /double/stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n";
    let mut connection = Connection::open(shop.gateway.public()).await.unwrap();

    connection.write(head.as_bytes()).await.unwrap();

    let came = tokio::time::timeout(Duration::from_secs(20), first_octets.recv()).await;
    assert_eq!(came, Ok(Some(())));
}

#[tokio::test]
async fn memory_stays_flat_while_large_bodies_pass_both_ways() {
    const SIZE: usize = 300_000_000;
    let upstream = Double::start(|mut stream, _| async move {
        let head = read_head(&mut stream).await;
        let expected = head
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.split('\r').next())
            .map_or(0, |length| length.parse().unwrap());
        let mut received = head.split_once("\r\n\r\n").map_or(0, |(_, body)| body.len());
        let mut some = vec![0; 100_000];
        while received < expected {
            received += stream.read(&mut some).await.unwrap();
        }
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut left = SIZE;
        while left > 0 {
            let length = left.min(some.len());
            if stream.write_all(some.get(..length).unwrap()).await.is_err() {
                return;
            }
            left -= length;
        }
    })
    .await;
    let shop = shop_before(&upstream.targets())
        .set("public.limits", "body", "\"1GiB\"")
        .start()
        .await;
    let head = format!("POST /double/large HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n");
    let before = resident(&shop.gateway);
    let mut connection = Connection::open(shop.gateway.public()).await.unwrap();

    connection.write(head.as_bytes()).await.unwrap();
    let piece = vec![b'x'; 1_000_000];
    for _ in 0..SIZE / piece.len() {
        connection.write(&piece).await.unwrap();
    }
    let mut received = 0;
    while received < SIZE {
        let octets = connection.read().await.unwrap();
        assert!(!octets.is_empty(), "cut after {received}");
        received += octets.len();
        if received < 30_000_000 {
            // A reader that is slower than upstream: what it doesn't take must not pile up here.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    let grown = resident(&shop.gateway).saturating_sub(before);
    assert!(grown < 30_000, "{grown} KiB more");
}
