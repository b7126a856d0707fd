//! Why a request is refused: the closed list of causes, and the one place that turns a cause into a response.
//!
//! A cause is the same word in log, metric label and `WWW-Authenticate`. Two dialects by path: Magento's (routes, token
//! endpoints, user tokens) and RFC 5849's (`/oauth/initiate`, `/oauth/token`).

mod render;

use std::error::Error as _;

use http::StatusCode;
use oauth1::{ParameterName, Problem};
use token_store::StoreError;

use crate::random::NoRandomness;

pub use render::{Answer, Dialect, render};
pub(crate) use render::{form_encode, prefers_xml, xml};

/// What is wrong, in one word (product.md 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// `request_malformed`
    RequestMalformed,
    /// `target_refused`
    TargetRefused,
    /// `parameter_absent`
    ParameterAbsent,
    /// `parameter_rejected`
    ParameterRejected,
    /// `version_rejected`
    VersionRejected,
    /// `signature_method_rejected`
    SignatureMethodRejected,
    /// `https_required`
    HttpsRequired,
    /// `timestamp_refused`
    TimestampRefused,
    /// `consumer_key_unknown`
    ConsumerKeyUnknown,
    /// `consumer_key_expired`
    ConsumerKeyExpired,
    /// `token_rejected`
    TokenRejected,
    /// `token_used`
    TokenUsed,
    /// `token_expired`
    TokenExpired,
    /// `token_revoked`
    TokenRevoked,
    /// `verifier_invalid`
    VerifierInvalid,
    /// `signature_invalid`
    SignatureInvalid,
    /// `body_hash_invalid`
    BodyHashInvalid,
    /// `nonce_used`
    NonceUsed,
    /// `integration_inactive`
    IntegrationInactive,
    /// `bearer_invalid`
    BearerInvalid,
    /// `resource_denied`
    ResourceDenied,
    /// `sign_in_failed`
    SignInFailed,
    /// `route_unknown`
    RouteUnknown,
    /// `method_refused`
    MethodRefused,
    /// `request_timeout`
    RequestTimeout,
    /// `body_too_large`
    BodyTooLarge,
    /// `target_too_long`
    TargetTooLong,
    /// `form_encoded`
    FormEncoded,
    /// `rate_limited`
    RateLimited,
    /// `head_too_large`
    HeadTooLarge,
    /// `store_unavailable`
    StoreUnavailable,
    /// `replay_unsure`
    ReplayUnsure,
    /// `overloaded`
    Overloaded,
    /// `upstream_connect`
    UpstreamConnect,
    /// `upstream_broken`
    UpstreamBroken,
    /// `upstream_unhealthy`
    UpstreamUnhealthy,
    /// `upstream_timeout`
    UpstreamTimeout,
    /// `internal`
    Internal,
}

impl Cause {
    /// Every cause, for metrics that resolve their labels once.
    pub const ALL: [Self; 38] = [
        Self::RequestMalformed,
        Self::TargetRefused,
        Self::ParameterAbsent,
        Self::ParameterRejected,
        Self::VersionRejected,
        Self::SignatureMethodRejected,
        Self::HttpsRequired,
        Self::TimestampRefused,
        Self::ConsumerKeyUnknown,
        Self::ConsumerKeyExpired,
        Self::TokenRejected,
        Self::TokenUsed,
        Self::TokenExpired,
        Self::TokenRevoked,
        Self::VerifierInvalid,
        Self::SignatureInvalid,
        Self::BodyHashInvalid,
        Self::NonceUsed,
        Self::IntegrationInactive,
        Self::BearerInvalid,
        Self::ResourceDenied,
        Self::SignInFailed,
        Self::RouteUnknown,
        Self::MethodRefused,
        Self::RequestTimeout,
        Self::BodyTooLarge,
        Self::TargetTooLong,
        Self::FormEncoded,
        Self::RateLimited,
        Self::HeadTooLarge,
        Self::StoreUnavailable,
        Self::ReplayUnsure,
        Self::Overloaded,
        Self::UpstreamConnect,
        Self::UpstreamBroken,
        Self::UpstreamUnhealthy,
        Self::UpstreamTimeout,
        Self::Internal,
    ];

