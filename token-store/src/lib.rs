//! What Countersign keeps, and what each verb guarantees.
//!
//! [`Store`] is the one trait; [`embedded`] and [`redis`] implement it and [`cached`] stands in front of either.
//! Every implementation, the cache included, passes the same contract suite.
//!
//! - A verb that changes something answers after the change is durable (embedded: synced to disk; Redis: acknowledged by
//!   the primary). An `Err` means "we could not find out", never "no": callers answer 503.
//! - Absent is `Ok(None)`.
//! - Time is an argument or a stored `expires_at`, in Unix seconds. A reader refuses what has expired, whatever the
//!   backend's own expiry has done.
//! - Records are sealed whole (AEAD): secrets never reach a disk or a wire in clear.

pub mod account;
pub mod audit;
pub mod cached;
pub mod change;
pub mod codec;
pub mod consumer;
#[cfg(test)]
mod contract;
pub mod delegated;
pub mod embedded;
pub mod event;
pub mod integration;
pub mod lockout;
pub mod nonce;
pub mod open;
#[cfg(feature = "redis")]
pub mod redis;
pub mod seal;
pub mod secret;
pub mod secret_use;
#[cfg(all(test, feature = "redis"))]
#[path = "../../tests/harness/redis/mod.rs"]
#[expect(unreachable_pub, reason = "the end-to-end tests have it as a library")]
mod servers;
pub mod store;
pub mod token;
pub mod user_token;

pub use account::{Account, AccountId, NewAccount, Role, Totp, TotpStage};
pub use audit::{AuditEntry, NewAuditEntry};
pub use change::{Change, Listener};
pub use consumer::{Consumer, ConsumerId, ConsumerRecord, NewConsumer, PreviousSecret};
pub use delegated::{Delegated, DelegatedStage};
pub use integration::{
    Grant, Integration, IntegrationId, IntegrationPage, IntegrationQuery, IntegrationSort, NewIntegration, Setup,
    Status,
};
pub use lockout::{LockoutKind, SignInFailures};
pub use nonce::{Claim, NonceClaim};
pub use open::{OpenError, OpenOptions, open};
pub use secret::Secret;
pub use secret_use::SecretUses;
pub use store::{Freshness, Put, Store, StoreError};
pub use token::{Exchanged, OwnToken};
pub use user_token::{User, UserKind, UserToken};

/// Seconds since 1970-01-01 UTC.
pub type UnixSeconds = u64;
