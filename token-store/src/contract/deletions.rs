//! Consumers that go, and consumers that are brought along with their numbers.

use super::Stores;
use super::consumers::{found, made};
use super::make::{THEN, consumer, delegated, integration, record, with_token};
use crate::{ConsumerRecord, Put, StoreError};

pub(crate) async fn a_deletion_takes_tokens_and_every_index_along(stores: &Stores) {
    let record = with_token(made(stores, "Shop sync").await, "own");
    let neighbour = made(stores, "Neighbour").await;
    let (id, next) = (record.consumer.id, neighbour.consumer.id);
    stores.one.update_consumer(&record).await.unwrap();
    for token in ["delegated 1", "delegated 2"] {
        stores.one.put_delegated(&delegated(id, token)).await.unwrap();
    }
    stores.one.put_delegated(&delegated(next, "neighbour's")).await.unwrap();

    let put = stores.one.delete_consumer(id, Some(2)).await.unwrap();

    assert!(matches!(put, Put::Done(_)));
    assert_eq!(stores.one.consumer(id).await.unwrap(), None);
    assert_eq!(found(stores, &record).await, [None; 4]);
    for token in ["own", "delegated 1", "delegated 2"] {
        assert_eq!(stores.one.consumer_of_token(token).await.unwrap(), None);
        assert_eq!(stores.one.delegated(id, token).await.unwrap(), None);
    }
    assert_eq!(stores.one.delegated_of(id).await.unwrap(), []);
    assert_eq!(stores.one.consumer_of_token("neighbour's").await.unwrap(), Some(next));
    assert_eq!(stores.one.delegated_of(next).await.unwrap().len(), 1);
}

pub(crate) async fn a_deletion_compares_the_version_if_it_is_given_one(stores: &Stores) {
    let record = made(stores, "Shop sync").await;
    stores.other.update_consumer(&record).await.unwrap();

    let stale = stores.one.delete_consumer(record.consumer.id, Some(1)).await.unwrap();
    let there = stores.one.consumer(record.consumer.id).await.unwrap();
    let current = stores.one.delete_consumer(record.consumer.id, Some(2)).await.unwrap();
    let again = stores.one.delete_consumer(record.consumer.id, None).await.unwrap();

    assert_eq!(stale, Put::Changed);
    assert!(there.is_some());
    assert!(matches!(current, Put::Done(_)));
    assert_eq!(again, Put::Changed);
}

pub(crate) async fn what_was_deleted_is_not_brought_back_by_an_update(stores: &Stores) {
    let record = made(stores, "Shop sync").await;
    stores.one.delete_consumer(record.consumer.id, None).await.unwrap();

    let put = stores.one.update_consumer(&record).await.unwrap();

    assert_eq!(put, Put::Changed);
    assert_eq!(found(stores, &record).await, [None; 4]);
}

pub(crate) async fn a_deletion_that_compares_nothing_wins_over_racing_updates(stores: &Stores) {
    let record = made(stores, "Shop sync").await;
    let id = record.consumer.id;

    let deleted = stores
        .at_once(8, async |store, turn| {
            if turn == 0 {
                return Some(store.delete_consumer(id, None).await.unwrap());
            }
            for _ in 0..20 {
                let Some(current) = store.consumer(id).await.unwrap() else {
                    break;
                };
                store.update_consumer(&current).await.unwrap();
            }
            None
        })
        .await;

    assert!(matches!(deleted[0], Some(Put::Done(_))), "{deleted:?}");
    assert_eq!(stores.one.consumer(id).await.unwrap(), None);
    assert_eq!(found(stores, &record).await, [None; 4]);
}

pub(crate) async fn a_token_put_while_its_consumer_is_deleted_leaves_nothing(stores: &Stores) {
    for round in 0..10 {
        let record = made(stores, &format!("Shop {round}")).await;
        let id = record.consumer.id;

        stores
            .at_once(4, async |store, turn| {
                if turn == 0 {
                    store.delete_consumer(id, None).await.unwrap();
                } else {
                    // Refused once the consumer is gone.
                    drop(
                        store
                            .put_delegated(&delegated(id, &format!("token {round} {turn}")))
                            .await,
                    );
                }
            })
            .await;

        assert_eq!(stores.one.delegated_of(id).await.unwrap(), []);
        for turn in 1..4 {
            let of_token = stores
                .one
                .consumer_of_token(&format!("token {round} {turn}"))
                .await
                .unwrap();
            assert_eq!(of_token, None, "round {round}, token {turn}");
        }
    }
}

pub(crate) async fn many_are_made_at_once_with_the_numbers_they_bring(stores: &Stores) {
    let brought: Vec<ConsumerRecord> = (1..=500).map(|n| record(n * 2, &format!("Shop {n}"))).collect();

    stores.one.create_consumers(brought.clone()).await.unwrap();
    let next = made(stores, "Next").await;

    for one in [&brought[0], &brought[250], &brought[499]] {
        let id = Some(one.consumer.id);
        assert_eq!(found(stores, one).await, [id, id, id, id]);
        assert_eq!(*stores.one.consumer(one.consumer.id).await.unwrap().unwrap(), *one);
    }
    assert!(next.consumer.id.0 > 1000 && next.integration.unwrap().id.0 > 1000);
}

pub(crate) async fn many_at_once_take_nothing_from_those_that_stand(stores: &Stores) {
    let first = with_token(made(stores, "Shop sync").await, "own");
    stores.one.update_consumer(&first).await.unwrap();
    let id = first.consumer.id.0;
    let same_number = record(id, "Another");
    let same_name = record(id + 10, "Shop sync");
    let mut same_key = record(id + 11, "Third");
    same_key.consumer.key.clone_from(&first.consumer.key);
    let same_token = with_token(record(id + 12, "Fourth"), "own");
    let twice = record(id + 13, "Twice");

    for (what, bad) in [
        ("number", vec![same_number]),
        ("name", vec![same_name]),
        ("key", vec![same_key]),
        ("token", vec![same_token]),
        ("twice", vec![twice.clone(), record(id + 14, "Twice")]),
    ] {
        let created = stores.one.create_consumers(bad).await;
        assert!(matches!(created, Err(StoreError::Corrupt(_))), "{what}: {created:?}");
    }

    let stands = ConsumerRecord { version: 2, ..first };
    let found = found(stores, &stands).await;
    assert_eq!(found, [Some(stands.consumer.id); 4]);
    assert_eq!(*stores.one.consumer(stands.consumer.id).await.unwrap().unwrap(), stands);
    assert_eq!(integration("Shop sync"), stands.integration.unwrap().definition);
}

pub(crate) async fn a_creation_while_many_are_made_takes_none_of_their_numbers(stores: &Stores) {
    let brought: Vec<ConsumerRecord> = (1..=1000).map(|n| record(n, &format!("Shop {n}"))).collect();

    let made = stores.at_once(2, async |store, turn| {
        if turn == 0 {
            store.create_consumers(brought.clone()).await.unwrap();
            return None;
        }
        // From the moment on in which the first of them is seen.
        while store.consumer(brought[0].consumer.id).await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
        store.create_consumer(consumer("Next"), THEN).await.unwrap()
    });

    let next = made.await.remove(1).unwrap();
    assert!(next.consumer.id.0 > 1000 && next.integration.unwrap().id.0 > 1000);
    assert_eq!(
        *stores.one.consumer(brought[0].consumer.id).await.unwrap().unwrap(),
        brought[0]
    );
}
