//! From the storefront's routes to the gateway's: templates, what a caller needs, and who wins where two are the same.

use std::collections::{BTreeMap, BTreeSet};

use super::acl::Resource;
use super::own::Own;
use super::webapi::{Declared, Parameter, Webapi};
use super::{Note, Options, Place};
use crate::authorize::resources::ALL;
use crate::config;
use crate::proxy::route::{Routes, TemplateError};

/// A route as the gateway needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// `/rest/{store?}/V1/products/{sku}`
    pub path: String,
    /// One.
    pub method: String,
    /// As `resources` of `[[routes]]`; none: every request is refused.
    pub resources: Vec<String>,
    /// https only.
    pub is_secure: bool,
    /// Whether `%2F` may stand in a segment: SKUs hold slashes.
    pub takes_slash: bool,
    /// Forced parameters, as `force` of `[[routes]]`.
    pub force: BTreeMap<String, String>,
    /// The module that declared it first.
    pub module: String,
    /// What people read: who serves it, and where it was declared.
    pub origin: String,
}

/// The gateway's routes, and resources for ids that no `acl.xml` defines.
pub(super) fn of(
    webapi: Webapi,
    resources: &mut Vec<Resource>,
    (own, options): (&Own, &Options),
    notes: &mut Vec<Note>,
) -> Vec<Route> {
    let mut declared = webapi.into_routes();
    // The last in the order of their URLs wins where two match (magento.md 5.3): it comes first here.
    declared.sort_by(|one, other| other.url.cmp(&one.url).then_with(|| other.method.cmp(&one.method)));
    let mut needs = Needs::new(resources, own);
    let mut made: Vec<(Route, &Declared)> = Vec::new();
    for one in &declared {
        if let Some(route) = convert(one, &mut needs, notes) {
            made.push((route, one));
        }
    }
    resources.extend(needs.finish(notes));
    let changing: Vec<(Route, &Declared)> = made.iter().filter(|(one, _)| one.method != "GET").cloned().collect();
    if options.with_async {
        let forms = |(route, one): (Route, _)| async_forms(&route).map(|form| (form, one));
        made.extend(changing.into_iter().flat_map(forms));
    } else if let Some(place) = changing.first().and_then(|(_, one)| one.places.first()) {
        let what = match changing.len() {
            1 => "asynchronous and bulk forms of 1 route".to_owned(),
            many => format!("asynchronous and bulk forms of {many} routes"),
        };
        let why =
            "/rest/async/V1/… and /rest/async/bulk/V1/… need the same resources: --async makes routes for them, too";
        notes.push(Note::look(place, what, why));
    }
    let mut kept = without_same(made, own, notes);
    kept.sort_by(|one, other| (&one.path, &one.method).cmp(&(&other.path, &other.method)));
    kept
}

fn convert(one: &Declared, needs: &mut Needs<'_>, notes: &mut Vec<Note>) -> Option<Route> {
    let place = one.places.first()?;
    let what = format!("{} {}", one.method, one.url);
    if OF_THE_GATEWAY.contains(&(one.method.as_str(), one.url.as_str())) {
        notes.push(Note::look(
            place,
            what,
            "the gateway answers it itself, as [public.paths] says",
        ));
        return None;
    }
    // What stands in braces would be a variable here.
    if one.url.contains(['{', '}']) {
        notes.push(Note::not_carried(
            place,
            what,
            "its url holds braces, which no path can match",
        ));
        return None;
    }
    let segments: Vec<String> = one.url.trim_start_matches('/').split('/').map(segment).collect();
    let path = format!("/rest/{{store?}}/{}", segments.join("/"));
    Some(Route {
        method: one.method.clone(),
        resources: needs.of(one, &what, notes),
        is_secure: one.is_secure,
        takes_slash: one.url.split('/').any(is_sku),
        force: force(one, (&what, &path), notes),
        module: one.module.clone(),
        origin: origin(one),
        path,
    })
}

/// `:sku` → `{sku}`.
fn segment(text: &str) -> String {
    let Some(name) = text.strip_prefix(':') else {
        return text.to_owned();
    };
    let plain = |character: char| {
        if character.is_ascii_alphanumeric() {
            character
        } else {
            '_'
        }
    };
    let name: String = name.chars().map(plain).collect();
    format!("{{{}}}", if name.is_empty() { "_" } else { &name })
}

