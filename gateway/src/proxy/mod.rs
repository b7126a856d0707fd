//! The hot path: a request for a route, from head to response, as one screen of straight calls.

pub mod assertion;
pub mod credentials;
mod force;
pub mod headers;
pub mod hop;
mod payload;
pub mod request_body;
pub mod response_body;
mod response_head;
pub mod route;

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, ORIGIN};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Body as _;
use oauth1::{OauthRequest, RequestParts, Rules, Scheme};

use self::credentials::UpstreamCredential;
use self::headers::{Trailers, join_cookies, rewrite};
pub use self::payload::Payload;
use self::payload::{bound, check_body_hash, read_form, strip, strip_unjudged};
use self::request_body::{RequestBody, Streamed, Upload};
use self::response_body::UpstreamBody;
use self::route::Found;
use crate::authenticate::body;
use crate::authenticate::signature::Verifier;
use crate::authenticate::target::{Claimed, Forwarded, Origin};
use crate::authenticate::{Authenticated, Lookup, bearer, signed};
use crate::authorize::opened_routes::RoutePlace;
use crate::authorize::{Permitted, permit};
use crate::body::ResponseBody;
use crate::explain::capture;
use crate::header;
use crate::limit::Subject;
use crate::live::{Route, Upstream};
use crate::refusal::{Cause, Refusal};
use crate::service::{Local, Served};
use crate::upstream::{Answer, Resign};

/// One request on its way through the gateway.
#[derive(Clone, Copy)]
pub struct Exchange<'a> {
    /// What its log line will say.
    pub served: &'a Rc<Served>,
    /// The configuration at work.
    pub local: &'a Rc<Local>,
    /// What clients sign.
    pub origin: &'a Origin<'a>,
    /// What the request says of where it went.
    pub seen: &'a Origin<'a>,
    /// The one valid `Host`.
    pub host: &'a str,
}

/// Serves a route.
pub async fn serve(
    exchange: &Exchange<'_>,
    parts: &mut Parts,
    payload: &mut Payload,
) -> Result<Response<ResponseBody>, Refusal> {
    let route = match route(exchange, parts) {
        Ok(route) => route,
        Err(refusal) => return Err(Box::pin(capture::refused(exchange, parts, payload.octets(), refusal)).await),
    };
    let permitted = match judge(exchange, route, parts, payload).await {
        Ok(permitted) => permitted,
        Err(refusal) if route.config.observe && may_be_observed(refusal.cause(), payload) => {
            Box::pin(observe(exchange, route, &refusal, parts, payload)).await?
        }
        // Apart, so that requests that are served don't carry what it needs.
        Err(refusal) => return Err(Box::pin(capture::refused(exchange, parts, payload.octets(), refusal)).await),
    };
    if let Err(refusal) = count(exchange, route, &permitted) {
        return Err(Box::pin(capture::refused(exchange, parts, payload.octets(), refusal)).await);
    }
    if !route.config.force.is_empty() {
        Box::pin(force::apply(exchange, &route.config.force, &permitted, parts, payload)).await?;
    }
    forward(exchange, route, permitted, parts, payload).await
}

/// Where it goes, if that takes what its head says.
fn route<'a>(exchange: &Exchange<'a>, parts: &Parts) -> Result<&'a Route, Refusal> {
    let live = &exchange.local.live;
    let route = match live.table.find(exchange.host, parts.method.as_str(), parts.uri.path()) {
        Found::Route(index) => live.routes.get(index).ok_or(Cause::RouteUnknown)?,
        Found::OtherMethods(allow) => return Err(Refusal::method_not_allowed(allow)),
        Found::Unknown => return Err(Cause::RouteUnknown.into()),
        Found::Refused => return Err(Cause::TargetRefused.into()),
    };
    exchange.served.facts.borrow_mut().route.clone_from(&route.config.path);
    if route.config.secure && is_plain(exchange, &parts.headers) {
        return Err(Cause::HttpsRequired.into());
    }
    if body::declared_length(&parts.headers).is_some_and(|length| length > live.public.limits.body) {
        return Err(Cause::BodyTooLarge.into());
    }
    Ok(route)
}

/// Whether a request came by plain http: by what clients sign or, though they sign https, by the word of a trusted proxy. A
/// connection without TLS tells nothing: the proxy may have ended it.
fn is_plain(exchange: &Exchange<'_>, headers: &HeaderMap) -> bool {
    let Exchange {
        served, origin, seen, ..
    } = exchange;
    if origin.scheme == Scheme::Http {
        return true;
    }
    if seen.scheme == Scheme::Https || !served.worker.trusts(served.peer.address) {
        return false;
    }
    let by_proxy = Claimed {
        tls: true,
        host: exchange.host,
        forwarded: Some(&Forwarded::of(headers)),
    };
    by_proxy.seen().scheme == Scheme::Http
}

