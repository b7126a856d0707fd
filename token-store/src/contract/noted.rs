//! Changes and their entries in the audit log.

use std::sync::Arc;

use super::Stores;
use super::make::{ALICE, THEN, account, consumer, entry, user_token, with_token};
use super::state::is_chain;
use crate::audit::{Note, noted};
use crate::codec::token_digest;
use crate::event::Happening;
use crate::{Put, UserKind};

/// What is noted of a happening: what kind it is, and of which number.
fn subject(happening: &Happening<'_>) -> String {
    let kind = |before: bool, after: bool| match (before, after) {
        (false, _) => "made",
        (true, true) => "changed",
        (true, false) => "deleted",
    };
    match happening {
        Happening::Consumer { before, after } => {
            let id = after.or(*before).map_or(0, |record| record.consumer.id.0);
            format!("consumer {id} {}", kind(before.is_some(), after.is_some()))
        }
        Happening::Account { before, after } => {
            let id = after.or(*before).map_or(0, |account| account.id.0);
            format!("account {id} {}", kind(before.is_some(), after.is_some()))
        }
        Happening::Delegated { before, .. } => format!("delegated of {}", before.consumer_id.0),
        Happening::UserToken(token) => format!("token of {}", token.user.id),
        Happening::UserTokensOf(user, count) => format!("{count} tokens of {}", user.id),
    }
}

/// Notes whatever happens first.
fn anything() -> Note {
    Arc::new(|happening| Some(entry(&subject(happening))))
}

async fn subjects(stores: &Stores) -> Vec<String> {
    let entries = stores.other.audit(0, 100).await.unwrap();
    assert!(is_chain(&entries));
    entries.into_iter().map(|one| one.entry.subject).collect()
}

pub(crate) async fn a_change_and_its_entry_are_kept_together(stores: &Stores) {
    stores.one.append_audit(entry("first")).await.unwrap();

    let (made, is_noted) = noted(anything(), stores.one.create_consumer(consumer("a"), THEN)).await;

    let id = made.unwrap().unwrap().consumer.id;
    assert!(is_noted);
    assert_eq!(
        subjects(stores).await,
        ["first".to_owned(), format!("consumer {} made", id.0)]
    );
    assert!(stores.other.consumer(id).await.unwrap().is_some());
    let next = stores.one.append_audit(entry("next")).await.unwrap();
    assert_eq!(next.number, 3);
}

pub(crate) async fn every_kind_of_change_can_be_noted(stores: &Stores) {
    let store = &stores.one;
    let made = store.create_consumer(consumer("a"), THEN).await.unwrap().unwrap();
    let id = made.consumer.id;
    store.put_user_token(&user_token("one", ALICE, None)).await.unwrap();
    store.put_user_token(&user_token("two", ALICE, None)).await.unwrap();

    let changed = noted(anything(), store.update_consumer(&with_token(made, "token"))).await;
    assert_eq!((changed.0.unwrap(), changed.1), (Put::Done(2), true));
    let deleted = noted(anything(), store.delete_consumer(id, None)).await;
    assert_eq!((deleted.0.unwrap(), deleted.1), (Put::Done(3), true));
    let one = noted(anything(), store.delete_user_token(&token_digest("one"))).await;
    assert_eq!((one.0.unwrap(), one.1), (true, true));
    let all = noted(anything(), store.revoke_user_tokens(ALICE, THEN)).await;
    assert_eq!((all.0.unwrap(), all.1), (1, true));
    let (made, is_noted) = noted(anything(), store.create_account(account(UserKind::Admin, "root"), THEN)).await;
    let mut root = made.unwrap().unwrap();
    assert!(is_noted);
    root.definition.email = "root@example.org".to_owned();
    let changed = noted(anything(), store.update_account(&root)).await;
    assert_eq!((changed.0.unwrap(), changed.1), (Put::Done(2), true));
    let deleted = noted(anything(), store.delete_account(UserKind::Admin, root.id, None)).await;
    assert_eq!((deleted.0.unwrap(), deleted.1), (Put::Done(3), true));

    let (consumer, account) = (id.0, root.id.0);
    let expected = [
        format!("consumer {consumer} changed"),
        format!("consumer {consumer} deleted"),
        "1 tokens of 7".to_owned(),
        "1 tokens of 7".to_owned(),
        format!("account {account} made"),
        format!("account {account} changed"),
        format!("account {account} deleted"),
    ];
    assert_eq!(subjects(stores).await, expected);
}

