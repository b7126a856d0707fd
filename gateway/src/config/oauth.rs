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
    let method = |text: &str| {
        SignatureMethod::from_name(text).ok_or_else(|| {
            let names: Vec<&str> = SignatureMethod::ALL.iter().map(|method| method.as_str()).collect();
            format!("{text:?} is not a signature method: {}", names.join(", "))
        })
    };
    let default: MethodSet = [SignatureMethod::HmacSha256, SignatureMethod::HmacSha1]
        .into_iter()
        .collect();
    let word = |known: &'static [&'static str]| {
        move |text: &str| {
            let found = known.iter().copied().find(|one| *one == text);
            found.ok_or_else(|| format!("{text:?} is none of {}", known.join(", ")))
        }
    };
    let compat = section.all_parsed("compat", word(&["magento-sort", "magento-host"]));
    let compat = compat.unwrap_or_else(|| vec!["magento-sort"]);
    let placements = section.all_parsed("placements", word(&["header", "query", "form"]));
    let placed = |name: &str| placements.as_ref().is_none_or(|all| all.contains(&name));
    let oauth = Oauth {
        signature_methods: section
            .all_parsed("signature_methods", method)
            .map_or(default, MethodSet::from_iter),
        timestamp_window: section.duration("timestamp_window", "10m", ("1s", "15m")),
        placements: Placements {
            header: placed("header"),
            query: placed("query"),
            form: placed("form"),
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
