//! Integrations that modules define: `integration.xml`, and the older pair `integration/config.xml` and
//! `integration/api.xml` (magento.md 3.7).

use std::collections::{BTreeMap, BTreeSet};

use token_store::{Grant, NewIntegration, Setup};

use super::acl::Resource;
use super::own::Own;
use super::xml::Element;
use super::{Note, Place, XmlFile};
use crate::authorize::resources::{ALL, ResourceTree};
use crate::config;
use crate::integration::definition::{self, Invalid};

/// An integration for `[[integrations]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Integration {
    /// What defines it.
    pub definition: NewIntegration,
    /// Where its files speak of it.
    pub places: Vec<Place>,
}

/// Integrations while files are merged, by name.
#[derive(Default)]
pub(super) struct Integrations(BTreeMap<String, Declared>);

#[derive(Default)]
struct Declared {
    email: String,
    endpoint: Option<String>,
    identity_link_url: Option<String>,
    resources: Vec<(String, Place)>,
    places: Vec<Place>,
    /// Whether a file that makes integrations names it: `api.xml` only adds resources to what is there.
    is_made: bool,
}

impl Integrations {
    pub(super) fn take(&mut self, file: &XmlFile, root: &Element, notes: &mut Vec<Note>) {
        const CHILDREN: [&str; 4] = ["email", "endpoint_url", "identity_link_url", "resources"];
        file.note_unknown(root, (&[], &["integration"]), notes);
        for element in root.all("integration") {
            file.note_unknown(element, (&["name"], &CHILDREN), notes);
            let place = file.at(element);
            let Some(name) = element.attribute("name").map(str::trim).filter(|name| !name.is_empty()) else {
                notes.push(Note::not_carried(&place, "<integration>", "it has no name"));
                continue;
            };
            let declared = self.0.entry(name.to_owned()).or_default();
            declared.places.push(place);
            declared.is_made |= !is_api(file);
            declared.merge(file, element, notes);
        }
    }

    /// With all ancestors of their resources, as the storefront grants them; and without what can't be.
    pub(super) fn finish(self, resources: &[Resource], own: &Own, notes: &mut Vec<Note>) -> Vec<Integration> {
        let tree = tree(resources);
        let known = |id: &str| {
            id == ALL || own.resource(id).is_some() || resources.iter().any(|one| one.is_defined && one.id == id)
        };
        let mut made = Vec::new();
        for (name, declared) in self.0 {
            let Some(place) = declared.places.first().cloned() else {
                continue;
            };
            if !declared.is_made {
                let why = "only an integration/api.xml names it, which adds resources to an integration and makes none";
                notes.push(Note::not_carried(&place, format!("integration {name:?}"), why));
                continue;
            }
            if let Some(file) = own.integration(&name) {
                notes.push(Note::look(
                    &place,
                    format!("integration {name:?}"),
                    format!("{file} defines it: left to that file"),
                ));
                continue;
            }
            let mut granted = BTreeSet::new();
            for (id, at) in declared.resources {
                if known(&id) {
                    granted.insert(id);
                } else {
                    let why = "no acl.xml defines it, or it is disabled: the storefront doesn't grant it either";
                    notes.push(Note::not_carried(&at, format!("integration {name:?}: {id}"), why));
                }
            }
            if !granted.is_empty() && known(ROOT) {
                granted.insert(ROOT.to_owned());
            }
            let definition = NewIntegration {
                name,
                email: declared.email,
                endpoint: declared.endpoint,
                identity_link_url: declared.identity_link_url,
                setup: Setup::Config,
                grant: Grant::Listed(tree.with_ancestors(&granted)),
                signature_methods: None,
                rsa_public_key: None,
                two_legged: false,
                placements: None,
                callback_urls: Vec::new(),
                flags: BTreeSet::new(),
            };
            if let Some(definition) = acceptable(definition, &place, notes) {
                let places = declared.places;
                made.push(Integration { definition, places });
            }
        }
        made
    }
}

/// The third of the files that speak of integrations (magento.md 3.7, B).
fn is_api(file: &XmlFile) -> bool {
    file.name.rsplit('/').next() == Some("api.xml")
}

impl Declared {
    fn merge(&mut self, file: &XmlFile, element: &Element, notes: &mut Vec<Note>) {
        let text = |name: &str| {
            let child = element.children.iter().find(|child| child.name == name)?;
            Some(child.text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        if let Some(email) = text("email") {
            self.email = email;
        }
        self.endpoint = text("endpoint_url").or_else(|| self.endpoint.take());
        self.identity_link_url = text("identity_link_url").or_else(|| self.identity_link_url.take());
        for resources in element.all("resources") {
            file.note_unknown(resources, (&[], &["resource"]), notes);
            for resource in resources.all("resource") {
                file.note_unknown(resource, (&["name"], &[]), notes);
                let place = file.at(resource);
                match resource.attribute("name").map(str::trim).filter(|id| !id.is_empty()) {
                    Some(id) if self.resources.iter().any(|(known, _)| known == id) => {}
                    Some(id) => self.resources.push((id.to_owned(), place)),
                    None => notes.push(Note::not_carried(&place, "<resource>", "it has no name")),
                }
            }
        }
    }
}

/// The tree that these resources make.
pub(super) fn tree(resources: &[Resource]) -> ResourceTree {
    let one = |resource: &Resource| config::Resource {
        id: resource.id.clone(),
        title: resource.title.clone(),
        parent: resource.parent.clone(),
        order: resource.order,
    };
    ResourceTree::new(&resources.iter().map(one).collect::<Vec<_>>())
}

/// The definition without those fields that the gateway would never accept; none, if its name is such a field.
pub(super) fn acceptable(mut new: NewIntegration, place: &Place, notes: &mut Vec<Note>) -> Option<NewIntegration> {
    // Resources were judged before, by whoever knows the tree.
    let grant = std::mem::replace(&mut new.grant, Grant::All);
    let what = format!("integration {:?}", new.name.chars().take(80).collect::<String>());
    while let Err(invalid) = definition::check(&new, &ResourceTree::default()) {
        let field = match &invalid {
            Invalid::Required(field) | Invalid::Field { field, .. } => *field,
            Invalid::EndpointRefused(_) => "endpoint",
            Invalid::Resource(_) => "resources",
        };
        let why = match field {
            "email" => "the e-mail address isn't one: left empty",
            "endpoint" => "the callback URL isn't an absolute http:// or https:// URL: left out",
            "identity_link_url" => "the identity link URL isn't an absolute http:// or https:// URL: left out",
            _ => "its name is empty, longer than 255 characters or holds control characters",
        };
        notes.push(Note::not_carried(place, &what, why));
        match field {
            "email" => new.email.clear(),
            "endpoint" => new.endpoint = None,
            "identity_link_url" => new.identity_link_url = None,
            _ => return None,
        }
    }
    new.grant = grant;
    Some(new)
}

/// The root of all that is granted (magento.md 3.7).
const ROOT: &str = "Magento_Backend::admin";

#[cfg(test)]
mod tests;
