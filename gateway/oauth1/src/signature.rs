//! Signature methods and prepared keys (RFC 5849 sections 3.4.2 to 3.4.4).

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::percent;
use crate::rsa_key::RsaHash;
pub use crate::rsa_key::RsaPublicKey;

/// A signature method, by its exact name on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignatureMethod {
    /// `HMAC-SHA1`
    HmacSha1,
    /// `HMAC-SHA256`
    HmacSha256,
    /// `HMAC-SHA512`
    HmacSha512,
    /// `RSA-SHA1`
    RsaSha1,
    /// `RSA-SHA256`
    RsaSha256,
    /// `PLAINTEXT`
    Plaintext,
}

impl SignatureMethod {
    /// Every method, in the order of their bits in [`MethodSet`].
    pub const ALL: [Self; 6] = [
        Self::HmacSha1,
        Self::HmacSha256,
        Self::HmacSha512,
        Self::RsaSha1,
        Self::RsaSha256,
        Self::Plaintext,
    ];

    /// The exact name (C62).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha1 => "HMAC-SHA1",
            Self::HmacSha256 => "HMAC-SHA256",
            Self::HmacSha512 => "HMAC-SHA512",
            Self::RsaSha1 => "RSA-SHA1",
            Self::RsaSha256 => "RSA-SHA256",
            Self::Plaintext => "PLAINTEXT",
        }
    }

    /// The method of that exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::of(name.as_bytes())
    }

    pub(crate) fn of(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str().as_bytes() == name)
    }

    /// Whether it is RSA, whose key is the consumer's public one.
    pub fn is_rsa(self) -> bool {
        matches!(self, Self::RsaSha1 | Self::RsaSha256)
    }
}

/// A set of accepted methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct MethodSet(u8);

impl MethodSet {
    /// Nothing accepted.
    pub const EMPTY: Self = Self(0);

    /// Every method that there is.
    pub const ALL: Self = Self::EMPTY
        .with(SignatureMethod::HmacSha1)
        .with(SignatureMethod::HmacSha256)
        .with(SignatureMethod::HmacSha512)
        .with(SignatureMethod::RsaSha1)
        .with(SignatureMethod::RsaSha256)
        .with(SignatureMethod::Plaintext);

    /// The set with `method` in it.
    #[must_use]
    pub const fn with(self, method: SignatureMethod) -> Self {
        Self(self.0 | (1 << method as u8))
    }

    /// The set without those that need an RSA key.
    #[must_use]
    pub const fn without_rsa(self) -> Self {
        let rsa = Self::EMPTY
            .with(SignatureMethod::RsaSha1)
            .with(SignatureMethod::RsaSha256);
        Self(self.0 & !rsa.0)
    }

    /// Whether `method` is in it.
    pub fn contains(self, method: SignatureMethod) -> bool {
        self.0 & (1 << method as u8) != 0
    }
}

impl FromIterator<SignatureMethod> for MethodSet {
    fn from_iter<T: IntoIterator<Item = SignatureMethod>>(methods: T) -> Self {
        methods.into_iter().fold(Self::EMPTY, Self::with)
    }
}

/// What a request of one consumer and token is verified with: HMAC states prepared once, for the accepted methods.
#[derive(Clone)]
pub struct Keys {
    sha1: Option<Hmac<Sha1>>,
    sha256: Option<Hmac<Sha256>>,
    sha512: Option<Box<Hmac<Sha512>>>,
    /// SHA-256 of the key in clear: equal lengths to compare, and no secret kept.
    plaintext: Option<[u8; 32]>,
    rsa: Option<Box<(MethodSet, RsaPublicKey)>>,
    is_dummy: bool,
}

impl Keys {
    /// Prepares keys of `methods` from the raw secrets (`token_secret` empty where there is no token). RSA methods never
    /// verify with them (C63).
    pub fn new(methods: MethodSet, consumer_secret: &str, token_secret: &str) -> Self {
        let key = key(consumer_secret, token_secret);
        Self {
            sha1: methods.contains(SignatureMethod::HmacSha1).then(|| keyed(&key)),
            sha256: methods.contains(SignatureMethod::HmacSha256).then(|| keyed(&key)),
            sha512: methods
                .contains(SignatureMethod::HmacSha512)
                .then(|| Box::new(keyed(&key))),
            plaintext: methods
                .contains(SignatureMethod::Plaintext)
                .then(|| Sha256::digest(key.as_slice()).into()),
            rsa: None,
            is_dummy: false,
        }
    }

    /// With an RSA key: only RSA methods verify (C63, P18).
    pub fn rsa(methods: MethodSet, key: &RsaPublicKey) -> Self {
        Self {
            rsa: Some(Box::new((methods, key.clone()))),
            ..Self::new(MethodSet::EMPTY, "", "")
        }
    }

    /// Keys that take the same work and verify nothing: for unknown consumers and tokens (P5). Make them once.
    pub fn dummy(methods: MethodSet) -> Self {
        let rsa = RsaPublicKey::from_pem(DUMMY_RSA_KEY).map(|key| Box::new((methods, key)));
        Self {
            rsa,
            is_dummy: true,
            ..Self::new(methods, "", "")
        }
    }

