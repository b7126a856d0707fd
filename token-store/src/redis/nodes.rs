//! Which servers take writes now, and a connection to one of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, PushInfo, RedisError, RedisResult, Value, cmd};

use super::address::{Address, Kind};
use super::keys;
use super::wire::Wire;

/// A primary, by where it is reached.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub(super) host: String,
    pub(super) port: u16,
}

/// The primaries, and which of them holds a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Map {
    nodes: Vec<Arc<Node>>,
    /// By slot, an index into `nodes`; `None`: there is one primary, and it holds all.
    by_slot: Option<Arc<[u16]>>,
}

impl Map {
    pub(super) fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    pub(super) fn is_cluster(&self) -> bool {
        self.by_slot.is_some()
    }

    /// Who holds a slot, if anybody does.
    pub(super) fn holder(&self, slot: u16) -> Option<&Arc<Node>> {
        let index = match &self.by_slot {
            None => 0,
            Some(by_slot) => usize::from(*by_slot.get(usize::from(slot))?),
        };
        self.nodes.get(index)
    }

    /// Who holds the records.
    pub(super) fn home(&self) -> Option<&Arc<Node>> {
        self.holder(keys::slot(keys::STORE))
    }

    /// The first bucket of nonces that a node of a Cluster holds.
    pub(super) fn first_bucket(&self, node: &Arc<Node>) -> Option<u16> {
        self.by_slot.as_ref()?;
        (0..keys::BUCKETS).find(|bucket| {
            self.holder(keys::slot(&keys::guard(*bucket)))
                .is_some_and(|holder| Arc::ptr_eq(holder, node))
        })
    }
}

/// Finds primaries and connects to them.
#[derive(Debug)]
pub(super) struct Dialer {
    pub(super) address: Address,
    pub(super) timeout: Duration,
    pub(super) connect_timeout: Duration,
    /// One `Arc` a node, so that nodes compare by pointer.
    known: Mutex<HashMap<(String, u16), Arc<Node>>>,
    /// The nodes of the Cluster that was met last.
    met: Mutex<Vec<Arc<Node>>>,
}

impl Dialer {
    pub(super) fn new(address: Address, timeout: Duration, connect_timeout: Duration) -> Self {
        Self {
            address,
            timeout,
            connect_timeout,
            known: Mutex::default(),
            met: Mutex::default(),
        }
    }

    fn node(&self, host: &str, port: u16) -> Arc<Node> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let node = known.entry((host.to_owned(), port));
        Arc::clone(node.or_insert_with(|| {
            Arc::new(Node {
                host: host.to_owned(),
                port,
            })
        }))
    }

    /// Who takes writes now, by the first that can tell.
    pub(super) async fn find(&self) -> RedisResult<Map> {
        let mut failed = no_host();
        for (host, port) in self.hosts() {
            match self.ask(&host, port).await {
                Ok(map) => return Ok(map),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// What the servers say of who takes writes, one after the other.
    pub(super) fn maps(&self) -> Maps<'_> {
        Maps {
            dialer: self,
            hosts: self.hosts().into_iter(),
            told: Vec::new(),
        }
    }

    /// Whom to ask, one after the other: those that are configured, then the nodes that were met.
    pub(super) fn hosts(&self) -> Vec<(String, u16)> {
        let mut hosts = self.address.hosts.clone();
        for node in self.met.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let host = (node.host.clone(), node.port);
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        hosts
    }

    /// The servers of a map were met: those of a Cluster know each other, and can be asked when all that are configured are
    /// gone.
    pub(super) fn note_met(&self, map: &Map) {
        if map.is_cluster() {
            let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
            met.clone_from(&map.nodes);
        }
    }

    /// Who takes writes now, by one that knows where the records are.
    pub(super) async fn ask(&self, host: &str, port: u16) -> RedisResult<Map> {
        let map = match &self.address.kind {
            Kind::Single => Map {
                nodes: vec![self.node(host, port)],
                by_slot: None,
            },
            Kind::Sentinel(name) => self.ask_sentinel(host, port, name).await?,
            Kind::Cluster => self.ask_cluster(host, port).await?,
        };
        if map.home().is_none() {
            return Err(RedisError::from((ErrorKind::Client, "no server holds the records")));
        }
        Ok(map)
    }

    async fn ask_sentinel(&self, host: &str, port: u16, name: &str) -> RedisResult<Map> {
        let info = self.address.sentinel(host, port)?;
        let mut sentinel = self.open(info, AsyncConnectionConfig::new()).await?;
        let primary: Option<(String, u16)> = cmd("SENTINEL")
            .arg("GET-MASTER-ADDR-BY-NAME")
            .arg(name)
            .query_async(&mut sentinel)
            .await?;
        let (host, port) = primary.ok_or((
            ErrorKind::MasterNameNotFoundBySentinel,
            "the Sentinel knows no such primary",
        ))?;
        Ok(Map {
            nodes: vec![self.node(&host, port)],
            by_slot: None,
        })
    }

    async fn ask_cluster(&self, host: &str, port: u16) -> RedisResult<Map> {
        let info = self.address.server(host, port)?;
        let mut seed = self.open(info, AsyncConnectionConfig::new()).await?;
        let mut ranges: Vec<Vec<Value>> = cmd("CLUSTER").arg("SLOTS").query_async(&mut seed).await?;
        // Whoever is asked, the same Cluster is the same map.
        ranges.sort_by_key(|range| redis::from_redis_value_ref::<u16>(range.first()?).ok());
        let mut nodes: Vec<Arc<Node>> = Vec::new();
        let mut by_slot = vec![u16::MAX; usize::from(keys::SLOTS)];
        for range in ranges {
            let unreadable = || RedisError::from((ErrorKind::Parse, "unreadable CLUSTER SLOTS"));
            let [first, last, primary, ..] = range.as_slice() else {
                return Err(unreadable());
            };
            let first: u16 = redis::from_redis_value_ref(first)?;
            let last: u16 = redis::from_redis_value_ref(last)?;
            let Value::Array(primary) = primary else {
                return Err(unreadable());
            };
            let [name, its_port, ..] = primary.as_slice() else {
                return Err(unreadable());
            };
            let name: Option<String> = redis::from_redis_value_ref(name)?;
            // A node that doesn't know its own address is the one that was asked.
            let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| host.to_owned());
            let node = self.node(&name, redis::from_redis_value_ref(its_port)?);
            let index = nodes
                .iter()
                .position(|known| Arc::ptr_eq(known, &node))
                .unwrap_or_else(|| {
                    nodes.push(node);
                    nodes.len() - 1
                });
            for slot in first..=last {
                if let Some(place) = by_slot.get_mut(usize::from(slot)) {
                    *place = u16::try_from(index).unwrap_or(u16::MAX);
                }
            }
        }
        Ok(Map {
            nodes,
            by_slot: Some(by_slot.into()),
        })
    }

    /// A connection to a primary; `push` hears what the server sends unasked, in order with the answers.
    pub(super) async fn connect(
        &self,
        node: &Node,
        push: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new().set_push_sender(move |info| {
            push(info);
            Ok::<(), ()>(())
        });
        self.open(self.address.server(&node.host, node.port)?, config).await
    }

    /// A wire to a primary, for claims.
    pub(super) async fn wire(&self, node: &Node) -> RedisResult<Wire> {
        Wire::dial(&self.address, node, self.connect_timeout).await
    }

    async fn open(&self, info: ConnectionInfo, config: AsyncConnectionConfig) -> RedisResult<MultiplexedConnection> {
        let client = Client::open(info)?;
        let config = config
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(Some(self.timeout))
            .set_pipeline_buffer_size(PIPELINE);
        let dial = client.get_multiplexed_async_connection_with_config(&config);
        tokio::time::timeout(self.connect_timeout + self.timeout, dial)
            .await
            .map_err(|_| RedisError::from((ErrorKind::Io, "connecting took too long")))?
    }
}

