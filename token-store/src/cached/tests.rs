//! What memory keeps, and what it must not.

use super::*;
use crate::Change;
use crate::embedded::Embedded;

fn cached(entries: usize) -> (Cached, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let inner = Embedded::open(folder.path(), &[], 1).unwrap();
    (Cached::new(Arc::new(inner), entries), folder)
}

/// A bearer token of nobody in particular.
fn token(digest: &str) -> Arc<UserToken> {
    Arc::new(UserToken {
        digest: digest.to_owned(),
        user: User {
            kind: UserKind::Admin,
            id: 1,
        },
        created_at: 1,
        expires_at: None,
        upstream_token: None,
        is_beside_jwt: false,
    })
}

async fn read_through(cached: &Cached, digest: &str, read: impl Future<Output = Option<Arc<UserToken>>> + Send) {
    let read = async { Ok(read.await) };
    let (key, name) = (digest.to_owned(), absent_user_token(digest));
    drop(cached.through(&cached.kept.user_tokens, key, name, read).await.unwrap());
}

#[tokio::test]
async fn what_was_read_before_a_change_is_not_kept_after_it() {
    let (cached, _folder) = cached(10);

    read_through(&cached, "a", async {
        cached.kept.forget(&Change::UserToken { digest: "a".to_owned() });
        Some(token("a"))
    })
    .await;
    read_through(&cached, "b", async {
        cached.kept.forget(&Change::UserToken { digest: "b".to_owned() });
        None
    })
    .await;
    read_through(&cached, "c", async { Some(token("c")) }).await;

    assert!(cached.kept.user_tokens.get("a").is_none());
    assert!(cached.kept.absent.get(&absent_user_token("b")).is_none());
    assert!(cached.kept.user_tokens.get("c").is_some());
}

#[tokio::test]
async fn nothing_is_kept_or_believed_while_the_feed_is_silent() {
    let (cached, _folder) = cached(10);
    read_through(&cached, "kept", async { Some(token("kept")) }).await;
    cached.freshness.heard(0);

    read_through(&cached, "silent", async { Some(token("silent")) }).await;
    let believed = cached.user_token("kept").await.unwrap();

    assert!(cached.kept.user_tokens.get("silent").is_none());
    assert_eq!(believed, None, "the store has no such token");
}

#[tokio::test]
async fn memory_is_bounded_for_what_is_there_and_for_what_is_not() {
    let (cached, _folder) = cached(10);

    for number in 0..1000 {
        let digest = number.to_string();
        read_through(&cached, &digest, async { (number % 2 == 0).then(|| token("x")) }).await;
    }

    assert!(cached.kept.user_tokens.len() <= 10);
    assert!(cached.kept.absent.len() <= 10);
}
