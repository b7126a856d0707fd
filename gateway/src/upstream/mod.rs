//! Upstreams: their targets, and for each worker a pool of connections to them.

pub mod ask;
pub mod board;
mod breaker;
pub mod connect;
mod head_bound;
pub mod health;
mod pool;
mod resign;
pub mod room;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::{Request, Response};

use self::breaker::Breaker;
use self::pool::Pool;
pub use self::pool::{Lease, certificate_name};
pub use self::resign::Resign;
use self::room::Room;
use crate::clock::Clock;
use crate::refusal::Cause;
use crate::{config, live};

/// One upstream as one worker sees it.
pub struct Upstream<B> {
    config: Arc<config::Upstream>,
    targets: Vec<Target<B>>,
    next: Cell<usize>,
    clock: Clock,
    /// Tenths of a try on another target: each request earns one.
    tries: Cell<u32>,
}

struct Target<B> {
    /// As the log calls it.
    name: Rc<str>,
    pool: Rc<Pool<B>>,
    /// What `Host` says: the configured name, or the target's own authority.
    host: http::HeaderValue,
    /// Requests under way.
    active: Rc<Cell<usize>>,
    /// Until then others are asked first: it refused a connection.
    down_until: Cell<Option<Instant>>,
    breaker: Breaker,
    /// Set while it fails its health check; `None`: it has none.
    fails: Option<Arc<AtomicBool>>,
}

/// A response, and the lease of the connection it comes on: give the lease back when the body has ended.
pub struct Answer<B> {
    /// Head, and the body as it comes.
    pub response: Response<Incoming>,
    /// The connection.
    pub lease: Lease<B>,
    /// Held while the response streams.
    pub active: Active,
}

/// Counts a request against its target until dropped.
pub struct Active {
    active: Rc<Cell<usize>>,
}

impl Active {
    fn begin<B>(target: &Target<B>) -> Self {
        target.active.set(target.active.get() + 1);
        Self {
            active: Rc::clone(&target.active),
        }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.active.set(self.active.get() - 1);
    }
}

