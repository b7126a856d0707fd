//! `[[routes]]`: read, and held against upstreams, resources and one another.

use std::collections::BTreeSet;

use super::Paths;
use super::fault::Place;
use super::force::Forced;
use super::nearest::nearest;
use super::reader::Section;
use crate::authorize::resources::ALL;
use crate::exchange::Endpoint;
use crate::proxy::route::Routes;

/// A `[[routes]]` entry.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own in the configuration"
)]
pub struct Route {
    /// As written, as `/rest/{store?}/V1/products/{sku}`: the name of the route in logs and metrics.
    pub path: String,
    /// The host it serves, lower case without port; `None`: any.
    pub host: Option<String>,
    /// Methods in upper case; GET also serves HEAD.
    pub methods: Vec<String>,
    /// A key of `upstreams`.
    pub upstream: String,
    /// What a caller needs.
    pub requirement: Requirement,
    /// Whether a refusal is recorded only, and the request forwarded.
    pub observe: bool,
    /// https only.
    pub secure: bool,
    /// Whether `%2F` in a segment is accepted.
    pub encoded_slash: bool,
    /// Whether the client's `Authorization` and `oauth_*` query parameters go upstream too.
    pub keep_oauth: bool,
    /// Parameters whose values don't depend on what the client sent.
    pub force: Vec<Forced>,
}

/// What a route needs of its caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// No resources listed: every request is refused.
    Nothing,
    /// `["anonymous"]`
    Anonymous,
    /// `["self"]`: a customer
    Own,
    /// All of these ACL ids.
    Resources(BTreeSet<String>),
}

/// What routes may name, and what is served before them.
pub(super) struct Context<'a> {
    pub(super) upstreams: BTreeSet<String>,
    pub(super) resources: BTreeSet<String>,
    pub(super) paths: &'a Paths,
}

pub(super) fn read(root: &Section<'_, '_>, context: &Context<'_>) -> Vec<Route> {
    let mut routes = Vec::new();
    let mut places: Vec<Place> = Vec::new();
    for section in root.list_of_tables("routes") {
        let place = section.place().clone();
        if let Some(route) = route(&section, context) {
            routes.push(route);
            places.push(place);
        }
        section.finish();
    }
    if let Err(faults) = Routes::new(&routes) {
        for (index, fault) in faults {
            let place = places.get(index).cloned().unwrap_or_else(|| root.place().clone());
            root.fault_at(&place, "routes.path", &fault.to_string());
        }
    }
    routes
}

fn route(section: &Section<'_, '_>, context: &Context<'_>) -> Option<Route> {
    let path = section.required("path").map(|(path, _)| path);
    for what in path.iter().flat_map(|path| oddities(path, context.paths)) {
        section.warn("path", &what);
    }
    let methods = section.all_parsed_or("methods", vec!["GET".to_owned()], method);
    let upstream = section.required("upstream");
    if let Some((name, place)) = &upstream
        && !context.upstreams.contains(name)
    {
        let near = nearest(name, context.upstreams.iter().map(String::as_str));
        let near = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
        section.fault_of_unknown(place, "upstream", &format!("there is no [upstreams.{name}]{near}"));
    }
    let host = |text: &str| {
        let plain = !text.is_empty() && !text.contains([':', '/', '@', ' ']);
        if plain {
            Ok(text.to_ascii_lowercase())
        } else {
            Err(format!("{text:?} is not a host: a name without port"))
        }
    };
    let route = Route {
        path: path.clone().unwrap_or_default(),
        host: section.parsed("host", host),
        methods,
        upstream: upstream.as_ref().map(|(name, _)| name.clone()).unwrap_or_default(),
        requirement: requirement(section, context),
        observe: section.word("mode", false, &[("enforce", false), ("observe", true)]),
        secure: section.flag("secure", false),
        encoded_slash: section.word("encoded_slash", false, &[("refuse", false), ("allow", true)]),
        keep_oauth: section.flag("keep_oauth", false),
        force: section.forced(path.as_deref().unwrap_or_default()),
    };
    if route.requirement == Requirement::Nothing {
        let what = "names none, so every request is refused: set resources = [\"…\"]";
        section.warn("resources", what);
    }
    (path.is_some() && upstream.is_some()).then_some(route)
}

/// What a path can hardly mean.
fn oddities(path: &str, paths: &Paths) -> Vec<String> {
    let segments = || path.trim_matches('/').split('/');
    let mut odd = Vec::new();
    for name in segments().filter_map(|segment| segment.strip_prefix(':')) {
        odd.push(format!(
            "\":{name}\" matches just these characters: for a variable write {{{name}}}"
        ));
    }
    let variable = |segment: &'_ str| {
        let inner = segment.strip_prefix('{')?.strip_suffix('}')?;
        Some(inner.trim_start_matches('*').trim_end_matches('?').to_owned())
    };
    let mut names = BTreeSet::new();
    for name in segments().filter_map(variable) {
        if names.contains(&name) {
            odd.push(format!(
                "{{{name}}} stands in it twice, and each matches whatever it meets"
            ));
        }
        names.insert(name);
    }
    // With a store code and without.
    let with = |optional: Option<&str>| {
        let filled = segments().filter_map(|segment| match variable(segment) {
            None => Some(segment),
            Some(_) if segment.ends_with("?}") => optional,
            Some(_) if segment.starts_with("{*") => Some("*"),
            Some(_) => Some("default"),
        });
        format!("/{}", filled.collect::<Vec<_>>().join("/"))
    };
    if [with(None), with(Some("default"))]
        .iter()
        .all(|path| Endpoint::of(paths, path).is_some())
    {
        odd.push("never matches: our own endpoint is there (public.paths)".to_owned());
    }
    odd
}

fn method(text: &str) -> Result<String, String> {
    const KNOWN: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    match text {
        known if KNOWN.contains(&known) => Ok(known.to_owned()),
        "HEAD" => Err("HEAD goes by GET: leave it out".to_owned()),
        _ => Err(format!("{text:?} is none of {}", KNOWN.join(", "))),
    }
}

fn requirement(section: &Section<'_, '_>, context: &Context<'_>) -> Requirement {
    let named = known_resources(section, "resources", context);
    match named.as_slice() {
        [] => Requirement::Nothing,
        [one] if one == "anonymous" => Requirement::Anonymous,
        [one] if one == "self" => Requirement::Own,
        several => {
            if several.iter().any(|one| one == "anonymous" || one == "self") {
                section.fault("resources", "\"anonymous\" and \"self\" stand alone");
            }
            Requirement::Resources(named.into_iter().collect())
        }
    }
}

/// The listed ids; those that the tree doesn't have are faults.
fn known_resources(section: &Section<'_, '_>, key: &str, context: &Context<'_>) -> Vec<String> {
    let mut known = Vec::new();
    for (id, place) in section.texts(key).unwrap_or_default() {
        if !context.resources.contains(&id) && !["anonymous", "self", ALL].contains(&id.as_str()) {
            let near = nearest(&id, context.resources.iter().map(String::as_str));
            let near = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
            section.fault_of_unknown(&place, key, &format!("{id:?} is no [[resources]] entry{near}"));
        }
        known.push(id);
    }
    known
}
