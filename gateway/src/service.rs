//! A downstream request in, a response out: our own endpoint, a route, or not found. Every response leaves here, with its
//! request id, its line in the access log and its place in the metrics.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use http::header::CONNECTION;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Version};
use hyper::body::Incoming;
use oauth1::Keys;
use token_store::Store;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::authenticate::credential::Credentials;
use crate::authenticate::target::{Claimed, Origin, host};
use crate::body::ResponseBody;
use crate::clock::Clock;
use crate::config;
use crate::exchange::{self, user_token::UserTokens};
use crate::integration::handshake::Handshakes;
use crate::limit::{RateLimits, Subject, Turn};
use crate::live::Live;
use crate::observe::{AccessLog, Line, Shard};
use crate::proxy::forward::RequestBody;
use crate::proxy::headers::X_REQUEST_ID;
use crate::proxy::{self, Exchange};
use crate::refusal::{Answer, Cause, Dialect, Refusal, render};
use crate::request_id::RequestIds;
use crate::upstream::Upstream;

/// One thread's share of the gateway: everything a request touches, and nothing of it shared with other threads.
pub struct Worker {
    /// Time.
    pub clock: Clock,
    /// The bounds that were in force when the listener was opened.
    pub limits: config::Limits,
    /// Counters.
    pub metrics: Arc<Shard>,
    /// Lines.
    pub log: AccessLog,
    /// State.
    pub store: Arc<dyn Store>,
    /// Consumers, with prepared keys.
    pub credentials: Credentials,
    /// Verifies nothing at the usual cost.
    pub dummy: Keys,
    /// Sign-ins of users.
    pub users: Arc<UserTokens>,
    /// Where the token endpoints note the steps of a handshake.
    pub handshakes: Arc<Handshakes>,
    live: Arc<ArcSwap<Live>>,
    local: RefCell<Rc<Local>>,
    ids: RequestIds,
    in_flight: Semaphore,
    warned_of_host: Cell<u64>,
}

/// The configuration at work, as one worker holds it: its own pools, and a count of its own for the shared part.
pub struct Local {
    /// Shared by all workers.
    pub live: Arc<Live>,
    /// This worker's pools, in the order of [`Live::upstreams`].
    pub upstreams: Vec<Upstream<RequestBody>>,
}

/// The other end of a connection.
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// Whether the connection is TLS.
    pub tls: bool,
    /// What moves the connection's deadlines.
    pub activity: Rc<crate::listen::connection::Activity>,
}

/// What a worker is made from.
pub struct WorkerParts {
    /// Time.
    pub clock: Clock,
    /// Counters.
    pub metrics: Arc<Shard>,
    /// Lines.
    pub log: AccessLog,
    /// State.
    pub store: Arc<dyn Store>,
    /// Sign-ins of users.
    pub users: Arc<UserTokens>,
    /// Where the token endpoints note the steps of a handshake.
    pub handshakes: Arc<Handshakes>,
    /// What a reload swaps.
    pub live: Arc<ArcSwap<Live>>,
    /// This worker's share of the requests in flight.
    pub in_flight: usize,
    /// Consumers kept in this worker's memory.
    pub cache: usize,
    /// Where request ids start.
    pub ids: RequestIds,
}

impl Worker {
    /// A worker of this thread.
    pub fn new(parts: WorkerParts) -> Rc<Self> {
        let live = parts.live.load_full();
        let methods = live.oauth.signature_methods;
        let credentials = Credentials::new(Arc::clone(&parts.store), parts.clock, methods, parts.cache);
        Rc::new(Self {
            limits: live.public.limits.clone(),
            credentials,
            dummy: Keys::dummy(methods),
            local: RefCell::new(Rc::new(Local::new(live, parts.clock))),
            in_flight: Semaphore::new(parts.in_flight.max(1)),
            clock: parts.clock,
            metrics: parts.metrics,
            log: parts.log,
            store: parts.store,
            users: parts.users,
            handshakes: parts.handshakes,
            live: parts.live,
            ids: parts.ids,
            warned_of_host: Cell::new(0),
        })
    }

    /// Whether `X-Forwarded-*` of this peer are believed.
    pub fn trusts(&self, ip: IpAddr) -> bool {
        self.local
            .borrow()
            .live
            .public
            .trusted_proxies
            .iter()
            .any(|net| net.contains(&ip))
    }

