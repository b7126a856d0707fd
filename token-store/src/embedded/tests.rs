//! What only the store itself can do to its file.

use std::time::Duration;

use super::high_water::HIGH_WATER;
use super::*;
use crate::contract::keys;
use crate::contract::make::{THEN, consumer};

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
    let on_disk = store.read(|transaction, _| tables::second(&transaction.open_table(META).fault()?, HIGH_WATER));

    assert!(matches!(first, Ok(Ok(Claim::Fresh))), "{first:?}");
    assert!(beyond.is_err(), "it waits until its second is on the disk: {beyond:?}");
    assert_eq!(on_disk.unwrap(), Some(THEN + 5));
}
