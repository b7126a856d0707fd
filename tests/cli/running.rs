//! Commands beside a running gateway: the control socket, the admin API, reload.

use harness::{ADMIN, Call, PASSWORD, Shop};

use crate::{Run, Told};

/// A command in the running gateway's folder, signed in as its first admin.
fn tell(shop: &Shop, arguments: &[&str]) -> Told {
    let mut all = arguments.to_vec();
    all.extend(["--config", "countersign.toml"]);
    let run = Run::within(shop.gateway.folder());
    let run = run.with("COUNTERSIGN_ADMIN_USER", ADMIN);
    run.with("COUNTERSIGN_ADMIN_PASSWORD", PASSWORD).told(&all)
}

#[tokio::test]
async fn an_account_is_made_beside_a_running_gateway_with_its_password_from_stdin() {
    let shop = Shop::new().start().await;
    let create = |input| {
        let run = Run::within(shop.gateway.folder()).given(input);
        run.told(&["admin", "create", "-c", "countersign.toml", "--username", "second"])
    };

    let (made, again, short) = (
        create("a long password\n"),
        create("a long password\n"),
        create("short\n"),
    );

    assert_eq!((made.code, made.err.as_str()), (Some(0), ""));
    assert_eq!(
        (again.code, again.err.contains("exists")),
        (Some(1), true),
        "{}",
        again.err
    );
    assert_eq!(
        (short.code, short.err.contains("8 to 1024")),
        (Some(2), true),
        "{}",
        short.err
    );
    let body = serde_json::json!({ "username": "second", "password": "a long password" });
    let signed_in = Call::post("/rest/V1/integration/admin/token")
        .json(&body)
        .send(&shop.gateway)
        .await;
    assert_eq!(signed_in.status, 200);
}

#[tokio::test]
async fn an_integration_lives_its_life_by_command() {
    let shop = Shop::new().start().await;
    let told = |arguments: &[&str]| {
        let told = tell(&shop, arguments);
        assert_eq!(told.code, Some(0), "{arguments:?}: {}", told.err);
        told.out
    };

    told(&[
        "integration",
        "create",
        "--name",
        "Courier",
        "--resource",
        "Magento_Catalog::products",
    ]);
    std::fs::write(
        shop.gateway.folder().join("p.json"),
        told(&["integration", "activate", "Courier", "--format", "json"]),
    )
    .unwrap();
    let listed = told(&["integration", "list"]);
    let target = "/rest/V1/products/by-command";
    let url = format!("{}{target}", shop.gateway.base_url());
    let sign = ["sign", "GET", &url, "--profile", "p.json"];
    let header = Run::within(shop.gateway.folder()).told(&sign).out;
    let header = header.trim().strip_prefix("Authorization: ").unwrap();
    let answer = Call::get(target)
        .header("Authorization", header)
        .send(&shop.gateway)
        .await;

    assert_eq!(answer.status, 200, "{}", answer.text());
    let columns: Vec<&str> = listed.lines().map(|line| line.get(..22).unwrap_or(line)).collect();
    assert_eq!(columns, ["ID  NAME     STATUS  S", "1   Courier  active  m"]);

    told(&["integration", "resources", "1", "--none"]);
    told(&["integration", "update", "Courier", "--name", "Bote"]);
    told(&["integration", "rotate-secret", "Bote", "--grace", "1h"]);
    told(&["integration", "deactivate", "Bote"]);
    assert!(told(&["integration", "show", "Bote"]).contains("inactive"));
    told(&["integration", "delete", "Bote"]);
    let gone = tell(&shop, &["integration", "show", "Bote"]);
    assert_eq!(
        (gone.code, gone.err.as_str()),
        (Some(1), "countersign: there is no integration with the name \"Bote\"\n")
    );
}

