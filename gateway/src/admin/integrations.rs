//! `/api/v1/integrations`

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use token_store::{
    ConsumerRecord, Grant, IntegrationId, IntegrationQuery, IntegrationSort, NewIntegration, PreviousSecret, Setup,
    Status,
};

use super::Context;
use super::access::{Act, Caller, if_match};
use super::answer::{ApiError, json_of, json_of_version};
use crate::authorize::resources::ALL;
use crate::integration::activation::{Activated, Renewal};
use crate::random;

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
}

impl Body {
    fn definition(self) -> NewIntegration {
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
    sort: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

/// A page of integrations.
pub async fn list(
    State(context): State<Context>,
    caller: Caller,
    listing: Result<Query<Listing>, QueryRejection>,
) -> Result<Response, ApiError> {
    caller.may(Act::Read)?;
    let Query(listing) = listing.map_err(|bad| ApiError::new(StatusCode::BAD_REQUEST, &bad.body_text()))?;
    if let Some(id) = listing.consumer_id {
        let record = context.parts.store.consumer(token_store::ConsumerId(id)).await?;
        let items: Vec<Value> = record
            .iter()
            .filter(|one| one.integration.is_some())
            .map(|one| shown(one))
            .collect();
        return Ok(json_of(
            StatusCode::OK,
            &json!({ "total": items.len(), "items": items, "next": null }),
        ));
    }
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
        sort,
        descending,
        after: listing.after,
        limit: listing.limit.unwrap_or(100).clamp(1, 1000),
    };
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
    body: Result<Json<Body>, JsonRejection>,
) -> Result<Response, ApiError> {
    caller.may(Act::Administer)?;
    let Json(body) = body?;
    let made = context.integrations.create(body.definition()).await?;
    caller
        .record(
            &context,
            "integration.created",
            subject(&made),
            (json!(null), shown(&made)),
        )
        .await?;
    Ok(json_of_version(StatusCode::CREATED, &shown(&made), made.version))
}

/// One, with its version.
pub async fn show(State(context): State<Context>, caller: Caller, Path(id): Path<u64>) -> Result<Response, ApiError> {
    caller.may(Act::Read)?;
    let record = context.integrations.get(IntegrationId(id)).await?;
    Ok(json_of_version(StatusCode::OK, &shown(&record), record.version))
}

/// Replaces what its creator gave.
pub async fn update(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<u64>,
    headers: HeaderMap,
    body: Result<Json<Body>, JsonRejection>,
) -> Result<Response, ApiError> {
    caller.may(Act::Administer)?;
    let id = IntegrationId(id);
    let before = context.integrations.get(id).await?;
    let version = if_match(&headers)?;
    let Json(body) = body?;
    let after = context.integrations.update(id, version, body.definition()).await?;
    caller
        .record(
            &context,
            "integration.updated",
            subject(&after),
            (shown(&before), shown(&after)),
        )
        .await?;
    Ok(json_of_version(StatusCode::OK, &shown(&after), after.version))
}

/// Deletes it with its consumer and tokens.
pub async fn remove(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<u64>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    caller.may(Act::Administer)?;
    let id = IntegrationId(id);
    context.integrations.get(id).await?;
    let version = if_match(&headers)?;
    let gone = context.integrations.delete(id, version).await?;
    caller
        .record(
            &context,
            "integration.deleted",
            subject(&gone),
            (shown(&gone), json!(null)),
        )
        .await?;
    Ok(json_of(StatusCode::OK, &shown(&gone)))
}

/// What it may use.
pub async fn resources(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<u64>,
) -> Result<Response, ApiError> {
    caller.may(Act::Read)?;
    let record = context.integrations.get(IntegrationId(id)).await?;
    Ok(json_of_version(
        StatusCode::OK,
        &granted(&record, &context),
        record.version,
    ))
}

/// A list of ids, or `{"all": true}`.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum Granted {
    /// Just these.
    Listed(BTreeSet<String>),
    /// Everything, or nothing.
    All {
        /// `true`
        all: bool,
    },
}

/// Replaces what it may use.
pub async fn grant(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<u64>,
    headers: HeaderMap,
    body: Result<Json<Granted>, JsonRejection>,
) -> Result<Response, ApiError> {
    let Json(body) = body?;
    let grant = match body {
        Granted::Listed(ids) if ids.contains(ALL) => Grant::All,
        Granted::Listed(ids) => Grant::Listed(ids),
        Granted::All { all: true } => Grant::All,
        Granted::All { all: false } => Grant::Listed(BTreeSet::new()),
    };
    set_grant(&context, &caller, IntegrationId(id), &headers, grant).await
}

/// Takes everything away.
pub async fn ungrant(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<u64>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
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
    caller.may(Act::Administer)?;
    let before = context.integrations.get(id).await?;
    let version = if_match(headers)?;
    let after = context.integrations.grant(id, version, grant).await?;
    let change = (granted(&before, context), granted(&after, context));
    caller
        .record(context, "integration.granted", subject(&after), change)
        .await?;
    Ok(json_of_version(
        StatusCode::OK,
        &granted(&after, context),
        after.version,
    ))
}

/// How to activate.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Activation {
    exchange: Option<bool>,
}

/// Activates: posts the verifier, or makes the tokens at once.
pub async fn activate(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<u64>,
    body: axum::body::Bytes,
) -> Result<Response, ApiError> {
    renew(&context, &caller, IntegrationId(id), &body, Renewal::Keep).await
}

