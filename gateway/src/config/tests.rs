//! The reader as an operator meets it: faults, environment, secrets, includes; and the default file against the reader.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::*;

const DEFAULT_FILE: &str = include_str!("../../../conf/countersign.toml");

fn read(text: &str) -> Result<Loaded, Vec<String>> {
    read_with(text, &[])
}

fn read_with(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, Vec<String>> {
    Loaded::parse(text, "t.toml", &Environment::of(variables)).map_err(|faults| faults.lines())
}

fn faults(text: &str) -> Vec<String> {
    read(text).err().unwrap_or_default()
}

fn warnings(loaded: &Loaded) -> String {
    let told: Vec<String> = loaded.warnings.iter().map(Warning::to_string).collect();
    told.join("\n")
}

/// With every key that is commented out brought in.
fn uncommented(text: &str) -> String {
    let line = |line: &str| {
        let setting = line
            .strip_prefix('#')
            .filter(|rest| rest.starts_with(|first: char| first == '[' || first.is_ascii_lowercase()));
        setting.unwrap_or(line).to_owned() + "\n"
    };
    text.lines().map(line).collect()
}

/// Keys by pattern, as `upstreams.*.targets`, with every value the file gives them.
fn flat(table: &toml::Table, pattern: &str, into: &mut BTreeMap<String, BTreeSet<String>>) {
    for (key, value) in table {
        let key = if pattern == "upstreams" { "*" } else { key };
        let path = if pattern.is_empty() {
            key.to_owned()
        } else {
            format!("{pattern}.{key}")
        };
        let listed = value.as_array().into_iter().flatten().filter_map(toml::Value::as_table);
        let tables: Vec<&toml::Table> = value.as_table().into_iter().chain(listed).collect();
        into.entry(path.clone()).or_default().insert(value.to_string());
        for table in tables {
            flat(table, &path, into);
        }
    }
}

#[test]
fn the_default_file_is_read_without_fault_or_warning() {
    let loaded = read(&DEFAULT_FILE.replace("include = [\"conf.d/*.toml\"]", "")).unwrap();

    assert_eq!(warnings(&loaded), "");
}

#[test]
fn the_default_file_holds_every_key_that_the_reader_knows() {
    let mut in_file = BTreeMap::new();
    flat(&toml::from_str(&uncommented(DEFAULT_FILE)).unwrap(), "", &mut in_file);

    for key in schema::known() {
        assert!(
            in_file.contains_key(&key.pattern()),
            "{} is missing in conf/countersign.toml",
            key.pattern()
        );
    }
}

/// Every key of a file, and each value, against the schema's `properties`; tables of free names are its
/// `additionalProperties`.
fn unknown_to(schema: &serde_json::Value, table: &toml::Table, path: &str) -> Vec<String> {
    let entry = |(key, value): (&String, &toml::Value)| {
        let path = format!("{path}.{key}");
        let others = &schema["additionalProperties"];
        let own = schema["properties"]
            .get(key)
            .or_else(|| others.is_object().then_some(others));
        let Some(own) = own else { return vec![path] };
        let listed = value.as_array().into_iter().flatten().filter_map(toml::Value::as_table);
        let listed = listed.flat_map(|table| unknown_to(&own["items"], table, &path));
        let tables = value.as_table().into_iter().filter(|_| own["type"] == "object");
        listed
            .chain(tables.flat_map(|table| unknown_to(own, table, &path)))
            .collect::<Vec<_>>()
    };
    table.iter().flat_map(entry).collect()
}

#[test]
fn the_schema_knows_every_key_of_the_files_that_are_shipped() {
    let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf");
    let mut files = vec![conf.join("countersign.toml"), conf.join("magento/countersign.toml")];
    let included = std::fs::read_dir(conf.join("magento/conf.d")).unwrap();
    files.extend(included.map(|entry| entry.unwrap().path()));
    let schema = schema::schema();

    for file in files {
        let text = uncommented(&std::fs::read_to_string(&file).unwrap());

        let unknown = unknown_to(&schema, &toml::from_str(&text).unwrap(), "");

        assert!(unknown.is_empty(), "{}: {unknown:?}", file.display());
    }
}

#[test]
fn a_resource_without_an_id_has_one_fault() {
    let told = faults("[[resources]]\ntitle = \"x\"\norder = 1\n");

    assert_eq!(told, ["t.toml:1: resources.id: is missing"]);
}

#[test]
fn what_the_default_file_comments_out_is_the_default() {
    let mut in_file = BTreeMap::new();
    let commented: String = DEFAULT_FILE
        .lines()
        .map(|line| {
            if line.starts_with('[') || line.starts_with('#') {
                line
            } else {
                ""
            }
            .to_owned()
                + "\n"
        })
        .collect();
    flat(&toml::from_str(&uncommented(&commented)).unwrap(), "", &mut in_file);
    let examples = [
        "public.tls.certificates",
        "integrations.",
        "upstreams.*.credentials.",
        "routes.host",
    ];

    let mut compared = 0;
    for key in schema::known() {
        let pattern = key.pattern();
        let (Some(values), Some(default)) = (in_file.get(&pattern), key.default) else {
            continue;
        };
        if !examples.iter().any(|example| pattern.starts_with(example)) {
            assert_eq!(values, &BTreeSet::from([default]), "{pattern}");
            compared += 1;
        }
    }
    assert!(compared > 60, "{compared} keys were compared");
}

#[test]
fn the_default_file_sets_the_defaults_of_what_it_sets_at_all() {
    let set = read(&DEFAULT_FILE.replace("include = [\"conf.d/*.toml\"]", "")).unwrap();

    let differing: Vec<String> = set
        .keys
        .iter()
        .filter(|key| !key.table.is_listed && key.default.is_some())
        .filter(|key| {
            key.set
                .as_ref()
                .is_some_and(|(value, _)| Some(value) != key.default.as_ref())
        })
        .map(Key::path)
        .collect();
    // There is no base URL by default; the file gives the one that fits its listener.
    assert_eq!(differing, ["public.base_url", "upstreams.storefront.targets"]);
}

#[test]
fn all_faults_are_told_at_once_in_the_files_order() {
    let faults = faults(
        "[admin]\nlisten = \"localhost:1\"\n[public]\nthreds = 1\n[public.limits]\nhead = 1\nin_flight = 0\n[log]\naccess = \"yes\"\n",
    );

    assert_eq!(
        faults,
        [
            "t.toml:2: admin.listen: \"localhost:1\" is not an address: write it as \"127.0.0.1:8080\" or \"[::]:8080\"",
            "t.toml:4: public.threds: unknown key; did you mean \"threads\"?",
            "t.toml:6: public.limits.head: takes a size in quotes, such as \"10MiB\", not a whole number",
            "t.toml:7: public.limits.in_flight: takes a whole number from 1 to 1000000",
            "t.toml:9: log.access: takes true or false, not a text",
        ]
    );
}

#[test]
fn every_fault_of_the_syntax_is_told_and_a_doubled_key_is_named() {
    assert_eq!(
        faults("[public]\nthreads = 1\nthreads = 2\n"),
        ["t.toml:3: threads: duplicate key"]
    );
    assert_eq!(faults("a = \"\n[public\n").len(), 2);
    assert!(!faults(&"[".repeat(10_000)).is_empty());
}

#[test]
fn values_out_of_range_are_refused() {
    for (table, line) in [
        ("oauth", "timestamp_window = \"16m\""),
        ("oauth", "timestamp_window = \"-1s\""),
        ("oauth", "timestamp_window = \"99999999999999999999d\""),
        ("oauth", "signature_methods = []"),
        ("oauth", "signature_methods = [\"HMAC-MD5\"]"),
        ("oauth", "placements = []"),
        ("tokens.admin", "lifetime = \"0s\""),
        ("store", "timeout = \"0ms\""),
        ("store", "request_timeout = \"100ms\""),
        ("store", "url = \"mysql://localhost\""),
        ("public", "threads = -1"),
        ("public", "listen = []"),
        ("public", "listen = [\"127.0.0.1:99999\"]"),
        ("public", "trusted_proxies = [\"10.0.0.0/33\"]"),
        ("public.limits", "connections = 99999999999999999999"),
        ("public.limits", "body = \"10MB\""),
        ("public.limits", "h2_streams = 1.5"),
        ("upstreams.a", "targets = []"),
        ("upstreams.a", "targets = [\"http://a/path\"]"),
        ("callbacks", "allow = [\"all\"]"),
    ] {
        let faults = faults(&format!("[{table}]\n{line}\n"));
        assert_eq!(faults.len(), 1, "{line}: {faults:?}");
        assert!(faults[0].starts_with("t.toml:2: "), "{line}: {faults:?}");
    }
}

#[test]
fn redis_needs_an_encryption_key() {
    let missing = faults("[store]\nurl = \"redis://localhost\"\n");

    assert!(
        missing[0].starts_with("t.toml:1: store.encryption_keys: is needed with Redis"),
        "{missing:?}"
    );
}

#[test]
fn listeners_can_not_share_an_address() {
    let taken = faults("[public]\nlisten = [\"0.0.0.0:9090\"]\n");

    assert_eq!(
        taken,
        ["t.toml:2: public.listen: 0.0.0.0:9090 is admin.listen's too: the admin API is never public"]
    );
}

#[test]
fn a_variable_sets_any_scalar_and_wins_over_the_file() {
    let variables = [
        ("COUNTERSIGN_PUBLIC_LIMITS_HEAD", "64KiB"),
        ("COUNTERSIGN_PUBLIC_LISTEN", "127.0.0.1:1, 127.0.0.1:2"),
        ("COUNTERSIGN_PUBLIC_THREADS", "3"),
        ("COUNTERSIGN_OAUTH_UNIFORM_ERRORS", "true"),
        ("COUNTERSIGN_UPSTREAMS_A_CREDENTIALS_MODE", "bearer"),
        ("COUNTERSIGN_UPSTREAMS_A_CREDENTIALS_TOKEN", "geheim"),
    ];
    let file = "[public.limits]\nhead = \"16KiB\"\n[upstreams.a]\ntargets = [\"http://a\"]\n";

    let config = read_with(file, &variables).unwrap().config;

    assert_eq!(config.public.limits.head, 64 << 10);
    assert_eq!(config.public.listen.len(), 2);
    assert_eq!(config.public.threads, 3);
    assert!(config.oauth.uniform_errors);
    assert!(matches!(config.upstreams["a"].credentials, Credentials::Bearer { .. }));
}

#[test]
fn a_variable_for_no_key_is_a_warning_and_one_of_a_list_entry_is_none() {
    let variables = [
        ("COUNTERSIGN_PUBLIC_THREDS", "1"),
        ("COUNTERSIGN_ROUTES_UPSTREAM", "elsewhere"),
        ("COUNTERSIGN_TOKEN", "of a command"),
    ];
    let file = "[upstreams.a]\ntargets = [\"http://a\"]\n[[routes]]\npath = \"/a\"\nupstream = \"a\"\nresources = [\"anonymous\"]\n";

    let loaded = read_with(file, &variables).unwrap();

    assert_eq!(loaded.config.routes[0].upstream, "a");
    let told = warnings(&loaded);
    assert!(
        told.contains(
            "COUNTERSIGN_PUBLIC_THREDS: is no key of the configuration; did you mean COUNTERSIGN_PUBLIC_THREADS?"
        ),
        "{told}"
    );
    assert!(told.contains("COUNTERSIGN_ROUTES_UPSTREAM"), "{told}");
    assert!(!told.contains("COUNTERSIGN_TOKEN"), "{told}");
}

#[test]
fn a_bad_variable_is_a_fault_that_names_it() {
    let faults = read_with("", &[("COUNTERSIGN_STORE_TIMEOUT", "0s")]).unwrap_err();

    assert_eq!(
        faults,
        ["environment: COUNTERSIGN_STORE_TIMEOUT: \"0s\" is out of range: from \"10ms\" to \"10s\""]
    );
}

#[test]
fn secrets_come_from_the_environment_or_a_file_beside_the_one_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "from a file\n").unwrap();
    let credentials = |token: &str| {
        format!(
            "[upstreams.a]\ntargets = [\"http://a\"]\n[upstreams.a.credentials]\nmode = \"bearer\"\ntoken = {token:?}\n"
        )
    };
    let main = folder.path().join("main.toml");
    let token = |text: &str, variables: &[(&str, &str)]| -> Result<String, Vec<String>> {
        std::fs::write(&main, credentials(text)).unwrap();
        let loaded = Loaded::read(Some(&main), &Environment::of(variables)).map_err(|faults| faults.lines())?;
        let Credentials::Bearer { token } = &loaded.config.upstreams["a"].credentials else {
            return Err(Vec::new());
        };
        Ok(token.expose().to_owned())
    };

    assert_eq!(token("file:token", &[]), Ok("from a file".to_owned()));
    assert_eq!(
        token("env:TOKEN", &[("TOKEN", "from a variable")]),
        Ok("from a variable".to_owned())
    );
    assert!(token("env:TOKEN", &[]).unwrap_err()[0].ends_with("the environment has no TOKEN"));
    assert!(token("file:nowhere", &[]).unwrap_err()[0].contains("nowhere: No such file"));
}

