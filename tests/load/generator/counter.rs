//! CPU time of processes, all threads, from `/proc/PID/task/*/schedstat`; and how idle each core was.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use super::Failure;
use super::arguments::Arguments;
use super::pollset::monotonic_nanos;

/// Groups of processes to count for, by name.
pub(super) struct Watched(Vec<(String, Vec<u32>)>);

/// What was read at one moment.
pub(super) struct Reading {
    at: u64,
    own: u64,
    /// In the order of the groups; threads that ended since are missing from the later one.
    groups: Vec<BTreeMap<String, u64>>,
    /// Idle and whole time of each core, in ticks.
    cores: Vec<(u64, u64)>,
}

impl Watched {
    /// From `--watch NAME=PID,PID …`.
    pub(super) fn of(arguments: &mut Arguments) -> Result<Self, Failure> {
        let group = |text: String| -> Result<(String, Vec<u32>), Failure> {
            let (name, pids) = text.split_once('=').ok_or("--watch is written NAME=PID,PID")?;
            let pids = pids.split(',').map(str::parse).collect::<Result<_, _>>()?;
            Ok((name.to_owned(), pids))
        };
        Ok(Self(
            arguments
                .all("watch")
                .into_iter()
                .map(group)
                .collect::<Result<_, _>>()?,
        ))
    }

    pub(super) fn read(&self) -> Result<Reading, Failure> {
        let groups = self.0.iter().map(|(_, pids)| {
            let mut threads = BTreeMap::new();
            for pid in pids {
                threads.extend(threads_of(&pid.to_string())?);
            }
            Ok(threads)
        });
        Ok(Reading {
            at: monotonic_nanos(),
            own: threads_of("self")?.values().sum(),
            groups: groups.collect::<Result<_, Failure>>()?,
            cores: cores()?,
        })
    }

    /// CPU microseconds a request of each group, shares of one core, and idle shares of all cores between two readings.
    pub(super) fn between(&self, before: &Reading, after: &Reading, requests: u64) -> Value {
        let wall = after.at - before.at;
        let spent = |(before, after): (&BTreeMap<String, u64>, &BTreeMap<String, u64>)| -> u64 {
            let thread = |(id, ran): (&String, &u64)| ran - before.get(id).copied().unwrap_or_default();
            after.iter().map(thread).sum()
        };
        let mut cost = serde_json::Map::new();
        let mut share = serde_json::Map::new();
        for ((name, _), readings) in self.0.iter().zip(before.groups.iter().zip(&after.groups)) {
            let nanos = spent(readings);
            cost.insert(name.clone(), json!(ratio(nanos, requests) / 1000.0));
            share.insert(name.clone(), json!(ratio(nanos, wall)));
        }
        share.insert("generator".to_owned(), json!(ratio(after.own - before.own, wall)));
        let idle = |(before, after): (&(u64, u64), &(u64, u64))| ratio(after.0 - before.0, after.1 - before.1);
        let idle: Vec<f64> = before.cores.iter().zip(&after.cores).map(idle).collect();
        let seconds = ratio(wall, 1_000_000_000);
        json!({
            "requests": requests,
            "seconds": seconds,
            "per_second": ratio(requests, 1) / seconds,
            "cpu_micros": cost,
            "share": share,
            "idle_cores": idle,
        })
    }
}

/// As a fraction; 0 of nothing.
pub(super) fn ratio(part: u64, whole: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^53")]
    let (part, whole) = (part as f64, whole as f64);
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// Nanoseconds on a CPU, by thread.
fn threads_of(process: &str) -> Result<BTreeMap<String, u64>, Failure> {
    let mut threads = BTreeMap::new();
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let path = thread?.path();
        // A thread that ends meanwhile is not counted.
        let Ok(text) = fs::read_to_string(path.join("schedstat")) else {
            continue;
        };
        let ran = text.split_ascii_whitespace().next().ok_or("schedstat is empty")?;
        threads.insert(path.to_string_lossy().into_owned(), ran.parse()?);
    }
    Ok(threads)
}

fn cores() -> Result<Vec<(u64, u64)>, Failure> {
    let mut cores = Vec::new();
    for line in fs::read_to_string("/proc/stat")?.lines() {
        let mut words = line.split_ascii_whitespace();
        let is_core = words
            .next()
            .is_some_and(|name| name.len() > 3 && name.starts_with("cpu"));
        if is_core {
            let ticks = words.map(str::parse).collect::<Result<Vec<u64>, _>>()?;
            // user nice system idle iowait …
            let idle = ticks.iter().skip(3).take(2).sum();
            cores.push((idle, ticks.iter().take(8).sum()));
        }
    }
    Ok(cores)
}
