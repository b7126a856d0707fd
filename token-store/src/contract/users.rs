//! Bearer tokens of users, and accounts.

use std::collections::BTreeSet;

use super::Stores;
use super::make::{ADMIN, ALICE, BOB, THEN, account, user_token};
use crate::{Account, AccountId, Put, Role, Secret, Store, Totp, TotpStage, User, UserKind, UserToken};

async fn digests(store: &dyn Store, user: User) -> BTreeSet<String> {
    let tokens = store.user_tokens_of(user).await.unwrap();
    tokens.into_iter().map(|token| token.digest).collect()
}

async fn put(stores: &Stores, token: &str, user: User, expires_at: Option<u64>) -> UserToken {
    let token = user_token(token, user, expires_at);
    stores.one.put_user_token(&token).await.unwrap();
    token
}

pub(crate) async fn a_token_is_found_whole_by_its_digest(stores: &Stores) {
    let token = put(stores, "secret", ALICE, Some(THEN + 60)).await;
    let for_ever = put(stores, "other", ADMIN, None).await;

    assert_eq!(*stores.one.user_token(&token.digest).await.unwrap().unwrap(), token);
    assert_eq!(
        *stores.other.user_token(&for_ever.digest).await.unwrap().unwrap(),
        for_ever
    );
    assert_eq!(stores.one.user_token("secret").await.unwrap(), None);
    assert_eq!(stores.one.user_token(&token.digest.to_uppercase()).await.unwrap(), None);
    assert_eq!(stores.one.user_token("").await.unwrap(), None);
}

pub(crate) async fn tokens_are_listed_by_kind_and_number_of_their_user(stores: &Stores) {
    let first = put(stores, "a", ALICE, None).await;
    let second = put(stores, "b", ALICE, Some(THEN)).await;
    let bobs = put(stores, "c", BOB, None).await;
    let admins = put(stores, "d", ADMIN, None).await;
    let farthest = User { id: u64::MAX, ..ALICE };
    let far = put(stores, "e", farthest, Some(THEN)).await;

    let store = &*stores.one;
    assert_eq!(
        digests(store, ALICE).await,
        BTreeSet::from([first.digest, second.digest])
    );
    assert_eq!(digests(store, BOB).await, BTreeSet::from([bobs.digest]));
    assert_eq!(digests(store, ADMIN).await, BTreeSet::from([admins.digest]));
    assert_eq!(digests(store, farthest).await, BTreeSet::from([far.digest]));
    assert_eq!(digests(store, User { id: 0, ..ALICE }).await, BTreeSet::new());
}

pub(crate) async fn all_tokens_of_a_user_end_at_once_and_no_others(stores: &Stores) {
    let ended = [
        put(stores, "a", ALICE, None).await,
        put(stores, "b", ALICE, Some(THEN + 60)).await,
    ];
    let others = [put(stores, "c", BOB, None).await, put(stores, "d", ADMIN, None).await];
    // So that memory, where there is any, has them.
    for token in ended.iter().chain(&others) {
        assert!(stores.one.user_token(&token.digest).await.unwrap().is_some());
    }

    let count = stores.one.revoke_user_tokens(ALICE, THEN).await.unwrap();
    let again = stores.one.revoke_user_tokens(ALICE, THEN).await.unwrap();

    assert_eq!((count, again), (2, 0));
    for token in &ended {
        assert_eq!(stores.one.user_token(&token.digest).await.unwrap(), None);
    }
    for token in &others {
        assert!(stores.one.user_token(&token.digest).await.unwrap().is_some());
    }
    assert_eq!(digests(&*stores.one, ALICE).await, BTreeSet::new());
    // The sweep has nothing left to do either.
    assert_eq!(
        stores
            .one
            .sweep_user_tokens(UserKind::Customer, THEN + 60, 10)
            .await
            .unwrap(),
        0
    );
}

pub(crate) async fn a_sweep_takes_only_what_expired_of_that_kind(stores: &Stores) {
    let kept = [
        put(stores, "later", ALICE, Some(THEN + 1)).await,
        put(stores, "never", ALICE, None).await,
        put(stores, "admin's", ADMIN, Some(THEN)).await,
    ];
    let gone = [
        put(stores, "now", ALICE, Some(THEN)).await,
        put(stores, "before", BOB, Some(1)).await,
    ];

    let swept = stores
        .one
        .sweep_user_tokens(UserKind::Customer, THEN, 100)
        .await
        .unwrap();
    let again = stores
        .one
        .sweep_user_tokens(UserKind::Customer, THEN, 100)
        .await
        .unwrap();

    assert_eq!((swept, again), (2, 0));
    for token in &kept {
        assert_eq!(*stores.one.user_token(&token.digest).await.unwrap().unwrap(), *token);
    }
    for token in &gone {
        assert_eq!(stores.other.user_token(&token.digest).await.unwrap(), None);
        assert!(!digests(&*stores.one, token.user).await.contains(&token.digest));
    }
}

