//! Files: read within bounds, and with what they `include` merged in.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::fault::{Fault, Place};
use super::node::{Node, Value, parse};

/// Reads a file with what it includes; `None` when a fault leaves nothing to go on with.
pub(super) fn read(path: &Path, faults: &mut Vec<Fault>) -> Option<Node> {
    let mut root = read_one(path, faults);
    let Some(Value::Table(table)) = root.as_mut().map(|root| &mut root.value) else {
        return root;
    };
    let Some(include) = table.remove("include") else {
        return root;
    };
    // Every file is read, so that all faults are told at once.
    for file in included(path, &include, faults) {
        match (read_one(&file, faults), &mut root) {
            (Some(other), Some(ours)) => merge_included(ours, other, faults),
            (_, ours) => *ours = None,
        }
    }
    root
}

fn merge_included(root: &mut Node, other: Node, faults: &mut Vec<Fault>) {
    if let Value::Table(table) = &other.value
        && let Some(nested) = table.get("include")
    {
        let what = "an included file can't include others; list the file in the main one";
        faults.push(Fault::at(&nested.place, "include", what));
        return;
    }
    merge(root, other, "", faults);
}

fn read_one(path: &Path, faults: &mut Vec<Fault>) -> Option<Node> {
    match text(path) {
        Ok(text) => parse(path, &text, faults),
        Err(what) => {
            faults.push(what);
            None
        }
    }
}

/// A file's text; bounded, so that a device or a wrong file can't fill memory.
fn text(path: &Path) -> Result<String, Fault> {
    let fault = |what: String| Fault::of_file(path, &what);
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

/// The files that `include` names, sorted, each once, without the including file itself: a pattern with at most one `*`,
/// in the file's name, relative to the including file.
fn included(path: &Path, include: &Node, faults: &mut Vec<Fault>) -> Vec<PathBuf> {
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    // One alone needs no brackets, as with every list of texts.
    let alone = std::slice::from_ref(include);
    let patterns = if let Value::Array(patterns) = &include.value {
        patterns
    } else {
        alone
    };
    let mut files: Vec<PathBuf> = Vec::new();
    for pattern in patterns {
        let found = match pattern.value.clone().text() {
            Ok(text) => expand(&folder.join(&text)).map_err(|error| format!("{text:?}: {error}")),
            Err(kind) => Err(format!("takes files, such as [\"conf.d/*.toml\"], not {kind}")),
        };
        match found {
            Ok(found) => files.extend(found.into_iter().filter(|file| file != path)),
            Err(what) => faults.push(Fault::at(&pattern.place, "include", &what)),
        }
    }
    files.sort();
    files.dedup();
    files
}

fn expand(pattern: &Path) -> Result<Vec<PathBuf>, String> {
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
    // A folder that isn't there holds nothing: conf.d is optional.
    if !listed.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(listed).map_err(|error| error.to_string())? {
        let name = entry.map_err(|error| error.to_string())?.file_name();
        let name = name.to_string_lossy();
        let fits = name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after);
        // Hidden files are editors' leftovers, as for the shell.
        if fits && !name.starts_with('.') {
            found.push(folder.join(name.as_ref()));
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
