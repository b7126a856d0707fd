//! `[upstreams.NAME]`: where requests go, and what is demanded there.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use oauth1::{Scheme, SignatureMethod};
use token_store::Secret;

use super::fault::Place;
use super::public::BaseUrl;
use super::reader::Section;
use super::values;
use crate::proxy::headers::is_ours;

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
    /// `None`: requests are sent to a target whatever became of those before.
    pub circuit_breaker: Option<CircuitBreaker>,
    /// `None`: targets are not asked how they are.
    pub health_check: Option<HealthCheck>,
    /// For how long an `X-Countersign-Assertion` holds; `None`: none is sent.
    pub assertion: Option<Duration>,
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

/// `[upstreams.NAME.circuit_breaker]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitBreaker {
    /// Requests in a row that a target failed: from then on it gets none.
    pub failures: u32,
    /// After this one request finds out whether it serves again.
    pub open_for: Duration,
}

/// `[upstreams.NAME.health_check]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// What a GET asks each target for, in origin form: an answer of 2xx or 3xx passes.
    pub path: String,
    /// Between two.
    pub interval: Duration,
    /// For a whole check.
    pub timeout: Duration,
    /// Checks in a row that a target failed: from then on it gets no request.
    pub failures: u32,
    /// Checks in a row that it passed: from then on it gets requests again.
    pub successes: u32,
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
    /// `Authorization: Bearer …` with the storefront's own token of the customer who calls; nothing for other callers.
    Customer,
    /// OAuth 1.0a: each request is signed anew.
    Oauth1(Arc<Oauth1Credentials>),
}

/// What the gateway itself signs with toward an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oauth1Credentials {
    /// `oauth_consumer_key`
    pub consumer_key: String,
    /// Its secret.
    pub consumer_secret: Secret,
    /// `oauth_token` and its secret; none: two-legged.
    pub token: Option<(String, Secret)>,
    /// HMAC only.
    pub method: SignatureMethod,
    /// What upstream takes for its own address, where it isn't the target's scheme and the `Host` that is sent.
    pub base_url: Option<BaseUrl>,
}

pub(super) fn upstream(section: Section<'_, '_>) -> Upstream {
    const BALANCE: [(&str, Balance); 3] = [
        ("round-robin", Balance::RoundRobin),
        ("least-requests", Balance::LeastRequests),
        ("hash", Balance::Hash),
    ];
    let upstream = Upstream {
        targets: section.some_parsed("targets", values::target, "http://127.0.0.1:8081"),
        balance: section.word("balance", Balance::RoundRobin, &BALANCE),
        connect_timeout: section.duration("connect_timeout", "1s", ("10ms", "1m")),
        first_byte_timeout: section.duration("first_byte_timeout", "15s", ("10ms", "1h")),
        request_timeout: section.duration("request_timeout", "60s", ("10ms", "1d")),
        idle_timeout: section.duration("idle_timeout", "60s", ("10ms", "1h")),
        idle_connections: section.count("idle_connections", 128, 0..=10_000),
        retry_broken: section.flag("retry_broken", true),
        ca: section.certificates_file("ca"),
        host: section.parsed("host", authority),
        credentials: section
            .optional_section("credentials")
            .map_or(Credentials::None, credentials),
        circuit_breaker: section.optional_section("circuit_breaker").map(circuit_breaker),
        health_check: section.optional_section("health_check").and_then(health_check),
        assertion: assertion(&section),
    };
    section.finish();
    upstream
}

fn circuit_breaker(section: Section<'_, '_>) -> CircuitBreaker {
    let breaker = CircuitBreaker {
        failures: section.small("failures", 5, 1..=10_000),
        open_for: section.duration("open_for", "10s", ("100ms", "1h")),
    };
    section.finish();
    breaker
}

fn health_check(section: Section<'_, '_>) -> Option<HealthCheck> {
    let path = section.parsed("path", path_and_query);
    if !section.is_set("path") {
        section.fault_of_missing(
            "path",
            "is missing: what each target is asked for, as \"/health_check.php\"",
        );
    }
    let (interval, timeout) = (
        section.duration("interval", "5s", ("100ms", "1h")),
        section.duration("timeout", "2s", ("10ms", "1m")),
    );
    let failures = section.small("failures", 3, 1..=1_000);
    let successes = section.small("successes", 2, 1..=1_000);
    section.finish();
    path.map(|path| HealthCheck {
        path,
        interval,
        timeout,
        failures,
        successes,
    })
}

/// A request's target in origin form (RFC 9112, 3.2.1).
fn path_and_query(text: &str) -> Result<String, String> {
    let is_one = text.starts_with('/') && !text.contains('#') && text.parse::<http::uri::PathAndQuery>().is_ok();
    if is_one {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} is not a path: it begins with / and is written as in a URL"
        ))
    }
}

