//! Request ids: 32 hex characters, unique over gateways and restarts, made without a call to the system.

use std::cell::Cell;

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
    pub fn next(&self) -> HeaderValue {
        let count = self.count.get().wrapping_add(1);
        self.count.set(count);
        let mut text = [0; 32];
        for (half, digits) in [self.prefix, count].into_iter().zip(text.chunks_exact_mut(16)) {
            for (digit, shift) in digits.iter_mut().zip((0..16).rev()) {
                let nibble = (half >> (shift * 4)) & 0xF;
                *digit = HEX
                    .get(usize::try_from(nibble).unwrap_or_default())
                    .copied()
                    .unwrap_or(b'0');
            }
        }
        HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static("0"))
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_32_hex_characters_and_never_repeat() {
        let ids = RequestIds::new().unwrap();

        let (first, second) = (ids.next(), ids.next());

        assert_ne!(first, second);
        assert_eq!(first.len(), 32);
        assert!(first.as_bytes().iter().all(u8::is_ascii_hexdigit));
    }
}
