//! `/api/v1/tokens`: an admin signs in; which tokens there are, and the end of one. A token's string is never shown: who
//! has it knows it, and nobody else needs it.

use std::num::NonZeroUsize;

use axum::extract::{Path, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use token_store::codec::token_digest;
use token_store::event::Happening;
use token_store::{
    AccountId, ConsumerId, ConsumerRecord, Delegated, DelegatedStage, IntegrationId, IntegrationQuery, OwnToken, User,
    UserKind, UserToken,
};

use super::Context;
use super::access::{Act, Caller};
use super::answer::{ApiError, json_of};
use super::ask::{Asked, Sent};
use super::page::size;
use crate::authenticate::bearer;
use crate::exchange::sign_in::Door;
use crate::exchange::user_token::Credentials;
use crate::header;
use crate::observe::audit;

/// What signs in.
#[derive(Deserialize)]
pub struct SignIn {
    username: Option<String>,
    password: Option<String>,
    code: Option<String>,
}

/// Answers a bearer token and the account's role.
pub async fn sign_in(
    State(context): State<Context>,
    body: Result<Sent<SignIn>, ApiError>,
) -> Result<Response, ApiError> {
    let Sent(SignIn {
        username,
        password,
        code,
    }) = body?;
    let credentials = Credentials::new(username, password)?.with_code(code);
    let (account, token) = context.parts.users.sign_in_admin(&credentials, Door::Admin).await?;
    Ok(json_of(
        StatusCode::OK,
        &json!({ "token": token, "role": account.definition.role }),
    ))
}

/// Whose tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Admin,
    Customer,
    Integration,
}

/// Which to list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    kind: Option<Kind>,
    user_id: Option<u64>,
    integration_id: Option<u64>,
    after: Option<String>,
    limit: Option<NonZeroUsize>,
}

/// A page of the tokens that open something now. Pages of users' tokens come first, then those of integrations; a page may
/// have fewer than `limit`, and is not the last while `next` is there.
pub async fn list(
    State(context): State<Context>,
    caller: Caller,
    Asked(listing): Asked<Listing>,
) -> Result<Response, ApiError> {
    caller.may(Act::Read)?;
    let limit = size(listing.limit);
    let place = listing
        .after
        .as_deref()
        .map(|after| after.split_once(':').unwrap_or((after, "")));
    let (items, next) = match (listing.kind, listing.user_id, listing.integration_id, place) {
        (Some(Kind::Integration) | None, None, Some(id), _) => (of_one_integration(&context, id).await?, None),
        (Some(Kind::Admin), Some(id), None, _) => (of_user(&context, UserKind::Admin, id).await?, None),
        (Some(Kind::Customer), Some(id), None, _) => (of_user(&context, UserKind::Customer, id).await?, None),
        (Some(Kind::Integration), None, None, place) => of_integrations(&context, place, limit).await?,
        (None, None, None, Some((INTEGRATIONS, _))) => of_integrations(&context, place, limit).await?,
        (kind, None, None, place) => of_users(&context, kind, place, limit).await?,
        (_, _, _, _) => {
            let sentence = "user_id goes with kind=admin or kind=customer; integration_id with neither";
            return Err(ApiError::new(StatusCode::BAD_REQUEST, sentence));
        }
    };
    // How many there are is known where one page holds them all. Elsewhere only reading every token would tell: which of
    // them open something now no store counts, and there may be a million.
    let is_whole = place.is_none() && next.is_none();
    let total = is_whole.then_some(items.len());
    let body = json!({ "items": items, "next": next, "total": total });
    Ok(json_of(StatusCode::OK, &body))
}

type Page = (Vec<Value>, Option<String>);

async fn of_user(context: &Context, kind: UserKind, id: u64) -> Result<Vec<Value>, ApiError> {
    let user = User { kind, id };
    let tokens = context.parts.store.user_tokens_of(user).await?;
    let mut items = shown_of_users(context, None, &tokens).await?;
    for row in context.parts.store.delegated_by(user).await? {
        if let Some(record) = context.parts.store.consumer(row.consumer_id).await? {
            items.push(shown_delegated(&record, &row, user));
        }
    }
    Ok(items)
}

