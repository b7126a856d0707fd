//! The one place that wires every part, leaves first: store, workers, listeners; and that reloads and shuts them down.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde_json::json;
use token_store::{NewAuditEntry, Store};
use tokio_util::sync::CancellationToken;

use crate::authenticate::jwt::Jwts;
use crate::authenticate::secret_use::Noted;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::exchange::password::HashFailed;
use crate::exchange::user_token::UserTokens;
use crate::exchange::voucher::Voucher;
use crate::explain::live::Explainer;
use crate::integration::events;
use crate::integration::events::deliver::Counts as EventCounts;
use crate::integration::handshake::Handshakes;
use crate::integration::sweep::Sweeps;
use crate::listen::count::Counts;
use crate::listen::descriptors::{self, TooFew};
use crate::listen::{Accept, Stop, bind, in_use};
use crate::live::{Live, LiveError};
use crate::observe::access_log::AccessLogWriter;
use crate::observe::{AccessLog, Metrics, Usage, audit};
use crate::proxy::assertion::Assertions;
use crate::random::NoRandomness;
use crate::request_id::RequestIds;
use crate::service::{Worker, WorkerParts};
use crate::upstream::board::Board;
use crate::upstream::health;

/// A gateway that serves.
pub struct App {
    parts: Parts,
    addresses: Vec<SocketAddr>,
    workers: Vec<JoinHandle<()>>,
    log: AccessLogWriter,
    stop: Stop,
}

/// What the admin listener, the control socket and signals work on; cheap to clone.
#[derive(Clone)]
pub struct Parts {
    /// State.
    pub store: Arc<dyn Store>,
    /// Time.
    pub clock: Clock,
    /// What a reload swaps.
    pub live: Arc<ArcSwap<Live>>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Users' sign-ins.
    pub users: Arc<UserTokens>,
    /// Users' JWTs.
    pub jwts: Arc<Jwts>,
    /// What tells upstreams who calls, signed.
    pub assertions: Arc<Assertions>,
    /// What was seen of integrations' handshakes.
    pub handshakes: Arc<Handshakes>,
    /// Which of two consumer secrets was used.
    pub noted: Arc<Noted>,
    /// What was counted of events.
    pub events: Arc<EventCounts>,
    /// What was refused of late, and why.
    pub explainer: Arc<Explainer>,
    /// Sweeps, on their schedule or by hand.
    pub sweeps: Sweeps,
    /// Who uses which resource.
    pub usage: Arc<Usage>,
    /// How the upstreams' targets are.
    pub board: Arc<Board>,
    /// Whether a drain has begun.
    pub draining: CancellationToken,
    reload: Arc<Reload>,
}

/// How the configuration is read again.
struct Reload {
    path: Option<PathBuf>,
    started_with: Config,
    workers: usize,
    counts: Arc<Counts>,
    /// One reload at a time.
    running: Mutex<()>,
}

