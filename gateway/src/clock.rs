//! The one place that reads the time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Wall time for timestamps and expiry, monotonic time for durations. Cheap to copy; tests move it by an offset.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    /// Seconds added to wall time.
    skew_secs: i64,
}

/// One moment by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Since the Unix epoch.
    pub wall: Duration,
    /// For durations.
    pub instant: Instant,
}

impl Clock {
    /// The system's clock.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn system() -> Self {
        Self {
            started: Instant::now(),
            skew_secs: 0,
        }
    }

    /// The system's clock, `skew_secs` ahead (behind where negative): for tests of drifting gateways.
    #[must_use]
    pub fn skewed(self, skew_secs: i64) -> Self {
        Self { skew_secs, ..self }
    }

    /// Unix seconds.
    pub fn now(&self) -> u64 {
        self.wall().as_secs()
    }

    /// Time since the Unix epoch.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn wall(&self) -> Duration {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if self.skew_secs >= 0 {
            since + Duration::from_secs(self.skew_secs.unsigned_abs())
        } else {
            since.saturating_sub(Duration::from_secs(self.skew_secs.unsigned_abs()))
        }
    }

    /// A point of monotonic time, for durations.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn instant(&self) -> Instant {
        Instant::now()
    }

    /// Now, by both.
    pub fn moment(&self) -> Moment {
        Moment {
            wall: self.wall(),
            instant: self.instant(),
        }
    }

    /// Monotonic time since the process's clock was made.
    pub fn monotonic(&self) -> Duration {
        self.instant().duration_since(self.started)
    }

    /// The system's monotonic time, which other processes share.
    pub fn system_monotonic(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let (secs, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
        Duration::new(secs.unwrap_or_default(), nanos.unwrap_or_default())
    }
}

/// A span of time, in seconds, for people: `3 min 12 s`.
pub fn span(secs: u64) -> String {
    match (secs / 86_400, secs / 3600 % 24, secs / 60 % 60, secs % 60) {
        (0, 0, 0, secs) => format!("{secs} s"),
        (0, 0, minutes, 0) => format!("{minutes} min"),
        (0, 0, minutes, secs) => format!("{minutes} min {secs} s"),
        (0, hours, 0, _) => format!("{hours} h"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, _, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_for_people() {
        assert_eq!(span(45), "45 s");
        assert_eq!(span(192), "3 min 12 s");
        assert_eq!(span(3600), "1 h");
        assert_eq!(span(90_000), "1 d 1 h");
    }
}
