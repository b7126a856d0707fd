//! What operators see of the gateway: counters and one line a request.

pub mod access_log;
pub mod metrics;
pub mod traffic;
pub mod usage;

pub use access_log::{AccessLog, Line};
pub use metrics::{Metrics, Shard};
pub use usage::Usage;
