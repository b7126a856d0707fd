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
    faults(new, tree).into_iter().next().map_or(Ok(()), Err)
}

/// All that can't be accepted, in the order of the fields.
pub fn faults(new: &NewIntegration, tree: &ResourceTree) -> Vec<Invalid> {
    let mut faults = Vec::new();
    if new.name.trim().is_empty() {
        faults.push(Invalid::Required("name"));
    }
    let mut unless = |is_right: bool, field, what| {
        if !is_right {
            faults.push(Invalid::Field { field, what });
        }
    };
    let is_some_url = |url: &Option<String>| url.as_ref().is_none_or(|url| url.len() <= 255 && is_url(url));
    unless(new.name.trim().is_empty() || is_name(&new.name), "name", NAME);
    unless(
        new.email.is_empty() || is_email(&new.email),
        "email",
        "an e-mail address of at most 254 characters, as name@example.com",
    );
    unless(
        is_some_url(&new.endpoint),
        "endpoint",
        "Invalid Callback URL: an absolute http:// or https:// URL of at most 255 characters, without user name, fragment or a \
         character that must be percent-encoded",
    );
    unless(
        is_some_url(&new.identity_link_url),
        "identity_link_url",
        "Invalid Identity Link URL",
    );
    let is_method = |name: &String| SignatureMethod::from_name(name).is_some();
    unless(
        new.signature_methods
            .as_ref()
            .is_none_or(|names| !names.is_empty() && names.iter().all(is_method)),
        "signature_methods",
        "names of signature methods, as HMAC-SHA256, one at least; null: the configured ones",
    );
    unless(
        new.rsa_public_key
            .as_ref()
            .is_none_or(|pem| RsaPublicKey::from_pem(pem).is_some()),
        "rsa_public_key",
        "a PEM public key or certificate, RSA of at least 2048 bits",
    );
    let is_placement = |name: &String| ["header", "query", "form"].contains(&name.as_str());
    unless(
        new.placements
            .as_ref()
            .is_none_or(|names| !names.is_empty() && names.iter().all(is_placement)),
        "placements",
        "of header, query and form, one at least; null: the configured ones",
    );
    unless(
        new.callback_urls.len() <= MOST_CALLBACKS && new.callback_urls.iter().all(|url| is_url(url)),
        "callback_urls",
        "at most 20 absolute URLs without user name, fragment or a character that must be percent-encoded",
    );
    unless(
        new.flags.iter().all(|flag| FLAGS.contains(&flag.as_str())),
        "flags",
        "accept_version_1_0A, collapse_identical_pairs, mastercard or require_body_hash",
    );
    if let Grant::Listed(ids) = &new.grant {
        faults.extend(tree.check(ids).err().map(Invalid::Resource));
    }
    faults
}

/// Two names never look the same because of what nobody sees: spaces round them, or what turns the writing's direction.
pub(crate) fn is_name(name: &str) -> bool {
    name.trim() == name && name.chars().count() <= 255 && !name.chars().any(is_unseen)
}

/// A control character, or one that overrides the direction of what follows.
pub(crate) fn is_unseen(one: char) -> bool {
    one.is_control() || matches!(one, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// What [`is_name`] wants.
pub(crate) const NAME: &str =
    "at most 255 characters, no control characters (nor those of writing direction), and no space at either end";

/// One @ with something on either side and a dot behind it: what a mail server decides isn't ours to know.
pub(crate) fn is_email(text: &str) -> bool {
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
        && parsed.port() != Some(0)
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
            "https://partner.example:0/",
        ] {
            assert!(!is_url(bad), "{bad}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_in_the_order_of_the_fields() {
        let new = NewIntegration {
            name: " ".to_owned(),
            email: "nonsense".to_owned(),
            endpoint: Some("partner.example".to_owned()),
            identity_link_url: None,
            setup: token_store::Setup::Manual,
            grant: Grant::Listed([String::from("Gone::x")].into()),
            signature_methods: None,
            rsa_public_key: None,
            two_legged: false,
            placements: None,
            callback_urls: vec!["https://a.example/?b=<i>".to_owned()],
            flags: [String::from("lax")].into(),
        };
        let tree = ResourceTree::new(&[]);

        let told: Vec<String> = faults(&new, &tree).iter().map(Invalid::to_string).collect();

        let fields = [
            "\"%fieldName\"",
            "email: ",
            "endpoint: ",
            "callback_urls: ",
            "flags: ",
            "resources: ",
        ];
        assert_eq!(told.len(), fields.len(), "{told:?}");
        assert!(
            told.iter().zip(fields).all(|(told, field)| told.starts_with(field)),
            "{told:?}"
        );
        assert_eq!(check(&new, &tree), Err(Invalid::Required("name")));
    }

    #[test]
    fn a_name_has_nothing_that_nobody_sees() {
        assert!(is_name("Courier & Söhne"));
        for bad in [
            " Courier",
            "Courier ",
            "Cou\trier",
            "Cou\u{202E}reir",
            "Cou\u{2066}rier",
            &"x".repeat(256),
        ] {
            assert!(!is_name(bad), "{bad:?}");
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
