//! The public listener: accepts, counts, shakes hands, and gives each connection to hyper with its deadlines.
//!
//! Every worker has its own listening socket on the same address (`SO_REUSEPORT`): the kernel spreads connections, and
//! nothing is shared between threads on the way of a request.

pub mod connection;
pub mod count;
pub mod tls;

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use self::connection::{Activity, Connection, Deadlines, Stream};
use self::count::{Counted, Counts};
use crate::service::{Peer, Worker, serve};

/// A listening socket for one worker.
pub fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let domain = if address.is_ipv4() {
        socket2::Domain::IPV4
    } else {
        socket2::Domain::IPV6
    };
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Whether somebody else already listens there: with `SO_REUSEPORT` a second process would quietly share the port.
pub fn in_use(address: SocketAddr) -> bool {
    address.port() != 0
        && std::net::TcpListener::bind(address).is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

/// One worker's accept loop: runs until `stop`, then waits for its connections to finish.
pub struct Accept {
    /// The worker that serves what is accepted.
    pub worker: Rc<Worker>,
    /// TLS, if configured.
    pub tls: Option<Arc<ServerConfig>>,
    /// Connections in all and by address, over all workers.
    pub counts: Arc<Counts>,
    /// Stop accepting and drain.
    pub stop: CancellationToken,
}

impl Accept {
    /// Accepts on `listener` until told to stop; returns when every connection has ended.
    pub async fn run(self, listener: std::net::TcpListener) -> io::Result<()> {
        let listener = TcpListener::from_std(listener)?;
        let this = Rc::new(self);
        let connections = RefCell::new(JoinSet::new());
        loop {
            let accepted = tokio::select! {
                biased;
                () = this.stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => {
                    let mut connections = connections.borrow_mut();
                    connections.spawn_local(Rc::clone(&this).connection(stream, address));
                    while connections.try_join_next().is_some() {}
                }
                Err(error) => {
                    // Out of descriptors, or a connection that died in the queue: wait for the next, never spin.
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        let mut connections = connections.into_inner();
        while connections.join_next().await.is_some() {}
        Ok(())
    }

    async fn connection(self: Rc<Self>, stream: TcpStream, address: SocketAddr) {
        let ip = address.ip().to_canonical();
        let Some(_counted) = self.admit(ip) else {
            self.worker.metrics.connection_refused();
            return;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        let limits = &self.worker.limits;
        let (stream, http2) = match &self.tls {
            None => {
                let Ok(http2) = tokio::time::timeout(limits.header_timeout, speaks_http2(&stream)).await else {
                    return;
                };
                (Stream::Plain(stream), http2)
            }
            Some(config) => {
                let handshake = TlsAcceptor::from(Arc::clone(config)).accept(stream);
                let Ok(Ok(stream)) = tokio::time::timeout(limits.tls_handshake_timeout, handshake).await else {
                    return;
                };
                let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                (Stream::Tls(Box::new(stream.into())), http2)
            }
        };
        let activity = Activity::new(self.worker.clock.instant());
        let peer = Rc::new(Peer {
            address: ip,
            tls: self.tls.is_some(),
            activity: Rc::clone(&activity),
        });
        let deadlines = Deadlines {
            idle: limits.idle_timeout,
            head: limits.header_timeout,
            write: limits.write_timeout,
        };
        let io = TokioIo::new(Connection::new(stream, activity, deadlines, self.worker.clock));
        if http2 {
            self.http2(io, peer).await;
        } else {
            self.http1(io, peer).await;
        }
    }

    fn admit(&self, ip: IpAddr) -> Option<Counted> {
        let trusted = self.worker.trusts(ip);
        Counts::admit(&self.counts, (!trusted).then_some(ip))
    }

    async fn http1(&self, io: TokioIo<Connection>, peer: Rc<Peer>) {
        let worker = &self.worker;
        let service = service_fn(|request| serve(Rc::clone(worker), Rc::clone(&peer), request));
        let connection = hyper::server::conn::http1::Builder::new()
            .half_close(false)
            .keep_alive(true)
            .max_buf_size(worker.limits.head.max(MIN_HYPER_BUFFER))
            .pipeline_flush(true)
            .serve_connection(io, service);
        tokio::pin!(connection);
        let served = tokio::select! {
            served = connection.as_mut() => served,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.as_mut().await
            }
        };
        if let Err(error) = served {
            tracing::debug!(peer = %peer.address, %error, "connection ended");
        }
    }

    async fn http2(&self, io: TokioIo<Connection>, peer: Rc<Peer>) {
        let worker = &self.worker;
        let service = {
            let (worker, peer) = (Rc::clone(worker), Rc::clone(&peer));
            service_fn(move |request| serve(Rc::clone(&worker), Rc::clone(&peer), request))
        };
        let connection = hyper::server::conn::http2::Builder::new(LocalExecutor)
            .timer(hyper_util::rt::TokioTimer::new())
            .max_concurrent_streams(worker.limits.h2_streams)
            .initial_stream_window_size(worker.limits.h2_stream_window)
            .initial_connection_window_size(worker.limits.h2_connection_window)
            .max_header_list_size(u32::try_from(worker.limits.head).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(worker.limits.h2_pending_resets)
            .max_local_error_reset_streams(worker.limits.h2_local_resets)
            .keep_alive_interval(worker.limits.idle_timeout)
            .serve_connection(io, service);
        tokio::pin!(connection);
        let served = tokio::select! {
            served = connection.as_mut() => served,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.as_mut().await
            }
        };
        if let Err(error) = served {
            tracing::debug!(peer = %peer.address, %error, "connection ended");
        }
    }
}

/// Whether the first octets are HTTP/2's preface (prior knowledge); they stay in the socket.
async fn speaks_http2(stream: &TcpStream) -> bool {
    let mut seen = [0_u8; PREFACE.len()];
    loop {
        let Ok(length) = stream.peek(&mut seen).await else {
            return false;
        };
        let seen = seen.get(..length).unwrap_or_default();
        if length == 0 || !PREFACE.starts_with(seen) {
            return false;
        }
        if length == PREFACE.len() {
            return true;
        }
        // Part of a preface came; peeking again would return it at once.
        tokio::time::sleep(PREFACE_PAUSE).await;
    }
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

const BACKLOG: i32 = 1024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PREFACE_PAUSE: Duration = Duration::from_millis(10);
/// hyper panics below this.
const MIN_HYPER_BUFFER: usize = 8192;
