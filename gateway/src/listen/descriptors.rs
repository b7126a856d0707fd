//! How many connections the process may hold open, by its limit of file descriptors.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config;

/// Fewer are allowed than the connections need.
#[derive(Debug, thiserror::Error)]
#[error(
    "{needed} file descriptors are needed at least (2 × {connections} connections + 256), {allowed} are allowed: raise the limit (ulimit -n) or lower public.limits.connections"
)]
pub struct TooFew {
    /// 2 × connections + 256
    pub needed: u64,
    /// As configured, or the least that the default is lowered to.
    pub connections: usize,
    /// The hard limit.
    pub allowed: u64,
}

/// How many connections the file descriptors are for: each may need one toward upstream; the rest is files, the store and
/// the admin listener. What was asked for is had or refused, the default is lowered.
pub fn connections(limits: &config::Limits) -> Result<usize, TooFew> {
    let needed = descriptors(limits.connections);
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(limits.connections);
    }
    let most = limit.maximum.unwrap_or(needed).min(needed);
    let raised = Rlimit {
        current: Some(most),
        maximum: limit.maximum,
    };
    let allowed = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => most,
        Err(_) => limit.current.unwrap_or(most),
    };
    if allowed >= needed {
        return Ok(limits.connections);
    }
    let fitting = usize::try_from(allowed.saturating_sub(OTHER_DESCRIPTORS) / 2).unwrap_or_default();
    if limits.connections_are_set || fitting == 0 {
        let connections = if limits.connections_are_set {
            limits.connections
        } else {
            1
        };
        return Err(TooFew {
            needed: descriptors(connections),
            connections,
            allowed,
        });
    }
    tracing::warn!(
        allowed,
        connections = fitting,
        "few file descriptors are allowed, so public.limits.connections is lower than its default"
    );
    Ok(fitting)
}

fn descriptors(connections: usize) -> u64 {
    let connections = u64::try_from(connections).unwrap_or(u64::MAX);
    connections.saturating_mul(2).saturating_add(OTHER_DESCRIPTORS)
}

const OTHER_DESCRIPTORS: u64 = 256;
