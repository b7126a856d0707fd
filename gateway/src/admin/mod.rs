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
pub mod integrations;
pub mod status;
pub mod sweeps;
pub mod tokens;

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension};
use axum::routing::{delete, get, post};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::access::Origin;
use self::integrations::activation;
use crate::app::Parts;
use crate::integration::Integrations;

/// What every handler works on.
#[derive(Clone)]
pub struct Context {
    /// The gateway.
    pub parts: Parts,
    /// Integrations.
    pub integrations: Integrations,
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
    let connections = Connections {
        router: router(context),
        stop: CancellationToken::new(),
        tasks: TaskTracker::new(),
        turns: Arc::new(Semaphore::new(CONNECTIONS)),
    };
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

fn router(context: Context) -> Router {
    let api = Router::new()
        .route("/tokens", post(tokens::sign_in))
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
        .route("/sweeps", get(sweeps::list))
        .route("/sweeps/{name}", post(sweeps::run))
        .route("/admins", get(accounts::list).post(accounts::create))
        .route("/admins/{id}/tokens", delete(accounts::revoke))
        .route("/customers/{id}/tokens", delete(accounts::revoke_customer))
        .route("/resources", get(status::resources))
        .route("/reload", post(status::reload));
    Router::new()
        .nest("/api/v1", api)
        .route("/health/live", get(status::live))
        .route("/health/ready", get(status::ready))
        .route("/metrics", get(status::metrics))
        .fallback(answer::not_found)
        .method_not_allowed_fallback(answer::method_not_allowed)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(context)
}

/// What both listeners share.
#[derive(Clone)]
struct Connections {
    router: Router,
    stop: CancellationToken,
    tasks: TaskTracker,
    turns: Arc<Semaphore>,
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
        // Over the bound the connection is closed at once: the admin listener stays usable.
        let Ok(turn) = Arc::clone(&self.turns).try_acquire_owned() else {
            return;
        };
        let router = self.router.clone().layer(Extension(origin));
        self.tasks.spawn(connection(stream, router, self.stop.clone(), turn));
    }
}

async fn connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    router: Router,
    stop: CancellationToken,
    _turn: OwnedSemaphorePermit,
) {
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
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
const LARGEST_BODY: usize = 1024 * 1024;
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const DRAIN: Duration = Duration::from_secs(5);
