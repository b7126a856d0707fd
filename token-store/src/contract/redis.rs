//! Stores in Redis for the suite: each on servers of its own.

use std::any::Any;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Stores;
use crate::servers::{Cluster, Options, Sentinels, Server};
use crate::{Claim, ConsumerId, NonceClaim, OpenOptions, Store, UnixSeconds};

/// One server.
pub(super) static STANDALONE: LazyLock<Ahead> = LazyLock::new(|| {
    Ahead::of(6, || {
        Box::pin(async {
            let server = Server::start(Options::default()).await;
            opened(server.url(), server).await
        })
    })
});

/// A primary and its replica behind a Sentinel.
pub(super) static SENTINELS: LazyLock<Ahead> = LazyLock::new(|| {
    Ahead::of(3, || {
        Box::pin(async {
            let servers = Sentinels::start(Options::default(), 1).await;
            opened(servers.url(), servers).await
        })
    })
});

/// Three primaries.
pub(super) static CLUSTER: LazyLock<Ahead> = LazyLock::new(|| {
    Ahead::of(3, || {
        Box::pin(async {
            let cluster = Cluster::start(Options::default()).await;
            opened(cluster.url(), cluster).await
        })
    })
});

type Making = Pin<Box<dyn Future<Output = Stores>>>;

/// Stores made before they are asked for: a new one serves only after the second in which it was made, and a suite that
/// waited a second for each property would take minutes.
pub(super) struct Ahead(Mutex<Receiver<Stores>>);

impl Ahead {
    fn of(count: usize, make: fn() -> Making) -> Self {
        let (made, stores) = sync_channel(0);
        for _ in 0..count {
            let made = made.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Runtime::new().unwrap();
                while made.send(runtime.block_on(make())).is_ok() {}
            });
        }
        Self(Mutex::new(stores))
    }

    /// A new store, nobody else's.
    pub(super) async fn next(&'static self) -> Stores {
        let next = tokio::task::spawn_blocking(|| {
            let stores = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            stores.recv().expect("no server could be started: see above")
        });
        next.await.unwrap()
    }
}

/// Two gateways on one store; `alive` is what must go on running.
async fn opened(url: String, alive: impl Any + Send + Sync) -> Stores {
    let options = OpenOptions {
        url,
        encryption_keys: vec![[7; 32]],
        // No property is about time: a busy machine must not look like a server that is gone.
        timeout: Duration::from_secs(10),
        connect_timeout: Duration::from_secs(10),
        cache: 0,
        now: 0,
        serves: true,
    };
    let one = crate::redis::open(&options).await.unwrap();
    let other = crate::redis::open(&options).await.unwrap();
    for store in [&one, &other] {
        wait_until_it_serves(&**store).await;
    }
    Stores {
        one,
        other,
        now: real_time(),
        _alive: vec![Box::new(alive)],
    }
}

async fn wait_until_it_serves(store: &dyn Store) {
    for round in 0_u32..3000 {
        let now = real_time();
        let probe = NonceClaim {
            consumer: ConsumerId(u64::MAX),
            token: None,
            timestamp: now,
            nonce: &round.to_be_bytes(),
            now,
        };
        if store.claim_nonce(probe).await.unwrap() != Claim::Unsure {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("a new store serves after a second");
}

/// The server's clock and ours are one.
fn real_time() -> UnixSeconds {
    #[expect(clippy::disallowed_methods, reason = "Redis lives in real time")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).unwrap().as_secs()
}
