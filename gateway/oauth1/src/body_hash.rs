//! `oauth_body_hash`: the digest of a body that isn't a form (the body hash extension, X3, X4).

use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

use crate::Problem;

/// Compares the `declared` hash (base64, as in the parameter) with that of the body as received, before any content
/// decoding. Its length names the hash: 20 octets SHA-1 (where allowed), 32 SHA-256, 64 SHA-512. The value is signed, so
/// nobody on the way can choose a weaker one. Anything else is [`Problem::BodyHashInvalid`].
pub fn check(octets: &[u8], declared: &[u8], sha1_allowed: bool) -> Result<(), Problem> {
    let declared = STANDARD.decode(declared).map_err(|_| Problem::BodyHashInvalid)?;
    let is_right = match declared.len() {
        20 if sha1_allowed => declared.ct_eq(&Sha1::digest(octets)),
        32 => declared.ct_eq(&Sha256::digest(octets)),
        64 => declared.ct_eq(&Sha512::digest(octets)),
        _ => return Err(Problem::BodyHashInvalid),
    };
    if bool::from(is_right) {
        Ok(())
    } else {
        Err(Problem::BodyHashInvalid)
    }
}
