//! Forwarding: a request body toward upstream within its bounds, upstream's response back as it comes.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::Sleep;

use crate::authenticate::body::Bound;
use crate::body::BodyError;
use crate::upstream::{Active, Lease};

/// What upstream is sent: a form that was read, or the body as it comes.
pub enum RequestBody {
    /// In memory: it was signed.
    Read(Full<Bytes>),
    /// As it comes from the client, counted and timed.
    Streamed(Streamed),
}

/// A body that streams within its bounds.
pub struct Streamed {
    incoming: Incoming,
    received: u64,
    bound: Bound,
    started: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    broken: Rc<std::cell::Cell<Option<Broken>>>,
}

/// Why a streaming request body was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Larger than allowed.
    TooLarge,
    /// Slower than allowed.
    TooSlow,
    /// The client broke it off, or its framing.
    Client,
}

impl Streamed {
    /// `broken` tells the request's own future why it was cut.
    pub fn new(incoming: Incoming, bound: Bound, now: Instant, broken: Rc<std::cell::Cell<Option<Broken>>>) -> Self {
        Self {
            incoming,
            received: 0,
            bound,
            started: now,
            timer: None,
            broken,
        }
    }

    fn cut(&self, why: Broken) -> BodyError {
        self.broken.set(Some(why));
        BodyError::from("request body cut")
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Read(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Self::Streamed(body) => body.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Read(body) => body.is_end_stream(),
            Self::Streamed(body) => body.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Read(body) => body.size_hint(),
            Self::Streamed(body) => body.incoming.size_hint(),
        }
    }
}

impl Streamed {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            let frame = match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Pending => return self.poll_slow(cx),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Some(Err(self.cut(Broken::Client)))),
                Poll::Ready(Some(Ok(frame))) => frame,
            };
            // HTTP/1 request trailers are dropped: nothing signed them and they could pass for headers.
            let Ok(data) = frame.into_data() else { continue };
            self.received += u64::try_from(data.len()).unwrap_or(u64::MAX);
            if self.received > self.bound.size {
                return Poll::Ready(Some(Err(self.cut(Broken::TooLarge))));
            }
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }

    /// The next octets are not here yet: is the body as a whole still fast enough?
    fn poll_slow(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let deadline = tokio::time::Instant::from_std(self.started + self.bound.allowed(self.received));
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        match timer.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => Poll::Ready(Some(Err(self.cut(Broken::TooSlow)))),
        }
    }
}

/// Upstream's response body: gives its connection back at the end, and is cut when the whole exchange takes too long.
pub struct UpstreamBody {
    incoming: Incoming,
    lease: Option<Lease<RequestBody>>,
    _active: Active,
    deadline: Pin<Box<Sleep>>,
    finished: Option<Finished>,
    octets: u64,
}

/// Called once, when the response has ended or was cut: octets sent.
pub type Finished = Box<dyn FnOnce(u64)>;

impl UpstreamBody {
    /// `left` is what remains of the exchange's time.
    pub fn new(
        incoming: Incoming,
        lease: Lease<RequestBody>,
        active: Active,
        left: Duration,
        finished: Finished,
    ) -> Self {
        let mut body = Self {
            incoming,
            lease: Some(lease),
            _active: active,
            deadline: Box::pin(tokio::time::sleep(left)),
            finished: Some(finished),
            octets: 0,
        };
        if body.incoming.is_end_stream() {
            body.end();
        }
        body
    }

    fn end(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
        self.finish();
    }

    fn finish(&mut self) {
        if let Some(finished) = self.finished.take() {
            finished(self.octets);
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    this.octets += u64::try_from(data.len()).unwrap_or(u64::MAX);
                }
                if this.incoming.is_end_stream() {
                    this.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                this.end();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Pending => match this.deadline.as_mut().poll(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(()) => Poll::Ready(Some(Err("upstream took too long".into()))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for UpstreamBody {
    fn drop(&mut self) {
        self.finish();
    }
}
