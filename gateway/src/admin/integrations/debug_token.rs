//! `/api/v1/integrations/{id}/debug-token`: for the integration's developer, who is then told why a request is refused.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use token_store::IntegrationId;

use super::super::Context;
use super::super::access::{Act, Caller};
use super::super::answer::{ApiError, json_of};
use super::super::ask::{Id, Sent};
use super::subject;
use crate::config::parse_duration;

/// How long it holds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    lifetime: Option<String>,
}

/// Makes one and shows it, this once.
pub async fn issue(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
    body: Result<Sent<Wanted>, ApiError>,
) -> Result<Response, ApiError> {
    caller.may(Act::Administer)?;
    let Sent(wanted) = body?;
    let lifetime = lifetime(wanted.lifetime.as_deref())?;
    let integration = context.integrations.get(IntegrationId(id)).await?;
    let expires_at = context.parts.clock.now() + lifetime.as_secs();
    let token = context
        .parts
        .explainer
        .debug_tokens
        .issue(IntegrationId(id), expires_at)
        .await?;
    caller
        .record(
            &context,
            "integration.debug_token_issued",
            subject(&integration),
            (Value::Null, json!({ "expires_at": expires_at })),
        )
        .await?;
    Ok(json_of(
        StatusCode::OK,
        &json!({ "debug_token": token.expose(), "expires_at": expires_at }),
    ))
}

fn lifetime(text: Option<&str>) -> Result<Duration, ApiError> {
    let Some(text) = text else { return Ok(DEFAULT) };
    let lifetime =
        parse_duration(text).map_err(|what| ApiError::with(StatusCode::BAD_REQUEST, "lifetime: %1", &what))?;
    if lifetime < Duration::from_secs(1) || lifetime > LONGEST {
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "A debug token holds for 24h at most, and 1s at least.",
        ));
    }
    Ok(lifetime)
}

const DEFAULT: Duration = Duration::from_secs(60 * 60);
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
