//! Counters that are behind the rows: whatever left them there, nothing that stands is overwritten.

use super::gateway;
use crate::UserKind;
use crate::contract::make::{THEN, account, consumer, lone_consumer};
use crate::servers::{Options, Server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_is_taken_is_given_to_nobody_else() {
    let server = Server::start(Options::default()).await;
    let store = gateway(&server.url()).await;
    let (mut consumers, mut accounts) = (Vec::new(), Vec::new());
    for turn in 0..40 {
        let new = consumer(&turn.to_string());
        consumers.push(store.create_consumer(new, THEN).await.unwrap().unwrap());
        let new = account(UserKind::Admin, &turn.to_string());
        accounts.push(store.create_account(new, THEN).await.unwrap().unwrap());
    }

    // As an import leaves them that dies before it has raised them.
    let counters = [
        &["HDEL", "{countersign}:counters", "consumer"][..],
        &["HDEL", "{countersign}:counters", "integration"],
        &["HSET", "{countersign}:counters", "admin", "7"],
    ];
    for behind in counters {
        server.command(behind).await;
    }
    for turn in 0..3 {
        let new = consumer(&format!("later {turn}"));
        consumers.push(store.create_consumer(new, THEN).await.unwrap().unwrap());
        let new = lone_consumer(&format!("lone {turn}"));
        consumers.push(store.create_consumer(new, THEN).await.unwrap().unwrap());
        let new = account(UserKind::Admin, &format!("later {turn}"));
        accounts.push(store.create_account(new, THEN).await.unwrap().unwrap());
    }

    for made in &consumers {
        assert_eq!(*store.consumer(made.consumer.id).await.unwrap().unwrap(), *made);
        if let Some(integration) = &made.integration {
            let found = store.consumer_by_integration(integration.id).await.unwrap();
            assert_eq!(*found.unwrap(), *made);
        }
    }
    assert_eq!(store.accounts(UserKind::Admin).await.unwrap(), accounts);
}
