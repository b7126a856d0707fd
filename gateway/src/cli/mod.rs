//! The command line: one file a command.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command's answer goes to stdout, its faults to stderr"
)]

mod admin;
mod api;
mod check;
mod integration;
mod open;
mod prompt;
mod sandbox;
mod serve;
mod sign;
mod version;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Config, Faults, Warning};

/// OAuth 1.0a authorization server and resource gateway for storefront Web APIs.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, propagate_version = true, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Try everything in one process: a demo storefront, an integration that does the handshake, signed calls to paste
    Sandbox(sandbox::Arguments),
    /// Run the gateway
    Serve(serve::Arguments),
    /// Check a configuration: every fault with file, line and key; exit 0 or 78
    Check(check::Arguments),
    /// Admin accounts: the bootstrap
    #[command(subcommand)]
    Admin(admin::Command),
    /// Integrations, through the admin API
    Integration(integration::Arguments),
    /// Swap routes, resources and limits in the running gateway
    Reload(admin::ReloadArguments),
    /// Sign a request: an Authorization header or a curl line, for debugging
    Sign(sign::Arguments),
    /// Version and build
    Version,
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    match Arguments::parse().command {
        Command::Sandbox(arguments) => sandbox::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Admin(command) => admin::run(&command),
        Command::Integration(arguments) => integration::run(&arguments),
        Command::Reload(arguments) => admin::reload(&arguments),
        Command::Sign(arguments) => sign::run(&arguments),
        Command::Version => version::run(),
    }
}

/// `--config`, as every command that reads one takes it.
#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// The configuration file [default: conf/countersign.toml, or built-in defaults where there is none]
    #[arg(long, short, env = "COUNTERSIGN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    /// The file that is read; `None`: defaults.
    fn path(&self) -> Option<PathBuf> {
        let default = Path::new(DEFAULT_CONFIG);
        self.config
            .clone()
            .or_else(|| default.is_file().then(|| default.to_owned()))
    }

    fn load(&self) -> Result<(Config, Vec<Warning>), Faults> {
        Config::load(self.path().as_deref())
    }
}

/// Prints all faults; the exit code that tells service managers not to try again.
fn refuse(faults: &Faults) -> ExitCode {
    for line in faults.lines() {
        eprintln!("{line}");
    }
    let count = faults.lines().len();
    eprintln!(
        "{count} {} in the configuration",
        if count == 1 { "fault" } else { "faults" }
    );
    ExitCode::from(EX_CONFIG)
}

/// A runtime for a command's few calls.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Prints why a command failed.
fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("countersign: {error}");
    ExitCode::FAILURE
}

const DEFAULT_CONFIG: &str = "conf/countersign.toml";
const EX_CONFIG: u8 = 78;
