//! Every key of the configuration: its section, default and bounds; then what must hold between sections.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use oauth1::{MethodSet, Placements, SignatureMethod};
use token_store::{Grant, NewIntegration, Setup};

use super::fault::Place;
use super::reader::Section;
use super::resolve::Warning;
use super::routes::{self, Context};
use super::{
    Admin, Balance, Callbacks, Config, Credentials, CustomerCredentials, Limits, Lockout, Log, Oauth, Paths, Public,
    Resource, Store, Tls, Tokens, Upstream, nearest, values,
};

pub(super) fn config(root: Section<'_, '_>) -> Config {
    let upstreams: BTreeMap<String, Upstream> = root
        .sections("upstreams")
        .into_iter()
        .filter_map(|(name, section)| Some((name, upstream(section)?)))
        .collect();
    let resources = resources(&root);
    let context = Context {
        upstreams: upstreams.keys().cloned().collect(),
        resources: resources.iter().map(|one| one.id.clone()).collect(),
    };
    let config = Config {
        public: public(root.section("public")),
        admin: admin(root.section("admin")),
        store: store(root.section("store")),
        oauth: oauth(root.section("oauth")),
        tokens: tokens(root.section("tokens")),
        lockout: lockout(root.section("lockout")),
        callbacks: callbacks(root.section("callbacks")),
        routes: routes::read(&root, &context),
        integrations: integrations(&root, &context),
        log: log(root.section("log")),
        upstreams,
        resources,
    };
    root.finish();
    config
}

pub(super) fn warnings(config: &Config) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let unreachable = config
        .routes
        .iter()
        .filter(|route| route.requirement == super::Requirement::Nothing);
    warnings.extend(unreachable.map(|route| {
        Warning(format!(
            "route {}: names no resources, so every request is refused; set resources = [\"…\"]",
            route.path
        ))
    }));
    if config.public.base_urls.is_empty() {
        warnings.push(Warning(
            "public.base_url is not set: clients sign whatever Host they call, and activation by exchange needs it"
                .to_owned(),
        ));
    }
    if config.routes.is_empty() {
        warnings.push(Warning(
            "there are no [[routes]]: every request is answered 404".to_owned(),
        ));
    }
    warnings
}

fn public(section: Section<'_, '_>) -> Public {
    let address = |text: &str| {
        text.parse::<SocketAddr>()
            .map_err(|_| format!("{text:?} is not an address: write it as \"127.0.0.1:8080\""))
    };
    let default = SocketAddr::from(([127, 0, 0, 1], 8080));
    let public = Public {
        listen: section
            .all_parsed("listen", address)
            .filter(|all| !all.is_empty())
            .unwrap_or_else(|| vec![default]),
        base_urls: section.all_parsed("base_url", values::base_url).unwrap_or_default(),
        trusted_proxies: section.all_parsed("trusted_proxies", values::net).unwrap_or_default(),
        threads: section.count("threads", 0, 0..=1024),
        limits: limits(section.section("limits")),
        paths: paths(section.section("paths")),
        tls: section.optional_section("tls").map(tls),
    };
    section.finish();
    public
}

fn limits(section: Section<'_, '_>) -> Limits {
    let limits = Limits {
        head: section.octets("head", "32KiB", ("8KiB", "1MiB")),
        headers: section.count("headers", 100, 1..=100),
        target: section.octets("target", "8KiB", ("256B", "60KiB")),
        parameters: section.count("parameters", 1000, 1..=100_000),
        authorization: section.octets("authorization", "8KiB", ("512B", "64KiB")),
        body: section.size("body", "10MiB", ("0B", "1024GiB")),
        signed_form: section.octets("signed_form", "1MiB", ("0B", "64MiB")),
        header_timeout: section.duration("header_timeout", "10s", ("100ms", "1h")),
        body_timeout: section.duration("body_timeout", "30s", ("100ms", "1d")),
        body_rate: section.size("body_rate", "1KiB", ("1B", "1GiB")),
        write_timeout: section.duration("write_timeout", "30s", ("100ms", "1d")),
        idle_timeout: section.duration("idle_timeout", "60s", ("100ms", "1d")),
        requests_per_connection: section.number("requests_per_connection", 10_000, 1..=u64::MAX),
        tls_handshake_timeout: section.duration("tls_handshake_timeout", "10s", ("100ms", "1h")),
        connections: section.count("connections", 10_000, 1..=1_000_000),
        connections_per_address: section.count("connections_per_address", 1024, 1..=1_000_000),
        in_flight: section.count("in_flight", 1024, 1..=1_000_000),
        in_flight_wait: section.duration("in_flight_wait", "1s", ("0ms", "1m")),
        h2_streams: u32::try_from(section.number("h2_streams", 100, 1..=10_000)).unwrap_or(100),
        drain_timeout: section.duration("drain_timeout", "30s", ("0ms", "1d")),
    };
    section.finish();
    limits
}

