//! The reader as an operator meets it: faults, environment, secrets; several files; and what is shipped against the reader.

mod files;
mod shipped;

use std::path::Path;

use super::*;

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

#[test]
fn a_resource_without_an_id_has_one_fault() {
    let told = faults("[[resources]]\ntitle = \"x\"\norder = 1\n");

    assert_eq!(told, ["t.toml:1: resources.id: is missing"]);
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
fn a_health_check_needs_the_path_that_is_asked_for() {
    let upstream = "[upstreams.a]\ntargets = [\"http://a\"]\n[upstreams.a.health_check]\n";
    for path in ["health", "/a b", "/a#b", "http://a/"] {
        let wrong = faults(&format!("{upstream}path = {path:?}\n"));
        let message = format!("t.toml:4: upstreams.a.health_check.path: {path:?} is not a path");
        assert!(wrong.len() == 1 && wrong[0].starts_with(&message), "{wrong:?}");
    }

    let missing = faults(upstream);

    assert!(
        missing.len() == 1 && missing[0].starts_with("t.toml:3: upstreams.a.health_check.path: is missing"),
        "{missing:?}"
    );
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
fn what_no_store_can_be_opened_by_is_a_fault_of_the_url() {
    for url in [
        "redis://127.0.0.1:7000/abc",
        "redis-sentinel://127.0.0.1:7000",
        "redis://a:7000,b:7002",
        "redis://127.0.0.1:7000?x=y",
        "rediss://127.0.0.1:7001#insecure",
        "redis://:p%zz@127.0.0.1:7000",
        "redis://127.0.0.1:99999",
        "redis-cluster://127.0.0.1:7000/3",
        "rediss://127.0.0.1:7001?ca=/no/such/file.pem",
    ] {
        let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let wrong = faults(&format!("[store]\nurl = \"{url}\"\nencryption_keys = [\"{key}\"]\n"));
        let is_told = wrong.len() == 1 && wrong[0].starts_with("t.toml:2: store.url: names no store: ");
        assert!(is_told && !wrong[0].contains("p%zz"), "{url}: {wrong:?}");
    }
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
    let header = |name: &str| credentials(&format!("mode = \"header\"\nname = \"{name}\"\nvalue = \"x\""));
    for name in [
        "Host",
        "X-Consumer-Id",
        "x_user_type",
        "X-Forwarded-Host",
        "traceparent",
    ] {
        assert!(header(name).contains("can't carry a credential"), "{name}");
    }
    assert_eq!(
        (header("X-Api-Key"), header("Authorization")),
        (String::new(), String::new())
    );
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
fn an_upstream_that_is_the_gateway_itself_is_a_fault() {
    let with = |listen: &str, target: &str| {
        faults(&format!(
            "[public]\nlisten = [\"{listen}\"]\n[upstreams.a]\ntargets = [\"http://{target}\"]\n"
        ))
    };

    for (listen, target) in [
        ("127.0.0.1:8123", "127.0.0.1:8123"),
        ("127.0.0.1:8123", "localhost:8123"),
        ("0.0.0.0:8123", "127.0.0.9:8123"),
        ("[::]:8123", "[::1]:8123"),
    ] {
        let told = with(listen, target);
        assert!(
            told.concat().contains("t.toml:4: upstreams.a.targets"),
            "{target}: {told:?}"
        );
    }
    assert!(read("[public]\nlisten = [\"127.0.0.1:8123\"]\n[upstreams.a]\ntargets = [\"http://127.0.0.1:8124\", \"http://192.0.2.1:8123\"]\n").is_ok());
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
