//! What the operator's own configuration files define: an import leaves it to them.

use std::collections::BTreeMap;

use toml::{Table, Value};

/// Entries of the operator's own files.
#[derive(Clone, Debug, Default)]
pub struct Own {
    resources: BTreeMap<String, String>,
    integrations: BTreeMap<String, String>,
    routes: Vec<(String, String)>,
}

impl Own {
    /// Takes a file's entries in. What is wrong with the file is not this one's business: `check` says it.
    pub fn take(&mut self, file: &str, text: &str) {
        let Ok(root) = text.parse::<Table>() else { return };
        let tables = |key: &str| {
            let list = root.get(key).and_then(Value::as_array).into_iter().flatten();
            list.filter_map(Value::as_table)
        };
        let text = |table: &Table, key: &str| table.get(key).and_then(Value::as_str).map(str::to_owned);
        for id in tables("resources").filter_map(|table| text(table, "id")) {
            self.resources.insert(id, file.to_owned());
        }
        for name in tables("integrations").filter_map(|table| text(table, "name")) {
            self.integrations.insert(name, file.to_owned());
        }
        for table in tables("routes").filter(|table| !table.contains_key("host")) {
            let Some(path) = text(table, "path") else { continue };
            for method in methods(table.get("methods")) {
                self.routes.push((path.clone(), method));
            }
        }
    }

    /// The file that defines a resource.
    pub fn resource(&self, id: &str) -> Option<&str> {
        self.resources.get(id).map(String::as_str)
    }

    /// The file that defines an integration.
    pub fn integration(&self, name: &str) -> Option<&str> {
        self.integrations.get(name).map(String::as_str)
    }

    /// Path and method of each route for any host.
    pub fn routes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.routes
            .iter()
            .map(|(path, method)| (path.as_str(), method.as_str()))
    }
}

/// As `[[routes]]` reads them: a list, a text, or GET.
fn methods(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) | Value::Table(_)) | None => {
            vec!["GET".to_owned()]
        }
    }
}
