//! What changes is told, and memory is never older than what was answered.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Stores;
use super::make::{
    ADMIN, ALICE, THEN, account, consumer, delegated, exchanged, lone_consumer, record, renamed, user_token,
};
use crate::codec::token_digest;
use crate::{Account, Change, ConsumerRecord, Put, Store, UserKind};

/// What a listener heard, each with the generation at that moment.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<(Change, u64)>>>);

impl Heard {
    fn listen(store: &dyn Store) -> Self {
        let heard = Self::default();
        let (to, freshness) = (heard.clone(), store.freshness());
        store.on_change(Box::new(move |change| {
            let mut heard = to.0.lock().unwrap_or_else(PoisonError::into_inner);
            heard.push((change.clone(), freshness.generation()));
        }));
        heard
    }

    /// The generation at which a change that covers `wanted` was first told; forgets all.
    fn take(&self, wanted: &Change) -> Option<u64> {
        let heard = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let covers = |change: &Change| change == wanted || *change == Change::Everything;
        heard
            .into_iter()
            .find(|(change, _)| covers(change))
            .map(|(_, generation)| generation)
    }

    fn has(&self, wanted: &Change) -> bool {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.iter().any(|(change, _)| change == wanted)
    }
}

fn of_consumer(record: &ConsumerRecord) -> Change {
    Change::Consumer {
        id: record.consumer.id,
        key: record.consumer.key.clone(),
    }
}

fn of_account(account: &Account) -> Change {
    Change::Account {
        kind: account.definition.kind,
        id: account.id.0,
        username: account.definition.username.clone(),
    }
}

pub(crate) async fn every_change_is_told_before_it_is_answered(stores: &Stores) {
    let store = &stores.one;
    let heard = Heard::listen(&**store);
    let told = |change: Change| {
        let generation = heard.take(&change);
        let generation = generation.unwrap_or_else(|| panic!("{change:?} was not told"));
        assert!(
            store.freshness().generation() > generation,
            "{change:?}: told before the generation moves"
        );
    };

    let mut first = store.create_consumer(consumer("First"), THEN).await.unwrap().unwrap();
    told(of_consumer(&first));
    store.update_consumer(&first).await.unwrap();
    told(of_consumer(&first));
    first.version = 2;
    let mut moved = first.clone();
    moved.consumer.key = "another key".to_owned();
    store.update_consumer(&moved).await.unwrap();
    assert!(heard.has(&of_consumer(&first)), "the key that nobody has any more");
    told(of_consumer(&moved));

    let id = moved.consumer.id;
    let of_token = |token: &str| Change::Delegated {
        consumer: id,
        digest: token_digest(token),
    };
    let row = delegated(id, "request");
    store.put_delegated(&row).await.unwrap();
    told(of_token("request"));
    store
        .replace_delegated("request", &exchanged(&row, "access"))
        .await
        .unwrap();
    assert!(heard.has(&of_token("access")));
    told(of_token("request"));
    store.delete_delegated(id, "access").await.unwrap();
    told(of_token("access"));
    store.put_delegated(&row).await.unwrap();
    store.delete_consumer(id, None).await.unwrap();
    assert!(heard.has(&of_token("request")));
    told(of_consumer(&moved));

    let token = user_token("bearer", ALICE, None);
    store.put_user_token(&token).await.unwrap();
    let of_bearer = Change::UserToken {
        digest: token.digest.clone(),
    };
    told(of_bearer.clone());
    store.delete_user_token(&token.digest).await.unwrap();
    told(of_bearer);
    store.revoke_user_tokens(ALICE, THEN).await.unwrap();
    told(Change::UserTokensOf { user: ALICE });

    let jane = store
        .create_account(account(UserKind::Admin, "jane"), THEN)
        .await
        .unwrap()
        .unwrap();
    told(of_account(&jane));
    store.update_account(&jane).await.unwrap();
    told(of_account(&jane));

    let brought = record(5000, "Brought along");
    store.create_consumers(vec![brought.clone()]).await.unwrap();
    told(of_consumer(&brought));
}

