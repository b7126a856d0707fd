//! Every bound is met in time, with its own status, and one past it costs nobody else.

use std::time::Duration;

use harness::{Answer, Call, Connection, Shop, Signing, eventually};

use crate::hostile_corpus::{ANONYMOUS, Case, refused_all};

fn get(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: shop.example\r\n{fields}\r\n")
}

#[tokio::test]
async fn heads_past_their_bounds_are_refused_each_with_its_status() {
    let long = |length: usize| "x".repeat(length);
    let many = |count: usize| "A: b\r\n".repeat(count);
    let path = |mark: &str, fill: usize| format!("{ANONYMOUS}/{mark}?{}", long(fill));
    let cases = [
        Case::malformed(
            "one-field",
            get(&path("one-field", 1), &format!("A: {}\r\n", long(40_000))),
        )
        .with(&[431]),
        Case::malformed(
            "two-fields",
            get(&path("two-fields", 1), &format!("A: {0}\r\nB: {0}\r\n", long(17_000))),
        )
        .with(&[431]),
        Case::malformed("a-name", get(&path("a-name", 1), &format!("{}: b\r\n", long(40_000)))).with(&[431]),
        Case::malformed("100-more", get(&path("100-more", 1), &many(100))).with(&[431]),
        Case::malformed("20000", get(&path("20000", 1), &many(20_000))).with(&[431]),
        Case::malformed("empty-values", get(&path("empty-values", 1), &"A:\r\n".repeat(200))).with(&[431]),
        Case::malformed("cookies", get(&path("cookies", 1), &"Cookie: a=b\r\n".repeat(150))).with(&[431]),
        Case::malformed("target", get(&path("target", 9_000), "")).with(&[414]),
        Case::malformed("long-target", get(&path("long-target", 100_000), "")).with(&[414]),
        Case::malformed("endless", format!("GET {ANONYMOUS}/endless?{}", long(1_000_000))).with(&[414]),
        Case::malformed(
            "endless-field",
            format!("GET {ANONYMOUS}/endless-field HTTP/1.1\r\nA: {}", long(1_000_000)),
        )
        .with(&[431]),
        Case::malformed(
            "endless-name",
            format!("GET {ANONYMOUS}/endless-name HTTP/1.1\r\n{}", long(1_000_000)),
        )
        .with(&[431]),
        Case::malformed(
            "arguments",
            get(&format!("{ANONYMOUS}/arguments?{}", "a=1&".repeat(1_001)), ""),
        )
        .may_go_on(),
    ];

    refused_all(Shop::attacked().await, &cases).await;
}

#[tokio::test]
async fn what_just_fits_its_bounds_is_served() {
    let shop = Shop::attacked().await;
    let path = |mark: &str| format!("{ANONYMOUS}/{mark}");
    let target = format!("{}?{}", path("fits-1"), "x".repeat(8192 - path("fits-1").len() - 1));
    let head = get(&path("fits-3"), "");
    let field = format!("A: {}\r\n", "b".repeat(32 * 1024 - head.len() - 5));
    let fitting = [
        get(&target, ""),
        get(&path("fits-2"), &"A: b\r\n".repeat(99)),
        get(&path("fits-3"), &field),
        get(&format!("{}?{}", path("fits-4"), "a&".repeat(999)), ""),
    ];

    for head in fitting {
        let mut connection = Connection::open(shop.gateway.public()).await.unwrap();
        connection.write(head.as_bytes()).await.unwrap();
        let response = connection.response("GET").await.unwrap();
        assert_eq!(response.status, 200, "{}", response.text());
    }
    assert_eq!(shop.upstream.count("fits-"), 4);
}

#[tokio::test]
async fn a_form_has_as_many_parameters_as_a_query_may() {
    let shop = Shop::attacked().await;
    let reader = shop.reader().await;
    let form = "a=1&".repeat(1_001);

    let response = Call::post("/rest/V1/products")
        .form(&form)
        .signed_by(&reader)
        .send(&shop.gateway)
        .await;

    assert_eq!(response.status, 400, "{}", response.text());
}

#[tokio::test]
async fn a_body_that_says_it_is_too_large_is_refused_before_any_of_it() {
    let shop = Shop::attacked().await;
    let head = format!("POST {ANONYMOUS}/declared HTTP/1.1\r\nHost: a\r\nContent-Length: 10485761\r\n\r\n");
    let mut connection = Connection::open(shop.gateway.public()).await.unwrap();

    connection.write(head.as_bytes()).await.unwrap();
    let response = connection.response("POST").await.unwrap();

    assert_eq!(response.status, 413);
    assert!(connection.closes().await);
    assert_eq!(shop.upstream.count("declared"), 0);
}

