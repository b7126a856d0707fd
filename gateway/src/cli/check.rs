//! `countersign check`

use std::process::ExitCode;

use super::{ConfigFile, fail, refuse};
use crate::live::Live;

/// Checks a configuration.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
}

/// Exit 0, or 78 with every fault.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let (config, warnings) = match arguments.file.load() {
        Ok(loaded) => loaded,
        Err(faults) => return refuse(&faults),
    };
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    if let Err(error) = Live::new(&config) {
        eprintln!("{error}");
        return ExitCode::from(super::EX_CONFIG);
    }
    if let Some(tls) = &config.public.tls
        && let Err(error) = crate::listen::tls::server_config(tls)
    {
        return fail(&error);
    }
    let name = arguments
        .file
        .path()
        .map_or_else(|| "built-in defaults".to_owned(), |path| path.display().to_string());
    println!(
        "{name}: ok: {} routes, {} resources, {} upstreams, {} integrations",
        config.routes.len(),
        config.resources.len(),
        config.upstreams.len(),
        config.integrations.len()
    );
    ExitCode::SUCCESS
}
