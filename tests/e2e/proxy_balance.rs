//! Several targets share the load as the balance says; one that is away is passed over; a reload moves none that is served.

use std::sync::Arc;
use std::time::Duration;

use harness::{Answer, Call, Message, Shop, ShopBuilder, Upstream, eventually};
use tokio::sync::Semaphore;

use crate::proxy_double::{Double, answer, read_head, shop_before};

/// A target that says its name.
async fn named(name: &'static str) -> Double {
    Double::start(move |mut stream, _| async move {
        while !read_head(&mut stream).await.is_empty() {
            if answer(&mut stream, name).await.is_err() {
                return;
            }
        }
    })
    .await
}

fn behind(targets: &[&Double], balance: &str) -> ShopBuilder {
    let urls: Vec<String> = targets
        .iter()
        .map(|one| format!("\"http://{}\"", one.address))
        .collect();
    shop_before(&format!("[{}]", urls.join(", "))).set("upstreams.double", "balance", &format!("\"{balance}\""))
}

async fn who(shop: &Shop) -> String {
    let got = Call::get("/double/who").send(&shop.gateway).await;
    assert_eq!(got.status, 200, "{}", got.text());
    got.text()
}

#[tokio::test]
async fn round_robin_goes_through_the_targets_in_turn() {
    let (a, b, c) = (named("a").await, named("b").await, named("c").await);
    let shop = behind(&[&a, &b, &c], "round-robin").start().await;

    let mut asked = Vec::new();
    for _ in 0..9 {
        asked.push(who(&shop).await);
    }

    assert_eq!(asked.concat(), "abc".repeat(3));
}

#[tokio::test]
async fn least_requests_goes_where_the_fewest_are_under_way() {
    let gate = Arc::new(Semaphore::new(0));
    let waits = Arc::clone(&gate);
    let busy = Double::start(move |mut stream, _| {
        let waits = Arc::clone(&waits);
        async move {
            while !read_head(&mut stream).await.is_empty() {
                waits.acquire().await.unwrap().forget();
                let _sent = answer(&mut stream, "busy").await;
            }
        }
    })
    .await;
    let idle = named("idle").await;
    let shop = behind(&[&busy, &idle], "least-requests").start().await;
    let held: Message = Call::get("/double/who").to(&shop.gateway);
    let held = tokio::spawn(async move { held.send().await.text() });
    eventually("the busy one is asked", async || (busy.accepted() == 1).then_some(())).await;

    let mut asked = Vec::new();
    for _ in 0..6 {
        asked.push(who(&shop).await);
    }
    gate.add_permits(100);

    assert_eq!(asked, ["idle"; 6]);
    assert_eq!(held.await.unwrap(), "busy");
}

#[tokio::test]
async fn hash_sends_one_consumer_to_one_target() {
    let (a, b, c) = (named("a").await, named("b").await, named("c").await);
    let route = "[[routes]]\npath = \"/signed/{*rest}\"\nmethods = [\"GET\"]\nupstream = \"double\"\nresources = [\"Magento_Catalog::products\"]\n";
    let shop = behind(&[&a, &b, &c], "hash").append(route).start().await;

    let mut of_consumers = Vec::new();
    for _ in 0..8 {
        let reader = shop.reader().await;
        let mut asked = Vec::new();
        for _ in 0..4 {
            asked.push(
                Call::get("/signed/who")
                    .signed_by(&reader)
                    .send(&shop.gateway)
                    .await
                    .text(),
            );
        }
        asked.dedup();
        assert_eq!(asked.len(), 1, "{asked:?}");
        of_consumers.extend(asked);
    }
    of_consumers.sort();
    of_consumers.dedup();

    assert!(of_consumers.len() > 1, "all went to {of_consumers:?}");
}

#[tokio::test]
async fn a_target_that_is_away_is_passed_over_by_what_may_be_sent_to_either() {
    let here = named("here").await;
    let away = harness::free_port();
    let targets = format!("[\"http://127.0.0.1:{away}\", \"http://{}\"]", here.address);
    for balance in ["round-robin", "least-requests", "hash"] {
        let shop = shop_before(&targets)
            .set("upstreams.double", "balance", &format!("\"{balance}\""))
            .start()
            .await;

        for _ in 0..30 {
            assert_eq!(who(&shop).await, "here", "{balance}");
        }
    }
    let shop = shop_before(&targets)
        .set("upstreams.double", "retry_broken", "false")
        .start()
        .await;

    let first = Call::get("/double/who")
        .asking_for_the_cause()
        .send(&shop.gateway)
        .await;

    assert_eq!(first.refusal(), (502, "upstream_connect"));
}

