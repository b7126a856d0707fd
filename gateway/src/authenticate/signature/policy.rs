//! What is accepted: of anybody, before the consumer is known, and of a consumer.

use oauth1::{MethodSet, Placement, Placements, Problem, RequestParts, Scheme, SignatureMethod, SignedRequest};

use crate::config;
use crate::refusal::{Cause, Refusal};

/// What a server accepts, before the consumer is known.
pub fn rules(placements: Placements, limits: &config::Limits, repeat_in_form: bool) -> oauth1::Rules {
    let limits = oauth1::Limits {
        parameters: limits.parameters,
        authorization: limits.authorization,
        oauth_value: limits.oauth_value,
    };
    oauth1::Rules {
        placements,
        limits,
        repeat_in_form,
    }
}

pub(super) fn allows(placements: Placements, placement: Placement) -> bool {
    match placement {
        Placement::Header => placements.header,
        Placement::Query => placements.query,
        Placement::Form => placements.form,
    }
}

/// PLAINTEXT shows its secrets to whoever listens (C61): where it is accepted at all, it is over TLS.
pub(super) fn check_method(
    accepted: MethodSet,
    parts: &RequestParts<'_>,
    signed: &SignedRequest<'_>,
) -> Result<(), Refusal> {
    let method = signed.method();
    if !accepted.contains(method) {
        return Err(Problem::SignatureMethodRejected(method.as_str().to_owned()).into());
    }
    if method == SignatureMethod::Plaintext && parts.target.scheme != Scheme::Https {
        return Err(Cause::HttpsRequired.into());
    }
    Ok(())
}