fn paths(section: Section<'_, '_>) -> Paths {
    let path = |key: &str, default: &str| {
        let plain = |text: &str| {
            let fits = text.starts_with('/') && !text.ends_with('/') && !text.contains(['?', '#', '%', ' ']);
            if fits {
                Ok(text.to_owned())
            } else {
                Err(format!("{text:?} is not a path: it begins with / and ends without"))
            }
        };
        section.parsed(key, plain).unwrap_or_else(|| default.to_owned())
    };
    let paths = Paths {
        token_request: path("token_request", "/oauth/token/request"),
        token_access: path("token_access", "/oauth/token/access"),
        initiate: path("initiate", "/oauth/initiate"),
        authorize: path("authorize", "/oauth/authorize"),
        token: path("token", "/oauth/token"),
        admin_token: path("admin_token", "/rest/V1/integration/admin/token"),
        customer_token: path("customer_token", "/rest/V1/integration/customer/token"),
        revoke_customer_token: path(
            "revoke_customer_token",
            "/rest/V1/integration/customer/revoke-customer-token",
        ),
    };
    section.finish();
    paths
}

fn tls(section: Section<'_, '_>) -> Tls {
    let mut certificates = Vec::new();
    let pair = |section: &Section<'_, '_>| section.existing_file("cert").zip(section.existing_file("key"));
    certificates.extend(pair(&section));
    for other in section.list_of_tables("certificates") {
        certificates.extend(pair(&other));
        other.finish();
    }
    if certificates.is_empty() {
        section.fault_at(
            section.place(),
            "cert",
            "names no certificate: set cert and key to PEM files",
        );
    }
    let version = |text: &str| match text {
        "1.2" => Ok(false),
        "1.3" => Ok(true),
        _ => Err(format!("{text:?} is not a version: \"1.2\" or \"1.3\"")),
    };
    let tls = Tls {
        certificates,
        client_ca: section.existing_file("client_ca"),
        tls13_only: section.parsed("min_version", version).unwrap_or(false),
    };
    section.finish();
    tls
}

fn admin(section: Section<'_, '_>) -> Admin {
    let address = |text: &str| {
        text.parse::<SocketAddr>()
            .map_err(|_| format!("{text:?} is not an address"))
    };
    let default = SocketAddr::from(([127, 0, 0, 1], 9090));
    let admin = Admin {
        listen: section.parsed("listen", address).unwrap_or(default),
    };
    section.finish();
    admin
}

fn store(section: Section<'_, '_>) -> Store {
    const SCHEMES: [&str; 6] = [
        "embedded:",
        "redis://",
        "rediss://",
        "redis-sentinel://",
        "redis-cluster://",
        "rediss-cluster://",
    ];
    let url = |text: &str| {
        if SCHEMES
            .iter()
            .any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
        {
            Ok(text.to_owned())
        } else {
            Err(format!(
                "{text:?} is not a store: embedded:PATH, redis://HOST, rediss://, redis-sentinel:// or redis-cluster://"
            ))
        }
    };
    let url = section
        .parsed("url", url)
        .unwrap_or_else(|| "embedded:var/countersign".to_owned());
    let mut encryption_keys = Vec::new();
    for (text, place) in section.texts("encryption_keys").unwrap_or_default() {
        let Some(secret) = section.resolve_secret("encryption_keys", &text, &place) else {
            continue;
        };
        match values::key(secret.expose()) {
            Ok(key) => encryption_keys.push(key),
            Err(what) => section.fault_at(&place, "encryption_keys", &what),
        }
    }
    if encryption_keys.is_empty() && !url.starts_with("embedded:") {
        let what = "is needed with Redis: secrets are never stored in clear; `countersign config new-key` prints one";
        section.fault_at(section.place(), "encryption_keys", what);
    }
    let store = Store {
        url,
        encryption_keys,
        timeout: section.duration("timeout", "250ms", ("10ms", "10s")),
        request_timeout: section.duration("request_timeout", "500ms", ("10ms", "30s")),
        connect_timeout: section.duration("connect_timeout", "250ms", ("10ms", "10s")),
        cache: section.count("cache", 100_000, 100..=10_000_000),
    };
    section.finish();
    store
}

