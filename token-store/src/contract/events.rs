//! Events: recorded with their change, logged, delivered, given up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;

use super::Stores;
use super::make::{
    ALICE, THEN, consumer, delegated, exchanged, integration, lone_consumer, renamed, user_token, with_token,
};
use crate::event::{Bounds, Cursor, Delivery, Event, Happening, OutboxCounts, Recording, Settled};
use crate::{ConsumerId, NewConsumer, Put, Store};

/// Records every happening as one event for these webhooks; ids count up.
fn record(stores: &Stores, webhooks: &[&str], bounds: Bounds) {
    let webhooks: Vec<String> = webhooks.iter().map(|name| (*name).to_owned()).collect();
    let number = AtomicU64::new(0);
    stores.one.record_events(Box::new(move |happening| {
        let (kind, of) = kind(happening);
        let event = Event {
            id: format!("evt_{:04}", number.fetch_add(1, Ordering::Relaxed)),
            kind: kind.to_owned(),
            at: THEN,
            data: json!({ "of": of, "text": "é\u{0}" }),
        };
        Recording {
            events: vec![(event, webhooks.clone())],
            bounds,
        }
    }));
}

fn kind(happening: &Happening<'_>) -> (&'static str, u64) {
    match happening {
        Happening::Consumer { before, after } => {
            let id = before.or(*after).map_or(0, |record| record.consumer.id.0);
            match (before, after) {
                (None, _) => ("made", id),
                (Some(_), Some(_)) => ("changed", id),
                (Some(_), None) => ("deleted", id),
            }
        }
        Happening::Delegated { before, after } => {
            let kind = if after.is_some() { "exchanged" } else { "withdrawn" };
            (kind, before.consumer_id.0)
        }
        Happening::UserToken(token) => ("signed in", token.user.id),
        Happening::UserTokensOf(_, count) => ("signed out", *count),
        Happening::Account { before, after } => ("account", before.or(*after).map_or(0, |account| account.id.0)),
    }
}

const ROOMY: Bounds = Bounds {
    log: 1000,
    outbox: 1000,
};

/// Enough for a look between any two of them.
const CHANGES: usize = 200;

async fn logged(store: &dyn Store) -> Vec<(String, u64)> {
    let events = store.events(Cursor::default(), 1000).await.unwrap();
    let told = |(_, event): (Cursor, Event)| (event.kind, event.data["of"].as_u64().unwrap());
    events.into_iter().map(told).collect()
}

async fn due(store: &dyn Store, webhook: &str, now: u64) -> Vec<Delivery> {
    store.due_deliveries(webhook, now, 100).await.unwrap()
}

fn ids(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|one| one.event.id.as_str()).collect()
}

/// So many events, by the cheapest change.
async fn happen(stores: &Stores, count: usize) {
    for number in 0..count {
        let token = user_token(&format!("token {number}"), ALICE, None);
        stores.one.put_user_token(&token).await.unwrap();
    }
}

async fn counts(stores: &Stores) -> OutboxCounts {
    stores.other.outbox_counts(&["hook".to_owned()]).await.unwrap()
}

pub(crate) async fn a_change_and_what_is_told_of_it_are_kept_together(stores: &Stores) {
    record(stores, &["hook"], ROOMY);
    let store = &stores.one;

    let made = store.create_consumer(consumer("a"), THEN).await.unwrap().unwrap();
    let id = made.consumer.id;
    store.update_consumer(&with_token(made, "token")).await.unwrap();
    store.put_delegated(&delegated(id, "delegated")).await.unwrap();
    let row = delegated(id, "delegated");
    store
        .replace_delegated("delegated", &exchanged(&row, "exchanged"))
        .await
        .unwrap();
    store.delete_delegated(id, "exchanged").await.unwrap();
    store.delete_consumer(id, None).await.unwrap();
    store
        .put_user_token(&user_token("bearer", ALICE, Some(THEN)))
        .await
        .unwrap();
    store
        .tell_user_token(&user_token("not kept", ALICE, None))
        .await
        .unwrap();
    let digest = user_token("ended", ALICE, None).digest;
    store.put_user_token(&user_token("ended", ALICE, None)).await.unwrap();
    store.delete_user_token(&digest).await.unwrap();
    store.revoke_user_tokens(ALICE, THEN).await.unwrap();

    let expected = [
        ("made", id.0),
        ("changed", id.0),
        ("exchanged", id.0),
        ("withdrawn", id.0),
        ("deleted", id.0),
        ("signed in", ALICE.id),
        ("signed in", ALICE.id),
        ("signed in", ALICE.id),
        ("signed out", 1),
        ("signed out", 1),
    ];
    let expected = expected.map(|(kind, of)| (kind.to_owned(), of));
    assert_eq!(logged(&*stores.other).await, expected);
    let waiting = due(&*stores.other, "hook", THEN).await;
    assert_eq!(
        waiting.iter().map(|one| one.event.kind.as_str()).collect::<Vec<_>>(),
        expected.each_ref().map(|(kind, _)| kind.as_str())
    );
    assert_eq!(waiting[0].event.data["text"], "é\u{0}");
}

