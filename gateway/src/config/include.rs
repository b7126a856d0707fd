//! Files: read within bounds, and with what they `include` merged in.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::fault::{Fault, Place};
use super::node::{Node, Parsed, Value, parse};

/// What was read of a file and those that it includes.
pub(super) struct Read {
    /// All that could be read.
    pub(super) root: Node,
    /// Whether that is all there is.
    pub(super) is_whole: bool,
}

/// Files that are about to be: written with a text, or (`None`) removed. They are read as if that had been done.
#[derive(Clone, Debug, Default)]
pub struct Planned(BTreeMap<PathBuf, Option<String>>);

impl Planned {
    /// Of files by their paths.
    pub fn of<'a>(files: impl IntoIterator<Item = (&'a Path, Option<&'a str>)>) -> Self {
        let one = |(path, text): (&Path, Option<&str>)| (identity(path), text.map(str::to_owned));
        Self(files.into_iter().map(one).collect())
    }

    fn text(&self, path: &Path) -> Option<&str> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&identity(path))?.as_deref()
    }

    /// The names of a folder's files, with those that are to be and without those that are to go.
    fn names(&self, folder: &Path, present: BTreeSet<String>) -> BTreeSet<String> {
        let folder = identity(&folder.join("-"));
        let mut names = present;
        for (path, text) in &self.0 {
            let name = path.file_name().and_then(|name| name.to_str());
            match (name, text) {
                (Some(name), Some(_)) if path.parent() == folder.parent() => {
                    names.insert(name.to_owned());
                }
                (Some(name), None) if path.parent() == folder.parent() => {
                    names.remove(name);
                }
                (Some(_) | None, _) => {}
            }
        }
        names
    }
}

/// One path for all spellings of one file, whether it is there or not.
fn identity(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let folder = absolute.parent().unwrap_or_else(|| Path::new("/"));
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    folder.join(absolute.file_name().unwrap_or_default())
}

/// Reads a file with what it includes. What can't be read is a fault, and reading goes on with the rest, so that all faults
/// are told at once.
pub(super) fn read(path: &Path, planned: &Planned, faults: &mut Vec<Fault>) -> Read {
    let Parsed { mut node, is_whole } = read_one((path, None), planned, faults);
    let include = match &mut node.value {
        Value::Table(table) => table.remove("include"),
        Value::Array(_) | Value::Text(_) | Value::Integer(_) | Value::Bool(_) | Value::Other => None,
    };
    let mut read = Read {
        // Of a file with faults in its syntax only what it includes is believed.
        root: if is_whole { node } else { Node::empty(&Place::Default) },
        is_whole,
    };
    let files = include.map(|include| included(path, &include, planned, faults));
    let Some(Included { files, is_whole }) = files else {
        return read;
    };
    read.is_whole &= is_whole;
    for (file, place) in files {
        let other = read_one((&file, Some(&place)), planned, faults);
        read.is_whole &= other.is_whole;
        if other.is_whole {
            merge_included(&mut read.root, other.node, faults);
        }
    }
    read
}

fn merge_included(root: &mut Node, mut other: Node, faults: &mut Vec<Fault>) {
    if let Value::Table(table) = &mut other.value
        && let Some(nested) = table.remove("include")
    {
        let what = "an included file can't include others; list the file in the main one";
        faults.push(Fault::at(&nested.place, "include", what));
    }
    merge(root, other, "", faults);
}

/// One file, and where it is included, if it is.
fn read_one((path, include): (&Path, Option<&Place>), planned: &Planned, faults: &mut Vec<Fault>) -> Parsed {
    let text = match planned.text(path) {
        Some(text) => Ok(text.to_owned()),
        None => text(path, include),
    };
    match text {
        Ok(text) => parse(path, &text, faults),
        Err(what) => {
            faults.push(what);
            Parsed {
                node: Node::empty(&Place::Default),
                is_whole: false,
            }
        }
    }
}

/// A file's text; bounded, so that a device or a wrong file can't fill memory.
fn text(path: &Path, include: Option<&Place>) -> Result<String, Fault> {
    let fault = |what: String| match include {
        Some(place) => Fault::at(place, "include", &format!("{}: {what}", path.display())),
        None => Fault::of_file(path, &what),
    };
    if path.is_dir() {
        return Err(fault("is a folder, not a file".to_owned()));
    }
    let mut octets = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut octets))
        .map_err(|error| fault(format!("can't be read: {error}")))?;
    if octets.len() > usize::try_from(LARGEST).unwrap_or(usize::MAX) {
        return Err(fault(format!(
            "is larger than {} MiB: not a configuration",
            LARGEST >> 20
        )));
    }
    String::from_utf8(octets).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = error.as_bytes().get(..valid).unwrap_or_default();
        let line = before.split(|octet| *octet == b'\n').count();
        Fault::at(&Place::Line(path.into(), line), "", "is not UTF-8, as TOML must be")
    })
}

