//! `countersign token …`: through the admin API.

use std::process::ExitCode;

use http::Method;
use serde_json::Value;

use super::admin::ended;
use super::api::{self, AdminApi, Api, CallError};
use super::table::{Format, of_rows, text};
use super::{exit_code, say};

/// Tokens of admins, customers and integrations, through the admin API
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A token's string is never shown, except for the first characters of an integration's. JWTs are not kept anywhere, so none is
listed: they end with all tokens of their user, by `admin revoke` or `customer revoke`.

Examples:
  countersign token list
  countersign token list --kind customer --user 7 --format json
  countersign token list --integration 3
  countersign token revoke ID                              an ID from the list")]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    api: AdminApi,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the tokens that open something now
    List {
        /// Only those of this kind of caller
        #[arg(long, value_name = "admin|customer|integration", value_parser = ["admin", "customer", "integration"])]
        kind: Option<String>,
        /// Only those of the admin or customer with this number
        #[arg(long, value_name = "NUMBER", requires = "kind")]
        user: Option<u64>,
        /// Only those of the integration with this number
        #[arg(long, value_name = "NUMBER", conflicts_with_all = ["kind", "user"])]
        integration: Option<u64>,
        /// How they are printed: aligned for people, or for programs (a JSON array)
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// End one token
    Revoke {
        /// As the list shows it
        id: String,
    },
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let answer = arguments.api.calls(async |api| match &arguments.command {
        Command::List {
            kind,
            user,
            integration,
            format,
        } => {
            let filters = [
                ("kind", kind.clone()),
                ("user_id", user.map(|id| id.to_string())),
                ("integration_id", integration.map(|id| id.to_string())),
            ];
            Ok(shown(&list(api, &filters).await?, *format))
        }
        Command::Revoke { id } => {
            let id: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
            let path = format!("{TOKENS}/{id}");
            Ok(ended(&api.call(Method::DELETE, &path, None).await?))
        }
    });
    exit_code(answer.and_then(|answer| say(&answer)))
}

/// All pages; what changes place meanwhile is listed once.
async fn list(api: &Api, filters: &[(&str, Option<String>)]) -> Result<Vec<Value>, CallError> {
    let mut items: Vec<Value> = Vec::new();
    let mut met = std::collections::BTreeSet::new();
    let mut after: Option<String> = None;
    loop {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("limit", "1000");
        let given = filters.iter().map(|(key, value)| (*key, value.as_deref()));
        for (key, value) in given.chain([("after", after.as_deref())]) {
            if let Some(value) = value {
                query.append_pair(key, value);
            }
        }
        let path = format!("{TOKENS}?{}", query.finish());
        let mut page = api.call(Method::GET, &path, None).await?;
        let new = api::items(&mut page)?.into_iter().filter(|item| {
            let id = item.get("id").map(Value::to_string).unwrap_or_default();
            met.insert(id)
        });
        items.extend(new);
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = Some(next.to_owned()),
            None => return Ok(items),
        }
    }
}

fn shown(items: &[Value], format: Format) -> String {
    match format {
        Format::Json => format!("{:#}", Value::Array(items.to_vec())),
        Format::Table => {
            let rows: Vec<Vec<String>> = items.iter().map(row).collect();
            of_rows(&["KIND", "NUMBER", "NAME", "ISSUED", "UNTIL", "TOKEN", "ID"], &rows)
        }
    }
}

fn row(item: &Value) -> Vec<String> {
    let cell = |key: &str| item.get(key).map_or_else(|| "-".to_owned(), text);
    let time = |key: &str| {
        let at = item.get(key).and_then(Value::as_i64);
        let at = at.and_then(|secs| jiff::Timestamp::from_second(secs).ok());
        at.map_or_else(|| "-".to_owned(), |at| at.to_string())
    };
    let number = if item.get("user_id").is_some() {
        "user_id"
    } else {
        "integration_id"
    };
    vec![
        cell("kind"),
        cell(number),
        cell("name"),
        time("created_at"),
        time("expires_at"),
        cell("token"),
        cell("id"),
    ]
}

const TOKENS: &str = "/api/v1/tokens";
