//! Users' sign-ins and their opaque bearer tokens (magento.md 4.1 to 4.5).
//!
//! One message for every failure: unknown user, wrong password, inactive account, locked name; and the same work for an
//! unknown user as for a known one.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, PRAGMA};
use http::{HeaderMap, HeaderValue, Response};
use serde_json::Value;
use token_store::{Account, LockoutKind, Secret, Store, User, UserKind, UserToken};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::password::{HashFailed, Passwords};
use crate::authenticate::bearer;
use crate::body::ResponseBody;
use crate::clock::Clock;
use crate::config::{Config, CustomerCredentials, Lockout, Tokens};
use crate::random;
use crate::refusal::{Cause, Message, Refusal, prefers_xml, xml};

/// Signs users in and out.
pub struct UserTokens {
    store: Arc<dyn Store>,
    clock: Clock,
    passwords: Passwords,
    settings: ArcSwap<Settings>,
    attempts: Attempts,
}

/// One attempt at a time for a name: guesses at once must not all be tried before the first of them is counted.
struct Attempts {
    turns: [Semaphore; 64],
    hasher: RandomState,
}

impl Attempts {
    fn new() -> Self {
        Self {
            turns: std::array::from_fn(|_| Semaphore::new(1)),
            hasher: RandomState::new(),
        }
    }

    /// Waits for the turn of a name. Some names share one: that costs time, and the bound costs no memory.
    async fn turn(&self, kind: LockoutKind, name: &str) -> Result<SemaphorePermit<'_>, Refusal> {
        let place = self.hasher.hash_one((kind, name)) % 64;
        let turns = usize::try_from(place).ok().and_then(|place| self.turns.get(place));
        let turn = turns.ok_or(Cause::Internal)?.acquire().await;
        turn.map_err(|_| Cause::Internal.into())
    }
}

struct Settings {
    tokens: Tokens,
    lockout: Lockout,
}

/// A name and a password, both present.
pub struct Credentials {
    username: String,
    password: Secret,
}

impl UserTokens {
    /// With the sections it needs.
    pub fn new(store: Arc<dyn Store>, clock: Clock, config: &Config) -> Result<Self, HashFailed> {
        let settings = ArcSwap::from_pointee(Settings::of(config));
        Ok(Self {
            store,
            clock,
            passwords: Passwords::new()?,
            settings,
            attempts: Attempts::new(),
        })
    }

    /// Lifetimes and lock-out of a new configuration.
    pub fn reload(&self, config: &Config) {
        self.settings.store(Arc::new(Settings::of(config)));
    }

    /// What hashes passwords, for accounts.
    pub fn passwords(&self) -> &Passwords {
        &self.passwords
    }

    /// `POST /rest/V1/integration/admin/token`
    pub async fn admin_token(&self, headers: &HeaderMap, body: &Bytes) -> Result<Response<ResponseBody>, Refusal> {
        let credentials = Credentials::of_body(headers, body)?;
        let (_, token) = self.sign_in_admin(&credentials).await?;
        Ok(answer(headers, &Value::from(token)))
    }

    /// An admin's sign-in, for the REST route and the admin listener alike: the account and a fresh token.
    pub async fn sign_in_admin(&self, credentials: &Credentials) -> Result<(Arc<Account>, String), Refusal> {
        let account = self.check(UserKind::Admin, LockoutKind::Admin, credentials).await?;
        let lifetime = self.settings.load().tokens.admin_lifetime;
        let user = User {
            kind: UserKind::Admin,
            id: account.id.0,
        };
        let token = self.issue(user, lifetime.map(|lifetime| lifetime.as_secs())).await?;
        Ok((account, token))
    }

    /// Whoever signs in on a page of ours, without a token.
    pub async fn sign_in(&self, kind: UserKind, credentials: &Credentials) -> Result<User, Refusal> {
        let lockout = match kind {
            UserKind::Admin => LockoutKind::Admin,
            UserKind::Customer => LockoutKind::Customer,
        };
        let account = self.check(kind, lockout, credentials).await?;
        Ok(User { kind, id: account.id.0 })
    }

    /// `POST /rest/V1/integration/customer/token`
    pub async fn customer_token(&self, headers: &HeaderMap, body: &Bytes) -> Result<Response<ResponseBody>, Refusal> {
        let credentials = Credentials::of_body(headers, body)?;
        let lifetime = {
            let settings = self.settings.load();
            if matches!(settings.tokens.customer_credentials, CustomerCredentials::Http { .. }) {
                tracing::error!("tokens.customer.credentials = \"http\" is not available in this version");
                return Err(Cause::Internal.into());
            }
            settings.tokens.customer_lifetime
        };
        let account = self
            .check(UserKind::Customer, LockoutKind::Customer, &credentials)
            .await?;
        let user = User {
            kind: UserKind::Customer,
            id: account.id.0,
        };
        let token = self.issue(user, lifetime.map(|lifetime| lifetime.as_secs())).await?;
        Ok(answer(headers, &Value::from(token)))
    }

