//! `[tokens]` and `[lockout]`: how users sign in.

use std::time::Duration;

use super::reader::Section;
use super::values;

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

pub(super) fn tokens(section: Section<'_, '_>) -> Tokens {
    let (admin, customer) = (section.section("admin"), section.section("customer"));
    let source = customer.word("credentials", "local", &[("local", "local"), ("http", "http")]);
    let url = customer.text("url").map(|(url, _)| url);
    let customer_credentials = match (source, url) {
        ("http", Some(url)) => CustomerCredentials::Http { url },
        ("http", None) => {
            customer.fault("url", "is missing: credentials = \"http\" asks it");
            CustomerCredentials::Local
        }
        _ => CustomerCredentials::Local,
    };
    if customer_credentials != CustomerCredentials::Local {
        customer.fault(
            "credentials",
            "\"http\" is not available in this version; use \"local\"",
        );
    }
    let tokens = Tokens {
        admin_lifetime: lifetime(&admin, "4h"),
        customer_lifetime: lifetime(&customer, "1h"),
        customer_credentials,
    };
    for of in [&admin, &customer] {
        let format = of.word("format", "opaque", &[("opaque", "opaque"), ("jwt", "jwt")]);
        if format == "jwt" {
            of.fault("format", "\"jwt\" is not available in this version; use \"opaque\"");
        }
    }
    admin.finish();
    customer.finish();
    section.finish();
    tokens
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
    };
    section.finish();
    lockout
}
