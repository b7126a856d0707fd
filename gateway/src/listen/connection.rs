//! A downstream socket as hyper reads and writes it: what comes in is judged, and every deadline is kept here.
//!
//! hyper knows none of the deadlines as one bound (its header timeout runs while a kept connection idles, too), so the
//! socket itself keeps them: a state that the service moves, and one lazily re-armed timer. Nothing is paid per request.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::activity::Activity;
use super::frames::{Frames, MOST_ABANDONED};
use super::head::Bounds;
use super::messages::Messages;
use super::stream::Stream;
use crate::clock::Clock;

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

/// What judges the octets that come in.
enum Inbound {
    Http1(Messages),
    Http2(Frames),
}

/// The socket that hyper reads and writes.
pub struct Connection {
    stream: Stream,
    inbound: Inbound,
    activity: Rc<Activity>,
    deadlines: Deadlines,
    clock: Clock,
    timer: Pin<Box<Sleep>>,
    /// Whether the timer, as it is armed, will wake the connection's task.
    is_watched: bool,
    /// The client sent more than is read while a request is served: its end can't be seen before that is read.
    has_unread: bool,
    /// Octets that were read to tell the version.
    sniffed: Vec<u8>,
    /// Since when a head, or a frame, is on its way.
    partial_since: Option<Instant>,
    /// When a write last could not go on.
    stalled_since: Option<Instant>,
    closing: Closing,
}

/// How far the connection's polite end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    Open,
    /// What the client still sends is thrown away for a while, so that it can read our answer (RFC 9112 section 9.6).
    Lingering,
    Closed,
}

impl Connection {
    /// Takes the socket over; it speaks HTTP/2 until [`Connection::http1`] says otherwise.
    pub fn new(stream: Stream, activity: Rc<Activity>, deadlines: Deadlines, clock: Clock) -> Self {
        Self {
            stream,
            inbound: Inbound::Http2(Frames::default()),
            activity,
            deadlines,
            clock,
            timer: Box::pin(tokio::time::sleep(deadlines.idle.min(deadlines.head))),
            is_watched: false,
            has_unread: false,
            sniffed: Vec::new(),
            partial_since: None,
            stalled_since: None,
            closing: Closing::Open,
        }
    }

    /// Whether the client's end is looked for here while a request is served, so that hyper needn't read for it: each such
    /// read takes a buffer of 8 KiB beside the one that the request's head still stands in. Not under TLS, where octets that
    /// wait may be the end's announcement.
    pub fn sees_the_end(&self) -> bool {
        matches!(self.stream, Stream::Plain(_))
    }

    /// Speaks HTTP/1, within these bounds.
    pub fn http1(&mut self, bounds: Bounds) {
        self.inbound = Inbound::Http1(Messages::new(bounds));
    }

    /// Whether the first octets are HTTP/2's preface, as a client with prior knowledge sends it (RFC 9113 section 3.3).
    /// They are kept for whoever reads next.
    pub async fn sniff(&mut self) -> io::Result<bool> {
        use tokio::io::AsyncReadExt as _;
        let preface = super::PREFACE;
        loop {
            let mut some = [0; 4096];
            let length = self.stream.read(&mut some).await?;
            self.sniffed.extend_from_slice(some.get(..length).unwrap_or_default());
            let seen = self.sniffed.get(..preface.len()).unwrap_or(&self.sniffed);
            if length == 0 || seen.len() == preface.len() || !preface.starts_with(seen) {
                return Ok(seen == preface);
            }
        }
    }

    /// Waits, without reading, until there is something to read. `false`: the client was silent for too long.
    pub async fn stirs(&mut self) -> bool {
        std::future::poll_fn(|cx| {
            // Its fault, if it has one, is for who reads it.
            if self.stream.poll_read_ready(cx).is_ready() {
                return Poll::Ready(true);
            }
            self.poll_deadline(cx).map(|()| false)
        })
        .await
    }

