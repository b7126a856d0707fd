//! The feed: one connection to the records' primary that hears every change, shows four times a second that it still does,
//! and meets servers: who they are, whether nonces were lost, from when on requests count again.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{PushInfo, PushKind, Value, cmd};
use tokio::sync::mpsc;

use super::keys;
use super::meet::{
    ASKS_ONLY, Absent, CANARY, MeetError, Met, check_keys, client, give, greet, keeps_all, mark_key, marks_above,
    pulse, visit,
};
use super::memory::{Known, Server, Shared, State, StoreClock};
use super::nodes::{Map, Node, no_host, server_info};
use crate::codec::decode;
use crate::nonce::KEPT_FOR;
use crate::{Change, UnixSeconds};

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
    let mut tried_at = now();
    while !shared.closed.load(Ordering::Acquire) {
        if let Some(mut feed) = next.take() {
            identity.clone_from(&feed.identity);
            let ended = feed.listen().await;
            if shared.closed.load(Ordering::Acquire) {
                return;
            }
            tracing::warn!(error = %ended, "the store's feed of changes broke; credentials are read from the store until it is back");
        }
        // Whatever it is that ends: ten times a second at the most.
        tokio::time::sleep((tried_at + AGAIN).saturating_duration_since(now())).await;
        tried_at = now();
        let absent = if identity.is_some() { Absent::Find } else { Absent::Make };
        match Feed::meet(&shared, identity.clone(), absent).await {
            Ok(mut feed) => {
                tracing::info!("the store is reached");
                said.clear();
                // Who serves already goes on with what can be read.
                if let Err(error @ MeetError::KeyMissing) = feed.check_keys().await {
                    tracing::error!(%error, "a part of the store can't be read");
                }
                next = Some(feed);
            }
            Err(error) => {
                let text = error.to_string();
                // What answers there now, if anything, is not a server that was met: a replica for instance.
                match error {
                    MeetError::Lost => shared.set(State::Lost),
                    // Who knows what it has evicted: it is met like a stranger.
                    MeetError::Evicts(_) => shared.set_unreached(text.clone(), false),
                    MeetError::Redis(_) | MeetError::WrongKey | MeetError::KeyMissing | MeetError::Store(_) => {
                        shared.set_unreached(text.clone(), true);
                    }
                }
                // Said when it is news.
                if text != said {
                    tracing::warn!(error = text, "the store is not reached; trying again");
                    said = text;
                }
            }
        }
    }
}

impl Feed {
    /// Whether all keys are given that ever sealed something; if so, the first is marked as one of them.
    pub(super) async fn check_keys(&mut self) -> Result<(), MeetError> {
        let (sealer, connection) = (&self.shared.sealer, &mut self.connection);
        check_keys(sealer, connection).await?;
        mark_key(sealer, connection).await
    }

