//! The authorization server on the public listener: token endpoints and users' tokens.

pub mod access_token;
pub mod account;
mod address_budget;
mod audited;
pub mod consent;
pub mod credentials;
pub mod initiate;
pub mod password;
pub mod recovery;
pub mod request_token;
pub mod session;
pub mod sign_in;
pub mod token;
pub mod totp;
pub mod user_token;
pub mod voucher;

use std::pin::pin;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA};
use http::request::Parts;
use http::{HeaderValue, Method, Response};
use oauth1::{OauthRequest, ParameterName, RequestParts, Rules};
use token_store::ConsumerRecord;

use self::sign_in::Door;
use crate::authenticate::body::{self, Bound};
use crate::authenticate::{bearer, signature};
use crate::body::ResponseBody;
use crate::config::Paths;
use crate::explain::capture;
use crate::integration::handshake::Step;
use crate::proxy::{Exchange, Payload, verifier};
use crate::refusal::{Cause, Refusal};

/// Our own endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `/oauth/token/request`
    TokenRequest,
    /// `/oauth/token/access`
    TokenAccess,
    /// `/oauth/initiate`
    Initiate,
    /// `/oauth/authorize`
    Authorize,
    /// `/oauth/token`
    Token,
    /// `/rest/V1/integration/admin/token`
    AdminToken,
    /// `/rest/V1/integration/customer/token`
    CustomerToken,
    /// `/rest/V1/integration/customer/revoke-customer-token`
    RevokeCustomerToken,
    /// `/.well-known/jwks.json`
    AssertionKeys,
}

impl Endpoint {
    /// The endpoint at a path; a trailing slash is accepted, as Magento does, and a store code after `/rest`.
    pub fn of(paths: &Paths, path: &str) -> Option<Self> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let with_store = |configured: &str| path == configured || is_with_store(configured, path);
        if path == paths.token_request {
            Some(Self::TokenRequest)
        } else if path == paths.token_access {
            Some(Self::TokenAccess)
        } else if path == paths.initiate {
            Some(Self::Initiate)
        } else if path == paths.authorize {
            Some(Self::Authorize)
        } else if path == paths.token {
            Some(Self::Token)
        } else if with_store(&paths.admin_token) {
            Some(Self::AdminToken)
        } else if with_store(&paths.customer_token) {
            Some(Self::CustomerToken)
        } else if with_store(&paths.revoke_customer_token) {
            Some(Self::RevokeCustomerToken)
        } else if path == ASSERTION_KEYS {
            Some(Self::AssertionKeys)
        } else {
            None
        }
    }

    fn allows(self, method: &Method) -> bool {
        match self {
            Self::TokenRequest | Self::TokenAccess | Self::Initiate | Self::Authorize | Self::Token => {
                *method == Method::POST || *method == Method::GET
            }
            Self::AdminToken | Self::CustomerToken | Self::RevokeCustomerToken => *method == Method::POST,
            Self::AssertionKeys => *method == Method::GET || *method == Method::HEAD,
        }
    }

    /// Whether its requests carry an OAuth signature; the others take passwords.
    fn is_signed(self) -> bool {
        match self {
            Self::TokenRequest | Self::TokenAccess | Self::Initiate | Self::Token => true,
            Self::Authorize
            | Self::AdminToken
            | Self::CustomerToken
            | Self::RevokeCustomerToken
            | Self::AssertionKeys => false,
        }
    }

    fn allow_header(self) -> &'static str {
        match self {
            Self::TokenRequest | Self::TokenAccess | Self::Initiate | Self::Authorize | Self::Token => "GET, POST",
            Self::AdminToken | Self::CustomerToken | Self::RevokeCustomerToken => "POST",
            Self::AssertionKeys => "GET, HEAD",
        }
    }
}