/// What `include` names.
struct Included {
    /// Sorted, each once, with the line that names it; without the including file itself.
    files: Vec<(PathBuf, Place)>,
    /// Whether every pattern was understood.
    is_whole: bool,
}

/// The files that `include` names: a pattern with at most one `*`, in the file's name, relative to the including file.
fn included(path: &Path, include: &Node, planned: &Planned, faults: &mut Vec<Fault>) -> Included {
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    // One alone needs no brackets, as with every list of texts.
    let alone = std::slice::from_ref(include);
    let patterns = if let Value::Array(patterns) = &include.value {
        patterns
    } else {
        alone
    };
    let mut files: Vec<(PathBuf, Place)> = Vec::new();
    let mut is_whole = true;
    for pattern in patterns {
        let found = match pattern.value.clone().text() {
            Ok(text) => expand(&folder.join(&text), planned).map_err(|error| format!("{text:?}: {error}")),
            Err(kind) => Err(format!("takes files, such as [\"conf.d/*.toml\"], not {kind}")),
        };
        match found {
            Ok(found) => {
                let others = found.into_iter().filter(|file| file != path);
                files.extend(others.map(|file| (file, pattern.place.clone())));
            }
            Err(what) => {
                faults.push(Fault::at(&pattern.place, "include", &what));
                is_whole = false;
            }
        }
    }
    // Stable: the first line that names a file is the one that is told.
    files.sort_by(|(one, _), (other, _)| one.cmp(other));
    files.dedup_by(|(one, _), (other, _)| one == other);
    Included { files, is_whole }
}

fn expand(pattern: &Path, planned: &Planned) -> Result<Vec<PathBuf>, String> {
    let name = pattern.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let folder = pattern.parent().unwrap_or_else(|| Path::new(""));
    if folder.to_string_lossy().contains('*') || name.matches('*').count() > 1 || name.contains(['?', '[']) {
        return Err("only one * is understood, in the file's name".to_owned());
    }
    let Some((before, after)) = name.split_once('*') else {
        return Ok(vec![pattern.to_owned()]);
    };
    let listed = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let mut names = BTreeSet::new();
    // A folder that isn't there holds nothing: conf.d is optional.
    if listed.is_dir() {
        for entry in std::fs::read_dir(listed).map_err(|error| error.to_string())? {
            let name = entry.map_err(|error| error.to_string())?.file_name();
            names.insert(name.to_string_lossy().into_owned());
        }
    }
    let mut found = Vec::new();
    for name in planned.names(folder, names) {
        let fits = name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after);
        // Hidden files are editors' leftovers, as for the shell.
        if fits && !name.starts_with('.') {
            found.push(folder.join(name));
        }
    }
    Ok(found)
}

/// Tables merge, lists of tables go on; anything else set twice is a fault.
fn merge(into: &mut Node, from: Node, key: &str, faults: &mut Vec<Fault>) {
    match (&mut into.value, from.value) {
        (Value::Table(ours), Value::Table(theirs)) => {
            for (name, node) in theirs {
                let key = if key.is_empty() {
                    name.clone()
                } else {
                    format!("{key}.{name}")
                };
                match ours.get_mut(&name) {
                    Some(own) => merge(own, node, &key, faults),
                    None => {
                        ours.insert(name, node);
                    }
                }
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if holds_tables(ours) && holds_tables(&theirs) => {
            ours.extend(theirs);
        }
        (
            Value::Table(_) | Value::Array(_) | Value::Text(_) | Value::Integer(_) | Value::Bool(_) | Value::Other,
            Value::Table(_) | Value::Array(_) | Value::Text(_) | Value::Integer(_) | Value::Bool(_) | Value::Other,
        ) => {
            let first = format!("is set already at {}", into.place);
            faults.push(Fault::at(&from.place, key, &first));
        }
    }
}

fn holds_tables(items: &[Node]) -> bool {
    items.iter().all(|item| matches!(item.value, Value::Table(_)))
}

const LARGEST: u64 = 16 << 20;
