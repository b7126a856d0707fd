//! Consumers, integrations and their own tokens.

use super::Stores;
use super::make::{THEN, access, consumer, delegated, lone_consumer, renamed, with_token};
use crate::{ConsumerId, ConsumerRecord, IntegrationId, Put, Status};

/// The record, as made through `stores`.
pub(super) async fn made(stores: &Stores, name: &str) -> ConsumerRecord {
    let made = stores.one.create_consumer(consumer(name), THEN).await.unwrap();
    made.expect("the name is free")
}

/// The number by name, key, integration and token: what the indexes say.
pub(super) async fn found(stores: &Stores, record: &ConsumerRecord) -> [Option<ConsumerId>; 4] {
    let store = &stores.one;
    let integration = record.integration.as_ref().unwrap();
    let by_name = store.consumer_by_name(&integration.definition.name).await.unwrap();
    let by_key = store.consumer_by_key(&record.consumer.key).await.unwrap();
    let by_integration = store.consumer_by_integration(integration.id).await.unwrap();
    let by_token = match record.token.as_ref().and_then(crate::OwnToken::token) {
        None => None,
        Some(token) => store.consumer_of_token(token).await.unwrap(),
    };
    let id = |found: Option<std::sync::Arc<ConsumerRecord>>| found.map(|one| one.consumer.id);
    [id(by_name), id(by_key), id(by_integration), by_token]
}

pub(crate) async fn a_new_consumer_is_found_whole_by_everything_that_names_it(stores: &Stores) {
    let made = made(stores, "Shop sync").await;

    let store = &stores.one;
    let integration = made.integration.as_ref().unwrap();
    assert_eq!(made.version, 1);
    assert_eq!(integration.status, Status::Inactive);
    assert_eq!((integration.created_at, integration.updated_at), (THEN, THEN));
    assert_eq!(integration.definition, super::make::integration("Shop sync"));
    assert_eq!(integration.consumer_id, made.consumer.id);
    assert_eq!((made.consumer.created_at, made.consumer.updated_at), (THEN, THEN));
    assert_eq!(made.consumer.posted_at, None);
    assert_eq!(*store.consumer(made.consumer.id).await.unwrap().unwrap(), made);
    assert_eq!(*store.consumer_by_key("key of Shop sync").await.unwrap().unwrap(), made);
    assert_eq!(*store.consumer_by_name("Shop sync").await.unwrap().unwrap(), made);
    assert_eq!(
        *store.consumer_by_integration(integration.id).await.unwrap().unwrap(),
        made
    );
}

pub(crate) async fn a_consumer_is_named_after_its_integration_unless_it_brings_a_name(stores: &Stores) {
    let unnamed = made(stores, "Shop sync").await;
    let mut new = consumer("Other");
    new.name = Some("As given".to_owned());

    let named = stores.one.create_consumer(new, THEN).await.unwrap().unwrap();

    assert_eq!(
        unnamed.consumer.name,
        format!("Integration{}", unnamed.integration.unwrap().id.0)
    );
    assert_eq!(named.consumer.name, "As given");
}

pub(crate) async fn a_consumer_without_integration_is_found_by_number_and_key(stores: &Stores) {
    let made = stores
        .one
        .create_consumer(lone_consumer("lone"), THEN)
        .await
        .unwrap()
        .unwrap();

    assert_eq!(made.integration, None);
    assert_eq!(*stores.one.consumer(made.consumer.id).await.unwrap().unwrap(), made);
    assert_eq!(*stores.one.consumer_by_key("lone").await.unwrap().unwrap(), made);
}

