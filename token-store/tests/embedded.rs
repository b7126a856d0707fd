//! The embedded store: what only it promises.

#![expect(clippy::panic, reason = "a helper of tests")]

use std::collections::BTreeSet;
use std::sync::Arc;

use token_store::{
    Claim, ConsumerId, Grant, NewConsumer, NewIntegration, NonceClaim, OpenError, OpenOptions, Secret, Setup, Store,
    open,
};

const NOW: u64 = 1_800_000_000;

async fn opened(folder: &std::path::Path, now: u64) -> Result<Arc<dyn Store>, OpenError> {
    open(&OpenOptions {
        url: format!("embedded:{}", folder.display()),
        encryption_keys: Vec::new(),
        timeout: std::time::Duration::from_millis(250),
        connect_timeout: std::time::Duration::from_millis(250),
        cache: 1000,
        now,
    })
    .await
}

fn consumer(name: &str, key: &str) -> NewConsumer {
    NewConsumer {
        name: None,
        key: key.to_owned(),
        secret: Secret::new("the-consumer-secret-in-the-file!"),
        callback_url: None,
        rejected_callback_url: None,
        integration: Some(NewIntegration {
            name: name.to_owned(),
            email: String::new(),
            endpoint: None,
            identity_link_url: None,
            setup: Setup::Manual,
            grant: Grant::Listed(BTreeSet::new()),
            signature_methods: None,
            rsa_public_key: None,
            two_legged: false,
            placements: None,
            callback_urls: Vec::new(),
            flags: BTreeSet::new(),
        }),
    }
}

fn claim(timestamp: u64, nonce: &[u8], now: u64) -> NonceClaim<'_> {
    NonceClaim {
        consumer: ConsumerId(1),
        token: Some("token"),
        timestamp,
        nonce,
        now,
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart_and_the_file_holds_no_secret_in_clear() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(folder.path(), NOW).await.unwrap();
    let made = store
        .create_consumer(consumer("Shop sync", "key-1"), NOW)
        .await
        .unwrap()
        .unwrap();
    drop(store);
    let octets = std::fs::read(folder.path().join("store.redb")).unwrap();

    let store = reopened(folder.path(), NOW).await;

    assert_eq!(*store.consumer_by_key("key-1").await.unwrap().unwrap(), made);
    assert!(!octets.windows(19).any(|window| window == b"the-consumer-secret"));
}

/// Dropping the store ends its writer a moment later.
async fn reopened(folder: &std::path::Path, now: u64) -> Arc<dyn Store> {
    for _ in 0..100 {
        match opened(folder, now).await {
            Ok(store) => return store,
            Err(OpenError::Locked(_)) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the store stayed locked");
}

#[tokio::test]
async fn a_second_opener_is_told_that_the_store_is_open_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let _first = opened(folder.path(), NOW).await.unwrap();

    let second = opened(folder.path(), NOW).await;

    assert!(matches!(second, Err(OpenError::Locked(_))));
}

#[tokio::test]
async fn a_nonce_counts_once_also_after_a_clean_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(folder.path(), NOW).await.unwrap();
    // The first start of a new store has no past to be unsure of, but its own second.
    let first = store.claim_nonce(claim(NOW + 1, b"n", NOW + 1)).await.unwrap();
    store.close().await.unwrap();
    drop(store);

    let store = reopened(folder.path(), NOW + 2).await;

    assert_eq!(first, Claim::Fresh);
    assert_eq!(
        store.claim_nonce(claim(NOW + 1, b"n", NOW + 2)).await.unwrap(),
        Claim::Used
    );
    assert_eq!(
        store.claim_nonce(claim(NOW + 1, b"m", NOW + 2)).await.unwrap(),
        Claim::Fresh
    );
}

#[tokio::test]
async fn after_an_unclean_end_nothing_signed_before_the_restart_is_served_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(folder.path(), NOW).await.unwrap();
    assert_eq!(
        store.claim_nonce(claim(NOW + 5, b"n", NOW + 5)).await.unwrap(),
        Claim::Fresh
    );
    drop(store);

    let store = reopened(folder.path(), NOW + 10).await;

    assert_eq!(
        store.claim_nonce(claim(NOW + 5, b"n", NOW + 10)).await.unwrap(),
        Claim::Unsure
    );
    assert_eq!(
        store.claim_nonce(claim(NOW + 10, b"o", NOW + 10)).await.unwrap(),
        Claim::Unsure
    );
    assert_eq!(
        store.claim_nonce(claim(NOW + 11, b"p", NOW + 11)).await.unwrap(),
        Claim::Fresh
    );
}

#[tokio::test]
async fn a_client_whose_clock_is_ahead_is_not_replayable_after_an_unclean_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(folder.path(), NOW).await.unwrap();
    assert_eq!(
        store.claim_nonce(claim(NOW + 305, b"n", NOW + 5)).await.unwrap(),
        Claim::Fresh
    );
    drop(store);

    let store = reopened(folder.path(), NOW + 10).await;

    assert_eq!(
        store.claim_nonce(claim(NOW + 305, b"n", NOW + 12)).await.unwrap(),
        Claim::Unsure
    );
    assert_eq!(
        store.claim_nonce(claim(NOW + 312, b"o", NOW + 12)).await.unwrap(),
        Claim::Fresh
    );
}

#[tokio::test]
async fn a_store_whose_secrets_no_key_opens_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(opened(folder.path(), NOW).await.unwrap());
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    std::fs::write(
        folder.path().join("encryption.key"),
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    )
    .unwrap();

    let opened = opened(folder.path(), NOW).await;

    assert!(matches!(opened, Err(OpenError::WrongKey)));
}

#[tokio::test]
async fn of_many_claims_at_once_one_is_fresh() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(folder.path(), NOW).await.unwrap();

    let claims = (0..64).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.claim_nonce(claim(NOW + 1, b"n", NOW + 1)).await.unwrap() })
    });
    let mut fresh = 0;
    for claim in claims.collect::<Vec<_>>() {
        fresh += usize::from(claim.await.unwrap() == Claim::Fresh);
    }

    assert_eq!(fresh, 1);
}
