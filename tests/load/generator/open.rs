//! Open loop: requests are due at a fixed rate, whatever comes back. Latency counts from when a request was due, so a
//! server that stalls is charged for everything that had to wait (no coordinated omission).

use std::collections::VecDeque;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::Failure;
use super::arguments::Arguments;
use super::client::{Clients, Progress};
use super::closed::nanos;
use super::counter::{Watched, ratio};
use super::pollset::{NANOS, monotonic_nanos, unix_seconds};
use super::signer::Signer;

/// `open --server ADDRESS --rate N --connections N --warm SECONDS --seconds SECONDS --watch NAME=PID …`, and the signer's.
pub(super) fn run(arguments: &mut Arguments) -> Result<Value, Failure> {
    let server: SocketAddr = arguments.required("server")?;
    let rate: u64 = arguments.required("rate")?;
    let connections: usize = arguments.or("connections", 64)?;
    let warm = nanos(arguments.or("warm", 0.5)?);
    let lasting = nanos(arguments.or("seconds", 3.0)?);
    let watched = Watched::of(arguments)?;
    let mut signer = Signer::of(arguments, &server.to_string())?;
    arguments.finish()?;

    let clients = Clients::open(server, connections)?;
    let mut schedule = Schedule {
        clients,
        idle: (0..connections).rev().collect(),
        due_of: vec![0; connections],
        waiting: VecDeque::new(),
        latencies: Vec::new(),
        request: Vec::with_capacity(1024),
    };
    let first = monotonic_nanos() + NANOS / 100;
    let (measured, end) = (first + warm, first + warm + lasting);
    let due = |sent: u64| first + sent.saturating_mul(NANOS) / rate;
    let (mut sent, mut ready, mut before) = (0, Vec::new(), None);
    loop {
        let clock = monotonic_nanos();
        while due(sent) <= clock && due(sent) < end {
            schedule.waiting.push_back(due(sent));
            sent += 1;
        }
        schedule.send(&mut signer)?;
        if before.is_none() && clock >= measured {
            schedule.latencies.clear();
            before = Some(watched.read()?);
        }
        if due(sent) >= end && schedule.is_quiet() {
            break;
        }
        schedule.clients.pollset.wake_at(due(sent))?;
        schedule.clients.pollset.wait(&mut ready)?;
        schedule.receive(&ready)?;
    }
    let after = watched.read()?;
    schedule.clients.take_outcomes().all_well()?;
    let before = before.ok_or("the run was too short")?;
    let answered = u64::try_from(schedule.latencies.len())?;
    let mut result = watched.between(&before, &after, answered);
    let spread = percentiles(&mut schedule.latencies);
    if let Some(fields) = result.as_object_mut() {
        fields.insert("latency_micros".to_owned(), spread);
    }
    Ok(result)
}

struct Schedule {
    clients: Clients,
    idle: Vec<usize>,
    /// When the request that a connection carries was due.
    due_of: Vec<u64>,
    /// Due, but every connection was busy.
    waiting: VecDeque<u64>,
    latencies: Vec<u64>,
    request: Vec<u8>,
}

impl Schedule {
    fn send(&mut self, signer: &mut Signer) -> Result<(), Failure> {
        while let (Some(due), Some(number)) = (self.waiting.front(), self.idle.last()) {
            if let Some(slot) = self.due_of.get_mut(*number) {
                *slot = *due;
            }
            signer.write(unix_seconds(), &mut self.request);
            self.clients.send(*number, &self.request)?;
            self.waiting.pop_front();
            self.idle.pop();
        }
        Ok(())
    }

    fn receive(&mut self, ready: &[usize]) -> Result<(), Failure> {
        for number in ready {
            match self.clients.receive(*number)? {
                Progress::Waiting => {}
                Progress::Answered(_) => {
                    let due = self.due_of.get(*number).copied().unwrap_or_default();
                    self.latencies.push(monotonic_nanos() - due);
                    self.idle.push(*number);
                }
                Progress::Broken => self.idle.push(*number),
            }
        }
        Ok(())
    }

    fn is_quiet(&self) -> bool {
        self.waiting.is_empty() && self.idle.len() == self.due_of.len()
    }
}

fn percentiles(latencies: &mut [u64]) -> Value {
    latencies.sort_unstable();
    let at = |per_mille: usize| {
        let place = latencies.len() * per_mille / 1000;
        let place = place.min(latencies.len().saturating_sub(1));
        let nanos = latencies.get(place).copied().unwrap_or_default();
        ratio(nanos, 1000)
    };
    json!({ "p50": at(500), "p90": at(900), "p99": at(990), "p999": at(999), "max": at(1000) })
}
