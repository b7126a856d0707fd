//! `countersign sandbox`: everything in one process, nothing to install, nothing left behind.
//!
//! A demo storefront, the gateway in front of it on an embedded store in a scratch folder, and a demo integration whose
//! callback endpoint really receives the verifier and performs the handshake. The integration signs with a client library
//! of its own, not with our verifier's code: what verifies here was signed by somebody else.

mod check;
mod partner;
mod server;
mod storefront;

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use token_store::{Grant, NewIntegration, Role, Secret, Setup, Store};
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::partner::Partner;
use super::open;
use super::serve::LAST_LINES;
use super::sign::quoted;
use super::{fail, remark, say};
use crate::admin::Serving;
use crate::app::{App, StartError};
use crate::clock::Clock;
use crate::config::{Config, Environment, Faults};
use crate::integration::Integrations;
use crate::integration::activation::Renewal;
use crate::integration::address::OwnAddresses;
use crate::listen::descriptors::TooFew;
use crate::observe::ApplicationLog;
use crate::random;

/// Try everything in one process: a demo storefront, an integration that does the handshake, signed calls to paste
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nothing to install and nothing left behind: the store is a scratch folder that goes with the process. Ports from 8080, 8081
and 9090 on, each the next that is free. Runs until INT, TERM or HUP; a second one ends it at once.

Examples:
  countersign sandbox
  countersign sandbox --check")]
pub(super) struct Arguments {
    /// Do the handshake, a signed call, its replay (refused) and a call without grant (refused), print each step, and exit 0
    /// or 1
    #[arg(long)]
    check: bool,
}

/// Everything that runs.
struct Sandbox {
    app: App,
    serving: Serving,
    store: Arc<dyn Store>,
    log: Option<ApplicationLog>,
    public: SocketAddr,
    storefront: SocketAddr,
    password: Secret,
    tokens: partner::Tokens,
}

/// Why the sandbox could not start. Every step names itself.
type Trouble = Box<dyn std::error::Error + Send + Sync>;

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let check = arguments.check;
    match runtime.block_on(async move { if check { checked().await } else { served().await } }) {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

/// TERM, INT and HUP: each ends the sandbox, and its folder goes with it.
struct Signals {
    term: Signal,
    interrupt: Signal,
    /// `None`: `nohup` wants it to live on.
    hangup: Option<Signal>,
}

impl Signals {
    fn catch() -> std::io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: if is_hangup_ignored() {
                None
            } else {
                Some(signal(SignalKind::hangup())?)
            },
        })
    }

    async fn any(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => drop(hangup.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.interrupt.recv() => {}
            () = hangup => {}
        }
    }
}

/// Whether who started us set HUP to be ignored: the lowest bit of the mask that Linux shows.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 1 == 1))
}

async fn checked() -> Result<ExitCode, Trouble> {
    let mut signals = Signals::catch()?;
    let scratch = scratch()?;
    let rehearsed = async {
        let sandbox = start(scratch.path(), true).await?;
        let outcome = check::run(&sandbox).await;
        stop(sandbox).await;
        Ok(outcome)
    };
    let outcome: Result<(String, bool), Trouble> = tokio::select! {
        outcome = rehearsed => outcome,
        () = signals.any() => Err("interrupted; nothing is left behind".into()),
    };
    remove(scratch).await;
    let (told, passed) = outcome?;
    Ok(match say(&told) {
        Ok(()) if passed => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(code) => code,
    })
}

async fn served() -> Result<ExitCode, Trouble> {
    let mut signals = Signals::catch()?;
    let scratch = scratch()?;
    let ended = until_told_to_stop(scratch.path(), &mut signals).await;
    remove(scratch).await;
    ended
}

async fn until_told_to_stop(scratch: &Path, signals: &mut Signals) -> Result<ExitCode, Trouble> {
    const STOPPING: &str = "stopping; nothing is left behind";
    let sandbox = tokio::select! {
        sandbox = start(scratch, false) => sandbox?,
        () = signals.any() => {
            remark(&STOPPING);
            return Ok(ExitCode::SUCCESS);
        }
    };
    let introduced = say(&introduction(&sandbox, scratch)?);
    if introduced.is_ok() {
        signals.any().await;
        remark(&STOPPING);
    }
    // A second signal means: now, whatever is being served.
    tokio::select! {
        () = stop(sandbox) => Ok(introduced.err().unwrap_or(ExitCode::SUCCESS)),
        () = signals.any() => Ok(ExitCode::FAILURE),
    }
}

