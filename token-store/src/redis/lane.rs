//! A lane: one thread's own connection to one primary, on which nonces are claimed. What is claimed while a batch is on its
//! way leaves together in the next one: one write, one read and one timer for all of it. A lane is given up at the first
//! error and dialled again with the next claim, at most ten times a second.
//!
//! `wire.rs` is the socket.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::{RedisError, cmd};
use tokio::sync::{Notify, oneshot};

use super::keys;
use super::memory::{Known, Server, Shared, failed_before, reason, unavailable};
use super::nodes::{Node, server_info};
use super::wire::{Answer, Wire, push_bulk, push_words};
use crate::nonce::KEPT_FOR;
use crate::{StoreError, UnixSeconds};

/// A nonce as it is claimed.
#[derive(Clone, Copy)]
pub(super) struct Member {
    pub(super) bucket: u16,
    pub(super) minute: u64,
    pub(super) hash: u64,
}

/// What a claim came to.
pub(super) enum Claimed {
    Fresh,
    Used,
    /// Nothing was done: the slot is at another node.
    Moved,
    /// Nothing was done: this key is at another node already.
    Ask(String, u16),
}

/// One thread's way to one primary.
pub(super) struct Lane {
    shared: Arc<Shared>,
    node: Arc<Node>,
    phase: Mutex<Phase>,
    /// One dial at a time.
    dialing: tokio::sync::Mutex<()>,
}

enum Phase {
    Down { retry_at: Instant, why: String },
    Up(Arc<Up>),
}

/// A connection to a server that the feed met.
pub(super) struct Up {
    server: Arc<Server>,
    /// The server said that the store changed or was emptied, or the connection ended: what comes later doesn't count.
    stale: Arc<AtomicBool>,
    lasting: Mutex<Lasting>,
    queue: Arc<Queue>,
}

/// Claims that wait for the next batch.
#[derive(Default)]
struct Queue {
    batch: Mutex<Batch>,
    arrived: Notify,
}

#[derive(Default)]
struct Batch {
    /// The commands, as they go out.
    packed: Vec<u8>,
    waiting: VecDeque<Waiting>,
    /// Nobody claims on this connection any more, or nobody carries what is claimed.
    is_over: bool,
}

struct Waiting {
    /// The set, for what is said of an answer that makes no sense.
    member: Member,
    /// Answers that belong to it, the claim's own after those to `ASKING`.
    commands: usize,
    before: usize,
    answer: oneshot::Sender<Result<Claimed, StoreError>>,
}

/// Sets whose expiry this lane has seen to, a bit for each bucket of a minute.
#[derive(Default)]
struct Lasting(BTreeMap<u64, Box<[u64; 64]>>);

impl Lane {
    fn new(shared: Arc<Shared>, node: Arc<Node>) -> Self {
        let phase = Mutex::new(Phase::down_until(now(), String::new()));
        Self {
            shared,
            node,
            phase,
            dialing: tokio::sync::Mutex::default(),
        }
    }

    /// This thread's lane to a node.
    pub(super) fn of_thread(shared: &Arc<Shared>, node: &Arc<Node>) -> Arc<Self> {
        LANES.with_borrow_mut(|lanes| {
            let found = lanes
                .iter()
                .find(|lane| Arc::ptr_eq(&lane.node, node) && Arc::ptr_eq(&lane.shared, shared));
            if let Some(lane) = found {
                return Arc::clone(lane);
            }
            lanes.retain(|lane| !lane.shared.closed.load(Ordering::Acquire));
            if lanes.len() >= MOST_LANES {
                lanes.clear();
            }
            let lane = Arc::new(Self::new(Arc::clone(shared), Arc::clone(node)));
            lanes.push(Arc::clone(&lane));
            lane
        })
    }

