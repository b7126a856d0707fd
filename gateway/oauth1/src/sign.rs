//! Signing a request as a client: for the command line, for outbound requests and for tests (RFC 5849 section 3.5.1).

use crate::{
    BaseForm, RequestParts, SignatureMethod, base_string, parameters::Parameters, percent, request::Placement,
    signature,
};

/// Who signs: consumer, and token where there is one. The secrets are raw.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// `oauth_consumer_key`
    pub consumer_key: &'a str,
    /// Its secret.
    pub consumer_secret: &'a str,
    /// `oauth_token`; none is sent when absent.
    pub token: Option<&'a str>,
    /// Its secret; empty without a token.
    pub token_secret: &'a str,
}

impl std::fmt::Debug for Credentials<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Credentials({})", self.consumer_key)
    }
}

/// What is drawn anew for each request, and what else goes into the header.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    /// HMAC or PLAINTEXT.
    pub method: SignatureMethod,
    /// Unix seconds.
    pub timestamp: u64,
    /// Never twice with the same timestamp.
    pub nonce: &'a str,
    /// `oauth_callback`, `oauth_verifier`, `oauth_body_hash` and the like, unencoded.
    pub extra: &'a [(&'a str, &'a str)],
}

/// The value of the `Authorization` header for `parts` (whose own `authorization` doesn't matter). `None` for RSA methods,
/// whose private keys this crate never holds.
pub fn authorization(parts: &RequestParts<'_>, credentials: &Credentials<'_>, stamp: &Stamp<'_>) -> Option<String> {
    let timestamp = stamp.timestamp.to_string();
    let mut own = vec![
        ("oauth_consumer_key", credentials.consumer_key),
        ("oauth_nonce", stamp.nonce),
        ("oauth_signature_method", stamp.method.as_str()),
        ("oauth_timestamp", &timestamp),
        ("oauth_version", "1.0"),
    ];
    own.extend(credentials.token.map(|token| ("oauth_token", token)));
    own.extend(stamp.extra);
    let own: Vec<_> = own
        .into_iter()
        .map(|(name, value)| (percent::encode(name.as_bytes()), percent::encode(value.as_bytes())))
        .collect();
    let mut parameters = Parameters::with_capacity(own.len());
    for (name, value) in &own {
        parameters.add_encoded(name, value).ok()?;
    }
    for (text, placement) in [
        (parts.target.query.map(str::as_bytes), Placement::Query),
        (parts.form, Placement::Form),
    ] {
        parameters
            .add_form(text.unwrap_or_default(), placement, usize::MAX)
            .ok()?;
    }
    parameters.sort();
    let base = base_string::build(parts.method, &parts.target, &parameters, BaseForm::default());
    let signature = signature::sign(
        stamp.method,
        (credentials.consumer_secret, credentials.token_secret),
        &base,
    )?;
    let mut header = String::from("OAuth ");
    for (name, value) in &own {
        header.extend([name, "=\"", value, "\", "]);
    }
    header.extend(["oauth_signature=\"", &percent::encode(signature.as_bytes()), "\""]);
    Some(header)
}
