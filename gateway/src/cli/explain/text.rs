//! An explanation as people read it.

use serde_json::Value;

use crate::cli::table;

/// Of the JSON answer.
pub(super) fn of(answer: &Value) -> String {
    let mut lines: Vec<_> = refused(answer).into_iter().collect();
    lines.push(verdict(answer));
    for entry in list(answer, "diagnosis") {
        lines.extend(finding(entry));
    }
    if let Some(advice) = answer.get("advice") {
        lines.push(String::new());
        lines.extend(wrapped(&table::text(advice), ""));
    }
    lines.extend(base_string(answer));
    lines.extend(parameters(answer));
    if let Some(shape) = answer.get("key_shape").and_then(Value::as_str) {
        lines.push(String::new());
        lines.push(format!("Key         {shape}"));
    }
    lines.join("\n")
}

/// Which request it was, where the gateway refused it.
fn refused(answer: &Value) -> Option<String> {
    let part = |name: &str| answer.get(name).map(table::text);
    let at = answer.get("at").and_then(Value::as_i64);
    let at = at.and_then(|secs| jiff::Timestamp::from_second(secs).ok())?;
    let (method, path, cause) = (part("method")?, part("path")?, part("cause")?);
    Some(format!("{method} {path}, refused at {at}: {cause}"))
}

fn verdict(answer: &Value) -> String {
    let macs = answer.pointer("/cost/macs").and_then(Value::as_u64).unwrap_or_default();
    let tried = if macs == 1 { "1 MAC" } else { &format!("{macs} MACs") };
    match answer.get("result").and_then(Value::as_str).unwrap_or_default() {
        "valid" => format!("valid: the signature holds ({tried})"),
        "diagnosed" => format!("diagnosed ({tried})"),
        "malformed" => "malformed: there is no signature to check".to_owned(),
        _ => format!("unknown: no mistake was found ({tried})"),
    }
}

fn finding(entry: &Value) -> Vec<String> {
    let id = entry.get("id").map(table::text).unwrap_or_default();
    let sentence = entry.get("sentence").map(table::text).unwrap_or_default();
    let mut lines = vec![String::new()];
    let mut indented = wrapped(&sentence, INDENT).into_iter();
    let first = indented.next().unwrap_or_default();
    lines.push(format!("{id:<6}{}", first.trim_start()));
    lines.extend(indented);
    if list(entry, "also").next().is_some() {
        let also = entry.get("also").map(table::text).unwrap_or_default();
        lines.push(format!("{INDENT}The same octets: {also}"));
    }
    for (name, title) in [
        ("usual_cause", "Usual cause"),
        ("fault_reason", "For the operator, not the client's developer"),
        ("operator_sentence", "Or, for the gateway's operator"),
    ] {
        if let Some(text) = entry.get(name) {
            lines.extend(wrapped(&format!("{title}: {}", table::text(text)), INDENT));
        }
    }
    lines
}

/// Its parts, the parameters one a line so that a missing one is seen, then the whole as it is signed.
fn base_string(answer: &Value) -> Vec<String> {
    let part = |name: &str| answer.pointer(&format!("/base_string_parts/{name}")).map(table::text);
    let Some(((method, url), parameters)) = part("method").zip(part("url")).zip(part("parameters")) else {
        return Vec::new();
    };
    let mut lines = vec![
        String::new(),
        "The base string that the server built".to_owned(),
        format!("  method      {method}"),
        format!("  url         {url}"),
    ];
    for (at, parameter) in parameters.split('&').enumerate() {
        let title = if at == 0 { "parameters" } else { "" };
        lines.push(format!("  {title:<10}  {parameter}"));
    }
    lines.push(String::new());
    lines.push(answer.get("base_string").map(table::text).unwrap_or_default());
    if let Some(signed) = answer.get("signed_base_string").and_then(Value::as_str) {
        lines.extend([String::new(), "The client signed".to_owned(), signed.to_owned()]);
    }
    lines
}

fn parameters(answer: &Value) -> Vec<String> {
    let rows: Vec<Vec<String>> = list(answer, "parameters")
        .map(|one| {
            let cell = |name: &str| one.get(name).map(table::text).unwrap_or_default();
            vec![cell("origin"), cell("name"), cell("value"), cell("signed")]
        })
        .collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let titles = ["FROM", "PARAMETER", "VALUE", "SIGNED"];
    vec![String::new(), table::of_rows(&titles, &rows)]
}

fn list<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

/// Broken at spaces, each line behind the indent.
fn wrapped(text: &str, indent: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = indent.to_owned();
    for word in text.split(' ') {
        if line.chars().count() + word.chars().count() > WIDTH && line.len() > indent.len() {
            lines.push(line.trim_end().to_owned());
            indent.clone_into(&mut line);
        }
        line.push_str(word);
        line.push(' ');
    }
    lines.push(line.trim_end().to_owned());
    lines
}

const INDENT: &str = "      ";
const WIDTH: usize = 100;