    /// Claims on a connection. `mark`: what must be in the store before the answer counts. `asking`: on leave of the node
    /// that the key is leaving.
    pub(super) async fn claim(
        &self,
        up: &Arc<Up>,
        member: Member,
        mark: Option<(String, UnixSeconds)>,
        asking: bool,
    ) -> Result<Claimed, StoreError> {
        let lasts = up.lasts(&member);
        let answered = up.queue.push(member, mark, asking, lasts);
        let ended = || unavailable("the lane ended before the answer came");
        let outcome = match answered {
            Some(answered) => answered.await.unwrap_or_else(|_| Err(ended())),
            None => Err(ended()),
        };
        match &outcome {
            Err(error @ StoreError::Unavailable(_)) => self.give_up(up, error),
            Ok(Claimed::Fresh | Claimed::Used) if !lasts => up.note_lasting(&member),
            Ok(_) | Err(_) => {}
        }
        outcome
    }

    /// Dials, unless somebody did meanwhile or it is too early.
    pub(super) async fn dialled(&self) -> Result<Arc<Up>, StoreError> {
        let Ok(dialing) = tokio::time::timeout(self.patience(), self.dialing.lock()).await else {
            return Err(unavailable("the server does not answer"));
        };
        let wanted = self.shared.known()?.server_of(&self.node).cloned();
        let wanted = wanted.ok_or_else(|| unavailable("the server was not met yet"))?;
        if let Some(up) = self.current(&wanted)? {
            return Ok(up);
        }
        let dialled = tokio::time::timeout(self.patience(), self.dial()).await;
        let up = dialled
            .map_err(|_| unavailable("the server does not answer"))
            .and_then(|dialled| dialled);
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        *phase = match &up {
            Ok(up) => Phase::Up(Arc::clone(up)),
            Err(error) => Phase::down_until(now() + RETRY, reason(error)),
        };
        drop(phase);
        drop(dialing);
        if up.is_err() {
            // Who holds the slot may be another by now, of which a server that is gone, or follows that other, tells nothing.
            self.shared.look.notify_one();
        }
        up
    }

    fn patience(&self) -> Duration {
        self.shared.dialer.connect_timeout + self.shared.dialer.timeout
    }

    /// The connection, if it is up and to the wanted server; an error while it is too early to dial again.
    pub(super) fn current(&self, wanted: &Arc<Server>) -> Result<Option<Arc<Up>>, StoreError> {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        match &*phase {
            Phase::Up(up) if !Arc::ptr_eq(&up.server, wanted) || up.stale.load(Ordering::SeqCst) => {
                *phase = Phase::down_until(now(), String::new());
                Ok(None)
            }
            Phase::Up(up) => Ok(Some(Arc::clone(up))),
            Phase::Down { retry_at, why } if *retry_at > now() => Err(failed_before(why)),
            Phase::Down { .. } => Ok(None),
        }
    }

    fn give_up(&self, up: &Arc<Up>, error: &StoreError) {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(&*phase, Phase::Up(current) if Arc::ptr_eq(current, up)) {
            *phase = Phase::down_until(now() + RETRY, reason(error));
        }
        drop(phase);
        self.shared.look.notify_one();
    }

    /// Connects, asks to be told when the store changes or is emptied, and sees that the server is one that the feed met.
    async fn dial(&self) -> Result<Arc<Up>, StoreError> {
        let io = |error: RedisError| StoreError::Unavailable(Box::new(error));
        let mut wire = self.shared.dialer.wire(&self.node).await.map_err(io)?;
        let tracking = cmd("CLIENT").arg("TRACKING").arg("ON").exec_async(&mut wire).await;
        tracking.map_err(io)?;
        let mut moved = self.shared.moved();
        let known = self.shared.known()?;
        // What is read here is also what makes the server tell of its change.
        let info = server_info(&mut wire).await.map_err(io)?;
        let guarded = info.id_with_guard(&mut wire, known.map.first_bucket(&self.node));
        let id = guarded.await.map_err(io)?;
        let store: Option<(String, u64)> = if known.map.is_cluster() {
            None
        } else {
            let mut read = cmd("HMGET");
            read.arg(keys::STORE).arg("identity").arg("version");
            Some(read.query_async(&mut wire).await.map_err(io)?)
        };
        let met = |known: &Known| {
            let server = known.server_of(&self.node).filter(|server| server.id == id);
            let is_same =
                |(identity, version): &(String, u64)| known.identity == *identity && known.version >= *version;
            server.filter(|_| store.as_ref().is_none_or(is_same)).cloned()
        };
        loop {
            if let Some(server) = met(&*self.shared.known()?) {
                let up = Up {
                    server,
                    stale: Arc::default(),
                    lasting: Mutex::default(),
                    queue: Arc::default(),
                };
                let (stale, queue) = (Arc::clone(&up.stale), Arc::clone(&up.queue));
                // Ends with the connection, or when the last who could claim on it is gone.
                tokio::spawn(carry(wire, queue, stale, self.shared.dialer.timeout));
                return Ok(Arc::new(up));
            }
            self.shared.look.notify_one();
            if moved.changed().await.is_err() {
                return Err(unavailable("the store is closed"));
            }
        }
    }
}

