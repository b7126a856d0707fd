//! Accounts of admins and customers.

use redb::{ReadTransaction, ReadableTable as _, WriteTransaction};

use super::events::Pen;
use super::listed::listed;
use super::tables::{ACCOUNT_NAMES, ACCOUNTS, COUNTERS};
use super::users::kind_number;
use super::writer::Changes;
use super::{Fault, next_number};
use crate::codec::{decode, encode};
use crate::event::Happening;
use crate::seal::Sealer;
use crate::{Account, AccountId, Change, NewAccount, Put, StoreError, UnixSeconds, UserKind};

fn kind_name(kind: UserKind) -> &'static str {
    match kind {
        UserKind::Admin => "admin",
        UserKind::Customer => "customer",
    }
}

pub(super) fn account_row(kind: UserKind, id: u64) -> String {
    format!("account:{}:{id}", kind_name(kind))
}

pub(super) fn create(
    pen: Pen<'_>,
    (id, new): (Option<u64>, NewAccount),
    now: UnixSeconds,
) -> Result<(Option<Account>, Changes), StoreError> {
    let (transaction, kind) = (pen.transaction, new.kind);
    let mut names = transaction.open_table(ACCOUNT_NAMES).fault()?;
    if names.get((kind_number(kind), new.username.as_str())).fault()?.is_some() {
        return Ok((None, Vec::new()));
    }
    let mut table = transaction.open_table(ACCOUNTS).fault()?;
    let id = match id {
        None => next_number(transaction, kind_name(kind))?,
        Some(id) => {
            if table.get((kind_number(kind), id)).fault()?.is_some() {
                return Ok((None, Vec::new()));
            }
            passed(transaction, kind_name(kind), id)?;
            id
        }
    };
    names.insert((kind_number(kind), new.username.as_str()), id).fault()?;
    let account = Account {
        id: AccountId(id),
        version: 1,
        created_at: now,
        updated_at: now,
        definition: new,
    };
    let row = encode(pen.sealer, &account_row(kind, id), &account)?;
    table.insert((kind_number(kind), id), row.as_slice()).fault()?;
    pen.record(&Happening::Account {
        before: None,
        after: Some(&account),
    })?;
    let change = changed(&account);
    Ok((Some(account), vec![change]))
}

/// A number that was brought along is not given again.
fn passed(transaction: &WriteTransaction, of: &str, number: u64) -> Result<(), StoreError> {
    let mut counters = transaction.open_table(COUNTERS).fault()?;
    let last = counters.get(of).fault()?.map_or(0, |last| last.value());
    counters.insert(of, last.max(number)).fault()?;
    Ok(())
}

pub(super) fn delete(
    pen: Pen<'_>,
    (kind, id): (UserKind, u64),
    version: Option<u64>,
) -> Result<(Put, Changes), StoreError> {
    let (transaction, sealer) = (pen.transaction, pen.sealer);
    let mut table = transaction.open_table(ACCOUNTS).fault()?;
    let before: Option<Account> = table
        .get((kind_number(kind), id))
        .fault()?
        .map(|row| decode(sealer, &account_row(kind, id), row.value()))
        .transpose()?;
    let Some(before) = before.filter(|before| version.is_none_or(|version| version == before.version)) else {
        return Ok((Put::Changed, Vec::new()));
    };
    table.remove((kind_number(kind), id)).fault()?;
    let mut names = transaction.open_table(ACCOUNT_NAMES).fault()?;
    names
        .remove((kind_number(kind), before.definition.username.as_str()))
        .fault()?;
    pen.record(&Happening::Account {
        before: Some(&before),
        after: None,
    })?;
    Ok((Put::Done(before.version + 1), vec![changed(&before)]))
}

pub(super) fn by_id(
    transaction: &ReadTransaction,
    sealer: &Sealer,
    kind: UserKind,
    id: u64,
) -> Result<Option<Account>, StoreError> {
    let table = transaction.open_table(ACCOUNTS).fault()?;
    let row = table.get((kind_number(kind), id)).fault()?;
    row.map(|row| decode(sealer, &account_row(kind, id), row.value()))
        .transpose()
}

pub(super) fn by_name(
    transaction: &ReadTransaction,
    sealer: &Sealer,
    kind: UserKind,
    username: &str,
) -> Result<Option<Account>, StoreError> {
    let id = transaction
        .open_table(ACCOUNT_NAMES)
        .fault()?
        .get((kind_number(kind), username))
        .fault()?;
    match id {
        None => Ok(None),
        Some(id) => by_id(transaction, sealer, kind, id.value()),
    }
}

pub(super) fn all(transaction: &ReadTransaction, sealer: &Sealer, kind: UserKind) -> Result<Vec<Account>, StoreError> {
    let table = transaction.open_table(ACCOUNTS).fault()?;
    let number = kind_number(kind);
    let range = table.range((number, 0)..(number + 1, 0)).fault()?;
    let mut all = Vec::new();
    for row in range {
        let (key, row) = row.fault()?;
        all.extend(listed::<Account>(
            sealer,
            &account_row(kind, key.value().1),
            row.value(),
        ));
    }
    Ok(all)
}

pub(super) fn update(pen: Pen<'_>, mut account: Account) -> Result<(Put, Changes), StoreError> {
    let (transaction, sealer) = (pen.transaction, pen.sealer);
    let kind = account.definition.kind;
    let id = account.id.0;
    let name = account_row(kind, id);
    let mut table = transaction.open_table(ACCOUNTS).fault()?;
    let before: Option<Account> = table
        .get((kind_number(kind), id))
        .fault()?
        .map(|row| decode(sealer, &name, row.value()))
        .transpose()?;
    let Some(before) = before.filter(|before| before.version == account.version) else {
        return Ok((Put::Changed, Vec::new()));
    };
    if before.definition.username != account.definition.username {
        let mut names = transaction.open_table(ACCOUNT_NAMES).fault()?;
        if names
            .get((kind_number(kind), account.definition.username.as_str()))
            .fault()?
            .is_some()
        {
            return Ok((Put::NameTaken, Vec::new()));
        }
        names
            .remove((kind_number(kind), before.definition.username.as_str()))
            .fault()?;
        names
            .insert((kind_number(kind), account.definition.username.as_str()), id)
            .fault()?;
    }
    account.version += 1;
    let row = encode(sealer, &name, &account)?;
    table.insert((kind_number(kind), id), row.as_slice()).fault()?;
    pen.record(&Happening::Account {
        before: Some(&before),
        after: Some(&account),
    })?;
    Ok((Put::Done(account.version), vec![changed(&before), changed(&account)]))
}

fn changed(account: &Account) -> Change {
    Change::Account {
        kind: account.definition.kind,
        id: account.id.0,
        username: account.definition.username.clone(),
    }
}
