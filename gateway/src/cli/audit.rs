//! `countersign audit …`: who changed what, and that nobody changed the log.

use std::process::ExitCode;

use http::Method;
use serde_json::Value;
use token_store::AuditEntry;
use token_store::audit::follows;

use super::api::{AdminApi, Api, CallError};
use super::table::{Format, of_rows, text};
use super::{exit_code, say};

/// The audit log: every change, who made it, what it was before and after
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  countersign audit list
  countersign audit list --after 120 --format json
  countersign audit verify")]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    api: AdminApi,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print entries in their order
    List {
        /// Only those with a greater number
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        after: u64,
        /// At most so many
        #[arg(long, value_name = "COUNT", default_value_t = 100)]
        limit: u64,
        /// How they are printed: aligned for people, or for programs (JSON, an entry a line)
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Check that every entry is bound to the one before it; exit 1 where the chain breaks
    Verify,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let answer = arguments.api.calls(async |api| match &arguments.command {
        Command::List { after, limit, format } => list(api, *after, *limit, *format).await,
        Command::Verify => verify(api).await,
    });
    exit_code(answer.and_then(|answer| say(&answer)))
}

async fn list(api: &Api, after: u64, limit: u64, format: Format) -> Result<String, CallError> {
    let mut entries = Vec::new();
    let (mut after, mut left) = (after, limit);
    while left > 0 {
        let (some, more) = page(api, after, left.min(PAGE)).await?;
        after = some.last().map_or(after, |entry| entry.number);
        left = left.saturating_sub(u64::try_from(some.len()).unwrap_or(u64::MAX));
        entries.extend(some);
        if !more {
            break;
        }
    }
    Ok(match format {
        Format::Json => {
            let lines = entries.iter().filter_map(|entry| serde_json::to_string(entry).ok());
            lines.collect::<Vec<_>>().join("\n")
        }
        Format::Table => {
            let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
            of_rows(&["NUMBER", "AT", "WHO", "FROM", "WHAT", "TO"], &rows)
        }
    })
}

fn row(entry: &AuditEntry) -> Vec<String> {
    let at = i64::try_from(entry.entry.at)
        .ok()
        .and_then(|at| jiff::Timestamp::from_second(at).ok());
    vec![
        entry.number.to_string(),
        at.map_or_else(|| entry.entry.at.to_string(), |at| at.to_string()),
        text(&Value::from(entry.entry.actor.as_str())),
        text(&Value::from(entry.entry.origin.as_str())),
        entry.entry.action.clone(),
        entry.entry.subject.clone(),
    ]
}

async fn verify(api: &Api) -> Result<String, CallError> {
    let mut before: Option<AuditEntry> = None;
    loop {
        let after = before.as_ref().map_or(0, |entry| entry.number);
        let (entries, more) = page(api, after, PAGE).await?;
        for entry in entries {
            let hash = before.as_ref().map(|one| one.hash.as_str());
            let expected = before.as_ref().map_or(1, |one| one.number + 1);
            if entry.number != expected || !follows(hash, &entry) {
                let what = format!("the chain breaks at entry {expected}: it was changed, or one before it was");
                return Err(CallError::Broken(what));
            }
            before = Some(entry);
        }
        if !more {
            break;
        }
    }
    Ok(match before {
        None => "the audit log is empty".to_owned(),
        Some(last) => format!(
            "{} entries, each bound to the one before; the last hash is {}",
            last.number, last.hash
        ),
    })
}

async fn page(api: &Api, after: u64, limit: u64) -> Result<(Vec<AuditEntry>, bool), CallError> {
    let path = format!("/api/v1/audit?after={after}&limit={limit}");
    let mut answer = api.call(Method::GET, &path, None).await?;
    let more = answer.get("next").is_some_and(|next| !next.is_null());
    let items = answer.get_mut("items").map(Value::take).unwrap_or_default();
    let entries = serde_json::from_value(items).map_err(|error| CallError::Broken(error.to_string()))?;
    Ok((entries, more))
}

const PAGE: u64 = 1000;