#[test]
fn an_upstreams_credential_must_fit_where_it_goes() {
    let credentials = |lines: &str| {
        let table = format!("[upstreams.a]\ntargets = [\"http://a\"]\n[upstreams.a.credentials]\n{lines}\n");
        faults(&table).join("\n")
    };

    assert_eq!(
        credentials("mode = \"basic\"\nusername = \"u\"\npassword = \"pä\\nß\""),
        ""
    );
    assert!(credentials("mode = \"basic\"\nusername = \"a:b\"\npassword = \"p\"").contains("colon"));
    assert!(credentials("mode = \"bearer\"\ntoken = \"a\\nb\"").contains("no header can carry"));
    assert!(credentials("mode = \"bearer\"\ntoken = \"\"").ends_with("credentials.token: is empty"));
    assert!(credentials("mode = \"bearer\"").ends_with("credentials.token: is missing"));
    assert!(credentials("mode = \"header\"\nname = \"Host\"\nvalue = \"x\"").contains("can't carry a credential"));
    assert!(credentials("mode = \"oauth1\"").contains("credentials.consumer_key"));
    let whole = "mode = \"oauth1\"\nconsumer_key = \"k\"\nconsumer_secret = \"s\"\n";
    assert_eq!(credentials(whole), "");
    assert!(credentials(&format!("{whole}access_token = \"t\"")).contains("access_token_secret: is missing"));
    assert!(credentials("mode = \"beaer\"").contains("did you mean \"bearer\"?"));
}

