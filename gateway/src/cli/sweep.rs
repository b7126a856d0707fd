//! `countersign sweep`

use std::process::ExitCode;

use http::Method;
use serde_json::Value;

use super::api::AdminApi;
use super::{exit_code, misused, say};
use crate::integration::sweep::Sweep;

/// Remove now what has expired: failed sign-ins whose lock is over, bearer tokens
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The gateway does both by itself, as often as [sweeps] says. Readers refuse what has expired in any case.

Examples:
  countersign sweep
  countersign sweep expired_tokens_cleanup")]
pub(super) struct Arguments {
    // Help by attribute where its words would need backticks, which a terminal shows.
    #[arg(
        value_name = "SWEEP",
        help = "outdated_authentication_failures_cleanup or expired_tokens_cleanup [default: both]"
    )]
    sweep: Option<String>,
    #[command(flatten)]
    api: AdminApi,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    exit_code(sweep(arguments))
}

fn sweep(arguments: &Arguments) -> Result<(), ExitCode> {
    let names = match &arguments.sweep {
        None => Sweep::ALL.map(Sweep::as_str).to_vec(),
        Some(name) => {
            let known = || Sweep::ALL.map(Sweep::as_str).join(" or ");
            let sweep =
                Sweep::named(name).ok_or_else(|| misused(&format!("{name:?} is no sweep: it is {}", known())))?;
            vec![sweep.as_str()]
        }
    };
    let lines = arguments.api.calls(async |api| {
        let mut lines = Vec::new();
        for name in names {
            let path = format!("/api/v1/sweeps/{name}");
            let answer = api.call_to_the_end(Method::POST, &path, None).await?;
            let removed = answer.get("removed").and_then(Value::as_u64).unwrap_or_default();
            lines.push(format!("{name}: {removed} removed"));
        }
        Ok(lines)
    })?;
    say(&lines.join("\n"))
}
