//! `[[integrations]]`: those that the configuration defines.

use std::collections::BTreeSet;

use token_store::{Grant, NewIntegration, Setup};

use super::reader::Section;
use super::routes::{self, Context};

pub(super) fn integrations(root: &Section<'_, '_>, context: &Context) -> Vec<NewIntegration> {
    let mut names = BTreeSet::new();
    let mut integrations = Vec::new();
    for section in root.list_of_tables("integrations") {
        let name = section.required("name");
        let resources: BTreeSet<String> = routes::known_resources(&section, "resources", context)
            .into_iter()
            .collect();
        let email = section.text_or("email", "");
        let endpoint = section.text("endpoint").map(|(text, _)| text);
        let identity_link_url = section.text("identity_link_url").map(|(text, _)| text);
        if let Some((name, place)) = name {
            if !names.insert(name.clone()) {
                section.fault_at(&place, "name", &format!("{name:?} is defined twice"));
            }
            integrations.push(NewIntegration {
                name,
                email,
                endpoint,
                identity_link_url,
                setup: Setup::Config,
                grant: Grant::Listed(resources),
                signature_methods: None,
                rsa_public_key: None,
                two_legged: false,
                placements: None,
                callback_urls: Vec::new(),
                flags: BTreeSet::new(),
            });
        }
        section.finish();
    }
    integrations
}
