//! The configuration as the rest of the program sees it: validated sections with typed values. A file a section: its type,
//! its keys with defaults and bounds. What a file may hold is `node.rs`; how file and environment become sections is
//! `resolve.rs` and `reader.rs`. Each part of the program is given its own section, never the whole.

mod admin;
mod callbacks;
mod fault;
mod integrations;
mod limits;
mod log;
mod nearest;
mod node;
mod oauth;
mod public;
mod reader;
mod resolve;
mod resources;
mod routes;
mod sections;
mod store;
mod tokens;
mod upstream;
mod values;

use std::collections::BTreeMap;
use std::time::Duration;

use token_store::NewIntegration;

pub use self::admin::Admin;
pub use self::callbacks::{AllowedCallback, Callbacks};
pub use self::fault::{Fault, Faults};
pub use self::limits::Limits;
pub use self::log::Log;
pub use self::nearest::nearest;
pub use self::oauth::Oauth;
pub use self::public::{BaseUrl, Paths, Public, Tls};
pub use self::resolve::{Environment, Warning};
pub use self::resources::Resource;
pub use self::routes::{Requirement, Route};
pub use self::store::Store;
pub use self::tokens::{CustomerCredentials, Lockout, Tokens};
pub use self::upstream::{Balance, Credentials, Upstream, UpstreamTarget};

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
    /// `[log]`
    pub log: Log,
}

/// Static keys that differ: a reload can't change them.
pub fn needs_restart(running: &Config, loaded: &Config) -> Vec<String> {
    let changed = [
        ("public.listen", running.public.listen != loaded.public.listen),
        ("public.threads", running.public.threads != loaded.public.threads),
        ("admin.listen", running.admin.listen != loaded.admin.listen),
        ("store.url", running.store.url != loaded.store.url),
        (
            "store.encryption_keys",
            running.store.encryption_keys != loaded.store.encryption_keys,
        ),
        (
            "log",
            (running.log.access, running.log.json) != (loaded.log.access, loaded.log.json),
        ),
    ];
    changed
        .into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(key, _)| key.to_owned())
        .collect()
}

/// A duration as the configuration writes it: `250ms`, `10s`, `5m`, `4h`, `1d`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    values::duration(text)
}
