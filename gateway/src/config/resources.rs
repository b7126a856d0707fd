//! `[[resources]]`: the ACL tree.

use std::collections::BTreeMap;

use super::fault::Place;
use super::nearest::nearest;
use super::reader::Section;

/// A `[[resources]]` entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// `Vendor_Module::name`
    pub id: String,
    /// For people.
    pub title: String,
    /// `None`: a root.
    pub parent: Option<String>,
    /// Among its siblings.
    pub order: i64,
}

pub(super) fn resources(root: &Section<'_, '_>) -> Vec<Resource> {
    let mut found: Vec<(Resource, Place)> = Vec::new();
    for section in root.list_of_tables("resources") {
        // All four, whatever is missing: each key that a table may hold is asked for.
        let id = section.required("id");
        let title = section.text("title").map(|(title, _)| title);
        let parent = section.text("parent").map(|(parent, _)| parent);
        let order = i64::from(section.small("order", 0, 0..=1_000_000));
        let resource = id.map(|(id, place)| {
            let title = title.unwrap_or_else(|| id.clone());
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
            root.fault_of_unknown(place, "resources.parent", &format!("{parent:?} is no resource{near}"));
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
