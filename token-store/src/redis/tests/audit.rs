//! Entries of the audit log that went or were damaged.

use super::{gateway, wait_until_it_serves};
use crate::audit::follows;
use crate::contract::make::entry;
use crate::servers::{Options, Server};

const LOG: &str = "{countersign}:audit";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_went_or_was_damaged_is_left_out_and_the_log_goes_on() {
    let server = Server::start(Options::default()).await;
    let store = gateway(&server.url()).await;
    wait_until_it_serves(&*store).await;
    for turn in 0..4 {
        store.append_audit(entry(&turn.to_string())).await.unwrap();
    }
    let whole = store.audit(0, 10).await.unwrap();

    server.command(&["HDEL", LOG, "2", "4"]).await;
    server.command(&["HSET", LOG, "3", "damaged"]).await;

    assert_eq!(store.audit(0, 10).await.unwrap(), whole[..1]);
    assert_eq!(store.audit_length().await.unwrap(), 4);
    let next = store.append_audit(entry("next")).await.unwrap();
    assert_eq!(next.number, 5);
    assert!(follows(Some(&whole[3].hash), &next));
    assert_eq!(store.audit(0, 2).await.unwrap(), [whole[0].clone(), next]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_what_is_kept_of_the_last_entry_the_log_goes_on_after_the_last_that_stands() {
    let server = Server::start(Options::default()).await;
    let store = gateway(&server.url()).await;
    wait_until_it_serves(&*store).await;
    for turn in 0..3 {
        store.append_audit(entry(&turn.to_string())).await.unwrap();
    }
    let whole = store.audit(0, 10).await.unwrap();

    for kept in [&["HDEL", LOG, "last"][..], &["HSET", LOG, "last", "damaged"]] {
        server.command(kept).await;

        assert_eq!(store.audit_length().await.unwrap(), 3 + u64::from(kept.len() == 4));
        let next = store.append_audit(entry("next")).await.unwrap();
        if kept.len() == 3 {
            assert_eq!(next.number, 4);
            assert!(follows(Some(&whole[2].hash), &next));
        } else {
            assert_eq!(next.number, 5);
        }
    }
}
