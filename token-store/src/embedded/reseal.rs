//! Rows that an earlier key sealed are sealed anew with the first, so that the earlier one can be dropped.

use redb::{ReadTransaction, ReadableTable as _, WriteTransaction};

use super::audit::LAST;
use super::open::CANARY;
use super::tables::{ACCOUNTS, AUDIT, CONSUMERS, DEAD, DELEGATED, EVENTS, META, OUTBOX, SECRETS, USER_TOKENS};
use super::{Embedded, Fault};
use super::{accounts, audit, consumers, delegated, events, secrets, users};
use crate::codec::reseal;
use crate::seal::{MARK, Sealer};
use crate::{StoreError, UserKind};

/// A sealed row: its table, and its key there.
#[derive(Clone, Debug)]
enum Row {
    Consumer(u64),
    Delegated(u64, String),
    UserToken(String),
    Secret(String),
    Account(UserKind, u64),
    Audit(u64),
    Event(u64),
    Outbox(String, String),
    Dead(String),
    Meta(&'static str),
}

/// All rows, some in a transaction; answers how many were sealed anew.
pub(super) async fn all(store: &Embedded) -> Result<u64, StoreError> {
    let rows = store.read(found)?;
    let mut count = 0;
    for part in rows.chunks(AT_ONCE) {
        let part = part.to_vec();
        let sealed = store.write(move |transaction, sealer| Ok((some(transaction, sealer, &part)?, Vec::new())));
        count += sealed.await?;
    }
    store
        .write(|transaction, sealer| Ok((forget_other_keys(transaction, sealer)?, Vec::new())))
        .await?;
    Ok(count)
}

/// All rows that another key than the first sealed.
fn found(transaction: &ReadTransaction, sealer: &Sealer) -> Result<Vec<Row>, StoreError> {
    let mut rows = Vec::new();
    macro_rules! collect {
        ($table:expr, $key:pat => $row:expr) => {
            for row in transaction.open_table($table).fault()?.iter().fault()? {
                let (key, row) = row.fault()?;
                if !sealer.is_by_first(row.value()) {
                    let $key = key.value();
                    rows.push($row);
                }
            }
        };
    }
    collect!(CONSUMERS, id => Row::Consumer(id));
    collect!(DELEGATED, (consumer, digest) => Row::Delegated(consumer, digest.to_owned()));
    collect!(USER_TOKENS, digest => Row::UserToken(digest.to_owned()));
    collect!(SECRETS, name => Row::Secret(name.to_owned()));
    collect!(ACCOUNTS, (kind, id) => Row::Account(users::kind_of(kind), id));
    collect!(AUDIT, number => Row::Audit(number));
    collect!(EVENTS, number => Row::Event(number));
    collect!(DEAD, name => Row::Dead(name.to_owned()));
    for row in transaction.open_table(OUTBOX).fault()?.iter().fault()? {
        let (key, row) = row.fault()?;
        if !sealer.is_by_first(row.value().1) {
            let (webhook, id) = key.value();
            rows.push(Row::Outbox(webhook.to_owned(), id.to_owned()));
        }
    }
    let meta = transaction.open_table(META).fault()?;
    for name in [CANARY, LAST] {
        let row = meta.get(name).fault()?;
        if row.is_some_and(|row| !sealer.is_by_first(row.value())) {
            rows.push(Row::Meta(name));
        }
    }
    Ok(rows)
}

/// Seals some of them anew, in one transaction; answers how many. One that is gone meanwhile, or that no key opens, is left.
fn some(transaction: &WriteTransaction, sealer: &Sealer, rows: &[Row]) -> Result<u64, StoreError> {
    let mut count = 0;
    macro_rules! again {
        ($table:expr, $key:expr, $name:expr) => {{
            let mut table = transaction.open_table($table).fault()?;
            let row = table.get($key).fault()?.map(|row| row.value().to_vec());
            if let Some(anew) = row.and_then(|row| reseal(sealer, &$name, &row).ok().flatten()) {
                table.insert($key, anew.as_slice()).fault()?;
                count += 1;
            }
        }};
    }
    for row in rows {
        match row {
            Row::Consumer(id) => again!(CONSUMERS, id, consumers::row_name(*id)),
            Row::Delegated(consumer, digest) => {
                let key = (*consumer, digest.as_str());
                again!(DELEGATED, key, delegated::delegated_name(*consumer, digest));
            }
            Row::UserToken(digest) => again!(USER_TOKENS, digest.as_str(), users::token_row(digest)),
            Row::Secret(name) => again!(SECRETS, name.as_str(), secrets::row_name(name)),
            Row::Account(kind, id) => {
                let key = (users::kind_number(*kind), *id);
                again!(ACCOUNTS, key, accounts::account_row(*kind, *id));
            }
            Row::Audit(number) => again!(AUDIT, number, audit::row_name(*number)),
            Row::Event(number) => again!(EVENTS, number, events::event_row(*number)),
            Row::Dead(name) => again!(DEAD, name.as_str(), events::dead_row(name)),
            Row::Meta(name) => again!(META, *name, *name),
            Row::Outbox(webhook, id) => {
                let key = (webhook.as_str(), id.as_str());
                let mut table = transaction.open_table(OUTBOX).fault()?;
                let row = table
                    .get(key)
                    .fault()?
                    .map(|row| (row.value().0, row.value().1.to_vec()));
                let Some((due, row)) = row else { continue };
                if let Some(anew) = reseal(sealer, &events::outbox_row(webhook, id), &row).ok().flatten() {
                    table.insert(key, (due, anew.as_slice())).fault()?;
                    count += 1;
                }
            }
        }
    }
    Ok(count)
}

/// From now on only the first key is needed.
fn forget_other_keys(transaction: &WriteTransaction, sealer: &Sealer) -> Result<(), StoreError> {
    let own = sealer.mark();
    let mut meta = transaction.open_table(META).fault()?;
    let is_other = |name: &str| name.starts_with(MARK) && Some(name) != own.as_deref();
    meta.retain(|name, _| !is_other(name)).fault()
}

/// Rows of one transaction.
const AT_ONCE: usize = 500;
