use std::collections::BTreeSet;

use token_store::Secret;

use super::*;
use crate::config::Resource;
use crate::import::Weight;
use crate::import::dump::{self, tests::ROWS};

fn tree() -> ResourceTree {
    let one = |id: &str, parent: Option<&str>| Resource {
        id: id.to_owned(),
        title: id.to_owned(),
        parent: parent.map(str::to_owned),
        order: 0,
    };
    ResourceTree::new(&[
        one("Magento_Backend::admin", None),
        one("Magento_Catalog::products", Some("Magento_Backend::admin")),
        one("Magento_Sales::sales", Some("Magento_Backend::admin")),
    ])
}

/// What `[[integrations]]` says of the second one.
fn configured() -> NewIntegration {
    NewIntegration {
        name: "All".to_owned(),
        email: String::new(),
        endpoint: None,
        identity_link_url: None,
        setup: Setup::Config,
        grant: Grant::Listed(BTreeSet::from([ALL.to_owned()])),
        signature_methods: None,
        rsa_public_key: None,
        two_legged: false,
        placements: None,
        callback_urls: Vec::new(),
        flags: BTreeSet::new(),
    }
}

struct Made {
    wanted: Vec<Wanted>,
    lost: Vec<String>,
    look: Vec<String>,
}

fn made_with(text: &str, keys: &Keys, tree: &ResourceTree) -> Result<Made, LiveError> {
    let ground = Ground {
        file: Arc::from("dump.sql"),
        tree,
        configured: BTreeMap::from([("All".to_owned(), configured())]),
        request_token_lifetime: Duration::from_secs(7200),
    };
    let mut notes = Vec::new();
    let wanted = records(&dump::read(text.as_bytes(), "").unwrap(), keys, &ground, &mut notes)?;
    let of = |weight| {
        let notes = notes.iter().filter(|note| note.weight == weight);
        notes
            .map(|note| format!("{} {}: {}", note.place, note.what, note.why))
            .collect()
    };
    let (lost, look) = (of(Weight::NotCarried), of(Weight::Look));
    Ok(Made { wanted, lost, look })
}

fn made(text: &str) -> Made {
    made_with(text, &Keys::none(), &tree()).unwrap()
}

#[test]
fn an_active_integration_comes_with_its_credentials_grants_and_times() {
    let made = made(ROWS);

    let record = &made.wanted[0].record;
    let integration = record.integration.as_ref().unwrap();
    assert_eq!(
        (integration.id, integration.consumer_id, integration.status),
        (IntegrationId(7), ConsumerId(70), Status::Active)
    );
    assert_eq!(integration.definition.setup, Setup::Manual);
    let granted = ["Magento_Backend::admin", "Magento_Catalog::products"].map(str::to_owned);
    assert_eq!(
        integration.definition.grant,
        Grant::Listed(granted.into_iter().collect())
    );
    assert_eq!(integration.created_at, 1_704_164_645);
    assert_eq!(record.consumer.key, "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkk70");
    assert_eq!(record.consumer.secret, Secret::new("ssssssssssssssssssssssssssssss70"));
    assert_eq!(record.consumer.posted_at, Some(1_704_164_700));
    let Some(OwnToken::Access {
        token, secret, revoked, ..
    }) = &record.token
    else {
        panic!("{:?}", record.token)
    };
    assert_eq!((token.as_str(), *revoked), ("tttttttttttttttttttttttttttttt70", false));
    assert_eq!(*secret, Secret::new("uuuuuuuuuuuuuuuuuuuuuuuuuuuuuu70"));
}

#[test]
fn all_is_all_and_a_configured_one_stays_so() {
    let made = made(ROWS);

    let record = &made.wanted[1].record;
    let integration = record.integration.as_ref().unwrap();
    assert_eq!(integration.status, Status::Inactive);
    assert_eq!(integration.definition, configured());
    assert_eq!((record.consumer.posted_at, &record.token), (None, &None));
    assert_eq!(
        made.lost,
        ["dump.sql:1 2 tokens: tokens of admins and customers: they last for hours, their owners sign in again"]
    );
    assert!(made.look.is_empty());
}

