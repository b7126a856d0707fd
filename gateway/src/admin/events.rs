//! `/api/v1/events`: the live stream; what could not be delivered, and another try.

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::extract::{FromRequestParts as _, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use token_store::event::{Cursor, Delivery};

use super::Context;
use super::access::{Act, Caller};
use super::answer::{ApiError, json_of};
use super::ask::Asked;
use super::page::size;
use super::sse;
use crate::integration::events::deliver::Counts;
use crate::integration::events::shown;

/// Events as they happen, on any gateway of the store, as server-sent events: `id` is the place in the log, from which
/// `Last-Event-ID` goes on; `event` the name, `data` the event's JSON. Each listener reads the log for itself, so a slow
/// one holds up nothing and keeps nothing.
pub async fn listen(State(context): State<Context>, caller: Caller, parts: Parts) -> Result<Response, ApiError> {
    caller.may(Act::Read)?;
    let most = context.parts.live.load().events.listeners;
    let Some(turn) = Turn::take(&context.parts.events, most) else {
        return Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many listeners already (events.listeners).",
        ));
    };
    let left_at = parts.headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let cursor = match left_at.and_then(|text| text.parse().ok()) {
        Some(cursor) => cursor,
        None => context.parts.store.last_event().await?,
    };
    let now = context.parts.clock.instant();
    let listening = Listening {
        context,
        parts,
        cursor,
        checked: now,
        spoken: now,
        _turn: turn,
    };
    Ok(sse::response(listening, |listening| Box::pin(listening.next())))
}

/// One listener's turn.
struct Turn(Arc<Counts>);

