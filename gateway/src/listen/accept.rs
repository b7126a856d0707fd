//! Lets connections in, within their bounds, and lets them finish when the gateway drains.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::activity::Activity;
use super::connection::{Connection, Deadlines};
use super::count::{Counted, Counts};
use super::head::Bounds;
use super::stream::Stream;
use crate::config::Limits;
use crate::proxy::hop::HopMemory;
use crate::service::{Peer, Worker, serve};

/// One worker's accept loop.
pub struct Accept {
    worker: Rc<Worker>,
    counts: Arc<Counts>,
    stop: Stop,
    draining: Draining,
}

/// What tells the connections of one worker that it drains. A token that is shared by all threads would be asked, under
/// its lock, each time a connection wakes: measured at 2 % of a request.
#[derive(Debug, Default)]
struct Draining {
    has_begun: Cell<bool>,
    told: Notify,
}

impl Draining {
    fn begin(&self) {
        self.has_begun.set(true);
        self.told.notify_waiters();
    }
}

/// The two steps of an end.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Accept no more, and end each connection with the request that it serves.
    pub drain: CancellationToken,
    /// Time is up: end what is left.
    pub cut: CancellationToken,
}

impl Accept {
    /// A worker's, for connections that are counted in `counts`.
    pub fn new(worker: Rc<Worker>, counts: Arc<Counts>, stop: Stop) -> Self {
        Self {
            worker,
            counts,
            stop,
            draining: Draining::default(),
        }
    }

    /// Accepts on `listener` until told to drain; returns when every connection has ended, or was cut.
    pub async fn run(self, listener: std::net::TcpListener) -> io::Result<()> {
        let listener = TcpListener::from_std(listener)?;
        let this = Rc::new(self);
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = this.stop.drain.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => {
                    connections.spawn_local(Rc::clone(&this).connection(stream, address));
                }
                Err(error) => {
                    // Out of descriptors, or a connection that died in the queue: wait for the next, never spin.
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
            while let Some(ended) = connections.try_join_next() {
                this.ended(&ended);
            }
        }
        this.draining.begin();
        // Who waits in the queue was let in by the kernel: closing it now would reset them.
        std::future::poll_fn(|cx| {
            while let Poll::Ready(Ok((stream, address))) = listener.poll_accept(cx) {
                connections.spawn_local(Rc::clone(&this).connection(stream, address));
            }
            Poll::Ready(())
        })
        .await;
        drop(listener);
        loop {
            let ended = tokio::select! {
                biased;
                ended = connections.join_next() => ended,
                () = this.stop.cut.cancelled() => break,
            };
            match ended {
                Some(ended) => this.ended(&ended),
                None => break,
            }
        }
        // Those that are left are cut when the set is dropped.
        Ok(())
    }

    fn ended(&self, ended: &Result<(), JoinError>) {
        if let Err(error) = ended
            && error.is_panic()
        {
            tracing::error!(%error, "a connection broke");
            self.worker.metrics.panicked();
        }
    }

