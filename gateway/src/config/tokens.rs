//! `[tokens]` and `[lockout]`: how users sign in.

use std::path::PathBuf;
use std::time::Duration;

use token_store::UserKind;

use super::reader::Section;
use super::upstream::UpstreamTarget;
use super::values;

/// `[tokens.*]`
#[derive(Clone, Debug)]
pub struct Tokens {
    /// Lifetime of an admin's token; `None`: never expires.
    pub admin_lifetime: Option<Duration>,
    /// What an admin's token is.
    pub admin_format: TokenFormat,
    /// Lifetime of a customer's token; `None`: never expires.
    pub customer_lifetime: Option<Duration>,
    /// What a customer's token is.
    pub customer_format: TokenFormat,
    /// Who vouches for a customer's password.
    pub customer_credentials: CustomerCredentials,
}

/// What a bearer token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFormat {
    /// 32 random characters, kept by their digest.
    Opaque,
    /// Signed, and kept nowhere.
    Jwt,
}

impl Tokens {
    /// Lifetime and format for one kind of user.
    pub fn of(&self, kind: UserKind) -> (Option<Duration>, TokenFormat) {
        match kind {
            UserKind::Admin => (self.admin_lifetime, self.admin_format),
            UserKind::Customer => (self.customer_lifetime, self.customer_format),
        }
    }

    /// Whether any are JWTs: then JWTs of both kinds are read, and opaque tokens go on beside them.
    pub fn has_jwts(&self) -> bool {
        [self.admin_format, self.customer_format].contains(&TokenFormat::Jwt)
    }
}

/// Who vouches for a customer's password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CustomerCredentials {
    /// Accounts kept here.
    Local,
    /// The storefront, asked over HTTP.
    Http(Box<CustomerHttp>),
}

/// Where the storefront is asked, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerHttp {
    /// Scheme, host and port.
    pub target: UpstreamTarget,
    /// What `Host` says.
    pub authority: String,
    /// Path and query.
    pub path: String,
    /// For the whole call.
    pub timeout: Duration,
    /// PEM of the authority to trust instead of the system's roots.
    pub ca: Option<PathBuf>,
}

/// `[lockout]`
#[derive(Clone, Copy, Debug)]
pub struct Lockout {
    /// Failures after which a name is locked.
    pub max_failures: u32,
    /// For how long after the last failure.
    pub duration: Duration,
    /// Failures of one address, whatever the names, within that time.
    pub max_failures_per_address: u32,
}

pub(super) fn tokens(section: Section<'_, '_>) -> Tokens {
    let (admin, customer) = (section.section("admin"), section.section("customer"));
    let source = customer.word("credentials", "local", &[("local", "local"), ("http", "http")]);
    let asked = asked(&customer);
    let customer_credentials = match (source, asked) {
        ("http", Some(asked)) => CustomerCredentials::Http(Box::new(asked)),
        ("http", None) => {
            if !customer.is_set("url") {
                customer.fault("url", "is missing: credentials = \"http\" asks it");
            }
            CustomerCredentials::Local
        }
        _ => CustomerCredentials::Local,
    };
    let tokens = Tokens {
        admin_lifetime: lifetime(&admin, "4h"),
        admin_format: format(&admin),
        customer_lifetime: lifetime(&customer, "1h"),
        customer_format: format(&customer),
        customer_credentials,
    };
    admin.finish();
    customer.finish();
    section.finish();
    tokens
}

fn format(section: &Section<'_, '_>) -> TokenFormat {
    const FORMATS: [(&str, TokenFormat); 2] = [("opaque", TokenFormat::Opaque), ("jwt", TokenFormat::Jwt)];
    section.word("format", TokenFormat::Opaque, &FORMATS)
}

/// Who is asked where `credentials = "http"`.
fn asked(section: &Section<'_, '_>) -> Option<CustomerHttp> {
    let url = section.parsed("url", values::url);
    let timeout = section.duration("timeout", "5s", ("10ms", "1m"));
    let ca = section.certificates_file("ca");
    let url = url?;
    if url.target.scheme == oauth1::Scheme::Http && !is_loopback(&url.target.host) {
        section.warn("url", "customers' passwords go there in clear: use https://");
    }
    Some(CustomerHttp {
        target: url.target,
        authority: url.authority,
        path: url.path,
        timeout,
        ca,
    })
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// `None`: never.
fn lifetime(section: &Section<'_, '_>, default: &str) -> Option<Duration> {
    let parse = |text: &str| match text {
        "never" => Ok(text.to_owned()),
        other => match values::duration(other)? {
            Duration::ZERO => Err("0 would expire at once; write \"never\" for a token without expiry".to_owned()),
            _ => Ok(text.to_owned()),
        },
    };
    // "never" is no duration: that is what None says.
    values::duration(&section.parsed_or("lifetime", default.to_owned(), parse)).ok()
}

pub(super) fn lockout(section: Section<'_, '_>) -> Lockout {
    let lockout = Lockout {
        max_failures: section.small("max_failures", 6, 1..=1000),
        duration: section.duration("duration", "30m", ("1s", "30d")),
        max_failures_per_address: section.small("max_failures_per_address", 1000, 1..=1_000_000),
    };
    section.finish();
    lockout
}
