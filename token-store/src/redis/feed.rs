//! The feed: one connection to the records' primary that hears every change, shows four times a second that it still does,
//! and meets servers: who they are, whether nonces were lost, from when on requests count again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, PushInfo, PushKind, RedisError, Value, cmd};
use tokio::sync::mpsc;

use super::keys;
use super::memory::{Known, Server, Shared, State, StoreClock};
use super::nodes::{Map, Node, server_info};
use super::script::{BEAT, GREET};
use crate::codec::{decode, encode};
use crate::nonce::LONGEST_WINDOW;
use crate::{Change, StoreError, UnixSeconds};

/// What to do where there is no store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    /// Make one: nothing was known before.
    Make,
    /// `countersign store init` says that it is a new one.
    Init,
    /// It was lost.
    Find,
}

/// Why a store could not be met.
#[derive(Debug, thiserror::Error)]
pub(super) enum MeetError {
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// Not the store that was known.
    #[error("the store lost its identity")]
    Lost,
    /// None of the keys opens it.
    #[error("none of store.encryption_keys opens what the store holds")]
    WrongKey,
    /// It would evict what must be kept.
    #[error("Redis has maxmemory-policy {0}, which evicts nonces and tokens: set it to noeviction")]
    Evicts(String),
    #[error(transparent)]
    Store(StoreError),
}

/// A connection to the records' primary, and what was learnt on it.
pub(super) struct Feed {
    shared: Arc<Shared>,
    connection: MultiplexedConnection,
    pushes: mpsc::UnboundedReceiver<PushInfo>,
    /// The identity that is insisted on.
    identity: Option<String>,
}

