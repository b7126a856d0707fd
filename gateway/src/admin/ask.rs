//! What the admin API takes from a request's path, query, body and preconditions.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::{CONTENT_TYPE, IF_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use super::answer::ApiError;

/// The number in a path. What is no number names nothing: 404.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id(pub u64);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        let text = text.map(|Path(text)| text).unwrap_or_default();
        number(&text).map(Self).ok_or_else(|| ApiError::no_such(&text))
    }
}

/// A number in its one spelling: neither a sign nor leading zeros.
pub fn number(text: &str) -> Option<u64> {
    text.parse::<u64>().ok().filter(|number| number.to_string() == text)
}

/// Nothing: of a list that comes whole.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// What a query asks for: 400 unless all of it is known.
#[derive(Clone, Copy, Debug)]
pub struct Asked<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let asked = Query::try_from_uri(&parts.uri);
        let Query(asked) = asked.map_err(|bad| worded(&bad.body_text()))?;
        Ok(Self(asked))
    }
}

/// A body that is JSON, if there is one.
#[derive(Clone, Debug)]
pub struct Octets(Bytes);

impl<S: Send + Sync> FromRequest<S> for Octets {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let kind = request.headers().get(CONTENT_TYPE).cloned();
        let octets = Bytes::from_request(request, state).await?;
        let is_json = kind.is_none_or(|kind| kind.to_str().is_ok_and(is_json));
        if is_json || octets.is_empty() {
            return Ok(Self(octets));
        }
        Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Send the body as \"Content-Type: application/json\".",
        ))
    }
}

impl Octets {
    /// Whether it is a list.
    pub fn is_list(&self) -> bool {
        self.0.trim_ascii_start().starts_with(b"[")
    }

    /// What it says; a field that can't be accepted is named.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let octets = if self.0.is_empty() { b"{}" } else { self.0.as_ref() };
        match Json::from_bytes(octets) {
            Ok(Json(parsed)) => Ok(parsed),
            Err(JsonRejection::JsonSyntaxError(bad)) => {
                let said = bad.body_text();
                let what = said.rsplit(": ").next().unwrap_or_default();
                Err(ApiError::with(
                    StatusCode::BAD_REQUEST,
                    "The body is not JSON: %1.",
                    what,
                ))
            }
            Err(bad) => Err(worded(&bad.body_text())),
        }
    }
}

fn is_json(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

/// The fields of a JSON object that is sent; no body at all is an object without any.
#[derive(Clone, Copy, Debug)]
pub struct Sent<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Sent<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let octets = Octets::from_request(request, state).await?;
        // Where an object is wanted serde takes a list of its values, too.
        if octets.0.is_empty() || octets.0.trim_ascii_start().starts_with(b"{") {
            return octets.parse().map(Self);
        }
        Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "The body must be a JSON object.",
        ))
    }
}

/// What serde says, as a sentence of ours: the field, and what was expected. What was sent is not repeated: it may be a
/// secret.
fn worded(said: &str) -> ApiError {
    let introduced = ["into the target type: ", "query string: "];
    let said = introduced
        .into_iter()
        .find_map(|words| Some(said.split_once(words)?.1))
        .unwrap_or(said);
    let said = said.split(" at line ").next().unwrap_or_default();
    let (path, reason) = said
        .split_once(": ")
        .filter(|(path, _)| !path.contains(' '))
        .unwrap_or(("", said));
    let named = reason.split('`').nth(1).unwrap_or_default();
    let expected = reason.split_once("expected ").map_or(reason, |(_, expected)| expected);
    let expected = expected.replace('`', "\"");
    if reason.starts_with("missing field") {
        return ApiError::required(named);
    }
    if reason.starts_with("unknown field") {
        return ApiError::field(
            named,
            "\"%fieldName\" is no field here. Expected: %expected.",
            &expected,
        );
    }
    if reason.starts_with("duplicate field") {
        return ApiError::field(named, "\"%fieldName\" is there twice.", "");
    }
    if path.is_empty() || path == "." {
        return ApiError::with(StatusCode::BAD_REQUEST, "The body must be %1.", plain(&expected));
    }
    ApiError::field(path, "\"%fieldName\" must be %expected.", plain(&expected))
}

