//! All sections of the file, and what must hold between them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use oauth1::{Scheme, SignatureMethod};

use super::reader::Section;
use super::routes::{self, Context};
use super::{
    Config, Upstream, admin, callbacks, events, integrations, log, oauth, public, rate, resources, store, sweeps,
    tokens, upstream,
};

pub(super) fn config(root: Section<'_, '_>) -> Config {
    // In the order in which the file is written, and shown.
    let (public, admin) = (
        public::public(root.section("public")),
        admin::admin(root.section("admin")),
    );
    let (store, oauth) = (store::store(root.section("store")), oauth::oauth(root.section("oauth")));
    let (tokens, lockout) = (
        tokens::tokens(root.section("tokens")),
        tokens::lockout(root.section("lockout")),
    );
    let (callbacks, log) = (
        callbacks::callbacks(root.section("callbacks")),
        log::log(root.section("log")),
    );
    let (sweeps, events) = (
        sweeps::sweeps(root.section("sweeps")),
        events::events(root.section("events")),
    );
    let upstreams: BTreeMap<String, Upstream> = root
        .sections("upstreams")
        .into_iter()
        .map(|(name, section)| (name, upstream::upstream(section)))
        .collect();
    let resources = resources::resources(&root);
    let context = Context {
        upstreams: upstreams.keys().cloned().collect(),
        resources: resources.iter().map(|one| one.id.clone()).collect(),
        paths: &public.paths,
    };
    let routes = routes::read(&root, &context);
    let config = Config {
        integrations: integrations::integrations(&root, &resources),
        webhooks: events::webhooks(&root),
        limits: rate::limits(&root, &routes),
        routes,
        public,
        admin,
        store,
        oauth,
        tokens,
        lockout,
        callbacks,
        log,
        sweeps,
        events,
        upstreams,
        resources,
    };
    between(&root, &config);
    root.finish();
    config
}

/// Whether a target is this machine's own listener, as far as that shows without asking for names.
fn is_at(target: &super::UpstreamTarget, own: SocketAddr) -> bool {
    let ip = match target.host.as_str() {
        "localhost" => Some(IpAddr::from([127, 0, 0, 1])),
        host => host.trim_matches(['[', ']']).parse().ok(),
    };
    let is_same =
        |ip: IpAddr| ip == own.ip() || (own.ip().is_unspecified() && (ip.is_loopback() || ip.is_unspecified()));
    own.port() != 0 && target.port == own.port() && ip.is_some_and(is_same)
}

/// What must hold between sections.
fn between(root: &Section<'_, '_>, config: &Config) {
    let overlaps = |public: &&SocketAddr| {
        let admin = config.admin.listen;
        let everywhere = public.ip().is_unspecified() || admin.ip().is_unspecified();
        admin.port() != 0 && public.port() == admin.port() && (everywhere || public.ip() == admin.ip())
    };
    if let Some(taken) = config.public.listen.iter().find(overlaps) {
        let what = format!("{taken} is admin.listen's too: the admin API is never public");
        root.fault("public.listen", &what);
    }
    for (name, upstream) in &config.upstreams {
        let is_own = |target: &&super::UpstreamTarget| config.public.listen.iter().any(|own| is_at(target, *own));
        if let Some(target) = upstream.targets.iter().find(is_own) {
            let what = format!(
                "{}:{} is public.listen's: each request would come back as another, without end",
                target.host, target.port
            );
            root.fault(&format!("upstreams.{name}.targets"), &what);
        }
    }
    let is_plain = |url: &super::BaseUrl| url.scheme == Scheme::Http;
    // With no base URL a trusted proxy's X-Forwarded-Proto says what the client used.
    let proxied = config.public.base_urls.is_empty() && !config.public.trusted_proxies.is_empty();
    let in_clear = config.public.tls.is_none() && !proxied && config.public.base_urls.iter().all(is_plain);
    if in_clear && config.oauth.signature_methods.contains(SignatureMethod::Plaintext) {
        let what = "PLAINTEXT is accepted over TLS only, and neither public.tls nor an https public.base_url is set";
        root.warn("oauth.signature_methods", what);
    }
    if in_clear && config.routes.iter().any(|route| route.secure) {
        let what = "secure routes refuse every request: neither public.tls nor an https public.base_url is set";
        root.warn("routes.secure", what);
    }
    let signs = |route: &&super::Route| {
        let upstream = config.upstreams.get(&route.upstream);
        upstream.is_some_and(|one| matches!(one.credentials, super::Credentials::Oauth1(_)))
    };
    if let Some(route) = config.routes.iter().filter(signs).find(|route| route.keep_oauth) {
        let (path, upstream) = (&route.path, &route.upstream);
        let what = format!("of {path} can't go with upstreams.{upstream}.credentials: two signatures would meet there");
        root.fault("routes.keep_oauth", &what);
    }
    if config.routes.is_empty() {
        root.warn("routes", "there are none: every request is answered 404");
    }
}
