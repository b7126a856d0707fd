//! `[public.limits]`: bounds of the public listener.

use std::time::Duration;

use super::reader::Section;

/// Bounds of the public listener: every row of reliability.md 2, one key each.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Octets of a request head.
    pub head: usize,
    /// Header fields.
    pub headers: usize,
    /// Octets of the request target.
    pub target: usize,
    /// Query and form parameters together.
    pub parameters: usize,
    /// Octets of the `Authorization` header.
    pub authorization: usize,
    /// Octets of one decoded `oauth_*` value.
    pub oauth_value: usize,
    /// Octets of a body that is forwarded.
    pub body: u64,
    /// Octets of a form that must be signed.
    pub signed_form: usize,
    /// For the whole head.
    pub header_timeout: Duration,
    /// For the body: this, plus its size at `body_rate`.
    pub body_timeout: Duration,
    /// Octets a second below which a body is too slow.
    pub body_rate: u64,
    /// Without progress of a response.
    pub write_timeout: Duration,
    /// Between requests of a kept connection.
    pub idle_timeout: Duration,
    /// Requests on one connection before it is closed politely.
    pub requests_per_connection: u64,
    /// For the TLS handshake.
    pub tls_handshake_timeout: Duration,
    /// Connections in all.
    pub connections: usize,
    /// Whether that was asked for: then too few file descriptors stop the start; the default is lowered to what they allow.
    pub connections_are_set: bool,
    /// Connections to upstreams in all.
    pub upstream_connections: usize,
    /// Whether that was asked for: else it is as many as `connections`.
    pub upstream_connections_are_set: bool,
    /// Connections of one address, or one /64 of IPv6 (trusted proxies aren't counted).
    pub connections_per_address: usize,
    /// Requests being served.
    pub in_flight: usize,
    /// How long a request may wait for its turn.
    pub in_flight_wait: Duration,
    /// HTTP/2 streams of one connection.
    pub h2_streams: u32,
    /// Octets that may be under way on one stream, and on a connection.
    pub h2_stream_window: u32,
    /// See `h2_stream_window`.
    pub h2_connection_window: u32,
    /// Streams that the client reset before they were served.
    pub h2_pending_resets: usize,
    /// Resets that we may be made to send.
    pub h2_local_resets: usize,
    /// On TERM, between readiness saying no and the listener's close: for balancers to hear it.
    pub drain_delay: Duration,
    /// For a drain on TERM.
    pub drain_timeout: Duration,
}

impl Limits {
    /// How many requests may share their client's connection with others at once, over HTTP/2: half of the connections to
    /// upstreams are for those who send one at a time.
    pub fn streams(&self) -> usize {
        self.upstream_connections.div_ceil(2)
    }
}

pub(super) fn limits(section: Section<'_, '_>) -> Limits {
    let mut limits = Limits {
        head: section.octets("head", "32KiB", ("8KiB", "1MiB")),
        headers: section.count("headers", 100, 1..=100),
        target: section.octets("target", "8KiB", ("256B", "60KiB")),
        parameters: section.count("parameters", 1000, 1..=100_000),
        authorization: section.octets("authorization", "8KiB", ("512B", "64KiB")),
        oauth_value: section.octets("oauth_value", "2KiB", ("256B", "64KiB")),
        body: section.size("body", "10MiB", ("0B", "1024GiB")),
        signed_form: section.octets("signed_form", "1MiB", ("0B", "64MiB")),
        header_timeout: section.duration("header_timeout", "10s", ("100ms", "1h")),
        body_timeout: section.duration("body_timeout", "30s", ("100ms", "1d")),
        body_rate: section.size("body_rate", "1KiB", ("1B", "1GiB")),
        write_timeout: section.duration("write_timeout", "30s", ("100ms", "1d")),
        idle_timeout: section.duration("idle_timeout", "60s", ("100ms", "1d")),
        requests_per_connection: section.number("requests_per_connection", 10_000, 1..=u64::MAX),
        tls_handshake_timeout: section.duration("tls_handshake_timeout", "10s", ("100ms", "1h")),
        connections: section.count("connections", 10_000, 1..=1_000_000),
        connections_are_set: false,
        upstream_connections: 0,
        upstream_connections_are_set: false,
        connections_per_address: section.count("connections_per_address", 1024, 1..=1_000_000),
        in_flight: section.count("in_flight", 1024, 1..=1_000_000),
        in_flight_wait: section.duration("in_flight_wait", "1s", ("0ms", "1m")),
        h2_streams: section.small("h2_streams", 100, 1..=10_000),
        h2_stream_window: window(&section, "h2_stream_window", "64KiB"),
        h2_connection_window: window(&section, "h2_connection_window", "1MiB"),
        h2_pending_resets: section.count("h2_pending_resets", 20, 1..=10_000),
        h2_local_resets: section.count("h2_local_resets", 500, 1..=10_000),
        drain_delay: section.duration("drain_delay", "0s", ("0ms", "1h")),
        drain_timeout: section.duration("drain_timeout", "30s", ("0ms", "1d")),
    };
    limits.upstream_connections = section.count("upstream_connections", limits.connections, 1..=1_000_000);
    limits.connections_are_set = section.is_set("connections");
    limits.upstream_connections_are_set = section.is_set("upstream_connections");
    section.finish();
    limits
}

/// A flow-control window, whose most is 2^31 - 1 octets (RFC 9113 section 6.9.1).
fn window(section: &Section<'_, '_>, key: &str, default: &str) -> u32 {
    u32::try_from(section.size(key, default, ("16KiB", "1GiB"))).unwrap_or(u32::MAX)
}