    /// Octets into `buf`, judged. `Ready` without any: the end.
    fn poll_judged(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        loop {
            if let Inbound::Http1(messages) = &mut self.inbound {
                if messages.has_good() {
                    buf.put_slice(&messages.hand_over(buf.remaining()));
                    return Poll::Ready(Ok(()));
                }
                if messages.is_broken() {
                    return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                }
                if messages.is_over() {
                    // What follows a refused head is never read.
                    return Poll::Pending;
                }
            }
            let Poll::Ready(read) = self.poll_fresh(cx, buf) else {
                if let Inbound::Http2(frames) = &mut self.inbound {
                    frames.wait();
                }
                return Poll::Pending;
            };
            read?;
            let fresh = buf.filled().get(before..).unwrap_or_default();
            if fresh.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let good = match &mut self.inbound {
                Inbound::Http1(messages) => {
                    let good = messages.take(fresh);
                    if let Some((ordinal, cause)) = messages.refused() {
                        self.activity.refuse(ordinal, cause);
                    }
                    good
                }
                Inbound::Http2(frames) => {
                    let length = fresh.len();
                    if let Err(flood) = frames.take(fresh, self.clock.instant()) {
                        tracing::debug!(%flood, "connection ended");
                        return Poll::Ready(Err(self.go_away(cx, ENHANCE_YOUR_CALM)));
                    }
                    length
                }
            };
            buf.set_filled(before + good);
            self.note_partial();
            if good > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn poll_fresh(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.has_unread = false;
        if self.sniffed.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let rest = self.sniffed.split_off(self.sniffed.len().min(buf.remaining()));
        buf.put_slice(&std::mem::replace(&mut self.sniffed, rest));
        Poll::Ready(Ok(()))
    }

    fn note_partial(&mut self) {
        let is_partial = match &self.inbound {
            Inbound::Http1(messages) => messages.is_partial(),
            Inbound::Http2(frames) => frames.is_partial(),
        };
        if !is_partial {
            self.partial_since = None;
        } else if self.partial_since.is_none() {
            self.partial_since = Some(self.clock.instant());
        }
    }

    /// When the connection is over, as things stand; `None`: a request is being served and its writes go on.
    fn deadline(&self) -> Option<Instant> {
        if let Some(since) = self.stalled_since {
            return Some(since + self.deadlines.write);
        }
        if self.is_serving() {
            return self.activity.waiting_since().map(|since| since + self.deadlines.write);
        }
        let idle = self.activity.idle_since();
        match self.partial_since {
            // A head that came while the one before was being served gets its time from then on.
            Some(since) => Some(since.max(idle) + self.deadlines.head),
            // Before its first request a client gets the time of a head: it connected to send one.
            None if self.activity.begun() == 0 => Some(idle + self.deadlines.head),
            None => Some(idle + self.deadlines.idle),
        }
    }

    /// Whether a request is being served, or is on its way to the service.
    fn is_serving(&self) -> bool {
        let handed_over = match &self.inbound {
            Inbound::Http1(messages) => messages.handed_over(),
            Inbound::Http2(_) => 0,
        };
        self.activity.is_serving() || handed_over > self.activity.begun()
    }

    /// Whether all that came was served, and all of that was taken. Not amid a body, though its request may be answered:
    /// whoever reads next would take the rest of it for a head.
    fn is_quiet(&self) -> bool {
        let is_between_messages = match &self.inbound {
            Inbound::Http1(messages) => !messages.is_unfinished() && !messages.has_good(),
            Inbound::Http2(_) => false,
        };
        is_between_messages && self.stalled_since.is_none() && self.sniffed.is_empty() && !self.is_serving()
    }

    /// Ready once the deadline has passed; otherwise the task will be woken when it may have.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // A connection lives on one task: what was told once to wake it needn't be told again.
        if self.is_watched && !self.timer.is_elapsed() {
            return Poll::Pending;
        }
        loop {
            // Without budget left, the timer would not look at who asks.
            self.is_watched = tokio::task::coop::has_budget_remaining();
            ready!(self.timer.as_mut().poll(cx));
            let now = self.clock.instant();
            match self.deadline() {
                Some(deadline) if deadline <= now => return Poll::Ready(()),
                // The timer fired for a deadline that has moved since: arm it for the one that stands now.
                Some(deadline) => self.timer.as_mut().reset(deadline.into()),
                None => {
                    let soon = self.deadlines.head.min(self.deadlines.write).min(self.deadlines.idle);
                    self.timer.as_mut().reset((now + soon).into());
                }
            }
        }
    }

    /// The deadline of a read has passed. A head that has begun is refused; who sent none learns nothing.
    fn time_out(&mut self, cx: &mut Context<'_>) -> Option<io::Error> {
        let waits = self.activity.waiting_since().is_some();
        match &mut self.inbound {
            Inbound::Http1(messages) if messages.is_partial() && self.stalled_since.is_none() => {
                messages.time_out();
                if let Some((ordinal, cause)) = messages.refused() {
                    self.activity.refuse(ordinal, cause);
                }
                self.note_partial();
                None
            }
            Inbound::Http1(_) => {
                if self.stalled_since.is_some() {
                    self.stream.reset_on_close();
                }
                Some(io::ErrorKind::TimedOut.into())
            }
            Inbound::Http2(_) => Some(self.go_away(cx, if waits { ENHANCE_YOUR_CALM } else { NO_ERROR })),
        }
    }

    /// Says why, as well as that can be done now (RFC 9113 section 6.8), and ends.
    fn go_away(&mut self, cx: &mut Context<'_>, code: u8) -> io::Error {
        let frame = [0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, code];
        if self.stalled_since.is_none() {
            let _best_effort = Pin::new(&mut self.stream).poll_write(cx, &frame);
            let _best_effort = Pin::new(&mut self.stream).poll_flush(cx);
        }
        if code == NO_ERROR {
            io::ErrorKind::TimedOut.into()
        } else {
            io::ErrorKind::ConnectionAborted.into()
        }
    }

    fn wrote(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match polled {
            Poll::Ready(result) => {
                self.stalled_since = None;
                Poll::Ready(result)
            }
            Poll::Pending => {
                self.activity.note_quiet(false);
                if self.stalled_since.is_none() {
                    let now = self.clock.instant();
                    self.stalled_since = Some(now);
                    self.is_watched = false;
                    self.timer.as_mut().reset((now + self.deadlines.write).into());
                }
                ready!(self.poll_deadline(cx));
                // A client that takes nothing gets a reset: no kernel buffer waits for it either.
                self.stream.reset_on_close();
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }

    /// An error once the client is gone while a request is served: nobody waits for the answer any more.
    fn look_for_the_end(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let (Stream::Plain(socket), Inbound::Http1(_)) = (&self.stream, &self.inbound) else {
            return Ok(());
        };
        if self.has_unread || !self.is_serving() {
            return Ok(());
        }
        let mut octet = [0];
        match socket.poll_peek(cx, &mut ReadBuf::new(&mut octet)) {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(0)) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Ready(Ok(_)) => {
                self.has_unread = true;
                Ok(())
            }
            Poll::Ready(Err(error)) => Err(error),
        }
    }

    fn owes(&self) -> bool {
        matches!(&self.inbound, Inbound::Http1(messages) if messages.is_unfinished())
    }

    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 8192];
        loop {
            if self.timer.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let mut scratch = ReadBuf::new(&mut scratch);
            // The socket yields by itself when it was read too often in a row.
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut scratch));
            if read.is_err() || scratch.filled().is_empty() {
                return Poll::Ready(());
            }
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.activity.abandoned() > MOST_ABANDONED {
            return Poll::Ready(Err(this.go_away(cx, ENHANCE_YOUR_CALM)));
        }
        loop {
            if let Poll::Ready(read) = this.poll_judged(cx, buf) {
                this.activity.note_quiet(false);
                return Poll::Ready(read);
            }
            this.activity.note_quiet(this.is_quiet());
            ready!(this.poll_deadline(cx));
            if let Some(error) = this.time_out(cx) {
                return Poll::Ready(Err(error));
            }
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

    /// hyper flushes whenever the connection is woken, while a request is served, too.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.stream).poll_flush(cx))?;
        Poll::Ready(this.look_for_the_end(cx))
    }

    /// Ends the sending side; then, where the client may still be sending, waits a while for it to read our answer: a close
    /// now would be a reset, and the reset would take the answer with it.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.closing == Closing::Open {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            this.closing = Closing::Closed;
            if this.owes() {
                this.timer.as_mut().reset((this.clock.instant() + LINGER).into());
                this.closing = Closing::Lingering;
            }
        }
        if this.closing != Closing::Closed {
            ready!(this.poll_linger(cx));
            this.closing = Closing::Closed;
        }
        Poll::Ready(Ok(()))
    }
}

const GOAWAY: u8 = 7;
const NO_ERROR: u8 = 0;
const ENHANCE_YOUR_CALM: u8 = 11;
/// For a client to read its answer after we closed.
const LINGER: Duration = Duration::from_secs(2);
