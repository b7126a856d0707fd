//! Users' bearer tokens: issued after a sign-in, ended by their user (magento.md 4.2 to 4.4).

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, PRAGMA};
use http::{HeaderMap, HeaderValue, Response};
use serde_json::Value;
use token_store::audit::noted;
use token_store::{Account, Store, UnixSeconds, User, UserKind, UserToken};

pub use super::credentials::Credentials;
use super::password::{HashFailed, Passwords};
use super::sign_in::{Attempt, Door, SignIns, SignedIn};
use super::voucher::Voucher;
use crate::authenticate::bearer;
use crate::authenticate::jwt::Jwts;
use crate::body::ResponseBody;
use crate::clock::Clock;
use crate::config::{Config, Lockout, TokenFormat, Tokens};
use crate::observe::{Metrics, audit};
use crate::random;
use crate::refusal::{Cause, Refusal, prefers_xml, xml};

/// Signs users in and out.
pub struct UserTokens {
    pub(super) store: Arc<dyn Store>,
    jwts: Arc<Jwts>,
    pub(super) clock: Clock,
    pub(super) sign_ins: SignIns,
    pub(super) settings: ArcSwap<Settings>,
}

pub(super) struct Settings {
    pub(super) tokens: Tokens,
    pub(super) lockout: Lockout,
    /// Who vouches for customers, where their accounts are not kept here.
    voucher: Option<Voucher>,
}

impl UserTokens {
    /// With the sections it needs.
    pub fn new(
        (store, jwts): (&Arc<dyn Store>, &Arc<Jwts>),
        clock: Clock,
        config: &Config,
        voucher: Option<Voucher>,
    ) -> Result<Self, HashFailed> {
        Ok(Self {
            store: Arc::clone(store),
            jwts: Arc::clone(jwts),
            clock,
            sign_ins: SignIns::new(Arc::clone(store), clock)?,
            settings: ArcSwap::from_pointee(Settings::of(config, voucher)),
        })
    }

    /// Lifetimes, lock-out and voucher of a new configuration.
    pub fn reload(&self, config: &Config, voucher: Option<Voucher>) {
        self.settings.store(Arc::new(Settings::of(config, voucher)));
    }

    /// What hashes passwords, for accounts.
    pub fn passwords(&self) -> &Passwords {
        self.sign_ins.passwords()
    }

    /// `POST /rest/V1/integration/admin/token`
    pub async fn admin_token(
        &self,
        headers: &HeaderMap,
        body: &Bytes,
        door: Door,
    ) -> Result<Response<ResponseBody>, Refusal> {
        let credentials = Credentials::of_body(headers, body)?;
        let (_, token) = self.sign_in_admin(&credentials, door).await?;
        Ok(answer(headers, &Value::from(token)))
    }

    /// An admin's sign-in, for the REST route and the admin listener alike: the account and a fresh token.
    pub async fn sign_in_admin(
        &self,
        credentials: &Credentials,
        door: Door,
    ) -> Result<(Arc<Account>, String), Refusal> {
        let signed_in = self.check(UserKind::Admin, credentials, door).await?;
        let token = self.issue(&signed_in).await?;
        Ok((signed_in.account.ok_or(Cause::Internal)?, token))
    }

    /// Whoever signs in on a page of ours, without a token; and when all their tokens last ended, under which stands what
    /// they allow now.
    pub async fn sign_in(
        &self,
        kind: UserKind,
        credentials: &Credentials,
        door: Door,
    ) -> Result<(User, UnixSeconds), Refusal> {
        let signed_in = self.check(kind, credentials, door).await?;
        let revoked_before = self.store.revoked_before(signed_in.user).await?;
        if !self.sign_ins.still_holds(&signed_in).await? {
            return Err(Cause::SignInFailed.into());
        }
        Ok((signed_in.user, revoked_before))
    }

