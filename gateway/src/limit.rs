//! Rate and concurrency: per address before anything is verified, per integration and per route after (`[[limits]]`).
//!
//! Each gateway counts by itself. A rate is a GCRA: one time a key, no window that fills at its edge. Where nothing is
//! configured, nothing is counted.

use std::cell::Cell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::config::{Per, RateLimit};
use crate::refusal::Refusal;

/// All limits at work.
#[derive(Default)]
pub struct RateLimits {
    limits: Vec<Arc<Limit>>,
}

struct Limit {
    config: RateLimit,
    /// Nanoseconds between two requests at the steady rate.
    spacing: u64,
    shards: Vec<Mutex<Shard>>,
}

#[derive(Default)]
struct Shard {
    counts: HashMap<String, Count>,
    /// When idle ones were last dropped: looking for them is work that a flood must not multiply.
    cleaned: u64,
}

#[derive(Clone, Copy, Default)]
struct Count {
    /// When the next request would be due at the steady rate, in nanoseconds of the caller's clock.
    due: u64,
    under_way: u32,
}

/// Who or what a request counts for.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// The client's address.
    Address(IpAddr),
    /// An integration: number and name.
    Integration(u64, &'a str),
    /// A route, by its path.
    Route(&'a str),
}

/// How a subject stands with the limit that leaves it least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Requests that may come at once.
    pub limit: u32,
    /// How many of them still may.
    pub remaining: u32,
    /// Seconds until all of them may again; where none may, until one may.
    pub reset: u64,
}

/// A request under way, for a limit of concurrency; ends when it is dropped.
pub struct Turn {
    limit: Arc<Limit>,
    shard: usize,
    key: String,
}

impl RateLimits {
    /// From the configuration.
    pub fn new(limits: &[RateLimit]) -> Self {
        let limit = |config: &RateLimit| {
            let window = u64::try_from(config.window.as_nanos()).unwrap_or(u64::MAX);
            Arc::new(Limit {
                spacing: config.requests.map_or(0, |requests| window / u64::from(requests)),
                config: config.clone(),
                shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            })
        };
        Self {
            limits: limits.iter().map(limit).collect(),
        }
    }

    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        self.limits.is_empty()
    }

    /// Counts a request at `now` (monotonic). Over a limit: `rate_limited`, and when it may come again. How it stands with
    /// the limits of rate is told either way, where that is less than is known in `standing`.
    pub fn admit(
        &self,
        subject: Subject<'_>,
        now: Duration,
        turns: &mut Vec<Turn>,
        standing: &Cell<Option<Standing>>,
    ) -> Result<(), Refusal> {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        for limit in &self.limits {
            if let Some(key) = limit.key(subject) {
                turns.extend(limit.admit(key, now, standing)?);
            }
        }
        Ok(())
    }
}

impl RateLimits {
    /// Each limit with how many subjects are counted now.
    pub fn status(&self) -> impl Iterator<Item = (&RateLimit, usize)> {
        let counted = |limit: &Limit| {
            let shards = limit.shards.iter();
            shards
                .map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).counts.len())
                .sum()
        };
        self.limits.iter().map(move |limit| (&limit.config, counted(limit)))
    }
}

impl Limit {
    fn key(&self, subject: Subject<'_>) -> Option<String> {
        let (name, key) = match (self.config.per, subject) {
            (Per::Address, Subject::Address(ip)) => (ip.to_string(), network(ip).to_string()),
            (Per::Integration, Subject::Integration(id, name)) => (name.to_owned(), id.to_string()),
            (Per::Route, Subject::Route(path)) => (path.to_owned(), path.to_owned()),
            (Per::Address | Per::Integration | Per::Route, _) => return None,
        };
        (self.config.only.is_empty() || self.config.only.contains(&name)).then_some(key)
    }

