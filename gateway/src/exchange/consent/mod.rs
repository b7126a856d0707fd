//! `/oauth/authorize`: the resource owner signs in, sees who asks, and allows or rejects (RFC 5849 section 2.2).
//!
//! One page and one form, without script. It can't be framed, is never cached, and its form counts only with the cookie
//! that came with the page (C85); the callback was fixed when the request token was made, never here (P1, P6).

mod page;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use oauth1::Scheme;
use sha2::Digest as _;
use subtle::ConstantTimeEq as _;
use token_store::{ConsumerRecord, Delegated, DelegatedStage, Put, Status, UnixSeconds, User, UserKind};

use self::page::{Asked, Fault, Page};
use super::initiate::OUT_OF_BAND;
use super::user_token::Credentials;
use super::{audited, door};
use crate::body::ResponseBody;
use crate::proxy::Exchange;
use crate::random;
use crate::refusal::{Cause, Refusal};

/// Serves the page, and its decision.
pub async fn serve(exchange: &Exchange<'_>, parts: &Parts, form: &Bytes) -> Result<Response<ResponseBody>, Refusal> {
    if parts.method == Method::POST {
        return decide(exchange, &parts.headers, form).await;
    }
    let query = parts.uri.query().unwrap_or_default();
    let token = field(query.as_bytes(), "oauth_token");
    let Some(request) = find(exchange, token.as_deref()).await? else {
        return Ok(Page::no_request().respond(StatusCode::BAD_REQUEST));
    };
    show(exchange, &parts.headers, &request, None)
}

/// A refusal on the page's path as a page, with the same status and headers: a browser asked. Others can ask for
/// `application/problem+json`.
pub fn refused(refusal: &Refusal, rendered: Response<ResponseBody>) -> Response<ResponseBody> {
    if rendered
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind == "application/problem+json")
    {
        return rendered;
    }
    let mut response = Page::refused(refusal.cause()).respond(rendered.status());
    for (name, value) in rendered.headers() {
        response.headers_mut().entry(name).or_insert_with(|| value.clone());
    }
    response
}

/// A request token that waits for a decision, and who asks.
struct Request {
    row: Arc<Delegated>,
    callback: String,
    record: Arc<ConsumerRecord>,
}

/// Unknown, expired, decided already: all the same to whoever holds the link, and nobody is sent anywhere (C89).
async fn find(exchange: &Exchange<'_>, token: Option<&str>) -> Result<Option<Request>, Refusal> {
    let worker = &exchange.served.worker;
    let Some(token) = token.filter(|token| token.len() == random::CREDENTIAL_LENGTH) else {
        return Ok(None);
    };
    let Some(consumer) = worker.store.consumer_of_token(token).await? else {
        return Ok(None);
    };
    let Some(row) = worker.store.delegated(consumer, token).await? else {
        return Ok(None);
    };
    let DelegatedStage::Pending { callback } = &row.stage else {
        return Ok(None);
    };
    if row.expires_at.is_some_and(|at| at <= worker.clock.now()) {
        return Ok(None);
    }
    let Some(record) = worker.store.consumer(consumer).await? else {
        return Ok(None);
    };
    let Some(integration) = record.integration.as_ref() else {
        return Ok(None);
    };
    // One that was withdrawn since must not get a verifier any more.
    let is_registered = callback == OUT_OF_BAND || integration.definition.callback_urls.contains(callback);
    if !is_registered {
        return Ok(None);
    }
    if integration.status != Status::Active {
        return Err(Cause::IntegrationInactive.into());
    }
    Ok(Some(Request {
        callback: callback.clone(),
        row,
        record,
    }))
}

