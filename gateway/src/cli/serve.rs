//! `countersign serve`

use std::fmt::Display;
use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use token_store::{OpenError, Role, Secret, Store, UserKind};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;

use super::notify::Notify;
use super::open;
use super::{ConfigFile, exit_code, refuse, remark, with_causes};
use crate::app::{App, Parts, RELOADED, StartError};
use crate::clock::Clock;
use crate::config::{Config, Environment, Log, LogFormat};
use crate::exchange::account::AccountError;
use crate::integration::Integrations;
use crate::integration::events::deliver::Deliveries;
use crate::observe::{ApplicationLog, audit};
use crate::upstream::health;

/// Run the gateway
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Serves until TERM or INT: then it stops accepting, lets requests that are being served end (public.limits.drain_timeout) and
exits; a second INT exits at once. HUP reads the configuration again, as `countersign reload` does.
COUNTERSIGN_ADMIN_USER and COUNTERSIGN_ADMIN_PASSWORD make the first admin account, where there is none yet.
The access log goes to stdout, the application's log to stderr.

Examples:
  countersign serve
  countersign serve --config conf/magento/countersign.toml
  COUNTERSIGN_PUBLIC_LISTEN=0.0.0.0:8080 countersign serve")]
pub(super) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
}

/// Serves until told to stop.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let loaded = match arguments.file.read() {
        Ok(loaded) => loaded,
        Err(faults) => return refuse(&faults),
    };
    let log = match log(&loaded.config.log) {
        Ok(log) => log,
        Err(error) => return super::fail(&format!("can't start a thread: {error}")),
    };
    tracing::info!(configuration = arguments.file.name(), "starting");
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    // The workers have runtimes of their own; this one is the admin listener's, the store's and the signals'.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let code = match runtime {
        Ok(runtime) => exit_code(runtime.block_on(serve(loaded.config, arguments.file.path().as_deref(), &log))),
        Err(error) => fail(&error),
    };
    // Who reads nothing more has nothing more to be told.
    log.finish(LAST_LINES);
    code
}

async fn serve(config: Config, path: Option<&Path>, log: &ApplicationLog) -> Result<(), ExitCode> {
    let (clock, environment) = (Clock::system(), Environment::of_process());
    let signals = Signals::catch().map_err(|error| fail(&error))?;
    let notify = Notify::of(&environment);
    let store = open::store(&config, clock, true)
        .await
        .map_err(|error| fail_to_open(&error, &config))?;
    // All end with the set.
    let mut background = JoinSet::new();
    if let Some(first) = First::of(&environment) {
        match first.make(&store, clock).await {
            Ok(()) => {}
            Err(AccountError::Store(error)) => {
                tracing::warn!(%error, "the first admin account waits for the store");
                background.spawn(first.make_when_the_store_is_back(Arc::clone(&store), clock));
            }
            Err(error) => return Err(fail(&format!("the first admin account can't be made: {error}"))),
        }
    }
    let app = App::start(&config, path, Arc::clone(&store), clock).map_err(|error| fail_to_start(&error))?;
    let lines = log.clone();
    let help = "Lines of the application's log that a slow or broken sink made drop.";
    let metrics = app.parts().metrics;
    metrics.gauge("log_dropped_lines_total", help, move || lines.dropped());
    let admin = open::admin(app.parts(), &config, app.addresses()).await;
    let (admin, integrations) = admin.map_err(|error| {
        let at = config.admin.listen;
        if error.kind() == std::io::ErrorKind::AddrInUse {
            fail(&StartError::InUse(at))
        } else {
            fail(&format!("can't open the admin listener on {at}: {error}"))
        }
    })?;
    for address in app.addresses() {
        tracing::info!(%address, "public listener is open");
    }
    tracing::info!(address = %admin.address(), "admin listener is open");
    say_what_to_sign(&config);
    notify.ready();
    background.spawn(app.parts().sweeps.run());
    background.spawn(deliveries(&app.parts(), &integrations)?.run());
    background.spawn(Arc::clone(&app.parts().noted).bring(Arc::clone(&store), clock));
    background.spawn(integrations.follow_configuration());
    background.spawn(health::check(Arc::clone(&app.parts().live)));
    let interrupt = signals.until_told_to_stop(&app.parts(), &notify).await;
    tokio::spawn(exit_at_next(interrupt));
    tracing::info!("draining");
    background.abort_all();
    notify.stopping();
    let noted = app.parts().noted;
    let drained = app.drain().await;
    noted.finish(&store).await;
    admin.stop().await;
    if let Err(error) = store.close().await {
        tracing::error!(%error, "the store did not close cleanly");
    }
    if drained {
        Ok(())
    } else {
        Err(fail(&"some requests were cut at the end of the drain"))
    }
}

/// Why serving failed is said as all else is: in the log, which stops nobody.
fn fail(error: &dyn Display) -> ExitCode {
    tracing::error!("{error}");
    ExitCode::FAILURE
}

fn deliveries(parts: &Parts, integrations: &Integrations) -> Result<Deliveries, ExitCode> {
    let (store, live) = (Arc::clone(&parts.store), Arc::clone(&parts.live));
    let (own, counts) = (Arc::clone(&integrations.own), Arc::clone(&parts.events));
    Deliveries::new(store, parts.clock, live, own, counts).map_err(|error| fail(&error))
}

