//! Brings events to webhooks: at least once, by one gateway at a time, under the address rules of callbacks.
//!
//! What waits stands in the store, so it outlives a gateway. A try that fails is made again later, each time about twice as
//! late; after the last one the delivery is a dead letter, which can be replayed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use token_store::event::{Delivery, Settled};
use token_store::{Store, StoreError};
use tokio::task::{Id, JoinSet};

use super::{shown, sign};
use crate::clock::Clock;
use crate::config::{Events, Webhook};
use crate::integration::address::OwnAddresses;
use crate::integration::verifier_post::{Message, Poster};
use crate::live::Live;
use crate::observe::Metrics;
use crate::random::{self, NoRandomness};

/// Delivers for all webhooks of the configuration at work.
#[derive(Clone)]
pub struct Deliveries {
    store: Arc<dyn Store>,
    clock: Clock,
    live: Arc<ArcSwap<Live>>,
    own: Arc<OwnAddresses>,
    /// Who holds the leases.
    holder: String,
    counts: Arc<Counts>,
}

/// For metrics.
#[derive(Debug, Default)]
pub struct Counts {
    /// Tries that were answered with 2xx.
    pub delivered: AtomicU64,
    /// Tries that were not.
    pub failed: AtomicU64,
    /// Deliveries that were given up.
    pub dead: AtomicU64,
    /// What waits in the store.
    pub waiting: AtomicU64,
    /// Dead letters in the store.
    pub dead_letters: AtomicU64,
    /// What the store dropped because there was too much.
    pub dropped: AtomicU64,
    /// Who listens to the live stream of this gateway.
    pub listeners: AtomicU64,
}

impl Counts {
    /// Shows them among the metrics.
    pub fn expose(self: &Arc<Self>, metrics: &Metrics) {
        let of = Arc::clone(self);
        let help = "Tries to deliver an event to a webhook, by outcome; dead: given up after the last.";
        metrics.counters("webhook_deliveries_total", help, move || {
            let outcomes = [("delivered", &of.delivered), ("failed", &of.failed), ("dead", &of.dead)];
            let row = |(outcome, count): (&str, &AtomicU64)| {
                (format!("{{outcome=\"{outcome}\"}}"), count.load(Ordering::Relaxed))
            };
            outcomes.map(row).to_vec()
        });
        let gauge = |name, help, of: fn(&Self) -> &AtomicU64| {
            let counts = Arc::clone(self);
            metrics.gauge(name, help, move || of(&counts).load(Ordering::Relaxed));
        };
        let help = "Deliveries of the configured webhooks that wait in the store.";
        gauge("event_outbox", help, |one| &one.waiting);
        let help = "Deliveries that were given up and can be replayed.";
        gauge("event_dead_letters", help, |one| &one.dead_letters);
        let help = "Deliveries and dead letters that the store dropped because there were too many.";
        gauge("events_dropped_total", help, |one| &one.dropped);
        gauge("event_listeners", "Listeners to the live stream of events.", |one| {
            &one.listeners
        });
    }
}

