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

/// Checks every field; the first that can't be accepted is the error.
pub fn check(new: &NewIntegration, tree: &ResourceTree) -> Result<(), Invalid> {
    faults(new, tree).into_iter().next().map_or(Ok(()), Err)
}

/// Every field that can't be accepted.
pub fn faults(new: &NewIntegration, tree: &ResourceTree) -> Vec<Invalid> {
    let name = new.name.trim().is_empty().then_some(Invalid::Required("name"));
    let fields = wrong_fields(new).into_iter();
    let fields = fields.map(|(field, what)| Invalid::Field { field, what });
    let grant = match &new.grant {
        Grant::All => None,
        Grant::Listed(ids) => tree.check(ids).err().map(Invalid::Resource),
    };
    name.into_iter().chain(fields).chain(grant).collect()
}

/// Fields that are too long or of another form, with what they must be.
fn wrong_fields(new: &NewIntegration) -> Vec<(&'static str, &'static str)> {
    let is_long = new.name.chars().count() > 255 || new.name.chars().any(char::is_control);
    let is_wrong = |url: &Option<String>| url.as_ref().is_some_and(|url| !is_url(url));
    let names_methods = |names: &Vec<String>| names.iter().all(|name| SignatureMethod::from_name(name).is_some());
    let is_key = |pem: &String| RsaPublicKey::from_pem(pem).is_some();
    let names_places = |names: &Vec<String>| names.iter().all(|name| PLACEMENTS.contains(&name.as_str()));
    let many = new.callback_urls.len() > MOST_CALLBACKS;
    let fields = [
        (
            is_long,
            "name",
            "at most 255 characters, none of them a control character",
        ),
        (
            !new.email.is_empty() && !is_email(&new.email),
            "email",
            "an e-mail address of at most 254 characters, as name@example.com",
        ),
        (
            is_wrong(&new.endpoint),
            "endpoint",
            "Invalid Callback URL: an absolute http:// or https:// URL without user name or fragment",
        ),
        (
            is_wrong(&new.identity_link_url),
            "identity_link_url",
            "Invalid Identity Link URL",
        ),
        (
            !new.signature_methods.as_ref().is_none_or(names_methods),
            "signature_methods",
            "names of signature methods, as HMAC-SHA256",
        ),
        (
            !new.rsa_public_key.as_ref().is_none_or(is_key),
            "rsa_public_key",
            "a PEM public key or certificate, RSA of at least 2048 bits",
        ),
        (
            !new.placements.as_ref().is_none_or(names_places),
            "placements",
            "of header, query and form",
        ),
        (
            many || !new.callback_urls.iter().all(|url| is_url(url)),
            "callback_urls",
            "at most 20 absolute URLs without user name or fragment",
        ),
        (
            !new.flags.iter().all(|flag| FLAGS.contains(&flag.as_str())),
            "flags",
            "accept_version_1_0A, collapse_identical_pairs, mastercard or require_body_hash",
        ),
    ];
    let wrong = fields.into_iter().filter(|(is_wrong, ..)| *is_wrong);
    wrong.map(|(_, field, what)| (field, what)).collect()
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

const PLACEMENTS: [&str; 3] = ["header", "query", "form"];
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
