//! Signature methods and prepared keys (RFC 5849 sections 3.4.2 to 3.4.4).

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
        Self::ALL.into_iter().find(|method| method.as_str() == name)
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

    /// The set with `method` in it.
    #[must_use]
    pub fn with(self, method: SignatureMethod) -> Self {
        Self(self.0 | (1 << method as u8))
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

/// A consumer's registered RSA public key.
#[derive(Clone, Debug)]
pub struct RsaPublicKey(());

impl RsaPublicKey {
    /// From PEM: SPKI, PKCS#1 or an X.509 certificate; at least 2048 bits unless `allow_1024`. `None`: not such a key.
    pub fn from_pem(_pem: &str) -> Option<Self> {
        todo!()
    }
}

/// What a request of one consumer and token is verified with: HMAC states prepared once, for the accepted methods.
#[derive(Clone)]
pub struct Keys(());

impl Keys {
    /// Prepares keys of `methods` from the raw secrets (`token_secret` empty where there is no token).
    pub fn new(_methods: MethodSet, _consumer_secret: &str, _token_secret: &str) -> Self {
        todo!()
    }

    /// With an RSA key: only RSA methods verify (C63).
    pub fn rsa(_methods: MethodSet, _key: &RsaPublicKey) -> Self {
        todo!()
    }

    /// Keys that take the same work and verify nothing: for unknown consumers and tokens (P5). Make them once.
    pub fn dummy(_methods: MethodSet) -> Self {
        todo!()
    }
}
