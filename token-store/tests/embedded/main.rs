//! The embedded store: what only it promises.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

mod crash;
mod damage;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use token_store::{
    Claim, ConsumerId, Grant, NewConsumer, NewIntegration, NonceClaim, OpenError, OpenOptions, Secret, Setup, Store,
    open,
};

const NOW: u64 = 1_800_000_000;

fn options(folder: &Path, now: u64) -> OpenOptions {
    OpenOptions {
        url: format!("embedded:{}", folder.display()),
        encryption_keys: Vec::new(),
        timeout: std::time::Duration::from_millis(250),
        connect_timeout: std::time::Duration::from_millis(250),
        cache: 1000,
        now,
        serves: false,
    }
}

async fn opened(folder: &Path, now: u64) -> Result<Arc<dyn Store>, OpenError> {
    open(&options(folder, now)).await
}

/// A new store, at `NOW`, that may have served somebody.
async fn opened_with_a_consumer(folder: &Path) -> Arc<dyn Store> {
    let store = opened(folder, NOW).await.unwrap();
    store.create_consumer(consumer("One", "one"), NOW).await.unwrap();
    store
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
async fn reopened(folder: &Path, now: u64) -> Arc<dyn Store> {
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
    let store = opened_with_a_consumer(folder.path()).await;
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
async fn what_was_served_is_not_served_again_by_a_clock_that_starts_behind_after_an_unclean_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened_with_a_consumer(folder.path()).await;
    let served = NOW + 300;
    let first = store.claim_nonce(claim(served, b"n", served)).await.unwrap();
    drop(store);

    let store = reopened(folder.path(), NOW).await;

    assert_eq!(first, Claim::Fresh);
    let again = store.claim_nonce(claim(served, b"n", NOW)).await.unwrap();
    assert_eq!(again, Claim::Unsure);
    // Also by the right clock, over a clean restart and another crash.
    store.close().await.unwrap();
    drop(store);
    drop(reopened(folder.path(), NOW).await);
    let store = reopened(folder.path(), NOW).await;
    let again = store.claim_nonce(claim(served, b"n", served)).await.unwrap();
    assert_eq!(again, Claim::Unsure);
    let later = store.claim_nonce(claim(served + 3, b"o", served + 3)).await.unwrap();
    assert_eq!(later, Claim::Fresh);
}

const A_DAY: u64 = 24 * 60 * 60;

#[tokio::test]
async fn a_floor_of_a_clock_that_was_ahead_is_told_and_lowered_to_what_was_served() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened_with_a_consumer(folder.path()).await;
    let served = store.claim_nonce(claim(NOW + 5, b"n", NOW + 5)).await.unwrap();
    drop(store);
    let store = reopened(folder.path(), NOW + A_DAY).await;
    store.close().await.unwrap();
    drop(store);

    let now = NOW + 20;
    let store = reopened(folder.path(), now).await;
    let unsure = store.claim_nonce(claim(now, b"o", now)).await.unwrap();
    let told = store.unsure_until(now);
    store.init().await.unwrap();

    assert_eq!((served, unsure, told), (Claim::Fresh, Claim::Unsure, Some(NOW + A_DAY)));
    assert_eq!(store.unsure_until(now), None);
    store.close().await.unwrap();
    drop(store);
    let store = reopened(folder.path(), now).await;
    for (timestamp, nonce, expected) in [
        (NOW + 5, b"n", Claim::Unsure),
        (now, b"p", Claim::Unsure),
        (now + 1, b"q", Claim::Fresh),
    ] {
        let claimed = store.claim_nonce(claim(timestamp, nonce, now + 1)).await.unwrap();
        assert_eq!(claimed, expected, "{timestamp}");
    }
}

#[tokio::test]
async fn a_floor_that_requests_were_served_behind_is_lowered_to_the_longest_window_and_stays_low() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened_with_a_consumer(folder.path()).await;
    let ahead = NOW + A_DAY;
    for (timestamp, nonce) in [(ahead, b"n"), (ahead + 30, b"o")] {
        let claimed = store.claim_nonce(claim(timestamp, nonce, ahead)).await.unwrap();
        assert_eq!(claimed, Claim::Fresh);
    }
    drop(store);

    let store = reopened(folder.path(), NOW).await;
    assert_eq!(store.unsure_until(NOW), Some(ahead + 2));
    store.init().await.unwrap();
    drop(store);

    // Also after a crash.
    let store = reopened(folder.path(), NOW + 1).await;
    for (timestamp, expected) in [(NOW + 900, Claim::Unsure), (NOW + 901, Claim::Fresh)] {
        let claimed = store.claim_nonce(claim(timestamp, b"p", NOW + 1)).await.unwrap();
        assert_eq!(claimed, expected, "{timestamp}");
    }
}

#[tokio::test]
async fn a_floor_within_the_longest_window_is_not_lowered() {
    let folder = tempfile::tempdir().unwrap();
    drop(opened_with_a_consumer(folder.path()).await);
    let store = reopened(folder.path(), NOW + 900).await;
    store.close().await.unwrap();
    drop(store);

    let store = reopened(folder.path(), NOW).await;
    store.init().await.unwrap();

    assert_eq!(store.unsure_until(NOW), Some(NOW + 900));
    let claimed = store.claim_nonce(claim(NOW + 900, b"n", NOW)).await.unwrap();
    assert_eq!(claimed, Claim::Unsure);
}

