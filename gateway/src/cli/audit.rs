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
    /// Check that every entry is there and bound to the one before it; exit 1 and say which one isn't
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
    let mut chain = Chain::default();
    loop {
        let (entries, more, total) = page_of(api, chain.number(), PAGE).await?;
        for entry in entries {
            chain.add(entry);
        }
        if !more {
            return chain.end(total).map_err(CallError::Audit);
        }
    }
}

/// The log as far as it was read, and what is wrong with it.
#[derive(Default)]
struct Chain {
    before: Option<AuditEntry>,
    faults: Vec<String>,
}

impl Chain {
    fn number(&self) -> u64 {
        self.before.as_ref().map_or(0, |entry| entry.number)
    }

    fn add(&mut self, entry: AuditEntry) {
        let expected = self.number() + 1;
        let hash = self.before.as_ref().map(|one| one.hash.as_str());
        if entry.number != expected {
            self.missing(expected, entry.number - 1);
        } else if !follows(hash, &entry) {
            let what = format!("the chain breaks at entry {expected}: it was changed, or the one before it was");
            self.faults.push(what);
        }
        self.before = Some(entry);
    }

    fn missing(&mut self, first: u64, last: u64) {
        let which = if first == last {
            format!("entry {first} is")
        } else {
            format!("entries {first} to {last} are")
        };
        self.faults.push(format!("{which} missing or can't be opened"));
    }

    /// `total`: the number of the last entry that was appended.
    fn end(mut self, total: u64) -> Result<String, String> {
        if self.number() < total {
            self.missing(self.number() + 1, total);
        }
        if !self.faults.is_empty() {
            return Err(self.faults.join("\n"));
        }
        Ok(match self.before {
            None => "the audit log is empty".to_owned(),
            Some(last) => format!(
                "{} entries, each bound to the one before; the last hash is {}",
                last.number, last.hash
            ),
        })
    }
}

async fn page(api: &Api, after: u64, limit: u64) -> Result<(Vec<AuditEntry>, bool), CallError> {
    let (entries, more, _) = page_of(api, after, limit).await?;
    Ok((entries, more))
}

/// Entries, whether more follow, and the number of the last that was appended.
async fn page_of(api: &Api, after: u64, limit: u64) -> Result<(Vec<AuditEntry>, bool, u64), CallError> {
    let path = format!("/api/v1/audit?after={after}&limit={limit}");
    let mut answer = api.call(Method::GET, &path, None).await?;
    let more = answer.get("next").is_some_and(|next| !next.is_null());
    let total = answer.get("total").and_then(Value::as_u64).unwrap_or_default();
    let items = answer.get_mut("items").map(Value::take).unwrap_or_default();
    let entries = serde_json::from_value(items).map_err(|error| CallError::Broken(error.to_string()))?;
    Ok((entries, more, total))
}

const PAGE: u64 = 1000;

#[cfg(test)]
mod tests {
    use token_store::NewAuditEntry;
    use token_store::audit::chained;

    use super::*;

    fn log(length: u64) -> Vec<AuditEntry> {
        let mut log: Vec<AuditEntry> = Vec::new();
        for number in 1..=length {
            let entry = NewAuditEntry {
                at: number,
                actor: "jane".to_owned(),
                origin: String::new(),
                action: "integration.created".to_owned(),
                subject: format!("integration/{number}"),
                before: Value::Null,
                after: Value::Null,
            };
            let hash = log.last().map(|one| one.hash.clone());
            log.push(chained(hash.as_deref(), number, entry));
        }
        log
    }

    fn verified(log: Vec<AuditEntry>, total: u64) -> Result<String, String> {
        let mut chain = Chain::default();
        for entry in log {
            chain.add(entry);
        }
        chain.end(total)
    }

    #[test]
    fn what_is_missing_or_changed_is_named() {
        let without = |numbers: &[u64]| -> Vec<AuditEntry> {
            let is_left = |entry: &AuditEntry| !numbers.contains(&entry.number);
            log(6).into_iter().filter(is_left).collect()
        };
        let mut changed = log(6);
        changed[3].entry.actor.push('x');

        assert!(verified(log(6), 6).is_ok());
        assert_eq!(
            verified(without(&[3]), 6).unwrap_err(),
            "entry 3 is missing or can't be opened"
        );
        assert_eq!(
            verified(without(&[1, 5, 6]), 6).unwrap_err(),
            "entry 1 is missing or can't be opened\nentries 5 to 6 are missing or can't be opened"
        );
        assert_eq!(
            verified(changed, 6).unwrap_err(),
            "the chain breaks at entry 4: it was changed, or the one before it was"
        );
    }
}