/// The page, with the cookie that its form needs.
fn show(
    exchange: &Exchange<'_>,
    headers: &HeaderMap,
    request: &Request,
    fault: Option<(Fault, &str)>,
) -> Result<Response<ResponseBody>, Refusal> {
    let secure = exchange.origin.scheme == Scheme::Https;
    let known = cookie(headers, secure);
    let secret = match &known {
        Some(secret) => secret.clone(),
        None => random::credential()?,
    };
    let csrf = csrf(&secret, &request.row.token);
    let status = match fault {
        None => StatusCode::OK,
        Some((Fault::SignIn | Fault::Code, _)) => StatusCode::UNAUTHORIZED,
        Some((Fault::OutOfDate, _)) => StatusCode::FORBIDDEN,
        Some((Fault::Undecided | Fault::Incomplete, _)) => StatusCode::BAD_REQUEST,
    };
    let integration = request.record.integration.as_ref().ok_or(Cause::Internal)?;
    // With the prefix that a proxy strips: the browser sends the form, and the password, to where the page came from.
    let action = exchange.origin.path(&exchange.local.live.public.paths.authorize);
    let asked = Asked {
        name: &integration.definition.name,
        store: &exchange.origin.authority,
        callback: (request.callback != OUT_OF_BAND).then_some(request.callback.as_str()),
        token: &request.row.token,
        csrf: &csrf,
        action: &action,
        username: fault.map_or("", |(_, username)| username),
        fault: fault.map(|(fault, _)| fault),
    };
    let mut response = Page::ask(&asked).respond(status);
    if known.is_none() {
        let name = cookie_name(secure);
        let secure = if secure { "; Secure" } else { "" };
        let value = format!("{name}={secret}; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600{secure}");
        response
            .headers_mut()
            .insert(SET_COOKIE, HeaderValue::try_from(value).map_err(|_| Cause::Internal)?);
    }
    Ok(response)
}

async fn decide(exchange: &Exchange<'_>, headers: &HeaderMap, form: &Bytes) -> Result<Response<ResponseBody>, Refusal> {
    let text = |name: &str| field(form, name).unwrap_or_default();
    let Some(request) = find(exchange, Some(&text("oauth_token"))).await? else {
        return Ok(Page::no_request().respond(StatusCode::BAD_REQUEST));
    };
    let username = text("username");
    let again = |fault| show(exchange, headers, &request, Some((fault, &username)));
    let secret = cookie(headers, exchange.origin.scheme == Scheme::Https);
    let expected = secret.map(|secret| csrf(&secret, &request.row.token));
    let is_ours = expected.is_some_and(|expected| expected.as_bytes().ct_eq(text("csrf").as_bytes()).into());
    if !is_ours || !is_same_origin(exchange, headers) {
        return again(Fault::OutOfDate);
    }
    match text("decision").as_str() {
        "reject" => reject(exchange, &request).await,
        "allow" => {
            let credentials = match Credentials::new(Some(username.clone()), Some(text("password"))) {
                Ok(credentials) => credentials.with_code(Some(text("code"))),
                Err(refusal) if refusal.cause() == Cause::ParameterAbsent => return again(Fault::Incomplete),
                Err(_) => return again(Fault::SignIn),
            };
            match sign_in(exchange, &username, &credentials).await {
                Ok(consent) => allow(exchange, &request, consent).await,
                Err(refusal) if refusal.asks_for_code() => again(Fault::Code),
                Err(refusal) if refusal.cause() == Cause::SignInFailed => again(Fault::SignIn),
                Err(refusal) => Err(refusal),
            }
        }
        _ => again(Fault::Undecided),
    }
}

/// Customers sign in by their e-mail address, admins by a name; which may be an address, too. Whoever is not that customer
/// is looked for among the admins, whether there is one of that name or not: a failure always is the same work.
async fn sign_in(
    exchange: &Exchange<'_>,
    username: &str,
    credentials: &Credentials,
) -> Result<(User, UnixSeconds), Refusal> {
    let users = &exchange.served.worker.users;
    if username.contains('@') {
        match users.sign_in(UserKind::Customer, credentials, door(exchange)).await {
            Err(refusal) if refusal.cause() == Cause::SignInFailed && !refusal.asks_for_code() => {}
            told => return told,
        }
    }
    users.sign_in(UserKind::Admin, credentials, door(exchange)).await
}

