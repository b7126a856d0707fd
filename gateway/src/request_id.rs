//! Request ids: 32 hex characters, unique over gateways and restarts, made without a call to the system.

use std::cell::Cell;

use bytes::Bytes;
use http::HeaderValue;

use crate::random::{self, NoRandomness};

/// A worker's ids: random where they start, then counted.
#[derive(Debug)]
pub struct RequestIds {
    prefix: u64,
    count: Cell<u64>,
}

impl RequestIds {
    /// Starts somewhere nobody else does.
    pub fn new() -> Result<Self, NoRandomness> {
        let mut bytes = [0; 16];
        random::fill(&mut bytes)?;
        let drawn = u128::from_ne_bytes(bytes);
        let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or_default();
        let (prefix, count) = (half(drawn >> 64), half(drawn));
        Ok(Self {
            prefix,
            count: Cell::new(count),
        })
    }

    /// The next id.
    pub fn next(&self) -> RequestId {
        let count = self.count.get().wrapping_add(1);
        self.count.set(count);
        let mut text = *TRACEPARENT;
        for (half, at) in [(self.prefix, ID.start), (count, ID.start + 16), (count, ID.end + 1)] {
            for (digit, shift) in text.iter_mut().skip(at).zip((0..16).rev()) {
                let nibble = (half >> (shift * 4)) & 0xF;
                *digit = HEX
                    .get(usize::try_from(nibble).unwrap_or_default())
                    .copied()
                    .unwrap_or(b'0');
            }
        }
        let traceparent = Bytes::copy_from_slice(&text);
        RequestId {
            id: value(traceparent.slice(ID)),
            traceparent: value(traceparent),
        }
    }

    /// One that a proxy gave: it names the trace where it could be an id of ours, else the next of ours does.
    pub fn given(&self, id: HeaderValue) -> RequestId {
        let digits = <&[u8; 32]>::try_from(id.as_bytes()).ok();
        let Some(trace) = digits.filter(|digits| is_trace(digits)) else {
            return RequestId { id, ..self.next() };
        };
        let (_, span) = trace.split_at(16);
        let text = [b"00-", trace.as_slice(), b"-", span, b"-01"].concat();
        RequestId {
            traceparent: value(Bytes::from(text)),
            id,
        }
    }
}

/// Whether it names a trace, and its end a span: lower case, and not all zero (W3C Trace Context, 3.2.2).
fn is_trace(digits: &[u8; 32]) -> bool {
    let (_, span) = digits.split_at(16);
    digits.iter().all(|digit| HEX.contains(digit)) && span.iter().any(|digit| *digit != b'0')
}

/// A request's id, and what upstream is told where the client named no parent: the id is the trace's, and stands in it.
#[derive(Clone, Debug)]
pub struct RequestId {
    /// `X-Request-Id`
    pub id: HeaderValue,
    /// `traceparent` (W3C Trace Context, 3.2)
    pub traceparent: HeaderValue,
}

/// The trace that a valid `traceparent` names.
pub fn trace(traceparent: &HeaderValue) -> Option<&str> {
    traceparent.to_str().ok()?.get(ID)
}

fn value(text: Bytes) -> HeaderValue {
    HeaderValue::from_maybe_shared(text).unwrap_or_else(|_| HeaderValue::from_static("0"))
}

/// Version, trace, parent, flags: sampled.
const TRACEPARENT: &[u8; 55] = b"00-00000000000000000000000000000000-0000000000000000-01";
/// Where the trace stands in it.
const ID: std::ops::Range<usize> = 3..35;
const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_32_hex_characters_and_never_repeat() {
        let ids = RequestIds::new().unwrap();

        let (first, second) = (ids.next().id, ids.next().id);

        assert_ne!(first, second);
        assert_eq!(first.len(), 32);
        assert!(first.as_bytes().iter().all(u8::is_ascii_hexdigit));
    }

    #[test]
    fn a_trace_is_named_by_the_id_and_its_first_span_by_the_ids_end() {
        let ids = RequestIds {
            prefix: 0x0123_4567_89AB_CDEF,
            count: Cell::new(0xFEDC_BA98_7654_3210),
        };
        let own = ids.next();
        let given = ids.given(own.id.clone());

        assert_eq!(own.id, "0123456789abcdeffedcba9876543211");
        assert_eq!(
            own.traceparent,
            "00-0123456789abcdeffedcba9876543211-fedcba9876543211-01"
        );
        assert_eq!((given.id, given.traceparent), (own.id, own.traceparent));
    }

    #[test]
    fn an_id_in_another_form_names_no_trace_but_the_request_has_one_of_its_own() {
        let ids = RequestIds::new().unwrap();
        let mut traces = std::collections::BTreeSet::new();
        let others = [
            "short",
            "short",
            "0123456789abcdef0123456789abcdeg",
            "0123456789ABCDEF0123456789ABCDEF",
            "0123456789abcdef0123456789abcdef0",
            "0123456789abcdef0000000000000000",
        ];

        for id in others {
            let given = ids.given(HeaderValue::from_static(id));

            assert_eq!(given.id, id);
            traces.insert(given.traceparent.to_str().unwrap().to_owned());
        }

        assert_eq!(traces.len(), others.len());
        assert!(
            traces
                .iter()
                .all(|trace| trace.len() == 55 && !trace.contains("0123456789"))
        );
    }
}
