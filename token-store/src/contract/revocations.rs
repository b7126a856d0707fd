//! Single tokens, users' revocations, and the secrets that gateways share.

use std::collections::BTreeSet;

use super::Stores;
use super::changes::A_SECOND;
use super::make::{ADMIN, ALICE, BOB, THEN, user_token};
use crate::{Secret, Store, User};

async fn put(stores: &Stores, token: &str, user: User) -> String {
    let token = user_token(token, user, None);
    stores.one.put_user_token(&token).await.unwrap();
    token.digest
}

/// All pages: the digests that were met.
async fn listed(store: &dyn Store, limit: usize) -> BTreeSet<String> {
    let mut met = BTreeSet::new();
    let mut after: Option<String> = None;
    loop {
        let (page, next) = store.list_user_tokens(after.as_deref(), limit).await.unwrap();
        met.extend(page.into_iter().map(|token| token.digest));
        match next {
            Some(next) => after = Some(next),
            None => return met,
        }
    }
}

pub(crate) async fn every_token_is_met_in_the_pages_of_a_list(stores: &Stores) {
    assert_eq!(listed(&*stores.one, 3).await, BTreeSet::new());
    let mut made = BTreeSet::new();
    for number in 0..700 {
        let user = if number % 2 == 0 { ALICE } else { ADMIN };
        made.insert(put(stores, &number.to_string(), user).await);
    }

    for limit in [0, 1, 100, 10_000] {
        assert_eq!(listed(&*stores.other, limit).await, made);
    }
    let (_, nonsense) = stores.one.list_user_tokens(Some("no place"), 1000).await.unwrap();
    assert!(nonsense.is_none_or(|next| !next.is_empty()));
}

pub(crate) async fn one_token_ends_and_no_other(stores: &Stores) {
    let (gone, kept) = (put(stores, "a", ALICE).await, put(stores, "b", ALICE).await);
    // So that memory, where there is any, has it.
    assert!(stores.one.user_token(&gone).await.unwrap().is_some());

    let ended = stores.one.delete_user_token(&gone).await.unwrap();
    let again = stores.one.delete_user_token(&gone).await.unwrap();

    assert_eq!((ended, again), (true, false));
    assert_eq!(stores.one.user_token(&gone).await.unwrap(), None);
    assert!(stores.one.user_token(&kept).await.unwrap().is_some());
    let left = stores.one.user_tokens_of(ALICE).await.unwrap();
    assert_eq!(left.iter().map(|token| &token.digest).collect::<Vec<_>>(), [&kept]);
}

pub(crate) async fn each_revocation_moves_its_user_on_and_no_other(stores: &Stores) {
    assert_eq!(stores.one.revoked_before(ALICE).await.unwrap(), 0);

    stores.one.revoke_user_tokens(ALICE, THEN).await.unwrap();
    // By a gateway whose clock is behind.
    stores.one.revoke_user_tokens(ALICE, THEN - 5).await.unwrap();
    let second = stores.one.revoked_before(ALICE).await.unwrap();
    stores.one.revoke_user_tokens(ALICE, THEN + 5).await.unwrap();
    let third = stores.one.revoked_before(ALICE).await.unwrap();

    assert_eq!((second, third), (THEN + 1, THEN + 5));
    for other in [BOB, ADMIN] {
        assert_eq!(stores.one.revoked_before(other).await.unwrap(), 0);
    }
}

pub(crate) async fn revocations_at_once_all_move_it_on(stores: &Stores) {
    stores
        .at_once(8, async |store, _| {
            store.revoke_user_tokens(ALICE, THEN).await.unwrap();
        })
        .await;

    assert_eq!(stores.one.revoked_before(ALICE).await.unwrap(), THEN + 7);
}

pub(crate) async fn a_revocation_elsewhere_is_known_after_a_second(stores: &Stores) {
    assert_eq!(stores.other.revoked_before(ADMIN).await.unwrap(), 0);

    stores.one.revoke_user_tokens(ADMIN, THEN).await.unwrap();
    tokio::time::sleep(A_SECOND).await;

    assert_eq!(stores.other.revoked_before(ADMIN).await.unwrap(), THEN);
}

pub(crate) async fn a_shared_secret_is_the_one_that_was_made_first(stores: &Stores) {
    let first = stores.one.shared_secret("jwt", &Secret::new("first")).await.unwrap();
    let second = stores.other.shared_secret("jwt", &Secret::new("second")).await.unwrap();
    let other = stores.other.shared_secret("else", &Secret::new("third")).await.unwrap();

    let texts = [first, second, other].map(|secret| secret.expose().to_owned());
    assert_eq!(texts, ["first", "first", "third"]);
}

pub(crate) async fn of_shared_secrets_made_at_once_all_are_the_same(stores: &Stores) {
    let made = stores
        .at_once(8, async |store, turn| {
            let fresh = Secret::new(turn.to_string());
            let secret = store.shared_secret("jwt", &fresh).await.unwrap();
            secret.expose().to_owned()
        })
        .await;

    assert_eq!(made.iter().collect::<BTreeSet<_>>().len(), 1, "{made:?}");
}