/// Maps as servers tell them: one that was told already is passed over.
pub(super) struct Maps<'a> {
    dialer: &'a Dialer,
    hosts: std::vec::IntoIter<(String, u16)>,
    told: Vec<Map>,
}

impl Maps<'_> {
    /// The next that is news, or why the next server tells none; `None`: all were asked.
    pub(super) async fn next(&mut self) -> Option<RedisResult<Map>> {
        for (host, port) in self.hosts.by_ref() {
            match self.dialer.ask(&host, port).await {
                Ok(map) if self.told.contains(&map) => {}
                Ok(map) => {
                    self.told.push(map.clone());
                    return Some(Ok(map));
                }
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }
}

/// Before anybody was asked.
pub(super) fn no_host() -> RedisError {
    RedisError::from((ErrorKind::InvalidClientConfig, "no host"))
}

/// What a server says of itself.
#[derive(Debug)]
pub(super) struct ServerInfo {
    /// Changes with every start and every promotion.
    pub(super) id: String,
    pub(super) eviction: String,
    /// Octets that it uses.
    pub(super) memory: u64,
    /// Octets that it may use; 0: without a limit.
    pub(super) memory_limit: u64,
}

impl ServerInfo {
    /// In a Cluster a server that was emptied goes on running and knows nothing of the store's identity: its guard, a random
    /// value under a key of its own, stands for what it holds.
    pub(super) async fn id_with_guard(
        self,
        connection: &mut impl ConnectionLike,
        first_bucket: Option<u16>,
    ) -> RedisResult<String> {
        let Some(bucket) = first_bucket else {
            return Ok(self.id);
        };
        let guard: Option<String> = cmd("GET").arg(keys::guard(bucket)).query_async(connection).await?;
        Ok(format!("{}:{}", self.id, guard.unwrap_or_default()))
    }
}

/// Asks a server who it is; one that takes no writes is an error.
pub(super) async fn server_info(connection: &mut impl ConnectionLike) -> RedisResult<ServerInfo> {
    let text: String = cmd("INFO").query_async(connection).await?;
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_default().trim().to_owned()
    };
    if value("role") != "master" {
        return Err(RedisError::from((
            ErrorKind::Server(redis::ServerErrorKind::ReadOnly),
            "the server is a replica, it takes no writes",
        )));
    }
    Ok(ServerInfo {
        id: format!("{}:{}", value("run_id"), value("master_replid")),
        eviction: value("maxmemory_policy"),
        memory: value("used_memory").parse().unwrap_or_default(),
        memory_limit: value("maxmemory").parse().unwrap_or_default(),
    })
}

/// Commands that wait for the connection's own task.
const PIPELINE: usize = 4096;
