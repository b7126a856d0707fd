//! Lists of integrations.

use super::Stores;
use super::make::{THEN, access, consumer, lone_consumer, renamed};
use crate::{ConsumerRecord, IntegrationQuery, IntegrationSort, OwnToken, Put, Secret, Status};

const SORTS: [IntegrationSort; 4] = [
    IntegrationSort::Id,
    IntegrationSort::Name,
    IntegrationSort::Status,
    IntegrationSort::UpdatedAt,
];

/// Integrations whose order by number, name, state and change all differ, with ties in the last two.
async fn seven(stores: &Stores) -> Vec<ConsumerRecord> {
    let names = ["delta", "Alpha", "echo", "Bravo", "bravo2", "Foxtrot", "charlie"];
    let states = [Status::Active, Status::Inactive, Status::Recreated];
    let mut records = Vec::new();
    for (place, name) in names.iter().enumerate() {
        let mut record = stores.one.create_consumer(consumer(name), THEN).await.unwrap().unwrap();
        if let Some(integration) = &mut record.integration {
            integration.status = states[place % 3];
            integration.updated_at = THEN + [30, 10, 20, 10, 30, 5, 10][place];
        }
        assert_eq!(stores.one.update_consumer(&record).await.unwrap(), Put::Done(2));
        record.version = 2;
        records.push(record);
    }
    records
}

fn name(record: &ConsumerRecord) -> &str {
    &record.integration.as_ref().unwrap().definition.name
}

fn query(sort: IntegrationSort, descending: bool, limit: usize) -> IntegrationQuery {
    IntegrationQuery {
        sort,
        descending,
        limit,
        ..IntegrationQuery::default()
    }
}

/// All pages, one after the other.
async fn all_pages(stores: &Stores, mut query: IntegrationQuery) -> Vec<ConsumerRecord> {
    let mut all = Vec::new();
    loop {
        let page = stores.one.list_integrations(&query).await.unwrap();
        assert!(page.items.len() <= query.limit);
        all.extend(page.items);
        match page.next {
            Some(next) => query.after = Some(next),
            None => return all,
        }
        assert!(all.len() < 100, "the pages never end");
    }
}

pub(crate) async fn each_order_sorts_by_its_key_and_ties_by_number(stores: &Stores) {
    let records = seven(stores).await;

    for sort in SORTS {
        let key = |record: &ConsumerRecord| {
            let integration = record.integration.as_ref().unwrap();
            let text = match sort {
                IntegrationSort::Name => integration.definition.name.to_lowercase(),
                IntegrationSort::Id | IntegrationSort::Status | IntegrationSort::UpdatedAt => String::new(),
            };
            let number = match sort {
                IntegrationSort::Status => integration.status as u64,
                IntegrationSort::UpdatedAt => integration.updated_at,
                IntegrationSort::Id | IntegrationSort::Name => 0,
            };
            (text, number, integration.id)
        };
        let mut expected = records.clone();
        expected.sort_by_key(key);

        let listed = stores.one.list_integrations(&query(sort, false, 100)).await.unwrap();
        let reversed = stores.one.list_integrations(&query(sort, true, 100)).await.unwrap();

        assert_eq!(listed.items, expected, "{sort:?}");
        expected.reverse();
        assert_eq!(reversed.items, expected, "{sort:?} descending");
        assert_eq!((listed.next, listed.total), (None, 7));
    }
}

pub(crate) async fn pages_hold_everything_once_in_every_order(stores: &Stores) {
    seven(stores).await;

    for sort in SORTS {
        for descending in [false, true] {
            let whole = stores
                .one
                .list_integrations(&query(sort, descending, 100))
                .await
                .unwrap();
            for limit in [1, 2, 3, 7] {
                let pages = all_pages(stores, query(sort, descending, limit)).await;
                assert_eq!(pages, whole.items, "{sort:?}, descending {descending}, {limit} a page");
            }
        }
    }
}

pub(crate) async fn rows_that_come_and_go_between_pages_shift_nothing(stores: &Stores) {
    let records = seven(stores).await;

    for (sort, descending) in SORTS.into_iter().flat_map(|sort| [(sort, false), (sort, true)]) {
        let mut rest = query(sort, descending, 3);
        let first = stores.one.list_integrations(&rest).await.unwrap();
        let whole = stores
            .one
            .list_integrations(&query(sort, descending, 100))
            .await
            .unwrap()
            .items;
        // The row that ended the page goes, and one comes, before the cursor in some orders and behind it in others.
        let last = &first.items[2];
        let mut comes = consumer("aaa");
        comes.key = format!("{sort:?} {descending}");
        let come = stores.one.create_consumer(comes, THEN - 1).await.unwrap().unwrap();
        stores.one.delete_consumer(last.consumer.id, None).await.unwrap();

        rest.after = first.next;
        let second = all_pages(stores, rest).await;

        let expected: Vec<&str> = whole.iter().skip(3).map(name).collect();
        let listed: Vec<&str> = second.iter().map(name).filter(|name| *name != "aaa").collect();
        assert_eq!(listed, expected, "{sort:?} {descending}");
        // As it was, for the next order.
        stores.one.delete_consumer(come.consumer.id, None).await.unwrap();
        let again = records.iter().find(|record| name(record) == name(last)).unwrap();
        let again = ConsumerRecord {
            version: 1,
            ..again.clone()
        };
        stores.one.create_consumers(vec![again]).await.unwrap();
    }
}

