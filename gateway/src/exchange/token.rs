//! `/oauth/token`: an approved request token becomes the user's access token, strictly once (RFC 5849 section 2.3).

use http::Response;
use token_store::{Delegated, DelegatedStage, Put, Secret, Store, User};

use super::{TRIES, token_answer};
use crate::authenticate::signature::{Proven, TokenUse, Verifier};
use crate::body::ResponseBody;
use crate::random;
use crate::refusal::{Cause, Refusal};

/// The access token that a request token became.
pub struct Issued {
    row: Delegated,
    user: User,
}

/// Exchanges a request token whose signature holds and whose nonce was claimed.
pub async fn issue(verifier: &Verifier<'_>, proven: &Proven<'_>) -> Result<Issued, Refusal> {
    let TokenUse::Delegated(found) = &proven.token else {
        // An integration's own tokens are exchanged at `/oauth/token/access`.
        return Err(Cause::TokenRejected.into());
    };
    // Withdrawn since the flow began: what it would get opens nothing.
    if !proven.credential.is_active() {
        return Err(Cause::IntegrationInactive.into());
    }
    let mut row = Delegated::clone(found);
    let named = row.token.clone();
    for _ in 0..TRIES {
        let next = step(&row, verifier, proven)?;
        if let Step::Exchange(_, user) = &next
            && !stands(verifier, &row, *user).await?
        {
            return Err(Cause::TokenRevoked.into());
        }
        match (verifier.store.replace_delegated(&named, next.row()).await?, next) {
            (Put::Done(_), Step::Exchange(row, user)) => return Ok(Issued { row, user }),
            (Put::Done(_), Step::WrongVerifier(_)) => return Err(Cause::VerifierInvalid.into()),
            (Put::Changed | Put::NameTaken, _) => {
                // Somebody else was faster: with this token or with a try.
                let current = verifier.store.delegated(row.consumer_id, &named).await?;
                row = Delegated::clone(&*current.ok_or(Cause::TokenUsed)?);
            }
        }
    }
    Err(Cause::Overloaded.into())
}

enum Step {
    Exchange(Delegated, User),
    /// Counted, so that verifiers can't be guessed (P8).
    WrongVerifier(Delegated),
}

impl Step {
    fn row(&self) -> &Delegated {
        match self {
            Self::Exchange(row, _) | Self::WrongVerifier(row) => row,
        }
    }
}

fn step(row: &Delegated, verifier: &Verifier<'_>, proven: &Proven<'_>) -> Result<Step, Refusal> {
    if row.expires_at.is_some_and(|at| at <= verifier.now) {
        return Err(Cause::TokenExpired.into());
    }
    match &row.stage {
        // Nobody allowed it yet, so no verifier can be right.
        DelegatedStage::Pending { .. } => Err(Cause::VerifierInvalid.into()),
        DelegatedStage::Rejected => Err(Cause::TokenRejected.into()),
        DelegatedStage::Access { .. } => Err(Cause::TokenUsed.into()),
        DelegatedStage::Approved {
            callback,
            user,
            revoked_before,
            verifier: expected,
            tries,
        } => {
            if *tries >= MOST_TRIES {
                return Err(Cause::TokenRejected.into());
            }
            let brought = proven
                .signed()
                .verifier()
                .and_then(|octets| std::str::from_utf8(octets).ok());
            let mut next = row.clone();
            if brought.map(Secret::new).as_ref() == Some(expected) {
                next.token = random::credential()?;
                next.secret = random::secret()?;
                next.created_at = verifier.now;
                next.expires_at = None;
                next.stage = DelegatedStage::Access {
                    user: *user,
                    revoked_before: *revoked_before,
                    revoked: false,
                };
                Ok(Step::Exchange(next, *user))
            } else {
                next.stage = DelegatedStage::Approved {
                    callback: callback.clone(),
                    user: *user,
                    revoked_before: *revoked_before,
                    verifier: expected.clone(),
                    tries: tries + 1,
                };
                Ok(Step::WrongVerifier(next))
            }
        }
    }
}

/// Whether all tokens of the user have not ended since they allowed it.
async fn stands(verifier: &Verifier<'_>, row: &Delegated, user: User) -> Result<bool, Refusal> {
    let ended = verifier.store.revoked_before(user).await?;
    Ok(matches!(row.stage, DelegatedStage::Approved { revoked_before, .. } if revoked_before == ended))
}

impl Issued {
    /// One access token a user: the one before ends with the new one. Where it can't be ended, the next exchange ends both.
    pub async fn end_older(&self, store: &dyn Store) -> Result<(), Refusal> {
        let new = &self.row;
        for row in store.delegated_of(new.consumer_id).await? {
            let is_theirs = matches!(row.stage, DelegatedStage::Access { user, .. } if user == self.user);
            if is_theirs && row.token != new.token {
                store.delete_delegated(new.consumer_id, &row.token).await?;
            }
        }
        Ok(())
    }

    /// Told this once.
    pub fn answer(&self) -> Response<ResponseBody> {
        token_answer(&self.row.token, self.row.secret.expose(), false)
    }
}

/// Wrong verifiers that one request token bears.
const MOST_TRIES: u8 = 5;
