//! `countersign event …`: what no webhook took, and another try.

use std::process::ExitCode;

use http::Method;
use serde_json::Value;

use super::api::{AdminApi, Api, CallError};
use super::table::{Format, of_rows, text};
use super::{exit_code, say};

/// Events that could not be delivered to their webhook
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Who is told of events stands in the configuration: [[webhooks]] and [events].

Examples:
  countersign event dead
  countersign event replay evt_019b5c0a4f3e7g1k0c2h5m8q9r2t:erp
  countersign event replay --all")]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    api: AdminApi,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List deliveries that were given up, the oldest first
    Dead {
        /// How they are printed: aligned for people, or for programs (a JSON array)
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Deliver again what was given up
    Replay {
        /// As `event dead` lists them
        #[arg(value_name = "NAME", required_unless_present = "all")]
        names: Vec<String>,
        /// All of them
        #[arg(long, conflicts_with = "names")]
        all: bool,
    },
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let answer = arguments.api.calls(async |api| match &arguments.command {
        Command::Dead { format } => Ok(shown(dead(api).await?, *format)),
        Command::Replay { names, all } => replay(api, names, *all).await,
    });
    exit_code(answer.and_then(|answer| say(&answer)))
}

async fn dead(api: &Api) -> Result<Vec<Value>, CallError> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("limit", "1000").append_pair("after", &after);
        let path = format!("{DEAD}?{}", query.finish());
        let mut page = api.call(Method::GET, &path, None).await?;
        if let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) {
            all.extend(items);
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) => next.clone_into(&mut after),
            None => return Ok(all),
        }
    }
}

fn shown(dead: Vec<Value>, format: Format) -> String {
    if format == Format::Json {
        return format!("{:#}", Value::from(dead));
    }
    let cell = |one: &Value, pointer: &str| one.pointer(pointer).map_or_else(String::new, text);
    let row = |one: &Value| {
        ["/name", "/event/event", "/tries", "/error"]
            .map(|at| cell(one, at))
            .to_vec()
    };
    let rows: Vec<Vec<String>> = dead.iter().map(row).collect();
    of_rows(&["NAME", "EVENT", "TRIES", "ERROR"], &rows)
}

async fn replay(api: &Api, names: &[String], all: bool) -> Result<String, CallError> {
    if all {
        let answer = api.call(Method::POST, &format!("{DEAD}/replay"), None).await?;
        let count = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or_default();
        return Ok(match count("left") {
            0 => again(count("replayed")),
            left => format!(
                "{}; {left} stay: their webhook is not configured",
                again(count("replayed"))
            ),
        });
    }
    for name in names {
        let encoded: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
        api.call(Method::POST, &format!("{DEAD}/{encoded}/replay"), None)
            .await?;
    }
    Ok(again(u64::try_from(names.len()).unwrap_or(u64::MAX)))
}

fn again(count: u64) -> String {
    match count {
        1 => "1 waits to be delivered again".to_owned(),
        _ => format!("{count} wait to be delivered again"),
    }
}

const DEAD: &str = "/api/v1/events/dead";
