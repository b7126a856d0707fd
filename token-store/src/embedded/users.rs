//! Users' bearer tokens, failed sign-ins.

use std::ops::Bound::{Excluded, Unbounded};

use redb::{ReadTransaction, ReadableTable as _, Table, WriteTransaction};

use super::Fault;
use super::delegated;
use super::events::Pen;
use super::listed::listed;
use super::tables::{
    AFTER_ALL_DIGESTS, LOCKOUTS, LOCKOUTS_UNTIL, REVOKED_BEFORE, USER_TOKENS, USER_TOKENS_OF, USER_TOKENS_UNTIL,
};
use super::writer::Changes;
use crate::codec::{decode, encode};
use crate::event::Happening;
use crate::seal::Sealer;
use crate::{Change, LockoutKind, SignInFailures, StoreError, UnixSeconds, User, UserKind, UserToken};

pub(super) fn kind_number(kind: UserKind) -> u8 {
    match kind {
        UserKind::Admin => 2,
        UserKind::Customer => 3,
    }
}

pub(super) fn kind_of(number: u8) -> UserKind {
    if number == kind_number(UserKind::Admin) {
        UserKind::Admin
    } else {
        UserKind::Customer
    }
}

pub(super) fn token_row(digest: &str) -> String {
    format!("user_token:{digest}")
}

pub(super) fn put_token(pen: Pen<'_>, token: &UserToken) -> Result<((), Changes), StoreError> {
    let (transaction, sealer) = (pen.transaction, pen.sealer);
    let kind = kind_number(token.user.kind);
    let digest = token.digest.as_str();
    let row = encode(sealer, &token_row(digest), token)?;
    // Kept again: what the first time said of its user and its end doesn't count any more.
    let before = {
        let table = transaction.open_table(USER_TOKENS).fault()?;
        let before = table.get(digest).fault()?;
        before
            .map(|row| decode::<UserToken>(sealer, &token_row(digest), row.value()))
            .transpose()?
    };
    if let Some(before) = before {
        Tokens::open(transaction)?.delete(before.user, before.expires_at, digest)?;
    }
    transaction
        .open_table(USER_TOKENS)
        .fault()?
        .insert(digest, row.as_slice())
        .fault()?;
    transaction
        .open_table(USER_TOKENS_OF)
        .fault()?
        .insert((kind, token.user.id, digest), token.expires_at)
        .fault()?;
    if let Some(until) = token.expires_at {
        transaction
            .open_table(USER_TOKENS_UNTIL)
            .fault()?
            .insert((kind, until, digest), token.user.id)
            .fault()?;
    }
    pen.record(&Happening::UserToken(token))?;
    Ok((
        (),
        vec![Change::UserToken {
            digest: digest.to_owned(),
        }],
    ))
}

pub(super) fn token(
    transaction: &ReadTransaction,
    sealer: &Sealer,
    digest: &str,
) -> Result<Option<UserToken>, StoreError> {
    let table = transaction.open_table(USER_TOKENS).fault()?;
    let row = table.get(digest).fault()?;
    row.map(|row| decode(sealer, &token_row(digest), row.value()))
        .transpose()
}

pub(super) fn tokens_of(
    transaction: &ReadTransaction,
    sealer: &Sealer,
    user: User,
) -> Result<Vec<UserToken>, StoreError> {
    let table = transaction.open_table(USER_TOKENS).fault()?;
    let mut found = Vec::new();
    for (digest, _) in ends_of(&transaction.open_table(USER_TOKENS_OF).fault()?, user)? {
        if let Some(row) = table.get(digest.as_str()).fault()? {
            found.extend(listed::<UserToken>(sealer, &token_row(&digest), row.value()));
        }
    }
    Ok(found)
}

