//! Who calls. The only maker of [`Authenticated`]: past this module nobody asks again.
//!
//! `target.rs` finds the URL as the client saw it, `body.rs` reads forms (they are signed), `signature.rs` verifies OAuth
//! 1.0a, `bearer.rs` bearer tokens; `credential.rs` keeps what verifying needs in the worker's own memory.

pub mod bearer;
pub mod body;
pub mod credential;
pub mod jwt;
pub mod secret_use;
pub mod signature;
pub mod target;

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use token_store::{Account, AccountId, Delegated, DelegatedStage, OwnToken, User, UserKind, UserToken};

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
        /// What is kept with the token that was brought; with a JWT, only where upstream wants it.
        token: Option<Arc<UserToken>>,
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

    /// Whether it is nobody in particular.
    pub fn is_guest(&self) -> bool {
        matches!(self.caller, Caller::Guest(_))
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
            Caller::Customer { id, .. } => Some(*id),
            Caller::Guest(_) => None,
        }
    }
}

/// What memory answers at once, or the work of asking the store: boxed, so that a request that memory answers doesn't carry
/// its state.
pub enum Lookup<'a, T> {
    /// Memory has it.
    Known(Result<T, Refusal>),
    /// The store has to be asked.
    Asking(Pin<Box<dyn Future<Output = Result<T, Refusal>> + 'a>>),
}

/// A proven and claimed resource request becomes its caller: the token's state is judged only now, so that nothing of it
/// shows without the secret. An integration that isn't active calls as a guest.
pub fn signed<'a>(proven: &'a Proven<'_>, verifier: &'a Verifier<'_>) -> Lookup<'a, Authenticated> {
    let credential = Rc::clone(&proven.credential);
    let integration = |credential| Ok(Authenticated::integration(credential));
    match &proven.token {
        TokenUse::None => Lookup::Known(integration(credential)),
        TokenUse::Own => match own_token(&credential, proven.signed().token()) {
            Err(refusal) => Lookup::Known(Err(refusal)),
            Ok(Use::Later) => Lookup::Known(integration(credential)),
            Ok(Use::First) => Lookup::Asking(Box::pin(async move {
                settle(&credential, verifier).await?;
                integration(credential)
            })),
        },
        TokenUse::Delegated(row) => Lookup::Asking(Box::pin(delegated(credential, row, verifier))),
    }
}

/// Whether an access token was used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    First,
    Later,
}

/// `presented`: the access token, or the request token that it was exchanged for, which opens nothing.
fn own_token(credential: &Credential, presented: Option<&str>) -> Result<Use, Refusal> {
    if credential.has_settled_token() {
        return Ok(Use::Later);
    }
    match &credential.record().token {
        Some(OwnToken::Access { revoked: true, .. }) => Err(Cause::TokenRevoked.into()),
        Some(OwnToken::Access { exchanged: None, .. }) => Ok(Use::Later),
        Some(own @ OwnToken::Access { exchanged: Some(_), .. }) if own.token() == presented => Ok(Use::First),
        Some(OwnToken::Access { .. } | OwnToken::Verifier { .. } | OwnToken::Request { .. }) | None => {
            Err(not_an_access_token())
        }
    }
}

/// The first use shows that the pair arrived: from here on a lost response can't be asked again.
async fn settle(credential: &Credential, verifier: &Verifier<'_>) -> Result<(), Refusal> {
    let mut used = credential.record().clone();
    if let Some(OwnToken::Access { exchanged, .. }) = &mut used.token {
        *exchanged = None;
    }
    // Changed meanwhile: whoever changed it saw the token live, and the next use settles it.
    verifier.store.update_consumer(&used).await?;
    Ok(())
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
        DelegatedStage::Access {
            user,
            revoked_before,
            revoked: false,
        } => {
            if verifier.store.revoked_before(*user).await? != *revoked_before {
                return Err(Cause::TokenRevoked.into());
            }
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
