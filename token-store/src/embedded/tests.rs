//! What only the store itself can do to its file.

use std::time::Duration;

use redb::ReadableTable as _;

use super::high_water::HIGH_WATER;
use super::*;
use crate::contract::keys;
use crate::contract::make::{self, ALICE, THEN, consumer, delegated, user_token};
use crate::event::{Bounds, Recording};

#[tokio::test]
async fn a_row_that_nobody_can_read_hides_no_other_and_can_be_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path(), &[], THEN).unwrap();
    let first = store.create_consumer(consumer("First"), THEN).await.unwrap().unwrap();
    let second = store.create_consumer(consumer("Second"), THEN).await.unwrap().unwrap();
    let of = |record: &ConsumerRecord| record.integration.as_ref().unwrap().id;
    let id = first.consumer.id.0;
    let junk = move |transaction: &WriteTransaction, _: &Sealer| {
        let mut table = transaction.open_table(tables::CONSUMERS).fault()?;
        table.insert(id, b"junk".as_slice()).fault()?;
        Ok(((), Vec::new()))
    };
    store.write(junk).await.unwrap();

    let listed = store.integrations().await.unwrap();
    let readable = store.drop_unreadable(of(&second)).await;
    let unreadable = store.drop_unreadable(of(&first)).await;

    assert_eq!(listed, [second]);
    assert!(matches!((readable, unreadable), (Ok(false), Ok(true))));
    assert!(store.consumer_by_integration(of(&first)).await.unwrap().is_none());
    // Its name is free again.
    assert!(store.create_consumer(consumer("First"), THEN).await.unwrap().is_some());
}

/// Whatever is sealed is damaged in its first row.
async fn damage_the_first<K: redb::Key + Send + 'static>(
    store: &Embedded,
    table: redb::TableDefinition<'static, K, &'static [u8]>,
) {
    let damage = move |transaction: &WriteTransaction, _: &Sealer| {
        let mut table = transaction.open_table(table).fault()?;
        let first = table.first().fault()?.unwrap().0;
        let key = K::as_bytes(&first.value()).as_ref().to_vec();
        drop(first);
        table.insert(K::from_bytes(&key), b"junk".as_slice()).fault()?;
        Ok(((), Vec::new()))
    };
    store.write(damage).await.unwrap();
}

#[tokio::test]
async fn an_account_or_a_token_that_nobody_can_read_hides_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path(), &[], THEN).unwrap();
    let consumer = store.create_consumer(consumer("One"), THEN).await.unwrap().unwrap();
    let consumer = consumer.consumer.id;
    for name in ["one", "two", "three"] {
        let account = make::account(UserKind::Admin, name);
        store.create_account(account, THEN).await.unwrap();
        let token = user_token(name, ALICE, None);
        store.put_user_token(&token).await.unwrap();
        store.put_delegated(&delegated(consumer, name)).await.unwrap();
    }

    damage_the_first(&store, tables::ACCOUNTS).await;
    damage_the_first(&store, tables::USER_TOKENS).await;
    damage_the_first(&store, tables::DELEGATED).await;

    assert_eq!(store.accounts(UserKind::Admin).await.unwrap().len(), 2);
    assert_eq!(store.user_tokens_of(ALICE).await.unwrap().len(), 2);
    assert_eq!(store.delegated_of(consumer).await.unwrap().len(), 2);
    let (page, next) = store.list_user_tokens(None, 2).await.unwrap();
    assert_eq!((page.len(), next.as_deref()), (2, Some(page[1].digest.as_str())));
    let (page, next) = store.list_user_tokens(next.as_deref(), 2).await.unwrap();
    assert_eq!((page.len(), next), (0, None));
}

