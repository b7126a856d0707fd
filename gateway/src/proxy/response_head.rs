//! Upstream's response head as the client gets it: nothing of upstream's connection, one valid `Date`, no length where no
//! body can be.

use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, DATE, HeaderMap, HeaderValue, TRANSFER_ENCODING, VARY};

use super::headers::remove_hop_by_hop;
use crate::header;

/// Takes the head of what upstream answered, with a body of `length` octets where that is known.
pub(super) fn rewrite(status: StatusCode, headers: &mut HeaderMap, length: Option<u64>) {
    remove_hop_by_hop(headers);
    // The same length told twice is told once (RFC 9110 section 8.6).
    if let Some(length) = length
        && is_told_twice(headers)
    {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    // Over HTTP/2 a length that no body has is a malformed response (RFC 9113 section 8.1.1).
    if status == StatusCode::NO_CONTENT {
        headers.remove(CONTENT_LENGTH);
    }
    // hyper says the time where nobody else did.
    if !has_one_date(headers) {
        headers.remove(DATE);
    }
}

/// What was answered to somebody is not for everybody: a shared cache could take a request that is signed in its query for
/// any other (oauth1.md P25). Where upstream says how long its response may be kept, and by whom, that stays.
pub(super) fn keep_private(headers: &mut HeaderMap) {
    if !header::has(headers, &CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
        headers.append(VARY, HeaderValue::from_static("authorization"));
    }
}

/// Both framings, or a coding that ends elsewhere: what the body is depends on who reads (RFC 9112 section 6.3).
pub(super) fn is_framed_twice(headers: &HeaderMap) -> bool {
    let mut codings = header::all(headers, &TRANSFER_ENCODING);
    match (codings.next(), codings.next()) {
        (None, _) => false,
        (Some(only), None) => {
            header::has(headers, &CONTENT_LENGTH) || !only.as_bytes().eq_ignore_ascii_case(b"chunked")
        }
        (Some(_), Some(_)) => true,
    }
}

fn is_told_twice(headers: &HeaderMap) -> bool {
    let mut lengths = header::all(headers, &CONTENT_LENGTH);
    match (lengths.next(), lengths.next()) {
        (Some(only), None) => only.as_bytes().contains(&b','),
        (_, second) => second.is_some(),
    }
}

fn has_one_date(headers: &HeaderMap) -> bool {
    let mut dates = header::all(headers, &DATE);
    matches!((dates.next(), dates.next()), (Some(date), None) if is_date(date.as_bytes()))
}

/// Whether it has the shape of `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7).
fn is_date(date: &[u8]) -> bool {
    date.len() == SHAPE.len()
        && date.iter().zip(SHAPE).all(|(octet, shape)| match shape {
            b'A' => octet.is_ascii_alphabetic(),
            b'0' => octet.is_ascii_digit(),
            exact => octet == exact,
        })
}

const SHAPE: &[u8; 29] = b"AAA, 00 AAA 0000 00:00:00 GMT";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_the_shape_of_a_date_is_none() {
        assert!(is_date(b"Sun, 06 Nov 1994 08:49:37 GMT"));
        for other in [
            "",
            "garbage",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "784111777",
        ] {
            assert!(!is_date(other.as_bytes()), "{other}");
        }
    }
}
