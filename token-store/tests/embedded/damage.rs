//! A file that was cut, overwritten or never was a store: the start says so, and nothing is read wrong.

use std::path::{Path, PathBuf};

use token_store::embedded::inspect::inspect;
use token_store::{NewConsumer, OpenError, OpenOptions};

use super::{NOW, consumer, opened, options, reopened};

const CONSUMERS: usize = 40;

/// A store with some records, closed; its file, and the names in it.
async fn closed(folder: &Path) -> PathBuf {
    let store = opened(folder, NOW).await.unwrap();
    for turn in 0..CONSUMERS {
        let new: NewConsumer = consumer(&format!("name {turn}"), &format!("key {turn}"));
        store.create_consumer(new, NOW).await.unwrap().unwrap();
    }
    store.close().await.unwrap();
    drop(store);
    // The file is let go a moment later.
    drop(reopened(folder, NOW).await);
    folder.join("store.redb")
}

/// Opens a damaged store: a fault, or a store whose every answer is an error, nothing, or the truth.
async fn is_refused_or_true(folder: &Path, what: &str) -> bool {
    let store = match opened(folder, NOW).await {
        Ok(store) => store,
        Err(OpenError::File(path, _) | OpenError::Damaged(path, _)) => {
            assert!(path.contains("store.redb"), "{what}: {path}");
            return true;
        }
        Err(OpenError::WrongKey | OpenError::Store(_)) => return true,
        Err(error) => panic!("{what}: {error}"),
    };
    for turn in 0..CONSUMERS {
        if let Ok(Some(found)) = store.consumer_by_key(&format!("key {turn}")).await {
            assert_eq!(found.consumer.key, format!("key {turn}"), "{what}");
            let integration = found.integration.as_ref().unwrap();
            assert_eq!(integration.definition.name, format!("name {turn}"), "{what}");
            assert_eq!(
                found.consumer.secret.expose(),
                "the-consumer-secret-in-the-file!",
                "{what}"
            );
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_bits_turned_is_refused_or_read_right() {
    let folder = tempfile::tempdir().unwrap();
    let file = closed(folder.path()).await;
    let whole = std::fs::read(&file).unwrap();
    let key = std::fs::read(folder.path().join("encryption.key")).unwrap();
    // The header octet by octet, the rest by samples where something is written.
    let written = |place: &usize| whole[*place] != 0;
    let places = (0..320).chain((320..whole.len()).step_by(997).filter(written));

    for place in places {
        let damaged = tempfile::tempdir().unwrap();
        let mut octets = whole.clone();
        octets[place] ^= 0x55;
        std::fs::write(damaged.path().join("store.redb"), octets).unwrap();
        std::fs::write(damaged.path().join("encryption.key"), &key).unwrap();

        is_refused_or_true(damaged.path(), &format!("octet {place}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_cut_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = closed(folder.path()).await;
    let whole = std::fs::read(&file).unwrap();
    let key = std::fs::read(folder.path().join("encryption.key")).unwrap();

    for length in [
        1,
        100,
        4096,
        whole.len() / 4,
        whole.len() / 2,
        whole.len() - 4096,
        whole.len() - 1,
    ] {
        let damaged = tempfile::tempdir().unwrap();
        std::fs::write(damaged.path().join("store.redb"), &whole[..length]).unwrap();
        std::fs::write(damaged.path().join("encryption.key"), &key).unwrap();

        let refused = is_refused_or_true(damaged.path(), &format!("cut at {length}")).await;
        assert!(refused, "cut at {length}");
    }
}

/// The file is let go a moment after the last store.
async fn opened_and_closed(options: &OpenOptions) -> Result<(), OpenError> {
    loop {
        match token_store::open(options).await {
            Ok(store) => return Ok(store.close().await?),
            Err(OpenError::Locked(_)) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            Err(error) => return Err(error),
        }
    }
}

#[tokio::test]
async fn a_key_without_its_store_is_no_first_start() {
    for emptied in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let file = closed(folder.path()).await;
        while let Err(OpenError::Locked(_)) = inspect(folder.path(), &[]) {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        if emptied {
            std::fs::write(&file, "").unwrap();
        } else {
            std::fs::remove_file(&file).unwrap();
        }

        let refused = opened(folder.path(), NOW).await;
        let inspected = inspect(folder.path(), &[]);

        assert!(matches!(refused, Err(OpenError::Emptied(_))), "emptied: {emptied}");
        assert!(matches!(inspected, Err(OpenError::Emptied(_))), "emptied: {emptied}");
        std::fs::remove_file(folder.path().join("encryption.key")).unwrap();
        opened_and_closed(&options(folder.path(), NOW)).await.unwrap();
    }
}

#[tokio::test]
async fn a_key_that_was_ever_the_first_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let with = async |keys: &[u8]| {
        let options = OpenOptions {
            encryption_keys: keys.iter().map(|octet| [*octet; 32]).collect(),
            ..options(folder.path(), NOW)
        };
        opened_and_closed(&options).await
    };
    with(&[7, 9]).await.unwrap();
    with(&[8, 7]).await.unwrap();

    let fallen_back = with(&[7]).await;

    assert!(matches!(fallen_back, Err(OpenError::KeyMissing)), "{fallen_back:?}");
    let inspected = inspect(folder.path(), &[[7; 32]]);
    assert!(matches!(inspected, Err(OpenError::KeyMissing)), "{inspected:?}");
    with(&[7, 8]).await.unwrap();
}

#[tokio::test]
async fn what_never_was_a_store_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    let text = "a text that somebody keeps under that name\n".repeat(500);
    std::fs::write(&file, &text).unwrap();

    let refused = opened(folder.path(), NOW).await;

    assert!(matches!(refused, Err(OpenError::Damaged(path, _)) if path.ends_with("store.redb")));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

#[tokio::test]
async fn a_key_file_that_holds_no_key_is_named() {
    let folder = tempfile::tempdir().unwrap();
    closed(folder.path()).await;
    for text in ["", "AAAA", "not base64 at all", &"A".repeat(100)] {
        std::fs::write(folder.path().join("encryption.key"), text).unwrap();

        let mut refused = opened(folder.path(), NOW).await;
        while matches!(refused, Err(OpenError::Locked(_))) {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            refused = opened(folder.path(), NOW).await;
        }

        assert!(
            matches!(refused, Err(OpenError::File(path, _)) if path.ends_with("encryption.key")),
            "{text:?}"
        );
    }
}
