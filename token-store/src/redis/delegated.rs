//! Delegated tokens: temporary credentials, and the access tokens that they are exchanged for.

use std::collections::BTreeSet;

use super::consumers::{self, taken};
use super::events;
use super::keys::{self, CONSUMERS, TOKENS};
use super::records::{self, Committed, Records};
use super::script::{Calls, Commit};
use super::users::number;
use crate::codec::{decode, token_digest};
use crate::event::Happening;
use crate::{Change, ConsumerId, Delegated, Put, StoreError, UnixSeconds, User};

pub(super) fn row_name(consumer: u64, digest: &str) -> String {
    format!("delegated:{consumer}:{digest}")
}

pub(super) async fn put(records: &Records, row: &Delegated) -> Result<(), StoreError> {
    let id = row.consumer_id.0;
    let digest = token_digest(&row.token);
    let sealed = records.seal(&row_name(id, &digest), row)?;
    let mut commit = Commit::default();
    // A consumer deleted meanwhile takes its delegated tokens along.
    commit.expect_some(CONSUMERS, &id.to_string());
    let token = commit.expect(TOKENS, &digest, None);
    commit.write("HSET", &keys::delegated(id), &[digest.as_bytes(), &sealed]);
    commit.write("HSET", TOKENS, &[digest.as_bytes(), &number(id)]);
    if let Some(user) = row.user() {
        commit.write("SADD", &keys::delegated_by(user), &[&member(id, &digest)]);
    }
    let change = Change::Delegated {
        consumer: row.consumer_id,
        digest,
    };
    match records.commit(&commit, &[change]).await? {
        Committed::Done => Ok(()),
        Committed::Refused(place) if place == token => Err(taken("token")),
        Committed::Refused(_) => Err(StoreError::Corrupt(consumers::row_name(id))),
    }
}

pub(super) async fn one(records: &Records, consumer: u64, token: &str) -> Result<Option<Delegated>, StoreError> {
    let digest = token_digest(token);
    let found = records
        .row(&keys::delegated(consumer), &digest, &row_name(consumer, &digest))
        .await?;
    Ok(found.map(|(_, row)| row))
}

pub(super) async fn of(records: &Records, consumer: u64) -> Result<Vec<Delegated>, StoreError> {
    let calls = Calls::default().add("HGETALL", &keys::delegated(consumer), &[]);
    let rows: Vec<(String, Vec<u8>)> = records.call_one(&calls).await?;
    let open = |(digest, row): (String, Vec<u8>)| {
        let opened = decode(records.sealer(), &row_name(consumer, &digest), &row);
        records::readable(opened, "delegated tokens")
    };
    Ok(rows.into_iter().filter_map(open).collect())
}

/// The access tokens that a user delegated and that have not ended, where all of theirs last ended in that second.
pub(super) async fn by(
    records: &Records,
    user: User,
    revoked_before: UnixSeconds,
) -> Result<Vec<Delegated>, StoreError> {
    let calls = Calls::default().add("SMEMBERS", &keys::delegated_by(user), &[]);
    let members: Vec<String> = records.call_one(&calls).await?;
    let mut found = Vec::new();
    for member in members {
        let Some((consumer, digest)) = member
            .split_once(':')
            .and_then(|(id, digest)| Some((id.parse().ok()?, digest)))
        else {
            continue;
        };
        let name = row_name(consumer, digest);
        match records
            .row::<Delegated>(&keys::delegated(consumer), digest, &name)
            .await
        {
            Ok(row) => found.extend(row.map(|(_, row)| row).filter(|row| row.is_of(user, revoked_before))),
            // One that no key opens any more is of no use: revoking must not depend on reading.
            Err(StoreError::Corrupt(_)) => {}
            Err(error @ (StoreError::Unavailable(_) | StoreError::IdentityLost)) => return Err(error),
        }
    }
    Ok(found)
}

/// A member of [`keys::delegated_by`].
fn member(consumer: u64, digest: &str) -> Vec<u8> {
    format!("{consumer}:{digest}").into_bytes()
}