    fn admit(
        self: &Arc<Self>,
        key: String,
        now: u64,
        standing: &Cell<Option<Standing>>,
    ) -> Result<Option<Turn>, Refusal> {
        let place = key.bytes().fold(0_usize, |sum, octet| {
            sum.wrapping_mul(31).wrapping_add(usize::from(octet))
        }) % SHARDS;
        let Some(shard) = self.shards.get(place) else {
            return Ok(None);
        };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let key = shard.room_for(key, now);
        let count = shard.counts.entry(key.clone()).or_default();
        if self.config.concurrency.is_some_and(|most| count.under_way >= most) {
            return Err(Refusal::rate_limited(1));
        }
        if self.config.requests.is_some() {
            let due = count.due.max(now).saturating_add(self.spacing);
            let tolerance = self.spacing.saturating_mul(u64::from(self.config.burst.max(1)));
            let ahead = due.saturating_sub(now);
            let stands = |room: u64, wait: u64| Standing {
                limit: self.config.burst.max(1),
                remaining: u32::try_from(room.checked_div(self.spacing).unwrap_or_default()).unwrap_or(u32::MAX),
                reset: wait.div_ceil(NANOS),
            };
            if ahead > tolerance {
                standing.set(Some(stands(0, ahead - tolerance)));
                return Err(Refusal::rate_limited((ahead - tolerance).div_ceil(NANOS)));
            }
            let now_stands = stands(tolerance - ahead, ahead);
            if standing
                .get()
                .is_none_or(|known| now_stands.remaining < known.remaining)
            {
                standing.set(Some(now_stands));
            }
            count.due = due;
        }
        if self.config.concurrency.is_none() {
            return Ok(None);
        }
        count.under_way += 1;
        Ok(Some(Turn {
            limit: Arc::clone(self),
            shard: place,
            key,
        }))
    }
}

impl Shard {
    /// Whoever is idle needs no memory; where nobody is, new ones share one count.
    fn room_for(&mut self, key: String, now: u64) -> String {
        if self.counts.len() < MOST_A_SHARD || self.counts.contains_key(&key) {
            return key;
        }
        if now.saturating_sub(self.cleaned) >= NANOS {
            self.cleaned = now;
            self.counts.retain(|_, count| count.due > now || count.under_way > 0);
        }
        if self.counts.len() < MOST_A_SHARD {
            key
        } else {
            OTHERS.to_owned()
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(shard) = self.limit.shards.get(self.shard) else {
            return;
        };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = shard.counts.get_mut(&self.key) {
            count.under_way = count.under_way.saturating_sub(1);
        }
    }
}

/// One household has a /64: its addresses count as one.
pub fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

const SHARDS: usize = 16;
const MOST_A_SHARD: usize = 8192;
const OTHERS: &str = "(others)";
const NANOS: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn limits(per: Per, requests: u32, burst: u32, concurrency: u32) -> RateLimits {
        RateLimits::new(&[RateLimit {
            per,
            requests: (requests > 0).then_some(requests),
            window: Duration::from_secs(1),
            burst,
            concurrency: (concurrency > 0).then_some(concurrency),
            only: BTreeSet::new(),
        }])
    }

    fn admits(limits: &RateLimits, subject: Subject<'_>, millis: u64) -> bool {
        limits
            .admit(
                subject,
                Duration::from_millis(millis),
                &mut Vec::new(),
                &Cell::default(),
            )
            .is_ok()
    }

    #[test]
    fn a_burst_passes_and_then_the_steady_rate() {
        let limits = limits(Per::Integration, 10, 3, 0);
        let one = Subject::Integration(1, "one");

        let burst: Vec<bool> = (0..4).map(|_| admits(&limits, one, 5000)).collect();

        assert_eq!(burst, [true, true, true, false]);
        assert!(!admits(&limits, one, 5099));
        assert!(admits(&limits, one, 5100));
        assert!(!admits(&limits, one, 5100));
        assert!(admits(&limits, Subject::Integration(2, "two"), 5100));
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_as_one() {
        let limits = limits(Per::Address, 1, 1, 0);

        assert!(admits(&limits, Subject::Address("2001:db8::1".parse().unwrap()), 1));
        assert!(!admits(&limits, Subject::Address("2001:db8::2".parse().unwrap()), 1));
        assert!(admits(&limits, Subject::Address("2001:db8:0:1::1".parse().unwrap()), 1));
    }

    #[test]
    fn a_turn_ends_with_its_request() {
        let limits = limits(Per::Route, 0, 0, 2);
        let mut turns = Vec::new();
        let route = Subject::Route("/rest/V1/products");
        let now = Duration::from_secs(1);

        limits.admit(route, now, &mut turns, &Cell::default()).unwrap();
        limits.admit(route, now, &mut turns, &Cell::default()).unwrap();
        assert!(limits.admit(route, now, &mut turns, &Cell::default()).is_err());
        turns.pop();
        assert!(limits.admit(route, now, &mut turns, &Cell::default()).is_ok());
    }

    #[test]
    fn what_a_flood_of_addresses_takes_is_bounded() {
        let limits = limits(Per::Address, 1, 1, 0);

        for number in 0..400_000_u32 {
            let _admitted = admits(&limits, Subject::Address(IpAddr::V4(number.into())), 1);
        }

        let held: usize = limits.limits[0]
            .shards
            .iter()
            .map(|shard| shard.lock().unwrap().counts.len())
            .sum();
        assert!(held <= SHARDS * (MOST_A_SHARD + 1), "{held}");
    }
}
