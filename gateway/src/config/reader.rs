//! Reads one section: typed, with its default, from the environment first; what is wrong is noted and reading goes on.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use token_store::Secret;

use super::fault::{Fault, Place};
use super::node::{Node, Value};
use super::resolve::Environment;
use super::{nearest, values};

/// What all sections share while they are read.
pub(super) struct Reading<'e> {
    pub(super) environment: &'e Environment,
    pub(super) faults: RefCell<Vec<Fault>>,
    /// Variables that a key exists for.
    pub(super) used_variables: RefCell<BTreeSet<String>>,
}

/// One table of the file: keys are taken from it, and what is left at the end is unknown.
pub(super) struct Section<'r, 'e> {
    reading: &'r Reading<'e>,
    name: String,
    place: Place,
    entries: RefCell<BTreeMap<String, Node>>,
    asked: RefCell<BTreeSet<String>>,
}

impl<'r, 'e> Section<'r, 'e> {
    pub(super) fn root(reading: &'r Reading<'e>, node: Node) -> Self {
        Self::of(reading, String::new(), node)
    }

    fn of(reading: &'r Reading<'e>, name: String, node: Node) -> Self {
        let place = node.place;
        let entries = node.value.table().unwrap_or_else(|kind| {
            reading
                .faults
                .borrow_mut()
                .push(Fault::at(&place, &name, &format!("takes a table, not {kind}")));
            BTreeMap::new()
        });
        Self {
            reading,
            name,
            place,
            entries: RefCell::new(entries),
            asked: RefCell::default(),
        }
    }

    /// A table in this one; an absent one is read as empty, so that every key has its default.
    pub(super) fn section(&self, key: &str) -> Self {
        let node = self.take(key);
        let node = node.unwrap_or_else(|| Node {
            place: self.place.clone(),
            value: Value::Table(BTreeMap::new()),
        });
        Self::of(self.reading, self.path(key), node)
    }

    /// A table in this one, if it is there.
    pub(super) fn optional_section(&self, key: &str) -> Option<Self> {
        self.take(key).map(|node| Self::of(self.reading, self.path(key), node))
    }

    /// Each table of a table, by name.
    pub(super) fn sections(&self, key: &str) -> Vec<(String, Self)> {
        let Some(node) = self.take(key) else { return Vec::new() };
        let of = Self::of(self.reading, self.path(key), node);
        let entries = std::mem::take(&mut *of.entries.borrow_mut());
        entries
            .into_iter()
            .map(|(name, node)| {
                let path = of.path(&name);
                (name, Self::of(self.reading, path, node))
            })
            .collect()
    }

    /// Each table of a list of tables (`[[routes]]`).
    pub(super) fn list_of_tables(&self, key: &str) -> Vec<Self> {
        let Some(node) = self.take(key) else { return Vec::new() };
        match node.value.list() {
            Ok(items) => items
                .into_iter()
                .map(|item| Self::of(self.reading, self.path(key), item))
                .collect(),
            Err(kind) => {
                self.fault_at(
                    &node.place,
                    key,
                    &format!("takes a list of tables ([[{key}]]), not {kind}"),
                );
                Vec::new()
            }
        }
    }

    pub(super) fn text(&self, key: &str) -> Option<(String, Place)> {
        let node = self.scalar(key)?;
        match node.value.text() {
            Ok(text) => Some((text, node.place)),
            Err(kind) => {
                self.fault_at(&node.place, key, &format!("takes a text in quotes, not {kind}"));
                None
            }
        }
    }

    pub(super) fn text_or(&self, key: &str, default: &str) -> String {
        self.text(key).map_or_else(|| default.to_owned(), |(text, _)| text)
    }

    /// A text that must be there.
    pub(super) fn required(&self, key: &str) -> Option<(String, Place)> {
        let present = self.entries.borrow().contains_key(key);
        let text = self.text(key);
        if text.is_none() && !present {
            self.fault_at(&self.place, key, "is missing");
        }
        text
    }