fn assertion(section: &Section<'_, '_>) -> Option<Duration> {
    let is_sent = section.flag("assertion", false);
    let lifetime = section.duration("assertion_lifetime", "1m", ("10s", "1h"));
    is_sent.then_some(lifetime)
}

/// What a `Host` header may say.
fn authority(text: &str) -> Result<String, String> {
    let fits = !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && !text.contains(['/', '@', '?', '#', '\\', ',']);
    if fits {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is not a host: a name, with a port if wanted"))
    }
}

fn credentials(section: Section<'_, '_>) -> Credentials {
    const MODES: [(&str, &str); 6] = [
        ("none", "none"),
        ("bearer", "bearer"),
        ("basic", "basic"),
        ("header", "header"),
        ("oauth1", "oauth1"),
        ("customer", "customer"),
    ];
    let found = match section.word("mode", "none", &MODES) {
        "bearer" => {
            let token = header_secret(&section, "token");
            token.map(|token| Credentials::Bearer { token })
        }
        "basic" => {
            let username = section.required("username");
            if let Some((name, place)) = &username
                && name.contains(':')
            {
                // RFC 7617 section 2: the first colon ends the name.
                section.fault_at(place, "username", "can't hold a colon");
            }
            username
                .zip(needed_secret(&section, "password"))
                .map(|((username, _), (password, _))| Credentials::Basic { username, password })
        }
        "header" => {
            let name = section.parsed("name", header_name);
            if !section.is_set("name") {
                section.fault_of_missing("name", "is missing");
            }
            name.zip(header_secret(&section, "value"))
                .map(|(name, value)| Credentials::Header { name, value })
        }
        "customer" => Some(Credentials::Customer),
        "oauth1" => oauth1_credentials(&section),
        _ => None,
    };
    section.finish();
    found.unwrap_or(Credentials::None)
}

fn oauth1_credentials(section: &Section<'_, '_>) -> Option<Credentials> {
    const METHODS: [(&str, SignatureMethod); 3] = [
        ("HMAC-SHA256", SignatureMethod::HmacSha256),
        ("HMAC-SHA1", SignatureMethod::HmacSha1),
        ("HMAC-SHA512", SignatureMethod::HmacSha512),
    ];
    let consumer_key = section.required("consumer_key");
    let consumer_secret = needed_secret(section, "consumer_secret");
    let token = section.text("access_token");
    let secret = section.secret("access_token_secret");
    let token = match (token, secret) {
        (Some((token, _)), Some((secret, _))) => Some((token, secret)),
        (None, None) => None,
        (Some(_), None) => {
            section.fault_of_missing("access_token_secret", "is missing: access_token goes with it");
            None
        }
        (None, Some(_)) => {
            section.fault_of_missing("access_token", "is missing: access_token_secret goes with it");
            None
        }
    };
    let method = section.word("signature_method", SignatureMethod::HmacSha256, &METHODS);
    let base_url = section.parsed("base_url", values::base_url);
    let (consumer_key, consumer_secret) = consumer_key.zip(consumer_secret)?;
    Some(Credentials::Oauth1(Arc::new(Oauth1Credentials {
        consumer_key: consumer_key.0,
        consumer_secret: consumer_secret.0,
        token,
        method,
        base_url,
    })))
}

fn header_name(text: &str) -> Result<http::HeaderName, String> {
    use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
    let name: http::HeaderName = text.parse().map_err(|_| format!("{text:?} is not a header's name"))?;
    // Framing and routing are the connection's own.
    let of_connection = [
        CONNECTION,
        CONTENT_LENGTH,
        HOST,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    // Upstream trusts these to be ours.
    if of_connection.contains(&name) || is_ours(name.as_str()) {
        return Err(format!("{text:?} can't carry a credential"));
    }
    Ok(name)
}

/// A secret that a header can carry.
fn header_secret(section: &Section<'_, '_>, key: &str) -> Option<Secret> {
    let (secret, place) = needed_secret(section, key)?;
    if http::HeaderValue::from_str(secret.expose()).is_err() {
        section.fault_at(&place, key, "holds octets that no header can carry");
        return None;
    }
    Some(secret)
}

/// A secret that must be there.
fn needed_secret(section: &Section<'_, '_>, key: &str) -> Option<(Secret, Place)> {
    let found = section.secret(key);
    if !section.is_set(key) {
        section.fault_of_missing(key, "is missing");
    }
    let (secret, place) = found?;
    if secret.expose().is_empty() {
        section.fault_at(&place, key, "is empty");
        return None;
    }
    Some((secret, place))
}
