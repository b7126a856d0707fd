//! `countersign import magento --code`: a store's modules become configuration files.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use harness::{Ran, Storefront, run};

/// A configuration with an upstream, that includes what is imported.
const MAIN: &str = "include = [\"conf.d/*.toml\"]\n[public]\nbase_url = \"http://127.0.0.1:8080\"\n[upstreams.storefront]\n\
                    targets = [\"http://127.0.0.1:1\"]\n";

fn import(folder: &Path, storefront: &Storefront, more: &[&str]) -> Ran {
    let code = storefront.path().display().to_string();
    let arguments = ["import", "magento", "--config", "countersign.toml", "--code", &code];
    run(folder, &[&arguments, more].concat(), "")
}

fn check(folder: &Path) -> Ran {
    run(folder, &["check", "--config", "countersign.toml"], "")
}

fn files(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder.join("conf.d")).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn a_store_of_300_modules_becomes_a_configuration_that_passes_and_a_second_run_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("countersign.toml"), MAIN).unwrap();
    let storefront = Storefront::of_size(300);

    let first = import(folder.path(), &storefront, &[]);
    let checked = check(folder.path());
    let second = import(folder.path(), &storefront, &[]);

    assert_eq!(first.code, 0, "{first:?}");
    assert!(
        first
            .stdout
            .starts_with("2505 routes, 1206 resources and 30 integrations in 302 files\n"),
        "{}",
        first.stdout
    );
    assert!(
        first
            .stdout
            .contains("conf.d: 302 files made, 0 changed, 0 removed, 0 unchanged"),
        "{}",
        first.stdout
    );
    assert_eq!((checked.code, checked.stderr.as_str()), (0, ""), "{checked:?}");
    assert!(
        checked
            .stdout
            .contains("2505 routes, 1206 resources, 1 upstream, 30 integrations"),
        "{checked:?}"
    );
    assert!(
        second
            .stdout
            .contains("conf.d: nothing to change, all 302 files are as they should be"),
        "{}",
        second.stdout
    );
    assert_eq!(files(folder.path()).len(), 302);
    let routed = run(
        folder.path(),
        &[
            "route",
            "test",
            "GET",
            "/rest/de/V1/part7/items/mine",
            "--config",
            "countersign.toml",
        ],
        "",
    );
    assert!(routed.stdout.contains("/V1/part7/items/mine"), "{routed:?}");
}

#[test]
fn what_the_shipped_configurations_hold_stays_theirs() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf");
    for start in [shipped.clone(), shipped.join("magento")] {
        let folder = tempfile::tempdir().unwrap();
        for part in ["", "conf.d"] {
            fs::create_dir_all(folder.path().join(part)).unwrap();
            for entry in fs::read_dir(start.join(part)).into_iter().flatten().flatten() {
                if entry.path().is_file() {
                    fs::copy(entry.path(), folder.path().join(part).join(entry.file_name())).unwrap();
                }
            }
        }
        let storefront = Storefront::of_size(2);

        let imported = import(folder.path(), &storefront, &[]);
        let checked = check(folder.path());

        assert_eq!((imported.code, checked.code), (0, 0), "{imported:?}\n{checked:?}");
        assert!(
            imported.stdout.contains("defines it: left to that file"),
            "{}",
            imported.stdout
        );
        assert!(imported.stdout.contains("GET /V1/products/:sku"), "{}", imported.stdout);
        assert!(files(folder.path()).contains("magento-Acme_Part1.toml"));
    }
}

#[test]
fn a_configuration_that_does_not_include_the_files_is_told() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("countersign.toml"),
        MAIN.trim_start_matches("include = [\"conf.d/*.toml\"]\n"),
    )
    .unwrap();

    let imported = import(folder.path(), &Storefront::of_size(1), &[]);

    assert_eq!(imported.code, 0);
    assert!(
        imported.stderr.contains("add include = [\"conf.d/*.toml\"]"),
        "{}",
        imported.stderr
    );
}