#[tokio::test]
async fn a_client_that_sends_its_whole_body_first_still_reads_why_it_was_refused() {
    let shop = Shop::attacked().await;
    for (mark, framing) in [
        ("sent", "Content-Length: 20000000\r\n"),
        ("chunked", "Transfer-Encoding: chunked\r\n"),
    ] {
        let head = format!("POST {ANONYMOUS}/{mark}-large HTTP/1.1\r\nHost: a\r\n{framing}\r\n");
        let chunk = if mark == "chunked" {
            format!("186a0\r\n{}\r\n", "x".repeat(100_000))
        } else {
            "x".repeat(100_000)
        };
        let mut connection = Connection::open(shop.gateway.public()).await.unwrap();

        connection.write(head.as_bytes()).await.unwrap();
        for _ in 0..200 {
            connection.write(chunk.as_bytes()).await.unwrap();
        }
        let response = connection.response("POST").await.unwrap();

        assert_eq!(response.status, 413, "{mark}");
        assert_eq!(shop.upstream.count(&format!("{mark}-large")), 0);
    }
}

#[tokio::test]
async fn a_body_up_to_its_bound_passes() {
    let shop = Shop::attacked().await;
    let body = vec![b'x'; 10 * 1024 * 1024];

    let response = Call::post(&format!("{ANONYMOUS}/ten"))
        .body("text/plain", &body)
        .send(&shop.gateway)
        .await;

    assert_eq!(response.status, 200);
    assert_eq!(shop.upstream.only("/ten").body.len(), body.len());
}

#[tokio::test]
async fn a_form_that_must_be_signed_is_bounded_earlier() {
    let shop = Shop::attacked().await;
    let reader = shop.reader().await;
    let form = format!("a={}", "x".repeat(1024 * 1024));
    let chunked = format!(
        "POST {ANONYMOUS}/form HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{form}\r\n0\r\n\r\n",
        form.len()
    );

    let declared = Call::post("/rest/V1/products")
        .form(&form)
        .signed_by(&reader)
        .send(&shop.gateway)
        .await;
    let mut connection = Connection::open(shop.gateway.public()).await.unwrap();
    connection.write(chunked.as_bytes()).await.unwrap();
    let sent = connection.response("POST").await.unwrap();

    assert_eq!((declared.status, sent.status), (413, 413));
}

#[tokio::test]
async fn an_authorization_header_and_its_values_are_bounded() {
    let shop = Shop::attacked().await;
    let reader = shop.reader().await;
    let call = |signing: Signing| Call::get("/rest/V1/products/bounded").signed(signing).to(&shop.gateway);
    let long = call(Signing::with(&reader))
        .with_changed_header("authorization", |value| format!("{value}, x=\"{}\"", "y".repeat(9_000)));
    let commas = call(Signing::with(&reader))
        .with_changed_header("authorization", |value| format!("{value}{}", ",".repeat(8_000)));
    let nonce = call(Signing::with(&reader).set("oauth_nonce", &"n".repeat(256)));
    let bearer = Call::get("/rest/V1/products/bounded")
        .header("Authorization", &format!("Bearer {}", "b".repeat(9_000)))
        .to(&shop.gateway);

    let statuses = [
        long.send().await.status,
        commas.send().await.status,
        nonce.send().await.status,
        bearer.send().await.status,
    ];

    assert_eq!(statuses, [400; 4]);
    assert_eq!(shop.upstream.count("bounded"), 0);
}

#[tokio::test]
async fn a_connection_ends_politely_after_its_last_request() {
    let shop = Shop::new()
        .set("public.limits", "requests_per_connection", "3")
        .start()
        .await;
    let mut connection = Connection::open(shop.gateway.public()).await.unwrap();
    let mut ends = Vec::new();

    for _ in 0..3 {
        connection
            .write(get(&format!("{ANONYMOUS}/kept"), "").as_bytes())
            .await
            .unwrap();
        let response = connection.response("GET").await.unwrap();
        ends.push(response.header("connection").map(str::to_owned));
    }

    assert_eq!(ends, [None, None, Some("close".to_owned())]);
    assert!(connection.closes().await);
}

