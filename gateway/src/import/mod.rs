//! A Magento store's declarations and credentials become ours (product.md 9, magento.md 9).
//!
//! Pure: octets of XML files and of a database export come in; routes, resources, integrations and consumer records come
//! out, with a list of all that could not be carried. Only [`settle`] touches a store. Which files there are, and where the
//! result is written, is the command's part (`cli::import`).
//!
//! The way of a declaration: [`xml`] → [`webapi`], [`acl`] or [`integrations`] (merged over modules in [`sequence`]) →
//! [`routes`] (what the gateway needs) → [`mod@write`]. The way of a credential: [`sql`] → [`dump`] → [`live`] (opened by
//! [`crypt`]) → [`settle`].

pub mod acl;
pub mod crypt;
pub mod dump;
pub mod integrations;
pub mod live;
pub mod own;
pub mod php;
pub mod routes;
pub mod sequence;
pub mod settle;
pub mod sql;
pub mod webapi;
pub mod write;
pub mod xml;

use std::fmt;
use std::sync::Arc;

use self::acl::{Acl, Resource};
use self::integrations::Integration;
use self::own::Own;
use self::routes::Route;
use self::xml::{Element, XmlError};

/// Where something stands in what was read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// As it was named.
    pub file: Arc<str>,
    /// Counted from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Something of the store that did not come over as it was.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// Whether it is missing or only different.
    pub weight: Weight,
    /// Where it stands.
    pub place: Place,
    /// What it is: never a secret.
    pub what: String,
    /// Why, and what to do.
    pub why: String,
}

/// How much a [`Note`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// It is missing in what was made: `--strict` fails.
    NotCarried,
    /// It was carried, but somebody should look at it.
    Look,
}

impl Note {
    fn not_carried(place: &Place, what: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            weight: Weight::NotCarried,
            place: place.clone(),
            what: what.into(),
            why: why.into(),
        }
    }

    fn look(place: &Place, what: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            weight: Weight::Look,
            ..Self::not_carried(place, what, why)
        }
    }
}

/// What a file declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `webapi.xml`
    Webapi,
    /// `acl.xml`
    Acl,
    /// `integration.xml`, `integration/config.xml` or `integration/api.xml`
    Integrations,
}

/// A file of a module.
#[derive(Clone, Debug)]
pub struct XmlFile {
    /// What it declares.
    pub kind: Kind,
    /// `Vendor_Module`: names the file that is made.
    pub module: String,
    /// As messages and comments show it.
    pub name: Arc<str>,
    /// Its content.
    pub octets: Vec<u8>,
}

/// How the result should be.
#[derive(Clone, Debug)]
pub struct Options {
    /// The upstream that the routes forward to.
    pub upstream: String,
    /// Whether the asynchronous and bulk forms of the routes are made too (magento.md 5.7).
    pub with_async: bool,
}

/// What the files declare, as the gateway needs it.
#[derive(Clone, Debug, Default)]
pub struct Imported {
    /// By path and method.
    pub routes: Vec<Route>,
    /// In the order of their definition: parents first.
    pub resources: Vec<Resource>,
    /// By name.
    pub integrations: Vec<Integration>,
    /// What did not come over as it was.
    pub notes: Vec<Note>,
}

/// Reads all files, which stand in the order in which the storefront loads their modules. What the operator's `own` files
/// define stays theirs.
pub fn read(files: &[XmlFile], own: &Own, options: &Options) -> Result<Imported, Vec<XmlError>> {
    let mut faults = Vec::new();
    let mut reading = Reading::default();
    for file in files {
        match xml::parse(&file.name, &file.octets) {
            Ok(root) => reading.take(file, &root, &mut faults),
            Err(fault) => faults.push(fault),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let Reading {
        webapi,
        acl,
        integrations,
        mut notes,
    } = reading;
    let mut resources = acl.into_resources(own, &mut notes);
    let routes = routes::of(webapi, &mut resources, (own, options), &mut notes);
    let integrations = integrations.finish(&resources, own, &mut notes);
    notes.sort();
    notes.dedup();
    Ok(Imported {
        routes,
        resources,
        integrations,
        notes,
    })
}

#[derive(Default)]
struct Reading {
    webapi: webapi::Webapi,
    acl: Acl,
    integrations: integrations::Integrations,
    notes: Vec<Note>,
}

impl Reading {
    fn take(&mut self, file: &XmlFile, root: &Element, faults: &mut Vec<XmlError>) {
        let wanted: &[&str] = match file.kind {
            Kind::Webapi => &["routes"],
            Kind::Acl => &["config"],
            Kind::Integrations => &["config", "integrations"],
        };
        if !wanted.contains(&root.name.as_str()) {
            let what = format!("begins with <{}>, not with <{}>", root.name, wanted.join("> or <"));
            faults.push(XmlError {
                file: file.name.to_string(),
                line: root.line,
                what,
            });
            return;
        }
        match file.kind {
            Kind::Webapi => self.webapi.take(file, root, &mut self.notes),
            Kind::Acl => self.acl.take(file, root, &mut self.notes),
            Kind::Integrations => self.integrations.take(file, root, &mut self.notes),
        }
    }
}

impl XmlFile {
    fn at(&self, element: &Element) -> Place {
        Place {
            file: Arc::clone(&self.name),
            line: element.line,
        }
    }

    /// Notes what an element holds besides what is known of it: never dropped in silence.
    fn note_unknown(&self, element: &Element, (attributes, children): (&[&str], &[&str]), notes: &mut Vec<Note>) {
        for (name, _) in &element.attributes {
            if !attributes.contains(&name.as_str()) {
                let what = format!("<{}> {name}=…", element.name);
                notes.push(Note::not_carried(
                    &self.at(element),
                    what,
                    "an attribute that the format doesn't have",
                ));
            }
        }
        for child in &element.children {
            if !children.contains(&child.name.as_str()) {
                let what = format!("<{}> in <{}>", child.name, element.name);
                notes.push(Note::not_carried(
                    &self.at(child),
                    what,
                    "an element that the format doesn't have",
                ));
            }
        }
    }

    /// A boolean as the XSD has it. `Err`: another word.
    fn boolean(text: &str) -> Result<bool, ()> {
        match text.trim() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests;