#[test]
fn to_stdout_goes_the_configuration_alone() {
    let folder = tempfile::tempdir().unwrap();
    let storefront = Storefront::of_size(3);

    let printed = run(
        folder.path(),
        &[
            "import",
            "magento",
            "--code",
            storefront.path().to_str().unwrap(),
            "--out",
            "-",
        ],
        "",
    );

    assert_eq!(printed.code, 0, "{printed:?}");
    let whole = format!(
        "{}\n{}",
        MAIN.trim_start_matches("include = [\"conf.d/*.toml\"]\n"),
        printed.stdout
    );
    fs::write(folder.path().join("countersign.toml"), whole).unwrap();
    assert_eq!(check(folder.path()).code, 0);
    assert!(
        printed.stderr.contains("31 routes") || printed.stderr.contains(" routes, "),
        "{}",
        printed.stderr
    );
    assert!(
        printed
            .stdout
            .contains("force = { \"customerId\" = \"%customer_id%\" }")
    );
    let lost = "GET /V1/customers/me: cartId = \"%cart_id%\"";
    assert!(
        printed.stderr.contains("Not carried (1)") && printed.stderr.contains(lost),
        "{}",
        printed.stderr
    );
}

#[test]
fn what_is_there_is_replaced_by_force_only_and_never_what_no_import_made() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("countersign.toml"), MAIN).unwrap();
    let storefront = Storefront::of_size(4);
    assert_eq!(import(folder.path(), &storefront, &[]).code, 0);
    let before = fs::read(folder.path().join("conf.d/magento-Acme_Part1.toml")).unwrap();
    fs::remove_dir_all(storefront.path().join("vendor/other")).unwrap();
    let text = "<routes><route url=\"/V1/new\" method=\"GET\"><resources><resource ref=\"anonymous\"/></resources></route></routes>";
    storefront.write("app/code/Acme/Part1/etc/webapi.xml", text);

    let refused = import(folder.path(), &storefront, &[]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("--force"), "{}", refused.stderr);
    assert_eq!(
        fs::read(folder.path().join("conf.d/magento-Acme_Part1.toml")).unwrap(),
        before
    );

    let dry = import(folder.path(), &storefront, &["--force", "--dry-run"]);
    assert!(
        dry.stdout
            .contains("0 files would be made, 1 would be changed, 1 would be removed"),
        "{}",
        dry.stdout
    );
    assert_eq!(
        fs::read(folder.path().join("conf.d/magento-Acme_Part1.toml")).unwrap(),
        before
    );

    let forced = import(folder.path(), &storefront, &["--force"]);
    assert_eq!(forced.code, 0, "{forced:?}");
    assert!(!files(folder.path()).contains("magento-Other_Part2.toml"));
    assert_eq!(check(folder.path()).code, 0);

    fs::write(folder.path().join("conf.d/magento-Acme_Part1.toml"), "# mine\n").unwrap();
    let foreign = import(folder.path(), &storefront, &["--force"]);
    assert_eq!(foreign.code, 1);
    assert!(foreign.stderr.contains("no import made it"), "{}", foreign.stderr);
    assert_eq!(
        fs::read_to_string(folder.path().join("conf.d/magento-Acme_Part1.toml")).unwrap(),
        "# mine\n"
    );
}

#[test]
fn links_in_circles_tests_and_hidden_folders_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let storefront = Storefront::of_size(3);
    let link = |from: &str, to: &str| std::os::unix::fs::symlink(to, storefront.path().join(from)).unwrap();
    link("vendor/loop", "..");
    link("vendor/magento/self", ".");
    link("app/code/Acme/Linked", "../../../vendor/magento/module-part0");
    link("vendor/dangling", "nowhere");
    let evil = "<config><module name=\"Evil_Test\"/></config>";
    storefront.write("dev/tests/api/TestModule/etc/module.xml", evil);
    storefront.write("vendor/magento/module-part0/Test/_files/etc/module.xml", evil);
    storefront.write(".git/etc/module.xml", evil);
    let outside = tempfile::tempdir().unwrap();
    fs::create_dir_all(outside.path().join("package/etc")).unwrap();
    fs::write(
        outside.path().join("package/etc/module.xml"),
        "<config><module name=\"Linked_Package\"/></config>",
    )
    .unwrap();
    fs::write(
        outside.path().join("package/etc/webapi.xml"),
        "<routes><route url=\"/V1/linked\" method=\"GET\"><resources><resource ref=\"anonymous\"/></resources></route></routes>",
    )
    .unwrap();
    link("vendor/other/linked", outside.path().join("package").to_str().unwrap());

    let arguments = [
        "import",
        "magento",
        "--code",
        storefront.path().to_str().unwrap(),
        "--out",
        "-",
    ];
    let printed = run(folder.path(), &arguments, "");

    assert_eq!(printed.code, 0, "{printed:?}");
    assert_eq!(printed.stdout.matches("V1/part0/open").count(), 1);
    assert_eq!(printed.stdout.matches("V1/linked").count(), 1);
    assert!(!printed.stdout.contains("Evil_Test"));
}

