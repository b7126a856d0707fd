//! Whose a mistake is (the catalogue's page, 5.4): some can as well be of the gateway's `base_url` and `trusted_proxies`, or of
//! a proxy in front. Where the evidence says so the operator is told, and not the developer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use oauth1::explain::{Explanation, Id};
use token_store::ConsumerId;

/// Whether a signature verified on a route since this configuration was put to work. Written once, so that workers only
/// share what they read.
#[derive(Debug, Default)]
pub struct Verified(AtomicBool);

impl Verified {
    /// One did.
    pub fn mark(&self) {
        if !self.is() {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// Whether one did.
    pub fn is(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is known of whose a mistake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Nothing: a request in a file. What can be either's stays either's.
    Nothing,
    /// Neither of the two below: it is the client's.
    Client,
    /// Nobody's signature verified there since the configuration was put to work.
    NothingVerified,
    /// Several integrations make it.
    Several,
}

impl Evidence {
    /// Why it is the operator's.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::Nothing | Self::Client => None,
            Self::NothingVerified => {
                Some("No signature has verified on this route since the gateway took its configuration.")
            }
            Self::Several => Some("Three integrations or more make the same mistake."),
        }
    }
}

/// Which consumers' explanations showed which mistake of late: the last few of each of the few that may be the gateway's.
#[derive(Debug, Default)]
pub(super) struct Shown(Mutex<BTreeMap<Id, Vec<(ConsumerId, u64)>>>);

impl Shown {
    /// Notes an explanation's mistakes, and says whether one of them is several consumers'.
    pub(super) fn is_of_several(&self, explanation: &Explanation, consumer: ConsumerId, now: u64) -> bool {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let theirs = explanation.diagnosis.iter().filter(|one| one.operator.is_some());
        let mut several = false;
        for finding in theirs {
            let seen = shown.entry(finding.id).or_default();
            seen.retain(|(other, at)| *other != consumer && now.saturating_sub(*at) <= REMEMBERED_SECS);
            seen.push((consumer, now));
            if seen.len() > SEVERAL {
                seen.remove(0);
            }
            several |= seen.len() == SEVERAL;
        }
        several
    }
}

/// Integrations that can hardly all be wrong in the same way.
const SEVERAL: usize = 3;
/// As long as refusals are kept.
const REMEMBERED_SECS: u64 = super::rejections::MAX_AGE_SECS;

#[cfg(test)]
mod tests {
    use oauth1::explain::{Options, RawRequest, Secrets, explain};
    use zeroize::Zeroizing;

    use super::*;

    /// Signed as `http://shop.example/a`: the base string by hand, the MAC by Python's hmac.
    fn signed_with_http() -> Explanation {
        let raw = "GET /a HTTP/1.1\nHost: shop.example\nAuthorization: OAuth oauth_consumer_key=\"k\", oauth_nonce=\"n\", \
                   oauth_signature_method=\"HMAC-SHA1\", oauth_timestamp=\"1\", oauth_signature=\"HcTKSPDwYk179RyE5PEpsYxmY%2F8%3D\"\n\n";
        let request = RawRequest::parse(raw.as_bytes()).expect("a request");
        let secrets = Secrets {
            consumer_secret: Some(Zeroizing::new("s".to_owned())),
            ..Secrets::default()
        };
        let options = Options {
            base_url: Some("https://shop.example".to_owned()),
            ..Options::default()
        };
        explain(&request, &secrets, &options)
    }

    #[test]
    fn a_mistake_is_several_consumers_when_the_third_of_them_makes_it_within_a_quarter_of_an_hour() {
        let shown = Shown::default();
        let mistake = signed_with_http();
        let is_of_several = |consumer, at| shown.is_of_several(&mistake, ConsumerId(consumer), at);

        assert!(!is_of_several(1, 100));
        assert!(!is_of_several(1, 101));
        assert!(!is_of_several(2, 102));
        assert!(is_of_several(3, 103));
        assert!(is_of_several(4, 104));
        assert!(!is_of_several(5, 104 + REMEMBERED_SECS));
    }

    #[test]
    fn a_route_is_verified_once_and_for_all() {
        let verified = Verified::default();

        assert!(!verified.is());
        verified.mark();
        verified.mark();

        assert!(verified.is());
    }
}
