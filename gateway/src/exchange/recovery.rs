//! Recovery codes: ten that stand in for the device of a second factor when it is lost, each good once.
//!
//! Twelve characters, 62 bits, so that a digest of one is not guessed; what is kept is a MAC under the factor's own secret.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq as _;
use token_store::Secret;

use crate::random::{self, NoRandomness};

/// Fresh ones, as people copy them: `k4v2-9qtx-m8w1`.
pub fn draw() -> Result<Vec<Secret>, NoRandomness> {
    (0..COUNT).map(|_| code()).collect()
}

fn code() -> Result<Secret, NoRandomness> {
    let drawn = random::secret()?;
    let letters: Vec<char> = drawn.expose().chars().take(LENGTH).collect();
    let groups: Vec<String> = letters.chunks(GROUP).map(|group| group.iter().collect()).collect();
    Ok(Secret::new(groups.join("-")))
}

/// What is kept of a code.
pub fn digest(factor: &Secret, code: &Secret) -> Secret {
    let letters = code.expose().chars().filter(|one| !one.is_whitespace() && *one != '-');
    let letters: String = letters.flat_map(char::to_lowercase).collect();
    let key = hmac::Key::new(hmac::HMAC_SHA256, factor.expose().as_bytes());
    let text = Secret::new(format!("recovery code\n{letters}"));
    Secret::new(STANDARD_NO_PAD.encode(hmac::sign(&key, text.expose().as_bytes())))
}

/// Those that are left once `code` is used; `None`: it is none of them.
pub fn spend(factor: &Secret, kept: &[Secret], code: &Secret) -> Option<Vec<Secret>> {
    let digest = digest(factor, code);
    let is_it = |one: &&Secret| bool::from(one.expose().as_bytes().ct_eq(digest.expose().as_bytes()));
    // All are compared, whichever it is.
    let (used, left): (Vec<&Secret>, Vec<&Secret>) = kept.iter().partition(is_it);
    (!used.is_empty()).then(|| left.into_iter().cloned().collect())
}

/// How many are handed out.
pub const COUNT: usize = 10;
const LENGTH: usize = 12;
const GROUP: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn factor() -> Secret {
        Secret::new("GEZDGNBVGY3TQOJQ")
    }

    #[test]
    fn ten_different_codes_are_drawn() {
        let drawn = draw().unwrap();

        let mut texts: Vec<&str> = drawn.iter().map(Secret::expose).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), 10);
        assert!(
            texts
                .iter()
                .all(|text| text.len() == 14 && text.matches('-').count() == 2),
            "{texts:?}"
        );
    }

    #[test]
    fn a_code_is_kept_as_its_mac_under_the_factors_secret() {
        // printf 'recovery code\nk4v29qtxm8w1' | openssl dgst -sha256 -hmac GEZDGNBVGY3TQOJQ -binary | base64, unpadded.
        let by_openssl = "88n3h3ngLel7TtEhLHTtNGD4eoIBz2efH9dCmmMi0vs";

        assert_eq!(digest(&factor(), &Secret::new("k4v2-9qtx-m8w1")).expose(), by_openssl);
    }

    #[test]
    fn a_code_is_spent_however_it_is_typed_and_only_once() {
        let codes = ["k4v2-9qtx-m8w1", "p7n5-h2yb-d6j0"].map(Secret::new);
        let kept: Vec<Secret> = codes.iter().map(|code| digest(&factor(), code)).collect();

        let left = spend(&factor(), &kept, &Secret::new(" K4V2 9qtxM8W1"));

        assert_eq!(left.as_deref(), kept.get(1..));
        assert_eq!(
            spend(&factor(), &left.unwrap_or_default(), &Secret::new("k4v2-9qtx-m8w1")),
            None
        );
        for wrong in ["", "k4v2-9qtx-m8w", "k4v2-9qtx-m8w2"] {
            assert_eq!(spend(&factor(), &kept, &Secret::new(wrong)), None, "{wrong}");
        }
        assert_eq!(
            spend(&Secret::new("another"), &kept, &Secret::new("k4v2-9qtx-m8w1")),
            None
        );
    }
}
