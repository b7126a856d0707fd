//! A worker's own pool of HTTP/1.1 connections to one target.
//!
//! Own because it is on the hot path: nothing is locked, nothing is shared with other threads, and taking a connection
//! is a pop. The general client pools check connections out behind a mutex and were measured 11 % dearer a request.

use std::cell::RefCell;
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
        let name = config.host.as_deref().unwrap_or(&target.host);
        // A configured host may carry a port; the certificate is for the name alone.
        let name = name
            .rsplit_once(':')
            .filter(|(_, port)| port.parse::<u16>().is_ok())
            .map_or(name, |(name, _)| name);
        Self {
            name: name.to_owned(),
            target,
            tls,
            connect_timeout: config.connect_timeout,
            first_byte_timeout: config.first_byte_timeout,
            idle_timeout: config.idle_timeout,
            idle_most: config.idle_connections,
            retry_broken: config.retry_broken,
            clock,
            idle: RefCell::default(),
        }
    }

    /// Sends on an idle connection or a new one. A connection that closed while it idled gives the request back unsent:
    /// it is sent on another; what was sent once is never sent again.
    pub(super) async fn send(
        self: &Rc<Self>,
        mut request: Request<B>,
    ) -> Result<(Response<Incoming>, Lease<B>), Cause> {
        let deadline = self.clock.instant() + self.first_byte_timeout;
        loop {
            let (mut sender, reused) = match self.take() {
                Some(sender) => (sender, true),
                None => (self.connect().await?, false),
            };
            if sender.ready().await.is_err() {
                if reused {
                    continue;
                }
                return Err(Cause::UpstreamConnect);
            }
            let sent = tokio::time::timeout_at(deadline.into(), sender.try_send_request(request)).await;
            match sent {
                Err(_) => return Err(Cause::UpstreamTimeout),
                Ok(Ok(response)) => {
                    return Ok((
                        response,
                        Lease {
                            sender,
                            pool: Rc::downgrade(self),
                        },
                    ));
                }
                Ok(Err(mut error)) => match error.take_message() {
                    Some(unsent) if reused && self.retry_broken => request = unsent,
                    _ => {
                        let error = error.into_error();
                        tracing::warn!(target = %self.target.host, %error, "upstream broke the exchange");
                        return Err(Cause::UpstreamBroken);
                    }
                },
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
        let stream = match tokio::time::timeout(self.connect_timeout, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::warn!(host = %self.target.host, port = self.target.port, %error, "upstream can't be reached");
                return Err(Cause::UpstreamConnect);
            }
            Err(_) => {
                tracing::warn!(host = %self.target.host, port = self.target.port, "upstream did not accept in time");
                return Err(Cause::UpstreamConnect);
            }
        };
        let (sender, connection) = Builder::new()
            .preserve_header_case(false)
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
