//! Redis hangs, goes, refuses or holds nonsense: every call fails in time, and service is back without a restart.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{claim, gateway, is_unavailable, now, options, serves, wait_until_it_is, wait_until_it_serves};
use crate::contract::make::{ADMIN, THEN, access, consumer, user_token};
use crate::servers::{Options, Server, wait_until};
use crate::{Claim, ConsumerRecord, IntegrationQuery, LockoutKind, Put, Store, StoreError};

fn kept() -> Options {
    Options {
        append_only: true,
        ..Options::default()
    }
}

/// How long something took.
async fn timed<T>(act: impl Future<Output = T>) -> (T, Duration) {
    #[expect(clippy::disallowed_methods, reason = "the bound is the promise")]
    let started = Instant::now();
    let result = act.await;
    (result, started.elapsed())
}

/// A call of each kind, none of which may succeed.
async fn every_call_fails(store: &Arc<dyn Store>) {
    let ((), took) = timed(async {
        assert!(store.consumer_by_key("unread").await.is_err());
        assert!(store.create_consumer(consumer("Refused"), THEN).await.is_err());
        assert!(store.user_token("unread").await.is_err());
        assert!(store.claim_nonce(claim(1, now(), b"refused")).await.is_err());
        assert!(
            store
                .record_sign_in_failure(LockoutKind::Admin, "jane", THEN, 60)
                .await
                .is_err()
        );
        assert!(store.lease("sweep", "a", 60).await.is_err());
        assert!(store.check().await.is_err());
    })
    .await;
    // Two seconds each at the most (reliability.md 3).
    assert!(took < Duration::from_secs(14), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_server_fails_every_call_in_time_and_mixes_up_no_answers_later() {
    let server = Server::start(Options::default()).await;
    let store = gateway(&server.url()).await;
    wait_until_it_serves(&*store).await;
    let mut made = Vec::new();
    for turn in 0..20 {
        made.push(
            store
                .create_consumer(consumer(&turn.to_string()), THEN)
                .await
                .unwrap()
                .unwrap(),
        );
    }

    for _ in 0..3 {
        server.pause();
        let waiting: Vec<_> = (0..40)
            .map(|turn| {
                let (store, id) = (Arc::clone(&store), made[turn % 20].consumer.id);
                tokio::spawn(async move { timed(store.consumer(id)).await })
            })
            .collect();
        for call in waiting {
            let (answer, took) = call.await.unwrap();
            assert!(answer.is_err(), "nobody can have answered");
            assert!(took < Duration::from_secs(4), "{took:?}");
        }
        every_call_fails(&store).await;
        server.resume();
        wait_until_it_serves(&*store).await;

        // Late answers to the calls that were given up must meet nobody.
        for record in &made {
            wait_until("records are read again", async || {
                match store.consumer(record.consumer.id).await {
                    Err(_) => false,
                    Ok(found) => {
                        assert_eq!(found.as_deref(), Some(record));
                        true
                    }
                }
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_whose_answer_never_came_is_never_fresh_later() {
    let server = Server::start(Options::default()).await;
    let store = gateway(&server.url()).await;
    wait_until_it_serves(&*store).await;
    let (timestamp, nonce) = (now() + 5, b"n");

    server.pause();
    let unanswered = store.claim_nonce(claim(1, timestamp, nonce)).await;
    server.resume();
    wait_until_it_serves(&*store).await;
    let retried = store.claim_nonce(claim(1, timestamp, nonce)).await;

    assert!(unanswered.is_err());
    // The server takes it once it goes on: the nonce is spent, and nobody was served.
    assert!(matches!(retried, Ok(Claim::Used | Claim::Unsure)), "{retried:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_gone_fails_calls_at_once_and_is_found_again_by_itself() {
    let mut server = Server::start(kept()).await;
    let store = gateway(&server.url()).await;
    wait_until_it_serves(&*store).await;
    let made = store
        .create_consumer(consumer("Shop sync"), THEN)
        .await
        .unwrap()
        .unwrap();

    server.kill();
    wait_until_it_is(&*store, is_unavailable).await;
    every_call_fails(&store).await;
    let mut took = Vec::new();
    for turn in 0..100_u32 {
        let (answer, time) = timed(store.consumer_by_key("unread")).await;
        assert!(answer.is_err());
        let (answer, on_nonce) = timed(store.claim_nonce(claim(1, now(), &turn.to_be_bytes()))).await;
        assert!(answer.is_err());
        took.push(time.max(on_nonce));
    }
    server.start_again().await;
    let ((), back) = timed(wait_until_it_serves(&*store)).await;

    took.sort_unstable();
    assert!(took[50] < Duration::from_millis(10), "the breaker is open: {took:?}");
    assert!(back < Duration::from_secs(10), "{back:?}");
    wait_until(
        "records are read again",
        async || matches!(store.consumer_by_key(&made.consumer.key).await, Ok(Some(found)) if *found == made),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_writes_outlive_every_kill() {
    let mut server = Server::start(kept()).await;
    let store = gateway(&server.url()).await;
    wait_until_it_serves(&*store).await;
    let mut acknowledged = Vec::new();

    for round in 0..5 {
        let writing = {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut made = Vec::new();
                for turn in 0.. {
                    match store.create_consumer(consumer(&format!("{round}/{turn}")), THEN).await {
                        Ok(record) => made.push(record.unwrap()),
                        Err(_) => return made,
                    }
                }
                made
            })
        };
        tokio::time::sleep(Duration::from_millis(200)).await;
        server.kill();
        acknowledged.extend(writing.await.unwrap());
        server.start_again().await;
        wait_until("writes are taken again", async || store.check().await.is_ok()).await;
    }

    assert!(acknowledged.len() > 20, "{}", acknowledged.len());
    for record in &acknowledged {
        assert_eq!(
            store.consumer(record.consumer.id).await.unwrap().as_deref(),
            Some(record)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demoted_server_takes_nothing_until_it_is_a_primary_again() {
    let server = Server::start(Options::default()).await;
    let elsewhere = Server::start(Options::default()).await;
    let store = gateway(&server.url()).await;
    wait_until_it_serves(&*store).await;

    let port = elsewhere.port().to_string();
    // A primary that never answers: what the replica holds stays.
    elsewhere.pause();
    server.command(&["REPLICAOF", "127.0.0.1", &port]).await;
    wait_until("nothing is read from it", async || {
        store.consumer_by_key("unread").await.is_err()
    })
    .await;
    every_call_fails(&store).await;
    server.command(&["REPLICAOF", "NO", "ONE"]).await;

    wait_until_it_serves(&*store).await;
    wait_until("writes are taken again", async || {
        store.create_consumer(consumer("Shop sync"), THEN).await.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_refuses_writes_serves_nobody() {
    let server = Server::start(Options::default()).await;
    let store = gateway(&server.url()).await;
    wait_until_it_serves(&*store).await;

    for (setting, refusing, usual) in [("min-replicas-to-write", "1", "0"), ("maxmemory", "1kb", "0")] {
        server.set(setting, refusing).await;
        wait_until_it_is(&*store, is_unavailable).await;
        assert!(!serves(&*store).await, "{setting}");
        assert!(
            store.create_consumer(consumer(setting), THEN).await.is_err(),
            "{setting}"
        );
        server.set(setting, usual).await;

        wait_until_it_serves(&*store).await;
        wait_until("writes are taken again", async || store.check().await.is_ok()).await;
        let made = store.create_consumer(consumer(setting), THEN).await;
        assert!(matches!(made, Ok(Some(_))), "{setting}: {made:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_under_one_key_is_a_fault_of_that_key_only() {
    let server = Server::start(Options::default()).await;
    let store = gateway(&server.url()).await;
    wait_until_it_serves(&*store).await;
    let first = store.create_consumer(consumer("First"), THEN).await.unwrap().unwrap();
    let second = store.create_consumer(consumer("Second"), THEN).await.unwrap().unwrap();

    server.command(&["SET", "{countersign}:lockouts", "text"]).await;
    let id = first.consumer.id.0.to_string();
    for junk in [
        "",
        "\u{1}",
        "\u{1}junk of some length, but not sealed by anybody",
        "{\"version\":1}",
    ] {
        server.command(&["HSET", "{countersign}:consumers", &id, junk]).await;
        let read = store.consumer(first.consumer.id).await;
        assert!(matches!(read, Err(StoreError::Corrupt(_))), "{junk:?}: {read:?}");
    }
    let wrong_type = store.sign_in_failures(LockoutKind::Admin, "jane", THEN).await;
    let counted = store.record_sign_in_failure(LockoutKind::Admin, "jane", THEN, 60).await;

    assert!(matches!(wrong_type, Err(StoreError::Corrupt(_))), "{wrong_type:?}");
    assert!(counted.is_err(), "{counted:?}");
    assert_eq!(
        store.consumer(second.consumer.id).await.unwrap().as_deref(),
        Some(&second)
    );
    assert!(serves(&*store).await);
    store.check().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_nobody_can_read_hides_no_other_and_can_be_deleted() {
    let server = Server::start(Options::default()).await;
    let store = gateway(&server.url()).await;
    let first = store.create_consumer(consumer("First"), THEN).await.unwrap().unwrap();
    let second = store.create_consumer(consumer("Second"), THEN).await.unwrap().unwrap();
    let of = |record: &ConsumerRecord| record.integration.as_ref().unwrap().id;
    let names = async || {
        let query = IntegrationQuery {
            limit: 10,
            ..IntegrationQuery::default()
        };
        let page = store.list_integrations(&query).await.unwrap();
        let name = |one: &ConsumerRecord| one.integration.as_ref().unwrap().definition.name.clone();
        page.items.iter().map(name).collect::<Vec<_>>()
    };

    let id = first.consumer.id.0.to_string();
    server.command(&["HSET", "{countersign}:consumers", &id, "junk"]).await;
    let listed = names().await;
    let readable = store.drop_unreadable(of(&second)).await;
    let unreadable = store.drop_unreadable(of(&first)).await;

    assert_eq!(listed, ["Second"]);
    assert!(matches!((readable, unreadable), (Ok(false), Ok(true))));
    assert!(store.consumer_by_integration(of(&first)).await.unwrap().is_none());
    assert!(store.consumer_by_key(&first.consumer.key).await.unwrap().is_none());
    // Its name is free again.
    store.create_consumer(consumer("First"), THEN).await.unwrap().unwrap();
    assert_eq!(names().await, ["Second", "First"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_of_one_consumer_is_not_another_s() {
    let server = Server::start(Options::default()).await;
    let store = gateway(&server.url()).await;
    let first = store.create_consumer(consumer("First"), THEN).await.unwrap().unwrap();
    let second = store.create_consumer(consumer("Second"), THEN).await.unwrap().unwrap();

    // Who can write to Redis must not be able to lend one consumer another's secret.
    let (from, to) = (first.consumer.id.0.to_string(), second.consumer.id.0.to_string());
    let script = "redis.call('HSET', KEYS[1], ARGV[2], redis.call('HGET', KEYS[1], ARGV[1]))";
    server
        .command(&["EVAL", script, "1", "{countersign}:consumers", &from, &to])
        .await;

    assert!(matches!(
        store.consumer(second.consumer.id).await,
        Err(StoreError::Corrupt(_))
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_not_believed_while_the_server_is_silent() {
    let server = Server::start(Options::default()).await;
    let store = gateway(&server.url()).await;
    let made = store.create_consumer(consumer("First"), THEN).await.unwrap().unwrap();
    let token = user_token("bearer", ADMIN, None);
    store.put_user_token(&token).await.unwrap();
    assert!(store.consumer_by_key(&made.consumer.key).await.unwrap().is_some());
    assert!(store.user_token(&token.digest).await.unwrap().is_some());

    server.pause();
    tokio::time::sleep(Duration::from_millis(1100)).await;

    assert!(store.consumer_by_key(&made.consumer.key).await.is_err());
    assert!(store.user_token(&token.digest).await.is_err());
    server.resume();
    wait_until("memory is filled again", async || {
        store
            .consumer_by_key(&made.consumer.key)
            .await
            .is_ok_and(|found| found.is_some())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_the_feed_missed_is_seen_within_a_second() {
    let server = Server::start(Options::default()).await;
    let (here, there) = (gateway(&server.url()).await, gateway(&server.url()).await);
    let mut record = there.create_consumer(consumer("First"), THEN).await.unwrap().unwrap();

    for round in 0..20 {
        wait_until("memory is filled", async || {
            here.consumer_by_key(&record.consumer.key)
                .await
                .is_ok_and(|found| found.is_some())
        })
        .await;
        // At the moment of the change nobody listens.
        server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
        record.token = Some(access(&round.to_string()));
        let mut put = Err(StoreError::IdentityLost);
        wait_until("the change is taken", async || {
            put = there.update_consumer(&record).await;
            put.is_ok()
        })
        .await;
        // An answer that was cut off may stand for a change that was made.
        if let Ok(Put::Done(version)) = put {
            record.version = version;
        } else {
            record = ConsumerRecord::clone(&*there.consumer(record.consumer.id).await.unwrap().unwrap());
        }
        tokio::time::sleep(Duration::from_millis(1050)).await;

        let mut seen = None;
        wait_until("it is read", async || {
            seen = here.consumer_by_key(&record.consumer.key).await.ok();
            seen.is_some()
        })
        .await;
        assert_eq!(seen.flatten().as_deref(), Some(&record), "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_that_is_none_is_a_fault_of_the_configuration() {
    for url in [
        "redis:",
        "redis://",
        "redis-sentinel://127.0.0.1:1",
        "redisx://127.0.0.1:1",
        "redis://127.0.0.1:port",
    ] {
        let refused = super::fault(&options(url)).await;
        assert!(matches!(refused, crate::OpenError::BadUrl(..)), "{url}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_refuses_writes_is_unavailable_all_the_time_says_why_and_is_not_pestered() {
    let server = Server::start(Options::default()).await;
    let store = gateway(&server.url()).await;
    wait_until_it_serves(&*store).await;
    let connections = async || {
        server
            .info("total_connections_received")
            .await
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };

    server.set("maxmemory", "1kb").await;
    wait_until_it_is(&*store, is_unavailable).await;
    wait_until("the feed has met it in vain", async || {
        matches!(store.claim_nonce(claim(1, now(), b"n")).await, Err(error) if told(&error).contains("is not reached"))
    })
    .await;
    let before = connections().await;
    for turn in 0..100_u32 {
        let claimed = store.claim_nonce(claim(1, now(), &turn.to_be_bytes())).await;
        let error = claimed.expect_err("nobody can tell a replay");
        assert!(told(&error).contains("OOM"), "{}", told(&error));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let made = connections().await - before;

    // Ten times a second at the most, however long this second took; one is the test's own.
    assert!(made < 60, "{made}");
    server.set("maxmemory", "0").await;
    wait_until_it_serves(&*store).await;
}

fn told(error: &StoreError) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    format!("{error}: {}", source.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_begins_to_evict_serves_nobody_until_it_keeps_all_again() {
    let server = Server::start(Options::default()).await;
    let store = gateway(&server.url()).await;
    wait_until_it_serves(&*store).await;

    server.set("maxmemory-policy", "allkeys-lru").await;
    wait_until("it is noticed", async || {
        matches!(store.claim_nonce(claim(1, now(), b"n")).await, Err(error) if told(&error).contains("allkeys-lru"))
    })
    .await;
    server.set("maxmemory-policy", "noeviction").await;

    wait_until_it_serves(&*store).await;
}
