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