impl Phase {
    fn down_until(retry_at: Instant, why: String) -> Self {
        Self::Down { retry_at, why }
    }
}

impl Up {
    fn lasts(&self, member: &Member) -> bool {
        let lasting = self.lasting.lock().unwrap_or_else(PoisonError::into_inner);
        let (word, bit) = (usize::from(member.bucket / 64), member.bucket % 64);
        let words = lasting.0.get(&member.minute);
        words
            .and_then(|words| words.get(word))
            .is_some_and(|word| word & (1 << bit) != 0)
    }

    fn note_lasting(&self, member: &Member) {
        let mut lasting = self.lasting.lock().unwrap_or_else(PoisonError::into_inner);
        let (word, bit) = (usize::from(member.bucket / 64), member.bucket % 64);
        let words = lasting.0.entry(member.minute).or_insert_with(|| Box::new([0; 64]));
        if let Some(word) = words.get_mut(word) {
            *word |= 1 << bit;
        }
        // Older minutes than any request may name; asking once more would only cost a command.
        while lasting.0.len() > MOST_MINUTES {
            lasting.0.pop_first();
        }
    }

    /// Who answers on it.
    pub(super) fn server(&self) -> &Arc<Server> {
        &self.server
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.queue.end();
    }
}

impl Queue {
    /// The claim with what must go along: expiry of a set that this lane touches first, a mark, the leave to ask early.
    /// `None`: the connection has ended.
    fn push(
        &self,
        member: Member,
        mark: Option<(String, UnixSeconds)>,
        asking: bool,
        lasts: bool,
    ) -> Option<oneshot::Receiver<Result<Claimed, StoreError>>> {
        let key = member.key();
        let mut commands = 0;
        let mut batch = self.batch.lock().unwrap_or_else(PoisonError::into_inner);
        if batch.is_over {
            return None;
        }
        let mut command = |words: &[&[u8]]| {
            commands += 1;
            push_words(&mut batch.packed, words.len());
            for word in words {
                push_bulk(&mut batch.packed, word);
            }
        };
        if asking {
            command(&[b"ASKING"]);
        }
        // A set of integers stays small: members are signed 64-bit numbers.
        let hash = member.hash.cast_signed().to_string();
        command(&[b"SADD", key.as_bytes(), hash.as_bytes()]);
        if !lasts {
            if asking {
                command(&[b"ASKING"]);
            }
            command(&[b"EXPIRE", key.as_bytes(), KEPT_FOR.to_string().as_bytes()]);
        }
        if let Some((member, timestamp)) = mark {
            let timestamp = timestamp.to_string();
            let ahead = keys::AHEAD.as_bytes();
            command(&[b"ZADD", ahead, b"GT", timestamp.as_bytes(), member.as_bytes()]);
        }
        let (answer, answered) = oneshot::channel();
        let is_first = batch.waiting.is_empty();
        batch.waiting.push_back(Waiting {
            member,
            commands,
            before: usize::from(asking),
            answer,
        });
        drop(batch);
        if is_first {
            self.arrived.notify_one();
        }
        Some(answered)
    }

    /// Takes what waits, for what was carried.
    fn swap(&self, carried: &mut Batch) {
        carried.packed.clear();
        carried.waiting.clear();
        let mut batch = self.batch.lock().unwrap_or_else(PoisonError::into_inner);
        carried.is_over = batch.is_over;
        std::mem::swap(&mut batch.packed, &mut carried.packed);
        std::mem::swap(&mut batch.waiting, &mut carried.waiting);
    }

    /// From here on nothing is pushed.
    fn end(&self) {
        self.batch.lock().unwrap_or_else(PoisonError::into_inner).is_over = true;
        self.arrived.notify_one();
    }
}

