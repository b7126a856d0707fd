//! Upstream's response head as the client gets it: nothing of upstream's connection, no length where no body can be.

use http::StatusCode;
use http::header::{CONTENT_LENGTH, HeaderMap};

use super::headers::remove_hop_by_hop;

/// Takes the head of what upstream answered.
pub(super) fn rewrite(status: StatusCode, headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    // Over HTTP/2 a length that no body has is a malformed response (RFC 9113 section 8.1.1).
    if status == StatusCode::NO_CONTENT {
        headers.remove(CONTENT_LENGTH);
    }
}