async fn of_users(
    context: &Context,
    kind: Option<Kind>,
    place: Option<(&str, &str)>,
    limit: usize,
) -> Result<Page, ApiError> {
    let after = place.map(|(_, after)| after).filter(|after| !after.is_empty());
    let (tokens, next) = context.parts.store.list_user_tokens(after, limit).await?;
    let next = match (next, kind) {
        (Some(next), _) => Some(format!("{USERS}:{next}")),
        (None, None) => Some(format!("{INTEGRATIONS}:")),
        (None, Some(_)) => None,
    };
    Ok((shown_of_users(context, kind, &tokens).await?, next))
}

async fn of_integrations(context: &Context, place: Option<(&str, &str)>, limit: usize) -> Result<Page, ApiError> {
    let after = place
        .map(|(_, after)| after.to_owned())
        .filter(|after| !after.is_empty());
    let query = IntegrationQuery {
        after,
        limit,
        ..IntegrationQuery::default()
    };
    let page = context.parts.store.list_integrations(&query).await?;
    let mut items = Vec::new();
    for record in &page.items {
        items.extend(of_consumer(context, record).await?);
    }
    Ok((items, page.next.map(|next| format!("{INTEGRATIONS}:{next}"))))
}

async fn of_one_integration(context: &Context, id: u64) -> Result<Vec<Value>, ApiError> {
    let record = context.integrations.get(IntegrationId(id)).await?;
    of_consumer(context, &record).await
}

async fn shown_of_users(context: &Context, kind: Option<Kind>, tokens: &[UserToken]) -> Result<Vec<Value>, ApiError> {
    let now = context.parts.clock.now();
    let mut items = Vec::with_capacity(tokens.len());
    let opens = |token: &&UserToken| token.expires_at.is_none_or(|at| at > now) && !token.is_beside_jwt;
    for token in tokens.iter().filter(opens) {
        let (named, username) = match token.user.kind {
            UserKind::Admin => {
                let account = context.parts.store.account(UserKind::Admin, AccountId(token.user.id));
                (Kind::Admin, account.await?.map(|one| one.definition.username.clone()))
            }
            UserKind::Customer => (Kind::Customer, None),
        };
        if kind.is_some_and(|kind| kind != named) {
            continue;
        }
        items.push(json!({
            "id": token.digest,
            "kind": token.user.kind,
            "user_id": token.user.id,
            "name": username,
            "created_at": token.created_at,
            "expires_at": token.expires_at,
        }));
    }
    Ok(items)
}

/// A consumer's own access token, and those that users delegated to it.
async fn of_consumer(context: &Context, record: &ConsumerRecord) -> Result<Vec<Value>, ApiError> {
    let (consumer, now) = (record.consumer.id, context.parts.clock.now());
    let name = record.integration.as_ref().map(|one| one.definition.name.as_str());
    let integration = record.integration.as_ref().map(|one| one.id);
    let mut items = Vec::new();
    if let Some(OwnToken::Access {
        token,
        revoked: false,
        created_at,
        ..
    }) = &record.token
    {
        items.push(json!({
            "id": format!("{}-{}", consumer.0, token_digest(token)),
            "kind": Kind::Integration.as_str(),
            "integration_id": integration,
            "name": name,
            "token": beginning(token),
            "created_at": created_at,
            "expires_at": null,
        }));
    }
    for row in context.parts.store.delegated_of(consumer).await? {
        let DelegatedStage::Access {
            user,
            revoked_before,
            revoked: false,
        } = &row.stage
        else {
            continue;
        };
        if context.parts.store.revoked_before(*user).await? != *revoked_before {
            continue;
        }
        if row.expires_at.is_some_and(|at| at <= now) {
            continue;
        }
        items.push(shown_delegated(record, &row, *user));
    }
    Ok(items)
}

