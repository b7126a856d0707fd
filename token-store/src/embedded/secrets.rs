//! Secrets that all who have the store share.

use redb::{ReadableTable as _, WriteTransaction};

use super::Fault;
use super::tables::SECRETS;
use super::writer::Changes;
use crate::codec::{decode, encode};
use crate::seal::Sealer;
use crate::{Secret, StoreError};

pub(super) fn row_name(name: &str) -> String {
    format!("secret:{name}")
}

/// The one of that name; `fresh` where there was none yet.
pub(super) fn shared(
    transaction: &WriteTransaction,
    sealer: &Sealer,
    name: &str,
    fresh: Secret,
) -> Result<(Secret, Changes), StoreError> {
    let row_name = row_name(name);
    let mut table = transaction.open_table(SECRETS).fault()?;
    if let Some(row) = table.get(name).fault()? {
        return Ok((decode(sealer, &row_name, row.value())?, Vec::new()));
    }
    let row = encode(sealer, &row_name, &fresh)?;
    table.insert(name, row.as_slice()).fault()?;
    Ok((fresh, Vec::new()))
}
