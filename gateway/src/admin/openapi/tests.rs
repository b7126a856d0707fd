use std::collections::BTreeSet;

use super::*;

/// The calls of the router under `/api/v1`, from its source: method and path.
fn routed() -> BTreeSet<(String, String)> {
    let source = include_str!("../mod.rs");
    let api = source
        .split_once("\nfn api() ")
        .unwrap()
        .1
        .split("\n}\n")
        .next()
        .unwrap();
    let mut calls = BTreeSet::new();
    for route in api.split(".route(").skip(1) {
        let mut quoted = route.split('"');
        let path = quoted.nth(1).unwrap().to_owned();
        let handlers = route.split_once(&format!("\"{path}\"")).unwrap().1;
        for method in ["get", "post", "put", "delete", "patch"] {
            let begins = |(at, _): (usize, &str)| {
                let before = handlers.get(..at).and_then(|before| before.chars().next_back());
                before.is_none_or(|one| !one.is_ascii_alphanumeric() && one != '_' && one != ':')
            };
            if handlers.match_indices(&format!("{method}(")).any(begins) {
                calls.insert((method.to_owned(), path.clone()));
            }
        }
    }
    calls
}

#[test]
fn every_call_of_the_router_is_described_and_nothing_else() {
    let described: BTreeSet<(String, String)> = CALLS
        .iter()
        .map(|call| (call.method.to_owned(), call.path.to_owned()))
        .collect();

    assert_eq!(described.len(), CALLS.len(), "a call is described twice");
    assert_eq!(described, routed());
    assert!(described.len() > 50);
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_used() {
    let document = document();
    let text = document.to_string();
    let used: BTreeSet<&str> = text
        .split("\"#/components/schemas/")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();

    let schemas = document["components"]["schemas"].as_object().unwrap();
    let defined: BTreeSet<&str> = schemas.keys().map(String::as_str).collect();

    assert_eq!(used, defined);
}

#[test]
fn operations_have_names_of_their_own_and_all_parameters_of_their_path() {
    let document = document();
    let mut names = BTreeSet::new();
    for (path, calls) in document["paths"].as_object().unwrap() {
        for (method, operation) in calls.as_object().unwrap() {
            assert!(
                names.insert(operation["operationId"].as_str().unwrap().to_owned()),
                "{method} {path}"
            );
            let parameters = operation["parameters"].as_array().unwrap();
            let in_path = parameters
                .iter()
                .filter(|one| one["in"] == "path" && one["required"] == true);
            assert_eq!(in_path.count(), path.matches('{').count(), "{method} {path}");
            assert!(
                operation["responses"].as_object().is_some_and(|all| all.len() > 1),
                "{method} {path}"
            );
        }
    }
}
