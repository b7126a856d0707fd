//! Many claims of the same nonces through several gateways while the server is killed, paused and cut off: none counts twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use super::{claim, gateway, now, wait_until_it_serves};
use crate::servers::{Options, Sentinels, Server};
use crate::{Claim, Store};

const CLAIMANTS: usize = 6;
const NONCES: usize = 4096;

/// How often each nonce was served.
struct Tally {
    served: Vec<AtomicU32>,
    over: AtomicBool,
}

/// Each claimant claims each nonce of the current second over and over; returns when the tally is over.
async fn claim_all(store: Arc<dyn Store>, tally: Arc<Tally>, first_second: u64) {
    while !tally.over.load(Ordering::SeqCst) {
        let second = now();
        for turn in 0..8_u64 {
            // Also those of the seconds before, and of a client half a minute ahead.
            for timestamp in [second, second.saturating_sub(2), second + 30] {
                let place = usize::try_from((timestamp + 2 - first_second) * 8 + turn).unwrap();
                let Some(served) = tally.served.get(place) else { return };
                let nonce = place.to_be_bytes();
                if let Ok(Claim::Fresh) = store.claim_nonce(claim(turn, timestamp, &nonce)).await {
                    served.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Starts the claimants, lets `harm` happen, and counts.
async fn nothing_counts_twice(url: &str, harm: impl AsyncFnOnce()) {
    let tally = Arc::new(Tally {
        served: (0..NONCES).map(|_| AtomicU32::new(0)).collect(),
        over: AtomicBool::new(false),
    });
    let mut gateways = Vec::new();
    for _ in 0..3 {
        gateways.push(gateway(url).await);
    }
    wait_until_it_serves(&*gateways[0]).await;
    let first_second = now();
    let claimants: Vec<_> = (0..CLAIMANTS)
        .map(|turn| {
            tokio::spawn(claim_all(
                Arc::clone(&gateways[turn % 3]),
                Arc::clone(&tally),
                first_second,
            ))
        })
        .collect();

    harm().await;
    for store in &gateways {
        wait_until_it_serves(&**store).await;
    }
    tally.over.store(true, Ordering::SeqCst);
    for claimant in claimants {
        claimant.await.unwrap();
    }

    let served: Vec<u32> = tally
        .served
        .iter()
        .map(|served| served.load(Ordering::SeqCst))
        .collect();
    let doubles: Vec<usize> = (0..NONCES).filter(|place| served[*place] > 1).collect();
    assert!(doubles.is_empty(), "served twice: {doubles:?}");
    assert!(served.iter().sum::<u32>() > 50, "and some were served at all");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_server_is_killed_and_paused() {
    let mut server = Server::start(Options {
        append_only: true,
        ..Options::default()
    })
    .await;
    let url = server.url();
    nothing_counts_twice(&url, async || {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            server.kill();
            tokio::time::sleep(Duration::from_millis(100)).await;
            server.start_again().await;
            tokio::time::sleep(Duration::from_millis(1500)).await;
            server.pause();
            tokio::time::sleep(Duration::from_millis(700)).await;
            server.resume();
            server.command(&["CLIENT", "KILL", "TYPE", "normal"]).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_server_forgets_what_came_after_its_snapshot() {
    let mut server = Server::start(Options::default()).await;
    let url = server.url();
    nothing_counts_twice(&url, async || {
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_millis(1300)).await;
            server.command(&["SAVE"]).await;
            tokio::time::sleep(Duration::from_millis(1300)).await;
            server.kill();
            server.start_again().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_primaries_fail_and_lose_their_tails() {
    let mut servers = Sentinels::start(Options::default(), 1).await;
    let url = servers.url();
    nothing_counts_twice(&url, async || {
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            servers.cut_replication().await;
            tokio::time::sleep(Duration::from_millis(1500)).await;
            servers.kill_primary().await;
            tokio::time::sleep(Duration::from_millis(1500)).await;
            servers.start_killed_again().await;
        }
    })
    .await;
}
