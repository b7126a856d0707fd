//! `countersign serve`

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use token_store::{OpenError, Role, Secret, Store, UserKind};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::open::{self, AccountError};
use super::{ConfigFile, fail, refuse};
use crate::app::{App, Parts};
use crate::clock::Clock;
use crate::config::{Config, Environment, Log, LogFormat};

/// Runs the gateway until TERM or INT; HUP reads the configuration again.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
}

/// Serves until told to stop.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let (config, warnings) = match arguments.file.load() {
        Ok(loaded) => loaded,
        Err(faults) => return refuse(&faults),
    };
    log(&config.log);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    runtime.block_on(serve(config, arguments.file.path().as_deref()))
}

async fn serve(config: Config, path: Option<&Path>) -> ExitCode {
    let clock = Clock::system();
    let store = match open::store(&config, clock).await {
        Ok(store) => store,
        Err(error) => return fail_to_open(&error),
    };
    if let Err(error) = first_account(&store, clock).await {
        return fail(&error);
    }
    say_what_to_sign(&config);
    let app = match App::start(&config, path, Arc::clone(&store), clock) {
        Ok(app) => app,
        Err(error) => return fail(&error),
    };
    let serving = match open::admin(app.parts(), &config, app.addresses()).await {
        Ok(serving) => serving,
        Err(error) => {
            return fail(&format!(
                "can't open the admin listener on {}: {error}",
                config.admin.listen
            ));
        }
    };
    tracing::info!(address = %serving.address(), "admin listener is open");
    for address in app.addresses() {
        tracing::info!(%address, "public listener is open");
    }
    let parts = app.parts();
    if let Err(error) = until_told(&parts).await {
        return fail(&error);
    }
    tracing::info!("draining");
    let drained = app.drain().await;
    serving.stop().await;
    if let Err(error) = store.close().await {
        tracing::error!(%error, "the store did not close cleanly");
    }
    if drained {
        ExitCode::SUCCESS
    } else {
        fail(&"some requests were cut at the end of the drain")
    }
}

/// A store whose secrets the keys don't open is a fault of the configuration; one that is away is not.
fn fail_to_open(error: &OpenError) -> ExitCode {
    let code = fail(error);
    match error {
        OpenError::WrongKey | OpenError::KeyNeeded | OpenError::BadUrl(..) | OpenError::Unsafe(_) => {
            ExitCode::from(super::EX_CONFIG)
        }
        OpenError::Locked(_) | OpenError::File(..) | OpenError::Store(_) => code,
    }
}

/// The first admin account, from the environment, where there is none yet.
async fn first_account(store: &Arc<dyn Store>, clock: Clock) -> Result<(), AccountError> {
    let environment = Environment::of_process();
    let (Some(name), Some(password)) = (
        environment.get("COUNTERSIGN_ADMIN_USER"),
        environment.get("COUNTERSIGN_ADMIN_PASSWORD"),
    ) else {
        return Ok(());
    };
    if !store.accounts(UserKind::Admin).await?.is_empty() {
        return Ok(());
    }
    open::create_admin(store, clock, (&name, ""), &Secret::new(password), Role::Admin).await?;
    tracing::info!(name, "the first admin account was made from the environment");
    Ok(())
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

/// Returns when TERM or INT came; a second INT ends the process at once.
async fn until_told(parts: &Parts) -> std::io::Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = term.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                let parts = parts.clone();
                // Reads files: not on the runtime's own threads.
                if tokio::task::spawn_blocking(move || parts.reload()).await.is_err() {
                    tracing::error!("the reload broke; the last good configuration stays");
                }
            }
        }
    }
    tokio::spawn(exit_at_second(interrupt));
    Ok(())
}

#[expect(clippy::exit, reason = "a second INT means: now, whatever is being served")]
async fn exit_at_second(mut interrupt: Signal) {
    if interrupt.recv().await.is_some() {
        std::process::exit(1);
    }
}

/// The application's log: stderr, apart from the access log.
pub(super) fn log(config: &Log) {
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;
    let filter = tracing_subscriber::filter::LevelFilter::from_level(config.level);
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let is_json = match config.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !std::io::stderr().is_terminal(),
    };
    let set = if is_json {
        registry.with(layer.json()).try_init()
    } else {
        registry.with(layer).try_init()
    };
    if let Err(error) = set {
        eprintln!("countersign: the log was set up already: {error}");
    }
}
