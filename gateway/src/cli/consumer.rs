//! `countersign consumer …`: the OAuth service, through the admin API.

use std::process::ExitCode;

use http::Method;
use serde_json::{Value, json};

use super::api::{AdminApi, Api, CallError};
use super::table::{Format, of_fields, text};
use super::{exit_code, say};

/// Consumers and their tokens by hand, through the admin API; an integration brings its own consumer along
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    api: AdminApi,
    /// How answers are printed: aligned for people, or for programs
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    format: Format,
}

const EXAMPLES: &str = "\
CONSUMER is a number, or the key.

Examples:
  countersign consumer create --name Probe                           shows its key and secret, this once
  countersign consumer show 7
  countersign consumer access-token 7 --make --format json > probe.json
  countersign consumer verifier 7 --endpoint https://erp.example/callback
  countersign consumer access-token 7 --end
  countersign consumer delete 7";

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Create a consumer without an integration, and show its key and secret
    Create(Create),
    /// Show one, without its secret
    Show(One),
    /// Delete it with its integration and all its tokens
    Delete(One),
    /// Show its credentials (the audit log says who saw them), make them, or end its token
    AccessToken {
        #[command(flatten)]
        one: One,
        /// Make the access token at once
        #[arg(long)]
        make: bool,
        /// Make it although one is there, which ends
        #[arg(long, requires = "make")]
        replace: bool,
        /// End its token, whatever its stage
        #[arg(long, conflicts_with = "make")]
        end: bool,
    },
    /// Post its key, secret and verifier to an endpoint, and show the verifier. One that waits is posted again; where there
    /// is an access token nothing is done
    Verifier {
        #[command(flatten)]
        one: One,
        /// Where [default: its integration's endpoint]
        #[arg(long, value_name = "URL")]
        endpoint: Option<String>,
    },
}

#[derive(Debug, clap::Args)]
struct Create {
    /// What it is called
    #[arg(long)]
    name: String,
    /// Where a user is sent back to
    #[arg(long, value_name = "URL")]
    callback_url: Option<String>,
    /// Where a user is sent who said no
    #[arg(long, value_name = "URL")]
    rejected_callback_url: Option<String>,
}

/// Which consumer.
#[derive(Debug, clap::Args)]
struct One {
    /// Its number or its key
    consumer: String,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let answer = arguments.api.calls(async |api| call(api, &arguments.command).await);
    exit_code(answer.and_then(|answer| say(&shown(&answer, arguments.format))))
}

async fn call(api: &Api, command: &Command) -> Result<Value, CallError> {
    match command {
        Command::Create(create) => {
            let body = json!({
                "name": create.name,
                "callback_url": create.callback_url,
                "rejected_callback_url": create.rejected_callback_url,
            });
            api.call(Method::POST, CONSUMERS, Some(&body)).await
        }
        Command::Show(one) => api.call(Method::GET, &path(api, one, "").await?, None).await,
        Command::Delete(one) => api.call(Method::DELETE, &path(api, one, "").await?, None).await,
        Command::AccessToken {
            one,
            make,
            replace,
            end,
        } => {
            let path = path(api, one, "/access-token").await?;
            match (make, end) {
                (true, _) => {
                    let body = json!({ "clear": replace });
                    api.call(Method::POST, &path, Some(&body)).await
                }
                (false, true) => api.call(Method::DELETE, &path, None).await,
                (false, false) => api.call(Method::GET, &path, None).await,
            }
        }
        Command::Verifier { one, endpoint } => {
            let path = path(api, one, "/verifier").await?;
            api.call(Method::POST, &path, Some(&json!({ "endpoint": endpoint })))
                .await
        }
    }
}

/// The path of one, found by its key where it isn't a number: keys have 32 characters, numbers never as many.
async fn path(api: &Api, one: &One, verb: &str) -> Result<String, CallError> {
    let named = &one.consumer;
    if named.parse::<u64>().is_ok() {
        return Ok(format!("{CONSUMERS}/{named}{verb}"));
    }
    let key: String = url::form_urlencoded::byte_serialize(named.as_bytes()).collect();
    let found = api.call(Method::GET, &format!("{CONSUMERS}?key={key}"), None).await?;
    let id = found.pointer("/items/0/id").and_then(Value::as_u64);
    let id = id.ok_or_else(|| CallError::NoSuchConsumer(named.clone()))?;
    Ok(format!("{CONSUMERS}/{id}{verb}"))
}

fn shown(answer: &Value, format: Format) -> String {
    match (format, answer) {
        (Format::Json, answer) => format!("{answer:#}"),
        (Format::Table, Value::Bool(true)) => "its token ended".to_owned(),
        (Format::Table, Value::Bool(false)) => "it had no token".to_owned(),
        (Format::Table, Value::Object(fields)) => of_fields(fields, &FIELDS),
        (Format::Table, other) => text(other),
    }
}

const CONSUMERS: &str = "/api/v1/consumers";
/// In this order, the others after them.
const FIELDS: [&str; 8] = [
    "id",
    "name",
    "key",
    "secret",
    "consumer_key",
    "consumer_secret",
    "access_token",
    "access_token_secret",
];
