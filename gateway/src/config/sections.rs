//! All sections of the file, and what must hold between them.

use std::collections::BTreeMap;

use super::reader::Section;
use super::resolve::Warning;
use super::routes::{self, Context};
use super::{
    Config, Requirement, Upstream, admin, callbacks, integrations, log, oauth, public, resources, store, tokens,
    upstream,
};

pub(super) fn config(root: Section<'_, '_>) -> Config {
    let upstreams: BTreeMap<String, Upstream> = root
        .sections("upstreams")
        .into_iter()
        .filter_map(|(name, section)| Some((name, upstream::upstream(section)?)))
        .collect();
    let resources = resources::resources(&root);
    let context = Context {
        upstreams: upstreams.keys().cloned().collect(),
        resources: resources.iter().map(|one| one.id.clone()).collect(),
    };
    let config = Config {
        public: public::public(root.section("public")),
        admin: admin::admin(root.section("admin")),
        store: store::store(root.section("store")),
        oauth: oauth::oauth(root.section("oauth")),
        tokens: tokens::tokens(root.section("tokens")),
        lockout: tokens::lockout(root.section("lockout")),
        callbacks: callbacks::callbacks(root.section("callbacks")),
        routes: routes::read(&root, &context),
        integrations: integrations::integrations(&root, &context),
        log: log::log(root.section("log")),
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
        .filter(|route| route.requirement == Requirement::Nothing);
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
