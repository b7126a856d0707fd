//! `countersign import magento`: a store's declarations into configuration files, its live credentials into the store.

mod collect;
mod file;
mod live;
mod output;
mod report;
mod walk;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use self::collect::Collected;
use self::output::Written;
use super::{ConfigFile, fail, refuse};
use crate::config::{Config, Environment};
use crate::import::own::Own;
use crate::import::{self, Imported, Note, Options, Weight, write};

/// Take over what a storefront declares and whom it lets in.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// From Magento: routes, resources and integrations of its modules, and live credentials from an export of its database
    #[command(after_long_help = EXAMPLES)]
    Magento(Box<Arguments>),
}

/// Takes over a Magento store: what its modules declare becomes configuration files, and its live integrations, with their
/// keys, tokens and grants, go into the store, so that no client changes a thing.
///
/// What could not be carried is listed at the end with file and line, and the exit code is 0 nevertheless (1 with --strict).
/// Nothing is written before everything was read, and a second run of the same changes nothing.
#[derive(Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own on the command line"
)]
#[command(group = clap::ArgGroup::new("source").required(true).multiple(true).args(["code", "webapi", "acl", "integrations", "dump"]))]
pub(super) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    /// The storefront's folder, or any with modules in it: each etc/module.xml below makes a module, in the order of
    /// app/etc/config.php or of their sequences
    #[arg(long, value_name = "DIR", conflicts_with_all = ["webapi", "acl", "integrations"], help_heading = "What is read")]
    code: Option<PathBuf>,
    /// webapi.xml files, in the order in which their modules load
    #[arg(long, value_name = "FILE", num_args = 1.., help_heading = "What is read")]
    webapi: Vec<PathBuf>,
    /// acl.xml files, likewise
    #[arg(long, value_name = "FILE", num_args = 1.., help_heading = "What is read")]
    acl: Vec<PathBuf>,
    /// integration.xml files, or the older integration/config.xml and integration/api.xml, likewise
    #[arg(long, value_name = "FILE", num_args = 1.., help_heading = "What is read")]
    integrations: Vec<PathBuf>,
    /// An SQL export of the tables integration, `oauth_consumer`, `oauth_token`, `authorization_role` and `authorization_rule`,
    /// or "-" for stdin. With an embedded store the gateway must be stopped meanwhile
    #[arg(long, value_name = "FILE", help_heading = "What is read")]
    dump: Option<PathBuf>,
    /// The storefront's crypt key, which opens the export's secrets: `env:NAME` or `file:PATH`, with app/etc/env.php or the
    /// bare keys, oldest first, in it. Give it again for further keys
    #[arg(long, value_name = "SOURCE", requires = "dump", help_heading = "What is read")]
    crypt_key: Vec<String>,
    /// What the names of the storefront's tables begin with
    #[arg(
        long,
        value_name = "PREFIX",
        default_value = "",
        requires = "dump",
        help_heading = "What is read"
    )]
    table_prefix: String,
    /// Where the files go [default: conf.d beside the configuration]; "-" for stdout
    #[arg(long, value_name = "DIR", help_heading = "What is made")]
    out: Option<PathBuf>,
    /// The upstream that the routes forward to
    #[arg(
        long,
        value_name = "NAME",
        default_value = "storefront",
        help_heading = "What is made"
    )]
    upstream: String,
    /// Make the asynchronous and bulk forms of the routes, too
    #[arg(long = "async", help_heading = "What is made")]
    with_async: bool,
    /// Replace files that an earlier import made; with --code, remove those of modules that are gone
    #[arg(long, help_heading = "What is made")]
    force: bool,
    /// Change integrations that the store has otherwise to what the export says
    #[arg(long, requires = "dump", help_heading = "What is made")]
    update: bool,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Exit with 1 if anything could not be carried
    #[arg(long)]
    strict: bool,
}

pub(super) fn run(command: &Command) -> ExitCode {
    let Command::Magento(arguments) = command;
    match import(arguments) {
        Ok(notes) if arguments.strict && notes.iter().any(|note| note.weight == Weight::NotCarried) => {
            ExitCode::FAILURE
        }
        Ok(_) => ExitCode::SUCCESS,
        Err(code) => code,
    }
}

fn import(arguments: &Arguments) -> Result<Vec<Note>, ExitCode> {
    let say = report::Voice::new(arguments.out.as_deref() == Some(Path::new("-")));
    let Collected { files, mut notes } = collect::files(arguments, &say).map_err(|error| fail(&error))?;
    let config = arguments.file.path();
    let out = out(arguments, config.as_deref()).map_err(|error| fail(&error))?;
    let own = own_files(config.as_deref(), out.as_deref());
    let options = Options {
        upstream: arguments.upstream.clone(),
        with_async: arguments.with_async,
        takes_force: takes_force(),
    };
    let mut imported = import::read(&files, &own, &options).map_err(|faults| {
        for fault in &faults {
            eprintln!("{fault}");
        }
        fail(&format!(
            "{} of {} files can't be read; nothing was changed",
            faults.len(),
            files.len()
        ))
    })?;
    notes.append(&mut imported.notes);
    let loaded = loaded(arguments, config.as_deref())?;
    let live = match (&arguments.dump, &loaded) {
        (Some(dump), Some(loaded)) => {
            let ground = live::Ground {
                imported: &imported,
                own: &own,
                config: loaded,
            };
            Some(live::read(arguments, dump, &ground, (&say, &mut notes)).map_err(|error| fail(&error))?)
        }
        (Some(_) | None, _) => None,
    };
    let texts = write::files(&imported, &options);
    say.summary(&imported, &texts);
    match &out {
        _ if files.is_empty() => {}
        None => super::say(&texts.values().cloned().collect::<Vec<_>>().join("\n").trim_end())?,
        Some(folder) => {
            let written = output::write(folder, &texts, arguments).map_err(|error| fail(&error))?;
            say.written(folder, &written, arguments.dry_run);
            check(config.as_deref(), &imported, &written, arguments)?;
        }
    }
    if let (Some(live), Some(loaded)) = (live, &loaded) {
        live::settle(live, loaded, arguments, (&say, &mut notes)).map_err(|error| fail(&error))?;
    }
    notes.sort();
    say.notes(&notes);
    Ok(notes)
}

