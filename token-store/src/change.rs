//! What changed, so that nobody goes on believing what they read before.

use serde::{Deserialize, Serialize};

use crate::{ConsumerId, User, UserKind};

/// A change that caches must hear of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Change {
    /// A consumer's record was made, changed or deleted.
    Consumer {
        /// Its number.
        id: ConsumerId,
        /// Its key.
        key: String,
    },
    /// A delegated token of a consumer was made, replaced or deleted.
    Delegated {
        /// The consumer.
        consumer: ConsumerId,
        /// Digest of the token string.
        digest: String,
    },
    /// A bearer token was made.
    UserToken {
        /// Its digest.
        digest: String,
    },
    /// All bearer tokens of a user ended.
    UserTokensOf {
        /// Whose.
        user: User,
    },
    /// An account was made or changed.
    Account {
        /// Admin or customer.
        kind: UserKind,
        /// Its number.
        id: u64,
        /// Its name.
        username: String,
    },
    /// Unknown, or a lot: forget everything.
    Everything,
}

/// Called for every change, the gateway's own and others', before the write that made it is answered.
pub type Listener = Box<dyn Fn(&Change) + Send + Sync>;

/// Listeners of one backend.
#[derive(Default)]
pub struct Listeners(std::sync::RwLock<Vec<Listener>>);

impl Listeners {
    /// Adds one.
    pub fn add(&self, listener: Listener) {
        self.0
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(listener);
    }

    /// Tells all.
    pub fn tell(&self, changes: &[Change]) {
        let listeners = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        for change in changes {
            for listener in listeners.iter() {
                listener(change);
            }
        }
    }
}
