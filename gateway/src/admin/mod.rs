//! The admin listener: API, health, metrics. Never on the public listener.
//!
//! The same router serves the control socket beside an embedded store (mode 0600): who can open it owns the store anyway,
//! so `countersign admin create` works while the gateway runs.

pub mod access;
pub mod accounts;
pub mod answer;
pub mod ask;
pub mod audit;
pub mod consumers;
pub mod customers;
pub mod events;
pub mod explain;
pub mod integrations;
pub mod login_success;
pub mod openapi;
pub mod page;
mod patience;
pub mod rejections;
pub mod routing;
pub mod session;
mod sse;
pub mod status;
pub mod sweeps;
pub mod tokens;
pub mod traffic;
mod ui;
pub mod usage;

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::access::Origin;
use self::answer::ApiError;
use self::integrations::{activation, debug_token};
use self::patience::{PATIENCE, Patience};
use crate::app::Parts;
use crate::clock::Clock;
use crate::exchange::account::Accounts;
use crate::integration::Integrations;
use crate::listen::count::{Counted, Counts};
use crate::observe::Seldom;

/// What every handler works on.
#[derive(Clone)]
pub struct Context {
    /// The gateway.
    pub parts: Parts,
    /// Integrations.
    pub integrations: Integrations,
}

impl Context {
    /// Admin accounts.
    pub fn accounts(&self) -> Accounts {
        let passwords = self.parts.users.passwords().clone();
        Accounts::new(Arc::clone(&self.parts.store), self.parts.clock, passwords)
    }
}

/// An open admin listener.
pub struct Serving {
    address: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
    socket: Option<PathBuf>,
}

/// Serves on the admin listener, and on the control socket at `socket`.
pub fn serve(context: Context, listener: TcpListener, socket: Option<&Path>) -> io::Result<Serving> {
    let address = listener.local_addr()?;
    let watching = context.clone();
    let tasks = TaskTracker::new();
    let whole = axum::middleware::from_fn_with_state(tasks.clone(), to_its_end);
    let connections = Connections {
        router: router(context).layer(whole),
        stop: CancellationToken::new(),
        tasks,
        clock: watching.parts.clock,
        over_network: Counts::new(CONNECTIONS),
        over_socket: Counts::new(SOCKET_CONNECTIONS),
        refused: Arc::default(),
        said: Arc::default(),
    };
    let refused = Arc::clone(&connections.refused);
    let help = "Connections to the admin listener or the control socket that were closed at a bound.";
    let metrics = &watching.parts.metrics;
    metrics.gauge("admin_connections_refused_total", help, move || {
        refused.load(Ordering::Relaxed)
    });
    connections
        .tasks
        .spawn(traffic::watch(watching, connections.stop.clone()));
    connections.tasks.spawn(over_tcp(connections.clone(), listener));
    if let Some(path) = socket {
        connections
            .tasks
            .spawn(over_socket(connections.clone(), control_socket(path)?));
    }
    connections.tasks.close();
    let Connections { stop, tasks, .. } = connections;
    Ok(Serving {
        address,
        stop,
        tasks,
        socket: socket.map(Path::to_owned),
    })
}

impl Serving {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the listener; requests that are being served end first, for a moment.
    pub async fn stop(self) {
        self.stop.cancel();
        if tokio::time::timeout(DRAIN, self.tasks.wait()).await.is_err() {
            tracing::warn!("admin requests were cut");
        }
        if let Some(path) = &self.socket
            && let Err(error) = std::fs::remove_file(path)
        {
            tracing::debug!(%error, "the control socket was gone already");
        }
    }
}

