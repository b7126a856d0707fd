//! The end-to-end harness: the real binary as a process, an upstream, a partner's callback endpoint, raw sockets, and a
//! signer of its own that knows RFC 5849 and nothing of ours.
//!
//! A test reads as a story:
//!
//! ```ignore
//! let shop = Shop::shared().await;
//! let integration = shop.integration().granted(&["Magento_Catalog::products"]).active().await;
//! let call = Call::get("/rest/V1/products/24-MB01").signed_by(&integration.credentials).to(&shop.gateway);
//!
//! let first = call.send().await;
//! let replay = call.send().await;
//!
//! assert_eq!(first.status, 200);
//! assert_eq!(replay.cause(), "nonce_used");
//! ```
//!
//! [`Shop`] is gateway, upstream, partner and admin together; [`Shop::shared`] is one for all tests of the process (each
//! makes integrations and paths of its own in it), [`Shop::new`] one of the test's own, with its own configuration. Servers
//! listen on free ports, files are in temporary folders, and whatever runs is ended with the test process, even if that
//! is killed.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "test harness: a broken precondition fails the test at once"
)]
#![expect(clippy::disallowed_methods, reason = "test harness: real time, real processes")]

mod admin;
mod call;
mod delegation;
mod gateway;
mod partner;
mod process;
pub mod redis;
mod shop;
mod sign;
mod store;
mod storefront;
mod upstream;
mod wait;
mod webhook;
mod wire;

pub use admin::{Admin, Integration, NewIntegration};
pub use call::{Call, Connection, Message};
pub use delegation::CALLBACK;
pub use gateway::{Config, Gateway};
pub use partner::{Handshake, Partner, PartnerAnswer, Posted};
pub use process::{binary, free_port};
pub use shop::{ADMIN, PASSWORD, Shop, ShopBuilder};
pub use sign::{Credentials, Placement, Signing, now, pairs_of_form, percent_encode};
pub use store::CUSTOMER;
pub use storefront::{Ran, Storefront, run, run_with};
pub use upstream::{Answer, Seen, Upstream};
pub use wait::{background, eventually, next_second};
pub use webhook::{WEBHOOK_SECRET, Webhook};
pub use wire::{Refusal, Response};
