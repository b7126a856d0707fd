//! `/api/v1/admins`: accounts and roles; `/customers/{id}/tokens`.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use token_store::event::Happening;
use token_store::{Account, AccountId, Role, Secret, User, UserKind};

use super::Context;
use super::access::{Act, Caller};
use super::answer::{ApiError, json_of, json_of_version};
use super::ask::{Id, Precondition, Sent};
use crate::exchange::account::{AccountError, Creation, shown};
use crate::exchange::totp;
use crate::observe::audit::{Told, of_account, of_tokens};

/// A new account.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct New {
    username: Option<String>,
    password: Option<String>,
    role: Option<Role>,
    email: Option<String>,
}

/// All accounts, without what they sign in with.
pub async fn list(State(context): State<Context>, caller: Caller) -> Result<Response, ApiError> {
    caller.may(Act::Read)?;
    let accounts = context.accounts().all().await?;
    let items: Vec<Value> = accounts.iter().map(shown).collect();
    Ok(json_of(
        StatusCode::OK,
        &json!({ "total": items.len(), "items": items, "next": null }),
    ))
}

/// Creates an admin account.
pub async fn create(
    State(context): State<Context>,
    caller: Caller,
    body: Result<Sent<New>, ApiError>,
) -> Result<Response, ApiError> {
    caller.may(Act::Administer)?;
    let Sent(new) = body?;
    let new = Creation {
        username: new
            .username
            .filter(|name| !name.is_empty())
            .ok_or_else(|| ApiError::required("username"))?,
        password: new
            .password
            .filter(|text| !text.is_empty())
            .map(Secret::new)
            .ok_or_else(|| ApiError::required("password"))?,
        role: new.role.ok_or_else(|| ApiError::required("role"))?,
        email: new.email.unwrap_or_default(),
    };
    let accounts = context.accounts();
    let made = caller
        .change(&context, "admin.created", told, accounts.create(new))
        .await?;
    Ok(json_of_version(StatusCode::CREATED, &shown(&made), made.version))
}

/// One, with its version.
pub async fn show(State(context): State<Context>, caller: Caller, Id(id): Id) -> Result<Response, ApiError> {
    caller.may(Act::Read)?;
    let account = context.accounts().get(AccountId(id)).await?;
    Ok(json_of_version(StatusCode::OK, &shown(&account), account.version))
}

/// What is to be changed; what is absent stays. What the server gives may be sent back; it is not read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    username: Option<String>,
    email: Option<String>,
    role: Option<Role>,
    active: Option<bool>,
    #[serde(default)]
    resources: Opens,
    #[serde(rename = "id")]
    _id: Option<IgnoredAny>,
    #[serde(rename = "totp")]
    _totp: Option<IgnoredAny>,
    #[serde(rename = "created_at")]
    _created_at: Option<IgnoredAny>,
    #[serde(rename = "updated_at")]
    _updated_at: Option<IgnoredAny>,
}

/// What its token is to open on routes.
#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Opens {
    /// As before: the field is absent.
    #[default]
    #[serde(skip)]
    Unchanged,
    /// `null`: what its role opens.
    ByRole(()),
    /// These.
    Listed(BTreeSet<String>),
}

/// Changes name, address, role, resources, or whether it is active.
pub async fn update(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
    headers: HeaderMap,
    body: Result<Sent<Change>, ApiError>,
) -> Result<Response, ApiError> {
    caller.may(Act::Administer)?;
    let before = context.accounts().get(AccountId(id)).await?;
    let version = Precondition::of(&headers)?.version(before.version)?;
    let Sent(change) = body?;
    if let Opens::Listed(ids) = &change.resources {
        let known = context.parts.live.load().tree.check(ids);
        known.map_err(|unknown| ApiError::new(StatusCode::BAD_REQUEST, &format!("resources: {unknown}")))?;
    }
    let edit = |definition: &mut token_store::NewAccount| {
        if let Some(username) = &change.username {
            definition.username.clone_from(username);
        }
        if let Some(email) = &change.email {
            definition.email.clone_from(email);
        }
        match &change.resources {
            Opens::Unchanged => {}
            Opens::ByRole(()) => definition.resources = None,
            Opens::Listed(ids) => definition.resources = Some(ids.clone()),
        }
        definition.role = change.role.unwrap_or(definition.role);
        definition.active = change.active.unwrap_or(definition.active);
        Ok(())
    };
    let accounts = context.accounts();
    let change = accounts.change(AccountId(id), version, edit);
    answer(&context, &caller, "admin.updated", change).await
}

/// Ends its use, and its tokens at once on every gateway.
pub async fn disable(State(context): State<Context>, caller: Caller, Id(id): Id) -> Result<Response, ApiError> {
    caller.may(Act::Administer)?;
    let accounts = context.accounts();
    let change = accounts.set_active(AccountId(id), false);
    answer(&context, &caller, "admin.disabled", change).await
}

