//! Waiting for conditions, never for luck; and the runtime that the doubles live on.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::sign::now;

/// The doubles' runtime: it outlives each test's own, so that a shop can be shared by tests.
pub fn background() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
    })
}

/// Asks again and again until `check` answers something; panics with `what` after half a minute.
pub async fn eventually<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until the second of the clock is another: what a store's first second may have held is past.
pub async fn next_second() {
    let before = now();
    while now() <= before {
        tokio::time::sleep(PAUSE).await;
    }
}

/// Generous: other people's builds run beside us.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(10);
