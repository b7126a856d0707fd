//! A request body toward upstream: what was read already, or as it comes, counted and timed.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::Sleep;

use super::headers::keep_trailers;
use crate::authenticate::body::Bound;
use crate::body::BodyError;
use crate::refusal::Cause;
use crate::service::Served;

/// What upstream is sent.
pub enum RequestBody {
    /// In memory: it was signed.
    Read(Full<Bytes>),
    /// As it comes from the client.
    Streamed(Box<Streamed>),
}

/// How far a body has come: what the request's own future sees of it.
#[derive(Debug)]
pub struct Upload {
    broken: Cell<Option<Cause>>,
    is_whole: Cell<bool>,
    /// Since when upstream is waited for; `None`: the client is.
    pub upstream_since: Cell<Option<Instant>>,
}

impl Upload {
    /// Nothing sent yet; `is_whole`: the body is in memory.
    pub fn new(now: Instant, is_whole: bool) -> Rc<Self> {
        Rc::new(Self {
            broken: Cell::new(None),
            is_whole: Cell::new(is_whole),
            upstream_since: Cell::new(Some(now)),
        })
    }

    /// Why it was cut, if that was the client's doing.
    pub fn broken(&self) -> Option<Cause> {
        self.broken.get()
    }

    /// Whether all of it was handed to the connection: only then can that serve another request.
    pub fn is_whole(&self) -> bool {
        self.is_whole.get()
    }
}

/// A body that streams within its bounds.
pub struct Streamed {
    incoming: Incoming,
    received: u64,
    bound: Bound,
    started: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    upload: Rc<Upload>,
    served: Rc<Served>,
}

impl Streamed {
    /// From `now` on.
    pub fn new(incoming: Incoming, bound: Bound, now: Instant, upload: Rc<Upload>, served: Rc<Served>) -> Self {
        Self {
            incoming,
            received: 0,
            bound,
            started: now,
            timer: None,
            upload,
            served,
        }
    }

    fn cut(&self, why: Cause) -> BodyError {
        self.upload.broken.set(Some(why));
        BodyError::from("request body cut")
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            let frame = match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Pending => return self.poll_slow(cx),
                Poll::Ready(frame) => frame,
            };
            if self.upload.upstream_since.get().is_none() {
                // Where there is no room by now, a request that was let in once goes on without.
                self.served.turn.try_take();
            }
            self.upload.upstream_since.set(Some(self.served.worker.clock.instant()));
            let frame = match frame {
                None => {
                    self.upload.is_whole.set(true);
                    return Poll::Ready(None);
                }
                Some(Err(_)) => return Poll::Ready(Some(Err(self.cut(Cause::RequestMalformed)))),
                Some(Ok(frame)) => frame,
            };
            self.upload.is_whole.set(self.incoming.is_end_stream());
            match frame.into_data() {
                Ok(data) => {
                    self.received += u64::try_from(data.len()).unwrap_or(u64::MAX);
                    if self.received > self.bound.size {
                        return Poll::Ready(Some(Err(self.cut(Cause::BodyTooLarge))));
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                // HTTP/1 request trailers are dropped: nothing signed them and they could pass for headers.
                Err(trailers) if self.served.peer.http2 => {
                    let Ok(trailers) = trailers.into_trailers() else {
                        continue;
                    };
                    return Poll::Ready(Some(Ok(Frame::trailers(keep_trailers(trailers)))));
                }
                Err(_) => {}
            }
        }
    }

    /// The next octets are not here yet: is the body as a whole still fast enough?
    fn poll_slow(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.upload.upstream_since.set(None);
        self.served.turn.give_back();
        let deadline = tokio::time::Instant::from_std(self.started + self.bound.allowed(self.received));
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        match timer.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => Poll::Ready(Some(Err(self.cut(Cause::RequestTimeout)))),
        }
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
