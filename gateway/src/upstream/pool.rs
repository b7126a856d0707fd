//! A worker's own pool of HTTP/1.1 connections to one target.
//!
//! Own because it is on the hot path: nothing is locked, nothing is shared with other threads, and taking a connection
//! is a pop. The general client pools check connections out behind a mutex and were measured 11 % dearer a request.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

use super::connect::connect;
use crate::body::BodyError;
use crate::clock::Clock;
use crate::config;
use crate::refusal::Cause;

/// Idle connections to one target, and how to make more.
pub(super) struct Pool<B> {
    target: config::UpstreamTarget,
    name: String,
    tls: Arc<rustls::ClientConfig>,
    connect_timeout: Duration,
    first_byte_timeout: Duration,
    idle_timeout: Duration,
    idle_most: usize,
    retry_broken: bool,
    clock: Clock,
    /// Whether it could not be reached when last tried.
    is_away: Cell<bool>,
    idle: RefCell<Vec<Idle<B>>>,
}

struct Idle<B> {
    sender: SendRequest<B>,
    since: Instant,
}

/// A connection that a response is coming on. It goes back to its pool with [`Lease::give_back`], or ends when dropped.
pub struct Lease<B> {
    sender: SendRequest<B>,
    pool: Weak<Pool<B>>,
}

/// What became of a request that got no response.
pub(super) struct Failed<B> {
    pub(super) cause: Cause,
    /// The request, where nothing of it was sent.
    pub(super) unsent: Option<Box<Request<B>>>,
}

impl<B> Failed<B> {
    fn sent(cause: Cause) -> Self {
        Self { cause, unsent: None }
    }

    fn unsent(cause: Cause, request: Request<B>) -> Self {
        Self {
            cause,
            unsent: Some(Box::new(request)),
        }
    }
}

impl<B> Lease<B> {
    /// The response has ended: the next request may use the connection.
    pub fn give_back(self) {
        let Some(pool) = self.pool.upgrade() else { return };
        if self.sender.is_closed() {
            return;
        }
        let mut idle = pool.idle.borrow_mut();
        if idle.len() < pool.idle_most {
            idle.push(Idle {
                sender: self.sender,
                since: pool.clock.instant(),
            });
        }
    }
}

