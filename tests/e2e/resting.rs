//! A connection that has been silent for a while rests: its buffers are given back, and nobody notices.

use std::time::Duration;

use harness::{Call, Message, Shop};
use tokio::time::Instant;

use crate::hostile_corpus::ANONYMOUS;
use crate::proxy_double::{Double, answer, read_head, shop_before};

const UNTIL_IT_RESTS: Duration = Duration::from_secs(1);

fn call(shop: &Shop, mark: &str) -> Message {
    Call::get(&format!("{ANONYMOUS}/{mark}")).to(&shop.gateway)
}

#[tokio::test]
async fn a_connection_that_rests_is_served_again_and_again() {
    let shop = Shop::new().start().await;
    let mut rested = call(&shop, "rests").connect().await.unwrap();
    let mut statuses = Vec::new();

    for _ in 0..3 {
        rested.write(&call(&shop, "rests").octets()).await.unwrap();
        statuses.push(rested.response("GET").await.unwrap().status);
        tokio::time::sleep(UNTIL_IT_RESTS).await;
    }

    assert_eq!(statuses, [200; 3]);
    assert_eq!(shop.upstream.count("rests"), 3);
}

#[tokio::test]
async fn a_head_that_comes_in_pieces_wakes_a_resting_connection_and_is_served_once() {
    let shop = Shop::new().start().await;
    let octets = call(&shop, "pieces").octets();
    let (start, end) = octets.split_at(10);
    let mut rested = call(&shop, "pieces").connect().await.unwrap();
    rested.write(&octets).await.unwrap();
    rested.response("GET").await.unwrap();
    tokio::time::sleep(UNTIL_IT_RESTS).await;

    rested.write(start).await.unwrap();
    tokio::time::sleep(UNTIL_IT_RESTS).await;
    rested.write(end).await.unwrap();
    let served = rested.response("GET").await.unwrap();

    assert_eq!(served.status, 200);
    assert_eq!(shop.upstream.count("pieces"), 2);
}

#[tokio::test]
async fn the_rest_of_a_body_that_was_answered_early_is_never_taken_for_a_request() {
    let upstream = Double::start(|mut stream, _| async move {
        read_head(&mut stream).await;
        drop(answer(&mut stream, "early").await);
        tokio::time::sleep(Duration::from_secs(10)).await;
    })
    .await;
    let shop = shop_before(&upstream.targets()).start().await;
    let hidden = call(&shop, "hidden").octets();
    let framings = [
        (format!("Content-Length: {}", hidden.len() + 4), "0123", ""),
        (
            "Transfer-Encoding: chunked".to_owned(),
            "4\r\n0123\r\n",
            "\r\n0\r\n\r\n",
        ),
    ];

    for (framing, begun, end) in framings {
        let mut sender = call(&shop, "unused").connect().await.unwrap();
        let head = format!(
            "POST /double/early HTTP/1.1\r\nHost: {}\r\n{framing}\r\n\r\n{begun}",
            shop.gateway.public()
        );
        sender.write(head.as_bytes()).await.unwrap();
        assert_eq!(sender.response("POST").await.unwrap().status, 200);
        tokio::time::sleep(UNTIL_IT_RESTS).await;

        let mut rest = if end.is_empty() {
            Vec::new()
        } else {
            format!("{:x}\r\n", hidden.len()).into_bytes()
        };
        rest.extend_from_slice(&hidden);
        rest.extend_from_slice(end.as_bytes());
        let _refused_or_not_read = sender.write(&rest).await;
        tokio::time::sleep(UNTIL_IT_RESTS).await;

        assert_eq!(shop.upstream.count("hidden"), 0, "{framing}");
    }
}

#[tokio::test]
async fn a_resting_connection_ends_with_its_idle_time_counted_from_its_last_response() {
    let shop = Shop::new().set("public.limits", "idle_timeout", "\"3s\"").start().await;
    let mut rested = call(&shop, "ends").connect().await.unwrap();
    rested.write(&call(&shop, "ends").octets()).await.unwrap();
    rested.response("GET").await.unwrap();
    let answered = Instant::now();

    assert!(rested.closes().await);

    let lived = answered.elapsed();
    assert!(lived >= Duration::from_millis(2900), "{lived:?}");
    assert!(lived < Duration::from_secs(8), "{lived:?}");
}

#[tokio::test]
async fn a_drain_ends_a_resting_connection_at_once() {
    let shop = Shop::new().start().await;
    let mut rested = call(&shop, "drained").connect().await.unwrap();
    rested.write(&call(&shop, "drained").octets()).await.unwrap();
    rested.response("GET").await.unwrap();
    tokio::time::sleep(UNTIL_IT_RESTS).await;

    shop.gateway.signal("TERM");

    assert!(rested.closes().await);
    assert!(shop.gateway.end().await.success());
}
