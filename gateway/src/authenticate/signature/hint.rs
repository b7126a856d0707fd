//! What the log says of an invalid signature: which single change would have made it verify. The first aid until the
//! request is explained in full; never a secret, never a computed signature.

use oauth1::{Keys, RequestParts, Scheme, SignedRequest, Target};

/// Tries scheme, host, port, query and form, and logs the first that the client's signature holds for.
pub(super) fn log(parts: &RequestParts<'_>, signed: &SignedRequest<'_>, keys: &Keys, called: &str) {
    let found = find(parts, signed, keys, called);
    tracing::info!(
        consumer_key = signed.consumer_key(),
        hint = found.unwrap_or("none of scheme, host, port, query, form or hash alone explains it"),
        "signature invalid"
    );
}

/// The change that would have made it verify, if one alone would. It costs some signatures, so what is unknown costs them too:
/// the time of an answer tells nobody which consumers and tokens there are.
///
/// `called`: the Host that the request came with, where the public address is another.
pub(super) fn find(
    parts: &RequestParts<'_>,
    signed: &SignedRequest<'_>,
    keys: &Keys,
    called: &str,
) -> Option<&'static str> {
    let target = parts.target;
    let other_scheme = match target.scheme {
        Scheme::Http => Scheme::Https,
        Scheme::Https => Scheme::Http,
    };
    let scheme_hint = match target.scheme {
        Scheme::Http => "the client signed https://, it called http://",
        Scheme::Https => "the client signed http://, the public address is https://",
    };
    let without_port = crate::authenticate::target::without_port(target.authority);
    let www = format!("www.{}", target.authority);
    let without_www = target.authority.strip_prefix("www.").unwrap_or(target.authority);
    let host = |authority| Target { authority, ..target };
    let variants = [
        (
            "the client signed the host that it called, not the public address's",
            host(called),
            parts.form,
        ),
        ("the client signed the host with www.", host(&www), parts.form),
        ("the client signed the host without www.", host(without_www), parts.form),
        (
            scheme_hint,
            Target {
                scheme: other_scheme,
                ..target
            },
            parts.form,
        ),
        (
            "the client left the port out of the signed URL",
            Target {
                authority: without_port,
                ..target
            },
            parts.form,
        ),
        (
            "the client did not sign the query string",
            Target { query: None, ..target },
            parts.form,
        ),
        ("the client did not sign the form fields", target, None),
    ];
    let holds = |(hint, target, form): (&'static str, Target<'_>, Option<&[u8]>)| {
        signed
            .verify_against(&RequestParts { target, form, ..*parts }, keys)
            .then_some(hint)
    };
    signed
        .verify_other_hash(keys)
        .then_some("the client computed another hash than oauth_signature_method names")
        .or_else(|| variants.into_iter().find_map(holds))
}