pub(crate) async fn no_change_is_ever_seen_before_what_is_told_of_it(stores: &Stores) {
    record(stores, &[], ROOMY);

    let outcomes = stores
        .at_once(2, async |store, turn| {
            if turn == 0 {
                happen(stores, CHANGES).await;
                return Ok(());
            }
            tokio::time::timeout(Duration::from_mins(1), watch(&*store, CHANGES)).await
        })
        .await;

    assert_eq!(outcomes, [Ok(()), Ok(())]);
}

/// Until so many changes are seen.
async fn watch(store: &dyn Store, changes: usize) {
    let (mut kept, mut told, mut last) = (0, 0, Cursor::default());
    while kept < changes {
        kept = store.user_tokens_of(ALICE).await.unwrap().len();
        let events = store.events(last, changes).await.unwrap();
        told += events.len();
        last = events.last().map_or(last, |(cursor, _)| *cursor);
        assert!(told >= kept, "{kept} changes, {told} events");
    }
}

pub(crate) async fn what_was_refused_tells_nothing(stores: &Stores) {
    let store = &stores.one;
    let made = store.create_consumer(consumer("a"), THEN).await.unwrap().unwrap();
    let other = store.create_consumer(consumer("b"), THEN).await.unwrap().unwrap();
    record(stores, &["hook"], ROOMY);

    let mut stale = made.clone();
    stale.version += 1;
    assert_eq!(store.update_consumer(&stale).await.unwrap(), Put::Changed);
    assert_eq!(
        store.update_consumer(&renamed(other, "a")).await.unwrap(),
        Put::NameTaken
    );
    let same_name = NewConsumer {
        integration: Some(integration("a")),
        ..lone_consumer("another key")
    };
    assert!(store.create_consumer(same_name, THEN).await.unwrap().is_none());
    assert_eq!(
        store.delete_consumer(ConsumerId(999), None).await.unwrap(),
        Put::Changed
    );
    assert!(!store.delete_delegated(made.consumer.id, "none").await.unwrap());

    assert!(logged(&*stores.other).await.is_empty());
    assert!(due(&*stores.other, "hook", THEN).await.is_empty());
}

pub(crate) async fn the_log_is_read_from_any_place_and_keeps_the_latest(stores: &Stores) {
    // A stream is cut by whole blocks of a hundred entries.
    record(stores, &[], Bounds { log: 100, outbox: 1 });
    assert_eq!(stores.one.last_event().await.unwrap(), Cursor::default());
    happen(stores, 450).await;

    let all = stores.other.events(Cursor::default(), 1000).await.unwrap();
    let (middle, _) = &all[10];
    let behind = stores.other.events(*middle, 5).await.unwrap();
    let last = stores.other.last_event().await.unwrap();

    assert!((100..300).contains(&all.len()), "{}", all.len());
    assert_eq!(behind, all[11..16]);
    assert_eq!(all.last().map(|(_, event)| event.id.as_str()), Some("evt_0449"));
    assert_eq!(Some(last), all.last().map(|(cursor, _)| *cursor));
    assert!(stores.other.events(last, 5).await.unwrap().is_empty());
    assert_eq!(last.to_string().parse(), Ok(last));
}

pub(crate) async fn a_delivery_waits_until_it_is_due_and_ends_when_it_is_settled(stores: &Stores) {
    record(stores, &["hook"], ROOMY);
    happen(stores, 2).await;
    let store = &*stores.other;
    assert!(due(store, "hook", THEN - 1).await.is_empty());
    let mut waiting = due(store, "hook", THEN).await;
    assert_eq!(ids(&waiting), ["evt_0000", "evt_0001"]);

    let mut first = waiting.remove(0);
    (first.tries, first.due_at, first.error) = (1, THEN + 60, Some("500".to_owned()));
    assert!(store.settle_delivery(&first, Settled::Again).await.unwrap());

    assert_eq!(ids(&due(store, "hook", THEN + 59).await), ["evt_0001"]);
    assert_eq!(ids(&due(store, "hook", THEN + 60).await), ["evt_0001", "evt_0000"]);
    assert_eq!(due(store, "hook", THEN + 60).await.last(), Some(&first));
    assert!(store.settle_delivery(&first, Settled::Delivered).await.unwrap());
    assert!(!store.settle_delivery(&first, Settled::Delivered).await.unwrap());
    assert!(!store.settle_delivery(&first, Settled::Again).await.unwrap());
    assert_eq!(ids(&due(store, "hook", u64::from(u32::MAX)).await), ["evt_0001"]);
    assert_eq!(counts(stores).await.waiting, 1);
}

