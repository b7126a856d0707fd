//! The order in which Magento up to 2.4.7 sorts encoded names: runs of digits count as numbers, so `a2` stands before `a10`
//! (magento.md 2.6).

use std::cmp::Ordering;

/// Compares as PHP's `strnatcmp` does. Zeros that lead the whole text don't count; a number within it that begins with a
/// zero is compared digit by digit, as a fraction would be; any other by its value; all else by octet.
pub(crate) fn compare(one: &[u8], other: &[u8]) -> Ordering {
    let (mut one, mut other) = (without_leading_zeros(one), without_leading_zeros(other));
    loop {
        let (number, rest) = split_number(one);
        let (other_number, other_rest) = split_number(other);
        let (by, one_after, other_after) = if number.is_empty() || other_number.is_empty() {
            let (first, rest) = split_octet(one);
            let (other_first, other_rest) = split_octet(other);
            (first.cmp(&other_first), rest, other_rest)
        } else {
            (compare_numbers(number, other_number), rest, other_rest)
        };
        if by.is_ne() || one_after.is_empty() && other_after.is_empty() {
            return by;
        }
        (one, other) = (one_after, other_after);
    }
}

fn compare_numbers(one: &[u8], other: &[u8]) -> Ordering {
    if one.starts_with(b"0") || other.starts_with(b"0") {
        one.cmp(other)
    } else {
        one.len().cmp(&other.len()).then_with(|| one.cmp(other))
    }
}

/// Without the zeros that stand before another digit.
fn without_leading_zeros(text: &[u8]) -> &[u8] {
    let mut text = text;
    while let [b'0', b'0'..=b'9', ..] = text {
        (_, text) = split_octet(text);
    }
    text
}

/// The digits that `text` begins with, and what follows.
fn split_number(text: &[u8]) -> (&[u8], &[u8]) {
    let digits = text.iter().take_while(|octet| octet.is_ascii_digit()).count();
    text.split_at(digits)
}

/// The first octet, and what follows; the end of a text stands before all octets.
fn split_octet(text: &[u8]) -> (Option<u8>, &[u8]) {
    match text.split_first() {
        Some((first, rest)) => (Some(*first), rest),
        None => (None, text),
    }
}
