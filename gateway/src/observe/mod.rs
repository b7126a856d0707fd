//! What operators see of the gateway: counters and one line a request.

pub mod access_log;
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
pub use store_faults::{store_failed, with_causes};
pub use usage::Usage;
