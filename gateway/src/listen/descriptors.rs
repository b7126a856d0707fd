//! How many connections the process may hold open, by its limit of file descriptors.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config;

/// Fewer are allowed than the connections need.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{needed} file descriptors are needed at least ({connections} connections of clients + {upstream_connections} to upstreams + 256), {allowed} are allowed: raise the limit (ulimit -n) or lower public.limits.connections and public.limits.upstream_connections"
)]
pub struct TooFew {
    /// One for each connection, and 256.
    pub needed: u64,
    /// As configured, or the least that the default is lowered to.
    pub connections: usize,
    /// The same, of those to upstreams.
    pub upstream_connections: usize,
    /// The hard limit.
    pub allowed: u64,
}

/// Makes the connections of clients and those to upstreams fit the file descriptors, of which each takes one; the rest is
/// files, the store and the admin listener. HTTP/2 asks for many of the latter on one of the former: both are bounded. What
/// was asked for is had or refused, defaults are lowered.
pub fn fit(limits: &mut config::Limits) -> Result<(), TooFew> {
    let needed = descriptors(limits.connections, limits.upstream_connections);
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
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
    lower(limits, allowed)
}

/// Lowers what has its default until so many file descriptors do.
fn lower(limits: &mut config::Limits, allowed: u64) -> Result<(), TooFew> {
    let (clients, upstreams) = (limits.connections, limits.upstream_connections);
    if allowed >= descriptors(clients, upstreams) {
        return Ok(());
    }
    let left = usize::try_from(allowed.saturating_sub(OTHER_DESCRIPTORS)).unwrap_or(usize::MAX);
    let fitting = match (limits.connections_are_set, limits.upstream_connections_are_set) {
        (false, false) => (left / 2, left / 2),
        (false, true) => (left.saturating_sub(upstreams), upstreams),
        // Unset, those to upstreams are as many as those of clients: they were asked for, too.
        (true, _) => (0, 0),
    };
    let (connections, upstream_connections) = fitting;
    if connections == 0 || upstream_connections == 0 {
        let connections = if limits.connections_are_set { clients } else { 1 };
        let is_default = !limits.connections_are_set && !limits.upstream_connections_are_set;
        let upstream_connections = if is_default { 1 } else { upstreams };
        return Err(TooFew {
            needed: descriptors(connections, upstream_connections),
            connections,
            upstream_connections,
            allowed,
        });
    }
    tracing::warn!(
        allowed,
        connections,
        upstream_connections,
        "few file descriptors are allowed, so connections in public.limits are fewer than by default"
    );
    limits.connections = connections;
    limits.upstream_connections = upstream_connections;
    Ok(())
}

fn descriptors(connections: usize, upstream_connections: usize) -> u64 {
    let connections = connections.saturating_add(upstream_connections);
    let connections = u64::try_from(connections).unwrap_or(u64::MAX);
    connections.saturating_add(OTHER_DESCRIPTORS)
}

const OTHER_DESCRIPTORS: u64 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    /// (connections, to upstreams) that are left where 1,256 descriptors are allowed; what was refused is (needed, 0).
    fn left(environment: &[(&str, &str)]) -> (u64, u64) {
        let (config, _) = config::Config::parse("", "t.toml", &config::Environment::of(environment)).unwrap();
        let mut limits = config.public.limits;
        match lower(&mut limits, 1_256) {
            Ok(()) => (
                u64::try_from(limits.connections).unwrap(),
                u64::try_from(limits.upstream_connections).unwrap(),
            ),
            Err(few) => (few.needed, 0),
        }
    }

    #[test]
    fn connections_to_upstreams_take_descriptors_as_those_of_clients_do() {
        let clients = ("COUNTERSIGN_PUBLIC_LIMITS_CONNECTIONS", "600");
        let upstreams = ("COUNTERSIGN_PUBLIC_LIMITS_UPSTREAM_CONNECTIONS", "900");

        assert_eq!(left(&[]), (500, 500));
        assert_eq!(left(&[upstreams]), (100, 900));
        assert_eq!(left(&[clients]), (1_456, 0));
        assert_eq!(left(&[clients, upstreams]), (1_756, 0));
        assert_eq!(left(&[clients, (upstreams.0, "400")]), (600, 400));
    }
}
