//! Servers that are asked who takes writes: one that answers nonsense, or is gone, decides nothing.

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{gateway, wait_until_it_serves};
use crate::servers::{Cluster, Options, Reply, Sentinels, Server, wait_until};

/// The URL with another host before its own.
fn with_first(url: &str, host: &str) -> String {
    url.replace("://", &format!("://{host},"))
}

fn hosts(url: &str) -> &str {
    url.split_once("://").unwrap().1.split('/').next().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_in_no_cluster_is_passed_over() {
    let cluster = Cluster::start(Options::default()).await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bus = free.local_addr().unwrap().port();
    drop(free);
    let alone = Server::start(Options {
        lines: vec!["cluster-enabled yes".to_owned(), format!("cluster-port {bus}")],
        ..Options::default()
    })
    .await;

    let store = gateway(&with_first(&cluster.url(), &alone.address())).await;

    wait_until_it_serves(&*store).await;
    store.check().await.unwrap();
}

/// Hands everything on, for as long as it isn't dropped.
async fn way_to(address: String) -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap().to_string();
    let mut way = JoinSet::new();
    way.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = TcpStream::connect(&address).await.unwrap();
            connections.spawn(async move {
                // Either end may break it off.
                drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
            });
        }
    });
    (here, way)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_all_that_are_configured_are_gone_the_nodes_that_were_met_are_asked() {
    let mut cluster = Cluster::start(Options::default()).await;
    let (configured, way) = way_to(cluster.nodes()[0].address()).await;
    let store = gateway(&format!("redis-cluster://{configured}")).await;
    wait_until_it_serves(&*store).await;

    drop(way);
    // Whoever listens has to look for the store again.
    cluster.command_all(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    wait_until("it listens again", async || {
        let lists = cluster.command_all(&["CLIENT", "LIST", "TYPE", "pubsub"]).await;
        lists.iter().filter_map(Reply::text).any(|list| !list.is_empty())
    })
    .await;

    wait_until_it_serves(&*store).await;
    store.check().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sentinel_that_names_a_server_that_is_gone_is_passed_over() {
    let mut stale = Sentinels::start(Options::default(), 1).await;
    let current = Sentinels::start(Options::default(), 1).await;
    let (primary, replica) = stale.primary_and_replica().await;
    replica.kill();
    primary.kill();

    let store = gateway(&with_first(&current.url(), hosts(&stale.url()))).await;

    wait_until_it_serves(&*store).await;
    store.check().await.unwrap();
}
