//! Counters and latency, Prometheus' names under `countersign_`, base units, bounded labels.
//!
//! Each worker counts in a shard of its own, with handles resolved when routes load; a scrape adds the shards up. So no
//! two threads ever write the same cache line on the way of a request.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::traffic::Traffic;
use crate::refusal::Cause;

/// All shards, and what is read at the scrape.
#[derive(Default)]
pub struct Metrics {
    shards: Mutex<Vec<Arc<Shard>>>,
    gauges: Mutex<Vec<Gauge>>,
    families: Mutex<Vec<Family>>,
    durations: Mutex<Vec<Durations>>,
    reloads: [AtomicU64; 2],
    /// Unix seconds of the last one that worked, the start among them.
    reloaded_at: AtomicU64,
    /// How the counters stood over the last hour.
    pub traffic: Traffic,
}

/// How the counters stand.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Requests answered.
    pub answered: u64,
    /// Refused, by the place of the cause.
    pub refused: Vec<u64>,
    /// Answered, by the place of the bucket.
    pub latency: Vec<u64>,
}

/// A value read at the scrape.
type Gauge = (&'static str, &'static str, Box<dyn Fn() -> u64 + Send + Sync>);

/// Values with labels, read at the scrape.
type Family = (
    (&'static str, &'static str, &'static str),
    Box<dyn Fn() -> Vec<(String, u64)> + Send + Sync>,
);

/// How often and how long, read at the scrape.
type Durations = (
    &'static str,
    &'static str,
    Box<dyn Fn() -> (u64, Duration) + Send + Sync>,
);

/// One worker's counters: it alone writes them, so adding needs no lock on the memory between cores.
pub struct Shard {
    served: [AtomicU64; 6],
    refused: [AtomicU64; Cause::ALL.len()],
    observed: [AtomicU64; Cause::ALL.len()],
    latency: [AtomicU64; BUCKETS.len() + 1],
    latency_sum_micros: AtomicU64,
    authentication_sum_micros: AtomicU64,
    upstream_sum_micros: AtomicU64,
    connections_refused: AtomicU64,
    host_mismatch: AtomicU64,
    panics: AtomicU64,
}

impl Default for Shard {
    fn default() -> Self {
        let zeros = || std::array::from_fn(|_| AtomicU64::new(0));
        Self {
            served: std::array::from_fn(|_| AtomicU64::new(0)),
            refused: zeros(),
            observed: zeros(),
            latency: std::array::from_fn(|_| AtomicU64::new(0)),
            latency_sum_micros: AtomicU64::new(0),
            authentication_sum_micros: AtomicU64::new(0),
            upstream_sum_micros: AtomicU64::new(0),
            connections_refused: AtomicU64::new(0),
            host_mismatch: AtomicU64::new(0),
            panics: AtomicU64::new(0),
        }
    }
}

impl Shard {
    /// A response was sent whole (or cut).
    pub fn answered(
        &self,
        status: u16,
        took: Duration,
        authenticated_after: Option<Duration>,
        upstream_took: Option<Duration>,
    ) {
        if let Some(class) = self.served.get(usize::from(status / 100)) {
            add(class, 1);
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.partition_point(|(bound, _)| *bound < micros);
        if let Some(bucket) = self.latency.get(bucket) {
            add(bucket, 1);
        }
        add(&self.latency_sum_micros, micros);
        for (sum, part) in [
            (&self.authentication_sum_micros, authenticated_after),
            (&self.upstream_sum_micros, upstream_took),
        ] {
            if let Some(part) = part {
                add(sum, u64::try_from(part.as_micros()).unwrap_or(u64::MAX));
            }
        }
    }

    /// A request was refused, or would have been on a route that only observes.
    pub fn refused(&self, cause: Cause, observed: bool) {
        let counters = if observed { &self.observed } else { &self.refused };
        if let Some(counter) = counters.get(cause as usize) {
            add(counter, 1);
        }
    }

    /// A connection over its bound was closed.
    pub fn connection_refused(&self) {
        add(&self.connections_refused, 1);
    }

    /// A request or a connection met a defect of ours.
    pub fn panicked(&self) {
        add(&self.panics, 1);
    }

    /// How often that happened.
    pub fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// A request's Host or scheme isn't the one that clients sign. Answers how often before.
    pub fn host_mismatch(&self) -> u64 {
        add(&self.host_mismatch, 1)
    }
}

/// Adds to a counter that nobody else writes; answers what it was.
fn add(counter: &AtomicU64, more: u64) -> u64 {
    let before = counter.load(Ordering::Relaxed);
    counter.store(before.wrapping_add(more), Ordering::Relaxed);
    before
}

impl Metrics {
    /// A new worker's shard.
    pub fn shard(&self) -> Arc<Shard> {
        let shard = Arc::new(Shard::default());
        self.shards
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::clone(&shard));
        shard
    }

    /// Adds a value that is read at the scrape: name without prefix, help, reader. One that only grows is named `…_total`.
    pub fn gauge(&self, name: &'static str, help: &'static str, read: impl Fn() -> u64 + Send + Sync + 'static) {
        self.gauges
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((name, help, Box::new(read)));
    }

    /// Adds how often something happened and how long it took in all, read at the scrape: name without prefix, help, reader.
    pub fn durations(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> (u64, Duration) + Send + Sync + 'static,
    ) {
        let mut durations = self.durations.lock().unwrap_or_else(PoisonError::into_inner);
        durations.push((name, help, Box::new(read)));
    }

    /// Adds counters with labels, read at the scrape: name without prefix, help, a reader of labels (`{a="b"}`) and values.
    pub fn counters(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> Vec<(String, u64)> + Send + Sync + 'static,
    ) {
        self.family((name, "counter", help), Box::new(read));
    }

    /// The same for values that go up and down.
    pub fn gauges(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> Vec<(String, u64)> + Send + Sync + 'static,
    ) {
        self.family((name, "gauge", help), Box::new(read));
    }

    fn family(
        &self,
        of: (&'static str, &'static str, &'static str),
        read: Box<dyn Fn() -> Vec<(String, u64)> + Send + Sync>,
    ) {
        let mut families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        families.push((of, read));
    }

    /// A configuration is in force since then, in Unix seconds.
    pub fn configured(&self, at: u64) {
        self.reloaded_at.store(at, Ordering::Relaxed);
    }

    /// A reload ended.
    pub fn reloaded(&self, worked: bool) {
        if let Some(counter) = self.reloads.get(usize::from(worked)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How the counters stand now.
    pub fn totals(&self) -> Totals {
        let shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        let by_place = |of: fn(&Shard) -> &[AtomicU64], places: usize| {
            let counted = |place| total(&shards, |one| at(of(one), place));
            (0..places).map(counted).collect::<Vec<u64>>()
        };
        Totals {
            answered: by_place(|one| &one.served, 6).iter().sum(),
            refused: by_place(|one| &one.refused, Cause::ALL.len()),
            latency: by_place(|one| &one.latency, BUCKETS.len() + 1),
        }
    }

    /// The text that `/metrics` answers with.
    pub fn expose(&self) -> String {
        let shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = Text(String::with_capacity(8 * 1024));
        let build = (format!("{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")), 1);
        text.family("build_info", "gauge", "What runs.", std::iter::once(build));
        let classes = (1..=5_usize).map(|class| {
            (
                format!("{{status=\"{class}xx\"}}"),
                total(&shards, |one| at(&one.served, class)),
            )
        });
        text.family(
            "requests_total",
            "counter",
            "Requests answered, by class of status.",
            classes,
        );
        let by_cause = |of: fn(&Shard) -> &[AtomicU64]| {
            let shards = &shards;
            Cause::ALL.into_iter().map(move |cause| {
                (
                    format!("{{cause=\"{}\"}}", cause.as_str()),
                    total(shards, |one| at(of(one), cause as usize)),
                )
            })
        };
        text.family(
            "refusals_total",
            "counter",
            "Requests refused, by cause.",
            by_cause(|one| &one.refused),
        );
        let observed = by_cause(|one| &one.observed);
        text.family(
            "observed_refusals_total",
            "counter",
            "Refusals that were recorded only.",
            observed,
        );
        text.latency(&shards);
        text.parts(&shards);
        let refused = total(&shards, |one| one.connections_refused.load(Ordering::Relaxed));
        text.single(
            "connections_refused_total",
            "counter",
            "Connections closed at a bound.",
            &refused.to_string(),
        );
        let panics = total(&shards, Shard::panics);
        let help = "Requests and connections that met a defect of the gateway.";
        text.single("panics_total", "counter", help, &panics.to_string());
        let mismatched = total(&shards, |one| one.host_mismatch.load(Ordering::Relaxed));
        let help = "Requests whose Host or scheme isn't the one that clients sign.";
        text.single("host_mismatch_total", "counter", help, &mismatched.to_string());
        for (counter, name) in self.reloads.iter().zip(["reload_failures_total", "reloads_total"]) {
            let count = counter.load(Ordering::Relaxed).to_string();
            text.single(name, "counter", "Reloads of the configuration.", &count);
        }
        let at = self.reloaded_at.load(Ordering::Relaxed).to_string();
        let help = "Unix time since which the configuration is in force.";
        text.single("reload_last_success_timestamp_seconds", "gauge", help, &at);
        self.expose_read(&mut text);
        text.0
    }

    /// What is read at the scrape.
    fn expose_read(&self, text: &mut Text) {
        for (name, help, read) in self.gauges.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
            text.single(name, kind, help, &read().to_string());
        }
        for ((name, kind, help), read) in self.families.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            text.family(name, kind, help, read().into_iter());
        }
        for (name, help, read) in self.durations.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let (count, sum) = read();
            text.summary(name, help, count, sum);
        }
    }
}

