//! Idle connections: each has carried one request, then does nothing.

use std::io::Read as _;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::Failure;
use super::arguments::Arguments;
use super::client::{Clients, Progress};
use super::pollset::unix_seconds;
use super::signer::Signer;

/// `idle --server ADDRESS --connections N`, and the signer's: says on standard output when all idle, ends with its
/// standard input.
pub(super) fn run(arguments: &mut Arguments) -> Result<Value, Failure> {
    let server: SocketAddr = arguments.required("server")?;
    let connections: usize = arguments.required("connections")?;
    let mut signer = Signer::of(arguments, &server.to_string())?;
    arguments.finish()?;
    let mut clients = Clients::open(server, connections)?;
    let mut request = Vec::new();
    let mut ready = Vec::new();
    for first in (0..connections).step_by(AT_ONCE) {
        let group = first..connections.min(first + AT_ONCE);
        let mut owed = group.len();
        for number in group {
            signer.write(unix_seconds(), &mut request);
            clients.send(number, &request)?;
        }
        while owed > 0 {
            clients.pollset.wait(&mut ready)?;
            for number in &ready {
                match clients.receive(*number)? {
                    Progress::Waiting => {}
                    Progress::Answered(_) | Progress::Broken => owed -= 1,
                }
            }
        }
    }
    clients.take_outcomes().all_well()?;
    println!("{}", json!({ "idle": connections }));
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(json!({ "held": connections }))
}

const AT_ONCE: usize = 64;
