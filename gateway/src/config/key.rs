//! What a key takes and what it holds: noted while the configuration is read, so that its schema and what is in force can
//! be shown, and so that no key exists that they don't tell of.

use super::fault::Place;
use super::node::{Node, Value, quoted};

/// A key that was read.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its table.
    pub table: Table,
    /// Its name in the table.
    pub name: String,
    /// What it takes.
    pub takes: Takes,
    /// What stands where nothing is set, as TOML writes it; `None`: unset.
    pub default: Option<String>,
    /// What is set, as TOML writes it, secrets masked; and where.
    pub(super) set: Option<(String, Place)>,
}

/// A table that keys are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// As `upstreams.storefront`; empty: the top.
    pub path: String,
    /// The same with `*` for a free name: `upstreams.*`.
    pub pattern: String,
    /// Whether it stands in a list: `[[routes]]`.
    pub is_listed: bool,
    /// Which one it is, in the order of reading: entries of a list have one path.
    pub number: usize,
}

/// What a key takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Takes {
    /// A text.
    Text,
    /// A URL: a password in it is masked.
    Url,
    /// One of these words.
    Word(Vec<&'static str>),
    /// A list of texts.
    Texts,
    /// A list of these words.
    Words(Vec<&'static str>),
    /// true or false
    Flag,
    /// A whole number within these bounds.
    Number(u64, u64),
    /// A duration within these bounds.
    Duration(&'static str, &'static str),
    /// A size within these bounds.
    Size(&'static str, &'static str),
    /// A text in clear, `env:NAME` or `file:PATH`.
    Secret,
    /// A list of those.
    Secrets,
    /// A file that must be there.
    File,
    /// A table of names and values: texts, whole numbers, true or false.
    Forced,
    /// A table of its own.
    Table,
    /// A list of tables.
    Tables,
}

impl Key {
    pub(super) fn new(table: &Table, name: &str, takes: Takes, default: Option<String>, node: Option<&Node>) -> Self {
        let set = node.map(|node| (shown(&takes, node), node.place.clone()));
        Self {
            table: table.clone(),
            name: name.to_owned(),
            takes,
            default,
            set,
        }
    }

    /// What is set, as TOML writes it, secrets masked, and where: a file's line, or a variable. `None`: nothing.
    pub fn set(&self) -> Option<(&str, String)> {
        let (value, place) = self.set.as_ref()?;
        let origin = match place {
            Place::Variable(name) => name.clone(),
            Place::Line(..) | Place::Default => place.to_string(),
        };
        Some((value, origin))
    }

    /// With its table: `public.limits.head`.
    pub fn path(&self) -> String {
        joined(&self.table.path, &self.name)
    }

    /// The same with `*` for a free name: `upstreams.*.targets`.
    pub fn pattern(&self) -> String {
        joined(&self.table.pattern, &self.name)
    }
}

pub(super) fn joined(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn shown(takes: &Takes, node: &Node) -> String {
    match (takes, &node.value) {
        (Takes::Secret | Takes::Secrets | Takes::Url, Value::Text(text)) => quoted(&masked(takes, text)),
        (Takes::Secret | Takes::Secrets | Takes::Url, Value::Array(items)) => {
            let items: Vec<String> = items.iter().map(|item| shown(takes, item)).collect();
            format!("[{}]", items.join(", "))
        }
        // A variable gives a list by commas; the file wants it in brackets.
        (Takes::Texts | Takes::Words(_), Value::Text(text)) if matches!(node.place, Place::Variable(_)) => {
            let items: Vec<String> = listed(text).map(quoted).collect();
            format!("[{}]", items.join(", "))
        }
        _ => node.literal(),
    }
}

/// What a variable lists, by commas.
pub(super) fn listed(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn masked(takes: &Takes, text: &str) -> String {
    if text.starts_with("env:") || text.starts_with("file:") {
        // Where a secret is, not what it is.
        return text.to_owned();
    }
    if *takes == Takes::Url {
        return without_password(text);
    }
    MASK.to_owned()
}

/// A URL whose user name and password, if it has them, are masked. The last `@` counts: a password may hold one.
pub(super) fn without_password(url: &str) -> String {
    let split = url
        .split_once("://")
        .and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?)));
    match split {
        Some((scheme, (_, host))) => format!("{scheme}://{MASK}@{host}"),
        None => url.to_owned(),
    }
}

const MASK: &str = "…";
