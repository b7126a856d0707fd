//! The files that are shipped, and the reader: each knows what the other does.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

pub(super) const DEFAULT_FILE: &str = include_str!("../../../../conf/countersign.toml");

/// With every key that is commented out brought in.
pub(super) fn uncommented(text: &str) -> String {
    let line = |line: &str| {
        let setting = line
            .strip_prefix('#')
            .filter(|rest| rest.starts_with(|first: char| first == '[' || first.is_ascii_lowercase()));
        setting.unwrap_or(line).to_owned() + "\n"
    };
    text.lines().map(line).collect()
}

/// Keys by pattern, as `upstreams.*.targets`, with every value the file gives them.
fn flat(table: &toml::Table, pattern: &str, into: &mut BTreeMap<String, BTreeSet<String>>) {
    for (key, value) in table {
        let key = if pattern == "upstreams" { "*" } else { key };
        let path = if pattern.is_empty() {
            key.to_owned()
        } else {
            format!("{pattern}.{key}")
        };
        let listed = value.as_array().into_iter().flatten().filter_map(toml::Value::as_table);
        let tables: Vec<&toml::Table> = value.as_table().into_iter().chain(listed).collect();
        into.entry(path.clone()).or_default().insert(value.to_string());
        for table in tables {
            flat(table, &path, into);
        }
    }
}

#[test]
fn the_default_file_is_read_without_fault_or_warning() {
    let loaded = read(&DEFAULT_FILE.replace("include = [\"conf.d/*.toml\"]", "")).unwrap();

    assert_eq!(warnings(&loaded), "");
}

#[test]
fn the_default_file_holds_every_key_that_the_reader_knows() {
    let mut in_file = BTreeMap::new();
    flat(&toml::from_str(&uncommented(DEFAULT_FILE)).unwrap(), "", &mut in_file);

    for key in schema::known() {
        assert!(
            in_file.contains_key(&key.pattern()),
            "{} is missing in conf/countersign.toml",
            key.pattern()
        );
    }
}

/// Every key of a file, and each value, against the schema's `properties`; tables of free names are its
/// `additionalProperties`.
fn unknown_to(schema: &serde_json::Value, table: &toml::Table, path: &str) -> Vec<String> {
    let entry = |(key, value): (&String, &toml::Value)| {
        let path = format!("{path}.{key}");
        let others = &schema["additionalProperties"];
        let own = schema["properties"]
            .get(key)
            .or_else(|| others.is_object().then_some(others));
        let Some(own) = own else { return vec![path] };
        let listed = value.as_array().into_iter().flatten().filter_map(toml::Value::as_table);
        let listed = listed.flat_map(|table| unknown_to(&own["items"], table, &path));
        let tables = value.as_table().into_iter().filter(|_| own["type"] == "object");
        listed
            .chain(tables.flat_map(|table| unknown_to(own, table, &path)))
            .collect::<Vec<_>>()
    };
    table.iter().flat_map(entry).collect()
}

#[test]
fn the_schema_knows_every_key_of_the_files_that_are_shipped() {
    let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf");
    let mut files = vec![conf.join("countersign.toml"), conf.join("magento/countersign.toml")];
    let included = std::fs::read_dir(conf.join("magento/conf.d")).unwrap();
    files.extend(included.map(|entry| entry.unwrap().path()));
    let schema = schema::schema();

    for file in files {
        let text = uncommented(&std::fs::read_to_string(&file).unwrap());

        let unknown = unknown_to(&schema, &toml::from_str(&text).unwrap(), "");

        assert!(unknown.is_empty(), "{}: {unknown:?}", file.display());
    }
}

#[test]
fn the_schema_marks_the_keys_that_are_read_at_the_start_only() {
    fn marked(schema: &serde_json::Value, path: &str, into: &mut BTreeSet<String>) {
        if schema["x-needs-restart"] == true {
            into.insert(path.to_owned());
        }
        for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
            marked(inner, format!("{path}.{name}").trim_start_matches('.'), into);
        }
    }
    let mut found = BTreeSet::new();

    marked(&schema::schema(), "", &mut found);

    let keys = STATIC_KEYS.map(|(key, _)| key.to_owned());
    assert_eq!(found, BTreeSet::from(keys));
}

#[test]
fn what_the_default_file_comments_out_is_the_default() {
    let mut in_file = BTreeMap::new();
    let commented: String = DEFAULT_FILE
        .lines()
        .map(|line| {
            if line.starts_with('[') || line.starts_with('#') {
                line
            } else {
                ""
            }
            .to_owned()
                + "\n"
        })
        .collect();
    flat(&toml::from_str(&uncommented(&commented)).unwrap(), "", &mut in_file);
    let examples = [
        "public.tls.certificates",
        "integrations.",
        "upstreams.*.credentials.",
        "routes.host",
    ];

    let mut compared = 0;
    for key in schema::known() {
        let pattern = key.pattern();
        let (Some(values), Some(default)) = (in_file.get(&pattern), key.default) else {
            continue;
        };
        if !examples.iter().any(|example| pattern.starts_with(example)) {
            assert_eq!(values, &BTreeSet::from([default]), "{pattern}");
            compared += 1;
        }
    }
    assert!(compared > 60, "{compared} keys were compared");
}

#[test]
fn the_default_file_sets_the_defaults_of_what_it_sets_at_all() {
    let set = read(&DEFAULT_FILE.replace("include = [\"conf.d/*.toml\"]", "")).unwrap();

    let differing: Vec<String> = set
        .keys
        .iter()
        .filter(|key| !key.table.is_listed && key.default.is_some())
        .filter(|key| {
            key.set
                .as_ref()
                .is_some_and(|(value, _)| Some(value) != key.default.as_ref())
        })
        .map(Key::path)
        .collect();
    // There is no base URL by default; the file gives the one that fits its listener.
    assert_eq!(differing, ["public.base_url", "upstreams.storefront.targets"]);
}
