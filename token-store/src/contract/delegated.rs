//! Tokens that users delegate.

use std::collections::BTreeSet;

use super::Stores;
use super::make::{ALICE, BOB, THEN, consumer, delegated, exchanged, user_token};
use crate::{ConsumerId, Delegated, DelegatedStage, Put, Store, UnixSeconds, User};

async fn made(stores: &Stores, name: &str) -> ConsumerId {
    let made = stores.one.create_consumer(consumer(name), THEN).await.unwrap();
    made.expect("the name is free").consumer.id
}

async fn put(stores: &Stores, consumer: ConsumerId, token: &str) -> Delegated {
    let row = delegated(consumer, token);
    stores.one.put_delegated(&row).await.unwrap();
    row
}

pub(crate) async fn a_token_is_found_whole_under_its_own_consumer_only(stores: &Stores) {
    let (own, other) = (made(stores, "Own").await, made(stores, "Other").await);
    let row = put(stores, own, "token").await;

    assert_eq!(*stores.one.delegated(own, "token").await.unwrap().unwrap(), row);
    assert_eq!(stores.one.delegated(other, "token").await.unwrap(), None);
    assert_eq!(stores.one.delegated(own, "Token").await.unwrap(), None);
    assert_eq!(stores.one.consumer_of_token("token").await.unwrap(), Some(own));
}

pub(crate) async fn all_tokens_of_a_consumer_are_listed_and_no_others(stores: &Stores) {
    let (own, other) = (made(stores, "Own").await, made(stores, "Other").await);
    for token in ["a", "b", "c"] {
        put(stores, own, token).await;
    }
    put(stores, other, "d").await;

    let mut listed: Vec<String> = stores
        .one
        .delegated_of(own)
        .await
        .unwrap()
        .into_iter()
        .map(|row| row.token)
        .collect();

    listed.sort();
    assert_eq!(listed, ["a", "b", "c"]);
}

pub(crate) async fn an_exchange_moves_the_row_to_its_new_token(stores: &Stores) {
    let consumer = made(stores, "Own").await;
    let row = put(stores, consumer, "request").await;
    let wanted = exchanged(&row, "access");

    let put = stores.one.replace_delegated("request", &wanted).await.unwrap();

    let moved = Delegated { version: 1, ..wanted };
    assert_eq!(put, Put::Done(1));
    assert_eq!(*stores.one.delegated(consumer, "access").await.unwrap().unwrap(), moved);
    assert_eq!(stores.one.delegated(consumer, "request").await.unwrap(), None);
    assert_eq!(stores.one.consumer_of_token("request").await.unwrap(), None);
    assert_eq!(stores.one.consumer_of_token("access").await.unwrap(), Some(consumer));
    assert_eq!(stores.one.delegated_of(consumer).await.unwrap(), [moved]);
}

pub(crate) async fn a_change_that_keeps_the_token_is_done(stores: &Stores) {
    let consumer = made(stores, "Own").await;
    let row = put(stores, consumer, "token").await;
    let wanted = exchanged(&row, "token");

    let put = stores.one.replace_delegated("token", &wanted).await.unwrap();

    let changed = Delegated { version: 1, ..wanted };
    assert_eq!(put, Put::Done(1));
    assert_eq!(
        *stores.one.delegated(consumer, "token").await.unwrap().unwrap(),
        changed
    );
    assert_eq!(stores.one.consumer_of_token("token").await.unwrap(), Some(consumer));
}

pub(crate) async fn of_racing_exchanges_one_is_done(stores: &Stores) {
    let consumer = made(stores, "Own").await;
    for round in 0..10 {
        let request = format!("request {round}");
        let row = put(stores, consumer, &request).await;

        let puts = stores
            .at_once(8, async |store, turn| {
                let wanted = exchanged(&row, &format!("access {round} {turn}"));
                store.replace_delegated(&request, &wanted).await.unwrap()
            })
            .await;

        assert_eq!(puts.iter().filter(|put| **put == Put::Done(1)).count(), 1, "{puts:?}");
        assert_eq!(puts.iter().filter(|put| **put == Put::Changed).count(), 7, "{puts:?}");
        let rows = stores.one.delegated_of(consumer).await.unwrap();
        assert_eq!(rows.len(), round + 1, "one access token each round");
        for (turn, put) in puts.iter().enumerate() {
            let of_token = stores
                .one
                .consumer_of_token(&format!("access {round} {turn}"))
                .await
                .unwrap();
            assert_eq!(of_token.is_some(), *put == Put::Done(1));
        }
    }
}

