//! However many requests HTTP/2 puts on one connection of a client's: connections to upstreams are bounded, and who sends one
//! at a time is served beside who sends many.

use std::time::Duration;

use harness::{Answer, Call, Connection, Shop, ShopBuilder};
use tokio::task::JoinSet;

use crate::hostile_corpus::ANONYMOUS;
use crate::hostile_frames::{HEADERS, Raw, get};

const SETTINGS_INITIAL_WINDOW_SIZE: u16 = 4;
/// A status of 200, indexed (RFC 7541, appendix A).
const OK: u8 = 0x88;

fn shop(upstream_connections: usize) -> ShopBuilder {
    Shop::new()
        .set("public.limits", "in_flight", "8")
        .set("public.limits", "in_flight_wait", "\"300ms\"")
        .set(
            "public.limits",
            "upstream_connections",
            &upstream_connections.to_string(),
        )
}

/// More than any buffer on the way takes.
fn large() -> Answer {
    Answer::Stream {
        piece: Box::leak("x".repeat(65_536).into_boxed_str()),
        times: 2_000,
        pause: Duration::ZERO,
    }
}

#[tokio::test]
async fn connections_to_upstreams_are_no_more_than_there_may_be() {
    let shop = shop(4).start().await;
    shop.upstream.answers("never-read-by", large());
    let head = format!("GET {ANONYMOUS}/never-read-by HTTP/1.1\r\nHost: a\r\n\r\n");

    let mut held = Vec::new();
    for _ in 0..8 {
        let mut connection = Connection::open(shop.gateway.public()).await.unwrap();
        connection.write(head.as_bytes()).await.unwrap();
        let first = String::from_utf8_lossy(&connection.read().await.unwrap()).into_owned();
        held.push((connection, first));
    }

    let begins = |status: &str| held.iter().filter(|(_, first)| first.starts_with(status)).count();
    assert_eq!((begins("HTTP/1.1 200"), begins("HTTP/1.1 503")), (4, 4));
    let refused = held.iter().filter(|(_, first)| first.starts_with("HTTP/1.1 503"));
    assert!(
        refused
            .clone()
            .all(|(_, first)| first.to_lowercase().contains("retry-after: "))
    );
    assert_eq!(shop.upstream.most_open(), 4);
}

#[tokio::test]
async fn requests_at_once_share_the_connections_that_there_are() {
    let shop = shop(2).set("public.limits", "in_flight_wait", "\"20s\"").start().await;
    shop.upstream
        .answers("shared-by-turns", Answer::Late(Duration::from_millis(20)));
    let call = Call::get(&format!("{ANONYMOUS}/shared-by-turns")).to(&shop.gateway);

    let mut asking = JoinSet::new();
    for _ in 0..40 {
        let call = call.clone();
        asking.spawn(async move { call.send().await.status });
    }
    let told = asking.join_all().await;

    assert_eq!(told, [200; 40]);
    // Upstream hears of an end a moment after the place was given on; unbounded, there were as many as requests in flight.
    assert!(shop.upstream.most_open() < 8, "{}", shop.upstream.most_open());
}

#[tokio::test]
async fn streams_that_their_clients_do_not_read_leave_room_for_who_sends_one_request_at_a_time() {
    let shop = shop(20).start().await;
    shop.upstream.answers("never-read-streams", large());
    let streams: Vec<u8> = (0..40_u32)
        .flat_map(|number| get(number * 2 + 1, &format!("{ANONYMOUS}/never-read-streams")))
        .collect();

    let (mut held, mut served) = (Vec::new(), 0);
    for _ in 0..3 {
        let mut raw = Raw::open(shop.gateway.public(), &[(SETTINGS_INITIAL_WINDOW_SIZE, 0)]).await;
        raw.send(&streams).await.unwrap();
        for _ in 0..40 {
            let head = raw.until(HEADERS).await;
            served += usize::from(head.payload.first() == Some(&OK));
        }
        held.push(raw);
    }
    let honest = Call::get(&format!("{ANONYMOUS}/honest")).send(&shop.gateway).await;

    // Half of them, and the first of each connection.
    assert_eq!(served, 13);
    assert_eq!(honest.status, 200, "{}", honest.text());
    assert!(shop.upstream.most_open() <= 20, "{}", shop.upstream.most_open());
}
