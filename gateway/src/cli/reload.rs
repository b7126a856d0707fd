//! `countersign reload`

use std::process::ExitCode;

use http::Method;
use serde_json::Value;

use super::api::{AdminApi, CallError};
use super::{exit_code, fail, say};

/// Swap routes, resources, certificates and limits in the running gateway
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The gateway reads its configuration again and puts it in force whole; with a fault in it, the last good one stays and the
faults are printed. Keys that need a restart are named. Sending HUP to the process does the same.
It goes through the control socket beside an embedded store, else through the admin API with COUNTERSIGN_TOKEN, with
COUNTERSIGN_ADMIN_USER and COUNTERSIGN_ADMIN_PASSWORD, or with a prompt.

Example:
  countersign reload --config conf/magento/countersign.toml")]
pub(super) struct Arguments {
    #[command(flatten)]
    api: AdminApi,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    exit_code(reload(arguments))
}

fn reload(arguments: &Arguments) -> Result<(), ExitCode> {
    let answer = arguments
        .api
        .calls(async |api| api.call(Method::POST, "/api/v1/reload", None).await)?;
    let keys = answer.get("needs_restart").and_then(Value::as_array);
    let keys = keys.ok_or_else(|| fail(&CallError::Foreign))?;
    let keys = keys.iter().filter_map(Value::as_str);
    let keys = keys.map(|key| format!("\nneeds a restart: {key}"));
    say(&format!("reloaded{}", keys.collect::<String>()))
}
