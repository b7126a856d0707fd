//! What is typed to sign in, read and bounded.

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::Value;
use token_store::Secret;

use crate::authenticate::body::names_other_charset;
use crate::refusal::{Cause, Message, Refusal};

/// A name and a password, both present; and the code of a second factor, where one came.
pub struct Credentials {
    pub(super) username: String,
    pub(super) password: Secret,
    pub(super) code: Option<Secret>,
}

impl Credentials {
    /// Both must be there (magento.md 4.1).
    pub fn new(username: Option<String>, password: Option<String>) -> Result<Self, Refusal> {
        let filled = |value: Option<String>| value.filter(|value| !value.is_empty());
        match (filled(username), filled(password)) {
            (Some(username), Some(password)) => {
                if username.len() > LONGEST_NAME || password.len() > LONGEST_PASSWORD {
                    return Err(Cause::SignInFailed.into());
                }
                Ok(Self {
                    username,
                    password: Secret::new(password),
                    code: None,
                })
            }
            (username, password) => {
                let absent = [("username", username.is_none()), ("password", password.is_none())];
                let absent = absent.into_iter().filter(|(_, absent)| *absent);
                Err(Refusal::absent_fields(
                    absent.map(|(name, _)| name.to_owned()).collect(),
                ))
            }
        }
    }

    /// With the code of a second factor, if one came.
    #[must_use]
    pub fn with_code(self, code: Option<String>) -> Self {
        let code = code.filter(|code| !code.is_empty());
        // What is longer is no code anyway.
        let bounded = |code: String| Secret::new(code.chars().take(LONGEST_CODE).collect::<String>());
        let code = code.map(bounded);
        Self { code, ..self }
    }

    /// From a JSON body.
    pub fn of_body(headers: &HeaderMap, body: &Bytes) -> Result<Self, Refusal> {
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        let json = media_type.eq_ignore_ascii_case("application/json");
        let malformed = |sentence| Refusal::saying(Cause::RequestMalformed, Message::Plain(sentence));
        if !json {
            let sentence = if headers.contains_key(CONTENT_TYPE) {
                "Content-Type header is invalid."
            } else {
                "Content-Type header is empty."
            };
            return Err(malformed(sentence));
        }
        if names_other_charset(content_type) {
            return Err(malformed("UTF-8 is the only supported charset."));
        }
        // Nothing at all lacks what is required, as an empty object does (magento.md 7.2).
        let body = if body.is_empty() { b"{}" } else { body.as_ref() };
        let Ok(Value::Object(mut members)) = serde_json::from_slice(body) else {
            return Err(malformed("Decoding error."));
        };
        let mut text = |name: &str| match members.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(malformed("Decoding error.")),
        };
        let (username, password, code) = (text("username")?, text("password")?, text("code")?);
        Ok(Self::new(username, password)?.with_code(code))
    }
}

/// A recovery code, with spaces round it.
const LONGEST_CODE: usize = 24;
const LONGEST_NAME: usize = 255;
/// Argon2 reads all of it: longer ones are only work.
const LONGEST_PASSWORD: usize = 1024;
