//! `[store]`

use std::time::Duration;

use super::reader::Section;
use super::values;

/// `[store]`
#[derive(Clone, Debug)]
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

pub(super) fn store(section: Section<'_, '_>) -> Store {
    const SCHEMES: [&str; 6] = [
        "embedded:",
        "redis://",
        "rediss://",
        "redis-sentinel://",
        "redis-cluster://",
        "rediss-cluster://",
    ];
    let url = |text: &str| {
        if SCHEMES
            .iter()
            .any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
        {
            Ok(text.to_owned())
        } else {
            Err(format!(
                "{text:?} is not a store: embedded:PATH, redis://HOST, rediss://, redis-sentinel:// or redis-cluster://"
            ))
        }
    };
    let url = section
        .parsed("url", url)
        .unwrap_or_else(|| "embedded:var/countersign".to_owned());
    let mut encryption_keys = Vec::new();
    for (text, place) in section.texts("encryption_keys").unwrap_or_default() {
        let Some(secret) = section.resolve_secret("encryption_keys", &text, &place) else {
            continue;
        };
        match values::key(secret.expose()) {
            Ok(key) => encryption_keys.push(key),
            Err(what) => section.fault_at(&place, "encryption_keys", &what),
        }
    }
    if encryption_keys.is_empty() && !url.starts_with("embedded:") {
        let what = "is needed with Redis: secrets are never stored in clear; `countersign config new-key` prints one";
        section.fault_at(section.place(), "encryption_keys", what);
    }
    let store = Store {
        url,
        encryption_keys,
        timeout: section.duration("timeout", "250ms", ("10ms", "10s")),
        request_timeout: section.duration("request_timeout", "500ms", ("10ms", "30s")),
        connect_timeout: section.duration("connect_timeout", "250ms", ("10ms", "10s")),
        cache: section.count("cache", 100_000, 100..=10_000_000),
    };
    section.finish();
    store
}
