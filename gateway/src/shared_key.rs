//! A key that all gateways of a store share: made by the first that needs it, kept sealed in the store, then in memory.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use token_store::{Change, Secret, Store, StoreError};

use crate::random;
use crate::refusal::Refusal;

/// One of them, as it is used.
pub struct SharedKey<K> {
    store: Arc<dyn Store>,
    /// Under which the store keeps it.
    name: &'static str,
    made: Arc<ArcSwapOption<K>>,
}

impl<K: Send + Sync + 'static> SharedKey<K> {
    /// Of a store; an emptied or exchanged one has another key.
    pub fn new(store: Arc<dyn Store>, name: &'static str) -> Self {
        let made: Arc<ArcSwapOption<K>> = Arc::default();
        let forgetting = Arc::clone(&made);
        store.on_change(Box::new(move |change| {
            if matches!(change, Change::Everything) {
                forgetting.store(None);
            }
        }));
        Self { store, name, made }
    }

    /// The key: `fresh` gives octets for it where the store has none yet, `read` makes of octets what is used.
    pub async fn get(
        &self,
        fresh: impl FnOnce() -> Result<Vec<u8>, Refusal>,
        read: impl FnOnce(&[u8]) -> Option<K>,
    ) -> Result<Arc<K>, Refusal> {
        if let Some(key) = self.made.load_full() {
            return Ok(key);
        }
        let fresh = Secret::new(STANDARD.encode(fresh()?));
        let shared = self.store.shared_secret(self.name, &fresh).await?;
        let octets = STANDARD.decode(shared.expose()).ok();
        let key = octets.and_then(|octets| read(&octets));
        let key = Arc::new(key.ok_or_else(|| StoreError::Corrupt(self.name.to_owned()))?);
        self.made.store(Some(Arc::clone(&key)));
        Ok(key)
    }
}

impl SharedKey<hmac::Key> {
    /// A key of HMAC-SHA256, of random octets.
    pub async fn hmac(&self) -> Result<Arc<hmac::Key>, Refusal> {
        let fresh = || {
            let mut octets = vec![0; LENGTH];
            random::fill(&mut octets)?;
            Ok(octets)
        };
        self.get(fresh, |octets| Some(hmac::Key::new(hmac::HMAC_SHA256, octets)))
            .await
    }
}

impl<K> std::fmt::Debug for SharedKey<K> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SharedKey({})", self.name)
    }
}

/// Octets of a key: as many as the hash gives (RFC 2104 section 3).
const LENGTH: usize = 32;