    /// The word, as it stands in logs, metrics and `oauth_problem`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RequestMalformed => "request_malformed",
            Self::TargetRefused => "target_refused",
            Self::ParameterAbsent => "parameter_absent",
            Self::ParameterRejected => "parameter_rejected",
            Self::VersionRejected => "version_rejected",
            Self::SignatureMethodRejected => "signature_method_rejected",
            Self::HttpsRequired => "https_required",
            Self::TimestampRefused => "timestamp_refused",
            Self::ConsumerKeyUnknown => "consumer_key_unknown",
            Self::ConsumerKeyExpired => "consumer_key_expired",
            Self::TokenRejected => "token_rejected",
            Self::TokenUsed => "token_used",
            Self::TokenExpired => "token_expired",
            Self::TokenRevoked => "token_revoked",
            Self::VerifierInvalid => "verifier_invalid",
            Self::SignatureInvalid => "signature_invalid",
            Self::BodyHashInvalid => "body_hash_invalid",
            Self::NonceUsed => "nonce_used",
            Self::IntegrationInactive => "integration_inactive",
            Self::BearerInvalid => "bearer_invalid",
            Self::ResourceDenied => "resource_denied",
            Self::SignInFailed => "sign_in_failed",
            Self::RouteUnknown => "route_unknown",
            Self::MethodRefused => "method_refused",
            Self::RequestTimeout => "request_timeout",
            Self::BodyTooLarge => "body_too_large",
            Self::TargetTooLong => "target_too_long",
            Self::FormEncoded => "form_encoded",
            Self::RateLimited => "rate_limited",
            Self::HeadTooLarge => "head_too_large",
            Self::StoreUnavailable => "store_unavailable",
            Self::ReplayUnsure => "replay_unsure",
            Self::Overloaded => "overloaded",
            Self::UpstreamConnect => "upstream_connect",
            Self::UpstreamBroken => "upstream_broken",
            Self::UpstreamUnhealthy => "upstream_unhealthy",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::Internal => "internal",
        }
    }

    /// The status of the Magento dialect; the RFC dialect differs for [`Cause::TimestampRefused`] alone.
    pub fn status(self) -> StatusCode {
        match self {
            Self::RequestMalformed
            | Self::TargetRefused
            | Self::ParameterAbsent
            | Self::ParameterRejected
            | Self::VersionRejected
            | Self::SignatureMethodRejected
            | Self::HttpsRequired => StatusCode::BAD_REQUEST,
            Self::TimestampRefused
            | Self::ConsumerKeyUnknown
            | Self::ConsumerKeyExpired
            | Self::TokenRejected
            | Self::TokenUsed
            | Self::TokenExpired
            | Self::TokenRevoked
            | Self::VerifierInvalid
            | Self::SignatureInvalid
            | Self::BodyHashInvalid
            | Self::NonceUsed
            | Self::IntegrationInactive
            | Self::BearerInvalid
            | Self::ResourceDenied
            | Self::SignInFailed => StatusCode::UNAUTHORIZED,
            Self::RouteUnknown => StatusCode::NOT_FOUND,
            Self::MethodRefused => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::FormEncoded => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::StoreUnavailable | Self::ReplayUnsure | Self::Overloaded | Self::UpstreamUnhealthy => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::UpstreamConnect | Self::UpstreamBroken => StatusCode::BAD_GATEWAY,
            Self::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Whose fault it is.
    pub fn side(self) -> &'static str {
        match self {
            Self::StoreUnavailable | Self::ReplayUnsure => "store",
            Self::UpstreamConnect | Self::UpstreamBroken | Self::UpstreamUnhealthy | Self::UpstreamTimeout => {
                "upstream"
            }
            Self::Internal | Self::Overloaded => "gateway",
            Self::RequestMalformed
            | Self::TargetRefused
            | Self::ParameterAbsent
            | Self::ParameterRejected
            | Self::VersionRejected
            | Self::SignatureMethodRejected
            | Self::HttpsRequired
            | Self::TimestampRefused
            | Self::ConsumerKeyUnknown
            | Self::ConsumerKeyExpired
            | Self::TokenRejected
            | Self::TokenUsed
            | Self::TokenExpired
            | Self::TokenRevoked
            | Self::VerifierInvalid
            | Self::SignatureInvalid
            | Self::BodyHashInvalid
            | Self::NonceUsed
            | Self::IntegrationInactive
            | Self::BearerInvalid
            | Self::ResourceDenied
            | Self::SignInFailed
            | Self::RouteUnknown
            | Self::MethodRefused
            | Self::RequestTimeout
            | Self::BodyTooLarge
            | Self::TargetTooLong
            | Self::FormEncoded
            | Self::RateLimited
            | Self::HeadTooLarge => "client",
        }
    }

    /// What the body says where the check gave no sentence of its own.
    fn sentence(self) -> &'static str {
        match self {
            Self::RequestMalformed => "The request is malformed.",
            Self::TargetRefused => {
                "The request target is refused: dot segments, empty segments and escaped separators are not accepted."
            }
            Self::ParameterAbsent => "A required parameter is absent.",
            Self::ParameterRejected => "A parameter is not accepted.",
            Self::VersionRejected => "The Oauth version isn't supported.",
            Self::SignatureMethodRejected => "Signature method is not supported",
            Self::HttpsRequired => "Operation allowed only in HTTPS",
            Self::TimestampRefused => "An error occurred validating the nonce",
            Self::ConsumerKeyUnknown => "A consumer having the specified key does not exist",
            Self::ConsumerKeyExpired => "Consumer key has expired",
            Self::TokenRejected => "Specified token does not exist",
            Self::TokenUsed => "Token is already being used",
            Self::TokenExpired => "Token has expired",
            Self::TokenRevoked => "Access token has been revoked",
            Self::VerifierInvalid => "Token verifier and verifier token do not match",
            Self::SignatureInvalid => "The signature is invalid. Verify and try again.",
            Self::BodyHashInvalid => "The body hash is invalid. Verify and try again.",
            Self::NonceUsed => "The nonce is already being used",
            Self::IntegrationInactive | Self::BearerInvalid | Self::ResourceDenied => {
                "The consumer isn't authorized to access %resources."
            }
            Self::SignInFailed => {
                "The account sign-in was incorrect or your account is disabled temporarily. Please wait and try again later."
            }
            Self::RouteUnknown => "Request does not match any route.",
            Self::MethodRefused => "Request method is invalid.",
            Self::RequestTimeout => "The request did not arrive in time.",
            Self::BodyTooLarge => "The request body is too large.",
            Self::TargetTooLong => "The request target is too long.",
            Self::FormEncoded => "A form body with a Content-Encoding can't be signed.",
            Self::RateLimited => "Too Many Requests",
            Self::HeadTooLarge => "The request head is too large.",
            Self::StoreUnavailable => "The credential store is not available. Try again later.",
            Self::ReplayUnsure => "This request can't be told from a replay. Sign it anew and try again.",
            Self::Overloaded => "The gateway is overloaded. Try again later.",
            Self::UpstreamConnect => "The upstream server can't be reached.",
            Self::UpstreamBroken => "The upstream server broke the connection or its answer.",
            Self::UpstreamUnhealthy => "The upstream server is not healthy.",
            Self::UpstreamTimeout => "The upstream server did not answer in time.",
            Self::Internal => "Internal Error.",
        }
    }
}

