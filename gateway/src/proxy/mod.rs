//! The hot path.

/// Upstream's response body as it streams.
pub type UpstreamBody = hyper::body::Incoming;
