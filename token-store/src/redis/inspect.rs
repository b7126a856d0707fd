//! What the servers of a store say of themselves, for operators. It only reads: nothing is made, nothing is changed.

use std::collections::HashMap;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisError, RedisResult, cmd};

use super::address::Address;
use super::keys;
use super::meet::{CANARY, MeetError, check_keys, client};
use super::nodes::{Dialer, Node};
use crate::codec::decode;
use crate::seal::Sealer;
use crate::{OpenError, OpenOptions, StoreError};

/// A primary as it is.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// Its clock: time since the Unix epoch.
    pub clock: Duration,
    /// `noeviction`, `volatile-lru` …
    pub eviction: String,
    /// Octets that it may use; 0: without a limit.
    pub memory_limit: u64,
    /// Octets that it uses.
    pub memory: u64,
    /// Whether it writes an append-only file.
    pub append_only: bool,
    /// Whether the last write to its disk failed.
    pub disk_failed: bool,
    /// Replicas that follow it.
    pub replicas: u64,
    /// Settings that only `CONFIG GET` tells; `None`: the user may not ask.
    pub settings: Option<Settings>,
}

/// What a server was told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `always`, `everysec`, `no`
    pub append_sync: String,
    /// When it writes a snapshot; empty: never.
    pub save: String,
    /// Replicas without which it takes no write; 0: it takes them alone.
    pub replicas_to_write: u64,
}

/// Why a server can't be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Nothing listens there.
    ConnectionRefused,
    /// It wants a password, and none was given.
    PasswordMissing,
    /// It doesn't take the user and password that were given.
    PasswordWrong,
    /// What answers doesn't speak as Redis does.
    NoRedis,
    /// Anything else: the error says what.
    Other,
}

impl Obstacle {
    /// What an error of [`inspect`] comes from.
    pub fn of(error: &StoreError) -> Self {
        let cause = match error {
            StoreError::Unavailable(cause) => cause.downcast_ref::<RedisError>(),
            StoreError::IdentityLost | StoreError::Corrupt(_) => None,
        };
        let Some(cause) = cause else { return Self::Other };
        let told = cause.to_string();
        if cause.is_connection_refusal() {
            Self::ConnectionRefused
        } else if told.contains("NOAUTH") {
            Self::PasswordMissing
        } else if told.contains("WRONGPASS") || cause.kind() == ErrorKind::AuthenticationFailed {
            Self::PasswordWrong
        } else if cause.kind() == ErrorKind::Parse {
            Self::NoRedis
        } else {
            Self::Other
        }
    }
}

/// All primaries of a store, by host and port; one that can't be asked carries its error.
pub async fn inspect(options: &OpenOptions) -> Result<Vec<(String, Result<Inspected, StoreError>)>, OpenError> {
    let address = Address::parse(&options.url)?;
    let dialer = Dialer::new(address, options.timeout, options.connect_timeout);
    let map = dialer.find().await.map_err(super::pool::of_redis)?;
    let mut all = Vec::new();
    for node in map.nodes() {
        let asked = ask(&dialer, node).await.map_err(super::pool::of_redis);
        all.push((place(node), asked));
    }
    Ok(all)
}

/// Whether the keys open what the store holds; nothing is made and nothing marked. A store that isn't there yet has nothing
/// to open.
pub async fn inspect_keys(options: &OpenOptions) -> Result<(), OpenError> {
    let address = Address::parse(&options.url)?;
    let sealer = Sealer::new(&options.encryption_keys).map_err(|_| OpenError::KeyNeeded)?;
    let dialer = Dialer::new(address, options.timeout, options.connect_timeout);
    let asked = async {
        let map = dialer.find().await?;
        let home = map.home().ok_or_else(|| client("no server holds the records"))?;
        let mut connection = dialer.connect(home, |_| ()).await?;
        let canary: Option<Vec<u8>> = cmd("HGET")
            .arg(keys::STORE)
            .arg(CANARY)
            .query_async(&mut connection)
            .await?;
        if let Some(row) = canary {
            let _key: [u8; 16] = decode(&sealer, CANARY, &row).map_err(|_| MeetError::WrongKey)?;
        }
        check_keys(&sealer, &mut connection).await
    };
    asked.await.map_err(|error| match error {
        MeetError::WrongKey => OpenError::WrongKey,
        MeetError::KeyMissing => OpenError::KeyMissing,
        MeetError::Redis(error) => super::pool::of_redis(error).into(),
        MeetError::Store(error) => error.into(),
        other @ (MeetError::Lost | MeetError::Evicts(_)) => StoreError::Unavailable(Box::new(other)).into(),
    })
}

async fn ask(dialer: &Dialer, node: &Node) -> RedisResult<Inspected> {
    let mut connection = dialer.connect(node, |_| ()).await?;
    let (secs, micros): (u64, u64) = cmd("TIME").query_async(&mut connection).await?;
    let info: String = cmd("INFO").query_async(&mut connection).await?;
    let fields: HashMap<&str, &str> = info.lines().filter_map(|line| line.trim().split_once(':')).collect();
    let text = |name: &str| fields.get(name).copied().unwrap_or_default();
    let number = |name: &str| text(name).parse().unwrap_or_default();
    let says_failed = |name: &str| matches!(text(name), "err");
    Ok(Inspected {
        clock: Duration::from_secs(secs) + Duration::from_micros(micros),
        eviction: text("maxmemory_policy").to_owned(),
        memory_limit: number("maxmemory"),
        memory: number("used_memory"),
        append_only: text("aof_enabled") == "1",
        disk_failed: says_failed("rdb_last_bgsave_status") || says_failed("aof_last_write_status"),
        replicas: number("connected_slaves"),
        settings: settings(&mut connection).await,
    })
}

/// A managed server, or an ACL, may not tell.
async fn settings(connection: &mut MultiplexedConnection) -> Option<Settings> {
    let mut told = HashMap::new();
    for name in [APPEND_SYNC, SAVE, REPLICAS] {
        let some: HashMap<String, String> = cmd("CONFIG").arg("GET").arg(name).query_async(connection).await.ok()?;
        told.extend(some);
    }
    Some(Settings {
        append_sync: told.remove(APPEND_SYNC)?,
        save: told.remove(SAVE)?,
        replicas_to_write: told.remove(REPLICAS)?.parse().ok()?,
    })
}

fn place(node: &Node) -> String {
    format!("{}:{}", node.host, node.port)
}

const APPEND_SYNC: &str = "appendfsync";
const SAVE: &str = "save";
const REPLICAS: &str = "min-replicas-to-write";