pub(crate) async fn what_is_not_there_is_none(stores: &Stores) {
    let store = &stores.one;
    for id in [0, 1, u64::MAX] {
        assert_eq!(store.consumer(ConsumerId(id)).await.unwrap(), None);
        assert_eq!(store.consumer_by_integration(IntegrationId(id)).await.unwrap(), None);
        assert_eq!(store.delegated_of(ConsumerId(id)).await.unwrap(), []);
    }
    let long = "x".repeat(10_000);
    for text in ["", "*", "key", "\u{0}", "consumer:1", &long] {
        assert_eq!(store.consumer_by_key(text).await.unwrap(), None);
        assert_eq!(store.consumer_by_name(text).await.unwrap(), None);
        assert_eq!(store.consumer_of_token(text).await.unwrap(), None);
        assert_eq!(store.delegated(ConsumerId(1), text).await.unwrap(), None);
    }
}

pub(crate) async fn numbers_are_positive_and_never_given_again(stores: &Stores) {
    let mut seen = Vec::new();
    for turn in 0..4 {
        let made = made(stores, &format!("Shop {turn}")).await;
        let numbers = (made.consumer.id.0, made.integration.as_ref().unwrap().id.0);
        assert!(numbers.0 > 0 && numbers.1 > 0);
        seen.push(numbers);
        // The highest one goes each time.
        assert!(matches!(
            stores.one.delete_consumer(made.consumer.id, None).await,
            Ok(Put::Done(_))
        ));
    }

    let (consumers, integrations): (Vec<u64>, Vec<u64>) = seen.into_iter().unzip();
    assert!(consumers.is_sorted_by(|one, next| one < next), "{consumers:?}");
    assert!(integrations.is_sorted_by(|one, next| one < next), "{integrations:?}");
}

pub(crate) async fn a_name_is_taken_once_and_a_refused_consumer_leaves_nothing(stores: &Stores) {
    let first = made(stores, "Shop sync").await;
    let mut second = consumer("Shop sync");
    second.key = "another key".to_owned();

    let refused = stores.other.create_consumer(second, THEN).await.unwrap();

    assert_eq!(refused, None);
    assert_eq!(stores.one.consumer_by_key("another key").await.unwrap(), None);
    assert_eq!(*stores.one.consumer_by_name("Shop sync").await.unwrap().unwrap(), first);
}

pub(crate) async fn names_are_compared_exactly(stores: &Stores) {
    let upper = made(stores, "Shop").await;
    let lower = made(stores, "shop").await;
    let spaced = made(stores, "shop ").await;

    for one in [&upper, &lower, &spaced] {
        assert_eq!(found(stores, one).await[0], Some(one.consumer.id));
    }
    assert_eq!(stores.one.consumer_by_name("SHOP").await.unwrap(), None);
}

pub(crate) async fn of_many_consumers_with_one_name_one_is_made(stores: &Stores) {
    let made = stores
        .at_once(16, async |store, turn| {
            let mut new = consumer("Shop sync");
            new.key = format!("key {turn}");
            store.create_consumer(new, THEN).await.unwrap()
        })
        .await;

    let made: Vec<ConsumerRecord> = made.into_iter().flatten().collect();
    assert_eq!(made.len(), 1);
    assert_eq!(
        *stores.one.consumer_by_name("Shop sync").await.unwrap().unwrap(),
        made[0]
    );
    assert_eq!(
        *stores
            .one
            .consumer_by_key(&made[0].consumer.key)
            .await
            .unwrap()
            .unwrap(),
        made[0]
    );
}

pub(crate) async fn a_key_that_another_consumer_has_is_refused(stores: &Stores) {
    let first = made(stores, "Shop sync").await;
    let other = made(stores, "Other").await;
    let mut same_key = consumer("Third");
    same_key.key.clone_from(&first.consumer.key);
    let mut moved = other.clone();
    moved.consumer.key.clone_from(&first.consumer.key);

    let created = stores.one.create_consumer(same_key, THEN).await;
    let updated = stores.one.update_consumer(&moved).await;

    assert!(!matches!(created, Ok(Some(_))), "{created:?}");
    assert!(!matches!(updated, Ok(Put::Done(_))), "{updated:?}");
    assert_eq!(
        *stores.one.consumer_by_key(&first.consumer.key).await.unwrap().unwrap(),
        first
    );
    assert_eq!(
        *stores.one.consumer_by_key(&other.consumer.key).await.unwrap().unwrap(),
        other
    );
    assert_eq!(stores.one.consumer_by_name("Third").await.unwrap(), None);
}

