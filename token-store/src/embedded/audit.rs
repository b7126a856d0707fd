//! The audit log.

use redb::{ReadTransaction, ReadableTable as _, ReadableTableMetadata as _, WriteTransaction};

use super::tables::AUDIT;
use super::writer::Changes;
use super::{Fault, next_number};
use crate::audit::chained;
use crate::codec::{decode, encode};
use crate::seal::Sealer;
use crate::{AuditEntry, NewAuditEntry, StoreError};

fn row_name(number: u64) -> String {
    format!("audit:{number}")
}

pub(super) fn append(
    transaction: &WriteTransaction,
    sealer: &Sealer,
    entry: NewAuditEntry,
) -> Result<(AuditEntry, Changes), StoreError> {
    let number = next_number(transaction, "audit")?;
    let mut table = transaction.open_table(AUDIT).fault()?;
    let before: Option<AuditEntry> = match number - 1 {
        0 => None,
        last => {
            let row = table.get(last).fault()?;
            row.map(|row| decode(sealer, &row_name(last), row.value()))
                .transpose()?
        }
    };
    let entry = chained(before.as_ref().map(|one| one.hash.as_str()), number, entry);
    let row = encode(sealer, &row_name(number), &entry)?;
    table.insert(number, row.as_slice()).fault()?;
    Ok((entry, Vec::new()))
}

pub(super) fn read(
    transaction: &ReadTransaction,
    sealer: &Sealer,
    after: u64,
    limit: usize,
) -> Result<Vec<AuditEntry>, StoreError> {
    let table = transaction.open_table(AUDIT).fault()?;
    let range = table.range(after.saturating_add(1)..).fault()?;
    range
        .take(limit)
        .map(|row| {
            let (number, row) = row.fault()?;
            decode(sealer, &row_name(number.value()), row.value())
        })
        .collect()
}

pub(super) fn length(transaction: &ReadTransaction) -> Result<u64, StoreError> {
    transaction.open_table(AUDIT).fault()?.len().fault()
}
