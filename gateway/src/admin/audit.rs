//! `/api/v1/audit`: who changed what, as it was chained.

use std::num::NonZeroUsize;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::Context;
use super::access::{Act, Caller};
use super::answer::{ApiError, json_of};
use super::ask::Asked;
use super::page::size;

/// Which part.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    after: Option<u64>,
    limit: Option<NonZeroUsize>,
}

/// Entries after a number, in order; `next` is the number to go on from.
pub async fn list(
    State(context): State<Context>,
    caller: Caller,
    Asked(listing): Asked<Listing>,
) -> Result<Response, ApiError> {
    caller.may(Act::Read)?;
    let (after, limit) = (listing.after.unwrap_or(0), size(listing.limit));
    let mut items = context.parts.store.audit(after, limit + 1).await?;
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|entry| entry.number);
    let total = context.parts.store.audit_length().await?;
    let body = json!({ "items": items, "next": next, "total": total });
    Ok(json_of(StatusCode::OK, &body))
}
