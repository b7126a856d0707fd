//! What the admin API takes from a request's path, query and preconditions.

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::header::IF_MATCH;
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

/// What a query asks for: 400 unless all of it is known.
#[derive(Clone, Copy, Debug)]
pub struct Asked<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let asked = Query::try_from_uri(&parts.uri);
        let Query(asked) = asked.map_err(|bad| ApiError::new(StatusCode::BAD_REQUEST, &bad.body_text()))?;
        Ok(Self(asked))
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
    }
}
