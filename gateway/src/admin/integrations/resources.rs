//! `/api/v1/integrations/{id}/resources`: what it may use.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use token_store::event::Happening;
use token_store::{ConsumerRecord, Grant, IntegrationId};

use super::super::Context;
use super::super::access::{Act, Caller};
use super::super::answer::{ApiError, json_of_version};
use super::super::ask::{Id, Octets, Precondition};
use super::subject;
use crate::authorize::resources::ALL;
use crate::observe::audit::of_consumer;

/// What it may use.
pub async fn show(State(context): State<Context>, caller: Caller, Id(id): Id) -> Result<Response, ApiError> {
    caller.may(Act::Read)?;
    let record = context.integrations.get(IntegrationId(id)).await?;
    Ok(json_of_version(
        StatusCode::OK,
        &granted(&record, &context),
        record.version,
    ))
}

/// As an object: `{"all": true}`, or with `resources`. What [`show`] answers may be sent back.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Granted {
    #[serde(default)]
    all: bool,
    resources: Option<BTreeSet<String>>,
}

/// What a body grants. Without a word on resources it takes nothing away: that is [`ungrant`].
fn grant_of(body: &Octets) -> Result<Grant, ApiError> {
    let listed = if body.is_list() {
        body.parse()?
    } else {
        let Granted { all, resources } = body.parse()?;
        if all {
            return Ok(Grant::All);
        }
        resources.ok_or_else(|| ApiError::required("resources"))?
    };
    Ok(if listed.contains(ALL) {
        Grant::All
    } else {
        Grant::Listed(listed)
    })
}

/// Replaces what it may use: a list of ids, or an object.
pub async fn grant(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
    headers: HeaderMap,
    body: Result<Octets, ApiError>,
) -> Result<Response, ApiError> {
    caller.may(Act::Administer)?;
    let grant = grant_of(&body?)?;
    set_grant(&context, &caller, IntegrationId(id), &headers, grant).await
}

/// Takes everything away.
pub async fn ungrant(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    caller.may(Act::Administer)?;
    set_grant(
        &context,
        &caller,
        IntegrationId(id),
        &headers,
        Grant::Listed(BTreeSet::new()),
    )
    .await
}

async fn set_grant(
    context: &Context,
    caller: &Caller,
    id: IntegrationId,
    headers: &HeaderMap,
    grant: Grant,
) -> Result<Response, ApiError> {
    let before = context.integrations.get(id).await?;
    let version = Precondition::of(headers)?.version(before.version)?;
    let told = {
        let context = context.clone();
        move |happening: &Happening<'_>| of_consumer(happening, subject, |record| granted(record, &context))
    };
    let after = context.integrations.grant(id, version, grant);
    let after = caller.change(context, "integration.granted", told, after).await?;
    Ok(json_of_version(
        StatusCode::OK,
        &granted(&after, context),
        after.version,
    ))
}

/// The granted ids; `all` expands to the whole tree (magento.md 4.7).
fn granted(record: &ConsumerRecord, context: &Context) -> Value {
    let live = context.parts.live.load();
    match record.integration.as_ref().map(|one| &one.definition.grant) {
        Some(Grant::All) => {
            json!({ "all": true, "resources": live.tree.iter().map(|one| &one.id).collect::<Vec<_>>() })
        }
        Some(Grant::Listed(ids)) => json!({ "all": false, "resources": ids }),
        None => json!({ "all": false, "resources": [] }),
    }
}
