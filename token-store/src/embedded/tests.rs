//! What only the store itself can do to its file.

use super::*;
use crate::contract::make::{THEN, consumer};

#[tokio::test]
async fn a_row_that_nobody_can_read_hides_no_other_and_can_be_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path(), &[], THEN).unwrap();
    let first = store.create_consumer(consumer("First"), THEN).await.unwrap().unwrap();
    let second = store.create_consumer(consumer("Second"), THEN).await.unwrap().unwrap();
    let of = |record: &ConsumerRecord| record.integration.as_ref().unwrap().id;
    let id = first.consumer.id.0;
    let junk = move |transaction: &WriteTransaction, _: &Sealer| {
        let mut table = transaction.open_table(tables::CONSUMERS).fault()?;
        table.insert(id, b"junk".as_slice()).fault()?;
        Ok(((), Vec::new()))
    };
    store.write(junk).await.unwrap();

    let listed = store.integrations().await.unwrap();
    let readable = store.drop_unreadable(of(&second)).await;
    let unreadable = store.drop_unreadable(of(&first)).await;

    assert_eq!(listed, [second]);
    assert!(matches!((readable, unreadable), (Ok(false), Ok(true))));
    assert!(store.consumer_by_integration(of(&first)).await.unwrap().is_none());
    // Its name is free again.
    assert!(store.create_consumer(consumer("First"), THEN).await.unwrap().is_some());
}
