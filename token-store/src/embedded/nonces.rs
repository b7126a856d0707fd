//! Nonces in memory: a claim touches no disk. What makes that safe is the floor after an unclean end, and a clean end
//! writes them where the next start finds them.
//!
//! Each nonce is a 64-bit `SipHash`, keyed by the store, of consumer, token, timestamp and nonce, in a set for the minute of
//! its timestamp: two of them collide once in 2^64 / (nonces a minute) claims, far below one in 10^12.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::nonce::KEPT_FOR;
use crate::{Claim, NonceClaim, UnixSeconds};

/// All nonces that count.
pub(super) struct Nonces {
    key: [u8; 16],
    shards: Vec<Mutex<Shard>>,
    held: AtomicUsize,
    /// Requests up to this second may have been served before. 0: nothing was ever lost.
    floor: AtomicU64,
    /// As in [`Lost`].
    ahead_before: HashMap<(u64, String), UnixSeconds>,
}

/// What the last loss of memory left open.
#[derive(Default)]
pub(super) struct Lost {
    /// Requests up to this second may have been served before. 0: nothing was ever lost.
    pub(super) floor: UnixSeconds,
    /// The latest timestamp ahead of our clock that each token was served with before.
    pub(super) ahead_before: HashMap<(u64, String), UnixSeconds>,
}

#[derive(Default)]
struct Shard {
    by_minute: BTreeMap<u64, Minute>,
    /// Minutes whose nonces were dropped. Only a clock that is turned back brings a request of theirs.
    forgotten: BTreeSet<u64>,
    /// All minutes before it were forgotten too.
    forgotten_before: u64,
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

/// Nonces by minute, as they are written at a clean end; a minute without any was forgotten.
pub(super) type Kept = BTreeMap<u64, Vec<u64>>;

impl Nonces {
    /// With what a clean end wrote down, and what the last loss left open.
    pub(super) fn new(key: [u8; 16], kept: Kept, lost: Lost, now: Instant) -> Self {
        let mut shards: Vec<Shard> = (0..SHARDS).map(|_| Shard::default()).collect();
        let mut held = 0;
        for (minute, hashes) in kept {
            if hashes.is_empty() {
                for shard in &mut shards {
                    shard.forget(minute);
                }
            }
            for hash in hashes {
                if let Some(shard) = shards.get_mut(place(hash)) {
                    // What fitted before the restart fits after it.
                    held += usize::from(shard.minute(minute, now).hashes.insert(hash));
                }
            }
        }
        Self {
            key,
            shards: shards.into_iter().map(Mutex::new).collect(),
            held: AtomicUsize::new(held),
            floor: AtomicU64::new(lost.floor),
            ahead_before: lost.ahead_before,
        }
    }

    /// Requests up to this second may have been served before nonces were lost.
    pub(super) fn floor(&self) -> UnixSeconds {
        self.floor.load(Ordering::Acquire)
    }

    /// Takes up what was written down.
    pub(super) fn raise_floor(&self, to: UnixSeconds) {
        self.floor.fetch_max(to, Ordering::AcqRel);
    }

    /// Takes up what was lowered.
    pub(super) fn set_floor(&self, to: UnixSeconds) {
        self.floor.store(to, Ordering::Release);
    }

    /// Claims a nonce at `now` of the process's clock. A timestamp ahead of `claim.now` must be remembered durably by the
    /// caller before [`Claim::Fresh`] is answered.
    pub(super) fn claim(&self, claim: &NonceClaim<'_>, token_digest: &str, now: Instant) -> Result<Claim, Full> {
        if claim.timestamp <= self.floor() || self.was_served_ahead(claim, token_digest) {
            return Ok(Claim::Unsure);
        }
        self.insert(claim.timestamp / 60, claim.hash(&self.key), now)
    }

    fn was_served_ahead(&self, claim: &NonceClaim<'_>, token_digest: &str) -> bool {
        !self.ahead_before.is_empty()
            && self
                .ahead_before
                .get(&(claim.consumer.0, token_digest.to_owned()))
                .is_some_and(|served| claim.timestamp <= *served)
    }

    fn insert(&self, minute: u64, hash: u64, now: Instant) -> Result<Claim, Full> {
        let Some(shard) = self.shards.get(place(hash)) else {
            return Ok(Claim::Unsure);
        };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if !shard.by_minute.contains_key(&minute) {
            // A new minute begins: the time to drop those that no acceptable request can name any more.
            self.held.fetch_sub(shard.drop_outlived(now), Ordering::Relaxed);
            if minute < shard.forgotten_before || shard.forgotten.contains(&minute) {
                return Ok(Claim::Unsure);
            }
        }
        let minute = shard.minute(minute, now);
        if minute.hashes.contains(&hash) {
            return Ok(Claim::Used);
        }
        if self.held.fetch_add(1, Ordering::Relaxed) >= MOST {
            self.held.fetch_sub(1, Ordering::Relaxed);
            return Err(Full);
        }
        minute.last_claim = now;
        minute.hashes.insert(hash);
        Ok(Claim::Fresh)
    }

