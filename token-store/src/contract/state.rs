//! Failed sign-ins, the audit log, leases.

use std::time::Duration;

use super::Stores;
use super::make::{THEN, entry};
use crate::audit::follows;
use crate::{AuditEntry, LockoutKind, NewAuditEntry, SignInFailures};

const KINDS: [LockoutKind; 2] = [LockoutKind::Admin, LockoutKind::Customer];

pub(crate) async fn failures_count_up_and_each_moves_the_expiry(stores: &Stores) {
    let store = &stores.one;
    for kind in KINDS {
        assert_eq!(store.sign_in_failures(kind, "jane", THEN).await.unwrap(), None);

        for turn in 0..8 {
            let now = THEN + u64::from(turn) * 100;
            let counted = store.record_sign_in_failure(kind, "jane", now, 1800).await.unwrap();

            let expected = SignInFailures {
                count: turn + 1,
                lock_expires_at: now + 1800,
            };
            assert_eq!(counted, expected);
            assert_eq!(
                stores.other.sign_in_failures(kind, "jane", now).await.unwrap(),
                Some(expected)
            );
        }
    }
}

pub(crate) async fn failures_are_forgotten_from_the_second_of_their_expiry(stores: &Stores) {
    let (store, kind) = (&stores.one, LockoutKind::Customer);
    for _ in 0..3 {
        store.record_sign_in_failure(kind, "jane", THEN, 60).await.unwrap();
    }

    let last_second = store.sign_in_failures(kind, "jane", THEN + 59).await.unwrap();
    let expired = store.sign_in_failures(kind, "jane", THEN + 60).await.unwrap();
    let anew = store.record_sign_in_failure(kind, "jane", THEN + 60, 60).await.unwrap();

    assert_eq!(last_second.map(|failures| failures.count), Some(3));
    assert_eq!(expired, None);
    assert_eq!(
        anew,
        SignInFailures {
            count: 1,
            lock_expires_at: THEN + 120
        }
    );
}

pub(crate) async fn a_failure_before_the_expiry_counts_on(stores: &Stores) {
    let (store, kind) = (&stores.one, LockoutKind::Admin);
    store.record_sign_in_failure(kind, "jane", THEN, 60).await.unwrap();

    let counted = store.record_sign_in_failure(kind, "jane", THEN + 59, 60).await.unwrap();

    assert_eq!(
        counted,
        SignInFailures {
            count: 2,
            lock_expires_at: THEN + 119
        }
    );
}

pub(crate) async fn failures_belong_to_a_kind_and_a_name_as_typed(stores: &Stores) {
    let long = "x".repeat(5000);
    let names = [
        "jane",
        "Jane",
        "jane ",
        "",
        ":",
        "admin:jane",
        "customer:jane",
        "a:b:c",
        "\u{0}",
        "é",
        "e\u{301}",
        "*",
        &long,
    ];
    for name in names {
        stores
            .one
            .record_sign_in_failure(LockoutKind::Admin, name, THEN, 60)
            .await
            .unwrap();
    }

    for name in names {
        let admin = stores
            .one
            .sign_in_failures(LockoutKind::Admin, name, THEN)
            .await
            .unwrap();
        let customer = stores
            .one
            .sign_in_failures(LockoutKind::Customer, name, THEN)
            .await
            .unwrap();
        assert_eq!(admin.map(|failures| failures.count), Some(1), "{name:?}");
        assert_eq!(customer, None, "{name:?}");
    }
}

pub(crate) async fn failures_at_once_are_all_counted(stores: &Stores) {
    let counted = stores
        .at_once(32, async |store, _| {
            store
                .record_sign_in_failure(LockoutKind::Customer, "jane", THEN, 60)
                .await
                .unwrap()
                .count
        })
        .await;

    let mut sorted = counted.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (1..=32).collect::<Vec<u32>>(), "{counted:?}");
}

pub(crate) async fn a_success_forgets_the_failures_of_that_name_only(stores: &Stores) {
    for name in ["jane", "joe"] {
        for kind in KINDS {
            stores.one.record_sign_in_failure(kind, name, THEN, 60).await.unwrap();
        }
    }

    stores
        .one
        .clear_sign_in_failures(LockoutKind::Admin, "jane")
        .await
        .unwrap();
    stores
        .one
        .clear_sign_in_failures(LockoutKind::Admin, "nobody")
        .await
        .unwrap();

    let count = async |kind, name| {
        stores
            .other
            .sign_in_failures(kind, name, THEN)
            .await
            .unwrap()
            .map(|one| one.count)
    };
    assert_eq!(count(LockoutKind::Admin, "jane").await, None);
    assert_eq!(count(LockoutKind::Customer, "jane").await, Some(1));
    assert_eq!(count(LockoutKind::Admin, "joe").await, Some(1));
    let anew = stores
        .one
        .record_sign_in_failure(LockoutKind::Admin, "jane", THEN, 60)
        .await
        .unwrap();
    assert_eq!(anew.count, 1);
}

pub(crate) async fn a_sweep_takes_expired_failures_up_to_its_limit(stores: &Stores) {
    let store = &stores.one;
    for turn in 0..10 {
        // Each moved once: an older expiry must not count any more.
        store
            .record_sign_in_failure(LockoutKind::Customer, &turn.to_string(), THEN, 10)
            .await
            .unwrap();
        store
            .record_sign_in_failure(LockoutKind::Customer, &turn.to_string(), THEN, 60 + turn)
            .await
            .unwrap();
    }

    let early = store.sweep_sign_in_failures(THEN + 59, 100).await.unwrap();
    let first = store.sweep_sign_in_failures(THEN + 64, 3).await.unwrap();
    let second = store.sweep_sign_in_failures(THEN + 64, 3).await.unwrap();
    let third = store.sweep_sign_in_failures(THEN + 64, 3).await.unwrap();

    assert_eq!((early, first, second, third), (0, 3, 2, 0));
    for turn in 0..10_u64 {
        let left = store
            .sign_in_failures(LockoutKind::Customer, &turn.to_string(), THEN)
            .await
            .unwrap();
        assert_eq!(left.is_some(), turn > 4, "{turn}");
    }
}

