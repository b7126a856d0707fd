//! JWTs as bearer tokens of admins and customers (magento.md 4.4; RFC 7515, 7519): HS256, and nothing else.
//!
//! The key is made once, kept sealed in the store and shared by all gateways. A JWT is verified in memory; what is asked of
//! the store, and answered from its cache, is whether the user's tokens were revoked since.
//!
//! A JWT says under which revocation of its user it was issued (`rev`, left out before the first): an older one has ended.
//! That needs no two clocks to agree, and who signs in again in the second of a revocation is in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use token_store::{Store, User, UserKind};

use crate::refusal::{Cause, Refusal};
use crate::shared_key::SharedKey;

/// Issues and reads JWTs.
pub struct Jwts {
    store: Arc<dyn Store>,
    key: SharedKey<hmac::Key>,
    /// Whether the configuration has any issued: otherwise none is read either.
    is_in_use: AtomicBool,
}

/// What a JWT says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Claims {
    uid: u64,
    utypid: u8,
    iat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<u64>,
    #[serde(default, skip_serializing_if = "is_none_yet")]
    rev: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_none_yet(rev: &u64) -> bool {
    *rev == 0
}

/// Whether a bearer token is a JWT of ours by its looks: whatever else its header might say is not looked at.
pub fn is_jwt(token: &str) -> bool {
    token.starts_with(HEADER)
}

impl Jwts {
    /// On a store.
    pub fn new(store: Arc<dyn Store>, is_in_use: bool) -> Self {
        Self {
            key: SharedKey::new(Arc::clone(&store), KEY_NAME),
            store,
            is_in_use: AtomicBool::new(is_in_use),
        }
    }

    /// A new configuration.
    pub fn set_in_use(&self, is_in_use: bool) {
        self.is_in_use.store(is_in_use, Ordering::Relaxed);
    }

    /// A JWT of that user, from `now` on.
    pub async fn issue(&self, user: User, now: u64, expires_at: Option<u64>) -> Result<String, Refusal> {
        let claims = Claims {
            uid: user.id,
            utypid: match user.kind {
                UserKind::Admin => ADMIN,
                UserKind::Customer => CUSTOMER,
            },
            iat: now,
            exp: expires_at,
            rev: self.store.revoked_before(user).await?,
        };
        let claims = serde_json::to_vec(&claims).map_err(|_| Cause::Internal)?;
        let signed = format!("{HEADER}.{}", URL_SAFE_NO_PAD.encode(claims));
        let signature = hmac::sign(&*self.key.hmac().await?, signed.as_bytes());
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Whose JWT it is, if it opens something at `now`.
    pub async fn read(&self, token: &str, now: u64) -> Result<Option<User>, Refusal> {
        if !self.is_in_use.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let key = self.key.hmac().await?;
        let Some(claims) = verified(&key, token) else {
            return Ok(None);
        };
        let kind = match claims.utypid {
            ADMIN => UserKind::Admin,
            CUSTOMER => UserKind::Customer,
            _ => return Ok(None),
        };
        let user = User { kind, id: claims.uid };
        if claims.exp.is_some_and(|at| at <= now) || claims.rev != self.store.revoked_before(user).await? {
            return Ok(None);
        }
        Ok(Some(user))
    }
}

/// The claims, where the signature is ours: compared in constant time, before anything of them is looked at.
fn verified(key: &hmac::Key, token: &str) -> Option<Claims> {
    let (signed, signature) = token.rsplit_once('.')?;
    let claims = signed.strip_prefix(HEADER)?.strip_prefix('.')?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    hmac::verify(key, signed.as_bytes(), &signature).ok()?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

/// `{"kid":"1","alg":"HS256"}`, the one header there is: it is compared, never interpreted.
const HEADER: &str = "eyJraWQiOiIxIiwiYWxnIjoiSFMyNTYifQ";
const ADMIN: u8 = 2;
const CUSTOMER: u8 = 3;
const KEY_NAME: &str = "jwt";

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `{"kid":"1","alg":"HS256"}` and `{"uid":7,"utypid":3,"iat":1000,"exp":2000}`, by `openssl dgst -sha256 -hmac` with
    /// 32 times `k`; `PyJWT` 2 decodes it.
    const BY_OPENSSL: &str = "eyJraWQiOiIxIiwiYWxnIjoiSFMyNTYifQ.eyJ1aWQiOjcsInV0eXBpZCI6MywiaWF0IjoxMDAwLCJleHAiOjIwMDB9.CYBI3-84RRIyBIc_NWTFUghWG-RCY7NyiXxNv73fZPA";

    fn key() -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &[b'k'; 32])
    }

    #[test]
    fn a_token_of_another_implementation_is_read() {
        let claims = verified(&key(), BY_OPENSSL);

        let expected = Claims {
            uid: 7,
            utypid: 3,
            iat: 1000,
            exp: Some(2000),
            rev: 0,
        };
        assert_eq!(claims, Some(expected));
    }

    #[test]
    fn a_changed_cut_or_otherwise_signed_token_is_not() {
        let other = hmac::Key::new(hmac::HMAC_SHA256, &[b'x'; 32]);
        assert_eq!(verified(&other, BY_OPENSSL), None);
        for at in 0..BY_OPENSSL.len() {
            let mut changed = BY_OPENSSL.as_bytes().to_vec();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(
                verified(&key(), &String::from_utf8(changed).unwrap()),
                None,
                "octet {at}"
            );
            assert_eq!(verified(&key(), BY_OPENSSL.get(..at).unwrap()), None, "cut at {at}");
        }
    }

    #[test]
    fn no_header_but_ours_is_looked_at() {
        let (_, rest) = BY_OPENSSL.split_once('.').unwrap();
        for header in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"HS512","kid":"1"}"#,
            r#"{"alg":"HS256","kid":"1"}"#,
            r#"{"kid":"1","alg":"RS256"}"#,
        ] {
            let header = URL_SAFE_NO_PAD.encode(header);
            let unsigned = format!("{header}.{}.", rest.split_once('.').unwrap().0);
            let resigned = format!("{header}.{}", rest.split_once('.').unwrap().0);
            let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key(), resigned.as_bytes()));
            assert_eq!(verified(&key(), &unsigned), None);
            assert_eq!(verified(&key(), &format!("{resigned}.{signature}")), None, "{header}");
        }
    }
}