fn oauth(section: Section<'_, '_>) -> Oauth {
    let method = |text: &str| {
        SignatureMethod::from_name(text).ok_or_else(|| {
            let names: Vec<&str> = SignatureMethod::ALL.iter().map(|method| method.as_str()).collect();
            format!("{text:?} is not a signature method: {}", names.join(", "))
        })
    };
    let default: MethodSet = [SignatureMethod::HmacSha256, SignatureMethod::HmacSha1]
        .into_iter()
        .collect();
    let word = |known: &'static [&'static str]| {
        move |text: &str| {
            let found = known.iter().copied().find(|one| *one == text);
            found.ok_or_else(|| format!("{text:?} is none of {}", known.join(", ")))
        }
    };
    let compat = section.all_parsed("compat", word(&["magento-sort", "magento-host"]));
    let compat = compat.unwrap_or_else(|| vec!["magento-sort"]);
    let placements = section.all_parsed("placements", word(&["header", "query", "form"]));
    let placed = |name: &str| placements.as_ref().is_none_or(|all| all.contains(&name));
    let oauth = Oauth {
        signature_methods: section
            .all_parsed("signature_methods", method)
            .map_or(default, MethodSet::from_iter),
        timestamp_window: section.duration("timestamp_window", "10m", ("1s", "15m")),
        placements: Placements {
            header: placed("header"),
            query: placed("query"),
            form: placed("form"),
        },
        magento_sort: compat.contains(&"magento-sort"),
        magento_host: compat.contains(&"magento-host"),
        consumer_expiry: section.duration("consumer_expiry", "5m", ("1s", "30d")),
        request_token_lifetime: section.duration("request_token_lifetime", "2h", ("1s", "30d")),
        initiate_lifetime: section.duration("initiate_lifetime", "10m", ("1s", "1h")),
        exchange_grace: section.duration("exchange_grace", "60s", ("0s", "1h")),
        uniform_errors: section.flag("uniform_errors", false),
        access_tokens_as_bearer: section.flag("access_tokens_as_bearer", false),
    };
    section.finish();
    oauth
}

fn tokens(section: Section<'_, '_>) -> Tokens {
    let lifetime = |of: &Section<'_, '_>, default: &str| -> Option<Duration> {
        let parse = |text: &str| match text {
            "never" => Ok(None),
            text => match values::duration(text)? {
                Duration::ZERO => Err("0 would expire at once; write \"never\" for a token without expiry".to_owned()),
                lifetime => Ok(Some(lifetime)),
            },
        };
        of.parsed("lifetime", parse)
            .unwrap_or_else(|| values::duration(default).ok())
    };
    let opaque = |of: &Section<'_, '_>| {
        let format = |text: &str| match text {
            "opaque" => Ok(()),
            "jwt" => Err("\"jwt\" is not available in this version; use \"opaque\"".to_owned()),
            _ => Err(format!("{text:?} is not a format: \"opaque\"")),
        };
        // Read for its faults: there is one format so far.
        let _opaque = of.parsed("format", format);
    };
    let (admin, customer) = (section.section("admin"), section.section("customer"));
    opaque(&admin);
    opaque(&customer);
    let source = customer.text_or("credentials", "local");
    let url = customer.text("url");
    let customer_credentials = match (source.as_str(), url) {
        ("http", Some((url, _))) => CustomerCredentials::Http { url },
        ("http", None) => {
            customer.fault_at(customer.place(), "url", "is missing: credentials = \"http\" asks it");
            CustomerCredentials::Local
        }
        ("local", _) => CustomerCredentials::Local,
        (other, _) => {
            customer.fault_at(
                customer.place(),
                "credentials",
                &format!("{other:?} is neither \"local\" nor \"http\""),
            );
            CustomerCredentials::Local
        }
    };
    let tokens = Tokens {
        admin_lifetime: lifetime(&admin, "4h"),
        customer_lifetime: lifetime(&customer, "1h"),
        customer_credentials,
    };
    admin.finish();
    customer.finish();
    section.finish();
    tokens
}

