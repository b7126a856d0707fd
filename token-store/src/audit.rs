//! The audit log: append-only, each entry bound to the one before it by its hash.
//!
//! The entry of a change stands in the commit of the change, so that neither is there without the other: whoever changes
//! something runs that in [`noted`], and the store asks the [`Note`] for the entry when it commits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use crate::UnixSeconds;
use crate::event::Happening;

/// What happened, before it is numbered and chained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAuditEntry {
    /// When.
    pub at: UnixSeconds,
    /// Who: an account's name, `cli`, `configuration`, or `signal`.
    pub actor: String,
    /// From where: an address, or empty.
    pub origin: String,
    /// What, as `integration.activated`.
    pub action: String,
    /// To what, as `integration/7`.
    pub subject: String,
    /// The state before, secrets masked; JSON, or null.
    pub before: serde_json::Value,
    /// The state after, secrets masked; JSON, or null.
    pub after: serde_json::Value,
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// 1, 2, 3 … without gaps.
    pub number: u64,
    /// SHA-256 (hex) over the hash of the entry before, the number and the entry.
    pub hash: String,
    /// What happened.
    #[serde(flatten)]
    pub entry: NewAuditEntry,
}

/// Says what the entry of a change is. `None`: this is not the change that is meant. It runs inside the commit: it must be
/// quick, and can't fail.
pub type Note = Arc<dyn Fn(&Happening<'_>) -> Option<NewAuditEntry> + Send + Sync>;

tokio::task_local! {
    static NOTING: Noting;
}

/// A note that is to be taken once.
#[derive(Clone)]
pub(crate) struct Noting {
    note: Note,
    is_taken: Arc<AtomicBool>,
}

impl Noting {
    /// The one under which this task changes something.
    pub(crate) fn here() -> Option<Self> {
        NOTING.try_with(Self::clone).ok()
    }

    /// The entry that goes along with a change, unless an earlier one had it.
    pub(crate) fn entry(&self, happening: &Happening<'_>) -> Option<NewAuditEntry> {
        (!self.is_taken.load(Ordering::Acquire))
            .then(|| (self.note)(happening))
            .flatten()
    }

    /// The entry stands.
    pub(crate) fn taken(&self) {
        self.is_taken.store(true, Ordering::Release);
    }
}

/// Runs what changes something: the first of its commits that `note` makes an entry of holds that entry, too. Answers
/// whether one did; not, where nothing was changed. Changes that other tasks make on behalf of this one are not noted.
pub async fn noted<T>(note: Note, change: impl Future<Output = T>) -> (T, bool) {
    let is_taken = Arc::<AtomicBool>::default();
    let noting = Noting {
        note,
        is_taken: Arc::clone(&is_taken),
    };
    let outcome = NOTING.scope(noting, change).await;
    (outcome, is_taken.load(Ordering::Acquire))
}

/// What is kept beside the log: which entry was the last. The next one is numbered and bound by it, whatever became of the
/// entries since, and that the last one is gone shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Last {
    pub(crate) number: u64,
    pub(crate) hash: String,
}

impl Last {
    pub(crate) fn of(entry: &AuditEntry) -> Self {
        Self {
            number: entry.number,
            hash: entry.hash.clone(),
        }
    }

    /// The entry after `last`, which may be none.
    pub(crate) fn then(last: Option<&Self>, entry: NewAuditEntry) -> AuditEntry {
        let number = last.map_or(0, |last| last.number) + 1;
        chained(last.map(|last| last.hash.as_str()), number, entry)
    }
}

/// Numbers an entry and binds it to the one before.
pub fn chained(before: Option<&str>, number: u64, entry: NewAuditEntry) -> AuditEntry {
    let hash = hash(before.unwrap_or_default(), number, &entry);
    AuditEntry { number, hash, entry }
}

/// Whether `entry` follows the entry whose hash is `before` (`None`: it is the first).
pub fn follows(before: Option<&str>, entry: &AuditEntry) -> bool {
    hash(before.unwrap_or_default(), entry.number, &entry.entry) == entry.hash
}

fn hash(before: &str, number: u64, entry: &NewAuditEntry) -> String {
    // Serialising a struct of texts and JSON values can't fail; were it to, the chain would show a break.
    let text = serde_json::to_string(entry).unwrap_or_default();
    crate::codec::token_digest(&format!("{before}\n{number}\n{text}"))
}