#[tokio::test]
async fn a_store_that_never_had_a_consumer_has_lost_nothing_with_an_unclean_end() {
    let folder = tempfile::tempdir().unwrap();
    drop(opened(folder.path(), NOW).await.unwrap());

    let store = reopened(folder.path(), NOW + 10).await;

    let old = claim(NOW - 590, b"n", NOW + 10);
    assert_eq!(store.claim_nonce(old).await.unwrap(), Claim::Fresh);
}

#[tokio::test]
async fn what_was_signed_before_an_import_is_unsure_after_clean_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(folder.path(), NOW).await.unwrap();
    store.raise_floor(NOW + 5).await.unwrap();
    store.close().await.unwrap();
    drop(store);

    let store = reopened(folder.path(), NOW + 10).await;

    for (timestamp, expected) in [(NOW + 5, Claim::Unsure), (NOW + 6, Claim::Fresh)] {
        let claimed = store.claim_nonce(claim(timestamp, b"n", NOW + 10)).await.unwrap();
        assert_eq!(claimed, expected, "{timestamp}");
    }
}

#[tokio::test]
async fn a_client_whose_clock_is_ahead_is_not_replayable_after_an_unclean_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened_with_a_consumer(folder.path()).await;
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
async fn what_a_crash_left_open_stays_so_over_clean_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened_with_a_consumer(folder.path()).await;
    for (timestamp, nonce) in [(NOW + 5, b"n"), (NOW + 305, b"o")] {
        let claimed = store.claim_nonce(claim(timestamp, nonce, NOW + 5)).await.unwrap();
        assert_eq!(claimed, Claim::Fresh);
    }
    drop(store);

    // The crash is met at ten; what follows ends as it should.
    for start in [NOW + 10, NOW + 20, NOW + 30] {
        let store = reopened(folder.path(), start).await;
        for (timestamp, nonce) in [(NOW + 5, b"n"), (NOW + 10, b"p"), (NOW + 305, b"o"), (NOW + 304, b"q")] {
            let claimed = store.claim_nonce(claim(timestamp, nonce, start)).await.unwrap();
            assert_eq!(claimed, Claim::Unsure, "{timestamp} after the start at {start}");
        }
        let other_token = NonceClaim {
            token: Some("another"),
            ..claim(start + 1, b"r", start + 1)
        };
        assert_eq!(store.claim_nonce(other_token).await.unwrap(), Claim::Fresh);
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_closed_store_takes_nothing_and_closes_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(folder.path(), NOW).await.unwrap();
    store.close().await.unwrap();

    assert!(store.claim_nonce(claim(NOW + 1, b"n", NOW + 1)).await.is_err());
    assert!(store.create_consumer(consumer("Late", "late"), NOW).await.is_err());
    assert!(store.check().await.is_err());
    store.close().await.unwrap();
}

#[tokio::test]
async fn of_claims_that_race_the_end_none_is_served_again_after_it() {
    for round in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let store = opened(folder.path(), NOW).await.unwrap();
        let claimants: Vec<_> = (0..2_u8)
            .map(|turn| {
                let store = Arc::clone(&store);
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    runtime.block_on(async {
                        let mut fresh = Vec::new();
                        for count in 0_u32.. {
                            let nonce = [&[turn][..], &count.to_be_bytes()].concat();
                            match store.claim_nonce(claim(NOW + 1, &nonce, NOW + 1)).await {
                                Ok(claimed) => assert_eq!(claimed, Claim::Fresh),
                                Err(_) => break,
                            }
                            fresh.push(nonce);
                        }
                        fresh
                    })
                })
            })
            .collect();
        tokio::time::sleep(std::time::Duration::from_millis(5 + round)).await;

        store.close().await.unwrap();

        let mut served = Vec::new();
        for claimant in claimants {
            served.extend(claimant.join().unwrap());
        }
        drop(store);
        let store = reopened(folder.path(), NOW + 2).await;
        for nonce in &served {
            let claimed = store.claim_nonce(claim(NOW + 1, nonce, NOW + 2)).await.unwrap();
            assert_eq!(claimed, Claim::Used);
        }
    }
}

#[tokio::test]
async fn files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("made/by/us");
    drop(opened(&inside, NOW).await.unwrap());

    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&inside), 0o700);
    assert_eq!(mode(&inside.join("store.redb")), 0o600);
    assert_eq!(mode(&inside.join("encryption.key")), 0o600);
}

#[tokio::test]
async fn a_store_that_lost_its_key_file_is_refused_and_no_new_key_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("encryption.key");
    drop(opened(folder.path(), NOW).await.unwrap());
    let saved = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();

    let mut refused = opened(folder.path(), NOW).await;
    for _ in 0..100 {
        if !matches!(refused, Err(OpenError::Locked(_))) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        refused = opened(folder.path(), NOW).await;
    }

    assert!(matches!(refused, Err(OpenError::WrongKey)));
    assert!(!key.exists(), "a second key would hide that the first is missing");
    std::fs::write(&key, saved).unwrap();
    drop(reopened(folder.path(), NOW).await);
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