#[test]
fn who_vouches_for_customers_is_a_plain_url() {
    let told = |lines: &str| faults(&format!("[tokens.customer]\ncredentials = \"http\"\n{lines}\n")).join("\n");

    assert_eq!(told("url = \"https://shop.example/who\""), "");
    assert!(told("").contains("tokens.customer.url: is missing"));
    assert!(told("url = \"https://u:p@shop.example/\"").contains("not a plain URL"));
}

#[test]
fn a_file_that_holds_no_certificate_or_no_key_is_a_fault_of_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("main.toml");
    std::fs::write(folder.path().join("g.pem"), "garbage").unwrap();
    let table = "[public.tls]\ncert = \"g.pem\"\nkey = \"g.pem\"\nclient_ca = \"gone.pem\"\n";
    std::fs::write(&main, table).unwrap();

    let told = Loaded::read(Some(&main), &Environment::default()).unwrap_err().lines();

    let words = [
        "g.pem holds no certificate in PEM",
        "g.pem holds no private key in PEM",
        "gone.pem: No such file",
    ];
    assert_eq!(told.len(), words.len(), "{told:?}");
    for ((line, told), words) in (2..).zip(&told).zip(words) {
        assert!(
            told.contains(&format!("main.toml:{line}: public.tls.")) && told.contains(words),
            "{told}"
        );
    }
}

