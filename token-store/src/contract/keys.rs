//! Encryption keys: sealed anew, a store needs its first one alone.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};

use super::make::{ALICE, THEN, account, consumer, delegated, entry, user_token, with_token};
use crate::event::{Bounds, Cursor, Event, Recording, Settled};
use crate::{OpenError, Secret, Store, UserKind};

/// A row of each kind is sealed with key 7, then anew with key 8, and read with that alone. `open` opens the one store with
/// the keys of those octets, once whoever had it open has let it go.
pub(crate) async fn sealed_anew_it_needs_its_first_key_alone<S: Deref<Target = dyn Store>>(
    open: impl AsyncFn(&[u8]) -> Result<S, OpenError>,
) {
    let store = open(&[7]).await.unwrap();
    fill(&*store).await;
    let before = read(&*store).await;
    store.close().await.unwrap();
    drop(store);

    let store = open(&[8, 7]).await.unwrap();
    let hook = ["hook".to_owned()];
    let sealed = store.reseal(&hook).await.unwrap();
    let again = store.reseal(&hook).await.unwrap();
    assert!(sealed >= 10, "{sealed} rows");
    assert_eq!(again, 0);
    assert_eq!(read(&*store).await, before);
    store.close().await.unwrap();
    drop(store);

    let store = open(&[8]).await.unwrap();
    assert_eq!(read(&*store).await, before);
    store.append_audit(entry("after")).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    assert!(matches!(open(&[7]).await, Err(OpenError::WrongKey)));
}

async fn fill(store: &dyn Store) {
    let number = AtomicU64::new(0);
    store.record_events(Box::new(move |_| {
        let event = Event {
            id: format!("evt_{:04}", number.fetch_add(1, Ordering::Relaxed)),
            kind: "happened".to_owned(),
            at: THEN,
            data: serde_json::Value::Null,
        };
        let bounds = Bounds { log: 100, outbox: 100 };
        Recording {
            events: vec![(event, vec!["hook".to_owned()])],
            bounds,
        }
    }));
    let made = store.create_consumer(consumer("First"), THEN).await.unwrap().unwrap();
    let id = made.consumer.id;
    store.update_consumer(&with_token(made, "access")).await.unwrap();
    store.put_delegated(&delegated(id, "delegated")).await.unwrap();
    store.put_user_token(&user_token("bearer", ALICE, None)).await.unwrap();
    for kind in [UserKind::Admin, UserKind::Customer] {
        store.create_account(account(kind, "jane"), THEN).await.unwrap();
    }
    store.append_audit(entry("before")).await.unwrap();
    let due = store.due_deliveries("hook", THEN, 1).await.unwrap();
    let dead = Settled::Dead { most: 10 };
    store.settle_delivery(&due[0], dead).await.unwrap();
    let secret = Secret::new("shared by all");
    store.shared_secret("jwt", &secret).await.unwrap();
}

/// Everything, as text.
async fn read(store: &dyn Store) -> String {
    let consumer = store.consumer_by_name("First").await.unwrap().unwrap();
    let id = consumer.consumer.id;
    let secret = store.shared_secret("jwt", &Secret::new("another")).await.unwrap();
    let kinds = [UserKind::Admin, UserKind::Customer];
    let mut accounts = Vec::new();
    for kind in kinds {
        accounts.extend(store.accounts(kind).await.unwrap());
    }
    let read = (
        (consumer.consumer.secret.expose(), &consumer.token),
        store
            .delegated(id, "delegated")
            .await
            .unwrap()
            .unwrap()
            .secret
            .expose()
            .to_owned(),
        store.user_tokens_of(ALICE).await.unwrap(),
        accounts,
        store.audit(0, 1).await.unwrap(),
        store.events(Cursor::default(), 100).await.unwrap(),
        store.due_deliveries("hook", THEN, 100).await.unwrap(),
        store.dead_deliveries("", 100).await.unwrap(),
    );
    format!("{read:?} {}", secret.expose())
}
