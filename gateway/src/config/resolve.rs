//! File and environment become the validated sections. The one place that reads the environment.

use std::collections::BTreeMap;
use std::path::Path;

use super::fault::{Fault, Faults, Place, Warning};
use super::include::{Planned, Read};
use super::key::Key;
use super::nearest::nearest;
use super::node::{self, Node, Parsed};
use super::reader::{Reading, Section};
use super::{Config, include, sections};

/// Variables by name, as the process was given them (or a test makes them).
#[derive(Clone, Debug, Default)]
pub struct Environment {
    values: BTreeMap<String, String>,
    /// Ours whose value isn't UTF-8.
    unreadable: Vec<String>,
}

impl Environment {
    /// The process's own; others' names and values that aren't UTF-8 are left out.
    pub fn of_process() -> Self {
        let mut environment = Self::default();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => {
                    environment.values.insert(name, value);
                }
                Err(_) if name.starts_with(PREFIX) => environment.unreadable.push(name),
                Err(_) => {}
            }
        }
        environment
    }

    /// Exactly these.
    pub fn of(variables: &[(&str, &str)]) -> Self {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            values: variables.iter().map(own).collect(),
            unreadable: Vec::new(),
        }
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<String> {
        self.values.get(name).cloned()
    }

    /// Whether a variable's name begins so.
    pub(super) fn has_any_with(&self, prefix: &str) -> bool {
        self.values.keys().any(|name| name.starts_with(prefix))
    }
}

/// A configuration that was read, and what it was read from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What is in force.
    pub config: Config,
    /// What works, but hardly as meant.
    pub warnings: Vec<Warning>,
    /// Every key that was read, in the order of the file.
    pub keys: Vec<Key>,
}

impl Config {
    /// Reads a file (or, with none, only defaults and the process's environment).
    pub fn load(path: Option<&Path>) -> Result<(Self, Vec<Warning>), Faults> {
        let Loaded { config, warnings, .. } = Loaded::read(path, &Environment::of_process())?;
        Ok((config, warnings))
    }

    /// Reads a text that stands for a file of that name.
    pub fn parse(text: &str, name: &str, environment: &Environment) -> Result<(Self, Vec<Warning>), Faults> {
        let Loaded { config, warnings, .. } = Loaded::parse(text, name, environment)?;
        Ok((config, warnings))
    }
}

impl Loaded {
    /// Reads a file (or, with none, only defaults) and an environment.
    pub fn read(path: Option<&Path>, environment: &Environment) -> Result<Self, Faults> {
        Self::read_with(path, environment, &Planned::default())
    }

    /// The same, as it will be once these files are written.
    pub fn read_with(path: Option<&Path>, environment: &Environment, planned: &Planned) -> Result<Self, Faults> {
        let mut faults = Vec::new();
        let read = match path {
            Some(path) => include::read(path, planned, &mut faults),
            None => Read {
                root: Node::empty(&Place::Default),
                is_whole: true,
            },
        };
        build(read, environment, faults)
    }

    /// Reads a text that stands for a file of that name.
    pub fn parse(text: &str, name: &str, environment: &Environment) -> Result<Self, Faults> {
        let mut faults = Vec::new();
        let Parsed { node, is_whole } = node::parse(Path::new(name), text, &mut faults);
        let root = if is_whole { node } else { Node::empty(&Place::Default) };
        build(Read { root, is_whole }, environment, faults)
    }
}

fn build(Read { root, is_whole }: Read, environment: &Environment, faults: Vec<Fault>) -> Result<Loaded, Faults> {
    let reading = Reading::new(environment, is_whole, faults);
    for name in &environment.unreadable {
        let fault = Fault::at(&Place::Variable(name.clone()), "", "is not UTF-8");
        reading.faults.borrow_mut().push(fault);
    }
    let config = sections::config(Section::root(&reading, root));
    let mut faults = reading.faults.into_inner();
    if !faults.is_empty() {
        faults.sort();
        faults.dedup();
        return Err(Faults(faults));
    }
    let mut warnings = reading.warnings.into_inner();
    warnings.sort();
    let used = reading.used_variables.into_inner();
    let unknown = environment
        .values
        .keys()
        .filter(|name| name.starts_with(PREFIX) && !used.contains(*name) && !OF_COMMANDS.contains(&name.as_str()));
    warnings.extend(unknown.map(|name| {
        let known = used.iter().filter_map(|one| one.strip_prefix(PREFIX));
        let near = nearest(name.strip_prefix(PREFIX).unwrap_or_default(), known);
        let near = near
            .map(|near| format!("; did you mean {PREFIX}{near}?"))
            .unwrap_or_default();
        let what = format!("is no key of the configuration{near}");
        Warning(Fault::at(&Place::Variable(name.clone()), "", &what))
    }));
    Ok(Loaded {
        config,
        warnings,
        keys: reading.keys.into_inner(),
    })
}

const PREFIX: &str = "COUNTERSIGN_";

/// Variables that commands read, not the configuration.
const OF_COMMANDS: [&str; 9] = [
    "COUNTERSIGN_TOKEN",
    "COUNTERSIGN_CONSUMER_KEY",
    "COUNTERSIGN_CONSUMER_SECRET",
    "COUNTERSIGN_TOKEN_KEY",
    "COUNTERSIGN_TOKEN_SECRET",
    "COUNTERSIGN_ADMIN_USER",
    "COUNTERSIGN_ADMIN_PASSWORD",
    "COUNTERSIGN_CUSTOMER_PASSWORD",
    "COUNTERSIGN_CONFIG",
];
