//! Debug tokens: who has one of an integration is told why that integration's requests are refused.
//!
//! `<integration>.<expires>.<nonce>.<MAC>`, under a key of their own that all gateways of a store share: nothing is stored,
//! and nothing of the integration's OAuth credentials is in them.

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use token_store::{IntegrationId, Secret, Store};

use crate::random;
use crate::refusal::Refusal;
use crate::shared_key::SharedKey;

/// What makes and reads them.
#[derive(Debug)]
pub struct DebugTokens {
    key: SharedKey<hmac::Key>,
}

impl DebugTokens {
    /// Of a store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            key: SharedKey::new(store, KEY_NAME),
        }
    }

    /// A fresh one, good until `expires_at`.
    pub async fn issue(&self, integration: IntegrationId, expires_at: u64) -> Result<Secret, Refusal> {
        let key = self.key.hmac().await?;
        let mut nonce = [0; NONCE];
        random::fill(&mut nonce)?;
        let claims = format!("{}.{expires_at}.{}", integration.0, URL_SAFE_NO_PAD.encode(nonce));
        let mac = hmac::sign(&key, claims.as_bytes());
        Ok(Secret::new(format!("{claims}.{}", URL_SAFE_NO_PAD.encode(mac))))
    }

    /// The integration that a token is of, while it is good.
    pub async fn read(&self, token: &str, now: u64) -> Result<Option<IntegrationId>, Refusal> {
        if token.len() > LONGEST {
            return Ok(None);
        }
        Ok(verified(&*self.key.hmac().await?, token, now))
    }
}

/// The MAC is compared, in constant time, before anything of the rest is looked at.
fn verified(key: &hmac::Key, token: &str, now: u64) -> Option<IntegrationId> {
    let (claims, mac) = token.rsplit_once('.')?;
    hmac::verify(key, claims.as_bytes(), &URL_SAFE_NO_PAD.decode(mac).ok()?).ok()?;
    let mut parts = claims.split('.');
    let (integration, expires_at) = (parts.next()?.parse().ok()?, parts.next()?.parse::<u64>().ok()?);
    (now < expires_at).then_some(IntegrationId(integration))
}

const NONCE: usize = 16;
const KEY_NAME: &str = "debug-token";
/// Two numbers, nonce and MAC take less.
const LONGEST: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf 7.2000.n | openssl dgst -sha256 -hmac kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk -binary | basenc --base64url`, unpadded.
    const BY_OPENSSL: &str = "7.2000.n.pP5-WvcF3NjoVnZ_RQ8C1AaVdADS3hWouzHIG_3SDgg";

    #[test]
    fn a_token_holds_for_its_integration_until_it_expires_and_no_other() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[b'k'; 32]);

        assert_eq!(verified(&key, BY_OPENSSL, 1999), Some(IntegrationId(7)));
        assert_eq!(verified(&key, BY_OPENSSL, 2000), None);
        assert_eq!(verified(&key, &BY_OPENSSL.replace("7.2000", "8.2000"), 1999), None);
        assert_eq!(verified(&key, &BY_OPENSSL.replace("7.2000", "7.9000"), 1999), None);
        assert_eq!(verified(&key, "", 0), None);
    }
}
