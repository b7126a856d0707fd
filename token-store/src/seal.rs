//! Encryption at rest: AES-256-GCM, a random nonce each, the row's name as additional data.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::Digest as _;
use zeroize::Zeroizing;

use crate::StoreError;

/// Seals with the first key, opens with any.
#[derive(Debug)]
pub struct Sealer {
    keys: Vec<Key>,
}

#[derive(Debug)]
struct Key {
    /// Tells which key a row was sealed with, after a rotation.
    id: [u8; ID],
    key: LessSafeKey,
}

/// No key was given.
#[derive(Debug, thiserror::Error)]
#[error("no encryption key")]
pub struct NoKey;

impl Sealer {
    /// From keys of 32 octets; the first encrypts.
    pub fn new(keys: &[[u8; 32]]) -> Result<Self, NoKey> {
        let keys: Vec<Key> = keys
            .iter()
            .filter_map(|octets| {
                let mut id = [0; ID];
                id.copy_from_slice(sha2::Sha256::digest(octets).get(..ID)?);
                Some(Key {
                    id,
                    key: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, octets).ok()?),
                })
            })
            .collect();
        if keys.is_empty() { Err(NoKey) } else { Ok(Self { keys }) }
    }

    /// The name of the row that stands in a store for as long as the first key has sealed something there.
    pub(crate) fn mark(&self) -> Option<String> {
        let key = self.keys.first()?;
        Some(format!("{MARK}{}", crate::codec::hex(&key.id)))
    }

    /// Whether the first key sealed these octets, which follow a row's version.
    pub(crate) fn is_by_first(&self, row: &[u8]) -> bool {
        let id = row.get(1..=ID);
        self.keys.first().is_some_and(|key| id == Some(key.id.as_slice()))
    }

    /// Appends key id, nonce and sealed octets to `out`.
    pub(crate) fn seal(&self, name: &str, mut plain: Vec<u8>, out: &mut Vec<u8>) -> Result<(), StoreError> {
        let corrupt = || StoreError::Corrupt(name.to_owned());
        let key = self.keys.first().ok_or_else(corrupt)?;
        let mut nonce = [0; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|error| StoreError::Unavailable(Box::new(error)))?;
        key.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(name.as_bytes()),
                &mut plain,
            )
            .map_err(|_| corrupt())?;
        out.extend_from_slice(&key.id);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&plain);
        Ok(())
    }

    /// The plain octets.
    pub(crate) fn open(&self, name: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let corrupt = || StoreError::Corrupt(name.to_owned());
        let (id, rest) = sealed.split_at_checked(ID).ok_or_else(corrupt)?;
        let (nonce, octets) = rest.split_at_checked(NONCE_LEN).ok_or_else(corrupt)?;
        let key = self.keys.iter().find(|key| key.id == id).ok_or_else(corrupt)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| corrupt())?;
        let mut plain = Zeroizing::new(octets.to_vec());
        let length = key
            .key
            .open_in_place(nonce, Aad::from(name.as_bytes()), plain.as_mut_slice())
            .map_err(|_| corrupt())?
            .len();
        plain.truncate(length);
        Ok(plain)
    }
}

const ID: usize = 8;
/// What such a row's name begins with.
pub(crate) const MARK: &str = "key:";
