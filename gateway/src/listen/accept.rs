//! Lets connections in, within their bounds, and lets them finish when the gateway drains.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
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
    /// The worker that serves what is accepted.
    pub worker: Rc<Worker>,
    /// Connections in all and by address, over all workers.
    pub counts: Arc<Counts>,
    /// When it ends.
    pub stop: Stop,
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
        let (limits, tls) = {
            let live = &self.worker.local().live;
            (live.public.limits.clone(), live.tls.clone())
        };
        let limits = &limits;
        let Some(_counted) = self.admit(ip, limits) else {
            self.worker.metrics.connection_refused();
            return;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        let handshake = open(stream, tls.as_ref());
        let Ok(Ok(opened)) = tokio::time::timeout(limits.tls_handshake_timeout, handshake).await else {
            return;
        };
        let activity = Activity::new(self.worker.clock.instant());
        let draining = self.stop.drain.is_cancelled();
        let deadlines = Deadlines {
            idle: limits.idle_timeout,
            head: if draining {
                limits.header_timeout.min(LAST_CHANCE)
            } else {
                limits.header_timeout
            },
            write: limits.write_timeout,
        };
        let mut connection = Connection::new(opened.stream, Rc::clone(&activity), deadlines, self.worker.clock);
        // Boxed: what it reads into goes with it, and doesn't stay with the connection for life.
        let sniffing = Box::pin(self.speaks_http2(&mut connection, opened.http2, deadlines.head));
        let Some(http2) = sniffing.await else {
            return;
        };
        let peer = Rc::new(Peer {
            address: ip,
            tls: tls.is_some(),
            http2,
            activity,
            hop_memory: HopMemory::default(),
        });
        if http2 {
            // Large, and the rarer one: in a box of its own it doesn't weigh on every connection of HTTP/1.
            Box::pin(self.http2(TokioIo::new(connection), peer, limits)).await;
        } else {
            connection.http1(Bounds {
                head: limits.head,
                fields: limits.headers,
                target: limits.target,
            });
            self.http1(TokioIo::new(connection), peer, limits).await;
        }
    }

    fn admit(&self, ip: IpAddr, limits: &Limits) -> Option<Counted> {
        let trusted = self.worker.trusts(ip);
        Counts::admit(&self.counts, limits.connections_per_address, (!trusted).then_some(ip))
    }

    /// By ALPN where TLS said so, else by the first octets. `None`: none came in time, or the gateway drains.
    async fn speaks_http2(&self, connection: &mut Connection, by_alpn: Option<bool>, time: Duration) -> Option<bool> {
        if by_alpn.is_some() {
            return by_alpn;
        }
        let drained = async {
            self.stop.drain.cancelled().await;
            tokio::time::sleep(LAST_CHANCE).await;
        };
        tokio::select! {
            sniffed = connection.sniff() => sniffed.ok(),
            () = tokio::time::sleep(time) => None,
            () = drained => None,
        }
    }

    async fn http1(&self, io: TokioIo<Connection>, peer: Rc<Peer>, limits: &Limits) {
        let worker = &self.worker;
        // What a request needs is large: it is made with the request, so that an idle connection goes without.
        let service = service_fn(|request| Box::pin(serve(Rc::clone(worker), Rc::clone(&peer), request)));
        // One that waited in the queue when the drain began is served once.
        let last = self.stop.drain.is_cancelled();
        let connection = hyper::server::conn::http1::Builder::new()
            .half_close(false)
            .keep_alive(!last)
            .max_buf_size(limits.head + BESIDE_HEAD)
            // Heads and small bodies in one write, without waiting for the next request as pipeline_flush does: that
            // would buffer a whole response for a client that reads slowly.
            .writev(false)
            .serve_connection(io, service);
        tokio::pin!(connection);
        let served = tokio::select! {
            served = connection.as_mut() => served,
            () = self.stop.drain.cancelled(), if !last => {
                connection.as_mut().graceful_shutdown();
                connection.as_mut().await
            }
        };
        if let Err(error) = served {
            tracing::debug!(peer = %peer.address, %error, "connection ended");
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

async fn open(stream: TcpStream, tls: Option<&Arc<ServerConfig>>) -> io::Result<Opened> {
    let Some(config) = tls else {
        return Ok(Opened {
            stream: Stream::Plain(stream),
            http2: None,
        });
    };
    let stream = TlsAcceptor::from(Arc::clone(config)).accept(stream).await?;
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

const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// For a client whose connection was opened just before a drain to send its request.
const LAST_CHANCE: Duration = Duration::from_secs(1);
/// Octets that hyper may hold besides a head.
const BESIDE_HEAD: usize = 8192;
