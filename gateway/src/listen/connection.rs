//! A downstream socket with its deadlines: idle between requests, the whole head, no progress of a response.
//!
//! hyper knows none of these as one bound (its header timeout runs while a kept connection idles, too), so the socket
//! itself keeps them: a state that the service moves, and one lazily re-armed timer. Nothing is paid per request.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_rustls::TlsStream;

use crate::clock::Clock;

/// Plain or TLS.
pub enum Stream {
    /// In clear.
    Plain(TcpStream),
    /// TLS, either end.
    Tls(Box<TlsStream<TcpStream>>),
}

/// How many requests of a connection are being served, and since when none is. Shared with the service.
#[derive(Debug)]
pub struct Activity {
    active: Cell<usize>,
    /// Requests begun so far.
    begun: Cell<u64>,
    /// Since when nothing is being served.
    idle_since: Cell<Instant>,
    /// When the first octet of the head that is being read came.
    head_since: Cell<Option<Instant>>,
}

impl Activity {
    /// Nothing served yet.
    pub fn new(now: Instant) -> Rc<Self> {
        Rc::new(Self {
            active: Cell::new(0),
            begun: Cell::new(0),
            idle_since: Cell::new(now),
            head_since: Cell::new(None),
        })
    }

    /// A request's head is complete; answers how many came before it.
    pub fn begin(&self) -> u64 {
        self.active.set(self.active.get() + 1);
        self.head_since.set(None);
        let before = self.begun.get();
        self.begun.set(before + 1);
        before
    }

    /// A request's response is complete.
    pub fn end(&self, now: Instant) {
        self.active.set(self.active.get().saturating_sub(1));
        self.idle_since.set(now);
    }
}

/// The deadlines of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// Between requests.
    pub idle: Duration,
    /// For a whole head, from its first octet.
    pub head: Duration,
    /// For a response that makes no progress.
    pub write: Duration,
}

/// The socket that hyper reads and writes.
pub struct Connection {
    stream: Stream,
    activity: Rc<Activity>,
    deadlines: Deadlines,
    clock: Clock,
    timer: Pin<Box<Sleep>>,
    /// When a write last could not go on.
    stalled_since: Option<Instant>,
}

impl Connection {
    /// Takes the socket over.
    pub fn new(stream: Stream, activity: Rc<Activity>, deadlines: Deadlines, clock: Clock) -> Self {
        Self {
            stream,
            activity,
            deadlines,
            clock,
            timer: Box::pin(tokio::time::sleep(deadlines.idle.min(deadlines.head))),
            stalled_since: None,
        }
    }

    /// When the connection is over, as things stand; `None`: a request is being served and its writes go on.
    fn deadline(&self) -> Option<Instant> {
        if let Some(since) = self.stalled_since {
            return Some(since + self.deadlines.write);
        }
        if self.activity.active.get() > 0 {
            return None;
        }
        match self.activity.head_since.get() {
            Some(since) => Some(since + self.deadlines.head),
            // Before its first request a client gets the time of a head: it connected to send one.
            None if self.activity.begun.get() == 0 => Some(self.activity.idle_since.get() + self.deadlines.head),
            None => Some(self.activity.idle_since.get() + self.deadlines.idle),
        }
    }

    /// Ready with an error once the deadline has passed; otherwise the task will be woken when it may have.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let now = self.clock.instant();
            match self.deadline() {
                Some(deadline) if deadline <= now => return Poll::Ready(io::ErrorKind::TimedOut.into()),
                // The timer fired for a deadline that has moved since: arm it for the one that stands now.
                Some(deadline) => self.timer.as_mut().reset(deadline.into()),
                None => self
                    .timer
                    .as_mut()
                    .reset((now + self.deadlines.head.min(self.deadlines.write)).into()),
            }
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            Poll::Ready(result) => {
                let idle = this.activity.active.get() == 0 && this.activity.head_since.get().is_none();
                if idle && buf.filled().len() > before {
                    this.activity.head_since.set(Some(this.clock.instant()));
                }
                Poll::Ready(result)
            }
            Poll::Pending => this.poll_deadline(cx).map(Err),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.wrote(cx, polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.wrote(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl Connection {
    fn wrote(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match polled {
            Poll::Ready(result) => {
                self.stalled_since = None;
                Poll::Ready(result)
            }
            Poll::Pending => {
                if self.stalled_since.is_none() {
                    let now = self.clock.instant();
                    self.stalled_since = Some(now);
                    self.timer.as_mut().reset((now + self.deadlines.write).into());
                }
                self.poll_deadline(cx).map(Err)
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}
