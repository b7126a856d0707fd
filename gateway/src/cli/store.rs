//! `countersign store …`

use std::process::ExitCode;

use http::Method;
use serde_json::Value;

use super::api::AdminApi;
use super::{ConfigFile, block_on, exit_code, fail, open, say, with_causes};
use crate::clock::Clock;
use crate::observe::unsure_until;

/// The store: say that an emptied one is new, change its encryption key
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Say that a store which lost its identity is a new one
    #[command(after_help = "\
A Redis that comes back empty under a running gateway, or without its identity while its records are there, serves nobody (503)
until it is restored, or until this command says to go on: with what is left, be that nothing, and without the memory of
nonces. Gateways then go on by themselves, and what was signed before is refused as replay_unsure.

An embedded store needs it where a clock was far ahead when the gateway started after a crash, or when it served: until that
time comes every signed request is refused as replay_unsure. Correct the clock, stop the gateway, run this command, start the
gateway. Only a time further ahead than 15 minutes is taken back. What was served by a clock that was right, or ahead by
no more than that, counts no second time; what was served while it was further ahead may, once that time comes.

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
    let clock = Clock::system();
    let (before, after) = block_on(async {
        let store = open::existing(&config, clock)
            .await
            .map_err(|error| fail(&with_causes(&error)))?;
        let before = store.unsure_until(clock.now());
        store.init().await.map_err(|error| fail(&with_causes(&error)))?;
        let after = store.unsure_until(clock.now());
        store.close().await.map_err(|error| fail(&with_causes(&error)))?;
        Ok((before, after))
    })?;
    if open::control_socket(&config).is_none() {
        return say(&"the store is ready, and new if it had no identity");
    }
    say(&match (before, after) {
        (None, _) => {
            "the store needed no init: its folder is its identity, and requests that are signed now count".to_owned()
        }
        (Some(_), None) => "requests that are signed now count again".to_owned(),
        (Some(_), Some(until)) => format!("{}; that time is near, and passes by itself", unsure_until(until)),
    })
}