/// A user's tokens: digest and end.
fn ends_of(
    table: &impl redb::ReadableTable<(u8, u64, &'static str), Option<u64>>,
    user: User,
) -> Result<Vec<(String, Option<UnixSeconds>)>, StoreError> {
    let kind = kind_number(user.kind);
    let range = table
        .range((kind, user.id, "")..(kind, user.id, AFTER_ALL_DIGESTS))
        .fault()?;
    range
        .map(|row| {
            let (key, end) = row.fault()?;
            Ok((key.value().2.to_owned(), end.value()))
        })
        .collect()
}

pub(super) fn list_tokens(
    transaction: &ReadTransaction,
    sealer: &Sealer,
    after: &str,
    limit: usize,
) -> Result<(Vec<UserToken>, Option<String>), StoreError> {
    let table = transaction.open_table(USER_TOKENS).fault()?;
    let mut page: Vec<UserToken> = Vec::new();
    for row in table.range::<&str>((Excluded(after), Unbounded)).fault()? {
        if page.len() >= limit.max(1) {
            break;
        }
        let (digest, row) = row.fault()?;
        page.extend(listed::<UserToken>(sealer, &token_row(digest.value()), row.value()));
    }
    let next = page.last().map(|last| last.digest.clone());
    Ok((page, next))
}

pub(super) fn delete_one_token(pen: Pen<'_>, digest: &str) -> Result<(bool, Changes), StoreError> {
    let (transaction, sealer) = (pen.transaction, pen.sealer);
    let found = {
        let table = transaction.open_table(USER_TOKENS).fault()?;
        let row = table.get(digest).fault()?;
        row.map(|row| decode::<UserToken>(sealer, &token_row(digest), row.value()))
            .transpose()?
    };
    let Some(found) = found else {
        return Ok((false, Vec::new()));
    };
    Tokens::open(transaction)?.delete(found.user, found.expires_at, digest)?;
    pen.record(&Happening::UserTokensOf(found.user, 1))?;
    let digest = digest.to_owned();
    Ok((true, vec![Change::UserToken { digest }]))
}

pub(super) fn revoked_before(transaction: &ReadTransaction, user: User) -> Result<UnixSeconds, StoreError> {
    let table = transaction.open_table(REVOKED_BEFORE).fault()?;
    let second = table.get((kind_number(user.kind), user.id)).fault()?;
    Ok(second.map_or(0, |second| second.value()))
}

pub(super) fn revoke_tokens_of(pen: Pen<'_>, user: User, now: UnixSeconds) -> Result<(u64, Changes), StoreError> {
    let transaction = pen.transaction;
    let name = (kind_number(user.kind), user.id);
    let mut revoked = transaction.open_table(REVOKED_BEFORE).fault()?;
    let before = revoked.get(name).fault()?.map_or(0, |before| before.value());
    revoked.insert(name, now.max(before.saturating_add(1))).fault()?;
    let mut tokens = Tokens::open(transaction)?;
    let found = ends_of(&tokens.of_users, user)?;
    for (digest, end) in &found {
        tokens.delete(user, *end, digest)?;
    }
    let delegated = delegated::standing(transaction, pen.sealer, user, before)?.len();
    let ended = u64::try_from(found.len().saturating_add(delegated)).unwrap_or(u64::MAX);
    pen.record(&Happening::UserTokensOf(user, ended))?;
    Ok((ended, vec![Change::UserTokensOf { user }]))
}

/// The rows of bearer tokens, to delete from.
struct Tokens<'t> {
    rows: Table<'t, &'static str, &'static [u8]>,
    of_users: Table<'t, (u8, u64, &'static str), Option<u64>>,
    until: Table<'t, (u8, u64, &'static str), u64>,
}

impl<'t> Tokens<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            rows: transaction.open_table(USER_TOKENS).fault()?,
            of_users: transaction.open_table(USER_TOKENS_OF).fault()?,
            until: transaction.open_table(USER_TOKENS_UNTIL).fault()?,
        })
    }

    /// Also one whose row no key opens any more: revoking must not depend on reading.
    fn delete(&mut self, user: User, end: Option<UnixSeconds>, digest: &str) -> Result<(), StoreError> {
        let kind = kind_number(user.kind);
        self.rows.remove(digest).fault()?;
        self.of_users.remove((kind, user.id, digest)).fault()?;
        if let Some(end) = end {
            self.until.remove((kind, end, digest)).fault()?;
        }
        Ok(())
    }
}