#[tokio::test]
async fn a_sweep_says_what_it_removed_and_knows_its_names() {
    let shop = Shop::new().set("lockout", "duration", "\"1s\"").start().await;
    let body = serde_json::json!({ "username": "nobody", "password": "wrong" });
    let call = Call::post("/rest/V1/integration/admin/token").json(&body);
    assert_eq!(call.send(&shop.gateway).await.status, 401);
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;

    let both = tell(&shop, &["sweep"]);
    let one = tell(&shop, &["sweep", "outdated_authentication_failures_cleanup"]);
    let neither = tell(&shop, &["sweep", "tokens"]);

    assert_eq!((both.code, both.err.as_str()), (Some(0), ""));
    assert_eq!(
        both.out,
        "outdated_authentication_failures_cleanup: 1 removed\nexpired_tokens_cleanup: 0 removed\n"
    );
    assert_eq!(one.out, "outdated_authentication_failures_cleanup: 0 removed\n");
    assert_eq!(neither.code, Some(2));
    assert!(
        neither.err.contains("\"tokens\" is no sweep: it is outdated_"),
        "{}",
        neither.err
    );
}

#[tokio::test]
async fn a_reload_is_told_whole_and_the_last_good_configuration_stays() {
    let shop = Shop::new().start().await;

    shop.gateway.write_config(|config| {
        config
            .set("log", "level", "\"debug\"")
            .set("oauth", "uniform_errors", "true")
    });
    let good = tell(&shop, &["reload"]);
    // A reload is of the gateway's own file: the command itself may read another.
    std::fs::write(
        shop.gateway.folder().join("good.toml"),
        std::fs::read(shop.gateway.config_path()).unwrap(),
    )
    .unwrap();
    shop.gateway
        .write_config(|config| config.set("public.limits", "headers", "\"many\""));
    let run = Run::within(shop.gateway.folder());
    let bad = run.told(&["reload", "--config", "good.toml"]);

    assert_eq!(
        (good.code, good.out.as_str()),
        (Some(0), "reloaded\nneeds a restart: log.level\n")
    );
    assert_eq!(bad.code, Some(1));
    assert!(
        bad.err
            .contains("public.limits.headers: takes a whole number from 1 to 100"),
        "{}",
        bad.err
    );
    assert!(shop.gateway.is_ready().await);
}

#[tokio::test]
async fn a_wrong_password_and_a_gateway_that_is_away_are_told_apart() {
    let shop = Shop::new().start().await;
    let list = |password, url: &str| {
        let run = Run::within(shop.gateway.folder()).with("COUNTERSIGN_ADMIN_USER", ADMIN);
        run.with("COUNTERSIGN_ADMIN_PASSWORD", password)
            .told(&["integration", "list", "--admin", url])
    };
    let here = format!("http://{}", shop.gateway.admin());

    let wrong = list("another password", &here);
    let away = list(PASSWORD, "http://127.0.0.1:1");

    assert_eq!(
        (wrong.code, wrong.err.contains("(401)")),
        (Some(1), true),
        "{}",
        wrong.err
    );
    assert_eq!(
        (away.code, away.err.contains("is the gateway running?")),
        (Some(1), true),
        "{}",
        away.err
    );
}

