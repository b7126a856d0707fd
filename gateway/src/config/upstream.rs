//! `[upstreams.NAME]`: where requests go, and what is demanded there.

use std::path::PathBuf;
use std::time::Duration;

use oauth1::Scheme;
use token_store::Secret;

use super::reader::Section;
use super::values;

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

pub(super) fn upstream(section: Section<'_, '_>) -> Option<Upstream> {
    let targets = section.all_parsed("targets", values::target);
    let balance = |text: &str| match text {
        "round-robin" => Ok(Balance::RoundRobin),
        "least-requests" => Ok(Balance::LeastRequests),
        "hash" => Ok(Balance::Hash),
        _ => Err(format!(
            "{text:?} is none of \"round-robin\", \"least-requests\", \"hash\""
        )),
    };
    let upstream = Upstream {
        targets: targets.clone().unwrap_or_default(),
        balance: section.parsed("balance", balance).unwrap_or(Balance::RoundRobin),
        connect_timeout: section.duration("connect_timeout", "1s", ("10ms", "1m")),
        first_byte_timeout: section.duration("first_byte_timeout", "15s", ("10ms", "1h")),
        request_timeout: section.duration("request_timeout", "60s", ("10ms", "1d")),
        idle_timeout: section.duration("idle_timeout", "60s", ("10ms", "1h")),
        idle_connections: section.count("idle_connections", 128, 0..=10_000),
        retry_broken: section.flag("retry_broken", true),
        ca: section.existing_file("ca"),
        host: section.text("host").map(|(host, _)| host),
        credentials: section
            .optional_section("credentials")
            .map_or(Credentials::None, credentials),
    };
    if targets.as_ref().is_none_or(Vec::is_empty) {
        section.fault_at(section.place(), "targets", "is missing: set targets = [\"http://…\"]");
    }
    section.finish();
    targets.map(|_| upstream)
}

fn credentials(section: Section<'_, '_>) -> Credentials {
    let missing = |key: &str| section.fault_at(section.place(), key, "is missing");
    let mode = section.text("mode");
    let plain = |key: &str| {
        let secret = section.secret(key)?;
        if http::HeaderValue::from_str(secret.expose()).is_ok() {
            return Some(secret);
        }
        section.fault_at(section.place(), key, "holds octets that no header can carry");
        None
    };
    let found = match mode.as_ref().map_or("none", |(mode, _)| mode.as_str()) {
        "none" => Some(Credentials::None),
        "bearer" => plain("token").map(|token| Credentials::Bearer { token }).or_else(|| {
            missing("token");
            None
        }),
        "basic" => section
            .text("username")
            .zip(section.secret("password"))
            .map(|((username, _), password)| Credentials::Basic { username, password })
            .or_else(|| {
                missing("username and password");
                None
            }),
        "header" => {
            let name = |text: &str| {
                text.parse::<http::HeaderName>()
                    .map_err(|_| format!("{text:?} is not a header's name"))
            };
            section
                .parsed("name", name)
                .zip(plain("value"))
                .map(|(name, value)| Credentials::Header { name, value })
                .or_else(|| {
                    missing("name and value");
                    None
                })
        }
        other => {
            let later = matches!(other, "oauth1" | "customer");
            let what = if later {
                "is not available in this version"
            } else {
                "is none of none, bearer, basic, header"
            };
            let place = mode
                .as_ref()
                .map_or_else(|| section.place().clone(), |(_, place)| place.clone());
            section.fault_at(&place, "mode", &format!("{other:?} {what}"));
            None
        }
    };
    section.finish();
    found.unwrap_or(Credentials::None)
}
