//! Answers as people read them: rows under titles, fields beside names, aligned.

use serde_json::{Map, Value};

/// How an answer is printed: aligned for people, or for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    Table,
    Json,
}

/// Rows under the titles of the columns.
pub(super) fn of_rows(titles: &[&str], rows: &[Vec<String>]) -> String {
    let titles: Vec<String> = titles.iter().map(|title| (*title).to_owned()).collect();
    let all: Vec<&Vec<String>> = std::iter::once(&titles).chain(rows).collect();
    let widths: Vec<usize> = (0..titles.len())
        .map(|column| {
            let cells = all.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        })
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all.into_iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Fields beside their names: those of `first` in its order, then the others.
pub(super) fn of_fields(fields: &Map<String, Value>, first: &[&str]) -> String {
    let others = fields.keys().map(String::as_str).filter(|name| !first.contains(name));
    let names = first
        .iter()
        .copied()
        .filter(|name| fields.contains_key(*name))
        .chain(others);
    let width = fields.keys().map(String::len).max().unwrap_or_default();
    let line = |name: &str| {
        let value = fields.get(name).unwrap_or(&Value::Null);
        let is_time = name.ends_with("_at") || name.ends_with("_until");
        let time = value
            .as_i64()
            .filter(|_| is_time)
            .and_then(|secs| jiff::Timestamp::from_second(secs).ok());
        format!(
            "{name:<width$}  {}",
            time.map_or_else(|| text(value), |time| time.to_string())
        )
    };
    names.map(line).collect::<Vec<_>>().join("\n")
}

/// A value in one line.
pub(super) fn text(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Bool(flag) => if *flag { "yes" } else { "no" }.to_owned(),
        Value::Number(_) | Value::Object(_) => value.to_string(),
    };
    // What others chose must not move the cursor.
    text.chars()
        .map(|character| if character.is_control() { '?' } else { character })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cell_is_one_line_whatever_it_holds() {
        assert_eq!(text(&json!("a\u{1b}[2Jb\n")), "a?[2Jb?");
        assert_eq!(text(&json!(["x", 1, null, true])), "x, 1, -, yes");
    }
}
