//! Whether the listeners can be opened, and who can reach them.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use super::{About, Finding};
use crate::config::Config;

pub(super) fn examine(config: &Config, is_running: bool) -> Vec<Finding> {
    let public = config.public.listen.iter().map(|address| ("public", *address));
    let all = public.chain([("admin", config.admin.listen)]);
    let mut findings: Vec<Finding> = all
        .map(|(listener, address)| port(listener, address, is_running))
        .collect();
    if !config.admin.listen.ip().is_loopback() {
        let about = About::new("ports", format!("admin {}", config.admin.listen));
        findings.push(about.warn(
            "other machines can reach the admin listener, and it speaks in clear",
            "set admin.listen to the loopback, or close the port to all but the machines of admins",
        ));
    }
    findings
}

fn port(listener: &str, address: SocketAddr, is_running: bool) -> Finding {
    let about = About::new("ports", format!("{listener} {address}"));
    match TcpListener::bind(address).map_err(|error| (error.kind(), error)) {
        Ok(_) if is_running && address.port() != 0 => about.fail(
            "the running gateway does not listen there",
            format!("restart it: {listener}.listen is read at the start only"),
        ),
        Ok(_) => about.ok("is free"),
        Err((ErrorKind::AddrInUse, _)) if is_running => about.ok("the gateway listens"),
        Err((ErrorKind::AddrInUse, _)) => about.fail(
            "is in use by another process",
            format!("end it (ss -ltnp names it), or set {listener}.listen to another port"),
        ),
        Err((ErrorKind::PermissionDenied, _)) => about.fail(
            "this user may not open it",
            "ports below 1024 need CAP_NET_BIND_SERVICE: see deploy/systemd, or take a higher port",
        ),
        Err((ErrorKind::AddrNotAvailable, _)) => about.fail(
            "this machine has no such address",
            format!("set {listener}.listen to one that `ip address` shows"),
        ),
        Err((_, error)) => about.fail(
            format!("can't be opened: {error}"),
            format!("set {listener}.listen to an address of this machine"),
        ),
    }
}
