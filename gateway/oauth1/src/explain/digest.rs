//! Hashes by the length of their digest, and the MACs that the search computes.

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;

/// A hash that clients use, for what they declare or by mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    pub(super) const ALL: [Self; 6] = [
        Self::Md5,
        Self::Sha1,
        Self::Sha224,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
    ];

    /// The hash whose digest has that many octets.
    pub(super) fn of_length(octets: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|hash| hash.length() == octets)
    }

    fn length(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// As signature methods name it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA1",
            Self::Sha224 => "SHA224",
            Self::Sha256 => "SHA256",
            Self::Sha384 => "SHA384",
            Self::Sha512 => "SHA512",
        }
    }

    /// Whether `digest` is the plain hash of `text`.
    pub(super) fn is_of(self, digest: &[u8], text: &[u8]) -> bool {
        fn same<D: Digest>(digest: &[u8], text: &[u8]) -> bool {
            D::digest(text).as_slice().ct_eq(digest).into()
        }
        match self {
            Self::Md5 => same::<Md5>(digest, text),
            Self::Sha1 => same::<Sha1>(digest, text),
            Self::Sha224 => same::<Sha224>(digest, text),
            Self::Sha256 => same::<Sha256>(digest, text),
            Self::Sha384 => same::<Sha384>(digest, text),
            Self::Sha512 => same::<Sha512>(digest, text),
        }
    }
}

/// A key whose two inner states are computed once.
pub(super) enum Keyed {
    Md5(Box<Hmac<Md5>>),
    Sha1(Box<Hmac<Sha1>>),
    Sha224(Box<Hmac<Sha224>>),
    Sha256(Box<Hmac<Sha256>>),
    Sha384(Box<Hmac<Sha384>>),
    Sha512(Box<Hmac<Sha512>>),
}

impl Keyed {
    pub(super) fn new(hash: Hash, key: &[u8]) -> Self {
        fn keyed<M: KeyInit>(key: &[u8]) -> M {
            M::new_from_slice(key).expect("HMAC takes keys of any length")
        }
        match hash {
            Hash::Md5 => Self::Md5(Box::new(keyed(key))),
            Hash::Sha1 => Self::Sha1(Box::new(keyed(key))),
            Hash::Sha224 => Self::Sha224(Box::new(keyed(key))),
            Hash::Sha256 => Self::Sha256(Box::new(keyed(key))),
            Hash::Sha384 => Self::Sha384(Box::new(keyed(key))),
            Hash::Sha512 => Self::Sha512(Box::new(keyed(key))),
        }
    }

    /// Whether `digest` is the MAC of `text`.
    pub(super) fn is_mac(&self, digest: &[u8], text: &[u8]) -> bool {
        fn same<M: Mac + Clone>(keyed: &M, digest: &[u8], text: &[u8]) -> bool {
            keyed.clone().chain_update(text).verify_slice(digest).is_ok()
        }
        match self {
            Self::Md5(keyed) => same(keyed.as_ref(), digest, text),
            Self::Sha1(keyed) => same(keyed.as_ref(), digest, text),
            Self::Sha224(keyed) => same(keyed.as_ref(), digest, text),
            Self::Sha256(keyed) => same(keyed.as_ref(), digest, text),
            Self::Sha384(keyed) => same(keyed.as_ref(), digest, text),
            Self::Sha512(keyed) => same(keyed.as_ref(), digest, text),
        }
    }
}
