//! Nonces may be lost with a server, or a part of them: what was served before is never served again.

use std::sync::Arc;

use super::{
    claim, fresh_nonce, gateway, holder_of_records, is_lost, is_unavailable, now, serves, wait_until_it_is,
    wait_until_it_serves,
};
use crate::contract::make::{THEN, consumer};
use crate::servers::{Cluster, Options, Sentinels, Server, wait_until};
use crate::{Claim, Store, StoreError, UnixSeconds};

/// A request that was served: consumer, timestamp, nonce.
type Served = Vec<(u64, UnixSeconds, Vec<u8>)>;

fn kept() -> Options {
    Options {
        append_only: true,
        ..Options::default()
    }
}

/// Requests of clients whose clocks are right, a little off, and five minutes ahead, each served once.
async fn served(gateways: &[&Arc<dyn Store>]) -> Served {
    let mut served = Vec::new();
    for (place, store) in gateways.iter().enumerate() {
        wait_until_it_serves(&***store).await;
        if store.consumer_by_name("Shop sync").await.unwrap().is_none() {
            // A store that never had a consumer has nothing to lose.
            store.create_consumer(consumer("Shop sync"), THEN).await.unwrap();
        }
        for (turn, off) in [0, 0, 1, 2, 30, 60, 300, 300].into_iter().enumerate() {
            let consumer = u64::try_from(place * 100 + turn).unwrap();
            let (timestamp, nonce) = (now() + off, fresh_nonce());
            let claimed = store.claim_nonce(claim(consumer, timestamp, &nonce)).await.unwrap();
            assert_eq!(claimed, Claim::Fresh);
            served.push((consumer, timestamp, nonce));
        }
    }
    served
}

/// Replays everything through every gateway.
async fn replay(gateways: &[&Arc<dyn Store>], served: &Served) {
    for store in gateways {
        for (consumer, timestamp, nonce) in served {
            let claimed = store.claim_nonce(claim(*consumer, *timestamp, nonce)).await;
            assert!(
                !matches!(claimed, Ok(Claim::Fresh)),
                "served again: {consumer} at {timestamp}, now {}",
                now()
            );
        }
    }
}