/// `/rest/<store>/V1/…` for a configured `/rest/V1/…`.
fn is_with_store(configured: &str, path: &str) -> bool {
    // Most paths are other routes', and end otherwise.
    if path.as_bytes().last_chunk::<4>() != configured.as_bytes().last_chunk() {
        return false;
    }
    let split = |path: &'_ str| -> Option<(usize, usize)> {
        let second = path.get(1..)?.find('/')? + 1;
        let third = path.get(second + 1..)?.find('/')? + second + 1;
        Some((second, third))
    };
    let (Some((at, _)), Some((store, after))) = (split(configured), split(path)) else {
        return false;
    };
    let code = path.get(store + 1..after).unwrap_or_default();
    configured.get(..at) == path.get(..store)
        && configured.get(at..) == path.get(after..)
        && !code.is_empty()
        && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Serves one of our own endpoints.
pub async fn serve(
    exchange: &Exchange<'_>,
    endpoint: Endpoint,
    parts: &Parts,
    payload: &mut Payload,
) -> Result<Response<ResponseBody>, Refusal> {
    if !endpoint.allows(&parts.method) {
        let refusal = Refusal::method_not_allowed(endpoint.allow_header().to_owned());
        return Err(Box::pin(capture::refused(exchange, parts, payload.octets(), refusal)).await);
    }
    let limits = &exchange.local.live.public.limits;
    let size = u64::try_from(limits.signed_form).unwrap_or(u64::MAX);
    let bound = Bound {
        size,
        timeout: limits.body_timeout,
        rate: limits.body_rate,
    };
    let octets = payload.read(&exchange.served.turn, bound).await?;
    exchange.served.waited();
    let store_time = &exchange.served.store_time;
    let answered = match endpoint {
        Endpoint::TokenRequest => store_time.bound(pin!(token_request(exchange, parts, &octets))).await,
        Endpoint::TokenAccess => store_time.bound(pin!(token_access(exchange, parts, &octets))).await,
        Endpoint::Initiate => store_time.bound(pin!(initiate(exchange, parts, &octets))).await,
        Endpoint::Authorize => consent::serve(exchange, parts, &octets).await,
        Endpoint::Token => token(exchange, parts, &octets).await,
        Endpoint::AdminToken => {
            let users = &exchange.served.worker.users;
            users.admin_token(&parts.headers, &octets, door(exchange)).await
        }
        Endpoint::CustomerToken => {
            let users = &exchange.served.worker.users;
            users.customer_token(&parts.headers, &octets, door(exchange)).await
        }
        Endpoint::RevokeCustomerToken => {
            let users = &exchange.served.worker.users;
            users
                .revoke_customer_token(&parts.headers, authorization(exchange, parts)?, exchange.served.client)
                .await
        }
        Endpoint::AssertionKeys => assertion_keys(exchange).await,
    };
    match answered {
        // Apart, so that requests that are served don't carry what it needs.
        Err(refusal) if endpoint.is_signed() => {
            Err(Box::pin(capture::refused(exchange, parts, Some(&octets), refusal)).await)
        }
        answered => answered,
    }
}

/// Where a user signs in, and whose budget that is: nobody's where a trusted proxy names no client.
fn door(exchange: &Exchange<'_>) -> Door {
    let client = exchange.served.client;
    Door::Public((!exchange.served.worker.trusts(client)).then_some(client))
}

async fn token_request(
    exchange: &Exchange<'_>,
    parts: &Parts,
    octets: &Bytes,
) -> Result<Response<ResponseBody>, Refusal> {
    let path = exchange.origin.path(parts.uri.path());
    let request = request_parts(exchange, parts, &path, octets)?;
    let oauth = oauth_request(&request, &exchange.local.live.rules, &REQUEST)?;
    let verifier = verifier(exchange);
    let key = consumer_key(&oauth);
    let proven = verifier
        .consumer_only(&request, oauth, oauth1::Call::RequestToken)
        .await
        .inspect_err(|refusal| note_unproven(exchange, &key, "request_token", refusal))?;
    has_verified(exchange, &proven);
    verifier.claim(&proven).await?;
    let issued = request_token::issue(&verifier, &proven).await;
    let refused = refused(&issued);
    note(exchange, &proven, Step::RequestToken { refused });
    issued
}

