//! Accounts that sign in: admins, and customers where their passwords are kept here.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{Secret, UnixSeconds, UserKind};

/// An account's number within its kind: positive, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountId(pub u64);

/// What an admin account may do on the admin listener (product.md 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads all but credentials.
    Viewer,
    /// Also activates, reauthorizes, deactivates, revokes and tests.
    Operator,
    /// Everything.
    Admin,
}

/// What [`crate::Store::create_account`] takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAccount {
    /// Admin or customer.
    pub kind: UserKind,
    /// Unique within the kind; a customer's is the e-mail address.
    pub username: String,
    /// E-mail address, may be empty.
    pub email: String,
    /// Argon2id, in PHC string form.
    pub password_hash: Secret,
    /// Admins only; a customer has the least, and it is never asked for.
    pub role: Role,
    /// Whether it may sign in and its tokens count.
    pub active: bool,
    /// ACL resources that its token opens on routes; `None`: all for [`Role::Admin`], none else.
    pub resources: Option<BTreeSet<String>>,
    /// The second factor, once enrolled.
    pub totp: Option<Totp>,
}

/// A second factor: codes by time (RFC 6238).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totp {
    /// Base32, without padding.
    pub secret: Secret,
    /// How far the enrolment came.
    pub stage: TotpStage,
    /// Digests of the recovery codes that were not used yet.
    #[serde(default)]
    pub recovery: Vec<Secret>,
}

/// How far an enrolment came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum TotpStage {
    /// Handed out; no code has shown yet that it arrived, and none is asked for.
    Pending,
    /// Asked for at each sign-in.
    Active {
        /// The step of the last code that was used: neither it nor an earlier one counts again.
        last_step: u64,
    },
}

/// An account as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its number within its kind.
    pub id: AccountId,
    /// Moves by one with every change; [`crate::Store::update_account`] compares it.
    pub version: u64,
    /// When it was made.
    pub created_at: UnixSeconds,
    /// When it last changed.
    pub updated_at: UnixSeconds,
    /// What its maker gave.
    #[serde(flatten)]
    pub definition: NewAccount,
}
