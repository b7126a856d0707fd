//! Integrations that the configuration defines.

use std::collections::BTreeSet;

use token_store::Status;

use super::super::activation::Renewal;
use super::super::configured::Configured;
use super::super::*;
use super::{Bench, definition};
use crate::config::{Config, Environment};

fn configured(name: &str, resources: &[&str]) -> NewIntegration {
    NewIntegration {
        setup: Setup::Config,
        grant: Grant::Listed(resources.iter().map(|id| (*id).to_owned()).collect()),
        ..definition(name, None)
    }
}

#[tokio::test]
async fn a_definition_makes_its_integration_once_and_leaves_it_alone() {
    let bench = Bench::new().await;
    let defined = configured("Shop sync", &["Magento_Catalog::products"]);

    let first = bench.integrations.configure(defined.clone()).await.unwrap();
    let made = bench
        .integrations
        .store
        .consumer_by_name("Shop sync")
        .await
        .unwrap()
        .unwrap();
    let again = bench.integrations.configure(defined).await.unwrap();

    let kept = bench
        .integrations
        .store
        .consumer_by_name("Shop sync")
        .await
        .unwrap()
        .unwrap();
    assert_eq!((first, again), (Configured::Made, Configured::Kept));
    assert_eq!(kept, made);
    assert_eq!(kept.integration.as_ref().unwrap().status, Status::Inactive);
}

#[tokio::test]
async fn a_changed_definition_makes_its_integration_anew_and_ends_its_tokens() {
    let bench = Bench::new().await;
    bench
        .integrations
        .configure(configured("Shop sync", &[]))
        .await
        .unwrap();
    let before = bench
        .integrations
        .store
        .consumer_by_name("Shop sync")
        .await
        .unwrap()
        .unwrap();
    let id = before.integration.as_ref().unwrap().id;
    bench.activated(id, Renewal::Keep).await;

    let outcome = bench
        .integrations
        .configure(configured("Shop sync", &["Magento_Catalog::products"]))
        .await
        .unwrap();

    let after = bench
        .integrations
        .store
        .consumer_by_name("Shop sync")
        .await
        .unwrap()
        .unwrap();
    let integration = after.integration.as_ref().unwrap();
    assert_eq!(outcome, Configured::Recreated);
    assert_eq!(integration.status, Status::Recreated);
    assert_ne!((integration.id, after.consumer.id), (id, before.consumer.id));
    assert_ne!(after.consumer.key, before.consumer.key);
    assert_eq!(after.token, None);
    assert!(bench.integrations.get(id).await.is_err());
}

#[tokio::test]
async fn whatever_changes_of_a_definition_makes_its_integration_anew() {
    let changes: [fn(&mut NewIntegration); 5] = [
        |one| one.email = "sync@example.org".to_owned(),
        |one| one.endpoint = Some("https://partner.example/callback".to_owned()),
        |one| one.identity_link_url = Some("https://partner.example/login".to_owned()),
        |one| one.grant = Grant::Listed(BTreeSet::new()),
        |one| one.grant = Grant::All,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let bench = Bench::new().await;
        let mut defined = configured("Shop sync", &["Magento_Catalog::products"]);
        bench.integrations.configure(defined.clone()).await.unwrap();

        change(&mut defined);
        let changed = bench.integrations.configure(defined.clone()).await.unwrap();
        let again = bench.integrations.configure(defined).await.unwrap();

        assert_eq!(
            (changed, again),
            (Configured::Recreated, Configured::Kept),
            "change {number}"
        );
    }
}

#[tokio::test]
async fn a_resource_that_gets_a_parent_resets_no_integration() {
    let bench = Bench::new().await;
    let defined = configured("Shop sync", &["Magento_Catalog::products"]);
    bench.integrations.configure(defined.clone()).await.unwrap();

    let text = "[[resources]]\nid = \"Magento_Backend::admin\"\n\
                [[resources]]\nid = \"Magento_Catalog::products\"\nparent = \"Magento_Backend::admin\"\n";
    let (config, _) = Config::parse(text, "test", &Environment::default()).unwrap();
    bench.integrations.live.store(Arc::new(Live::new(&config, 1).unwrap()));
    let again = bench.integrations.configure(defined).await.unwrap();

    assert_eq!(again, Configured::Kept);
}

