//! The configuration as the rest of the program sees it: validated sections with typed values. A file a section: its type,
//! its keys with defaults and bounds. What a file may hold is `node.rs`; how file and environment become sections is
//! `resolve.rs` and `reader.rs`. Each part of the program is given its own section, never the whole.

mod admin;
mod callbacks;
mod events;
mod fault;
mod files;
mod force;
mod include;
mod integrations;
mod key;
mod limits;
mod log;
mod nearest;
mod node;
mod oauth;
mod public;
mod rate;
mod reader;
mod resolve;
mod resources;
mod routes;
mod scalars;
pub mod schema;
mod sections;
mod store;
mod sweeps;
#[cfg(test)]
mod tests;
mod tokens;
mod upstream;
mod values;

use std::collections::BTreeMap;
use std::time::Duration;

use token_store::NewIntegration;

pub use self::admin::Admin;
pub use self::callbacks::{AllowedCallback, Callbacks};
pub use self::events::{Events, Webhook};
pub use self::fault::{Fault, Faults, Warning};
pub use self::force::{Forced, ForcedValue, Segment, folded, forced};
pub use self::include::Planned;
pub use self::key::{Key, Table, Takes};
pub use self::limits::Limits;
pub use self::log::{Log, LogFormat};
pub use self::nearest::nearest;
pub use self::oauth::Oauth;
pub use self::public::{BaseUrl, Paths, Public, Tls};
pub use self::rate::{Per, RateLimit};
pub use self::resolve::{Environment, Loaded};
pub use self::resources::Resource;
pub use self::routes::{Requirement, Route};
pub use self::store::Store;
pub use self::sweeps::Sweeps;
pub use self::tokens::{CustomerCredentials, CustomerHttp, Lockout, TokenFormat, Tokens};
pub use self::upstream::{
    Balance, CircuitBreaker, Credentials, HealthCheck, Oauth1Credentials, Upstream, UpstreamTarget,
};

/// All sections.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[public]`
    pub public: Public,
    /// `[admin]`
    pub admin: Admin,
    /// `[store]`
    pub store: Store,
    /// `[oauth]`
    pub oauth: Oauth,
    /// `[tokens.admin]` and `[tokens.customer]`
    pub tokens: Tokens,
    /// `[lockout]`
    pub lockout: Lockout,
    /// `[upstreams.*]` by name
    pub upstreams: BTreeMap<String, Upstream>,
    /// `[callbacks]`
    pub callbacks: Callbacks,
    /// `[[routes]]` in file order
    pub routes: Vec<Route>,
    /// `[[resources]]`: the ACL tree, flat
    pub resources: Vec<Resource>,
    /// `[[integrations]]`
    pub integrations: Vec<NewIntegration>,
    /// `[sweeps]`
    pub sweeps: Sweeps,
    /// `[events]`
    pub events: Events,
    /// `[[webhooks]]`
    pub webhooks: Vec<Webhook>,
    /// `[[limits]]`
    pub limits: Vec<RateLimit>,
    /// `[log]`
    pub log: Log,
}

/// Static keys that differ: a reload can't change them.
pub fn needs_restart(running: &Config, loaded: &Config) -> Vec<String> {
    let differing = STATIC_KEYS.iter().filter(|(_, differs)| differs(running, loaded));
    differing.map(|(key, _)| (*key).to_owned()).collect()
}

/// A key that is read at the start only, and whether it differs between two configurations.
type StaticKey = (&'static str, fn(&Config, &Config) -> bool);

const STATIC_KEYS: [StaticKey; 12] = [
    ("public.listen", |was, is| was.public.listen != is.public.listen),
    ("public.threads", |was, is| was.public.threads != is.public.threads),
    ("admin.listen", |was, is| was.admin.listen != is.admin.listen),
    ("store.url", |was, is| was.store.url != is.store.url),
    ("store.encryption_keys", |was, is| {
        was.store.encryption_keys != is.store.encryption_keys
    }),
    ("store.timeout", |was, is| was.store.timeout != is.store.timeout),
    ("store.request_timeout", |was, is| {
        was.store.request_timeout != is.store.request_timeout
    }),
    ("store.connect_timeout", |was, is| {
        was.store.connect_timeout != is.store.connect_timeout
    }),
    ("store.cache", |was, is| was.store.cache != is.store.cache),
    ("log.access", |was, is| was.log.access != is.log.access),
    ("log.format", |was, is| was.log.format != is.log.format),
    ("log.level", |was, is| was.log.level != is.log.level),
];

/// A duration as the configuration writes it: `250ms`, `10s`, `5m`, `4h`, `1d`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    values::duration(text)
}
