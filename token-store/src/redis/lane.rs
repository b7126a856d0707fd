//! A lane: one thread's own connection to one primary, on which nonces are claimed. What is claimed while a batch is on its
//! way leaves together in the next one: one write, one read and one timer for all of it. A lane is given up at the first
//! error and dialled again with the next claim, at most ten times a second.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, PushInfo, PushKind, RedisError, Value, cmd};
use tokio::sync::oneshot;

use super::keys;
use super::memory::{Known, Server, Shared, unavailable};
use super::nodes::{Node, server_info};
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
    Down { retry_at: Instant },
    Up(Arc<Up>),
}

/// A connection to a server that the feed met.
pub(super) struct Up {
    connection: MultiplexedConnection,
    server: Arc<Server>,
    /// The server said that the store changed or was emptied, or the connection ended: what comes later doesn't count.
    stale: Arc<AtomicBool>,
    lasting: Mutex<Lasting>,
    queue: Mutex<Queue>,
}

/// Claims that wait for the next batch.
#[derive(Default)]
struct Queue {
    waiting: Vec<Waiting>,
    /// Whether a task sees to it that they leave.
    is_leaving: bool,
}

struct Waiting {
    member: Member,
    /// What must be in the store before the answer counts.
    mark: Option<(String, UnixSeconds)>,
    /// On leave of the node that the key is leaving.
    asking: bool,
    /// Whether the set's expiry was seen to.
    lasts: bool,
    answer: oneshot::Sender<Result<Claimed, StoreError>>,
}

/// Sets whose expiry this lane has seen to, a bit for each bucket of a minute.
#[derive(Default)]
struct Lasting(BTreeMap<u64, Box<[u64; 64]>>);