pub(crate) async fn a_token_that_stands_elsewhere_is_refused(stores: &Stores) {
    let first = made(stores, "Shop sync").await;
    let second = made(stores, "Other").await;
    stores
        .one
        .update_consumer(&with_token(first.clone(), "own"))
        .await
        .unwrap();
    stores
        .one
        .put_delegated(&delegated(first.consumer.id, "delegated"))
        .await
        .unwrap();

    for token in ["own", "delegated"] {
        let updated = stores.one.update_consumer(&with_token(second.clone(), token)).await;
        assert!(!matches!(updated, Ok(Put::Done(_))), "{token}: {updated:?}");
        let put = stores.one.put_delegated(&delegated(second.consumer.id, token)).await;
        assert!(put.is_err(), "{token}");
        assert_eq!(
            stores.one.consumer_of_token(token).await.unwrap(),
            Some(first.consumer.id)
        );
    }
    assert_eq!(*stores.one.consumer(second.consumer.id).await.unwrap().unwrap(), second);
}

pub(crate) async fn an_update_is_read_whole_and_moves_the_version_by_one(stores: &Stores) {
    let mut record = made(stores, "Shop sync").await;
    record.consumer.posted_at = Some(THEN + 5);
    record.consumer.updated_at = THEN + 5;
    if let Some(integration) = &mut record.integration {
        integration.status = Status::Active;
        integration.definition.rsa_public_key = Some("-----BEGIN".to_owned());
    }
    record.token = Some(access("own"));

    let put = stores.one.update_consumer(&record).await.unwrap();

    record.version = 2;
    assert_eq!(put, Put::Done(2));
    assert_eq!(*stores.one.consumer(record.consumer.id).await.unwrap().unwrap(), record);
    assert_eq!(
        *stores.one.consumer_by_key(&record.consumer.key).await.unwrap().unwrap(),
        record
    );
}

pub(crate) async fn every_index_follows_an_update(stores: &Stores) {
    let mut before = made(stores, "Before").await;
    before.token = Some(access("first token"));
    stores.one.update_consumer(&before).await.unwrap();
    before.version = 2;
    let mut after = with_token(renamed(before.clone(), "After"), "second token");
    after.consumer.key = "second key".to_owned();

    let put = stores.one.update_consumer(&after).await.unwrap();

    let id = Some(after.consumer.id);
    assert_eq!(put, Put::Done(3));
    assert_eq!(found(stores, &after).await, [id, id, id, id]);
    assert_eq!(found(stores, &before).await, [None, None, id, None]);
}

pub(crate) async fn a_token_that_was_taken_away_names_nobody(stores: &Stores) {
    let record = with_token(made(stores, "Shop sync").await, "own");
    stores.one.update_consumer(&record).await.unwrap();
    let without = ConsumerRecord {
        version: 2,
        token: None,
        ..record
    };

    stores.one.update_consumer(&without).await.unwrap();

    assert_eq!(stores.one.consumer_of_token("own").await.unwrap(), None);
}

pub(crate) async fn an_update_of_what_changed_meanwhile_writes_nothing(stores: &Stores) {
    let first = made(stores, "Shop sync").await;
    stores
        .other
        .update_consumer(&with_token(first.clone(), "kept"))
        .await
        .unwrap();

    let stale = with_token(renamed(first.clone(), "Stale"), "stale");
    let put = stores.one.update_consumer(&stale).await.unwrap();
    let early = stores
        .one
        .update_consumer(&ConsumerRecord { version: 3, ..stale })
        .await
        .unwrap();

    assert_eq!((put, early), (Put::Changed, Put::Changed));
    assert_eq!(stores.one.consumer_of_token("stale").await.unwrap(), None);
    assert_eq!(
        stores.one.consumer_of_token("kept").await.unwrap(),
        Some(first.consumer.id)
    );
    assert_eq!(stores.one.consumer_by_name("Stale").await.unwrap(), None);
    assert_eq!(
        stores.one.consumer_by_name("Shop sync").await.unwrap().unwrap().version,
        2
    );
}