#[tokio::test]
async fn connections_past_the_cap_of_their_address_are_closed_and_counted_and_a_place_is_free_again() {
    let shop = Shop::new()
        .set("public.limits", "connections_per_address", "3")
        .start()
        .await;
    let address = shop.gateway.public();
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut connection = Connection::open(address).await.unwrap();
        connection
            .write(get(&format!("{ANONYMOUS}/held"), "").as_bytes())
            .await
            .unwrap();
        assert_eq!(connection.response("GET").await.unwrap().status, 200);
        held.push(connection);
    }

    let mut past = Connection::open(address).await.unwrap();
    assert!(past.closes().await);
    assert_eq!(shop.gateway.metric("countersign_connections_refused_total").await, 1);
    held.pop();

    eventually("a place is free", async || {
        let answer = Call::get(&format!("{ANONYMOUS}/again"))
            .to(&shop.gateway)
            .try_send()
            .await;
        answer.ok().filter(|answer| answer.status == 200)
    })
    .await;
}

#[tokio::test]
async fn a_trusted_proxy_has_no_cap_of_its_own() {
    let shop = Shop::new()
        .set("public.limits", "connections_per_address", "1")
        .set("public", "trusted_proxies", "[\"127.0.0.0/8\"]")
        .start()
        .await;
    let mut held = Vec::new();
    for _ in 0..5 {
        let mut connection = Connection::open(shop.gateway.public()).await.unwrap();
        connection
            .write(get(&format!("{ANONYMOUS}/proxied"), "").as_bytes())
            .await
            .unwrap();
        assert_eq!(connection.response("GET").await.unwrap().status, 200);
        held.push(connection);
    }
}

#[tokio::test]
async fn connections_in_all_are_capped_over_all_threads() {
    let shop = Shop::new().set("public.limits", "connections", "8").start().await;
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut connection = Connection::open(shop.gateway.public()).await.unwrap();
        connection
            .write(get(&format!("{ANONYMOUS}/all"), "").as_bytes())
            .await
            .unwrap();
        assert_eq!(connection.response("GET").await.unwrap().status, 200);
        held.push(connection);
    }

    let mut past = Connection::open(shop.gateway.public()).await.unwrap();

    assert!(past.closes().await);
}

#[tokio::test]
async fn past_the_requests_in_flight_one_waits_a_moment_and_is_told_to_come_again() {
    let shop = Shop::new()
        .set("public.limits", "in_flight", "2")
        .set("public.limits", "in_flight_wait", "\"300ms\"")
        .start()
        .await;
    shop.upstream.answers("in-flight", Answer::Late(Duration::from_secs(3)));
    let call = Call::get(&format!("{ANONYMOUS}/in-flight"))
        .asking_for_the_cause()
        .to(&shop.gateway);
    let (first, second) = (tokio::spawn(send(call.clone())), tokio::spawn(send(call.clone())));
    eventually("both are upstream", async || {
        (shop.upstream.count("in-flight") == 2).then_some(())
    })
    .await;

    let third = call.send().await;

    assert_eq!(third.refusal(), (503, "overloaded"));
    assert_eq!(third.header("retry-after"), Some("1"));
    assert_eq!((first.await.unwrap(), second.await.unwrap()), (200, 200));
    assert_eq!(call.send().await.status, 200);
}

async fn send(message: harness::Message) -> u16 {
    message.send().await.status
}

#[tokio::test]
async fn who_is_counted_is_told_how_many_requests_are_left() {
    let limit = "[[limits]]\nper = \"address\"\nrequests = 3\nwindow = \"1h\"\n";
    let shop = Shop::new().append(limit).start().await;
    let call = Call::get(&format!("{ANONYMOUS}/counted")).asking_for_the_cause();

    let mut told = Vec::new();
    for _ in 0..4 {
        let answer = call.clone().send(&shop.gateway).await;
        let left = answer.header("ratelimit-remaining").unwrap_or_default().to_owned();
        assert_eq!(answer.header("ratelimit-limit"), Some("3"));
        for name in ["limit", "remaining", "reset"] {
            let (now, before) = (format!("ratelimit-{name}"), format!("x-ratelimit-{name}"));
            assert_eq!(answer.header(&now), answer.header(&before));
        }
        if answer.status == 429 {
            assert_eq!(answer.header("ratelimit-reset"), answer.header("retry-after"));
        }
        told.push((answer.status, left));
    }

    let expected = [(200, "2"), (200, "1"), (200, "0"), (429, "0")];
    assert_eq!(told, expected.map(|(status, left)| (status, left.to_owned())));
    let plain = Shop::shared().await;
    let uncounted = call.send(&plain.gateway).await;
    assert_eq!(uncounted.header("ratelimit-limit"), None);
}
