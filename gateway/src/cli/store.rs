//! `countersign store …`

use std::process::ExitCode;

use super::{ConfigFile, block_on, exit_code, fail, open, say, with_causes};
use crate::clock::Clock;

/// The store: say that an emptied one is new
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
}

pub(super) fn run(command: &Command) -> ExitCode {
    let Command::Init(file) = command;
    exit_code(init(file))
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
