//! Upstream's response body as it streams to the client.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::Sleep;

use super::headers::keep_trailers;
use super::request_body::{RequestBody, Upload};
use crate::body::BodyError;
use crate::refusal::Cause;
use crate::service::Served;
use crate::upstream::{Active, Answer, Lease};

/// Gives its connection back at the end, and is cut when upstream takes too long or breaks off: the client must never take
/// half for the whole.
pub struct UpstreamBody {
    incoming: Incoming,
    lease: Option<Lease<RequestBody>>,
    _active: Active,
    upload: Rc<Upload>,
    served: Rc<Served>,
    status: u16,
    octets: u64,
    /// What is left of upstream's time. The time that the client takes to read is not upstream's.
    left: Duration,
    upstream_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    /// How upstream broke off: told once what came before that was sent.
    broken: Option<BodyError>,
    /// HTTP/2: since when the client is waited for. A window that never opens is not a write that stalls.
    client_since: Option<Rc<Cell<Option<Instant>>>>,
}

impl UpstreamBody {
    /// The body of `answer`; upstream has `left` of its time.
    pub fn new(answer: Answer<RequestBody>, upload: Rc<Upload>, served: Rc<Served>, left: Duration) -> Self {
        let status = answer.response.status().as_u16();
        let mut body = Self {
            incoming: answer.response.into_body(),
            lease: Some(answer.lease),
            _active: answer.active,
            upload,
            client_since: served.peer.http2.then(|| served.peer.activity.note_waiting()),
            served,
            status,
            octets: 0,
            left,
            upstream_since: None,
            timer: None,
            broken: None,
        };
        if body.incoming.is_end_stream() {
            body.end();
        }
        body
    }

    fn end(&mut self) {
        let now = self.served.worker.clock.instant();
        if let Some(lease) = self.lease.take()
            && self.upload.is_whole()
        {
            lease.give_back(now);
        }
        self.note_client(None);
        self.served.finish_at(self.status, self.octets, now);
    }

    fn break_off(&mut self, cause: Cause) {
        self.lease = None;
        self.served.facts.borrow_mut().cause = Some(cause);
    }

    fn note_client(&self, since: Option<Instant>) {
        if let Some(note) = &self.client_since {
            note.set(since);
        }
    }

    fn poll_slow(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let since = match self.upstream_since {
            Some(since) => since,
            None => *self.upstream_since.insert(self.served.worker.clock.instant()),
        };
        let deadline = tokio::time::Instant::from_std(since + self.left);
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.break_off(Cause::UpstreamTimeout);
        Poll::Ready(Some(Err("upstream took too long".into())))
    }

    fn frame(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        if let Some(since) = self.upstream_since.take() {
            let now = self.served.worker.clock.instant();
            self.left = self.left.saturating_sub(now.duration_since(since));
        }
        match frame.into_trailers() {
            Ok(trailers) => Frame::trailers(keep_trailers(trailers)),
            Err(frame) => {
                if let Some(data) = frame.data_ref() {
                    self.octets += u64::try_from(data.len()).unwrap_or(u64::MAX);
                }
                frame
            }
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        this.note_client(None);
        if let Some(error) = this.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        match Pin::new(&mut this.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let frame = this.frame(frame);
                if this.incoming.is_end_stream() {
                    this.end();
                } else if this.client_since.is_some() {
                    this.note_client(Some(this.served.worker.clock.instant()));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                this.end();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                tracing::warn!(%error, "upstream broke its response off");
                this.break_off(Cause::UpstreamBroken);
                // An error now would take with it what hyper has in hand: the head, if nothing else. Waited for, it is sent.
                this.broken = Some(error.into());
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Pending => this.poll_slow(cx),
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
        if !self.served.is_finished() {
            self.served.facts.borrow_mut().cut = true;
            self.served.finish(self.status, self.octets);
        }
    }
}