#[test]
fn integrations_and_limits_must_fit_what_they_name() {
    let resource = "[[resources]]\nid = \"A_B::c\"\n";
    let told = |tables: &str| faults(&format!("{resource}{tables}")).join("\n");

    assert_eq!(
        told(
            "[[integrations]]\nname = \"a\"\nresources = [\"A_B::c\"]\n[[limits]]\nper = \"integration\"\nrequests = 5\nonly = [\"a\"]\n"
        ),
        ""
    );
    assert!(told("[[integrations]]\nname = \"\"\n").contains(":4: integrations.name: is empty"));
    assert!(told("[[integrations]]\nname = \"a\"\nemail = \"x\"\n").contains(":5: integrations.email: an e-mail"));
    assert!(told("[[integrations]]\nname = \"a\"\nendpoint = \"x\"\n").contains("Invalid Callback URL"));
    assert!(told("[[integrations]]\nname = \"a\"\nresources = [\"A_B::d\"]\n").contains("did you mean \"A_B::c\"?"));
    assert!(told("[[integrations]]\nname = \"a\"\nresources = [\"self\"]\n").contains("\"self\" is unknown"));
    assert!(
        told("[[integrations]]\nname = \"a\"\n[[integrations]]\nname = \"a\"\n")
            .contains(":6: integrations.name: \"a\" is defined twice")
    );
    assert!(told("[[limits]]\nrequests = 5\nonly = [\"10.0.0.0/8\"]\n").contains("is not an address"));
    assert!(told("[[limits]]\nrequests = 5\nper = \"route\"\nonly = [\"/x\"]\n").contains("is no route's path"));
}

