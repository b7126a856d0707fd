//! What was seen of the integrations' handshakes: each step with its time, and what the callback answered (product.md 5).
//!
//! The steps that this gateway saw are in its memory, bounded; those that the record itself tells stand beside them, so
//! that a restart or another gateway loses only the details.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use token_store::{ConsumerId, ConsumerRecord, OwnToken, UnixSeconds};

use super::verifier_post::{Delivered, PostError};

/// Of all integrations.
#[derive(Debug, Default)]
pub struct Handshakes(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    by_consumer: BTreeMap<ConsumerId, VecDeque<Event>>,
    /// By first event: who is forgotten first.
    order: VecDeque<ConsumerId>,
    /// The latest refusal of each call before its signature held. Apart: whoever knows a consumer's key can bring one about,
    /// so it may push out nothing but its like.
    unproven: VecDeque<(ConsumerId, Event)>,
}

/// A step and when it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Unix seconds, by the gateway's clock.
    pub at: UnixSeconds,
    /// What happened.
    #[serde(flatten)]
    pub step: Step,
}

/// What happens in a handshake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// The keys and the verifier were posted to the endpoint.
    VerifierPosted {
        /// To where; `None`: only the time is known.
        endpoint: Option<String>,
        /// Milliseconds until the answer was read, or the POST was given up.
        took_ms: Option<u64>,
        /// Who answered.
        address: Option<SocketAddr>,
        /// With what status.
        status: Option<u16>,
        /// The first KiB of the body.
        body: Option<String>,
        /// Why there was no answer.
        error: Option<String>,
    },
    /// The integration asked for a request token, its signature good.
    RequestToken {
        /// The cause, where it got none.
        refused: Option<&'static str>,
    },
    /// The integration asked for its access token, its signature good.
    AccessToken {
        /// The cause, where it got none.
        refused: Option<&'static str>,
    },
    /// A call with its consumer key was refused before its signature held: it need not have come from the integration.
    Refused {
        /// `request_token` or `access_token`.
        call: &'static str,
        /// Why.
        cause: &'static str,
    },
    /// The tokens were made without an exchange.
    TokensMade,
}

impl Step {
    /// A POST and what became of it.
    pub fn posted(endpoint: &str, took: Duration, delivery: &Result<Delivered, PostError>) -> Self {
        let delivered = delivery.as_ref().ok();
        Self::VerifierPosted {
            endpoint: Some(endpoint.to_owned()),
            took_ms: u64::try_from(took.as_millis()).ok(),
            address: delivered.map(|one| one.address),
            status: delivered.map(|one| one.status),
            body: delivered.map(|one| one.excerpt.clone()),
            error: delivery.as_ref().err().map(ToString::to_string),
        }
    }

    fn is_same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl Handshakes {
    /// Remembers a step of a consumer.
    pub fn saw(&self, consumer: ConsumerId, at: UnixSeconds, step: Step) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Memory { by_consumer, order, .. } = &mut *memory;
        let events = by_consumer.entry(consumer).or_insert_with(|| {
            order.push_back(consumer);
            VecDeque::new()
        });
        if events.len() >= MOST_EVENTS {
            events.pop_front();
        }
        events.push_back(Event { at, step });
        if order.len() > MOST_CONSUMERS
            && let Some(oldest) = order.pop_front()
        {
            by_consumer.remove(&oldest);
        }
    }

    /// Remembers the latest refusal of a call in a consumer's name whose signature did not hold.
    pub fn saw_unproven(&self, consumer: ConsumerId, at: UnixSeconds, call: &'static str, cause: &'static str) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unproven = &mut memory.unproven;
        let is_same = |step: &Step| matches!(step, Step::Refused { call: known, .. } if *known == call);
        unproven.retain(|(known, event)| *known != consumer || !is_same(&event.step));
        unproven.push_back((
            consumer,
            Event {
                at,
                step: Step::Refused { call, cause },
            },
        ));
        if unproven.len() > MOST_UNPROVEN {
            unproven.pop_front();
        }
    }

    /// Consumers and steps that are remembered.
    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize) {
        let memory = self.0.lock().unwrap();
        (
            memory.by_consumer.len(),
            memory.by_consumer.values().map(VecDeque::len).sum(),
        )
    }

    /// Everything known of a consumer's handshake, oldest first.
    pub fn of(&self, record: &ConsumerRecord) -> Vec<Event> {
        let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = memory.by_consumer.get(&record.consumer.id);
        let mut events: Vec<Event> = seen.into_iter().flatten().cloned().collect();
        let unproven = memory.unproven.iter().filter(|(id, _)| *id == record.consumer.id);
        events.extend(unproven.map(|(_, event)| event.clone()));
        drop(memory);
        for told in told_by(record) {
            // The gateway's clock may have ticked between the change and what was seen of it.
            let is_known = |event: &Event| event.step.is_same_kind(&told.step) && event.at.abs_diff(told.at) <= 1;
            if !events.iter().any(is_known) {
                events.push(told);
            }
        }
        events.sort_by_key(|event| event.at);
        events
    }
}

/// What the record itself tells.
fn told_by(record: &ConsumerRecord) -> Vec<Event> {
    let posted = record.consumer.posted_at.map(|at| Event {
        at,
        step: Step::VerifierPosted {
            endpoint: None,
            took_ms: None,
            address: None,
            status: None,
            body: None,
            error: None,
        },
    });
    let token = match &record.token {
        None | Some(OwnToken::Verifier { .. }) => None,
        Some(OwnToken::Request { created_at, .. }) => Some(Event {
            at: *created_at,
            step: Step::RequestToken { refused: None },
        }),
        Some(OwnToken::Access {
            created_at, exchanged, ..
        }) => Some(Event {
            at: *created_at,
            // Once it was used nothing is left of the exchange but that the verifier was posted.
            step: if exchanged.is_some() || posted.is_some() {
                Step::AccessToken { refused: None }
            } else {
                Step::TokensMade
            },
        }),
    };
    posted.into_iter().chain(token).collect()
}

/// Integrations whose steps are remembered.
const MOST_CONSUMERS: usize = 128;
/// Unproven refusals that are remembered.
const MOST_UNPROVEN: usize = 2 * MOST_CONSUMERS;
/// Steps of one integration that are remembered.
const MOST_EVENTS: usize = 16;
