//! The one token row of a consumer: verifier → request → access (magento.md 1.9).

use serde::{Deserialize, Serialize};

use crate::{Secret, UnixSeconds};

/// Where the consumer's own token stands. Each move replaces the whole row, so an older pair can't come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum OwnToken {
    /// A verifier was made (and posted); no token is known to anybody yet.
    Verifier {
        /// `oauth_verifier`, 32 characters.
        verifier: Secret,
        /// When it was made.
        created_at: UnixSeconds,
    },
    /// A request token was handed out.
    Request {
        /// `oauth_token`, 32 characters.
        token: String,
        /// Its secret.
        secret: Secret,
        /// The verifier that the exchange must bring.
        verifier: Secret,
        /// When it was handed out.
        created_at: UnixSeconds,
        /// Refused from this second on.
        expires_at: UnixSeconds,
    },
    /// The access token.
    Access {
        /// `oauth_token`, 32 characters.
        token: String,
        /// Its secret.
        secret: Secret,
        /// Whether an admin withdrew it.
        revoked: bool,
        /// When it was handed out.
        created_at: UnixSeconds,
        /// What it was exchanged from, while a lost response may still be asked again.
        exchanged: Option<Exchanged>,
    },
}

/// What the lost-response grace needs to answer the same exchange again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchanged {
    /// The request token that was exchanged.
    pub request_token: String,
    /// Its secret: the repeated request is signed with it.
    pub request_secret: Secret,
    /// The verifier that was brought.
    pub verifier: Secret,
    /// When the exchange happened.
    pub at: UnixSeconds,
}

impl OwnToken {
    /// The token string by which a request may name this row, if it has one yet.
    pub fn token(&self) -> Option<&str> {
        match self {
            Self::Verifier { .. } => None,
            Self::Request { token, .. } | Self::Access { token, .. } => Some(token),
        }
    }

    /// The secret that goes with [`OwnToken::token`].
    pub fn secret(&self) -> Option<&Secret> {
        match self {
            Self::Verifier { .. } => None,
            Self::Request { secret, .. } | Self::Access { secret, .. } => Some(secret),
        }
    }

    /// What this access token was exchanged from, if `token` is that request token.
    pub fn exchanged_from(&self, token: &str) -> Option<&Exchanged> {
        match self {
            Self::Verifier { .. } | Self::Request { .. } => None,
            Self::Access { exchanged, .. } => exchanged.as_ref().filter(|from| from.request_token == token),
        }
    }
}