    /// Finds the primaries, meets each, and makes what is known of them the state. Who knows of none, or of some that can't be
    /// met, decides nothing: the next is asked.
    pub(super) async fn meet(
        shared: &Arc<Shared>,
        identity: Option<String>,
        absent: Absent,
    ) -> Result<Self, MeetError> {
        let mut maps = shared.dialer.maps();
        let mut failed = MeetError::Redis(no_host());
        while let Some(map) = maps.next().await {
            let met = match map {
                Ok(map) => Self::meet_all_of(shared, map, identity.clone(), absent).await,
                Err(error) => Err(error.into()),
            };
            match met {
                Ok(feed) => return Ok(feed),
                // What a store said of itself tells more than that another server did not answer.
                Err(MeetError::Redis(_)) if !matches!(failed, MeetError::Redis(_)) => {}
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    async fn meet_all_of(
        shared: &Arc<Shared>,
        map: Map,
        identity: Option<String>,
        absent: Absent,
    ) -> Result<Self, MeetError> {
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
        // A greeting among acquaintances writes nothing: only a heartbeat shows that writes are taken.
        pulse(&mut self.connection, &known.identity).await?;
        if !self
            .shared
            .load()
            .known()
            .is_ok_and(|before| before.identity == known.identity)
        {
            tracing::debug!(identity = known.identity, "met the store");
        }
        self.identity = Some(known.identity.clone());
        self.shared.dialer.note_met(&known.map);
        self.shared.set(State::Known(Arc::new(known)));
        Ok(())
    }

    async fn greet(&mut self, map: Map, servers: Vec<Arc<Server>>, absent: Absent) -> Result<Known, MeetError> {
        let was_met = |known: &Arc<Known>| {
            let is_of_it = |server: &Arc<Server>| known.servers.iter().any(|one| one.id == server.id);
            servers.iter().all(is_of_it)
        };
        let are_known = self.shared.load().last_met().is_some_and(was_met);
        if !are_known && self.shared.known().is_ok() {
            // What an earlier server answers from here on would be missing in what the others are told of it.
            self.shared.set_unreached(REPLACED.to_owned(), true);
        }
        let served_elsewhere = self.shared.served_elsewhere(&servers);
        let gave = !are_known && self.give_marks(absent, served_elsewhere).await?;
        let mut met = None;
        for server in &servers {
            let greeting = (server.id.as_str(), served_elsewhere, gave);
            met = Some(greet(&self.shared, &mut self.connection, absent, greeting).await?);
        }
        let met = met.ok_or_else(|| client("no server holds a slot"))?;
        self.insist_on_identity(&met)?;
        let hash_key = decode(&self.shared.sealer, CANARY, &met.canary).map_err(|_| MeetError::WrongKey)?;
        // What it holds is older than what was met: nothing of that says what it lacks.
        let was_restored = |before: &Arc<Known>| before.version > met.version;
        if self.shared.load().last_met().is_some_and(was_restored) {
            let why = "the store holds an older state than it did";
            self.shared.set_unreached(why.to_owned(), false);
            return Err(client(why));
        }
        let instant = now();
        let unchanged = self.unchanged(&met, &servers);
        Ok(Known {
            identity: met.identity,
            hash_key,
            map,
            servers,
            version: met.version,
            floor: met.floor,
            settles_at: instant + SETTLING.saturating_sub(Duration::from_millis(met.since_floor_millis)),
            settled: met.since_floor_millis > FORGOTTEN_MILLIS || unchanged.is_some(),
            ahead_before: unchanged.unwrap_or_default(),
            clock: StoreClock {
                millis: met.millis,
                at: instant,
            },
        })
    }

    /// Whether it is the store that was known, or was said to be the one from now on.
    fn insist_on_identity(&self, met: &Met) -> Result<(), MeetError> {
        if let Some(known) = &self.identity
            && *known != met.identity
        {
            // Also where it is said to be the new one: our marks were kept from a server that may have been emptied, so it is
            // met once more, like a stranger, and is given them.
            let were_withheld = self.shared.load().last_met().is_some();
            if were_withheld || met.origin != "init" {
                self.shared.set(State::Lost);
                return Err(MeetError::Lost);
            }
        }
        Ok(())
    }

    /// Gives our marks to a store that may lack some, before the greeting makes everybody read them; answers whether it did.
    ///
    /// Only who met another server before can know of marks that this one lacks. The servers that were met last, the way to
    /// them broken off meanwhile or not, lack none of ours: each mark of before that meeting was given to them in it, each
    /// later one stands beside its nonce there, and what is answered while the store isn't reached serves nobody. A server
    /// that loses them is another one: by its id after a restart, a promotion or a copy; by the store's identity, which is
    /// looked at, after a flush. Marks that are sent make all gateways read all marks anew, and refuse what those cast doubt
    /// on: sent without need, they would make a break of one gateway's network everybody's.
    async fn give_marks(&mut self, absent: Absent, served_elsewhere: UnixSeconds) -> Result<bool, MeetError> {
        if !self.shared.has_marks() {
            return Ok(false);
        }
        let met = greet(&self.shared, &mut self.connection, absent, ASKS_ONLY).await?;
        self.insist_on_identity(&met)?;
        // Others matter no more: the floor is that high already, or will be with the greeting.
        let marks = self.shared.marks(met.floor.max(served_elsewhere));
        give(&mut self.connection, &met.identity, &marks).await?;
        Ok(!marks.is_empty())
    }

    /// The marks that counted when this store was last met, if nothing was lost since and all had been read.
    ///
    /// Whoever meets a server that it doesn't know, or brings marks to one, moves the version; that is how gateways hear
    /// of a loss. Under the same version, floor and servers the marks that were read then are all that matter: what was
    /// marked since has its nonce in these very servers.
    fn unchanged(&self, met: &Met, servers: &[Arc<Server>]) -> Option<Arc<HashMap<String, UnixSeconds>>> {
        let state = self.shared.load();
        let before = state.last_met().filter(|before| before.settled)?;
        let is_same = before.identity == met.identity && before.version == met.version && before.floor == met.floor;
        let are_same = before.servers.len() == servers.len()
            && servers
                .iter()
                .all(|one| before.servers.iter().any(|other| Arc::ptr_eq(one, other)));
        (is_same && are_same).then(|| Arc::clone(&before.ahead_before))
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
        let (millis, version) = pulse(&mut self.connection, &known.identity).await?;
        freshness.beat(now().saturating_duration_since(asked));
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
            self.look_at_memory(&known).await?;
            self.shared.forget_marks(millis / 1000);
            // Also after its second has passed: a gateway that starts after a loss has to find it for as long as a request may
            // name it.
            let forgotten = (millis / 1000).saturating_sub(KEPT_FOR);
            cmd("ZREMRANGEBYSCORE")
                .arg(keys::AHEAD)
                .arg("-inf")
                .arg(format!("({forgotten}"))
                .exec_async(&mut self.connection)
                .await?;
        }
        Ok(())
    }

    /// What a server was told to do when its memory is full may be changed at any time.
    async fn look_at_memory(&mut self, known: &Known) -> Result<(), MeetError> {
        for node in known.map.nodes() {
            let is_home = known.map.home().is_some_and(|home| Arc::ptr_eq(home, node));
            let info = if is_home {
                server_info(&mut self.connection).await?
            } else {
                server_info(&mut self.shared.dialer.connect(node, |_| ()).await?).await?
            };
            if info.memory_limit > 0 && info.memory >= info.memory_limit / 100 * MUCH {
                let (used, most) = (info.memory, info.memory_limit);
                tracing::warn!(server = %node.host, port = node.port, used, most, "Redis is nearly full: at maxmemory it takes no more writes, and then nobody is served");
            }
            keeps_all(info)?;
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
            if clock.now(now()) <= known.floor.saturating_add(KEPT_FOR) {
                next.ahead_before = Arc::clone(&known.ahead_before);
            }
        } else if now() >= known.settles_at {
            next.ahead_before = Arc::new(marks_above(&mut self.connection, known.floor).await?);
            next.settled = true;
        }
        self.shared.set(State::Known(Arc::new(next)));
        Ok(())
    }

    /// Meets the servers anew on this connection; where the records moved, the connection is given up. Just after a change
    /// not all servers of a Cluster know of it: who names others than those that take writes is passed over.
    async fn look_again(&mut self) -> Result<(), MeetError> {
        let known = self.shared.known().map_err(MeetError::Store)?;
        let shared = Arc::clone(&self.shared);
        let mut maps = shared.dialer.maps();
        let mut failed = MeetError::Redis(no_host());
        while let Some(map) = maps.next().await {
            let met = match map {
                Ok(map) => match (map.home().cloned(), known.map.home()) {
                    (Some(home), Some(before)) if Arc::ptr_eq(&home, before) => {
                        self.take_stock(map, &home, Absent::Find).await
                    }
                    _ => Err(client("the records have moved to another server")),
                },
                Err(error) => Err(error.into()),
            };
            match met {
                Err(MeetError::Redis(error)) => failed = error.into(),
                Ok(()) | Err(_) => return met,
            }
        }
        Err(failed)
    }

    /// The identity that this feed insists on.
    pub(super) fn identity(&self) -> Option<&String> {
        self.identity.as_ref()
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

const REPLACED: &str = "another server is met";
const BEAT_EVERY: Duration = Duration::from_millis(250);
/// How long memory is believed after a heartbeat.
const BELIEVED_MILLIS: u64 = 1000;
/// Nobody serves in the second after a loss: until all gateways have marked what they served ahead of the clock.
const SETTLING: Duration = Duration::from_secs(1);
/// A floor that old concerns no request any more, not even the latest that was ahead of the clock then.
const FORGOTTEN_MILLIS: u64 = KEPT_FOR * 1000;
const AGAIN: Duration = Duration::from_millis(100);
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// In heartbeats: marks that no request may name any more are dropped once a minute, and the server's memory is looked at. In
/// tests often enough to be awaited, and not so often that it cures what others are there for.
const TRIM_EVERY: u64 = if cfg!(test) { 40 } else { 240 };
/// Per cent of maxmemory from which on it is said.
const MUCH: u64 = 80;
