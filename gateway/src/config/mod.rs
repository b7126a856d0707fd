//! The configuration as the rest of the program sees it: validated sections with typed values. What a file may hold is
//! `file.rs`; how file and environment become these sections is `resolve.rs`. Each part of the program is given its own
//! section, never the whole.

mod fault;
mod node;
mod reader;
mod resolve;
mod routes;
mod sections;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use oauth1::{MethodSet, Placements, Scheme};
use token_store::{NewIntegration, Secret};

pub use self::fault::{Fault, Faults};
pub use self::resolve::{Environment, Warning};

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

/// What integrations call.
#[derive(Clone, Debug)]
pub struct Public {
    /// Addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// Scheme and authority that clients sign: the request's Host picks its entry, the first serves all others. Empty:
    /// what the request says.
    pub base_urls: Vec<BaseUrl>,
    /// Peers whose `X-Forwarded-*` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Runtimes; 0: one a core.
    pub threads: usize,
    /// `[public.limits]`
    pub limits: Limits,
    /// `[public.paths]`
    pub paths: Paths,
    /// `[public.tls]`
    pub tls: Option<Tls>,
}

/// A scheme and authority, with an optional path prefix that a proxy in front strips.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    /// http or https
    pub scheme: Scheme,
    /// Host in lower case, with the port unless it is the scheme's default.
    pub authority: String,
    /// `""`, or `/prefix` without a trailing slash.
    pub prefix: String,
}

impl BaseUrl {
    /// With a trailing slash, as Magento's `store_base_url`.
    pub fn with_slash(&self) -> String {
        format!("{}://{}{}/", self.scheme.as_str(), self.authority, self.prefix)
    }
}

/// Bounds of the public listener: every row of reliability.md 2, one key each.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Octets of a request head.
    pub head: usize,
    /// Header fields.
    pub headers: usize,
    /// Octets of the request target.
    pub target: usize,
    /// Query and form parameters together.
    pub parameters: usize,
    /// Octets of the `Authorization` header.
    pub authorization: usize,
    /// Octets of a body that is forwarded.
    pub body: u64,
    /// Octets of a form that must be signed.
    pub signed_form: usize,
    /// For the whole head.
    pub header_timeout: Duration,
    /// For the body: this, plus its size at `body_rate`.
    pub body_timeout: Duration,
    /// Octets a second below which a body is too slow.
    pub body_rate: u64,
    /// Without progress of a response.
    pub write_timeout: Duration,
    /// Between requests of a kept connection.
    pub idle_timeout: Duration,
    /// Requests on one connection before it is closed politely.
    pub requests_per_connection: u64,
    /// For the TLS handshake.
    pub tls_handshake_timeout: Duration,
    /// Connections in all.
    pub connections: usize,
    /// Connections of one address (trusted proxies aren't counted).
    pub connections_per_address: usize,
    /// Requests being served.
    pub in_flight: usize,
    /// How long a request may wait for its turn.
    pub in_flight_wait: Duration,
    /// HTTP/2 streams of one connection.
    pub h2_streams: u32,
    /// For a drain on TERM.
    pub drain_timeout: Duration,
}

/// Paths of our own endpoints on the public listener.
#[derive(Clone, Debug)]
pub struct Paths {
    /// `/oauth/token/request`
    pub token_request: String,
    /// `/oauth/token/access`
    pub token_access: String,
    /// `/oauth/initiate`
    pub initiate: String,
    /// `/oauth/authorize`
    pub authorize: String,
    /// `/oauth/token`
    pub token: String,
    /// `/rest/V1/integration/admin/token`; also with a store code after `/rest`
    pub admin_token: String,
    /// `/rest/V1/integration/customer/token`; also with a store code
    pub customer_token: String,
    /// `/rest/V1/integration/customer/revoke-customer-token`; also with a store code
    pub revoke_customer_token: String,
}

/// `[public.tls]`
#[derive(Clone, Debug)]
pub struct Tls {
    /// PEM certificate chain and key, several by SNI.
    pub certificates: Vec<(PathBuf, PathBuf)>,
    /// PEM of the authority that signs clients' certificates: then clients need one.
    pub client_ca: Option<PathBuf>,
    /// Whether TLS 1.2 is refused.
    pub tls13_only: bool,
}

/// `[admin]`
#[derive(Clone, Debug)]
pub struct Admin {
    /// Admin API, UI, health, metrics.
    pub listen: SocketAddr,
}

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

/// `[oauth]`
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own in the configuration"
)]
pub struct Oauth {
    /// Accepted methods, where an integration names none.
    pub signature_methods: MethodSet,
    /// Both sides, inclusive.
    pub timestamp_window: Duration,
    /// Where `oauth_*` may stand.
    pub placements: Placements,
    /// Whether Magento's natural sort is tried too.
    pub magento_sort: bool,
    /// Whether Magento's host as sent, default port kept, is tried too.
    pub magento_host: bool,
    /// Verifier POST → request token.
    pub consumer_expiry: Duration,
    /// Request token → access token.
    pub request_token_lifetime: Duration,
    /// The same for `/oauth/initiate`.
    pub initiate_lifetime: Duration,
    /// In which a lost response may be asked again.
    pub exchange_grace: Duration,
    /// Whether unknown consumer, unknown or foreign token and bad signature share one body.
    pub uniform_errors: bool,
    /// Whether an integration's access token may be used as a bearer token.
    pub access_tokens_as_bearer: bool,
}