impl Turn {
    fn take(counts: &Arc<Counts>, most: u64) -> Option<Self> {
        let one_more = |listening: u64| (listening < most).then_some(listening + 1);
        let taken = counts
            .listeners
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        taken.is_ok().then(|| Self(Arc::clone(counts)))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.listeners.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A listener, between two pieces.
struct Listening {
    context: Context,
    /// The request: whether its caller may still listen is asked again and again.
    parts: Parts,
    cursor: Cursor,
    checked: Instant,
    spoken: Instant,
    _turn: Turn,
}

impl Listening {
    /// The next piece; `None`: the gateway drains, or the caller may not listen any more.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        loop {
            let now = self.context.parts.clock.instant();
            if self.context.parts.draining.is_cancelled() {
                return None;
            }
            if now.duration_since(self.checked) >= CHECK {
                self.checked = now;
                let caller = Caller::from_request_parts(&mut self.parts, &self.context).await;
                caller.ok().filter(|caller| caller.may(Act::Read).is_ok())?;
            }
            // A store that is away is asked again.
            let events = self.context.parts.store.events(self.cursor, AT_ONCE).await;
            let mut text = String::new();
            for (cursor, event) in events.unwrap_or_default() {
                self.cursor = cursor;
                // Writing to a String can't fail; JSON has no line breaks.
                let _written = write!(text, "id: {cursor}\nevent: {}\ndata: {}\n\n", event.kind, shown(&event));
            }
            if text.is_empty() && now.duration_since(self.spoken) >= ALIVE {
                text.push_str(": alive\n\n");
            }
            if !text.is_empty() {
                self.spoken = now;
                return Some((Bytes::from(text), self));
            }
            tokio::select! {
                () = self.context.parts.draining.cancelled() => return None,
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }
}

/// Which part.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    after: Option<String>,
    limit: Option<NonZeroUsize>,
}

/// Deliveries that were given up, the oldest first.
pub async fn dead(
    State(context): State<Context>,
    caller: Caller,
    Asked(listing): Asked<Listing>,
) -> Result<Response, ApiError> {
    caller.may(Act::Read)?;
    let limit = size(listing.limit);
    let after = listing.after.unwrap_or_default();
    let store = &context.parts.store;
    let mut found = store.dead_deliveries(&after, limit + 1).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(Delivery::name);
    let total = store.outbox_counts(&[]).await?.dead;
    let items: Vec<Value> = found.iter().map(letter).collect();
    let body = json!({ "items": items, "next": next, "total": total });
    Ok(json_of(StatusCode::OK, &body))
}

fn letter(delivery: &Delivery) -> Value {
    json!({
        "name": delivery.name(),
        "webhook": delivery.webhook,
        "tries": delivery.tries,
        "error": delivery.error,
        "event": shown(&delivery.event),
    })
}

/// One of them is delivered again, as if it had never been tried.
pub async fn replay(
    State(context): State<Context>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    caller.may(Act::Operate)?;
    if let Some(webhook) = name.split_once(':').map(|(_, webhook)| webhook)
        && !is_configured(&context, webhook)
    {
        return Err(ApiError::with(StatusCode::CONFLICT, UNCONFIGURED, webhook));
    }
    let dead = dead_letter(&context, &name).await?;
    let dead = dead.ok_or_else(|| ApiError::no_such(&name))?;
    let of = format!("event/{}", dead.event.id);
    // First: once it waits again it is delivered, whether its entry could be written or not.
    caller
        .record(&context, "event.replayed", of, (json!(null), letter(&dead)))
        .await?;
    let delivery = again(&context, &name).await?;
    let delivery = delivery.ok_or_else(|| ApiError::no_such(&name))?;
    Ok(json_of(StatusCode::OK, &letter(&delivery)))
}

/// One of them, by its name: those of the same event stand beside it, one a webhook.
async fn dead_letter(context: &Context, name: &str) -> Result<Option<Delivery>, ApiError> {
    let mut after = name.to_owned();
    after.pop();
    let found = context.parts.store.dead_deliveries(&after, AT_ONCE).await?;
    Ok(found.into_iter().find(|one| one.name() == name))
}

/// All that are there now, but those of webhooks that are no more: nobody would deliver them.
pub async fn replay_all(State(context): State<Context>, caller: Caller) -> Result<Response, ApiError> {
    caller.may(Act::Operate)?;
    let (mut replayed, mut left) = (0, 0);
    let ended = replay_each(&context, &mut replayed, &mut left).await;
    let after = json!({ "replayed": replayed, "left": left });
    // Those before one at which the store failed are delivered all the same.
    if ended.is_ok() || replayed > 0 {
        caller
            .tell(&context, "event.replayed", "event".to_owned(), after.clone())
            .await;
    }
    ended?;
    Ok(json_of(StatusCode::OK, &after))
}

async fn replay_each(context: &Context, replayed: &mut u64, left: &mut u64) -> Result<(), ApiError> {
    let mut after = String::new();
    loop {
        let found = context.parts.store.dead_deliveries(&after, AT_ONCE).await?;
        let Some(last) = found.last() else { return Ok(()) };
        after = last.name();
        for delivery in &found {
            if is_configured(context, &delivery.webhook) {
                *replayed += u64::from(again(context, &delivery.name()).await?.is_some());
            } else {
                *left += 1;
            }
        }
    }
}

fn is_configured(context: &Context, webhook: &str) -> bool {
    let live = context.parts.live.load();
    live.webhooks.iter().any(|one| one.name == webhook)
}

async fn again(context: &Context, name: &str) -> Result<Option<Delivery>, ApiError> {
    let most = context.parts.live.load().events.outbox;
    let now = context.parts.clock.now();
    Ok(context.parts.store.replay_delivery(name, now, most).await?)
}

/// How often the log is read for a listener.
const TICK: Duration = Duration::from_millis(500);
/// How often it is asked whether the caller may still listen.
const CHECK: Duration = Duration::from_secs(5);
/// Silence after which a comment is sent, so that nobody takes the connection for dead.
const ALIVE: Duration = Duration::from_secs(15);
const AT_ONCE: usize = 100;
const UNCONFIGURED: &str = "The webhook \"%1\" is not in the configuration: nothing would be delivered to it.";