#[test]
fn secrets_are_in_no_fault_and_not_in_what_is_shown() {
    let faults =
        faults("[store]\nurl = \"redi://:geheim@host\"\n[upstreams.a]\ntargets = [\"http://u:geheim@host\"]\n");
    let file = "[store]\nurl = \"redis://u:geheim@host\"\nencryption_keys = [\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"]\n";
    let shown = format!("{:?}", read(file).unwrap());

    assert!(faults.len() == 2 && !faults.concat().contains("geheim"), "{faults:?}");
    assert!(
        !shown.contains("geheim") && !shown.contains("AAAA") && !shown.contains("[0, 0"),
        "{shown}"
    );
}

#[test]
fn included_files_go_on_with_lists_and_set_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("conf.d")).unwrap();
    write(
        "main.toml",
        "include = [\"conf.d/*.toml\", \"*.toml\"]\n[public]\nthreads = 1\n[upstreams.a]\ntargets = [\"http://a\"]\n[[routes]]\npath = \"/a\"\nupstream = \"a\"\nresources = [\"anonymous\"]\n",
    );
    write(
        "conf.d/10.toml",
        "[public]\nbase_url = \"http://a\"\n[[routes]]\npath = \"/b\"\nupstream = \"a\"\nresources = [\"anonymous\"]\n",
    );
    write("conf.d/.hidden.toml", "nonsense");
    write("conf.d/readme.txt", "nonsense");
    let main = folder.path().join("main.toml");
    let load = || Loaded::read(Some(&main), &Environment::default()).map_err(|faults| faults.lines());

    assert_eq!(load().unwrap().config.routes.len(), 2);

    write("conf.d/20.toml", "[public]\nthreads = 2\n");
    write("conf.d/30.toml", "include = [\"x\"]\n");
    write("conf.d/40.toml", "[publik]\n");
    let told = load().unwrap_err().concat();
    assert!(
        told.contains(&format!(
            "20.toml:2: public.threads: is set already at {}:3",
            main.display()
        )),
        "{told}"
    );
    assert!(
        told.contains("30.toml:1: include: an included file can't include others"),
        "{told}"
    );
    assert!(told.contains("40.toml:1: publik: unknown key"), "{told}");
}

