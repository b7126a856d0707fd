//! What an integration's creator may give: every field, with its bound and Magento's sentence.

use oauth1::{RsaPublicKey, SignatureMethod};
use token_store::{Grant, NewIntegration};

use crate::authorize::resources::{ResourceTree, UnknownResource};

/// A field that can't be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Absent or empty.
    #[error("\"%fieldName\" is required. Enter and try again.")]
    Required(&'static str),
    /// Too long, or of another form.
    #[error("{field}: {what}")]
    Field {
        /// Which.
        field: &'static str,
        /// What it must be.
        what: &'static str,
    },
    /// A resource that is not in the tree.
    #[error("resources: {0}")]
    Resource(UnknownResource),
    /// An endpoint that may never be called.
    #[error("endpoint: {0}")]
    EndpointRefused(String),
}

/// Checks every field.
pub fn check(new: &NewIntegration, tree: &ResourceTree) -> Result<(), Invalid> {
    let field = |field, what| Err(Invalid::Field { field, what });
    if new.name.trim().is_empty() {
        return Err(Invalid::Required("name"));
    }
    if new.name.chars().count() > 255 || new.name.chars().any(char::is_control) {
        return field("name", "at most 255 characters, none of them a control character");
    }
    if !new.email.is_empty() && !is_email(&new.email) {
        return field(
            "email",
            "an e-mail address of at most 254 characters, as name@example.com",
        );
    }
    for (name, url) in [
        ("endpoint", &new.endpoint),
        ("identity_link_url", &new.identity_link_url),
    ] {
        if url.as_ref().is_some_and(|url| !is_url(url)) {
            return if name == "endpoint" {
                field(
                    "endpoint",
                    "Invalid Callback URL: an absolute http:// or https:// URL without user name or fragment",
                )
            } else {
                field("identity_link_url", "Invalid Identity Link URL")
            };
        }
    }
    if let Some(methods) = &new.signature_methods
        && !methods.iter().all(|name| SignatureMethod::from_name(name).is_some())
    {
        return field("signature_methods", "names of signature methods, as HMAC-SHA256");
    }
    if new
        .rsa_public_key
        .as_ref()
        .is_some_and(|pem| RsaPublicKey::from_pem(pem).is_none())
    {
        return field(
            "rsa_public_key",
            "a PEM public key or certificate, RSA of at least 2048 bits",
        );
    }
    if let Some(placements) = &new.placements
        && !placements
            .iter()
            .all(|name| ["header", "query", "form"].contains(&name.as_str()))
    {
        return field("placements", "of header, query and form");
    }
    if new.callback_urls.len() > MOST_CALLBACKS || !new.callback_urls.iter().all(|url| is_url(url)) {
        return field(
            "callback_urls",
            "at most 20 absolute URLs without user name or fragment",
        );
    }
    if !new.flags.iter().all(|flag| FLAGS.contains(&flag.as_str())) {
        return field(
            "flags",
            "accept_version_1_0A, collapse_identical_pairs, mastercard or require_body_hash",
        );
    }
    match &new.grant {
        Grant::All => Ok(()),
        Grant::Listed(ids) => tree.check(ids).map_err(Invalid::Resource),
    }
}

/// One @ with something on either side and a dot behind it: what a mail server decides isn't ours to know.
fn is_email(text: &str) -> bool {
    let plain = text.len() <= 254
        && !text
            .chars()
            .any(|character| character.is_whitespace() || character.is_control());
    let parts = text.split_once('@');
    plain
        && parts
            .is_some_and(|(name, host)| !name.is_empty() && !host.contains('@') && host.trim_matches('.').contains('.'))
}

/// An absolute URL that nobody reads in two ways.
pub(crate) fn is_url(text: &str) -> bool {
    let plain = text.len() <= 2048
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && !text.contains(['\\', '"', '<', '>', '^', '`', '{', '|', '}']);
    let Some(parsed) = plain.then(|| url::Url::parse(text).ok()).flatten() else {
        return false;
    };
    matches!(parsed.scheme(), "http" | "https")
        && parsed.has_host()
        && parsed.username().is_empty()
        && parsed.password().is_none()
        && parsed.fragment().is_none()
        && text
            .split_once("://")
            .is_some_and(|(scheme, rest)| scheme.eq_ignore_ascii_case(parsed.scheme()) && !rest.starts_with('/'))
}

const FLAGS: [&str; 4] = [
    "accept_version_1_0A",
    "collapse_identical_pairs",
    "mastercard",
    "require_body_hash",
];
const MOST_CALLBACKS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_absolute_http_url_without_user_name_or_fragment_is_a_url() {
        assert!(is_url("https://partner.example/callback?x=1"));
        assert!(is_url("http://127.0.0.1:9000/cb"));
        for bad in [
            "partner.example",
            "javascript:alert(1)",
            "https://user@partner.example/",
            "https://partner.example/#f",
            "https://partner.example\\@evil.example/",
            "https:/partner.example/",
            "https:///partner.example/",
            "https://",
            "ftp://partner.example/",
            "https://partner.example/\r\nX: y",
        ] {
            assert!(!is_url(bad), "{bad}");
        }
    }

    #[test]
    fn an_email_has_a_name_and_a_dotted_host() {
        assert!(is_email("shop@example.com"));
        assert!(!is_email("shop@example"));
        assert!(!is_email("@example.com"));
        assert!(!is_email("a@b@example.com"));
        assert!(!is_email("a b@example.com"));
    }
}