/// What may change something is done to its end, though its client is gone before: a change of several steps must not stop
/// between two of them, nor before its entry in the audit log.
async fn to_its_end(State(tasks): State<TaskTracker>, request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let served = tasks.spawn(next.run(request)).await;
    served.unwrap_or_else(|_| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal Error.").into_response())
}

fn router(context: Context) -> Router {
    let api: Router<Context> = Router::new().nest("/api/v1", api());
    // The console calls the API as any client does, but in the process.
    let console = ui::router(context.clone(), api.clone().with_state(context.clone()));
    api.route("/health/live", get(status::live))
        .route("/health/ready", get(status::ready))
        .route("/metrics", get(status::metrics))
        .with_state(context)
        .merge(console)
        .method_not_allowed_fallback(answer::method_not_allowed)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
}

fn api() -> Router<Context> {
    Router::new()
        .route("/tokens", get(tokens::list).post(tokens::sign_in))
        .route("/tokens/{id}", delete(tokens::revoke))
        .route("/integrations", get(integrations::list).post(integrations::create))
        .route(
            "/integrations/{id}",
            get(integrations::show)
                .put(integrations::update)
                .delete(integrations::remove),
        )
        .route(
            "/integrations/{id}/resources",
            get(integrations::resources::show)
                .put(integrations::resources::grant)
                .delete(integrations::resources::ungrant),
        )
        .route("/integrations/{id}/activate", post(activation::activate))
        .route("/integrations/{id}/reauthorize", post(activation::reauthorize))
        .route("/integrations/{id}/deactivate", post(activation::deactivate))
        .route("/integrations/{id}/rotate-secret", post(activation::rotate_secret))
        .route("/integrations/{id}/handshake", get(activation::handshake))
        .route("/integrations/{id}/debug-token", post(debug_token::issue))
        .route("/rejections", get(rejections::list))
        .route("/rejections/{request_id}", get(rejections::show))
        .route("/explain", post(explain::pasted))
        .route("/consumers", get(consumers::find).post(consumers::create))
        .route("/consumers/{id}", get(consumers::show).delete(consumers::remove))
        .route(
            "/consumers/{id}/access-token",
            get(consumers::access_token)
                .post(consumers::create_access_token)
                .delete(consumers::delete_access_token),
        )
        .route("/consumers/{id}/verifier", post(consumers::post_verifier))
        .route("/audit", get(audit::list))
        .route("/events", get(events::listen))
        .route("/events/dead", get(events::dead))
        .route("/events/dead/replay", post(events::replay_all))
        .route("/events/dead/{name}/replay", post(events::replay))
        .route("/sweeps", get(sweeps::list))
        .route("/sweeps/{name}", post(sweeps::run))
        .route("/admins", get(accounts::list).post(accounts::create))
        .route("/admins/{id}", get(accounts::show).put(accounts::update))
        .route("/admins/{id}/disable", post(accounts::disable))
        .route("/admins/{id}/enable", post(accounts::enable))
        .route("/admins/{id}/password", post(accounts::set_password))
        .route("/admins/{id}/totp", post(accounts::enrol).delete(accounts::remove_totp))
        .route("/admins/{id}/totp/confirm", post(accounts::confirm))
        .route("/admins/{id}/tokens", delete(accounts::revoke))
        .route("/customers", get(customers::list).post(customers::create))
        .route("/customers/{id}", get(customers::show).delete(customers::remove))
        .route("/customers/{id}/tokens", delete(accounts::revoke_customer))
        .route("/resources", get(status::resources))
        .route("/routes", get(routing::routes))
        .route("/routes/test", post(routing::test))
        .route("/upstreams", get(routing::upstreams))
        .route("/limits", get(routing::limits))
        .route("/usage", get(usage::list))
        .route("/traffic", get(traffic::show))
        .route("/openapi.json", get(openapi::show))
        .route("/reload", post(status::reload))
        .route("/store/reseal", post(status::reseal))
}

/// What both listeners share.
#[derive(Clone)]
struct Connections {
    router: Router,
    stop: CancellationToken,
    tasks: TaskTracker,
    clock: Clock,
    over_network: Arc<Counts>,
    /// Of its own: who crowds the listener must not lock out who owns the machine.
    over_socket: Arc<Counts>,
    refused: Arc<AtomicU64>,
    said: Arc<Seldom>,
}

async fn over_tcp(connections: Connections, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            () = connections.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => connections.serve(stream, Origin::Network(peer.ip())),
            Err(error) => pause(&error).await,
        }
    }
}

async fn over_socket(connections: Connections, listener: UnixListener) {
    loop {
        let accepted = tokio::select! {
            () = connections.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => connections.serve(stream, Origin::ControlSocket),
            Err(error) => pause(&error).await,
        }
    }
}

