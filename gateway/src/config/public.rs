//! `[public]`: what integrations call, with its paths and TLS.

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use oauth1::Scheme;

use super::Limits;
use super::limits::limits;
use super::reader::Section;
use super::values;

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

pub(super) fn public(section: Section<'_, '_>) -> Public {
    let address = |text: &str| {
        text.parse::<SocketAddr>()
            .map_err(|_| format!("{text:?} is not an address: write it as \"127.0.0.1:8080\""))
    };
    let default = SocketAddr::from(([127, 0, 0, 1], 8080));
    let public = Public {
        listen: section
            .all_parsed("listen", address)
            .filter(|all| !all.is_empty())
            .unwrap_or_else(|| vec![default]),
        base_urls: section.all_parsed("base_url", values::base_url).unwrap_or_default(),
        trusted_proxies: section.all_parsed("trusted_proxies", values::net).unwrap_or_default(),
        threads: section.count("threads", 0, 0..=1024),
        limits: limits(section.section("limits")),
        paths: paths(section.section("paths")),
        tls: section.optional_section("tls").map(tls),
    };
    section.finish();
    public
}

fn paths(section: Section<'_, '_>) -> Paths {
    let path = |key: &str, default: &str| {
        let plain = |text: &str| {
            let fits = text.starts_with('/') && !text.ends_with('/') && !text.contains(['?', '#', '%', ' ']);
            if fits {
                Ok(text.to_owned())
            } else {
                Err(format!("{text:?} is not a path: it begins with / and ends without"))
            }
        };
        section.parsed(key, plain).unwrap_or_else(|| default.to_owned())
    };
    let paths = Paths {
        token_request: path("token_request", "/oauth/token/request"),
        token_access: path("token_access", "/oauth/token/access"),
        initiate: path("initiate", "/oauth/initiate"),
        authorize: path("authorize", "/oauth/authorize"),
        token: path("token", "/oauth/token"),
        admin_token: path("admin_token", "/rest/V1/integration/admin/token"),
        customer_token: path("customer_token", "/rest/V1/integration/customer/token"),
        revoke_customer_token: path(
            "revoke_customer_token",
            "/rest/V1/integration/customer/revoke-customer-token",
        ),
    };
    section.finish();
    paths
}

fn tls(section: Section<'_, '_>) -> Tls {
    let mut certificates = Vec::new();
    let pair = |section: &Section<'_, '_>| section.existing_file("cert").zip(section.existing_file("key"));
    certificates.extend(pair(&section));
    for other in section.list_of_tables("certificates") {
        certificates.extend(pair(&other));
        other.finish();
    }
    if certificates.is_empty() {
        section.fault_at(
            section.place(),
            "cert",
            "names no certificate: set cert and key to PEM files",
        );
    }
    let version = |text: &str| match text {
        "1.2" => Ok(false),
        "1.3" => Ok(true),
        _ => Err(format!("{text:?} is not a version: \"1.2\" or \"1.3\"")),
    };
    let tls = Tls {
        certificates,
        client_ca: section.existing_file("client_ca"),
        tls13_only: section.parsed("min_version", version).unwrap_or(false),
    };
    section.finish();
    tls
}
