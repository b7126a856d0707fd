//! `/api/v1/rejections`: the signed requests that this gateway refused of late, and why one of them was.

use std::num::NonZeroUsize;

use axum::extract::{Path, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Context;
use super::access::{Act, Caller};
use super::answer::{ApiError, json_of};
use super::ask::Asked;
use super::page::size;
use crate::explain::capture::told;
use crate::explain::live::Unexplained;
use crate::explain::rejections::Rejection;

/// Which of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    cause: Option<String>,
    consumer_key: Option<String>,
    limit: Option<NonZeroUsize>,
}

/// The latest first. What a client chose to send is not among it: that shows with the explanation, whose sentence whoever
/// may explain sees here, too, once it was made.
pub async fn list(
    State(context): State<Context>,
    caller: Caller,
    Asked(listing): Asked<Listing>,
) -> Result<Response, ApiError> {
    caller.may(Act::Read)?;
    let fits = |one: &Rejection| {
        listing.cause.as_ref().is_none_or(|cause| cause == one.cause.as_str())
            && listing.consumer_key.as_ref().is_none_or(|key| *key == one.consumer_key)
    };
    let explainer = &context.parts.explainer;
    let recent = explainer.rejections.recent(context.parts.clock.now());
    let fitting: Vec<_> = recent.iter().filter(|one| fits(one)).collect();
    let (total, limit) = (fitting.len(), size(listing.limit));
    let may_explain = caller.may(Act::Operate).is_ok();
    let item = |one: &Rejection| {
        let mut item = shown(one);
        let explained = one.found.get().filter(|_| may_explain).cloned();
        if let Some(item) = item.as_object_mut() {
            item.insert("finding".to_owned(), json!(explained.or_else(|| explainer.seen(one))));
        }
        item
    };
    let items: Vec<Value> = fitting.into_iter().take(limit).map(|one| item(one)).collect();
    Ok(json_of(
        StatusCode::OK,
        &json!({ "items": items, "next": null, "total": total }),
    ))
}

/// One explained. Each gateway keeps its own refusals: of another's id it knows nothing.
pub async fn show(
    State(context): State<Context>,
    caller: Caller,
    Path(request_id): Path<String>,
) -> Result<Response, ApiError> {
    caller.may(Act::Operate)?;
    let explainer = &context.parts.explainer;
    let found = explainer.rejections.find(&request_id, context.parts.clock.now());
    let rejection = found.ok_or_else(|| {
        ApiError::with(
            StatusCode::NOT_FOUND,
            "This gateway keeps no refusal with the request id \"%1\". Each gateway keeps its own, the latest of the last \
             minutes: ask the one that answered.",
            &request_id,
        )
    })?;
    let consumer = explainer.consumer(&rejection.consumer_key).await?;
    let answer = match explainer.explain(&rejection, consumer.as_deref()).await {
        Ok(answer) => answer,
        Err(unexplained) => return unexplained_of(unexplained),
    };
    let integration = consumer.as_ref().and_then(|one| one.integration.as_ref());
    let subject = integration.map_or_else(
        || format!("consumer key {}", rejection.consumer_key),
        |one| format!("integration/{}", one.id.0),
    );
    caller
        .record(
            &context,
            "rejection.explained",
            subject,
            (Value::Null, told(&rejection, &answer)),
        )
        .await?;
    let mut body = shown(&rejection);
    if let (Some(members), Value::Object(answer)) = (body.as_object_mut(), answer) {
        members.insert("integration_id".to_owned(), json!(integration.map(|one| one.id.0)));
        members.extend(answer);
    }
    Ok(json_of(StatusCode::OK, &body))
}

/// Why there is no explanation, as the API says it.
pub fn unexplained_of(unexplained: Unexplained) -> Result<Response, ApiError> {
    let sentence = unexplained.to_string();
    match unexplained {
        Unexplained::Store(error) => Err(error.into()),
        Unexplained::TooMany => Ok(later(&sentence)),
        Unexplained::Faulty(_) => Err(ApiError::new(StatusCode::BAD_REQUEST, &sentence)),
        Unexplained::Broken => Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, &sentence)),
    }
}

fn later(sentence: &str) -> Response {
    let mut response = ApiError::new(StatusCode::TOO_MANY_REQUESTS, sentence).into_response();
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn shown(one: &Rejection) -> Value {
    let path = one.request.target.split('?').next().unwrap_or_default();
    json!({
        "request_id": one.request_id,
        "at": one.at,
        "cause": one.cause.as_str(),
        "observed": one.observed,
        "method": one.request.method,
        "path": path,
        "client": one.client,
        "consumer_key": one.consumer_key,
    })
}
