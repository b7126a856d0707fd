//! Reads and writes of records: one script each, on the store's own thread, in a store that is the known one.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use redis::{FromRedisValue, ScriptInvocation, Value};
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;

use super::memory::{Shared, unavailable};
use super::pool::RedisPool;
use super::script::{Calls, Commit};
use super::{audit, keys};
use crate::audit::Noting;
use crate::codec::{decode, encode};
use crate::event::RecorderSlot;
use crate::seal::Sealer;
use crate::{Change, StoreError};

/// The way to the records.
#[derive(Clone)]
pub(super) struct Records {
    pub(super) shared: Arc<Shared>,
    pool: Arc<RedisPool>,
    pub(super) recorder: Arc<RecorderSlot>,
    /// Of the store's own thread, which outlives those that ask.
    runtime: Handle,
}

/// What a commit came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Committed {
    Done,
    /// Nothing was written: the expectation of that place (0, 1, …) does not hold.
    Refused(usize),
}

impl Records {
    pub(super) fn new(shared: Arc<Shared>, runtime: Handle) -> Self {
        Self {
            shared,
            pool: Arc::default(),
            recorder: Arc::default(),
            runtime,
        }
    }

    pub(super) fn sealer(&self) -> &Sealer {
        &self.shared.sealer
    }