pub(crate) async fn a_change_through_one_handle_is_told_at_the_other(stores: &Stores) {
    let heard = Heard::listen(&*stores.other);

    let made = stores
        .one
        .create_consumer(consumer("First"), THEN)
        .await
        .unwrap()
        .unwrap();

    let change = of_consumer(&made);
    for _ in 0..1000 {
        if heard.has(&change) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the other gateway never heard of it");
}

pub(crate) async fn what_was_refused_changes_nothing_that_is_read(stores: &Stores) {
    let made = stores
        .one
        .create_consumer(consumer("First"), THEN)
        .await
        .unwrap()
        .unwrap();
    let before = stores.one.consumer_by_key(&made.consumer.key).await.unwrap();
    let stale = ConsumerRecord {
        version: 9,
        ..renamed(made.clone(), "Stale")
    };

    assert_eq!(stores.one.update_consumer(&stale).await.unwrap(), Put::Changed);

    assert_eq!(stores.one.consumer_by_key(&made.consumer.key).await.unwrap(), before);
    assert_eq!(before.as_deref(), Some(&made));
}

/// While `write` moves something from version to version (1, 2, 3 …) through one handle, no reader of that handle may be
/// told an older version than one that was answered before it asked.
async fn never_older(
    stores: &Stores,
    write: impl AsyncFn(&dyn Store, u64) -> Put + Sync,
    read: impl AsyncFn(&dyn Store) -> Option<u64> + Sync,
) {
    let store = &*stores.one;
    let (answered, over) = (AtomicU64::new(0), AtomicBool::new(false));
    stores
        .at_once(4, async |_, turn| {
            if turn == 0 {
                let _over = SetOnDrop(&over);
                for version in 0..WRITES {
                    assert_eq!(write(store, version).await, Put::Done(version + 1));
                    answered.store(version + 1, Ordering::SeqCst);
                }
            }
            while !over.load(Ordering::SeqCst) {
                let at_least = answered.load(Ordering::SeqCst);
                let version = read(store).await.unwrap_or_default();
                assert!(version >= at_least, "read {version} after {at_least} was answered");
            }
        })
        .await;
}

/// Ends the readers also where the writer failed.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

const WRITES: u64 = 150;

pub(crate) async fn a_consumer_is_never_older_than_what_was_answered(stores: &Stores) {
    let made = stores
        .one
        .create_consumer(consumer("First"), THEN)
        .await
        .unwrap()
        .unwrap();
    let write = async |store: &dyn Store, version: u64| {
        if version == 0 {
            return Put::Done(1);
        }
        store
            .update_consumer(&ConsumerRecord {
                version,
                ..made.clone()
            })
            .await
            .unwrap()
    };
    let read = async |store: &dyn Store| {
        let found = store.consumer_by_key(&made.consumer.key).await.unwrap();
        found.map(|record| record.version)
    };
    never_older(stores, write, read).await;
}

pub(crate) async fn a_delegated_token_is_never_older_than_what_was_answered(stores: &Stores) {
    let made = stores
        .one
        .create_consumer(consumer("First"), THEN)
        .await
        .unwrap()
        .unwrap();
    let id = made.consumer.id;
    let row = delegated(id, "token");
    stores.one.put_delegated(&row).await.unwrap();
    let write = async |store: &dyn Store, version: u64| {
        let mut row = row.clone();
        row.version = version;
        store.replace_delegated("token", &row).await.unwrap()
    };
    let read = async |store: &dyn Store| {
        let found = store.delegated(id, "token").await.unwrap();
        found.map(|row| row.version)
    };
    never_older(stores, write, read).await;
}

pub(crate) async fn an_account_is_never_older_than_what_was_answered(stores: &Stores) {
    let made = stores
        .one
        .create_account(account(UserKind::Admin, "jane"), THEN)
        .await
        .unwrap()
        .unwrap();
    let write = async |store: &dyn Store, version: u64| {
        if version == 0 {
            return Put::Done(1);
        }
        store
            .update_account(&Account {
                version,
                ..made.clone()
            })
            .await
            .unwrap()
    };
    let read = async |store: &dyn Store| {
        let found = store.account(UserKind::Admin, made.id).await.unwrap();
        found.map(|account| account.version)
    };
    never_older(stores, write, read).await;
}

pub(crate) async fn a_bearer_token_never_outlives_its_revocation(stores: &Stores) {
    let store = &*stores.one;
    let over = AtomicBool::new(false);
    // Even: being made or there. Odd: revoked, and answered.
    let phase = AtomicU64::new(0);
    let token = user_token("bearer", ADMIN, None);
    stores
        .at_once(4, async |_, turn| {
            if turn == 0 {
                let _over = SetOnDrop(&over);
                for round in 0..WRITES / 2 {
                    store.put_user_token(&token).await.unwrap();
                    assert!(store.user_token(&token.digest).await.unwrap().is_some());
                    store.revoke_user_tokens(ADMIN, THEN).await.unwrap();
                    phase.store(round * 2 + 1, Ordering::SeqCst);
                    assert_eq!(store.user_token(&token.digest).await.unwrap(), None);
                    phase.store(round * 2 + 2, Ordering::SeqCst);
                }
            }
            while !over.load(Ordering::SeqCst) {
                let before = phase.load(Ordering::SeqCst);
                let found = store.user_token(&token.digest).await.unwrap();
                let was_revoked_throughout = before % 2 == 1 && phase.load(Ordering::SeqCst) == before;
                assert!(found.is_none() || !was_revoked_throughout, "{before}");
            }
        })
        .await;
}

pub(crate) async fn what_another_gateway_revoked_is_gone_after_a_second(stores: &Stores) {
    let (here, there) = (&stores.one, &stores.other);
    let made = there.create_consumer(consumer("First"), THEN).await.unwrap().unwrap();
    let id = made.consumer.id;
    there.put_delegated(&delegated(id, "token")).await.unwrap();
    let bearer = user_token("bearer", ADMIN, None);
    there.put_user_token(&bearer).await.unwrap();
    let jane = there
        .create_account(account(UserKind::Admin, "jane"), THEN)
        .await
        .unwrap()
        .unwrap();
    assert!(here.consumer_by_key(&made.consumer.key).await.unwrap().is_some());
    assert!(here.delegated(id, "token").await.unwrap().is_some());
    assert!(here.user_token(&bearer.digest).await.unwrap().is_some());
    assert!(here.account(UserKind::Admin, jane.id).await.unwrap().is_some());

    let mut suspended = jane.clone();
    suspended.definition.active = false;
    there.update_account(&suspended).await.unwrap();
    there.revoke_user_tokens(ADMIN, THEN).await.unwrap();
    there.delete_consumer(id, None).await.unwrap();
    tokio::time::sleep(A_SECOND).await;

    assert_eq!(here.consumer_by_key(&made.consumer.key).await.unwrap(), None);
    assert_eq!(here.delegated(id, "token").await.unwrap(), None);
    assert_eq!(here.user_token(&bearer.digest).await.unwrap(), None);
    assert!(
        !here
            .account(UserKind::Admin, jane.id)
            .await
            .unwrap()
            .unwrap()
            .definition
            .active
    );
}

pub(crate) async fn an_absence_is_believed_until_the_creation_here_and_a_second_elsewhere(stores: &Stores) {
    let (here, there) = (&stores.one, &stores.other);
    let made = here.create_consumer(consumer("First"), THEN).await.unwrap().unwrap();
    let (id, bearer) = (made.consumer.id, user_token("bearer", ALICE, None));
    for store in [here, there] {
        assert_eq!(store.consumer_by_key("new").await.unwrap(), None);
        assert_eq!(store.delegated(id, "new").await.unwrap(), None);
        assert_eq!(store.user_token(&bearer.digest).await.unwrap(), None);
    }

    here.create_consumer(lone_consumer("new"), THEN).await.unwrap();
    here.put_delegated(&delegated(id, "new")).await.unwrap();
    here.put_user_token(&bearer).await.unwrap();

    for pause in [Duration::ZERO, A_SECOND] {
        tokio::time::sleep(pause).await;
        let store = if pause.is_zero() { here } else { there };
        assert!(store.consumer_by_key("new").await.unwrap().is_some());
        assert!(store.delegated(id, "new").await.unwrap().is_some());
        assert!(store.user_token(&bearer.digest).await.unwrap().is_some());
    }
}

/// What is read later than this after a change was answered elsewhere shows it.
pub(super) const A_SECOND: Duration = Duration::from_millis(1050);