/// Why the gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Somebody listens there already.
    #[error("{0} is in use: another server, perhaps another countersign, listens there")]
    InUse(SocketAddr),
    /// A listener.
    #[error("can't listen on {0}: {1}")]
    Listen(SocketAddr, #[source] io::Error),
    /// Too few file descriptors.
    #[error(transparent)]
    Descriptors(#[from] TooFew),
    /// The configuration can't be put to work.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// No randomness.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// No randomness for passwords.
    #[error(transparent)]
    HashFailed(#[from] HashFailed),
    /// A thread.
    #[error("can't start a thread: {0}")]
    Thread(#[source] io::Error),
}

/// What a reload did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// In force; these keys changed but need a restart.
    Done {
        /// As `public.listen`.
        needs_restart: Vec<String>,
    },
    /// The last good configuration stays in force.
    Refused {
        /// One line a fault.
        faults: Vec<String>,
    },
}

impl App {
    /// Starts workers on the public addresses. `path` is where [`Parts::reload`] reads the configuration again.
    pub fn start(
        config: &Config,
        path: Option<&Path>,
        store: Arc<dyn Store>,
        clock: Clock,
    ) -> Result<Self, StartError> {
        let threads = threads(config.public.threads);
        let mut config = config.clone();
        descriptors::fit(&mut config.public.limits)?;
        let config = &config;
        let live = Arc::new(ArcSwap::from_pointee(Live::new(config, threads)?));
        let counts = Counts::new(config.public.limits.connections);
        let metrics = Arc::new(Metrics::default());
        let log = AccessLog::start(config.log.access).map_err(StartError::Thread)?;
        gauges(&metrics, &counts, &log);
        store_gauges(&metrics, &store, clock);
        metrics.configured(clock.now());
        let voucher = Voucher::of(config)?;
        let jwts = Arc::new(Jwts::new(Arc::clone(&store), config.tokens.has_jwts()));
        let assertions = Arc::new(Assertions::new(Arc::clone(&store)));
        let users = Arc::new(UserTokens::new((&store, &jwts), clock, config, voucher)?);
        let sockets = listen(&config.public.listen, threads)?;
        store.record_events(events::recorder(clock, Arc::clone(&live)));
        let sweeps = Sweeps::new(Arc::clone(&store), clock, Arc::clone(&live))?;
        sweeps.expose(&metrics);
        let events = Arc::new(EventCounts::default());
        events.expose(&metrics);
        users.expose(&metrics);
        let parts = Parts {
            explainer: Arc::new(Explainer::new(Arc::clone(&store), clock, Arc::clone(&live))),
            live,
            sweeps,
            draining: CancellationToken::new(),
            reload: Arc::new(Reload {
                path: path.map(Path::to_owned),
                started_with: config.clone(),
                workers: threads,
                counts: Arc::clone(&counts),
                running: Mutex::new(()),
            }),
            store,
            clock,
            metrics,
            users,
            jwts,
            assertions,
            handshakes: Arc::default(),
            noted: Arc::default(),
            events,
            usage: Arc::new(Usage::new(clock.now())),
            board: Arc::default(),
        };
        upstream_gauges(&parts);
        let stop = Stop::default();
        let mut workers = Vec::with_capacity(threads);
        for (number, listeners) in sockets.listeners.into_iter().enumerate() {
            let worker = parts.for_worker(&log, threads, &config.store)?;
            let (counts, stop) = (Arc::clone(&counts), stop.clone());
            let thread = std::thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || work(worker, listeners, &counts, &stop))
                .map_err(StartError::Thread)?;
            workers.push(thread);
        }
        Ok(Self {
            parts,
            addresses: sockets.addresses,
            workers,
            log,
            stop,
        })
    }

    /// The addresses that are listened on, with the ports that the system gave for port 0.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What others work on.
    pub fn parts(&self) -> Parts {
        self.parts.clone()
    }

    /// Says that no more requests should come, waits as long as balancers take to hear it, then accepts no more and lets
    /// the requests that are being served end, at most until the drain's timeout. `false`: some were cut.
    pub async fn drain(self) -> bool {
        self.parts.draining.cancel();
        let limits = self.parts.live.load().public.limits.clone();
        tokio::time::sleep(limits.drain_delay).await;
        self.stop.drain.cancel();
        let (workers, log) = (self.workers, self.log);
        // Not a task: the runtime would wait for it at its end, however long a worker or a blocked stdout takes.
        let (ended, end) = tokio::sync::oneshot::channel();
        let (finished, finish) = tokio::sync::oneshot::channel();
        let joining = std::thread::Builder::new().name("drain".to_owned()).spawn(move || {
            for worker in workers {
                if worker.join().is_err() {
                    tracing::error!("a worker died");
                }
            }
            // Nobody listens any more where the time was up.
            let _told = ended.send(());
            // Every end is gone, so the writer ends with its last line.
            log.finish();
            let _told = finished.send(());
        });
        if let Err(error) = joining {
            tracing::error!(%error, "can't wait for the workers");
            return false;
        }
        let mut end = end;
        let drained = tokio::time::timeout(limits.drain_timeout, &mut end).await.is_ok();
        self.stop.cut.cancel();
        let ended = drained || tokio::time::timeout(CUT, end).await.is_ok();
        if ended && tokio::time::timeout(LAST_LINES, finish).await.is_err() {
            tracing::error!("the access log was not written to its end");
        }
        drained
    }
}

impl Parts {
    /// Reads the configuration again and puts it in force, whole or not at all; what is in force then stands in the audit
    /// log, by an entry that says who asked for it. `None`: it broke off.
    pub async fn reload(&self, entry: NewAuditEntry) -> Option<Reloaded> {
        let parts = self.clone();
        // Reads files: not on the runtime's own threads.
        let reloaded = tokio::task::spawn_blocking(move || parts.reload_now()).await.ok()?;
        if let Reloaded::Done { needs_restart } = &reloaded {
            let entry = NewAuditEntry {
                subject: "configuration".to_owned(),
                after: json!({ "needs_restart": needs_restart }),
                ..entry
            };
            audit::tell(&*self.store, entry).await;
        }
        Some(reloaded)
    }

    fn reload_now(&self) -> Reloaded {
        let _one = self.reload.running.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = self.try_reload();
        let worked = matches!(outcome, Reloaded::Done { .. });
        self.metrics.reloaded(worked);
        if worked {
            self.metrics.configured(self.clock.now());
        }
        match &outcome {
            Reloaded::Done { needs_restart } => {
                tracing::info!(needs_restart = needs_restart.join(", "), "configuration reloaded");
            }
            Reloaded::Refused { faults } => {
                let faults = faults.join("; ");
                tracing::error!(faults, "configuration refused; the last good one stays");
            }
        }
        outcome
    }

    /// Where the admin listener was told to listen.
    pub fn admin_listener(&self) -> SocketAddr {
        self.reload.started_with.admin.listen
    }

    fn for_worker(
        &self,
        log: &AccessLogWriter,
        threads: usize,
        store: &config::Store,
    ) -> Result<WorkerParts, NoRandomness> {
        Ok(WorkerParts {
            clock: self.clock,
            metrics: self.metrics.shard(),
            log: log.end(),
            store: Arc::clone(&self.store),
            store_limit: (!store.url.starts_with("embedded:")).then_some(store.request_timeout),
            users: Arc::clone(&self.users),
            jwts: Arc::clone(&self.jwts),
            assertions: Arc::clone(&self.assertions),
            handshakes: Arc::clone(&self.handshakes),
            explainer: Arc::clone(&self.explainer),
            noted: Arc::clone(&self.noted),
            live: Arc::clone(&self.live),
            threads,
            view: self.board.view(),
            usage: Arc::clone(&self.usage),
            cache: store.cache,
            ids: RequestIds::new()?,
        })
    }

    fn try_reload(&self) -> Reloaded {
        let mut config = match Config::load(self.reload.path.as_deref()) {
            Ok((config, warnings)) => {
                for warning in warnings {
                    tracing::warn!("{warning}");
                }
                config
            }
            Err(faults) => return Reloaded::Refused { faults: faults.lines() },
        };
        if let Err(error) = descriptors::fit(&mut config.public.limits) {
            return Reloaded::Refused {
                faults: vec![error.to_string()],
            };
        }
        let prepared = Live::new(&config, self.reload.workers).and_then(|live| Ok((live, Voucher::of(&config)?)));
        match prepared {
            Ok((live, voucher)) => {
                self.reload.counts.admit_at_most(config.public.limits.connections);
                self.users.reload(&config, voucher);
                self.jwts.set_in_use(config.tokens.has_jwts());
                health::carry_over(&self.live.load().upstreams, &live.upstreams);
                self.live.store(Arc::new(live));
                Reloaded::Done {
                    needs_restart: config::needs_restart(&self.reload.started_with, &config),
                }
            }
            Err(error) => Reloaded::Refused {
                faults: vec![error.to_string()],
            },
        }
    }
}

struct Sockets {
    /// For each worker, one listener an address.
    listeners: Vec<Vec<std::net::TcpListener>>,
    addresses: Vec<SocketAddr>,
}

fn listen(wanted: &[SocketAddr], threads: usize) -> Result<Sockets, StartError> {
    let mut listeners: Vec<Vec<std::net::TcpListener>> = (0..threads).map(|_| Vec::new()).collect();
    let mut addresses = Vec::new();
    for address in wanted {
        if in_use(*address) {
            return Err(StartError::InUse(*address));
        }
        let mut address = *address;
        for of_worker in &mut listeners {
            let listener = bind(address).map_err(|error| StartError::Listen(address, error))?;
            // Port 0: the first socket gets a port, the others share it.
            address = listener
                .local_addr()
                .map_err(|error| StartError::Listen(address, error))?;
            of_worker.push(listener);
        }
        addresses.push(address);
    }
    Ok(Sockets { listeners, addresses })
}

/// A worker's thread: one runtime, nothing shared on the way of a request.
fn work(parts: WorkerParts, listeners: Vec<std::net::TcpListener>, counts: &Arc<Counts>, stop: &Stop) {
    let local = tokio::runtime::LocalOptions::default();
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(local)
    {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "a worker has no runtime");
            return;
        }
    };
    runtime.block_on(async move {
        let worker = Worker::new(parts);
        let ticking = tokio::task::spawn_local(tick(Rc::clone(&worker)));
        let mut accepting = tokio::task::JoinSet::new();
        for listener in listeners {
            let accept = Accept::new(Rc::clone(&worker), Arc::clone(counts), stop.clone());
            accepting.spawn_local(accept.run(listener));
        }
        while let Some(ended) = accepting.join_next().await {
            if let Ok(Err(error)) = ended {
                tracing::error!(%error, "a listener ended");
            }
        }
        ticking.abort();
        worker.log.flush();
    });
}

