//! Sessions of the console: who signed in with a browser.
//!
//! A session stands in the store beside the bearer tokens of its account, under a digest of its own kind: it works on every
//! gateway, ends with the account's tokens wherever they are ended, expires, and is swept as they are. Its secret is in the
//! browser's cookie alone, is drawn anew at each sign-in, and is no bearer token: the public listener knows nothing of it.

use std::sync::Arc;
use std::time::Duration;

use sha2::Digest as _;
use subtle::ConstantTimeEq as _;
use token_store::{Account, AccountId, LockoutKind, StoreError, User, UserKind, UserToken};

use super::credentials::Credentials;
use super::sign_in::Door;
use super::user_token::UserTokens;
use crate::authenticate::bearer;
use crate::random;
use crate::refusal::{Cause, Refusal};

/// Somebody signed in at a browser.
#[derive(Clone)]
pub struct Session {
    /// What the cookie holds.
    secret: String,
    /// Who.
    pub account: Arc<Account>,
}

impl Session {
    /// What the cookie holds.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// What each change must bring along: bound to the cookie, so that another site can neither read nor guess it.
    pub fn csrf(&self) -> String {
        let digest = sha2::Sha256::digest(format!("csrf\n{}", self.secret));
        base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, digest)
    }

    /// Whether a change brought it along.
    pub fn allows(&self, csrf: &str) -> bool {
        self.csrf().as_bytes().ct_eq(csrf.as_bytes()).into()
    }
}

impl UserTokens {
    /// Signs an admin in at a browser. The oldest sessions of the account end where there are too many.
    pub async fn begin_session(&self, credentials: &Credentials) -> Result<Session, Refusal> {
        let signed_in = self.check(UserKind::Admin, credentials, Door::Admin).await?;
        let account = signed_in.account.clone().ok_or(Cause::Internal)?;
        let (secret, now) = (random::credential()?, self.clock.now());
        let row = UserToken {
            digest: digest(&secret),
            user: signed_in.user,
            created_at: now,
            expires_at: Some(now.saturating_add(self.session_lifetime().as_secs())),
            upstream_token: None,
            is_beside_jwt: false,
        };
        self.make_room(signed_in.user).await?;
        self.store.put_user_token(&row).await?;
        if !self.sign_ins.still_holds(&signed_in).await? {
            self.store.delete_user_token(&row.digest).await?;
            return Err(Cause::SignInFailed.into());
        }
        Ok(Session { secret, account })
    }

    async fn make_room(&self, user: User) -> Result<(), StoreError> {
        let mut sessions = self.store.user_tokens_of(user).await?;
        sessions.retain(|token| token.digest.starts_with(KIND));
        sessions.sort_by_key(|token| std::cmp::Reverse(token.created_at));
        for oldest in sessions.iter().skip(MOST_SESSIONS - 1) {
            self.store.delete_user_token(&oldest.digest).await?;
        }
        Ok(())
    }

    /// The session of a cookie: unexpired, and of an account that may still sign in.
    pub async fn session(&self, secret: &str) -> Result<Option<Session>, StoreError> {
        if secret.len() != random::CREDENTIAL_LENGTH {
            return Ok(None);
        }
        let found = self.store.user_token(&digest(secret)).await?;
        let now = self.clock.now();
        let Some(found) = found.filter(|found| found.expires_at.is_some_and(|at| at > now)) else {
            return Ok(None);
        };
        if found.user.kind != UserKind::Admin {
            return Ok(None);
        }
        let account = self.store.account(UserKind::Admin, AccountId(found.user.id)).await?;
        Ok(account
            .filter(|account| account.definition.active)
            .map(|account| Session {
                secret: secret.to_owned(),
                account,
            }))
    }

    /// Signs out.
    pub async fn end_session(&self, secret: &str) -> Result<(), StoreError> {
        self.store.delete_user_token(&digest(secret)).await?;
        Ok(())
    }

    /// As long as an admin's token, but never more than a working day.
    pub fn session_lifetime(&self) -> Duration {
        let lifetime = self.settings.load().tokens.admin_lifetime;
        lifetime.map_or(LONGEST_SESSION, |lifetime| lifetime.min(LONGEST_SESSION))
    }

    /// Whether somebody who is signed in knows the account's password, too; a wrong one counts as a failed sign-in. The
    /// session itself stands for the second factor.
    pub async fn confirm(&self, account: &Account, password: String) -> Result<(), Refusal> {
        let credentials = Credentials::new(Some(account.definition.username.clone()), Some(password))?;
        match self.check(UserKind::Admin, &credentials, Door::Admin).await {
            Err(refusal) if refusal.asks_for_code() => Ok(()),
            checked => checked.map(drop),
        }
    }

    /// When an admin's name may be tried again, where it is locked now. Names that nobody has are locked, too.
    pub async fn locked_until(&self, username: &str) -> Result<Option<u64>, StoreError> {
        let failures = self
            .store
            .sign_in_failures(LockoutKind::Admin, username, self.clock.now())
            .await?;
        let most = self.settings.load().lockout.max_failures;
        Ok(failures
            .filter(|failures| failures.count >= most)
            .map(|failures| failures.lock_expires_at))
    }
}

/// No bearer token's digest looks like this one, so neither can pass for the other.
fn digest(secret: &str) -> String {
    format!("{KIND}{}", bearer::digest(secret))
}

const KIND: &str = "console.";
/// Of one account.
const MOST_SESSIONS: usize = 10;
const LONGEST_SESSION: Duration = Duration::from_secs(12 * 60 * 60);
