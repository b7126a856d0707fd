//! Nonces in memory: a claim touches no disk. What makes that safe is the floor after an unclean end, and a clean end
//! writes them where the next start finds them.
//!
//! Each nonce is a 64-bit `SipHash`, keyed by the store, of consumer, token, timestamp and nonce, in a set for the minute of
//! its timestamp: two of them collide once in 2^64 / (nonces a minute) claims, far below one in 10^12.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::nonce::KEPT_FOR;
use crate::{Claim, NonceClaim, UnixSeconds};

/// All nonces that count.
pub(super) struct Nonces {
    key: [u8; 16],
    shards: Vec<Mutex<Shard>>,
    held: AtomicUsize,
    /// Requests up to this second may have been served before memory was lost. 0: nothing was lost.
    floor: UnixSeconds,
    /// The latest timestamp ahead of our clock that each token was served with, before the loss.
    ahead_before: HashMap<(u64, String), UnixSeconds>,
}

#[derive(Default)]
struct Shard {
    by_minute: BTreeMap<u64, Minute>,
}

struct Minute {
    hashes: HashSet<u64, BuildHasherDefault<AlreadyHashed>>,
    /// By the process's own clock, which nobody can turn back.
    last_claim: Instant,
}

/// More nonces than are kept: nothing may be forgotten early, so nothing more is let in.
#[derive(Debug, thiserror::Error)]
#[error("nonce memory is full")]
pub(super) struct Full;

/// Nonces of one minute, as they are written at a clean end.
pub(super) type Dump = Vec<(u64, Vec<u64>)>;

impl Nonces {
    /// Nothing was lost: `known` is what a clean end wrote.
    pub(super) fn restored(key: [u8; 16], known: Dump, now: Instant) -> Self {
        let nonces = Self::empty(key, 0, HashMap::new());
        for (minute, hashes) in known {
            for hash in hashes {
                // What fitted before the restart fits after it.
                if nonces.insert(minute, hash, now).is_err() {
                    break;
                }
            }
        }
        nonces
    }

    /// Memory was lost: whatever is not later than `floor` may have been served before.
    pub(super) fn after_loss(
        key: [u8; 16],
        floor: UnixSeconds,
        ahead_before: HashMap<(u64, String), UnixSeconds>,
    ) -> Self {
        Self::empty(key, floor, ahead_before)
    }

    fn empty(key: [u8; 16], floor: UnixSeconds, ahead_before: HashMap<(u64, String), UnixSeconds>) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self {
            key,
            shards,
            held: AtomicUsize::new(0),
            floor,
            ahead_before,
        }
    }

    /// Claims a nonce at `now` of the process's clock. A timestamp ahead of `claim.now` must be remembered durably by the
    /// caller before [`Claim::Fresh`] is answered.
    pub(super) fn claim(&self, claim: &NonceClaim<'_>, token_digest: &str, now: Instant) -> Result<Claim, Full> {
        if claim.timestamp <= self.floor || self.was_served_ahead(claim, token_digest) {
            return Ok(Claim::Unsure);
        }
        let fresh = self.insert(claim.timestamp / 60, claim.hash(&self.key), now)?;
        Ok(if fresh { Claim::Fresh } else { Claim::Used })
    }

    fn was_served_ahead(&self, claim: &NonceClaim<'_>, token_digest: &str) -> bool {
        !self.ahead_before.is_empty()
            && self
                .ahead_before
                .get(&(claim.consumer.0, token_digest.to_owned()))
                .is_some_and(|served| claim.timestamp <= *served)
    }

    fn insert(&self, minute: u64, hash: u64, now: Instant) -> Result<bool, Full> {
        let shard = usize::try_from(hash >> 32).unwrap_or_default() % SHARDS;
        let Some(shard) = self.shards.get(shard) else {
            return Ok(false);
        };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(minute) = shard.by_minute.get_mut(&minute) {
            return self.insert_into(minute, hash, now);
        }
        // A new minute begins: the time to drop those that no acceptable request can name any more.
        let outlived = |minute: &Minute| now.duration_since(minute.last_claim).as_secs() > KEPT_FOR;
        let gone: Vec<u64> = shard
            .by_minute
            .iter()
            .filter(|(_, minute)| outlived(minute))
            .map(|(number, _)| *number)
            .collect();
        for number in gone {
            if let Some(dropped) = shard.by_minute.remove(&number) {
                self.held.fetch_sub(dropped.hashes.len(), Ordering::Relaxed);
            }
        }
        let minute = shard.by_minute.entry(minute).or_insert_with(|| Minute {
            hashes: HashSet::default(),
            last_claim: now,
        });
        self.insert_into(minute, hash, now)
    }

    fn insert_into(&self, minute: &mut Minute, hash: u64, now: Instant) -> Result<bool, Full> {
        if minute.hashes.contains(&hash) {
            return Ok(false);
        }
        if self.held.fetch_add(1, Ordering::Relaxed) >= MOST {
            self.held.fetch_sub(1, Ordering::Relaxed);
            return Err(Full);
        }
        minute.last_claim = now;
        Ok(minute.hashes.insert(hash))
    }

    /// Everything, for a clean end.
    pub(super) fn dump(&self) -> Dump {
        let mut by_minute: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for (number, minute) in &shard.by_minute {
                by_minute.entry(*number).or_default().extend(&minute.hashes);
            }
        }
        by_minute.into_iter().collect()
    }
}

/// The members are hashes already.
#[derive(Default)]
struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        for octet in octets {
            self.0 = self.0.rotate_left(8) ^ u64::from(*octet);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

const SHARDS: usize = 64;
/// Nonces held at most, about 1 GiB: 30,000 signed requests a second for the whole time they are kept.
const MOST: usize = 60_000_000;