fn total(shards: &[Arc<Shard>], read: impl Fn(&Shard) -> u64) -> u64 {
    shards.iter().map(|shard| read(shard)).sum()
}

fn at(counters: &[AtomicU64], index: usize) -> u64 {
    counters.get(index).map_or(0, |one| one.load(Ordering::Relaxed))
}

/// The exposition format. Writing to a String can't fail.
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str, rows: impl Iterator<Item = (String, u64)>) {
        let _written = write!(
            self.0,
            "# HELP countersign_{name} {help}\n# TYPE countersign_{name} {kind}\n"
        );
        for (labels, value) in rows {
            let _written = writeln!(self.0, "countersign_{name}{labels} {value}");
        }
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: &str) {
        let _written = write!(
            self.0,
            "# HELP countersign_{name} {help}\n# TYPE countersign_{name} {kind}\ncountersign_{name} {value}\n"
        );
    }

    fn summary(&mut self, name: &str, help: &str, count: u64, sum: Duration) {
        let sum = seconds(u64::try_from(sum.as_micros()).unwrap_or(u64::MAX));
        let _written = write!(
            self.0,
            "# HELP countersign_{name} {help}\n# TYPE countersign_{name} summary\n\
             countersign_{name}_sum {sum}\ncountersign_{name}_count {count}\n"
        );
    }

    /// What of the time that requests took was whose.
    fn parts(&mut self, shards: &[Arc<Shard>]) {
        let mut part = |name, help, of: fn(&Shard) -> &AtomicU64| {
            let micros = total(shards, |one| of(one).load(Ordering::Relaxed));
            self.single(name, "counter", help, &seconds(micros));
        };
        let help = "Time until callers were known.";
        part("authentication_seconds_total", help, |one| {
            &one.authentication_sum_micros
        });
        let help = "Time until upstreams began to answer.";
        part("upstream_seconds_total", help, |one| &one.upstream_sum_micros);
    }

    fn latency(&mut self, shards: &[Arc<Shard>]) {
        const NAME: &str = "request_duration_seconds";
        let mut count = 0;
        let labels = BUCKETS.iter().map(|(_, label)| *label).chain(["+Inf"]).enumerate();
        let help = "From a head's arrival to the response's end.";
        let _written = write!(
            self.0,
            "# HELP countersign_{NAME} {help}\n# TYPE countersign_{NAME} histogram\n"
        );
        for (index, label) in labels {
            count += total(shards, |one| at(&one.latency, index));
            let _written = writeln!(self.0, "countersign_{NAME}_bucket{{le=\"{label}\"}} {count}");
        }
        let sum = seconds(total(shards, |one| one.latency_sum_micros.load(Ordering::Relaxed)));
        let _written = writeln!(self.0, "countersign_{NAME}_sum {sum}\ncountersign_{NAME}_count {count}");
    }
}

fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// Upper bounds in microseconds, and as Prometheus writes them.
pub(super) const BUCKETS: [(u64, &str); 12] = [
    (100, "0.0001"),
    (250, "0.00025"),
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (10_000_000, "10"),
];
