//! `[[integrations]]`: those that the configuration defines.

use std::collections::BTreeSet;

use token_store::{Grant, NewIntegration, Setup};

use super::Resource;
use super::reader::Section;
use crate::authorize::resources::ResourceTree;
use crate::integration::definition::{Invalid, check};

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
        let found = tree.check([&id]).map_err(|unknown| unknown.to_string());
        found.map(|()| id)
    };
    let resources: BTreeSet<String> = section.all_parsed("resources", known).into_iter().collect();
    let new = NewIntegration {
        email: section.text_or("email", ""),
        endpoint: section.text("endpoint").map(|(text, _)| text),
        identity_link_url: section.text("identity_link_url").map(|(text, _)| text),
        name: name?,
        setup: Setup::Config,
        grant: Grant::Listed(resources),
        signature_methods: None,
        rsa_public_key: None,
        two_legged: false,
        placements: None,
        callback_urls: Vec::new(),
        flags: BTreeSet::new(),
    };
    match check(&new, tree) {
        Err(Invalid::Required(field)) => section.fault(field, "is empty"),
        Err(Invalid::Field { field, what }) => section.fault(field, what),
        // Told where it stands; and what an endpoint may reach is known only to a gateway that listens.
        Err(Invalid::Resource(_) | Invalid::EndpointRefused(_)) | Ok(()) => {}
    }
    Some(new)
}
