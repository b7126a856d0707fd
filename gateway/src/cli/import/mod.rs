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
use self::output::Output;
use self::report::Voice;
use super::{ConfigFile, block_on, exit_code, fail, misused, refuse, remark, say};
use crate::config::{Config, Environment, Loaded};
use crate::import::own::Own;
use crate::import::{self, Imported, Note, Options, Weight, write};

/// Take over a storefront: its routes, resources, integrations and their live credentials
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Take over a Magento store
    #[command(after_help = EXAMPLES)]
    Magento(Box<Arguments>),
}

const EXAMPLES: &str = "\
What a store's modules declare becomes configuration files, one a module. With --dump, the live integrations go into the
store of the configuration, with their keys, tokens, numbers and grants, so that no client changes a thing: secrets are
opened with the storefront's key, sealed with the gateway's own, and never printed.

Nothing is written before everything was read and the configuration, with what is made, was checked (78 when it has a fault);
a second run of the same changes nothing. What could not be carried is listed at the end with file and line. What an export's
clients signed before the import is unsure, since the storefront may have served it: they get 503 replay_unsure, and sign anew.
Exit code 0, with such a list too (1 with --strict).

Examples:
  countersign import magento --code /var/www/magento --out - | less       # look first
  countersign import magento --code /var/www/magento                      # then into conf/conf.d
  countersign reload                                                      # and to work in a running gateway

  mysqldump --single-transaction magento integration oauth_consumer oauth_token authorization_role authorization_rule |
    countersign import magento --code /var/www/magento --dump - --crypt-key file:/var/www/magento/app/etc/env.php

With an embedded store the gateway must be stopped while credentials are imported; Redis takes them at any time.";

#[derive(Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own on the command line"
)]
#[command(group = clap::ArgGroup::new("source").required(true).multiple(true).args(["code", "webapi", "acl", "integrations", "dump"]))]
pub(super) struct Arguments {
    /// The storefront's folder, or any with modules below it (etc/module.xml), in the order of app/etc/config.php or of their
    /// sequences
    #[arg(long, value_name = "DIR", conflicts_with_all = ["webapi", "acl", "integrations"], help_heading = "What is read")]
    code: Option<PathBuf>,
    /// Files webapi.xml, in the order in which their modules load
    #[arg(long, value_name = "FILE", num_args = 1.., help_heading = "What is read")]
    webapi: Vec<PathBuf>,
    /// Files acl.xml, likewise
    #[arg(long, value_name = "FILE", num_args = 1.., help_heading = "What is read")]
    acl: Vec<PathBuf>,
    /// Files integration.xml, or the older integration/config.xml and integration/api.xml, likewise
    #[arg(long, value_name = "FILE", num_args = 1.., help_heading = "What is read")]
    integrations: Vec<PathBuf>,
    /// An SQL export of the tables in the example below, or of the whole database; "-" reads stdin
    #[arg(long, value_name = "FILE", help_heading = "What is read")]
    dump: Option<PathBuf>,
    // Help by attribute where its words would need backticks, which a terminal shows.
    #[arg(
        long,
        value_name = "SOURCE",
        requires = "dump",
        help_heading = "What is read",
        help = "The storefront's crypt key, as env:NAME or file:PATH of app/etc/env.php or of the bare keys, oldest first; give \
                it again for further keys"
    )]
    crypt_key: Vec<String>,
    /// What the names of the storefront's tables begin with
    #[arg(
        long,
        value_name = "PREFIX",
        default_value = "",
        hide_default_value = true,
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
    /// Make routes for the asynchronous and bulk forms, too
    #[arg(long = "async", help_heading = "What is made")]
    with_async: bool,
    /// Replace files that an earlier import made and, with --code, remove those of modules that are gone
    #[arg(long, help_heading = "What is made")]
    force: bool,
    /// Change integrations that stand otherwise in the store to what the export says
    #[arg(long, requires = "dump", help_heading = "What is made")]
    update: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Exit with 1 if anything could not be carried
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    file: ConfigFile,
}

pub(super) fn run(command: &Command) -> ExitCode {
    let Command::Magento(arguments) = command;
    exit_code(import(arguments))
}

fn import(arguments: &Arguments) -> Result<(), ExitCode> {
    check_key_sources(arguments)?;
    let voice = Voice::new(goes_to_stdout(arguments), arguments.dry_run);
    let Declared {
        imported,
        own,
        options,
        path,
        folder,
        mut notes,
    } = declared(arguments, &voice)?;
    let texts = write::files(&imported, &options);
    let output = folder.map(|folder| Output::plan(&folder, texts.clone(), arguments));
    let output = output.transpose().map_err(|error| fail(&error))?;
    let config = configuration(arguments, (path.as_deref(), output.as_ref()), &imported)?;
    let live = match (&arguments.dump, &config) {
        (Some(dump), Some(config)) => {
            let ground = live::Ground {
                imported: &imported,
                own: &own,
                config,
            };
            Some(live::read(arguments, dump, &ground, (&voice, &mut notes)).map_err(|error| fail(&error))?)
        }
        (Some(_), None) | (None, _) => None,
    };
    voice.summary(&imported, &texts)?;
    if goes_to_stdout(arguments) {
        say(&texts
            .values()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("\n")
            .trim_end())?;
    }
    if let (Some(wanted), Some(config)) = (live, &config) {
        let settled = async {
            live::settle(wanted, config, arguments)
                .await
                .map_err(|error| fail(&error))
        };
        let mut plan = block_on(settled)?;
        notes.append(&mut plan.notes);
        voice.settled(live::shown(&config.store.url), &plan)?;
    }
    if let Some(output) = &output {
        if !arguments.dry_run {
            output.carry_out().map_err(|error| fail(&error))?;
        }
        voice.written(output)?;
    }
    notes.sort();
    voice.notes(&notes)?;
    if let (Some(output), Some(path), Some(config), false) = (&output, &path, &config, arguments.dry_run) {
        say_if_apart(path, config, &imported, output);
    }
    let is_lossy = notes.iter().any(|note| note.weight == Weight::NotCarried);
    if arguments.strict && is_lossy {
        return Err(fail(&"some of it could not be carried"));
    }
    Ok(())
}

