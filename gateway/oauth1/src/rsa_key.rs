//! RSA public keys as consumers register them: SPKI, PKCS#1 or an X.509 certificate, in PEM (RFC 5849 section 3.4.3, C60).
//! Whatever isn't strictly that is no key: the encoding is DER, not BER.

use std::fmt;

use aws_lc_rs::signature::{
    ParsedPublicKey, RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY as SHA1,
    RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY as SHA256,
};
use base64::{Engine, engine::general_purpose::STANDARD};

/// A consumer's registered RSA public key, parsed once.
#[derive(Clone)]
pub struct RsaPublicKey {
    /// `RSAPublicKey` of PKCS#1, in DER.
    der: Box<[u8]>,
    bits: usize,
    sha1: ParsedPublicKey,
    sha256: ParsedPublicKey,
}

/// The hash of an RSA method.
#[derive(Clone, Copy)]
pub(crate) enum RsaHash {
    Sha1,
    Sha256,
}

impl RsaPublicKey {
    /// From PEM: SPKI, PKCS#1 or an X.509 certificate (whose dates and issuer don't matter here); 2048 to 8192 bits.
    /// `None`: not such a key.
    pub fn from_pem(pem: &str) -> Option<Self> {
        Self::of_any_size(pem).filter(|key| (MIN_BITS..=MAX_BITS).contains(&key.bits))
    }

    /// The same for published test vectors, whose keys have 1024 bits. Never register such a key.
    pub fn from_pem_of_test_vector(pem: &str) -> Option<Self> {
        Self::of_any_size(pem).filter(|key| (MIN_TEST_BITS..=MAX_BITS).contains(&key.bits))
    }

    /// Size of the modulus in bits.
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// Modulus and public exponent, without leading zeros.
    pub(crate) fn numbers(&self) -> Option<(&[u8], &[u8])> {
        let (modulus, rest) = element(INTEGER, whole(SEQUENCE, &self.der)?)?;
        Some((magnitude(modulus)?, magnitude(whole(INTEGER, rest)?)?))
    }

    /// Whether `signature` is that of `message`: RSASSA-PKCS1-v1_5, of exactly the modulus' length, with the one padding
    /// and `DigestInfo` there are.
    pub(crate) fn verify(&self, hash: RsaHash, message: &[u8], signature: &[u8]) -> bool {
        let key = match hash {
            RsaHash::Sha1 => &self.sha1,
            RsaHash::Sha256 => &self.sha256,
        };
        key.verify_sig(message, signature).is_ok()
    }

    fn of_any_size(pem: &str) -> Option<Self> {
        let (label, der) = decode_pem(pem)?;
        let key = match label {
            "RSA PUBLIC KEY" => der.as_slice(),
            "PUBLIC KEY" => key_of_spki(whole(SEQUENCE, &der)?)?,
            "CERTIFICATE" => key_of_certificate(&der)?,
            _ => return None,
        };
        Some(Self {
            der: key.into(),
            bits: modulus_bits(key)?,
            sha1: ParsedPublicKey::new(&SHA1, key).ok()?,
            sha256: ParsedPublicKey::new(&SHA256, key).ok()?,
        })
    }
}

impl PartialEq for RsaPublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for RsaPublicKey {}

impl fmt::Debug for RsaPublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RsaPublicKey({} bits)", self.bits)
    }
}

/// Label and contents of the first block.
fn decode_pem(pem: &str) -> Option<(&str, Vec<u8>)> {
    let (_, rest) = pem.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, end) = rest.split_once("-----END ")?;
    let text: String = body.split_ascii_whitespace().collect();
    let is_closed = end.strip_prefix(label)?.starts_with("-----");
    is_closed
        .then(|| STANDARD.decode(text).ok())
        .flatten()
        .map(|der| (label, der))
}

/// `Certificate` → `TBSCertificate` → `SubjectPublicKeyInfo` (RFC 5280 section 4.1).
fn key_of_certificate(der: &[u8]) -> Option<&[u8]> {
    let (mut tbs, _) = element(SEQUENCE, whole(SEQUENCE, der)?)?;
    if let Some((_, rest)) = element(EXPLICIT_VERSION, tbs) {
        tbs = rest;
    }
    for tag in [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE] {
        (_, tbs) = element(tag, tbs)?;
    }
    let (spki, _) = element(SEQUENCE, tbs)?;
    key_of_spki(spki)
}

/// `SubjectPublicKeyInfo` with `rsaEncryption` and its `NULL` → `RSAPublicKey` (RFC 3279 section 2.3.1).
fn key_of_spki(spki: &[u8]) -> Option<&[u8]> {
    let (algorithm, rest) = element(SEQUENCE, spki)?;
    let (identifier, parameters) = element(OBJECT_IDENTIFIER, algorithm)?;
    let (unused_bits, key) = whole(BIT_STRING, rest)?.split_first()?;
    (identifier == RSA_ENCRYPTION && parameters == NULL && *unused_bits == 0).then_some(key)
}

/// Bits of the modulus in an `RSAPublicKey` that is nothing but two positive integers.
fn modulus_bits(der: &[u8]) -> Option<usize> {
    let (modulus, rest) = element(INTEGER, whole(SEQUENCE, der)?)?;
    let modulus = magnitude(modulus)?;
    magnitude(whole(INTEGER, rest)?)?;
    let unused = usize::try_from(modulus.first()?.leading_zeros()).ok()?;
    Some(modulus.len() * 8 - unused)
}

/// A positive DER integer without the zero that keeps it from being negative.
fn magnitude(integer: &[u8]) -> Option<&[u8]> {
    match integer {
        [0, 0x80..=0xff, ..] => integer.get(1..),
        [1..=0x7f, ..] => Some(integer),
        _ => None,
    }
}

/// Contents of the one element that `der` is, which must have that tag.
fn whole(tag: u8, der: &[u8]) -> Option<&[u8]> {
    match element(tag, der)? {
        (contents, []) => Some(contents),
        _ => None,
    }
}

/// Contents of the element that `der` begins with, which must have that tag, and what follows it. Its length takes as few
/// octets as it can.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let [found, length, rest @ ..] = der else { return None };
    let (length, rest) = match (*length, rest) {
        (short @ ..=0x7f, rest) => (usize::from(short), rest),
        (0x81, [length, rest @ ..]) if *length >= 0x80 => (usize::from(*length), rest),
        (0x82, [high, low, rest @ ..]) if *high > 0 => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => return None,
    };
    (*found == tag).then(|| rest.split_at_checked(length)).flatten()
}

/// For new registrations (C60).
const MIN_BITS: usize = 2048;
const MIN_TEST_BITS: usize = 1024;
/// Beyond, a verification takes milliseconds.
const MAX_BITS: usize = 8192;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const EXPLICIT_VERSION: u8 = 0xa0;

const NULL: &[u8] = &[0x05, 0x00];

/// 1.2.840.113549.1.1.1
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
