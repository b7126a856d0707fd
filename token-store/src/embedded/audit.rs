//! The audit log.

use redb::{ReadTransaction, ReadableTable, WriteTransaction};

use super::Fault;
use super::tables::{AUDIT, META};
use super::writer::Changes;
use crate::audit::Last;
use crate::codec::{decode, encode};
use crate::seal::Sealer;
use crate::{AuditEntry, NewAuditEntry, StoreError};

pub(super) fn row_name(number: u64) -> String {
    format!("audit:{number}")
}

pub(super) fn append(
    transaction: &WriteTransaction,
    sealer: &Sealer,
    entry: NewAuditEntry,
) -> Result<(AuditEntry, Changes), StoreError> {
    let mut table = transaction.open_table(AUDIT).fault()?;
    let mut meta = transaction.open_table(META).fault()?;
    let last = last(&meta, &table, sealer)?;
    let entry = Last::then(last.as_ref(), entry);
    let row = encode(sealer, &row_name(entry.number), &entry)?;
    table.insert(entry.number, row.as_slice()).fault()?;
    let row = encode(sealer, LAST, &Last::of(&entry))?;
    meta.insert(LAST, row.as_slice()).fault()?;
    Ok((entry, Vec::new()))
}

/// Which entry was the last. Where that is not kept or damaged, what stands has to do, or nobody could change anything any
/// more.
fn last(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
    entries: &impl ReadableTable<u64, &'static [u8]>,
    sealer: &Sealer,
) -> Result<Option<Last>, StoreError> {
    if let Some(row) = meta.get(LAST).fault()?
        && let Ok(last) = decode(sealer, LAST, row.value())
    {
        return Ok(Some(last));
    }
    let Some((number, row)) = entries.last().fault()? else {
        return Ok(None);
    };
    let number = number.value();
    let entry: Result<AuditEntry, StoreError> = decode(sealer, &row_name(number), row.value());
    let hash = entry.map(|entry| entry.hash).unwrap_or_default();
    Ok(Some(Last { number, hash }))
}

/// An entry that can't be opened is left out: its number shows that.
pub(super) fn read(
    transaction: &ReadTransaction,
    sealer: &Sealer,
    after: u64,
    limit: usize,
) -> Result<Vec<AuditEntry>, StoreError> {
    let table = transaction.open_table(AUDIT).fault()?;
    let mut entries = Vec::new();
    for row in table.range(after.saturating_add(1)..).fault()? {
        if entries.len() >= limit {
            break;
        }
        let (number, row) = row.fault()?;
        let number = number.value();
        if let Ok(entry) = decode(sealer, &row_name(number), row.value()) {
            entries.push(entry);
        } else {
            tracing::warn!(number, "an audit entry can't be opened");
        }
    }
    Ok(entries)
}

pub(super) fn length(transaction: &ReadTransaction, sealer: &Sealer) -> Result<u64, StoreError> {
    let meta = transaction.open_table(META).fault()?;
    let table = transaction.open_table(AUDIT).fault()?;
    Ok(last(&meta, &table, sealer)?.map_or(0, |last| last.number))
}

/// The row of [`META`] that tells which entry was the last.
pub(super) const LAST: &str = "audit:last";

#[cfg(test)]
mod tests {
    use super::super::Embedded;
    use super::*;
    use crate::Store as _;
    use crate::audit::follows;
    use crate::contract::make::{THEN, entry};

    #[tokio::test(flavor = "multi_thread")]
    async fn an_entry_that_went_or_was_damaged_is_left_out_and_the_log_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let store = Embedded::open(folder.path(), &[], THEN).unwrap();
        for turn in 0..4 {
            store.append_audit(entry(&turn.to_string())).await.unwrap();
        }
        let whole = store.audit(0, 10).await.unwrap();

        let damage = store.write(|transaction, _| {
            let mut table = transaction.open_table(AUDIT).fault()?;
            table.remove(2).fault()?;
            table.insert(3, b"damaged".as_slice()).fault()?;
            table.remove(4).fault()?;
            Ok(((), Vec::new()))
        });
        damage.await.unwrap();

        assert_eq!(store.audit(0, 10).await.unwrap(), whole[..1]);
        assert_eq!(store.audit_length().await.unwrap(), 4);
        let next = store.append_audit(entry("next")).await.unwrap();
        assert_eq!(next.number, 5);
        assert!(follows(Some(&whole[3].hash), &next));
        assert_eq!(store.audit(0, 2).await.unwrap(), [whole[0].clone(), next]);
    }
}