/// What the storefront's files declare, and where it goes.
struct Declared {
    imported: Imported,
    own: Own,
    options: Options,
    /// The configuration.
    path: Option<PathBuf>,
    /// Where the files go, if there are any and stdout isn't the place.
    folder: Option<PathBuf>,
    notes: Vec<Note>,
}

fn declared(arguments: &Arguments, voice: &Voice) -> Result<Declared, ExitCode> {
    let Collected { files, mut notes } = collect::files(arguments, voice).map_err(|error| fail(&error))?;
    let path = arguments.file.path();
    let folder = if files.is_empty() || goes_to_stdout(arguments) {
        None
    } else {
        Some(folder(arguments, path.as_deref())?)
    };
    let own = own_files(path.as_deref(), folder.as_deref());
    let options = Options {
        upstream: arguments.upstream.clone(),
        with_async: arguments.with_async,
    };
    let mut imported = import::read(&files, &own, &options).map_err(|faults| {
        for fault in &faults {
            remark(fault);
        }
        let (faults, files) = (faults.len(), files.len());
        fail(&format!("{faults} of {files} files can't be read; nothing was changed"))
    })?;
    notes.append(&mut imported.notes);
    Ok(Declared {
        imported,
        own,
        options,
        path,
        folder,
        notes,
    })
}

fn goes_to_stdout(arguments: &Arguments) -> bool {
    arguments.out.as_deref() == Some(Path::new("-"))
}

/// The key itself doesn't belong on a command line.
fn check_key_sources(arguments: &Arguments) -> Result<(), ExitCode> {
    let is_bare = |source: &String| !source.starts_with("env:") && !source.starts_with("file:");
    if arguments.crypt_key.iter().any(is_bare) {
        return Err(misused(
            &"--crypt-key takes env:NAME or file:PATH, not the key itself, which others would see",
        ));
    }
    Ok(())
}

/// Where the files go.
fn folder(arguments: &Arguments, config: Option<&Path>) -> Result<PathBuf, ExitCode> {
    match (&arguments.out, config) {
        (Some(out), _) => Ok(out.clone()),
        (None, Some(config)) => Ok(config.parent().unwrap_or_else(|| Path::new("")).join("conf.d")),
        (None, None) => Err(misused(
            &"there is no configuration to put files beside: give --config, or --out",
        )),
    }
}

/// The configuration as it will be, with the files that are made here: it is checked before anything is written. It may
/// include files that are yet to come, and an earlier import that is replaced now may be what is wrong with it today.
fn configuration(
    arguments: &Arguments,
    (path, output): (Option<&Path>, Option<&Output>),
    imported: &Imported,
) -> Result<Option<Config>, ExitCode> {
    if arguments.dump.is_none() && (path.is_none() || output.is_none()) {
        return Ok(None);
    }
    let environment = Environment::of_process();
    // Its upstreams first: without the right one every route would be a fault.
    if let (Ok(today), Some(_)) = (Loaded::read(path, &environment), output) {
        check_upstream(arguments, imported, &today.config)?;
    }
    let planned = output.map(Output::planned).unwrap_or_default();
    let loaded = Loaded::read_with(path, &environment, &planned);
    loaded.map(|loaded| Some(loaded.config)).map_err(|faults| {
        let code = refuse(&faults);
        remark(&"countersign: nothing was changed");
        code
    })
}

fn check_upstream(arguments: &Arguments, imported: &Imported, config: &Config) -> Result<(), ExitCode> {
    let name = &arguments.upstream;
    if imported.routes.is_empty() || config.upstreams.contains_key(name) {
        return Ok(());
    }
    let known: Vec<&str> = config.upstreams.keys().map(String::as_str).collect();
    let known = if known.is_empty() {
        "none".to_owned()
    } else {
        known.join(", ")
    };
    Err(fail(&format!(
        "the configuration has no [upstreams.{name}] for the routes to forward to: add it, or name another by --upstream (there \
         is: {known})"
    )))
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

/// Says so where the files are no part of the configuration.
fn say_if_apart(path: &Path, config: &Config, imported: &Imported, output: &Output) {
    let is_part = |path: &String| config.routes.iter().any(|route| route.path == *path);
    if imported.routes.first().is_none_or(|first| is_part(&first.path)) {
        return;
    }
    let folder = output.folder();
    let beside = path.parent().and_then(|parent| folder.strip_prefix(parent).ok());
    let folder = beside.unwrap_or(folder).display();
    remark(&format_args!(
        "{}: these files are no part of it yet: add include = [\"{folder}/*.toml\"]",
        path.display()
    ));
}
