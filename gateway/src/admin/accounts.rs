//! `/api/v1/admins`: accounts and roles; `/customers/{id}/tokens`.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use token_store::{Account, AccountId, NewAccount, Role, Secret, User, UserKind};

use super::Context;
use super::access::{Act, Caller};
use super::answer::{ApiError, json_of, json_of_version};
use super::ask::Id;

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
    let accounts = context.parts.store.accounts(UserKind::Admin).await?;
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
    body: Result<Json<New>, JsonRejection>,
) -> Result<Response, ApiError> {
    caller.may(Act::Administer)?;
    let Json(new) = body?;
    let username = new
        .username
        .filter(|name| !name.is_empty())
        .ok_or_else(|| ApiError::required("username"))?;
    let password = new
        .password
        .filter(|text| !text.is_empty())
        .ok_or_else(|| ApiError::required("password"))?;
    let role = new.role.ok_or_else(|| ApiError::required("role"))?;
    let made = make(
        &context,
        &username,
        &Secret::new(password),
        (role, new.email.unwrap_or_default()),
    )
    .await?;
    caller
        .record(
            &context,
            "admin.created",
            format!("admin/{}", made.id.0),
            (json!(null), shown(&made)),
        )
        .await?;
    Ok(json_of_version(StatusCode::CREATED, &shown(&made), made.version))
}

async fn make(
    context: &Context,
    username: &str,
    password: &Secret,
    (role, email): (Role, String),
) -> Result<Account, ApiError> {
    check_new(username, password)?;
    let hashed = context.parts.users.passwords().hash(password).await;
    let password_hash = hashed.map_err(|error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()))?;
    let new = NewAccount {
        kind: UserKind::Admin,
        username: username.to_owned(),
        email,
        password_hash,
        role,
        active: true,
        resources: None,
        totp: None,
    };
    let made = context
        .parts
        .store
        .create_account(new, context.parts.clock.now())
        .await?;
    made.ok_or_else(|| {
        ApiError::with(
            StatusCode::CONFLICT,
            "An account with the name \"%1\" exists.",
            username,
        )
    })
}

/// What any new account must be.
pub fn check_new(username: &str, password: &Secret) -> Result<(), ApiError> {
    let plain = username.chars().count() <= 255 && !username.chars().any(|one| one.is_control() || one.is_whitespace());
    if !plain {
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "username: at most 255 characters, no white space",
        ));
    }
    let length = password.expose().chars().count();
    if !(SHORTEST_PASSWORD..=1024).contains(&length) {
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "password: from 8 to 1024 characters",
        ));
    }
    Ok(())
}

/// Ends all tokens of an admin.
pub async fn revoke(State(context): State<Context>, caller: Caller, Id(id): Id) -> Result<Response, ApiError> {
    caller.may(Act::Operate)?;
    let known = context.parts.store.account(UserKind::Admin, AccountId(id)).await?;
    if known.is_none() {
        return Err(ApiError::new(StatusCode::NOT_FOUND, "The account doesn't exist."));
    }
    revoke_all(
        &context,
        &caller,
        User {
            kind: UserKind::Admin,
            id,
        },
        format!("admin/{id}"),
    )
    .await
}

/// Ends all tokens of a customer, who may be known to the storefront alone.
pub async fn revoke_customer(State(context): State<Context>, caller: Caller, Id(id): Id) -> Result<Response, ApiError> {
    caller.may(Act::Operate)?;
    revoke_all(
        &context,
        &caller,
        User {
            kind: UserKind::Customer,
            id,
        },
        format!("customer/{id}"),
    )
    .await
}

async fn revoke_all(context: &Context, caller: &Caller, user: User, subject: String) -> Result<Response, ApiError> {
    let revoked = context.parts.store.delete_user_tokens(user).await?;
    caller
        .record(
            context,
            "token.revoked",
            subject,
            (json!(null), json!({ "revoked": revoked })),
        )
        .await?;
    Ok(json_of(StatusCode::OK, &json!({ "revoked": revoked })))
}

/// An account without its password and TOTP secret.
fn shown(account: &Account) -> Value {
    let definition = &account.definition;
    json!({
        "id": account.id,
        "username": definition.username,
        "email": definition.email,
        "role": definition.role,
        "active": definition.active,
        "resources": definition.resources,
        "totp": definition.totp.is_some(),
        "created_at": account.created_at,
        "updated_at": account.updated_at,
    })
}

const SHORTEST_PASSWORD: usize = 8;
