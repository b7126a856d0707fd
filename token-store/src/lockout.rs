//! Failed sign-ins (magento.md 4.5): counted by user name as typed, in the store, so that they hold across gateways.

use serde::{Deserialize, Serialize};

use crate::UnixSeconds;

/// Which sign-in is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LockoutKind {
    /// Admin sign-ins.
    Admin,
    /// Customer sign-ins.
    Customer,
}

/// The failures of one name so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInFailures {
    /// How many since the last success or expiry.
    pub count: u32,
    /// Slides with every failure; from this second on the failures are forgotten.
    pub lock_expires_at: UnixSeconds,
}
