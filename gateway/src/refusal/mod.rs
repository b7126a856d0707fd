//! Why a request is refused: the closed list of causes, and the one place that turns a cause into a response.
//!
//! A cause is the same word in log, metric label and `WWW-Authenticate`. Two dialects by path: Magento's (routes, token
//! endpoints, user tokens) and RFC 5849's (`/oauth/initiate`, `/oauth/token`).

mod cause;
mod render;

use http::StatusCode;
use oauth1::{ParameterName, Problem};
use serde_json::Value;
use token_store::StoreError;

use crate::observe::store_failed;
use crate::random::NoRandomness;

pub use cause::Cause;
pub use render::{Answer, Dialect, render};
pub(crate) use render::{form_encode, prefers_xml, xml};

/// A refusal: its cause, and what the answer has to say beyond it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    cause: Cause,
    status: StatusCode,
    message: Message,
    extra: Extra,
    /// For who asked with a debug token.
    explanation: Option<Box<Value>>,
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
    /// The password was right; the user with this number has to give a code, too (magento.md 4.2).
    SecondFactor(u64),
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
    /// A parameter that is not accepted, and its value.
    Rejected(&'static str, Vec<u8>),
}

impl From<Cause> for Refusal {
    fn from(cause: Cause) -> Self {
        Self {
            cause,
            status: cause.status(),
            message: Message::Plain(cause.sentence()),
            extra: Extra::Nothing,
            explanation: None,
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

    /// The password is right, and the code of the second factor is absent: no failed sign-in, but none that succeeded.
    pub fn second_factor(user: u64) -> Self {
        Self::saying(Cause::SignInFailed, Message::SecondFactor(user))
    }

    /// Whether it asks for the code of the second factor.
    pub fn asks_for_code(&self) -> bool {
        matches!(self.message, Message::SecondFactor(_))
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

    /// An `oauth_callback` that was not registered: it is the client's own word, and told back.
    pub fn callback_rejected(given: &[u8]) -> Self {
        let sentence = "The oauth_callback is not one that was registered for this consumer, nor \"oob\".";
        Self {
            extra: Extra::Rejected("oauth_callback", given.to_vec()),
            ..Self::saying(Cause::ParameterRejected, Message::Plain(sentence))
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

    /// With its explanation, which the body then carries.
    #[must_use]
    pub fn explained(self, explanation: Value) -> Self {
        Self {
            explanation: Some(Box::new(explanation)),
            ..self
        }
    }

    /// What is wrong, in one word.
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// Magento's REST error, as JSON.
    pub fn json(&self) -> Value {
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
        store_failed(&error);
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
            Problem::Malformed | Problem::TooLarge => Cause::RequestMalformed.into(),
            Problem::TwoPlacements => Self::saying(
                Cause::ParameterRejected,
                Message::Plain(
                    "OAuth parameters stand in one place only: the Authorization header, the query or the form.",
                ),
            ),
            Problem::PlacementRefused(placement) => Self::saying(
                Cause::ParameterRejected,
                Message::Positional(
                    "OAuth parameters in the %1 are not accepted.",
                    placement.as_str().to_owned(),
                ),
            ),
            Problem::FormRefused => Self::saying(
                Cause::ParameterRejected,
                Message::Plain("A signed GET or HEAD request can't carry a form."),
            ),
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
