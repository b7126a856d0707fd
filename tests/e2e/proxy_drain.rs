//! An end in order: readiness says no first, what is served is served, what hangs is cut, and a second INT waits for nobody.

use std::time::Duration;

use harness::{Answer, Call, Connection, Message, Shop, eventually};

use crate::hostile_corpus::ANONYMOUS;

fn call(shop: &Shop, mark: &str) -> Message {
    Call::get(&format!("{ANONYMOUS}/{mark}")).to(&shop.gateway)
}

#[tokio::test]
async fn what_is_being_served_is_served_to_its_end_and_nothing_new_is_taken() {
    let shop = Shop::new().start().await;
    shop.upstream
        .answers("served-out", Answer::Late(Duration::from_secs(3)));
    let mut idle = call(&shop, "idle").connect().await.unwrap();
    idle.write(&call(&shop, "idle").octets()).await.unwrap();
    assert_eq!(idle.response("GET").await.unwrap().status, 200);
    let message = call(&shop, "served-out");
    let served = tokio::spawn(async move { message.send().await });
    eventually("it is upstream", async || {
        (shop.upstream.count("served-out") == 1).then_some(())
    })
    .await;

    shop.gateway.signal("TERM");
    eventually("readiness says no", async || {
        (!shop.gateway.is_ready().await).then_some(())
    })
    .await;
    let live = shop.gateway.admin_call(Call::get("/health/live")).await;
    assert!(idle.closes().await);
    eventually("nobody listens", async || {
        Connection::open(shop.gateway.public()).await.is_err().then_some(())
    })
    .await;

    let served = served.await.unwrap();
    assert_eq!((served.status, served.header("connection")), (200, Some("close")));
    assert_eq!(live.status, 200);
    assert!(shop.gateway.end().await.success());
}

#[tokio::test]
async fn readiness_says_no_while_the_listener_still_serves_for_the_delay() {
    let shop = Shop::new().set("public.limits", "drain_delay", "\"3s\"").start().await;

    shop.gateway.signal("TERM");
    eventually("readiness says no", async || {
        (!shop.gateway.is_ready().await).then_some(())
    })
    .await;
    let meanwhile = call(&shop, "meanwhile").send().await;

    assert_eq!(meanwhile.status, 200);
    assert!(shop.gateway.end().await.success());
}

#[tokio::test]
async fn what_hangs_is_cut_at_the_end_of_the_drain() {
    let shop = Shop::new()
        .set("public.limits", "drain_timeout", "\"500ms\"")
        .start()
        .await;
    shop.upstream.answers("hangs", Answer::Never);
    let message = call(&shop, "hangs");
    let hanging = tokio::spawn(async move { message.try_send().await });
    eventually("it is upstream", async || {
        (shop.upstream.count("hangs") == 1).then_some(())
    })
    .await;

    let begun = tokio::time::Instant::now();
    let status = shop.gateway.stop().await;

    assert_eq!(status.code(), Some(1));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(hanging.await.unwrap().is_err());
}

#[tokio::test]
async fn a_second_int_ends_at_once() {
    let shop = Shop::new().start().await;
    shop.upstream.answers("hangs", Answer::Never);
    let message = call(&shop, "hangs");
    let hanging = tokio::spawn(async move { message.try_send().await });
    eventually("it is upstream", async || {
        (shop.upstream.count("hangs") == 1).then_some(())
    })
    .await;

    shop.gateway.signal("INT");
    eventually("it drains", async || (!shop.gateway.is_ready().await).then_some(())).await;
    assert!(shop.gateway.ended().is_none());
    let begun = tokio::time::Instant::now();
    shop.gateway.signal("INT");
    let status = shop.gateway.end().await;

    assert_eq!(status.code(), Some(1));
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(hanging.await.unwrap().is_err());
}

#[tokio::test]
async fn the_last_lines_of_the_access_log_are_written() {
    let shop = Shop::new().start().await;
    for _ in 0..20 {
        assert_eq!(call(&shop, "logged-last").send().await.status, 200);
    }

    assert!(shop.gateway.stop().await.success());

    let log = std::fs::read_to_string(shop.gateway.folder().join("stdout")).unwrap();
    assert_eq!(log.lines().filter(|line| line.contains("logged-last")).count(), 20);
}