#[tokio::test]
async fn what_the_target_did_that_was_asked_is_told_not_that_another_was_away() {
    let breaks = Double::start(|mut stream, _| async move {
        read_head(&mut stream).await;
    })
    .await;
    let is_silent = Double::start(|mut stream, _| async move {
        read_head(&mut stream).await;
        read_head(&mut stream).await;
    })
    .await;
    for (asked, expected) in [
        (breaks, (502, "upstream_broken")),
        (is_silent, (504, "upstream_timeout")),
    ] {
        let away = harness::free_port();
        let targets = format!("[\"http://127.0.0.1:{away}\", \"http://{}\"]", asked.address);
        let shop = shop_before(&targets)
            .set("upstreams.double", "first_byte_timeout", "\"300ms\"")
            .start()
            .await;

        let call = Call::get("/double/who").asking_for_the_cause();

        assert_eq!(call.send(&shop.gateway).await.refusal(), expected);
        assert_eq!(asked.accepted(), 1);
    }
}

#[tokio::test]
async fn a_target_that_comes_back_is_asked_again() {
    let port = harness::free_port();
    let here = named("here").await;
    let shop = shop_before(&format!("[\"http://127.0.0.1:{port}\", \"http://{}\"]", here.address))
        .start()
        .await;
    assert_eq!(who(&shop).await, "here");

    let back = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = back.accept().await {
            while !read_head(&mut stream).await.is_empty() {
                let _sent = answer(&mut stream, "back").await;
            }
        }
    });

    eventually("it is asked again", async || (who(&shop).await == "back").then_some(())).await;
}

#[tokio::test]
async fn a_reload_moves_new_requests_and_lets_those_that_are_served_end_where_they_are() {
    let (old, new) = (Upstream::start().await, Upstream::start().await);
    old.answers("slow", Answer::Late(Duration::from_secs(2)));
    let shop = shop_before(&format!("[\"http://{}\"]", old.address())).start().await;
    let slow: Message = Call::get("/double/slow").to(&shop.gateway);
    let slow = tokio::spawn(async move { slow.send().await.status });
    eventually("it is upstream", async || (old.count("slow") == 1).then_some(())).await;

    let targets = format!("[\"http://{}\"]", new.address());
    shop.gateway
        .reload(|config| config.set("upstreams.double", "targets", &targets))
        .await;
    let fast = Call::get("/double/fast").send(&shop.gateway).await;

    assert_eq!(fast.status, 200);
    assert_eq!((old.count("fast"), new.count("fast")), (0, 1));
    assert_eq!(slow.await.unwrap(), 200);
}

#[tokio::test]
async fn limits_reload_for_requests_and_connections_to_come() {
    let upstream = named("here").await;
    let shop = shop_before(&upstream.targets()).start().await;
    let large = Call::post("/double/large").body("text/plain", vec![b'x'; 5_000]);
    assert_eq!(large.send(&shop.gateway).await.status, 200);

    let lowered = |config: harness::Config| {
        config
            .set("public.limits", "body", "\"1KiB\"")
            .set("public.limits", "headers", "5")
            .set("public.limits", "connections_per_address", "1")
    };
    shop.gateway.reload(lowered).await;
    let held = Call::get("/double/held").to(&shop.gateway);
    let mut first = held.connect().await.unwrap();
    first.write(&held.octets()).await.unwrap();
    let of_first = first.response("GET").await.unwrap();
    let mut second = held.connect().await.unwrap();
    let second_closes = second.closes().await;
    let many = (0..5).fold(held.clone(), |message, _| message.with_header("A", "b"));
    first.write(&many.octets()).await.unwrap();
    let of_many = first.response("GET").await.unwrap();

    assert_eq!((of_first.status, second_closes, of_many.status), (200, true, 431));
    drop(first);
    eventually("the place is free", async || {
        large
            .to(&shop.gateway)
            .try_send()
            .await
            .ok()
            .filter(|got| got.status == 413)
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_idles_makes_room_for_one_to_another_target() {
    let (a, b) = (named("a").await, named("b").await);
    let shop = behind(&[&a, &b], "round-robin")
        .set("public.limits", "upstream_connections", "1")
        .start()
        .await;

    let mut asked = Vec::new();
    for _ in 0..6 {
        asked.push(who(&shop).await);
    }

    assert_eq!(asked.concat(), "ab".repeat(3));
    assert_eq!((a.accepted(), b.accepted()), (3, 3));
}

#[tokio::test]
async fn a_connection_that_idles_makes_room_for_another_threads() {
    let (a, b) = (named("a").await, named("b").await);
    let shop = behind(&[&a, &b], "hash")
        .set("public", "threads", "4")
        .set("public.limits", "upstream_connections", "1")
        .start()
        .await;

    for _ in 0..20 {
        who(&shop).await;
    }
}
