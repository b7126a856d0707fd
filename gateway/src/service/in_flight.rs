//! How many requests are served at once, over all workers: one that finds no room waits briefly, then fails fast, so that
//! nothing queues without bound.
//!
//! A worker has most of its share to itself, where a turn is a plain count; what is left is shared by all, so that a
//! worker that the kernel gave more connections finds room, and a small bound is kept exactly.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::refusal::Cause;

/// One worker's view.
#[derive(Debug)]
pub struct InFlight {
    own: Cell<usize>,
    freed: Notify,
    shared: Arc<Semaphore>,
    wait: Duration,
}

/// How a bound is shared out among workers.
#[derive(Clone, Copy, Debug)]
pub struct Shares {
    own: usize,
    shared: usize,
}

/// A request's turn. Given back for as long as the request waits for its client: slow clients crowd nobody out.
#[derive(Debug)]
pub struct Turn {
    in_flight: Rc<InFlight>,
    permit: RefCell<Option<Permit>>,
}

#[derive(Debug)]
enum Permit {
    Own(Rc<InFlight>),
    Shared(#[expect(dead_code, reason = "given back when it is dropped")] OwnedSemaphorePermit),
}

impl Shares {
    /// Of `most` requests among so many workers.
    pub fn of(most: usize, workers: usize) -> Self {
        let own = if most >= FEWEST_TO_SHARE_OUT * workers {
            most * 3 / 4 / workers
        } else {
            0
        };
        Self {
            own,
            shared: most - own * workers,
        }
    }

    /// What each worker has to itself.
    pub fn own(self) -> usize {
        self.own
    }

    /// What all workers share.
    pub fn shared(self) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(self.shared))
    }
}

impl InFlight {
    /// A worker's.
    pub fn new(shares: Shares, shared: Arc<Semaphore>, wait: Duration) -> Rc<Self> {
        Rc::new(Self {
            own: Cell::new(shares.own),
            freed: Notify::new(),
            shared,
            wait,
        })
    }

    fn try_permit(this: &Rc<Self>) -> Option<Permit> {
        if let Some(left) = this.own.get().checked_sub(1) {
            this.own.set(left);
            return Some(Permit::Own(Rc::clone(this)));
        }
        Arc::clone(&this.shared).try_acquire_owned().ok().map(Permit::Shared)
    }

    async fn permit(this: &Rc<Self>) -> Option<Permit> {
        loop {
            if let Some(permit) = Self::try_permit(this) {
                return Some(permit);
            }
            tokio::select! {
                () = this.freed.notified() => {}
                shared = Arc::clone(&this.shared).acquire_owned() => return shared.ok().map(Permit::Shared),
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Self::Own(in_flight) = self {
            in_flight.own.set(in_flight.own.get() + 1);
            in_flight.freed.notify_one();
        }
    }
}

impl Turn {
    /// Not taken yet.
    pub fn new(in_flight: Rc<InFlight>) -> Self {
        Self {
            in_flight,
            permit: RefCell::default(),
        }
    }

    /// Takes it, waiting a little where there is no room.
    pub async fn take(&self) -> Result<(), Cause> {
        if self.try_take() {
            return Ok(());
        }
        match tokio::time::timeout(self.in_flight.wait, InFlight::permit(&self.in_flight)).await {
            Ok(Some(permit)) => {
                self.permit.replace(Some(permit));
                Ok(())
            }
            Ok(None) | Err(_) => Err(Cause::Overloaded),
        }
    }

    /// Takes it where there is room.
    pub fn try_take(&self) -> bool {
        let mut permit = self.permit.borrow_mut();
        if permit.is_none() {
            *permit = InFlight::try_permit(&self.in_flight);
        }
        permit.is_some()
    }

    /// Gives it back.
    pub fn give_back(&self) {
        let permit = self.permit.take();
        drop(permit);
    }

    /// Gives it back while `waiting` goes on, if that takes any time, and takes it again.
    pub async fn while_waiting<T>(&self, waiting: impl Future<Output = Result<T, Cause>>) -> Result<T, Cause> {
        let mut waiting = std::pin::pin!(waiting);
        let waited = std::future::poll_fn(|cx| {
            let polled = waiting.as_mut().poll(cx);
            if polled.is_pending() {
                self.give_back();
            }
            polled
        })
        .await?;
        self.take().await?;
        Ok(waited)
    }
}

/// Below it, a bound is one count that all workers share.
const FEWEST_TO_SHARE_OUT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(most: usize, workers: usize) -> Vec<Rc<InFlight>> {
        let shares = Shares::of(most, workers);
        let shared = shares.shared();
        let wait = Duration::from_millis(20);
        (0..workers)
            .map(|_| InFlight::new(shares, Arc::clone(&shared), wait))
            .collect()
    }

    #[test]
    fn workers_together_serve_as_many_as_the_bound_says() {
        for (most, workers) in [(1, 4), (3, 2), (128, 2), (1024, 3), (1000, 7)] {
            let workers = turns(most, workers);

            let taken: Vec<Permit> = workers
                .iter()
                .flat_map(|one| std::iter::from_fn(|| InFlight::try_permit(one)))
                .collect();

            assert_eq!(taken.len(), most);
        }
    }

    #[tokio::test]
    async fn a_turn_given_back_is_taken_by_who_waits_and_without_one_the_wait_ends() {
        for bound in [1, 128] {
            let worker = turns(bound, 1).remove(0);
            let taken: Vec<Permit> = std::iter::from_fn(|| InFlight::try_permit(&worker)).collect();
            let turn = Turn::new(Rc::clone(&worker));

            let refused = turn.take().await;
            let (served, ()) = tokio::join!(turn.take(), async { drop(taken) });

            assert_eq!((refused, served), (Err(Cause::Overloaded), Ok(())));
        }
    }

    #[tokio::test]
    async fn a_request_that_waits_for_its_client_takes_no_room() {
        let worker = turns(1, 1).remove(0);
        let (slow, other) = (Turn::new(Rc::clone(&worker)), Turn::new(worker));
        slow.take().await.unwrap();

        let waited = slow.while_waiting(async {
            tokio::task::yield_now().await;
            assert!(other.try_take());
            other.give_back();
            Ok(())
        });

        assert_eq!(waited.await, Ok(()));
        assert!(!other.try_take());
    }
}
