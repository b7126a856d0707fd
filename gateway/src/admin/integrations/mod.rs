//! `/api/v1/integrations`

pub mod activation;
pub mod debug_token;
pub mod resources;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use token_store::event::Happening;
use token_store::{
    ConsumerId, Grant, IntegrationId, IntegrationQuery, IntegrationSort, NewIntegration, Setup, Status, StoreError,
};

use token_store::secret_use::fingerprint;

use super::Context;
use super::access::{Act, Caller};
use super::answer::{ApiError, json_of, json_of_version};
use super::ask::{Asked, Id, Precondition, Sent};
use super::page::size;
use crate::authorize::resources::ALL;
use crate::integration::Failure;
pub use crate::integration::shown::{shown, subject};
use crate::observe::audit::{Told, of_consumer};

/// What an integration is created from or replaced by. What the server gives may be sent back; it is not read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    name: Option<String>,
    email: Option<String>,
    endpoint: Option<String>,
    identity_link_url: Option<String>,
    #[serde(default)]
    all_resources: bool,
    #[serde(default)]
    resources: BTreeSet<String>,
    signature_methods: Option<Vec<String>>,
    rsa_public_key: Option<String>,
    #[serde(default)]
    two_legged: bool,
    placements: Option<Vec<String>>,
    #[serde(default)]
    callback_urls: Vec<String>,
    #[serde(default)]
    flags: BTreeSet<String>,
    #[serde(rename = "id")]
    _id: Option<IgnoredAny>,
    #[serde(rename = "status")]
    _status: Option<IgnoredAny>,
    #[serde(rename = "setup")]
    _setup: Option<IgnoredAny>,
    #[serde(rename = "consumer_id")]
    _consumer_id: Option<IgnoredAny>,
    #[serde(rename = "consumer_key")]
    _consumer_key: Option<IgnoredAny>,
    #[serde(rename = "created_at")]
    _created_at: Option<IgnoredAny>,
    #[serde(rename = "updated_at")]
    _updated_at: Option<IgnoredAny>,
    #[serde(rename = "secret_last_used_at")]
    _secret_last_used_at: Option<IgnoredAny>,
    #[serde(rename = "previous_secret_valid_until")]
    _previous_secret_valid_until: Option<IgnoredAny>,
    #[serde(rename = "previous_secret_last_used_at")]
    _previous_secret_last_used_at: Option<IgnoredAny>,
}

impl Body {
    /// What it defines.
    pub fn definition(self) -> NewIntegration {
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        let grant = if self.all_resources || self.resources.contains(ALL) {
            Grant::All
        } else {
            Grant::Listed(self.resources)
        };
        NewIntegration {
            name: self.name.unwrap_or_default(),
            email: self.email.unwrap_or_default(),
            endpoint: filled(self.endpoint),
            identity_link_url: filled(self.identity_link_url),
            setup: Setup::Manual,
            grant,
            signature_methods: self.signature_methods,
            rsa_public_key: filled(self.rsa_public_key),
            two_legged: self.two_legged,
            placements: self.placements,
            callback_urls: self.callback_urls,
            flags: self.flags,
        }
    }
}

/// Which to list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    name: Option<String>,
    status: Option<Status>,
    consumer_id: Option<u64>,
    /// `false`: only those with a URL that starts with `http:`.
    secure: Option<bool>,
    /// `true`: only those whose exchange is under way.
    exchanging: Option<bool>,
    sort: Option<String>,
    after: Option<String>,
    limit: Option<NonZeroUsize>,
}

/// A page of integrations.
pub async fn list(
    State(context): State<Context>,
    caller: Caller,
    Asked(listing): Asked<Listing>,
) -> Result<Response, ApiError> {
    caller.may(Act::Read)?;
    let sort = listing.sort.as_deref().unwrap_or("id");
    let (name, descending) = sort.strip_prefix('-').map_or((sort, false), |name| (name, true));
    let sort = match name {
        "id" => IntegrationSort::Id,
        "name" => IntegrationSort::Name,
        "status" => IntegrationSort::Status,
        "updated_at" => IntegrationSort::UpdatedAt,
        _ => {
            return Err(ApiError::new(
                StatusCode::BAD_REQUEST,
                "sort: id, name, status or updated_at; with - the other way round",
            ));
        }
    };
    let query = IntegrationQuery {
        name_contains: listing.name,
        status: listing.status,
        in_clear: listing.secure == Some(false),
        exchanging: listing.exchanging == Some(true),
        sort,
        descending,
        after: listing.after,
        limit: size(listing.limit),
    };
    if let Some(id) = listing.consumer_id {
        let record = context.parts.store.consumer(ConsumerId(id)).await?;
        let items: Vec<Value> = record
            .iter()
            .filter(|record| query.matches(record))
            .map(|record| shown(record))
            .collect();
        let body = json!({ "total": items.len(), "items": items, "next": null });
        return Ok(json_of(StatusCode::OK, &body));
    }
    let page = context.integrations.list(&query).await?;
    let items: Vec<Value> = page.items.iter().map(shown).collect();
    Ok(json_of(
        StatusCode::OK,
        &json!({ "items": items, "next": page.next, "total": page.total }),
    ))
}

