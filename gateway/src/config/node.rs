//! The file's shape: TOML values that remember where they stand, with what they include merged in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use toml::de::{DeTable, DeValue};

use super::fault::{Fault, Place};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Table(BTreeMap<String, Node>),
    Array(Vec<Node>),
    Text(String),
    Integer(i64),
    Bool(bool),
    /// Floats and dates: no key takes one.
    Other,
}

impl Value {
    /// The table that it is, or what it is instead.
    pub(super) fn table(self) -> Result<BTreeMap<String, Node>, &'static str> {
        let kind = self.kind();
        if let Self::Table(entries) = self {
            Ok(entries)
        } else {
            Err(kind)
        }
    }

    /// The list that it is, or what it is instead.
    pub(super) fn list(self) -> Result<Vec<Node>, &'static str> {
        let kind = self.kind();
        if let Self::Array(items) = self {
            Ok(items)
        } else {
            Err(kind)
        }
    }

    /// The text that it is, or what it is instead.
    pub(super) fn text(self) -> Result<String, &'static str> {
        let kind = self.kind();
        if let Self::Text(text) = self {
            Ok(text)
        } else {
            Err(kind)
        }
    }

    /// What an error calls it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Table(_) => "a table",
            Self::Array(_) => "a list",
            Self::Text(_) => "a text",
            Self::Integer(_) => "a whole number",
            Self::Bool(_) => "true or false",
            Self::Other => "a fraction or a date",
        }
    }
}

/// Reads a file with what it includes.
pub(super) fn read(path: &Path, faults: &mut Vec<Fault>) -> Option<Node> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            faults.push(Fault::of_file(path, &format!("can't be read: {error}")));
            return None;
        }
    };
    let mut root = parse(path, &text, faults)?;
    let Value::Table(table) = &mut root.value else {
        return Some(root);
    };
    let Some(include) = table.remove("include") else {
        return Some(root);
    };
    for file in included(path, &include, faults) {
        let before = faults.len();
        if let Some(other) = read_included(&file, faults) {
            merge(&mut root, other, "", faults);
        } else if faults.len() == before {
            faults.push(Fault::of_file(&file, "can't be read"));
        }
    }
    Some(root)
}

fn read_included(path: &Path, faults: &mut Vec<Fault>) -> Option<Node> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            faults.push(Fault::of_file(path, &format!("can't be read: {error}")));
            return None;
        }
    };
    let root = parse(path, &text, faults)?;
    if let Value::Table(table) = &root.value
        && let Some(nested) = table.get("include")
    {
        faults.push(Fault::at(
            &nested.place,
            "include",
            "an included file can't include others",
        ));
        return None;
    }
    Some(root)
}

/// Parses one file's text.
pub(super) fn parse(path: &Path, text: &str, faults: &mut Vec<Fault>) -> Option<Node> {
    let file = Rc::from(path);
    match DeTable::parse(text) {
        Ok(table) => {
            let lines = Lines::of(text);
            let place = Place {
                file: Rc::clone(&file),
                line: 1,
            };
            Some(Node {
                place,
                value: convert_table(table.get_ref(), &file, &lines),
            })
        }
        Err(error) => {
            let line = error.span().map_or(1, |span| Lines::of(text).line(span.start));
            faults.push(Fault::at(&Place { file, line }, "", error.message()));
            None
        }
    }
}

/// Where lines begin, so that an offset becomes a line's number.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(
            text.bytes()
                .enumerate()
                .filter(|(_, byte)| *byte == b'\n')
                .map(|(at, _)| at)
                .collect(),
        )
    }

    fn line(&self, offset: usize) -> usize {
        self.0.partition_point(|at| *at < offset) + 1
    }
}

fn convert_table(table: &DeTable<'_>, file: &Rc<Path>, lines: &Lines) -> Value {
    let entries = table.iter().map(|(key, value)| {
        // A table's place is its header's: the key, not the whole of it.
        let is_large = matches!(value.get_ref(), DeValue::Table(_) | DeValue::Array(_));
        let line = lines.line(if is_large { key.span().start } else { value.span().start });
        (key.get_ref().to_string(), convert(value.get_ref(), line, file, lines))
    });
    Value::Table(entries.collect())
}

fn convert(value: &DeValue<'_>, line: usize, file: &Rc<Path>, lines: &Lines) -> Node {
    let converted = match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => {
            i64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).map_or(Value::Other, Value::Integer)
        }
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Float(_) | DeValue::Datetime(_) => Value::Other,
        DeValue::Array(items) => {
            let item =
                |item: &toml::Spanned<DeValue<'_>>| convert(item.get_ref(), lines.line(item.span().start), file, lines);
            Value::Array(items.iter().map(item).collect())
        }
        DeValue::Table(table) => convert_table(table, file, lines),
    };
    Node {
        place: Place {
            file: Rc::clone(file),
            line,
        },
        value: converted,
    }
}

/// The files that `include` names, sorted: a pattern with one `*` in the file name, relative to the including file.
fn included(path: &Path, include: &Node, faults: &mut Vec<Fault>) -> Vec<PathBuf> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let Value::Array(patterns) = &include.value else {
        faults.push(Fault::at(
            &include.place,
            "include",
            "takes a list of files, such as [\"conf.d/*.toml\"]",
        ));
        return Vec::new();
    };
    let mut files = Vec::new();
    for pattern in patterns {
        let Value::Text(text) = &pattern.value else {
            faults.push(Fault::at(
                &pattern.place,
                "include",
                &format!("takes file names, not {}", pattern.value.kind()),
            ));
            continue;
        };
        match expand(&folder.join(text)) {
            Ok(found) => files.extend(found),
            Err(error) => faults.push(Fault::at(&pattern.place, "include", &format!("{text}: {error}"))),
        }
    }
    files
}

fn expand(pattern: &Path) -> std::io::Result<Vec<PathBuf>> {
    let name = pattern.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some((before, after)) = name.split_once('*') else {
        return Ok(vec![pattern.to_owned()]);
    };
    let folder = pattern.parent().unwrap_or_else(|| Path::new("."));
    // A folder that isn't there holds nothing: conf.d is optional.
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after) {
            found.push(path);
        }
    }
    found.sort();
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
