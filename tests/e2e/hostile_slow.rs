//! Clients that are slow on purpose are ended within their bounds, and crowd nobody out meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use harness::{Answer, Call, Connection, Message, Response, Shop, ShopBuilder, background, eventually};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::hostile_corpus::ANONYMOUS;
use crate::tls_certificates::Authority;

/// Far fewer requests in flight than slow clients: they must not take the honest ones' places.
fn shop() -> ShopBuilder {
    Shop::new()
        .set("public.limits", "header_timeout", "\"1s\"")
        .set("public.limits", "body_timeout", "\"1s\"")
        .set("public.limits", "idle_timeout", "\"1s\"")
        .set("public.limits", "write_timeout", "\"1s\"")
        .set("public.limits", "in_flight", "8")
}

/// Asks again and again until told to stop; all must be served.
struct Honest {
    stop: Arc<AtomicBool>,
    asking: JoinHandle<usize>,
}

impl Honest {
    fn ask(shop: &Shop) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, call) = (
            Arc::clone(&stop),
            Call::get(&format!("{ANONYMOUS}/honest")).to(&shop.gateway),
        );
        let asking = background().spawn(async move {
            let mut served = 0;
            while !stopped.load(Ordering::Relaxed) {
                let answer = call.send().await;
                assert_eq!(answer.status, 200, "{}", answer.text());
                served += 1;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            served
        });
        Self { stop, asking }
    }

    async fn all_were_served(self) {
        self.stop.store(true, Ordering::Relaxed);
        assert!(self.asking.await.unwrap() > 10);
    }
}

/// Sends `first`, then one of `drip` every tenth of a second until the other end closes; what it said.
async fn drip(address: std::net::SocketAddr, first: String, drip: &'static str) -> String {
    let mut connection = Connection::open(address).await.unwrap();
    connection.write(first.as_bytes()).await.unwrap();
    let begun = Instant::now();
    let mut said = Vec::new();
    loop {
        assert!(begun.elapsed() < Duration::from_secs(25), "never ended");
        let read = tokio::time::timeout(Duration::from_millis(100), connection.read()).await;
        match read {
            Ok(Ok(octets)) if octets.is_empty() => break,
            Ok(Ok(octets)) => said.extend(octets),
            Ok(Err(_)) => break,
            Err(_) if drip.is_empty() => {}
            // Nothing can be sent where the other end has closed: that is what we wait for.
            Err(_) => drop(connection.write(drip.as_bytes()).await),
        }
    }
    String::from_utf8_lossy(&said).into_owned()
}

/// Many at once in one mode; what the last of them was told.
async fn many(shop: &Shop, first: &str, dripped: &'static str) -> String {
    let honest = Honest::ask(shop);
    let address = shop.gateway.public();
    let slow: Vec<JoinHandle<String>> = (0..150)
        .map(|_| tokio::spawn(drip(address, first.to_owned(), dripped)))
        .collect();
    let mut told = String::new();
    for one in slow {
        told = one.await.unwrap();
    }
    honest.all_were_served().await;
    told
}

fn status(told: &str) -> &str {
    told.get(..12).unwrap_or(told)
}

#[tokio::test]
async fn heads_that_never_end_are_told_so_and_closed() {
    let shop = shop().start().await;

    let fields = many(
        &shop,
        &format!("GET {ANONYMOUS}/slow-head HTTP/1.1\r\nHost: a\r\n"),
        "A: b\r\n",
    )
    .await;
    let half_a_line = many(&shop, &format!("GET {ANONYMOUS}/half-a-l"), "").await;
    let a_letter = many(&shop, "P", "").await;

    assert_eq!(
        (status(&fields), status(&half_a_line)),
        ("HTTP/1.1 408", "HTTP/1.1 408")
    );
    assert!(a_letter.is_empty() || status(&a_letter) == "HTTP/1.1 408", "{a_letter}");
    assert!(fields.to_lowercase().contains("x-request-id: "));
    assert_eq!(shop.upstream.count("slow-head"), 0);
}

#[tokio::test]
async fn connections_without_a_request_are_closed_without_a_word() {
    let shop = shop().start().await;
    let served = format!("GET {ANONYMOUS}/then-idle HTTP/1.1\r\nHost: a\r\n\r\n");

    let never = many(&shop, "", "").await;
    let after_one = many(&shop, &served, "").await;
    let empty_lines = many(&shop, "\r\n", "").await;

    assert_eq!((never.as_str(), empty_lines.as_str()), ("", ""));
    assert_eq!(
        (status(&after_one), after_one.matches("HTTP/1.1").count()),
        ("HTTP/1.1 200", 1)
    );
}

#[tokio::test]
async fn bodies_that_never_end_are_told_so_wherever_they_are_read() {
    let shop = shop().start().await;
    let head = |fields: &str| format!("POST {ANONYMOUS}/slow-body HTTP/1.1\r\nHost: a\r\n{fields}\r\n");

    let length = many(&shop, &head("Content-Length: 100000\r\n"), "x").await;
    let chunks = many(&shop, &head("Transfer-Encoding: chunked\r\n"), "1\r\nx\r\n").await;
    let form = many(
        &shop,
        &head("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100000\r\n"),
        "a",
    )
    .await;
    let endpoint = many(
        &shop,
        "POST /oauth/token/request HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n",
        "a",
    )
    .await;

    let told = [&length, &chunks, &form, &endpoint].map(|told| status(told));
    assert_eq!(told, ["HTTP/1.1 408"; 4]);
    assert_eq!(shop.upstream.count("slow-body"), 0);
}

