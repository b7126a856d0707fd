//! `oauth_timestamp`: positive seconds, inside the window (RFC 5849 section 3.3).

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
