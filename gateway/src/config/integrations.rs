//! `[[integrations]]`: those that the configuration defines.

use std::collections::BTreeSet;

use token_store::{Grant, NewIntegration, Setup};

use super::Resource;
use super::reader::Section;
use crate::authorize::resources::ResourceTree;
use crate::integration::definition::{Invalid, faults};

pub(super) fn integrations(root: &Section<'_, '_>, resources: &[Resource]) -> Vec<NewIntegration> {
    let tree = ResourceTree::new(resources);
    let mut names = BTreeSet::new();
    let mut integrations = Vec::new();
    for section in root.list_of_tables("integrations") {
        if let Some(integration) = integration(&section, &tree) {
            if !names.insert(integration.name.clone()) {
                section.fault("name", &format!("{:?} is defined twice", integration.name));
            }
            integrations.push(integration);
        }
        section.finish();
    }
    integrations
}

fn integration(section: &Section<'_, '_>, tree: &ResourceTree) -> Option<NewIntegration> {
    let name = section.required("name").map(|(name, _)| name);
    let known = |text: &str| {
        let id = text.to_owned();
        match tree.check([&id]) {
            Err(unknown) if section.knows_all() => Err(unknown.to_string()),
            Err(_) | Ok(()) => Ok(id),
        }
    };
    let resources: BTreeSet<String> = section.all_parsed("resources", known).into_iter().collect();
    let new = NewIntegration {
        email: section.text_or("email", ""),
        endpoint: section.text("endpoint").map(|(text, _)| text),
        identity_link_url: section.text("identity_link_url").map(|(text, _)| text),
        // Without one the rest is looked at all the same.
        name: name.clone().unwrap_or_else(|| "-".to_owned()),
        setup: Setup::Config,
        grant: Grant::Listed(resources),
        signature_methods: None,
        rsa_public_key: None,
        two_legged: false,
        placements: None,
        callback_urls: Vec::new(),
        flags: BTreeSet::new(),
    };
    for invalid in faults(&new, tree) {
        match invalid {
            Invalid::Required(field) => section.fault(field, "is empty"),
            Invalid::Field { field, what } => section.fault(field, what),
            // Told where it stands; and what an endpoint may reach is known only to a gateway that listens.
            Invalid::Resource(_) | Invalid::EndpointRefused(_) => {}
        }
    }
    name.map(|_| new)
}
