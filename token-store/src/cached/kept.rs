//! What is kept, and which changes drop what.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use quick_cache::sync::Cache;

use super::directory::Directory;
use crate::{Account, Change, ConsumerId, ConsumerRecord, Delegated, UnixSeconds, User, UserKind, UserToken};

/// Everything that a change may make untrue.
pub(super) struct Kept {
    /// What lists are made from.
    pub(super) directory: Directory,
    /// Changes heard. Held while an entry is kept or dropped: what a fill read before a change is never kept after it, not
    /// even for the moment in which another reader could meet it.
    heard: Mutex<u64>,
    pub(super) consumers: Cache<String, Arc<ConsumerRecord>>,
    pub(super) delegated: Cache<(u64, String), Arc<Delegated>>,
    pub(super) user_tokens: Cache<String, Arc<UserToken>>,
    /// When all tokens of a user last ended.
    pub(super) revocations: Cache<User, Arc<UnixSeconds>>,
    pub(super) accounts: Cache<(UserKind, u64), Arc<Account>>,
    /// Keys and tokens that nobody has: believed for a second, so that a flood of garbage doesn't reach the store.
    pub(super) absent: Cache<String, Instant>,
}

impl Kept {
    /// With at most `entries` of each kind.
    pub(super) fn new(entries: usize) -> Self {
        Self {
            directory: Directory::default(),
            heard: Mutex::default(),
            consumers: Cache::new(entries),
            delegated: Cache::new(entries),
            user_tokens: Cache::new(entries),
            revocations: Cache::new(entries),
            accounts: Cache::new(entries.min(MOST_ACCOUNTS)),
            absent: Cache::new(entries.min(MOST_ABSENT)),
        }
    }

    /// Changes heard so far, which stand still as long as this is held.
    pub(super) fn heard(&self) -> MutexGuard<'_, u64> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops what a change makes untrue.
    pub(super) fn forget(&self, change: &Change) {
        self.directory.forget(change);
        let mut heard = self.heard();
        *heard += 1;
        match change {
            Change::Consumer { key, .. } => {
                self.consumers.remove(key);
                self.absent.remove(&absent_consumer(key));
            }
            Change::Delegated { consumer, digest } => {
                self.delegated.remove(&(consumer.0, digest.clone()));
                self.absent.remove(&absent_delegated(*consumer, digest));
            }
            Change::UserToken { digest } => {
                self.user_tokens.remove(digest);
                self.absent.remove(&absent_user_token(digest));
            }
            Change::UserTokensOf { user } => {
                self.revocations.remove(user);
                // Which tokens they were is not known here: all are read anew.
                self.user_tokens.clear();
            }
            Change::Account { kind, id, .. } => {
                self.accounts.remove(&(*kind, *id));
                self.absent.remove(&absent_account(*kind, *id));
            }
            Change::Everything => {
                self.consumers.clear();
                self.delegated.clear();
                self.user_tokens.clear();
                self.revocations.clear();
                self.accounts.clear();
                self.absent.clear();
            }
        }
    }
}

pub(super) fn absent_consumer(key: &str) -> String {
    format!("c:{key}")
}

pub(super) fn absent_delegated(consumer: ConsumerId, digest: &str) -> String {
    format!("d:{}:{digest}", consumer.0)
}

pub(super) fn absent_user_token(digest: &str) -> String {
    format!("u:{digest}")
}

pub(super) fn absent_account(kind: UserKind, id: u64) -> String {
    format!("a:{kind:?}:{id}")
}

const MOST_ABSENT: usize = 10_000;
const MOST_ACCOUNTS: usize = 10_000;
