//! `/api/v1/consumers`: the OAuth service, method by method (magento.md 4.7).

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use token_store::event::Happening;
use token_store::{ConsumerId, ConsumerRecord, OwnToken};

use super::Context;
use super::access::{Act, Caller};
use super::answer::{ApiError, json_of, json_of_version};
use super::ask::{Asked, Id, Precondition, Sent};
use crate::observe::audit::{Told, of_consumer};

/// A new consumer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct New {
    name: Option<String>,
    callback_url: Option<String>,
    rejected_callback_url: Option<String>,
}

/// Creates one. Its secret is in this answer only.
pub async fn create(
    State(context): State<Context>,
    caller: Caller,
    body: Result<Sent<New>, ApiError>,
) -> Result<Response, ApiError> {
    caller.may(Act::Administer)?;
    let Sent(new) = body?;
    let filled = |url: Option<String>| url.filter(|url| !url.is_empty());
    let name = new.name.ok_or_else(|| ApiError::required("name"))?;
    let (callback, rejected) = (filled(new.callback_url), filled(new.rejected_callback_url));
    let made = context.integrations.create_consumer(name, callback, rejected);
    let made = caller.change(&context, "consumer.created", told, made).await?;
    let mut body = shown(&made);
    if let Some(members) = body.as_object_mut() {
        members.insert("secret".to_owned(), made.consumer.secret.expose().into());
    }
    Ok(json_of_version(StatusCode::CREATED, &body, made.version))
}

/// Which to find.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    key: Option<String>,
}

/// The consumer with a key; unknown is an empty list, as Magento answers an empty object.
pub async fn find(
    State(context): State<Context>,
    caller: Caller,
    Asked(finding): Asked<Finding>,
) -> Result<Response, ApiError> {
    caller.may(Act::Read)?;
    let key = finding.key.ok_or_else(|| ApiError::required("key"))?;
    let found = context.parts.store.consumer_by_key(&key).await?;
    let items: Vec<Value> = found.iter().map(|record| shown(record)).collect();
    let body = json!({ "total": items.len(), "items": items, "next": null });
    Ok(json_of(StatusCode::OK, &body))
}

/// One, with its version.
pub async fn show(State(context): State<Context>, caller: Caller, Id(id): Id) -> Result<Response, ApiError> {
    caller.may(Act::Read)?;
    let record = context.integrations.consumer(ConsumerId(id)).await?;
    Ok(json_of_version(StatusCode::OK, &shown(&record), record.version))
}

/// Deletes it with its integration and tokens; answers what it was.
pub async fn remove(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    caller.may(Act::Administer)?;
    let id = ConsumerId(id);
    let before = context.integrations.consumer(id).await?;
    let version = Precondition::of(&headers)?.version(before.version)?;
    let gone = context.integrations.delete_consumer(id, version);
    let gone = caller.change(&context, "consumer.deleted", told, gone).await?;
    Ok(json_of(StatusCode::OK, &shown(&gone)))
}

/// Its access token. A deliberate call, so it is audited.
pub async fn access_token(State(context): State<Context>, caller: Caller, Id(id): Id) -> Result<Response, ApiError> {
    caller.may(Act::Administer)?;
    let record = context.integrations.consumer(ConsumerId(id)).await?;
    let Some(OwnToken::Access {
        token,
        secret,
        revoked,
        created_at,
        ..
    }) = &record.token
    else {
        return Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "This consumer has no access token.",
        ));
    };
    caller
        .record(&context, "token.shown", subject(&record), (json!(null), json!(null)))
        .await?;
    let body = json!({
        "consumer_key": record.consumer.key,
        "consumer_secret": record.consumer.secret.expose(),
        "access_token": token,
        "access_token_secret": secret.expose(),
        "revoked": revoked,
        "created_at": created_at,
    });
    Ok(json_of(StatusCode::OK, &body))
}

/// What to do with a token that is there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Making {
    #[serde(default)]
    clear: bool,
}