    /// `POST /rest/V1/integration/customer/revoke-customer-token`: a customer ends all tokens of their own.
    pub async fn revoke_customer_token(&self, headers: &HeaderMap) -> Result<Response<ResponseBody>, Refusal> {
        let denied = |cause| Refusal::not_authorized(cause, "self");
        let authorization = bearer::authorization(headers)?;
        let token = authorization
            .and_then(bearer::token)
            .ok_or_else(|| denied(Cause::ResourceDenied))?;
        let found = self.store.user_token(&bearer::digest(token)).await?;
        let live = found.filter(|found| found.expires_at.is_none_or(|at| at > self.clock.now()));
        let user = live
            .map(|found| found.user)
            .ok_or_else(|| denied(Cause::BearerInvalid))?;
        if user.kind != UserKind::Customer {
            return Err(denied(Cause::ResourceDenied));
        }
        self.store.delete_user_tokens(user).await?;
        Ok(answer(headers, &Value::Bool(true)))
    }

    /// Lock-out first, then the password; failures are counted by name as typed, unknown names too.
    async fn check(
        &self,
        kind: UserKind,
        lockout: LockoutKind,
        credentials: &Credentials,
    ) -> Result<Arc<Account>, Refusal> {
        let now = self.clock.now();
        let settings = self.settings.load().lockout;
        let name = credentials.username.as_str();
        let _turn = self.attempts.turn(lockout, name).await?;
        let failures = self.store.sign_in_failures(lockout, name, now).await?;
        // While locked nothing is tried and nothing is counted, so the lock ends (magento.md 4.5).
        if failures.is_some_and(|failures| failures.count >= settings.max_failures) {
            return Err(Cause::SignInFailed.into());
        }
        let account = self.store.account_by_name(kind, name).await?;
        let hash = account.as_ref().map(|account| &account.definition.password_hash);
        let right = self.passwords.verify(&credentials.password, hash).await?;
        if let Some(account) = account.filter(|account| right && account.definition.active) {
            if failures.is_some() {
                self.store.clear_sign_in_failures(lockout, name).await?;
            }
            Ok(account)
        } else {
            self.store
                .record_sign_in_failure(lockout, name, now, settings.duration.as_secs())
                .await?;
            Err(Cause::SignInFailed.into())
        }
    }

    async fn issue(&self, user: User, lifetime_secs: Option<u64>) -> Result<String, Refusal> {
        let token = random::credential()?;
        let now = self.clock.now();
        let row = UserToken {
            digest: bearer::digest(&token),
            user,
            created_at: now,
            expires_at: lifetime_secs.map(|lifetime| now.saturating_add(lifetime)),
            upstream_token: None,
        };
        self.store.put_user_token(&row).await?;
        Ok(token)
    }
}

impl Settings {
    fn of(config: &Config) -> Self {
        Self {
            tokens: config.tokens.clone(),
            lockout: config.lockout,
        }
    }
}

impl Credentials {
    /// Both must be there (magento.md 4.1).
    pub fn new(username: Option<String>, password: Option<String>) -> Result<Self, Refusal> {
        let filled = |value: Option<String>| value.filter(|value| !value.is_empty());
        match (filled(username), filled(password)) {
            (Some(username), Some(password)) => {
                if username.len() > LONGEST_NAME || password.len() > LONGEST_PASSWORD {
                    return Err(Cause::SignInFailed.into());
                }
                Ok(Self {
                    username,
                    password: Secret::new(password),
                })
            }
            (username, password) => {
                let absent = [("username", username.is_none()), ("password", password.is_none())];
                let absent = absent.into_iter().filter(|(_, absent)| *absent);
                Err(Refusal::absent_fields(
                    absent.map(|(name, _)| name.to_owned()).collect(),
                ))
            }
        }
    }

    /// From a JSON body.
    fn of_body(headers: &HeaderMap, body: &Bytes) -> Result<Self, Refusal> {
        let json = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| {
                value
                    .split(';')
                    .next()
                    .unwrap_or_default()
                    .trim()
                    .eq_ignore_ascii_case("application/json")
            });
        let malformed = |sentence| Refusal::saying(Cause::RequestMalformed, Message::Plain(sentence));
        if !json {
            let sentence = if headers.contains_key(CONTENT_TYPE) {
                "Content-Type header is invalid."
            } else {
                "Content-Type header is empty."
            };
            return Err(malformed(sentence));
        }
        let Ok(Value::Object(mut members)) = serde_json::from_slice(body) else {
            return Err(malformed("Decoding error."));
        };
        let mut text = |name: &str| match members.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(malformed("Decoding error.")),
        };
        Self::new(text("username")?, text("password")?)
    }
}

impl From<HashFailed> for Refusal {
    fn from(error: HashFailed) -> Self {
        tracing::error!(%error, "sign-in");
        Cause::Internal.into()
    }
}

/// A plain result: a JSON scalar, or XML where that is preferred; never cached.
fn answer(headers: &HeaderMap, value: &Value) -> Response<ResponseBody> {
    let accept = headers
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let (content_type, body) = if prefers_xml(accept) {
        ("application/xml; charset=utf-8", xml(value))
    } else {
        ("application/json; charset=utf-8", value.to_string())
    };
    let mut response = Response::new(ResponseBody::from(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

const LONGEST_NAME: usize = 255;
/// Argon2 reads all of it: longer ones are only work.
const LONGEST_PASSWORD: usize = 1024;
