//! What a refused request leaves behind, and the answer to who asks with a debug token. Nothing here runs for a request
//! that is accepted.

use std::sync::{Arc, OnceLock};

use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use oauth1::ParameterName;
use oauth1::explain::{RawRequest, mentions_oauth};
use serde_json::{Value, json};
use token_store::NewAuditEntry;

use super::names;
use super::rejections::Rejection;
use crate::authenticate::body;
use crate::proxy::Exchange;
use crate::refusal::{Cause, Refusal};

/// Keeps what explaining a refused request needs, if it was signed. The refusal comes back; with its explanation for who
/// sent a debug token of the same integration.
pub async fn refused(exchange: &Exchange<'_>, parts: &Parts, read: Option<&[u8]>, refusal: Refusal) -> Refusal {
    let Some(rejection) = keep(exchange, parts, read, &refusal, false) else {
        return refusal;
    };
    let Some(token) = parts.headers.get(DEBUG_HEADER).and_then(|value| value.to_str().ok()) else {
        return refusal;
    };
    match explained(exchange, &rejection, token).await {
        Some(explanation) => refusal.explained(explanation),
        None => refusal,
    }
}

/// The same where a route only observes.
pub fn observed(exchange: &Exchange<'_>, parts: &Parts, read: Option<&[u8]>, refusal: &Refusal) {
    keep(exchange, parts, read, refusal, true);
}

fn keep(
    exchange: &Exchange<'_>,
    parts: &Parts,
    read: Option<&[u8]>,
    refusal: &Refusal,
    observed: bool,
) -> Option<Arc<Rejection>> {
    let is_form = body::is_form(&parts.headers) == Ok(true);
    let form = read.filter(|_| is_form).unwrap_or_default();
    if !is_signed(parts, form) {
        return None;
    }
    let path = exchange.origin.path(parts.uri.path());
    let target = match parts.uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.into_owned(),
    };
    let request = RawRequest {
        method: parts.method.as_str().to_owned(),
        target,
        headers: headers(exchange, &parts.headers),
        body: form.to_owned(),
    };
    let consumer_key = request.named(ParameterName::ConsumerKey).unwrap_or_default();
    let lacks_form = is_form && !is_whole(parts, read, refusal.cause());
    let request = RawRequest {
        body: if lacks_form { Vec::new() } else { request.body },
        ..request
    };
    let request = request.without_clear_secrets();
    let origin = exchange.origin;
    let worker = &exchange.served.worker;
    Some(worker.explainer.rejections.keep(Rejection {
        request_id: exchange.served.request_id.id.to_str().unwrap_or_default().to_owned(),
        at: worker.clock.now(),
        cause: refusal.cause(),
        observed,
        client: exchange.served.client,
        consumer_key,
        base_url: format!("{}://{}{}", origin.scheme.as_str(), origin.authority, origin.prefix),
        request,
        lacks_form,
        found: OnceLock::new(),
    }))
}

/// Whether what was read of a form is all of it, as it was signed, and short enough to be kept.
fn is_whole(parts: &Parts, read: Option<&[u8]>, cause: Cause) -> bool {
    match read {
        Some([]) => {
            // Nothing is left of one that was refused while it was read.
            let is_cut = matches!(
                cause,
                Cause::BodyTooLarge | Cause::RequestTimeout | Cause::RequestMalformed
            );
            !is_cut || body::declared_length(&parts.headers) == Some(0)
        }
        Some(form) => form.len() <= MAX_FORM && !body::is_encoded(&parts.headers),
        None => false,
    }
}

fn is_signed(parts: &Parts, form: &[u8]) -> bool {
    let is_oauth = |value: &http::HeaderValue| {
        let scheme = value.as_bytes().trim_ascii_start().get(..5);
        scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"OAuth"))
    };
    parts.headers.get_all(AUTHORIZATION).iter().any(is_oauth)
        || parts.uri.query().is_some_and(|query| mentions_oauth(query.as_bytes()))
        || mentions_oauth(form)
}

/// Those that matter to a signature: neither cookies nor whatever else a client sends.
fn headers(exchange: &Exchange<'_>, headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let mut kept = vec![("host".to_owned(), exchange.host.as_bytes().to_vec())];
    for name in KEPT {
        let values = headers.get_all(name).iter().take(MAX_VALUES);
        kept.extend(values.map(|value| (name.to_owned(), value.as_bytes().to_vec())));
    }
    kept
}

/// The explanation, if the token is of the integration whose key the request carries.
async fn explained(exchange: &Exchange<'_>, rejection: &Arc<Rejection>, token: &str) -> Option<Value> {
    let worker = &exchange.served.worker;
    let explainer = &worker.explainer;
    let now = worker.clock.now();
    let integration = explainer.debug_tokens.read(token, now).await.ok().flatten()?;
    let consumer = explainer.consumer(&rejection.consumer_key).await.ok().flatten()?;
    consumer.integration.as_ref().filter(|one| one.id == integration)?;
    let answer = match explainer.explain(rejection, Some(&consumer)).await {
        Ok(answer) => answer,
        Err(unexplained) => return Some(unexplained.to_json()),
    };
    let entry = NewAuditEntry {
        at: now,
        actor: "debug token".to_owned(),
        origin: rejection.client.to_string(),
        action: "rejection.explained".to_owned(),
        subject: format!("integration/{}", integration.0),
        before: Value::Null,
        after: told(rejection, &answer),
    };
    // What isn't audited isn't told.
    match worker.store.append_audit(entry).await {
        Ok(_) => Some(answer),
        Err(error) => {
            tracing::warn!(%error, "an explanation could not be audited, so it was not given");
            None
        }
    }
}

/// What the audit log says of an explanation.
pub fn told(rejection: &Rejection, answer: &Value) -> Value {
    json!({ "request_id": rejection.request_id, "result": answer.get("result"), "diagnosis": names(answer) })
}

/// Removed before upstream with all of its kind (`proxy::headers`).
pub const DEBUG_HEADER: &str = "x-countersign-debug";

/// A longer form is not kept, so a signature over one is not explained.
const MAX_FORM: usize = 64 * 1024;
const MAX_VALUES: usize = 4;
const KEPT: [&str; 9] = [
    "authorization",
    "content-type",
    "x-forwarded-host",
    "x-forwarded-prefix",
    "x-original-host",
    "forwarded",
    "x-http-method-override",
    "x-method-override",
    "user-agent",
];