fn scratch() -> std::io::Result<TempDir> {
    tempfile::Builder::new().prefix("countersign-sandbox-").tempdir()
}

/// Takes the folder away. What was stopped halfway may still be writing into it for a moment.
async fn remove(scratch: TempDir) {
    for _ in 0..TRIES {
        if std::fs::remove_dir_all(scratch.path()).is_ok() {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    if scratch.path().exists()
        && let Err(error) = scratch.close()
    {
        remark(&format_args!("the scratch folder could not be removed: {error}"));
    }
}

async fn start(scratch: &Path, quiet: bool) -> Result<Sandbox, Trouble> {
    let clock = Clock::system();
    let storefront = storefront::start().await?;
    let partner = Partner::start().await?;
    let mut addresses = Addresses {
        public: free_port(8080)?,
        admin: free_port(9090)?,
        storefront,
        partner: partner.address(),
    };
    let mut config = addresses.configuration(scratch)?;
    let log = (!quiet).then(|| super::serve::log(&config.log)).transpose()?;
    let store = open::store(&config, clock, true).await?;
    let password = random::secret()?;
    open::create_admin(&store, clock, ("admin", ""), &password, Role::Admin).await?;
    // Another sandbox that starts at the same moment may be faster at a port.
    let app = loop {
        match App::start(&config, None, Arc::clone(&store), clock) {
            // Its key is none that anybody could lower.
            Err(StartError::Descriptors(TooFew { needed, allowed, .. })) => {
                let what =
                    format!("{needed} file descriptors are needed, {allowed} are allowed: raise the limit (ulimit -n)");
                return Err(what.into());
            }
            Err(StartError::InUse(taken)) => addresses.public = free_port(taken.port().saturating_add(1))?,
            started => break started?,
        }
        config = addresses.configuration(scratch)?;
    };
    let (serving, _integrations) = loop {
        match open::admin(app.parts(), &config, app.addresses()).await {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                config.admin.listen = free_port(config.admin.listen.port().saturating_add(1))?;
            }
            opened => break opened?,
        }
    };
    // The first start of a store has a second of its own that nothing signed in it may be served in.
    Partner::expect_handshake();
    activate(&app, &store, clock, partner.address()).await?;
    let tokens = Partner::tokens(HANDSHAKE)
        .await
        .ok_or("the demo integration did not finish its handshake")?;
    write_profile(&scratch.join(PROFILE), &tokens)?;
    Ok(Sandbox {
        app,
        serving,
        store,
        log,
        public: addresses.public,
        storefront,
        password,
        tokens,
    })
}

async fn stop(sandbox: Sandbox) {
    sandbox.app.drain().await;
    sandbox.serving.stop().await;
    if let Err(error) = sandbox.store.close().await {
        tracing::debug!(%error, "the scratch store did not close cleanly");
    }
    if let Some(log) = sandbox.log {
        log.finish(LAST_LINES);
    }
}

async fn activate(app: &App, store: &Arc<dyn Store>, clock: Clock, partner: SocketAddr) -> Result<(), Trouble> {
    let own = OwnAddresses {
        addresses: app.addresses().to_vec(),
        names: Vec::new(),
    };
    let parts = app.parts();
    let integrations = Integrations::new(Arc::clone(store), clock, parts.live, own, parts.handshakes);
    let granted = [
        "Magento_Catalog::products",
        "Magento_Sales::actions_view",
        "Magento_Sales::create",
    ];
    let made = integrations
        .create(NewIntegration {
            name: "Demo integration".to_owned(),
            email: "demo@example.com".to_owned(),
            endpoint: Some(format!("http://{partner}/callback")),
            identity_link_url: None,
            setup: Setup::Manual,
            grant: Grant::Listed(granted.into_iter().map(str::to_owned).collect::<BTreeSet<_>>()),
            signature_methods: None,
            rsa_public_key: None,
            two_legged: false,
            placements: None,
            callback_urls: Vec::new(),
            flags: BTreeSet::new(),
        })
        .await?;
    let id = made
        .integration
        .as_ref()
        .map(|one| one.id)
        .ok_or("the integration has no number")?;
    integrations.activate(id, None, None, Renewal::Keep).await?;
    Ok(())
}

/// The first free port from `from` on: a second sandbox runs beside the first.
fn free_port(from: u16) -> Result<SocketAddr, Trouble> {
    let free = (from..from.saturating_add(200))
        .map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
        .find(|address| TcpListener::bind(address).is_ok());
    free.ok_or_else(|| format!("no port is free from {from} on").into())
}

/// Who listens where.
struct Addresses {
    public: SocketAddr,
    admin: SocketAddr,
    storefront: SocketAddr,
    partner: SocketAddr,
}

impl Addresses {
    fn configuration(&self, scratch: &Path) -> Result<Config, Faults> {
        let Self {
            public,
            admin,
            storefront,
            partner,
        } = self;
        let store = scratch.join("store");
        let text = format!(
            r#"
[public]
listen = ["{public}"]
base_url = "http://{public}"
[public.limits]
connections = 1000
[admin]
listen = "{admin}"
[store]
url = "embedded:{}"
[callbacks]
allow = ["127.0.0.1/32:{}"]
[log]
access = false
format = "text"
level = "warn"
[upstreams.storefront]
targets = ["http://{storefront}"]
{}"#,
            store.display(),
            partner.port(),
            include_str!("routes.toml")
        );
        let (config, _) = Config::parse(&text, "sandbox", &Environment::default())?;
        Ok(config)
    }
}

fn write_profile(path: &Path, tokens: &partner::Tokens) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "consumer_key = \"{}\"", tokens.consumer_key)?;
    writeln!(file, "consumer_secret = \"{}\"", tokens.consumer_secret.expose())?;
    writeln!(file, "token_key = \"{}\"", tokens.token)?;
    writeln!(file, "token_secret = \"{}\"", tokens.token_secret.expose())
}

