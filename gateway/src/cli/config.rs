//! `countersign config …`: what a configuration may hold, what is in force, and a fresh key.

use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{ConfigFile, exit_code, fail, refuse, say};
use crate::config::{Key, Takes, schema};
use crate::random;

/// The configuration: what it may hold, what is in force, a fresh encryption key
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Print the JSON Schema of the configuration, for editors
    #[command(after_help = "\
Keys that need a restart carry \"x-needs-restart\": true; all others are swapped by a reload.

Example:
  countersign config schema > countersign.schema.json")]
    Schema,
    /// Print what is in force, where each value comes from, secrets masked
    #[command(after_help = "\
Every key is printed as TOML, with the file and line, the environment variable or \"default\" that it comes from.

Examples:
  countersign config show | grep -v default               only what was set
  COUNTERSIGN_PUBLIC_LIMITS_BODY=1MiB countersign config show")]
    Show(ConfigFile),
    #[command(
        about = "Print a fresh key for store.encryption_keys",
        after_help = "\
32 octets from the operating system's generator, in base64.

Example:
  (umask 077; countersign config new-key > /etc/countersign/store.key)
  # and in the configuration: encryption_keys = [\"file:store.key\"]"
    )]
    NewKey,
}

pub(super) fn run(command: &Command) -> ExitCode {
    exit_code(match command {
        Command::Schema => say(&format!("{:#}", schema::schema())),
        Command::Show(file) => match file.read() {
            Ok(loaded) => say(&shown(&loaded.keys)),
            Err(faults) => Err(refuse(&faults)),
        },
        Command::NewKey => {
            let mut key = [0; 32];
            match random::fill(&mut key) {
                Ok(()) => say(&STANDARD.encode(key)),
                Err(error) => Err(fail(&error)),
            }
        }
    })
}

/// Table by table, in the order of reading.
fn shown(keys: &[Key]) -> String {
    let mut tables: Vec<usize> = keys.iter().map(|key| key.table.number).collect();
    tables.sort_unstable();
    tables.dedup();
    let of_table = |number: usize| {
        let is_scalar = |key: &&Key| !matches!(key.takes, Takes::Table | Takes::Tables | Takes::Forced);
        keys.iter()
            .filter(is_scalar)
            .filter(move |key| key.table.number == number)
    };
    let shown = tables.into_iter().filter_map(|number| {
        let table = &of_table(number).next()?.table;
        let head = if table.is_listed {
            format!("[[{}]]", table.path)
        } else {
            format!("[{}]", table.path)
        };
        let lines: Vec<(String, String)> = of_table(number).filter_map(line).collect();
        let width = lines.iter().map(|(setting, _)| setting.chars().count()).max();
        let width = width.unwrap_or_default().min(WIDEST);
        let lines = lines
            .iter()
            .map(|(setting, origin)| format!("\n{setting:<width$}  # {origin}"));
        Some(format!("{head}{}", lines.collect::<String>()))
    });
    shown.collect::<Vec<_>>().join("\n\n")
}

/// The key with its value, and where that comes from; nothing for one that is unset.
fn line(key: &Key) -> Option<(String, String)> {
    let (value, origin) = key
        .set()
        .or_else(|| Some((key.default.as_deref()?, "default".to_owned())))?;
    Some((format!("{} = {value}", key.name), origin))
}

const WIDEST: usize = 60;