/// A refusal: its cause, and what the answer has to say beyond it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    cause: Cause,
    status: StatusCode,
    message: Message,
    extra: Extra,
}

/// What the body says: Magento's sentence with its parameters (magento.md 5.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A sentence without parameters.
    Plain(&'static str),
    /// A sentence with `%1` and its value.
    Positional(&'static str, String),
    /// A sentence with one named placeholder: the sentence, the name, the value.
    Named(&'static str, &'static str, String),
    /// Required parameters that are absent, by name.
    Absent(Vec<String>),
}

/// What some causes add to the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Extra {
    #[default]
    Nothing,
    /// Acceptable timestamps, low and high: only after the signature held.
    Timestamps(u64, u64),
    /// `Retry-After` in seconds.
    RetryAfter(u64),
    /// `Allow` of a refused method.
    Allow(String),
}

impl From<Cause> for Refusal {
    fn from(cause: Cause) -> Self {
        Self {
            cause,
            status: cause.status(),
            message: Message::Plain(cause.sentence()),
            extra: Extra::Nothing,
        }
    }
}

impl Refusal {
    /// A refusal with a sentence of its own.
    pub fn saying(cause: Cause, message: Message) -> Self {
        Self {
            message,
            ..Self::from(cause)
        }
    }

    /// No permission: names the resources that the route needs (`self` for a customer's own).
    pub fn not_authorized(cause: Cause, resources: &str) -> Self {
        Self::saying(
            cause,
            Message::Named(cause.sentence(), "resources", resources.to_owned()),
        )
    }