fn is_sku(segment: &str) -> bool {
    segment.starts_with(':') && segment.to_ascii_lowercase().ends_with("sku")
}

fn origin(one: &Declared) -> String {
    let mut places = one.places.iter();
    let first = places.next().map(Place::to_string).unwrap_or_default();
    let again: Vec<String> = places.map(Place::to_string).collect();
    let service = if one.service.is_empty() {
        "?"
    } else {
        one.service.as_str()
    };
    if again.is_empty() {
        format!("{service} ({first})")
    } else {
        format!("{service} ({first}, again in {})", again.join(", "))
    }
}

/// The values that the gateway forces. What it can't, the storefront behind it still does.
fn force(one: &Declared, (what, path): (&str, &str), notes: &mut Vec<Note>) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    let mut values = BTreeMap::new();
    for parameter in &one.parameters {
        let name = parameter.name.clone();
        let value = if parameter.is_forced {
            config::ForcedValue::parse(&parameter.value)
        } else {
            Err("a default that the storefront behind the gateway fills in; the gateway only forces values".to_owned())
        };
        match value {
            Ok(value) => {
                values.insert(name.clone(), value);
                texts.insert(name, parameter.value.clone());
            }
            Err(why) => notes.push(not_forced(parameter, what, &why)),
        }
    }
    for (name, why) in config::forced(path, values).err().unwrap_or_default() {
        texts.remove(&name);
        let parameter = one.parameters.iter().find(|parameter| parameter.name == name);
        notes.extend(parameter.map(|parameter| not_forced(parameter, what, &format!("it {why}"))));
    }
    texts
}

fn not_forced(parameter: &Parameter, what: &str, why: &str) -> Note {
    let described = format!("{what}: {} = {:?}", parameter.name, parameter.value);
    Note::not_carried(&parameter.place, described, why)
}

/// What callers need, and the ids that routes name but nothing defines.
struct Needs<'a> {
    known: BTreeSet<String>,
    own: &'a Own,
    undefined: BTreeMap<String, Undefined>,
}

struct Undefined {
    module: String,
    place: Place,
    routes: usize,
}

impl<'a> Needs<'a> {
    fn new(resources: &[Resource], own: &'a Own) -> Self {
        Self {
            known: resources.iter().map(|one| one.id.clone()).collect(),
            own,
            undefined: BTreeMap::new(),
        }
    }

    fn of(&mut self, one: &Declared, what: &str, notes: &mut Vec<Note>) -> Vec<String> {
        let Some(place) = one.places.first() else {
            return Vec::new();
        };
        let named = |id: &str| one.refs.iter().any(|(own, _)| own == id);
        let ids: Vec<&(String, Place)> = one
            .refs
            .iter()
            .filter(|(id, _)| id != "anonymous" && id != "self")
            .collect();
        if one.refs.is_empty() {
            notes.push(Note::look(
                place,
                what,
                "it names no resource: every request is refused",
            ));
            return Vec::new();
        }
        if named("self") && !ids.is_empty() {
            notes.push(Note::look(
                place,
                what,
                "\"self\" beside a resource: nobody has both, every request is refused",
            ));
            return Vec::new();
        }
        if named("self") {
            return vec!["self".to_owned()];
        }
        // "anonymous" is always allowed: beside others it asks for nothing.
        if ids.is_empty() {
            return vec!["anonymous".to_owned()];
        }
        let needed: BTreeSet<String> = ids
            .into_iter()
            .map(|(id, at)| self.id(id, (one, at, what), notes))
            .collect();
        needed.into_iter().collect()
    }

    fn id(&mut self, id: &str, (one, place, what): (&Declared, &Place, &str), notes: &mut Vec<Note>) -> String {
        // The storefront looks a list up as one id, finds none, and lets only those with all resources pass.
        if id.contains([',', ' ']) {
            let why = format!("{id:?} is one id to the storefront, which nothing defines: only {ALL} opens it");
            notes.push(Note::look(place, what, why));
            return ALL.to_owned();
        }
        if id != ALL && !self.known.contains(id) && self.own.resource(id).is_none() {
            let undefined = self.undefined.entry(id.to_owned()).or_insert_with(|| Undefined {
                module: one.module.clone(),
                place: place.clone(),
                routes: 0,
            });
            undefined.routes += 1;
        }
        id.to_owned()
    }

