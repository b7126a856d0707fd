//! The modules below a folder: every folder with an `etc/module.xml`. Bounded in depth and number; a folder is entered once,
//! by whatever links it is reached.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::{self, FileError};
use super::report::Voice;
use crate::import::xml::{self, XmlError};
use crate::import::{Note, Place, Weight};

/// A module's folder.
pub(super) struct Module {
    /// `Vendor_Module`
    pub(super) name: String,
    /// Where its `etc` is.
    pub(super) folder: PathBuf,
    /// The modules that it comes after.
    pub(super) after: Vec<String>,
}

/// Why the folders can't be walked.
#[derive(Debug, thiserror::Error)]
pub(super) enum WalkError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Xml(#[from] XmlError),
}

/// All of them, by path.
pub(super) fn modules(root: &Path, say: &Voice, notes: &mut Vec<Note>) -> Result<Vec<Module>, WalkError> {
    std::fs::read_dir(root).map_err(|error| FileError::new(root, error))?;
    let mut entered: HashSet<PathBuf> = HashSet::new();
    let mut waiting = vec![(root.to_owned(), 0_usize)];
    let mut found = Vec::new();
    while let Some((folder, depth)) = waiting.pop() {
        // A link into what was walked already, or around in a circle.
        let is_new = folder.canonicalize().is_ok_and(|real| entered.insert(real));
        if !is_new {
            continue;
        }
        if entered.len() > MOST_FOLDERS {
            let what = format!("more than {MOST_FOLDERS} folders: name the storefront's own folder");
            return Err(FileError::new(root, what).into());
        }
        say.progress(|| {
            format!(
                "looking for modules: {} folders, {} modules",
                entered.len(),
                found.len()
            )
        });
        if folder.join(MODULE_XML).is_file() {
            let shown = folder.strip_prefix(root).unwrap_or(&folder).join(MODULE_XML);
            found.push(module(&folder, &shown.display().to_string())?);
        } else if depth < MOST_DEPTH {
            match below(&folder, depth) {
                Ok(folders) => waiting.extend(folders.into_iter().rev().map(|folder| (folder, depth + 1))),
                Err(error) => notes.push(unreadable(root, &folder, &error)),
            }
        }
    }
    Ok(found)
}

/// What a module's `etc/module.xml` says.
pub(super) fn module(folder: &Path, shown: &str) -> Result<Module, WalkError> {
    let octets = file::read(&folder.join(MODULE_XML))?;
    let root = xml::parse(shown, &octets)?;
    let module = root.all("module").next();
    let name = module
        .and_then(|module| module.attribute("name"))
        .filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| FileError::new(Path::new(shown), "names no module"))?;
    let sequences = module.into_iter().flat_map(|module| module.all("sequence"));
    let before = sequences.flat_map(|sequence| sequence.all("module"));
    Ok(Module {
        name: name.to_owned(),
        folder: folder.to_owned(),
        after: before
            .filter_map(|one| one.attribute("name"))
            .map(str::to_owned)
            .collect(),
    })
}

/// The folders in a folder, sorted.
fn below(folder: &Path, depth: usize) -> std::io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_dull = name.starts_with('.')
            || DULL.contains(&name.as_ref())
            || (depth == 0 && DULL_ON_TOP.contains(&name.as_ref()));
        // Composer links packages into its folder: links are followed.
        let kind = entry.file_type()?;
        if !is_dull && (kind.is_dir() || (kind.is_symlink() && entry.path().is_dir())) {
            folders.push(entry.path());
        }
    }
    folders.sort();
    Ok(folders)
}

fn unreadable(root: &Path, folder: &Path, error: &std::io::Error) -> Note {
    Note {
        weight: Weight::NotCarried,
        place: Place {
            file: Arc::from(folder.strip_prefix(root).unwrap_or(folder).display().to_string()),
            line: 1,
        },
        what: "modules in this folder".to_owned(),
        why: format!("it can't be read: {error}"),
    }
}

const MODULE_XML: &str = "etc/module.xml";
const MOST_FOLDERS: usize = 200_000;
/// `vendor/acme/suite/app/code/Acme/Shop` has seven.
const MOST_DEPTH: usize = 7;
/// Modules in these are made for tests.
const DULL: [&str; 6] = ["node_modules", "Test", "Tests", "test", "tests", "_files"];
const DULL_ON_TOP: [&str; 4] = ["dev", "generated", "pub", "var"];