/// The URLs, the credentials, and lines to paste.
fn introduction(sandbox: &Sandbox, scratch: &Path) -> std::io::Result<String> {
    let executable: PathBuf = std::env::current_exe()?;
    let executable = quoted(&executable.display().to_string());
    let profile = quoted(&scratch.join(PROFILE).display().to_string());
    let base = format!("http://{}", sandbox.public);
    let signed = |method: &str, path: &str, more: &str| {
        let url = quoted(&format!("{base}{path}"));
        format!(
            "curl -s -g -X {method} -H \"$({executable} sign {method} {url} --profile {profile})\"{more} {url}; echo"
        )
    };
    let json = "-H 'Content-Type: application/json' -d";
    let order = format!(" {json} '{{\"entity\":{{\"increment_id\":\"100000099\"}}}}'");
    let password = sandbox.password.expose();
    let body = quoted(&format!("{{\"username\":\"admin\",\"password\":\"{password}\"}}"));
    let token = format!("curl -s -X POST {json} {body} '{base}/rest/V1/integration/admin/token' | tr -d '\"'");
    Ok(format!(
        "\
The sandbox is open. Press Ctrl-C to end it.

  public listener   {base}/   (integrations call and sign this)
  admin listener    http://{admin}/   (the console; its API under /api/v1)
  demo storefront   http://{storefront}/   (what is protected)
  admin account     admin / {password}
  integration       Demo integration: handshake done, active
    consumer key    {consumer_key}
    consumer secret {consumer_secret}
    access token    {access_token}
    token secret    {token_secret}

Paste these into another terminal, as often as you like: each time they sign afresh.

  # a product
  {product}

  # orders, with brackets in the query
  {orders}

  # a new order
  {new_order}

  # a customer: refused, the integration has no grant for it
  {refused}

  # the same with an admin's token, which opens everything
  curl -s -H \"Authorization: Bearer $({token})\" '{base}/rest/V1/customers/1'; echo",
        admin = sandbox.serving.address(),
        storefront = sandbox.storefront,
        consumer_key = sandbox.tokens.consumer_key,
        consumer_secret = sandbox.tokens.consumer_secret.expose(),
        access_token = sandbox.tokens.token,
        token_secret = sandbox.tokens.token_secret.expose(),
        product = signed("GET", "/rest/V1/products/24-MB01", ""),
        orders = signed("GET", "/rest/V1/orders?searchCriteria[pageSize]=2", ""),
        new_order = signed("POST", "/rest/V1/orders", &order),
        refused = signed("GET", "/rest/V1/customers/1", ""),
    ))
}

const PROFILE: &str = "profile.toml";
const HANDSHAKE: Duration = Duration::from_secs(20);
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);
