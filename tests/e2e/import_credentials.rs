//! `countersign import magento --dump`: a store's integrations go on calling with the credentials that they have.

use std::fs;
use std::path::Path;

use harness::redis::{Options, Server};
use harness::{Call, Credentials, Gateway, Ran, Shop, Storefront, run, run_with};

/// Secrets, and how they are stored under which keys: made by another implementation of the cipher.
const VECTORS: &str = include_str!("../../gateway/src/import/crypt/vectors/encrypted.txt");

/// The lines of a kind, without the word for it.
fn vectors(kind: &str) -> impl Iterator<Item = &'static str> {
    let prefix = format!("{kind} ");
    VECTORS.lines().filter_map(move |line| line.strip_prefix(&prefix))
}

/// A secret: in clear, and as it is stored.
fn secret(number: usize) -> (&'static str, &'static str) {
    vectors("secret")
        .nth(number)
        .and_then(|line| line.split_once(' '))
        .unwrap_or_default()
}

fn keys() -> String {
    vectors("key").collect::<Vec<_>>().join("\n")
}

/// The storefront's `env.php` with its crypt keys.
fn env_php() -> String {
    format!(
        "<?php\nreturn [\n    'backend' => ['frontName' => 'admin'],\n    'crypt' => [\n        'key' => '{}'\n    ],\n];\n",
        keys()
    )
}

/// An integration that may see products, and one that may do everything but was withdrawn: keys encrypted, as mysqldump
/// writes them.
fn dump() -> String {
    let stored = [0, 3, 8, 4].map(|number| secret(number).1);
    let [of_sync, of_withdrawn, of_token, of_withdrawn_token] = stored;
    format!(
        "-- MySQL dump 10.13  Distrib 8.0\n/*!40101 SET NAMES utf8mb4 */;\n\
         INSERT INTO `authorization_role` VALUES (1,0,1,1,'G',0,'2','Administrators'),(31,0,0,0,'U',7,'1','17'),(32,0,0,0,'U',8,'1','18');\n\
         INSERT INTO `authorization_rule` VALUES (1,1,'Magento_Backend::all',NULL,'allow'),(10,31,'Magento_Backend::admin',NULL,'allow'),\
         (11,31,'Magento_Catalog::catalog',NULL,'allow'),(12,31,'Magento_Catalog::products',NULL,'allow'),(13,31,'Magento_Sales::sales',NULL,'deny'),\
         (14,32,'Magento_Backend::all',NULL,'allow');\n\
         INSERT INTO `integration` VALUES (7,'Shop sync','sync@p.example','https://p.example/cb',1,70,'2024-01-02 03:04:05','2024-02-02 03:04:05',0,NULL),\
         (8,'Withdrawn','',NULL,0,80,'2024-01-02 03:04:05','2024-02-02 03:04:05',0,NULL);\n\
         INSERT INTO `oauth_consumer` VALUES (70,'2024-01-02 03:04:05','2024-01-02 03:05:00','Integration7','{KEY}','{of_sync}',NULL,''),\
         (80,'2024-01-02 03:04:05','2024-01-02 03:05:00','Integration8','{WITHDRAWN}','{of_withdrawn}',NULL,'');\n\
         INSERT INTO `oauth_token` VALUES (5,70,NULL,NULL,'access','{TOKEN}','{of_token}','vvvvvvvvvvvvvvvvvvvvvvvvvvvvvv70','oob',0,0,1,'2024-01-02 03:06:00'),\
         (6,80,NULL,NULL,'access','{WITHDRAWN_TOKEN}','{of_withdrawn_token}','vvvvvvvvvvvvvvvvvvvvvvvvvvvvvv80','oob',0,0,1,'2024-01-02 03:06:00');\n\
         -- Dump completed\n"
    )
}

fn sync() -> Credentials {
    Credentials::consumer(KEY, secret(0).0).with_token(TOKEN, secret(8).0)
}

fn withdrawn() -> Credentials {
    Credentials::consumer(WITHDRAWN, secret(3).0).with_token(WITHDRAWN_TOKEN, secret(4).0)
}

/// A shop whose routes all come from the import.
fn shop() -> harness::ShopBuilder {
    Shop::new().without_routes().set("", "include", "[\"conf.d/*.toml\"]")
}

fn key(storefront: &Storefront) -> String {
    format!("file:{}/app/etc/env.php", storefront.path().display())
}

fn import(gateway: &Gateway, storefront: &Storefront, more: &[&str]) -> Ran {
    import_of(&dump(), gateway, storefront, more)
}