/// Creates one: inactive.
pub async fn create(
    State(context): State<Context>,
    caller: Caller,
    body: Result<Sent<Body>, ApiError>,
) -> Result<Response, ApiError> {
    caller.may(Act::Administer)?;
    let Sent(body) = body?;
    let made = context.integrations.create(body.definition());
    let made = caller.change(&context, "integration.created", told, made).await?;
    Ok(json_of_version(StatusCode::CREATED, &shown(&made), made.version))
}

/// One, with its version. After a rotation it says until when the old secret is accepted, and when each of the two was last
/// used, to within a minute; the use of secrets is noted only while there are two.
pub async fn show(State(context): State<Context>, caller: Caller, Id(id): Id) -> Result<Response, ApiError> {
    caller.may(Act::Read)?;
    let record = context.integrations.get(IntegrationId(id)).await?;
    let mut body = shown(&record);
    if let (Some(previous), Some(members)) = (&record.consumer.previous_secret, body.as_object_mut()) {
        let uses = context.parts.store.secret_uses(record.consumer.id).await?;
        let last_use = |secret| uses.get(&fingerprint(secret)).copied().filter(|at| *at > 0);
        let told = [
            ("secret_last_used_at", last_use(&record.consumer.secret)),
            ("previous_secret_valid_until", Some(previous.valid_until)),
            ("previous_secret_last_used_at", last_use(&previous.secret)),
        ];
        members.extend(told.map(|(name, value)| (name.to_owned(), value.into())));
    }
    Ok(json_of_version(StatusCode::OK, &body, record.version))
}

/// Replaces what its creator gave.
pub async fn update(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
    headers: HeaderMap,
    body: Result<Sent<Body>, ApiError>,
) -> Result<Response, ApiError> {
    caller.may(Act::Administer)?;
    let id = IntegrationId(id);
    let before = context.integrations.get(id).await?;
    let version = Precondition::of(&headers)?.version(before.version)?;
    let Sent(body) = body?;
    let after = context.integrations.update(id, version, body.definition());
    let after = caller.change(&context, "integration.updated", told, after).await?;
    Ok(json_of_version(StatusCode::OK, &shown(&after), after.version))
}

/// Deletes it with its consumer and tokens.
pub async fn remove(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    caller.may(Act::Administer)?;
    let id = IntegrationId(id);
    let before = match context.integrations.get(id).await {
        Err(Failure::Store(StoreError::Corrupt(_))) => return remove_unreadable(&context, &caller, id, &headers).await,
        found => found?,
    };
    let version = Precondition::of(&headers)?.version(before.version)?;
    let gone = context.integrations.delete(id, version);
    let gone = caller.change(&context, "integration.deleted", told, gone).await?;
    Ok(json_of(StatusCode::OK, &shown(&gone)))
}

/// A record that can't be read has no version: it is deleted only by who takes whatever stands.
async fn remove_unreadable(
    context: &Context,
    caller: &Caller,
    id: IntegrationId,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    Precondition::of(headers)?.version(0)?;
    let gone = json!({ "id": id.0, "unreadable": true });
    let subject = format!("integration/{}", id.0);
    // First: the deletion can't be read, so no commit of it can tell what it was.
    caller
        .record(context, "integration.deleted", subject, (gone.clone(), json!(null)))
        .await?;
    if !context.integrations.drop_unreadable(id).await? {
        return Err(Failure::Unknown(id).into());
    }
    Ok(json_of(StatusCode::OK, &gone))
}

fn told(happening: &Happening<'_>) -> Option<Told> {
    of_consumer(happening, subject, shown)
}