#[test]
fn config_php_says_which_modules_count_and_in_which_order() {
    let folder = tempfile::tempdir().unwrap();
    let storefront = Storefront::of_size(2);
    storefront.write(
        "app/etc/config.php",
        "<?php\nreturn [\n    'modules' => [\n        'Magento_Backend' => 1,\n        'Magento_Part0' => 0,\n        'Gone_Module' => 1,\n    ],\n];\n",
    );

    let arguments = [
        "import",
        "magento",
        "--code",
        storefront.path().to_str().unwrap(),
        "--out",
        "-",
    ];
    let printed = run(folder.path(), &arguments, "");

    assert!(
        !printed.stdout.contains("part0") && !printed.stdout.contains("part1"),
        "{}",
        printed.stdout
    );
    for line in [
        "Gone_Module    switched on there, but no etc/module.xml declares it",
        "Acme_Part1     not listed there: the storefront doesn't know the module yet",
        "1 module switched off",
    ] {
        assert!(
            printed
                .stderr
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .contains(&line.split_whitespace().collect::<Vec<_>>().join(" ")),
            "{line}\n{}",
            printed.stderr
        );
    }
    let strict = run(folder.path(), &[&arguments[..], &["--strict"]].concat(), "");
    assert_eq!((strict.code, strict.stdout), (1, printed.stdout));
}

#[test]
fn hostile_files_end_the_import_with_file_and_line_and_nothing_is_written() {
    let hostile: [(&str, Vec<u8>, &str); 9] = [
        ("laughs", b"<?xml version=\"1.0\"?>\n<!DOCTYPE lolz [<!ENTITY a \"lol\"><!ENTITY b \"&a;&a;\">]>\n<routes>&b;</routes>".to_vec(), ":2: holds a document type"),
        ("external", b"\n\n<!DOCTYPE r SYSTEM \"file:///etc/passwd\"><routes/>".to_vec(), ":3: holds a document type"),
        ("deep", "<routes>\n".repeat(400_000).into_bytes(), ": elements are nested deeper than 64"),
        ("attribute", format!("<routes>\n<route url=\"/{}\" method=\"GET\"/></routes>", "x".repeat(3_000_000)).into_bytes(), ":2: attribute url is longer"),
        ("utf16", "<routes/>".encode_utf16().flat_map(u16::to_le_bytes).collect(), ":1: is UTF-16"),
        ("latin1", b"<routes>\n\n<!-- \xE9 --></routes>".to_vec(), ":3: holds octets that aren't UTF-8"),
        ("cut", b"<routes>\n<route url=\"/V1/a\" method=\"GET\">\n<resources>".to_vec(), ": ends inside of <resources>, begun at line 3"),
        ("large", vec![b' '; 5 << 20], "is larger than 4 MiB"),
        ("empty", Vec::new(), ":1: holds no element"),
    ];
    for (name, octets, expected) in hostile {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("countersign.toml"), MAIN).unwrap();
        let storefront = Storefront::of_size(1);
        storefront.write(
            "app/code/Acme/Evil/etc/module.xml",
            "<config><module name=\"Acme_Evil\"/></config>",
        );
        storefront.write("app/code/Acme/Evil/etc/webapi.xml", octets);

        let ran = import(folder.path(), &storefront, &[]);

        assert_eq!(ran.code, 1, "{name}: {ran:?}");
        assert!(
            ran.stderr.contains("app/code/Acme/Evil/etc/webapi.xml") && ran.stderr.contains(expected),
            "{name}: {}",
            ran.stderr
        );
        assert!(ran.stderr.len() < 2000, "{name}: {}", ran.stderr.len());
        assert!(files(folder.path()).is_empty(), "{name}");
    }
}

