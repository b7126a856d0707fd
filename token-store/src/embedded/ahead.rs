//! Timestamps ahead of our clock that were served: after a crash none of them may be served again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use redb::ReadableTable as _;

use super::Fault;
use super::tables::AHEAD;
use super::writer::Writer;
use crate::{StoreError, UnixSeconds};

/// What this process served ahead of its clock, so that one second's requests write once.
#[derive(Default)]
pub(super) struct Ahead(Mutex<HashMap<Token, UnixSeconds>>);

/// Consumer number and token digest.
type Token = (u64, String);

impl Ahead {
    /// Returns when it is on disk: only then may the request be served.
    pub(super) async fn remember(
        &self,
        writer: &Writer,
        token: Token,
        timestamp: UnixSeconds,
    ) -> Result<(), StoreError> {
        {
            let mut served = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if served.get(&token).is_some_and(|served| *served >= timestamp) {
                return Ok(());
            }
            if served.len() >= MOST {
                served.clear();
            }
        }
        let row = token.clone();
        writer
            .write(move |transaction| {
                let mut table = transaction.open_table(AHEAD).fault()?;
                let name = (row.0, row.1.as_str());
                let before = table.get(name).fault()?.map_or(0, |before| before.value());
                table.insert(name, before.max(timestamp)).fault()?;
                Ok(((), Vec::new()))
            })
            .await?;
        let mut served = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mark = served.entry(token).or_default();
        *mark = timestamp.max(*mark);
        Ok(())
    }
}

/// Tokens that are kept in memory; forgetting one costs a write.
const MOST: usize = 100_000;
