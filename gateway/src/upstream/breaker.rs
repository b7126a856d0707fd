//! A target's circuit breaker, as one worker sees it: after so many failures in a row nothing is sent there for a while, then
//! one request finds out whether it serves again.
//!
//! Each worker has its own: nothing is shared on the way of a request, and a target that serves costs it one comparison.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::config;
use crate::refusal::Cause;

pub(super) struct Breaker {
    /// In a row; `None`: it never opens.
    most_failures: Option<u32>,
    open_for: Duration,
    failures: Cell<u32>,
    /// Set once it has opened: from then on one request may try.
    tries_at: Cell<Option<Instant>>,
}

impl Breaker {
    pub(super) fn new(config: Option<config::CircuitBreaker>) -> Self {
        Self {
            most_failures: config.map(|config| config.failures),
            open_for: config.map_or(Duration::ZERO, |config| config.open_for),
            failures: Cell::new(0),
            tries_at: Cell::new(None),
        }
    }

    /// Whether nothing is to be sent there at `now`.
    pub(super) fn refuses(&self, now: impl FnOnce() -> Instant) -> bool {
        self.tries_at.get().is_some_and(|at| now() < at)
    }

    /// Whether it has opened, and no request has shown yet that the target serves again.
    pub(super) fn has_opened(&self) -> bool {
        self.tries_at.get().is_some()
    }

    /// A request goes there. After the breaker opened it is the one that tries: the next has to wait for what it finds, or
    /// for as long again.
    pub(super) fn begin(&self, now: impl FnOnce() -> Instant) {
        if self.has_opened() {
            self.tries_at.set(Some(now() + self.open_for));
        }
    }

    /// It answered; with what is another matter. `true`: it was thought not to.
    pub(super) fn answered(&self) -> bool {
        if self.failures.get() != 0 {
            self.failures.set(0);
        }
        self.has_opened() && self.tries_at.take().is_some()
    }

    /// It didn't. `may_be_the_client`: the request had a body, which the client may have broken off. `true`: it opens now.
    pub(super) fn failed(&self, cause: Cause, may_be_the_client: bool, now: Instant) -> bool {
        // Others are ours, such as a signature that could not be made.
        let is_its_fault = matches!(cause, Cause::UpstreamConnect | Cause::UpstreamTimeout)
            || (cause == Cause::UpstreamBroken && !may_be_the_client);
        let Some(most) = self.most_failures.filter(|_| is_its_fault) else {
            return false;
        };
        self.failures.set(self.failures.get().saturating_add(1));
        if self.failures.get() < most {
            return false;
        }
        self.tries_at.replace(Some(now + self.open_for)).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    fn breaker() -> (Breaker, Instant) {
        let config = config::CircuitBreaker {
            failures: 3,
            open_for: Duration::from_secs(10),
        };
        (Breaker::new(Some(config)), Clock::system().instant())
    }

    #[test]
    fn it_opens_at_the_last_of_the_failures_in_a_row_and_lets_one_try_after_a_while() {
        let (breaker, now) = breaker();
        for _ in 0..2 {
            assert!(!breaker.failed(Cause::UpstreamTimeout, false, now));
        }
        breaker.answered();
        for _ in 0..2 {
            assert!(!breaker.failed(Cause::UpstreamConnect, true, now));
        }
        assert!(!breaker.refuses(|| now));

        assert!(breaker.failed(Cause::UpstreamBroken, false, now));

        let later = now + Duration::from_secs(10);
        assert!(breaker.refuses(|| now) && !breaker.refuses(|| later));
        breaker.begin(|| later);
        assert!(breaker.refuses(|| later), "a second one tried");
        assert!(breaker.answered());
        assert!(!breaker.refuses(|| later) && !breaker.has_opened());
    }

    #[test]
    fn a_try_that_fails_opens_it_for_as_long_again() {
        let (breaker, now) = breaker();
        for _ in 0..3 {
            breaker.failed(Cause::UpstreamConnect, false, now);
        }
        let later = now + Duration::from_secs(10);
        breaker.begin(|| later);

        assert!(!breaker.failed(Cause::UpstreamConnect, false, later + Duration::from_secs(1)));

        assert!(breaker.refuses(|| later + Duration::from_secs(10)));
        assert!(!breaker.refuses(|| later + Duration::from_secs(11)));
    }

    #[test]
    fn clients_that_break_off_their_uploads_never_open_it() {
        let (breaker, now) = breaker();
        for _ in 0..100 {
            breaker.failed(Cause::UpstreamBroken, true, now);
        }

        assert!(!breaker.has_opened());
    }
}