async fn allow(
    exchange: &Exchange<'_>,
    request: &Request,
    (user, revoked_before): (User, UnixSeconds),
) -> Result<Response<ResponseBody>, Refusal> {
    let verifier = random::secret()?;
    let mut row = Delegated::clone(&request.row);
    row.stage = DelegatedStage::Approved {
        callback: request.callback.clone(),
        user,
        revoked_before,
        verifier: verifier.clone(),
        tries: 0,
    };
    let store = &exchange.served.worker.store;
    // One decision a request token: of two that race, one finds it decided (C90).
    let decision = store.replace_delegated(&request.row.token, &row);
    let decided = audited::allowed(exchange, (&request.record, user), decision).await?;
    if !matches!(decided, Put::Done(_)) {
        return Ok(Page::no_request().respond(StatusCode::BAD_REQUEST));
    }
    if request.callback == OUT_OF_BAND {
        let name = name_of(&request.record);
        return Ok(Page::code(name, verifier.expose()).respond(StatusCode::OK));
    }
    back(
        &request.callback,
        &[("oauth_token", &row.token), ("oauth_verifier", verifier.expose())],
    )
}

async fn reject(exchange: &Exchange<'_>, request: &Request) -> Result<Response<ResponseBody>, Refusal> {
    let mut row = Delegated::clone(&request.row);
    row.stage = DelegatedStage::Rejected;
    let store = &exchange.served.worker.store;
    if !matches!(store.replace_delegated(&request.row.token, &row).await?, Put::Done(_)) {
        return Ok(Page::no_request().respond(StatusCode::BAD_REQUEST));
    }
    if request.callback == OUT_OF_BAND {
        return Ok(Page::rejected(name_of(&request.record)).respond(StatusCode::OK));
    }
    back(
        &request.callback,
        &[("oauth_token", &row.token), ("oauth_problem", "permission_denied")],
    )
}

/// To the callback, whose own query is kept and whose fragment is not (C86).
fn back(callback: &str, fields: &[(&str, &str)]) -> Result<Response<ResponseBody>, Refusal> {
    let mut url = url::Url::parse(callback).map_err(|_| Cause::Internal)?;
    url.set_fragment(None);
    url.query_pairs_mut().extend_pairs(fields);
    let mut response = Page::leaving().respond(StatusCode::SEE_OTHER);
    let location = HeaderValue::try_from(url.as_str()).map_err(|_| Cause::Internal)?;
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

fn name_of(record: &ConsumerRecord) -> &str {
    record
        .integration
        .as_ref()
        .map_or("", |one| one.definition.name.as_str())
}

/// Bound to the browser's cookie and to the one request: another site can neither read nor guess it.
fn csrf(secret: &str, token: &str) -> String {
    let digest = sha2::Sha256::digest(format!("consent\n{secret}\n{token}"));
    base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, digest)
}

/// A second line: browsers say where a form was sent from.
fn is_same_origin(exchange: &Exchange<'_>, headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin");
    let origin = headers.get(http::header::ORIGIN).is_none_or(|origin| {
        let authority = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.split_once("://"))
            .map(|(_, authority)| authority);
        // Under a strict referrer policy the origin is opaque.
        let is_ours = |authority: &str| {
            authority.eq_ignore_ascii_case(exchange.host) || authority.eq_ignore_ascii_case(&exchange.origin.authority)
        };
        origin == "null" || authority.is_some_and(is_ours)
    });
    site && origin
}

fn cookie_name(secure: bool) -> &'static str {
    if secure {
        "__Host-countersign_consent"
    } else {
        "countersign_consent"
    }
}

fn cookie(headers: &HeaderMap, secure: bool) -> Option<String> {
    let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = values
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let value = pairs.into_iter().find(|(name, _)| *name == cookie_name(secure))?.1;
    (value.len() == random::CREDENTIAL_LENGTH && value.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        .then(|| value.to_owned())
}

/// The first field of that name of a form or query.
fn field(form: &[u8], name: &str) -> Option<String> {
    url::form_urlencoded::parse(form)
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_keeps_its_own_query_and_loses_its_fragment() {
        let response = back(
            "https://app.example/cb?a=1#x",
            &[("oauth_token", "t"), ("oauth_verifier", "v&w")],
        )
        .unwrap();

        assert_eq!(
            response.headers()[LOCATION],
            "https://app.example/cb?a=1&oauth_token=t&oauth_verifier=v%26w"
        );
    }

    #[test]
    fn the_forms_secret_is_bound_to_cookie_and_request() {
        assert_eq!(csrf("a", "b"), csrf("a", "b"));
        assert_ne!(csrf("a", "b"), csrf("a", "c"));
        assert_ne!(csrf("a", "b"), csrf("c", "b"));
    }
}