/// Activates anew: the old tokens end at once.
pub async fn reauthorize(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<u64>,
    body: axum::body::Bytes,
) -> Result<Response, ApiError> {
    renew(&context, &caller, IntegrationId(id), &body, Renewal::Replace).await
}

async fn renew(
    context: &Context,
    caller: &Caller,
    id: IntegrationId,
    body: &[u8],
    renewal: Renewal,
) -> Result<Response, ApiError> {
    caller.may(Act::Operate)?;
    let wanted: Activation = if body.is_empty() {
        Activation::default()
    } else {
        serde_json::from_slice(body).map_err(|bad| ApiError::new(StatusCode::BAD_REQUEST, &bad.to_string()))?
    };
    let before = context.integrations.get(id).await?;
    let activated = context.integrations.activate(id, wanted.exchange, renewal).await?;
    let action = match renewal {
        Renewal::Keep => "integration.activated",
        Renewal::Replace => "integration.reauthorized",
    };
    caller
        .record(
            context,
            action,
            subject(&before),
            (shown(&before), shown(&activated.record)),
        )
        .await?;
    Ok(json_of(
        StatusCode::OK,
        &outcome(&activated, caller.may(Act::Administer).is_ok()),
    ))
}

/// The credentials are shown to who may see them, and only this once.
fn outcome(activated: &Activated, sees_credentials: bool) -> Value {
    let mut body = json!({ "status": activated.status, "exchange": activated.exchange });
    if let (Some(credentials), Some(members), true) = (&activated.credentials, body.as_object_mut(), sees_credentials) {
        members.insert("consumer_key".to_owned(), credentials.consumer_key.clone().into());
        members.insert(
            "consumer_secret".to_owned(),
            credentials.consumer_secret.expose().into(),
        );
        members.insert("access_token".to_owned(), credentials.access_token.clone().into());
        members.insert(
            "access_token_secret".to_owned(),
            credentials.access_token_secret.expose().into(),
        );
    }
    if let (Some(delivered), Some(members)) = (&activated.delivered, body.as_object_mut()) {
        members.insert("callback_status".to_owned(), delivered.status.into());
    }
    body
}

/// Ends its use.
pub async fn deactivate(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<u64>,
) -> Result<Response, ApiError> {
    caller.may(Act::Operate)?;
    let before = context.integrations.get(IntegrationId(id)).await?;
    let after = context.integrations.deactivate(IntegrationId(id)).await?;
    caller
        .record(
            &context,
            "integration.deactivated",
            subject(&after),
            (shown(&before), shown(&after)),
        )
        .await?;
    Ok(json_of_version(StatusCode::OK, &shown(&after), after.version))
}

/// How long the old secret stays valid.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    grace: Option<String>,
}

/// A new consumer secret; the old one is accepted for the grace.
pub async fn rotate_secret(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<u64>,
    body: Result<Json<Rotation>, JsonRejection>,
) -> Result<Response, ApiError> {
    caller.may(Act::Administer)?;
    let Json(Rotation { grace }) = body?;
    let grace = crate::config::parse_duration(grace.as_deref().unwrap_or("24h"))
        .map_err(|what| ApiError::new(StatusCode::BAD_REQUEST, &format!("grace: {what}")))?;
    let fresh = random::secret().map_err(crate::integration::Failure::from)?;
    let changed = context.integrations.change(IntegrationId(id), None, |record, now| {
        let old = std::mem::replace(&mut record.consumer.secret, fresh.clone());
        let valid_until = now.saturating_add(grace.as_secs());
        record.consumer.previous_secret = Some(PreviousSecret {
            secret: old,
            valid_until,
        });
        record.consumer.updated_at = now;
        Ok(())
    });
    let record = changed.await?;
    let valid_until = record.consumer.previous_secret.as_ref().map(|one| one.valid_until);
    let after = json!({ "previous_valid_until": valid_until });
    caller
        .record(
            &context,
            "integration.secret_rotated",
            subject(&record),
            (json!(null), after),
        )
        .await?;
    let body = json!({ "consumer_secret": fresh.expose(), "previous_valid_until": valid_until });
    Ok(json_of(StatusCode::OK, &body))
}

fn subject(record: &ConsumerRecord) -> String {
    format!("integration/{}", record.integration.as_ref().map_or(0, |one| one.id.0))
}

/// Integration JSON (product.md 5): no secret, no token.
pub fn shown(record: &ConsumerRecord) -> Value {
    let Some(integration) = &record.integration else {
        return Value::Null;
    };
    let definition = &integration.definition;
    let (all, listed) = match &definition.grant {
        Grant::All => (true, Vec::new()),
        Grant::Listed(ids) => (false, ids.iter().collect()),
    };
    json!({
        "id": integration.id,
        "name": definition.name,
        "email": definition.email,
        "endpoint": definition.endpoint,
        "identity_link_url": definition.identity_link_url,
        "status": integration.status,
        "setup": definition.setup,
        "consumer_id": record.consumer.id,
        "consumer_key": record.consumer.key,
        "all_resources": all,
        "resources": listed,
        "signature_methods": definition.signature_methods,
        "rsa_public_key": definition.rsa_public_key,
        "two_legged": definition.two_legged,
        "placements": definition.placements,
        "callback_urls": definition.callback_urls,
        "flags": definition.flags,
        "created_at": integration.created_at,
        "updated_at": integration.updated_at,
    })
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
