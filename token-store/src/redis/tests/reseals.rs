//! Rows that are sealed anew while they are used: that is no change of what they say.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinSet;

use super::{options, wait_until_it_serves};
use crate::contract::make::{ALICE, THEN, account, consumer, delegated, user_token};
use crate::servers::{Options, Server};
use crate::{OpenOptions, Put, Store, UserKind};

/// Gateways that are to differ in which key is the first seal everything anew by turns, for as long as this lives.
struct Resealing {
    over: Arc<AtomicBool>,
    running: JoinSet<()>,
}

async fn resealing(server: &Server) -> (Arc<dyn Store>, Resealing) {
    let open = async |keys: [u8; 2]| {
        let options = OpenOptions {
            encryption_keys: keys.iter().map(|octet| [*octet; 32]).collect(),
            ..options(&server.url())
        };
        crate::open(&options).await.unwrap()
    };
    let store = open([7, 8]).await;
    wait_until_it_serves(&*store).await;
    let (over, mut running) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
    for keys in [[7, 8], [8, 7]] {
        let (store, over) = (open(keys).await, Arc::clone(&over));
        running.spawn(async move {
            while !over.load(Ordering::SeqCst) {
                store.reseal(&[]).await.unwrap();
            }
        });
    }
    (store, Resealing { over, running })
}

impl Resealing {
    async fn end(mut self) {
        self.over.store(true, Ordering::SeqCst);
        while let Some(ended) = self.running.join_next().await {
            ended.unwrap();
        }
    }
}

/// Each row is read and written so often that one of the two seals it anew between the two.
const TURNS: u64 = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_only_sealed_anew_meanwhile_did_not_change() {
    let server = Server::start(Options::default()).await;
    let (store, resealing) = resealing(&server).await;
    let mut record = store.create_consumer(consumer("First"), THEN).await.unwrap().unwrap();
    let account = store.create_account(account(UserKind::Admin, "jane"), THEN).await;
    let mut account = account.unwrap().unwrap();
    let mut row = delegated(record.consumer.id, "token");
    store.put_delegated(&row).await.unwrap();

    let mut changed = [0; 3];
    for _ in 0..TURNS {
        let puts = [
            store.update_consumer(&record).await.unwrap(),
            store.update_account(&account).await.unwrap(),
            store.replace_delegated("token", &row).await.unwrap(),
        ];
        for (put, (version, changed)) in puts.into_iter().zip(
            [&mut record.version, &mut account.version, &mut row.version]
                .into_iter()
                .zip(&mut changed),
        ) {
            match put {
                Put::Done(now) => *version = now,
                Put::Changed | Put::NameTaken => *changed += 1,
            }
        }
    }
    resealing.end().await;

    assert_eq!(changed, [0; 3], "consumer, account, delegated token");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bearer_token_ends_also_where_it_is_sealed_anew_meanwhile() {
    let server = Server::start(Options::default()).await;
    let (store, resealing) = resealing(&server).await;

    let mut lives_on = 0;
    for turn in 0..TURNS {
        let token = user_token(&turn.to_string(), ALICE, None);
        store.put_user_token(&token).await.unwrap();
        let ended = store.delete_user_token(&token.digest).await.unwrap();
        lives_on += u32::from(!ended || store.user_token(&token.digest).await.unwrap().is_some());
    }
    resealing.end().await;

    assert_eq!(lives_on, 0);
}