fn shown_delegated(record: &ConsumerRecord, row: &Delegated, user: User) -> Value {
    let integration = record.integration.as_ref();
    json!({
        "id": format!("{}-{}", row.consumer_id.0, token_digest(&row.token)),
        "kind": Kind::Integration.as_str(),
        "integration_id": integration.map(|one| one.id),
        "name": integration.map(|one| one.definition.name.as_str()),
        "on_behalf_of": user,
        "token": beginning(&row.token),
        "created_at": row.created_at,
        "expires_at": row.expires_at,
    })
}

/// Enough to tell which it is, far from enough to use or guess it.
fn beginning(token: &str) -> String {
    let mut beginning: String = token.chars().take(4).collect();
    beginning.push('…');
    beginning
}

/// Ends one token, by the id that the list shows. Whoever is signed in may end the token that they call with: that is no
/// change to anybody else, and nothing for the audit log, as a sign-out isn't.
pub async fn revoke(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if brought(&headers).is_some_and(|own| own == id) {
        let ended = end_user_token(&context, &id).await?;
        ended.then_some(()).ok_or_else(|| ApiError::no_such(&id))?;
        return Ok(json_of(StatusCode::OK, &json!({ "revoked": 1 })));
    }
    caller.may(Act::Operate)?;
    let after = json!({ "revoked": 1, "token": id });
    let told = move |happening: &Happening<'_>| Some((owner(happening)?, (Value::Null, after.clone())));
    let ended = async {
        match id.split_once('-') {
            None => end_user_token(&context, &id).await,
            Some((consumer, digest)) => end_consumer_token(&context, consumer, digest).await,
        }
    };
    let is_ended = caller.change(&context, "token.revoked", told, ended).await?;
    is_ended.then_some(()).ok_or_else(|| ApiError::no_such(&id))?;
    Ok(json_of(StatusCode::OK, &json!({ "revoked": 1 })))
}

/// The id of the token that a call was made with.
fn brought(headers: &HeaderMap) -> Option<String> {
    let value = header::first(headers, &AUTHORIZATION)?;
    bearer::token(value.as_bytes()).map(token_digest)
}

/// Whose token ends.
fn owner(happening: &Happening<'_>) -> Option<String> {
    match happening {
        Happening::UserTokensOf(user, _) => Some(audit::user(user)),
        Happening::Consumer { before, .. } => before.map(|record| format!("consumer/{}", record.consumer.id.0)),
        Happening::Delegated { before, .. } => Some(format!("consumer/{}", before.consumer_id.0)),
        Happening::UserToken(_) | Happening::Account { .. } => None,
    }
}

/// `false`: there is no such token.
async fn end_user_token(context: &Context, digest: &str) -> Result<bool, ApiError> {
    let store = &context.parts.store;
    let token = store.user_token(digest).await?;
    Ok(token.is_some_and(|token| !token.is_beside_jwt) && store.delete_user_token(digest).await?)
}

async fn end_consumer_token(context: &Context, consumer: &str, digest: &str) -> Result<bool, ApiError> {
    let store = &context.parts.store;
    let Ok(consumer) = consumer.parse().map(ConsumerId) else {
        return Ok(false);
    };
    let Some(record) = store.consumer(consumer).await? else {
        return Ok(false);
    };
    let own = record.token.as_ref().and_then(OwnToken::token);
    if own.is_some_and(|token| token_digest(token) == digest) {
        Ok(context.integrations.delete_own_token(consumer).await?)
    } else {
        let rows = store.delegated_of(consumer).await?;
        let is_meant = |row: &&Delegated| token_digest(&row.token) == digest;
        match rows.iter().find(is_meant) {
            None => Ok(false),
            Some(row) => Ok(store.delete_delegated(consumer, &row.token).await?),
        }
    }
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Customer => "customer",
            Self::Integration => "integration",
        }
    }
}

/// Where a list goes on.
const USERS: &str = "users";
const INTEGRATIONS: &str = "integrations";