/// What is allowed may still be too much.
fn count(exchange: &Exchange<'_>, route: &Route, permitted: &Permitted) -> Result<(), Refusal> {
    let rates = &exchange.local.live.rates;
    exchange.served.admit(rates, Subject::Route(&route.config.path))?;
    let Some(credential) = permitted.caller().credential() else {
        return Ok(());
    };
    let Some(id) = credential.integration() else {
        return Ok(());
    };
    if !rates.is_empty() {
        let name = credential
            .record()
            .integration
            .as_ref()
            .map(|one| &*one.definition.name);
        let subject = Subject::Integration(id.0, name.unwrap_or_default());
        exchange.served.admit(rates, subject)?;
    }
    exchange.local.tally.used(id.0, route.number);
    Ok(())
}

/// What a route only observes is recorded, and goes on without its credentials: nobody has spent them.
async fn observe(
    exchange: &Exchange<'_>,
    route: &Route,
    refusal: &Refusal,
    parts: &mut Parts,
    payload: &mut Payload,
) -> Result<Permitted, Refusal> {
    capture::observed(exchange, parts, payload.octets(), refusal);
    strip_unjudged(exchange, parts, payload, route).await?;
    let mut facts = exchange.served.facts.borrow_mut();
    facts.cause = Some(refusal.cause());
    facts.observed = true;
    Ok(Permitted::observed())
}

/// A body that was cut while it was read can't be forwarded, whatever the mode.
fn may_be_observed(cause: Cause, payload: &Payload) -> bool {
    let cut = matches!(
        cause,
        Cause::BodyTooLarge | Cause::RequestTimeout | Cause::RequestMalformed
    );
    !(cut && matches!(payload, Payload::Read(_)))
}

/// Who calls, and whether they may: garbage dies before the store is asked, the nonce is claimed last.
async fn judge(
    exchange: &Exchange<'_>,
    route: &Route,
    parts: &mut Parts,
    payload: &mut Payload,
) -> Result<Permitted, Refusal> {
    let live = &exchange.local.live;
    if parts.method == Method::OPTIONS && is_preflight(&parts.headers, payload) {
        check_parameters(parts.uri.query(), None, live.public.limits.parameters)?;
        // Its target may be one that is signed for the request to come.
        Box::pin(strip_unjudged(exchange, parts, payload, route)).await?;
        return Permitted::preflight(&route.config.requirement);
    }
    let authorization = bearer::authorization(&parts.headers, live.public.limits.authorization)?;
    let is_bearer = authorization.is_some_and(bearer::is_bearer);
    let form = if body::is_form(&parts.headers)? {
        // Boxed, as what is rare is: every request's state is copied when it is made, and stays small.
        let form = Box::pin(read_form(exchange, parts, payload)).await?;
        exchange.served.waited();
        Some(form)
    } else {
        None
    };
    check_parameters(parts.uri.query(), form.as_deref(), live.public.limits.parameters)?;
    let path = exchange.origin.path(parts.uri.path());
    let request = RequestParts {
        method: parts.method.as_str(),
        target: exchange.origin.target(&path, parts.uri.query()),
        authorization,
        form: form.as_deref(),
    };
    let caller = if let Some(oauth) = oauth_request(&request, &live.rules, is_bearer)? {
        let verifier = verifier(exchange);
        let store_time = &exchange.served.store_time;
        let proven = match verifier.resource(&request, oauth) {
            Lookup::Known(proven) => proven?,
            Lookup::Asking(mut asking) => store_time.bound(asking.as_mut()).await?,
        };
        exchange.served.facts.borrow_mut().consumer = Some(proven.credential.id().0);
        route.verified.mark();
        if let Some(declared) = proven.signed().body_hash() {
            Box::pin(check_body_hash(exchange, &proven, declared, form.is_some(), payload)).await?;
        } else if proven.credential.requires_body_hash() && form.is_none() && !payload.is_empty() {
            return Err(Refusal::absent_fields(vec!["oauth_body_hash".to_owned()]));
        }
        store_time.bound_claim(pin!(verifier.claim(&proven))).await?;
        let caller = match signed(&proven, &verifier) {
            Lookup::Known(caller) => caller?,
            Lookup::Asking(mut asking) => store_time.bound(asking.as_mut()).await?,
        };
        strip(parts, payload, proven.placement(), route)?;
        caller
    } else {
        let asked = pin!(bearer_or_guest(exchange, route, authorization));
        exchange.served.store_time.bound(asked).await?
    };
    let worker = &exchange.served.worker;
    let after = worker.clock.instant().duration_since(exchange.served.started.instant);
    exchange.served.facts.borrow_mut().authenticated_after = Some(after);
    let place = RoutePlace {
        configuration: exchange.local.number,
        route: route.number,
    };
    permit(caller, &route.config.requirement, &live.tree, place).map_err(|denied| {
        if let Some((integration, lacking)) = &denied.asked {
            exchange.local.tally.refused(integration.0, lacking);
        }
        denied.refusal
    })
}

