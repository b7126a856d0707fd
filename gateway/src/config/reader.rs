//! Reads one section: what is wrong is noted and reading goes on, so that all faults are told at once. Typed keys are in
//! `scalars.rs`.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::fault::{Fault, Place, Warning};
use super::key::{Key, Table, Takes, joined};
use super::nearest::nearest;
use super::node::{Node, Value};
use super::resolve::Environment;

/// What all sections share while they are read.
pub(super) struct Reading<'e> {
    pub(super) environment: &'e Environment,
    /// Whether every file was read: else what isn't found may stand where we couldn't look.
    is_whole: bool,
    pub(super) faults: RefCell<Vec<Fault>>,
    pub(super) warnings: RefCell<Vec<Warning>>,
    /// Variables that a key exists for.
    pub(super) used_variables: RefCell<BTreeSet<String>>,
    /// Every key that was read.
    pub(super) keys: RefCell<Vec<Key>>,
    /// Where each is set, if it is: by its path and, of tables in lists, which one it is in.
    set_at: RefCell<HashMap<Address, Option<Place>>>,
    /// Tables so far.
    tables: RefCell<usize>,
}

impl<'e> Reading<'e> {
    pub(super) fn new(environment: &'e Environment, is_whole: bool, faults: Vec<Fault>) -> Self {
        Self {
            environment,
            is_whole,
            faults: faults.into(),
            warnings: RefCell::default(),
            used_variables: RefCell::default(),
            keys: RefCell::default(),
            set_at: RefCell::default(),
            tables: RefCell::default(),
        }
    }
}

/// A key's path and, in an entry of a list, the number of its table.
type Address = (Option<usize>, String);

/// One table of the file: keys are taken from it, and what is left at the end is unknown.
pub(super) struct Section<'r, 'e> {
    pub(super) reading: &'r Reading<'e>,
    table: Table,
    place: Place,
    entries: RefCell<BTreeMap<String, Node>>,
    asked: RefCell<BTreeSet<String>>,
    /// Whether something else than a table stands there: then nothing in it is missing.
    is_broken: bool,
}

impl<'r, 'e> Section<'r, 'e> {
    pub(super) fn root(reading: &'r Reading<'e>, node: Node) -> Self {
        Self::of(reading, (String::new(), String::new()), false, node)
    }

    fn of(reading: &'r Reading<'e>, (path, pattern): (String, String), is_listed: bool, node: Node) -> Self {
        let place = node.place;
        let mut is_broken = false;
        let entries = node.value.table().unwrap_or_else(|kind| {
            let fault = Fault::at(&place, &path, &format!("takes a table, not {kind}"));
            reading.faults.borrow_mut().push(fault);
            is_broken = true;
            BTreeMap::new()
        });
        let number = reading.tables.replace_with(|so_far| *so_far + 1);
        Self {
            reading,
            table: Table {
                path,
                pattern,
                is_listed,
                number,
            },
            place,
            entries: RefCell::new(entries),
            asked: RefCell::default(),
            is_broken,
        }
    }

    fn inner(&self, key: &str, node: Node) -> Self {
        Self::of(self.reading, self.paths(key, key), self.table.is_listed, node)
    }

    /// A table in this one; an absent one is read as empty, so that every key has its default.
    pub(super) fn section(&self, key: &str) -> Self {
        let node = self.take(key).unwrap_or_else(|| Node::empty(&self.place));
        self.inner(key, node)
    }

    /// A table in this one, if it is there or the environment sets one of its keys.
    pub(super) fn optional_section(&self, key: &str) -> Option<Self> {
        let node = self.take(key);
        self.note(key, Takes::Table, None, node.as_ref());
        let prefix = format!("{}_", variable(&self.path(key)));
        let is_set = !self.table.is_listed && self.reading.environment.has_any_with(&prefix);
        node.or_else(|| is_set.then(|| Node::empty(&self.place)))
            .map(|node| self.inner(key, node))
    }

    /// Each table of a table, by name.
    pub(super) fn sections(&self, key: &str) -> Vec<(String, Self)> {
        let node = self.take(key);
        self.note(key, Takes::Table, None, node.as_ref());
        let Some(node) = node else { return Vec::new() };
        let of = self.inner(key, node);
        let entries = std::mem::take(&mut *of.entries.borrow_mut());
        entries
            .into_iter()
            .map(|(name, node)| {
                let section = Self::of(self.reading, of.paths(&name, "*"), false, node);
                (name, section)
            })
            .collect()
    }