    async fn connection(self: Rc<Self>, stream: TcpStream, address: SocketAddr) {
        let ip = address.ip().to_canonical();
        // What is in force now: a reload is for connections to come.
        let local = self.worker.local();
        let (limits, tls) = (Rc::clone(&local.limits), local.live.tls.clone());
        drop(local);
        let Some(_counted) = self.admit(ip, &limits) else {
            self.worker.metrics.connection_refused();
            return;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        let is_tls = tls.is_some();
        let opened = match tls {
            None => Opened::plain(stream),
            Some(tls) => {
                // Boxed, as all is that a connection needs at its start only: what it waits with stays small.
                let handshake = tokio::time::timeout(limits.tls_handshake_timeout, open(stream, tls));
                let Ok(Ok(opened)) = Box::pin(handshake).await else {
                    return;
                };
                opened
            }
        };
        let activity = Activity::new(self.worker.clock.instant());
        let draining = self.draining.has_begun.get();
        let deadlines = Deadlines {
            idle: limits.idle_timeout,
            head: if draining {
                limits.header_timeout.min(LAST_CHANCE)
            } else {
                limits.header_timeout
            },
            write: limits.write_timeout,
        };
        let Some(began) = Box::pin(self.begins(&opened, deadlines.head)).await else {
            return;
        };
        let by_alpn = opened.http2;
        let mut place = Some(Connection::new(
            opened.stream,
            Rc::clone(&activity),
            deadlines,
            self.worker.clock,
        ));
        let sniffing = Box::pin(self.speaks_http2(&mut place, by_alpn, began + deadlines.head));
        let Some(Spoken { http2, head_until }) = sniffing.await else {
            return;
        };
        let peer = Rc::new(Peer {
            address: ip,
            tls: is_tls,
            http2,
            activity,
            hop_memory: HopMemory::default(),
        });
        if http2 {
            if let Some(connection) = place.take() {
                Box::pin(self.http2(TokioIo::new(connection), peer, &limits)).await;
            }
        } else if let Some(until) = head_until {
            Box::pin(self.http1_until(until, &mut place, peer, &limits)).await;
        } else {
            self.http1(&mut place, peer, &limits).await;
        }
    }

    fn admit(&self, ip: IpAddr, limits: &Limits) -> Option<Counted> {
        let trusted = self.worker.trusts(ip);
        Counts::admit(&self.counts, limits.connections_per_address, (!trusted).then_some(ip))
    }

    /// Waits for the first octet, where the version is told by those that come first; since when it is there. `None`: it did
    /// not come in time, or the gateway drains.
    async fn begins(&self, opened: &Opened, time: Duration) -> Option<Instant> {
        if let (Stream::Plain(stream), None) = (&opened.stream, opened.http2) {
            let mut octet = [0];
            tokio::select! {
                peeked = stream.peek(&mut octet) => peeked.ok()?,
                () = tokio::time::sleep(time) => return None,
                () = self.last_chance() => return None,
            };
        }
        Some(self.worker.clock.instant())
    }

    /// By ALPN where TLS said so, else by the first octets. `None`: they were not told apart until then, or the gateway
    /// drains.
    async fn speaks_http2(
        &self,
        place: &mut Option<Connection>,
        by_alpn: Option<bool>,
        until: Instant,
    ) -> Option<Spoken> {
        let told = |http2, head_until| Some(Spoken { http2, head_until });
        if let Some(http2) = by_alpn {
            return told(http2, None);
        }
        let mut sniffing = pin!(place.as_mut()?.sniff());
        // Told at once, but for a client that sends the preface's octets one by one, and then perhaps something else.
        if let Poll::Ready(sniffed) = std::future::poll_fn(|cx| Poll::Ready(sniffing.as_mut().poll(cx))).await {
            return told(sniffed.ok()?, None);
        }
        let http2 = tokio::select! {
            sniffed = sniffing => sniffed.ok()?,
            () = tokio::time::sleep_until(until.into()) => return None,
            () = self.last_chance() => return None,
        };
        told(http2, (!http2).then_some(until))
    }

    /// For a client that has just connected when the gateway drains.
    async fn last_chance(&self) {
        self.stop.drain.cancelled().await;
        tokio::time::sleep(LAST_CHANCE).await;
    }

    /// Serves, if the first head, of which some octets came before, is whole by then.
    async fn http1_until(&self, until: Instant, place: &mut Option<Connection>, peer: Rc<Peer>, limits: &Limits) {
        let activity = Rc::clone(&peer.activity);
        let mut serving = pin!(self.http1(place, peer, limits));
        tokio::select! {
            () = serving.as_mut() => return,
            () = tokio::time::sleep_until(until.into()) => {}
        }
        if activity.begun() > 0 {
            serving.await;
        }
    }

    /// Serves, and rests while the client is silent: then hyper's buffers, 16 KiB a connection, are given back.
    ///
    /// The connection stands in its place while it rests, and only there: passed by value, it would be held thrice.
    async fn http1(&self, place: &mut Option<Connection>, peer: Rc<Peer>, limits: &Limits) {
        if let Some(connection) = place {
            connection.http1(Bounds {
                head: limits.head,
                fields: limits.headers,
                target: limits.target,
            });
        }
        loop {
            Box::pin(self.http1_until_rest(place, &peer, limits)).await;
            let Some(resting) = place else { return };
            if !self.is_stirred(resting).await {
                let _best_effort = resting.shutdown().await;
                return;
            }
        }
    }

    /// Takes the connection from its place, and puts it back once it has been quiet for a while; not, where it has ended.
    async fn http1_until_rest(&self, place: &mut Option<Connection>, peer: &Rc<Peer>, limits: &Limits) {
        let Some(connection) = place.take() else { return };
        let sees_the_end = connection.sees_the_end();
        // hyper keeps a request's state beside its buffers: that goes, too, when the connection rests.
        let service = service_fn(|request| serve(Rc::clone(&self.worker), Rc::clone(peer), request));
        // One that waited in the queue when the drain began is served once.
        let last = self.draining.has_begun.get();
        let mut http = hyper::server::conn::http1::Builder::new()
            .half_close(sees_the_end)
            .keep_alive(!last)
            .max_buf_size(limits.head + BESIDE_HEAD)
            // Heads and small bodies in one write, without waiting for the next request as pipeline_flush does: that
            // would buffer a whole response for a client that reads slowly.
            .writev(false)
            .serve_connection(TokioIo::new(connection), service);
        let mut told = std::pin::pin!(self.draining.told.notified());
        let mut timer = std::pin::pin!(tokio::time::sleep(REST_AFTER));
        let (mut is_watched, mut is_shut_down) = (false, last);
        let ended = std::future::poll_fn(|cx| {
            // The task is woken for each of them though it is looked at once only: that costs nothing a request.
            let looks = !is_watched || timer.is_elapsed();
            if !is_watched {
                is_watched = tokio::task::coop::has_budget_remaining();
                let _told_at_once = told.as_mut().poll(cx);
            }
            if !is_shut_down && self.draining.has_begun.get() {
                is_shut_down = true;
                Pin::new(&mut http).graceful_shutdown();
            }
            if let Poll::Ready(ended) = Pin::new(&mut http).poll(cx) {
                return Poll::Ready(Some(ended));
            }
            while looks && timer.as_mut().poll(cx).is_ready() {
                let now = self.worker.clock.instant();
                let rested_at = peer.activity.idle_since() + REST_AFTER;
                if peer.activity.is_quiet() && rested_at <= now && !is_shut_down {
                    return Poll::Ready(None);
                }
                timer.as_mut().reset(rested_at.max(now + REST_AFTER).into());
            }
            Poll::Pending
        })
        .await;
        if let Some(ended) = ended {
            if let Err(error) = ended {
                tracing::debug!(peer = %peer.address, %error, "connection ended");
            }
            return;
        }
        let parts = http.into_parts();
        // Quiet: whatever came was served, to the end of its body.
        if parts.read_buf.is_empty() {
            *place = Some(parts.io.into_inner());
        }
    }

    /// Whether the client of a resting connection goes on; not, once it was silent for too long or the gateway drains.
    async fn is_stirred(&self, resting: &mut Connection) -> bool {
        let mut told = std::pin::pin!(self.draining.told.notified());
        told.as_mut().enable();
        if self.draining.has_begun.get() {
            return false;
        }
        tokio::select! {
            biased;
            stirred = resting.stirs() => stirred,
            () = told => false,
        }
    }

    async fn http2(&self, io: TokioIo<Connection>, peer: Rc<Peer>, limits: &Limits) {
        let worker = &self.worker;
        let service = {
            let (worker, peer) = (Rc::clone(worker), Rc::clone(&peer));
            service_fn(move |request| serve(Rc::clone(&worker), Rc::clone(&peer), request))
        };
        // h2 counts 32 octets a field besides what was sent, and answers a larger head without a cause: it gets a little
        // more than our own bound, which is kept when the request is served.
        let header_list = limits.head + 32 * limits.headers + BESIDE_HEAD;
        let connection = hyper::server::conn::http2::Builder::new(LocalExecutor)
            .timer(hyper_util::rt::TokioTimer::new())
            .max_concurrent_streams(limits.h2_streams)
            .initial_stream_window_size(limits.h2_stream_window)
            .initial_connection_window_size(limits.h2_connection_window)
            .max_header_list_size(u32::try_from(header_list).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(limits.h2_pending_resets)
            .max_local_error_reset_streams(limits.h2_local_resets)
            .keep_alive_interval(limits.idle_timeout)
            .serve_connection(io, service);
        tokio::pin!(connection);
        let served = tokio::select! {
            served = connection.as_mut() => served,
            () = ended(&self.stop.drain, &peer.activity) => {
                connection.as_mut().graceful_shutdown();
                connection.as_mut().await
            }
        };
        if let Err(error) = served {
            tracing::debug!(peer = %peer.address, %error, "connection ended");
        }
    }
}

/// What the first octets say. `head_until`: of a head whose first octets came one by one, when it has to be whole.
struct Spoken {
    http2: bool,
    head_until: Option<Instant>,
}

/// The gateway drains, or the connection has served as many requests as it may.
async fn ended(drain: &CancellationToken, activity: &Activity) {
    tokio::select! {
        () = drain.cancelled() => {}
        () = activity.spent.notified() => {}
    }
}

/// A connection with its handshake done. `http2`: what ALPN chose, where it chose.
struct Opened {
    stream: Stream,
    http2: Option<bool>,
}

impl Opened {
    fn plain(stream: TcpStream) -> Self {
        Self {
            stream: Stream::Plain(stream),
            http2: None,
        }
    }
}

async fn open(stream: TcpStream, tls: Arc<ServerConfig>) -> io::Result<Opened> {
    let stream = TlsAcceptor::from(tls).accept(stream).await?;
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    Ok(Opened {
        stream: Stream::Tls(Box::new(stream.into())),
        http2: Some(http2),
    })
}

/// Runs HTTP/2's streams on the worker's own thread.
#[derive(Clone, Copy, Debug)]
struct LocalExecutor;

impl<F> hyper::rt::Executor<F> for LocalExecutor
where
    F: Future<Output = ()> + 'static,
{
    fn execute(&self, stream: F) {
        // Owned by the connection: its streams end when it is dropped.
        tokio::task::spawn_local(stream);
    }
}

/// Silence after which a connection rests, within as long again. Beside what a request costs after such a silence anyway,
/// making hyper's state anew is little.
const REST_AFTER: Duration = Duration::from_millis(250);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// For a client whose connection was opened just before a drain to send its request.
const LAST_CHANCE: Duration = Duration::from_secs(1);
/// Octets that hyper may hold besides a head.
const BESIDE_HEAD: usize = 8192;
