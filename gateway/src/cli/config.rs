//! `countersign config …`: what a configuration may hold, what is in force, and a fresh key.

use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{ConfigFile, fail, refuse};
use crate::config::{Key, Takes, schema};
use crate::random;

/// The configuration: what it may hold, what is in force, a fresh encryption key
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Print the JSON Schema of the configuration, for editors
    #[command(after_help = "Example:\n  countersign config schema > countersign.schema.json")]
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
    match command {
        Command::Schema => println!("{:#}", schema::schema()),
        Command::Show(file) => match file.read() {
            Ok(loaded) => show(&loaded.keys),
            Err(faults) => return refuse(&faults),
        },
        Command::NewKey => {
            let mut key = [0; 32];
            if let Err(error) = random::fill(&mut key) {
                return fail(&error);
            }
            println!("{}", STANDARD.encode(key));
        }
    }
    ExitCode::SUCCESS
}

/// Table by table, in the order of reading.
fn show(keys: &[Key]) {
    let mut tables: Vec<usize> = keys.iter().map(|key| key.table.number).collect();
    tables.sort_unstable();
    tables.dedup();
    for number in tables {
        let of_table = |key: &&Key| {
            let is_scalar = !matches!(key.takes, Takes::Table | Takes::Tables | Takes::FreeTexts);
            key.table.number == number && is_scalar
        };
        let lines: Vec<(String, String)> = keys.iter().filter(of_table).filter_map(line).collect();
        let Some(table) = keys.iter().find(of_table).map(|key| &key.table) else {
            continue;
        };
        if table.is_listed {
            println!("\n[[{}]]", table.path);
        } else {
            println!("\n[{}]", table.path);
        }
        let width = lines.iter().map(|(setting, _)| setting.chars().count()).max();
        let width = width.unwrap_or_default().min(WIDEST);
        for (setting, origin) in &lines {
            println!("{setting:<width$}  # {origin}");
        }
    }
}

/// The key with its value, and where that comes from; nothing for one that is unset.
fn line(key: &Key) -> Option<(String, String)> {
    let (value, origin) = key
        .set()
        .or_else(|| Some((key.default.as_deref()?, "default".to_owned())))?;
    Some((format!("{} = {value}", key.name), origin))
}

const WIDEST: usize = 60;