/// Makes the access token at once. Where one is there already nothing is made: 409, unless it is to be cleared.
pub async fn create_access_token(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
    body: Result<Sent<Making>, ApiError>,
) -> Result<Response, ApiError> {
    caller.may(Act::Administer)?;
    let Sent(making) = body?;
    let cleared = making.clear;
    let told = move |happening: &Happening<'_>| told_with(happening, &json!({ "cleared": cleared }));
    let made = context.integrations.create_access_token(ConsumerId(id), cleared);
    let made = caller.change(&context, "token.issued", told, made).await?;
    let Some(made) = made else {
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            "This consumer has a token already; send {\"clear\": true} to replace it.",
        ));
    };
    let body = json!({
        "consumer_key": made.consumer_key,
        "consumer_secret": made.consumer_secret.expose(),
        "access_token": made.access_token,
        "access_token_secret": made.access_token_secret.expose(),
    });
    Ok(json_of(StatusCode::CREATED, &body))
}

/// Deletes its token row: `true` if there was one.
pub async fn delete_access_token(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
) -> Result<Response, ApiError> {
    caller.may(Act::Operate)?;
    let told = |happening: &Happening<'_>| told_with(happening, &Value::Null);
    let existed = context.integrations.delete_own_token(ConsumerId(id));
    let existed = caller.change(&context, "token.revoked", told, existed).await?;
    Ok(json_of(StatusCode::OK, &existed))
}

/// Where to post; its integration's endpoint unless given.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Posting {
    endpoint: Option<String>,
}

/// Posts the credentials and the verifier to an endpoint, and answers the verifier.
pub async fn post_verifier(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
    body: Result<Sent<Posting>, ApiError>,
) -> Result<Response, ApiError> {
    caller.may(Act::Administer)?;
    let Sent(posting) = body?;
    let record = context.integrations.consumer(ConsumerId(id)).await?;
    let integration = record.integration.as_ref();
    let endpoint = posting
        .endpoint
        .filter(|url| !url.is_empty())
        .or_else(|| integration?.definition.endpoint.clone())
        .ok_or_else(|| ApiError::required("endpoint"))?;
    let of = format!("consumer/{id}");
    let to = json!({ "endpoint": endpoint });
    let told = move |happening: &Happening<'_>| told_with(happening, &to);
    let posted = context.integrations.post_to_endpoint(ConsumerId(id), &endpoint);
    let posted = caller.change(&context, "consumer.verifier_made", told, posted).await;
    let outcome = json!({ "endpoint": endpoint, "delivered": posted.is_ok() });
    if matches!(posted, Ok(_) | Err(crate::integration::Failure::CallbackFailed(_))) {
        caller.tell(&context, "consumer.posted", of, outcome).await;
    }
    Ok(json_of(StatusCode::OK, &json!({ "verifier": posted?.expose() })))
}

/// What the audit log says of a consumer that is made or deleted.
fn told(happening: &Happening<'_>) -> Option<Told> {
    of_consumer(happening, subject, shown)
}

/// The same of one whose token is changed, which is never shown.
fn told_with(happening: &Happening<'_>, after: &Value) -> Option<Told> {
    let (subject, _) = of_consumer(happening, subject, |_| Value::Null)?;
    Some((subject, (Value::Null, after.clone())))
}

fn subject(record: &ConsumerRecord) -> String {
    format!("consumer/{}", record.consumer.id.0)
}

/// A consumer without its secret.
fn shown(record: &ConsumerRecord) -> Value {
    let consumer = &record.consumer;
    json!({
        "id": consumer.id,
        "name": consumer.name,
        "key": consumer.key,
        "callback_url": consumer.callback_url,
        "rejected_callback_url": consumer.rejected_callback_url,
        "integration_id": record.integration.as_ref().map(|one| one.id),
        "created_at": consumer.created_at,
        "updated_at": consumer.updated_at,
    })
}
