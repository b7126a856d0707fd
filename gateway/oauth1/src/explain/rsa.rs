//! What an RSA signature was made of: one public operation gives back the hash and the digest (RFC 8017 section 8.2.2).

use num_bigint::BigUint;

use super::digest::Hash;
use crate::RsaPublicKey;

/// The hash and digest that `signature` holds; `None`: it isn't one under this key.
pub(super) fn recover(key: &RsaPublicKey, signature: &[u8]) -> Option<(Hash, Vec<u8>)> {
    let (modulus, exponent) = key.numbers()?;
    let length = modulus.len();
    let (modulus, exponent) = (BigUint::from_bytes_be(modulus), BigUint::from_bytes_be(exponent));
    let value = BigUint::from_bytes_be(signature);
    if signature.len() != length || value >= modulus || exponent.bits() > MAX_EXPONENT_BITS {
        return None;
    }
    let message = value.modpow(&exponent, &modulus).to_bytes_be();
    // The leading zero is lost in the number.
    let padded = message.strip_prefix(&[1])?;
    let end = padded.iter().position(|octet| *octet != 0xff)?;
    let info = padded.get(end..)?.strip_prefix(&[0])?;
    let is_whole = end >= MIN_PADDING && message.len() + 1 == length;
    INFOS
        .iter()
        .find_map(|(hash, prefix)| {
            let digest = info.strip_prefix(*prefix)?;
            (Hash::of_length(digest.len()) == Some(*hash)).then(|| (*hash, digest.to_vec()))
        })
        .filter(|_| is_whole)
}

/// RFC 8017 section 9.2, note 1.
const INFOS: [(Hash, &[u8]); 6] = [
    (
        Hash::Md5,
        b"\x30\x20\x30\x0c\x06\x08\x2a\x86\x48\x86\xf7\x0d\x02\x05\x05\x00\x04\x10",
    ),
    (
        Hash::Sha1,
        b"\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14",
    ),
    (
        Hash::Sha224,
        b"\x30\x2d\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x04\x05\x00\x04\x1c",
    ),
    (
        Hash::Sha256,
        b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20",
    ),
    (
        Hash::Sha384,
        b"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30",
    ),
    (
        Hash::Sha512,
        b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40",
    ),
];

const MIN_PADDING: usize = 8;
/// A registered key with a longer one would make the operation slow.
const MAX_EXPONENT_BITS: u64 = 64;
