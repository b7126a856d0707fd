//! `/api/v1/usage`: which integration uses which resource, how often since this gateway started, and when last; and what it
//! asked for without being granted it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::num::NonZeroUsize;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use token_store::IntegrationId;

use super::Context;
use super::access::{Act, Caller};
use super::answer::{ApiError, json_of};
use super::ask::Asked;
use super::page::page;

/// Which part.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    integration_id: Option<u64>,
    resource: Option<String>,
    after: Option<usize>,
    limit: Option<NonZeroUsize>,
}

/// By integration and resource.
pub async fn list(
    State(context): State<Context>,
    caller: Caller,
    Asked(listing): Asked<Listing>,
) -> Result<Response, ApiError> {
    caller.may(Act::Read)?;
    let usage = &context.parts.usage;
    let all = usage.all().into_iter().filter(|((id, resource), _)| {
        listing.integration_id.is_none_or(|wanted| wanted == *id)
            && listing.resource.as_ref().is_none_or(|wanted| wanted == resource)
    });
    let time = |at: u64| (at > 0).then_some(at);
    let items = all.map(|((id, resource), seen)| {
        json!({
            "integration_id": id,
            "resource": resource,
            "count": seen.count,
            "last_seen": time(seen.last),
            "refused": seen.refused,
            "last_refused": time(seen.last_refused),
        })
    });
    let mut body = page(items.collect(), listing.after, listing.limit);
    name(&context, &mut body).await?;
    if let Some(members) = body.as_object_mut() {
        members.insert("since".to_owned(), usage.since().into());
    }
    Ok(json_of(StatusCode::OK, &body))
}

/// Integrations by name; one that is gone has none, and is forgotten.
async fn name(context: &Context, body: &mut Value) -> Result<(), ApiError> {
    let mut names: BTreeMap<u64, Option<String>> = BTreeMap::new();
    let Some(items) = body.get_mut("items").and_then(Value::as_array_mut) else {
        return Ok(());
    };
    for item in items {
        let id = item.get("integration_id").and_then(Value::as_u64).unwrap_or_default();
        let name = match names.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let record = context.parts.store.consumer_by_integration(IntegrationId(id)).await?;
                if record.is_none() {
                    context.parts.usage.forget(id);
                }
                let integration = record.and_then(|record| record.integration.clone());
                unknown.insert(integration.map(|one| one.definition.name))
            }
        };
        if let Some(members) = item.as_object_mut() {
            members.insert("integration".to_owned(), json!(name));
        }
    }
    Ok(())
}
