//! Rows that nobody can read: they hide no other, and stop nothing.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{gateway, wait_until_it_serves};
use crate::contract::make::{ADMIN, ALICE, THEN, account, consumer, delegated, user_token};
use crate::event::{Bounds, Event, Recording, Settled};
use crate::servers::{Options, Reply, Server};
use crate::{Store, UserKind};

async fn damage(server: &Server, key: &str, field: &str) {
    server.command(&["HSET", key, field, "junk"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_token_that_nobody_can_read_stops_no_sweep() {
    let server = Server::start(Options::default()).await;
    let store = gateway(&server.url()).await;
    let [first, second, later] = [("first", 1), ("second", 2), ("later", 100)]
        .map(|(token, after)| user_token(token, ALICE, Some(THEN + after)));
    for token in [&first, &second, &later] {
        store.put_user_token(token).await.unwrap();
    }
    damage(&server, "{countersign}:user-tokens", &first.digest).await;

    let swept = store.sweep_user_tokens(ALICE.kind, THEN + 10, 10).await.unwrap();
    let again = store.sweep_user_tokens(ALICE.kind, THEN + 10, 10).await.unwrap();

    assert_eq!((swept, again), (2, 0));
    assert!(store.user_token(&first.digest).await.unwrap().is_none());
    assert_eq!(store.user_tokens_of(ALICE).await.unwrap(), [later]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bearer_token_that_nobody_can_read_is_left_out_of_lists_and_can_be_revoked() {
    let server = Server::start(Options::default()).await;
    let store = gateway(&server.url()).await;
    let [bad, good] = ["bad", "good"].map(|token| user_token(token, ADMIN, Some(THEN + 1)));
    for token in [&bad, &good] {
        store.put_user_token(token).await.unwrap();
    }
    damage(&server, "{countersign}:user-tokens", &bad.digest).await;

    let (listed, _) = store.list_user_tokens(None, 10).await.unwrap();
    let of_user = store.user_tokens_of(ADMIN).await.unwrap();
    let revoked = store.delete_user_token(&bad.digest).await.unwrap();
    let again = store.delete_user_token(&bad.digest).await.unwrap();

    assert_eq!((listed, of_user), (vec![good.clone()], vec![good]));
    assert_eq!((revoked, again), (true, false));
    assert!(store.user_token(&bad.digest).await.unwrap().is_none());
    assert_eq!(store.sweep_user_tokens(ADMIN.kind, THEN + 1, 10).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delegated_token_that_nobody_can_read_is_left_out_of_lists() {
    let server = Server::start(Options::default()).await;
    let store = gateway(&server.url()).await;
    let made = store.create_consumer(consumer("First"), THEN).await.unwrap().unwrap();
    let id = made.consumer.id;
    let [bad, good] = ["bad", "good"].map(|token| delegated(id, token));
    for row in [&bad, &good] {
        store.put_delegated(row).await.unwrap();
    }
    let digest = crate::codec::token_digest(&bad.token);
    damage(&server, &format!("{{countersign}}:delegated:{}", id.0), &digest).await;

    assert_eq!(store.delegated_of(id).await.unwrap(), [good]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_nobody_can_read_hides_no_other() {
    let server = Server::start(Options::default()).await;
    let store = gateway(&server.url()).await;
    let bad = store.create_account(account(UserKind::Admin, "bad"), THEN).await;
    let good = store.create_account(account(UserKind::Admin, "good"), THEN).await;
    let (bad, good) = (bad.unwrap().unwrap(), good.unwrap().unwrap());

    for field in [&bad.id.0.to_string(), "no number"] {
        damage(&server, "{countersign}:accounts:admin", field).await;

        let listed = store.accounts(UserKind::Admin).await.unwrap();
        assert_eq!(listed, std::slice::from_ref(&good), "{field}");
    }
}

/// Each change is one event for one webhook; ids count up.
async fn delivering(server: &Server, count: usize) -> std::sync::Arc<dyn Store> {
    let store = gateway(&server.url()).await;
    wait_until_it_serves(&*store).await;
    let number = AtomicU64::new(0);
    store.record_events(Box::new(move |_| {
        let event = Event {
            id: format!("evt_{}", number.fetch_add(1, Ordering::Relaxed)),
            kind: "happened".to_owned(),
            at: THEN,
            data: serde_json::Value::Null,
        };
        let bounds = Bounds { log: 100, outbox: 100 };
        Recording {
            events: vec![(event, vec!["hook".to_owned()])],
            bounds,
        }
    }));
    for turn in 0..count {
        let token = user_token(&turn.to_string(), ALICE, None);
        store.put_user_token(&token).await.unwrap();
    }
    store
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_nobody_can_read_keeps_no_other_waiting() {
    let server = Server::start(Options::default()).await;
    let store = delivering(&server, 6).await;
    for id in ["evt_0", "evt_1", "evt_2", "evt_4"] {
        damage(&server, "{countersign}:outbox:hook", id).await;
    }

    for (limit, wanted) in [(1, &["evt_3"][..]), (2, &["evt_3", "evt_5"]), (10, &["evt_3", "evt_5"])] {
        let due = store.due_deliveries("hook", THEN + 1, limit).await.unwrap();
        let ids: Vec<&str> = due.iter().map(|one| one.event.id.as_str()).collect();
        assert_eq!(ids, wanted, "up to {limit}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_that_nobody_can_read_hides_no_other() {
    let server = Server::start(Options::default()).await;
    let store = delivering(&server, 6).await;
    for delivery in store.due_deliveries("hook", THEN + 1, 10).await.unwrap() {
        let settled = Settled::Dead { most: 100 };
        assert!(store.settle_delivery(&delivery, settled).await.unwrap());
    }
    let names = server.command(&["ZRANGE", "{countersign}:dead-order", "0", "-1"]).await;
    let names: Vec<&str> = names.list().iter().filter_map(Reply::text).collect();
    for place in [0, 1, 2, 4] {
        damage(&server, "{countersign}:dead", names[place]).await;
    }

    for (after, limit, wanted) in [
        ("", 1, &["evt_3"][..]),
        ("", 10, &["evt_3", "evt_5"]),
        (names[3], 10, &["evt_5"]),
    ] {
        let dead = store.dead_deliveries(after, limit).await.unwrap();
        let ids: Vec<&str> = dead.iter().map(|one| one.event.id.as_str()).collect();
        assert_eq!(ids, wanted, "up to {limit} after {after:?}");
    }
}
