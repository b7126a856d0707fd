//! How a store in Redis is opened, and what stops the start.

use super::{fault, gateway, is_unavailable, options, serves, wait_until_it_is, wait_until_it_serves};
use crate::contract::keys;
use crate::contract::make::{THEN, consumer};
use crate::servers::{Certificates, Options, Server};
use crate::{OpenError, OpenOptions};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_needed_and_must_open_what_the_store_holds() {
    let server = Server::start(Options::default()).await;
    let keyless = OpenOptions {
        encryption_keys: Vec::new(),
        ..options(&server.url())
    };
    let other_key = OpenOptions {
        encryption_keys: vec![[8; 32]],
        ..options(&server.url())
    };
    let rotated = OpenOptions {
        encryption_keys: vec![[8; 32], [7; 32]],
        ..options(&server.url())
    };

    let without = fault(&keyless).await;
    drop(gateway(&server.url()).await);
    let wrong = fault(&other_key).await;
    let both = crate::open(&rotated).await;

    assert!(matches!(without, OpenError::KeyNeeded), "{without}");
    assert!(matches!(wrong, OpenError::WrongKey), "{wrong}");
    assert!(both.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_was_ever_the_first_must_be_there() {
    let server = Server::start(Options::default()).await;
    let with = |keys: &[u8]| OpenOptions {
        encryption_keys: keys.iter().map(|octet| [*octet; 32]).collect(),
        ..options(&server.url())
    };
    drop(crate::open(&with(&[7])).await.unwrap());
    drop(crate::open(&with(&[7, 9])).await.unwrap());
    drop(crate::open(&with(&[8, 7])).await.unwrap());

    let fallen_back = fault(&with(&[7])).await;
    let mistaken = fault(&with(&[6, 7])).await;
    let inspected = super::super::inspect_keys(&with(&[7])).await;

    assert!(matches!(fallen_back, OpenError::KeyMissing), "{fallen_back}");
    assert!(matches!(mistaken, OpenError::KeyMissing), "{mistaken}");
    assert!(matches!(inspected, Err(OpenError::KeyMissing)), "{inspected:?}");
    // Nothing was sealed with what was never the first, nor by a start that was refused.
    assert!(super::super::inspect_keys(&with(&[7, 8])).await.is_ok());
    assert!(crate::open(&with(&[7, 8])).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_lost_its_identity_gets_another_only_by_a_key_that_opens_the_rest() {
    let server = Server::start(Options::default()).await;
    let other_key = OpenOptions {
        encryption_keys: vec![[8; 32]],
        ..options(&server.url())
    };
    let store = gateway(&server.url()).await;
    store
        .create_consumer(consumer("Shop sync"), THEN)
        .await
        .unwrap()
        .unwrap();
    server.command(&["DEL", "{countersign}:store"]).await;

    let by_another = crate::open(&other_key).await.unwrap().init().await;
    let by_its_own = gateway(&server.url()).await.init().await;

    assert!(by_another.is_err_and(|error| is_unavailable(&error)));
    assert!(by_its_own.is_ok(), "{by_its_own:?}");
    wait_until_it_serves(&*gateway(&server.url()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sealed_anew_it_needs_its_first_key_alone() {
    let server = Server::start(Options::default()).await;
    let open = async |keys: &[u8]| {
        let keys = keys.iter().map(|octet| [*octet; 32]).collect();
        crate::open(&OpenOptions {
            encryption_keys: keys,
            ..options(&server.url())
        })
        .await
    };

    keys::sealed_anew_it_needs_its_first_key_alone(open).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_would_evict_is_refused() {
    for policy in ["volatile-lru", "volatile-ttl", "allkeys-lru", "allkeys-random"] {
        let server = Server::start(Options {
            maxmemory: Some(("100mb".to_owned(), policy.to_owned())),
            ..Options::default()
        })
        .await;

        let refused = fault(&options(&server.url())).await;

        assert!(
            matches!(&refused, OpenError::Unsafe(why) if why.contains(policy)),
            "{refused}"
        );
    }
    let server = Server::start(Options {
        maxmemory: Some(("100mb".to_owned(), "noeviction".to_owned())),
        ..Options::default()
    })
    .await;
    wait_until_it_serves(&*gateway(&server.url()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_used_and_a_wrong_one_is_no_answer_about_anybody() {
    let server = Server::start(Options {
        password: Some("right".to_owned()),
        ..Options::default()
    })
    .await;
    let wrong_url = server.url().replace("right", "wrong");

    let right = gateway(&server.url()).await;
    let wrong = gateway(&wrong_url).await;

    wait_until_it_serves(&*right).await;
    wait_until_it_is(&*wrong, is_unavailable).await;
    assert!(wrong.consumer_by_key("key").await.is_err());
    assert!(!serves(&*wrong).await);
}

/// What an operator may grant at most: our own keys and channel, and no command that administers the server but those that
/// tell who it is.
const RULES: &str = "~{countersign}:* ~cs:* &{countersign}:* +@all -@admin -@dangerous +info";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_with_our_keys_and_channel_only_is_enough() {
    let server = Server::start(Options {
        user: Some(("countersign".to_owned(), "p@ss:word/".to_owned(), RULES.to_owned())),
        ..Options::default()
    })
    .await;
    // Percent-encoded, as everything in front of a host.
    let url = server.url().replace("p@ss:word/", "p%40ss%3Aword%2F");

    let (one, other) = (gateway(&url).await, gateway(&url).await);

    wait_until_it_serves(&*one).await;
    let made = one.create_consumer(consumer("Shop sync"), THEN).await.unwrap().unwrap();
    assert_eq!(*other.consumer_by_key(&made.consumer.key).await.unwrap().unwrap(), made);
    one.check().await.unwrap();
    assert!(one.lease("sweep", "a", 60).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_needs_the_authority_that_signed_the_server() {
    let certificates = Certificates::make();
    let server = Server::start(Options {
        tls: Some(certificates.clone()),
        ..Options::default()
    })
    .await;
    let another = Certificates::make();
    let with = |authority: std::path::PathBuf| format!("{}?ca={}", server.url(), authority.display());

    let trusted = gateway(&with(certificates.authority())).await;
    let foreign = gateway(&with(another.authority())).await;
    let of_the_system = gateway(&server.url()).await;
    let in_clear = gateway(&server.url().replace("rediss", "redis")).await;

    wait_until_it_serves(&*trusted).await;
    trusted
        .create_consumer(consumer("Shop sync"), THEN)
        .await
        .unwrap()
        .unwrap();
    for store in [&foreign, &of_the_system, &in_clear] {
        wait_until_it_is(&**store, is_unavailable).await;
        assert!(!serves(&**store).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_yet_is_awaited() {
    let mut server = Server::start(Options::default()).await;
    server.kill();

    let store = gateway(&server.url()).await;
    let before = store.check().await;
    server.start_again().await;

    assert!(before.is_err_and(|error| is_unavailable(&error)));
    wait_until_it_serves(&*store).await;
    store.check().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_is_not_taken_for_the_store() {
    let primary = Server::start(Options::default()).await;
    let replica = Server::start(Options {
        lines: vec![format!("replicaof 127.0.0.1 {}", primary.port())],
        ..Options::default()
    })
    .await;
    let real = gateway(&primary.url()).await;
    wait_until_it_serves(&*real).await;

    let store = gateway(&replica.url()).await;

    wait_until_it_is(&*store, is_unavailable).await;
    assert!(store.consumer_by_key("key").await.is_err(), "it may lag behind");
    assert!(!serves(&*store).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_of_one_server_are_stores_of_their_own() {
    let server = Server::start(Options::default()).await;
    let (one, other) = (
        gateway(&server.url()).await,
        gateway(&format!("{}/3", server.url())).await,
    );

    one.create_consumer(consumer("Shop sync"), THEN).await.unwrap().unwrap();

    wait_until_it_serves(&*other).await;
    assert_eq!(other.consumer_by_name("Shop sync").await.unwrap(), None);
}
