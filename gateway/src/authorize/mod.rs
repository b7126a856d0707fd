//! What a caller may do: [`Authenticated`] and a route make [`Permitted`], or a refusal (magento.md 5.5).

pub mod opened_routes;
pub mod resources;

use std::collections::BTreeSet;

use token_store::{Account, Grant, IntegrationId, Role, UserKind};

use self::opened_routes::RoutePlace;
use self::resources::ResourceTree;
use crate::authenticate::{Authenticated, Caller, Guest};
use crate::config::Requirement;
use crate::refusal::{Cause, Refusal};

/// A caller that may use the route. Only this module makes one; what forwards takes it.
pub struct Permitted {
    caller: Authenticated,
}

impl Permitted {
    /// Who may.
    pub fn caller(&self) -> &Authenticated {
        &self.caller
    }

    /// For a route that only observes: what was refused is forwarded as a guest.
    pub fn observed() -> Self {
        Self {
            caller: Authenticated::guest(),
        }
    }

    /// For a browser's question what it may ask of a route (CORS): it never carries credentials (C117).
    pub fn preflight(requirement: &Requirement) -> Result<Self, Refusal> {
        let caller = Authenticated::guest();
        match requirement {
            Requirement::Nothing => Err(denied(&caller, "")),
            Requirement::Anonymous | Requirement::Own | Requirement::Resources(_) => Ok(Self { caller }),
        }
    }
}

/// A caller that may not use the route.
pub struct Denied {
    /// What it is told.
    pub refusal: Refusal,
    /// The integration that asked, and which of the resources it is not granted itself.
    pub asked: Option<(IntegrationId, Vec<String>)>,
}

/// Checks the route's resources: all of them are needed; what is not listed in a grant is denied.
pub fn permit(
    caller: Authenticated,
    requirement: &Requirement,
    tree: &ResourceTree,
    place: RoutePlace,
) -> Result<Permitted, Box<Denied>> {
    let denied = |caller: &Authenticated, resources: &str| {
        Box::new(Denied {
            refusal: denied(caller, resources),
            asked: asked(caller, requirement, tree),
        })
    };
    match requirement {
        Requirement::Anonymous => Ok(Permitted { caller }),
        Requirement::Nothing => Err(denied(&caller, "")),
        Requirement::Own => match caller.caller() {
            Caller::Customer { .. } => Ok(Permitted { caller }),
            Caller::Delegated(_, user, _) if user.kind == UserKind::Customer => Ok(Permitted { caller }),
            Caller::Delegated(..) | Caller::Integration(_) | Caller::Admin(_) | Caller::Guest(_) => {
                Err(denied(&caller, "self"))
            }
        },
        Requirement::Resources(required) => {
            if opens(&caller, required, tree, place) {
                Ok(Permitted { caller })
            } else {
                Err(denied(
                    &caller,
                    &required.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
                ))
            }
        }
    }
}

fn opens(caller: &Authenticated, required: &BTreeSet<String>, tree: &ResourceTree, place: RoutePlace) -> bool {
    match caller.caller() {
        Caller::Integration(credential) => credential.grants(required, tree, place),
        Caller::Delegated(credential, user, account) => {
            let by_user = match (user.kind, account) {
                (UserKind::Admin, Some(account)) => account_opens(account, required, tree),
                (UserKind::Admin, None) | (UserKind::Customer, _) => false,
            };
            by_user && credential.grants(required, tree, place)
        }
        Caller::Admin(account) => account_opens(account, required, tree),
        Caller::Customer { .. } | Caller::Guest(_) => false,
    }
}

fn account_opens(account: &Account, required: &BTreeSet<String>, tree: &ResourceTree) -> bool {
    let grant = match (&account.definition.resources, account.definition.role) {
        (Some(listed), _) => Grant::Listed(listed.clone()),
        (None, Role::Admin) => Grant::All,
        (None, Role::Viewer | Role::Operator) => Grant::Listed(BTreeSet::new()),
    };
    tree.permits(&grant, required)
}

fn asked(
    caller: &Authenticated,
    requirement: &Requirement,
    tree: &ResourceTree,
) -> Option<(IntegrationId, Vec<String>)> {
    let credential = caller.credential()?;
    let grant = &credential.record().integration.as_ref()?.definition.grant;
    let lacking = match requirement {
        Requirement::Anonymous | Requirement::Nothing => Vec::new(),
        Requirement::Own => vec!["self".to_owned()],
        Requirement::Resources(required) => tree.lacking(grant, required),
    };
    Some((credential.integration()?, lacking))
}

fn denied(caller: &Authenticated, resources: &str) -> Refusal {
    let cause = match caller.caller() {
        Caller::Guest(Guest::InactiveIntegration) => Cause::IntegrationInactive,
        Caller::Guest(Guest::BadBearer) => Cause::BearerInvalid,
        Caller::Integration(_)
        | Caller::Delegated(..)
        | Caller::Admin(_)
        | Caller::Customer { .. }
        | Caller::Guest(Guest::Unnamed) => Cause::ResourceDenied,
    };
    Refusal::not_authorized(cause, resources)
}
