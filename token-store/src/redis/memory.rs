//! What this process knows of the store and of lost nonces, shared by its connections (product.md 10).
//!
//! When nonce memory may be lost, a request counts only if its timestamp is later than the loss (the floor) and later than
//! any timestamp its token was served with before. What was served ahead of the store's clock is marked in the store, and
//! kept here so that it can be marked again in a server that lost it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};

use super::nodes::{Dialer, Map, Node};
use super::nonces::ALLOWED;
use crate::change::Listeners;
use crate::seal::Sealer;
use crate::{Change, Freshness, StoreError, UnixSeconds};

/// What all connections of a store share.
pub(super) struct Shared {
    pub(super) dialer: Dialer,
    pub(super) sealer: Sealer,
    pub(super) listeners: Listeners,
    pub(super) freshness: Arc<Freshness>,
    pub(super) closed: AtomicBool,
    state: ArcSwap<State>,
    /// Moves with every new state.
    moved: watch::Sender<u64>,
    /// Asks the feed to look again now.
    pub(super) look: Notify,
    servers: Mutex<HashMap<String, Arc<Server>>>,
    ahead: Mutex<HashMap<String, UnixSeconds>>,
}

/// What is known of the store.
#[derive(Clone)]
pub(super) enum State {
    /// Nothing yet, or it is not reached.
    Unreached {
        why: String,
        /// As it was last met, if it was.
        before: Option<Arc<Known>>,
    },
    /// It is not the store that was known.
    Lost,
    /// Everything that counts.
    Known(Arc<Known>),
}

/// A store as it was last met.
pub(super) struct Known {
    pub(super) identity: String,
    /// Of the nonces' hash.
    pub(super) hash_key: [u8; 16],
    pub(super) map: Map,
    /// Who each node was when it was met, in the order of the map.
    pub(super) servers: Vec<Arc<Server>>,
    /// Moves in the store with every loss.
    pub(super) version: u64,
    /// Requests up to this second may have been served before nonces were lost.
    pub(super) floor: UnixSeconds,
    /// When it may serve again, and marks be read; passed: `settled` says so.
    pub(super) settles_at: Instant,
    /// Whether the second after the loss is over and all marks were read.
    pub(super) settled: bool,
    /// The latest timestamp that a token was served with before the loss, where it lies above the floor.
    pub(super) ahead_before: Arc<HashMap<String, UnixSeconds>>,
    pub(super) clock: StoreClock,
}

/// A server in one of its lives.
pub(super) struct Server {
    pub(super) id: String,
    /// The last second of the store's clock in which this process served on it.
    served: AtomicU64,
}

/// The store's clock, by the last answer that told it: never ahead of the truth, behind by a round trip at most.
#[derive(Clone, Copy)]
pub(super) struct StoreClock {
    pub(super) millis: u64,
    pub(super) at: Instant,
}

impl StoreClock {
    /// Unix seconds.
    pub(super) fn now(&self, instant: Instant) -> UnixSeconds {
        let since = u64::try_from(instant.saturating_duration_since(self.at).as_millis()).unwrap_or(u64::MAX);
        self.millis.saturating_add(since) / 1000
    }
}

impl Server {
    /// Served at that second of the store's clock.
    pub(super) fn note_served(&self, second: UnixSeconds) {
        // Once a second a thread writes: the line stays shared between threads for the rest of it.
        if self.served.load(Ordering::Relaxed) < second {
            self.served.fetch_max(second, Ordering::SeqCst);
        }
    }
}

impl State {
    /// The store as it was last met.
    pub(super) fn known(&self) -> Result<&Arc<Known>, StoreError> {
        match self {
            Self::Known(known) => Ok(known),
            Self::Lost => Err(StoreError::IdentityLost),
            Self::Unreached { why, .. } => Err(unavailable(&format!("Redis is not reached: {why}"))),
        }
    }

    /// The store as it was last met, reached now or not; nothing where another stands in its place.
    pub(super) fn last_met(&self) -> Option<&Arc<Known>> {
        match self {
            Self::Known(known) => Some(known),
            Self::Unreached { before, .. } => before.as_ref(),
            Self::Lost => None,
        }
    }
}

impl Known {
    /// The node that holds a slot, and who it was when it was met.
    pub(super) fn holder(&self, slot: u16) -> Option<(&Arc<Node>, &Arc<Server>)> {
        let node = self.map.holder(slot)?;
        let server = self.server_of(node)?;
        Some((node, server))
    }

    pub(super) fn server_of(&self, node: &Arc<Node>) -> Option<&Arc<Server>> {
        let index = self.map.nodes().iter().position(|known| Arc::ptr_eq(known, node))?;
        self.servers.get(index)
    }
}