#[tokio::test]
async fn accounts_are_managed_beside_a_running_gateway_and_where_none_runs() {
    let shop = Shop::new().start().await;
    let told = |input: &str, arguments: &[&str]| {
        let mut all = arguments.to_vec();
        all.extend(["-c", "countersign.toml"]);
        Run::within(shop.gateway.folder()).given(input).told(&all)
    };
    let sign_in = async |password: &str| {
        let body = serde_json::json!({ "username": "jane", "password": password });
        let call = Call::post("/rest/V1/integration/admin/token").json(&body);
        call.send(&shop.gateway).await.status
    };
    assert_eq!(
        told("a long password\n", &["admin", "create", "--username", "jane"]).code,
        Some(0)
    );

    let disabled = told("", &["admin", "disable", "jane"]);
    assert_eq!(
        (disabled.code, sign_in("a long password").await),
        (Some(0), 401),
        "{}",
        disabled.err
    );
    let set = told("another password\n", &["admin", "set-password", "2"]);
    let enabled = told("", &["admin", "enable", "jane"]);
    assert_eq!(
        (set.code, enabled.code, sign_in("another password").await),
        (Some(0), Some(0), 200)
    );
    let last = told("", &["admin", "disable", "nobody"]);
    assert_eq!(
        (last.code, last.err.as_str()),
        (
            Some(1),
            "countersign: there is no admin account with the name or number \"nobody\"\n"
        )
    );

    shop.gateway.stop().await;
    let straight = told("a third password\n", &["admin", "set-password", "jane"]);
    let short = told("short\n", &["admin", "set-password", "jane"]);
    let only = told("", &["admin", "disable", "jane"]);
    let kept = told("", &["admin", "disable", ADMIN]);
    let listed = told("", &["admin", "list"]);
    assert_eq!(told("", &["admin", "remove-totp", "jane"]).code, Some(0));
    shop.gateway.start_again().await;

    assert_eq!(
        (straight.code, short.code, only.code),
        (Some(0), Some(2), Some(0)),
        "{}",
        straight.err
    );
    assert_eq!(
        (kept.code, kept.err.contains("last active account")),
        (Some(1), true),
        "{}",
        kept.err
    );
    let columns: Vec<&str> = listed.out.lines().collect();
    assert_eq!(
        columns,
        [
            "ID  NAME         ROLE   ACTIVE  EMAIL",
            "1   first-admin  admin  yes     -",
            "2   jane         admin  no      -"
        ]
    );
    assert_eq!(sign_in("a third password").await, 401);
    assert_eq!(told("", &["admin", "enable", "jane"]).code, Some(0));
    assert_eq!(sign_in("a third password").await, 200);
    let audit = told("", &["audit", "list", "--format", "json"]).out;
    assert_eq!(audit.matches("\"admin.password_set\"").count(), 2);
}

#[tokio::test]
async fn a_consumer_lives_its_life_by_command() {
    let shop = Shop::new().start().await;
    let told = |arguments: &[&str]| {
        let told = tell(&shop, arguments);
        assert_eq!(told.code, Some(0), "{arguments:?}: {}", told.err);
        told.out
    };
    let made = told(&["consumer", "create", "--name", "Probe", "--format", "json"]);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let (id, key) = (made["id"].to_string(), made["key"].as_str().unwrap());

    assert!(told(&["consumer", "show", &id]).contains(key));
    assert!(told(&["consumer", "show", key]).contains("Probe"));
    let endpoint = shop.partner.endpoint();
    assert!(told(&["consumer", "verifier", &id, "--endpoint", &endpoint]).starts_with("verifier"));
    assert_eq!(shop.partner.posts(&endpoint).len(), 1);
    let refused = tell(&shop, &["consumer", "access-token", &id, "--make"]);
    assert_eq!(refused.code, Some(1), "{}", refused.err);
    let credentials = told(&["consumer", "access-token", &id, "--make", "--replace"]);
    assert!(credentials.contains("access_token_secret"), "{credentials}");
    assert!(told(&["consumer", "access-token", key]).contains("access_token_secret"));
    assert_eq!(told(&["consumer", "access-token", &id, "--end"]), "its token ended\n");
    assert_eq!(told(&["consumer", "access-token", &id, "--end"]), "it had no token\n");
    told(&["consumer", "delete", &id]);
    let gone = tell(&shop, &["consumer", "show", key]);
    assert_eq!(
        (gone.code, gone.err.contains("no consumer")),
        (Some(1), true),
        "{}",
        gone.err
    );
}

