//! The file's shape: TOML values that remember where they stand.

use std::collections::BTreeMap;
use std::path::Path;
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
    /// Floats, dates, and numbers past 64 bits: no key takes one.
    Other,
}

impl Node {
    /// A table without entries: every key has its default.
    pub(super) fn empty(place: &Place) -> Self {
        Self {
            place: place.clone(),
            value: Value::Table(BTreeMap::new()),
        }
    }

    /// As TOML would write it.
    pub(super) fn literal(&self) -> String {
        match &self.value {
            Value::Table(_) => "{ … }".to_owned(),
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(Self::literal).collect();
                format!("[{}]", items.join(", "))
            }
            Value::Text(text) => quoted(text),
            Value::Integer(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Other => "…".to_owned(),
        }
    }
}

/// A text as TOML writes it.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
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

/// What a text came to.
pub(super) struct Parsed {
    pub(super) node: Node,
    /// Whether its syntax has no fault: else the node is what could be made of it.
    pub(super) is_whole: bool,
}

/// Parses one file's text; every fault of its syntax is noted.
pub(super) fn parse(path: &Path, text: &str, faults: &mut Vec<Fault>) -> Parsed {
    let file: Rc<Path> = Rc::from(path);
    let lines = Lines::of(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let span = error.span().unwrap_or_default();
        let place = Place::Line(Rc::clone(&file), lines.line(span.start));
        // The parser's message alone: the line that it would quote may hold a secret. A doubled key is a name.
        let key = if error.message() == "duplicate key" {
            text.get(span).unwrap_or_default()
        } else {
            ""
        };
        faults.push(Fault::at(&place, key, error.message()));
    }
    Parsed {
        node: Node {
            place: Place::Line(Rc::clone(&file), 1),
            value: convert_table(table.get_ref(), &file, &lines),
        },
        is_whole: errors.is_empty(),
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
        place: Place::Line(Rc::clone(file), line),
        value: converted,
    }
}