fn lockout(section: Section<'_, '_>) -> Lockout {
    let lockout = Lockout {
        max_failures: u32::try_from(section.number("max_failures", 6, 1..=1000)).unwrap_or(6),
        duration: section.duration("duration", "30m", ("1s", "30d")),
    };
    section.finish();
    lockout
}

fn upstream(section: Section<'_, '_>) -> Option<Upstream> {
    let targets = section.all_parsed("targets", values::target);
    let balance = |text: &str| match text {
        "round-robin" => Ok(Balance::RoundRobin),
        "least-requests" => Ok(Balance::LeastRequests),
        "hash" => Ok(Balance::Hash),
        _ => Err(format!(
            "{text:?} is none of \"round-robin\", \"least-requests\", \"hash\""
        )),
    };
    let upstream = Upstream {
        targets: targets.clone().unwrap_or_default(),
        balance: section.parsed("balance", balance).unwrap_or(Balance::RoundRobin),
        connect_timeout: section.duration("connect_timeout", "1s", ("10ms", "1m")),
        first_byte_timeout: section.duration("first_byte_timeout", "15s", ("10ms", "1h")),
        request_timeout: section.duration("request_timeout", "60s", ("10ms", "1d")),
        idle_timeout: section.duration("idle_timeout", "60s", ("10ms", "1h")),
        idle_connections: section.count("idle_connections", 128, 0..=10_000),
        retry_broken: section.flag("retry_broken", true),
        ca: section.existing_file("ca"),
        host: section.text("host").map(|(host, _)| host),
        credentials: section
            .optional_section("credentials")
            .map_or(Credentials::None, credentials),
    };
    if targets.as_ref().is_none_or(Vec::is_empty) {
        section.fault_at(section.place(), "targets", "is missing: set targets = [\"http://…\"]");
    }
    section.finish();
    targets.map(|_| upstream)
}

fn credentials(section: Section<'_, '_>) -> Credentials {
    let missing = |key: &str| section.fault_at(section.place(), key, "is missing");
    let mode = section.text("mode");
    let plain = |key: &str| {
        let secret = section.secret(key)?;
        if http::HeaderValue::from_str(secret.expose()).is_ok() {
            return Some(secret);
        }
        section.fault_at(section.place(), key, "holds octets that no header can carry");
        None
    };
    let found = match mode.as_ref().map_or("none", |(mode, _)| mode.as_str()) {
        "none" => Some(Credentials::None),
        "bearer" => plain("token").map(|token| Credentials::Bearer { token }).or_else(|| {
            missing("token");
            None
        }),
        "basic" => section
            .text("username")
            .zip(section.secret("password"))
            .map(|((username, _), password)| Credentials::Basic { username, password })
            .or_else(|| {
                missing("username and password");
                None
            }),
        "header" => {
            let name = |text: &str| {
                text.parse::<http::HeaderName>()
                    .map_err(|_| format!("{text:?} is not a header's name"))
            };
            section
                .parsed("name", name)
                .zip(plain("value"))
                .map(|(name, value)| Credentials::Header { name, value })
                .or_else(|| {
                    missing("name and value");
                    None
                })
        }
        other => {
            let later = matches!(other, "oauth1" | "customer");
            let what = if later {
                "is not available in this version"
            } else {
                "is none of none, bearer, basic, header"
            };
            let place = mode
                .as_ref()
                .map_or_else(|| section.place().clone(), |(_, place)| place.clone());
            section.fault_at(&place, "mode", &format!("{other:?} {what}"));
            None
        }
    };
    section.finish();
    found.unwrap_or(Credentials::None)
}