async fn token_access(
    exchange: &Exchange<'_>,
    parts: &Parts,
    octets: &Bytes,
) -> Result<Response<ResponseBody>, Refusal> {
    let path = exchange.origin.path(parts.uri.path());
    let request = request_parts(exchange, parts, &path, octets)?;
    let rules = &exchange.local.live.rules_of_exchange;
    let oauth = oauth_request(&request, rules, &ACCESS)?;
    let verifier = verifier(exchange);
    let key = consumer_key(&oauth);
    let proven = verifier
        .exchange(&request, oauth)
        .await
        .inspect_err(|refusal| note_unproven(exchange, &key, "access_token", refusal))?;
    has_verified(exchange, &proven);
    verifier.claim(&proven).await?;
    let issue = access_token::issue(&verifier, &proven);
    let issued = audited::exchanged(exchange, proven.credential.record(), issue).await;
    let refused = refused(&issued);
    note(exchange, &proven, Step::AccessToken { refused });
    issued
}

async fn initiate(exchange: &Exchange<'_>, parts: &Parts, octets: &Bytes) -> Result<Response<ResponseBody>, Refusal> {
    let path = exchange.origin.path(parts.uri.path());
    let request = request_parts(exchange, parts, &path, octets)?;
    let oauth = oauth_request(&request, &exchange.local.live.rules, &INITIATE)?;
    let verifier = verifier(exchange);
    let proven = verifier.consumer_only(&request, oauth, oauth1::Call::Initiate).await?;
    has_verified(exchange, &proven);
    verifier.claim(&proven).await?;
    initiate::issue(&verifier, &proven).await
}

async fn token(exchange: &Exchange<'_>, parts: &Parts, octets: &Bytes) -> Result<Response<ResponseBody>, Refusal> {
    let store_time = &exchange.served.store_time;
    let issued = store_time.bound(pin!(issue_token(exchange, parts, octets))).await?;
    let store = &*exchange.served.worker.store;
    // The new one stands, and is never told again: what fails from here on is not the client's.
    if let Err(refusal) = store_time.bound(pin!(issued.end_older(store))).await {
        let cause = refusal.cause().as_str();
        tracing::error!(
            cause,
            "a user's older access token stands beside the new one until the next"
        );
    }
    Ok(issued.answer())
}

async fn issue_token(exchange: &Exchange<'_>, parts: &Parts, octets: &Bytes) -> Result<token::Issued, Refusal> {
    let path = exchange.origin.path(parts.uri.path());
    let request = request_parts(exchange, parts, &path, octets)?;
    let oauth = oauth_request(&request, &exchange.local.live.rules, &ACCESS)?;
    let verifier = verifier(exchange);
    let proven = verifier.exchange(&request, oauth).await?;
    has_verified(exchange, &proven);
    verifier.claim(&proven).await?;
    token::issue(&verifier, &proven).await
}

async fn assertion_keys(exchange: &Exchange<'_>) -> Result<Response<ResponseBody>, Refusal> {
    let upstreams = &exchange.local.live.upstreams;
    let is_in_use = upstreams.iter().any(|one| one.config.assertion.is_some());
    exchange.served.worker.assertions.published(is_in_use).await
}

/// A signature holds: for the log line, and for what explains others' mistakes.
fn has_verified(exchange: &Exchange<'_>, proven: &signature::Proven<'_>) {
    exchange.served.facts.borrow_mut().consumer = Some(proven.credential.record().consumer.id.0);
    exchange.local.live.exchange_verified.mark();
}

fn refused(issued: &Result<Response<ResponseBody>, Refusal>) -> Option<&'static str> {
    issued.as_ref().err().map(|refusal| refusal.cause().as_str())
}

fn consumer_key(oauth: &OauthRequest<'_>) -> Vec<u8> {
    oauth.get(ParameterName::ConsumerKey).unwrap_or_default().to_vec()
}

/// For the handshake's page: a call in a consumer's name was refused before its signature held. Memory alone is asked, where
/// the judging of it has left the consumer: that takes the same time for a key that nobody has.
fn note_unproven(exchange: &Exchange<'_>, key: &[u8], call: &'static str, refusal: &Refusal) {
    let worker = &exchange.served.worker;
    let known = worker.credentials.in_memory(key, worker.clock.instant());
    let cause = refusal.cause();
    if let Some(known) = known.filter(|_| cause.side() == "client") {
        let consumer = known.record().consumer.id;
        worker
            .handshakes
            .saw_unproven(consumer, worker.clock.now(), call, cause.as_str());
    }
}