fn import_of(dump: &str, gateway: &Gateway, storefront: &Storefront, more: &[&str]) -> Ran {
    storefront.write("app/etc/env.php", env_php());
    let export = storefront.write("dump.sql", dump).display().to_string();
    let (code, key) = (storefront.path().display().to_string(), key(storefront));
    let arguments = [
        "import",
        "magento",
        "--config",
        "countersign.toml",
        "--code",
        &code,
        "--dump",
        &export,
        "--crypt-key",
        &key,
    ];
    run(gateway.folder(), &[&arguments, more].concat(), "")
}

/// What everybody sees of the imported credentials once the gateway serves.
async fn they_are_served(shop: &Shop) {
    let get = |target: &str, by: &Credentials| Call::get(target).signed_by(by);
    let products = get("/rest/V1/products/24-MB01", &sync()).send(&shop.gateway).await;
    let orders = get("/rest/V1/orders", &sync()).send(&shop.gateway).await;
    let forged = sync().with_token(TOKEN, "ffffffffffffffffffffffffffffffff");
    let forged = get("/rest/V1/products/24-MB01", &forged).send(&shop.gateway).await;
    let inactive = get("/rest/V1/orders", &withdrawn()).send(&shop.gateway).await;

    assert_eq!(products.status, 200, "{}", products.text());
    let seen = shop.upstream.only("24-MB01");
    assert_eq!(
        (seen.header("x-integration-id"), seen.header("x-integration-name")),
        (Some("7"), Some("Shop sync"))
    );
    assert_eq!(seen.header("x-consumer-id"), Some("70"));
    assert_eq!(orders.refusal(), (401, "resource_denied"));
    assert_eq!(forged.cause(), "signature_invalid");
    assert_eq!(inactive.refusal(), (401, "integration_inactive"));
}

fn says_no_secret(ran: &Ran) {
    let secrets = vectors("secret").flat_map(|line| line.split(' '));
    for secret in secrets.chain(vectors("key")) {
        assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{ran:?}");
    }
}

#[tokio::test]
async fn clients_go_on_with_their_credentials_after_an_import_into_the_embedded_store() {
    let shop = shop().start().await;
    let storefront = Storefront::of_size(2);
    shop.gateway.stop().await;

    let first = import(&shop.gateway, &storefront, &[]);
    let second = import(&shop.gateway, &storefront, &[]);
    let alone = run(
        shop.gateway.folder(),
        &[
            "import",
            "magento",
            "--config",
            "countersign.toml",
            "--dump",
            "-",
            "--crypt-key",
            &key(&storefront),
        ],
        &dump(),
    );
    shop.gateway.start_again().await;

    assert_eq!(
        (first.code, second.code, alone.code),
        (0, 0, 0),
        "{first:?}\n{second:?}\n{alone:?}"
    );
    assert!(
        alone
            .stdout
            .contains("nothing to change, 2 consumers are as the export has them"),
        "{}",
        alone.stdout
    );
    assert!(
        first.stdout.contains("new: integration 7 \"Shop sync\", consumer 70"),
        "{}",
        first.stdout
    );
    assert!(
        first.stdout.contains("2 consumers made, 0 changed, 0 unchanged"),
        "{}",
        first.stdout
    );
    assert!(
        second
            .stdout
            .contains("nothing to change, 2 consumers are as the export has them"),
        "{}",
        second.stdout
    );
    says_no_secret(&first);
    they_are_served(&shop).await;
}

#[tokio::test]
async fn clients_go_on_with_their_credentials_after_an_import_into_a_redis_in_use() {
    let redis = Server::start(Options::default()).await;
    let shop = shop().store(&redis.url()).start().await;
    let storefront = Storefront::of_size(2);

    let first = import(&shop.gateway, &storefront, &[]);
    let second = import(&shop.gateway, &storefront, &[]);
    shop.gateway.reload(|config| config).await;

    assert_eq!((first.code, second.code), (0, 0), "{first:?}\n{second:?}");
    assert!(
        second
            .stdout
            .contains("nothing to change, 2 consumers are as the export has them"),
        "{}",
        second.stdout
    );
    says_no_secret(&first);
    they_are_served(&shop).await;
    let next = shop.integration().active().await;
    assert_ne!(next.credentials.consumer_key, KEY);
}

#[tokio::test]
async fn a_token_that_was_revoked_comes_revoked_and_stays_so_however_often_it_is_tried() {
    let shop = shop().start().await;
    let storefront = Storefront::of_size(2);
    let row = |revoked: u8| format!("'vvvvvvvvvvvvvvvvvvvvvvvvvvvvvv70','oob',{revoked},0,1");
    let revoked = dump().replace(&row(0), &row(1));
    shop.gateway.stop().await;

    let imported = import_of(&revoked, &shop.gateway, &storefront, &[]);
    shop.gateway.start_again().await;

    assert_eq!(imported.code, 0, "{imported:?}");
    for _ in 0..3 {
        let refused = Call::get("/rest/V1/products/24-MB01")
            .signed_by(&sync())
            .send(&shop.gateway)
            .await;
        assert_eq!(refused.refusal(), (401, "token_revoked"));
    }
    assert_eq!(shop.upstream.count("24-MB01"), 0);
}

