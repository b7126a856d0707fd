//! Users' bearer tokens, failed sign-ins.

use std::collections::BTreeMap;
use std::slice;

use super::keys::{self, LOCKOUTS, LOCKOUTS_UNTIL, SECRETS, USER_TOKENS};
use super::records::{self, Committed, Records};
use super::script::{Calls, Commit, FAILURE};
use super::{delegated, events};
use crate::codec::decode;
use crate::event::Happening;
use crate::{Change, LockoutKind, Secret, SignInFailures, StoreError, UnixSeconds, User, UserKind, UserToken};

pub(super) fn token_row(digest: &str) -> String {
    format!("user_token:{digest}")
}

pub(super) fn number(id: u64) -> Vec<u8> {
    id.to_string().into_bytes()
}

pub(super) async fn put_token(records: &Records, token: &UserToken) -> Result<(), StoreError> {
    let digest = token.digest.as_bytes();
    let name = token_row(&token.digest);
    let row = records.seal(&name, token)?;
    let change = Change::UserToken {
        digest: token.digest.clone(),
    };
    loop {
        let before = records.row::<UserToken>(USER_TOKENS, &token.digest, &name).await?;
        let mut commit = Commit::default();
        let sealed = before.as_ref().map(|(sealed, _)| sealed.as_slice());
        commit.expect(USER_TOKENS, &token.digest, sealed);
        if let Some((_, before)) = &before {
            // Kept again: what the first time said of its user and its end doesn't count any more.
            delete(&mut commit, before.user, &[&before.digest]);
        }
        commit.write("HSET", USER_TOKENS, &[digest, &row]);
        commit.write("SADD", &keys::user_tokens_of(token.user.kind, token.user.id), &[digest]);
        if let Some(until) = token.expires_at {
            let words: [&[u8]; 2] = [&number(until), digest];
            commit.write("ZADD", &keys::user_tokens_until(token.user.kind), &words);
        }
        events::record(records, &mut commit, &Happening::UserToken(token))?;
        if records.commit(&commit, slice::from_ref(&change)).await? == Committed::Done {
            return Ok(());
        }
    }
}

pub(super) async fn token(records: &Records, digest: &str) -> Result<Option<UserToken>, StoreError> {
    let found = records.row(USER_TOKENS, digest, &token_row(digest)).await?;
    Ok(found.map(|(_, token)| token))
}

pub(super) async fn tokens_of(records: &Records, user: User) -> Result<Vec<UserToken>, StoreError> {
    let calls = Calls::default().add("SMEMBERS", &keys::user_tokens_of(user.kind, user.id), &[]);
    let digests: Vec<String> = records.call_one(&calls).await?;
    tokens(records, &digests).await
}

/// Those of the digests that are there and can be read.
async fn tokens(records: &Records, digests: &[String]) -> Result<Vec<UserToken>, StoreError> {
    let rows = records.fields(USER_TOKENS, digests).await?;
    let found = digests
        .iter()
        .zip(rows)
        .filter_map(|(digest, row)| Some((digest, row?)));
    let readable = found.filter_map(|(digest, row)| {
        let opened = decode(records.sealer(), &token_row(digest), &row);
        records::readable(opened, "bearer tokens")
    });
    Ok(readable.collect())
}

pub(super) async fn list_tokens(
    records: &Records,
    after: &str,
    limit: usize,
) -> Result<(Vec<UserToken>, Option<String>), StoreError> {
    let count = limit.clamp(1, MOST_A_STEP).to_string();
    // What no scan answered is no place in one.
    let cursor = if after.bytes().all(|byte| byte.is_ascii_digit()) && !after.is_empty() {
        after
    } else {
        "0"
    };
    let words: [&[u8]; 3] = [cursor.as_bytes(), b"COUNT", count.as_bytes()];
    let calls = Calls::default().add("HSCAN", USER_TOKENS, &words);
    let (next, rows): (String, Vec<(String, Vec<u8>)>) = records.call_one(&calls).await?;
    let page = rows.iter().filter_map(|(digest, row)| {
        let opened = decode(records.sealer(), &token_row(digest), row);
        records::readable(opened, "bearer tokens")
    });
    Ok((page.collect(), (next != "0").then_some(next)))
}

