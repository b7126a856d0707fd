//! A lane: one thread's own connection to one primary, on which nonces are claimed. Commands that wait together leave in
//! one write. A lane is given up at the first error and dialled again with the next claim, at most ten times a second.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, PushInfo, PushKind, RedisError, Value, cmd};

use super::keys;
use super::memory::{Known, Server, Shared, unavailable};
use super::nodes::{Node, server_info};
use crate::nonce::KEPT_FOR;
use crate::{StoreError, UnixSeconds};

/// A nonce as it is claimed.
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
        &self,
        up: &Arc<Up>,
        member: &Member,
        mark: Option<(&str, UnixSeconds)>,
        asking: bool,
    ) -> Result<Claimed, StoreError> {
        let key = keys::nonces(member.bucket, member.minute);
        // A set of integers stays small: members are signed 64-bit numbers.
        let mut add = cmd("SADD");
        add.arg(&key).arg(member.hash.cast_signed());
        let lasts = up.lasts(member);
        let mut connection = up.connection.clone();
        let answer = if lasts && mark.is_none() && !asking {
            connection.send_packed_command(&add).await
        } else {
            let pipeline = with_more(add, &key, lasts, mark, asking);
            let count = pipeline.len();
            let answers = connection.send_packed_commands(&pipeline, 0, count).await;
            answers.and_then(|answers| first_after(answers, usize::from(asking)))
        };
        match answer {
            Ok(Value::Int(added)) => {
                // Whatever the server said of itself came before this answer.
                if up.stale.load(Ordering::SeqCst) {
                    self.give_up(up);
                    return Err(unavailable("the server lost or changed its memory of nonces"));
                }
                if !lasts {
                    up.note_lasting(member);
                }
                Ok(if added == 1 { Claimed::Fresh } else { Claimed::Used })
            }
            Ok(_) => Err(StoreError::Corrupt(key)),
            Err(error) => self.failed(up, error, key),
        }
    }

    fn failed(&self, up: &Arc<Up>, error: RedisError, key: String) -> Result<Claimed, StoreError> {
        match error.code() {
            Some("MOVED") => return Ok(Claimed::Moved),
            Some("ASK") => {
                if let Some((host, port)) = error.redirect_node().and_then(|(node, _)| node.rsplit_once(':')) {
                    return Ok(Claimed::Ask(host.to_owned(), port.parse().unwrap_or_default()));
                }
            }
            Some("WRONGTYPE") => return Err(StoreError::Corrupt(key)),
            Some(_) | None => {}
        }
        self.give_up(up);
        Err(StoreError::Unavailable(Box::new(error)))
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
        let id = server_info(&mut connection).await.map_err(io)?.id;
        let mut moved = self.shared.moved();
        let known = self.shared.known()?;
        let version: Option<u64> = if known.map.is_cluster() {
            None
        } else {
            // Reading it is also what makes the server tell of its change.
            let version = cmd("HGET")
                .arg(keys::STORE)
                .arg("version")
                .query_async(&mut connection)
                .await;
            Some(version.map_err(io)?)
        };
        let met = |known: &Known| {
            let server = known.server_of(&self.node).filter(|server| server.id == id);
            server
                .filter(|_| version.is_none_or(|version| known.version >= version))
                .cloned()
        };
        loop {
            if let Some(server) = met(&*self.shared.known()?) {
                return Ok(Arc::new(Up {
                    connection,
                    server,
                    stale,
                    lasting: Mutex::default(),
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

/// The claim with what must go along: expiry of a set that this lane touches first, a mark, the leave to ask early.
fn with_more(add: Cmd, key: &str, lasts: bool, mark: Option<(&str, UnixSeconds)>, asking: bool) -> Pipeline {
    let mut pipeline = redis::pipe();
    if asking {
        pipeline.cmd("ASKING");
    }
    pipeline.add_command(add);
    if !lasts {
        if asking {
            pipeline.cmd("ASKING");
        }
        pipeline.cmd("EXPIRE").arg(key).arg(KEPT_FOR);
    }
    if let Some((member, timestamp)) = mark {
        pipeline
            .cmd("ZADD")
            .arg(keys::AHEAD)
            .arg("GT")
            .arg(timestamp)
            .arg(member);
    }
    pipeline
}

/// The claim's own answer, once nothing of the pipeline failed.
fn first_after(answers: Vec<Value>, skip: usize) -> Result<Value, RedisError> {
    let answers: Vec<Value> = answers
        .into_iter()
        .map(Value::extract_error)
        .collect::<Result<_, _>>()?;
    Ok(answers.into_iter().nth(skip).unwrap_or(Value::Nil))
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