#[tokio::test]
async fn a_dry_run_makes_nothing_and_a_running_gateway_keeps_its_store() {
    let shop = shop().start().await;
    let storefront = Storefront::of_size(1);

    let locked = import(&shop.gateway, &storefront, &[]);
    shop.gateway.stop().await;
    let dry = import(&shop.gateway, &storefront, &["--dry-run"]);
    let again = import(&shop.gateway, &storefront, &["--dry-run"]);

    assert_eq!(locked.code, 1);
    assert!(locked.stderr.contains("stop the gateway"), "{}", locked.stderr);
    assert!(
        dry.stdout
            .contains("2 consumers would be made, 0 would be changed, 0 unchanged"),
        "{}",
        dry.stdout
    );
    assert_eq!(dry.stdout, again.stdout);
    assert!(!Path::new(&shop.gateway.folder().join("conf.d")).exists());
}

#[tokio::test]
async fn a_dry_run_makes_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let main = "[store]\nurl = \"embedded:store\"\n[upstreams.storefront]\ntargets = [\"http://127.0.0.1:1\"]\n";
    fs::write(folder.path().join("countersign.toml"), main).unwrap();
    let storefront = Storefront::of_size(1);
    let code = storefront.path().display().to_string();
    let keys = keys();
    let arguments = [
        "import",
        "magento",
        "--config",
        "countersign.toml",
        "--code",
        &code,
        "--dump",
        "-",
        "--crypt-key",
        "env:CRYPT",
        "--dry-run",
    ];

    let dry = run_with(folder.path(), &arguments, &dump(), &[("CRYPT", &keys)]);

    assert_eq!(dry.code, 0, "{dry:?}");
    assert!(dry.stdout.contains("2 consumers would be made"), "{}", dry.stdout);
    assert!(!folder.path().join("store").exists());
    says_no_secret(&dry);
}

#[test]
fn a_wrong_key_a_cut_export_and_a_bare_key_end_the_import_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let main = "[store]\nurl = \"embedded:store\"\n[upstreams.storefront]\ntargets = [\"http://127.0.0.1:1\"]\n";
    fs::write(folder.path().join("countersign.toml"), main).unwrap();
    let storefront = Storefront::of_size(1);
    let code = storefront.path().display().to_string();
    let import = |dump: &str, key: &[&str]| {
        let arguments = [
            "import",
            "magento",
            "--config",
            "countersign.toml",
            "--code",
            &code,
            "--dump",
            "-",
        ];
        let environment = [
            ("WRONG", "ffffffffffffffffffffffffffffffff"),
            ("RIGHT", vectors("key").next().unwrap()),
        ];
        run_with(folder.path(), &[&arguments, key].concat(), dump, &environment)
    };
    let whole = dump();
    let cut: String = whole.chars().take(whole.len() - 300).collect();

    for (ran, code, why) in [
        (import(&whole, &[]), 1, "give the storefront's key"),
        (
            import(&whole, &["--crypt-key", "env:WRONG"]),
            1,
            "are they this store's?",
        ),
        (
            import(&whole, &["--crypt-key", "env:NOBODY"]),
            1,
            "the environment has no NOBODY",
        ),
        (
            import(&whole, &["--crypt-key", "ffffffffffffffffffffffffffffffff"]),
            2,
            "not the key itself",
        ),
        (import(&cut, &["--crypt-key", "env:RIGHT"]), 1, "cut?"),
        (
            import("", &["--crypt-key", "env:RIGHT"]),
            1,
            "holds nothing of integration",
        ),
    ] {
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(ran.stderr.contains(why), "{why}: {ran:?}");
        assert!(!ran.stderr.contains("fffffffff"), "{ran:?}");
    }
    assert!(!folder.path().join("store").exists() && !folder.path().join("conf.d").exists());

    // Only the first of three keys: what the others encrypted is told, the rest is carried.
    let some = import(&whole, &["--crypt-key", "env:RIGHT", "--strict"]);
    assert_eq!(some.code, 1);
    assert!(
        some.stdout
            .contains("crypt key number 1, which --crypt-key doesn't hold"),
        "{}",
        some.stdout
    );
    assert!(some.stdout.contains("1 consumer made"), "{}", some.stdout);
    assert!(
        some.stderr.contains("some of it could not be carried"),
        "{}",
        some.stderr
    );
}

const KEY: &str = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkk70";
const TOKEN: &str = "tttttttttttttttttttttttttttttt70";
const WITHDRAWN: &str = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkk80";
const WITHDRAWN_TOKEN: &str = "tttttttttttttttttttttttttttttt80";
