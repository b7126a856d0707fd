//! What only Redis promises: set-up, outages, damage, and that nothing is served twice whatever happens to the server.

mod ahead;
mod audit;
mod damage;
mod loss;
mod numbers;
mod outage;
mod reseals;
mod reshard;
mod seeds;
mod setup;
mod storm;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::servers::{Cluster, wait_until};
use crate::{Claim, ConsumerId, NonceClaim, OpenError, OpenOptions, Store, StoreError, UnixSeconds};

fn options(url: &str) -> OpenOptions {
    OpenOptions {
        url: url.to_owned(),
        encryption_keys: vec![[7; 32]],
        // Twice and four times the defaults: the machine may be busy with other tests.
        timeout: Duration::from_millis(500),
        connect_timeout: Duration::from_secs(1),
        cache: 1000,
        now: 0,
        serves: true,
    }
}

/// A gateway's own way in, the cache included.
async fn gateway(url: &str) -> Arc<dyn Store> {
    crate::open(&options(url)).await.unwrap()
}

async fn fault(options: &OpenOptions) -> OpenError {
    match crate::open(options).await {
        Ok(_) => panic!("{} was opened", options.url),
        Err(error) => error,
    }
}

/// The server's clock and ours are one.
fn now() -> UnixSeconds {
    #[expect(clippy::disallowed_methods, reason = "Redis lives in real time")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn claim(consumer: u64, timestamp: UnixSeconds, nonce: &[u8]) -> NonceClaim<'_> {
    NonceClaim {
        consumer: ConsumerId(consumer),
        token: Some("token"),
        timestamp,
        nonce,
        now: now(),
    }
}

fn fresh_nonce() -> Vec<u8> {
    let mut nonce = vec![0; 16];
    aws_lc_rs::rand::fill(&mut nonce).unwrap();
    nonce
}

/// Whether a request that was signed just now is served.
async fn serves(store: &dyn Store) -> bool {
    matches!(
        store.claim_nonce(claim(1, now(), &fresh_nonce())).await,
        Ok(Claim::Fresh)
    )
}

async fn wait_until_it_serves(store: &dyn Store) {
    wait_until("the store serves", async || serves(store).await).await;
}

async fn wait_until_it_is(store: &dyn Store, is_so: fn(&StoreError) -> bool) {
    wait_until("the store says what is wrong", async || {
        store.check().await.is_err_and(|error| is_so(&error))
    })
    .await;
}

fn is_unavailable(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(_))
}

fn is_lost(error: &StoreError) -> bool {
    matches!(error, StoreError::IdentityLost)
}

async fn holder_of_records(cluster: &Cluster) -> usize {
    let replies = cluster.command_all(&["KEYS", "{countersign}:store"]).await;
    replies.iter().position(|reply| !reply.list().is_empty()).unwrap()
}
