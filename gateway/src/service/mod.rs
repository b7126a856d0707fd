//! A downstream request in, a response out: our own endpoint, a route, or not found. Every response leaves here, with its
//! request id, its line in the access log and its place in the metrics.

pub mod head;
pub mod in_flight;
mod served;
pub mod store_time;
mod worker;

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use http::header::{ACCEPT, CONNECTION};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use hyper::body::{Body as _, Incoming};

use self::in_flight::Turn;
pub use self::served::{Facts, Peer, Served};
use self::store_time::StoreTime;
pub use self::worker::{Local, Worker, WorkerParts};
use crate::authenticate::target::{Claimed, Forwarded, Origin, host};
use crate::body::ResponseBody;
use crate::exchange;
use crate::limit::{Standing, Subject};
use crate::observe::Shard;
use crate::proxy::headers::X_REQUEST_ID;
use crate::proxy::{self, Exchange, Payload};
use crate::refusal::{Answer, Cause, Refusal, render};

/// Serves one request.
///
/// The head is taken apart before the future is made, and lent from here on: taken by value on the way, each step's state
/// would hold it once more, and all of that is copied when a request begins.
pub fn serve(
    worker: Rc<Worker>,
    peer: Rc<Peer>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<ResponseBody>, Infallible>> {
    let (mut parts, incoming) = request.into_parts();
    let has_body = !incoming.is_end_stream();
    let mut payload = Payload::Unread(incoming);
    async move {
        let ordinal = peer.activity.begin();
        let local = worker.local();
        let trusted = worker.trusts(peer.address);
        let started = worker.clock.moment();
        let refused_head = peer.activity.refusal(ordinal);
        // Of a head that was refused nothing is known: what came here only stands for it.
        let (method, path) = match refused_head {
            Some(_) => (Method::from_bytes(UNKNOWN.as_bytes()).unwrap_or_default(), UNKNOWN),
            None => (parts.method.clone(), parts.uri.path()),
        };
        let served = Rc::new(Served {
            started,
            judged_at: Cell::new(started),
            request_id: head::request_id(&worker.ids, &parts.headers, trusted),
            client: head::client(&peer, &parts.headers, &local.live.public),
            turn: Turn::new(Rc::clone(&local.in_flight)),
            stream: peer.http2.then(|| Turn::new(Rc::clone(&local.streams))),
            store_time: StoreTime::new(worker.store_limit, worker.clock),
            method,
            path: path.to_owned(),
            facts: RefCell::default(),
            limited: RefCell::default(),
            rate: Cell::default(),
            is_finished: Cell::new(false),
            peer,
            worker,
        });
        let activity = &served.peer.activity;
        let accept = head::accept(&parts.headers);
        let answered = if let Some(cause) = refused_head {
            Err(cause.into())
        } else {
            let answering = std::pin::pin!(answer(&served, &local, trusted, &mut parts, &mut payload));
            unbroken(&served.worker.metrics, answering).await
        };
        served.turn.give_back();
        let is_refused = answered.is_err();
        let mut response = match answered {
            Ok(response) => response,
            Err(refusal) => told(&refusal, accept, &served, &local),
        };
        response
            .headers_mut()
            .insert(X_REQUEST_ID, served.request_id.id.clone());
        if let Some(standing) = served.rate.get() {
            say_rate(response.headers_mut(), standing);
        }
        let is_last = ordinal + 1 >= local.live.public.limits.requests_per_connection;
        if is_last && served.peer.http2 {
            activity.spent.notify_one();
        }
        // What is left of a refused body would be in the way: the connection ends, and says so.
        let is_cut = is_refused && has_body && !matches!(&payload, Payload::Read(octets) if !octets.is_empty());
        if (is_last || is_cut) && !served.peer.http2 {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        if let Some(octets) = response.body().size_of_ours() {
            served.finish(response.status().as_u16(), octets);
        }
        Ok(response)
    }
}

/// Under the names of the IETF's draft, and under those that were there before it.
fn say_rate(headers: &mut HeaderMap, standing: Standing) {
    let said = [
        ("ratelimit-limit", "x-ratelimit-limit", u64::from(standing.limit)),
        (
            "ratelimit-remaining",
            "x-ratelimit-remaining",
            u64::from(standing.remaining),
        ),
        ("ratelimit-reset", "x-ratelimit-reset", standing.reset),
    ];
    for (name, older, value) in said {
        headers.insert(name, HeaderValue::from(value));
        headers.insert(older, HeaderValue::from(value));
    }
}

/// The response of a refusal, as the path and `Accept` want it.
fn told(refusal: &Refusal, accept: Option<HeaderValue>, served: &Served, local: &Local) -> Response<ResponseBody> {
    served.facts.borrow_mut().cause = Some(refusal.cause());
    let mut headers = HeaderMap::new();
    headers.extend(accept.map(|value| (ACCEPT, value)));
    let paths = &local.live.public.paths;
    let answer = Answer {
        dialect: head::dialect(paths, &served.path),
        headers: &headers,
        realm: &local.live.realm,
        uniform: local.live.oauth.uniform_errors,
    };
    let rendered = render(refusal, &answer);
    match exchange::Endpoint::of(paths, &served.path) {
        Some(exchange::Endpoint::Authorize) => exchange::consent::refused(refusal, rendered),
        Some(_) | None => rendered,
    }
}

async fn answer(
    served: &Rc<Served>,
    local: &Rc<Local>,
    trusted: bool,
    parts: &mut Parts,
    payload: &mut Payload,
) -> Result<Response<ResponseBody>, Refusal> {
    head::check(parts, &local.live.public.limits)?;
    served.admit(&local.live.rates, Subject::Address(served.client))?;
    // The first has its connection's own: whoever sends one at a time is never crowded out by those who send many.
    if let Some(stream) = &served.stream
        && served.peer.activity.is_serving_several()
        && !stream.try_take()
    {
        Box::pin(stream.take()).await?;
        served.waited();
    }
    if !served.turn.try_take() {
        // Boxed, as what is rare and large is.
        Box::pin(served.turn.take()).await?;
        served.waited();
    }
    let is_known = |host: &str| served.peer.hop_memory.knows(host);
    let host = host(&parts.uri, &parts.headers, served.peer.http2, is_known)?.to_owned();
    let forwarded = trusted.then(|| Forwarded::of(&parts.headers));
    let claimed = Claimed {
        tls: served.peer.tls,
        host: &host,
        forwarded: forwarded.as_ref(),
    };
    let origin = Origin::of(&local.live.public.base_urls, &claimed);
    let seen = claimed.seen();
    if seen.scheme != origin.scheme || !seen.authority.eq_ignore_ascii_case(&origin.authority) {
        served.worker.warn_of_host(&seen, &origin);
    }
    let exchange = Exchange {
        served,
        local,
        origin: &origin,
        seen: &seen,
        host: &host,
    };
    match exchange::Endpoint::of(&local.live.public.paths, parts.uri.path()) {
        Some(endpoint) => {
            parts.uri.path().clone_into(&mut served.facts.borrow_mut().route);
            // Boxed: the rarer and larger one doesn't weigh on every request for a route.
            Box::pin(exchange::serve(&exchange, endpoint, parts, payload)).await
        }
        None => proxy::serve(&exchange, parts, payload).await,
    }
}

/// A panic is a defect of ours that costs one request its answer, not its connection's others theirs.
/// By reference: taken by value it would be held twice, and every request's state is copied when it is made.
async fn unbroken<T>(
    metrics: &Shard,
    mut answering: Pin<&mut impl Future<Output = Result<T, Refusal>>>,
) -> Result<T, Refusal> {
    std::future::poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| answering.as_mut().poll(cx)));
        polled.unwrap_or_else(|_| {
            metrics.panicked();
            Poll::Ready(Err(Cause::Internal.into()))
        })
    })
    .await
}

/// Method and path of a head that couldn't be read, in the access log.
const UNKNOWN: &str = "-";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_500_for_that_request_and_counted() {
        let metrics = Shard::default();

        let answering = std::pin::pin!(async { panic!("a defect") });
        let answered = unbroken::<()>(&metrics, answering).await;

        assert_eq!(answered.map_err(|refusal| refusal.cause()), Err(Cause::Internal));
        assert_eq!(metrics.panics(), 1);
    }
}