    /// Each table of a list of tables (`[[routes]]`). Their keys have no variables: which entry's would it be?
    pub(super) fn list_of_tables(&self, key: &str) -> Vec<Self> {
        let node = self.take(key);
        self.note(key, Takes::Tables, None, node.as_ref());
        let Some(node) = node else { return Vec::new() };
        match node.value.list() {
            Ok(items) => items
                .into_iter()
                .map(|item| Self::of(self.reading, self.paths(key, key), true, item))
                .collect(),
            Err(kind) => {
                let what = format!("takes a list of tables ([[{}]]), not {kind}", self.path(key));
                self.fault_at(&node.place, key, &what);
                Vec::new()
            }
        }
    }

    /// Notes a fault of a key.
    pub(super) fn fault_at(&self, place: &Place, key: &str, what: &str) {
        let fault = Fault::at(place, &self.path(key), what);
        self.reading.faults.borrow_mut().push(fault);
    }

    /// Notes a fault of a key that is missing, or that was read well but doesn't fit the others.
    pub(super) fn fault(&self, key: &str, what: &str) {
        if !self.is_broken {
            self.fault_at(&self.place_of(key), key, what);
        }
    }

    /// Notes a fault of a key that names what isn't there.
    pub(super) fn fault_of_unknown(&self, place: &Place, key: &str, what: &str) {
        if self.knows_all() {
            self.fault_at(place, key, what);
        }
    }

    /// Notes a fault of a key that must be set and isn't.
    pub(super) fn fault_of_missing(&self, key: &str, what: &str) {
        // An entry of a list stands in one file; other tables may go on in another.
        if self.table.is_listed || self.knows_all() {
            self.fault(key, what);
        }
    }

    /// Whether every file was read: else what isn't found may stand where we couldn't look.
    pub(super) fn knows_all(&self) -> bool {
        self.reading.is_whole
    }

    /// Notes something that works, but hardly as meant.
    pub(super) fn warn(&self, key: &str, what: &str) {
        let warning = Warning(Fault::at(&self.place_of(key), &self.path(key), what));
        self.reading.warnings.borrow_mut().push(warning);
    }

    /// Where a key that was read is set, else where its table stands.
    fn place_of(&self, key: &str) -> Place {
        self.set_at(key).unwrap_or_else(|| self.place.clone())
    }

    /// Whether a key that was read is set, well or not.
    pub(super) fn is_set(&self, key: &str) -> bool {
        self.set_at(key).is_some()
    }

    fn set_at(&self, key: &str) -> Option<Place> {
        self.reading.set_at.borrow().get(&self.address(key)).cloned().flatten()
    }

    fn address(&self, key: &str) -> Address {
        (self.table.is_listed.then_some(self.table.number), self.path(key))
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

    pub(super) fn path(&self, key: &str) -> String {
        joined(&self.table.path, key)
    }

    fn paths(&self, key: &str, pattern: &str) -> (String, String) {
        (self.path(key), joined(&self.table.pattern, pattern))
    }

    pub(super) fn take(&self, key: &str) -> Option<Node> {
        self.asked.borrow_mut().insert(key.to_owned());
        self.entries.borrow_mut().remove(key)
    }

    /// A scalar or list: `COUNTERSIGN_SECTION_KEY` before the file.
    pub(super) fn scalar(&self, key: &str, takes: Takes, default: Option<String>) -> Option<Node> {
        let from_file = self.take(key);
        let node = self.environment(key).or(from_file);
        self.note(key, takes, default, node.as_ref());
        node
    }

    fn environment(&self, key: &str) -> Option<Node> {
        if self.table.is_listed {
            return None;
        }
        let name = variable(&self.path(key));
        self.reading.used_variables.borrow_mut().insert(name.clone());
        let value = self.reading.environment.get(&name)?;
        Some(Node {
            place: Place::Variable(name),
            value: Value::Text(value),
        })
    }

    pub(super) fn note(&self, key: &str, takes: Takes, default: Option<String>, node: Option<&Node>) {
        let place = node.map(|node| node.place.clone());
        self.reading
            .set_at
            .borrow_mut()
            .entry(self.address(key))
            .or_insert(place);
        let key = Key::new(&self.table, key, takes, default, node);
        self.reading.keys.borrow_mut().push(key);
    }
}

/// `public.limits.head` → `COUNTERSIGN_PUBLIC_LIMITS_HEAD`.
pub(super) fn variable(path: &str) -> String {
    format!("COUNTERSIGN_{}", path.to_ascii_uppercase().replace(['.', '-'], "_"))
}
