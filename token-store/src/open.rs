//! From a URL to a store: the backend by its scheme, the cache in front.

use std::sync::Arc;
use std::time::Duration;

use crate::cached::Cached;
use crate::embedded::{Embedded, REACH_SECS};
use crate::{Store, StoreError};

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// `embedded:PATH`, `redis://`, `rediss://`, `redis-sentinel://`, `redis-cluster://`.
    pub url: String,
    /// First encrypts, all decrypt. Embedded without any: made beside the store at the first start.
    pub encryption_keys: Vec<[u8; 32]>,
    /// A call.
    pub timeout: Duration,
    /// A connection.
    pub connect_timeout: Duration,
    /// Records of each kind that are kept in memory.
    pub cache: usize,
    /// The opener's clock, Unix seconds.
    pub now: u64,
    /// Whether requests will be served: then an embedded store's opening waits until one that is signed now may count.
    pub serves: bool,
}

/// Why a store can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No backend has that scheme, or the rest is ill-formed.
    #[error("store.url {0:?} is not a store: {1}")]
    BadUrl(String, String),
    /// The store's secrets are not opened by any of the keys.
    #[error("store.encryption_keys: none of the keys opens what the store holds")]
    WrongKey,
    /// A key that sealed some of the store's secrets is not among them.
    #[error("store.encryption_keys: some of what the store holds was sealed with a key that is not among them")]
    KeyMissing,
    /// Secrets are never stored in clear.
    #[error("store.encryption_keys: Redis needs one; `countersign config new-key` prints one")]
    KeyNeeded,
    /// Another process has the store open.
    #[error("{0} is open in another process: one machine's store serves one gateway; use Redis for several")]
    Locked(String),
    /// A setting of the server would lose or evict what must be kept.
    #[error("{0}")]
    Unsafe(String),
    /// The file is there and makes no sense.
    #[error("{0} is damaged: restore a backup ({1})")]
    Damaged(String, String),
    /// The key beside the store is there, the store is not.
    #[error(
        "{0} is empty or gone, though its encryption key is there: restore a backup, or remove encryption.key to begin anew"
    )]
    Emptied(String),
    /// The file or its folder.
    #[error("{0}: {1}")]
    File(String, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store doesn't answer, or answers nonsense.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Opens a store, with the cache in front of it.
pub async fn open(options: &OpenOptions) -> Result<Arc<dyn Store>, OpenError> {
    let backend: Arc<dyn Store> = match options.url.split_once(':') {
        Some(("embedded", path)) if !path.is_empty() => {
            let store = Embedded::open(path.as_ref(), &options.encryption_keys, options.now)?;
            // Nothing is served of the second in which nonces were lost, nor of those that claims may have counted in: the
            // start waits them out, so that no client has to.
            let unsure = store.floor().saturating_add(1).saturating_sub(options.now);
            if let Some(until) = store.unsure_until(options.now) {
                tracing::warn!(
                    until,
                    "every request is unsure up to then: a clock was ahead, or is behind now (`countersign store init --help`)"
                );
            }
            if options.serves {
                tokio::time::sleep(Duration::from_secs(unsure.min(LONGEST_START))).await;
            }
            Arc::new(store)
        }
        #[cfg(feature = "redis")]
        Some((scheme, _)) if scheme.starts_with("redis") => crate::redis::open(options).await?,
        Some(_) | None => {
            return Err(OpenError::BadUrl(
                options.url.clone(),
                "embedded:PATH or a redis URL".to_owned(),
            ));
        }
    };
    Ok(Arc::new(Cached::new(backend, options.cache)))
}

/// Seconds that a start waits at most; a clock that was turned back further is what the refusals are for.
const LONGEST_START: u64 = REACH_SECS + 1;
