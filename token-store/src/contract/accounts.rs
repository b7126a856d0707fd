//! Accounts whose numbers were given by somebody else, and the end of accounts.

use super::Stores;
use super::changes::A_SECOND;
use super::make::{THEN, account};
use crate::{AccountId, Put, UserKind};

const KIND: UserKind = UserKind::Customer;

pub(crate) async fn an_account_is_made_with_the_number_that_was_brought(stores: &Stores) {
    let made = stores.one.create_account_as(AccountId(7), account(KIND, "jane"), THEN);

    let made = made.await.unwrap().unwrap();

    assert_eq!((made.id, made.version), (AccountId(7), 1));
    assert_eq!(*stores.other.account(KIND, made.id).await.unwrap().unwrap(), made);
    assert_eq!(*stores.one.account_by_name(KIND, "jane").await.unwrap().unwrap(), made);
}

pub(crate) async fn neither_name_nor_number_is_taken_twice(stores: &Stores) {
    let as_seven = |name: &str| stores.one.create_account_as(AccountId(7), account(KIND, name), THEN);
    as_seven("jane").await.unwrap().unwrap();

    let number = as_seven("joe").await.unwrap();
    let name = stores
        .other
        .create_account_as(AccountId(8), account(KIND, "jane"), THEN);
    let name = name.await.unwrap();
    let given = stores
        .one
        .create_account(account(KIND, "jim"), THEN)
        .await
        .unwrap()
        .unwrap();

    assert_eq!((number, name), (None, None));
    assert!(given.id > AccountId(7), "{given:?}");
    assert_eq!(stores.one.account_by_name(KIND, "joe").await.unwrap(), None);
}

pub(crate) async fn of_many_with_one_number_one_is_made(stores: &Stores) {
    let made = stores
        .at_once(8, async |store, turn| {
            let new = account(KIND, &format!("jane {turn}"));
            store.create_account_as(AccountId(7), new, THEN).await.unwrap()
        })
        .await;

    assert_eq!(made.iter().flatten().count(), 1);
    assert_eq!(stores.one.accounts(KIND).await.unwrap().len(), 1);
}

pub(crate) async fn a_deleted_account_is_gone_everywhere_and_its_name_free(stores: &Stores) {
    let id = AccountId(7);
    let made = stores.one.create_account_as(id, account(KIND, "jane"), THEN);
    made.await.unwrap().unwrap();
    assert!(stores.other.account(KIND, id).await.unwrap().is_some());

    let stale = stores.one.delete_account(KIND, id, Some(2)).await.unwrap();
    let done = stores.one.delete_account(KIND, id, Some(1)).await.unwrap();
    let again = stores.one.delete_account(KIND, id, None).await.unwrap();

    assert_eq!((stale, done, again), (Put::Changed, Put::Done(2), Put::Changed));
    assert_eq!(stores.one.account(KIND, id).await.unwrap(), None);
    assert_eq!(stores.one.account_by_name(KIND, "jane").await.unwrap(), None);
    tokio::time::sleep(A_SECOND).await;
    assert_eq!(stores.other.account(KIND, id).await.unwrap(), None);
    let anew = stores.other.create_account_as(id, account(KIND, "jane"), THEN);
    assert!(anew.await.unwrap().is_some());
}