async fn pause(error: &io::Error) {
    tracing::warn!(%error, "admin accept failed");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

impl Connections {
    fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, stream: S, origin: Origin) {
        let admitted = match origin {
            Origin::Network(address) => {
                Counts::admit(&self.over_network, CONNECTIONS_OF_ADDRESS, Some(address.to_canonical()))
            }
            Origin::ControlSocket => Counts::admit(&self.over_socket, SOCKET_CONNECTIONS, None),
        };
        // Over the bound the connection is closed at once: the admin listener stays usable.
        let Some(counted) = admitted else {
            self.refused.fetch_add(1, Ordering::Relaxed);
            let from = match origin {
                Origin::Network(address) => address.to_string(),
                Origin::ControlSocket => "the control socket".to_owned(),
            };
            if let Some(unsaid) = self.said.say("refused", self.clock.instant()) {
                tracing::warn!(from, unsaid, "an admin connection was closed: too many are open");
            }
            return;
        };
        let router = self.router.clone().layer(Extension(origin));
        self.tasks
            .spawn(connection(stream, router, self.stop.clone(), PATIENCE, counted));
    }
}

async fn connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    router: Router,
    stop: CancellationToken,
    patience: Patience,
    _counted: Counted,
) {
    let timed = move |request| std::future::ready(patience.timed(request));
    let router = router.layer(axum::middleware::map_request(timed));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(patience.sending(stream)), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "admin connection ended");
    }
}

/// For its owner only. One that a killed process left behind is replaced; one that answers is not.
fn control_socket(path: &Path) -> io::Result<UnixListener> {
    if path.exists() {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

const CONNECTIONS: usize = 256;
/// More than sign-ins may be under way, so that these are told to come again instead of being closed.
const CONNECTIONS_OF_ADDRESS: usize = 192;
const SOCKET_CONNECTIONS: usize = 64;
const LARGEST_BODY: usize = 1024 * 1024;
/// What is read before a head counts as too large; the last read may go beyond.
const LARGEST_HEAD: usize = 64 * 1024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const DRAIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
    use tokio::task::JoinHandle;
    use tokio::time::timeout;

    use super::*;

    const SHORT: Patience = Patience {
        head: Duration::from_millis(200),
        body: Duration::from_millis(200),
        answer: Duration::from_millis(200),
    };
    /// No test waits for it: it is for a machine with much else to do.
    const LONG: Duration = Duration::from_secs(20);

    /// A client that has sent something, and the connection's task on the listener's side.
    async fn opened(sent: &str) -> (DuplexStream, JoinHandle<()>) {
        let router = Router::new()
            .route("/", post(async |body: Bytes| body))
            .route("/large", get(async || "x".repeat(1 << 20)));
        let (mut client, server) = tokio::io::duplex(1024);
        let counted = Counts::admit(&Counts::new(1), 1, None).unwrap();
        let serving = tokio::spawn(connection(server, router, CancellationToken::new(), SHORT, counted));
        client.write_all(sent.as_bytes()).await.unwrap();
        (client, serving)
    }

    #[tokio::test]
    async fn a_body_that_never_comes_is_refused_and_its_connection_free_again() {
        let (mut client, serving) = opened("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx").await;

        let mut said = String::new();
        timeout(LONG, client.read_to_string(&mut said)).await.unwrap().unwrap();
        timeout(LONG, serving).await.unwrap().unwrap();

        assert!(said.starts_with("HTTP/1.1 400 "), "{said}");
        assert!(said.contains("did not come within 200ms"), "{said}");
    }

    #[tokio::test]
    async fn a_body_that_drips_is_not_waited_for_longer() {
        let (mut client, serving) = opened("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n").await;

        let dripping = async {
            while client.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };

        timeout(LONG, dripping).await.unwrap();
        timeout(LONG, serving).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn an_answer_that_nobody_takes_is_thrown_away() {
        let (_client, serving) = opened("GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await;

        timeout(LONG, serving).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn who_sends_no_request_is_let_go() {
        let (_client, serving) = opened("").await;

        timeout(LONG, serving).await.unwrap().unwrap();
    }
}
