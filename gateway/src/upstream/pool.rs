//! A worker's own pool of HTTP/1.1 connections to one target.
//!
//! Own because it is on the hot path: nothing is locked, nothing is shared with other threads, and taking a connection
//! is a pop. The general client pools check connections out behind a mutex and were measured 11 % dearer a request.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::time::Sleep;

use super::connect::connect;
use super::head_bound::HeadBound;
use super::resign;
use super::room::{Place, Room};
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
    room: Rc<Room<B>>,
    idle: RefCell<Vec<Idle<B>>>,
}

struct Idle<B> {
    wire: Wire<B>,
    since: Instant,
}

/// A connection, with the timer of its first bytes: armed for the end of an earlier wait, and again when that has passed
/// while a later one goes on. Arming one for each request was measured at 2 % of its cost.
struct Wire<B> {
    sender: SendRequest<B>,
    /// Octets that may come before the response's head is whole.
    head_left: Rc<Cell<usize>>,
    /// Whether another worker could have its place.
    is_shared: bool,
    timer: Pin<Box<Sleep>>,
}

/// A connection that a response is coming on. It goes back to its pool with [`Lease::give_back`], or ends when dropped.
pub struct Lease<B> {
    wire: Wire<B>,
    pool: Weak<Pool<B>>,
}

impl<B> Lease<B> {
    /// The response has ended at `now`: the next request may use the connection.
    pub fn give_back(self, now: Instant) {
        let Some(pool) = self.pool.upgrade() else { return };
        if self.wire.sender.is_closed() || (self.wire.is_shared && pool.room.is_wanted()) {
            return;
        }
        let mut idle = pool.idle.borrow_mut();
        if idle.len() < pool.idle_most {
            idle.push(Idle {
                wire: self.wire,
                since: now,
            });
            pool.room.changed();
        }
    }
}

impl<B> Pool<B> {
    /// How many connections idle, and whether the target could not be reached when last tried.
    pub(super) fn now(&self) -> (usize, bool) {
        (self.idle.borrow().len(), self.is_away.get())
    }