/// `[tokens.*]`
#[derive(Clone, Debug)]
pub struct Tokens {
    /// Lifetime of an admin's token; `None`: never expires.
    pub admin_lifetime: Option<Duration>,
    /// Lifetime of a customer's token; `None`: never expires.
    pub customer_lifetime: Option<Duration>,
    /// Who vouches for a customer's password.
    pub customer_credentials: CustomerCredentials,
}

/// Who vouches for a customer's password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CustomerCredentials {
    /// Accounts kept here.
    Local,
    /// The storefront, asked over HTTP.
    Http {
        /// Where.
        url: String,
    },
}

/// `[lockout]`
#[derive(Clone, Copy, Debug)]
pub struct Lockout {
    /// Failures after which a name is locked.
    pub max_failures: u32,
    /// For how long after the last failure.
    pub duration: Duration,
}

/// `[upstreams.NAME]`
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Where to forward; several are balanced.
    pub targets: Vec<UpstreamTarget>,
    /// How.
    pub balance: Balance,
    /// For a connection.
    pub connect_timeout: Duration,
    /// Until the first octet of the response.
    pub first_byte_timeout: Duration,
    /// For the whole exchange.
    pub request_timeout: Duration,
    /// Idle connections are closed after this.
    pub idle_timeout: Duration,
    /// Idle connections kept per target and thread.
    pub idle_connections: usize,
    /// Whether an idempotent request is tried again on a connection that broke before any octet was sent.
    pub retry_broken: bool,
    /// PEM of the authority to trust instead of the system's roots.
    pub ca: Option<PathBuf>,
    /// The name to verify and send by SNI, and the Host to send, where it isn't the target's.
    pub host: Option<String>,
    /// What upstream itself demands.
    pub credentials: Credentials,
}

/// One target: scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamTarget {
    /// http or https
    pub scheme: Scheme,
    /// Name or address, IPv6 without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// How several targets share the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// In turn.
    RoundRobin,
    /// The one with the fewest requests.
    LeastRequests,
    /// By consumer.
    Hash,
}

/// What upstream itself demands (product.md 7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing.
    None,
    /// `Authorization: Bearer …`
    Bearer {
        /// The token.
        token: Secret,
    },
    /// `Authorization: Basic …`
    Basic {
        /// User name.
        username: String,
        /// Password.
        password: Secret,
    },
    /// A header of its own.
    Header {
        /// Its name.
        name: http::HeaderName,
        /// Its value.
        value: Secret,
    },
}

/// `[callbacks]`: the verifier POST.
#[derive(Clone, Debug)]
pub struct Callbacks {
    /// For the whole call.
    pub timeout: Duration,
    /// Private addresses that may be called, with a port if wanted.
    pub allow: Vec<AllowedCallback>,
    /// PEM of an authority to trust besides the system's roots.
    pub ca: Option<PathBuf>,
}

/// An entry of `callbacks.allow`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedCallback {
    /// Addresses.
    pub net: IpNet,
    /// `None`: any port.
    pub port: Option<u16>,
}

/// A `[[routes]]` entry.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own in the configuration"
)]
pub struct Route {
    /// As written, as `/rest/{store?}/V1/products/{sku}`: the name of the route in logs and metrics.
    pub path: String,
    /// The host it serves, lower case without port; `None`: any.
    pub host: Option<String>,
    /// Methods in upper case; GET also serves HEAD.
    pub methods: Vec<String>,
    /// A key of `upstreams`.
    pub upstream: String,
    /// What a caller needs.
    pub requirement: Requirement,
    /// Whether a refusal is recorded only, and the request forwarded.
    pub observe: bool,
    /// https only.
    pub secure: bool,
    /// Whether `%2F` in a segment is accepted.
    pub encoded_slash: bool,
    /// Whether the client's `Authorization` and `oauth_*` query parameters go upstream too.
    pub keep_oauth: bool,
    /// Forced parameters: dotted name → literal or `%placeholder%`.
    pub force: BTreeMap<String, String>,
}

/// What a route needs of its caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// No resources listed: every request is refused.
    Nothing,
    /// `["anonymous"]`
    Anonymous,
    /// `["self"]`: a customer
    Own,
    /// All of these ACL ids.
    Resources(BTreeSet<String>),
}

/// A `[[resources]]` entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// `Vendor_Module::name`
    pub id: String,
    /// For people.
    pub title: String,
    /// `None`: a root.
    pub parent: Option<String>,
    /// Among its siblings.
    pub order: i64,
}

/// `[log]`
#[derive(Clone, Debug)]
pub struct Log {
    /// Whether one line is written for each request.
    pub access: bool,
    /// json, or text for people.
    pub json: bool,
    /// error, warn, info, debug or trace.
    pub level: tracing::Level,
}

/// The candidate nearest to a mistyped word, if one is near enough to be meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = word.chars().count() / 3 + 1;
    candidates
        .into_iter()
        .map(|candidate| (edits(word, candidate), candidate))
        .filter(|(edits, _)| *edits <= most)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, character) in from.chars().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        for (cell, other) in row.iter_mut().skip(1).zip(&to) {
            let substituted = diagonal + usize::from(character != *other);
            diagonal = *cell;
            *cell = substituted.min(diagonal + 1).min(left + 1);
            left = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or_default()
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
