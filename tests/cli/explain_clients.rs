//! What misused client libraries really sent (`tests/explain/record.py` recorded it): the command names each mistake.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::{Run, folder};

/// One request.
struct Recorded {
    library: String,
    case: String,
    expected: Vec<String>,
    request: String,
    secrets: Value,
}

fn recorded() -> Vec<Recorded> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("explain/recorded.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let member = |line: &Value, name: &str| line.get(name).unwrap().clone();
    lines
        .map(|line| Recorded {
            library: text(&member(&line, "library")),
            case: text(&member(&line, "case")),
            expected: member(&line, "expected").as_array().unwrap().iter().map(text).collect(),
            request: text(&member(&line, "request")),
            secrets: member(&line, "secrets"),
        })
        .collect()
}

#[test]
fn each_misuse_of_a_real_library_is_named() {
    let folder = folder("");
    let mut wrong = Vec::new();
    for one in recorded() {
        let octets: Vec<u8> = one.request.chars().map(|octet| u8::try_from(octet).unwrap()).collect();
        std::fs::write(folder.path().join("request"), octets).unwrap();
        std::fs::write(folder.path().join("secrets"), one.secrets.to_string()).unwrap();

        let run = Run::within(folder.path());
        let told = run.told(&["explain", "--secrets", "secrets", "--format", "json", "request"]);

        let answer: Value = serde_json::from_str(&told.out).unwrap();
        let names = answer["diagnosis"].as_array().unwrap().iter();
        let found: BTreeSet<&str> = names.map(|entry| entry["id"].as_str().unwrap()).collect();
        let expected: BTreeSet<&str> = one.expected.iter().map(String::as_str).collect();
        if found != expected {
            wrong.push(format!("{}, {}: {found:?}, not {expected:?}", one.library, one.case));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn at_least_thirty_mistakes_are_proved_by_real_libraries() {
    let proved: BTreeSet<String> = recorded().into_iter().flat_map(|one| one.expected).collect();

    assert!(proved.len() >= 30, "{proved:?}");
}
