//! Counters and latency, Prometheus' names under `countersign_`, base units, bounded labels.
//!
//! Each worker counts in a shard of its own, with handles resolved when routes load; a scrape adds the shards up. So no
//! two threads ever write the same cache line on the way of a request.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::refusal::Cause;

/// All shards, and what is read at the scrape.
#[derive(Default)]
pub struct Metrics {
    shards: Mutex<Vec<Arc<Shard>>>,
    gauges: Mutex<Vec<Gauge>>,
    reloads: [AtomicU64; 2],
}

/// A value read at the scrape.
type Gauge = (&'static str, &'static str, Box<dyn Fn() -> u64 + Send + Sync>);

/// One worker's counters.
pub struct Shard {
    served: [AtomicU64; 6],
    refused: [AtomicU64; Cause::ALL.len()],
    observed: [AtomicU64; Cause::ALL.len()],
    latency: [AtomicU64; BUCKETS.len() + 1],
    latency_sum_micros: AtomicU64,
    authentication_sum_micros: AtomicU64,
    connections_refused: AtomicU64,
    host_mismatch: AtomicU64,
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
            connections_refused: AtomicU64::new(0),
            host_mismatch: AtomicU64::new(0),
        }
    }
}

impl Shard {
    /// A response was sent whole (or cut).
    pub fn answered(&self, status: u16, took: Duration, authenticated_after: Option<Duration>) {
        if let Some(class) = self.served.get(usize::from(status / 100)) {
            class.fetch_add(1, Ordering::Relaxed);
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.partition_point(|(bound, _)| *bound < micros);
        if let Some(bucket) = self.latency.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.latency_sum_micros.fetch_add(micros, Ordering::Relaxed);
        if let Some(after) = authenticated_after {
            let micros = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
            self.authentication_sum_micros.fetch_add(micros, Ordering::Relaxed);
        }
    }

    /// A request was refused, or would have been on a route that only observes.
    pub fn refused(&self, cause: Cause, observed: bool) {
        let counters = if observed { &self.observed } else { &self.refused };
        if let Some(counter) = counters.get(cause as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A connection over its bound was closed.
    pub fn connection_refused(&self) {
        self.connections_refused.fetch_add(1, Ordering::Relaxed);
    }

    /// A request's Host or scheme isn't the one that clients sign. Answers how often before.
    pub fn host_mismatch(&self) -> u64 {
        self.host_mismatch.fetch_add(1, Ordering::Relaxed)
    }
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

    /// Adds a value that is read at the scrape: name without prefix, help, reader.
    pub fn gauge(&self, name: &'static str, help: &'static str, read: impl Fn() -> u64 + Send + Sync + 'static) {
        self.gauges
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((name, help, Box::new(read)));
    }

    /// A reload ended.
    pub fn reloaded(&self, worked: bool) {
        if let Some(counter) = self.reloads.get(usize::from(worked)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The text that `/metrics` answers with.
    pub fn expose(&self) -> String {
        let shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = |read: &dyn Fn(&Shard) -> &AtomicU64| -> u64 {
            shards.iter().map(|shard| read(shard).load(Ordering::Relaxed)).sum()
        };
        let mut text = String::with_capacity(8 * 1024);
        let mut family = |name: &str, kind: &str, help: &str, rows: &mut dyn Iterator<Item = (String, String)>| {
            // Writing to a String can't fail.
            let _written = write!(
                text,
                "# HELP countersign_{name} {help}\n# TYPE countersign_{name} {kind}\n"
            );
            for (labels, value) in rows {
                let _written = writeln!(text, "countersign_{name}{labels} {value}");
            }
        };
        let by_cause = |of: &dyn Fn(&Shard, usize) -> u64| -> Vec<(String, String)> {
            let row = |cause: &Cause| {
                let total: u64 = shards.iter().map(|shard| of(shard, *cause as usize)).sum();
                (format!("{{cause=\"{}\"}}", cause.as_str()), total.to_string())
            };
            Cause::ALL.iter().map(row).collect()
        };
        family(
            "requests_total",
            "counter",
            "Requests answered, by class of status.",
            &mut (1..=5_usize).map(|class| {
                let total = sum(&|shard| shard.served.get(class).unwrap_or(&shard.connections_refused));
                (format!("{{status=\"{class}xx\"}}"), total.to_string())
            }),
        );
        let load =
            |counters: &[AtomicU64], index: usize| counters.get(index).map_or(0, |one| one.load(Ordering::Relaxed));
        let refused = by_cause(&|shard, index| load(&shard.refused, index));
        family(
            "refusals_total",
            "counter",
            "Requests refused, by cause.",
            &mut refused.into_iter(),
        );
        let observed = by_cause(&|shard, index| load(&shard.observed, index));
        family(
            "observed_refusals_total",
            "counter",
            "Refusals that were recorded only.",
            &mut observed.into_iter(),
        );
        let mut total = 0;
        let mut buckets: Vec<(String, String)> = Vec::with_capacity(BUCKETS.len() + 1);
        for (index, label) in BUCKETS.iter().map(|(_, label)| *label).chain(["+Inf"]).enumerate() {
            total += shards.iter().map(|shard| load(&shard.latency, index)).sum::<u64>();
            buckets.push((format!("{{le=\"{label}\"}}"), total.to_string()));
        }
        family_histogram(&mut text, &buckets, sum(&|shard| &shard.latency_sum_micros), total);
        let mut single = |name: &str, kind: &str, help: &str, value: String| {
            let _written = write!(
                text,
                "# HELP countersign_{name} {help}\n# TYPE countersign_{name} {kind}\ncountersign_{name} {value}\n"
            );
        };
        single(
            "authentication_seconds_total",
            "counter",
            "Time until callers were known.",
            seconds(sum(&|shard| &shard.authentication_sum_micros)),
        );
        single(
            "connections_refused_total",
            "counter",
            "Connections closed at a bound.",
            sum(&|shard| &shard.connections_refused).to_string(),
        );
        single(
            "host_mismatch_total",
            "counter",
            "Requests whose Host or scheme isn't the one that clients sign.",
            sum(&|shard| &shard.host_mismatch).to_string(),
        );
        for (worked, counter) in self.reloads.iter().enumerate() {
            let name = if worked == 1 {
                "reloads_total"
            } else {
                "reload_failures_total"
            };
            single(
                name,
                "counter",
                "Reloads of the configuration.",
                counter.load(Ordering::Relaxed).to_string(),
            );
        }
        for (name, help, read) in self.gauges.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            single(name, "gauge", help, read().to_string());
        }
        text
    }
}

fn family_histogram(text: &mut String, buckets: &[(String, String)], sum_micros: u64, count: u64) {
    const NAME: &str = "countersign_request_duration_seconds";
    let _written = write!(
        text,
        "# HELP {NAME} From a head's arrival to the response's end.\n# TYPE {NAME} histogram\n"
    );
    for (labels, value) in buckets {
        let _written = writeln!(text, "{NAME}_bucket{labels} {value}");
    }
    let _written = writeln!(text, "{NAME}_sum {}\n{NAME}_count {count}", seconds(sum_micros));
}

fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// Upper bounds in microseconds, and as Prometheus writes them.
const BUCKETS: [(u64, &str); 12] = [
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
