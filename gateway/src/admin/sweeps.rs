//! `/api/v1/sweeps`: what they did, and one now.

use std::sync::atomic::Ordering;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::Context;
use super::access::{Act, Caller};
use super::answer::{ApiError, json_of};
use super::ask::{Asked, Nothing};
use crate::integration::sweep::{Sweep, Swept};

/// Both, with their schedule and what they did.
pub async fn list(State(context): State<Context>, caller: Caller, _: Asked<Nothing>) -> Result<Response, ApiError> {
    caller.may(Act::Read)?;
    let schedule = context.parts.live.load().sweeps;
    let shown = |sweep: Sweep| {
        let counts = context.parts.sweeps.counts(sweep);
        let last_run = counts.last_run.load(Ordering::Relaxed);
        json!({
            "name": sweep.as_str(),
            "every_seconds": schedule.every(sweep).map(|every| every.as_secs()),
            "runs": counts.runs.load(Ordering::Relaxed),
            "failures": counts.failures.load(Ordering::Relaxed),
            "removed": counts.removed.load(Ordering::Relaxed),
            "last_run": (last_run > 0).then_some(last_run),
        })
    };
    let items: Vec<Value> = Sweep::ALL.into_iter().map(shown).collect();
    Ok(json_of(
        StatusCode::OK,
        &json!({ "total": items.len(), "items": items, "next": null }),
    ))
}

/// Runs one to its end.
pub async fn run(
    State(context): State<Context>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    caller.may(Act::Operate)?;
    let sweep = Sweep::named(&name).ok_or_else(|| ApiError::no_such(&name))?;
    let (after, answer) = match context.parts.sweeps.once(sweep).await {
        Ok(Swept::Removed(removed)) => {
            let answer = json_of(StatusCode::OK, &json!({ "name": name, "removed": removed }));
            (json!({ "removed": removed }), Ok(answer))
        }
        Ok(Swept::Elsewhere) => {
            return Err(ApiError::new(
                StatusCode::CONFLICT,
                "Another gateway runs this sweep just now.",
            ));
        }
        // What it removed before is gone.
        Err(error) => (json!({ "error": error.to_string() }), Err(error.into())),
    };
    caller.tell(&context, "sweep.run", format!("sweep/{name}"), after).await;
    answer
}