    /// So that the routes can name them, they become roots of the tree; no grant lists them.
    fn finish(self, notes: &mut Vec<Note>) -> Vec<Resource> {
        let of = |(id, undefined): (String, Undefined)| {
            let routes = match undefined.routes {
                1 => "the route that names it opens".to_owned(),
                many => format!("{many} routes that name it open"),
            };
            let why = format!("no acl.xml defines it, or it is disabled: {routes} only to those with all resources");
            notes.push(Note::look(&undefined.place, &id, why));
            Resource {
                title: id.clone(),
                id,
                parent: None,
                order: 0,
                module: undefined.module,
                place: undefined.place,
                is_defined: false,
            }
        };
        self.undefined.into_iter().map(of).collect()
    }
}

/// Routes that can't be told apart by a request: one serves, the others are noted. The judge is the gateway's own table.
fn without_same(made: Vec<(Route, &Declared)>, own: &Own, notes: &mut Vec<Note>) -> Vec<Route> {
    let table: Vec<config::Route> = made
        .iter()
        .map(|(route, _)| tabled(&route.path, &route.method))
        .collect();
    let lost: BTreeMap<usize, TemplateError> = Routes::new(&table).err().unwrap_or_default().into_iter().collect();
    let mut kept = Vec::new();
    for (at, (route, one)) in made.into_iter().enumerate() {
        let (Some(fault), Some(place)) = (lost.get(&at), one.places.first()) else {
            kept.push((route, one));
            continue;
        };
        let why = match fault {
            TemplateError::Taken(_) => format!(
                "another route is {} too; as in the storefront, the last serves",
                route.path
            ),
            TemplateError::NoSlash
            | TemplateError::Segment(_)
            | TemplateError::Braces(_)
            | TemplateError::Query(_)
            | TemplateError::RestInside => {
                format!("{} can't be a route: {fault}", route.path)
            }
        };
        notes.push(Note::not_carried(place, format!("{} {}", route.method, one.url), why));
    }
    let mut table: Vec<config::Route> = own.routes().map(|(path, method)| tabled(path, method)).collect();
    let before = table.len();
    table.extend(kept.iter().map(|(route, _)| tabled(&route.path, &route.method)));
    let theirs: BTreeSet<usize> = Routes::new(&table)
        .err()
        .unwrap_or_default()
        .into_iter()
        .map(|(at, _)| at)
        .collect();
    let mut left = Vec::new();
    for (at, (route, one)) in kept.into_iter().enumerate() {
        if theirs.contains(&(at + before)) {
            if let Some(place) = one.places.first() {
                let what = format!("{} {}", one.method, one.url);
                notes.push(Note::look(
                    place,
                    what,
                    "a route of your own files serves it: left to that one",
                ));
            }
        } else {
            left.push(route);
        }
    }
    left
}

fn tabled(path: &str, method: &str) -> config::Route {
    config::Route {
        path: path.to_owned(),
        host: None,
        methods: vec![method.to_owned()],
        upstream: String::new(),
        requirement: config::Requirement::Nothing,
        observe: false,
        secure: false,
        encoded_slash: false,
        keep_oauth: false,
        force: Vec::new(),
    }
}

/// `/rest/{store?}/async/V1/…`, and the bulk form with `by<Name>` for variables (magento.md 5.7).
fn async_forms(route: &Route) -> [Route; 2] {
    let rest = route.path.trim_start_matches("/rest/{store?}/");
    let by_name = |segment: &str| match segment.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) {
        None => segment.to_owned(),
        Some(name) => {
            let mut letters = name.chars();
            let first = letters.next().map(|letter| letter.to_ascii_uppercase());
            format!("by{}{}", first.map(String::from).unwrap_or_default(), letters.as_str())
        }
    };
    let bulk: Vec<String> = rest.split('/').map(by_name).collect();
    let form = |path: String, kind: &str| Route {
        path,
        origin: format!("{kind}: {}", route.origin),
        ..route.clone()
    };
    [
        form(format!("/rest/{{store?}}/async/{rest}"), "asynchronous"),
        form(format!("/rest/{{store?}}/async/bulk/{}", bulk.join("/")), "bulk"),
    ]
}

/// What the gateway serves on its public listener whatever the routes say (product.md 4).
const OF_THE_GATEWAY: [(&str, &str); 3] = [
    ("POST", "/V1/integration/admin/token"),
    ("POST", "/V1/integration/customer/token"),
    ("POST", "/V1/integration/customer/revoke-customer-token"),
];

#[cfg(test)]
mod tests;
