//! The configuration's JSON Schema, and every key that the reader knows: what it asks of a file that holds one of each
//! table.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::STATIC_KEYS;
use super::key::{Key, Takes, joined};
use super::node;
use super::reader::{Reading, Section};
use super::resolve::Environment;
use super::sections;

/// Every key, once, by its pattern.
pub fn known() -> Vec<Key> {
    let environment = Environment::default();
    let reading = Reading::new(&environment, true, Vec::new());
    // Its faults don't matter: it is read for what is asked of it.
    let parsed = node::parse("(one of each)".as_ref(), ONE_OF_EACH, &mut Vec::new());
    sections::config(Section::root(&reading, parsed.node));
    let mut known: BTreeMap<String, Key> = BTreeMap::new();
    for key in reading.keys.into_inner() {
        known.entry(key.pattern()).or_insert(key);
    }
    known.into_values().collect()
}

/// JSON Schema (draft 2020-12) of the file. Keys that are read at the start only carry `x-needs-restart`.
pub fn schema() -> Value {
    let known = known();
    let mut schema = table("", &known);
    if let Some(root) = schema.as_object_mut() {
        root.insert(
            "$schema".to_owned(),
            json!("https://json-schema.org/draft/2020-12/schema"),
        );
        root.insert("title".to_owned(), json!("Countersign's configuration"));
        if let Some(Value::Object(properties)) = root.get_mut("properties") {
            properties.insert("include".to_owned(), list(&json!({ "type": "string" })));
        }
    }
    schema
}

/// A table: its own keys, and the tables in it.
fn table(pattern: &str, known: &[Key]) -> Value {
    let mut properties = Map::new();
    let mut others = json!(false);
    for key in known.iter().filter(|key| key.table.pattern == pattern) {
        properties.insert(key.name.clone(), value(key));
    }
    for name in tables_in(pattern, known) {
        let path = joined(pattern, name);
        let inner = table(&path, known);
        let is_list = known
            .iter()
            .any(|key| key.takes == Takes::Tables && key.pattern() == path);
        if name == "*" {
            others = inner;
        } else if is_list {
            properties.insert(name.to_owned(), json!({ "type": "array", "items": inner }));
        } else {
            properties.insert(name.to_owned(), inner);
        }
    }
    json!({ "type": "object", "properties": properties, "additionalProperties": others })
}

/// The names of the tables right below one.
fn tables_in<'a>(pattern: &str, known: &'a [Key]) -> BTreeSet<&'a str> {
    let below = |key: &'a Key| {
        let rest = key.table.pattern.strip_prefix(pattern)?;
        let rest = if pattern.is_empty() {
            rest
        } else {
            rest.strip_prefix('.')?
        };
        rest.split('.').next().filter(|name| !name.is_empty())
    };
    known.iter().filter_map(below).collect()
}

/// What a key takes. Numbers and flags may be nothing else; durations and sizes are texts with their unit.
fn value(key: &Key) -> Value {
    let mut schema = match &key.takes {
        Takes::Text | Takes::Url | Takes::Secret | Takes::File => json!({ "type": "string" }),
        Takes::Word(words) => json!({ "enum": words }),
        Takes::Texts | Takes::Secrets => list(&json!({ "type": "string" })),
        Takes::Words(words) => list(&json!({ "enum": words })),
        Takes::Flag => json!({ "type": "boolean" }),
        Takes::Number(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Takes::Duration(least, most) => {
            let range = format!("a duration from {least} to {most}");
            json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$", "description": range })
        }
        Takes::Size(least, most) => {
            let range = format!("a size from {least} to {most}");
            json!({ "type": "string", "pattern": "^[0-9]+(B|KiB|MiB|GiB)?$", "description": range })
        }
        Takes::Forced => {
            json!({ "type": "object", "additionalProperties": { "type": ["string", "integer", "boolean"] } })
        }
        Takes::Table => json!({ "type": "object" }),
        Takes::Tables => json!({ "type": "array" }),
    };
    let default = key
        .default
        .as_ref()
        .and_then(|literal| literal.parse::<toml::Value>().ok());
    if let Some(schema) = schema.as_object_mut() {
        if let Some(default) = default {
            schema.insert("default".to_owned(), json!(default));
        }
        if STATIC_KEYS.iter().any(|(name, _)| *name == key.pattern()) {
            schema.insert("x-needs-restart".to_owned(), json!(true));
        }
    }
    schema
}

/// A list; one alone needs no brackets.
fn list(item: &Value) -> Value {
    json!({ "anyOf": [{ "type": "array", "items": item }, item] })
}

/// A file in which every table stands, so that every key is asked for.
const ONE_OF_EACH: &str = r#"
[public.tls]
[[public.tls.certificates]]
[upstreams.a.circuit_breaker]
[upstreams.a.health_check]
[upstreams.a.credentials]
mode = "bearer"
[upstreams.b.credentials]
mode = "basic"
[upstreams.c.credentials]
mode = "header"
[upstreams.d.credentials]
mode = "oauth1"
[[resources]]
[[routes]]
[[integrations]]
[[webhooks]]
[[limits]]
"#;
