//! `acl.xml`: the tree of resources, merged over modules (magento.md 9.2).

use std::collections::{BTreeSet, HashMap};

use super::own::Own;
use super::xml::Element;
use super::{Note, Place, XmlFile};
use crate::authorize::resources::ALL;

/// A resource as the gateway needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// `Vendor_Module::name`
    pub id: String,
    /// For people.
    pub title: String,
    /// `None`: a root.
    pub parent: Option<String>,
    /// Among its siblings, 0 to 1,000,000.
    pub order: i64,
    /// The module that defined it first.
    pub module: String,
    /// Where.
    pub place: Place,
    /// Whether an `acl.xml` defines it; otherwise routes only refer to it.
    pub is_defined: bool,
}

/// `Vendor_Module::name`.
fn is_well_formed(id: &str) -> bool {
    let begins_large = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_uppercase())
            && part.bytes().all(|one| one.is_ascii_alphanumeric())
    };
    let parts = id
        .split_once("::")
        .and_then(|(module, name)| Some((module.split_once('_')?, name)));
    parts.is_some_and(|((vendor, module), name)| {
        let plain = !name.is_empty() && name.bytes().all(|one| one.is_ascii_alphanumeric() || one == b'_');
        begins_large(vendor) && begins_large(module) && plain
    })
}

/// The tree while files are merged into it.
#[derive(Default)]
pub(super) struct Acl {
    nodes: Vec<Node>,
    by_id: HashMap<String, usize>,
}

struct Node {
    id: String,
    title: Option<String>,
    parent: Option<String>,
    sort: i64,
    is_disabled: bool,
    module: String,
    place: Place,
}

impl Acl {
    pub(super) fn take(&mut self, file: &XmlFile, root: &Element, notes: &mut Vec<Note>) {
        file.note_unknown(root, (&[], &["acl"]), notes);
        for acl in root.all("acl") {
            file.note_unknown(acl, (&[], &["resources"]), notes);
            for resources in acl.all("resources") {
                file.note_unknown(resources, (&[], &["resource"]), notes);
                self.children(file, resources, None, notes);
            }
        }
    }

    /// As deep as `xml` lets elements be nested.
    fn children(&mut self, file: &XmlFile, element: &Element, parent: Option<&str>, notes: &mut Vec<Note>) {
        const KNOWN: [&str; 5] = ["id", "title", "translate", "sortOrder", "disabled"];
        for child in element.all("resource") {
            file.note_unknown(child, (&KNOWN, &["resource"]), notes);
            let place = file.at(child);
            let Some(id) = child.attribute("id").map(str::trim).filter(|id| !id.is_empty()) else {
                notes.push(Note::not_carried(
                    &place,
                    "<resource>",
                    "it has no id; what is below it isn't carried either",
                ));
                continue;
            };
            if ["anonymous", "self"].contains(&id) {
                notes.push(Note::not_carried(&place, id, "a route's word, not a resource's id"));
                continue;
            }
            if !is_well_formed(id) {
                let why = "the storefront takes ids such as Vendor_Module::name only, and refuses the file";
                notes.push(Note::look(&place, format!("{id:?}"), why));
            }
            self.merge(file, child, (id, parent), notes);
            self.children(file, child, Some(id), notes);
        }
    }

    /// A node that another module defined already is opened again: its attributes override, its place stays.
    fn merge(&mut self, file: &XmlFile, element: &Element, (id, parent): (&str, Option<&str>), notes: &mut Vec<Note>) {
        let place = file.at(element);
        let at = *self.by_id.entry(id.to_owned()).or_insert_with(|| {
            self.nodes.push(Node {
                id: id.to_owned(),
                title: None,
                parent: parent.map(str::to_owned),
                sort: 0,
                is_disabled: false,
                module: file.module.clone(),
                place: place.clone(),
            });
            self.nodes.len() - 1
        });
        let Some(node) = self.nodes.get_mut(at) else { return };
        if node.parent.as_deref() != parent {
            let stands = node.parent.as_deref().unwrap_or("the root");
            let why = format!(
                "it stands below {stands} at {}, and stays there: an id has one parent",
                node.place
            );
            let what = format!("{id} below {}", parent.unwrap_or("the root"));
            notes.push(Note::not_carried(&place, what, why));
        }
        if let Some(title) = element.attribute("title") {
            node.title = Some(title.trim().to_owned());
        }
        if let Some(text) = element.attribute("sortOrder") {
            match text.trim().parse() {
                Ok(sort) => node.sort = sort,
                Err(_) => notes.push(Note::look(
                    &place,
                    format!("{id} sortOrder={text:?}"),
                    "not a whole number",
                )),
            }
        }
        if let Some(text) = element.attribute("disabled") {
            match XmlFile::boolean(text) {
                Ok(is_disabled) => node.is_disabled = is_disabled,
                Err(()) => notes.push(Note::look(
                    &place,
                    format!("{id} disabled={text:?}"),
                    "neither true nor false",
                )),
            }
        }
    }

    /// What is left when disabled subtrees are cut, without what the operator's own files define.
    pub(super) fn into_resources(self, own: &Own, notes: &mut Vec<Note>) -> Vec<Resource> {
        let mut cut: BTreeSet<String> = BTreeSet::new();
        let mut resources = Vec::new();
        // Parents were merged before their children, so one pass sees a disabled parent first.
        for node in self.nodes {
            let below_cut = node.parent.as_ref().is_some_and(|parent| cut.contains(parent));
            if node.is_disabled || below_cut {
                cut.insert(node.id);
                continue;
            }
            // "Everything" is built in; it stands above nothing, or a grant with its ancestors would open everything.
            if node.id == ALL {
                continue;
            }
            let parent = node.parent.filter(|parent| {
                parent != ALL || {
                    let why = format!("it stands below {ALL}, which is no branch of the tree: it becomes a root");
                    notes.push(Note::look(&node.place, &node.id, why));
                    false
                }
            });
            if let Some(file) = own.resource(&node.id) {
                notes.push(Note::look(
                    &node.place,
                    &node.id,
                    format!("{file} defines it: left to that file"),
                ));
                continue;
            }
            resources.push(Resource {
                title: node
                    .title
                    .filter(|title| !title.is_empty())
                    .unwrap_or_else(|| node.id.clone()),
                id: node.id,
                parent,
                order: node.sort,
                module: node.module,
                place: node.place,
                is_defined: true,
            });
        }
        renumber(&mut resources);
        resources
    }
}

/// Siblings of which one has an order that the configuration doesn't take are numbered anew, in the same order.
fn renumber(resources: &mut [Resource]) {
    let odd: BTreeSet<Option<String>> = resources
        .iter()
        .filter(|one| !(0..=MOST_ORDER).contains(&one.order))
        .map(|one| one.parent.clone())
        .collect();
    for parent in odd {
        let mut siblings: Vec<&mut Resource> = resources.iter_mut().filter(|one| one.parent == parent).collect();
        siblings.sort_by_key(|one| one.order);
        for (sibling, place) in siblings.into_iter().zip(1_i64..) {
            sibling.order = place.saturating_mul(10).min(MOST_ORDER);
        }
    }
}

const MOST_ORDER: i64 = 1_000_000;

#[cfg(test)]
mod tests;
