//! When secrets were last used.

use super::Stores;
use super::make::{THEN, consumer};
use crate::SecretUses;

fn uses(seen: &[(&str, u64)]) -> SecretUses {
    seen.iter().map(|(print, at)| ((*print).to_owned(), *at)).collect()
}

pub(crate) async fn the_latest_use_of_each_secret_is_kept_and_others_are_forgotten(stores: &Stores) {
    let made = stores.one.create_consumer(consumer("a"), THEN).await.unwrap().unwrap();
    let id = made.consumer.id;
    assert_eq!(stores.other.secret_uses(id).await.unwrap(), uses(&[]));

    stores
        .one
        .note_secret_uses(id, &uses(&[("aa", 10), ("bb", 20)]))
        .await
        .unwrap();
    stores
        .other
        .note_secret_uses(id, &uses(&[("aa", 30), ("bb", 15)]))
        .await
        .unwrap();
    assert_eq!(
        stores.one.secret_uses(id).await.unwrap(),
        uses(&[("aa", 30), ("bb", 20)])
    );

    stores
        .one
        .note_secret_uses(id, &uses(&[("bb", 40), ("cc", 0)]))
        .await
        .unwrap();
    assert_eq!(
        stores.other.secret_uses(id).await.unwrap(),
        uses(&[("bb", 40), ("cc", 0)])
    );
}

pub(crate) async fn a_use_changes_no_version_and_goes_with_its_consumer(stores: &Stores) {
    let made = stores.one.create_consumer(consumer("a"), THEN).await.unwrap().unwrap();
    let id = made.consumer.id;

    stores.one.note_secret_uses(id, &uses(&[("aa", 10)])).await.unwrap();
    let read = stores.other.consumer(id).await.unwrap().unwrap();
    stores.one.delete_consumer(id, Some(made.version)).await.unwrap();
    stores.one.note_secret_uses(id, &uses(&[("aa", 20)])).await.unwrap();

    assert_eq!(*read, made);
    assert_eq!(stores.other.secret_uses(id).await.unwrap(), uses(&[]));
}
