//! Upstreams: their targets, and for each worker a pool of connections to them.

pub mod connect;
mod pool;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::{Request, Response};

pub use self::pool::Lease;
use self::pool::Pool;
use crate::clock::Clock;
use crate::config;
use crate::refusal::Cause;

/// One upstream as one worker sees it.
pub struct Upstream<B> {
    config: Arc<config::Upstream>,
    targets: Vec<Target<B>>,
    next: Cell<usize>,
}

struct Target<B> {
    pool: Rc<Pool<B>>,
    /// What `Host` says: the configured name, or the target's own authority.
    host: http::HeaderValue,
    /// Requests under way.
    active: Rc<Cell<usize>>,
    /// The same over all workers, for the admin's view.
    shared_active: Arc<AtomicUsize>,
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
    shared: Arc<AtomicUsize>,
}

impl Active {
    fn begin<B>(target: &Target<B>) -> Self {
        target.active.set(target.active.get() + 1);
        target.shared_active.fetch_add(1, Ordering::Relaxed);
        Self {
            active: Rc::clone(&target.active),
            shared: Arc::clone(&target.shared_active),
        }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.active.set(self.active.get() - 1);
        self.shared.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<B> Upstream<B>
where
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<crate::body::BodyError>,
{
    /// With one empty pool a target.
    pub fn new(config: &Arc<config::Upstream>, tls: &Arc<rustls::ClientConfig>, clock: Clock) -> Self {
        let targets = config
            .targets
            .iter()
            .filter_map(|target| {
                let host = config.host.clone().unwrap_or_else(|| authority(target));
                Some(Target {
                    pool: Rc::new(Pool::new(target.clone(), config, Arc::clone(tls), clock)),
                    host: http::HeaderValue::from_str(&host).ok()?,
                    active: Rc::default(),
                    shared_active: Arc::default(),
                })
            })
            .collect();
        Self {
            config: Arc::clone(config),
            targets,
            next: Cell::new(0),
        }
    }

    /// What it was made from.
    pub fn config(&self) -> &config::Upstream {
        &self.config
    }

    /// Forwards a request whose URI is in origin form; `Host` is set here. `hash` picks the target where the balance is by
    /// consumer.
    pub async fn send(&self, mut request: Request<B>, hash: u64) -> Result<Answer<B>, Cause> {
        let target = self.pick(hash).ok_or(Cause::UpstreamUnhealthy)?;
        request.headers_mut().insert(http::header::HOST, target.host.clone());
        let active = Active::begin(target);
        let (response, lease) = target.pool.send(request).await?;
        Ok(Answer {
            response,
            lease,
            active,
        })
    }

    /// Ends connections that idled too long.
    pub fn close_idle(&self) {
        for target in &self.targets {
            target.pool.close_idle();
        }
    }

    fn pick(&self, hash: u64) -> Option<&Target<B>> {
        let count = self.targets.len();
        if count <= 1 {
            return self.targets.first();
        }
        match self.config.balance {
            config::Balance::RoundRobin => {
                let turn = self.next.get();
                self.next.set(turn.wrapping_add(1));
                self.targets.get(turn % count)
            }
            config::Balance::LeastRequests => self.targets.iter().min_by_key(|target| target.active.get()),
            config::Balance::Hash => {
                let count = u64::try_from(count).unwrap_or(1);
                self.targets.get(usize::try_from(hash % count).unwrap_or_default())
            }
        }
    }
}

/// `host:port`, without the port where it is the scheme's own.
fn authority(target: &config::UpstreamTarget) -> String {
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
