//! `[store]`

use std::fmt;
use std::time::Duration;

use super::key::without_password;
use super::reader::Section;
use super::values;

/// `[store]`
#[derive(Clone)]
pub struct Store {
    /// `embedded:PATH`, `redis://` …
    pub url: String,
    /// First encrypts, all decrypt.
    pub encryption_keys: Vec<[u8; 32]>,
    /// A call.
    pub timeout: Duration,
    /// All calls of a request.
    pub request_timeout: Duration,
    /// A connection.
    pub connect_timeout: Duration,
    /// Records kept in memory.
    pub cache: usize,
}

/// Without what is secret: a password in the URL, and the keys.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("url", &without_password(&self.url))
            .field("encryption_keys", &self.encryption_keys.len())
            .field("timeout", &self.timeout)
            .field("request_timeout", &self.request_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("cache", &self.cache)
            .finish()
    }
}

pub(super) fn store(section: Section<'_, '_>) -> Store {
    const DEFAULT: &str = "embedded:var/countersign";
    let url = section.secret_url("url", DEFAULT).map(|(url, place)| {
        if let Err(what) = is_store(url.expose()) {
            section.fault_at(&place, "url", &what);
        }
        url.expose().to_owned()
    });
    let url = url.unwrap_or_else(|| DEFAULT.to_owned());
    let mut encryption_keys = Vec::new();
    let named = section.secrets("encryption_keys");
    for (secret, place) in &named {
        match values::key(secret.expose()) {
            Ok(key) => encryption_keys.push(key),
            Err(what) => section.fault_at(place, "encryption_keys", &what),
        }
    }
    if named.is_empty() && url.starts_with("redis") {
        let what = "is needed with Redis: secrets are never stored in clear; `countersign config new-key` prints one";
        section.fault("encryption_keys", what);
    }
    let store = Store {
        url,
        encryption_keys,
        timeout: section.duration("timeout", "250ms", ("10ms", "10s")),
        request_timeout: section.duration("request_timeout", "500ms", ("10ms", "30s")),
        connect_timeout: section.duration("connect_timeout", "250ms", ("10ms", "10s")),
        cache: section.count("cache", 100_000, 100..=10_000_000),
    };
    if store.request_timeout < store.timeout {
        let what = "is shorter than store.timeout, which is for one call of a request";
        section.fault("request_timeout", what);
    }
    section.finish();
    store
}

fn is_store(url: &str) -> Result<(), String> {
    const SCHEMES: [&str; 7] = [
        "embedded:",
        "redis://",
        "rediss://",
        "redis-sentinel://",
        "rediss-sentinel://",
        "redis-cluster://",
        "rediss-cluster://",
    ];
    let rest = SCHEMES.iter().find_map(|scheme| url.strip_prefix(scheme));
    if rest.is_some_and(|rest| !rest.is_empty()) {
        let fault = url.starts_with("redis").then(|| token_store::redis::fault_of_url(url));
        return fault
            .flatten()
            .map_or(Ok(()), |why| Err(format!("names no store: {why}")));
    }
    // The URL itself isn't shown: it may hold a password.
    let known = "embedded:FOLDER, redis://HOST, redis-sentinel://HOSTS/NAME or redis-cluster://HOSTS; rediss… for TLS";
    Err(format!("is not a store: {known}"))
}
