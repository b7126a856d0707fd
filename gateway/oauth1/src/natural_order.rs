//! The order in which Magento up to 2.4.7 sorts encoded names: runs of digits count as numbers, so `a2` stands before `a10`
//! (magento.md 2.6).

use std::cmp::Ordering;

/// Compares as PHP's `strnatcmp` does: numbers by value, all else by octet; leading zeros don't count.
pub(crate) fn compare(one: &[u8], other: &[u8]) -> Ordering {
    let (mut one, mut other) = (one, other);
    loop {
        match (one.split_first(), other.split_first()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some((a, _)), Some((b, _))) if a.is_ascii_digit() && b.is_ascii_digit() => {
                let (number, rest) = split_number(one);
                let (other_number, other_rest) = split_number(other);
                let by_value = number
                    .len()
                    .cmp(&other_number.len())
                    .then_with(|| number.cmp(other_number));
                if by_value.is_ne() {
                    return by_value;
                }
                (one, other) = (rest, other_rest);
            }
            (Some((a, rest)), Some((b, other_rest))) => {
                if a != b {
                    return a.cmp(b);
                }
                (one, other) = (rest, other_rest);
            }
        }
    }
}

/// The digits that `text` begins with, without leading zeros, and what follows.
fn split_number(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text
        .iter()
        .position(|octet| !octet.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    (digits.get(zeros..).unwrap_or_default(), rest)
}
