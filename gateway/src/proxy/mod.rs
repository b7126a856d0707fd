//! The hot path: a request for a route, from head to response, as one screen of straight calls.

pub mod credentials;
pub mod headers;
pub mod hop;
pub mod request_body;
pub mod response_body;
pub mod route;

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use oauth1::{OauthRequest, Placement, RequestParts};

use self::headers::{Trailers, remove_hop_by_hop, rewrite};
use self::request_body::{RequestBody, Streamed, Upload};
use self::response_body::UpstreamBody;
use self::route::Found;
use crate::authenticate::body::{self, Bound};
use crate::authenticate::signature::{Proven, Verifier};
use crate::authenticate::target::Origin;
use crate::authenticate::{Authenticated, bearer, signed};
use crate::authorize::{Permitted, permit};
use crate::body::ResponseBody;
use crate::limit::Subject;
use crate::live::Route;
use crate::refusal::{Cause, Refusal};
use crate::service::in_flight::Turn;
use crate::service::{Local, Served};
use crate::upstream::Answer;

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

/// A request body, read or still to come.
enum Payload {
    /// It was signed (or its hash was), so it was read whole.
    Read(Bytes),
    /// Nothing of it was read.
    Unread(Incoming),
}

/// Serves a route.
pub async fn serve(
    exchange: &Exchange<'_>,
    mut parts: Parts,
    incoming: Incoming,
) -> Result<Response<ResponseBody>, Refusal> {
    let live = &exchange.local.live;
    let route = match live.table.find(exchange.host, parts.method.as_str(), parts.uri.path()) {
        Found::Route(index) => live.routes.get(index).ok_or(Cause::RouteUnknown)?,
        Found::OtherMethods(allow) => return Err(Refusal::method_not_allowed(allow)),
        Found::Unknown => return Err(Cause::RouteUnknown.into()),
        Found::Refused => return Err(Cause::TargetRefused.into()),
    };
    exchange.served.facts.borrow_mut().route.clone_from(&route.config.path);
    if route.config.secure && exchange.origin.scheme != oauth1::Scheme::Https {
        return Err(Cause::HttpsRequired.into());
    }
    if body::declared_length(&parts.headers).is_some_and(|length| length > live.public.limits.body) {
        return Err(Cause::BodyTooLarge.into());
    }
    let mut payload = Payload::Unread(incoming);
    let judged = judge(exchange, route, &mut parts, &mut payload).await;
    let permitted = match judged {
        Ok(permitted) => permitted,
        Err(refusal) if route.config.observe && may_be_observed(refusal.cause(), &payload) => {
            let mut facts = exchange.served.facts.borrow_mut();
            facts.cause = Some(refusal.cause());
            facts.observed = true;
            Permitted::observed()
        }
        Err(refusal) => return Err(refusal),
    };
    count(exchange, route, &permitted)?;
    forward(exchange, route, permitted, parts, payload).await
}

/// What is allowed may still be too much.
fn count(exchange: &Exchange<'_>, route: &Route, permitted: &Permitted) -> Result<(), Refusal> {
    let rates = &exchange.local.live.rates;
    exchange.served.admit(rates, Subject::Route(&route.config.path))?;
    let integration = permitted
        .caller()
        .credential()
        .and_then(|one| one.record().integration.as_ref());
    match integration {
        None => Ok(()),
        Some(one) => exchange
            .served
            .admit(rates, Subject::Integration(one.id.0, &one.definition.name)),
    }
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
    let authorization = bearer::authorization(&parts.headers)?;
    let is_bearer = authorization.is_some_and(bearer::is_bearer);
    let form = read_form(exchange, parts, payload).await?;
    check_parameters(parts.uri.query(), form.as_deref(), live.public.limits.parameters)?;
    let path = exchange.origin.path(parts.uri.path());
    let request = RequestParts {
        method: parts.method.as_str(),
        target: exchange.origin.target(&path, parts.uri.query()),
        authorization,
        form: form.as_deref(),
    };
    let caller = match OauthRequest::parse(&request, &live.rules)? {
        // A bearer beside OAuth parameters: which of the two calls?
        Some(_) if is_bearer => return Err(Cause::RequestMalformed.into()),
        Some(oauth) => {
            let verifier = verifier(exchange);
            let proven = verifier.resource(&request, oauth).await?;
            exchange.served.facts.borrow_mut().consumer = Some(proven.credential.record().consumer.id.0);
            check_body_hash(exchange, &proven, form.is_some(), payload).await?;
            verifier.claim(&proven).await?;
            let placement = proven.placement();
            let caller = signed(proven, &verifier).await?;
            strip(parts, payload, placement, route)?;
            caller
        }
        None => bearer_or_guest(exchange, authorization).await?,
    };
    let worker = &exchange.served.worker;
    let after = worker.clock.instant().duration_since(exchange.served.started);
    exchange.served.facts.borrow_mut().authenticated_after = Some(after);
    permit(caller, &route.config.requirement, &live.tree)
}