#[test]
fn an_include_that_names_a_missing_file_or_another_pattern_is_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("main.toml");
    std::fs::write(&main, "include = [\"gone.toml\", \"*/x.toml\", \"conf.d/*.toml\"]\n").unwrap();

    let told = Loaded::read(Some(&main), &Environment::default()).unwrap_err().lines();

    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("only one * is understood"), "{told:?}");
    assert!(told[1].contains("main.toml:1: include: "), "{told:?}");
    assert!(told[1].contains("gone.toml: can't be read: No such file"), "{told:?}");
}

#[test]
fn what_is_no_text_file_is_told_plainly() {
    let folder = tempfile::tempdir().unwrap();
    let latin = folder.path().join("latin.toml");
    std::fs::write(&latin, b"[public]\n# caf\xe9\n").unwrap();
    let told = |path: &Path| {
        Loaded::read(Some(path), &Environment::default())
            .unwrap_err()
            .lines()
            .concat()
    };

    assert!(told(&latin).ends_with("latin.toml:2: is not UTF-8, as TOML must be"));
    assert!(told(folder.path()).ends_with("is a folder, not a file"));
    assert!(told(Path::new("/dev/zero")).contains("is larger than 16 MiB"));
    assert!(told(&folder.path().join("gone")).contains("No such file"));
}

/// Recovery from broken syntax is the parser's most intricate part: whatever comes, it ends with faults or without.
#[test]
fn a_mangled_file_is_read_to_its_end() {
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(random >> 33).unwrap() % below
    };
    let whole = uncommented(DEFAULT_FILE);
    for _ in 0..500 {
        let mut octets = whole.clone().into_bytes();
        for _ in 0..=next(8) {
            let at = next(octets.len());
            let until = (at + next(400)).min(octets.len());
            match next(4) {
                0 => octets.truncate(at.max(1)),
                1 => octets[at] = *b"[]{}\"'=.#\n\\,-0a\0".get(next(16)).unwrap(),
                2 => drop(octets.drain(at..until)),
                _ => octets.extend_from_within(at..until),
            }
            if octets.is_empty() {
                break;
            }
        }
        let text = String::from_utf8_lossy(&octets).into_owned();

        let read = read(&text);

        assert!(read.is_ok() || read.is_err_and(|faults| faults.iter().all(|fault| fault.contains("t.toml:"))));
    }
}

#[test]
fn a_reload_says_which_keys_need_a_restart() {
    let running = read("").unwrap().config;
    let loaded = read("[public]\nlisten = [\"127.0.0.1:1\"]\n[public.limits]\nconnections = 5\nbody = \"1MiB\"\n[store]\ncache = 1000\n[log]\naccess = false\n").unwrap().config;

    assert_eq!(
        needs_restart(&running, &loaded),
        ["public.listen", "store.cache", "log.access"]
    );
}

#[test]
fn a_file_that_can_not_be_read_hides_no_fault_of_the_others_and_nothing_that_it_may_hold_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let main = folder.path().join("main.toml");
    let told = || {
        let faults = Loaded::read(Some(&main), &Environment::default()).unwrap_err();
        let shown = faults.lines();
        let place = format!("{}/", folder.path().display());
        shown.iter().map(|line| line.replace(&place, "")).collect::<Vec<_>>()
    };
    let route = "[[routes]]\npath = \"/a\"\nupstream = \"a\"\nresources = [\"A::b\"]\n[upstreams.c]\nretries = \"x\"\n";
    write(
        "20.toml",
        &format!("{route}[[resources]]\nid = \"B\"\nparent = \"C\"\n"),
    );
    write("30.toml", "[public]\nthreads = 1\nthreads = 2\n");

    write(
        "main.toml",
        "include = [\n\"10.toml\",\n\"20.toml\",\n\"30.toml\"]\n[public]\nthreds = 1\n",
    );
    let missing = told();
    write("main.toml", "include = [\"20.toml\", \"30.toml\"]\n[public\n");
    let broken = told();

    assert_eq!(missing.len(), 4, "{missing:?}");
    assert!(
        missing[0].starts_with("20.toml:6: upstreams.c.retries: "),
        "{missing:?}"
    );
    assert!(
        missing[1].starts_with("30.toml:3: threads: duplicate key"),
        "{missing:?}"
    );
    assert!(
        missing[2].starts_with("main.toml:2: include: 10.toml: can't be read: "),
        "{missing:?}"
    );
    assert!(
        missing[3].starts_with("main.toml:6: public.threds: unknown key"),
        "{missing:?}"
    );
    assert_eq!(broken.len(), 3, "{broken:?}");
    assert_eq!(broken[..2], missing[..2]);
    assert!(broken[2].starts_with("main.toml:2: "), "{broken:?}");
}

