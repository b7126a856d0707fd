//! Certificates: since when and until when they hold, and whether they are for the names that clients call.

use std::path::Path;
use std::time::Duration;

use oauth1::Scheme;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage};

use super::{About, Finding};
use crate::clock::Clock;
use crate::config::{BaseUrl, Config, Tls};

pub(super) fn examine(config: &Config, clock: Clock) -> Vec<Finding> {
    let now = clock.wall();
    let mut findings = Vec::new();
    if let Some(tls) = &config.public.tls {
        for (certificate, _) in &tls.certificates {
            findings.extend(file("public.tls", certificate, now));
        }
        if let Some(authority) = &tls.client_ca {
            findings.extend(file("public.tls.client_ca", authority, now));
        }
        findings.extend(names(tls, &config.public.base_urls));
    }
    for (name, upstream) in &config.upstreams {
        if let Some(authority) = &upstream.ca {
            findings.extend(file(&format!("upstreams.{name}.ca"), authority, now));
        }
    }
    findings
}

/// The certificate of a file that ends first; the others are fine as long as it is.
fn file(key: &str, path: &Path, now: Duration) -> Option<Finding> {
    let about = About::new(CHECK, format!("{key} {}", path.display()));
    let all = match chain(path) {
        Ok(all) => all,
        Err(error) => {
            return Some(about.fail(
                format!("can't be read: {error}"),
                "give the gateway's user the right to read it",
            ));
        }
    };
    let findings = all.iter().map(|certificate| validity(&about, certificate, now));
    findings.min_by_key(|(until, _)| *until).map(|(_, finding)| finding)
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, rustls_pki_types::pem::Error> {
    CertificateDer::pem_file_iter(path)?.collect()
}

/// Until when it holds, and what is to be said of that.
fn validity(about: &About, certificate: &CertificateDer<'_>, now: Duration) -> (Duration, Finding) {
    let renewed = "have it renewed, then `countersign reload`";
    let parsed = EndEntityCert::try_from(certificate);
    let Ok(parsed) = parsed else {
        let cure = "have it issued anew: version 3, in DER within PEM";
        return (
            Duration::ZERO,
            about.fail("is not a certificate that can be read", cure),
        );
    };
    if let Some(Error::CertNotValidYet { not_before, .. }) = judged(&parsed, now) {
        let from = date(seconds(not_before));
        let finding = about.fail(
            format!("does not hold before {from}"),
            "set this machine's clock, or wait",
        );
        return (Duration::ZERO, finding);
    }
    // Whatever holds has ended by then, and the fault says when.
    let until = match judged(&parsed, END_OF_TIME) {
        Some(Error::CertExpired { not_after, .. }) => seconds(not_after),
        Some(_) | None => END_OF_TIME,
    };
    let left = until.saturating_sub(now);
    let days = left.as_secs() / DAY;
    let finding = if until < now {
        about.fail(format!("expired on {}", date(until)), renewed)
    } else if left < SOON {
        about.warn(format!("expires on {}, in {days} days", date(until)), renewed)
    } else {
        about.ok(format!("holds until {}, {days} days", date(until)))
    };
    (until, finding)
}

/// What a verifier would say of it at a time. It looks at the dates before it looks for an issuer, and finds none here.
fn judged(certificate: &EndEntityCert<'_>, at: Duration) -> Option<Error> {
    let at = UnixTime::since_unix_epoch(at);
    let usage = KeyUsage::server_auth();
    let verified = certificate.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &[], &[], at, usage, None, None);
    verified.err()
}

/// Base URLs that clients call by https, and no certificate is for.
fn names(tls: &Tls, base_urls: &[BaseUrl]) -> Vec<Finding> {
    let leaves: Vec<CertificateDer<'static>> = tls
        .certificates
        .iter()
        .filter_map(|(certificate, _)| chain(certificate).ok()?.into_iter().next())
        .collect();
    let is_for = |name: &ServerName<'_>| {
        leaves.iter().any(|leaf| {
            EndEntityCert::try_from(leaf).is_ok_and(|leaf| leaf.verify_is_valid_for_subject_name(name).is_ok())
        })
    };
    let called = base_urls.iter().filter(|url| url.scheme == Scheme::Https);
    let without = called.filter_map(|url| {
        let host = crate::upstream::certificate_name(&url.authority);
        let name = ServerName::try_from(host).ok()?;
        (!is_for(&name)).then(|| {
            About::new(CHECK, format!("public.base_url {host}")).fail(
                "no certificate of public.tls is for this name",
                "add one to public.tls, or correct public.base_url",
            )
        })
    });
    without.collect()
}

fn seconds(time: UnixTime) -> Duration {
    Duration::from_secs(time.as_secs())
}

fn date(since: Duration) -> String {
    let secs = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_second(secs).unwrap_or_default();
    time.strftime("%Y-%m-%d").to_string()
}

const CHECK: &str = "certificates";
const DAY: u64 = 24 * 60 * 60;
/// Long enough for a renewal that failed to be noticed.
const SOON: Duration = Duration::from_secs(21 * DAY);
/// The end of year 9999, the last that a certificate can say (RFC 5280, 4.1.2.5).
const END_OF_TIME: Duration = Duration::from_secs(253_402_300_799);