#[test]
fn one_that_the_configuration_defines_otherwise_stands_as_it_does_there() {
    let made = made(&ROWS.replace("'All','',NULL", "'All','old@p.example',NULL"));

    assert_eq!(
        made.wanted[1].record.integration.as_ref().unwrap().definition,
        configured()
    );
    assert_eq!(
        made.look,
        ["dump.sql:4 integration \"All\": [[integrations]] has another e-mail address: it stands as defined there"]
    );

    let by_hand = self::made(&ROWS.replace("'0000-00-00 00:00:00',1,NULL", "'0000-00-00 00:00:00',0,NULL"));
    assert_eq!(
        by_hand.wanted[1].record.integration.as_ref().unwrap().definition.setup,
        Setup::Manual
    );
    assert!(by_hand.look[0].contains("rename one"), "{:?}", by_hand.look);

    let gone = self::made(&ROWS.replace("'All'", "'Gone'"));
    let definition = &gone.wanted[1].record.integration.as_ref().unwrap().definition;
    assert_eq!((definition.setup, &definition.grant), (Setup::Manual, &Grant::All));
    assert!(gone.look[0].contains("becomes a manual one"), "{:?}", gone.look);
}

#[test]
fn verifier_and_request_tokens_keep_their_stage() {
    let row = |kind: &str| {
        ROWS.replace(
            "'access','tttttttttttttttttttttttttttttt70'",
            &format!("'{kind}','tttttttttttttttttttttttttttttt70'"),
        )
    };

    let Some(OwnToken::Verifier { verifier, created_at }) = made(&row("verifier")).wanted[0].record.token.clone()
    else {
        panic!()
    };
    assert_eq!(
        (verifier, created_at),
        (Secret::new("vvvvvvvvvvvvvvvvvvvvvvvvvvvvvv70"), 1_704_164_760)
    );

    let Some(OwnToken::Request {
        created_at, expires_at, ..
    }) = made(&row("request")).wanted[0].record.token.clone()
    else {
        panic!()
    };
    assert_eq!(expires_at, created_at + 7200);

    let odd = made(&row("strange"));
    assert!(odd.wanted[0].record.token.is_none());
    assert!(
        odd.lost[0].contains("its strange token: its type is none of"),
        "{:?}",
        odd.lost
    );
}

#[test]
fn of_several_tokens_the_youngest_live_access_token_is_kept_and_the_others_told() {
    let more = "INSERT INTO oauth_token VALUES \
                (98,70,NULL,NULL,'access','tttttttttttttttttttttttttttttt98','uuuuuuuuuuuuuuuuuuuuuuuuuuuuuu98',NULL,'oob',1,0,1,NULL),\
                (99,70,NULL,NULL,'request','tttttttttttttttttttttttttttttt99','uuuuuuuuuuuuuuuuuuuuuuuuuuuuuu99',NULL,'oob',0,0,1,NULL);";

    let made = made(&format!("{ROWS}{more}"));

    assert_eq!(
        made.wanted[0].record.token.as_ref().and_then(OwnToken::token),
        Some("tttttttttttttttttttttttttttttt70")
    );
    assert_eq!(
        made.lost
            .iter()
            .filter(|line| line.contains("a consumer has one token, and number 5 is it"))
            .count(),
        2
    );
}