/// What a browser sends before a request of another origin's page, and nobody signs.
fn is_preflight(headers: &HeaderMap, payload: &Payload) -> bool {
    let has = |name| header::has(headers, name);
    has(&ORIGIN) && has(&ACCESS_CONTROL_REQUEST_METHOD) && !has(&AUTHORIZATION) && payload.is_empty()
}

/// The request's OAuth parameters, where it has any. A bearer token beside them: which of the two calls?
fn oauth_request<'a>(
    request: &RequestParts<'a>,
    rules: &Rules,
    is_bearer: bool,
) -> Result<Option<OauthRequest<'a>>, Refusal> {
    match OauthRequest::parse(request, rules)? {
        Some(_) if is_bearer => Err(Cause::RequestMalformed.into()),
        oauth => Ok(oauth),
    }
}

/// What verifying needs, from this worker.
pub fn verifier<'a>(exchange: &Exchange<'a>) -> Verifier<'a> {
    let (worker, now) = (&exchange.served.worker, exchange.served.now());
    Verifier {
        credentials: &worker.credentials,
        store: &worker.store,
        oauth: &exchange.local.live.oauth,
        dummy: &worker.dummy,
        called: exchange.host,
        now: now.wall.as_secs(),
        instant: now.instant,
    }
}

async fn bearer_or_guest(
    exchange: &Exchange<'_>,
    route: &Route,
    authorization: Option<&[u8]>,
) -> Result<Authenticated, Refusal> {
    let Some(token) = authorization.and_then(bearer::token) else {
        return Ok(Authenticated::guest());
    };
    let (worker, live) = (&exchange.served.worker, &exchange.local.live);
    let demanded = live
        .upstreams
        .get(route.upstream)
        .and_then(|one| one.credential.as_ref());
    let forwards_own = matches!(demanded, Some(UpstreamCredential::Customer));
    let access_tokens = live.oauth.access_tokens_as_bearer;
    bearer::authenticate(
        token,
        worker.bearers(),
        &worker.credentials,
        access_tokens,
        forwards_own,
    )
    .await
}

/// Query and form have so many parameters at most, signed or not: upstream has to take them apart, too.
fn check_parameters(query: Option<&str>, form: Option<&[u8]>, most: usize) -> Result<(), Cause> {
    let pairs = |octets: &[u8]| {
        octets
            .split(|octet| *octet == b'&')
            .filter(|pair| !pair.is_empty())
            .count()
    };
    let (query, form) = (query.unwrap_or_default().as_bytes(), form.unwrap_or_default());
    // Each is an octet at least: most requests need no look at all.
    if query.len() + form.len() > most && pairs(query) + pairs(form) > most {
        return Err(Cause::RequestMalformed);
    }
    Ok(())
}

/// Sends it on. What came in under a proof of permission goes out under our names.
async fn forward(
    exchange: &Exchange<'_>,
    route: &Route,
    permitted: Permitted,
    parts: &mut Parts,
    payload: &mut Payload,
) -> Result<Response<ResponseBody>, Refusal> {
    let (served, local) = (exchange.served, exchange.local);
    let place = route.upstream;
    let (Some(demands), Some(upstream)) = (local.live.upstreams.get(place), local.upstreams.get(place)) else {
        return Err(Cause::UpstreamUnhealthy.into());
    };
    let judged = served
        .facts
        .borrow()
        .authenticated_after
        .map(|after| served.started.instant + after);
    let now = judged.unwrap_or_else(|| served.worker.clock.instant());
    let is_read = match &*payload {
        Payload::Read(_) => true,
        Payload::Unread(incoming) => incoming.is_end_stream(),
    };
    let upload = Upload::new(now, is_read);
    let resign = resign(demands, parts, payload);
    let body = match payload.take() {
        Payload::Read(bytes) => RequestBody::Read(Full::new(bytes)),
        Payload::Unread(_) if is_read => RequestBody::Read(Full::new(Bytes::new())),
        Payload::Unread(incoming) => {
            let bound = bound(&local.live.public.limits);
            let (upload, served) = (Rc::clone(&upload), Rc::clone(served));
            RequestBody::Streamed(Box::new(Streamed::new(incoming, bound, now, upload, served)))
        }
    };
    let mut sending = Some(toward_upstream(exchange, route, &permitted, parts, body));
    if let Some(request) = &mut sending {
        if let Some(credential) = &demands.credential {
            credential.apply(request.headers_mut(), permitted.caller());
        }
        if let Some(lifetime) = demands.config.assertion {
            // Boxed, as what few upstreams get is.
            let asserted = assertion::add(exchange, demands, lifetime, permitted.caller(), request);
            Box::pin(asserted).await?;
        }
        if let Some(resign) = resign {
            request.extensions_mut().insert(resign);
        }
    }
    let consumer = permitted.caller().credential().map(|one| one.id().0);
    let is_private = !permitted.caller().is_guest();
    let hash = consumer.unwrap_or_else(|| hash_of(served.client));
    let asks = |target: &Rc<str>| served.facts.borrow_mut().upstream = Some(Rc::clone(target));
    let sent = upstream.send(&mut sending, hash, &upload.upstream_since, asks).await;
    // Upstream's time began when it had the request.
    let since = upload.upstream_since.get().unwrap_or(now);
    let spent = served.worker.clock.instant().duration_since(since);
    served.facts.borrow_mut().upstream_took = Some(spent);
    let answer = sent.map_err(|cause| upload.broken().unwrap_or(cause))?;
    let whole = upstream.config().request_timeout;
    let mut response = downstream(served, answer, &upload, whole.saturating_sub(spent))?;
    if is_private {
        response_head::keep_private(response.headers_mut());
    }
    Ok(response)
}