    /// Everything, for a clean end.
    pub(super) fn kept(&self) -> Kept {
        let mut kept = Kept::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for (number, minute) in &shard.by_minute {
                kept.entry(*number).or_default().extend(&minute.hashes);
            }
            for number in &shard.forgotten {
                kept.entry(*number).or_default();
            }
        }
        kept
    }
}

impl Shard {
    fn minute(&mut self, number: u64, now: Instant) -> &mut Minute {
        self.by_minute.entry(number).or_insert_with(|| Minute {
            hashes: HashSet::default(),
            last_claim: now,
        })
    }

    /// Answers how many nonces went.
    fn drop_outlived(&mut self, now: Instant) -> usize {
        let outlived = |minute: &Minute| now.saturating_duration_since(minute.last_claim).as_secs() > KEPT_FOR;
        let gone: Vec<u64> = self
            .by_minute
            .iter()
            .filter(|(_, minute)| outlived(minute))
            .map(|(number, _)| *number)
            .collect();
        let mut count = 0;
        for number in gone {
            count += self.by_minute.remove(&number).map_or(0, |minute| minute.hashes.len());
            self.forget(number);
        }
        count
    }

    fn forget(&mut self, minute: u64) {
        self.forgotten.insert(minute);
        while self.forgotten.len() > MOST_FORGOTTEN {
            if let Some(oldest) = self.forgotten.pop_first() {
                self.forgotten_before = oldest + 1;
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "nonces are kept by the store's own clock, which nobody can turn back"
)]
pub(super) fn started() -> Instant {
    Instant::now()
}

fn place(hash: u64) -> usize {
    usize::try_from(hash >> 32).unwrap_or_default() % SHARDS
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
/// Forgotten minutes that are told apart, a day and more; past that everything older is forgotten too.
const MOST_FORGOTTEN: usize = 1500;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ConsumerId;

    const NOW: UnixSeconds = 1_800_000_000;

    fn nonces() -> Nonces {
        Nonces::new([7; 16], Kept::new(), Lost::default(), instant())
    }

    #[expect(clippy::disallowed_methods, reason = "a base to count from")]
    fn instant() -> Instant {
        Instant::now()
    }

    fn claim(nonces: &Nonces, timestamp: UnixSeconds, nonce: &[u8], at: Instant) -> Claim {
        let claim = NonceClaim {
            consumer: ConsumerId(1),
            token: None,
            timestamp,
            nonce,
            now: timestamp,
        };
        nonces.claim(&claim, "", at).unwrap()
    }

    #[test]
    fn a_nonce_is_known_for_as_long_as_its_timestamp_may_be_accepted() {
        let (nonces, start) = (nonces(), instant());
        // Fifteen minutes ahead, and accepted until fifteen minutes after.
        assert_eq!(claim(&nonces, NOW + 900, b"n", start), Claim::Fresh);

        for minutes in 0..=30 {
            let at = start + Duration::from_secs(minutes * 60);
            claim(&nonces, NOW + minutes * 60, b"something else", at);
            assert_eq!(
                claim(&nonces, NOW + 900, b"n", at),
                Claim::Used,
                "{minutes} minutes later"
            );
        }
    }

    #[test]
    fn what_was_forgotten_is_not_fresh_for_a_clock_that_is_turned_back() {
        let (nonces, start) = (nonces(), instant());
        assert_eq!(claim(&nonces, NOW, b"n", start), Claim::Fresh);
        // Two hours on, every shard has met a new minute and dropped the old ones.
        let later = start + Duration::from_secs(7200);
        for turn in 0..2000_u32 {
            claim(&nonces, NOW + 7200, &turn.to_be_bytes(), later);
        }
        assert_eq!(nonces.held.load(Ordering::Relaxed), 2000);

        assert_eq!(claim(&nonces, NOW, b"n", later), Claim::Unsure);
        assert_eq!(
            claim(&nonces, NOW + 60, b"n", later),
            Claim::Fresh,
            "nothing was known of the next"
        );
    }

    #[test]
    fn what_was_forgotten_stays_so_over_a_clean_restart() {
        let (nonces, start) = (nonces(), instant());
        claim(&nonces, NOW, b"n", start);
        let later = start + Duration::from_secs(7200);
        for turn in 0..2000_u32 {
            claim(&nonces, NOW + 7200, &turn.to_be_bytes(), later);
        }

        let restarted = Nonces::new([7; 16], nonces.kept(), Lost::default(), later);

        assert_eq!(claim(&restarted, NOW, b"n", later), Claim::Unsure);
        assert_eq!(claim(&restarted, NOW + 7200, &7_u32.to_be_bytes(), later), Claim::Used);
        assert_eq!(restarted.held.load(Ordering::Relaxed), 2000);
    }

    #[test]
    fn the_memory_of_what_was_forgotten_is_bounded() {
        let mut shard = Shard::default();
        for minute in 0..10_000 {
            shard.forget(minute);
        }

        assert_eq!(shard.forgotten.len(), MOST_FORGOTTEN);
        assert_eq!(shard.forgotten_before, 8500);
    }
}
