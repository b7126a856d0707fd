//! Another process: killed in the middle of its work, holding the store, or out of disk.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use token_store::{Claim, ConsumerId, NonceClaim, OpenError, Put, Secret, Store, User, UserKind, UserToken};

use super::{NOW, claim, consumer, opened, reopened};

/// This test executable again, as a process of its own; what it acknowledges stands on its output line by line.
struct Other {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Other {
    /// `what` is one of the arms of [`other_process`].
    fn start(what: &str, folder: &Path, now: u64) -> Self {
        // A write beyond the limit of a file's size must be an error, not a signal.
        let mut child = Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
            .arg(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "crash::other_process", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        writeln!(child.stdin.as_mut().unwrap(), "{what}\n{now}\n{}", folder.display()).unwrap();
        Self { child, lines }
    }

    /// The next thing it acknowledged; `None`: it has ended.
    fn next(&mut self) -> Option<String> {
        self.lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, acknowledged) = line.split_once("ack ")?;
            Some(acknowledged.to_owned())
        })
    }

    /// kill -9; all that it acknowledged and nobody has read yet.
    fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::iter::from_fn(|| self.next()).collect()
    }
}

#[test]
#[ignore = "the other process: the tests below start it"]
fn other_process() {
    let mut lines = std::io::stdin().lines();
    let mut line = || lines.next().unwrap().unwrap();
    let (what, now, folder) = (line(), line().parse().unwrap(), line());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = opened(folder.as_ref(), now).await.unwrap();
        println!("ack opened");
        match what.as_str() {
            "write" => write_for_ever(store, now).await,
            "hold" => drop(line()),
            "fill" => fill(store, now).await,
            other => panic!("{other}"),
        }
    });
}

/// Writes of several kinds at once, each acknowledged only after the store did.
async fn write_for_ever(store: Arc<dyn Store>, now: u64) {
    let writers: Vec<_> = (0..8)
        .map(|turn| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for count in 0.. {
                    let name = format!("{now}-{turn}-{count}");
                    write_one(&*store, &name, now).await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

async fn write_one(store: &dyn Store, name: &str, now: u64) {
    let mut made = store.create_consumer(consumer(name, name), now).await.unwrap().unwrap();
    println!("ack consumer {name}");
    made.consumer.secret = Secret::new(name);
    assert_eq!(store.update_consumer(&made).await.unwrap(), Put::Done(2));
    println!("ack updated {name}");
    store.put_user_token(&user_token(name)).await.unwrap();
    println!("ack token {name}");
    let ahead = now + 1 + u64::try_from(name.len() % 2).unwrap() * 300;
    let claimed = store.claim_nonce(nonce(name, ahead, now)).await.unwrap();
    assert_eq!(claimed, Claim::Fresh);
    println!("ack nonce {name} {ahead}");
}

fn user_token(name: &str) -> UserToken {
    UserToken {
        digest: name.to_owned(),
        user: User {
            kind: UserKind::Customer,
            id: 1,
        },
        created_at: NOW,
        expires_at: None,
        upstream_token: None,
        is_beside_jwt: false,
    }
}

/// A nonce of a token of its own.
fn nonce(name: &str, timestamp: u64, now: u64) -> NonceClaim<'_> {
    NonceClaim {
        consumer: ConsumerId(1),
        token: Some(name),
        timestamp,
        nonce: name.as_bytes(),
        now,
    }
}

#[tokio::test]
async fn a_kill_loses_nothing_that_was_acknowledged_and_no_nonce_counts_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..12 {
        let now = NOW + round * 2;
        let mut other = Other::start("write", folder.path(), now);
        // Each time at another moment.
        for _ in 0..20 + round * 17 {
            acknowledged.push(other.next().unwrap());
        }
        acknowledged.extend(other.kill());
    }

    let now = NOW + 24;
    let store = opened(folder.path(), now).await.unwrap();
    let mut counts = BTreeMap::new();
    for line in &acknowledged {
        let words: Vec<&str> = line.split(' ').collect();
        *counts.entry(words[0].to_owned()).or_insert(0) += 1;
        match words[..] {
            ["opened"] => {}
            ["consumer", name] => assert!(store.consumer_by_key(name).await.unwrap().is_some(), "{line}"),
            ["updated", name] => {
                let record = store.consumer_by_name(name).await.unwrap().unwrap();
                assert_eq!((record.version, record.consumer.secret.expose()), (2, name), "{line}");
            }
            ["token", name] => assert_eq!(*store.user_token(name).await.unwrap().unwrap(), user_token(name)),
            ["nonce", name, timestamp] => {
                let again = nonce(name, timestamp.parse().unwrap(), now);
                assert_eq!(store.claim_nonce(again).await.unwrap(), Claim::Unsure, "{line}");
            }
            _ => panic!("{line}"),
        }
    }
    for (what, least) in [("consumer", 100), ("updated", 100), ("token", 100), ("nonce", 100)] {
        assert!(counts[what] > least, "{counts:?}");
    }
}

#[tokio::test]
async fn a_store_is_refused_to_a_second_process_until_the_first_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let mut other = Other::start("hold", folder.path(), NOW);
    assert_eq!(other.next().as_deref(), Some("opened"));

    let refused = opened(folder.path(), NOW).await;
    other.kill();
    let opened = opened(folder.path(), NOW).await;

    assert!(matches!(&refused, Err(OpenError::Locked(which)) if which.contains(&*folder.path().to_string_lossy())));
    assert!(opened.is_ok());
}

/// Fills the disk, as far as a limit on the size of files is a full disk, and frees it again.
async fn fill(store: Arc<dyn Store>, now: u64) {
    let unlimited = getrlimit(Resource::Fsize);
    let limit = Rlimit {
        current: Some(3 * 1024 * 1024),
        ..unlimited
    };
    setrlimit(Resource::Fsize, limit).unwrap();
    let mut made = Vec::new();
    let fault = loop {
        let name = format!("{}-{}", made.len(), "x".repeat(20_000));
        match store
            .create_consumer(consumer(&name, &made.len().to_string()), now)
            .await
        {
            Ok(record) => made.push(record.unwrap()),
            Err(fault) => break fault,
        }
    };
    println!("ack full {fault}");
    // What is there is read, once the file was opened again.
    let mut found = store.consumer_by_key("0").await;
    for _ in 0..300 {
        if found.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        drop(store.check().await);
        found = store.consumer_by_key("0").await;
    }
    assert_eq!(*found.unwrap().unwrap(), made[0]);
    println!("ack readable");
    setrlimit(Resource::Fsize, unlimited).unwrap();
    for _ in 0..300 {
        if store.check().await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    store.check().await.unwrap();
    let claimed = store.claim_nonce(claim(now + 5, b"n", now + 1)).await.unwrap();
    assert_eq!(claimed, Claim::Fresh);
    for record in &made {
        assert_eq!(*store.consumer(record.consumer.id).await.unwrap().unwrap(), *record);
    }
    println!("ack recovered {}", made.len());
    store.close().await.unwrap();
    println!("ack closed");
}

#[tokio::test]
async fn a_full_disk_refuses_writes_loses_nothing_and_serves_again_when_it_has_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut other = Other::start("fill", folder.path(), NOW);

    let said: Vec<String> = std::iter::from_fn(|| other.next()).collect();
    other.child.wait().unwrap();

    let said: Vec<&str> = said.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(said, ["opened", "full", "readable", "recovered", "closed"]);
    let store = reopened(folder.path(), NOW + 10).await;
    let replayed = store.claim_nonce(claim(NOW + 5, b"n", NOW + 10)).await.unwrap();
    assert_eq!(replayed, Claim::Used);
}