/// What upstream is to find signed by the gateway itself, if it is.
fn resign(demands: &Upstream, parts: &Parts, payload: &Payload) -> Option<Resign> {
    let credentials = match demands.credential.as_ref()? {
        UpstreamCredential::Oauth1(credentials) => credentials,
        UpstreamCredential::Header(..) | UpstreamCredential::Customer => return None,
    };
    let form = match payload {
        Payload::Read(octets) if body::is_form(&parts.headers) == Ok(true) => Some(octets.clone()),
        Payload::Read(_) | Payload::Unread(_) => None,
    };
    Some(Resign::new(credentials, form))
}

/// The request as upstream gets it.
fn toward_upstream(
    exchange: &Exchange<'_>,
    route: &Route,
    permitted: &Permitted,
    parts: &mut Parts,
    body: RequestBody,
) -> Request<RequestBody> {
    let length = body.size_hint().exact();
    let (is_unbounded, is_empty) = (length.is_none(), length == Some(0));
    let mut request = Request::new(body);
    request.method_mut().clone_from(&parts.method);
    // In origin form, whatever it came in.
    *request.uri_mut() = std::mem::take(&mut parts.uri)
        .into_parts()
        .path_and_query
        .map_or_else(Uri::default, Uri::from);
    *request.headers_mut() = std::mem::take(&mut parts.headers);
    let headers = request.headers_mut();
    let trailers = Trailers::of(headers, exchange.served.peer.http2);
    let served = exchange.served;
    let proto = exchange.origin.scheme.as_str();
    let memory = &served.peer.hop_memory;
    let hop = memory.hop(served.client, proto, &exchange.seen.authority, &served.request_id);
    if let Some(traceparent) = rewrite(headers, permitted.caller(), hop, route.config.keep_oauth) {
        served.facts.borrow_mut().traceparent = Some(traceparent);
    }
    trailers.restore(headers);
    if exchange.served.peer.http2 {
        join_cookies(headers);
    }
    if is_unbounded {
        // hyper takes it for granted that a GET has no body, and would drop it.
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    } else if is_empty && takes_a_body(&parts.method) {
        // hyper says nothing of a body that isn't there; upstream could wait for one (RFC 9110 section 8.6).
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    request
}

fn takes_a_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

/// Upstream's response, without what concerns its connection, streaming back.
fn downstream(
    served: &Rc<Served>,
    mut answer: Answer<RequestBody>,
    upload: &Rc<Upload>,
    left: Duration,
) -> Result<Response<ResponseBody>, Refusal> {
    let status = answer.response.status();
    let mut headers = std::mem::take(answer.response.headers_mut());
    // Without an upgrade asked for, an upgrade answered is nonsense; and there are five classes of status (RFC 9110
    // section 15).
    if status == StatusCode::SWITCHING_PROTOCOLS || status.as_u16() > 599 || response_head::is_framed_twice(&headers) {
        tracing::warn!(%status, "upstream's answer is not one that can be passed on");
        return Err(Cause::UpstreamBroken.into());
    }
    response_head::rewrite(status, &mut headers, answer.response.body().size_hint().exact());
    let reason = answer.response.extensions_mut().remove::<hyper::ext::ReasonPhrase>();
    let body = UpstreamBody::new(answer, Rc::clone(upload), Rc::clone(served), left);
    let mut response = Response::new(ResponseBody::Upstream(Box::new(body)));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    if let Some(reason) = reason {
        response.extensions_mut().insert(reason);
    }
    Ok(response)
}

/// Guests are told apart by their address where the balance is by consumer.
fn hash_of(client: std::net::IpAddr) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    client.hash(&mut hasher);
    hasher.finish()
}
