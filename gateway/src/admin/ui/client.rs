//! The console's way to what it shows and does: the admin API, called in the process as the account that is signed in.
//!
//! There is no second way. Roles, checks, errors and the audit log are the API's own.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, ETAG, IF_MATCH};
use axum::http::{HeaderValue, Method, Request, StatusCode};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde::de::DeserializeOwned;
use serde_json::Value;
use token_store::Account;

use super::super::access::{Origin, SignedIn};
use crate::refusal::Refusal;

/// Calls as one account.
#[derive(Clone)]
pub(super) struct Client {
    api: Router,
    account: Arc<Account>,
    origin: Origin,
}

/// What the API answered.
pub(super) struct Answer {
    /// The version of what was read.
    pub(super) etag: Option<String>,
    /// The body.
    pub(super) body: Value,
}

/// Why the API did not do it.
#[derive(Debug)]
pub(super) struct Problem {
    /// Its status.
    pub(super) status: StatusCode,
    /// Its sentence, parameters filled in.
    pub(super) message: String,
    /// The field at fault, where the sentence names one.
    pub(super) field: Option<String>,
    /// Its code, where it has one.
    pub(super) code: Option<String>,
}

impl Client {
    /// In the process, as `account`.
    pub(super) fn new(api: Router, account: Arc<Account>, origin: Origin) -> Self {
        Self { api, account, origin }
    }

    /// `GET /api/v1…`, read as `T`.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        let (_, bytes) = self.send(Method::GET, path, None, Body::empty()).await?;
        serde_json::from_slice(&bytes).map_err(|error| Problem::internal(&error))
    }

    /// `GET /api/v1…` with the version of what it answers.
    pub(super) async fn read(&self, path: &str) -> Result<Answer, Problem> {
        self.call(Method::GET, path, None, None).await
    }

    /// `POST /api/v1…`
    pub(super) async fn post(&self, path: &str, body: Option<&Value>) -> Result<Answer, Problem> {
        self.call(Method::POST, path, None, body).await
    }

    /// Any call.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        if_match: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Answer, Problem> {
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let (etag, bytes) = self.send(method, path, if_match, body).await?;
        let body = serde_json::from_slice(&bytes).map_err(|error| Problem::internal(&error))?;
        Ok(Answer { etag, body })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        if_match: Option<&str>,
        body: Body,
    ) -> Result<(Option<String>, axum::body::Bytes), Problem> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = format!("/api/v1{path}")
            .parse()
            .map_err(|error| Problem::internal(&error))?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(version) = if_match {
            let value = HeaderValue::try_from(version).map_err(|error| Problem::internal(&error))?;
            headers.insert(IF_MATCH, value);
        }
        let extensions = request.extensions_mut();
        extensions.insert(self.origin);
        extensions.insert(SignedIn(Arc::clone(&self.account)));
        let service = TowerToHyperService::new(self.api.clone());
        let response = match service.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, LARGEST_ANSWER)
            .await
            .map_err(|error| Problem::internal(&error))?;
        if !parts.status.is_success() {
            return Err(Problem::of(parts.status, &bytes));
        }
        let etag = parts.headers.get(ETAG).and_then(|etag| etag.to_str().ok());
        Ok((etag.map(str::to_owned), bytes))
    }
}

impl Problem {
    /// What names nothing.
    pub(super) fn not_found(message: &str) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            message: message.to_owned(),
            field: None,
            code: None,
        }
    }

    /// What is never done.
    pub(super) fn refused(message: &str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            ..Self::not_found(message)
        }
    }

    /// An answer of ours that can't be read: a fault of this program.
    pub(super) fn unreadable(error: &serde_json::Error) -> Self {
        Self::internal(error)
    }

    /// What a check outside the API says.
    pub(super) fn of_refusal(refusal: &Refusal) -> Self {
        let code = Some(refusal.cause().as_str().to_owned());
        let body = refusal.json().to_string();
        Self {
            code,
            ..Self::of(refusal.status(), body.as_bytes())
        }
    }

    fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "the console could not read the admin API");
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            message: "Internal Error.".to_owned(),
            field: None,
            code: None,
        }
    }

    fn of(status: StatusCode, bytes: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        let mut message = text("message").unwrap_or_else(|| status.to_string());
        let mut field = None;
        match body.get("parameters") {
            Some(Value::Array(parameters)) => {
                for (place, parameter) in parameters.iter().enumerate() {
                    let parameter = parameter.as_str().map_or_else(|| parameter.to_string(), str::to_owned);
                    message = message.replace(&format!("%{}", place + 1), &parameter);
                }
            }
            Some(Value::Object(parameters)) => {
                for (name, parameter) in parameters {
                    let parameter = parameter.as_str().map_or_else(|| parameter.to_string(), str::to_owned);
                    message = message.replace(&format!("%{name}"), &parameter);
                    if name == "fieldName" {
                        field = Some(parameter);
                    }
                }
            }
            _ => {}
        }
        if field.is_none()
            && let Some((before, after)) = message.split_once(": ")
            && before.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        {
            (field, message) = (Some(before.to_owned()), after.to_owned());
        }
        if let Some(reason) = text("reason") {
            message = format!("{message} ({reason})");
        }
        Self {
            status,
            message,
            field,
            code: text("code"),
        }
    }
}

/// A query string of what is filled in.
pub(super) fn query<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut serializer = url::form_urlencoded::Serializer::new(String::new());
    serializer.extend_pairs(pairs.into_iter().filter(|(_, value)| !value.is_empty()));
    serializer.finish()
}

/// The whole resource tree of a large shop is a few hundred KiB.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errors_sentence_is_filled_in_and_its_field_found() {
        let taken = br#"{"message":"The integration with name \"%1\" exists.","parameters":["A"]}"#;
        let required =
            br#"{"message":"\"%fieldName\" is required. Enter and try again.","parameters":{"fieldName":"name"}}"#;
        let invalid = br#"{"message":"identity_link_url: Invalid Identity Link URL"}"#;
        let of = |body: &[u8]| Problem::of(StatusCode::BAD_REQUEST, body);

        assert_eq!(of(taken).message, "The integration with name \"A\" exists.");
        assert_eq!(of(taken).field, None);
        assert_eq!(of(required).message, "\"name\" is required. Enter and try again.");
        assert_eq!(of(required).field.as_deref(), Some("name"));
        assert_eq!(of(invalid).message, "Invalid Identity Link URL");
        assert_eq!(of(invalid).field.as_deref(), Some("identity_link_url"));
    }
}
