//! The audit log: numbered without gaps and chained, also when gateways append at once.

use super::keys::AUDIT;
use super::memory::unavailable;
use super::records::{Committed, Records};
use super::script::{Calls, Commit};
use crate::audit::chained;
use crate::codec::decode;
use crate::{AuditEntry, NewAuditEntry, StoreError};

fn row_name(number: u64) -> String {
    format!("audit:{number}")
}

pub(super) async fn append(records: &Records, entry: NewAuditEntry) -> Result<AuditEntry, StoreError> {
    for _ in 0..TRIES {
        let last = length(records).await?;
        let before: Option<(Vec<u8>, AuditEntry)> = match last {
            0 => None,
            last => Some(
                records
                    .row(AUDIT, &last.to_string(), &row_name(last))
                    .await?
                    .ok_or_else(|| StoreError::Corrupt(row_name(last)))?,
            ),
        };
        let number = last + 1;
        let entry = chained(before.as_ref().map(|(_, one)| one.hash.as_str()), number, entry.clone());
        let row = records.seal(&row_name(number), &entry)?;
        let mut commit = Commit::default();
        commit.expect(AUDIT, &number.to_string(), None);
        if let Some((row, _)) = &before {
            commit.expect(AUDIT, &last.to_string(), Some(row));
        }
        commit.write("HSET", AUDIT, &[number.to_string().as_bytes(), &row]);
        if records.commit(&commit, &[]).await? == Committed::Done {
            return Ok(entry);
        }
    }
    Err(unavailable("too many entries are appended to the audit log at once"))
}

pub(super) async fn read(records: &Records, after: u64, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
    let last = length(records).await?;
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    let first = after.saturating_add(1);
    let numbers: Vec<String> = (first..=last.min(after.saturating_add(limit)))
        .map(|number| number.to_string())
        .collect();
    let rows = records.fields(AUDIT, &numbers).await?;
    let opened = numbers.iter().zip(rows).map(|(number, row)| {
        let name = format!("audit:{number}");
        let row = row.ok_or_else(|| StoreError::Corrupt(name.clone()))?;
        decode(records.sealer(), &name, &row)
    });
    opened.collect()
}

pub(super) async fn length(records: &Records) -> Result<u64, StoreError> {
    records.call_one(&Calls::default().add("HLEN", AUDIT, &[])).await
}

/// Appends that lose a race try again; each time somebody won.
const TRIES: usize = 1000;
