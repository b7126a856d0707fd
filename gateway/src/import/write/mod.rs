//! The configuration files: one a module for its resources and routes, one for all integrations. The same input gives the
//! same octets.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use token_store::Grant;

use super::acl::Resource;
use super::integrations::Integration;
use super::routes::Route;
use super::{Imported, Options};
use crate::authorize::resources::ALL;

/// Text by file name.
pub fn files(imported: &Imported, options: &Options) -> BTreeMap<String, String> {
    let mut modules: BTreeMap<&str, (Vec<&Resource>, Vec<&Route>)> = BTreeMap::new();
    for resource in &imported.resources {
        modules.entry(&resource.module).or_default().0.push(resource);
    }
    for route in &imported.routes {
        modules.entry(&route.module).or_default().1.push(route);
    }
    let mut files = BTreeMap::new();
    if !imported.integrations.is_empty() {
        let mut text = header("Integrations that modules define");
        for integration in &imported.integrations {
            write_integration(&mut text, integration);
        }
        files.insert(INTEGRATIONS.to_owned(), text);
    }
    for (module, (resources, routes)) in modules {
        let mut text = header(&format!("Resources and routes of {module}"));
        for resource in resources {
            write_resource(&mut text, resource);
        }
        for route in routes {
            write_route(&mut text, route, options);
        }
        files.insert(free_name(&files, module), text);
    }
    files
}

/// Whether a file was made by an import, so that the next one may replace it.
pub fn is_made_here(text: &str) -> bool {
    text.lines().take(2).any(|line| line == MADE)
}

fn header(what: &str) -> String {
    format!("# {}.\n{MADE}\n", comment(what))
}

/// Modules whose names fold to one file name get a number.
fn free_name(files: &BTreeMap<String, String>, module: &str) -> String {
    let plain = |character: char| {
        if character.is_ascii_alphanumeric() {
            character
        } else {
            '_'
        }
    };
    let stem: String = module.chars().map(plain).take(MOST_STEM).collect();
    let first = format!("{PREFIX}{stem}.toml");
    if !files.contains_key(&first) {
        return first;
    }
    let numbered = (2_u32..).map(|number| format!("{PREFIX}{stem}-{number}.toml"));
    numbered
        .take(files.len() + 1)
        .find(|name| !files.contains_key(name))
        .unwrap_or(first)
}

fn write_resource(text: &mut String, resource: &Resource) {
    let origin = if resource.is_defined {
        resource.place.to_string()
    } else {
        format!("no acl.xml defines it; a route names it at {}", resource.place)
    };
    line(text, format_args!("\n# {}", comment(&origin)));
    line(text, format_args!("[[resources]]"));
    line(text, format_args!("id = {}", quoted(&resource.id)));
    line(text, format_args!("title = {}", quoted(&resource.title)));
    if let Some(parent) = &resource.parent {
        line(text, format_args!("parent = {}", quoted(parent)));
    }
    if resource.order != 0 {
        line(text, format_args!("order = {}", resource.order));
    }
}

fn write_route(text: &mut String, route: &Route, options: &Options) {
    line(text, format_args!("\n# {}", comment(&route.origin)));
    line(text, format_args!("[[routes]]"));
    line(text, format_args!("path = {}", quoted(&route.path)));
    line(text, format_args!("methods = [{}]", quoted(&route.method)));
    line(text, format_args!("upstream = {}", quoted(&options.upstream)));
    line(text, format_args!("resources = [{}]", list(&route.resources)));
    if route.is_secure {
        line(text, format_args!("secure = true"));
    }
    if route.takes_slash {
        line(text, format_args!("encoded_slash = \"allow\""));
    }
    if !route.force.is_empty() {
        let pairs: Vec<String> = route
            .force
            .iter()
            .map(|(name, value)| format!("{} = {}", quoted(name), quoted(value)))
            .collect();
        line(text, format_args!("force = {{ {} }}", pairs.join(", ")));
    }
}

fn write_integration(text: &mut String, integration: &Integration) {
    let new = &integration.definition;
    let places: Vec<String> = integration.places.iter().map(ToString::to_string).collect();
    line(text, format_args!("\n# {}", comment(&places.join(", "))));
    line(text, format_args!("[[integrations]]"));
    line(text, format_args!("name = {}", quoted(&new.name)));
    if !new.email.is_empty() {
        line(text, format_args!("email = {}", quoted(&new.email)));
    }
    for (key, value) in [
        ("endpoint", &new.endpoint),
        ("identity_link_url", &new.identity_link_url),
    ] {
        if let Some(value) = value {
            line(text, format_args!("{key} = {}", quoted(value)));
        }
    }
    let ids: Vec<String> = match &new.grant {
        Grant::All => vec![ALL.to_owned()],
        Grant::Listed(ids) => ids.iter().cloned().collect(),
    };
    line(text, format_args!("resources = ["));
    for id in ids {
        line(text, format_args!("    {},", quoted(&id)));
    }
    line(text, format_args!("]"));
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String can't fail.
    let _written = writeln!(text, "{line}");
}

fn list(items: &[String]) -> String {
    items.iter().map(|item| quoted(item)).collect::<Vec<_>>().join(", ")
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            control if control.is_control() => {
                let _written = write!(quoted, "\\u{:04X}", u32::from(control));
            }
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}

/// What a file's author chose may not end the comment: the next line would be configuration.
fn comment(text: &str) -> String {
    text.chars()
        .map(|one| if one.is_control() { '?' } else { one })
        .collect()
}

const MADE: &str =
    "# Made by `countersign import magento`, which replaces this file the next time: change your own files instead.";
const PREFIX: &str = "magento-";
const INTEGRATIONS: &str = "magento-integrations.toml";
const MOST_STEM: usize = 100;

#[cfg(test)]
mod tests;