fn callbacks(section: Section<'_, '_>) -> Callbacks {
    let callbacks = Callbacks {
        timeout: section.duration("timeout", "5s", ("100ms", "1m")),
        allow: section
            .all_parsed("allow", values::allowed_callback)
            .unwrap_or_default(),
        ca: section.existing_file("ca"),
    };
    section.finish();
    callbacks
}

fn log(section: Section<'_, '_>) -> Log {
    let level = |text: &str| {
        text.parse::<tracing::Level>()
            .map_err(|_| format!("{text:?} is not a level: error, warn, info, debug, trace"))
    };
    let format = |text: &str| match text {
        "json" => Ok(true),
        "text" => Ok(false),
        _ => Err(format!("{text:?} is neither \"json\" nor \"text\"")),
    };
    let log = Log {
        access: section.flag("access", true),
        json: section.parsed("format", format).unwrap_or(true),
        level: section.parsed("level", level).unwrap_or(tracing::Level::INFO),
    };
    section.finish();
    log
}

fn resources(root: &Section<'_, '_>) -> Vec<Resource> {
    let mut found: Vec<(Resource, Place)> = Vec::new();
    for section in root.list_of_tables("resources") {
        let id = section.required("id");
        let resource = id.map(|(id, place)| {
            let title = section.text_or("title", &id);
            let parent = section.text("parent").map(|(parent, _)| parent);
            let order = i64::try_from(section.number("order", 0, 0..=1_000_000)).unwrap_or_default();
            (
                Resource {
                    id,
                    title,
                    parent,
                    order,
                },
                place,
            )
        });
        if let Some((resource, place)) = resource {
            if let Some((_, first)) = found.iter().find(|(one, _)| one.id == resource.id) {
                section.fault_at(
                    &place,
                    "id",
                    &format!("{:?} is defined already at {first}", resource.id),
                );
            } else {
                found.push((resource, place));
            }
        }
        section.finish();
    }
    let parents: BTreeMap<&str, Option<&str>> = found
        .iter()
        .map(|(one, _)| (one.id.as_str(), one.parent.as_deref()))
        .collect();
    for (resource, place) in &found {
        let Some(parent) = resource.parent.as_deref() else {
            continue;
        };
        if !parents.contains_key(parent) {
            let near = nearest(parent, parents.keys().copied());
            let near = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
            root.fault_at(place, "resources.parent", &format!("{parent:?} is no resource{near}"));
        } else if is_cyclic(&resource.id, &parents) {
            root.fault_at(place, "resources.parent", &format!("{:?} is above itself", resource.id));
        }
    }
    found.into_iter().map(|(resource, _)| resource).collect()
}

fn is_cyclic(id: &str, parents: &BTreeMap<&str, Option<&str>>) -> bool {
    let mut above = parents.get(id).copied().flatten();
    for _ in 0..=parents.len() {
        match above {
            None => return false,
            Some(parent) if parent == id => return true,
            Some(parent) => above = parents.get(parent).copied().flatten(),
        }
    }
    true
}

fn integrations(root: &Section<'_, '_>, context: &Context) -> Vec<NewIntegration> {
    let mut names = BTreeSet::new();
    let mut integrations = Vec::new();
    for section in root.list_of_tables("integrations") {
        let name = section.required("name");
        let resources: BTreeSet<String> = routes::known_resources(&section, "resources", context)
            .into_iter()
            .collect();
        let email = section.text_or("email", "");
        let endpoint = section.text("endpoint").map(|(text, _)| text);
        let identity_link_url = section.text("identity_link_url").map(|(text, _)| text);
        if let Some((name, place)) = name {
            if !names.insert(name.clone()) {
                section.fault_at(&place, "name", &format!("{name:?} is defined twice"));
            }
            integrations.push(NewIntegration {
                name,
                email,
                endpoint,
                identity_link_url,
                setup: Setup::Config,
                grant: Grant::Listed(resources),
                signature_methods: None,
                rsa_public_key: None,
                two_legged: false,
                placements: None,
                callback_urls: Vec::new(),
                flags: BTreeSet::new(),
            });
        }
        section.finish();
    }
    integrations
}