impl Shared {
    pub(super) fn new(dialer: Dialer, sealer: Sealer) -> Self {
        Self {
            dialer,
            sealer,
            listeners: Listeners::default(),
            freshness: Arc::default(),
            closed: AtomicBool::new(false),
            state: ArcSwap::from_pointee(State::Unreached {
                why: "nobody has tried yet".to_owned(),
                before: None,
            }),
            moved: watch::Sender::new(0),
            look: Notify::new(),
            servers: Mutex::default(),
            ahead: Mutex::default(),
        }
    }

    /// The state, without a count that threads would share.
    pub(super) fn load(&self) -> arc_swap::Guard<Arc<State>> {
        self.state.load()
    }

    /// The store as it was last met.
    pub(super) fn known(&self) -> Result<Arc<Known>, StoreError> {
        self.state.load().known().cloned()
    }

    pub(super) fn set(&self, state: State) {
        self.state.store(Arc::new(state));
        self.moved.send_modify(|count| *count += 1);
    }

    /// The store is not reached. Who it was is remembered, unless that says nothing of what it holds now.
    pub(super) fn set_unreached(&self, why: String, remembers: bool) {
        let before = self.load().last_met().filter(|_| remembers).cloned();
        self.set(State::Unreached { why, before });
    }

    /// Resolves with each new state from now on.
    pub(super) fn moved(&self) -> watch::Receiver<u64> {
        self.moved.subscribe()
    }

    /// The one `Server` of an id.
    pub(super) fn server(&self, id: &str) -> Arc<Server> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if servers.len() > MOST_SERVERS {
            servers.retain(|_, server| Arc::strong_count(server) > 1);
        }
        let made = || {
            Arc::new(Server {
                id: id.to_owned(),
                served: AtomicU64::new(0),
            })
        };
        Arc::clone(servers.entry(id.to_owned()).or_insert_with(made))
    }

    /// The last second in which this process served on another server than those.
    pub(super) fn served_elsewhere(&self, here: &[Arc<Server>]) -> UnixSeconds {
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let elsewhere = servers
            .values()
            .filter(|server| !here.iter().any(|one| Arc::ptr_eq(one, server)));
        elsewhere
            .map(|server| server.served.load(Ordering::SeqCst))
            .max()
            .unwrap_or_default()
    }

    /// Whether a timestamp ahead of the store's clock was marked already.
    pub(super) fn is_marked(&self, member: &str, timestamp: UnixSeconds) -> bool {
        let ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        ahead.get(member).is_some_and(|marked| *marked >= timestamp)
    }

    /// Remembers what was marked in the store; `false`: too many clients are ahead of the clock.
    pub(super) fn mark(&self, member: String, timestamp: UnixSeconds) -> bool {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        if ahead.len() >= MOST_AHEAD && !ahead.contains_key(&member) {
            return false;
        }
        let mark = ahead.entry(member).or_default();
        *mark = timestamp.max(*mark);
        true
    }

    /// What was served with a later timestamp than that.
    pub(super) fn marks(&self, after: UnixSeconds) -> Vec<(String, UnixSeconds)> {
        let ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let later = ahead.iter().filter(|(_, timestamp)| **timestamp > after);
        later.map(|(member, timestamp)| (member.clone(), *timestamp)).collect()
    }

    pub(super) fn has_marks(&self) -> bool {
        !self.ahead.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Makes room: drops what no window allows any more.
    pub(super) fn forget_marks(&self, store_now: UnixSeconds) {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        ahead.retain(|_, timestamp| timestamp.saturating_add(ALLOWED) >= store_now);
    }

    /// Tells listeners, then moves the generation.
    pub(super) fn tell(&self, changes: &[Change]) {
        if !changes.is_empty() {
            self.listeners.tell(changes);
            self.freshness.bump();
        }
    }
}

/// A fault of the server or the way to it.
pub(super) fn unavailable(why: &str) -> StoreError {
    StoreError::Unavailable(why.into())
}

/// A server that is left alone for a moment, and why.
pub(super) fn failed_before(why: &str) -> StoreError {
    unavailable(&format!("the server failed a moment ago: {why}"))
}

/// What such a fault was, without the words that all of them begin with.
pub(super) fn reason(error: &StoreError) -> String {
    match error {
        StoreError::Unavailable(reason) => reason.to_string(),
        StoreError::IdentityLost | StoreError::Corrupt(_) => error.to_string(),
    }
}

/// Tokens that were ahead of the store's clock, as long as a request may name that.
const MOST_AHEAD: usize = 100_000;
/// Lives of servers that are remembered.
const MOST_SERVERS: usize = 64;