    /// The configuration at work; taken over anew after a reload.
    pub fn local(&self) -> Rc<Local> {
        let current = self.live.load();
        let mut local = self.local.borrow_mut();
        if !Arc::ptr_eq(&local.live, &current) {
            let live = Arc::clone(&current);
            self.credentials.set_methods(live.oauth.signature_methods);
            *local = Rc::new(Local::new(live, self.clock));
        }
        Rc::clone(&local)
    }

    /// Ends upstream connections that idled too long.
    pub fn close_idle(&self) {
        for upstream in &self.local.borrow().upstreams {
            upstream.close_idle();
        }
    }

    /// Said at the first mismatch and then ever more rarely: a client's mistake must not fill the log.
    fn warn_of_host(&self, seen: &Origin<'_>, signed: &Origin<'_>) {
        let before = self.metrics.host_mismatch();
        if before.is_multiple_of(self.warned_of_host.get().max(1)) {
            self.warned_of_host.set((before + 1) * 10);
            tracing::warn!(
                called = format!("{}://{}", seen.scheme.as_str(), seen.authority),
                must_sign = format!("{}://{}{}", signed.scheme.as_str(), signed.authority, signed.prefix),
                "a request came to another address than the one that clients must sign; check public.base_url and trusted_proxies"
            );
        }
    }
}

impl Local {
    fn new(live: Arc<Live>, clock: Clock) -> Self {
        let upstreams = live
            .upstreams
            .iter()
            .map(|one| Upstream::new(&one.config, &one.tls, clock))
            .collect();
        Self { live, upstreams }
    }
}

/// A request being served: what its log line will say.
pub struct Served {
    /// The worker that serves it.
    pub worker: Rc<Worker>,
    /// The connection it came on.
    pub peer: Rc<Peer>,
    /// When its head was complete.
    pub started: Instant,
    /// `X-Request-Id`
    pub request_id: HeaderValue,
    /// Who a trusted proxy says the client is, else the peer.
    pub client: IpAddr,
    method: Method,
    path: String,
    /// Of the limits of concurrency; they end with the response.
    turns: RefCell<Vec<Turn>>,
    /// Filled in as it becomes known.
    pub facts: RefCell<Facts>,
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
    /// Until the caller was known.
    pub authenticated_after: Option<Duration>,
}

impl Served {
    /// Counts the request for one of its subjects.
    pub fn admit(&self, rates: &RateLimits, subject: Subject<'_>) -> Result<(), Refusal> {
        rates.admit(subject, self.worker.clock.monotonic(), &mut self.turns.borrow_mut())
    }

    /// One line and one count, when the response has ended.
    pub fn finish(&self, status: u16, octets: u64) {
        let now = self.worker.clock.instant();
        let took = now.duration_since(self.started);
        let facts = self.facts.borrow();
        if let Some(cause) = facts.cause {
            self.worker.metrics.refused(cause, facts.observed);
        }
        self.worker.metrics.answered(status, took, facts.authenticated_after);
        self.worker.log.write(&Line {
            at: self.worker.clock.wall(),
            request_id: self.request_id.to_str().unwrap_or_default(),
            client: self.client,
            method: self.method.as_str(),
            path: &self.path,
            route: &facts.route,
            consumer: facts.consumer,
            status,
            cause: facts.cause.map(Cause::as_str),
            side: facts.cause.map(Cause::side),
            observed: facts.observed,
            octets,
            took,
            authenticated_after: facts.authenticated_after,
        });
        self.peer.activity.end(now);
    }
}