#[tokio::test]
async fn a_customer_is_made_by_command_with_a_password_from_stdin() {
    let shop = Shop::new().start().await;
    let create = |input| {
        let run = Run::within(shop.gateway.folder()).given(input);
        let who = ["--id", "7", "--username", "roni@example.com"];
        run.told(&[&["customer", "create", "-c", "countersign.toml"][..], &who].concat())
    };

    let (short, made, again) = (
        create("short\n"),
        create("a long password\n"),
        create("a long password\n"),
    );

    assert_eq!(
        (short.code, made.code, again.code),
        (Some(2), Some(0), Some(1)),
        "{}",
        made.err
    );
    assert!(made.out.contains("number 7"), "{}", made.out);
    let body = serde_json::json!({ "username": "roni@example.com", "password": "a long password" });
    let call = Call::post("/rest/V1/integration/customer/token").json(&body);
    assert_eq!(call.send(&shop.gateway).await.status, 200);
    assert_eq!(tell(&shop, &["customer", "delete", "7"]).code, Some(0));
    let call = Call::post("/rest/V1/integration/customer/token").json(&body);
    assert_eq!(call.send(&shop.gateway).await.status, 401);
}

#[tokio::test]
async fn an_integration_whose_name_is_a_number_is_found_by_it() {
    let shop = Shop::new().start().await;
    shop.integration().with("name", "2024").created().await;

    let shown = tell(&shop, &["integration", "show", "2024", "--format", "json"]);

    assert_eq!(shown.code, Some(0), "{}", shown.err);
    assert!(shown.out.contains("\"name\": \"2024\""), "{}", shown.out);
}

#[tokio::test]
async fn tokens_are_listed_and_ended_by_command() {
    let shop = Shop::new().start().await;
    let holds = async || shop.admin.get("/admins").await.status == 200;
    let told = |arguments: &[&str]| {
        let told = tell(&shop, arguments);
        assert_eq!(told.code, Some(0), "{arguments:?}: {}", told.err);
        told.out
    };
    let listed = told(&["token", "list", "--kind", "admin", "--format", "json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let id = listed[0]["id"].as_str().unwrap();
    assert!(told(&["token", "list"]).contains(id) && holds().await);

    let ended = told(&["token", "revoke", id]);
    assert_eq!((ended.as_str(), holds().await), ("1 token ended\n", false));

    harness::Admin::sign_in(shop.gateway.admin(), ADMIN, PASSWORD).await;
    assert_eq!(told(&["admin", "revoke", ADMIN]), "1 token ended\n");
    assert_eq!(told(&["customer", "revoke", "7"]), "0 tokens ended\n");
    let unknown = tell(&shop, &["token", "revoke", "../admins/1"]);
    assert_eq!(unknown.code, Some(1), "{}", unknown.err);
}

#[tokio::test]
async fn a_command_leaves_no_token_behind_whatever_its_role() {
    let shop = Shop::new().start().await;
    let viewer = Run::within(shop.gateway.folder()).given("a long password\n");
    let arguments = [
        "admin",
        "create",
        "-c",
        "countersign.toml",
        "--username",
        "eye",
        "--role",
        "viewer",
    ];
    assert_eq!(viewer.told(&arguments).code, Some(0));

    for (name, password) in [(ADMIN, PASSWORD), ("eye", "a long password")] {
        let run = Run::within(shop.gateway.folder()).with("COUNTERSIGN_ADMIN_USER", name);
        let told =
            run.with("COUNTERSIGN_ADMIN_PASSWORD", password)
                .told(&["integration", "list", "-c", "countersign.toml"]);
        assert_eq!(told.code, Some(0), "{}", told.err);
    }

    let tokens = tell(&shop, &["token", "list", "--kind", "admin"]);
    // Below the titles that of the command itself.
    assert_eq!(tokens.out.lines().count(), 2, "{}", tokens.out);
}

#[tokio::test]
async fn an_activation_that_reaches_nobody_says_why() {
    let shop = Shop::new().start().await;
    let endpoint = "https://partner.invalid/callback";
    let create = ["integration", "create", "--name", "Courier", "--endpoint", endpoint];
    assert_eq!(tell(&shop, &create).code, Some(0));

    let told = tell(&shop, &["integration", "activate", "Courier"]);

    assert_eq!(told.code, Some(1));
    assert!(told.err.contains("The reason: "), "{}", told.err);
}