pub(crate) async fn of_racing_updates_one_is_done(stores: &Stores) {
    let record = made(stores, "Shop sync").await;
    for round in 0..10 {
        let record = ConsumerRecord {
            version: round + 1,
            ..record.clone()
        };
        let puts = stores
            .at_once(8, async |store, turn| {
                let wanted = with_token(record.clone(), &format!("token {turn}"));
                (store.update_consumer(&wanted).await.unwrap(), turn)
            })
            .await;

        let winners: Vec<usize> = puts
            .iter()
            .filter(|(put, _)| *put == Put::Done(round + 2))
            .map(|(_, turn)| *turn)
            .collect();
        assert_eq!(winners.len(), 1, "{puts:?}");
        assert_eq!(
            puts.iter().filter(|(put, _)| *put == Put::Changed).count(),
            7,
            "{puts:?}"
        );
        for turn in 0..8 {
            let of_token = stores.one.consumer_of_token(&format!("token {turn}")).await.unwrap();
            assert_eq!(of_token.is_some(), turn == winners[0], "round {round}, token {turn}");
        }
    }
}

pub(crate) async fn a_rename_to_a_taken_name_writes_nothing(stores: &Stores) {
    let first = made(stores, "First").await;
    let second = made(stores, "Second").await;

    let put = stores
        .one
        .update_consumer(&with_token(renamed(second.clone(), "First"), "t"))
        .await
        .unwrap();

    assert_eq!(put, Put::NameTaken);
    assert_eq!(*stores.one.consumer_by_name("First").await.unwrap().unwrap(), first);
    assert_eq!(*stores.one.consumer_by_name("Second").await.unwrap().unwrap(), second);
    assert_eq!(stores.one.consumer_of_token("t").await.unwrap(), None);
}

pub(crate) async fn a_rename_that_changes_only_the_case_is_done(stores: &Stores) {
    let record = made(stores, "shop sync").await;

    let put = stores
        .one
        .update_consumer(&renamed(record.clone(), "Shop Sync"))
        .await
        .unwrap();

    assert_eq!(put, Put::Done(2));
    assert_eq!(stores.one.consumer_by_name("shop sync").await.unwrap(), None);
    assert!(stores.one.consumer_by_name("Shop Sync").await.unwrap().is_some());
}

pub(crate) async fn of_racing_renames_to_one_name_one_is_done(stores: &Stores) {
    let mut records = Vec::new();
    for turn in 0..8 {
        records.push(made(stores, &format!("Shop {turn}")).await);
    }

    let puts = stores
        .at_once(8, async |store, turn| {
            store
                .update_consumer(&renamed(records[turn].clone(), "Wanted"))
                .await
                .unwrap()
        })
        .await;

    let winner = puts.iter().position(|put| *put == Put::Done(2)).unwrap();
    assert_eq!(puts.iter().filter(|put| **put == Put::NameTaken).count(), 7, "{puts:?}");
    let owner = stores.one.consumer_by_name("Wanted").await.unwrap().unwrap();
    assert_eq!(owner.consumer.id, records[winner].consumer.id);
}

pub(crate) async fn a_name_is_free_again_after_a_rename_and_after_a_deletion(stores: &Stores) {
    let first = made(stores, "First").await;
    stores.one.update_consumer(&renamed(first, "Elsewhere")).await.unwrap();
    let mut again = consumer("First");
    again.key = "second".to_owned();
    let second = stores.one.create_consumer(again, THEN).await.unwrap().unwrap();
    stores.one.delete_consumer(second.consumer.id, None).await.unwrap();
    let mut again = consumer("First");
    again.key = "second".to_owned();

    let third = stores.one.create_consumer(again, THEN).await.unwrap().unwrap();

    let id = Some(third.consumer.id);
    assert_eq!(found(stores, &third).await, [id, id, id, None]);
}
