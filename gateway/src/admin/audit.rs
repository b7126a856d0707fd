//! `/api/v1/audit`: who changed what, as it was chained.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::Context;
use super::access::{Act, Caller};
use super::answer::{ApiError, json_of};

/// Which part.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    after: Option<u64>,
    limit: Option<usize>,
}

/// Entries after a number, in order; `next` is the number to go on from.
pub async fn list(
    State(context): State<Context>,
    caller: Caller,
    listing: Result<Query<Listing>, QueryRejection>,
) -> Result<Response, ApiError> {
    caller.may(Act::Read)?;
    let Query(listing) = listing.map_err(|bad| ApiError::new(StatusCode::BAD_REQUEST, &bad.body_text()))?;
    let (after, limit) = (listing.after.unwrap_or(0), listing.limit.unwrap_or(100).clamp(1, 1000));
    let mut items = context.parts.store.audit(after, limit + 1).await?;
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|entry| entry.number);
    Ok(json_of(StatusCode::OK, &json!({ "items": items, "next": next })))
}