pub(super) fn sweep_tokens(
    transaction: &WriteTransaction,
    kind: UserKind,
    now: UnixSeconds,
    limit: usize,
) -> Result<(u64, Changes), StoreError> {
    let mut tokens = Tokens::open(transaction)?;
    let number = kind_number(kind);
    let expired: Vec<(User, UnixSeconds, String)> = tokens
        .until
        .range((number, 0, "")..(number, now.saturating_add(1), ""))
        .fault()?
        .take(limit)
        .map(|row| {
            let (key, id) = row.fault()?;
            let (_, end, digest) = key.value();
            Ok((User { kind, id: id.value() }, end, digest.to_owned()))
        })
        .collect::<Result<_, StoreError>>()?;
    for (user, end, digest) in &expired {
        tokens.delete(*user, Some(*end), digest)?;
        give_way();
    }
    // Caches compare the expiry themselves: nobody needs to hear of it.
    Ok((u64::try_from(expired.len()).unwrap_or(u64::MAX), Vec::new()))
}

fn lockout_number(kind: LockoutKind) -> u8 {
    match kind {
        LockoutKind::Customer => 2,
        LockoutKind::Admin => 3,
    }
}

pub(super) fn failures(
    transaction: &ReadTransaction,
    kind: LockoutKind,
    name: &str,
    now: UnixSeconds,
) -> Result<Option<SignInFailures>, StoreError> {
    let table = transaction.open_table(LOCKOUTS).fault()?;
    let row = table.get((lockout_number(kind), name)).fault()?.map(|row| row.value());
    Ok(row
        .map(|(count, lock_expires_at)| SignInFailures { count, lock_expires_at })
        .filter(|failures| failures.lock_expires_at > now))
}

pub(super) fn record_failure(
    transaction: &WriteTransaction,
    kind: LockoutKind,
    name: &str,
    now: UnixSeconds,
    lock_secs: u64,
) -> Result<(SignInFailures, Changes), StoreError> {
    let number = lockout_number(kind);
    let mut table = transaction.open_table(LOCKOUTS).fault()?;
    let mut until = transaction.open_table(LOCKOUTS_UNTIL).fault()?;
    let before = table.get((number, name)).fault()?.map(|row| row.value());
    if let Some((_, expires)) = before {
        until.remove((expires, number, name)).fault()?;
    }
    let count = before
        .filter(|(_, expires)| *expires > now)
        .map_or(0, |(count, _)| count)
        .saturating_add(1);
    let failures = SignInFailures {
        count,
        lock_expires_at: now.saturating_add(lock_secs),
    };
    table
        .insert((number, name), (count, failures.lock_expires_at))
        .fault()?;
    until.insert((failures.lock_expires_at, number, name), ()).fault()?;
    Ok((failures, Vec::new()))
}

pub(super) fn clear_failures(
    transaction: &WriteTransaction,
    kind: LockoutKind,
    name: &str,
) -> Result<((), Changes), StoreError> {
    let number = lockout_number(kind);
    let before = transaction
        .open_table(LOCKOUTS)
        .fault()?
        .remove((number, name))
        .fault()?
        .map(|row| row.value());
    if let Some((_, expires)) = before {
        transaction
            .open_table(LOCKOUTS_UNTIL)
            .fault()?
            .remove((expires, number, name))
            .fault()?;
    }
    Ok(((), Vec::new()))
}

pub(super) fn sweep_failures(
    transaction: &WriteTransaction,
    now: UnixSeconds,
    limit: usize,
) -> Result<(u64, Changes), StoreError> {
    let mut until = transaction.open_table(LOCKOUTS_UNTIL).fault()?;
    let expired: Vec<(u64, u8, String)> = until
        .range((0, 0, "")..(now.saturating_add(1), 0, ""))
        .fault()?
        .take(limit)
        .map(|row| {
            let (key, _) = row.fault()?;
            let (expires, kind, name) = key.value();
            Ok((expires, kind, name.to_owned()))
        })
        .collect::<Result<_, StoreError>>()?;
    let mut table = transaction.open_table(LOCKOUTS).fault()?;
    for (expires, kind, name) in &expired {
        until.remove((*expires, *kind, name.as_str())).fault()?;
        table.remove((*kind, name.as_str())).fault()?;
        give_way();
    }
    Ok((u64::try_from(expired.len()).unwrap_or(u64::MAX), Vec::new()))
}

/// Where requests are served on the same core, none of them waits for the rest of a step.
fn give_way() {
    std::thread::yield_now();
}
