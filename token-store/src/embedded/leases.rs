//! Named leases: the store has one process, so they stand in its memory.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Holder and end of each, by name.
#[derive(Default)]
pub(super) struct Leases(Mutex<HashMap<String, (String, Instant)>>);

impl Leases {
    /// Takes or renews one at `now`; `false`: somebody else holds it.
    pub(super) fn take(&self, name: &str, holder: &str, ttl_secs: u64, now: Instant) -> bool {
        let until = now.checked_add(Duration::from_secs(ttl_secs)).unwrap_or(now);
        let mut leases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let free = leases
            .get(name)
            .is_none_or(|(held_by, held_until)| held_by == holder || *held_until <= now);
        if free {
            leases.insert(name.to_owned(), (holder.to_owned(), until));
        }
        free
    }
}
