//! `oauth_timestamp`: positive seconds, inside the window (RFC 5849 section 3.3).

use crate::Problem;

/// The acceptable range around `now`, inclusive on both sides, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Seconds into the past and into the future.
    pub secs: u64,
}

impl Window {
    /// Whether `timestamp` is acceptable at `now`, both Unix seconds.
    pub fn contains(self, timestamp: u64, now: u64) -> bool {
        timestamp.abs_diff(now) <= self.secs
    }
}

/// Reads a positive integer of digits alone, at most twelve (C65).
pub(crate) fn parse(digits: &[u8]) -> Result<u64, Problem> {
    if digits.len() > MAX_DIGITS {
        return Err(Problem::TimestampRefused);
    }
    let seconds = digits.iter().try_fold(0, |seconds, digit| {
        digit.is_ascii_digit().then(|| seconds * 10 + u64::from(digit - b'0'))
    });
    seconds.filter(|seconds| *seconds > 0).ok_or(Problem::TimestampRefused)
}

const MAX_DIGITS: usize = 12;