    /// Required fields of a body that are absent or empty.
    pub fn absent_fields(names: Vec<String>) -> Self {
        Self::saying(Cause::ParameterAbsent, Message::Absent(names))
    }

    /// A token of another length than 32 (magento.md 2.5 A3): 400 where other bad tokens are 401.
    pub fn token_length() -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            ..Self::saying(
                Cause::TokenRejected,
                Message::Plain("The token length is invalid. Check the length and try again."),
            )
        }
    }

    /// The signature holds, the clock does not: says which timestamps would do.
    pub fn timestamp_outside(now: u64, window_secs: u64) -> Self {
        Self {
            extra: Extra::Timestamps(now.saturating_sub(window_secs), now.saturating_add(window_secs)),
            ..Self::from(Cause::TimestampRefused)
        }
    }

    /// Too many requests: when the next may come, in seconds.
    pub fn rate_limited(retry_after: u64) -> Self {
        Self {
            extra: Extra::RetryAfter(retry_after),
            ..Self::from(Cause::RateLimited)
        }
    }

    /// The path exists, the method does not.
    pub fn method_not_allowed(allow: String) -> Self {
        Self {
            extra: Extra::Allow(allow),
            ..Self::from(Cause::MethodRefused)
        }
    }

    /// A method that nothing here implements.
    pub fn method_unknown() -> Self {
        Self {
            status: StatusCode::NOT_IMPLEMENTED,
            ..Self::from(Cause::MethodRefused)
        }
    }

    /// What is wrong, in one word.
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// Magento's REST error, as JSON.
    pub fn json(&self) -> serde_json::Value {
        render::rest_json(self)
    }

    /// Magento's status.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        // Logged here, once: past this point only the cause is known.
        tracing::warn!(error = %error, source = error.source().map(tracing::field::display), "store call failed");
        Cause::StoreUnavailable.into()
    }
}

impl From<NoRandomness> for Refusal {
    fn from(error: NoRandomness) -> Self {
        tracing::error!(error = %error, "no randomness");
        Cause::Internal.into()
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Malformed | Problem::TooLarge | Problem::TwoPlacements => Cause::RequestMalformed.into(),
            Problem::PlacementRefused(_) => Cause::ParameterRejected.into(),
            Problem::Rejected(name) => Self::saying(
                Cause::ParameterRejected,
                Message::Positional("The \"%1\" parameter is not accepted.", name),
            ),
            Problem::Absent(names) => {
                Self::absent_fields(names.into_iter().map(|name| name.as_str().to_owned()).collect())
            }
            Problem::VersionRejected(given) => Self::saying(
                Cause::VersionRejected,
                Message::Positional("The \"%1\" Oauth version isn't supported.", given),
            ),
            Problem::LengthInvalid(ParameterName::Token) => Self::token_length(),
            Problem::LengthInvalid(name) => Self::saying(
                Cause::ParameterRejected,
                Message::Positional(
                    "The \"%1\" parameter is not of the correct length.",
                    name.as_str().to_owned(),
                ),
            ),
            Problem::SignatureMethodRejected(given) => Self::saying(
                Cause::SignatureMethodRejected,
                Message::Positional("Signature method %1 is not supported", given),
            ),
            Problem::TimestampRefused => Cause::TimestampRefused.into(),
            Problem::NonceInvalid => Self::saying(
                Cause::ParameterRejected,
                Message::Positional(
                    "The \"%1\" parameter is not of the correct length.",
                    "oauth_nonce".to_owned(),
                ),
            ),
            Problem::SignatureInvalid => Cause::SignatureInvalid.into(),
            Problem::BodyHashInvalid => Cause::BodyHashInvalid.into(),
        }
    }
}
