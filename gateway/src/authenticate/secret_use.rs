//! Which consumer secret was used, while a rotation has two of them: noted in memory, brought to the store apart from any
//! request, at most once a minute for each consumer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use token_store::secret_use::fingerprint;
use token_store::{ConsumerId, ConsumerRecord, SecretUses, Store};

use crate::clock::Clock;

/// What was seen and not yet brought to the store.
#[derive(Default)]
pub struct Noted(Mutex<BTreeMap<(ConsumerId, u64), Seen>>);

/// Of one version of a record: its secrets are those that were used.
struct Seen {
    record: Arc<ConsumerRecord>,
    current: u64,
    previous: u64,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsumerSecret {
    /// The one that stands.
    Current,
    /// The one that a rotation replaced.
    Previous,
}

impl Noted {
    /// A signature held by this secret of the record.
    pub fn saw(&self, record: &Arc<ConsumerRecord>, which: ConsumerSecret, now: u64) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (record.consumer.id, record.version);
        if noted.len() >= MOST && !noted.contains_key(&key) {
            return;
        }
        let seen = noted.entry(key).or_insert_with(|| Seen {
            record: Arc::clone(record),
            current: 0,
            previous: 0,
        });
        match which {
            ConsumerSecret::Current => seen.current = now,
            ConsumerSecret::Previous => seen.previous = now,
        }
    }

    /// Brings it to the store for ever: whoever spawns it ends it.
    pub async fn bring(self: Arc<Self>, store: Arc<dyn Store>, clock: Clock) {
        let mut brought: BTreeMap<ConsumerId, Instant> = BTreeMap::new();
        loop {
            tokio::time::sleep(TICK).await;
            let now = clock.instant();
            brought.retain(|_, at| now.duration_since(*at) < EVERY);
            for (id, uses) in self.take(|id| !brought.contains_key(&id)) {
                brought.insert(id, now);
                if let Err(error) = store.note_secret_uses(id, &uses).await {
                    // The next use is noted again.
                    tracing::debug!(consumer = id.0, %error, "the use of a secret was not noted");
                }
            }
        }
    }

    /// Brings everything now, at the end.
    pub async fn finish(&self, store: &Arc<dyn Store>) {
        for (id, uses) in self.take(|_| true) {
            if let Err(error) = store.note_secret_uses(id, &uses).await {
                tracing::debug!(consumer = id.0, %error, "the use of a secret was not noted");
            }
        }
    }

    fn take(&self, which: impl Fn(ConsumerId) -> bool) -> Vec<(ConsumerId, SecretUses)> {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // In the order of versions: the latest says which secrets there are.
        let (taken, left) = std::mem::take(&mut *noted)
            .into_iter()
            .partition(|((id, _), _)| which(*id));
        *noted = left;
        drop(noted);
        let taken: BTreeMap<(ConsumerId, u64), Seen> = taken;
        taken.into_iter().map(|((id, _), seen)| (id, seen.uses())).collect()
    }
}

impl Seen {
    fn uses(&self) -> SecretUses {
        let consumer = &self.record.consumer;
        let previous = consumer.previous_secret.as_ref();
        let previous = previous.map(|one| (fingerprint(&one.secret), self.previous));
        let current = (fingerprint(&consumer.secret), self.current);
        previous.into_iter().chain([current]).collect()
    }
}

const TICK: Duration = Duration::from_secs(1);
/// For each consumer.
const EVERY: Duration = Duration::from_secs(60);
/// Consumers whose secrets are being rotated and used at a time.
const MOST: usize = 10_000;