    /// Whether `signature` (as sent, decoded from its parameter) is that of `base`. The same work for a signature of any
    /// length and form (C59, P2).
    pub fn verify(&self, method: SignatureMethod, base: &[u8], signature: &[u8]) -> bool {
        let is_right = match method {
            SignatureMethod::HmacSha1 => self
                .sha1
                .as_ref()
                .is_some_and(|keyed| verify_mac(keyed, base, signature)),
            SignatureMethod::HmacSha256 => self
                .sha256
                .as_ref()
                .is_some_and(|keyed| verify_mac(keyed, base, signature)),
            SignatureMethod::HmacSha512 => self
                .sha512
                .as_ref()
                .is_some_and(|keyed| verify_mac(keyed.as_ref(), base, signature)),
            SignatureMethod::RsaSha1 => self.verify_rsa(method, RsaHash::Sha1, base, signature),
            SignatureMethod::RsaSha256 => self.verify_rsa(method, RsaHash::Sha256, base, signature),
            SignatureMethod::Plaintext => self
                .plaintext
                .as_ref()
                .is_some_and(|expected| bool::from(expected.ct_eq(Sha256::digest(signature).as_slice()))),
        };
        is_right && !self.is_dummy
    }

    fn verify_rsa(&self, method: SignatureMethod, hash: RsaHash, base: &[u8], signature: &[u8]) -> bool {
        let Some((methods, key)) = self.rsa.as_deref() else {
            return false;
        };
        let decoded = STANDARD.decode(signature).unwrap_or_default();
        methods.contains(method) && key.verify(hash, base, &decoded)
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Keys(..)")
    }
}

/// The signature of `base` as it goes into the parameter, unencoded; `None` for RSA methods.
pub(crate) fn sign(method: SignatureMethod, secrets: (&str, &str), base: &[u8]) -> Option<Zeroizing<String>> {
    let key = key(secrets.0, secrets.1);
    let signature = match method {
        SignatureMethod::HmacSha1 => STANDARD.encode(mac(&keyed::<Hmac<Sha1>>(&key), base)),
        SignatureMethod::HmacSha256 => STANDARD.encode(mac(&keyed::<Hmac<Sha256>>(&key), base)),
        SignatureMethod::HmacSha512 => STANDARD.encode(mac(&keyed::<Hmac<Sha512>>(&key), base)),
        SignatureMethod::Plaintext => String::from_utf8(key.to_vec()).ok()?,
        SignatureMethod::RsaSha1 | SignatureMethod::RsaSha256 => return None,
    };
    Some(Zeroizing::new(signature))
}

/// Both secrets encoded, joined by an `&` that is always there (C58).
fn key(consumer_secret: &str, token_secret: &str) -> Zeroizing<Vec<u8>> {
    let mut key = Zeroizing::new(Vec::with_capacity((consumer_secret.len() + token_secret.len()) * 3 + 1));
    percent::encode_into(consumer_secret.as_bytes(), &mut key);
    key.push(b'&');
    percent::encode_into(token_secret.as_bytes(), &mut key);
    key
}

fn keyed<M: KeyInit>(key: &[u8]) -> M {
    M::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn mac<M: Mac + Clone>(keyed: &M, base: &[u8]) -> impl AsRef<[u8]> + use<M> {
    keyed.clone().chain_update(base).finalize().into_bytes()
}

/// A signature that isn't canonical base64 of the right length is compared all the same, and fails.
fn verify_mac<M: Mac + Clone>(keyed: &M, base: &[u8], signature: &[u8]) -> bool {
    let mac = mac(keyed, base);
    let mut decoded = [0; MAX_DECODED_MAC];
    let length = STANDARD.decode_slice(signature, &mut decoded);
    let is_right_length = length == Ok(mac.as_ref().len());
    let compared = decoded.get(..mac.as_ref().len()).unwrap_or_default();
    bool::from(mac.as_ref().ct_eq(compared)) & is_right_length
}

/// Octets of the longest signature that is decoded for an HMAC; a longer one is wrong.
const MAX_DECODED_MAC: usize = 96;

/// A 2048-bit key whose private half was never kept.
const DUMMY_RSA_KEY: &str = "-----BEGIN RSA PUBLIC KEY-----\n\
MIIBCgKCAQEA2dxFzwJ6CEXtBIeUpT3MDoYmXwfqAl8sBwLLBpRUQfJuyddg3rsk\n\
nb11np1psnRnQXvJKVUu/LCpNxAvVyPj7Ah9YpJaNzFANQr0T3uBYV8BR5MI362H\n\
GhBCPczeO+dMSk/5fdeEVijytEkx5668mHYkdmDOTojZzyNJHllj6nvFMLCvVIAd\n\
1ZgzlBhPmX57bskJfdSQuAXpQN3DZswGrlLwd3zhkReyaKddokAU0ft4rmHjDd3F\n\
s8W7iXPGyhx/NRWkbtyLmcQmfm7ruS7I6PCeSswKl3vetWYjUOLviGCkI9lpsL3Q\n\
3EGy2Fb33v8Bwyin1LgnzPS79LjH6w5YXQIDAQAB\n\
-----END RSA PUBLIC KEY-----";
