//! `[public]`: what integrations call, with its paths and TLS.

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use oauth1::Scheme;

use super::Limits;
use super::limits::limits;
use super::reader::Section;
use super::values;
use crate::listen::tls::{PairError, certified};
use crate::proxy::route::is_servable;

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
    let default = SocketAddr::from(([127, 0, 0, 1], 8080));
    let public = Public {
        listen: section.all_parsed_or("listen", vec![default], values::address),
        base_urls: section.all_parsed("base_url", values::base_url),
        trusted_proxies: section.all_parsed("trusted_proxies", values::net),
        threads: section.count("threads", 0, 0..=1024),
        limits: limits(section.section("limits")),
        paths: paths(section.section("paths")),
        tls: section.optional_section("tls").map(tls),
    };
    if let Some(twice) = twice(&public.listen) {
        section.fault("listen", &format!("{twice} is listed twice"));
    }
    let names: Vec<&str> = public.base_urls.iter().map(|url| url.authority.as_str()).collect();
    if let Some(twice) = twice(&names) {
        let what = format!("{twice:?} is listed twice: a request's Host must pick one entry");
        section.fault("base_url", &what);
    }
    if public.base_urls.is_empty() {
        let what = "is not set: clients sign whatever Host they call, and activation by exchange needs it";
        section.warn("base_url", what);
    }
    if public.trusted_proxies.iter().any(|net| net.prefix_len() == 0) {
        let what = "trusts everybody: any client may say which address and scheme it came by";
        section.warn("trusted_proxies", what);
    }
    section.finish();
    public
}

/// The first that is listed twice.
fn twice<T: PartialEq>(all: &[T]) -> Option<&T> {
    all.iter()
        .enumerate()
        .find(|(at, one)| all.iter().take(*at).any(|before| before == *one))
        .map(|(_, one)| one)
}

fn paths(section: Section<'_, '_>) -> Paths {
    let path = |key: &str, default: &str| {
        let plain = |text: &str| {
            let fits = text.starts_with('/')
                && !text.ends_with('/')
                && !text.contains("//")
                && !text.contains(['?', '#', '%', ' ', '{', '}', '\\'])
                && text.bytes().all(|byte| byte.is_ascii_graphic());
            if !fits {
                return Err(format!(
                    "{text:?} is not a path: it begins with /, ends without, and holds no escapes"
                ));
            }
            if !is_servable(text) {
                return Err(format!(
                    "{text:?} can't be called: a segment of dots is refused in every request"
                ));
            }
            Ok(text.to_owned())
        };
        section.parsed_or(key, default.to_owned(), plain)
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
    let all = [
        ("token_request", &paths.token_request),
        ("token_access", &paths.token_access),
        ("initiate", &paths.initiate),
        ("authorize", &paths.authorize),
        ("token", &paths.token),
        ("admin_token", &paths.admin_token),
        ("customer_token", &paths.customer_token),
        ("revoke_customer_token", &paths.revoke_customer_token),
    ];
    for (at, (key, path)) in all.iter().enumerate() {
        let Some((first, _)) = all.iter().take(at).find(|(_, before)| before == path) else {
            continue;
        };
        // A default is not at fault where the other was set to it.
        let (faulty, other) = if section.is_set(key) {
            (key, first)
        } else {
            (first, key)
        };
        section.fault(faulty, &format!("{path:?} is the path of {other} already"));
    }
    section.finish();
    paths
}

fn tls(section: Section<'_, '_>) -> Tls {
    let mut certificates: Vec<(PathBuf, PathBuf)> = certificate(&section).into_iter().collect();
    let others = section.list_of_tables("certificates");
    if others.is_empty() && !section.is_set("cert") && !section.is_set("key") {
        section.fault_of_missing("cert", "names no certificate: set cert and key to PEM files");
    }
    for other in others {
        certificates.extend(certificate(&other));
        other.finish();
    }
    let tls = Tls {
        certificates,
        client_ca: section.certificates_file("client_ca"),
        tls13_only: section.word("min_version", false, &[("1.2", false), ("1.3", true)]),
    };
    section.finish();
    tls
}

/// A certificate chain and its key: none alone.
fn certificate(section: &Section<'_, '_>) -> Option<(PathBuf, PathBuf)> {
    let pair = section.certificates_file("cert").zip(section.private_key_file("key"));
    match (section.is_set("cert"), section.is_set("key")) {
        (true, false) => section.fault_of_missing("key", "is missing: cert is set"),
        (false, true) => section.fault_of_missing("cert", "is missing: key is set"),
        (true, true) | (false, false) => {}
    }
    if let Some((cert, key)) = &pair {
        match certified(cert, key) {
            Ok(_) => {}
            Err(PairError::Certificate(what)) => section.fault("cert", &what),
            Err(PairError::Key(what)) => section.fault("key", &what),
        }
    }
    pair
}
