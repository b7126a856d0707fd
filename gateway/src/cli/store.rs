//! `countersign store …`

use std::process::ExitCode;

use http::Method;
use serde_json::Value;

use super::api::AdminApi;
use super::{ConfigFile, block_on, exit_code, fail, open, say, with_causes};
use crate::clock::Clock;

/// The store: say that an emptied one is new, change its encryption key
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Say that a store which lost its identity is a new one
    #[command(after_help = "\
A Redis that comes back empty under a running gateway answers 503 until it is restored, or until this command says that what
was in it is gone for good: every integration, token, account and nonce. Gateways then go on by themselves. An embedded
store needs it never.

Example:
  countersign store init --config /etc/countersign/countersign.toml")]
    Init(ConfigFile),
    /// Seal anew, with the first encryption key, what others sealed, so that the others can be dropped
    #[command(after_help = "\
The last step of a change of store.encryption_keys: first the new key stands behind the old one on every gateway, then before
it, and they are restarted in turn each time. Once every gateway seals with the new one, this command does what is left, in
small steps beside live requests; then the old key can go from the configuration.

Example:
  countersign store reseal --config /etc/countersign/countersign.toml")]
    Reseal(AdminApi),
}

pub(super) fn run(command: &Command) -> ExitCode {
    exit_code(match command {
        Command::Init(file) => init(file),
        Command::Reseal(api) => reseal(api),
    })
}

fn reseal(api: &AdminApi) -> Result<(), ExitCode> {
    let answer = api.calls(async |api| api.call_to_the_end(Method::POST, "/api/v1/store/reseal", None).await)?;
    let count = answer.get("resealed").and_then(Value::as_u64).unwrap_or_default();
    say(&format!(
        "{count} rows were sealed anew: the first of store.encryption_keys is the only one that is still needed"
    ))
}

fn init(file: &ConfigFile) -> Result<(), ExitCode> {
    let config = file.load()?;
    if open::control_socket(&config).is_some() {
        return say(&"an embedded store needs no init: its folder is its identity");
    }
    block_on(async {
        let store = open::store(&config, Clock::system(), false)
            .await
            .map_err(|error| fail(&with_causes(&error)))?;
        store.init().await.map_err(|error| fail(&with_causes(&error)))?;
        store.close().await.map_err(|error| fail(&with_causes(&error)))
    })?;
    say(&"the store is ready, and new if it had no identity")
}