impl Deliveries {
    /// On these parts; `own` are the addresses that no webhook may reach.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Clock,
        live: Arc<ArcSwap<Live>>,
        own: Arc<OwnAddresses>,
        counts: Arc<Counts>,
    ) -> Result<Self, NoRandomness> {
        Ok(Self {
            store,
            clock,
            live,
            own,
            holder: random::credential()?,
            counts,
        })
    }

    /// Delivers for ever: whoever spawns it ends it. Webhooks come and go with the configuration.
    pub async fn run(self) {
        let mut serving = Serving::default();
        let mut counted = self.clock.instant();
        loop {
            for webhook in &self.live.load().webhooks {
                if !serving.has(&webhook.name) {
                    serving.begin(&webhook.name, self.clone().serve(webhook.name.clone()));
                }
            }
            serving.forget_ended();
            let now = self.clock.instant();
            if now.duration_since(counted) >= COUNT {
                counted = now;
                self.count().await;
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// Delivers to one webhook while the configuration has it.
    async fn serve(self, name: String) {
        let mut was_away = false;
        loop {
            let live = self.live.load_full();
            let Some(webhook) = live.webhooks.iter().find(|webhook| webhook.name == name) else {
                return;
            };
            let more = match self.turn(webhook, &live).await {
                Ok(more) => {
                    was_away = false;
                    more
                }
                Err(error) => {
                    if !was_away {
                        tracing::warn!(webhook = name, %error, "deliveries wait for the store");
                    }
                    was_away = true;
                    false
                }
            };
            if !more {
                tokio::time::sleep(TICK).await;
            }
        }
    }

    /// Tries what is due, some at once; `true`: there may be more.
    async fn turn(&self, webhook: &Webhook, live: &Live) -> Result<bool, StoreError> {
        let lease = format!("webhook:{}", webhook.name);
        if !self.store.lease(&lease, &self.holder, LEASE_SECS).await? {
            return Ok(false);
        }
        let due = self
            .store
            .due_deliveries(&webhook.name, self.clock.now(), AT_ONCE)
            .await?;
        let more = due.len() == AT_ONCE;
        let mut tries = JoinSet::new();
        for delivery in due {
            let poster = Poster {
                timeout: live.callbacks.timeout,
                allow: live.callbacks.allow.clone(),
                tls: Arc::clone(&live.callback_tls),
            };
            let one = (webhook.clone(), live.events.clone(), poster);
            tries.spawn(self.clone().deliver(one, delivery));
        }
        let mut outcome = Ok(more);
        loop {
            tokio::select! {
                tried = tries.join_next() => match tried {
                    None => return outcome,
                    Some(Ok(Ok(()))) => {}
                    Some(Ok(Err(error))) => outcome = Err(error),
                    Some(Err(error)) => tracing::error!(%error, "a delivery broke"),
                },
                () = tokio::time::sleep(RENEW) => {
                    // Lost: another gateway may deliver the same once more, which is what at least once means.
                    let _held = self.store.lease(&lease, &self.holder, LEASE_SECS).await?;
                }
            }
        }
    }

    /// One try, and what becomes of it.
    async fn deliver(
        self,
        (webhook, events, poster): (Webhook, Events, Poster),
        mut delivery: Delivery,
    ) -> Result<(), StoreError> {
        let failure = match message(&webhook, &delivery, self.clock.now()) {
            None => Some("the event can't be written as a request".to_owned()),
            Some(message) => match poster.send(&webhook.url, message, &self.own).await {
                Ok(answered) if (200..300).contains(&answered.status) => None,
                Ok(answered) => Some(format!("answered {}", answered.status)),
                Err(error) => Some(error.to_string()),
            },
        };
        delivery.tries += 1;
        let settled = match failure {
            None => {
                self.counts.delivered.fetch_add(1, Ordering::Relaxed);
                Settled::Delivered
            }
            Some(error) => {
                self.counts.failed.fetch_add(1, Ordering::Relaxed);
                delivery.error = Some(error);
                if delivery.tries >= events.tries {
                    Settled::Dead {
                        most: events.dead_letters,
                    }
                } else {
                    delivery.due_at = self.clock.now().saturating_add(pause(&events, delivery.tries));
                    Settled::Again
                }
            }
        };
        let was_there = self.store.settle_delivery(&delivery, settled).await?;
        if was_there && matches!(settled, Settled::Dead { .. }) {
            self.counts.dead.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                webhook = webhook.name,
                event = delivery.event.kind,
                id = delivery.event.id,
                error = delivery.error,
                "an event could not be delivered; it is a dead letter now"
            );
        }
        Ok(())
    }

    /// Looks how much waits, and says when something was dropped.
    async fn count(&self) {
        let names: Vec<String> = self.live.load().webhooks.iter().map(|one| one.name.clone()).collect();
        let Ok(counts) = self.store.outbox_counts(&names).await else {
            return;
        };
        self.counts.waiting.store(counts.waiting, Ordering::Relaxed);
        self.counts.dead_letters.store(counts.dead, Ordering::Relaxed);
        let before = self.counts.dropped.swap(counts.dropped, Ordering::Relaxed);
        if counts.dropped > before {
            tracing::warn!(
                dropped = counts.dropped - before,
                "events were dropped undelivered: events.outbox or events.dead_letters is full"
            );
        }
    }
}

/// What delivers to each webhook, and ends with this.
#[derive(Default)]
struct Serving {
    tasks: JoinSet<()>,
    names: HashMap<Id, String>,
}

impl Serving {
    fn has(&self, webhook: &str) -> bool {
        self.names.values().any(|name| name == webhook)
    }

    fn begin(&mut self, webhook: &str, task: impl Future<Output = ()> + Send + 'static) {
        let id = self.tasks.spawn(task).id();
        self.names.insert(id, webhook.to_owned());
    }

    /// One that broke ends no other: it may be in the middle of a delivery.
    fn forget_ended(&mut self) {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            let id = match ended {
                Ok((id, ())) => id,
                Err(error) => {
                    let webhook = self.names.get(&error.id());
                    tracing::error!(%error, webhook, "deliveries to a webhook broke; they begin anew");
                    error.id()
                }
            };
            self.names.remove(&id);
        }
    }
}