/// What verifying needs, from this worker.
pub fn verifier<'a>(exchange: &Exchange<'a>) -> Verifier<'a> {
    let worker = &exchange.served.worker;
    Verifier {
        credentials: &worker.credentials,
        store: &worker.store,
        oauth: &exchange.local.live.oauth,
        dummy: &worker.dummy,
        called: exchange.host,
        now: worker.clock.now(),
    }
}

async fn bearer_or_guest(exchange: &Exchange<'_>, authorization: Option<&[u8]>) -> Result<Authenticated, Refusal> {
    let Some(token) = authorization.and_then(bearer::token) else {
        return Ok(Authenticated::guest());
    };
    let worker = &exchange.served.worker;
    let access_tokens = exchange.local.live.oauth.access_tokens_as_bearer;
    bearer::authenticate(
        token,
        &worker.store,
        &worker.credentials,
        access_tokens,
        worker.clock.now(),
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

/// Form fields are part of the signature (RFC 5849 section 3.4.1.3.1): a form is read whole before anything is judged.
async fn read_form(exchange: &Exchange<'_>, parts: &Parts, payload: &mut Payload) -> Result<Option<Bytes>, Refusal> {
    if !body::is_form(&parts.headers) {
        return Ok(None);
    }
    let limits = &exchange.local.live.public.limits;
    let size = u64::try_from(limits.signed_form).unwrap_or(u64::MAX);
    let form = read(&exchange.served.turn, payload, Bound { size, ..bound(limits) }).await?;
    if !form.is_empty() && body::is_encoded(&parts.headers) {
        return Err(Cause::FormEncoded.into());
    }
    Ok(Some(form))
}

/// A declared hash is compared before the nonce is spent (oauth1.md X3): never on a form, whose fields are signed.
async fn check_body_hash(
    exchange: &Exchange<'_>,
    proven: &Proven<'_>,
    is_form: bool,
    payload: &mut Payload,
) -> Result<(), Refusal> {
    let Some(declared) = proven.signed().body_hash() else {
        return Ok(());
    };
    if is_form {
        return Err(Cause::ParameterRejected.into());
    }
    let limits = &exchange.local.live.public.limits;
    let octets = read(
        &exchange.served.turn,
        payload,
        Bound {
            size: limits.body,
            ..bound(limits)
        },
    )
    .await?;
    let sha1_allowed = proven.credential.methods().contains(oauth1::SignatureMethod::HmacSha1)
        || proven.credential.methods().contains(oauth1::SignatureMethod::RsaSha1);
    oauth1::body_hash::check(&octets, declared, sha1_allowed).map_err(Refusal::from)
}

async fn read(turn: &Turn, payload: &mut Payload, bound: Bound) -> Result<Bytes, Refusal> {
    let read = match std::mem::replace(payload, Payload::Read(Bytes::new())) {
        Payload::Read(bytes) => bytes,
        Payload::Unread(incoming) => turn.while_waiting(body::read(incoming, bound)).await?,
    };
    *payload = Payload::Read(read.clone());
    Ok(read)
}

fn bound(limits: &crate::config::Limits) -> Bound {
    Bound {
        size: limits.body,
        timeout: limits.body_timeout,
        rate: limits.body_rate,
    }
}

/// The OAuth material ends here (C102): upstream gets the query and the form without `oauth_*`, all else as it was.
fn strip(parts: &mut Parts, payload: &mut Payload, placement: Placement, route: &Route) -> Result<(), Refusal> {
    if route.config.keep_oauth {
        return Ok(());
    }
    match placement {
        Placement::Header => Ok(()),
        Placement::Query => {
            let Some(query) = parts.uri.query().and_then(body::without_oauth) else {
                return Ok(());
            };
            let path = parts.uri.path();
            let target = if query.is_empty() {
                path.to_owned()
            } else {
                format!("{path}?{query}")
            };
            parts.uri = target.parse().map_err(|_| Cause::RequestMalformed)?;
            Ok(())
        }
        Placement::Form => {
            let Payload::Read(form) = payload else { return Ok(()) };
            let stripped = std::str::from_utf8(form).ok().and_then(body::without_oauth);
            if let Some(stripped) = stripped {
                *form = Bytes::from(stripped);
            }
            Ok(())
        }
    }
}

/// Sends it on. What came in under a proof of permission goes out under our names.
async fn forward(
    exchange: &Exchange<'_>,
    route: &Route,
    permitted: Permitted,
    parts: Parts,
    payload: Payload,
) -> Result<Response<ResponseBody>, Refusal> {
    let (served, local) = (exchange.served, exchange.local);
    let now = served.worker.clock.instant();
    let is_read = match &payload {
        Payload::Read(_) => true,
        Payload::Unread(incoming) => incoming.is_end_stream(),
    };
    let upload = Upload::new(now, is_read);
    let body = match payload {
        Payload::Read(bytes) => RequestBody::Read(Full::new(bytes)),
        Payload::Unread(_) if is_read => RequestBody::Read(Full::new(Bytes::new())),
        Payload::Unread(incoming) => {
            let bound = bound(&local.live.public.limits);
            RequestBody::Streamed(Streamed::new(
                incoming,
                bound,
                now,
                Rc::clone(&upload),
                Rc::clone(served),
            ))
        }
    };
    let request = toward_upstream(exchange, route, &permitted, parts, body);
    let upstream = local.upstreams.get(route.upstream).ok_or(Cause::UpstreamUnhealthy)?;
    let consumer = permitted.caller().credential().map(|one| one.record().consumer.id.0);
    let hash = consumer.unwrap_or_else(|| hash_of(served.client));
    let sent = upstream.send(request, hash, &upload.upstream_since).await;
    let answer = sent.map_err(|cause| upload.broken().unwrap_or(cause))?;
    // Upstream's time began when it had the request.
    let whole = upstream.config().request_timeout;
    let since = upload.upstream_since.get().unwrap_or(now);
    let spent = served.worker.clock.instant().duration_since(since);
    downstream(served, answer, &upload, whole.saturating_sub(spent))
}

/// The request as upstream gets it.
fn toward_upstream(
    exchange: &Exchange<'_>,
    route: &Route,
    permitted: &Permitted,
    parts: Parts,
    body: RequestBody,
) -> Request<RequestBody> {
    let is_unbounded = body.size_hint().exact().is_none();
    let mut request = Request::new(body);
    *request.method_mut() = parts.method;
    // In origin form, whatever it came in.
    *request.uri_mut() = parts
        .uri
        .into_parts()
        .path_and_query
        .map_or_else(Uri::default, Uri::from);
    *request.headers_mut() = parts.headers;
    let headers = request.headers_mut();
    // hyper frames what is sent from the body's own length.
    headers.remove(CONTENT_LENGTH);
    let trailers = Trailers::of(headers, exchange.served.peer.http2);
    let served = exchange.served;
    let proto = exchange.origin.scheme.as_str();
    let memory = &served.peer.hop_memory;
    let hop = memory.hop(served.client, proto, exchange.host, &served.request_id);
    rewrite(headers, permitted.caller(), hop, route.config.keep_oauth);
    trailers.restore(headers);
    if is_unbounded {
        // hyper takes it for granted that a GET has no body, and would drop it.
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    let upstream = exchange.local.live.upstreams.get(route.upstream);
    if let Some(credential) = upstream.and_then(|one| one.credential.as_ref()) {
        credential.apply(headers);
    }
    request
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
    // Without an upgrade asked for, an upgrade answered is nonsense.
    if status == StatusCode::SWITCHING_PROTOCOLS || is_framed_twice(&headers) {
        tracing::warn!(%status, "upstream's answer is not one that can be passed on");
        return Err(Cause::UpstreamBroken.into());
    }
    remove_hop_by_hop(&mut headers);
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

/// Both framings, or a coding that ends elsewhere: what the body is depends on who reads (RFC 9112 section 6.3).
fn is_framed_twice(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => false,
        (Some(only), None) => headers.contains_key(CONTENT_LENGTH) || !only.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => true,
    }
}

/// Guests are told apart by their address where the balance is by consumer.
fn hash_of(client: std::net::IpAddr) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    client.hash(&mut hasher);
    hasher.finish()
}