    /// Runs a script to its end, also where nobody waits for it any more.
    pub(super) async fn run<T: FromRedisValue + Send + 'static>(
        &self,
        invocation: ScriptInvocation<'static>,
    ) -> Result<T, StoreError> {
        let (shared, pool) = (Arc::clone(&self.shared), Arc::clone(&self.pool));
        let running = self.runtime.spawn(async move { pool.run(&shared, &invocation).await });
        running.await.map_err(|_| unavailable("the store is closed"))?
    }

    /// The identity that scripts insist on.
    pub(super) fn identity(&self) -> Result<String, StoreError> {
        Ok(self.shared.known()?.identity.clone())
    }

    /// The results of commands, in their order.
    pub(super) async fn call(&self, calls: &Calls) -> Result<Vec<Value>, StoreError> {
        self.run(calls.invocation(&self.identity()?)).await
    }

    /// The result of one command.
    pub(super) async fn call_one<T: FromRedisValue>(&self, calls: &Calls) -> Result<T, StoreError> {
        let result = self.call(calls).await?.into_iter().next().unwrap_or(Value::Nil);
        read(result)
    }

    /// Writes, with the entry of the audit log that goes along, and tells of the changes: here before this returns,
    /// everywhere else by the feed.
    pub(super) async fn commit(&self, commit: &Commit, changes: &[Change]) -> Result<Committed, StoreError> {
        let Some(entry) = &commit.entry else {
            return self.write(commit, changes).await;
        };
        let (committed, _) = audit::commit(self, commit, entry, changes).await?;
        if committed == Committed::Done
            && let Some(noting) = Noting::here()
        {
            noting.taken();
        }
        Ok(committed)
    }

    /// The same without an entry.
    pub(super) async fn write(&self, commit: &Commit, changes: &[Change]) -> Result<Committed, StoreError> {
        let message = if changes.is_empty() {
            String::new()
        } else {
            serde_json::to_string(changes).map_err(|error| StoreError::Unavailable(Box::new(error)))?
        };
        let channel = keys::changes(self.shared.dialer.address.db);
        let refused: usize = self
            .run(commit.invocation(&self.identity()?, &channel, &message))
            .await?;
        if refused != 0 {
            return Ok(Committed::Refused(refused - 1));
        }
        self.shared.tell(changes);
        Ok(Committed::Done)
    }

    /// The next number of a kind, or one `step` ahead: positive, never given twice, gaps allowed. It may be taken where a
    /// counter was left behind the rows: whoever writes under it expects nothing there, and takes the next of [`steps`].
    pub(super) async fn next_number(&self, of: &str, step: u64) -> Result<u64, StoreError> {
        let step = step.to_string();
        self.call_one(&Calls::default().add("HINCRBY", keys::COUNTERS, &[of.as_bytes(), step.as_bytes()]))
            .await
    }

    /// A sealed row and the record in it.
    pub(super) async fn row<R: DeserializeOwned>(
        &self,
        key: &str,
        field: &str,
        name: &str,
    ) -> Result<Option<(Vec<u8>, R)>, StoreError> {
        let calls = Calls::default().add("HGET", key, &[field.as_bytes()]);
        let row: Option<Vec<u8>> = self.call_one(&calls).await?;
        row.map(|row| {
            let record = decode(self.sealer(), name, &row)?;
            Ok((row, record))
        })
        .transpose()
    }

    /// Through an index to a sealed row: its number and the record, where the index and the table have both.
    pub(super) async fn row_via<R: DeserializeOwned>(
        &self,
        (index, field): (&str, &str),
        table: &str,
        name: impl Fn(u64) -> String,
    ) -> Result<Option<R>, StoreError> {
        let found: Option<(u64, Option<Vec<u8>>)> = self.call_one(&Calls::default().via(index, field, table)).await?;
        let Some((id, Some(row))) = found else { return Ok(None) };
        decode(self.sealer(), &name(id), &row).map(Some)
    }

    /// The rows of these fields, read in bounded steps: a script can't hand on more than 8,000 words.
    pub(super) async fn fields(&self, key: &str, fields: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let mut rows = Vec::with_capacity(fields.len());
        for some in fields.chunks(FIELDS) {
            let some: Vec<&[u8]> = some.iter().map(String::as_bytes).collect();
            let read: Vec<Option<Vec<u8>>> = self.call_one(&Calls::default().add("HMGET", key, &some)).await?;
            rows.extend(read);
        }
        Ok(rows)
    }

    /// All rows of a table, by number: each opened, or why it can't be.
    pub(super) async fn rows<R: DeserializeOwned>(
        &self,
        key: &str,
        name: impl Fn(u64) -> String,
    ) -> Result<Vec<Result<R, StoreError>>, StoreError> {
        let rows: HashMap<Vec<u8>, Vec<u8>> = self.scanned(key).await?;
        let number = |field: &[u8]| std::str::from_utf8(field).ok()?.parse::<u64>().ok();
        let mut rows: Vec<_> = rows.into_iter().map(|(field, row)| (number(&field), row)).collect();
        rows.sort_unstable_by_key(|(id, _)| *id);
        let opened = rows.into_iter().map(|(id, row)| match id {
            Some(id) => decode(self.sealer(), &name(id), &row),
            None => Err(StoreError::Corrupt(format!("without a number in {key}"))),
        });
        Ok(opened.collect())
    }

    /// The fields of a hash that hold this number: what an index has of a record.
    pub(super) async fn fields_of(&self, index: &str, id: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        let all: HashMap<Vec<u8>, Vec<u8>> = self.scanned(index).await?;
        let id = id.to_string().into_bytes();
        let of_id = all.into_iter().filter(|(_, value)| *value == id);
        Ok(of_id.map(|(field, _)| field).collect())
    }

    /// A whole hash, read in bounded steps; a row that comes or goes meanwhile may be seen or not.
    async fn scanned<F: FromRedisValue + Eq + Hash>(&self, key: &str) -> Result<HashMap<F, Vec<u8>>, StoreError> {
        let mut rows = HashMap::new();
        let mut cursor = "0".to_owned();
        loop {
            let calls = Calls::default().add("HSCAN", key, &[cursor.as_bytes(), b"COUNT", SCAN]);
            let (next, some): (String, Vec<(F, Vec<u8>)>) = self.call_one(&calls).await?;
            rows.extend(some);
            if next == "0" {
                return Ok(rows);
            }
            cursor = next;
        }
    }

    pub(super) fn seal<R: serde::Serialize>(&self, name: &str, record: &R) -> Result<Vec<u8>, StoreError> {
        encode(self.sealer(), name, record)
    }
}

/// The record, if it can be read: one that nobody can read hides no other, and stops nothing.
pub(super) fn readable<R>(opened: Result<R, StoreError>, list: &str) -> Option<R> {
    opened
        .inspect_err(|error| tracing::error!(%error, "left out of the list of {list}"))
        .ok()
}

/// Steps from number to number, until one is free: behind by many rows is caught up with in a few.
pub(super) fn steps() -> impl Iterator<Item = u64> + Send {
    (0..STEPS).map(|power| 1 << power)
}

/// A result as what it is meant to be; anything else was not written by us.
pub(super) fn read<T: FromRedisValue>(value: Value) -> Result<T, StoreError> {
    T::from_redis_value(value).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// Doubled so often, a step passes a billion rows.
const STEPS: u32 = 30;
/// Rows a step.
const SCAN: &[u8] = b"500";
const FIELDS: usize = 1000;
