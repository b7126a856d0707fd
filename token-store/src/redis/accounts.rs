//! Accounts of admins and customers.

use super::events;
use super::keys::{self, kind_name};
use super::records::{self, Committed, Records};
use super::script::{Calls, Commit};
use super::users::number;
use crate::event::Happening;
use crate::{Account, AccountId, Change, NewAccount, Put, StoreError, UnixSeconds, UserKind};

pub(super) fn account_row(kind: UserKind, id: u64) -> String {
    format!("account:{}:{id}", kind_name(kind))
}

pub(super) async fn create(
    records: &Records,
    new: NewAccount,
    now: UnixSeconds,
) -> Result<Option<Account>, StoreError> {
    let kind = new.kind;
    for step in records::steps() {
        let account = Account {
            id: AccountId(records.next_number(kind_name(kind), step).await?),
            version: 1,
            created_at: now,
            updated_at: now,
            definition: new.clone(),
        };
        let mut commit = Commit::default();
        commit.expect(&keys::account_names(kind), &account.definition.username, None);
        let number = commit.expect(&keys::accounts(kind), &account.id.0.to_string(), None);
        write_account(records, &mut commit, (None, &account))?;
        match records.commit(&commit, &[changed(&account)]).await? {
            Committed::Done => return Ok(Some(account)),
            Committed::Refused(place) if place == number => {}
            Committed::Refused(_) => return Ok(None),
        }
    }
    Err(StoreError::Corrupt(format!("counter of {} accounts", kind_name(kind))))
}

pub(super) async fn create_as(
    records: &Records,
    id: AccountId,
    new: NewAccount,
    now: UnixSeconds,
) -> Result<Option<Account>, StoreError> {
    let kind = new.kind;
    let account = Account {
        id,
        version: 1,
        created_at: now,
        updated_at: now,
        definition: new,
    };
    loop {
        let calls = Calls::default().add("HGET", keys::COUNTERS, &[kind_name(kind).as_bytes()]);
        let last: Option<u64> = records.call_one(&calls).await?;
        let mut commit = Commit::default();
        commit.expect(&keys::account_names(kind), &account.definition.username, None);
        commit.expect(&keys::accounts(kind), &id.0.to_string(), None);
        let counter = commit.expect(keys::COUNTERS, kind_name(kind), last.map(number).as_deref());
        write_account(records, &mut commit, (None, &account))?;
        if last.unwrap_or_default() < id.0 {
            // A number that was brought along is not given again.
            let words: [&[u8]; 2] = [kind_name(kind).as_bytes(), &number(id.0)];
            commit.write("HSET", keys::COUNTERS, &words);
        }
        match records.commit(&commit, &[changed(&account)]).await? {
            Committed::Done => return Ok(Some(account)),
            Committed::Refused(place) if place == counter => {}
            Committed::Refused(_) => return Ok(None),
        }
    }
}

pub(super) async fn delete(
    records: &Records,
    (kind, id): (UserKind, u64),
    version: Option<u64>,
) -> Result<Put, StoreError> {
    let (table, name) = (keys::accounts(kind), account_row(kind, id));
    loop {
        let before = records.row::<Account>(&table, &id.to_string(), &name).await?;
        let is_meant = |before: &Account| version.is_none_or(|version| version == before.version);
        let Some((row, before)) = before.filter(|(_, before)| is_meant(before)) else {
            return Ok(Put::Changed);
        };
        let mut commit = Commit::default();
        commit.expect(&table, &id.to_string(), Some(&row));
        commit.write("HDEL", &table, &[&number(id)]);
        let username = before.definition.username.as_bytes();
        commit.write("HDEL", &keys::account_names(kind), &[username]);
        let happening = Happening::Account {
            before: Some(&before),
            after: None,
        };
        events::record(records, &mut commit, &happening)?;
        if records.commit(&commit, &[changed(&before)]).await? == Committed::Done {
            return Ok(Put::Done(before.version + 1));
        }
    }
}

fn write_account(
    records: &Records,
    commit: &mut Commit,
    (before, account): (Option<&Account>, &Account),
) -> Result<(), StoreError> {
    let (kind, id) = (account.definition.kind, account.id.0);
    let row = records.seal(&account_row(kind, id), account)?;
    commit.write("HSET", &keys::accounts(kind), &[&number(id), &row]);
    let username = account.definition.username.as_bytes();
    commit.write("HSET", &keys::account_names(kind), &[username, &number(id)]);
    let happening = Happening::Account {
        before,
        after: Some(account),
    };
    events::record(records, commit, &happening)
}

pub(super) async fn by_id(records: &Records, kind: UserKind, id: u64) -> Result<Option<Account>, StoreError> {
    let found = records
        .row(&keys::accounts(kind), &id.to_string(), &account_row(kind, id))
        .await?;
    Ok(found.map(|(_, account)| account))
}

pub(super) async fn by_name(records: &Records, kind: UserKind, username: &str) -> Result<Option<Account>, StoreError> {
    let index = keys::account_names(kind);
    records
        .row_via((&index, username), &keys::accounts(kind), |id| account_row(kind, id))
        .await
}

pub(super) async fn all(records: &Records, kind: UserKind) -> Result<Vec<Account>, StoreError> {
    let all = records.rows(&keys::accounts(kind), |id| account_row(kind, id)).await?;
    let readable = all.into_iter().filter_map(|row| records::readable(row, "accounts"));
    Ok(readable.collect())
}

pub(super) async fn update(records: &Records, account: &Account) -> Result<Put, StoreError> {
    let (kind, id) = (account.definition.kind, account.id.0);
    let (table, name) = (keys::accounts(kind), account_row(kind, id));
    loop {
        let before = records.row::<Account>(&table, &id.to_string(), &name).await?;
        let Some((row, before)) = before.filter(|(_, before)| before.version == account.version) else {
            return Ok(Put::Changed);
        };
        let mut account = account.clone();
        account.version += 1;
        let mut commit = Commit::default();
        let unchanged = commit.expect(&table, &id.to_string(), Some(&row));
        if before.definition.username != account.definition.username {
            commit.expect(&keys::account_names(kind), &account.definition.username, None);
            let username = before.definition.username.as_bytes();
            commit.write("HDEL", &keys::account_names(kind), &[username]);
        }
        write_account(records, &mut commit, (Some(&before), &account))?;
        match records.commit(&commit, &[changed(&before), changed(&account)]).await? {
            Committed::Done => return Ok(Put::Done(account.version)),
            // Another row by now. Where the version is the same it was only sealed anew, and nothing has changed.
            Committed::Refused(place) if place == unchanged => {}
            Committed::Refused(_) => return Ok(Put::NameTaken),
        }
    }
}

fn changed(account: &Account) -> Change {
    Change::Account {
        kind: account.definition.kind,
        id: account.id.0,
        username: account.definition.username.clone(),
    }
}