    /// `POST /rest/V1/integration/customer/token`
    pub async fn customer_token(
        &self,
        headers: &HeaderMap,
        body: &Bytes,
        door: Door,
    ) -> Result<Response<ResponseBody>, Refusal> {
        let credentials = Credentials::of_body(headers, body)?;
        let signed_in = self.check(UserKind::Customer, &credentials, door).await?;
        let token = self.issue(&signed_in).await?;
        Ok(answer(headers, &Value::from(token)))
    }

    /// `POST /rest/V1/integration/customer/revoke-customer-token`: a customer ends all tokens of their own.
    pub async fn revoke_customer_token(
        &self,
        headers: &HeaderMap,
        authorization: Option<&[u8]>,
        client: IpAddr,
    ) -> Result<Response<ResponseBody>, Refusal> {
        let denied = |cause| Refusal::not_authorized(cause, "self");
        let token = authorization
            .and_then(bearer::token)
            .ok_or_else(|| denied(Cause::ResourceDenied))?;
        let reader = bearer::Reader {
            store: &self.store,
            jwts: &self.jwts,
            now: self.clock.now(),
        };
        let user = reader.user(token).await?.map(|brought| brought.user);
        let user = user.ok_or_else(|| denied(Cause::BearerInvalid))?;
        if user.kind != UserKind::Customer {
            return Err(denied(Cause::ResourceDenied));
        }
        let now = self.clock.now();
        let entry = audit::of(now, &audit::user(&user), &client.to_string(), "token.revoked");
        let revoke = self.store.revoke_user_tokens(user, now);
        noted(audit::note(entry, audit::of_tokens), revoke).await.0?;
        Ok(answer(headers, &Value::Bool(true)))
    }

    /// Shows how many sign-ins failed.
    pub fn expose(&self, metrics: &Metrics) {
        self.sign_ins.expose(metrics);
    }

    pub(super) async fn check(
        &self,
        kind: UserKind,
        credentials: &Credentials,
        door: Door,
    ) -> Result<SignedIn, Refusal> {
        let settings = self.settings.load_full();
        let voucher = match kind {
            UserKind::Admin => None,
            UserKind::Customer => settings.voucher.as_ref(),
        };
        let attempt = Attempt {
            kind,
            credentials,
            door,
        };
        self.sign_ins.check(attempt, settings.lockout, voucher).await
    }

    async fn issue(&self, signed_in: &SignedIn) -> Result<String, Refusal> {
        let (user, now) = (signed_in.user, self.clock.now());
        let (lifetime, format) = self.settings.load().tokens.of(user.kind);
        let expires_at = lifetime.map(|lifetime| now.saturating_add(lifetime.as_secs()));
        let (token, is_beside_jwt) = match format {
            TokenFormat::Opaque => (random::credential()?, false),
            TokenFormat::Jwt => (self.jwts.issue(user, now, expires_at).await?, true),
        };
        let row = UserToken {
            digest: bearer::digest(&token),
            user,
            created_at: now,
            expires_at,
            upstream_token: signed_in.upstream_token.clone(),
            is_beside_jwt,
        };
        // A JWT is not kept, but what goes with it is.
        let is_kept = !is_beside_jwt || row.upstream_token.is_some();
        if is_kept {
            self.store.put_user_token(&row).await?;
        }
        if !self.sign_ins.still_holds(signed_in).await? {
            if is_kept {
                self.store.delete_user_token(&row.digest).await?;
            }
            return Err(Cause::SignInFailed.into());
        }
        if !is_kept && let Err(error) = self.store.tell_user_token(&row).await {
            // The sign-in needs none of it.
            tracing::warn!(%error, "a sign-in could not be told");
        }
        Ok(token)
    }
}

impl Settings {
    fn of(config: &Config, voucher: Option<Voucher>) -> Self {
        Self {
            tokens: config.tokens.clone(),
            lockout: config.lockout,
            voucher,
        }
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
