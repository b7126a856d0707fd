//! `countersign check`

use std::process::ExitCode;

use super::{ConfigFile, counted, exit_code, refuse, remark, say};
use crate::config::Config;
use crate::live::Live;

/// Check a configuration: every fault with file, line and key
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Prints every fault at once, each with file, line, key and what to do; warnings don't count.
Exit code 0, or 78 when there is a fault.

Examples:
  countersign check
  countersign check --config /etc/countersign/countersign.toml")]
pub(super) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
}

/// Exit 0, or 78 with every fault.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let loaded = match arguments.file.read() {
        Ok(loaded) => loaded,
        Err(faults) => return refuse(&faults),
    };
    for warning in &loaded.warnings {
        remark(&format_args!("warning: {warning}"));
    }
    let config = loaded.config;
    if let Err(code) = prepare(&config) {
        return code;
    }
    exit_code(say(&format!(
        "{}: ok: {}, {}, {}, {}",
        arguments.file.name(),
        counted(config.routes.len(), "route"),
        counted(config.resources.len(), "resource"),
        counted(config.upstreams.len(), "upstream"),
        counted(config.integrations.len(), "integration"),
    )))
}

/// What only shows when files are opened: certificates, keys, forced parameters.
pub(super) fn prepare(config: &Config) -> Result<(), ExitCode> {
    Live::new(config, 1).map(drop).map_err(|error| {
        remark(&format_args!("{error}\n1 fault in the configuration"));
        ExitCode::from(super::EX_CONFIG)
    })
}
