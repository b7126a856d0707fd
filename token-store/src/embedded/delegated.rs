//! Tokens that users delegate.

use std::ops::Range;

use redb::{ReadTransaction, ReadableTable, WriteTransaction};

use super::Fault;
use super::consumers::{owner, row_name, taken};
use super::events::Pen;
use super::listed::listed;
use super::tables::{AFTER_ALL_DIGESTS, CONSUMERS, DELEGATED, DELEGATED_BY, REVOKED_BEFORE, TOKENS};
use super::users::kind_number;
use super::writer::Changes;
use crate::codec::{decode, encode, token_digest};
use crate::event::Happening;
use crate::seal::Sealer;
use crate::{Change, ConsumerId, Delegated, Put, StoreError, UnixSeconds, User};

pub(super) fn delegated_name(consumer: u64, digest: &str) -> String {
    format!("delegated:{consumer}:{digest}")
}

/// The rows of a consumer.
fn of_consumer(consumer: u64) -> Range<(u64, &'static str)> {
    (consumer, "")..(consumer, AFTER_ALL_DIGESTS)
}

fn digests_of(
    table: &impl ReadableTable<(u64, &'static str), &'static [u8]>,
    consumer: u64,
) -> Result<Vec<String>, StoreError> {
    let range = table.range(of_consumer(consumer)).fault()?;
    range.map(|row| Ok(row.fault()?.0.value().1.to_owned())).collect()
}

pub(super) fn put(
    transaction: &WriteTransaction,
    sealer: &Sealer,
    row: &Delegated,
) -> Result<((), Changes), StoreError> {
    let id = row.consumer_id.0;
    // A consumer deleted meanwhile took its tokens along.
    if transaction.open_table(CONSUMERS).fault()?.get(id).fault()?.is_none() {
        return Err(StoreError::Corrupt(row_name(id)));
    }
    let digest = token_digest(&row.token);
    if owner(&transaction.open_table(TOKENS).fault()?, &digest)?.is_some() {
        return Err(taken("token"));
    }
    let sealed = encode(sealer, &delegated_name(id, &digest), row)?;
    transaction
        .open_table(DELEGATED)
        .fault()?
        .insert((id, digest.as_str()), sealed.as_slice())
        .fault()?;
    transaction
        .open_table(TOKENS)
        .fault()?
        .insert(digest.as_str(), id)
        .fault()?;
    if let Some(user) = row.user() {
        let mut by = transaction.open_table(DELEGATED_BY).fault()?;
        by.insert((kind_number(user.kind), user.id, digest.as_str()), id)
            .fault()?;
    }
    Ok((
        (),
        vec![Change::Delegated {
            consumer: row.consumer_id,
            digest,
        }],
    ))
}

pub(super) fn one(
    transaction: &ReadTransaction,
    sealer: &Sealer,
    consumer: u64,
    token: &str,
) -> Result<Option<Delegated>, StoreError> {
    let digest = token_digest(token);
    let table = transaction.open_table(DELEGATED).fault()?;
    let row = table.get((consumer, digest.as_str())).fault()?;
    row.map(|row| decode(sealer, &delegated_name(consumer, &digest), row.value()))
        .transpose()
}

pub(super) fn of(transaction: &ReadTransaction, sealer: &Sealer, consumer: u64) -> Result<Vec<Delegated>, StoreError> {
    let table = transaction.open_table(DELEGATED).fault()?;
    let mut all = Vec::new();
    for row in table.range(of_consumer(consumer)).fault()? {
        let (key, row) = row.fault()?;
        let name = delegated_name(consumer, key.value().1);
        all.extend(listed::<Delegated>(sealer, &name, row.value()));
    }
    Ok(all)
}

/// The access tokens that a user delegated and that have not ended.
pub(super) fn by(transaction: &ReadTransaction, sealer: &Sealer, user: User) -> Result<Vec<Delegated>, StoreError> {
    let revoked = transaction.open_table(REVOKED_BEFORE).fault()?;
    let revoked = revoked.get((kind_number(user.kind), user.id)).fault()?;
    let tables = (
        transaction.open_table(DELEGATED_BY).fault()?,
        transaction.open_table(DELEGATED).fault()?,
    );
    let revoked_before = revoked.map_or(0, |second| second.value());
    standing_in((&tables.0, &tables.1), sealer, user, revoked_before)
}

/// The same within a change, for the second in which all tokens of the user last ended.
pub(super) fn standing(
    transaction: &WriteTransaction,
    sealer: &Sealer,
    user: User,
    revoked_before: UnixSeconds,
) -> Result<Vec<Delegated>, StoreError> {
    let tables = (
        transaction.open_table(DELEGATED_BY).fault()?,
        transaction.open_table(DELEGATED).fault()?,
    );
    standing_in((&tables.0, &tables.1), sealer, user, revoked_before)
}

fn standing_in(
    (by, rows): (
        &impl ReadableTable<(u8, u64, &'static str), u64>,
        &impl ReadableTable<(u64, &'static str), &'static [u8]>,
    ),
    sealer: &Sealer,
    user: User,
    revoked_before: UnixSeconds,
) -> Result<Vec<Delegated>, StoreError> {
    let kind = kind_number(user.kind);
    let range = by
        .range((kind, user.id, "")..(kind, user.id, AFTER_ALL_DIGESTS))
        .fault()?;
    let mut found = Vec::new();
    for entry in range {
        let (key, consumer) = entry.fault()?;
        let (digest, consumer) = (key.value().2.to_owned(), consumer.value());
        let row = rows.get((consumer, digest.as_str())).fault()?;
        // One that no key opens any more is of no use: revoking must not depend on reading.
        let row = row.and_then(|row| decode::<Delegated>(sealer, &delegated_name(consumer, &digest), row.value()).ok());
        found.extend(row.filter(|row| row.is_of(user, revoked_before)));
    }
    Ok(found)
}

fn no_longer_by(transaction: &WriteTransaction, user: Option<User>, digest: &str) -> Result<(), StoreError> {
    if let Some(user) = user {
        let mut by = transaction.open_table(DELEGATED_BY).fault()?;
        by.remove((kind_number(user.kind), user.id, digest)).fault()?;
    }
    Ok(())
}

/// Deletes all of a consumer; answers their digests.
pub(super) fn delete_all(
    transaction: &WriteTransaction,
    sealer: &Sealer,
    consumer: u64,
) -> Result<Vec<String>, StoreError> {
    let mut table = transaction.open_table(DELEGATED).fault()?;
    let digests = digests_of(&table, consumer)?;
    for digest in &digests {
        let row = table.remove((consumer, digest.as_str())).fault()?;
        let row = row.and_then(|row| decode::<Delegated>(sealer, &delegated_name(consumer, digest), row.value()).ok());
        no_longer_by(transaction, row.and_then(|row| row.user()), digest)?;
    }
    Ok(digests)
}

pub(super) fn replace(pen: Pen<'_>, token: &str, mut row: Delegated) -> Result<(Put, Changes), StoreError> {
    let (transaction, sealer) = (pen.transaction, pen.sealer);
    let id = row.consumer_id.0;
    let digest = token_digest(token);
    let mut table = transaction.open_table(DELEGATED).fault()?;
    let before: Option<Delegated> = table
        .get((id, digest.as_str()))
        .fault()?
        .map(|old| decode(sealer, &delegated_name(id, &digest), old.value()))
        .transpose()?;
    let Some(before) = before.filter(|before| before.version == row.version) else {
        return Ok((Put::Changed, Vec::new()));
    };
    let mut tokens = transaction.open_table(TOKENS).fault()?;
    if token != row.token && owner(&tokens, &token_digest(&row.token))?.is_some() {
        return Err(taken("token"));
    }
    table.remove((id, digest.as_str())).fault()?;
    tokens.remove(digest.as_str()).fault()?;
    drop((table, tokens));
    no_longer_by(transaction, before.user(), &digest)?;
    row.version += 1;
    let ((), mut changes) = put(transaction, sealer, &row)?;
    pen.record(&Happening::Delegated {
        before: &before,
        after: Some(&row),
    })?;
    changes.push(Change::Delegated {
        consumer: row.consumer_id,
        digest,
    });
    Ok((Put::Done(row.version), changes))
}

pub(super) fn delete(pen: Pen<'_>, consumer: u64, token: &str) -> Result<(bool, Changes), StoreError> {
    let digest = token_digest(token);
    let removed: Option<Option<Delegated>> = {
        let mut table = pen.transaction.open_table(DELEGATED).fault()?;
        let row = table.remove((consumer, digest.as_str())).fault()?;
        // Also one that no key opens any more: revoking must not depend on reading.
        row.map(|row| decode(pen.sealer, &delegated_name(consumer, &digest), row.value()).ok())
    };
    let existed = removed.is_some();
    if existed {
        let mut tokens = pen.transaction.open_table(TOKENS).fault()?;
        tokens.remove(digest.as_str()).fault()?;
    }
    if let Some(before) = removed.flatten() {
        no_longer_by(pen.transaction, before.user(), &digest)?;
        pen.record(&Happening::Delegated {
            before: &before,
            after: None,
        })?;
    }
    Ok((
        existed,
        vec![Change::Delegated {
            consumer: ConsumerId(consumer),
            digest,
        }],
    ))
}
