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

use token_store::{Grant, NewIntegration, Role, Secret, Setup, Store};
use tokio::signal::unix::{SignalKind, signal};

use self::partner::Partner;
use super::fail;
use super::open;
use super::sign::quoted;
use crate::admin::Serving;
use crate::app::App;
use crate::clock::Clock;
use crate::config::{Config, Environment};
use crate::integration::Integrations;
use crate::integration::activation::Renewal;
use crate::integration::address::OwnAddresses;
use crate::random;

/// Try everything in one process: a demo storefront, an integration that does the handshake, signed calls to paste
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nothing to install and nothing left behind: the store is a scratch folder that goes with the process. Ports from 8080, 8081
and 9090 on, each the next that is free. Runs until INT or TERM.

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
    scratch: tempfile::TempDir,
    app: App,
    serving: Serving,
    store: Arc<dyn Store>,
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

async fn checked() -> Result<ExitCode, Trouble> {
    let sandbox = start(true).await?;
    let passed = check::run(&sandbox).await;
    stop(sandbox).await;
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn served() -> Result<ExitCode, Trouble> {
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let sandbox = start(false).await?;
    say(&sandbox)?;
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
    eprintln!("stopping; nothing is left behind");
    tokio::spawn(super::serve::exit_at_next(interrupt));
    stop(sandbox).await;
    Ok(ExitCode::SUCCESS)
}

async fn start(quiet: bool) -> Result<Sandbox, Trouble> {
    let clock = Clock::system();
    let scratch = tempfile::Builder::new().prefix("countersign-sandbox-").tempdir()?;
    let storefront = storefront::start(free_port(8081)?).await?;
    let partner = Partner::start().await?;
    let (public, admin) = (free_port(8080)?, free_port(9090)?);
    let text = configuration(scratch.path(), [public, admin, storefront, partner.address()]);
    let (config, _) = Config::parse(&text, "sandbox", &Environment::default())?;
    if !quiet {
        super::serve::log(&config.log);
    }
    let store = open::store(&config, clock).await?;
    let password = random::secret()?;
    open::create_admin(&store, clock, ("admin", ""), &password, Role::Admin).await?;
    let app = App::start(&config, None, Arc::clone(&store), clock)?;
    let (serving, _integrations) = open::admin(app.parts(), &config, app.addresses()).await?;
    // The first start of a store has a second of its own that nothing signed in it may be served in.
    Partner::expect_handshake();
    activate(&app, &store, clock, partner.address()).await?;
    let tokens = Partner::tokens(HANDSHAKE)
        .await
        .ok_or("the demo integration did not finish its handshake")?;
    write_profile(&scratch.path().join(PROFILE), &tokens)?;
    Ok(Sandbox {
        scratch,
        app,
        serving,
        store,
        public,
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
    if let Err(error) = sandbox.scratch.close() {
        eprintln!("the scratch folder could not be removed: {error}");
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
    integrations.activate(id, None, Renewal::Keep).await?;
    Ok(())
}

/// The first free port from `from` on: a second sandbox runs beside the first.
fn free_port(from: u16) -> Result<SocketAddr, Trouble> {
    let free = (from..from.saturating_add(200))
        .map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
        .find(|address| TcpListener::bind(address).is_ok());
    free.ok_or_else(|| format!("no port is free from {from} on").into())
}

fn configuration(scratch: &Path, [public, admin, storefront, partner]: [SocketAddr; 4]) -> String {
    let store = scratch.join("store");
    format!(
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
    )
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

fn say(sandbox: &Sandbox) -> Result<(), Trouble> {
    let executable: PathBuf = std::env::current_exe()?;
    let executable = quoted(&executable.display().to_string());
    let profile = quoted(&sandbox.scratch.path().join(PROFILE).display().to_string());
    let base = format!("http://{}", sandbox.public);
    let signed = |method: &str, path: &str, more: &str| {
        let url = quoted(&format!("{base}{path}"));
        format!(
            "curl -s -g -X {method} -H \"$({executable} sign {method} {url} --profile {profile})\"{more} {url}; echo"
        )
    };
    println!("The sandbox is open. Press Ctrl-C to end it.\n");
    println!("  public listener   {base}/   (integrations call and sign this)");
    println!(
        "  admin listener    http://{}/   (API under /api/v1)",
        sandbox.serving.address()
    );
    println!(
        "  demo storefront   http://{}/   (what is protected)",
        sandbox.storefront
    );
    println!("  admin account     admin / {}", sandbox.password.expose());
    println!("  integration       Demo integration: handshake done, active");
    println!("    consumer key    {}", sandbox.tokens.consumer_key);
    println!("    consumer secret {}", sandbox.tokens.consumer_secret.expose());
    println!("    access token    {}", sandbox.tokens.token);
    println!("    token secret    {}", sandbox.tokens.token_secret.expose());
    println!("\nPaste these into another terminal, as often as you like: each time they sign afresh.\n");
    println!("  # a product\n  {}\n", signed("GET", "/rest/V1/products/24-MB01", ""));
    println!(
        "  # orders, with brackets in the query\n  {}\n",
        signed("GET", "/rest/V1/orders?searchCriteria[pageSize]=2", "")
    );
    let order = " -H 'Content-Type: application/json' -d '{\"entity\":{\"increment_id\":\"100000099\"}}'";
    println!("  # a new order\n  {}\n", signed("POST", "/rest/V1/orders", order));
    println!(
        "  # a customer: refused, the integration has no grant for it\n  {}\n",
        signed("GET", "/rest/V1/customers/1", "")
    );
    println!("  # an admin's token, and what it opens");
    let body = format!(
        "{{\"username\":\"admin\",\"password\":\"{}\"}}",
        sandbox.password.expose()
    );
    println!(
        "  curl -s -X POST -H 'Content-Type: application/json' -d {} '{base}/rest/V1/integration/admin/token'; echo",
        quoted(&body)
    );
    Ok(())
}

const PROFILE: &str = "profile.toml";
const HANDSHAKE: Duration = Duration::from_secs(20);