    /// A text that is parsed.
    pub(super) fn parsed<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let (text, place) = self.text(key)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(what) => {
                self.fault_at(&place, key, &what);
                None
            }
        }
    }

    pub(super) fn flag(&self, key: &str, default: bool) -> bool {
        let Some(node) = self.scalar(key) else { return default };
        let kind = node.value.kind();
        let flag = match node.value {
            Value::Bool(flag) => Some(flag),
            // From the environment everything is text.
            Value::Text(text) => text.parse().ok(),
            Value::Table(_) | Value::Array(_) | Value::Integer(_) | Value::Other => None,
        };
        flag.unwrap_or_else(|| {
            self.fault_at(&node.place, key, &format!("takes true or false, not {kind}"));
            default
        })
    }

    /// A whole number within bounds, both inclusive.
    pub(super) fn number(&self, key: &str, default: u64, bounds: std::ops::RangeInclusive<u64>) -> u64 {
        let Some(node) = self.scalar(key) else { return default };
        let number = match &node.value {
            Value::Integer(number) => u64::try_from(*number).ok(),
            Value::Text(text) => text.parse().ok(),
            Value::Table(_) | Value::Array(_) | Value::Bool(_) | Value::Other => None,
        };
        if let Some(number) = number.filter(|number| bounds.contains(number)) {
            number
        } else {
            let what = format!("takes a whole number from {} to {}", bounds.start(), bounds.end());
            self.fault_at(&node.place, key, &what);
            default
        }
    }

    pub(super) fn count(&self, key: &str, default: usize, bounds: std::ops::RangeInclusive<usize>) -> usize {
        let wide = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let number = self.number(key, wide(default), wide(*bounds.start())..=wide(*bounds.end()));
        usize::try_from(number).unwrap_or(default)
    }

    /// A duration within bounds, both inclusive.
    pub(super) fn duration(&self, key: &str, default: &str, bounds: (&str, &str)) -> Duration {
        let known = |text: &str| values::duration(text).unwrap_or_default();
        let (least, most) = (known(bounds.0), known(bounds.1));
        let within = |text: &str| {
            let duration = values::duration(text)?;
            if (least..=most).contains(&duration) {
                Ok(duration)
            } else {
                Err(format!(
                    "{text:?} is out of range: from {:?} to {:?}",
                    bounds.0, bounds.1
                ))
            }
        };
        self.parsed(key, within).unwrap_or_else(|| known(default))
    }

    /// A size within bounds, both inclusive.
    pub(super) fn size(&self, key: &str, default: &str, bounds: (&str, &str)) -> u64 {
        let known = |text: &str| values::size(text).unwrap_or_default();
        let (least, most) = (known(bounds.0), known(bounds.1));
        let within = |text: &str| {
            let size = values::size(text)?;
            if (least..=most).contains(&size) {
                Ok(size)
            } else {
                Err(format!(
                    "{text:?} is out of range: from {:?} to {:?}",
                    bounds.0, bounds.1
                ))
            }
        };
        self.parsed(key, within).unwrap_or_else(|| known(default))
    }

    /// A size that must fit memory.
    pub(super) fn octets(&self, key: &str, default: &str, bounds: (&str, &str)) -> usize {
        usize::try_from(self.size(key, default, bounds)).unwrap_or(usize::MAX)
    }

    /// A list of texts with their places; a single text counts as a list of one, and the environment separates by commas.
    pub(super) fn texts(&self, key: &str) -> Option<Vec<(String, Place)>> {
        let node = self.scalar(key)?;
        let place = node.place;
        match node.value {
            Value::Text(text) if Self::is_from_environment(&place) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Some(items.map(|item| (item.to_owned(), place.clone())).collect())
            }
            Value::Text(text) => Some(vec![(text, place)]),
            Value::Array(items) => Some(
                items
                    .into_iter()
                    .filter_map(|item| self.text_of_list(key, item))
                    .collect(),
            ),
            wrong @ (Value::Table(_) | Value::Integer(_) | Value::Bool(_) | Value::Other) => {
                self.fault_at(&place, key, &format!("takes a list of texts, not {}", wrong.kind()));
                None
            }
        }
    }

    fn text_of_list(&self, key: &str, item: Node) -> Option<(String, Place)> {
        match item.value.text() {
            Ok(text) => Some((text, item.place)),
            Err(kind) => {
                self.fault_at(&item.place, key, &format!("takes texts, not {kind}"));
                None
            }
        }
    }

    /// A list of texts, each parsed.
    pub(super) fn all_parsed<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<Vec<T>> {
        let mut parsed = Vec::new();
        for (text, place) in self.texts(key)? {
            match parse(&text) {
                Ok(value) => parsed.push(value),
                Err(what) => self.fault_at(&place, key, &what),
            }
        }
        Some(parsed)
    }

    /// A secret: in clear, `env:NAME` or `file:PATH` (relative to the file that names it).
    pub(super) fn secret(&self, key: &str) -> Option<Secret> {
        let (text, place) = self.text(key)?;
        self.resolve_secret(key, &text, &place)
    }

    pub(super) fn resolve_secret(&self, key: &str, text: &str, place: &Place) -> Option<Secret> {
        if let Some(name) = text.strip_prefix("env:") {
            self.reading.used_variables.borrow_mut().insert(name.to_owned());
            let value = self.reading.environment.get(name);
            if value.is_none() {
                self.fault_at(place, key, &format!("the environment has no {name}"));
            }
            return value.map(Secret::new);
        }
        if text.starts_with("file:") {
            let path = Self::relative_path(text.trim_start_matches("file:"), place);
            return match std::fs::read_to_string(&path) {
                Ok(content) => Some(Secret::new(content.trim_end_matches(['\n', '\r']).to_owned())),
                Err(error) => {
                    self.fault_at(place, key, &format!("{}: {error}", path.display()));
                    None
                }
            };
        }
        Some(Secret::new(text.to_owned()))
    }

    /// A file that must be there, relative to the file that names it.
    pub(super) fn existing_file(&self, key: &str) -> Option<PathBuf> {
        let (text, place) = self.text(key)?;
        let path = Self::relative_path(text.trim_start_matches("file:"), &place);
        if path.is_file() {
            return Some(path);
        }
        self.fault_at(&place, key, &format!("{} is not a file", path.display()));
        None
    }

    fn relative_path(text: &str, place: &Place) -> PathBuf {
        if Self::is_from_environment(place) {
            return PathBuf::from(text);
        }
        place.file.parent().unwrap_or_else(|| Path::new("")).join(text)
    }

    /// A table of texts with free names.
    pub(super) fn free_texts(&self, key: &str) -> BTreeMap<String, String> {
        let Some(node) = self.take(key) else {
            return BTreeMap::new();
        };
        let of = Self::of(self.reading, self.path(key), node);
        let names: Vec<String> = of.entries.borrow().keys().cloned().collect();
        names
            .into_iter()
            .filter_map(|name| of.text(&name).map(|(text, _)| (name, text)))
            .collect()
    }

    /// Notes a fault.
    pub(super) fn fault_at(&self, place: &Place, key: &str, what: &str) {
        let fault = if Self::is_from_environment(place) {
            Fault::of_variable(&variable(&self.path(key)), what)
        } else {
            Fault::at(place, &self.path(key), what)
        };
        self.reading.faults.borrow_mut().push(fault);
    }

    /// Where the table itself stands.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Whatever was not asked for is unknown.
    pub(super) fn finish(self) {
        let asked = self.asked.borrow();
        for (key, node) in self.entries.borrow().iter() {
            let near = nearest(key, asked.iter().map(String::as_str));
            let what = match near {
                Some(near) => format!("unknown key; did you mean \"{near}\"?"),
                None if asked.is_empty() => "unknown key".to_owned(),
                None => format!(
                    "unknown key; known here: {}",
                    asked.iter().cloned().collect::<Vec<_>>().join(", ")
                ),
            };
            self.fault_at(&node.place, key, &what);
        }
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.name)
        }
    }

    fn take(&self, key: &str) -> Option<Node> {
        self.asked.borrow_mut().insert(key.to_owned());
        self.entries.borrow_mut().remove(key)
    }

    /// A scalar or list: `COUNTERSIGN_SECTION_KEY` before the file.
    fn scalar(&self, key: &str) -> Option<Node> {
        let from_file = self.take(key);
        let name = variable(&self.path(key));
        self.reading.used_variables.borrow_mut().insert(name.clone());
        match self.reading.environment.get(&name) {
            Some(value) => {
                let place = Place {
                    file: Rc::from(Path::new(ENVIRONMENT)),
                    line: 0,
                };
                Some(Node {
                    place,
                    value: Value::Text(value),
                })
            }
            None => from_file,
        }
    }

    fn is_from_environment(place: &Place) -> bool {
        place.line == 0 && place.file.as_ref() == Path::new(ENVIRONMENT)
    }
}

/// `public.limits.head` → `COUNTERSIGN_PUBLIC_LIMITS_HEAD`.
fn variable(path: &str) -> String {
    format!("COUNTERSIGN_{}", path.to_ascii_uppercase().replace(['.', '-'], "_"))
}

const ENVIRONMENT: &str = "(environment)";