/// For the handshake's page: what the consumer itself signed.
fn note(exchange: &Exchange<'_>, proven: &signature::Proven<'_>, step: Step) {
    let consumer = proven.credential.record().consumer.id;
    let worker = &exchange.served.worker;
    worker.handshakes.saw(consumer, worker.clock.now(), step);
}

fn authorization<'a>(exchange: &Exchange<'_>, parts: &'a Parts) -> Result<Option<&'a [u8]>, Cause> {
    bearer::authorization(&parts.headers, exchange.local.live.public.limits.authorization)
}

fn request_parts<'a>(
    exchange: &'a Exchange<'_>,
    parts: &'a Parts,
    path: &'a str,
    octets: &'a Bytes,
) -> Result<RequestParts<'a>, Refusal> {
    let is_form = body::is_form(&parts.headers)?;
    if is_form && !octets.is_empty() && body::is_encoded(&parts.headers) {
        return Err(Cause::FormEncoded.into());
    }
    Ok(RequestParts {
        method: parts.method.as_str(),
        target: exchange.origin.target(path, parts.uri.query()),
        authorization: authorization(exchange, parts)?,
        form: is_form.then_some(octets.as_ref()),
    })
}

/// Its OAuth parameters. Where there are none at all, every required one is absent, whatever scheme came instead (magento.md
/// 2.3). A bearer token beside them: which of the two calls?
fn oauth_request<'a>(
    request: &RequestParts<'a>,
    rules: &Rules,
    required: &[&str],
) -> Result<OauthRequest<'a>, Refusal> {
    let Some(oauth) = OauthRequest::parse(request, rules)? else {
        let absent = required.iter().map(|name| (*name).to_owned());
        return Err(Refusal::absent_fields(absent.collect()));
    };
    if request.authorization.is_some_and(bearer::is_bearer) {
        return Err(Cause::RequestMalformed.into());
    }
    Ok(oauth)
}

/// The next record, if the change may be tried: read anew where another gateway was faster.
pub(crate) async fn reread(
    verifier: &signature::Verifier<'_>,
    record: &ConsumerRecord,
) -> Result<std::sync::Arc<ConsumerRecord>, Refusal> {
    let current = verifier.store.consumer(record.consumer.id).await?;
    current.ok_or_else(|| Cause::ConsumerKeyUnknown.into())
}

/// A token answer: form-encoded, never cached (C79, C114).
pub(crate) fn token_answer(token: &str, secret: &str, confirmed: bool) -> Response<ResponseBody> {
    let confirmed = if confirmed {
        "&oauth_callback_confirmed=true"
    } else {
        ""
    };
    let mut response = Response::new(ResponseBody::from(format!(
        "oauth_token={token}&oauth_token_secret={secret}{confirmed}"
    )));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// How often a change is tried again that another one overtook.
pub(crate) const TRIES: usize = 4;
const ASSERTION_KEYS: &str = "/.well-known/jwks.json";
const REQUEST: [&str; 5] = [
    "oauth_consumer_key",
    "oauth_signature",
    "oauth_signature_method",
    "oauth_nonce",
    "oauth_timestamp",
];
const INITIATE: [&str; 6] = [
    "oauth_consumer_key",
    "oauth_signature",
    "oauth_signature_method",
    "oauth_nonce",
    "oauth_timestamp",
    "oauth_callback",
];
const ACCESS: [&str; 7] = [
    "oauth_consumer_key",
    "oauth_signature",
    "oauth_signature_method",
    "oauth_nonce",
    "oauth_timestamp",
    "oauth_token",
    "oauth_verifier",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_code_may_stand_after_rest() {
        let configured = "/rest/V1/integration/admin/token";

        assert!(is_with_store(configured, "/rest/default/V1/integration/admin/token"));
        assert!(!is_with_store(configured, "/rest//V1/integration/admin/token"));
        assert!(!is_with_store(configured, "/rest/a/b/V1/integration/admin/token"));
        assert!(!is_with_store(configured, "/soap/default/V1/integration/admin/token"));
    }
}
