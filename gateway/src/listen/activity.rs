//! What the service and the connection tell each other: what is being served, what is waited for, what was refused.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use tokio::sync::Notify;

use crate::refusal::Cause;

/// One connection's.
#[derive(Debug)]
pub struct Activity {
    active: Cell<usize>,
    begun: Cell<u64>,
    idle_since: Cell<Instant>,
    refused: Cell<Option<(u64, Cause)>>,
    abandoned: Cell<u32>,
    is_quiet: Cell<bool>,
    /// Responses that wait for the client to take more, since when.
    waiting: RefCell<Vec<Rc<Cell<Option<Instant>>>>>,
    /// Told when the connection has served as many requests as it may.
    pub spent: Notify,
}

impl Activity {
    /// Nothing served yet.
    pub fn new(now: Instant) -> Rc<Self> {
        Rc::new(Self {
            active: Cell::new(0),
            begun: Cell::new(0),
            idle_since: Cell::new(now),
            refused: Cell::new(None),
            abandoned: Cell::new(0),
            is_quiet: Cell::new(false),
            waiting: RefCell::default(),
            spent: Notify::new(),
        })
    }

    /// A request's head is complete; answers how many came before it.
    pub fn begin(&self) -> u64 {
        self.active.set(self.active.get() + 1);
        let before = self.begun.get();
        self.begun.set(before + 1);
        before
    }

    /// A request's response is complete.
    pub fn end(&self, now: Instant) {
        self.active.set(self.active.get().saturating_sub(1));
        self.idle_since.set(now);
    }

    /// Whether a request is being served.
    pub fn is_serving(&self) -> bool {
        self.active.get() > 0
    }

    /// Whether more than one is.
    pub fn is_serving_several(&self) -> bool {
        self.active.get() > 1
    }

    /// Requests begun so far.
    pub fn begun(&self) -> u64 {
        self.begun.get()
    }

    /// Since when nothing is being served.
    pub fn idle_since(&self) -> Instant {
        self.idle_since.get()
    }

    /// The head that came as number `ordinal`, counted from 0, was refused and stands there as another.
    pub fn refuse(&self, ordinal: u64, cause: Cause) {
        self.refused.set(Some((ordinal, cause)));
    }

    /// Why the head that came as number `ordinal` was refused, if it was.
    pub fn refusal(&self, ordinal: u64) -> Option<Cause> {
        self.refused
            .get()
            .and_then(|(refused, cause)| (refused == ordinal).then_some(cause))
    }

    /// Whether, when the client was last read or written to, nothing was on its way in either direction.
    pub fn is_quiet(&self) -> bool {
        self.is_quiet.get()
    }

    /// Says so, or that something is.
    pub fn note_quiet(&self, is_quiet: bool) {
        self.is_quiet.set(is_quiet);
    }

    /// A request was given up by its client before it was answered.
    pub fn abandon(&self) {
        self.abandoned.set(self.abandoned.get() + 1);
    }

    /// How many requests were given up.
    pub fn abandoned(&self) -> u32 {
        self.abandoned.get()
    }

    /// A response's own note of since when it waits for the client.
    pub fn note_waiting(&self) -> Rc<Cell<Option<Instant>>> {
        let note = Rc::new(Cell::new(None));
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() == waiting.capacity() {
            waiting.retain(|note| Rc::strong_count(note) > 1);
        }
        waiting.push(Rc::clone(&note));
        note
    }

    /// Since when the response that has waited longest for the client waits. Forgets those that have ended.
    pub fn waiting_since(&self) -> Option<Instant> {
        let mut waiting = self.waiting.borrow_mut();
        waiting.retain(|note| Rc::strong_count(note) > 1);
        waiting.iter().filter_map(|note| note.get()).min()
    }
}
