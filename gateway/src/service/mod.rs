//! A downstream request in, a response out: our own endpoint, a route, or not found. Every response leaves here, with its
//! request id, its line in the access log and its place in the metrics.

mod head;
pub mod in_flight;
mod served;
mod worker;

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::Poll;

use http::header::{ACCEPT, CONNECTION};
use http::{HeaderMap, HeaderValue, Request, Response};
use hyper::body::Incoming;

use self::in_flight::Turn;
pub use self::served::{Facts, Peer, Served};
pub use self::worker::{Local, Worker, WorkerParts};
use crate::authenticate::target::{Claimed, Forwarded, Origin, host};
use crate::body::ResponseBody;
use crate::exchange;
use crate::limit::Subject;
use crate::observe::Shard;
use crate::proxy::headers::X_REQUEST_ID;
use crate::proxy::{self, Exchange};
use crate::refusal::{Answer, Cause, Refusal, render};

/// Serves one request.
pub async fn serve(
    worker: Rc<Worker>,
    peer: Rc<Peer>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let ordinal = peer.activity.begin();
    let local = worker.local();
    let trusted = worker.trusts(peer.address);
    let served = Rc::new(Served {
        started: worker.clock.instant(),
        request_id: head::request_id(&worker.ids, request.headers(), trusted),
        client: head::client(&peer, request.headers(), &local.live.public),
        turn: Turn::new(Rc::clone(&local.in_flight)),
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        facts: RefCell::default(),
        limited: RefCell::default(),
        is_finished: Cell::new(false),
        peer: Rc::clone(&peer),
        worker: Rc::clone(&worker),
    });
    let accept = request.headers().get(ACCEPT).cloned();
    let dialect = head::dialect(&local.live.public.paths, request.uri().path());
    let answered = match peer.activity.refusal(ordinal) {
        Some(cause) => Err(cause.into()),
        None => unbroken(&worker.metrics, answer(&served, &local, trusted, request)).await,
    };
    served.turn.give_back();
    let mut response = match answered {
        Ok(response) => response,
        Err(refusal) => {
            served.facts.borrow_mut().cause = Some(refusal.cause());
            let mut headers = HeaderMap::new();
            headers.extend(accept.map(|value| (ACCEPT, value)));
            let answer = Answer {
                dialect,
                headers: &headers,
                realm: &local.live.realm,
                uniform: local.live.oauth.uniform_errors,
            };
            render(&refusal, &answer)
        }
    };
    response.headers_mut().insert(X_REQUEST_ID, served.request_id.clone());
    if ordinal + 1 >= local.live.public.limits.requests_per_connection {
        if peer.http2 {
            peer.activity.spent.notify_one();
        } else {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
    }
    if let Some(octets) = response.body().size_of_ours() {
        served.finish(response.status().as_u16(), octets);
    }
    Ok(response)
}

async fn answer(
    served: &Rc<Served>,
    local: &Rc<Local>,
    trusted: bool,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Refusal> {
    head::check(&request, &local.live.public.limits)?;
    served.admit(&local.live.rates, Subject::Address(served.client))?;
    served.turn.take().await?;
    let (parts, body) = request.into_parts();
    let host = host(&parts.uri, &parts.headers, served.peer.http2)?.to_owned();
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
            exchange::serve(&exchange, endpoint, parts, body).await
        }
        None => proxy::serve(&exchange, parts, body).await,
    }
}

/// A panic is a defect of ours that costs one request its answer, not its connection's others theirs.
async fn unbroken<T>(metrics: &Shard, answering: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
    let mut answering = std::pin::pin!(answering);
    std::future::poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| answering.as_mut().poll(cx)));
        polled.unwrap_or_else(|_| {
            metrics.panicked();
            Poll::Ready(Err(Cause::Internal.into()))
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_500_for_that_request_and_counted() {
        let metrics = Shard::default();

        let answered = unbroken::<()>(&metrics, async { panic!("a defect") }).await;

        assert_eq!(answered.map_err(|refusal| refusal.cause()), Err(Cause::Internal));
        assert_eq!(metrics.panics(), 1);
    }
}
