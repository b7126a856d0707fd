//! `webapi.xml`: the routes, merged over modules by URL and method (magento.md 9.1).

use std::collections::HashMap;

use super::xml::Element;
use super::{Note, Place, XmlFile};

/// A route as the storefront has it.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    /// `/V1/products/:sku`, without a trailing slash.
    pub(super) url: String,
    /// In upper case.
    pub(super) method: String,
    /// The module that declared it first.
    pub(super) module: String,
    /// Where it was declared first, and where again.
    pub(super) places: Vec<Place>,
    /// `Interface::method` that serves it: a label for people.
    pub(super) service: String,
    /// https only.
    pub(super) is_secure: bool,
    /// All of them are needed; none twice.
    pub(super) refs: Vec<(String, Place)>,
    /// By name, none twice.
    pub(super) parameters: Vec<Parameter>,
}

/// A value that a route forces or defaults (magento.md 5.6).
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) is_forced: bool,
    pub(super) place: Place,
}

/// The routes while files are merged.
#[derive(Default)]
pub(super) struct Webapi {
    routes: Vec<Declared>,
    by_key: HashMap<(String, String), usize>,
}

impl Webapi {
    pub(super) fn take(&mut self, file: &XmlFile, root: &Element, notes: &mut Vec<Note>) {
        file.note_unknown(root, (&[], &["route"]), notes);
        for element in root.all("route") {
            if let Some(route) = route(file, element, notes) {
                self.merge(route, element.attribute("secure").is_some(), notes);
            }
        }
    }

    pub(super) fn into_routes(self) -> Vec<Declared> {
        self.routes
    }

    /// A later module's route overrides service and secure and adds refs and parameters.
    fn merge(&mut self, route: Declared, says_secure: bool, notes: &mut Vec<Note>) {
        let key = (route.url.clone(), route.method.clone());
        let before = self.by_key.get(&key).and_then(|at| self.routes.get_mut(*at));
        let Some(before) = before else {
            self.by_key.insert(key, self.routes.len());
            self.routes.push(route);
            return;
        };
        let what = format!("{} {}", route.method, route.url);
        let new: Vec<_> = route
            .refs
            .into_iter()
            .filter(|(id, _)| before.refs.iter().all(|(known, _)| known != id))
            .collect();
        if let (Some((_, place)), Some(first)) = (new.first(), before.places.first()) {
            let ids = |refs: &[(String, Place)]| refs.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>().join(", ");
            let why = format!(
                "needs {} besides {}, which {first} asks for: a later module adds to a route's resources, it replaces none",
                ids(&new),
                ids(&before.refs)
            );
            notes.push(Note::look(place, what, why));
        }
        before.refs.extend(new);
        before.places.extend(route.places);
        if !route.service.is_empty() {
            before.service = route.service;
        }
        if says_secure {
            before.is_secure = route.is_secure;
        }
        for parameter in route.parameters {
            before.parameters.retain(|one| one.name != parameter.name);
            before.parameters.push(parameter);
        }
    }
}

fn route(file: &XmlFile, element: &Element, notes: &mut Vec<Note>) -> Option<Declared> {
    // `soapOperation` names a route in SOAP, which is none of our business.
    const ATTRIBUTES: [&str; 4] = ["url", "method", "secure", "soapOperation"];
    file.note_unknown(element, (&ATTRIBUTES, &["service", "resources", "data"]), notes);
    let place = file.at(element);
    let attribute = |name: &str| element.attribute(name).map(str::trim).filter(|value| !value.is_empty());
    let (Some(url), Some(method)) = (attribute("url"), attribute("method")) else {
        notes.push(Note::not_carried(&place, "<route>", "it lacks its url or its method"));
        return None;
    };
    let method = method.to_ascii_uppercase();
    let what = format!("{method} {url}");
    if !METHODS.contains(&method.as_str()) {
        let why = format!("the method is none of {}", METHODS.join(", "));
        notes.push(Note::not_carried(&place, what, why));
        return None;
    }
    if !url.starts_with('/') {
        notes.push(Note::not_carried(&place, what, "a url begins with /"));
        return None;
    }
    let is_secure = attribute("secure").is_some_and(|text| flag(&place, &what, ("secure", text), notes));
    let mut parameters = Vec::new();
    for data in element.all("data") {
        read_data(file, data, &what, &mut parameters, notes);
    }
    let service = element.all("service").next();
    if let Some(service) = service {
        file.note_unknown(service, (&["class", "method"], &[]), notes);
    }
    Some(Declared {
        url: url.trim_end_matches('/').to_owned(),
        module: file.module.clone(),
        service: service.map(label).unwrap_or_default(),
        is_secure,
        refs: refs(file, element, notes),
        parameters,
        method,
        places: vec![place],
    })
}

fn label(service: &Element) -> String {
    let part = |name| service.attribute(name).unwrap_or_default();
    format!("{}::{}", part("class"), part("method"))
}

fn refs(file: &XmlFile, route: &Element, notes: &mut Vec<Note>) -> Vec<(String, Place)> {
    let mut refs: Vec<(String, Place)> = Vec::new();
    for resources in route.all("resources") {
        file.note_unknown(resources, (&[], &["resource"]), notes);
        for resource in resources.all("resource") {
            file.note_unknown(resource, (&["ref"], &[]), notes);
            let place = file.at(resource);
            match resource.attribute("ref").map(str::trim).filter(|id| !id.is_empty()) {
                Some(id) if refs.iter().all(|(known, _)| known != id) => refs.push((id.to_owned(), place)),
                Some(_) => {}
                None => notes.push(Note::not_carried(&place, "<resource>", "it has no ref")),
            }
        }
    }
    refs
}

fn read_data(file: &XmlFile, data: &Element, what: &str, parameters: &mut Vec<Parameter>, notes: &mut Vec<Note>) {
    file.note_unknown(data, (&["input-array-size-limit"], &["parameter"]), notes);
    if let Some(limit) = data.attribute("input-array-size-limit") {
        let why = format!(
            "input-array-size-limit={limit:?}: the storefront behind the gateway checks it, the gateway doesn't"
        );
        notes.push(Note::not_carried(&file.at(data), what, why));
    }
    for element in data.all("parameter") {
        file.note_unknown(element, (&["name", "force"], &[]), notes);
        let place = file.at(element);
        let Some(name) = element.attribute("name").map(str::trim).filter(|name| !name.is_empty()) else {
            notes.push(Note::not_carried(&place, what, "a parameter without a name"));
            continue;
        };
        let force = element
            .attribute("force")
            .map(str::trim)
            .filter(|text| !text.is_empty());
        let is_forced = force.is_some_and(|text| flag(&place, what, ("force", text), notes));
        parameters.retain(|one| one.name != name);
        parameters.push(Parameter {
            name: name.to_owned(),
            value: element.text.trim().to_owned(),
            is_forced,
            place,
        });
    }
}

/// A boolean, read as what it says. The storefront's older reader takes any word but `0` for true.
fn flag(place: &Place, what: &str, (name, text): (&str, &str), notes: &mut Vec<Note>) -> bool {
    match XmlFile::boolean(text) {
        Ok(false) if text != "0" => {
            let why = format!("{name}={text:?} is read as false; some versions of the storefront read it as true");
            notes.push(Note::look(place, what, why));
            false
        }
        Ok(flag) => flag,
        Err(()) => {
            let why = format!("{name}={text:?} is neither true nor false: taken for true, as the storefront does");
            notes.push(Note::look(place, what, why));
            true
        }
    }
}

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "DELETE", "PATCH"];
