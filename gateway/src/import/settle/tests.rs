use std::collections::BTreeMap;
use std::time::Duration;

use token_store::embedded::Embedded;
use token_store::{NewConsumer, NewIntegration};

use super::*;
use crate::authorize::resources::ResourceTree;
use crate::config::Resource;
use crate::import::crypt::Keys;
use crate::import::dump::{self, tests::ROWS};
use crate::import::live;

/// What `[[integrations]]` says of one that is called so.
fn defined() -> NewIntegration {
    NewIntegration {
        name: "Defined".to_owned(),
        email: String::new(),
        endpoint: None,
        identity_link_url: None,
        setup: Setup::Config,
        grant: Grant::Listed(BTreeSet::from(["Magento_Sales::sales".to_owned()])),
        signature_methods: None,
        rsa_public_key: None,
        two_legged: false,
        placements: None,
        callback_urls: Vec::new(),
        flags: BTreeSet::new(),
    }
}

/// The rows of an export; both integrations of it are manual ones.
fn wanted(text: &str) -> Vec<Wanted> {
    let ids = [
        "Magento_Backend::admin",
        "Magento_Catalog::products",
        "Magento_Sales::sales",
    ];
    let tree = ResourceTree::new(&ids.map(|id| Resource {
        id: id.to_owned(),
        title: id.to_owned(),
        parent: None,
        order: 0,
    }));
    let ground = live::Ground {
        file: Arc::from("dump.sql"),
        tree: &tree,
        configured: BTreeMap::from([("Defined".to_owned(), defined())]),
        request_token_lifetime: Duration::from_secs(60),
    };
    live::records(
        &dump::read(text.as_bytes(), "").unwrap(),
        &Keys::none(),
        &ground,
        &mut Vec::new(),
    )
    .unwrap()
}

fn store() -> (tempfile::TempDir, Arc<dyn Store>) {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(&folder.path().join("store"), &[], 1_000).unwrap();
    (folder, Arc::new(store))
}

async fn settle(store: &Arc<dyn Store>, text: &str, update: bool) -> Plan {
    let plan = plan(Some(store), wanted(text), update).await.unwrap();
    carry_out(store, &plan, 2_000).await.unwrap();
    plan
}

fn why(plan: &Plan) -> Vec<&str> {
    plan.notes.iter().map(|note| note.why.as_str()).collect()
}

#[tokio::test]
async fn the_first_run_makes_everything_and_the_second_nothing() {
    let (_folder, store) = store();

    let first = settle(&store, ROWS, false).await;
    let second = settle(&store, ROWS, false).await;

    assert_eq!(
        (
            first.create.len(),
            first.update.len(),
            first.unchanged,
            first.notes.len()
        ),
        (2, 0, 0, 0)
    );
    assert_eq!(
        (
            second.create.len(),
            second.update.len(),
            second.unchanged,
            second.notes.len()
        ),
        (0, 0, 2, 0)
    );
    let stands = store.consumer_by_integration(IntegrationId(7)).await.unwrap().unwrap();
    assert_eq!((stands.consumer.id, stands.version), (ConsumerId(70), 1));
    assert_eq!(
        stands.token.as_ref().and_then(OwnToken::token),
        Some("tttttttttttttttttttttttttttttt70")
    );
    assert_eq!(
        store
            .consumer_of_token("tttttttttttttttttttttttttttttt70")
            .await
            .unwrap(),
        Some(ConsumerId(70))
    );
    // What is made next gets a number that was never one.
    let audit = store.audit(0, 10).await.unwrap();
    assert_eq!(audit.len(), 2);
    assert_eq!(
        (audit[0].entry.action.as_str(), audit[0].entry.subject.as_str()),
        ("integration.imported", "integration/7")
    );
    let shown = serde_json::to_string(&audit).unwrap();
    assert!(
        !shown.contains("sssss") && !shown.contains("uuuuu") && !shown.contains("vvvvv"),
        "{shown}"
    );
}