pub(crate) async fn a_sweep_takes_the_oldest_up_to_its_limit(stores: &Stores) {
    for turn in 0..10 {
        put(stores, &turn.to_string(), ALICE, Some(THEN - turn)).await;
    }

    let mut steps = Vec::new();
    for left in [7, 4, 1, 0, 0] {
        steps.push(stores.one.sweep_user_tokens(UserKind::Customer, THEN, 3).await.unwrap());
        let tokens = stores.one.user_tokens_of(ALICE).await.unwrap();
        assert_eq!(tokens.len(), left);
        assert!(
            tokens
                .iter()
                .all(|token| token.expires_at > Some(THEN - u64::try_from(left).unwrap()))
        );
    }

    assert_eq!(steps, [3, 3, 3, 1, 0]);
}

pub(crate) async fn a_token_that_is_kept_again_lives_as_long_as_the_last_time_says(stores: &Stores) {
    put(stores, "token", ALICE, Some(THEN)).await;
    let longer = put(stores, "token", ALICE, Some(THEN + 60)).await;
    let for_ever = put(stores, "other", ALICE, Some(THEN)).await;
    let for_ever = UserToken {
        user: BOB,
        expires_at: None,
        ..for_ever
    };
    stores.one.put_user_token(&for_ever).await.unwrap();

    let swept = stores
        .one
        .sweep_user_tokens(UserKind::Customer, THEN, 10)
        .await
        .unwrap();
    let again = stores
        .one
        .sweep_user_tokens(UserKind::Customer, THEN, 10)
        .await
        .unwrap();

    assert_eq!((swept, again), (0, 0));
    assert_eq!(*stores.one.user_token(&longer.digest).await.unwrap().unwrap(), longer);
    assert_eq!(
        *stores.one.user_token(&for_ever.digest).await.unwrap().unwrap(),
        for_ever
    );
    assert_eq!(digests(&*stores.one, ALICE).await, BTreeSet::from([longer.digest]));
    assert_eq!(
        stores
            .one
            .sweep_user_tokens(UserKind::Customer, THEN + 60, 10)
            .await
            .unwrap(),
        1
    );
}

pub(crate) async fn a_user_of_very_many_tokens_is_listed_swept_and_ended(stores: &Stores) {
    let made = stores
        .at_once(30, async |store, turn| {
            for round in 0..300 {
                let expires_at = (turn < 20).then_some(THEN);
                let token = user_token(&format!("{turn} {round}"), ALICE, expires_at);
                store.put_user_token(&token).await.unwrap();
            }
        })
        .await;
    assert_eq!(made.len(), 30);

    let listed = stores.one.user_tokens_of(ALICE).await.unwrap().len();
    let swept = stores
        .one
        .sweep_user_tokens(UserKind::Customer, THEN, usize::MAX)
        .await
        .unwrap();
    let ended = stores.one.revoke_user_tokens(ALICE, THEN).await.unwrap();

    assert_eq!((listed, swept, ended), (9000, 6000, 3000));
    assert!(stores.one.user_tokens_of(ALICE).await.unwrap().is_empty());
}

pub(crate) async fn a_new_account_is_found_whole_by_number_and_name(stores: &Stores) {
    for kind in [UserKind::Admin, UserKind::Customer] {
        let made = stores
            .one
            .create_account(account(kind, "Jane"), THEN)
            .await
            .unwrap()
            .unwrap();

        assert!(made.id.0 > 0);
        assert_eq!((made.version, made.created_at, made.updated_at), (1, THEN, THEN));
        assert_eq!(made.definition, account(kind, "Jane"));
        assert_eq!(*stores.one.account(kind, made.id).await.unwrap().unwrap(), made);
        assert_eq!(
            *stores.other.account_by_name(kind, "Jane").await.unwrap().unwrap(),
            made
        );
        assert_eq!(stores.one.account_by_name(kind, "jane").await.unwrap(), None);
    }
    for id in [0, 99, u64::MAX] {
        assert_eq!(stores.one.account(UserKind::Admin, AccountId(id)).await.unwrap(), None);
    }
    assert_eq!(stores.one.account_by_name(UserKind::Admin, "").await.unwrap(), None);
}

