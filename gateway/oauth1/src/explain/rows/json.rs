//! The members of a JSON body as signers make parameters of them.

use serde_json::Value;

/// What becomes of lists and objects inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nesting {
    /// `a[b]`, `a[0]`
    Brackets,
    /// A list is a repeated name, an object `[object Object]`.
    Repeated,
    /// JavaScript's `String`: a list joined by commas.
    Joined,
    /// Lists and objects as JSON text.
    Text,
}

impl Nesting {
    pub(super) const ALL: [Self; 4] = [Self::Brackets, Self::Repeated, Self::Joined, Self::Text];
}

/// Name and value of each member; `None`: it isn't a JSON object or list, or has too many.
pub(super) fn members(body: &[u8], nesting: Nesting) -> Option<Vec<(String, String)>> {
    let members: Vec<(String, Value)> = match serde_json::from_slice(body).ok()? {
        Value::Object(members) => members.into_iter().collect(),
        Value::Array(list) => {
            let numbered = list.into_iter().enumerate();
            numbered.map(|(at, value)| (at.to_string(), value)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
    };
    let mut out = Vec::new();
    for (name, value) in members {
        add(name, &value, nesting, &mut out);
        if out.len() > MAX_MEMBERS {
            return None;
        }
    }
    Some(out)
}

fn add(name: String, value: &Value, nesting: Nesting, out: &mut Vec<(String, String)>) {
    if out.len() > MAX_MEMBERS {
        return;
    }
    match (nesting, value) {
        (Nesting::Brackets, Value::Array(list)) => {
            for (at, one) in list.iter().enumerate() {
                add(format!("{name}[{at}]"), one, nesting, out);
            }
        }
        (Nesting::Brackets, Value::Object(members)) => {
            for (inner, one) in members {
                add(format!("{name}[{inner}]"), one, nesting, out);
            }
        }
        (Nesting::Repeated, Value::Array(list)) => {
            for one in list {
                out.push((name.clone(), text(one)));
            }
        }
        (Nesting::Text, Value::Array(_) | Value::Object(_)) => out.push((name, value.to_string())),
        (_, other) => out.push((name, text(other))),
    }
}

/// What JavaScript's `String` makes of it.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(is_true) => is_true.to_string(),
        Value::Number(number) => {
            let text = number.to_string();
            text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
        }
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(text_in_list).collect::<Vec<_>>().join(","),
        Value::Object(_) => "[object Object]".to_owned(),
    }
}

fn text_in_list(value: &Value) -> String {
    if value.is_null() { String::new() } else { text(value) }
}

const MAX_MEMBERS: usize = 500;
