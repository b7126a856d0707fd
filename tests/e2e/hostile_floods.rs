//! HTTP/2 clients that cost much and pay nothing: floods of cheap frames, requests given up, windows that never open. Each
//! ends its own connection and nobody else's.
use std::time::Duration;

use harness::{Answer, Call, Shop, eventually};

use crate::hostile_corpus::ANONYMOUS;
use crate::hostile_frames::{
    CONTINUATION, DATA, END_HEADERS, ENHANCE_YOUR_CALM, HEADERS, PING, PRIORITY, RST_STREAM, Raw, SETTINGS,
    WINDOW_UPDATE, block, frame, get, pseudo,
};

/// Floods, then expects the end within a second or so, and an honest request served meanwhile.
async fn floods(shop: &Shop, what: &str, mut octets: impl FnMut(u32) -> Vec<u8>) -> Option<u32> {
    let mut raw = Raw::open(shop.gateway.public(), &[]).await;
    for turn in 0..3_000 {
        if raw.send(&octets(turn)).await.is_err() {
            break;
        }
    }
    let (took, said) = raw.closes().await;
    assert!(took < Duration::from_secs(10), "{what} took {took:?}");
    let honest = Call::get(&format!("{ANONYMOUS}/honest")).send(&shop.gateway).await;
    assert_eq!(honest.status, 200, "{what}");
    said
}

#[tokio::test]
async fn a_flood_of_any_cheap_frame_ends_its_connection() {
    let shop = Shop::attacked().await;
    shop.upstream
        .answers("rapid-reset", Answer::Late(Duration::from_millis(200)));
    let path = format!("{ANONYMOUS}/rapid-reset");
    let open = frame(
        HEADERS,
        END_HEADERS,
        1,
        &block(&pseudo("POST", &format!("{ANONYMOUS}/empty-data"))),
    );

    let pings = floods(shop, "PING", |_| frame(PING, 0, 0, &[0; 8])).await;
    let settings = floods(shop, "SETTINGS", |_| frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0xFF, 0xFF])).await;
    let priorities = floods(shop, "PRIORITY", |turn| {
        frame(PRIORITY, 0, turn * 2 + 1, &[0, 0, 0, 0, 1])
    })
    .await;
    let unknown = floods(shop, "unknown", |_| frame(0xF0, 0, 0, b"x")).await;
    let empty = floods(shop, "empty DATA", |turn| {
        if turn == 0 {
            open.clone()
        } else {
            frame(DATA, 0, 1, b"")
        }
    })
    .await;
    floods(shop, "rapid reset", |turn| {
        let stream = turn * 2 + 1;
        [get(stream, &path), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
    })
    .await;
    floods(shop, "WINDOW_UPDATE by nothing", |_| {
        frame(WINDOW_UPDATE, 0, 0, &[0; 4])
    })
    .await;

    assert_eq!(
        [pings, settings, priorities, unknown, empty],
        [Some(ENHANCE_YOUR_CALM); 5]
    );
    let reached = shop.upstream.count("rapid-reset");
    assert!(reached < 200, "{reached} reached upstream");
}

#[tokio::test]
async fn a_header_block_without_end_ends_its_connection() {
    let shop = Shop::attacked().await;
    let first = frame(HEADERS, 0, 1, &block(&pseudo("GET", &format!("{ANONYMOUS}/continued"))));
    let (small, large) = (block(&[("a", "b")]), block(&[("a", &"b".repeat(16_000))]));

    floods(shop, "CONTINUATION", |turn| {
        if turn == 0 {
            first.clone()
        } else {
            frame(CONTINUATION, 0, 1, &small)
        }
    })
    .await;
    floods(shop, "empty CONTINUATION", |turn| {
        if turn == 0 {
            first.clone()
        } else {
            frame(CONTINUATION, 0, 1, b"")
        }
    })
    .await;
    floods(shop, "large CONTINUATION", |turn| {
        if turn == 0 {
            first.clone()
        } else {
            frame(CONTINUATION, 0, 1, &large)
        }
    })
    .await;

    assert_eq!(shop.upstream.count("continued"), 0);
}

#[tokio::test]
async fn requests_that_are_refused_but_were_given_up_at_once_end_their_connection_too() {
    let shop = Shop::attacked().await;
    let mut raw = Raw::open(shop.gateway.public(), &[]).await;
    // Nobody signed it: it is answered before anybody could look for a reset.
    let path = "/rest/V1/products/given-up-at-once";

    for turn in 0..100_u32 {
        let stream = turn * 2 + 1;
        let both = [get(stream, path), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat();
        if raw.send(&both).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(12)).await;
    }

    let (_, said) = raw.closes().await;
    assert_eq!(said, Some(ENHANCE_YOUR_CALM));
}

#[tokio::test]
async fn requests_given_up_again_and_again_end_their_connection_however_slowly() {
    let shop = Shop::attacked().await;
    shop.upstream.answers("given-up", Answer::Never);
    let mut raw = Raw::open(shop.gateway.public(), &[]).await;
    let path = format!("{ANONYMOUS}/given-up");

    for turn in 0..60_u32 {
        let stream = turn * 2 + 1;
        if raw.send(&get(stream, &path)).await.is_err() {
            break;
        }
        let seen =
            async || (shop.upstream.count("given-up") > usize::try_from(turn).unwrap() || turn > 50).then_some(());
        eventually("it is upstream", seen).await;
        tokio::time::sleep(Duration::from_millis(12)).await;
        if raw.send(&frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])).await.is_err() {
            break;
        }
    }

    let (_, said) = raw.closes().await;
    assert_eq!(said, Some(ENHANCE_YOUR_CALM));
}

#[tokio::test]
async fn streams_past_their_bound_are_refused() {
    let shop = Shop::new().set("public.limits", "h2_streams", "5").start().await;
    shop.upstream
        .answers("many-streams", Answer::Late(Duration::from_secs(2)));
    let mut raw = Raw::open(shop.gateway.public(), &[]).await;
    raw.until(SETTINGS).await;
    let path = format!("{ANONYMOUS}/many-streams");

    for turn in 0..6 {
        raw.send(&get(turn * 2 + 1, &path)).await.unwrap();
    }
    let refused = raw.until(RST_STREAM).await;

    assert_eq!((refused.stream, refused.error()), (11, 7));
    assert!(shop.upstream.count("many-streams") <= 5);
}

#[tokio::test]
async fn a_window_that_never_opens_ends_the_connection() {
    let shop = Shop::new()
        .set("public.limits", "write_timeout", "\"1s\"")
        .set("public.limits", "header_timeout", "\"1s\"")
        .start()
        .await;
    let piece: &'static str = Box::leak("x".repeat(65_536).into_boxed_str());
    let answer = Answer::Stream {
        piece,
        times: 100,
        pause: Duration::ZERO,
    };
    shop.upstream.answers("closed-window", answer);
    // SETTINGS_INITIAL_WINDOW_SIZE
    for window in [0, 1] {
        let mut raw = Raw::open(shop.gateway.public(), &[(4, window)]).await;
        raw.send(&get(1, &format!("{ANONYMOUS}/closed-window"))).await.unwrap();
        raw.until(HEADERS).await;
        // Not even one that says it is there.
        for _ in 0..20 {
            let _sent = raw.send(&frame(PING, 0, 0, &[0; 8])).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }

        let (_, said) = raw.closes().await;

        assert_eq!(said, Some(ENHANCE_YOUR_CALM), "{window}");
    }
}