#[test]
fn every_faulty_field_of_an_integration_is_told() {
    let told = faults("[[integrations]]\nemail = \"x\"\nendpoint = \"ftp://x\"\nidentity_link_url = \"y\"\n");

    let keys: Vec<&str> = told.iter().filter_map(|fault| fault.split(": ").nth(1)).collect();
    assert_eq!(
        keys,
        [
            "integrations.name",
            "integrations.email",
            "integrations.endpoint",
            "integrations.identity_link_url"
        ]
    );
}

#[test]
fn an_endpoint_is_where_it_can_be_called_and_no_other_is() {
    let told = faults(
        "[public.paths]\ninitiate = \"/oauth/../x\"\ntoken = \"/oauth/token/request\"\nauthorize = \"/a\"\nadmin_token = \"/a\"\n",
    );

    assert_eq!(
        told,
        [
            "t.toml:2: public.paths.initiate: \"/oauth/../x\" can't be called: a segment of dots is refused in every request",
            "t.toml:3: public.paths.token: \"/oauth/token/request\" is the path of token_request already",
            "t.toml:5: public.paths.admin_token: \"/a\" is the path of authorize already",
        ]
    );
}

#[test]
fn a_route_that_can_hardly_be_meant_is_warned_of() {
    let told = |path: &str| {
        let loaded = read(&format!(
            "[public]\nbase_url = \"http://a\"\n[upstreams.a]\ntargets = [\"http://a\"]\n\
             [[routes]]\npath = \"{path}\"\nupstream = \"a\"\nresources = [\"anonymous\"]\n"
        ));
        warnings(&loaded.unwrap())
    };

    assert!(told("/V1/products/:sku").contains("t.toml:6: routes.path: \":sku\" matches just these characters"));
    assert!(told("/V1/products/:sku").contains("write {sku}"));
    assert!(told("/rest/{a}/{a?}").contains("{a} stands in it twice"));
    for own in [
        "/oauth/token/request",
        "/oauth/token/request/",
        "/rest/{store?}/V1/integration/admin/token",
        "/rest/{store}/V1/integration/admin/token",
    ] {
        assert!(told(own).contains("never matches: our own endpoint is there"), "{own}");
    }
    for other in ["/{*rest}", "/oauth/{a}/request", "/rest/{store?}/V1/a:b", "/"] {
        assert_eq!(told(other), "", "{other}");
    }
}

#[test]
fn what_is_planned_is_read_as_if_it_were_done() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("conf.d")).unwrap();
    std::fs::write(at("main.toml"), "include = [\"conf.d/*.toml\", \"made/one.toml\"]\n").unwrap();
    std::fs::write(at("conf.d/old.toml"), "nonsense").unwrap();
    let (one, two, old) = (
        at("made/one.toml"),
        at("conf.d/../conf.d/two.toml"),
        at("conf.d/old.toml"),
    );
    let planned = Planned::of([
        (one.as_path(), Some("[public]\nbase_url = \"http://a\"\n")),
        (two.as_path(), Some("[admin]\nlisten = \"127.0.0.1:1\"\n")),
        (old.as_path(), None),
    ]);
    let read = |planned: &Planned| Loaded::read_with(Some(&at("main.toml")), &Environment::default(), planned);

    let config = read(&planned).unwrap().config;

    assert_eq!((config.public.base_urls.len(), config.admin.listen.port()), (1, 1));
    assert_eq!(read(&Planned::default()).unwrap_err().lines().len(), 2);
}