impl<B> Pool<B>
where
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<BodyError>,
{
    pub(super) fn new(
        target: config::UpstreamTarget,
        config: &config::Upstream,
        tls: Arc<rustls::ClientConfig>,
        clock: Clock,
    ) -> Self {
        Self {
            name: config
                .host
                .as_deref()
                .map_or(&*target.host, certificate_name)
                .to_owned(),
            target,
            tls,
            connect_timeout: config.connect_timeout,
            first_byte_timeout: config.first_byte_timeout,
            idle_timeout: config.idle_timeout,
            idle_most: config.idle_connections,
            retry_broken: config.retry_broken,
            clock,
            is_away: Cell::new(false),
            idle: RefCell::default(),
        }
    }

    /// Sends on an idle connection or a new one. A connection that closed while it idled gives the request back unsent:
    /// it is sent on another; what was sent once is never sent again. `upstream_since`: since when upstream is waited for.
    pub(super) async fn send(
        self: &Rc<Self>,
        mut request: Request<B>,
        upstream_since: &Cell<Option<Instant>>,
    ) -> Result<(Response<Incoming>, Lease<B>), Failed<B>> {
        loop {
            let (mut sender, reused) = match self.take() {
                Some(sender) => (sender, true),
                // Rare, and large: in a box of its own, every request's own state stays small.
                None => match Box::pin(self.connect()).await {
                    Ok(sender) => (sender, false),
                    Err(cause) => return Err(Failed::unsent(cause, request)),
                },
            };
            // One that is still busy with its last request, or gone, is left alone.
            let is_ready = sender.is_ready() || matches!(tokio::time::timeout(READY, sender.ready()).await, Ok(Ok(())));
            if !is_ready {
                if reused {
                    continue;
                }
                return Err(Failed::unsent(Cause::UpstreamConnect, request));
            }
            let sent = self.first_byte(sender.try_send_request(request), upstream_since).await;
            match sent {
                None => return Err(Failed::sent(Cause::UpstreamTimeout)),
                Some(Ok(response)) => {
                    let pool = Rc::downgrade(self);
                    return Ok((response, Lease { sender, pool }));
                }
                Some(Err(mut error)) => match error.take_message() {
                    Some(unsent) if reused && self.retry_broken => request = unsent,
                    Some(unsent) => return Err(Failed::unsent(Cause::UpstreamBroken, unsent)),
                    None => {
                        tracing::debug!(target = %self.target.host, error = %error.into_error(), "exchange broken");
                        return Err(Failed::sent(Cause::UpstreamBroken));
                    }
                },
            }
        }
    }

    /// Waits for the head of the response: upstream's time runs while it is the one that is waited for. `None`: it is up.
    async fn first_byte<T>(
        &self,
        sending: impl Future<Output = T>,
        upstream_since: &Cell<Option<Instant>>,
    ) -> Option<T> {
        let mut sending = std::pin::pin!(sending);
        loop {
            let since = upstream_since.get();
            let deadline = since.unwrap_or_else(|| self.clock.instant()) + self.first_byte_timeout;
            match tokio::time::timeout_at(deadline.into(), sending.as_mut()).await {
                Ok(sent) => return Some(sent),
                Err(_) if since.is_some() && upstream_since.get() == since => return None,
                // The client sent more meanwhile, or is the one that is waited for.
                Err(_) => {}
            }
        }
    }

    /// The connection that idled the shortest: the others may time out.
    fn take(&self) -> Option<SendRequest<B>> {
        let mut idle = self.idle.borrow_mut();
        let now = self.clock.instant();
        while let Some(candidate) = idle.pop() {
            if now.duration_since(candidate.since) >= self.idle_timeout {
                // Those below idled longer.
                idle.clear();
                return None;
            }
            if !candidate.sender.is_closed() {
                return Some(candidate.sender);
            }
        }
        None
    }

    pub(super) fn close_idle(&self) {
        let now = self.clock.instant();
        let timeout = self.idle_timeout;
        self.idle
            .borrow_mut()
            .retain(|one| now.duration_since(one.since) < timeout && !one.sender.is_closed());
    }

    async fn connect(&self) -> Result<SendRequest<B>, Cause> {
        let connecting = connect(&self.target, &self.name, Arc::clone(&self.tls));
        let connected = tokio::time::timeout(self.connect_timeout, connecting).await;
        let connected = connected.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
        let stream = match connected {
            Ok(stream) => stream,
            Err(error) => {
                let (host, port) = (&self.target.host, self.target.port);
                // Said once, not for each request that finds out.
                if self.is_away.replace(true) {
                    tracing::debug!(%host, port, %error, "upstream can't be reached");
                } else {
                    tracing::warn!(%host, port, %error, "upstream can't be reached");
                }
                return Err(Cause::UpstreamConnect);
            }
        };
        if self.is_away.replace(false) {
            tracing::info!(host = %self.target.host, port = self.target.port, "upstream can be reached again");
        }
        let (sender, connection) = Builder::new()
            .max_buf_size(LARGEST_HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|_| Cause::UpstreamBroken)?;
        // The connection drives its socket until either side closes it; dropping the sender ends it.
        tokio::task::spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "upstream connection ended");
            }
        });
        Ok(sender)
    }
}

/// The name of a configured host, which may carry a port: a certificate is for the name alone.
fn certificate_name(host: &str) -> &str {
    let name = host
        .rsplit_once(':')
        .filter(|(name, port)| port.parse::<u16>().is_ok() && (!name.contains(':') || name.ends_with(']')))
        .map_or(host, |(name, _)| name);
    name.strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name)
}

/// For a connection that was given back a moment ago to see that its last exchange has ended.
const READY: Duration = Duration::from_millis(50);
/// Octets of a response's head.
const LARGEST_HEAD: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_verified_for_the_name_without_its_port() {
        let names = [
            "shop.example",
            "shop.example:8443",
            "::1",
            "[::1]:443",
            "[::1]",
            "192.0.2.1:443",
        ];

        assert_eq!(
            names.map(certificate_name),
            ["shop.example", "shop.example", "::1", "::1", "::1", "192.0.2.1"]
        );
    }
}
