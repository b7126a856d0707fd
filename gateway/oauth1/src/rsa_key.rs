//! RSA public keys as consumers register them: SPKI, PKCS#1 or an X.509 certificate, in PEM (RFC 5849 section 3.4.3, C60).

use base64::{Engine, engine::general_purpose::STANDARD};

/// A consumer's registered RSA public key.
#[derive(Clone, PartialEq, Eq)]
pub struct RsaPublicKey {
    /// `RSAPublicKey` of PKCS#1, in DER.
    der: Box<[u8]>,
    bits: usize,
}

impl RsaPublicKey {
    /// From PEM: SPKI, PKCS#1 or an X.509 certificate (whose dates and issuer don't matter here); at least 2048 bits.
    /// `None`: not such a key.
    pub fn from_pem(pem: &str) -> Option<Self> {
        Self::of_any_size(pem).filter(|key| key.bits >= MIN_BITS)
    }

    /// The same for published test vectors, whose keys have 1024 bits. Never register such a key.
    pub fn from_pem_of_test_vector(pem: &str) -> Option<Self> {
        Self::of_any_size(pem).filter(|key| key.bits >= MIN_TEST_BITS)
    }

    /// Size of the modulus in bits.
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// `RSAPublicKey` of PKCS#1, in DER.
    pub(crate) fn der(&self) -> &[u8] {
        &self.der
    }

    fn of_any_size(pem: &str) -> Option<Self> {
        let (label, der) = decode_pem(pem)?;
        let key = match label {
            "RSA PUBLIC KEY" => der.as_slice(),
            "PUBLIC KEY" => key_of_spki(&der)?,
            "CERTIFICATE" => key_of_certificate(&der)?,
            _ => return None,
        };
        Some(Self {
            der: key.into(),
            bits: modulus_bits(key)?,
        })
    }
}

impl std::fmt::Debug for RsaPublicKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
    let (certificate, _) = element(SEQUENCE, der)?;
    let (mut tbs, _) = element(SEQUENCE, certificate)?;
    if let Some((_, rest)) = element(EXPLICIT_VERSION, tbs) {
        tbs = rest;
    }
    for tag in [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE] {
        (_, tbs) = element(tag, tbs)?;
    }
    key_of_spki(tbs)
}

/// `SubjectPublicKeyInfo` with `rsaEncryption` → `RSAPublicKey`.
fn key_of_spki(der: &[u8]) -> Option<&[u8]> {
    let (spki, _) = element(SEQUENCE, der)?;
    let (algorithm, rest) = element(SEQUENCE, spki)?;
    let (identifier, _) = element(OBJECT_IDENTIFIER, algorithm)?;
    let (bits, _) = element(BIT_STRING, rest)?;
    let (unused, key) = bits.split_first()?;
    (identifier == RSA_ENCRYPTION && *unused == 0).then_some(key)
}

/// Bits of the modulus in an `RSAPublicKey` that is nothing but two integers.
fn modulus_bits(der: &[u8]) -> Option<usize> {
    let (key, after) = element(SEQUENCE, der)?;
    let (modulus, rest) = element(INTEGER, key)?;
    let (_, end) = element(INTEGER, rest)?;
    let zeros = modulus.iter().take_while(|octet| **octet == 0).count();
    let first = modulus.get(zeros)?;
    let bits = (modulus.len() - zeros) * 8 - usize::try_from(first.leading_zeros()).ok()?;
    (after.is_empty() && end.is_empty()).then_some(bits)
}

/// Contents of the DER element that `der` begins with, which must have that tag, and what follows it.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let [found, length, rest @ ..] = der else { return None };
    let (length, rest) = match usize::from(*length) {
        short @ 0..=0x7f => (short, rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => (usize::from(u16::from_be_bytes(*rest.first_chunk()?)), rest.get(2..)?),
        _ => return None,
    };
    (*found == tag).then(|| rest.split_at_checked(length)).flatten()
}

/// For new registrations (C60).
const MIN_BITS: usize = 2048;
const MIN_TEST_BITS: usize = 1024;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const EXPLICIT_VERSION: u8 = 0xa0;

/// 1.2.840.113549.1.1.1
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