pub(crate) async fn a_list_is_filtered_by_part_of_the_name_and_by_state(stores: &Stores) {
    seven(stores).await;
    let with = |part: Option<&str>, status| IntegrationQuery {
        name_contains: part.map(str::to_owned),
        status,
        sort: IntegrationSort::Name,
        limit: 1,
        ..IntegrationQuery::default()
    };

    let by_part = all_pages(stores, with(Some("BRAVO"), None)).await;
    let by_state = all_pages(stores, with(None, Some(Status::Active))).await;
    let by_both = stores
        .one
        .list_integrations(&with(Some("a"), Some(Status::Active)))
        .await
        .unwrap();
    let by_pattern = stores.one.list_integrations(&with(Some("*"), None)).await.unwrap();

    assert_eq!(by_part.iter().map(name).collect::<Vec<_>>(), ["Bravo", "bravo2"]);
    assert_eq!(
        by_state.iter().map(name).collect::<Vec<_>>(),
        ["Bravo", "charlie", "delta"]
    );
    assert_eq!(by_both.total, 3, "the total counts all that match, not the page");
    assert_eq!(by_both.items.len(), 1);
    assert_eq!((by_pattern.total, by_pattern.items.len()), (0, 0));
}

pub(crate) async fn a_list_of_those_in_clear_has_each_with_a_url_of_http(stores: &Stores) {
    for (name, endpoint, identity_link_url) in [
        ("secure", Some("https://a.example/cb"), Some("https://a.example/in")),
        ("endpoint", Some("HTTP://a.example/cb"), None),
        ("link", Some("https://a.example/cb"), Some("http://a.example/in")),
        ("none", None, None),
    ] {
        let mut new = consumer(name);
        if let Some(integration) = &mut new.integration {
            integration.endpoint = endpoint.map(str::to_owned);
            integration.identity_link_url = identity_link_url.map(str::to_owned);
        }
        stores.one.create_consumer(new, THEN).await.unwrap();
    }
    let in_clear = IntegrationQuery {
        in_clear: true,
        ..query(IntegrationSort::Id, false, 10)
    };

    let listed = stores.one.list_integrations(&in_clear).await.unwrap();

    assert_eq!(listed.total, 2);
    assert_eq!(listed.items.iter().map(name).collect::<Vec<_>>(), ["endpoint", "link"]);
}

pub(crate) async fn a_list_of_exchanges_under_way_has_those_without_access_token(stores: &Stores) {
    let verifier = || Secret::new("v".repeat(32));
    let posted = OwnToken::Verifier {
        verifier: verifier(),
        created_at: THEN,
    };
    let fetched = OwnToken::Request {
        token: "r".repeat(32),
        secret: Secret::new("s".repeat(32)),
        verifier: verifier(),
        created_at: THEN,
        expires_at: THEN + 60,
    };
    for (name, token) in [
        ("none", None),
        ("posted", Some(posted)),
        ("fetched", Some(fetched)),
        ("done", Some(access("d"))),
    ] {
        let mut record = stores.one.create_consumer(consumer(name), THEN).await.unwrap().unwrap();
        record.token = token;
        assert_eq!(stores.one.update_consumer(&record).await.unwrap(), Put::Done(2));
    }
    let under_way = IntegrationQuery {
        exchanging: true,
        ..query(IntegrationSort::Id, false, 10)
    };

    let listed = stores.one.list_integrations(&under_way).await.unwrap();

    assert_eq!(listed.total, 2);
    assert_eq!(listed.items.iter().map(name).collect::<Vec<_>>(), ["posted", "fetched"]);
}

pub(crate) async fn consumers_without_integration_are_not_listed(stores: &Stores) {
    stores.one.create_consumer(lone_consumer("lone"), THEN).await.unwrap();
    let listed = stores
        .one
        .create_consumer(consumer("Listed"), THEN)
        .await
        .unwrap()
        .unwrap();

    let page = stores
        .one
        .list_integrations(&query(IntegrationSort::Id, false, 10))
        .await
        .unwrap();

    assert_eq!(page.items, [listed]);
    assert_eq!(page.total, 1);
}

pub(crate) async fn a_list_shows_an_update_at_once(stores: &Stores) {
    let record = stores
        .one
        .create_consumer(consumer("Before"), THEN)
        .await
        .unwrap()
        .unwrap();
    stores.one.update_consumer(&renamed(record, "After")).await.unwrap();

    let page = stores
        .one
        .list_integrations(&query(IntegrationSort::Name, false, 10))
        .await
        .unwrap();

    assert_eq!(page.items.iter().map(name).collect::<Vec<_>>(), ["After"]);
}

pub(crate) async fn a_page_has_at_least_one_row_whatever_is_asked(stores: &Stores) {
    seven(stores).await;
    let mut made_up = query(IntegrationSort::Name, false, 5);
    made_up.after = Some("nobody made this cursor \u{10ffff}".to_owned());

    let none = stores
        .one
        .list_integrations(&query(IntegrationSort::Id, false, 0))
        .await
        .unwrap();
    let most = stores
        .one
        .list_integrations(&query(IntegrationSort::Id, false, usize::MAX))
        .await
        .unwrap();
    let made_up = stores.one.list_integrations(&made_up).await.unwrap();

    assert_eq!(none.items.len(), 1);
    assert!(none.next.is_some());
    assert_eq!((most.items.len(), most.next), (7, None));
    assert_eq!(made_up.total, 7);
}