#[tokio::test]
async fn an_event_that_nobody_can_read_keeps_no_other_from_its_webhook() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path(), &[], THEN).unwrap();
    let number = std::sync::atomic::AtomicU64::new(0);
    store.record_events(Box::new(move |_| {
        let event = Event {
            id: format!("evt_{}", number.fetch_add(1, Ordering::Relaxed)),
            kind: "signed in".to_owned(),
            at: THEN,
            data: serde_json::Value::Null,
        };
        Recording {
            events: vec![(event, vec!["hook".to_owned()])],
            bounds: Bounds { log: 10, outbox: 10 },
        }
    }));
    for name in ["one", "two", "three"] {
        store.put_user_token(&user_token(name, ALICE, None)).await.unwrap();
    }
    damage_the_first(&store, tables::EVENTS).await;
    let damage = |transaction: &WriteTransaction, _: &Sealer| {
        let mut outbox = transaction.open_table(tables::OUTBOX).fault()?;
        outbox.insert(("hook", "evt_0"), (THEN, b"junk".as_slice())).fault()?;
        Ok(((), Vec::new()))
    };
    store.write(damage).await.unwrap();

    let events = store.events(Cursor::default(), 10).await.unwrap();
    let due = store.due_deliveries("hook", THEN, 1).await.unwrap();
    for delivery in store.due_deliveries("hook", THEN, 10).await.unwrap() {
        let settled = store.settle_delivery(&delivery, Settled::Dead { most: 10 }).await;
        assert!(settled.unwrap());
    }
    damage_the_first(&store, tables::DEAD).await;
    let dead = store.dead_deliveries("", 1).await.unwrap();

    assert_eq!(events.len(), 2);
    let ids = |deliveries: &[Delivery]| deliveries.iter().map(|one| one.event.id.clone()).collect::<Vec<_>>();
    assert_eq!(
        (ids(&due), ids(&dead)),
        (vec!["evt_1".to_owned()], vec!["evt_2".to_owned()])
    );
}

#[tokio::test]
async fn sealed_anew_it_needs_its_first_key_alone() {
    let folder = tempfile::tempdir().unwrap();
    let open = async |keys: &[u8]| {
        let keys: Vec<[u8; 32]> = keys.iter().map(|octet| [*octet; 32]).collect();
        // The file is let go a moment after the last store.
        loop {
            match Embedded::open(folder.path(), &keys, THEN) {
                Err(OpenError::Locked(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
                opened => break opened.map(|store| Arc::new(store) as Arc<dyn Store>),
            }
        }
    };

    keys::sealed_anew_it_needs_its_first_key_alone(open).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_claims_go_on_none_of_them_waits_for_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Embedded::open(folder.path(), &[], THEN).unwrap());
    let claim = async |now: UnixSeconds, nonce: &'static [u8]| {
        let claim = NonceClaim {
            consumer: ConsumerId(1),
            token: None,
            timestamp: now,
            nonce,
            now,
        };
        tokio::time::timeout(Duration::from_millis(300), store.claim_nonce(claim)).await
    };
    let first = claim(THEN, b"a").await;
    // From here on the disk is busy.
    let (begun, begins) = tokio::sync::oneshot::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let busy = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            let job = move |_: &WriteTransaction, _: &Sealer| {
                begun.send(()).unwrap();
                released.recv().unwrap();
                Ok(((), Vec::new()))
            };
            store.write(job).await.unwrap();
        }
    });
    begins.await.unwrap();

    let within = [(0, b"b"), (1, b"c"), (2, b"d"), (2, b"e")];
    for (later, nonce) in within {
        let claimed = claim(THEN + later, nonce).await;
        assert!(matches!(claimed, Ok(Ok(Claim::Fresh))), "{later} s later: {claimed:?}");
    }
    let beyond = claim(THEN + 3, b"f").await;
    release.send(()).unwrap();
    busy.await.unwrap();
    // Behind all that was handed over before.
    store.check().await.unwrap();
    let on_disk =
        store.read(|transaction, _| tables::second(&transaction.open_table(tables::META).fault()?, HIGH_WATER));

    assert!(matches!(first, Ok(Ok(Claim::Fresh))), "{first:?}");
    assert!(beyond.is_err(), "it waits until its second is on the disk: {beyond:?}");
    assert_eq!(on_disk.unwrap(), Some(THEN + 5));
}