#[tokio::test]
async fn a_body_within_its_rate_may_take_longer_than_the_first_octets_and_upstreams_time() {
    let shop = shop()
        .set("upstreams.storefront", "first_byte_timeout", "\"500ms\"")
        .set("public.limits", "body_rate", "\"1KiB\"")
        .start()
        .await;
    let head = format!("POST {ANONYMOUS}/steady HTTP/1.1\r\nHost: a\r\nContent-Length: 20480\r\n\r\n");
    let mut connection = Connection::open(shop.gateway.public()).await.unwrap();

    connection.write(head.as_bytes()).await.unwrap();
    for _ in 0..20 {
        connection.write(&[b'x'; 1024]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
    let response = connection.response("POST").await.unwrap();

    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(shop.upstream.only("steady").body.len(), 20_480);
}

#[tokio::test]
async fn clients_that_do_not_read_are_cut_and_their_requests_are_logged_as_cut() {
    let shop = shop().start().await;
    let piece: &'static str = Box::leak("x".repeat(65_536).into_boxed_str());
    let large = Answer::Stream {
        piece,
        times: 2_000,
        pause: Duration::ZERO,
    };
    shop.upstream.answers("never-read", large);
    let honest = Honest::ask(&shop);
    let head = format!("GET {ANONYMOUS}/never-read HTTP/1.1\r\nHost: a\r\n\r\n");

    let mut held = Vec::new();
    for _ in 0..30 {
        let mut connection = Connection::open(shop.gateway.public()).await.unwrap();
        connection.write(head.as_bytes()).await.unwrap();
        let first = connection.read().await.unwrap();
        held.push((connection, head_of(&first)));
    }

    for (mut connection, response) in held {
        let line = shop.gateway.access_line(&response).await;
        assert_eq!(
            (line["status"].as_u64(), line["cut"].as_bool()),
            (Some(200), Some(true)),
            "{line}"
        );
        assert!(connection.closes().await);
    }
    honest.all_were_served().await;
}

fn head_of(octets: &[u8]) -> Response {
    let text = String::from_utf8_lossy(octets).into_owned();
    let fields = text.lines().skip(1).take_while(|line| !line.is_empty());
    Response {
        status: text.get(9..12).unwrap().parse().unwrap(),
        headers: fields
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        body: Vec::new(),
    }
}

#[tokio::test]
async fn a_slow_reader_that_goes_on_reading_gets_all_of_it() {
    let shop = shop()
        .set("upstreams.storefront", "request_timeout", "\"1s\"")
        .start()
        .await;
    let piece: &'static str = Box::leak("x".repeat(65_536).into_boxed_str());
    let large = Answer::Stream {
        piece,
        times: 300,
        pause: Duration::ZERO,
    };
    shop.upstream.answers("read-slowly", large);
    let message: Message = Call::get(&format!("{ANONYMOUS}/read-slowly")).to(&shop.gateway);
    let mut connection = message.connect().await.unwrap();
    connection.write(&message.octets()).await.unwrap();

    let mut received = 0;
    let mut turns = 0;
    loop {
        let octets = connection.read().await.unwrap();
        received += octets.len();
        turns += 1;
        if turns % 25 == 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        if octets.ends_with(b"0\r\n\r\n") {
            break;
        }
        assert!(!octets.is_empty(), "cut after {received}");
    }

    assert!(received > 300 * 65_536);
}

#[tokio::test]
async fn a_slow_handshake_of_tls_is_ended() {
    let identity = Authority::new().server(&["shop.example"]);
    let shop = shop()
        .set("public.limits", "tls_handshake_timeout", "\"1s\"")
        .set("public.tls", "cert", &format!("\"{}\"", identity.certificate()))
        .set("public.tls", "key", &format!("\"{}\"", identity.key()))
        .start()
        .await;

    let silent = drip(shop.gateway.public(), String::new(), "").await;
    let hello = drip(shop.gateway.public(), "\u{16}\u{3}\u{1}".to_owned(), "").await;

    assert_eq!((silent.as_str(), hello.as_str()), ("", ""));
    eventually("it still serves", async || shop.gateway.is_ready().await.then_some(())).await;
}

#[tokio::test]
async fn a_head_that_begins_as_http_2_does_has_no_more_time_than_any_other() {
    let shop = shop()
        .set("public.limits", "header_timeout", "\"3s\"")
        .set("public.limits", "idle_timeout", "\"30s\"")
        .start()
        .await;
    let slow = async {
        let mut connection = Connection::open(shop.gateway.public()).await.unwrap();
        connection.write(b"P").await.unwrap();
        let begun = Instant::now();
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        connection.write(b"OST / HTTP/1.1\r\nHost: a\r\n").await.unwrap();
        assert!(connection.closes().await);
        begun.elapsed()
    };
    let quick = async {
        let mut connection = Connection::open(shop.gateway.public()).await.unwrap();
        connection.write(b"P").await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let rest = format!("OST {ANONYMOUS}/in-time HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        connection.write(rest.as_bytes()).await.unwrap();
        let first = connection.response("POST").await.unwrap();
        tokio::time::sleep(Duration::from_millis(3_500)).await;
        connection.write(b"P").await.unwrap();
        connection.write(rest.as_bytes()).await.unwrap();
        let second = connection.response("POST").await.unwrap();
        (first.status, second.status)
    };

    let (took, told) = tokio::join!(slow, quick);

    assert!(took < Duration::from_millis(4_500), "{took:?}");
    assert_eq!(told, (200, 200));
}
