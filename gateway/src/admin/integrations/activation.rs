//! Activation and what undoes it; rotation; the handshake.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use token_store::event::Happening;
use token_store::{ConsumerRecord, IntegrationId, OwnToken};

use super::super::Context;
use super::super::access::{Act, Caller};
use super::super::answer::{ApiError, json_of, json_of_version};
use super::super::ask::{Id, Precondition, Sent};
use super::super::login_success;
use super::{shown, subject, told};
use crate::integration::activation::{Activated, Renewal};
use crate::integration::{Failure, identity_link};
use crate::observe::audit::of_consumer;

/// How to activate.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Activation {
    exchange: Option<bool>,
}

/// Activates: posts the verifier, or makes the tokens at once; one that was deactivated goes on with those it has.
pub async fn activate(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
    headers: HeaderMap,
    body: Result<Sent<Activation>, ApiError>,
) -> Result<Response, ApiError> {
    renew(&context, &caller, IntegrationId(id), (&headers, body), Renewal::Keep).await
}

/// Activates anew: the old tokens end at once.
pub async fn reauthorize(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
    headers: HeaderMap,
    body: Result<Sent<Activation>, ApiError>,
) -> Result<Response, ApiError> {
    renew(&context, &caller, IntegrationId(id), (&headers, body), Renewal::Replace).await
}

async fn renew(
    context: &Context,
    caller: &Caller,
    id: IntegrationId,
    (headers, body): (&HeaderMap, Result<Sent<Activation>, ApiError>),
    renewal: Renewal,
) -> Result<Response, ApiError> {
    caller.may(Act::Operate)?;
    let Sent(wanted) = body?;
    let before = context.integrations.get(id).await?;
    let version = Precondition::sent(headers, before.version)?;
    let action = match renewal {
        Renewal::Keep => "integration.activated",
        Renewal::Replace => "integration.reauthorized",
    };
    let activated = context.integrations.activate(id, version, wanted.exchange, renewal);
    let mut activated = caller.change(context, action, told, activated).await?;
    if let Some(delivery) = &activated.delivery {
        let callback = match delivery {
            Ok(delivered) => json!({ "address": delivered.address, "status": delivered.status }),
            Err(error) => json!({ "error": error.to_string() }),
        };
        let answered = json!({ "callback": callback });
        caller
            .tell(context, "integration.keys_posted", subject(&before), answered)
            .await;
    }
    if let Some(Err(error)) = activated.delivery.take_if(|delivery| delivery.is_err()) {
        return Err(Failure::CallbackFailed(error).into());
    }
    let mut body = outcome(&activated, caller.may(Act::Administer).is_ok());
    let link = identity_link(&activated, context, headers);
    if let (Some(link), Some(members)) = (link, body.as_object_mut()) {
        members.insert("identity_link_url".to_owned(), link.into());
    }
    Ok(json_of(StatusCode::OK, &body))
}

/// After the verifier was posted: where the merchant signs in to the third party now, with all that it must be told.
fn identity_link(activated: &Activated, context: &Context, headers: &HeaderMap) -> Option<String> {
    activated.delivery.as_ref()?;
    let definition = &activated.record.integration.as_ref()?.definition;
    let back = login_success::address(headers, &context.parts.admin_listener().to_string());
    identity_link::complete(
        definition.identity_link_url.as_deref()?,
        &activated.record.consumer.key,
        &back,
    )
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
    if let (Some(Ok(delivered)), Some(members)) = (&activated.delivery, body.as_object_mut()) {
        members.insert("callback_status".to_owned(), delivered.status.into());
    }
    body
}

/// Pauses it: its calls are a guest's until it is activated again.
pub async fn deactivate(State(context): State<Context>, caller: Caller, Id(id): Id) -> Result<Response, ApiError> {
    caller.may(Act::Operate)?;
    let after = context.integrations.deactivate(IntegrationId(id));
    let after = caller.change(&context, "integration.deactivated", told, after).await?;
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
    Id(id): Id,
    headers: HeaderMap,
    body: Result<Sent<Rotation>, ApiError>,
) -> Result<Response, ApiError> {
    caller.may(Act::Administer)?;
    let Sent(Rotation { grace }) = body?;
    let grace = crate::config::parse_duration(grace.as_deref().unwrap_or("24h"))
        .map_err(|what| ApiError::new(StatusCode::BAD_REQUEST, &format!("grace: {what}")))?;
    if grace > LONGEST_GRACE {
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "grace: at most 90d. Then the old secret ends.",
        ));
    }
    let id = IntegrationId(id);
    let before = context.integrations.get(id).await?;
    let version = Precondition::sent(&headers, before.version)?;
    let valid_until = |record: &ConsumerRecord| record.consumer.previous_secret.as_ref().map(|one| one.valid_until);
    let told = move |happening: &Happening<'_>| {
        of_consumer(
            happening,
            subject,
            |record| json!({ "previous_valid_until": valid_until(record) }),
        )
    };
    let record = context.integrations.rotate_secret(id, version, grace);
    let record = caller
        .change(&context, "integration.secret_rotated", told, record)
        .await?;
    let valid_until = valid_until(&record);
    let secret = record.consumer.secret.expose();
    let body = json!({ "consumer_secret": secret, "previous_valid_until": valid_until });
    Ok(json_of_version(StatusCode::OK, &body, record.version))
}

/// The handshake's steps with their times, and what the callback answered.
pub async fn handshake(State(context): State<Context>, caller: Caller, Id(id): Id) -> Result<Response, ApiError> {
    caller.may(Act::Read)?;
    let record = context.integrations.get(IntegrationId(id)).await?;
    let integration = record.integration.as_ref();
    let expiry = context.parts.live.load().oauth.consumer_expiry.as_secs();
    let body = json!({
        "status": integration.map(|one| one.status),
        "exchange": integration.is_some_and(|one| one.definition.endpoint.is_some()),
        "stage": stage(&record),
        "deadline": deadline(&record, expiry),
        "steps": context.integrations.handshakes.of(&record),
    });
    Ok(json_of(StatusCode::OK, &body))
}

fn stage(record: &ConsumerRecord) -> Option<&'static str> {
    record.token.as_ref().map(|token| match token {
        OwnToken::Verifier { .. } => "verifier",
        OwnToken::Request { .. } => "request",
        OwnToken::Access { .. } => "access",
    })
}

/// Until when the next step must be made: from this second on the keys must be posted again.
fn deadline(record: &ConsumerRecord, expiry_secs: u64) -> Option<u64> {
    match &record.token {
        Some(OwnToken::Verifier { .. }) => record.consumer.posted_at.map(|at| at.saturating_add(expiry_secs)),
        Some(OwnToken::Request { expires_at, .. }) => Some(*expires_at),
        Some(OwnToken::Access { .. }) | None => None,
    }
}

/// How long a secret that was replaced is accepted at most: whoever rotates it wants it to end.
const LONGEST_GRACE: Duration = Duration::from_secs(90 * 24 * 60 * 60);
