//! The audit log: append-only, each entry bound to the one before it by its hash.

use serde::{Deserialize, Serialize};

use crate::UnixSeconds;

/// What happened, before it is numbered and chained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAuditEntry {
    /// When.
    pub at: UnixSeconds,
    /// Who: an account's name, `cli`, or `configuration`.
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
