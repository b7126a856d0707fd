//! How many connections to upstreams may be open at once, over all upstreams, targets and workers: what file descriptors
//! are counted for, however many requests HTTP/2 puts on one connection of a client's.
//!
//! Asked for where a connection is made, never for one that idled. Where there is no room, one that idles makes some;
//! where none idles, the request waits a little.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::pool::Pool;

/// One worker's view: its own share, and what all workers share.
pub struct Room<B> {
    own: Cell<usize>,
    shared: Arc<Shared>,
    wait: Duration,
    /// Requests of this worker that wait.
    waiting: Cell<usize>,
    /// Told when one of them may look again.
    freed: Notify,
    pools: RefCell<Vec<Weak<Pool<B>>>>,
}

/// What all workers share.
#[derive(Debug)]
pub struct Shared {
    left: Arc<Semaphore>,
    /// Requests that wait, of any worker.
    wanted: AtomicUsize,
}

/// A connection's place, held until its socket is closed.
pub(super) struct Place<B> {
    room: Rc<Room<B>>,
    /// `None`: it is the worker's own.
    shared: Option<OwnedSemaphorePermit>,
}

/// A request that waits, counted.
pub(super) struct Waiting<'a, B>(&'a Room<B>);

impl Shared {
    /// So many as are left to it.
    pub fn new(left: Arc<Semaphore>) -> Arc<Self> {
        Arc::new(Self {
            left,
            wanted: AtomicUsize::new(0),
        })
    }
}

impl<B> Room<B> {
    /// A worker's.
    pub fn new(own: usize, shared: Arc<Shared>, wait: Duration) -> Rc<Self> {
        Rc::new(Self {
            own: Cell::new(own),
            shared,
            wait,
            waiting: Cell::new(0),
            freed: Notify::new(),
            pools: RefCell::default(),
        })
    }

    /// Its idle connections make room.
    pub(super) fn counts(&self, pool: &Rc<Pool<B>>) {
        self.pools.borrow_mut().push(Rc::downgrade(pool));
    }

    /// How long a request may wait for a connection.
    pub(super) fn wait(&self) -> Duration {
        self.wait
    }

    pub(super) fn try_take(this: &Rc<Self>) -> Option<Place<B>> {
        let shared = match this.own.get().checked_sub(1) {
            Some(left) => {
                this.own.set(left);
                None
            }
            None => Some(Arc::clone(&this.shared.left).try_acquire_owned().ok()?),
        };
        Some(Place {
            room: Rc::clone(this),
            shared,
        })
    }

    /// Counted until it is dropped.
    pub(super) fn begin_to_wait(&self) -> Waiting<'_, B> {
        self.waiting.set(self.waiting.get() + 1);
        self.shared.wanted.fetch_add(1, Ordering::Relaxed);
        Waiting(self)
    }

    /// Until there may be room, or an idle connection.
    pub(super) async fn changes(this: &Rc<Self>) -> Option<Place<B>> {
        tokio::select! {
            () = this.freed.notified() => None,
            shared = Arc::clone(&this.shared.left).acquire_owned() => shared.ok().map(|shared| Place {
                room: Rc::clone(this),
                shared: Some(shared),
            }),
        }
    }

    /// A connection ended or idles: whoever waits may have its place, or take it.
    pub(super) fn changed(&self) {
        if self.waiting.get() > 0 {
            self.freed.notify_one();
        }
    }

    /// Whether a place that all workers share is waited for.
    pub(super) fn is_wanted(&self) -> bool {
        self.shared.wanted.load(Ordering::Relaxed) > 0
    }

    /// Ends the connection of this worker that has idled longest.
    pub(super) fn end_an_idle_one(&self) {
        let pools = self.pools.borrow();
        let idling = pools.iter().filter_map(Weak::upgrade);
        let since = |pool: Rc<Pool<B>>| pool.idle_since().map(|since| (since, pool));
        let longest = idling.filter_map(since).min_by_key(|(since, _): &(Instant, _)| *since);
        if let Some((_, pool)) = longest {
            pool.end_longest_idle();
        }
    }
}

impl<B> Drop for Waiting<'_, B> {
    fn drop(&mut self) {
        self.0.waiting.set(self.0.waiting.get() - 1);
        self.0.shared.wanted.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<B> Place<B> {
    pub(super) fn is_shared(&self) -> bool {
        self.shared.is_some()
    }
}

impl<B> Drop for Place<B> {
    fn drop(&mut self) {
        if self.shared.is_none() {
            self.room.own.set(self.room.own.get() + 1);
            self.room.changed();
        }
    }
}