pub(super) async fn delete_one_token(records: &Records, digest: &str) -> Result<bool, StoreError> {
    let found = match records.row::<UserToken>(USER_TOKENS, digest, &token_row(digest)).await {
        Ok(Some((_, found))) => Some(found),
        Ok(None) => return Ok(false),
        // Revoking must not depend on reading.
        Err(StoreError::Corrupt(_)) => None,
        Err(error @ (StoreError::Unavailable(_) | StoreError::IdentityLost)) => return Err(error),
    };
    let mut commit = Commit::default();
    // Nor on nobody sealing it anew meanwhile.
    commit.expect_some(USER_TOKENS, digest);
    if let Some(found) = found {
        delete(&mut commit, found.user, &[digest]);
        events::record(records, &mut commit, &Happening::UserTokensOf(found.user, 1))?;
    } else {
        remove(&mut commit, "HDEL", USER_TOKENS, &[digest]);
        for kind in [UserKind::Admin, UserKind::Customer] {
            remove(&mut commit, "ZREM", &keys::user_tokens_until(kind), &[digest]);
        }
    }
    let digest = digest.to_owned();
    Ok(records.commit(&commit, &[Change::UserToken { digest }]).await? == Committed::Done)
}

pub(super) async fn revoked_before(records: &Records, user: User) -> Result<UnixSeconds, StoreError> {
    let calls = Calls::default().add("HGET", &keys::revoked_before(user.kind), &[&number(user.id)]);
    let second: Option<UnixSeconds> = records.call_one(&calls).await?;
    Ok(second.unwrap_or_default())
}

pub(super) async fn revoke_tokens_of(records: &Records, user: User, now: UnixSeconds) -> Result<u64, StoreError> {
    let (of_user, revoked) = (
        keys::user_tokens_of(user.kind, user.id),
        keys::revoked_before(user.kind),
    );
    loop {
        let before = revoked_before(records, user).await?;
        let calls = Calls::default().add("SMEMBERS", &of_user, &[]);
        let digests: Vec<String> = records.call_one(&calls).await?;
        let mut commit = Commit::default();
        // Clocks differ, and a second holds many: each moves it on.
        let stands = (before > 0).then(|| number(before));
        commit.expect(&revoked, &user.id.to_string(), stands.as_deref());
        commit.write(
            "HSET",
            &revoked,
            &[&number(user.id), &number(now.max(before.saturating_add(1)))],
        );
        delete(&mut commit, user, &digests);
        let delegated = delegated::by(records, user, before).await?.len();
        let ended = u64::try_from(digests.len().saturating_add(delegated)).unwrap_or(u64::MAX);
        events::record(records, &mut commit, &Happening::UserTokensOf(user, ended))?;
        if records.commit(&commit, &[Change::UserTokensOf { user }]).await? == Committed::Done {
            return Ok(ended);
        }
    }
}

fn delete(commit: &mut Commit, user: User, digests: &[impl AsRef<[u8]>]) {
    remove(commit, "HDEL", USER_TOKENS, digests);
    remove(commit, "SREM", &keys::user_tokens_of(user.kind, user.id), digests);
    remove(commit, "ZREM", &keys::user_tokens_until(user.kind), digests);
}

/// Many by one command: a script pays for each of its calls.
fn remove(commit: &mut Commit, command: &str, key: &str, members: &[impl AsRef<[u8]>]) {
    for some in members.chunks(MEMBERS) {
        let some: Vec<&[u8]> = some.iter().map(AsRef::as_ref).collect();
        commit.write(command, key, &some);
    }
}

pub(super) async fn sweep_tokens(
    records: &Records,
    kind: UserKind,
    now: UnixSeconds,
    limit: usize,
) -> Result<u64, StoreError> {
    let until = keys::user_tokens_until(kind);
    let limit = limit.min(MOST_A_STEP).to_string();
    let words: [&[u8]; 5] = [b"-inf", &number(now), b"LIMIT", b"0", limit.as_bytes()];
    let expired: Vec<String> = records
        .call_one(&Calls::default().add("ZRANGEBYSCORE", &until, &words))
        .await?;
    let mut of_users = BTreeMap::<u64, Vec<String>>::new();
    for token in tokens(records, &expired).await? {
        of_users.entry(token.user.id).or_default().push(token.digest);
    }
    let mut commit = Commit::default();
    for (id, digests) in of_users {
        remove(&mut commit, "SREM", &keys::user_tokens_of(kind, id), &digests);
    }
    remove(&mut commit, "HDEL", USER_TOKENS, &expired);
    // Also where the row is gone already, or nobody can read it: nothing may be met again and again.
    remove(&mut commit, "ZREM", &until, &expired);
    // Caches compare the expiry themselves: nobody needs to hear of it.
    records.commit(&commit, &[]).await?;
    Ok(u64::try_from(expired.len()).unwrap_or(u64::MAX))
}

