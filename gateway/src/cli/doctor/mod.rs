//! `countersign doctor`: what would go wrong in a deployment, before it does. It reads and asks, and changes nothing.

mod certificates;
mod embedded;
mod ports;
mod redis;
pub(super) mod running;
mod skew;
mod upstreams;

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use super::table::{Format, of_rows};
use super::{ConfigFile, block_on, check, exit_code, refuse, remark, say};
use crate::clock::Clock;
use crate::config::Config;

/// Check a deployment: ports, certificates, clocks, the store's settings, upstreams
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Run it where the gateway runs, as its user and with its configuration; beside a running gateway, or before the first start.
Each line is ok, warn or fail; what is not ok carries its cure. Nothing is changed; each target of an upstream gets one HEAD /, or
the GET of its health check.
Exit code 0, 1 when a line fails, or 78 when the configuration has a fault.

Examples:
  countersign doctor
  countersign doctor --config /etc/countersign/countersign.toml --format json")]
pub(super) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    /// How it is printed: aligned for people, or for programs
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// How it stands with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ok,
    Warn,
    Fail,
}

/// One line.
#[derive(Debug)]
struct Finding {
    state: State,
    /// The group of checks: `ports`, `store` …
    check: &'static str,
    subject: String,
    found: String,
    cure: Option<String>,
}

/// Findings of one group about one thing.
#[derive(Debug)]
struct About {
    check: &'static str,
    subject: String,
}

impl About {
    fn new(check: &'static str, subject: impl Into<String>) -> Self {
        Self {
            check,
            subject: subject.into(),
        }
    }

    fn ok(&self, found: impl Into<String>) -> Finding {
        self.finding(State::Ok, found.into(), None)
    }

    fn warn(&self, found: impl Into<String>, cure: impl Into<String>) -> Finding {
        self.finding(State::Warn, found.into(), Some(cure.into()))
    }

    fn fail(&self, found: impl Into<String>, cure: impl Into<String>) -> Finding {
        self.finding(State::Fail, found.into(), Some(cure.into()))
    }

    fn finding(&self, state: State, found: String, cure: Option<String>) -> Finding {
        Finding {
            state,
            check: self.check,
            subject: self.subject.clone(),
            found,
            cure,
        }
    }
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let loaded = match arguments.file.read() {
        Ok(loaded) => loaded,
        Err(faults) => return refuse(&faults),
    };
    for warning in &loaded.warnings {
        remark(&format_args!("warning: {warning}"));
    }
    if let Err(code) = check::prepare(&loaded.config) {
        return code;
    }
    exit_code(block_on(async {
        let findings = examine(&loaded.config, Clock::system()).await;
        say(&match arguments.format {
            Format::Table => lines(&findings),
            Format::Json => document(&findings),
        })?;
        match worst(&findings) {
            State::Fail => Err(ExitCode::FAILURE),
            State::Ok | State::Warn => Ok(()),
        }
    }))
}

/// All groups, in the order in which a start would meet them.
async fn examine(config: &Config, clock: Clock) -> Vec<Finding> {
    let running = running::look(config).await;
    let mut findings = vec![running.finding()];
    findings.extend(ports::examine(config, running.is_up()));
    findings.extend(certificates::examine(config, clock));
    findings.extend(if config.store.url.starts_with("embedded:") {
        embedded::examine(config, &running, clock)
    } else {
        redis::examine(config, clock).await
    });
    findings.extend(upstreams::examine(config, clock).await);
    findings
}

fn worst(findings: &[Finding]) -> State {
    let has = |state| findings.iter().any(|finding| finding.state == state);
    if has(State::Fail) {
        State::Fail
    } else if has(State::Warn) {
        State::Warn
    } else {
        State::Ok
    }
}

fn lines(findings: &[Finding]) -> String {
    let row = |finding: &Finding| {
        let cure = finding.cure.as_ref().map(|cure| format!("; {cure}"));
        let found = format!("{}{}", finding.found, cure.unwrap_or_default());
        [finding.state.word(), finding.check, &finding.subject, &found]
            .map(in_one_line)
            .to_vec()
    };
    let rows: Vec<Vec<String>> = findings.iter().map(row).collect();
    of_rows(&["STATE", "CHECK", "OF", "FOUND"], &rows)
}

/// What servers say must not move the cursor.
fn in_one_line(text: &str) -> String {
    text.chars()
        .map(|character| if character.is_control() { '?' } else { character })
        .collect()
}

fn document(findings: &[Finding]) -> String {
    let item = |finding: &Finding| {
        json!({
            "state": finding.state.word(),
            "check": finding.check,
            "of": finding.subject,
            "found": finding.found,
            "cure": finding.cure,
        })
    };
    let items: Vec<_> = findings.iter().map(item).collect();
    format!("{:#}", json!({ "state": worst(findings).word(), "findings": items }))
}

/// For an answer to one of the doctor's requests.
const ANSWER: Duration = Duration::from_secs(5);
/// The cure where keys don't open a store.
const ALL_KEYS: &str = "name every key in store.encryption_keys that was ever its first, the one to seal with first";
