//! Closed loop: every connection sends its next request as soon as it has its answer.

use std::net::SocketAddr;

use serde_json::Value;

use super::Failure;
use super::arguments::Arguments;
use super::client::{Clients, Progress};
use super::counter::Watched;
use super::pollset::{NANOS, monotonic_nanos, unix_seconds};
use super::signer::Signer;

/// `closed --server ADDRESS --connections N --warm SECONDS --seconds SECONDS [--requests N] --watch NAME=PID …`, and the
/// signer's. With `--requests` the measured part ends with that many answers instead.
pub(super) fn run(arguments: &mut Arguments) -> Result<Value, Failure> {
    let server: SocketAddr = arguments.required("server")?;
    let connections: usize = arguments.or("connections", 64)?;
    let warm = nanos(arguments.or("warm", 1.0)?);
    let lasting = nanos(arguments.or("seconds", 3.0)?);
    let most: u64 = arguments.or("requests", u64::MAX)?;
    let watched = Watched::of(arguments)?;
    let mut signer = Signer::of(arguments, &server.to_string())?;
    arguments.finish()?;

    let mut clients = Clients::open(server, connections)?;
    let mut request = Vec::with_capacity(1024);
    for number in 0..connections {
        signer.write(unix_seconds(), &mut request);
        clients.send(number, &request)?;
    }
    let mut ready = Vec::new();
    let start = monotonic_nanos() + warm;
    let mut before = None;
    let mut answered = 0;
    loop {
        clients.pollset.wait(&mut ready)?;
        let now = unix_seconds();
        for number in &ready {
            match clients.receive(*number)? {
                Progress::Waiting => continue,
                Progress::Answered(_) => answered += 1,
                Progress::Broken => {}
            }
            signer.write(now, &mut request);
            clients.send(*number, &request)?;
        }
        let clock = monotonic_nanos();
        match &before {
            None if clock >= start => {
                // What a peer answers while it warms up must be right as well.
                clients.take_outcomes().all_well()?;
                answered = 0;
                before = Some(watched.read()?);
            }
            Some(before) if clock >= start + lasting || answered >= most => {
                let after = watched.read()?;
                clients.take_outcomes().all_well()?;
                return Ok(watched.between(before, &after, answered));
            }
            None | Some(_) => {}
        }
    }
}

/// Whole nanoseconds of some seconds.
pub(super) fn nanos(seconds: f64) -> u64 {
    let micros = std::time::Duration::from_secs_f64(seconds.max(0.0)).as_micros();
    u64::try_from(micros)
        .unwrap_or(u64::MAX)
        .saturating_mul(NANOS / 1_000_000)
}