pub(crate) async fn a_user_name_is_taken_once_in_each_kind(stores: &Stores) {
    let admin = stores
        .one
        .create_account(account(UserKind::Admin, "jane"), THEN)
        .await
        .unwrap()
        .unwrap();

    let again = stores
        .other
        .create_account(account(UserKind::Admin, "jane"), THEN)
        .await
        .unwrap();
    let upper = stores
        .one
        .create_account(account(UserKind::Admin, "Jane"), THEN)
        .await
        .unwrap();
    let customer = stores
        .one
        .create_account(account(UserKind::Customer, "jane"), THEN)
        .await
        .unwrap();

    assert_eq!(again, None);
    assert!(upper.is_some() && customer.is_some());
    assert_eq!(
        *stores
            .one
            .account_by_name(UserKind::Admin, "jane")
            .await
            .unwrap()
            .unwrap(),
        admin
    );
}

pub(crate) async fn of_many_accounts_with_one_name_one_is_made(stores: &Stores) {
    let made = stores
        .at_once(16, async |store, _| {
            store
                .create_account(account(UserKind::Admin, "jane"), THEN)
                .await
                .unwrap()
        })
        .await;

    assert_eq!(made.iter().flatten().count(), 1);
    assert_eq!(stores.one.accounts(UserKind::Admin).await.unwrap().len(), 1);
}

pub(crate) async fn accounts_are_listed_by_number(stores: &Stores) {
    let mut made = Vec::new();
    for turn in 0..12 {
        let new = account(UserKind::Admin, &format!("jane {}", 20 - turn));
        made.push(stores.one.create_account(new, THEN).await.unwrap().unwrap());
    }
    stores
        .one
        .create_account(account(UserKind::Customer, "jane"), THEN)
        .await
        .unwrap();

    assert_eq!(stores.other.accounts(UserKind::Admin).await.unwrap(), made);
    assert!(made.is_sorted_by(|one, next| one.id < next.id));
}

pub(crate) async fn an_account_s_update_is_read_whole(stores: &Stores) {
    let made = stores
        .one
        .create_account(account(UserKind::Admin, "jane"), THEN)
        .await
        .unwrap()
        .unwrap();
    let mut wanted = Account {
        updated_at: THEN + 5,
        ..made
    };
    wanted.definition.role = Role::Admin;
    wanted.definition.resources = None;
    wanted.definition.active = false;
    wanted.definition.totp = Some(Totp {
        secret: Secret::new("JBSWY3DP"),
        stage: TotpStage::Active { last_step: 7 },
        recovery: vec![Secret::new("one"), Secret::new("another")],
    });

    let put = stores.one.update_account(&wanted).await.unwrap();

    wanted.version = 2;
    assert_eq!(put, Put::Done(2));
    assert_eq!(
        *stores.one.account(UserKind::Admin, wanted.id).await.unwrap().unwrap(),
        wanted
    );
    assert_eq!(
        *stores
            .one
            .account_by_name(UserKind::Admin, "jane")
            .await
            .unwrap()
            .unwrap(),
        wanted
    );
}

pub(crate) async fn a_renamed_account_is_found_by_its_new_name_only(stores: &Stores) {
    let mut jane = stores
        .one
        .create_account(account(UserKind::Admin, "jane"), THEN)
        .await
        .unwrap()
        .unwrap();
    let joe = stores
        .one
        .create_account(account(UserKind::Admin, "joe"), THEN)
        .await
        .unwrap()
        .unwrap();

    jane.definition.username = "joe".to_owned();
    let taken = stores.one.update_account(&jane).await.unwrap();
    jane.definition.username = "janet".to_owned();
    let done = stores.one.update_account(&jane).await.unwrap();

    assert_eq!((taken, done), (Put::NameTaken, Put::Done(2)));
    assert_eq!(stores.one.account_by_name(UserKind::Admin, "jane").await.unwrap(), None);
    assert_eq!(
        stores
            .one
            .account_by_name(UserKind::Admin, "janet")
            .await
            .unwrap()
            .unwrap()
            .id,
        jane.id
    );
    assert_eq!(
        *stores
            .one
            .account_by_name(UserKind::Admin, "joe")
            .await
            .unwrap()
            .unwrap(),
        joe
    );
    assert!(
        stores
            .one
            .create_account(account(UserKind::Admin, "jane"), THEN)
            .await
            .unwrap()
            .is_some()
    );
}

pub(crate) async fn of_racing_updates_of_an_account_one_is_done(stores: &Stores) {
    let made = stores
        .one
        .create_account(account(UserKind::Admin, "jane"), THEN)
        .await
        .unwrap()
        .unwrap();

    let puts = stores
        .at_once(8, async |store, turn| {
            let mut wanted = made.clone();
            wanted.definition.email = turn.to_string();
            store.update_account(&wanted).await.unwrap()
        })
        .await;

    let winner = puts.iter().position(|put| *put == Put::Done(2)).unwrap();
    assert_eq!(puts.iter().filter(|put| **put == Put::Changed).count(), 7, "{puts:?}");
    let account = stores.one.account(UserKind::Admin, made.id).await.unwrap().unwrap();
    assert_eq!(account.definition.email, winner.to_string());
}
