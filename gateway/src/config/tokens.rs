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
    let lifetime = |of: &Section<'_, '_>, default: &str| -> Option<Duration> {
        let parse = |text: &str| match text {
            "never" => Ok(None),
            text => match values::duration(text)? {
                Duration::ZERO => Err("0 would expire at once; write \"never\" for a token without expiry".to_owned()),
                lifetime => Ok(Some(lifetime)),
            },
        };
        of.parsed("lifetime", parse)
            .unwrap_or_else(|| values::duration(default).ok())
    };
    let opaque = |of: &Section<'_, '_>| {
        let format = |text: &str| match text {
            "opaque" => Ok(()),
            "jwt" => Err("\"jwt\" is not available in this version; use \"opaque\"".to_owned()),
            _ => Err(format!("{text:?} is not a format: \"opaque\"")),
        };
        // Read for its faults: there is one format so far.
        let _opaque = of.parsed("format", format);
    };
    let (admin, customer) = (section.section("admin"), section.section("customer"));
    opaque(&admin);
    opaque(&customer);
    let source = customer.text_or("credentials", "local");
    let url = customer.text("url");
    let customer_credentials = match (source.as_str(), url) {
        ("http", Some((url, _))) => CustomerCredentials::Http { url },
        ("http", None) => {
            customer.fault_at(customer.place(), "url", "is missing: credentials = \"http\" asks it");
            CustomerCredentials::Local
        }
        ("local", _) => CustomerCredentials::Local,
        (other, _) => {
            customer.fault_at(
                customer.place(),
                "credentials",
                &format!("{other:?} is neither \"local\" nor \"http\""),
            );
            CustomerCredentials::Local
        }
    };
    let tokens = Tokens {
        admin_lifetime: lifetime(&admin, "4h"),
        customer_lifetime: lifetime(&customer, "1h"),
        customer_credentials,
    };
    admin.finish();
    customer.finish();
    section.finish();
    tokens
}

pub(super) fn lockout(section: Section<'_, '_>) -> Lockout {
    let lockout = Lockout {
        max_failures: u32::try_from(section.number("max_failures", 6, 1..=1000)).unwrap_or(6),
        duration: section.duration("duration", "30m", ("1s", "30d")),
    };
    section.finish();
    lockout
}
