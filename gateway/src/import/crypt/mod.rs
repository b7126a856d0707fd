//! Secrets as the storefront keeps them: `<key no>:<cipher no>:<base64>` (magento.md 1.8).
//!
//! Cipher 3 is ChaCha20-Poly1305 (RFC 8439): 12 octets of nonce, then cipher text and tag; the nonce is the additional data,
//! too. The older ones are Blowfish (0) and Rijndael with blocks of 128 (1) and 256 bits (2), without authentication; none
//! of them is read.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use token_store::Secret;
use zeroize::Zeroizing;

use super::php::{self, PhpError, Value};

/// The store's crypt keys, oldest first: a key's number is its place.
pub struct Keys(Vec<Zeroizing<Vec<u8>>>);

/// Why there are no keys in what was given.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not a file of PHP's literals.
    #[error("{0}")]
    Php(#[from] PhpError),
    /// It has no `crypt/key`.
    #[error("holds no 'crypt' => ['key' => …]: is it app/etc/env.php?")]
    Absent,
    /// PHP computes it.
    #[error("computes crypt/key instead of holding it: give the key itself, in a file or a variable of its own")]
    Computed,
    /// Nothing.
    #[error("holds no key")]
    Empty,
    /// `base64…` that isn't.
    #[error("key {0} begins with \"base64\" but goes on in something else")]
    NotBase64(usize),
}

/// Why a secret can't be opened. Says nothing of the secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Under a key that was not given.
    #[error("encrypted by crypt key number {0}, which --crypt-key doesn't hold")]
    NoKey(usize),
    /// By a cipher that is not read.
    #[error("encrypted by the old cipher {0}; encrypt it anew in the storefront, or reauthorize the integration")]
    OldCipher(u32),
    /// The key's length.
    #[error("crypt key number {0} doesn't have the 32 octets that the cipher needs")]
    KeyLength(usize),
    /// Another key, or an altered secret.
    #[error("crypt key number {0} doesn't open it")]
    WrongKey(usize),
    /// Neither plain nor encrypted.
    #[error("neither 32 characters nor <key>:<cipher>:<base64>")]
    Unreadable,
    /// Opened, but no secret.
    #[error("what was encrypted has {0} characters; a secret has 32")]
    Length(usize),
}

impl Keys {
    /// From `env.php`, or from the bare keys, separated by white space as in `crypt/key` itself.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let of_file;
        let text = if text.contains("<?php") {
            of_file = php::parse(text)?;
            match of_file.get("crypt").and_then(|crypt| crypt.get("key")) {
                Some(Value::Text(keys)) => keys,
                Some(Value::Computed) => return Err(KeyError::Computed),
                Some(Value::Number(_) | Value::Boolean(_) | Value::List(_)) | None => return Err(KeyError::Absent),
            }
        } else {
            text
        };
        let keys = text
            .split_whitespace()
            .enumerate()
            .map(|(number, key)| match key.strip_prefix("base64") {
                None => Ok(Zeroizing::new(key.as_bytes().to_vec())),
                Some(encoded) => STANDARD
                    .decode(encoded)
                    .map(Zeroizing::new)
                    .map_err(|_| KeyError::NotBase64(number)),
            });
        let keys: Vec<_> = keys.collect::<Result<_, _>>()?;
        if keys.is_empty() {
            Err(KeyError::Empty)
        } else {
            Ok(Self(keys))
        }
    }

    /// None: only plain secrets can be read.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// Adds further keys: they are numbered on.
    pub fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A secret as a column holds it: plain if it has 32 characters, else encrypted.
    pub fn open(&self, stored: &str) -> Result<Secret, SecretError> {
        if !is_encrypted(stored) {
            return if stored.chars().count() == LENGTH {
                Ok(Secret::new(stored))
            } else {
                Err(SecretError::Unreadable)
            };
        }
        let mut parts = stored.split(':');
        let (Some(key), Some(cipher), Some(encoded), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            // Four parts: the old cipher with its initial vector.
            return Err(SecretError::OldCipher(2));
        };
        let number: usize = key.parse().map_err(|_| SecretError::Unreadable)?;
        match cipher.parse() {
            Ok(CHACHA20) => {}
            Ok(old) => return Err(SecretError::OldCipher(old)),
            Err(_) => return Err(SecretError::Unreadable),
        }
        let key = self.0.get(number).ok_or(SecretError::NoKey(number))?;
        let sealed = STANDARD.decode(encoded).map_err(|_| SecretError::Unreadable)?;
        let plain = chacha20(key, number, &sealed)?;
        let plain = std::str::from_utf8(&plain).map_err(|_| SecretError::Unreadable)?.trim();
        match plain.chars().count() {
            LENGTH => Ok(Secret::new(plain)),
            other => Err(SecretError::Length(other)),
        }
    }
}

/// Whether a column holds more than the secret itself.
pub fn is_encrypted(stored: &str) -> bool {
    stored.contains(':')
}

fn chacha20(key: &[u8], number: usize, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let key = UnboundKey::new(&CHACHA20_POLY1305, key).map_err(|_| SecretError::KeyLength(number))?;
    let (nonce, rest) = sealed.split_first_chunk::<12>().ok_or(SecretError::Unreadable)?;
    let mut octets = Zeroizing::new(rest.to_vec());
    let opened = LessSafeKey::new(key)
        .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(nonce), &mut octets)
        .map_err(|_| SecretError::WrongKey(number))?
        .len();
    octets.truncate(opened);
    Ok(octets)
}

const LENGTH: usize = 32;
const CHACHA20: u32 = 3;

#[cfg(test)]
mod tests;
