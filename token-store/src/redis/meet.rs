//! Meeting a server: who it is, whether it keeps what it is given, and what the store on it says of itself.

use std::collections::HashMap;

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisError, cmd};

use super::keys;
use super::memory::Shared;
use super::nodes::{ServerInfo, server_info};
use super::script::{BEAT, GREET, MARK};
use crate::codec::{decode, encode};
use crate::seal::Sealer;
use crate::{StoreError, UnixSeconds};

/// What to do where there is no store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    /// Make one: nothing was known before. Where consumers stand, there was one, and it was lost.
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
    #[error("the store lost its identity: restore it, or run `countersign store init` if it is to go on as a new one")]
    Lost,
    /// None of the keys opens it.
    #[error("none of store.encryption_keys opens what the store holds")]
    WrongKey,
    /// A key that sealed some of it is not among those that are given.
    #[error("some of what the store holds was sealed with a key that is not among store.encryption_keys")]
    KeyMissing,
    /// It would evict what must be kept.
    #[error("Redis has maxmemory-policy {0}, which evicts nonces and tokens: set it to noeviction")]
    Evicts(String),
    #[error(transparent)]
    Store(StoreError),
}

/// Says that the store is a new one, or makes it. The feeds of all gateways meet it then as they meet any.
pub(super) async fn init(shared: &Shared) -> Result<(), MeetError> {
    let map = shared.dialer.find().await?;
    let home = map.home().ok_or_else(|| client("no server holds the records"))?;
    let mut connection = shared.dialer.connect(home, |_| ()).await?;
    server_info(&mut connection).await?;
    // A canary under a key that doesn't open what else is there would shut out those who have the right one.
    check_keys(&shared.sealer, &mut connection).await?;
    greet(shared, &mut connection, Absent::Init, ASKS_ONLY).await?;
    Ok(())
}

/// One heartbeat: the server's time in milliseconds and the version. It is written, so it shows that writes are taken.
pub(super) async fn pulse(connection: &mut MultiplexedConnection, identity: &str) -> Result<(u64, u64), MeetError> {
    let mut beat = BEAT.prepare_invoke();
    beat.key(keys::STORE).key(keys::BEAT).arg(identity);
    beat.invoke_async(connection).await.map_err(of_identity)
}

/// Only a server that never evicts.
pub(super) fn keeps_all(info: ServerInfo) -> Result<ServerInfo, MeetError> {
    if info.eviction == KEEPS {
        Ok(info)
    } else {
        Err(MeetError::Evicts(info.eviction))
    }
}

/// Who a primary is.
pub(super) async fn visit(
    connection: &mut MultiplexedConnection,
    first_bucket: Option<u16>,
) -> Result<String, MeetError> {
    let info = keeps_all(server_info(connection).await?)?;
    if let Some(bucket) = first_bucket {
        let mut octets = [0_u8; 8];
        aws_lc_rs::rand::fill(&mut octets).map_err(no_randomness)?;
        let mut guard = cmd("SET");
        guard.arg(keys::guard(bucket)).arg(crate::codec::hex(&octets)).arg("NX");
        guard.exec_async(connection).await?;
    }
    Ok(info.id_with_guard(connection, first_bucket).await?)
}

/// Gives our marks, in steps that keep a server that nobody else may wait for only shortly.
pub(super) async fn give(
    connection: &mut MultiplexedConnection,
    identity: &str,
    marks: &[(String, UnixSeconds)],
) -> Result<(), MeetError> {
    for some in marks.chunks(MARKS) {
        let mut marking = MARK.prepare_invoke();
        marking.key(keys::STORE).key(keys::AHEAD).arg(identity);
        for (member, timestamp) in some {
            marking.arg(member).arg(timestamp);
        }
        let _done: u64 = marking.invoke_async(connection).await.map_err(of_identity)?;
    }
    Ok(())
}

/// The marks of all gateways that are later than the floor, the latest of each token.
pub(super) async fn marks_above(
    connection: &mut MultiplexedConnection,
    floor: UnixSeconds,
) -> Result<HashMap<String, UnixSeconds>, MeetError> {
    let (mut marks, mut cursor) = (HashMap::new(), "0".to_owned());
    loop {
        let mut scan = cmd("ZSCAN");
        scan.arg(keys::AHEAD).arg(&cursor).arg("COUNT").arg(MARKS);
        let (next, some): (String, Vec<(String, UnixSeconds)>) = scan.query_async(connection).await?;
        for (member, timestamp) in some.into_iter().filter(|(_, timestamp)| *timestamp > floor) {
            let mark = marks.entry(member).or_default();
            *mark = timestamp.max(*mark);
        }
        if next == "0" {
            return Ok(marks);
        }
        cursor = next;
    }
}

/// Greets a server on the connection to the home of the records: its id, the last second in which we served on another,
/// and whether we gave marks.
pub(super) async fn greet(
    shared: &Shared,
    connection: &mut MultiplexedConnection,
    absent: Absent,
    (id, served, gave): (&str, UnixSeconds, bool),
) -> Result<Met, MeetError> {
    let (identity, canary) = new_store(shared)?;
    let mut greeting = GREET.prepare_invoke();
    greeting.key(keys::STORE).key(keys::SERVERS).key(keys::COUNTERS);
    greeting.key(keys::CONSUMERS).key(keys::INTEGRATIONS);
    let absent = match absent {
        Absent::Make => "make",
        Absent::Init => "init",
        Absent::Find => "find",
    };
    greeting.arg(id).arg(served).arg(absent).arg(identity).arg(canary);
    greeting.arg(u8::from(gave));
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

/// Whether all keys are given that ever sealed something in the store.
pub(super) async fn check_keys(sealer: &Sealer, connection: &mut MultiplexedConnection) -> Result<(), MeetError> {
    let marks: HashMap<String, Vec<u8>> = cmd("HGETALL").arg(keys::KEYS).query_async(connection).await?;
    for (name, row) in &marks {
        decode::<()>(sealer, name, row).map_err(|_| MeetError::KeyMissing)?;
    }
    Ok(())
}

/// Says that from now on rows may be sealed with the first key.
pub(super) async fn mark_key(sealer: &Sealer, connection: &mut MultiplexedConnection) -> Result<(), MeetError> {
    let Some(mark) = sealer.mark() else { return Ok(()) };
    let row = encode(sealer, &mark, &()).map_err(MeetError::Store)?;
    let mut mark_it = cmd("HSET");
    mark_it.arg(keys::KEYS).arg(mark).arg(row);
    Ok(mark_it.exec_async(connection).await?)
}

/// What a greeting answers.
pub(super) struct Met {
    pub(super) identity: String,
    pub(super) canary: Vec<u8>,
    pub(super) origin: String,
    pub(super) version: u64,
    pub(super) floor: u64,
    pub(super) since_floor_millis: u64,
    pub(super) millis: u64,
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
pub(super) fn client(what: &'static str) -> MeetError {
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

/// Greets nobody: only what the store says of itself is wanted.
pub(super) const ASKS_ONLY: (&str, UnixSeconds, bool) = ("", 0, false);
/// Marks a step: a few milliseconds of the server's time.
const MARKS: usize = 500;
/// The row name of the canary.
pub(super) const CANARY: &str = "canary";
/// The only eviction policy under which nothing is forgotten.
const KEEPS: &str = "noeviction";