/// The token goes, or another takes its place.
fn no_longer_by(commit: &mut Commit, before: &Delegated, digest: &str) {
    if let Some(user) = before.user() {
        commit.write(
            "SREM",
            &keys::delegated_by(user),
            &[&member(before.consumer_id.0, digest)],
        );
    }
}

pub(super) async fn replace(records: &Records, token: &str, row: &Delegated) -> Result<Put, StoreError> {
    let (id, digest) = (row.consumer_id.0, token_digest(token));
    let (table, name) = (keys::delegated(id), row_name(id, &digest));
    loop {
        let before = records.row::<Delegated>(&table, &digest, &name).await?;
        let Some((sealed, before)) = before.filter(|(_, before)| before.version == row.version) else {
            return Ok(Put::Changed);
        };
        if let Some(put) = try_replace(records, &digest, (&sealed, &before), row).await? {
            return Ok(put);
        }
    }
}

/// `None`: the row is another by now. Where the version is the same it was only sealed anew, and nothing has changed.
async fn try_replace(
    records: &Records,
    digest: &str,
    (sealed, before): (&[u8], &Delegated),
    row: &Delegated,
) -> Result<Option<Put>, StoreError> {
    let id = row.consumer_id.0;
    let table = keys::delegated(id);
    let mut row = row.clone();
    row.version += 1;
    let new_digest = token_digest(&row.token);
    let mut commit = Commit::default();
    let unchanged = commit.expect(&table, digest, Some(sealed));
    if new_digest != digest {
        commit.expect(TOKENS, &new_digest, None);
    }
    commit.write("HDEL", &table, &[digest.as_bytes()]);
    commit.write("HDEL", TOKENS, &[digest.as_bytes()]);
    no_longer_by(&mut commit, before, digest);
    let resealed = records.seal(&row_name(id, &new_digest), &row)?;
    commit.write("HSET", &table, &[new_digest.as_bytes(), &resealed]);
    commit.write("HSET", TOKENS, &[new_digest.as_bytes(), &number(id)]);
    if let Some(user) = row.user() {
        commit.write("SADD", &keys::delegated_by(user), &[&member(id, &new_digest)]);
    }
    let happening = Happening::Delegated {
        before,
        after: Some(&row),
    };
    events::record(records, &mut commit, &happening)?;
    let digests: BTreeSet<String> = [digest.to_owned(), new_digest].into_iter().collect();
    let changes: Vec<Change> = digests
        .into_iter()
        .map(|digest| Change::Delegated {
            consumer: row.consumer_id,
            digest,
        })
        .collect();
    match records.commit(&commit, &changes).await? {
        Committed::Done => Ok(Some(Put::Done(row.version))),
        Committed::Refused(place) if place == unchanged => Ok(None),
        Committed::Refused(_) => Err(taken("token")),
    }
}

pub(super) async fn delete(records: &Records, consumer: u64, token: &str) -> Result<bool, StoreError> {
    let digest = token_digest(token);
    let table = keys::delegated(consumer);
    let name = row_name(consumer, &digest);
    let before = match records.row::<Delegated>(&table, &digest, &name).await {
        Ok(found) => found.map(|(_, before)| before),
        // Revoking must not depend on reading.
        Err(StoreError::Corrupt(_)) => None,
        Err(error @ (StoreError::Unavailable(_) | StoreError::IdentityLost)) => return Err(error),
    };
    let mut commit = Commit::default();
    commit.expect_some(&table, &digest);
    commit.write("HDEL", &table, &[digest.as_bytes()]);
    commit.write("HDEL", TOKENS, &[digest.as_bytes()]);
    if let Some(before) = &before {
        no_longer_by(&mut commit, before, &digest);
        events::record(records, &mut commit, &Happening::Delegated { before, after: None })?;
    }
    let change = Change::Delegated {
        consumer: ConsumerId(consumer),
        digest,
    };
    Ok(records.commit(&commit, &[change]).await? == Committed::Done)
}
