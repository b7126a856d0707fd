//! Marks of timestamps that were served ahead of the clock: kept for as long as a request may name them, however many.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::address::Address;
use super::super::feed::{self, Feed};
use super::super::meet::Absent;
use super::super::memory::Shared;
use super::super::nodes::Dialer;
use super::{claim, fresh_nonce, gateway, now, wait_until_it_serves};
use crate::Claim;
use crate::codec::token_digest;
use crate::contract::make::{THEN, consumer};
use crate::seal::Sealer;
use crate::servers::{Options, Reply, Server, wait_until};

/// What a gateway knows, without the gateway.
fn shared(url: &str) -> Arc<Shared> {
    let address = Address::parse(url).unwrap();
    // Short: what keeps a server longer than that never gets through.
    let dialer = Dialer::new(address, Duration::from_millis(50), Duration::from_secs(1));
    Arc::new(Shared::new(dialer, Sealer::new(&[[7; 32]]).unwrap()))
}

/// The feed runs until then.
async fn run_until(shared: &Arc<Shared>, first: Option<Feed>, what: &str, is_so: impl AsyncFnMut() -> bool) {
    tokio::select! {
        () = feed::run(Arc::clone(shared), first, None) => panic!("the feed ended"),
        () = wait_until(what, is_so) => shared.closed.store(true, Ordering::Release),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_whose_second_has_passed_is_found_by_a_gateway_that_starts_then() {
    let mut server = Server::start(Options::default()).await;
    let one = gateway(&server.url()).await;
    wait_until_it_serves(&*one).await;
    one.create_consumer(consumer("Shop sync"), THEN).await.unwrap().unwrap();
    server.command(&["SAVE"]).await;
    let (timestamp, nonce) = (now() + 10, fresh_nonce());
    let served = one.claim_nonce(claim(7, timestamp, &nonce)).await;

    // The nonce is lost; the mark is written again.
    server.kill();
    server.start_again().await;
    wait_until_it_serves(&*one).await;
    // Here marks are looked through each second.
    while now() < timestamp + 3 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let later = gateway(&server.url()).await;
    wait_until_it_serves(&*later).await;
    let again = later.claim_nonce(claim(7, timestamp, &nonce)).await;

    assert_eq!((served.unwrap(), again.unwrap()), (Claim::Fresh, Claim::Unsure));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loss_counts_for_as_long_as_who_was_farthest_ahead_may_be_behind() {
    let server = Server::start(Options::default()).await;
    let one = gateway(&server.url()).await;
    wait_until_it_serves(&*one).await;
    one.create_consumer(consumer("Shop sync"), THEN).await.unwrap().unwrap();
    drop(one);
    // As a loss a little more than half an hour ago left it, just before which somebody was far ahead.
    let (lost_at, timestamp) = (now() - 1850, now() - 900);
    let (floor, millis) = (lost_at.to_string(), (lost_at * 1000).to_string());
    let store = ["HSET", "{countersign}:store", "floor", &floor, "floor_at", &millis];
    server.command(&store).await;
    let member = format!("7:{}", token_digest("token"));
    let mark = ["ZADD", "{countersign}:ahead", &timestamp.to_string(), &member];
    server.command(&mark).await;

    let later = gateway(&server.url()).await;
    wait_until_it_serves(&*later).await;

    // Over several heartbeats.
    for _ in 0..15 {
        let claimed = later.claim_nonce(claim(7, timestamp, &fresh_nonce())).await;
        assert_eq!(claimed.unwrap(), Claim::Unsure);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn very_many_marks_are_given_to_a_server_and_read_from_it() {
    let mut server = Server::start(Options::default()).await;
    let one = gateway(&server.url()).await;
    wait_until_it_serves(&*one).await;
    one.create_consumer(consumer("Shop sync"), THEN).await.unwrap().unwrap();
    drop(one);
    server.command(&["SAVE"]).await;
    server.kill();
    server.start_again().await;
    let (giver, reader) = (shared(&server.url()), shared(&server.url()));
    let ahead = now() + 600;
    for turn in 0..90_000 {
        assert!(giver.mark(format!("{turn}:{}", token_digest("token")), ahead));
    }

    run_until(&giver, None, "they are given", async || giver.known().is_ok()).await;
    run_until(&reader, None, "they are read", async || {
        reader
            .known()
            .is_ok_and(|known| known.settled && known.ahead_before.len() == 90_000)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marks_that_no_window_allows_any_more_make_room_for_others() {
    let server = Server::start(Options::default()).await;
    let shared = shared(&server.url());
    let feed = Feed::meet(&shared, None, Absent::Make).await.unwrap();
    let counts = now() - 60;
    assert!(shared.mark("counts".to_owned(), counts));
    let mut turn = 0;
    while shared.mark(format!("passed {turn}"), now() - 2000) {
        turn += 1;
    }

    run_until(&shared, Some(feed), "there is room", async || {
        shared.mark("next".to_owned(), now() + 1)
    })
    .await;

    assert!(shared.is_marked("counts", counts));
    assert!(!shared.is_marked("passed 0", 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_earlier_server_says_does_not_count_while_the_next_is_given_marks() {
    let mut server = Server::start(Options::default()).await;
    let shared = shared(&server.url());
    let meets = async || Feed::meet(&shared, None, Absent::Make).await.is_ok();
    wait_until("the first is met", meets).await;
    let before = Arc::clone(&shared.known().unwrap().servers[0]);
    for turn in 0..90_000 {
        assert!(shared.mark(turn.to_string(), now() + 600));
    }
    server.command(&["SAVE"]).await;
    server.kill();
    server.start_again().await;

    let counts = async {
        wait_until("marks are given", async || {
            server.command(&["EXISTS", "{countersign}:ahead"]).await == Reply::Number(1)
        })
        .await;
        shared
            .known()
            .is_ok_and(|known| Arc::ptr_eq(&known.servers[0], &before))
    };
    let ((), still_counts) = tokio::join!(wait_until("the next is met", meets), counts);

    assert!(!still_counts);
}
