//! File and environment become the validated sections. The one place that reads the environment.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::rc::Rc;

use super::Config;
use super::fault::{Fault, Faults, Place};
use super::node::{self, Node, Value};
use super::reader::{Reading, Section};
use super::sections;

/// Variables by name, as the process was given them (or a test makes them).
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The process's own; names and values that aren't UTF-8 are left out.
    pub fn of_process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
        )
    }

    /// Exactly these.
    pub fn of(variables: &[(&str, &str)]) -> Self {
        Self(
            variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }
}

/// Something that works, but hardly as meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning(pub(super) String);

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Config {
    /// Reads a file (or, with none, only defaults and the process's environment).
    pub fn load(path: Option<&Path>) -> Result<(Self, Vec<Warning>), Faults> {
        let mut faults = Vec::new();
        let root = match path {
            Some(path) => node::read(path, &mut faults),
            None => Some(empty()),
        };
        build(root, &Environment::of_process(), faults)
    }

    /// Reads a text that stands for a file of that name.
    pub fn parse(text: &str, name: &str, environment: &Environment) -> Result<(Self, Vec<Warning>), Faults> {
        let mut faults = Vec::new();
        let root = node::parse(Path::new(name), text, &mut faults);
        build(root, environment, faults)
    }
}

fn empty() -> Node {
    Node {
        place: Place {
            file: Rc::from(Path::new("(defaults)")),
            line: 1,
        },
        value: Value::Table(BTreeMap::new()),
    }
}

fn build(root: Option<Node>, environment: &Environment, faults: Vec<Fault>) -> Result<(Config, Vec<Warning>), Faults> {
    let Some(root) = root else { return Err(Faults(faults)) };
    let reading = Reading {
        environment,
        faults: faults.into(),
        used_variables: BTreeSet::new().into(),
    };
    let config = sections::config(Section::root(&reading, root));
    let faults = reading.faults.into_inner();
    if !faults.is_empty() {
        return Err(Faults(faults));
    }
    let mut warnings = sections::warnings(&config);
    let used = reading.used_variables.into_inner();
    let unknown = environment.0.keys().filter(|name| {
        name.starts_with("COUNTERSIGN_") && !used.contains(*name) && !OF_COMMANDS.contains(&name.as_str())
    });
    warnings.extend(unknown.map(|name| {
        let near = super::nearest(name, used.iter().map(String::as_str));
        let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        Warning(format!("environment: {name} is no key of the configuration{near}"))
    }));
    Ok((config, warnings))
}

/// Variables that commands read, not the configuration.
const OF_COMMANDS: [&str; 8] = [
    "COUNTERSIGN_TOKEN",
    "COUNTERSIGN_CONSUMER_KEY",
    "COUNTERSIGN_CONSUMER_SECRET",
    "COUNTERSIGN_TOKEN_KEY",
    "COUNTERSIGN_TOKEN_SECRET",
    "COUNTERSIGN_ADMIN_USER",
    "COUNTERSIGN_ADMIN_PASSWORD",
    "COUNTERSIGN_CONFIG",
];
