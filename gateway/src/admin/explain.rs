//! `/api/v1/explain`: why a request that the caller brings is refused, as `countersign explain` says it of a file.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Context;
use super::access::{Act, Caller};
use super::answer::{ApiError, json_of};
use super::rejections::unexplained_of;
use crate::explain::{Known, names, place};

/// What is explained.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The raw request, as it went over the wire.
    request: String,
    /// As a secrets file; without them the store's, of the consumer key in the request.
    secrets: Option<Known>,
    /// UNIX seconds; without it the clock isn't judged.
    received_at: Option<u64>,
}

/// Explains it. Neither the request nor secrets are kept; who asked, whose key it was and what was found is audited, since
/// a finding about a key confirms a guess.
pub async fn pasted(
    State(context): State<Context>,
    caller: Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    caller.may(Act::Operate)?;
    let body = body?;
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "The body must be a JSON object.",
        ));
    }
    let wanted: Wanted = serde_json::from_slice(&body).map_err(|error| {
        // Not in the parser's own words, which may quote a secret.
        let what = format!("{}: not as the call takes it", place(&error));
        ApiError::new(StatusCode::BAD_REQUEST, &what)
    })?;
    if wanted.request.trim().is_empty() {
        return Err(ApiError::required("request"));
    }
    if wanted.request.len() > LARGEST {
        return Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "request: Longer than 256 KiB. Cut its body: only a form's fields are signed.",
        ));
    }
    let is_given = wanted.secrets.is_some();
    let explainer = &context.parts.explainer;
    let explained = explainer
        .explain_pasted(wanted.request.as_bytes(), wanted.secrets, wanted.received_at)
        .await;
    let explained = match explained {
        Ok(explained) => explained,
        Err(unexplained) => return unexplained_of(unexplained),
    };
    let integration = explained.consumer.as_ref().and_then(|one| one.integration.as_ref());
    let subject = integration.map_or_else(
        || {
            let key: String = explained.consumer_key.chars().take(MOST_OF_A_KEY).collect();
            format!("consumer key {key}")
        },
        |one| format!("integration/{}", one.id.0),
    );
    let told = json!({
        "result": explained.answer.get("result"),
        "diagnosis": names(&explained.answer),
        "secrets": if is_given { "given" } else { "store" },
    });
    caller
        .record(&context, "request.explained", subject, (Value::Null, told))
        .await?;
    let mut answer = explained.answer;
    if let Some(members) = answer.as_object_mut() {
        members.insert("consumer_key".to_owned(), explained.consumer_key.as_str().into());
        members.insert("integration_id".to_owned(), json!(integration.map(|one| one.id.0)));
    }
    Ok(json_of(StatusCode::OK, &answer))
}

/// Octets of a request.
const LARGEST: usize = 256 * 1024;
/// Characters that the audit log takes of a key that nobody has: real ones have 32.
const MOST_OF_A_KEY: usize = 64;