#[test]
fn what_cannot_be_carried_is_told_with_its_line() {
    for (from, to, what) in [
        (
            "'kkkkkkkkkkkkkkkkkkkkkkkkkkkkkk70'",
            "'short'",
            "dump.sql:5 integration \"Shop sync\": its consumer key",
        ),
        (
            "'ssssssssssssssssssssssssssssss70'",
            "'short'",
            "dump.sql:5 integration \"Shop sync\": consumer secret: neither 32",
        ),
        (
            "'tttttttttttttttttttttttttttttt70'",
            "'short'",
            "dump.sql:6 integration \"Shop sync\": its access token: it doesn't have 32",
        ),
        (
            "'https://p.example/cb',1,70",
            "'https://p.example/cb',1,NULL",
            "dump.sql:4 integration \"Shop sync\": it has no consumer",
        ),
        (
            "'https://p.example/cb',1,70",
            "'https://p.example/cb',9,70",
            "dump.sql:4 integration \"Shop sync\": status 9",
        ),
        (
            "'sync@p.example'",
            "'nobody'",
            "dump.sql:4 integration \"Shop sync\": the e-mail address",
        ),
        (
            "'https://p.example/cb'",
            "'p.example'",
            "dump.sql:4 integration \"Shop sync\": the callback URL",
        ),
        ("(70,", "(0,", "dump.sql:5 consumer 0: its number is 0"),
        (
            "(5,70,",
            "(5,71,",
            "dump.sql:6 token: its consumer is not in the export",
        ),
        (
            "(80,",
            "(70,",
            "dump.sql:5 consumer 70: its number, key, name or token stands twice",
        ),
        (
            "'Magento_Catalog::products',NULL,'allow'",
            "'Gone_Module::x',NULL,'allow'",
            "dump.sql:1 Gone_Module::x: granted to 1",
        ),
        (
            "(12,31,'Magento_Sales::sales',NULL,'deny'),",
            "",
            "dump.sql:4 integration \"Shop sync\": 1 resources without a rule",
        ),
    ] {
        assert!(ROWS.contains(from), "{from}");
        let made = made(&ROWS.replace(from, to));
        assert!(
            made.lost.iter().any(|line| line.starts_with(what)),
            "{what}\n{:#?}",
            made.lost
        );
    }
}

#[test]
fn keys_that_do_not_fit_end_the_import_before_anything_is_written() {
    let encrypted = ROWS.replace(
        "ssssssssssssssssssssssssssssss",
        "0:3:E4B6QTbsE2IpCa+XqNF4kDj66gfx+Cz2i5coimAqo+0oEuQypTFUMiO4vqHuUs5WAZVSkKnq+CFKzDf",
    );

    let without = made_with(&encrypted, &Keys::none(), &tree()).err();
    assert!(matches!(without, Some(LiveError::KeyNeeded)), "{without:?}");
    let other = Keys::parse("ffffffffffffffffffffffffffffffff").unwrap();
    let wrong = made_with(
        &encrypted.replace("Df70", "DfC").replace("Df80", "DfC"),
        &other,
        &tree(),
    )
    .err();
    assert!(matches!(wrong, Some(LiveError::WrongKeys(2))), "{wrong:?}");
    let nothing = made_with(ROWS, &Keys::none(), &ResourceTree::default()).err();
    assert!(matches!(nothing, Some(LiveError::NoResources)), "{nothing:?}");
}

#[test]
fn a_consumer_without_an_integration_still_signs() {
    let more = "INSERT INTO oauth_consumer VALUES (90,NULL,NULL,'Lone','kkkkkkkkkkkkkkkkkkkkkkkkkkkkkk90','ssssssssssssssssssssssssssssss90',NULL,'');";

    let made = made(&format!("{ROWS}{more}"));

    assert_eq!(made.wanted.len(), 3);
    assert!(made.wanted[2].record.integration.is_none());
}

#[test]
fn an_export_that_does_not_say_that_it_is_whole_is_told_with_how_to_see_it() {
    let of = |text: &str| {
        made(text)
            .look
            .into_iter()
            .filter(|note| note.contains("COUNT(*)"))
            .collect::<Vec<_>>()
    };
    let bare = ROWS.replace("-- Dump completed\n", "");

    assert_eq!(of(ROWS), Vec::<String>::new());
    assert_eq!(of(&bare).len(), 1);
    assert!(of(&format!("-- MariaDB dump 10.19\n{bare}"))[0].contains("is missing"));
}
