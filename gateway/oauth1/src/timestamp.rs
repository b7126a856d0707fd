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
    if digits.is_empty() || digits.len() > MAX_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Problem::TimestampRefused);
    }
    let seconds = digits
        .iter()
        .fold(0, |seconds, digit| seconds * 10 + u64::from(digit - b'0'));
    if seconds == 0 {
        Err(Problem::TimestampRefused)
    } else {
        Ok(seconds)
    }
}

const MAX_DIGITS: usize = 12;