pub(crate) async fn an_exchange_of_what_changed_or_went_writes_nothing(stores: &Stores) {
    let (consumer, other) = (made(stores, "Own").await, made(stores, "Other").await);
    let row = put(stores, consumer, "request").await;
    stores
        .other
        .replace_delegated("request", &exchanged(&row, "request"))
        .await
        .unwrap();

    let stale = stores
        .one
        .replace_delegated("request", &exchanged(&row, "stale"))
        .await
        .unwrap();
    let absent = stores
        .one
        .replace_delegated("nobody's", &exchanged(&row, "absent"))
        .await
        .unwrap();
    let foreign = Delegated {
        consumer_id: other,
        version: 1,
        ..exchanged(&row, "foreign")
    };
    let foreign = stores.one.replace_delegated("request", &foreign).await.unwrap();

    assert_eq!((stale, absent, foreign), (Put::Changed, Put::Changed, Put::Changed));
    for token in ["stale", "absent", "foreign"] {
        assert_eq!(stores.one.consumer_of_token(token).await.unwrap(), None);
    }
    assert_eq!(
        stores
            .one
            .delegated(consumer, "request")
            .await
            .unwrap()
            .unwrap()
            .version,
        1
    );
}

pub(crate) async fn an_exchange_takes_no_token_that_stands_already(stores: &Stores) {
    let (own, other) = (made(stores, "Own").await, made(stores, "Other").await);
    let row = put(stores, own, "request").await;
    put(stores, other, "taken").await;

    let replaced = stores.one.replace_delegated("request", &exchanged(&row, "taken")).await;
    let again = stores.one.put_delegated(&delegated(own, "request")).await;

    assert!(!matches!(replaced, Ok(Put::Done(_))), "{replaced:?}");
    assert!(again.is_err());
    assert_eq!(stores.one.consumer_of_token("taken").await.unwrap(), Some(other));
    assert_eq!(*stores.one.delegated(own, "request").await.unwrap().unwrap(), row);
}

pub(crate) async fn a_deleted_token_is_gone_and_deleted_once(stores: &Stores) {
    let (own, other) = (made(stores, "Own").await, made(stores, "Other").await);
    put(stores, own, "token").await;

    let foreign = stores.one.delete_delegated(other, "token").await.unwrap();
    let still = stores.one.consumer_of_token("token").await.unwrap();
    let first = stores.one.delete_delegated(own, "token").await.unwrap();
    let second = stores.one.delete_delegated(own, "token").await.unwrap();

    assert_eq!((foreign, first, second), (false, true, false));
    assert_eq!(still, Some(own));
    assert_eq!(stores.one.delegated(own, "token").await.unwrap(), None);
    assert_eq!(stores.one.consumer_of_token("token").await.unwrap(), None);
    assert_eq!(stores.one.delegated_of(own).await.unwrap(), []);
}

pub(crate) async fn what_a_user_delegated_is_listed_until_it_ends(stores: &Stores) {
    let (one, other) = (made(stores, "One").await, made(stores, "Other").await);
    let tokens = async |store: &dyn Store, user: User| {
        let rows = store.delegated_by(user).await.unwrap();
        rows.into_iter().map(|row| row.token).collect::<BTreeSet<_>>()
    };
    let access = async |consumer, request: &str, token: &str| {
        let row = put(stores, consumer, request).await;
        let wanted = allowed_under(exchanged(&row, token), 0);
        stores.one.replace_delegated(request, &wanted).await.unwrap();
    };
    put(stores, one, "waits").await;
    access(one, "r1", "a").await;
    access(one, "r2", "b").await;
    access(other, "r3", "c").await;
    access(other, "r4", "d").await;
    assert_eq!(tokens(&*stores.other, ALICE).await, names(&["a", "b", "c", "d"]));
    assert_eq!(tokens(&*stores.one, BOB).await, names(&[]));

    stores.one.delete_delegated(one, "a").await.unwrap();
    assert_eq!(tokens(&*stores.one, ALICE).await, names(&["b", "c", "d"]));
    stores.one.delete_consumer(other, None).await.unwrap();
    assert_eq!(tokens(&*stores.one, ALICE).await, names(&["b"]));
    stores
        .one
        .put_user_token(&user_token("bearer", ALICE, None))
        .await
        .unwrap();

    let ended = stores.one.revoke_user_tokens(ALICE, THEN).await.unwrap();
    let again = stores.one.revoke_user_tokens(ALICE, THEN).await.unwrap();

    assert_eq!((ended, again), (2, 0));
    assert_eq!(tokens(&*stores.one, ALICE).await, names(&[]));
}

fn allowed_under(mut row: Delegated, second: UnixSeconds) -> Delegated {
    if let DelegatedStage::Access { revoked_before, .. } = &mut row.stage {
        *revoked_before = second;
    }
    row
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

pub(crate) async fn of_a_deletion_and_an_exchange_that_race_one_wins(stores: &Stores) {
    let consumer = made(stores, "Own").await;
    for round in 0..10 {
        let (request, access) = (format!("request {round}"), format!("access {round}"));
        let row = put(stores, consumer, &request).await;

        let won = stores
            .at_once(2, async |store, turn| {
                if turn == 0 {
                    return store.delete_delegated(consumer, &request).await.unwrap();
                }
                store
                    .replace_delegated(&request, &exchanged(&row, &access))
                    .await
                    .unwrap()
                    == Put::Done(1)
            })
            .await;

        let there = stores.one.delegated(consumer, &access).await.unwrap().is_some();
        assert!(won[0] != won[1], "{won:?}");
        assert_eq!(there, won[1]);
        assert_eq!(stores.one.consumer_of_token(&request).await.unwrap(), None);
    }
}
