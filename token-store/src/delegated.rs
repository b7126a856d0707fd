//! Tokens that users delegate to a consumer: the three-legged flow of RFC 5849 (section 2).

use serde::{Deserialize, Serialize};

use crate::{ConsumerId, Secret, UnixSeconds, User};

/// One delegated token row, under its consumer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegated {
    /// Moves by one with every change.
    pub version: u64,
    /// Whose.
    pub consumer_id: ConsumerId,
    /// `oauth_token`, 32 characters.
    pub token: String,
    /// Its secret.
    pub secret: Secret,
    /// When it was made.
    pub created_at: UnixSeconds,
    /// Refused from this second on; `None`: never.
    pub expires_at: Option<UnixSeconds>,
    /// How far it came.
    pub stage: DelegatedStage,
}

impl Delegated {
    /// Whose access token it is that has not ended, when all of that user's last ended in the second `revoked_before`.
    pub(crate) fn is_of(&self, user: User, revoked_before: UnixSeconds) -> bool {
        let access = DelegatedStage::Access {
            user,
            revoked_before,
            revoked: false,
        };
        self.stage == access
    }

    /// Whose access token it is.
    pub(crate) fn user(&self) -> Option<User> {
        match &self.stage {
            DelegatedStage::Access { user, .. } => Some(*user),
            DelegatedStage::Pending { .. } | DelegatedStage::Approved { .. } | DelegatedStage::Rejected => None,
        }
    }
}

/// How far a delegation came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum DelegatedStage {
    /// Asked for; the resource owner has not decided.
    Pending {
        /// The callback given at `/oauth/initiate`, or `oob`.
        callback: String,
    },
    /// The resource owner allowed it.
    Approved {
        /// The callback given at `/oauth/initiate`, or `oob`.
        callback: String,
        /// Who allowed it.
        user: User,
        /// When all tokens of the user had last ended as it was allowed: another second since means that it ended, too.
        #[serde(default)]
        revoked_before: UnixSeconds,
        /// What the exchange must bring.
        verifier: Secret,
        /// Wrong verifiers brought so far.
        tries: u8,
    },
    /// The resource owner said no.
    Rejected,
    /// Exchanged: this row is the user's access token.
    Access {
        /// On whose behalf.
        user: User,
        /// When all tokens of the user had last ended as it was allowed: another second since means that it ended, too.
        #[serde(default)]
        revoked_before: UnixSeconds,
        /// Whether it was withdrawn.
        revoked: bool,
    },
}
