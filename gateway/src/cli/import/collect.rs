//! The XML files that are read: those that were named, or those of the modules below a folder.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::super::counted;
use super::Arguments;
use super::file::{self, FileError};
use super::report::Voice;
use super::walk::{self, Module};
use crate::import::php::{self, Value};
use crate::import::sequence::{self, Sequence};
use crate::import::{Kind, Note, Place, Weight, XmlFile};

/// What is to be read, and what is to be said of other files.
pub(super) struct Collected {
    pub(super) files: Vec<XmlFile>,
    pub(super) notes: Vec<Note>,
}

/// Why the files are not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum CollectError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Walk(#[from] walk::WalkError),
}

/// All files in the order in which they are merged.
pub(super) fn files(arguments: &Arguments, say: &Voice) -> Result<Collected, CollectError> {
    match &arguments.code {
        Some(root) => of_modules(root, say),
        None => named(arguments),
    }
}

fn named(arguments: &Arguments) -> Result<Collected, CollectError> {
    let kinds = [
        (Kind::Webapi, &arguments.webapi),
        (Kind::Acl, &arguments.acl),
        (Kind::Integrations, &arguments.integrations),
    ];
    let mut files = Vec::new();
    for (kind, paths) in kinds {
        let mut seen = HashSet::new();
        for path in paths {
            let octets = file::read(path)?;
            // The same file twice would be a module that overrides itself.
            if seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())) {
                files.push(XmlFile {
                    kind,
                    module: module_of(path),
                    name: Arc::from(path.display().to_string()),
                    octets,
                });
            }
        }
    }
    let notes = Vec::new();
    Ok(Collected { files, notes })
}

fn of_modules(root: &Path, say: &Voice) -> Result<Collected, CollectError> {
    let mut notes = Vec::new();
    let found = walk::modules(root, say, &mut notes)?;
    if found.is_empty() {
        return Err(FileError::new(root, "no etc/module.xml is below it").into());
    }
    let mut modules: BTreeMap<String, Module> = BTreeMap::new();
    for module in found {
        if let Some(first) = modules.get(&module.name) {
            let why = format!(
                "the module is declared by {} already: that one is read",
                shown(root, &first.folder)
            );
            notes.push(note(
                Weight::NotCarried,
                &shown(root, &module.folder),
                &module.name,
                &why,
            ));
        } else {
            modules.insert(module.name.clone(), module);
        }
    }
    let after: BTreeMap<String, Vec<String>> = modules
        .iter()
        .map(|(name, module)| (name.clone(), module.after.clone()))
        .collect();
    let config = config_php(root, &mut notes)?;
    let sequence = sequence::of(&after, config.as_ref());
    note_sequence(&sequence, &mut notes);
    let mut files = Vec::new();
    for (read_so_far, name) in sequence.order.iter().enumerate() {
        say.progress(|| format!("reading modules: {read_so_far} of {}", sequence.order.len()));
        let Some(module) = modules.get(name) else { continue };
        for (kind, name_of_file) in FILES {
            let path = module.folder.join(name_of_file);
            if path.is_file() {
                files.push(XmlFile {
                    kind,
                    module: name.clone(),
                    name: Arc::from(shown(root, &path)),
                    octets: file::read(&path)?,
                });
            }
        }
    }
    Ok(Collected { files, notes })
}

/// `app/etc/config.php`, where there is one.
fn config_php(root: &Path, notes: &mut Vec<Note>) -> Result<Option<Value>, CollectError> {
    let path = root.join(CONFIG_PHP);
    if !path.is_file() {
        return Ok(None);
    }
    let octets = file::read(&path)?;
    match php::parse(&String::from_utf8_lossy(&octets)) {
        Ok(value) => Ok(Some(value)),
        Err(error) => {
            let why = format!("{error}: the modules' own sequences say the order, and all count as switched on");
            notes.push(note(Weight::Look, CONFIG_PHP, "the list of modules", &why));
            Ok(None)
        }
    }
}

fn note_sequence(sequence: &Sequence, notes: &mut Vec<Note>) {
    if !sequence.disabled.is_empty() {
        let what = counted(sequence.disabled.len(), "module");
        notes.push(note(
            Weight::Look,
            CONFIG_PHP,
            &what,
            "switched off: what they declare is left out, as the storefront does",
        ));
    }
    for name in &sequence.unknown {
        notes.push(note(
            Weight::NotCarried,
            CONFIG_PHP,
            name,
            "not listed there: the storefront doesn't know the module yet",
        ));
    }
    for name in &sequence.missing {
        notes.push(note(
            Weight::NotCarried,
            CONFIG_PHP,
            name,
            "switched on there, but no etc/module.xml declares it",
        ));
    }
    for name in &sequence.circular {
        let why = "comes after itself by way of others: its place in the order is arbitrary";
        notes.push(note(Weight::Look, "etc/module.xml", name, why));
    }
}

fn note(weight: Weight, place: &str, what: &str, why: &str) -> Note {
    Note {
        weight,
        place: Place {
            file: Arc::from(place),
            line: 1,
        },
        what: what.to_owned(),
        why: why.to_owned(),
    }
}

/// A path below the root, as messages show it.
fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

/// The module of a named file: what `module.xml` beside it says, else the folders above `etc`.
fn module_of(path: &Path) -> String {
    let folders = path.ancestors().skip(1);
    let etc = folders
        .take(3)
        .find(|folder| folder.file_name().is_some_and(|name| name == "etc"));
    let Some(etc) = etc else {
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        return stem.unwrap_or("files").to_owned();
    };
    if let Some(module) = etc.parent().and_then(|folder| walk::module(folder, "module.xml").ok()) {
        return module.name;
    }
    let above: Vec<&str> = etc
        .ancestors()
        .skip(1)
        .take(2)
        .filter_map(|folder| folder.file_name()?.to_str())
        .collect();
    above.into_iter().rev().collect::<Vec<_>>().join("_")
}

const CONFIG_PHP: &str = "app/etc/config.php";
const FILES: [(Kind, &str); 5] = [
    (Kind::Webapi, "etc/webapi.xml"),
    (Kind::Acl, "etc/acl.xml"),
    (Kind::Integrations, "etc/integration.xml"),
    (Kind::Integrations, "etc/integration/config.xml"),
    (Kind::Integrations, "etc/integration/api.xml"),
];
