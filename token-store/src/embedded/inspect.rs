//! Whether an embedded store could be opened, for operators. It only reads: nothing is made, nothing is changed.

use std::path::Path;

use redb::{DatabaseError, ReadOnlyDatabase, ReadTransaction, ReadableDatabase as _, ReadableTable as _};

use super::file::{NAME, of_opening};
use super::open::{CANARY, FLOOR, check_keys, key_beside, refuse_emptied};
use super::tables::{ACCOUNTS, AUDIT, CONSUMERS, META, SECRETS, USER_TOKENS, second};
use super::{Fault, guard};
use crate::UnixSeconds;
use crate::codec::decode;
use crate::open::OpenError;
use crate::seal::Sealer;

/// How it stands with a store that no process has open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inspected {
    /// The first start makes it.
    Absent,
    /// All of it can be read.
    Sound {
        /// Requests that are signed up to this second are unsure; 0: none are.
        floor: UnixSeconds,
    },
    /// Its process was killed; the next start repairs it, so that it can't be read before.
    Unclean,
}

/// Reads what a start would.
pub fn inspect(folder: &Path, keys: &[[u8; 32]]) -> Result<Inspected, OpenError> {
    refuse_emptied(folder)?;
    let path = folder.join(NAME);
    let fault = |error: std::io::Error| OpenError::File(path.display().to_string(), Box::new(error));
    match std::fs::OpenOptions::new().read(true).write(true).open(&path) {
        Ok(file) if file.metadata().map_err(fault)?.len() == 0 => return Ok(Inspected::Absent),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Inspected::Absent),
        Err(error) => return Err(fault(error)),
    }
    let own;
    let keys = if keys.is_empty() {
        own = [key_beside(folder)?.ok_or(OpenError::WrongKey)?];
        &own
    } else {
        keys
    };
    let sealer = Sealer::new(keys).map_err(|_| OpenError::WrongKey)?;
    let damaged = |damage| OpenError::Damaged(path.display().to_string(), damage);
    let read = guard::unbroken(|| {
        let database = match ReadOnlyDatabase::open(&path) {
            Ok(database) => database,
            Err(DatabaseError::RepairAborted) => return Ok(Inspected::Unclean),
            Err(error) => return Err(of_opening(folder, &path, error)),
        };
        let transaction = database.begin_read().fault()?;
        let meta = transaction.open_table(META).fault()?;
        let canary = meta.get(CANARY).fault()?.map(|row| row.value().to_vec());
        if let Some(row) = canary {
            let _key: [u8; 16] = decode(&sealer, CANARY, &row).map_err(|_| OpenError::WrongKey)?;
        }
        check_keys(&meta, &sealer)?;
        walk(&transaction).map_err(|error| damaged(error.to_string()))?;
        Ok(Inspected::Sound {
            floor: second(&meta, FLOOR)?.unwrap_or_default(),
        })
    });
    read.unwrap_or_else(|damage| Err(damaged(damage)))
}

/// Meets every row of the tables that matter most.
fn walk(transaction: &ReadTransaction) -> Result<(), redb::Error> {
    for table in [CONSUMERS, AUDIT] {
        for row in transaction.open_table(table)?.iter()? {
            row?;
        }
    }
    for table in [USER_TOKENS, SECRETS] {
        for row in transaction.open_table(table)?.iter()? {
            row?;
        }
    }
    for row in transaction.open_table(ACCOUNTS)?.iter()? {
        row?;
    }
    Ok(())
}
