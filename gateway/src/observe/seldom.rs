//! What would be logged for each request or connection is said once a second, with how often it was not.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What was said of late.
pub struct Seldom(Mutex<Vec<Said>>);

struct Said {
    cause: String,
    at: Instant,
    /// Since then.
    unsaid: u64,
}

impl Default for Seldom {
    fn default() -> Self {
        Self::new()
    }
}

impl Seldom {
    /// Nothing so far.
    pub const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Whether it is to be said now: how often it was not since the last time.
    pub fn say(&self, cause: &str, now: Instant) -> Option<u64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = |said: &Said| now.saturating_duration_since(said.at) >= PAUSE;
        if let Some(said) = all.iter_mut().find(|said| said.cause == cause) {
            if is_due(said) {
                said.at = now;
                return Some(std::mem::take(&mut said.unsaid));
            }
            said.unsaid += 1;
            return None;
        }
        if all.len() >= MOST_CAUSES {
            all.retain(|said| !is_due(said));
        }
        if all.len() >= MOST_CAUSES {
            return None;
        }
        all.push(Said {
            cause: cause.to_owned(),
            at: now,
            unsaid: 0,
        });
        Some(0)
    }
}

const PAUSE: Duration = Duration::from_secs(1);
/// Remembered at a time.
const MOST_CAUSES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn a_cause_is_said_once_a_second_with_how_often_it_was_not() {
        let (seldom, start) = (Seldom::new(), Clock::system().instant());
        let after = |millis| start + Duration::from_millis(millis);

        let said = [
            seldom.say("away", after(0)),
            seldom.say("away", after(1)),
            seldom.say("hangs", after(2)),
            seldom.say("away", after(999)),
            seldom.say("away", after(1000)),
            seldom.say("away", after(1001)),
        ];

        assert_eq!(said, [Some(0), None, Some(0), None, Some(2), None]);
    }

    #[test]
    fn causes_without_number_are_no_lines_without_number() {
        let (seldom, start) = (Seldom::new(), Clock::system().instant());

        let said = (0..1000).filter(|cause: &u32| seldom.say(&cause.to_string(), start).is_some());

        assert_eq!(said.count(), MOST_CAUSES);
        assert_eq!(seldom.say("later", start + PAUSE), Some(0));
    }
}
