//! Marks of timestamps that were served ahead of the clock: kept for as long as a request may name them.

use std::time::Duration;

use super::{claim, fresh_nonce, gateway, now, wait_until_it_serves};
use crate::Claim;
use crate::codec::token_digest;
use crate::contract::make::{THEN, consumer};
use crate::servers::{Options, Server};

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
