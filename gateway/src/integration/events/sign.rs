//! How a webhook is signed: as Standard Webhooks 1.0 says, so that receivers find it in their libraries.
//!
//! `webhook-signature` is `v1,` and base64 of HMAC-SHA256 over `webhook-id`, `.`, `webhook-timestamp`, `.` and the body.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use token_store::Secret;

/// The value of `webhook-signature`.
pub(super) fn signature(secret: &Secret, id: &str, timestamp: u64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &key(secret)));
    context.update(format!("{id}.{timestamp}.").as_bytes());
    context.update(body);
    format!("v1,{}", STANDARD.encode(context.sign()))
}

/// The octets that the secret stands for: base64 behind `whsec_`, else the text itself.
fn key(secret: &Secret) -> Vec<u8> {
    let text = secret.expose();
    let encoded = text.strip_prefix(PREFIX).and_then(|rest| STANDARD.decode(rest).ok());
    encoded.unwrap_or_else(|| text.as_bytes().to_vec())
}

/// Why a text can't be a webhook's secret.
pub(crate) fn refuse(text: &str) -> Option<&'static str> {
    match text.strip_prefix(PREFIX) {
        Some(rest) if STANDARD.decode(rest).is_err() => Some("is not base64 behind \"whsec_\""),
        Some(_) | None if key(&Secret::new(text)).len() < SHORTEST => Some("is too short: at least 16 octets"),
        Some(_) | None => None,
    }
}

const PREFIX: &str = "whsec_";
const SHORTEST: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_published_example() {
        // The example of the Standard Webhooks specification and its reference libraries, computed by them.
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = br#"{"test": 2432232314}"#;

        let signed = signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);

        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_is_text_or_base64_behind_its_prefix() {
        assert_eq!(refuse("sixteen octets.."), None);
        assert_eq!(refuse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), None);
        assert!(refuse("short").is_some());
        assert!(refuse("whsec_not base64 at all").is_some());
        assert!(refuse("whsec_c2hvcnQ=").is_some());
    }
}
