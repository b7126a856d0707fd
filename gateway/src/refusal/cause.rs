//! The closed list of causes: their words, their statuses, whose fault they are, and Magento's sentences.

use http::StatusCode;

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
    pub fn sentence(self) -> &'static str {
        match self {
            Self::RequestMalformed => "The request is malformed.",
            Self::TargetRefused => {
                "The request target is refused: dot segments, empty segments, escaped separators, broken or non-UTF-8 escapes and raw characters that a URI has no place for are not accepted."
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
