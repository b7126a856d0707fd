//! Events: what is told of a change, kept in the same commit as the change, so that neither is there without the other.
//!
//! The store doesn't know what is worth telling: a [`Recorder`] says it of each [`Happening`]. What it says goes to the log
//! of events, bounded, and to the outbox, a row for each webhook, bounded for each: where one is full its oldest row goes.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::{Account, ConsumerRecord, Delegated, UnixSeconds, User, UserToken};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Unique, and later ones sort after earlier ones: hexadecimal milliseconds lead.
    pub id: String,
    /// As `integration.activated`.
    pub kind: String,
    /// When.
    pub at: UnixSeconds,
    /// What it was; no secrets.
    pub data: serde_json::Value,
}

/// An event on its way to a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The webhook's name.
    pub webhook: String,
    /// What is delivered.
    pub event: Event,
    /// How often it was tried.
    pub tries: u32,
    /// Not to be tried before this second.
    pub due_at: UnixSeconds,
    /// Why the last try failed.
    pub error: Option<String>,
}

impl Delivery {
    /// Of an event that nobody tried to deliver yet.
    pub fn new(webhook: String, event: Event) -> Self {
        let due_at = event.at;
        Self {
            webhook,
            event,
            tries: 0,
            due_at,
            error: None,
        }
    }

    /// What a dead letter is called: unique, later ones sort after earlier ones.
    pub fn name(&self) -> String {
        format!("{}:{}", self.event.id, self.webhook)
    }
}

/// A change that is about to be committed.
#[derive(Clone, Copy, Debug)]
pub enum Happening<'a> {
    /// A consumer's record is made, changed or deleted. What an import brings along is not told.
    Consumer {
        /// As it stood.
        before: Option<&'a ConsumerRecord>,
        /// As it stands from now on.
        after: Option<&'a ConsumerRecord>,
    },
    /// A delegated token is changed or deleted.
    Delegated {
        /// As it stood.
        before: &'a Delegated,
        /// As it stands from now on.
        after: Option<&'a Delegated>,
    },
    /// A bearer token is made.
    UserToken(&'a UserToken),
    /// All bearer tokens of a user end; there were so many.
    UserTokensOf(User, u64),
    /// An account is made, changed or deleted.
    Account {
        /// As it stood.
        before: Option<&'a Account>,
        /// As it stands from now on.
        after: Option<&'a Account>,
    },
}

/// What is recorded of a happening.
#[derive(Debug, Default)]
pub struct Recording {
    /// Events, each with the names of the webhooks that it goes to.
    pub events: Vec<(Event, Vec<String>)>,
    /// How much is kept.
    pub bounds: Bounds,
}

/// How much is kept of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Events in the log.
    pub log: usize,
    /// Rows of the outbox, for each webhook.
    pub outbox: usize,
}

/// Says what is recorded of a happening. It runs inside the commit: it must be quick, and can't fail.
pub type Recorder = Box<dyn Fn(&Happening<'_>) -> Recording + Send + Sync>;

/// The recorder of one backend; without one nothing is recorded.
#[derive(Default)]
pub(crate) struct RecorderSlot(OnceLock<Recorder>);

impl RecorderSlot {
    /// The first one stays.
    pub(crate) fn set(&self, recorder: Recorder) {
        if self.0.set(recorder).is_err() {
            tracing::error!("events have a recorder already");
        }
    }

    pub(crate) fn record(&self, happening: &Happening<'_>) -> Recording {
        self.0.get().map(|recorder| recorder(happening)).unwrap_or_default()
    }
}

/// What becomes of a delivery after a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is done.
    Delivered,
    /// It is tried again when it is due.
    Again,
    /// It was tried for the last time: among the dead letters, of which at most so many are kept.
    Dead {
        /// The oldest go.
        most: usize,
    },
}

/// A place in the log of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// Milliseconds where the log is a Redis stream, else 0.
    pub major: u64,
    /// The number.
    pub minor: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.major, self.minor)
    }
}

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let (major, minor) = text.split_once('-').ok_or(NotACursor)?;
        let number = |text: &str| text.parse::<u64>().map_err(|_| NotACursor);
        Ok(Self {
            major: number(major)?,
            minor: number(minor)?,
        })
    }
}

/// A text that is no place in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a place in the log of events")]
pub struct NotACursor;

/// How much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxCounts {
    /// Deliveries that wait, of the webhooks that were asked for.
    pub waiting: u64,
    /// Dead letters.
    pub dead: u64,
    /// Deliveries and dead letters that were dropped because there were too many, ever.
    pub dropped: u64,
}
