//! Bearer tokens of customers that have expired and wait to be swept.

use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use token_store::{Store, StoreError, User, UserKind, UserToken};
use tokio::task::JoinSet;

use super::Failure;
use super::arguments::Arguments;
use super::consumers::{hex, on_store};
use super::pollset::unix_seconds;

/// `expired --store URL --key BASE64 --tokens N`
pub(super) fn put(arguments: &mut Arguments) -> Result<Value, Failure> {
    let url: String = arguments.required("store")?;
    let key: String = arguments.required("key")?;
    let tokens: u64 = arguments.required("tokens")?;
    arguments.finish()?;
    on_store(url, &key, async |store| {
        let now = unix_seconds();
        let mut next = 1;
        while next <= tokens {
            let last = tokens.min(next + BATCH - 1);
            put_at_once(store, next..=last, now).await?;
            next = last + 1;
        }
        Ok(json!({ "tokens": tokens }))
    })
}

/// What is put at once shares the embedded store's sync to disk, and a round trip to Redis.
async fn put_at_once(store: &Arc<dyn Store>, numbers: impl Iterator<Item = u64>, now: u64) -> Result<(), Failure> {
    let mut puts: JoinSet<Result<(), StoreError>> = JoinSet::new();
    for number in numbers {
        let (store, token) = (Arc::clone(store), expired(number, now));
        puts.spawn(async move { store.put_user_token(&token).await });
    }
    while let Some(put) = puts.join_next().await {
        put??;
    }
    Ok(())
}

fn expired(number: u64, now: u64) -> UserToken {
    UserToken {
        digest: hex(&Sha256::digest(format!("countersign load expired {number}"))),
        user: User {
            kind: UserKind::Customer,
            id: 1 + number % CUSTOMERS,
        },
        created_at: now - 2 * 3600,
        expires_at: Some(now - 3600),
        upstream_token: None,
        is_beside_jwt: false,
    }
}

const BATCH: u64 = 500;
const CUSTOMERS: u64 = 10_000;
