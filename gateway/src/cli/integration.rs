//! `countersign integration …`: through the admin API.

use std::process::ExitCode;

use http::Method;
use serde_json::{Map, Value, json};

use super::api::{Api, CallError};
use super::{ConfigFile, fail};

/// Integrations, through the admin API: `COUNTERSIGN_TOKEN`, or a sign-in at a prompt.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    file: ConfigFile,
    /// The admin listener [default: admin.listen of the configuration]
    #[arg(long, global = true, value_name = "URL")]
    admin: Option<String>,
    /// How answers are printed
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Aligned, for people
    Table,
    /// For programs
    Json,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List integrations
    List {
        /// Only names that contain this
        #[arg(long, value_name = "TEXT")]
        name: Option<String>,
        /// Only those that are inactive, active or recreated
        #[arg(long)]
        status: Option<String>,
    },
    /// Create an integration, inactive
    Create(Box<Create>),
    /// Show one
    Show {
        /// Its number
        id: u64,
    },
    /// Activate: post the verifier to its endpoint, or make its tokens at once
    Activate {
        /// Its number
        id: u64,
        /// Make the tokens at once although it has an endpoint
        #[arg(long)]
        no_exchange: bool,
    },
    /// Activate anew: the old tokens end at once
    Reauthorize {
        /// Its number
        id: u64,
    },
    /// End its use; it can be activated again
    Deactivate {
        /// Its number
        id: u64,
    },
    /// Delete it with its consumer and all its tokens
    Delete {
        /// Its number
        id: u64,
    },
}

#[derive(Debug, clap::Args)]
struct Create {
    /// Unique
    #[arg(long)]
    name: String,
    /// Of who runs it
    #[arg(long, default_value = "")]
    email: String,
    /// Where the verifier is posted; without one the tokens are made at once
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Where the merchant signs in to the third party
    #[arg(long, value_name = "URL")]
    identity_link_url: Option<String>,
    /// A resource it may use; give it again for each
    #[arg(long = "resource", value_name = "ID")]
    resources: Vec<String>,
    /// Everything
    #[arg(long, conflicts_with = "resources")]
    all_resources: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let url = match &arguments.admin {
        Some(url) => url.clone(),
        None => match arguments.file.load() {
            Ok((config, _)) => format!("http://{}", config.admin.listen),
            Err(faults) => return super::refuse(&faults),
        },
    };
    let runtime = match super::runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    match runtime.block_on(call(&url, &arguments.command)) {
        Ok(answer) => {
            print(&answer, arguments.format);
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

async fn call(url: &str, command: &Command) -> Result<Value, CallError> {
    let api = Api::sign_in(url).await?;
    let path = |id: &u64, verb: &str| format!("/api/v1/integrations/{id}{verb}");
    match command {
        Command::List { name, status } => list(&api, name.as_deref(), status.as_deref()).await,
        Command::Create(create) => {
            let body = json!({
                "name": create.name,
                "email": create.email,
                "endpoint": create.endpoint,
                "identity_link_url": create.identity_link_url,
                "resources": create.resources,
                "all_resources": create.all_resources,
            });
            api.call(Method::POST, "/api/v1/integrations", Some(&body)).await
        }
        Command::Show { id } => api.call(Method::GET, &path(id, ""), None).await,
        Command::Activate { id, no_exchange } => {
            let body = if *no_exchange {
                json!({ "exchange": false })
            } else {
                json!({})
            };
            api.call(Method::POST, &path(id, "/activate"), Some(&body)).await
        }
        Command::Reauthorize { id } => {
            api.call(Method::POST, &path(id, "/reauthorize"), Some(&json!({})))
                .await
        }
        Command::Deactivate { id } => api.call(Method::POST, &path(id, "/deactivate"), None).await,
        Command::Delete { id } => api.call(Method::DELETE, &path(id, ""), None).await,
    }
}

/// All pages, as one list.
async fn list(api: &Api, name: Option<&str>, status: Option<&str>) -> Result<Value, CallError> {
    let mut items = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("limit", "1000");
        let filters = [("name", name), ("status", status), ("after", after.as_deref())];
        for (key, value) in filters
            .into_iter()
            .filter_map(|(key, value)| value.map(|value| (key, value)))
        {
            query.append_pair(key, value);
        }
        let path = format!("/api/v1/integrations?{}", query.finish());
        let mut page = api.call(Method::GET, &path, None).await?;
        if let Some(Value::Array(more)) = page.get_mut("items").map(Value::take) {
            items.extend(more);
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = Some(next.to_owned()),
            None => return Ok(Value::Array(items)),
        }
    }
}

fn print(answer: &Value, format: Format) {
    match (format, answer) {
        (Format::Json, answer) => println!("{answer:#}"),
        (Format::Table, Value::Array(rows)) => print_rows(rows),
        (Format::Table, Value::Object(fields)) => print_fields(fields),
        (Format::Table, other) => println!("{other}"),
    }
}

fn print_rows(rows: &[Value]) {
    const COLUMNS: [(&str, &str); 5] = [
        ("ID", "id"),
        ("NAME", "name"),
        ("STATUS", "status"),
        ("SETUP", "setup"),
        ("ENDPOINT", "endpoint"),
    ];
    let mut table = vec![COLUMNS.map(|(title, _)| title.to_owned())];
    table.extend(
        rows.iter()
            .map(|row| COLUMNS.map(|(_, key)| row.get(key).map_or_else(String::new, text))),
    );
    let width = |column: usize| {
        table
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
    for row in &table {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        println!("{}", cells.join("  ").trim_end());
    }
}

fn print_fields(fields: &Map<String, Value>) {
    let width = fields.keys().map(String::len).max().unwrap_or_default();
    for (name, value) in fields {
        println!("{name:<width$}  {}", text(value));
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}
