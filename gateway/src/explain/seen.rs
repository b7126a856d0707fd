//! What is seen of a refusal at once, without a search and without a secret: a few words for a list.

use oauth1::ParameterName;

use super::live::Explainer;
use super::rejections::Rejection;
use crate::clock::span;
use crate::config::Requirement;
use crate::refusal::Cause;
use crate::rehearsal::Outcome;

impl Explainer {
    /// `None`: the cause says all, or only an explanation will tell. Nothing of it is a client's own text.
    pub fn seen(&self, one: &Rejection) -> Option<String> {
        if one.cause == Cause::TimestampRefused {
            Some(clock_of(one))
        } else if one.cause == Cause::NonceUsed {
            Some("the nonce came before, with the same timestamp".to_owned())
        } else if one.cause == Cause::ParameterAbsent {
            self.lacking(one)
        } else if one.cause == Cause::ResourceDenied {
            self.needed(one)
        } else {
            None
        }
    }

    fn needed(&self, one: &Rejection) -> Option<String> {
        let live = self.live.load();
        let Outcome::Route(index) = Self::outcome(&live, &one.request, &one.base_url) else {
            return None;
        };
        match &live.routes.get(index)?.config.requirement {
            Requirement::Resources(ids) => {
                let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
                Some(format!("the route needs {}", ids.join(" and ")))
            }
            Requirement::Own => Some("the route is for customers alone".to_owned()),
            Requirement::Nothing => Some("the route has no resources: nobody may call it".to_owned()),
            Requirement::Anonymous => None,
        }
    }

    fn lacking(&self, one: &Rejection) -> Option<String> {
        let is_absent = |name: &ParameterName| one.request.named(*name).is_none_or(|value| value.is_empty());
        let mut lacking: Vec<ParameterName> = ALWAYS.into_iter().filter(is_absent).collect();
        let live = self.live.load();
        // A call of the exchange may come without one.
        let on_route = matches!(Self::outcome(&live, &one.request, &one.base_url), Outcome::Route(_));
        if on_route && is_absent(&ParameterName::Token) {
            lacking.push(ParameterName::Token);
        }
        let names: Vec<&str> = lacking.into_iter().map(ParameterName::as_str).collect();
        (!names.is_empty()).then(|| format!("without {}", names.join(" and ")))
    }
}

fn clock_of(one: &Rejection) -> String {
    let sent = one.request.named(ParameterName::Timestamp).unwrap_or_default();
    match sent.parse::<u64>() {
        Ok(sent) if sent < one.at => format!("signed {} before it came", span(one.at - sent)),
        Ok(sent) => format!("signed for {} later than it came", span(sent - one.at)),
        Err(_) => "the timestamp is not a number of seconds".to_owned(),
    }
}

/// What every signed request carries.
const ALWAYS: [ParameterName; 5] = [
    ParameterName::ConsumerKey,
    ParameterName::SignatureMethod,
    ParameterName::Signature,
    ParameterName::Timestamp,
    ParameterName::Nonce,
];
