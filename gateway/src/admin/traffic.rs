//! `/api/v1/traffic`: requests and refusals of the last hour on this gateway, in steps, and how long answers took.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::Context;
use super::access::{Act, Caller};
use super::answer::{ApiError, json_of};
use super::ask::{Asked, Nothing};
use crate::observe::traffic::EVERY_SECS;

/// Notes the counters until the listener stops.
pub(super) async fn watch(context: Context, stop: CancellationToken) {
    let every = std::time::Duration::from_secs(EVERY_SECS);
    loop {
        let metrics = &context.parts.metrics;
        metrics.traffic.note(context.parts.clock.now(), metrics.totals());
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(every) => {}
        }
    }
}

/// The steps, the causes of refusals, and the latency.
pub async fn show(State(context): State<Context>, caller: Caller, _: Asked<Nothing>) -> Result<Response, ApiError> {
    caller.may(Act::Read)?;
    let metrics = &context.parts.metrics;
    let hour = metrics.traffic.hour(context.parts.clock.now(), metrics.totals());
    let items: Vec<Value> = hour
        .steps
        .iter()
        .map(|step| json!({ "at": step.at, "seconds": step.seconds, "requests": step.requests, "refused": step.refused }))
        .collect();
    let causes: Vec<Value> = hour
        .causes
        .iter()
        .map(|(cause, count)| json!({ "cause": cause.as_str(), "count": count }))
        .collect();
    let body = json!({
        "items": items,
        "causes": causes,
        "median_micros": hour.median_micros,
        "p99_micros": hour.p99_micros,
    });
    Ok(json_of(StatusCode::OK, &body))
}
