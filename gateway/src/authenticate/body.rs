//! Bodies that are signed: forms are read whole (to a bound), and so is a body with a declared hash; others stream.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

use crate::header;
use crate::refusal::Cause;

/// How long and how large a body may be.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// Octets.
    pub size: u64,
    /// Before the first octet's share of `rate`.
    pub timeout: Duration,
    /// Octets a second that the whole body must keep up.
    pub rate: u64,
}

impl Bound {
    /// When a body of which `received` octets came must be complete, from its start: slowness is bounded in all, not
    /// between two reads.
    pub fn allowed(&self, received: u64) -> Duration {
        self.timeout + Duration::from_secs(received / self.rate.max(1))
    }
}

/// Whether the body is a form: exactly that media type, in any case, with any parameters (RFC 5849 section 3.4.1.3.1).
/// What some upstream would take for a form and another wouldn't is refused: its fields would reach upstream unsigned.
pub fn is_form(headers: &HeaderMap) -> Result<bool, Cause> {
    let begins = |media_type: &[u8]| {
        let start = media_type.get(..FORM.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(FORM))
    };
    let mut types = header::all(headers, &CONTENT_TYPE).map(|value| {
        let media_type = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
        media_type.trim_ascii()
    });
    match (types.next(), types.next()) {
        (Some(only), None) if begins(only) && only.len() != FORM.len() => Err(Cause::RequestMalformed),
        (Some(only), None) => Ok(begins(only)),
        (Some(first), Some(second)) if [first, second].into_iter().chain(types).any(begins) => {
            Err(Cause::RequestMalformed)
        }
        (None, _) | (Some(_), Some(_)) => Ok(false),
    }
}

const FORM: &[u8] = b"application/x-www-form-urlencoded";

/// Whether the body is compressed: then its fields can't be read.
pub fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .any(|value| !value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"))
}

/// Whether a media type's parameters name another charset than UTF-8.
pub fn names_other_charset(media_type: &str) -> bool {
    let mut pieces = media_type.split(';').map(str::trim);
    pieces.any(|piece| {
        let value = piece
            .split_once('=')
            .filter(|(name, _)| name.eq_ignore_ascii_case("charset"));
        value.is_some_and(|(_, charset)| {
            let charset = charset.trim_matches('"');
            !charset.eq_ignore_ascii_case("utf-8") && !charset.eq_ignore_ascii_case("utf8")
        })
    })
}

/// The declared length.
pub fn declared_length(headers: &HeaderMap) -> Option<u64> {
    header::first(headers, &CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads a body whole.
pub async fn read(mut body: Incoming, bound: Bound) -> Result<Bytes, Cause> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    if body.size_hint().lower() > bound.size {
        return Err(Cause::BodyTooLarge);
    }
    let started = tokio::time::Instant::now();
    let mut whole = BytesMut::new();
    loop {
        let received = u64::try_from(whole.len()).unwrap_or(u64::MAX);
        let frame = tokio::time::timeout_at(started + bound.allowed(received), body.frame()).await;
        let data = match frame {
            Err(_) => return Err(Cause::RequestTimeout),
            Ok(None) => return Ok(whole.freeze()),
            Ok(Some(Err(_))) => return Err(Cause::RequestMalformed),
            Ok(Some(Ok(frame))) => frame.into_data(),
        };
        // Trailers of a request are dropped.
        let Ok(data) = data else { continue };
        if received + u64::try_from(data.len()).unwrap_or(u64::MAX) > bound.size {
            return Err(Cause::BodyTooLarge);
        }
        if whole.is_empty() && body.is_end_stream() {
            return Ok(data);
        }
        whole.extend_from_slice(&data);
    }
}

/// The form without its `oauth_*` fields, all other octets in their order and encoding; `None`: there were none.
pub fn without_oauth(encoded: &[u8]) -> Option<Vec<u8>> {
    let pairs = || encoded.split(|octet| *octet == b'&');
    if !pairs().any(is_oauth) {
        return None;
    }
    let others: Vec<&[u8]> = pairs().filter(|pair| !is_oauth(pair)).collect();
    Some(others.join(&b'&'))
}

/// Names may be escaped (`%6Fauth_token`): as little is decoded as it takes to see the prefix.
fn is_oauth(pair: &[u8]) -> bool {
    let mut octets = pair.iter().copied();
    PREFIX.iter().all(|expected| {
        let decoded = match octets.next() {
            Some(b'%') => {
                let digit = |octet: Option<u8>| octet.and_then(|octet| char::from(octet).to_digit(16));
                match (digit(octets.next()), digit(octets.next())) {
                    (Some(high), Some(low)) => u8::try_from(high * 16 + low).ok(),
                    _ => None,
                }
            }
            other => other,
        };
        decoded == Some(*expected)
    })
}

const PREFIX: &[u8; 6] = b"oauth_";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oauth_fields_are_removed_and_all_other_octets_stay_as_they_were() {
        let form = b"b=%20x+y&oauth_token=t&&a=1&%6Fauth%5fnonce=n&a=1&xoauth_=z&\xff=%";

        let others = b"b=%20x+y&&a=1&a=1&xoauth_=z&\xff=%";
        assert_eq!(without_oauth(form).as_deref(), Some(&others[..]));
        assert_eq!(without_oauth(b"a=oauth_token"), None);
    }

    #[test]
    fn what_another_server_may_take_for_a_form_is_refused() {
        let types = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_TYPE, http::HeaderValue::from_static(value));
            }
            is_form(&headers)
        };

        for odd in [
            "application/x-www-form-urlencodedx",
            "application/x-www-form-urlencoded, text/plain",
            "Application/x-www-form-urlencoded x",
            "application/x-www-form-urlencoded,",
        ] {
            assert_eq!(types(&[odd]), Err(Cause::RequestMalformed), "{odd}");
        }
        let two = ["application/x-www-form-urlencoded", "application/json"];
        assert_eq!(types(&two), Err(Cause::RequestMalformed));
    }

    #[test]
    fn a_form_is_known_by_its_media_type_alone() {
        let form = |value: &'static str| {
            is_form(&HeaderMap::from_iter([(
                CONTENT_TYPE,
                http::HeaderValue::from_static(value),
            )]))
        };

        assert_eq!(form("Application/X-WWW-Form-URLencoded; charset=utf-8"), Ok(true));
        assert_eq!(form("application/x-www-form-urlencoded ;charset=utf-8"), Ok(true));
        assert_eq!(form("application/json"), Ok(false));
        assert_eq!(form("text/plain; x=application/x-www-form-urlencoded"), Ok(false));
    }
}