#[test]
fn named_files_keep_their_order_and_what_is_no_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let storefront = Storefront::of_size(2);
    let path = |part: &str| storefront.path().join(part).display().to_string();
    let (webapi, acl) = (
        "vendor/magento/module-part0/etc/webapi.xml",
        "vendor/magento/module-part0/etc/acl.xml",
    );

    let printed = run(
        folder.path(),
        &[
            "import",
            "magento",
            "--webapi",
            &path(webapi),
            &path(webapi),
            "--acl",
            &path(acl),
            "--out",
            "-",
        ],
        "",
    );
    assert_eq!(printed.code, 0, "{printed:?}");
    assert!(
        printed.stdout.contains("Resources and routes of Magento_Part0"),
        "{}",
        printed.stdout
    );
    assert_eq!(printed.stdout.matches("V1/part0/open").count(), 1);

    for (bad, why) in [
        ("/dev/zero", "is no file"),
        ("vendor", "is no file"),
        ("not-there.xml", "No such file"),
    ] {
        let bad = if bad.starts_with('/') {
            bad.to_owned()
        } else {
            path(bad)
        };
        let refused = run(
            folder.path(),
            &["import", "magento", "--webapi", &bad, "--out", "-"],
            "",
        );
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(
            refused.stderr.contains(why) && refused.stderr.contains(&bad),
            "{}",
            refused.stderr
        );
    }
    let nothing = run(folder.path(), &["import", "magento"], "");
    assert_eq!(nothing.code, 2);
    let both = run(
        folder.path(),
        &["import", "magento", "--code", ".", "--acl", &path(acl)],
        "",
    );
    assert_eq!(both.code, 2);
    let no_modules = run(folder.path(), &["import", "magento", "--code", ".", "--out", "-"], "");
    assert!(
        no_modules.stderr.contains("no etc/module.xml is below it"),
        "{}",
        no_modules.stderr
    );
    let no_place = run(folder.path(), &["import", "magento", "--acl", &path(acl)], "");
    assert_eq!(no_place.code, 2);
}

#[test]
fn without_the_upstream_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("countersign.toml"), MAIN).unwrap();
    let storefront = Storefront::of_size(1);

    let refused = import(folder.path(), &storefront, &["--upstream", "elsewhere"]);

    assert_eq!(refused.code, 1);
    assert!(
        refused.stderr.contains("no [upstreams.elsewhere]") && refused.stderr.contains("storefront"),
        "{}",
        refused.stderr
    );
    assert!(files(folder.path()).is_empty());
}

#[test]
fn under_a_faulty_configuration_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("countersign.toml"), format!("{MAIN}[admn]\n")).unwrap();

    let imported = import(folder.path(), &Storefront::of_size(1), &[]);

    assert_eq!(imported.code, 78, "{imported:?}");
    assert!(
        imported.stderr.contains("admn: unknown key") && imported.stderr.contains("nothing was changed"),
        "{imported:?}"
    );
    assert!(files(folder.path()).is_empty());
}

#[test]
fn a_configuration_may_name_what_the_import_is_about_to_make() {
    let folder = tempfile::tempdir().unwrap();
    let own = "[[routes]]\npath = \"/own\"\nupstream = \"storefront\"\nresources = [\"Magento_Backend::admin\"]\n";
    let include = "include = [\"conf.d/*.toml\", \"conf.d/magento-Acme_Part1.toml\"]";
    let main = MAIN.replace("include = [\"conf.d/*.toml\"]", include);
    fs::write(folder.path().join("countersign.toml"), format!("{main}{own}")).unwrap();
    assert_eq!(check(folder.path()).code, 78);

    let imported = import(folder.path(), &Storefront::of_size(3), &[]);

    assert_eq!((imported.code, imported.stderr.as_str()), (0, ""), "{imported:?}");
    assert_eq!(check(folder.path()).code, 0);
}