/// Whether these are the entries from the first on, each bound to the one before.
pub(super) fn is_chain(entries: &[AuditEntry]) -> bool {
    let mut before = None;
    entries.iter().zip(1..).all(|(entry, number)| {
        let follows = entry.number == number && follows(before, entry);
        before = Some(entry.hash.as_str());
        follows
    })
}

pub(crate) async fn entries_are_numbered_from_one_and_chained(stores: &Stores) {
    assert_eq!(stores.one.audit(0, 10).await.unwrap(), []);
    let mut appended = Vec::new();
    for turn in 0..5 {
        let store = if turn % 2 == 0 { &stores.one } else { &stores.other };
        appended.push(store.append_audit(entry(&turn.to_string())).await.unwrap());
    }

    let read = stores.other.audit(0, 10).await.unwrap();

    assert_eq!(read, appended);
    assert!(is_chain(&read));
    assert_eq!(read[3].entry, entry("3"));
}

pub(crate) async fn entries_appended_at_once_have_no_gap_and_no_double(stores: &Stores) {
    let appended = stores
        .at_once(8, async |store, turn| {
            let mut numbers = Vec::new();
            for round in 0..5 {
                numbers.push(
                    store
                        .append_audit(entry(&format!("{turn}/{round}")))
                        .await
                        .unwrap()
                        .number,
                );
            }
            numbers
        })
        .await;

    assert!(appended.iter().all(|numbers| numbers.is_sorted()));
    let read = stores.one.audit(0, 100).await.unwrap();
    assert_eq!(read.len(), 40);
    assert!(is_chain(&read));
    for (turn, numbers) in appended.iter().enumerate() {
        for (round, number) in numbers.iter().enumerate() {
            let at = usize::try_from(*number).unwrap() - 1;
            assert_eq!(read[at].entry.subject, format!("{turn}/{round}"));
        }
    }
}

pub(crate) async fn entries_are_read_in_pages(stores: &Stores) {
    assert_eq!(stores.one.audit_length().await.unwrap(), 0);
    for turn in 0..7 {
        stores.one.append_audit(entry(&turn.to_string())).await.unwrap();
    }
    assert_eq!(stores.other.audit_length().await.unwrap(), 7);

    let numbers = async |after, limit| -> Vec<u64> {
        let read = stores.one.audit(after, limit).await.unwrap();
        read.into_iter().map(|entry| entry.number).collect()
    };
    assert_eq!(numbers(0, 3).await, [1, 2, 3]);
    assert_eq!(numbers(3, 3).await, [4, 5, 6]);
    assert_eq!(numbers(6, 3).await, [7]);
    assert!(numbers(0, 0).await.is_empty());
    assert_eq!(numbers(0, usize::MAX).await.len(), 7);
    for beyond in [7, 8, u64::MAX] {
        assert!(numbers(beyond, 3).await.is_empty());
    }
}

pub(crate) async fn an_entry_that_was_changed_breaks_the_chain(stores: &Stores) {
    for turn in 0..3 {
        stores.one.append_audit(entry(&turn.to_string())).await.unwrap();
    }
    let read = stores.one.audit(0, 10).await.unwrap();

    let changes: [fn(&mut NewAuditEntry); 3] = [
        |entry| entry.actor.push('x'),
        |entry| entry.at += 1,
        |entry| entry.after = serde_json::Value::Null,
    ];
    for change in changes {
        let mut changed = read.clone();
        change(&mut changed[1].entry);
        assert!(!is_chain(&changed));
    }
    let without = [&read[..1], &read[2..]].concat();
    assert!(!is_chain(&without));
}

pub(crate) async fn a_lease_has_one_holder(stores: &Stores) {
    let first = stores.one.lease("sweep", "a", 60).await.unwrap();
    let second = stores.other.lease("sweep", "b", 60).await.unwrap();
    let renewed = stores.other.lease("sweep", "a", 60).await.unwrap();
    let another = stores.one.lease("other sweep", "b", 60).await.unwrap();

    assert_eq!((first, second, renewed, another), (true, false, true, true));
}

pub(crate) async fn of_many_who_want_a_lease_one_holds_it(stores: &Stores) {
    let held = stores
        .at_once(16, async |store, turn| {
            store.lease("sweep", &turn.to_string(), 60).await.unwrap()
        })
        .await;

    assert_eq!(held.into_iter().filter(|held| *held).count(), 1);
}

pub(crate) async fn a_lease_ends_by_itself_and_a_renewal_prolongs_it(stores: &Stores) {
    assert!(stores.one.lease("short", "a", 1).await.unwrap());
    assert!(stores.one.lease("renewed", "a", 1).await.unwrap());
    assert!(stores.one.lease("renewed", "a", 3600).await.unwrap());

    let mut ended = false;
    for _ in 0..200 {
        ended = stores.other.lease("short", "b", 60).await.unwrap();
        if ended {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    assert!(ended, "ten seconds are more than one");
    assert!(!stores.other.lease("renewed", "b", 60).await.unwrap());
}

pub(crate) async fn a_store_that_stands_passes_its_check(stores: &Stores) {
    stores.one.check().await.unwrap();
    stores.other.check().await.unwrap();
}
