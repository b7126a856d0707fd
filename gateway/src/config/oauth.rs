//! `[oauth]`: the protocol.

use std::time::Duration;

use oauth1::{MethodSet, Placements, SignatureMethod};

use super::reader::Section;

/// `[oauth]`
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own in the configuration"
)]
pub struct Oauth {
    /// Accepted methods, where an integration names none.
    pub signature_methods: MethodSet,
    /// Both sides, inclusive.
    pub timestamp_window: Duration,
    /// Where `oauth_*` may stand.
    pub placements: Placements,
    /// Whether Magento's natural sort is tried too.
    pub magento_sort: bool,
    /// Whether Magento's host as sent, default port kept, is tried too.
    pub magento_host: bool,
    /// Verifier POST → request token.
    pub consumer_expiry: Duration,
    /// Request token → access token.
    pub request_token_lifetime: Duration,
    /// The same for `/oauth/initiate`.
    pub initiate_lifetime: Duration,
    /// In which a lost response may be asked again.
    pub exchange_grace: Duration,
    /// Whether unknown consumer, unknown or foreign token and bad signature share one body.
    pub uniform_errors: bool,
    /// Whether an integration's access token may be used as a bearer token.
    pub access_tokens_as_bearer: bool,
}

pub(super) fn oauth(section: Section<'_, '_>) -> Oauth {
    let methods: Vec<&'static str> = SignatureMethod::ALL.iter().map(|method| method.as_str()).collect();
    let methods = section.words("signature_methods", &["HMAC-SHA256", "HMAC-SHA1"], &methods);
    if methods.is_empty() {
        section.fault("signature_methods", "names none: no request could be signed");
    }
    let placements = section.words("placements", &["header", "query", "form"], &["header", "query", "form"]);
    if placements.is_empty() {
        section.fault("placements", "names none: no request could be signed");
    }
    let compat = section.words("compat", &["magento-sort"], &["magento-sort", "magento-host"]);
    let oauth = Oauth {
        signature_methods: methods.iter().copied().filter_map(SignatureMethod::from_name).collect(),
        timestamp_window: section.duration("timestamp_window", "10m", ("1s", "15m")),
        placements: Placements {
            header: placements.contains(&"header"),
            query: placements.contains(&"query"),
            form: placements.contains(&"form"),
        },
        magento_sort: compat.contains(&"magento-sort"),
        magento_host: compat.contains(&"magento-host"),
        consumer_expiry: section.duration("consumer_expiry", "5m", ("1s", "30d")),
        request_token_lifetime: section.duration("request_token_lifetime", "2h", ("1s", "30d")),
        initiate_lifetime: section.duration("initiate_lifetime", "10m", ("1s", "1h")),
        exchange_grace: section.duration("exchange_grace", "60s", ("0s", "1h")),
        uniform_errors: section.flag("uniform_errors", false),
        access_tokens_as_bearer: section.flag("access_tokens_as_bearer", false),
    };
    section.finish();
    oauth
}
