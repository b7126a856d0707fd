//! The audit log: numbered without gaps and chained, also when gateways append at once.

use super::keys::AUDIT;
use super::memory::unavailable;
use super::records::{Committed, Records};
use super::script::{Calls, Commit};
use crate::audit::Last;
use crate::codec::decode;
use crate::{AuditEntry, Change, NewAuditEntry, StoreError};

pub(super) fn row_name(number: u64) -> String {
    format!("audit:{number}")
}

pub(super) async fn append(records: &Records, entry: NewAuditEntry) -> Result<AuditEntry, StoreError> {
    let (_, entry) = commit(records, &Commit::default(), &entry, &[]).await?;
    Ok(entry)
}

/// Writes a change with its entry behind the last one, and again where another entry was faster.
pub(super) async fn commit(
    records: &Records,
    change: &Commit,
    entry: &NewAuditEntry,
    told: &[Change],
) -> Result<(Committed, AuditEntry), StoreError> {
    for _ in 0..TRIES {
        let mut commit = change.clone();
        let (place, entry) = add(records, &mut commit, entry.clone()).await?;
        match records.write(&commit, told).await? {
            Committed::Refused(refused) if refused >= place => {}
            committed @ (Committed::Refused(_) | Committed::Done) => return Ok((committed, entry)),
        }
    }
    Err(unavailable("too many entries are appended to the audit log at once"))
}

/// Adds an entry to a commit; it is refused at the place that this answers, or behind it, where another was faster.
async fn add(records: &Records, commit: &mut Commit, entry: NewAuditEntry) -> Result<(usize, AuditEntry), StoreError> {
    let (row, last) = last(records).await?;
    let entry = Last::then(last.as_ref(), entry);
    let number = entry.number.to_string();
    let place = commit.expect(AUDIT, LAST, row.as_deref());
    commit.expect(AUDIT, &number, None);
    let sealed = records.seal(&row_name(entry.number), &entry)?;
    commit.write("HSET", AUDIT, &[number.as_bytes(), &sealed]);
    let sealed = records.seal(LAST_NAME, &Last::of(&entry))?;
    commit.write("HSET", AUDIT, &[LAST.as_bytes(), &sealed]);
    Ok((place, entry))
}

/// Which entry was the last, as it is kept and read.
async fn last(records: &Records) -> Result<(Option<Vec<u8>>, Option<Last>), StoreError> {
    let calls = Calls::default().add("HGET", AUDIT, &[LAST.as_bytes()]);
    let Some(row) = records.call_one::<Option<Vec<u8>>>(&calls).await? else {
        return Ok((None, last_found(records).await?));
    };
    match decode(records.sealer(), LAST_NAME, &row) {
        Ok(last) => Ok((Some(row), Some(last))),
        // Damaged: what stands has to do, or nobody could change anything any more.
        Err(_) => Ok((Some(row), last_found(records).await?)),
    }
}

/// The same where nothing is kept of it.
async fn last_found(records: &Records) -> Result<Option<Last>, StoreError> {
    let fields: Vec<String> = records.call_one(&Calls::default().add("HKEYS", AUDIT, &[])).await?;
    let numbers = fields.iter().filter_map(|field| field.parse::<u64>().ok());
    let Some(number) = numbers.max() else { return Ok(None) };
    let row = records
        .row::<AuditEntry>(AUDIT, &number.to_string(), &row_name(number))
        .await;
    let hash = match row {
        Ok(row) => row.map(|(_, entry)| entry.hash).unwrap_or_default(),
        Err(StoreError::Corrupt(_)) => String::new(),
        Err(error @ (StoreError::Unavailable(_) | StoreError::IdentityLost)) => return Err(error),
    };
    Ok(Some(Last { number, hash }))
}

/// An entry that is missing or can't be opened is left out: its number shows that.
pub(super) async fn read(records: &Records, after: u64, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
    let last = length(records).await?;
    let step = u64::try_from(limit).unwrap_or(u64::MAX).min(STEP);
    let (mut entries, mut after) = (Vec::new(), after);
    while entries.len() < limit && after < last {
        let up_to = last.min(after.saturating_add(step));
        let numbers: Vec<String> = (after + 1..=up_to).map(|number| number.to_string()).collect();
        let rows = records.fields(AUDIT, &numbers).await?;
        for (number, row) in numbers.iter().zip(rows) {
            let name = format!("audit:{number}");
            if let Some(Ok(entry)) = row.map(|row| decode(records.sealer(), &name, &row)) {
                entries.push(entry);
            } else {
                tracing::warn!(number, "an audit entry is missing or can't be opened");
            }
        }
        after = up_to;
    }
    entries.truncate(limit);
    Ok(entries)
}

pub(super) async fn length(records: &Records) -> Result<u64, StoreError> {
    Ok(last(records).await?.1.map_or(0, |last| last.number))
}

/// The field of [`AUDIT`] that is no number: which entry was the last.
pub(super) const LAST: &str = "last";
pub(super) const LAST_NAME: &str = "audit:last";
/// Appends that lose a race try again; each time somebody won.
const TRIES: usize = 1000;
/// Entries that are read at once.
const STEP: u64 = 1000;
