//! Opaque bearer tokens of admins and customers (magento.md 4.4).

use serde::{Deserialize, Serialize};

use crate::{Secret, UnixSeconds};

/// Which kind of user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserKind {
    /// An admin account of ours.
    Admin,
    /// A customer of the storefront.
    Customer,
}

/// A user: kind and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct User {
    /// Admin or customer.
    pub kind: UserKind,
    /// The account's number.
    pub id: u64,
}

/// A bearer token as it is kept: by its digest, so that a reader of the store can't use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserToken {
    /// SHA-256 of the token, lower-case hex; `console.` stands before that of a session of the console.
    pub digest: String,
    /// Whose.
    pub user: User,
    /// When it was issued.
    pub created_at: UnixSeconds,
    /// Refused from this second on; `None`: never expires.
    pub expires_at: Option<UnixSeconds>,
    /// The storefront's own token that came with a customer's sign-in, for upstream credentials `customer`.
    pub upstream_token: Option<Secret>,
    /// Whether it only keeps what goes with a JWT: it opens nothing by itself, and the JWT doesn't end with it.
    #[serde(default)]
    pub is_beside_jwt: bool,
}
