//! How far our clock was when claims counted, on disk: after a crash the clock alone doesn't tell, since a machine without a
//! clock of its own may start in the past.
//!
//! The mark is written [`REACH_SECS`] ahead of the clock, and in its last second written again, so that under load no claim
//! waits for the disk. After a crash it lies at most that far ahead of the last claim: a request that is signed until then
//! is unsure.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redb::WriteTransaction;

use super::Fault;
use super::tables::{META, second, set_second};
use super::writer::Writer;
use crate::{StoreError, UnixSeconds};

/// What this process wrote of it.
#[derive(Default)]
pub(super) struct HighWater {
    /// On disk: claims up to this second may count.
    reached: Arc<AtomicU64>,
    /// Handed to the writer: each second asks once.
    asked: AtomicU64,
}

impl HighWater {
    /// Returns when the mark on disk covers a claim at `now` of our clock: only then may it count.
    pub(super) async fn cover(&self, writer: &Writer, now: UnixSeconds) -> Result<(), StoreError> {
        let reached = self.reached.load(Ordering::Acquire);
        if now < reached {
            return Ok(());
        }
        let to = now.saturating_add(REACH_SECS);
        if now > reached {
            writer
                .write(move |transaction| Ok((raise(transaction, to)?, Vec::new())))
                .await?;
            self.reached.fetch_max(to, Ordering::AcqRel);
        } else if self.asked.fetch_max(to, Ordering::AcqRel) < to {
            let reached = Arc::clone(&self.reached);
            writer.post(
                move |transaction| raise(transaction, to),
                move || {
                    reached.fetch_max(to, Ordering::AcqRel);
                },
            );
        }
        Ok(())
    }

    /// The mark was lowered: nothing is covered.
    pub(super) fn forget(&self) {
        self.reached.store(0, Ordering::Release);
        self.asked.store(0, Ordering::Release);
    }
}

fn raise(transaction: &WriteTransaction, to: UnixSeconds) -> Result<(), StoreError> {
    let mut meta = transaction.open_table(META).fault()?;
    // Claims that waited together ask for the same.
    if second(&meta, HIGH_WATER)?.is_none_or(|before| before < to) {
        set_second(&mut meta, HIGH_WATER, to)?;
    }
    Ok(())
}

/// The row of [`META`] that holds the mark.
pub(super) const HIGH_WATER: &str = "high_water";
/// Seconds that the mark is written ahead.
pub(crate) const REACH_SECS: u64 = 2;
