//! `POST /api/v1/tokens`: an admin signs in.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::Context;
use super::answer::{ApiError, json_of};
use crate::exchange::user_token::Credentials;

/// What signs in.
#[derive(Deserialize)]
pub struct SignIn {
    username: Option<String>,
    password: Option<String>,
}

/// Answers a bearer token and the account's role.
pub async fn sign_in(
    State(context): State<Context>,
    body: Result<Json<SignIn>, JsonRejection>,
) -> Result<Response, ApiError> {
    let Json(SignIn { username, password }) = body?;
    let credentials = Credentials::new(username, password)?;
    let (account, token) = context.parts.users.sign_in_admin(&credentials).await?;
    Ok(json_of(
        StatusCode::OK,
        &json!({ "token": token, "role": account.definition.role }),
    ))
}