#[tokio::test]
async fn what_was_changed_since_stays_unless_the_export_shall_win() {
    let (_folder, store) = store();
    settle(&store, ROWS, false).await;
    let mut record = (*store.consumer(ConsumerId(70)).await.unwrap().unwrap()).clone();
    record.consumer.secret = Secret::new("rotatedrotatedrotatedrotated0000");
    record
        .integration
        .as_mut()
        .unwrap()
        .definition
        .flags
        .insert("mastercard".to_owned());
    assert_eq!(store.update_consumer(&record).await.unwrap(), Put::Done(2));

    let left = settle(&store, ROWS, false).await;
    assert_eq!(
        why(&left),
        ["the store has it with another consumer secret: left as it is there; --update takes the export's"]
    );
    assert_eq!(left.notes[0].weight, Weight::NotCarried);
    assert_eq!(store.consumer(ConsumerId(70)).await.unwrap().unwrap().version, 2);

    let won = settle(&store, ROWS, true).await;
    assert_eq!((won.create.len(), won.update.len(), won.unchanged), (0, 1, 1));
    let stands = store.consumer(ConsumerId(70)).await.unwrap().unwrap();
    assert_eq!(
        (stands.version, stands.consumer.secret.expose()),
        (3, "ssssssssssssssssssssssssssssss70")
    );
    assert!(
        stands
            .integration
            .as_ref()
            .unwrap()
            .definition
            .flags
            .contains("mastercard")
    );
}

#[tokio::test]
async fn numbers_that_are_taken_are_replaced_by_fresh_ones() {
    let (_folder, store) = store();
    let other = ROWS
        .replace("kkkkkkkk", "qqqqqqqq")
        .replace("tttttttt", "pppppppp")
        .replace("'Shop sync'", "'Other'")
        .replace("'All'", "'Another'");
    settle(&store, &other, false).await;

    let plan = settle(&store, ROWS, false).await;

    assert_eq!(
        why(&plan),
        [
            "consumer number 70 is taken in the store: it gets 81; integration number 7 is taken in the store: it gets 9",
            "consumer number 80 is taken in the store: it gets 82; integration number 8 is taken in the store: it gets 10",
        ]
    );
    let stands = store.consumer_by_name("Shop sync").await.unwrap().unwrap();
    let integration = stands.integration.as_ref().unwrap();
    assert_eq!(
        (stands.consumer.id, integration.id, integration.consumer_id),
        (ConsumerId(81), IntegrationId(9), ConsumerId(81))
    );
    assert_eq!(settle(&store, ROWS, false).await.unchanged, 2);
}

#[tokio::test]
async fn a_name_or_token_of_another_consumer_is_never_taken_over() {
    let (_folder, store) = store();
    let named = ROWS.replace("kkkkkkkk", "qqqqqqqq").replace("tttttttt", "pppppppp");
    let with_token = ROWS
        .replace("kkkkkkkk", "qqqqqqqq")
        .replace("'Shop sync'", "'Other'")
        .replace("'All'", "'Another'");
    for other in [named, with_token] {
        let (_folder, store) = self::store();
        settle(&store, &other, false).await;

        let plan = settle(&store, ROWS, true).await;

        assert!(
            plan.notes
                .iter()
                .any(|note| note.weight == Weight::NotCarried && note.what == "integration \"Shop sync\"")
        );
        let stands = store
            .consumer_of_token("tttttttttttttttttttttttttttttt70")
            .await
            .unwrap();
        assert!(stands.is_none_or(|id| id == ConsumerId(70)));
    }
    drop(store);
}

#[tokio::test]
async fn what_the_gateway_made_of_a_definition_gives_way_to_the_live_one_unless_it_is_in_use() {
    let rows = ROWS.replace("'All'", "'Defined'");
    let placeholder = || NewConsumer {
        name: None,
        key: "pppppppppppppppppppppppppppppppp".to_owned(),
        secret: Secret::new("qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq"),
        callback_url: None,
        rejected_callback_url: None,
        integration: Some(defined()),
    };
    let (_folder, store) = store();
    store.create_consumer(placeholder(), 1_000).await.unwrap().unwrap();

    let plan = settle(&store, &rows, false).await;

    assert_eq!((plan.create.len(), plan.replace.len()), (2, 1));
    let stands = store.consumer_by_name("Defined").await.unwrap().unwrap();
    assert_eq!(
        (stands.consumer.id, stands.consumer.key.as_str()),
        (ConsumerId(80), "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkk80")
    );
    assert_eq!(stands.integration.as_ref().unwrap().definition, defined());
    assert!(
        store
            .consumer_by_key("pppppppppppppppppppppppppppppppp")
            .await
            .unwrap()
            .is_none()
    );

    let (_folder, store) = self::store();
    let mut used = store.create_consumer(placeholder(), 1_000).await.unwrap().unwrap();
    used.integration.as_mut().unwrap().status = Status::Active;
    store.update_consumer(&used).await.unwrap();
    let plan = settle(&store, &rows, false).await;
    assert_eq!((plan.create.len(), plan.replace.len()), (1, 0));
    assert!(why(&plan)[0].contains("an integration of that name with another consumer key"));
}

#[tokio::test]
async fn without_a_store_everything_is_new_and_nothing_is_made() {
    let plan = plan(None, wanted(ROWS), false).await.unwrap();

    assert_eq!(plan.create.len(), 2);
}
