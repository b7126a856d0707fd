//! Connections for records: pooled, every wait bounded, and a breaker in front, so that a dead server costs microseconds.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool_redis::{Connection, Manager, Pool, PoolError, Runtime, Timeouts};
use redis::{AsyncConnectionConfig, FromRedisValue, RedisError, ScriptInvocation};

use super::memory::{Shared, failed_before, reason, unavailable};
use super::nodes::Node;
use crate::StoreError;

/// The pool of the server that holds the records now.
#[derive(Default)]
pub(super) struct RedisPool {
    current: Mutex<Option<(Arc<Node>, Pool)>>,
    breaker: Breaker,
}

impl RedisPool {
    /// Runs a script where the records are.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        shared: &Shared,
        invocation: &ScriptInvocation<'_>,
    ) -> Result<T, StoreError> {
        if let Some(why) = self.breaker.stops() {
            return Err(failed_before(&why));
        }
        let limit = shared.dialer.connect_timeout + shared.dialer.timeout;
        let ran = tokio::time::timeout(limit, self.try_run(shared, invocation)).await;
        let ran = ran.unwrap_or_else(|_| Err(unavailable("the server took too long")));
        match &ran {
            Err(error @ StoreError::Unavailable(_)) => {
                if self.breaker.failed(error) {
                    shared.look.notify_one();
                }
            }
            Ok(_) | Err(StoreError::IdentityLost | StoreError::Corrupt(_)) => self.breaker.worked(),
        }
        ran
    }

    async fn try_run<T: FromRedisValue>(
        &self,
        shared: &Shared,
        invocation: &ScriptInvocation<'_>,
    ) -> Result<T, StoreError> {
        let mut connection = self.connection(shared).await?;
        match invocation.invoke_async(&mut connection).await {
            Ok(value) => Ok(value),
            Err(error) => {
                let error = of_redis(error);
                if matches!(error, StoreError::Unavailable(_)) {
                    // A late answer must never meet the next command, and a demoted server stays one.
                    drop(Connection::take(connection));
                }
                Err(error)
            }
        }
    }

    async fn connection(&self, shared: &Shared) -> Result<Connection, StoreError> {
        let known = shared.known()?;
        let home = known
            .map
            .home()
            .ok_or_else(|| unavailable("no server holds the records"))?;
        let pool = {
            let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            match &*current {
                Some((node, pool)) if Arc::ptr_eq(node, home) => pool.clone(),
                Some(_) | None => {
                    let pool = make(shared, home)?;
                    *current = Some((Arc::clone(home), pool.clone()));
                    pool
                }
            }
        };
        pool.get().await.map_err(|error| {
            if let PoolError::Backend(error) = error {
                of_redis(error)
            } else {
                StoreError::Unavailable(Box::new(error))
            }
        })
    }
}

fn make(shared: &Shared, home: &Node) -> Result<Pool, StoreError> {
    let unavailable = |error: RedisError| StoreError::Unavailable(Box::new(error));
    let (timeout, connect_timeout) = (shared.dialer.timeout, shared.dialer.connect_timeout);
    let info = shared
        .dialer
        .address
        .server(&home.host, home.port)
        .map_err(unavailable)?;
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(connect_timeout))
        .set_response_timeout(Some(timeout));
    let manager = Manager::new_with_config(info, config).map_err(unavailable)?;
    Pool::builder(manager)
        .max_size(CONNECTIONS)
        .timeouts(Timeouts {
            wait: Some(timeout),
            create: Some(connect_timeout + timeout),
            recycle: Some(timeout),
        })
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| StoreError::Unavailable(Box::new(error)))
}

/// What Redis says, as the store says it.
pub(super) fn of_redis(error: RedisError) -> StoreError {
    match error.code() {
        Some("IDENTITY") => StoreError::IdentityLost,
        Some("WRONGTYPE") => StoreError::Corrupt(error.to_string()),
        Some(_) | None if error.to_string().contains("WRONGTYPE") => StoreError::Corrupt(error.to_string()),
        Some(_) | None => StoreError::Unavailable(Box::new(error)),
    }
}

/// Opens after some failures in a row; then one call in a while finds out.
#[derive(Default)]
struct Breaker {
    failures: AtomicU32,
    shut: Mutex<Shut>,
}

#[derive(Default)]
struct Shut {
    until: Option<Instant>,
    /// The last failure.
    why: String,
}

impl Breaker {
    /// Why a call may not go through; `None`: it may.
    fn stops(&self) -> Option<String> {
        if self.failures.load(Ordering::Relaxed) < MOST_FAILURES {
            return None;
        }
        let now = now();
        let mut shut = self.shut.lock().unwrap_or_else(PoisonError::into_inner);
        if shut.until.is_some_and(|until| until > now) {
            return Some(shut.why.clone());
        }
        shut.until = Some(now + PROBE);
        None
    }

    /// Whether it has opened.
    fn failed(&self, error: &StoreError) -> bool {
        let opens = self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= MOST_FAILURES;
        if opens {
            *self.shut.lock().unwrap_or_else(PoisonError::into_inner) = Shut {
                until: Some(now() + PROBE),
                why: reason(error),
            };
        }
        opens
    }

    fn worked(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long the breaker stays open, in its own time"
)]
fn now() -> Instant {
    Instant::now()
}

const CONNECTIONS: usize = 16;
/// In a row.
const MOST_FAILURES: u32 = 5;
const PROBE: Duration = Duration::from_millis(100);