/// Lets it sign in again.
pub async fn enable(State(context): State<Context>, caller: Caller, Id(id): Id) -> Result<Response, ApiError> {
    caller.may(Act::Administer)?;
    let accounts = context.accounts();
    let change = accounts.set_active(AccountId(id), true);
    answer(&context, &caller, "admin.enabled", change).await
}

/// Another password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    password: Option<String>,
    current_password: Option<String>,
}

/// Sets a password; the account's tokens end. Everybody may set their own: who does not manage accounts by the present one.
pub async fn set_password(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
    body: Result<Sent<NewPassword>, ApiError>,
) -> Result<Response, ApiError> {
    caller.may_for(id)?;
    let Sent(new) = body?;
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    let password = filled(new.password).map(Secret::new);
    let password = password.ok_or_else(|| ApiError::required("password"))?;
    if caller.may(Act::Administer).is_err() {
        let current = filled(new.current_password);
        let current = current.ok_or_else(|| ApiError::required("current_password"))?;
        caller.confirm(&context, current).await?;
    }
    let accounts = context.accounts();
    let change = accounts.set_password(AccountId(id), &password);
    answer(&context, &caller, "admin.password_set", change).await
}

/// Hands out the secret of a second factor and its recovery codes, here only. For oneself, or by who manages accounts.
pub async fn enrol(State(context): State<Context>, caller: Caller, Id(id): Id) -> Result<Response, ApiError> {
    caller.may_for(id)?;
    let accounts = context.accounts();
    let change = accounts.enrol(AccountId(id));
    let (after, handed) = caller.change(&context, "admin.totp_enrolled", told, change).await?;
    let uri = totp::uri(&after.definition.username, &handed.secret);
    let codes: Vec<&str> = handed.recovery.iter().map(Secret::expose).collect();
    let body = json!({ "secret": handed.secret.expose(), "uri": uri.expose(), "recovery_codes": codes });
    Ok(json_of_version(StatusCode::CREATED, &body, after.version))
}

/// A code that was read off.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    code: Option<String>,
}

/// A code shows that the secret arrived: from now on each sign-in needs one.
pub async fn confirm(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
    body: Result<Sent<Code>, ApiError>,
) -> Result<Response, ApiError> {
    caller.may_for(id)?;
    let Sent(Code { code }) = body?;
    let code = code.filter(|code| !code.is_empty());
    let code = code.ok_or_else(|| ApiError::required("code"))?;
    let accounts = context.accounts();
    let change = accounts.confirm(AccountId(id), &code);
    answer(&context, &caller, "admin.totp_confirmed", change).await
}

/// Takes the second factor away.
pub async fn remove_totp(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    caller.may(Act::Administer)?;
    let before = context.accounts().get(AccountId(id)).await?;
    let version = Precondition::of(&headers)?.version(before.version)?;
    let accounts = context.accounts();
    let change = accounts.remove_totp(AccountId(id), version);
    answer(&context, &caller, "admin.totp_removed", change).await
}

async fn answer(
    context: &Context,
    caller: &Caller,
    action: &str,
    change: impl Future<Output = Result<Account, AccountError>>,
) -> Result<Response, ApiError> {
    let after = caller.change(context, action, told, change).await?;
    Ok(json_of_version(StatusCode::OK, &shown(&after), after.version))
}

fn told(happening: &Happening<'_>) -> Option<Told> {
    of_account(happening, subject, shown)
}

fn subject(id: u64) -> String {
    format!("admin/{id}")
}

/// Ends all tokens of an admin.
pub async fn revoke(State(context): State<Context>, caller: Caller, Id(id): Id) -> Result<Response, ApiError> {
    caller.may(Act::Operate)?;
    context.accounts().get(AccountId(id)).await?;
    let kind = UserKind::Admin;
    revoke_all(&context, &caller, User { kind, id }).await
}

/// Ends all tokens of a customer, who may be known to the storefront alone.
pub async fn revoke_customer(State(context): State<Context>, caller: Caller, Id(id): Id) -> Result<Response, ApiError> {
    caller.may(Act::Operate)?;
    let kind = UserKind::Customer;
    revoke_all(&context, &caller, User { kind, id }).await
}

async fn revoke_all(context: &Context, caller: &Caller, user: User) -> Result<Response, ApiError> {
    let now = context.parts.clock.now();
    let revoked = context.parts.store.revoke_user_tokens(user, now);
    let revoked = caller.change(context, "token.revoked", of_tokens, revoked).await?;
    Ok(json_of(StatusCode::OK, &json!({ "revoked": revoked })))
}