/// Types as people call them.
fn plain(expected: &str) -> &str {
    match expected {
        "u64" | "u32" | "usize" | "i64" | "invalid digit found in string" => "a number",
        "a nonzero usize" => "a number from 1",
        "a boolean" | "provided string was not `true` or `false`" => "true or false",
        "a string" => "a text",
        "a sequence" => "a list",
        "a map" => "an object",
        other => other,
    }
}

/// Which versions a change may be applied to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// `*`: whatever stands.
    Any,
    /// One of these.
    Versions(Vec<u64>),
}

impl Precondition {
    /// `If-Match` (RFC 9110 section 13.1.1). Without the header: 428.
    pub fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let mut versions = Vec::new();
        let mut given = false;
        for value in headers.get_all(IF_MATCH) {
            given = true;
            let tags = value.to_str().unwrap_or_default().split(',').map(str::trim);
            for tag in tags {
                if tag == "*" {
                    return Ok(Self::Any);
                }
                // A tag that was never given, weak ones among them, matches nothing.
                let inner = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
                versions.extend(inner.and_then(|inner| inner.parse::<u64>().ok()));
            }
        }
        if given {
            return Ok(Self::Versions(versions));
        }
        Err(ApiError::new(
            StatusCode::PRECONDITION_REQUIRED,
            "Send If-Match with the ETag that you read, or * to take whatever stands.",
        ))
    }

    /// For what may be done without it: what `If-Match` names must stand, where it is sent.
    pub fn sent(headers: &HeaderMap, current: u64) -> Result<Option<u64>, ApiError> {
        if headers.contains_key(IF_MATCH) {
            return Self::of(headers)?.version(current);
        }
        Ok(None)
    }

    /// The version that the change compares: what stands, if the caller named it; 412 otherwise. `None`: any.
    pub fn version(&self, current: u64) -> Result<Option<u64>, ApiError> {
        match self {
            Self::Any => Ok(None),
            Self::Versions(versions) if versions.contains(&current) => Ok(Some(current)),
            Self::Versions(_) => Err(ApiError::new(
                StatusCode::PRECONDITION_FAILED,
                "It was changed meanwhile. Read it again and repeat the change.",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_field_is_said_with_its_name() {
        let body = "Failed to deserialize the JSON body into the target type: ";
        let said = |words: &str| worded(words).sentence();

        let told = [
            said(&format!(
                "{body}email: invalid type: integer `5`, expected a string at line 1 column 9"
            )),
            said(&format!(
                "{body}role: unknown variant `boss`, expected one of `viewer`, `operator`, `admin` at line 1 column 9"
            )),
            said(&format!(
                "{body}nmae: unknown field `nmae`, expected `name` or `email` at line 1 column 9"
            )),
            said("Failed to deserialize query string: limit: invalid value: integer `0`, expected a nonzero usize"),
        ];

        assert_eq!(
            told,
            [
                "\"email\" must be a text.",
                "\"role\" must be one of \"viewer\", \"operator\", \"admin\".",
                "\"nmae\" is no field here. Expected: \"name\" or \"email\".",
                "\"limit\" must be a number from 1.",
            ]
        );
    }

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(IF_MATCH, value.parse().unwrap())])
    }

    #[test]
    fn if_match_takes_a_list_of_strong_tags_or_a_star() {
        let listed = Precondition::of(&headers("\"3\", \"4\"")).unwrap();

        assert_eq!(listed.version(4).unwrap(), Some(4));
        assert!(listed.version(5).is_err());
        assert_eq!(Precondition::of(&headers("*")).unwrap().version(5).unwrap(), None);
        assert!(Precondition::of(&headers("W/\"5\"")).unwrap().version(5).is_err());
        assert!(Precondition::of(&headers("5")).unwrap().version(5).is_err());
        assert!(Precondition::of(&HeaderMap::new()).is_err());
        assert_eq!(Precondition::sent(&HeaderMap::new(), 5).unwrap(), None);
        assert_eq!(Precondition::sent(&headers("\"5\""), 5).unwrap(), Some(5));
        assert!(Precondition::sent(&headers("\"4\""), 5).is_err());
    }
}
