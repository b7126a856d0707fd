//! All integrations in memory, for lists: filtering, sorting and counting them must not read every record of the store anew.
//!
//! Loaded by the first list, kept current by the feed of changes: what changed is read by itself before the next list. Like
//! all memory it is believed while the feed is heard, and only then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Change, ConsumerId, ConsumerRecord, IntegrationPage, IntegrationQuery, Store, StoreError};

/// What is known of them.
#[derive(Default)]
pub(crate) struct Directory(Mutex<State>);

type Rows = Arc<BTreeMap<ConsumerId, Arc<ConsumerRecord>>>;

#[derive(Default)]
struct State {
    /// `None`: not loaded.
    rows: Option<Rows>,
    /// What changed since it was read.
    dirty: BTreeSet<ConsumerId>,
    /// Moves with every change.
    heard: u64,
}

impl Directory {
    /// Called for every change, before the write that made it is answered.
    pub(crate) fn forget(&self, change: &Change) {
        let mut state = self.state();
        match change {
            Change::Consumer { id, .. } => {
                state.heard += 1;
                if state.rows.is_some() {
                    state.dirty.insert(*id);
                }
                if state.dirty.len() > MOST_DIRTY {
                    state.forget_all();
                }
            }
            Change::Everything => state.forget_all(),
            Change::Delegated { .. }
            | Change::UserToken { .. }
            | Change::UserTokensOf { .. }
            | Change::Account { .. } => {}
        }
    }

    /// A list from memory, brought up to date from `store` first.
    pub(crate) async fn list(
        &self,
        store: &dyn Store,
        query: &IntegrationQuery,
    ) -> Result<IntegrationPage, StoreError> {
        let rows = self.current(store).await?;
        Ok(query.page(rows.values().map(AsRef::as_ref)))
    }

    async fn current(&self, store: &dyn Store) -> Result<Rows, StoreError> {
        let (known, dirty, heard) = {
            let state = self.state();
            (state.rows.clone(), state.dirty.clone(), state.heard)
        };
        let rows = match known {
            Some(rows) if dirty.is_empty() => return Ok(rows),
            Some(rows) => {
                let mut rows = BTreeMap::clone(&rows);
                for id in &dirty {
                    match store.consumer(*id).await {
                        Ok(Some(record)) => rows.insert(*id, record),
                        Ok(None) => rows.remove(id),
                        // One row that nobody can read hides no other.
                        Err(error @ StoreError::Corrupt(_)) => {
                            tracing::error!(%error, "left out of the list of integrations");
                            rows.remove(id)
                        }
                        Err(error) => return Err(error),
                    };
                }
                rows
            }
            None => {
                let all = store.integrations().await?.into_iter();
                all.map(|record| (record.consumer.id, Arc::new(record))).collect()
            }
        };
        let rows = Arc::new(rows);
        let mut state = self.state();
        // What was read before a change is never kept after it.
        if state.heard == heard && rows.len() <= MOST_ROWS {
            state.rows = Some(Arc::clone(&rows));
            state.dirty.clear();
        }
        Ok(rows)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget_all(&mut self) {
        self.heard += 1;
        self.rows = None;
        self.dirty.clear();
    }
}

/// With more of them each list reads the store.
const MOST_ROWS: usize = 100_000;
/// With more changes between two lists all is read anew.
const MOST_DIRTY: usize = 1000;
