//! The admin API's answers: JSON, never cached; errors carry Magento's sentence in `message` with `parameters`.

use axum::Json;
use axum::extract::rejection::BytesRejection;
use axum::http::header::{CACHE_CONTROL, ETAG, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use token_store::StoreError;

use crate::exchange::account::AccountError;
use crate::integration::Failure;
use crate::integration::definition::Invalid;
use crate::observe::store_failed;
use crate::refusal::Refusal;

/// An error of the API.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    body: Value,
}

impl ApiError {
    /// A sentence without parameters.
    pub fn new(status: StatusCode, message: &str) -> Self {
        Self {
            status,
            body: json!({ "message": message }),
        }
    }

    /// A sentence with `%1`.
    pub fn with(status: StatusCode, message: &str, parameter: &str) -> Self {
        Self {
            status,
            body: json!({ "message": message, "parameters": [parameter] }),
        }
    }

    /// A required field.
    pub fn required(field: &str) -> Self {
        let message = "\"%fieldName\" is required. Enter and try again.";
        Self {
            status: StatusCode::BAD_REQUEST,
            body: json!({ "message": message, "parameters": { "fieldName": field } }),
        }
    }

    /// A field that can't be accepted: a sentence with `%fieldName` and `%expected`.
    pub fn field(field: &str, message: &str, expected: &str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            body: json!({ "message": message, "parameters": { "fieldName": field, "expected": expected } }),
        }
    }

    /// What it says, its placeholders filled in.
    #[cfg(test)]
    pub fn sentence(&self) -> String {
        let mut sentence = self.body["message"].as_str().unwrap_or_default().to_owned();
        for (name, value) in self.body["parameters"].as_object().into_iter().flatten() {
            sentence = sentence.replace(&format!("%{name}"), value.as_str().unwrap_or_default());
        }
        sentence
    }

    /// What a path names doesn't exist (magento.md 5.4).
    pub fn no_such(id: &str) -> Self {
        let message = "No such entity with %fieldName = %fieldValue";
        Self {
            status: StatusCode::NOT_FOUND,
            body: json!({ "message": message, "parameters": { "fieldName": "id", "fieldValue": id } }),
        }
    }

    fn coded(status: StatusCode, code: &str, message: &str) -> Self {
        Self {
            status,
            body: json!({ "message": message, "code": code }),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status;
        let mut response = (status, Json(self.body)).into_response();
        response
            .headers_mut()
            .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"countersign\""),
            );
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        store_failed(&error);
        Self::coded(
            StatusCode::SERVICE_UNAVAILABLE,
            "store_unavailable",
            "The credential store is not available. Try again later.",
        )
    }
}

impl From<BytesRejection> for ApiError {
    fn from(rejection: BytesRejection) -> Self {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return Self::new(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large.");
        }
        Self::new(StatusCode::BAD_REQUEST, "The body did not come whole.")
    }
}

impl From<AccountError> for ApiError {
    fn from(error: AccountError) -> Self {
        let sentence = error.to_string();
        match error {
            AccountError::Store(error) => error.into(),
            AccountError::Hash(_) | AccountError::NoRandomness(_) => {
                tracing::error!(error = sentence, "account");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal Error.")
            }
            AccountError::Unknown => Self::new(StatusCode::NOT_FOUND, &sentence),
            AccountError::Exists(name) => {
                Self::with(StatusCode::CONFLICT, "An account with the name \"%1\" exists.", &name)
            }
            AccountError::Changed => Self::new(StatusCode::PRECONDITION_FAILED, &sentence),
            AccountError::CustomerExists
            | AccountError::LastAdmin
            | AccountError::Enrolled
            | AccountError::NothingToConfirm => Self::new(StatusCode::CONFLICT, &sentence),
            AccountError::WrongCode | AccountError::Invalid(_) => Self::new(StatusCode::BAD_REQUEST, &sentence),
        }
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        let sentence = failure.to_string();
        match failure {
            Failure::Unknown(id) => Self::with(StatusCode::NOT_FOUND, &sentence, &id.0.to_string()),
            Failure::UnknownConsumer(id) => Self::with(StatusCode::NOT_FOUND, &sentence, &id.0.to_string()),
            Failure::NameTaken(name) => Self::with(StatusCode::BAD_REQUEST, &sentence, &name),
            Failure::Invalid(Invalid::Required(field)) => Self::required(field),
            Failure::Invalid(Invalid::EndpointRefused(_)) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, &sentence),
            Failure::Invalid(Invalid::Field { .. } | Invalid::Resource(_)) | Failure::NoBaseUrl => {
                Self::new(StatusCode::BAD_REQUEST, &sentence)
            }
            Failure::Changed => Self::new(StatusCode::PRECONDITION_FAILED, &sentence),
            Failure::HasAccessToken => Self::new(StatusCode::CONFLICT, &sentence),
            Failure::FromConfig => Self::new(StatusCode::BAD_REQUEST, &sentence),
            Failure::FromConfigDelete(name) => Self::with(
                StatusCode::BAD_REQUEST,
                "Uninstall the extension to remove integration '%1'.",
                &name,
            ),
            Failure::CallbackFailed(error) => {
                let mut answer = Self::coded(StatusCode::BAD_GATEWAY, "callback_failed", &sentence);
                if let Some(members) = answer.body.as_object_mut() {
                    members.insert("reason".to_owned(), error.to_string().into());
                }
                answer
            }
            Failure::Store(error) => error.into(),
            Failure::NoRandomness(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal Error."),
        }
    }
}

/// A sign-in's refusal: the same sentence as on the public listener.
impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self {
            status: refusal.status(),
            body: refusal.json(),
        }
    }
}

/// JSON that is never cached.
pub fn json_of(status: StatusCode, value: &impl Serialize) -> Response {
    let mut response = (status, Json(value)).into_response();
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// JSON with the version that `If-Match` compares.
pub fn json_of_version(status: StatusCode, value: &impl Serialize, version: u64) -> Response {
    let mut response = json_of(status, value);
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(ETAG, etag);
    }
    response
}

/// No such path.
pub fn not_found() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "Request does not match any route.")
}

/// The path exists, the method does not.
pub async fn method_not_allowed() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "Request method is invalid.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_meets_a_store_that_is_away_is_told_to_come_again() {
        let answer = ApiError::from(StoreError::IdentityLost).into_response();

        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers()[RETRY_AFTER], "1");
    }
}
