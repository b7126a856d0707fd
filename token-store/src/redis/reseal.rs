//! Rows that an earlier key sealed are sealed anew with the first, so that the earlier one can be dropped.

use super::audit::{LAST, LAST_NAME};
use super::keys::{self, AUDIT, CONSUMERS, DEAD, SECRETS, STORE, USER_TOKENS};
use super::meet::CANARY;
use super::records::{Committed, Records, read};
use super::script::{Calls, Commit};
use super::{accounts, audit, consumers, delegated, events, users};
use crate::codec::reseal;
use crate::{StoreError, UserKind};

/// All rows, hash by hash; answers how many were sealed anew.
pub(super) async fn all(records: &Records, webhooks: &[String]) -> Result<u64, StoreError> {
    let mut count = 0;
    let number = |field: &str| field.parse::<u64>().unwrap_or_default();
    for id in fields(records, CONSUMERS).await? {
        let (id, hash) = (number(&id), keys::delegated(number(&id)));
        let name = |digest: &str| delegated::row_name(id, digest);
        count += one(records, &hash, &name).await?;
    }
    count += one(records, CONSUMERS, &|id| consumers::row_name(number(id))).await?;
    count += one(records, USER_TOKENS, &users::token_row).await?;
    count += one(records, SECRETS, &users::secret_row).await?;
    for kind in [UserKind::Admin, UserKind::Customer] {
        let name = |id: &str| accounts::account_row(kind, number(id));
        count += one(records, &keys::accounts(kind), &name).await?;
    }
    let entry = |field: &str| match field {
        LAST => LAST_NAME.to_owned(),
        number_of_it => audit::row_name(number(number_of_it)),
    };
    count += one(records, AUDIT, &entry).await?;
    count += one(records, DEAD, &events::dead_row).await?;
    for webhook in webhooks {
        let [rows, ..] = keys::outbox(webhook);
        count += one(records, &rows, &|id| events::outbox_row(webhook, id)).await?;
    }
    // Beside the store's plain fields there is one sealed one.
    let calls = Calls::default().add("HGET", STORE, &[CANARY.as_bytes()]);
    let canary: Option<Vec<u8>> = records.call_one(&calls).await?;
    if let Some(row) = canary {
        count += u64::from(again(records, STORE, CANARY, CANARY, &row).await?);
    }
    forget_other_keys(records).await?;
    Ok(count)
}

/// A hash, in bounded steps.
async fn one(records: &Records, key: &str, name: &(dyn Fn(&str) -> String + Sync)) -> Result<u64, StoreError> {
    let (mut count, mut cursor) = (0, "0".to_owned());
    loop {
        let calls = Calls::default().add("HSCAN", key, &[cursor.as_bytes(), b"COUNT", STEP]);
        let (next, some): (String, Vec<(String, Vec<u8>)>) = records.call_one(&calls).await?;
        for (field, row) in some {
            if !records.sealer().is_by_first(&row) {
                count += u64::from(again(records, key, &field, &name(&field), &row).await?);
            }
        }
        if next == "0" {
            return Ok(count);
        }
        cursor = next;
    }
}

/// Unless it was changed meanwhile, for which it was sealed anew; one that no key opens is left.
async fn again(records: &Records, key: &str, field: &str, name: &str, row: &[u8]) -> Result<bool, StoreError> {
    let Some(anew) = reseal(records.sealer(), name, row).ok().flatten() else {
        return Ok(false);
    };
    let mut commit = Commit::default();
    commit.expect(key, field, Some(row));
    commit.write("HSET", key, &[field.as_bytes(), &anew]);
    Ok(records.write(&commit, &[]).await? == Committed::Done)
}

async fn fields(records: &Records, key: &str) -> Result<Vec<String>, StoreError> {
    let mut calls = records.call(&Calls::default().add("HKEYS", key, &[])).await?;
    calls.pop().map_or(Ok(Vec::new()), read)
}

/// From now on only the first key is needed.
async fn forget_other_keys(records: &Records) -> Result<(), StoreError> {
    let own = records.sealer().mark();
    for mark in fields(records, keys::KEYS).await? {
        if Some(&mark) != own.as_ref() {
            let mut commit = Commit::default();
            commit.write("HDEL", keys::KEYS, &[mark.as_bytes()]);
            records.write(&commit, &[]).await?;
        }
    }
    Ok(())
}

/// Rows a step.
const STEP: &[u8] = b"200";
