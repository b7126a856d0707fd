//! What operators see of the gateway: counters, one line a request, and what the audit log says of changes.

pub mod access_log;
pub mod audit;
pub mod log;
pub mod metrics;
pub mod seldom;
mod sink;
pub mod store_faults;
pub mod traffic;
pub mod usage;

pub use access_log::{AccessLog, Line};
pub use log::ApplicationLog;
pub use metrics::{Metrics, Shard};
pub use seldom::Seldom;
pub use store_faults::{store_failed, unsure_until, with_causes};
pub use usage::Usage;