fn message(webhook: &Webhook, delivery: &Delivery, now: u64) -> Option<Message> {
    let body = Bytes::from(shown(&delivery.event).to_string());
    let signature = sign::signature(&webhook.secret, &delivery.event.id, now, &body);
    let header = |name: &'static str, value: &str| {
        let value = HeaderValue::from_str(value).ok()?;
        Some((HeaderName::from_static(name), value))
    };
    Some(Message {
        content_type: HeaderValue::from_static("application/json"),
        headers: vec![
            header("webhook-id", &delivery.event.id)?,
            header("webhook-timestamp", &now.to_string())?,
            header("webhook-signature", &signature)?,
        ],
        body,
    })
}

/// Seconds until the next try: twice as many after each, half of them by chance, so that those that failed together don't
/// come back together.
fn pause(events: &Events, tries: u32) -> u64 {
    let doubled = 1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX);
    let most = events.retry_first.saturating_mul(doubled).min(events.retry_most);
    let mut bytes = [0; 8];
    // Without randomness nothing is spread, and nothing breaks.
    let share = random::fill(&mut bytes).map_or(0, |()| u64::from_le_bytes(bytes) % 1000);
    let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
    let millis = millis / 2 + (millis / 2000).saturating_mul(share);
    millis.div_ceil(1000).max(1)
}

const TICK: Duration = Duration::from_millis(500);
/// How often it is looked how much waits.
const COUNT: Duration = Duration::from_secs(5);
/// Deliveries to one webhook that are under way at a time.
const AT_ONCE: usize = 8;
const LEASE_SECS: u64 = 5;
const RENEW: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[tokio::test]
    async fn deliveries_that_broke_begin_anew_once_and_end_no_others() {
        let mut serving = Serving::default();
        let (held, mut holds) = tokio::sync::watch::channel(());
        serving.begin("other", async move { drop(holds.changed().await) });
        serving.begin("broken", async { panic!("as the test wants it") });
        let mut begun = 0;

        for _ in 0..50 {
            tokio::task::yield_now().await;
            serving.forget_ended();
            for webhook in ["other", "broken"] {
                if !serving.has(webhook) {
                    begun += 1;
                    serving.begin(webhook, std::future::pending());
                }
            }
        }

        assert_eq!((begun, serving.tasks.len()), (1, 2));
        assert_eq!(held.receiver_count(), 1, "the other goes on as it was");
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_half_of_them_is_chance() {
        let events = Events {
            log: 1,
            outbox: 1,
            dead_letters: 1,
            tries: 99,
            retry_first: Duration::from_secs(8),
            retry_most: Duration::from_mins(1),
            listeners: 1,
        };

        for (tries, most) in [(1, 8), (2, 16), (3, 32), (4, 60), (40, 60)] {
            let pauses: BTreeSet<u64> = (0..200).map(|_| pause(&events, tries)).collect();
            assert!(
                pauses.iter().all(|pause| (most / 2..=most).contains(pause)),
                "{pauses:?}"
            );
            assert!(pauses.len() > 2, "{pauses:?}");
        }
    }
}