impl<B> Upstream<B>
where
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<crate::body::BodyError>,
{
    /// With one empty pool a target.
    pub fn new(upstream: &live::Upstream, room: &Rc<Room<B>>, clock: Clock) -> Self {
        let (config, tls) = (&upstream.config, &upstream.tls);
        let targets = config
            .targets
            .iter()
            .enumerate()
            .filter_map(|(number, target)| {
                let host = config.host.clone().unwrap_or_else(|| authority(target));
                Some(Target {
                    name: authority(target).into(),
                    pool: Pool::new(target.clone(), (config, Arc::clone(tls)), room, clock),
                    host: http::HeaderValue::from_str(&host).ok()?,
                    active: Rc::default(),
                    down_until: Cell::new(None),
                    breaker: Breaker::new(config.circuit_breaker),
                    fails: upstream.health.of_target(number),
                })
            })
            .collect();
        Self {
            config: Arc::clone(config),
            targets,
            next: Cell::new(0),
            clock,
            tries: Cell::new(MOST_TRIES),
        }
    }

    /// What it was made from.
    pub fn config(&self) -> &config::Upstream {
        &self.config
    }

    /// Forwards the request that stands in `request`, its URI in origin form; `Host` is set here. `hash` picks the target
    /// where the balance is by consumer. A target that can't be reached is passed over for another, where the request may
    /// be sent to either; `asks` hears of each before it is asked.
    pub async fn send(
        &self,
        request: &mut Option<Request<B>>,
        hash: u64,
        upstream_since: &Cell<Option<Instant>>,
        asks: impl Fn(&Rc<str>),
    ) -> Result<Answer<B>, Cause> {
        self.tries.set((self.tries.get() + 1).min(MOST_TRIES));
        let is_idempotent = request.as_ref().is_some_and(|one| one.method().is_idempotent());
        let may_move = self.config.retry_broken && is_idempotent;
        let has_body = request.as_ref().is_some_and(|one| !one.body().is_end_stream());
        // What became of the request: that a target was away is said only where none was asked.
        let mut told = None;
        loop {
            let target = self
                .pick(hash)
                .ok_or_else(|| told.unwrap_or(Cause::UpstreamUnhealthy))?;
            target.breaker.begin(|| self.clock.instant());
            if let Some(request) = request {
                request.headers_mut().insert(http::header::HOST, target.host.clone());
            }
            asks(&target.name);
            let active = Active::begin(target);
            let failed = match target.pool.send(request, upstream_since).await {
                Ok((response, lease)) => {
                    target.down_until.set(None);
                    if target.breaker.answered() {
                        tracing::info!(target = ?target.host, "upstream serves again");
                    }
                    return Ok(Answer {
                        response,
                        lease,
                        active,
                    });
                }
                Err(failed) => failed,
            };
            let cause = match told {
                Some(before) if failed == Cause::UpstreamConnect => before,
                Some(_) | None => failed,
            };
            told = Some(cause);
            if target.breaker.failed(failed, has_body, self.clock.instant()) {
                tracing::warn!(target = ?target.host, cause = failed.as_str(), "upstream failed too often: nothing is sent there for a while");
            }
            if failed == Cause::UpstreamConnect {
                target.down_until.set(Some(self.clock.instant() + PASSED_OVER));
            }
            // A target is not at fault where we have no room for one more connection.
            let moves =
                failed != Cause::Overloaded && request.is_some() && may_move && self.has_another() && self.spend_try();
            if !moves {
                return Err(cause);
            }
        }
    }

    fn has_another(&self) -> bool {
        let now = self.clock.instant();
        self.targets
            .iter()
            .any(|target| !target.is_down(now) && !target.is_out(|| now))
    }

    fn spend_try(&self) -> bool {
        let left = self.tries.get().checked_sub(10);
        self.tries.set(left.unwrap_or_default());
        left.is_some()
    }

    /// Ends connections that idled too long.
    pub fn close_idle(&self) {
        for target in &self.targets {
            target.pool.close_idle();
        }
    }

    /// The next target by the balance; one that is down only where all are, one whose breaker is open or that fails its
    /// health check never.
    fn pick(&self, hash: u64) -> Option<&Target<B>> {
        let count = self.targets.len();
        if count <= 1 {
            let only = self.targets.first();
            return only.filter(|target| !target.is_out(|| self.clock.instant()));
        }
        let turn = self.next.get();
        let first = match self.config.balance {
            config::Balance::RoundRobin | config::Balance::LeastRequests => {
                self.next.set(turn.wrapping_add(1));
                turn % count
            }
            config::Balance::Hash => {
                let count = u64::try_from(count).unwrap_or(1);
                usize::try_from(hash % count).unwrap_or_default()
            }
        };
        let now = self.clock.instant();
        // In turn from the first on, so that equals share the load, too.
        let in_turn = || {
            let all = self.targets.iter().cycle().skip(first).take(count);
            all.filter(|target| !target.is_out(|| now))
        };
        let up = in_turn().filter(|target| !target.is_down(now));
        let picked = match self.config.balance {
            config::Balance::RoundRobin | config::Balance::Hash => up.into_iter().next(),
            config::Balance::LeastRequests => up.min_by_key(|target| target.active.get()),
        };
        picked.or_else(|| in_turn().next())
    }
}

impl<B> Target<B> {
    fn is_down(&self, now: Instant) -> bool {
        self.down_until.get().is_some_and(|until| now < until)
    }

    /// Whether nothing is to be sent there at `now`.
    fn is_out(&self, now: impl FnOnce() -> Instant) -> bool {
        self.fails_its_check() || self.breaker.refuses(now)
    }

    fn fails_its_check(&self) -> bool {
        self.fails.as_ref().is_some_and(|fails| fails.load(Ordering::Relaxed))
    }
}

/// For how long a target that refused a connection is passed over.
const PASSED_OVER: Duration = Duration::from_secs(1);
/// Ten tries at once; in the long run one for ten requests.
const MOST_TRIES: u32 = 100;

/// `host:port`, without the port where it is the scheme's own.
pub fn authority(target: &config::UpstreamTarget) -> String {
    let host = if target.host.contains(':') {
        format!("[{}]", target.host)
    } else {
        target.host.clone()
    };
    match (target.scheme, target.port) {
        (oauth1::Scheme::Http, 80) | (oauth1::Scheme::Https, 443) => host,
        (_, port) => format!("{host}:{port}"),
    }
}
