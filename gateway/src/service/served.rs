//! A request being served: what its log line will say.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::{HeaderValue, Method};

use super::in_flight::Turn;
use super::store_time::StoreTime;
use super::worker::Worker;
use crate::clock::Moment;
use crate::limit::{self, RateLimits, Standing, Subject};
use crate::listen::activity::Activity;
use crate::observe::Line;
use crate::proxy::hop::HopMemory;
use crate::refusal::{Cause, Refusal};
use crate::request_id::{self, RequestId};

/// The other end of a connection.
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// Whether the connection is TLS.
    pub tls: bool,
    /// Whether it speaks HTTP/2.
    pub http2: bool,
    /// What moves the connection's deadlines.
    pub activity: Rc<Activity>,
    /// Header values that its requests have in common.
    pub hop_memory: HopMemory,
}

/// A request, from its head to the end of its response.
pub struct Served {
    /// The worker that serves it.
    pub worker: Rc<Worker>,
    /// The connection it came on.
    pub peer: Rc<Peer>,
    /// When its head was complete.
    pub started: Moment,
    /// The time by which it is judged: when it started, or when what it had to wait for since was there.
    pub(super) judged_at: Cell<Moment>,
    /// `X-Request-Id`
    pub request_id: RequestId,
    /// Who a trusted proxy says the client is, else the peer.
    pub client: IpAddr,
    /// Its place among the requests in flight.
    pub turn: Turn,
    /// Over HTTP/2: its place among the requests that share their client's connection with others. Held until the response
    /// has ended, slow as its client may be.
    pub(super) stream: Option<Turn>,
    /// What it may still wait for the store.
    pub store_time: StoreTime,
    /// Filled in as it becomes known.
    pub facts: RefCell<Facts>,
    /// Of the limits of concurrency; they end with the response.
    pub(super) limited: RefCell<Vec<limit::Turn>>,
    /// How its subjects stand with the limits of rate, if there are any.
    pub(super) rate: Cell<Option<Standing>>,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) is_finished: Cell<bool>,
}

/// What becomes known of a request on its way.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The route's template, or our own endpoint's path.
    pub route: String,
    /// The consumer that signed.
    pub consumer: Option<u64>,
    /// Why it was refused, or would have been.
    pub cause: Option<Cause>,
    /// Whether the refusal was recorded only.
    pub observed: bool,
    /// Whether the response was cut before its end.
    pub cut: bool,
    /// Until the caller was known.
    pub authenticated_after: Option<Duration>,
    /// The target that was asked last.
    pub upstream: Option<Rc<str>>,
    /// Until upstream's answer began, from when it had been sent what came before.
    pub upstream_took: Option<Duration>,
    /// The `traceparent` that the client named its trace in.
    pub traceparent: Option<HeaderValue>,
}

impl Served {
    /// Whether it got its line.
    pub fn is_finished(&self) -> bool {
        self.is_finished.get()
    }

    /// The time by which it is judged: asked for anew only after something was waited for.
    pub fn now(&self) -> Moment {
        self.judged_at.get()
    }

    /// Something was waited for: its body, its turn.
    pub fn waited(&self) {
        self.judged_at.set(self.worker.clock.moment());
    }

    /// Counts the request for one of its subjects.
    pub fn admit(&self, rates: &RateLimits, subject: Subject<'_>) -> Result<(), Refusal> {
        // Usually: then not even the time is asked for.
        if rates.is_empty() {
            return Ok(());
        }
        let turns = &mut self.limited.borrow_mut();
        rates.admit(subject, self.worker.clock.monotonic(), turns, &self.rate)
    }

    /// One line and one count, when the response has ended.
    pub fn finish(&self, status: u16, octets: u64) {
        self.finish_at(status, octets, self.worker.clock.instant());
    }

    /// The same, where the time was asked for already.
    pub fn finish_at(&self, status: u16, octets: u64, now: Instant) {
        if self.is_finished.replace(true) {
            return;
        }
        let took = now.duration_since(self.started.instant);
        let facts = self.facts.borrow();
        if let Some(cause) = facts.cause {
            self.worker.metrics.refused(cause, facts.observed);
        }
        self.worker
            .metrics
            .answered(status, took, facts.authenticated_after, facts.upstream_took);
        self.worker.log.write(&Line {
            at: self.started.wall + took,
            request_id: self.request_id.id.to_str().unwrap_or_default(),
            client: self.client,
            method: self.method.as_str(),
            path: &self.path,
            route: &facts.route,
            consumer: facts.consumer,
            status,
            cause: facts.cause.map(Cause::as_str),
            side: facts.cause.map(Cause::side),
            observed: facts.observed,
            cut: facts.cut,
            octets,
            took,
            authenticated_after: facts.authenticated_after,
            upstream: facts.upstream.as_deref(),
            upstream_took: facts.upstream_took,
            trace_id: facts.traceparent.as_ref().and_then(request_id::trace),
        });
        self.peer.activity.end(now);
    }
}

/// Given up by its client before it was answered: it gets its line all the same.
impl Drop for Served {
    fn drop(&mut self) {
        if !self.is_finished.get() {
            self.peer.activity.abandon();
            self.facts.get_mut().cut = true;
            self.finish(CLIENT_CLOSED_REQUEST, 0);
        }
    }
}

/// What proxies log for a request whose client went away; nobody is ever sent it.
const CLIENT_CLOSED_REQUEST: u16 = 499;