/// Carries what waits, batch by batch: one write, one timer, and as few reads as the answers come in.
async fn carry(mut wire: Wire, queue: Arc<Queue>, stale: Arc<AtomicBool>, timeout: Duration) {
    let mut batch = Batch::default();
    let failed = loop {
        tokio::select! {
            biased;
            () = queue.arrived.notified() => queue.swap(&mut batch),
            stirred = wire.stirs() => match stirred {
                Ok(()) if wire.was_told() => break unavailable(WAS_TOLD),
                Ok(()) => continue,
                Err(error) => break StoreError::Unavailable(Box::new(error)),
            }
        }
        if batch.is_over && batch.waiting.is_empty() {
            return;
        }
        match tokio::time::timeout(timeout, exchange(&mut wire, &mut batch)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => break error,
            Err(_) => break unavailable("the server does not answer"),
        }
    };
    stale.store(true, Ordering::SeqCst);
    queue.end();
    let mut late = Batch::default();
    queue.swap(&mut late);
    let reason = failed.to_string();
    for waiting in batch.waiting.drain(..).chain(late.waiting) {
        // Who went away needs no answer.
        drop(waiting.answer.send(Err(unavailable(&reason))));
    }
}

/// Sends a batch and answers who waits. After an error, who got no answer is left in the batch.
async fn exchange(wire: &mut Wire, batch: &mut Batch) -> Result<(), StoreError> {
    let failed = |error: RedisError| StoreError::Unavailable(Box::new(error));
    wire.send(&batch.packed).await.map_err(|error| failed(error.into()))?;
    while let Some(first) = batch.waiting.front() {
        let outcome = first.outcome(wire).await.map_err(failed)?;
        // Whatever the server said of itself came before this answer.
        if wire.was_told() {
            return Err(unavailable(WAS_TOLD));
        }
        if let Some(first) = batch.waiting.pop_front() {
            // Who went away needs no answer.
            drop(first.answer.send(outcome));
        }
    }
    Ok(())
}

impl Waiting {
    /// Reads its own answers: fresh only if none of them failed.
    async fn outcome(&self, wire: &mut Wire) -> Result<Result<Claimed, StoreError>, RedisError> {
        let (mut claimed, mut failed) = (None, None);
        for at in 0..self.commands {
            match wire.answer().await? {
                Answer::Number(number) if at == self.before => claimed = Some(number),
                Answer::Number(_) => {}
                Answer::Other(value) => {
                    if let Err(error) = value.extract_error() {
                        failed.get_or_insert(error);
                    }
                }
            }
        }
        Ok(match (failed, claimed) {
            (Some(error), _) => self.member.failed(error),
            (None, Some(1)) => Ok(Claimed::Fresh),
            (None, Some(_)) => Ok(Claimed::Used),
            (None, None) => Err(StoreError::Corrupt(self.member.key())),
        })
    }
}

impl Member {
    fn key(&self) -> String {
        keys::nonces(self.bucket, self.minute)
    }

    fn failed(&self, error: RedisError) -> Result<Claimed, StoreError> {
        match error.code() {
            Some("MOVED") => return Ok(Claimed::Moved),
            Some("ASK") => {
                if let Some((host, port)) = error.redirect_node().and_then(|(node, _)| node.rsplit_once(':')) {
                    return Ok(Claimed::Ask(host.to_owned(), port.parse().unwrap_or_default()));
                }
            }
            Some("WRONGTYPE") => return Err(StoreError::Corrupt(self.key())),
            Some(_) | None => {}
        }
        Err(StoreError::Unavailable(Box::new(error)))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "when a server may be dialled again, in the lane's own time"
)]
fn now() -> Instant {
    Instant::now()
}

thread_local! {
    static LANES: RefCell<Vec<Arc<Lane>>> = const { RefCell::new(Vec::new()) };
}

const WAS_TOLD: &str = "the server lost or changed its memory of nonces";
/// Between two dials.
const RETRY: Duration = Duration::from_millis(100);
/// Minutes that requests may name at a time, with room.
const MOST_MINUTES: usize = 64;
/// Nodes and stores that one thread speaks to.
const MOST_LANES: usize = 256;
