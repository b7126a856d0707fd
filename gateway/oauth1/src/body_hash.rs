//! `oauth_body_hash`.

use crate::Problem;

/// Checks.
pub fn check(_octets: &[u8], _declared: &[u8], _sha1_allowed: bool) -> Result<(), Problem> {
    todo!()
}
