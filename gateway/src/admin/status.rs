//! Health, metrics, the resource tree, reload.

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Context;
use super::access::{Act, Caller};
use super::answer::{ApiError, json_of};
use super::ask::{Asked, Nothing};
use crate::app::{Parts, RELOADED, Reloaded};
use crate::observe::{unsure_until, with_causes};

/// The process runs.
pub async fn live() -> Response {
    json_of(StatusCode::OK, &json!({ "status": "ok" }))
}

/// Whether requests can be served: the store answers and no drain has begun.
pub async fn ready(State(context): State<Context>) -> Response {
    let store = store_fault(&context.parts).await.unwrap_or_else(|| "ok".to_owned());
    let draining = context.parts.draining.is_cancelled();
    let ready = store == "ok" && !draining;
    let upstreams = upstreams(&context);
    let body = json!({
        "status": if ready { "ok" } else { "unavailable" },
        "components": {
            "store": { "status": store },
            "upstreams": upstreams,
            "listener": { "status": if draining { "draining" } else { "ok" } },
        },
    });
    json_of(
        if ready {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        },
        &body,
    )
}

/// Why the store lets no signed request pass; `None`: it does.
pub(super) async fn store_fault(parts: &Parts) -> Option<String> {
    match parts.store.check().await {
        Ok(()) => parts.store.unsure_until(parts.clock.now()).map(unsure_until),
        Err(error) => Some(with_causes(&error)),
    }
}

/// Upstreams by name. One that is away makes no gateway unready: the others still serve, and none would serve it better.
fn upstreams(context: &Context) -> Value {
    let live = context.parts.live.load();
    let shown = |upstream: &crate::live::Upstream| {
        let targets = context.parts.board.targets(&upstream.config);
        let well = targets.iter().filter(|target| target.status() == "ok").count();
        let status = match well {
            0 if !targets.is_empty() => "unavailable",
            some if some < targets.len() => "degraded",
            _ => "ok",
        };
        (upstream.name.clone(), json!({ "status": status }))
    };
    Value::Object(live.upstreams.iter().map(shown).collect())
}

/// Prometheus' text.
pub async fn metrics(State(context): State<Context>) -> Response {
    let mut response = context.parts.metrics.expose().into_response();
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The ACL tree, flat.
pub async fn resources(
    State(context): State<Context>,
    caller: Caller,
    _: Asked<Nothing>,
) -> Result<Response, ApiError> {
    caller.may(Act::Read)?;
    let live = context.parts.live.load();
    let items: Vec<_> = live
        .tree
        .iter()
        .map(|one| json!({ "id": one.id, "title": one.title, "parent": one.parent, "order": one.order }))
        .collect();
    Ok(json_of(
        StatusCode::OK,
        &json!({ "total": items.len(), "items": items, "next": null }),
    ))
}

/// Seals anew, with the first encryption key, what others sealed; then the others can be dropped.
pub async fn reseal(State(context): State<Context>, caller: Caller) -> Result<Response, ApiError> {
    caller.may(Act::Administer)?;
    let live = context.parts.live.load_full();
    let webhooks: Vec<String> = live.webhooks.iter().map(|one| one.name.clone()).collect();
    let (after, answer) = match context.parts.store.reseal(&webhooks).await {
        Ok(resealed) => {
            let after = json!({ "resealed": resealed });
            let answer = json_of(StatusCode::OK, &after);
            (after, Ok(answer))
        }
        // What was sealed anew before is.
        Err(error) => (json!({ "error": error.to_string() }), Err(error.into())),
    };
    caller.tell(&context, "store.resealed", "store".to_owned(), after).await;
    answer
}

/// Reads the configuration again.
pub async fn reload(State(context): State<Context>, caller: Caller) -> Result<Response, ApiError> {
    caller.may(Act::Administer)?;
    let entry = caller.entry(&context, RELOADED);
    match context.parts.reload(entry).await {
        Some(Reloaded::Done { needs_restart }) => Ok(json_of(
            StatusCode::OK,
            &json!({ "reloaded": true, "needs_restart": needs_restart }),
        )),
        Some(Reloaded::Refused { faults }) => Ok(json_of(
            StatusCode::UNPROCESSABLE_ENTITY,
            &json!({ "message": "The configuration is refused; the last good one stays in force.", "faults": faults }),
        )),
        None => Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal Error.")),
    }
}
