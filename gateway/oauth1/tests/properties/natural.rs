//! Magento's sort order (magento.md 2.6), compared with a model that turns a text into a key which sorts by itself.

use oauth1::{BaseForm, base_string};
use proptest::prelude::*;

use crate::strategies::request;

/// A text as a list that sorts as the natural order does. A number stands among the other octets where its digits do; one
/// with a leading zero comes before all others, digit by digit; of the others the longer is the greater.
fn key(text: &str) -> Vec<(u8, usize, String)> {
    let is_number = |text: &str| text.starts_with(|first: char| first.is_ascii_digit());
    let mut text = text;
    while let Some(rest) = text.strip_prefix('0').filter(|rest| is_number(rest)) {
        text = rest;
    }
    let mut key = Vec::new();
    while !text.is_empty() {
        let length = if is_number(text) {
            text.find(|octet: char| !octet.is_ascii_digit()).unwrap_or(text.len())
        } else {
            1
        };
        let (token, rest) = text.split_at(length);
        let size = if token.starts_with('0') { 0 } else { length };
        let place = if is_number(token) { b'0' } else { token.as_bytes()[0] };
        key.push((place, size, token.to_owned()));
        text = rest;
    }
    key
}

const NATURAL: BaseForm = BaseForm {
    magento_sort: true,
    magento_host: false,
    collapse_identical_pairs: false,
    raw_body_hash: false,
};

proptest! {
    #[test]
    fn the_natural_order_is_that_of_the_model(
        request in request(),
        names in proptest::collection::vec("[ab0-9\\[\\]%.-]{0,6}|[a0-9]{1,3}", 0..40),
        seed: u64,
    ) {
        let mut request = request;
        request.query.extend(names.into_iter().map(|name| (name.into_bytes(), b"1".to_vec())));
        let wire = request.write(seed);

        let base = base_string::of(&wire.parts(), NATURAL);

        let expected = request.base_string_sorted_by(|pairs| {
            pairs.sort();
            pairs.sort_by_key(|(name, value)| (key(name), key(value)));
        });
        prop_assert_eq!(base.map(|base| String::from_utf8_lossy(&base).into_owned()), Ok(expected));
    }
}

#[test]
fn the_model_sorts_as_published() {
    for (less, greater) in [
        ("a2", "a10"),
        ("a02", "a1"),
        ("a9", "b"),
        ("a", "a0"),
        ("a01", "a1"),
        ("a-1", "a1"),
        ("7", "010"),
    ] {
        assert!(key(less) < key(greater), "{less} {greater}");
    }
    assert_eq!(key("007"), key("7"));
}
