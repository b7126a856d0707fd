//! Replays: each signed request leaves on several connections at once, to one gateway or more; exactly one may pass.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::Failure;
use super::arguments::Arguments;
use super::client::{Clients, Progress};
use super::pollset::unix_seconds;
use super::signer::Signer;

/// `replay --server ADDRESS … --signatures N --copies N`, and the signer's, whose `--authority` all servers share.
pub(super) fn run(arguments: &mut Arguments) -> Result<Value, Failure> {
    let servers = arguments
        .all("server")
        .iter()
        .map(|server| server.parse())
        .collect::<Result<Vec<SocketAddr>, _>>()?;
    let signatures: u64 = arguments.or("signatures", 1000)?;
    let copies: usize = arguments.or("copies", 16)?;
    let first = servers.first().ok_or("--server is needed")?.to_string();
    let mut signer = Signer::of(arguments, &first)?;
    arguments.finish()?;
    let mut gateways = servers
        .iter()
        .map(|server| Clients::open(*server, copies))
        .collect::<Result<Vec<Clients>, _>>()?;
    let mut request = Vec::new();
    let mut ready = Vec::new();
    let (mut replays, mut refused) = (0_u64, 0_u64);
    for _ in 0..signatures {
        signer.write(unix_seconds(), &mut request);
        for number in 0..copies {
            for clients in &mut gateways {
                clients.send(number, &request)?;
            }
        }
        let mut passed = 0_u64;
        for clients in &mut gateways {
            let mut owed = copies;
            while owed > 0 {
                clients.pollset.wait(&mut ready)?;
                for number in &ready {
                    match clients.receive(*number)? {
                        Progress::Waiting => continue,
                        Progress::Answered(200) => passed += 1,
                        Progress::Answered(401) => {}
                        Progress::Answered(status) => return Err(format!("a replay was answered {status}").into()),
                        Progress::Broken => return Err("a connection broke".into()),
                    }
                    owed -= 1;
                }
            }
        }
        replays += passed.saturating_sub(1);
        refused += u64::from(passed == 0);
    }
    Ok(json!({
        "signatures": signatures,
        "sent": signatures * u64::try_from(copies * servers.len())?,
        "accepted_replays": replays,
        "wrongly_refused": refused,
    }))
}