impl Lane {
    fn new(shared: Arc<Shared>, node: Arc<Node>) -> Self {
        let phase = Mutex::new(Phase::Down { retry_at: now() });
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

    /// Claims on a connection. `mark`: what must be in the store before the answer counts.
    pub(super) async fn claim(
        self: &Arc<Self>,
        up: &Arc<Up>,
        member: Member,
        mark: Option<(String, UnixSeconds)>,
        asking: bool,
    ) -> Result<Claimed, StoreError> {
        let (answer, answered) = oneshot::channel();
        let lasts = up.lasts(&member);
        let waiting = Waiting {
            member,
            mark,
            asking,
            lasts,
            answer,
        };
        let starts = {
            let mut queue = up.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.waiting.push(waiting);
            !std::mem::replace(&mut queue.is_leaving, true)
        };
        if starts {
            // It outlives whoever started it, as long as anybody waits: a round trip, or the timeout of one.
            tokio::spawn(Arc::clone(self).send_batches(Arc::clone(up)));
        }
        answered
            .await
            .map_err(|_| unavailable("the lane ended before the answer came"))?
    }

    /// Sends what waits, batch by batch, until nothing does.
    async fn send_batches(self: Arc<Self>, up: Arc<Up>) {
        loop {
            let batch = {
                let mut queue = up.queue.lock().unwrap_or_else(PoisonError::into_inner);
                if queue.waiting.is_empty() {
                    queue.is_leaving = false;
                    return;
                }
                std::mem::take(&mut queue.waiting)
            };
            self.send(&up, batch).await;
        }
    }

    async fn send(&self, up: &Arc<Up>, batch: Vec<Waiting>) {
        let mut pipeline = Pipeline::with_capacity(batch.len());
        for waiting in &batch {
            waiting.add_to(&mut pipeline);
        }
        let mut connection = up.connection.clone();
        let answers = if up.stale.load(Ordering::SeqCst) {
            Err(None)
        } else {
            let count = pipeline.len();
            let answers = connection.send_packed_commands(&pipeline, 0, count).await;
            // Whatever the server said of itself came before these answers.
            let is_stale = up.stale.load(Ordering::SeqCst);
            answers
                .map_err(Some)
                .and_then(|answers| if is_stale { Err(None) } else { Ok(answers) })
        };
        match answers {
            Ok(answers) => {
                let mut answers = answers.into_iter();
                for waiting in batch {
                    let own = answers.by_ref().take(waiting.commands()).collect();
                    let outcome = waiting.outcome(own);
                    if matches!(outcome, Err(StoreError::Unavailable(_))) {
                        self.give_up(up);
                    }
                    if matches!(outcome, Ok(Claimed::Fresh | Claimed::Used)) && !waiting.lasts {
                        up.note_lasting(&waiting.member);
                    }
                    // Who went away needs no answer.
                    drop(waiting.answer.send(outcome));
                }
            }
            Err(error) => {
                self.give_up(up);
                for waiting in batch {
                    let outcome = match &error {
                        None => unavailable("the server lost or changed its memory of nonces"),
                        Some(error) => StoreError::Unavailable(Box::new(error.clone())),
                    };
                    drop(waiting.answer.send(Err(outcome)));
                }
            }
        }
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
            Err(_) => Phase::Down {
                retry_at: now() + RETRY,
            },
        };
        drop(phase);
        drop(dialing);
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
                *phase = Phase::Down { retry_at: now() };
                Ok(None)
            }
            Phase::Up(up) => Ok(Some(Arc::clone(up))),
            Phase::Down { retry_at } if *retry_at > now() => Err(unavailable("the server failed a moment ago")),
            Phase::Down { .. } => Ok(None),
        }
    }

    fn give_up(&self, up: &Arc<Up>) {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(&*phase, Phase::Up(current) if Arc::ptr_eq(current, up)) {
            *phase = Phase::Down {
                retry_at: now() + RETRY,
            };
        }
        drop(phase);
        self.shared.look.notify_one();
    }

    /// Connects, asks to be told when the store changes or is emptied, and sees that the server is one that the feed met.
    async fn dial(&self) -> Result<Arc<Up>, StoreError> {
        let io = |error: RedisError| StoreError::Unavailable(Box::new(error));
        let stale = Arc::new(AtomicBool::new(false));
        let hears = Arc::clone(&stale);
        let push = move |info: PushInfo| {
            if matches!(info.kind, PushKind::Invalidate | PushKind::Disconnection) {
                hears.store(true, Ordering::SeqCst);
            }
        };
        let mut connection = self.shared.dialer.connect(&self.node, push).await.map_err(io)?;
        cmd("CLIENT")
            .arg("TRACKING")
            .arg("ON")
            .exec_async(&mut connection)
            .await
            .map_err(io)?;
        let mut moved = self.shared.moved();
        let known = self.shared.known()?;
        // What is read here is also what makes the server tell of its change.
        let info = server_info(&mut connection).await.map_err(io)?;
        let guarded = info.id_with_guard(&mut connection, known.map.first_bucket(&self.node));
        let id = guarded.await.map_err(io)?;
        let store: Option<(String, u64)> = if known.map.is_cluster() {
            None
        } else {
            let mut read = cmd("HMGET");
            read.arg(keys::STORE).arg("identity").arg("version");
            Some(read.query_async(&mut connection).await.map_err(io)?)
        };
        let met = |known: &Known| {
            let server = known.server_of(&self.node).filter(|server| server.id == id);
            let is_same =
                |(identity, version): &(String, u64)| known.identity == *identity && known.version >= *version;
            server.filter(|_| store.as_ref().is_none_or(is_same)).cloned()
        };
        loop {
            if let Some(server) = met(&*self.shared.known()?) {
                return Ok(Arc::new(Up {
                    connection,
                    server,
                    stale,
                    lasting: Mutex::default(),
                    queue: Mutex::default(),
                }));
            }
            self.shared.look.notify_one();
            if moved.changed().await.is_err() {
                return Err(unavailable("the store is closed"));
            }
        }
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

impl Waiting {
    fn key(&self) -> String {
        keys::nonces(self.member.bucket, self.member.minute)
    }

    /// The claim with what must go along: expiry of a set that this lane touches first, a mark, the leave to ask early.
    fn add_to(&self, pipeline: &mut Pipeline) {
        let key = self.key();
        if self.asking {
            pipeline.cmd("ASKING");
        }
        // A set of integers stays small: members are signed 64-bit numbers.
        let mut add = Cmd::with_capacity(3, 64);
        add.arg("SADD").arg(&key).arg(self.member.hash.cast_signed());
        pipeline.add_command(add);
        if !self.lasts {
            if self.asking {
                pipeline.cmd("ASKING");
            }
            pipeline.cmd("EXPIRE").arg(&key).arg(KEPT_FOR);
        }
        if let Some((member, timestamp)) = &self.mark {
            pipeline
                .cmd("ZADD")
                .arg(keys::AHEAD)
                .arg("GT")
                .arg(timestamp)
                .arg(member);
        }
    }

    /// How many [`Waiting::add_to`] adds.
    fn commands(&self) -> usize {
        let asking = usize::from(self.asking);
        1 + asking + usize::from(!self.lasts) * (1 + asking) + usize::from(self.mark.is_some())
    }

    /// What the answers to its own commands come to: fresh only if none of them failed.
    fn outcome(&self, answers: Vec<Value>) -> Result<Claimed, StoreError> {
        let answers: Result<Vec<Value>, RedisError> = answers.into_iter().map(Value::extract_error).collect();
        match answers.map(|answers| answers.into_iter().nth(usize::from(self.asking))) {
            Ok(Some(Value::Int(1))) => Ok(Claimed::Fresh),
            Ok(Some(Value::Int(_))) => Ok(Claimed::Used),
            Ok(_) => Err(StoreError::Corrupt(self.key())),
            Err(error) => self.failed(error),
        }
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

/// Between two dials.
const RETRY: Duration = Duration::from_millis(100);
/// Minutes that requests may name at a time, with room.
const MOST_MINUTES: usize = 64;
/// Nodes and stores that one thread speaks to.
const MOST_LANES: usize = 256;
