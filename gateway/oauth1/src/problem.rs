//! The one error type: what is wrong with the request, never whose secret was wrong.

/// An `oauth_*` parameter by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ParameterName {
    /// `oauth_consumer_key`
    ConsumerKey,
    /// `oauth_signature`
    Signature,
    /// `oauth_signature_method`
    SignatureMethod,
    /// `oauth_nonce`
    Nonce,
    /// `oauth_timestamp`
    Timestamp,
    /// `oauth_token`
    Token,
    /// `oauth_verifier`
    Verifier,
    /// `oauth_callback`
    Callback,
    /// `oauth_version`
    Version,
    /// `oauth_body_hash`
    BodyHash,
}

impl ParameterName {
    /// Every name, in the order of the enumeration.
    pub const ALL: [Self; Self::COUNT] = [
        Self::ConsumerKey,
        Self::Signature,
        Self::SignatureMethod,
        Self::Nonce,
        Self::Timestamp,
        Self::Token,
        Self::Verifier,
        Self::Callback,
        Self::Version,
        Self::BodyHash,
    ];

    pub(crate) const COUNT: usize = 10;

    /// The parameter of that exact name.
    pub(crate) fn of(name: &[u8]) -> Option<Self> {
        match name {
            b"oauth_consumer_key" => Some(Self::ConsumerKey),
            b"oauth_signature" => Some(Self::Signature),
            b"oauth_signature_method" => Some(Self::SignatureMethod),
            b"oauth_nonce" => Some(Self::Nonce),
            b"oauth_timestamp" => Some(Self::Timestamp),
            b"oauth_token" => Some(Self::Token),
            b"oauth_verifier" => Some(Self::Verifier),
            b"oauth_callback" => Some(Self::Callback),
            b"oauth_version" => Some(Self::Version),
            b"oauth_body_hash" => Some(Self::BodyHash),
            _ => None,
        }
    }

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConsumerKey => "oauth_consumer_key",
            Self::Signature => "oauth_signature",
            Self::SignatureMethod => "oauth_signature_method",
            Self::Nonce => "oauth_nonce",
            Self::Timestamp => "oauth_timestamp",
            Self::Token => "oauth_token",
            Self::Verifier => "oauth_verifier",
            Self::Callback => "oauth_callback",
            Self::Version => "oauth_version",
            Self::BodyHash => "oauth_body_hash",
        }
    }
}

/// What is wrong with a request (RFC 5849 section 3.2 and the problem reporting extension).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Broken syntax: a bad escape, a non-UTF-8 name, two `Authorization` schemes (C5, C8).
    Malformed,
    /// More parameters or octets than the limits allow (C16).
    TooLarge,
    /// `oauth_*` in two placements (C2).
    TwoPlacements,
    /// Placed where it may not be (C1).
    PlacementRefused(Placement),
    /// A GET or HEAD carries a form (C13).
    FormRefused,
    /// An `oauth_*` parameter twice (C9), or one that must never be sent (`oauth_consumer_secret`, P31).
    Rejected(String),
    /// Required parameters that are absent, in the order in which Magento lists them.
    Absent(Vec<ParameterName>),
    /// `oauth_version` is present and not `1.0` (C19): the value as sent.
    VersionRejected(String),
    /// `oauth_token` or `oauth_consumer_key` isn't of the required length.
    LengthInvalid(ParameterName),
    /// A signature method that is unknown or not accepted here: the value as sent.
    SignatureMethodRejected(String),
    /// Not a positive integer of at most 12 digits, or outside of the window (C65, C67).
    TimestampRefused,
    /// Empty, or over 255 octets.
    NonceInvalid,
    /// The signature does not verify.
    SignatureInvalid,
    /// The signature may verify, but the body isn't the one that was hashed (X3).
    BodyHashInvalid,
}

pub use crate::request::Placement;