/// Runs until the store is closed. `first` is the feed that the opening made, if the server was reached.
pub(super) async fn run(shared: Arc<Shared>, first: Option<Feed>, mut identity: Option<String>) {
    let mut next = first;
    let mut said = String::new();
    while !shared.closed.load(Ordering::Acquire) {
        if let Some(mut feed) = next.take() {
            identity.clone_from(&feed.identity);
            let ended = feed.listen().await;
            if shared.closed.load(Ordering::Acquire) {
                return;
            }
            tracing::warn!(error = %ended, "the store's feed of changes broke; credentials are read from the store until it is back");
        }
        let absent = if identity.is_some() { Absent::Find } else { Absent::Make };
        match Feed::meet(&shared, identity.clone(), absent).await {
            Ok(feed) => {
                tracing::info!("the store is reached");
                said.clear();
                next = Some(feed);
            }
            Err(error) => {
                // What answers there now, if anything, is not a server that was met: a replica for instance.
                shared.set(match error {
                    MeetError::Lost => State::Lost,
                    MeetError::Redis(_) | MeetError::WrongKey | MeetError::Evicts(_) | MeetError::Store(_) => {
                        State::Unreached
                    }
                });
                // Tried ten times a second, said when it is news.
                let text = error.to_string();
                if text != said {
                    tracing::warn!(error = text, "the store is not reached; trying again");
                    said = text;
                }
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

impl Feed {
    /// Finds the primaries, meets each, and makes what is known of them the state.
    pub(super) async fn meet(
        shared: &Arc<Shared>,
        identity: Option<String>,
        absent: Absent,
    ) -> Result<Self, MeetError> {
        let map = shared.dialer.find().await?;
        let home = Arc::clone(map.home().ok_or_else(|| client("no server holds the records"))?);
        let (heard, pushes) = mpsc::unbounded_channel();
        let push = move |info: PushInfo| {
            // Nobody listens any more: the feed is being replaced.
            drop(heard.send(info));
        };
        let mut connection = shared.dialer.connect(&home, push).await?;
        let channel = keys::changes(shared.dialer.address.db);
        connection.subscribe(channel).await?;
        let mut feed = Self {
            shared: Arc::clone(shared),
            connection,
            pushes,
            identity,
        };
        feed.take_stock(map, &home, absent).await?;
        // Whatever was read before this connection listened may have changed unheard.
        shared.tell(&[Change::Everything]);
        Ok(feed)
    }

    /// Who each primary is, and what that says of its nonces.
    async fn take_stock(&mut self, map: Map, home: &Arc<Node>, absent: Absent) -> Result<(), MeetError> {
        let mut servers = Vec::new();
        for node in map.nodes() {
            let id = if Arc::ptr_eq(node, home) {
                visit(&mut self.connection, map.first_bucket(node)).await?
            } else {
                let mut connection = self.shared.dialer.connect(node, |_| ()).await?;
                visit(&mut connection, map.first_bucket(node)).await?
            };
            servers.push(self.shared.server(&id));
        }
        let known = self.greet(map, servers, absent).await?;
        if !self
            .shared
            .load()
            .known()
            .is_ok_and(|before| before.identity == known.identity)
        {
            tracing::debug!(identity = known.identity, "met the store");
        }
        self.identity = Some(known.identity.clone());
        self.shared.set(State::Known(Arc::new(known)));
        Ok(())
    }

    async fn greet(&mut self, map: Map, servers: Vec<Arc<Server>>, absent: Absent) -> Result<Known, MeetError> {
        let served_elsewhere = self.shared.served_elsewhere(&servers);
        let mut met = None;
        for server in &servers {
            let marks = self.marks_unknown_to(&server.id);
            let greeting = greet(
                &self.shared,
                &mut self.connection,
                absent,
                (&server.id, served_elsewhere, marks),
            );
            met = Some(greeting.await?);
        }
        let met = met.ok_or_else(|| client("no server holds a slot"))?;
        if let Some(known) = &self.identity
            && *known != met.identity
        {
            // Also where it is said to be the new one: none of our marks is in it, so it is met like a stranger.
            let was_believed = self.shared.load().known().is_ok();
            if was_believed || met.origin != "init" {
                self.shared.set(State::Lost);
                return Err(MeetError::Lost);
            }
        }
        let hash_key = decode(&self.shared.sealer, CANARY, &met.canary).map_err(|_| MeetError::WrongKey)?;
        let instant = now();
        Ok(Known {
            identity: met.identity,
            hash_key,
            map,
            servers,
            version: met.version,
            floor: met.floor,
            settles_at: instant + SETTLING.saturating_sub(Duration::from_millis(met.since_floor_millis)),
            settled: met.since_floor_millis > FORGOTTEN_MILLIS,
            ahead_before: Arc::default(),
            clock: StoreClock {
                millis: met.millis,
                at: instant,
            },
        })
    }

    /// Only who met another server before can know of marks that this one lacks.
    fn marks_unknown_to(&self, id: &str) -> Vec<(String, UnixSeconds)> {
        let state = self.shared.load();
        match state.known() {
            Ok(known) if known.servers.iter().any(|one| one.id == id) => Vec::new(),
            Ok(known) => self.shared.marks(known.clock.now(now())),
            Err(_) => self.shared.marks(0),
        }
    }

    /// Hears changes and beats, until the connection breaks.
    async fn listen(&mut self) -> MeetError {
        let mut beats = tokio::time::interval(BEAT_EVERY);
        beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let shared = Arc::clone(&self.shared);
        let mut count = 0_u64;
        loop {
            tokio::select! {
                biased;
                push = self.pushes.recv() => match push {
                    Some(info) if info.kind == PushKind::Message => shared.tell(&changes_of(&info)),
                    Some(info) if info.kind == PushKind::Disconnection => {
                        return client("the server closed the connection");
                    }
                    Some(_) => {}
                    None => return client("the connection ended"),
                },
                _ = beats.tick() => {
                    if shared.closed.load(Ordering::Acquire) {
                        return client("closed");
                    }
                    if let Err(error) = self.beat(count).await {
                        if matches!(error, MeetError::Lost) {
                            shared.set(State::Lost);
                        }
                        return error;
                    }
                    count += 1;
                }
                () = shared.look.notified() => {
                    // A lane met something else than is known here: look, but not in a circle.
                    if let Err(error) = self.look_again().await {
                        return error;
                    }
                    tokio::time::sleep(LOOK_PAUSE).await;
                }
            }
        }
    }

    /// One heartbeat. Its answer comes after every change that was published before it.
    async fn beat(&mut self, count: u64) -> Result<(), MeetError> {
        let known = self.shared.known().map_err(MeetError::Store)?;
        let freshness = Arc::clone(&self.shared.freshness);
        let asked = now();
        let mut beat = BEAT.prepare_invoke();
        beat.key(keys::STORE).key(keys::BEAT).arg(&known.identity);
        let (millis, version): (u64, u64) = beat.invoke_async(&mut self.connection).await.map_err(of_identity)?;
        while let Ok(info) = self.pushes.try_recv() {
            if info.kind == PushKind::Message {
                self.shared.tell(&changes_of(&info));
            } else if info.kind == PushKind::Disconnection {
                return Err(client("the connection ended"));
            }
        }
        freshness.heard(freshness.millis(asked).saturating_add(BELIEVED_MILLIS));
        if version != known.version {
            return self.look_again().await;
        }
        self.settle(&known, StoreClock { millis, at: now() }).await?;
        if count.is_multiple_of(TRIM_EVERY) {
            let before = millis / 1000;
            cmd("ZREMRANGEBYSCORE")
                .arg(keys::AHEAD)
                .arg("-inf")
                .arg(format!("({before}"))
                .exec_async(&mut self.connection)
                .await?;
        }
        Ok(())
    }

    /// Keeps the clock, and once the second after a loss is over reads the marks of all gateways.
    async fn settle(&mut self, known: &Arc<Known>, clock: StoreClock) -> Result<(), MeetError> {
        let mut next = Known {
            identity: known.identity.clone(),
            hash_key: known.hash_key,
            map: known.map.clone(),
            servers: known.servers.clone(),
            ahead_before: Arc::default(),
            clock,
            ..**known
        };
        if known.settled {
            // Past that nobody asks for them.
            if clock.now(now()) <= known.floor.saturating_add(LONGEST_WINDOW * 2) {
                next.ahead_before = Arc::clone(&known.ahead_before);
            }
        } else if now() >= known.settles_at {
            let marks: Vec<(String, u64)> = cmd("ZRANGEBYSCORE")
                .arg(keys::AHEAD)
                .arg(format!("({}", known.floor))
                .arg("+inf")
                .arg("WITHSCORES")
                .query_async(&mut self.connection)
                .await?;
            next.ahead_before = Arc::new(marks.into_iter().collect());
            next.settled = true;
        }
        self.shared.set(State::Known(Arc::new(next)));
        Ok(())
    }

    /// Meets the servers anew on this connection; where the records moved, the connection is given up.
    async fn look_again(&mut self) -> Result<(), MeetError> {
        let known = self.shared.known().map_err(MeetError::Store)?;
        let map = self.shared.dialer.find().await?;
        match (map.home().cloned(), known.map.home()) {
            (Some(home), Some(before)) if Arc::ptr_eq(&home, before) => self.take_stock(map, &home, Absent::Find).await,
            _ => Err(client("the records have moved to another server")),
        }
    }

    /// The identity that this feed insists on.
    pub(super) fn identity(&self) -> Option<&String> {
        self.identity.as_ref()
    }
}

/// Says that the store is a new one, or makes it. The feeds of all gateways meet it then as they meet any.
pub(super) async fn init(shared: &Shared) -> Result<(), MeetError> {
    let map = shared.dialer.find().await?;
    let home = map.home().ok_or_else(|| client("no server holds the records"))?;
    let mut connection = shared.dialer.connect(home, |_| ()).await?;
    server_info(&mut connection).await?;
    let asks_only = ("", 0, Vec::new());
    greet(shared, &mut connection, Absent::Init, asks_only).await?;
    Ok(())
}

/// Who a primary is.
async fn visit(connection: &mut MultiplexedConnection, first_bucket: Option<u16>) -> Result<String, MeetError> {
    let info = server_info(connection).await?;
    if info.eviction != KEEPS {
        return Err(MeetError::Evicts(info.eviction));
    }
    if let Some(bucket) = first_bucket {
        let mut octets = [0_u8; 8];
        aws_lc_rs::rand::fill(&mut octets).map_err(no_randomness)?;
        let mut guard = cmd("SET");
        guard.arg(keys::guard(bucket)).arg(crate::codec::hex(&octets)).arg("NX");
        guard.exec_async(connection).await?;
    }
    Ok(info.id_with_guard(connection, first_bucket).await?)
}

/// Greets a server on the connection to the home of the records: its id, the last second in which we served on another,
/// and our marks.
async fn greet(
    shared: &Shared,
    connection: &mut MultiplexedConnection,
    absent: Absent,
    (id, served, marks): (&str, UnixSeconds, Vec<(String, UnixSeconds)>),
) -> Result<Met, MeetError> {
    let (identity, canary) = new_store(shared)?;
    let mut greeting = GREET.prepare_invoke();
    greeting
        .key(keys::STORE)
        .key(keys::SERVERS)
        .key(keys::AHEAD)
        .key(keys::COUNTERS);
    let absent = match absent {
        Absent::Make => "make",
        Absent::Init => "init",
        Absent::Find => "find",
    };
    greeting.arg(id).arg(served).arg(absent).arg(identity).arg(canary);
    for (member, timestamp) in marks {
        greeting.arg(member).arg(timestamp);
    }
    let answer: (String, Vec<u8>, String, u64, u64, u64, u64) =
        greeting.invoke_async(connection).await.map_err(of_identity)?;
    let (identity, canary, origin, version, floor, since_floor_millis, millis) = answer;
    Ok(Met {
        identity,
        canary,
        origin,
        version,
        floor,
        since_floor_millis,
        millis,
    })
}

/// What a greeting answers.
struct Met {
    identity: String,
    canary: Vec<u8>,
    origin: String,
    version: u64,
    floor: u64,
    since_floor_millis: u64,
    millis: u64,
}

/// A new identity and its canary, for the case that there is no store yet.
fn new_store(shared: &Shared) -> Result<(String, Vec<u8>), MeetError> {
    let mut octets = [0_u8; 32];
    aws_lc_rs::rand::fill(&mut octets).map_err(no_randomness)?;
    let (identity, key) = octets.split_at(16);
    let mut hash_key = [0_u8; 16];
    hash_key.copy_from_slice(key);
    let canary = encode(&shared.sealer, CANARY, &hash_key).map_err(MeetError::Store)?;
    Ok((crate::codec::hex(identity), canary))
}

fn no_randomness(_: aws_lc_rs::error::Unspecified) -> MeetError {
    MeetError::Store(super::memory::unavailable("the system gave no random octets"))
}

/// A fault that no server named.
fn client(what: &'static str) -> MeetError {
    RedisError::from((ErrorKind::Client, what)).into()
}

/// The scripts' own error for a store that is not the known one.
fn of_identity(error: RedisError) -> MeetError {
    if error.code() == Some("IDENTITY") {
        MeetError::Lost
    } else {
        error.into()
    }
}

/// What a published message says; one that can't be read says that anything may have changed.
fn changes_of(info: &PushInfo) -> Vec<Change> {
    let text = match info.data.as_slice() {
        [_, Value::BulkString(text)] => serde_json::from_slice(text).ok(),
        _ => None,
    };
    text.unwrap_or_else(|| vec![Change::Everything])
}

#[expect(
    clippy::disallowed_methods,
    reason = "the feed's own pace, and when the store's clock was heard"
)]
fn now() -> Instant {
    Instant::now()
}

/// The row name of the canary.
const CANARY: &str = "canary";
/// The only eviction policy under which nothing is forgotten.
const KEEPS: &str = "noeviction";
const BEAT_EVERY: Duration = Duration::from_millis(250);
/// How long memory is believed after a heartbeat.
const BELIEVED_MILLIS: u64 = 1000;
/// Nobody serves in the second after a loss: until all gateways have marked what they served ahead of the clock.
const SETTLING: Duration = Duration::from_secs(1);
/// A floor that old concerns no request any more.
const FORGOTTEN_MILLIS: u64 = 2 * LONGEST_WINDOW * 1000;
const AGAIN: Duration = Duration::from_millis(100);
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// In heartbeats: marks whose second has passed are dropped once a minute.
const TRIM_EVERY: u64 = 240;
