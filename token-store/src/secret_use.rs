//! When the secrets of a consumer were last used: what tells an admin that everybody has changed to the new one.

use std::collections::BTreeMap;

use crate::codec::token_digest;
use crate::{Secret, UnixSeconds};

/// By [`fingerprint`]: the second of the last use.
pub type SecretUses = BTreeMap<String, UnixSeconds>;

/// What stands for a secret: the beginning of its digest, from which nobody guesses one of 165 bits.
pub fn fingerprint(secret: &Secret) -> String {
    token_digest(secret.expose()).chars().take(16).collect()
}

/// What is kept when `seen` is noted: the later second of each; a secret that is not among them is forgotten.
pub(crate) fn merged(kept: &SecretUses, seen: &SecretUses) -> SecretUses {
    let later = |(print, at): (&String, &UnixSeconds)| {
        let before = kept.get(print).copied().unwrap_or_default();
        (print.clone(), before.max(*at))
    };
    seen.iter().map(later).collect()
}