/// Where the files go; `None`: stdout.
fn out(arguments: &Arguments, config: Option<&Path>) -> Result<Option<PathBuf>, &'static str> {
    match (&arguments.out, config) {
        (Some(out), _) if out == Path::new("-") => Ok(None),
        (Some(out), _) => Ok(Some(out.clone())),
        (None, Some(config)) => Ok(Some(config.parent().unwrap_or_else(|| Path::new(".")).join("conf.d"))),
        (None, None)
            if arguments.code.is_none()
                && arguments.webapi.is_empty()
                && arguments.acl.is_empty()
                && arguments.integrations.is_empty() =>
        {
            Ok(None)
        }
        (None, None) => {
            Err("there is no configuration to put the files beside: name it by --config, or the folder by --out")
        }
    }
}

/// The configuration: needed for the store, and to know that the routes' upstream is there.
fn loaded(arguments: &Arguments, path: Option<&Path>) -> Result<Option<Config>, ExitCode> {
    let to_stdout = arguments.out.as_deref() == Some(Path::new("-"));
    if arguments.dump.is_none() && (path.is_none() || to_stdout) {
        return Ok(None);
    }
    match Config::load(path) {
        Ok((config, _)) => {
            let is_there = config.upstreams.contains_key(&arguments.upstream);
            if !is_there && !to_stdout && (arguments.code.is_some() || !arguments.webapi.is_empty()) {
                let known: Vec<&str> = config.upstreams.keys().map(String::as_str).collect();
                return Err(fail(&format!(
                    "the configuration has no [upstreams.{}] to forward to: add it, or name one by --upstream (it has: {})",
                    arguments.upstream,
                    if known.is_empty() {
                        "none".to_owned()
                    } else {
                        known.join(", ")
                    }
                )));
            }
            Ok(Some(config))
        }
        Err(faults) if arguments.dump.is_some() => Err(refuse(&faults)),
        // An earlier import may be what is wrong with it.
        Err(_) => Ok(None),
    }
}

/// What the operator's own files define: the configuration, what it includes, and other files where ours go.
fn own_files(config: Option<&Path>, out: Option<&Path>) -> Own {
    let mut own = Own::default();
    let mut files: Vec<PathBuf> = config.map(Path::to_owned).into_iter().collect();
    if let Some(config) = config {
        files.extend(output::included(config));
    }
    files.extend(out.map(output::configuration_files).unwrap_or_default());
    files.sort();
    files.dedup();
    for file in files {
        if let Ok(text) = std::fs::read_to_string(&file)
            && !write::is_made_here(&text)
        {
            own.take(&file.display().to_string(), &text);
        }
    }
    own
}

/// Whether this version takes forced parameters: its configuration's own reader is asked.
fn takes_force() -> bool {
    let route = "[upstreams.a]\ntargets = [\"http://127.0.0.1:1\"]\n[[routes]]\npath = \"/a\"\nupstream = \"a\"\n\
                 resources = [\"self\"]\nforce = { \"customerId\" = \"%customer_id%\" }\n";
    Config::parse(route, "(import)", &Environment::default()).is_ok()
}

/// The files are part of a configuration: it must be one.
fn check(config: Option<&Path>, imported: &Imported, written: &Written, arguments: &Arguments) -> Result<(), ExitCode> {
    let (Some(path), false) = (config, arguments.dry_run) else {
        return Ok(());
    };
    match Config::load(Some(path)) {
        Ok((config, _)) => {
            let missing = imported
                .routes
                .first()
                .filter(|route| config.routes.iter().all(|one| one.path != route.path));
            if missing.is_some() {
                eprintln!(
                    "{} doesn't include these files yet: add include = [\"{}/*.toml\"]",
                    path.display(),
                    written.folder
                );
            }
            Ok(())
        }
        Err(faults) => {
            let lines = faults.lines();
            for line in lines.iter().take(MOST_FAULTS) {
                eprintln!("{line}");
            }
            if lines.len() > MOST_FAULTS {
                eprintln!("… and {} more", lines.len() - MOST_FAULTS);
            }
            Err(fail(
                &"the files are written, but the configuration has faults; a running gateway keeps its last good one",
            ))
        }
    }
}

const MOST_FAULTS: usize = 20;

const EXAMPLES: &str = "\
Examples:
  The routes, resources and integrations of a store's code, as files in conf/conf.d:
      countersign import magento --code /var/www/magento

  The same, looked at first:
      countersign import magento --code /var/www/magento --out - | less

  With the live integrations, straight from the database:
      mysqldump --single-transaction magento integration oauth_consumer oauth_token \\
          authorization_role authorization_rule |
      countersign import magento --code /var/www/magento --dump - \\
          --crypt-key file:/var/www/magento/app/etc/env.php

Secrets are opened with the storefront's key, sealed with the gateway's own (store.encryption_keys), and never printed.
Afterwards `countersign reload` puts the files to work in a running gateway.";