pub(crate) async fn webhooks_have_outboxes_of_their_own(stores: &Stores) {
    record(stores, &["hook", "hook2"], ROOMY);
    happen(stores, 1).await;
    let store = &*stores.one;

    let first = due(store, "hook", THEN).await.remove(0);
    store.settle_delivery(&first, Settled::Delivered).await.unwrap();

    assert!(due(store, "hook", THEN).await.is_empty());
    assert_eq!(due(store, "hook2", THEN).await.len(), 1);
    assert!(due(store, "hoo", THEN).await.is_empty());
}

pub(crate) async fn a_full_outbox_drops_its_oldest_and_counts_it(stores: &Stores) {
    record(stores, &["hook"], Bounds { log: 100, outbox: 3 });
    happen(stores, 3).await;
    let mut oldest = due(&*stores.one, "hook", THEN).await.remove(0);
    oldest.due_at = THEN + 1000;
    stores.one.settle_delivery(&oldest, Settled::Again).await.unwrap();

    happen(stores, 2).await;

    let waiting = due(&*stores.other, "hook", THEN + 2000).await;
    assert_eq!(ids(&waiting), ["evt_0002", "evt_0003", "evt_0004"]);
    let expected = OutboxCounts {
        waiting: 3,
        dead: 0,
        dropped: 2,
    };
    assert_eq!(counts(stores).await, expected);
}

pub(crate) async fn a_dead_letter_is_listed_and_goes_back_by_its_name(stores: &Stores) {
    record(stores, &["hook"], ROOMY);
    happen(stores, 3).await;
    let store = &*stores.one;
    for mut delivery in due(store, "hook", THEN).await {
        (delivery.tries, delivery.error) = (10, Some("no answer".to_owned()));
        assert!(
            store
                .settle_delivery(&delivery, Settled::Dead { most: 10 })
                .await
                .unwrap()
        );
    }
    assert!(due(store, "hook", THEN + 99).await.is_empty());
    let dead = stores.other.dead_deliveries("", 10).await.unwrap();
    assert_eq!(ids(&dead), ["evt_0000", "evt_0001", "evt_0002"]);
    assert_eq!(dead[0].error.as_deref(), Some("no answer"));
    let page = store.dead_deliveries(&dead[0].name(), 1).await.unwrap();
    assert_eq!(ids(&page), ["evt_0001"]);

    let back = store
        .replay_delivery(&dead[1].name(), THEN + 5, 10)
        .await
        .unwrap()
        .unwrap();

    assert_eq!((back.tries, back.due_at), (0, THEN + 5));
    assert_eq!(due(&*stores.other, "hook", THEN + 5).await, [back]);
    assert_eq!(
        ids(&store.dead_deliveries("", 10).await.unwrap()),
        ["evt_0000", "evt_0002"]
    );
    assert_eq!(store.replay_delivery(&dead[1].name(), THEN, 10).await.unwrap(), None);
    let expected = OutboxCounts {
        waiting: 1,
        dead: 2,
        dropped: 0,
    };
    assert_eq!(counts(stores).await, expected);
}

pub(crate) async fn of_too_many_dead_letters_the_oldest_go(stores: &Stores) {
    record(stores, &["hook"], ROOMY);
    happen(stores, 5).await;
    for delivery in due(&*stores.one, "hook", THEN).await {
        stores
            .one
            .settle_delivery(&delivery, Settled::Dead { most: 2 })
            .await
            .unwrap();
    }

    let dead = stores.other.dead_deliveries("", 10).await.unwrap();

    assert_eq!(ids(&dead), ["evt_0003", "evt_0004"]);
    let expected = OutboxCounts {
        waiting: 0,
        dead: 2,
        dropped: 3,
    };
    assert_eq!(counts(stores).await, expected);
}

pub(crate) async fn of_settlements_at_once_one_ends_the_delivery(stores: &Stores) {
    record(stores, &["hook"], ROOMY);
    happen(stores, 1).await;
    let delivery = due(&*stores.one, "hook", THEN).await.remove(0);

    let ended = stores
        .at_once(8, async |store, _| {
            store.settle_delivery(&delivery, Settled::Delivered).await.unwrap()
        })
        .await;

    assert_eq!(ended.into_iter().filter(|ended| *ended).count(), 1);
    assert_eq!(counts(stores).await.waiting, 0);
}