pub(super) fn secret_row(name: &str) -> String {
    format!("secret:{name}")
}

pub(super) async fn shared_secret(records: &Records, name: &str, fresh: &Secret) -> Result<Secret, StoreError> {
    let row_name = secret_row(name);
    loop {
        if let Some((_, secret)) = records.row(SECRETS, name, &row_name).await? {
            return Ok(secret);
        }
        let mut commit = Commit::default();
        commit.expect(SECRETS, name, None);
        commit.write("HSET", SECRETS, &[name.as_bytes(), &records.seal(&row_name, fresh)?]);
        if records.commit(&commit, &[]).await? == Committed::Done {
            return Ok(fresh.clone());
        }
    }
}

pub(super) async fn failures(
    records: &Records,
    kind: LockoutKind,
    name: &str,
    now: UnixSeconds,
) -> Result<Option<SignInFailures>, StoreError> {
    let member = keys::lockout(kind, name);
    let kept: Option<String> = records
        .call_one(&Calls::default().add("HGET", LOCKOUTS, &[member.as_bytes()]))
        .await?;
    let Some(kept) = kept else { return Ok(None) };
    let parsed = kept.split_once(':').and_then(|(count, expires)| {
        Some(SignInFailures {
            count: count.parse().ok()?,
            lock_expires_at: expires.parse().ok()?,
        })
    });
    let failures = parsed.ok_or_else(|| StoreError::Corrupt(format!("lockout:{member}")))?;
    Ok(Some(failures).filter(|failures| failures.lock_expires_at > now))
}

pub(super) async fn record_failure(
    records: &Records,
    kind: LockoutKind,
    name: &str,
    now: UnixSeconds,
    lock_secs: u64,
) -> Result<SignInFailures, StoreError> {
    let mut failure = FAILURE.prepare_invoke();
    failure.key(keys::STORE).key(LOCKOUTS).key(LOCKOUTS_UNTIL);
    failure
        .arg(records.identity()?)
        .arg(keys::lockout(kind, name))
        .arg(now)
        .arg(lock_secs);
    let count = records.run(failure).await?;
    Ok(SignInFailures {
        count,
        lock_expires_at: now.saturating_add(lock_secs),
    })
}

pub(super) async fn clear_failures(records: &Records, kind: LockoutKind, name: &str) -> Result<(), StoreError> {
    let member = keys::lockout(kind, name);
    let mut commit = Commit::default();
    commit.write("HDEL", LOCKOUTS, &[member.as_bytes()]);
    commit.write("ZREM", LOCKOUTS_UNTIL, &[member.as_bytes()]);
    records.commit(&commit, &[]).await?;
    Ok(())
}

pub(super) async fn sweep_failures(records: &Records, now: UnixSeconds, limit: usize) -> Result<u64, StoreError> {
    let limit = limit.min(MOST_A_STEP).to_string();
    let words: [&[u8]; 5] = [b"-inf", &number(now), b"LIMIT", b"0", limit.as_bytes()];
    let expired: Vec<String> = records
        .call_one(&Calls::default().add("ZRANGEBYSCORE", LOCKOUTS_UNTIL, &words))
        .await?;
    let mut commit = Commit::default();
    remove(&mut commit, "HDEL", LOCKOUTS, &expired);
    remove(&mut commit, "ZREM", LOCKOUTS_UNTIL, &expired);
    records.commit(&commit, &[]).await?;
    Ok(u64::try_from(expired.len()).unwrap_or(u64::MAX))
}

/// Rows that one step of a sweep deletes at most: other calls wait while it runs.
const MOST_A_STEP: usize = 10_000;
/// Members that one command names: a script can't hand on more than 8,000 words.
const MEMBERS: usize = 1000;