/// From now until each gateway serves fresh requests again, and then once more, nothing is served twice.
async fn nothing_is_served_again(gateways: &[&Arc<dyn Store>], served: &Served) {
    for store in gateways {
        // In a Cluster each node comes back at its own time.
        let mut in_a_row = 0;
        for _ in 0..3000 {
            replay(gateways, served).await;
            in_a_row = if serves(&***store).await { in_a_row + 1 } else { 0 };
            if in_a_row == 20 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let last = store.claim_nonce(claim(1, now(), &fresh_nonce())).await;
        assert_eq!(in_a_row, 20, "service is back; said at last: {last:?}");
    }
    replay(gateways, served).await;
    // A client with a clock five minutes ahead isn't shut out for ever: what it signs later counts.
    let later = served
        .iter()
        .map(|(_, timestamp, _)| timestamp + 1)
        .max()
        .unwrap()
        .max(now());
    for store in gateways {
        let claimed = store
            .claim_nonce(claim(106, later, format!("{:p}", *store).as_bytes()))
            .await;
        assert_eq!(claimed.unwrap(), Claim::Fresh);
    }
}

/// One server and two gateways on it.
async fn two_gateways(options: Options) -> (Server, Arc<dyn Store>, Arc<dyn Store>) {
    let server = Server::start(options).await;
    let (one, other) = (gateway(&server.url()).await, gateway(&server.url()).await);
    (server, one, other)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_that_lost_nothing() {
    let (mut server, one, other) = two_gateways(kept()).await;
    let made = one.create_consumer(consumer("Shop sync"), THEN).await.unwrap().unwrap();
    let served = served(&[&one, &other]).await;

    server.kill();
    server.start_again().await;

    nothing_is_served_again(&[&one, &other], &served).await;
    assert_eq!(*one.consumer(made.consumer.id).await.unwrap().unwrap(), made);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_that_lost_what_came_after_the_last_snapshot() {
    let (mut server, one, other) = two_gateways(Options::default()).await;
    let before = served(&[&one]).await;
    server.command(&["SAVE"]).await;
    let after = served(&[&other]).await;

    server.kill();
    server.start_again().await;

    nothing_is_served_again(&[&one, &other], &[before, after].concat()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_that_lost_everything_only_when_the_store_is_said_to_be_new() {
    let (mut server, one, other) = two_gateways(Options::default()).await;
    let served = served(&[&one, &other]).await;

    server.kill();
    server.start_again().await;
    for store in [&one, &other] {
        wait_until_it_is(&**store, is_lost).await;
    }
    replay(&[&one, &other], &served).await;
    // The operator's command is a process of its own.
    gateway(&server.url()).await.init().await.unwrap();

    nothing_is_served_again(&[&one, &other], &served).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_flush_only_when_the_store_is_said_to_be_new() {
    let (server, one, other) = two_gateways(kept()).await;
    let made = one.create_consumer(consumer("Shop sync"), THEN).await.unwrap().unwrap();
    let served = served(&[&one, &other]).await;

    server.command(&["FLUSHALL"]).await;
    replay(&[&one, &other], &served).await;
    for store in [&one, &other] {
        wait_until_it_is(&**store, is_lost).await;
        assert!(matches!(
            store.consumer(made.consumer.id).await,
            Err(StoreError::IdentityLost)
        ));
        assert!(matches!(
            store.create_consumer(consumer("Other"), THEN).await,
            Err(StoreError::IdentityLost)
        ));
        assert!(!serves(&**store).await);
    }
    other.init().await.unwrap();

    nothing_is_served_again(&[&one, &other], &served).await;
    assert_eq!(one.consumer(made.consumer.id).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_flush_that_was_said_to_be_new_before_anybody_noticed() {
    let (server, one, other) = two_gateways(kept()).await;
    let third = gateway(&server.url()).await;
    let served = served(&[&one, &other]).await;

    server.command(&["FLUSHALL"]).await;
    third.init().await.unwrap();

    nothing_is_served_again(&[&one, &other], &served).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_identity_alone_was_lost_only_when_the_store_is_said_to_go_on() {
    // One mark of a store that served is enough.
    let marks = [
        "{countersign}:counters",
        "{countersign}:consumers",
        "{countersign}:integrations",
    ];
    for kept_mark in marks {
        let (server, one, other) = two_gateways(kept()).await;
        let served = served(&[&one, &other]).await;

        server.command(&["DEL", "{countersign}:store"]).await;
        for lost in marks.into_iter().filter(|mark| *mark != kept_mark) {
            server.command(&["DEL", lost]).await;
        }
        let later = gateway(&server.url()).await;
        let said = later.check().await;
        assert!(matches!(said, Err(StoreError::IdentityLost)), "{kept_mark}: {said:?}");
        for store in [&one, &other, &later] {
            wait_until_it_is(&**store, is_lost).await;
            assert!(!serves(&**store).await);
        }
        replay(&[&one, &other, &later], &served).await;
        // The operator's command is a process of its own.
        gateway(&server.url()).await.init().await.unwrap();

        let last = gateway(&server.url()).await;
        nothing_is_served_again(&[&one, &other, &later, &last], &served).await;
        for (consumer, timestamp, nonce) in &served {
            let claimed = last.claim_nonce(claim(*consumer, *timestamp, nonce)).await;
            assert!(matches!(claimed, Ok(Claim::Unsure)), "{claimed:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_never_had_a_consumer_needs_no_word_to_be_made_again() {
    let server = Server::start(kept()).await;
    let made = gateway(&server.url()).await;
    wait_until_it_serves(&*made).await;
    drop(made);

    server.command(&["DEL", "{countersign}:store"]).await;

    wait_until_it_serves(&*gateway(&server.url()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_gateways_and_the_tail_were_lost_for_every_clock_that_was_right() {
    let (mut server, one, other) = two_gateways(Options::default()).await;
    one.create_consumer(consumer("Shop sync"), THEN).await.unwrap();
    server.command(&["SAVE"]).await;
    let mut served = served(&[&one, &other]).await;

    drop((one, other));
    // Who knew of clients ahead of the clock is gone with the marks: theirs is the one gap (product.md 10).
    let lost_at = now();
    served.retain(|(_, timestamp, _)| *timestamp <= lost_at);
    server.kill();
    server.start_again().await;
    let later = gateway(&server.url()).await;

    assert!(served.len() >= 4);
    nothing_is_served_again(&[&later], &served).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_gateway_and_its_server_were_killed_one_after_the_other() {
    let (mut server, one, other) = two_gateways(kept()).await;
    let served = served(&[&one, &other]).await;

    drop((one, other));
    server.kill();
    server.start_again().await;
    let later = gateway(&server.url()).await;

    nothing_is_served_again(&[&later], &served).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_of_the_gateways_alone() {
    let (server, one, other) = two_gateways(kept()).await;
    let served = served(&[&one, &other]).await;

    drop((one, other));
    let later = gateway(&server.url()).await;

    nothing_is_served_again(&[&later], &served).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failover_that_lost_the_tail() {
    let mut servers = Sentinels::start(Options::default(), 1).await;
    let (one, other) = (gateway(&servers.url()).await, gateway(&servers.url()).await);
    let made = one.create_consumer(consumer("Shop sync"), THEN).await.unwrap().unwrap();
    let before = served(&[&one]).await;
    servers.cut_replication().await;
    let after = served(&[&other]).await;

    servers.kill_primary().await;

    nothing_is_served_again(&[&one, &other], &[before, after].concat()).await;
    assert_eq!(*one.consumer(made.consumer.id).await.unwrap().unwrap(), made);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_primary_hung_was_replaced_and_went_on() {
    let mut servers = Sentinels::start(Options::default(), 1).await;
    let (one, other) = (gateway(&servers.url()).await, gateway(&servers.url()).await);
    let before = served(&[&one]).await;
    servers.cut_replication().await;
    let after = served(&[&other]).await;

    servers.hang_primary().await;

    nothing_is_served_again(&[&one, &other], &[before, after].concat()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failover_and_back() {
    let mut servers = Sentinels::start(Options::default(), 1).await;
    let (one, other) = (gateway(&servers.url()).await, gateway(&servers.url()).await);
    let first = served(&[&one]).await;
    servers.wait_until_in_sync().await;

    servers.kill_primary().await;
    nothing_is_served_again(&[&one, &other], &first).await;
    servers.start_killed_again().await;
    servers.cut_replication().await;
    let second = served(&[&other]).await;
    servers.kill_primary().await;

    nothing_is_served_again(&[&one, &other], &[first, second].concat()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_another_server_came_behind_the_same_address_only_if_it_is_the_known_store() {
    let (mut server, one, _) = two_gateways(kept()).await;
    let (stranger, strangers, _) = two_gateways(Options::default()).await;
    wait_until_it_serves(&*strangers).await;
    let served = served(&[&one]).await;

    server.start_emptied().await;
    server.stop().await;
    server.start_with_data_of(&stranger).await;

    wait_until_it_is(&*one, is_lost).await;
    replay(&[&one], &served).await;
    assert!(!serves(&*one).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restore_from_an_older_copy_behind_the_same_address() {
    let (mut server, one, other) = two_gateways(Options::default()).await;
    let mut copy = Server::start(Options::default()).await;
    let before = served(&[&one]).await;
    copy.start_with_data_of(&server).await;
    let after = served(&[&other]).await;

    server.start_with_data_of(&copy).await;

    nothing_is_served_again(&[&one, &other], &[before, after].concat()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_copy_was_put_into_the_running_server() {
    let (server, one, other) = two_gateways(Options::default()).await;
    let mut copy = Server::start(Options::default()).await;
    let before = served(&[&one]).await;
    copy.start_with_data_of(&server).await;
    let after = served(&[&other]).await;

    // Same process, same run: only what it holds goes back in time.
    let port = copy.port().to_string();
    server.command(&["REPLICAOF", "127.0.0.1", &port]).await;
    wait_until("the copy is in", async || {
        server.info("master_link_status").await.as_deref() == Some("up")
    })
    .await;
    server.command(&["REPLICAOF", "NO", "ONE"]).await;

    nothing_is_served_again(&[&one, &other], &[before, after].concat()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_node_of_a_cluster_lost_its_nonces() {
    let mut cluster = Cluster::start(Options::default()).await;
    let (one, other) = (gateway(&cluster.url()).await, gateway(&cluster.url()).await);
    let served = served(&[&one, &other]).await;
    let holds_records = holder_of_records(&cluster).await;

    for (place, node) in cluster.nodes().iter_mut().enumerate() {
        if place != holds_records {
            node.kill();
            node.start_again().await;
        }
    }

    nothing_is_served_again(&[&one, &other], &served).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_lacks_a_node_is_not_whole() {
    let mut cluster = Cluster::start(kept()).await;
    let store = gateway(&cluster.url()).await;
    wait_until_it_serves(&*store).await;
    store.check().await.unwrap();
    let holds_records = holder_of_records(&cluster).await;
    let other = (holds_records + 1) % cluster.nodes().len();

    cluster.nodes()[other].kill();

    let checked = store.check().await;
    assert!(matches!(checked, Err(StoreError::Unavailable(_))), "{checked:?}");
    cluster.nodes()[other].start_again().await;
    wait_until("it is whole again", async || store.check().await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_node_of_a_cluster_was_flushed() {
    let mut cluster = Cluster::start(kept()).await;
    let (one, other) = (gateway(&cluster.url()).await, gateway(&cluster.url()).await);
    let served = served(&[&one, &other]).await;
    let holds_records = holder_of_records(&cluster).await;

    for (place, node) in cluster.nodes().iter().enumerate() {
        if place != holds_records {
            node.command(&["FLUSHALL"]).await;
        }
    }

    nothing_is_served_again(&[&one, &other], &served).await;
}

/// A gateway that can be shut out, and its server: it comes as a user of its own.
async fn gateway_of_a_user(server: &Server) -> Arc<dyn Store> {
    server
        .command(&["ACL", "SETUSER", "apart", "on", ">password", "~*", "&*", "+@all"])
        .await;
    gateway(&server.url().replace("redis://", "redis://apart:password@")).await
}

/// Breaks the user's connections off and takes no new ones, until the gateway has noticed.
async fn shut_out(server: &Server, store: &Arc<dyn Store>) {
    server.command(&["ACL", "SETUSER", "apart", "off"]).await;
    server.command(&["CLIENT", "KILL", "USER", "apart"]).await;
    wait_until_it_is(&**store, is_unavailable).await;
    wait_until("the feed is shut out, too", async || {
        let refused = store.claim_nonce(claim(1, now(), b"n")).await;
        matches!(refused, Err(StoreError::Unavailable(why)) if why.to_string().contains("is not reached"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_gateway_was_cut_off_for_a_while_which_concerns_no_other() {
    let server = Server::start(kept()).await;
    let (one, other) = (gateway_of_a_user(&server).await, gateway(&server.url()).await);
    let served = served(&[&one, &other]).await;
    let version = async || server.command(&["HGET", "{countersign}:store", "version"]).await;
    let before = version().await;

    shut_out(&server, &one).await;
    server.command(&["ACL", "SETUSER", "apart", "on"]).await;
    wait_until_it_serves(&*one).await;

    // What makes all gateways doubt what they know.
    assert_eq!(version().await, before);
    for (store, (consumer, timestamp, _)) in [&one, &other]
        .into_iter()
        .flat_map(|store| served.iter().map(move |one| (store, one)))
    {
        // As late as what the client, fast or not, was served with before.
        let timestamp = (*timestamp).max(now());
        let claimed = store.claim_nonce(claim(*consumer, timestamp, &fresh_nonce())).await;
        assert_eq!(claimed.unwrap(), Claim::Fresh, "{consumer} at {timestamp}");
    }
    nothing_is_served_again(&[&one, &other], &served).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_flush_behind_the_back_of_a_gateway_that_was_cut_off() {
    let server = Server::start(kept()).await;
    let one = gateway_of_a_user(&server).await;
    let served = served(&[&one]).await;

    shut_out(&server, &one).await;
    server.command(&["FLUSHALL"]).await;
    // The same process under the same id: only the store's identity tells.
    gateway(&server.url()).await.init().await.unwrap();
    server.command(&["ACL", "SETUSER", "apart", "on"]).await;

    wait_until_it_serves(&*one).await;
    let later = gateway(&server.url()).await;
    nothing_is_served_again(&[&one, &later], &served).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_that_lost_the_tail_while_the_gateway_was_cut_off() {
    let mut server = Server::start(Options::default()).await;
    let one = gateway_of_a_user(&server).await;
    let before = served(&[&one]).await;
    server.command(&["SAVE"]).await;
    let after = served(&[&one]).await;

    shut_out(&server, &one).await;
    server.kill();
    server.start_again().await;
    let user = ["ACL", "SETUSER", "apart", "on", ">password", "~*", "&*", "+@all"];
    server.command(&user).await;

    wait_until_it_serves(&*one).await;
    let later = gateway(&server.url()).await;
    nothing_is_served_again(&[&one, &later], &[before, after].concat()).await;
}