/// Serves one request.
pub async fn serve(
    worker: Rc<Worker>,
    peer: Rc<Peer>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let before = peer.activity.begin();
    let local = worker.local();
    let trusted = worker.trusts(peer.address);
    let version = request.version();
    let served = Rc::new(Served {
        started: worker.clock.instant(),
        request_id: request_id(&worker.ids, request.headers(), trusted),
        client: client(&peer, request.headers(), &local.live.public),
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        facts: RefCell::default(),
        turns: RefCell::default(),
        peer,
        worker: Rc::clone(&worker),
    });
    let accept = request.headers().get(http::header::ACCEPT).cloned();
    let dialect = dialect(&local.live.public.paths, request.uri().path());
    let closes = before + 1 >= worker.limits.requests_per_connection;
    let mut response = match answer(&served, &local, trusted, request).await {
        Ok(response) => response,
        Err(refusal) => {
            let mut headers = HeaderMap::new();
            headers.extend(accept.map(|value| (http::header::ACCEPT, value)));
            let uniform = local.live.oauth.uniform_errors;
            served.facts.borrow_mut().cause = Some(refusal.cause());
            let answer = Answer {
                dialect,
                headers: &headers,
                realm: &local.live.realm,
                uniform,
            };
            render(&refusal, &answer)
        }
    };
    response.headers_mut().insert(X_REQUEST_ID, served.request_id.clone());
    if closes && version < Version::HTTP_2 {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
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
    check_head(&request, &local.live.public.limits)?;
    let worker = &served.worker;
    served.admit(&local.live.rates, Subject::Address(served.client))?;
    let _turn = turn(&worker.in_flight, worker.limits.in_flight_wait).await?;
    let (parts, body) = request.into_parts();
    let http2 = parts.version == Version::HTTP_2;
    let host = host(&parts.uri, &parts.headers, http2)?.to_owned();
    let headers = parts.headers.clone();
    let claimed = Claimed {
        tls: served.peer.tls,
        trusted,
        host: &host,
        headers: &headers,
    };
    let origin = Origin::of(&local.live.public.base_urls, &claimed);
    let seen = claimed.seen();
    if seen.scheme != origin.scheme || !seen.authority.eq_ignore_ascii_case(&origin.authority) {
        worker.warn_of_host(&seen, &origin);
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

/// Bounds of the head that hyper doesn't keep as ours: it allows more, and answers without a cause.
fn check_head(request: &Request<Incoming>, limits: &config::Limits) -> Result<(), Refusal> {
    let target = request.uri().path_and_query().map_or(1, |target| target.as_str().len());
    if target > limits.target {
        return Err(Cause::TargetTooLong.into());
    }
    let field = |(name, value): (&http::HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 4;
    let head: usize = request.headers().iter().map(field).sum();
    if head + target > limits.head || request.headers().len() > limits.headers {
        return Err(Cause::HeadTooLarge.into());
    }
    match *request.method() {
        Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::PATCH | Method::DELETE => Ok(()),
        Method::OPTIONS if request.uri().path() != "*" => Ok(()),
        Method::OPTIONS => Err(Cause::TargetRefused.into()),
        Method::CONNECT | Method::TRACE => Err(Refusal::method_not_allowed(METHODS.to_owned())),
        _ => Err(Refusal::method_unknown()),
    }
}

/// A request's turn: waits briefly, then fails fast, so that nothing queues without bound.
async fn turn(in_flight: &Semaphore, wait: Duration) -> Result<SemaphorePermit<'_>, Refusal> {
    if let Ok(turn) = in_flight.try_acquire() {
        return Ok(turn);
    }
    match tokio::time::timeout(wait, in_flight.acquire()).await {
        Ok(Ok(turn)) => Ok(turn),
        Ok(Err(_)) | Err(_) => Err(Cause::Overloaded.into()),
    }
}

/// A trusted proxy's id is kept, so that one request has one id throughout; nobody else's is.
fn request_id(ids: &RequestIds, headers: &HeaderMap, trusted: bool) -> HeaderValue {
    let given = headers.get(&X_REQUEST_ID).filter(|value| {
        let bytes = value.as_bytes();
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
        trusted && (1..=128).contains(&bytes.len()) && bytes.iter().all(plain)
    });
    given.cloned().unwrap_or_else(|| ids.next())
}

/// The first address, from the nearest on, that no trusted proxy has.
fn client(peer: &Peer, headers: &HeaderMap, public: &config::Public) -> IpAddr {
    let trusts = |ip: IpAddr| public.trusted_proxies.iter().any(|net| net.contains(&ip));
    if !trusts(peer.address) {
        return peer.address;
    }
    let listed = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut addresses: Vec<&str> = listed.flat_map(|value| value.split(',')).map(str::trim).collect();
    addresses.reverse();
    let mut client = peer.address;
    for address in addresses {
        let Ok(ip) = address.parse::<IpAddr>() else { break };
        client = ip;
        if !trusts(ip) {
            break;
        }
    }
    client
}

fn dialect(paths: &config::Paths, path: &str) -> Dialect {
    let path = path.strip_suffix('/').unwrap_or(path);
    if path == paths.token_request || path == paths.token_access {
        Dialect::Token
    } else if path == paths.initiate || path == paths.token {
        Dialect::Rfc
    } else {
        Dialect::Rest
    }
}

const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
