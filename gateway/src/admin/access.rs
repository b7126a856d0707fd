//! Who calls the admin API, and what their role lets them do (product.md 5). The whole table is here.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Extension, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;
use token_store::audit::noted;
use token_store::event::Happening;
use token_store::{Account, NewAuditEntry, Role};

use super::Context;
use super::answer::ApiError;
use super::session;
use crate::authenticate::bearer;
use crate::observe::audit::{self, Told};
use crate::refusal::Cause;

/// Where a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The admin listener.
    Network(IpAddr),
    /// The socket beside the store: whoever can open it owns the store.
    ControlSocket,
}

/// Who is signed in at the console, for its own calls of the API. No request from outside carries it.
#[derive(Clone)]
pub(super) struct SignedIn(pub(super) Arc<Account>);

/// A caller whose bearer token or session holds.
pub struct Caller {
    account: Option<Arc<Account>>,
    origin: Origin,
}

/// What is about to be done: the least role that may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Reading all but credentials.
    Read,
    /// Activating, reauthorizing, deactivating, revoking, testing.
    Operate,
    /// Creating, editing, deleting, rotating, seeing credentials, managing accounts, reloading.
    Administer,
}

impl Act {
    fn least_role(self) -> Role {
        match self {
            Self::Read => Role::Viewer,
            Self::Operate => Role::Operator,
            Self::Administer => Role::Admin,
        }
    }
}

impl Caller {
    /// Refuses unless the role reaches.
    pub fn may(&self, act: Act) -> Result<(), ApiError> {
        let reaches = match &self.account {
            None => true,
            Some(account) => account.definition.role >= act.least_role(),
        };
        if reaches {
            return Ok(());
        }
        let needed = match act.least_role() {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        };
        Err(ApiError::with(
            StatusCode::FORBIDDEN,
            "This needs the role \"%1\".",
            needed,
        ))
    }

    /// Refuses unless it is the caller's own account, or the role manages accounts.
    pub fn may_for(&self, account: u64) -> Result<(), ApiError> {
        if self.account.as_ref().is_some_and(|own| own.id.0 == account) {
            return Ok(());
        }
        self.may(Act::Administer)
    }

    /// Refuses unless the caller knows their account's password, too; a wrong one counts as a failed sign-in.
    pub async fn confirm(&self, context: &Context, password: String) -> Result<(), ApiError> {
        let Some(account) = &self.account else { return Ok(()) };
        match context.parts.users.confirm(account, password).await {
            Err(refusal) if refusal.cause() == Cause::SignInFailed => Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "current_password: The password entered for the current user is invalid. Verify the password and try again.",
            )),
            confirmed => Ok(confirmed?),
        }
    }

    /// Makes a change that the audit log is to know of: its entry is written with it, or neither is. `told` is asked of
    /// what happens until it says something; where nothing does, nothing is written.
    pub async fn change<T>(
        &self,
        context: &Context,
        action: &str,
        told: impl Fn(&Happening<'_>) -> Option<Told> + Send + Sync + 'static,
        change: impl Future<Output = T>,
    ) -> T {
        let note = audit::note(self.entry(context, action), told);
        noted(note, change).await.0
    }

    /// Writes the audit log before what can't be undone, or is no change of the store: without the entry it isn't done.
    pub async fn record(
        &self,
        context: &Context,
        action: &str,
        subject: String,
        (before, after): (Value, Value),
    ) -> Result<(), ApiError> {
        let entry = NewAuditEntry {
            subject,
            before,
            after,
            ..self.entry(context, action)
        };
        context.parts.store.append_audit(entry).await?;
        Ok(())
    }

    /// Writes the audit log of what is done: it stands, whether this can be written or not.
    pub async fn tell(&self, context: &Context, action: &str, subject: String, after: Value) {
        let entry = NewAuditEntry {
            subject,
            after,
            ..self.entry(context, action)
        };
        audit::tell(&*context.parts.store, entry).await;
    }

    /// An entry that says when, who, from where and what.
    pub(super) fn entry(&self, context: &Context, action: &str) -> NewAuditEntry {
        let actor = self.account.as_ref().map(|one| one.definition.username.as_str());
        let origin = match self.origin {
            Origin::Network(ip) => ip.to_string(),
            Origin::ControlSocket => "control socket".to_owned(),
        };
        audit::of(context.parts.clock.now(), actor.unwrap_or("cli"), &origin, action)
    }
}

impl FromRequestParts<Context> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, ApiError> {
        let origin = Extension::<Origin>::from_request_parts(parts, context).await;
        let Ok(Extension(origin)) = origin else {
            return Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal Error."));
        };
        if origin == Origin::ControlSocket {
            return Ok(Self { account: None, origin });
        }
        let account = match parts.extensions.get::<SignedIn>() {
            Some(SignedIn(account)) => Arc::clone(account),
            None if parts.headers.contains_key(AUTHORIZATION) => account(&parts.headers, context).await?,
            None => in_session(parts, context).await?,
        };
        Ok(Self {
            account: Some(account),
            origin,
        })
    }
}

/// The console's session: from the same site, and with its CSRF token for whatever changes something.
async fn in_session(parts: &Parts, context: &Context) -> Result<Arc<Account>, ApiError> {
    let session = session::of(&parts.headers, context).await?.ok_or_else(denied)?;
    let token = parts.headers.get("x-csrf-token").and_then(|token| token.to_str().ok());
    if parts.method.is_safe() || token.is_some_and(|token| session.allows(token)) {
        return Ok(session.account);
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "Send the session's CSRF token as \"X-CSRF-Token: …\".",
    ))
}

fn denied() -> ApiError {
    ApiError::new(
        StatusCode::UNAUTHORIZED,
        "Sign in: send an admin token as \"Authorization: Bearer …\".",
    )
}

async fn account(headers: &HeaderMap, context: &Context) -> Result<Arc<Account>, ApiError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(denied());
    };
    let token = bearer::token(value.as_bytes()).ok_or_else(denied)?;
    let reader = bearer::Reader {
        store: &context.parts.store,
        jwts: &context.parts.jwts,
        now: context.parts.clock.now(),
    };
    let brought = reader.user(token).await?.ok_or_else(denied)?;
    reader.admin(brought.user).await?.ok_or_else(denied)
}
