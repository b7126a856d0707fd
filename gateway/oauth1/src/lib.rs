//! OAuth 1.0a as a pure protocol (RFC 5849; `C` numbers are the project's checklist): bytes and arguments in, values out.
//! No I/O, no clock, no randomness, no locks: whoever calls brings them.
//!
//! The order of the modules is the order in which a signed request is read: [`target`] (the URL as the client saw it),
//! `authorization` (the header), `parameters` (header, query and form), [`request`] (what the call must carry),
//! [`base_string`] and [`signature`] (what was signed, and with which key), [`timestamp`] (when).
//! [`problem`] is the one error type: the request is at fault. [`explain`] says why a signature does not hold.

mod authorization;
pub mod base_string;
pub mod body_hash;
pub mod explain;
mod form;
mod natural_order;
mod parameters;
pub mod percent;
pub mod problem;
pub mod request;
mod rsa_key;
pub mod sign;
pub mod signature;
pub mod target;
mod text;
pub mod timestamp;

pub use problem::{ParameterName, Problem};
pub use request::{
    Acceptance, BaseForm, Call, Limits, OauthRequest, Placement, Placements, RequestParts, Rules, SignedRequest,
};
pub use signature::{Keys, MethodSet, RsaPublicKey, SignatureMethod};
pub use target::{Scheme, Target};
