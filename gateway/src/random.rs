//! The one place that draws random values: keys, secrets, tokens and verifiers from the operating system's generator.

use rand::TryRng;
use rand::rngs::SysRng;
use token_store::Secret;

/// The operating system gave no randomness; nothing secret can be made.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoRandomness;

/// Fills `bytes`.
pub fn fill(bytes: &mut [u8]) -> Result<(), NoRandomness> {
    SysRng.try_fill_bytes(bytes).map_err(|_| NoRandomness)
}

/// 32 characters of `a`–`z`, `0`–`9`, each drawn independently (magento.md 1.7): about 165 bits.
pub fn credential() -> Result<String, NoRandomness> {
    let mut text = String::with_capacity(CREDENTIAL_LENGTH);
    let mut bytes = [0_u8; 64];
    while text.len() < CREDENTIAL_LENGTH {
        fill(&mut bytes)?;
        // 252 = 7 × 36: bytes above it would favour the first letters.
        let drawn = bytes
            .iter()
            .filter(|byte| **byte < 252)
            .filter_map(|byte| ALPHABET.get(usize::from(byte % 36)));
        text.extend(drawn.take(CREDENTIAL_LENGTH - text.len()).map(|byte| char::from(*byte)));
    }
    Ok(text)
}

/// A credential that is a secret.
pub fn secret() -> Result<Secret, NoRandomness> {
    credential().map(Secret::new)
}

/// How long keys, secrets, tokens and verifiers are, in characters.
pub const CREDENTIAL_LENGTH: usize = 32;
const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_has_32_characters_of_its_alphabet() {
        let drawn = credential().unwrap();

        assert_eq!(drawn.len(), 32);
        assert!(drawn.bytes().all(|byte| ALPHABET.contains(&byte)));
        assert_ne!(drawn, credential().unwrap());
    }
}
