//! `store.request_timeout`: what one request may wait for the store, all its steps together.
//!
//! A step that memory answers costs nothing here: neither the time is asked for nor a timer made before something is
//! waited for. What is not the store's, a body that comes slowly in between, doesn't count.

use std::cell::Cell;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Sleep, sleep_until};

use crate::clock::Clock;
use crate::refusal::{Cause, Refusal};

/// What is left of it.
pub struct StoreTime {
    /// `None`: the store is in this process, there is nothing on the way to it that could hang.
    left: Cell<Option<Duration>>,
    has_waited: Cell<bool>,
    clock: Clock,
}

impl StoreTime {
    pub(super) fn new(limit: Option<Duration>, clock: Clock) -> Self {
        Self {
            left: Cell::new(limit),
            has_waited: Cell::new(false),
            clock,
        }
    }

    /// Does some of the request's work with the store. By reference: taken by value it would be held twice.
    pub async fn bound<T>(
        &self,
        mut work: Pin<&mut (impl Future<Output = Result<T, Refusal>> + ?Sized)>,
    ) -> Result<T, Refusal> {
        let mut wait: Option<Wait<'_>> = None;
        std::future::poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            let Some(left) = self.left.get() else {
                return Poll::Pending;
            };
            let wait = wait.get_or_insert_with(|| Wait::begin(self, left));
            let late = || Err(Cause::StoreUnavailable.into());
            wait.timer.as_mut().poll(cx).map(|()| late())
        })
        .await
    }

    /// The nonce's claim, which bounds itself: where it is all that was waited for, no timer is made beside its own.
    pub async fn bound_claim<T>(
        &self,
        claim: Pin<&mut impl Future<Output = Result<T, Refusal>>>,
    ) -> Result<T, Refusal> {
        if self.has_waited.get() {
            // Boxed: requests that memory answers don't carry it.
            Box::pin(self.bound(claim)).await
        } else {
            claim.await
        }
    }
}

/// One step that is waited for; what it took counts at its end.
struct Wait<'a> {
    of: &'a StoreTime,
    left: Duration,
    since: std::time::Instant,
    timer: Pin<Box<Sleep>>,
}

impl<'a> Wait<'a> {
    fn begin(of: &'a StoreTime, left: Duration) -> Self {
        of.has_waited.set(true);
        let since = of.clock.instant();
        Self {
            of,
            left,
            since,
            timer: Box::pin(sleep_until((since + left).into())),
        }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let took = self.of.clock.instant().duration_since(self.since);
        self.of.left.set(Some(self.left.saturating_sub(took)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn step(millis: u64) -> Result<(), Refusal> {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        Ok(())
    }

    fn of(limit: Option<u64>) -> StoreTime {
        StoreTime::new(limit.map(Duration::from_millis), Clock::system())
    }

    #[tokio::test]
    async fn steps_are_bounded_together_and_what_lies_between_them_does_not_count() {
        let time = of(Some(1_000));

        let first = time.bound(std::pin::pin!(step(200))).await;
        step(1_100).await.unwrap();
        let second = time.bound(std::pin::pin!(step(20))).await;
        let third = time.bound_claim(std::pin::pin!(step(3_000))).await;

        assert_eq!((first, second), (Ok(()), Ok(())));
        assert_eq!(third.map_err(|refusal| refusal.cause()), Err(Cause::StoreUnavailable));
    }

    #[tokio::test]
    async fn a_claim_alone_bounds_itself_and_a_store_in_the_process_is_not_bounded() {
        assert_eq!(of(Some(10)).bound_claim(std::pin::pin!(step(50))).await, Ok(()));
        assert_eq!(of(None).bound(std::pin::pin!(step(50))).await, Ok(()));
    }
}