pub(crate) async fn what_was_refused_is_not_noted(stores: &Stores) {
    let store = &stores.one;
    let made = store.create_consumer(consumer("a"), THEN).await.unwrap().unwrap();
    let account = store
        .create_account(account(UserKind::Admin, "root"), THEN)
        .await
        .unwrap()
        .unwrap();
    let mut stale = made.clone();
    stale.version = 7;
    let mut stale_account = account.clone();
    stale_account.version = 7;

    let mut again = consumer("a");
    again.key = "another key".to_owned();
    let (taken, first) = noted(anything(), store.create_consumer(again, THEN)).await;
    let (changed, second) = noted(anything(), store.update_consumer(&stale)).await;
    let (kept, third) = noted(anything(), store.delete_consumer(made.consumer.id, Some(7))).await;
    let (named, fourth) = noted(anything(), store.create_account(account.definition.clone(), THEN)).await;
    let (unchanged, fifth) = noted(anything(), store.update_account(&stale_account)).await;

    assert_eq!(taken.unwrap(), None);
    assert_eq!((changed.unwrap(), kept.unwrap()), (Put::Changed, Put::Changed));
    assert_eq!((named.unwrap(), unchanged.unwrap()), (None, Put::Changed));
    assert_eq!([first, second, third, fourth, fifth], [false; 5]);
    assert_eq!(subjects(stores).await, Vec::<String>::new());
}

pub(crate) async fn of_several_changes_the_first_that_is_meant_is_noted(stores: &Stores) {
    let store = &stores.one;
    let only_updates: Note = Arc::new(|happening| {
        let is_update = matches!(happening, Happening::Consumer { before: Some(_), .. });
        is_update.then(|| entry(&subject(happening)))
    });

    let (id, is_noted) = noted(only_updates, async {
        let mut record = store.create_consumer(consumer("a"), THEN).await.unwrap().unwrap();
        for _ in 0..3 {
            let Put::Done(version) = store.update_consumer(&record).await.unwrap() else {
                panic!("nobody else changes it")
            };
            record.version = version;
        }
        record.consumer.id.0
    })
    .await;
    store.create_consumer(consumer("b"), THEN).await.unwrap();

    assert!(is_noted);
    assert_eq!(subjects(stores).await, [format!("consumer {id} changed")]);
}

pub(crate) async fn changes_noted_at_once_have_no_gap_and_are_all_made(stores: &Stores) {
    let made = stores
        .at_once(8, async |store, turn| {
            let mut numbers = Vec::new();
            for round in 0..4 {
                let new = consumer(&format!("{turn}/{round}"));
                let (made, is_noted) = noted(anything(), store.create_consumer(new, THEN)).await;
                assert!(is_noted);
                numbers.push(made.unwrap().unwrap().consumer.id.0);
            }
            numbers
        })
        .await;

    let mut expected: Vec<String> = made.iter().flatten().map(|id| format!("consumer {id} made")).collect();
    let mut found = subjects(stores).await;
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

pub(crate) async fn a_change_is_never_seen_without_its_entry(stores: &Stores) {
    let store = Arc::clone(&stores.one);
    let changing = tokio::spawn(async move {
        for round in 0..50 {
            let (made, _) = noted(anything(), store.create_consumer(consumer(&round.to_string()), THEN)).await;
            made.unwrap().unwrap();
        }
    });

    while !changing.is_finished() {
        let seen = stores.other.integrations().await.unwrap().len();
        let length = stores.other.audit_length().await.unwrap();
        assert!(
            usize::try_from(length).unwrap() >= seen,
            "{seen} made, {length} entries"
        );
    }
    changing.await.unwrap();
    assert_eq!(subjects(stores).await.len(), 50);
}