    /// Since when the connection idles that has idled longest.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.idle.borrow().first().map(|one| one.since)
    }

    /// Ends it.
    pub(super) fn end_longest_idle(&self) {
        let mut idle = self.idle.borrow_mut();
        if !idle.is_empty() {
            idle.remove(0);
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
        (config, tls): (&config::Upstream, Arc<rustls::ClientConfig>),
        room: &Rc<Room<B>>,
        clock: Clock,
    ) -> Rc<Self> {
        let pool = Rc::new(Self {
            name: config
                .host
                .as_deref()
                .map_or(&*target.host, certificate_name)
                .to_owned(),
            target,
            tls,
            connect_timeout: config.connect_timeout,
            // The whole exchange has no more time than that either.
            first_byte_timeout: config.first_byte_timeout.min(config.request_timeout),
            idle_timeout: config.idle_timeout,
            idle_most: config.idle_connections,
            retry_broken: config.retry_broken,
            clock,
            is_away: Cell::new(false),
            room: Rc::clone(room),
            idle: RefCell::default(),
        });
        room.counts(&pool);
        pool
    }

    /// Sends on an idle connection or a new one. A connection that closed while it idled gives the request back unsent:
    /// it is sent on another; what was sent once is never sent again. `upstream_since`: since when upstream is waited for.
    /// After an error the request stands in `request` if nothing of it was sent.
    pub(super) async fn send(
        self: &Rc<Self>,
        request: &mut Option<Request<B>>,
        upstream_since: &Cell<Option<Instant>>,
    ) -> Result<(Response<Incoming>, Lease<B>), Cause> {
        loop {
            if let Some(request) = request {
                resign::sign(request, self.target.scheme, &self.clock)?;
            }
            let now = upstream_since.get().unwrap_or_else(|| self.clock.instant());
            let (mut wire, reused) = match self.take(now) {
                Some(wire) => (wire, true),
                // Rare, and large: in a box of its own, every request's own state stays small.
                None => Box::pin(self.obtain()).await?,
            };
            // One that is still busy with its last request, or gone, is left alone.
            if !wire.sender.is_ready() && !Box::pin(wire.becomes_ready()).await {
                if reused {
                    continue;
                }
                return Err(Cause::UpstreamConnect);
            }
            let taken = request.take().ok_or(Cause::UpstreamBroken)?;
            wire.head_left.set(LARGEST_HEADS);
            let sending = std::pin::pin!(wire.sender.try_send_request(taken));
            let sent = self.first_byte(sending, wire.timer.as_mut(), upstream_since).await;
            match sent {
                None => return Err(Cause::UpstreamTimeout),
                Some(Ok(response)) => {
                    // Its body has no such bound.
                    wire.head_left.set(usize::MAX);
                    let pool = Rc::downgrade(self);
                    return Ok((response, Lease { wire, pool }));
                }
                Some(Err(mut error)) => {
                    *request = error.take_message();
                    if request.is_none() {
                        tracing::debug!(target = %self.target.host, error = %error.into_error(), "exchange broken");
                    }
                    if request.is_none() || !reused || !self.retry_broken {
                        return Err(Cause::UpstreamBroken);
                    }
                }
            }
        }
    }

    /// Waits for the head of the response: upstream's time runs while it is the one that is waited for. `None`: it is up.
    async fn first_byte<T>(
        &self,
        mut sending: Pin<&mut impl Future<Output = T>>,
        mut timer: Pin<&mut Sleep>,
        upstream_since: &Cell<Option<Instant>>,
    ) -> Option<T> {
        std::future::poll_fn(|cx| {
            if let Poll::Ready(sent) = sending.as_mut().poll(cx) {
                return Poll::Ready(Some(sent));
            }
            while timer.as_mut().poll(cx).is_ready() {
                let now = self.clock.instant();
                // None: the client is the one that is waited for.
                let since = upstream_since.get().unwrap_or(now);
                let deadline = since + self.first_byte_timeout;
                if deadline <= now {
                    return Poll::Ready(None);
                }
                timer.as_mut().reset(deadline.into());
            }
            Poll::Pending
        })
        .await
    }

    /// The connection that idled the shortest: the others may time out.
    fn take(&self, now: Instant) -> Option<Wire<B>> {
        let mut idle = self.idle.borrow_mut();
        while let Some(candidate) = idle.pop() {
            if now.duration_since(candidate.since) >= self.idle_timeout {
                // Those below idled longer.
                idle.clear();
                return None;
            }
            if !candidate.wire.sender.is_closed() {
                return Some(candidate.wire);
            }
        }
        None
    }

    pub(super) fn close_idle(&self) {
        let now = self.clock.instant();
        let timeout = self.idle_timeout;
        // Another worker's request may wait for the place of one that idles here.
        let is_wanted = self.room.is_wanted();
        self.idle.borrow_mut().retain(|one| {
            now.duration_since(one.since) < timeout
                && !one.wire.sender.is_closed()
                && !(is_wanted && one.wire.is_shared)
        });
    }

    /// A new connection where there is room for one, or the first that idles; which of the two it was.
    async fn obtain(&self) -> Result<(Wire<B>, bool), Cause> {
        if let Some(place) = Room::try_take(&self.room) {
            return Ok((self.connect(place).await?, false));
        }
        let waited = tokio::time::timeout(self.room.wait(), self.room_or_idle()).await;
        match waited.map_err(|_| Cause::Overloaded)? {
            Ok(place) => Ok((self.connect(place).await?, false)),
            Err(idle) => Ok((idle, true)),
        }
    }

    /// Waits for room, or for a connection that idles.
    async fn room_or_idle(&self) -> Result<Place<B>, Wire<B>> {
        let _waiting = self.room.begin_to_wait();
        loop {
            self.room.end_an_idle_one();
            if let Some(place) = Room::changes(&self.room).await.or_else(|| Room::try_take(&self.room)) {
                return Ok(place);
            }
            if let Some(wire) = self.take(self.clock.instant()) {
                return Err(wire);
            }
        }
    }

    async fn connect(&self, place: Place<B>) -> Result<Wire<B>, Cause> {
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
        let head_left = Rc::new(Cell::new(LARGEST_HEADS));
        let (sender, connection) = Builder::new()
            .max_buf_size(LARGEST_HEAD)
            // One piece to send costs the kernel less than a list of one, and most requests are a head alone.
            .writev(false)
            .handshake(TokioIo::new(HeadBound::new(stream, Rc::clone(&head_left))))
            .await
            .map_err(|_| Cause::UpstreamBroken)?;
        // The connection drives its socket until either side closes it; dropping the sender ends it.
        let is_shared = place.is_shared();
        tokio::task::spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "upstream connection ended");
            }
            drop(place);
        });
        Ok(Wire {
            sender,
            head_left,
            is_shared,
            timer: Box::pin(tokio::time::sleep(self.first_byte_timeout)),
        })
    }
}

impl<B> Wire<B> {
    async fn becomes_ready(&mut self) -> bool {
        matches!(tokio::time::timeout(READY, self.sender.ready()).await, Ok(Ok(())))
    }
}

/// The name of a configured host, which may carry a port: a certificate is for the name alone.
pub fn certificate_name(host: &str) -> &str {
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
/// Octets of all heads of a response, and of what is read ahead of its body.
const LARGEST_HEADS: usize = 4 * LARGEST_HEAD;

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
