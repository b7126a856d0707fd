//! What was counted over the last hour, in steps: what the console's overview draws.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::metrics::{BUCKETS, Totals};
use crate::refusal::Cause;

/// The counters as they stood, step by step, the oldest first. A bounded ring.
#[derive(Default)]
pub struct Traffic(Mutex<VecDeque<(u64, Totals)>>);

/// A step: what was counted in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its end, Unix seconds.
    pub at: u64,
    /// How long it took.
    pub seconds: u64,
    /// Requests answered.
    pub requests: u64,
    /// Refused ones among them.
    pub refused: u64,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Hour {
    /// The oldest first.
    pub steps: Vec<Step>,
    /// Refusals by cause, the most frequent first, none of zero.
    pub causes: Vec<(Cause, u64)>,
    /// In microseconds: half of the requests were answered within it.
    pub median_micros: Option<u64>,
    /// All but one of a hundred.
    pub p99_micros: Option<u64>,
}

impl Traffic {
    /// Notes how the counters stand.
    pub fn note(&self, at: u64, totals: Totals) {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.len() > STEPS {
            ring.pop_front();
        }
        ring.push_back((at, totals));
    }

    /// The steps so far, the last of them up to now.
    pub fn hour(&self, now: u64, totals: Totals) -> Hour {
        let ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = (now, totals);
        let last = &now.1;
        let Some((_, first)) = ring.front() else {
            return Hour::default();
        };
        let ends = ring.iter().skip(1).chain(std::iter::once(&now));
        let steps = ring.iter().zip(ends).map(|((from, before), (at, after))| Step {
            at: *at,
            seconds: at.saturating_sub(*from).max(1),
            requests: after.answered.saturating_sub(before.answered),
            refused: sum(&after.refused).saturating_sub(sum(&before.refused)),
        });
        let grown = first.refused.iter().zip(&last.refused);
        let grown = grown.map(|(before, after)| after.saturating_sub(*before));
        let mut causes: Vec<(Cause, u64)> = Cause::ALL
            .into_iter()
            .zip(grown)
            .filter(|(_, count)| *count > 0)
            .collect();
        causes.sort_by_key(|(cause, count)| (std::cmp::Reverse(*count), cause.as_str()));
        let buckets = first.latency.iter().zip(&last.latency);
        let buckets: Vec<u64> = buckets.map(|(before, after)| after.saturating_sub(*before)).collect();
        Hour {
            steps: steps.collect(),
            causes,
            median_micros: quantile(&buckets, 50),
            p99_micros: quantile(&buckets, 99),
        }
    }
}

fn sum(counts: &[u64]) -> u64 {
    counts.iter().sum()
}

/// The bound of the bucket in which that many of a hundred are reached.
fn quantile(buckets: &[u64], of_hundred: u64) -> Option<u64> {
    let all = sum(buckets);
    let wanted = (all * of_hundred).div_ceil(100);
    let mut reached = 0;
    for (place, count) in buckets.iter().enumerate() {
        reached += count;
        if all > 0 && reached >= wanted {
            let bound = BUCKETS.get(place).or_else(|| BUCKETS.last());
            return bound.map(|(bound, _)| *bound);
        }
    }
    None
}

/// Seconds between two notes.
pub const EVERY_SECS: u64 = 10;
/// An hour of them.
const STEPS: usize = 360;

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(answered: u64, nonce_used: u64, fast: u64, slow: u64) -> Totals {
        let mut refused = vec![0; Cause::ALL.len()];
        refused[Cause::NonceUsed as usize] = nonce_used;
        let mut latency = vec![0; BUCKETS.len() + 1];
        latency[0] = fast;
        latency[3] = slow;
        Totals {
            answered,
            refused,
            latency,
        }
    }

    #[test]
    fn a_step_holds_what_was_counted_in_it() {
        let traffic = Traffic::default();
        traffic.note(100, totals(5, 1, 5, 0));
        traffic.note(110, totals(9, 3, 9, 0));

        let hour = traffic.hour(120, totals(9, 3, 9, 0));

        let counted: Vec<(u64, u64, u64)> = hour
            .steps
            .iter()
            .map(|one| (one.at, one.requests, one.refused))
            .collect();
        assert_eq!(counted, [(110, 4, 2), (120, 0, 0)]);
        assert_eq!(hour.causes, [(Cause::NonceUsed, 2)]);
    }

    #[test]
    fn latency_is_told_by_the_bound_that_so_many_kept() {
        let traffic = Traffic::default();
        traffic.note(100, totals(0, 0, 0, 0));

        let hour = traffic.hour(110, totals(100, 0, 97, 3));

        assert_eq!(hour.median_micros, Some(BUCKETS[0].0));
        assert_eq!(hour.p99_micros, Some(BUCKETS[3].0));
    }

    #[test]
    fn an_hour_is_kept_and_no_more() {
        let traffic = Traffic::default();
        for number in 0..1000 {
            traffic.note(number * 10, totals(number, 0, 0, 0));
        }

        assert_eq!(traffic.hour(10_000, totals(1000, 0, 0, 0)).steps.len(), STEPS + 1);
    }
}
