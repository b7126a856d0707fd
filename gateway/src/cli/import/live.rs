//! The export: read, its secrets opened, and the records brought into the store.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use token_store::{OpenError, StoreError};

use super::super::open;
use super::Arguments;
use super::file::{self, FileError};
use super::report::Voice;
use crate::authorize::resources::ResourceTree;
use crate::clock::Clock;
use crate::config::{self, Config, Environment};
use crate::import::crypt::{KeyError, Keys};
use crate::import::dump::{self, DumpError};
use crate::import::live::{self, LiveError, Wanted};
use crate::import::own::Own;
use crate::import::settle::{self, Plan, SettleError};
use crate::import::{Imported, Note};

/// What the records are made for.
pub(super) struct Ground<'a> {
    pub(super) imported: &'a Imported,
    pub(super) own: &'a Own,
    pub(super) config: &'a Config,
}

/// Why an export is not carried over.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExportError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{0}: {1}")]
    Dump(String, #[source] DumpError),
    #[error("{0}: {1}")]
    Live(String, #[source] LiveError),
    #[error("--crypt-key: the environment has no {0}")]
    NoVariable(String),
    #[error("--crypt-key: {0}")]
    Key(#[from] KeyError),
    #[error("the store is open in another process: stop the gateway for the import of credentials")]
    Locked,
    #[error(transparent)]
    Open(OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Settle(#[from] SettleError),
}

impl ExportError {
    fn of_opening(error: OpenError) -> Self {
        if matches!(error, OpenError::Locked(_)) {
            Self::Locked
        } else {
            Self::Open(error)
        }
    }
}

/// Reads the export and opens its secrets; nothing is written.
pub(super) fn read(
    arguments: &Arguments,
    path: &Path,
    ground: &Ground<'_>,
    (say, notes): (&Voice, &mut Vec<Note>),
) -> Result<Vec<Wanted>, ExportError> {
    let keys = keys(&arguments.crypt_key)?;
    let (source, shown): (Box<dyn Read>, String) = if path == Path::new("-") {
        (Box::new(std::io::stdin().lock()), "(stdin)".to_owned())
    } else {
        let file = std::fs::File::open(path).map_err(|error| FileError::new(path, error))?;
        (Box::new(file), path.display().to_string())
    };
    let counted = Counted { source, say, octets: 0 };
    let dump = dump::read(counted, &arguments.table_prefix).map_err(|error| ExportError::Dump(shown.clone(), error))?;
    let tree = tree(arguments, ground);
    let configured = ground.config.integrations.iter();
    let imported = ground.imported.integrations.iter().map(|one| &one.definition);
    let ground = live::Ground {
        file: Arc::from(shown.as_str()),
        tree: &tree,
        configured: configured
            .chain(imported)
            .map(|one| (one.name.clone(), one.clone()))
            .collect(),
        request_token_lifetime: ground.config.oauth.request_token_lifetime,
    };
    live::records(&dump, &keys, &ground, notes).map_err(|error| ExportError::Live(shown, error))
}

/// What can be granted: the resources of this import beside the operator's own, or those of the configuration.
fn tree(arguments: &Arguments, ground: &Ground<'_>) -> ResourceTree {
    let has_own_acl = arguments.code.is_some() || !arguments.acl.is_empty();
    let configured = ground
        .config
        .resources
        .iter()
        .filter(|one| !has_own_acl || ground.own.resource(&one.id).is_some());
    let imported = ground
        .imported
        .resources
        .iter()
        .filter(|one| one.is_defined)
        .map(|one| config::Resource {
            id: one.id.clone(),
            title: one.title.clone(),
            parent: one.parent.clone(),
            order: one.order,
        });
    ResourceTree::new(&configured.cloned().chain(imported).collect::<Vec<_>>())
}

/// Keys from all sources, numbered in their order.
fn keys(sources: &[String]) -> Result<Keys, ExportError> {
    let mut keys = Keys::none();
    for source in sources {
        let text = if let Some(path) = source.strip_prefix("file:") {
            String::from_utf8_lossy(&file::read(Path::new(path))?).into_owned()
        } else {
            let name = source.strip_prefix("env:").unwrap_or(source);
            let value = Environment::of_process().get(name);
            value.ok_or_else(|| ExportError::NoVariable(name.to_owned()))?
        };
        keys.append(Keys::parse(&text)?);
    }
    Ok(keys)
}

/// Brings the records into the store, unless it is a dry run; what it came to.
pub(super) async fn settle(wanted: Vec<Wanted>, config: &Config, arguments: &Arguments) -> Result<Plan, ExportError> {
    let clock = Clock::system();
    // A dry run doesn't make a store that isn't there.
    let folder = config.store.url.strip_prefix("embedded:");
    if arguments.dry_run && folder.is_some_and(|folder| !Path::new(folder).is_dir()) {
        return Ok(settle::plan(None, wanted, arguments.update).await?);
    }
    let store = open::first(config, clock).await.map_err(ExportError::of_opening)?;
    let done = async {
        let plan = settle::plan(Some(&store), wanted, arguments.update).await?;
        if !arguments.dry_run {
            settle::carry_out(&store, &plan, clock.now()).await?;
        }
        Ok(plan)
    };
    let done = done.await;
    store.close().await?;
    done
}

/// A store's URL without what may be a password.
pub(super) fn shown(url: &str) -> &str {
    match url.split_once("://") {
        Some((scheme, rest)) if rest.contains('@') => scheme,
        Some(_) | None => url,
    }
}

/// Says how much was read.
struct Counted<'a> {
    source: Box<dyn Read>,
    say: &'a Voice,
    octets: u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.octets += u64::try_from(read).unwrap_or_default();
        let octets = self.octets;
        self.say
            .progress(|| format!("reading the export: {} MiB", octets >> 20));
        Ok(read)
    }
}
