//! When secrets were last used.

use redb::{ReadTransaction, ReadableTable as _, WriteTransaction};

use super::Fault;
use super::tables::{AFTER_ALL_DIGESTS, CONSUMERS, SECRET_USES};
use super::writer::Changes;
use crate::StoreError;
use crate::secret_use::{SecretUses, merged};

pub(super) fn note(transaction: &WriteTransaction, id: u64, seen: &SecretUses) -> Result<((), Changes), StoreError> {
    // A consumer deleted meanwhile took its secrets along.
    if transaction.open_table(CONSUMERS).fault()?.get(id).fault()?.is_none() {
        return Ok(((), Vec::new()));
    }
    let mut table = transaction.open_table(SECRET_USES).fault()?;
    let kept = read(&table, id)?;
    for print in kept.keys() {
        table.remove((id, print.as_str())).fault()?;
    }
    for (print, at) in merged(&kept, seen) {
        table.insert((id, print.as_str()), at).fault()?;
    }
    Ok(((), Vec::new()))
}

/// Takes along what a deleted consumer had.
pub(super) fn forget(transaction: &WriteTransaction, id: u64) -> Result<(), StoreError> {
    let mut table = transaction.open_table(SECRET_USES).fault()?;
    for print in read(&table, id)?.keys() {
        table.remove((id, print.as_str())).fault()?;
    }
    Ok(())
}

pub(super) fn of(transaction: &ReadTransaction, id: u64) -> Result<SecretUses, StoreError> {
    read(&transaction.open_table(SECRET_USES).fault()?, id)
}

fn read(table: &impl redb::ReadableTable<(u64, &'static str), u64>, id: u64) -> Result<SecretUses, StoreError> {
    let range = table.range((id, "")..(id, AFTER_ALL_DIGESTS)).fault()?;
    range
        .map(|row| {
            let (key, at) = row.fault()?;
            Ok((key.value().1.to_owned(), at.value()))
        })
        .collect()
}