/// A store whose secrets the keys don't open is a fault of the configuration; one that is away is not.
fn fail_to_open(error: &OpenError, config: &Config) -> ExitCode {
    let code = fail(&format!("the store can't be opened: {}", with_causes(error)));
    let folder = config.store.url.strip_prefix("embedded:").unwrap_or_default();
    match error {
        // A folder was meant.
        OpenError::File(..) if Path::new(folder).is_file() => {
            tracing::error!("{folder} is a file; store.url = \"embedded:FOLDER\" names a folder");
            ExitCode::from(super::EX_CONFIG)
        }
        OpenError::WrongKey
        | OpenError::KeyMissing
        | OpenError::KeyNeeded
        | OpenError::BadUrl(..)
        | OpenError::Unsafe(_) => ExitCode::from(super::EX_CONFIG),
        OpenError::Locked(_)
        | OpenError::Damaged(..)
        | OpenError::Emptied(_)
        | OpenError::File(..)
        | OpenError::Store(_) => code,
    }
}

fn fail_to_start(error: &StartError) -> ExitCode {
    let code = fail(error);
    match error {
        StartError::Live(_) | StartError::Descriptors(_) => ExitCode::from(super::EX_CONFIG),
        StartError::InUse(_)
        | StartError::Listen(..)
        | StartError::NoRandomness(_)
        | StartError::HashFailed(_)
        | StartError::Thread(_) => code,
    }
}

/// The first admin account, where there is none yet.
struct First {
    name: String,
    password: Secret,
}

impl First {
    fn of(environment: &Environment) -> Option<Self> {
        Some(Self {
            name: environment.get("COUNTERSIGN_ADMIN_USER")?,
            password: Secret::new(environment.get("COUNTERSIGN_ADMIN_PASSWORD")?),
        })
    }

    async fn make(&self, store: &Arc<dyn Store>, clock: Clock) -> Result<(), AccountError> {
        if !store.accounts(UserKind::Admin).await?.is_empty() {
            return Ok(());
        }
        let name = self.name.as_str();
        match open::create_admin(store, clock, (name, ""), &self.password, Role::Admin).await {
            Ok(_) => tracing::info!(name, "the first admin account was made from the environment"),
            // Another gateway on the same store was faster.
            Err(AccountError::Exists(_)) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// A gateway starts without its store, and serves when that is back; its first account comes then, too.
    async fn make_when_the_store_is_back(self, store: Arc<dyn Store>, clock: Clock) {
        loop {
            tokio::time::sleep(AGAIN).await;
            match self.make(&store, clock).await {
                Ok(()) => return,
                Err(AccountError::Store(_)) => {}
                Err(error) => return tracing::error!(%error, "the first admin account can't be made"),
            }
        }
    }
}

/// What nobody should have to find out from a failed signature.
fn say_what_to_sign(config: &Config) {
    match config.public.base_urls.as_slice() {
        [] => tracing::info!("clients must sign the URL that they call; set public.base_url to pin it"),
        urls => {
            for url in urls {
                tracing::info!(url = %url.with_slash(), "clients must sign URLs that begin with this");
            }
        }
    }
}

/// Caught from the start on: a HUP that comes early must not end the process.
struct Signals {
    term: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn catch() -> std::io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Returns when TERM or INT came, with what hears the next INT.
    async fn until_told_to_stop(mut self, parts: &Parts, notify: &Notify) -> Signal {
        loop {
            tokio::select! {
                _ = self.term.recv() => return self.interrupt,
                _ = self.interrupt.recv() => return self.interrupt,
                _ = self.hangup.recv() => {
                    notify.reloading(parts.clock);
                    // Who may send one is root or the gateway's own user; which person it was, the system doesn't say.
                    let entry = audit::of(parts.clock.now(), "signal", "HUP", RELOADED);
                    if parts.reload(entry).await.is_none() {
                        tracing::error!("the reload broke; the last good configuration stays");
                    }
                    notify.ready();
                }
            }
        }
    }
}

#[expect(clippy::exit, reason = "a second INT means: now, whatever is being served")]
async fn exit_at_next(mut interrupt: Signal) {
    if interrupt.recv().await.is_some() {
        std::process::exit(1);
    }
}

const AGAIN: Duration = Duration::from_secs(1);
/// For the log to be written to its end.
pub(super) const LAST_LINES: Duration = Duration::from_secs(1);

/// The application's log: stderr, apart from the access log. A panic is said there, too.
pub(super) fn log(config: &Log) -> std::io::Result<ApplicationLog> {
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;
    let is_terminal = std::io::stderr().is_terminal();
    let is_json = match config.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !is_terminal,
    };
    let filter = tracing_subscriber::filter::LevelFilter::from_level(config.level);
    let registry = tracing_subscriber::registry().with(filter);
    let log = ApplicationLog::start()?;
    let layer = tracing_subscriber::fmt::layer().with_writer(log.clone());
    let set = if is_json {
        registry.with(layer.json()).try_init()
    } else {
        registry.with(layer.with_ansi(is_terminal)).try_init()
    };
    if let Err(error) = set {
        remark(&format_args!("countersign: the log was set up already: {error}"));
    }
    // The usual hook waits for whoever reads stderr.
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "a defect of countersign")));
    Ok(log)
}
