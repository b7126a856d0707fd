//! The command line: one file a command.

mod admin;
mod api;
mod audit;
mod check;
mod config;
mod consumer;
mod customer;
mod doctor;
mod event;
mod explain;
mod import;
mod integration;
mod notify;
mod open;
mod prompt;
mod reload;
mod route;
mod sandbox;
mod serve;
mod sign;
mod store;
mod sweep;
mod table;
mod token;
mod version;

use std::fmt::Display;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Config, Environment, Faults, Loaded};
use crate::observe::with_causes;

/// OAuth 1.0a authorization server and resource gateway for storefront Web APIs.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, max_term_width = 100, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Sandbox(sandbox::Arguments),
    Serve(serve::Arguments),
    Check(check::Arguments),
    Doctor(doctor::Arguments),
    #[command(subcommand)]
    Config(config::Command),
    #[command(subcommand)]
    Route(route::Command),
    #[command(subcommand)]
    Admin(admin::Command),
    Integration(integration::Arguments),
    Consumer(consumer::Arguments),
    Token(token::Arguments),
    #[command(subcommand)]
    Customer(customer::Command),
    #[command(subcommand)]
    Import(import::Command),
    Sign(sign::Arguments),
    Explain(explain::Arguments),
    Reload(reload::Arguments),
    Sweep(sweep::Arguments),
    Audit(audit::Arguments),
    Event(event::Arguments),
    #[command(subcommand)]
    Store(store::Command),
    /// Print version and build
    Version,
}

const EXAMPLES: &str = "\
Examples:
  countersign sandbox                                     try everything, nothing to install
  countersign check --config conf/magento/countersign.toml
  countersign serve --config conf/magento/countersign.toml
  countersign doctor                                      ports, certificates, clocks, store, upstreams
  countersign admin create --username admin               the first account
  countersign integration create --name Courier --resource Magento_Catalog::products
  countersign sign GET http://127.0.0.1:8080/rest/V1/products/24-MB01 --curl
  countersign explain --secrets courier.json request.txt  why its signature does not verify

Exit codes: 0 done, 1 failed, 2 wrong usage, 78 bad configuration.
Credentials are taken from the environment, a file, stdin or a prompt, never from arguments.";

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    match Arguments::parse().command {
        Command::Sandbox(arguments) => sandbox::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Config(command) => config::run(&command),
        Command::Route(command) => route::run(&command),
        Command::Admin(command) => admin::run(&command),
        Command::Integration(arguments) => integration::run(&arguments),
        Command::Consumer(arguments) => consumer::run(&arguments),
        Command::Token(arguments) => token::run(&arguments),
        Command::Customer(command) => customer::run(&command),
        Command::Import(command) => import::run(&command),
        Command::Sign(arguments) => sign::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Reload(arguments) => reload::run(&arguments),
        Command::Sweep(arguments) => sweep::run(&arguments),
        Command::Audit(arguments) => audit::run(&arguments),
        Command::Event(arguments) => event::run(&arguments),
        Command::Store(command) => store::run(&command),
        Command::Version => version::run(),
    }
}

/// `--config`, as every command that reads one takes it.
#[derive(Debug, clap::Args)]
struct ConfigFile {
    #[arg(long, short, global = true, value_name = "FILE", help = CONFIG_HELP)]
    config: Option<PathBuf>,
}

impl ConfigFile {
    /// The file that is read; `None`: defaults. An empty variable is none.
    fn path(&self) -> Option<PathBuf> {
        let default = Path::new(DEFAULT_CONFIG);
        let variable = || Environment::of_process().get("COUNTERSIGN_CONFIG");
        self.config
            .clone()
            .or_else(|| variable().filter(|path| !path.is_empty()).map(PathBuf::from))
            .or_else(|| default.exists().then(|| default.to_owned()))
    }

    /// What messages call it.
    fn name(&self) -> String {
        self.path()
            .map_or_else(|| "built-in defaults".to_owned(), |path| path.display().to_string())
    }

    fn read(&self) -> Result<Loaded, Faults> {
        Loaded::read(self.path().as_deref(), &Environment::of_process())
    }

    /// The configuration, or the exit code when it has faults, which are printed. Warnings are `check`'s and `serve`'s.
    fn load(&self) -> Result<Config, ExitCode> {
        self.read()
            .map(|loaded| loaded.config)
            .map_err(|faults| refuse(&faults))
    }
}

const CONFIG_HELP: &str = "\
The configuration file [default: COUNTERSIGN_CONFIG, else conf/countersign.toml, else built-in defaults]";

/// `1 route`, `2 routes`.
fn counted(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// Prints all faults; the exit code that tells service managers not to try again.
fn refuse(faults: &Faults) -> ExitCode {
    let lines = faults.lines();
    for line in &lines {
        remark(line);
    }
    remark(&format_args!("{} in the configuration", counted(lines.len(), "fault")));
    ExitCode::from(EX_CONFIG)
}

/// Runs a command's few calls to their end.
fn block_on<T>(work: impl Future<Output = Result<T, ExitCode>>) -> Result<T, ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| fail(&error))?.block_on(work)
}

/// Prints a command's answer. A reader that has gone (`| head`) has seen enough; a disk that is full is a failure.
fn say(answer: &dyn Display) -> Result<(), ExitCode> {
    let mut stdout = std::io::stdout().lock();
    match writeln!(stdout, "{answer}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(fail(&format!("the answer can't be written: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Prints a line beside the answer: a warning, a fault. Where nobody takes it, a closed stderr or a full disk, the exit code
/// still tells how the command ended.
fn remark(line: &dyn Display) {
    beside(&format_args!("{line}\n"));
}

/// The same without a line's end, for what goes on in the same line.
fn beside(text: &dyn Display) {
    let mut stderr = std::io::stderr().lock();
    let _untold: std::io::Result<()> = write!(stderr, "{text}").and_then(|()| stderr.flush());
}

/// Prints why a command failed.
fn fail(error: &dyn Display) -> ExitCode {
    remark(&format_args!("countersign: {error}"));
    ExitCode::FAILURE
}

/// Prints what was wrong with the arguments.
fn misused(error: &dyn Display) -> ExitCode {
    remark(&format_args!("countersign: {error}"));
    ExitCode::from(EX_USAGE)
}

/// The exit code of a command that either prints why it failed or is done.
fn exit_code(outcome: Result<(), ExitCode>) -> ExitCode {
    outcome.err().unwrap_or(ExitCode::SUCCESS)
}

const DEFAULT_CONFIG: &str = "conf/countersign.toml";
const EX_USAGE: u8 = 2;
const EX_CONFIG: u8 = 78;