/// What a worker does besides serving: its lines reach the log though few come, idle connections end in time.
async fn tick(worker: Rc<Worker>) {
    let mut interval = tokio::time::interval(TICK);
    loop {
        interval.tick().await;
        worker.log.flush();
        worker.tick();
        // The allocator gives back to the system what lies free only while it is asked for something: of a crowd of clients
        // that fell silent it would keep 16 KiB each.
        drop(std::hint::black_box(Vec::<u8>::with_capacity(ASKED_FOR)));
    }
}

fn gauges(metrics: &Metrics, counts: &Arc<Counts>, log: &AccessLogWriter) {
    let open = Arc::clone(counts);
    metrics.gauge("connections", "Connections that are open.", move || {
        u64::try_from(open.open()).unwrap_or(u64::MAX)
    });
    let dropped = log.dropped();
    metrics.gauge(
        "access_log_dropped_lines_total",
        "Lines that a slow or broken sink made drop.",
        move || dropped.load(std::sync::atomic::Ordering::Relaxed),
    );
}

fn store_gauges(metrics: &Metrics, store: &Arc<dyn Store>, clock: Clock) {
    let freshness = store.freshness();
    let heard = Arc::clone(&freshness);
    let help = "Whether the store was heard within the last second (1) or not (0).";
    metrics.gauge("store_up", help, move || {
        u64::from(heard.is_live(heard.millis(clock.instant())))
    });
    let help = "Round trips of the heartbeat to Redis; none with an embedded store.";
    metrics.durations("store_heartbeat_duration_seconds", help, move || freshness.beats());
}

fn upstream_gauges(parts: &Parts) {
    let (live, board) = (Arc::clone(&parts.live), Arc::clone(&parts.board));
    let help = "Targets that can't be reached, fail their health check, or whose circuit breaker has opened.";
    parts.metrics.gauges("upstream_targets_unhealthy", help, move || {
        let live = live.load();
        let of = |upstream: &crate::live::Upstream| {
            let targets = board.targets(&upstream.config);
            let ill = targets.iter().filter(|target| target.status() != "ok").count();
            let label = format!("{{upstream={:?}}}", upstream.name);
            (label, u64::try_from(ill).unwrap_or(u64::MAX))
        };
        live.upstreams.iter().map(of).collect()
    });
}

fn threads(configured: usize) -> usize {
    match configured {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        threads => threads,
    }
}

/// What the audit log calls a reload.
pub const RELOADED: &str = "configuration.reloaded";
const TICK: Duration = Duration::from_millis(200);
/// Octets; more than the allocator keeps in stock for its thread.
const ASKED_FOR: usize = 1024 * 1024;
/// For connections that are cut to end.
const CUT: Duration = Duration::from_secs(1);
/// For the access log to be written to its end.
const LAST_LINES: Duration = Duration::from_secs(1);