#[tokio::test]
async fn an_integration_made_by_hand_is_never_replaced_by_a_definition() {
    let bench = Bench::new().await;
    let id = bench.create(None).await;
    let name = bench
        .integrations
        .get(id)
        .await
        .unwrap()
        .integration
        .as_ref()
        .unwrap()
        .definition
        .name
        .clone();

    let outcome = bench.integrations.configure(configured(&name, &[])).await.unwrap();

    assert_eq!(outcome, Configured::NameInUse);
    assert!(bench.integrations.get(id).await.is_ok());
}

#[tokio::test]
async fn what_was_ended_between_deletion_and_creation_is_recreated_by_the_next_run() {
    let bench = Bench::new().await;
    let changed = || configured("Shop sync", &["Magento_Catalog::products"]);
    bench
        .integrations
        .configure(configured("Shop sync", &[]))
        .await
        .unwrap();
    let before = standing(&bench, "Shop sync").await;
    bench.integrations.withdraw(&before).await.unwrap();

    let outcome = bench.integrations.configure(changed()).await.unwrap();

    let after = standing(&bench, "Shop sync").await;
    assert_eq!(outcome, Configured::Recreated);
    assert_eq!(after.integration.as_ref().unwrap().status, Status::Recreated);
    let again = bench.integrations.configure(changed()).await.unwrap();
    assert_eq!(again, Configured::Kept);
    assert_eq!(
        actions(&bench).await,
        ["integration.created", "integration.deleted", "integration.recreated"]
    );
}

#[tokio::test]
async fn what_was_ended_between_creation_and_its_mark_is_marked_by_the_next_run() {
    let bench = Bench::new().await;
    let changed = || configured("Shop sync", &["Magento_Catalog::products"]);
    bench
        .integrations
        .configure(configured("Shop sync", &[]))
        .await
        .unwrap();
    let before = standing(&bench, "Shop sync").await;
    bench.integrations.withdraw(&before).await.unwrap();
    let changed_anew = bench.integrations.normalised(changed());
    let made = bench.integrations.create(changed_anew).await.unwrap();

    let outcome = bench.integrations.configure(changed()).await.unwrap();

    let after = standing(&bench, "Shop sync").await;
    assert_eq!(outcome, Configured::Recreated);
    assert_eq!(after.consumer.id, made.consumer.id);
    assert_eq!(after.integration.as_ref().unwrap().status, Status::Recreated);
}

#[tokio::test]
async fn another_integration_that_was_withdrawn_recreates_nothing() {
    let bench = Bench::new().await;
    bench
        .integrations
        .configure(configured("Shop sync", &[]))
        .await
        .unwrap();
    let before = standing(&bench, "Shop sync").await;
    bench.integrations.withdraw(&before).await.unwrap();

    let outcome = bench.integrations.configure(configured("Another", &[])).await.unwrap();

    assert_eq!(outcome, Configured::Made);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_to_be_applied_is_in_force_though_others_change_it_meanwhile() {
    let bench = Bench::new().await;
    bench
        .integrations
        .configure(configured("Shop sync", &[]))
        .await
        .unwrap();
    let meddler = bench.integrations.clone();
    let meddling = tokio::spawn(async move {
        loop {
            let found = meddler.store.consumer_by_name("Shop sync").await.unwrap();
            if let Some(id) = found.and_then(|one| one.integration.as_ref().map(|one| one.id)) {
                drop(meddler.deactivate(id).await);
            }
        }
    });
    let (config, _) = Config::parse("", "test", &Environment::default()).unwrap();
    for round in 0..20 {
        let resources: &[&str] = if round % 2 == 0 {
            &["Magento_Catalog::products"]
        } else {
            &[]
        };
        let defined = configured("Shop sync", resources);
        let mut live = Live::new(&config, 1).unwrap();
        live.integrations = vec![defined.clone()];

        while !bench.integrations.apply(&live, "holder").await {}

        let stands = standing(&bench, "Shop sync").await;
        let expected = bench.integrations.normalised(defined).grant;
        assert_eq!(
            stands.integration.as_ref().unwrap().definition.grant,
            expected,
            "round {round}"
        );
    }
    meddling.abort();
}

async fn standing(bench: &Bench, name: &str) -> Arc<ConsumerRecord> {
    bench.integrations.store.consumer_by_name(name).await.unwrap().unwrap()
}

async fn actions(bench: &Bench) -> Vec<String> {
    let entries = bench.integrations.store.audit(0, 100).await.unwrap();
    entries.into_iter().map(|one| one.entry.action).collect()
}
