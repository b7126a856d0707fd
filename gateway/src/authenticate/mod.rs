//! Who calls. The only maker of [`Authenticated`]: past this module nobody asks again.
//!
//! `target.rs` finds the URL as the client saw it, `body.rs` reads forms (they are signed), `signature.rs` verifies OAuth
//! 1.0a, `bearer.rs` bearer tokens; `credential.rs` keeps what verifying needs in the worker's own memory.

pub mod bearer;
pub mod body;
pub mod credential;
pub mod signature;
pub mod target;

use std::rc::Rc;
use std::sync::Arc;

use token_store::{Account, AccountId, Delegated, DelegatedStage, OwnToken, User, UserKind};

use self::credential::Credential;
use self::signature::{Proven, TokenUse, Verifier};
use crate::refusal::{Cause, Message, Refusal};

/// A caller whose claim was checked. Only this module makes one.
pub struct Authenticated {
    caller: Caller,
}

/// Who it is.
pub enum Caller {
    /// An integration, by its own token or two-legged.
    Integration(Rc<Credential>),
    /// An integration on behalf of a user who delegated (three-legged).
    Delegated(Rc<Credential>, User, Option<Arc<Account>>),
    /// An admin account, by bearer token.
    Admin(Arc<Account>),
    /// A customer, by bearer token.
    Customer {
        /// The customer's number.
        id: u64,
    },
    /// Nobody in particular.
    Guest(Guest),
}

/// Why a caller is nobody in particular: what a refusal will name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guest {
    /// No credentials came.
    Unnamed,
    /// A bearer token came, but opens nothing (magento.md 4.9).
    BadBearer,
    /// The integration that signed, or whose token came, isn't active (magento.md 2.5 E6).
    InactiveIntegration,
}

impl Authenticated {
    fn new(caller: Caller) -> Self {
        Self { caller }
    }

    /// Nobody in particular.
    pub fn guest() -> Self {
        Self::new(Caller::Guest(Guest::Unnamed))
    }

    /// An integration by itself, while it is active.
    fn integration(credential: Rc<Credential>) -> Self {
        Self::new(if credential.is_active() {
            Caller::Integration(credential)
        } else {
            Caller::Guest(Guest::InactiveIntegration)
        })
    }

    /// Who it is.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The consumer that signed, if one did.
    pub fn credential(&self) -> Option<&Rc<Credential>> {
        match &self.caller {
            Caller::Integration(credential) | Caller::Delegated(credential, ..) => Some(credential),
            Caller::Admin(_) | Caller::Customer { .. } | Caller::Guest(_) => None,
        }
    }

    /// `X-User-Type`.
    pub fn user_type(&self) -> &'static str {
        match &self.caller {
            Caller::Integration(_) => "integration",
            Caller::Delegated(_, user, _) => match user.kind {
                UserKind::Admin => "admin",
                UserKind::Customer => "customer",
            },
            Caller::Admin(_) => "admin",
            Caller::Customer { .. } => "customer",
            Caller::Guest(_) => "guest",
        }
    }

    /// `X-User-Id`: the user's number; an integration's is its own.
    pub fn user_id(&self) -> Option<u64> {
        match &self.caller {
            Caller::Integration(credential) => credential.record().integration.as_ref().map(|one| one.id.0),
            Caller::Delegated(_, user, _) => Some(user.id),
            Caller::Admin(account) => Some(account.id.0),
            Caller::Customer { id } => Some(*id),
            Caller::Guest(_) => None,
        }
    }
}

/// A proven and claimed resource request becomes its caller: the token's state is judged only now, so that nothing of it
/// shows without the secret. An integration that isn't active calls as a guest.
pub async fn signed(proven: Proven<'_>, verifier: &Verifier<'_>) -> Result<Authenticated, Refusal> {
    let credential = Rc::clone(&proven.credential);
    match &proven.token {
        TokenUse::None => Ok(Authenticated::integration(credential)),
        TokenUse::Own => {
            own_token(&credential, verifier).await?;
            Ok(Authenticated::integration(credential))
        }
        TokenUse::Delegated(row) => delegated(credential, row, verifier).await,
    }
}

async fn own_token(credential: &Credential, verifier: &Verifier<'_>) -> Result<(), Refusal> {
    match &credential.record().token {
        Some(OwnToken::Access { revoked: true, .. }) => Err(Cause::TokenRevoked.into()),
        Some(OwnToken::Access { exchanged: None, .. }) => Ok(()),
        Some(OwnToken::Access { exchanged: Some(_), .. }) => {
            // The first use shows that the pair arrived: from here on a lost response can't be asked again.
            let mut used = credential.record().clone();
            if let Some(OwnToken::Access { exchanged, .. }) = &mut used.token {
                *exchanged = None;
            }
            // Changed meanwhile: whoever changed it saw the token live, and the next use settles it.
            verifier.store.update_consumer(&used).await?;
            Ok(())
        }
        Some(OwnToken::Verifier { .. } | OwnToken::Request { .. }) | None => Err(not_an_access_token()),
    }
}

async fn delegated(
    credential: Rc<Credential>,
    row: &Delegated,
    verifier: &Verifier<'_>,
) -> Result<Authenticated, Refusal> {
    match &row.stage {
        DelegatedStage::Pending { .. } | DelegatedStage::Approved { .. } | DelegatedStage::Rejected => {
            Err(not_an_access_token())
        }
        DelegatedStage::Access { revoked: true, .. } => Err(Cause::TokenRevoked.into()),
        DelegatedStage::Access { user, revoked: false } => {
            if row.expires_at.is_some_and(|at| at <= verifier.now) {
                return Err(Cause::TokenExpired.into());
            }
            if !credential.is_active() {
                return Ok(Authenticated::new(Caller::Guest(Guest::InactiveIntegration)));
            }
            let account = match user.kind {
                UserKind::Customer => None,
                UserKind::Admin => {
                    let account = verifier.store.account(UserKind::Admin, AccountId(user.id)).await?;
                    account.filter(|account| account.definition.active)
                }
            };
            Ok(Authenticated::new(Caller::Delegated(credential, *user, account)))
        }
    }
}

fn not_an_access_token() -> Refusal {
    Refusal::saying(Cause::TokenRejected, Message::Plain("Token is not an access token"))
}
