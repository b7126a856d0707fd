//! E95 to E101: the form of the signature's value. Every form is a decoding, so it is read, not searched.

use base64::Engine;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::source::decode;
use crate::Placement;

/// One reading of a value: the octets it stands for, and the mistakes in its form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) octets: Vec<u8>,
    /// Rows, each with those that look the same.
    pub(super) forms: Vec<(u8, Vec<u8>)>,
}

/// Every reading; `is_length` says which numbers of octets a signature may have.
pub(super) fn readings(value: &[u8], placement: Placement, is_length: impl Fn(usize) -> bool) -> Vec<Reading> {
    let mut forms = Vec::new();
    let mut value = value.to_vec();
    if value.windows(3).any(is_escape) {
        value = decode(&value);
        forms.push((98, Vec::new()));
    }
    let is_header = placement == Placement::Header;
    let trimmed: Vec<u8> = value
        .iter()
        .filter(|octet| !matches!(octet, b'\r' | b'\n' | b'\t') && (**octet != b' ' || !is_header))
        .copied()
        .collect();
    if trimmed.len() < value.len() {
        forms.push((101, Vec::new()));
        value = trimmed;
    }
    if value.contains(&b' ') {
        for octet in value.iter_mut().filter(|octet| **octet == b' ') {
            *octet = b'+';
        }
        forms.push((99, Vec::new()));
    }
    let mut found = Vec::new();
    let mut push = |octets: Vec<u8>, more: &[(u8, Vec<u8>)]| {
        if is_length(octets.len()) {
            let forms = [forms.as_slice(), more].concat();
            found.push(Reading { octets, forms });
        }
    };
    if let Some(octets) = hex(&value) {
        push(octets, &[(95, Vec::new())]);
    }
    let (standard, alphabet) = to_standard(&value);
    if let Ok(octets) = LENIENT.decode(&standard) {
        let inner = hex(&octets).or_else(|| LENIENT.decode(&octets).ok());
        if let Some(inner) = inner {
            push(inner, &[alphabet.clone(), vec![(100, Vec::new())]].concat());
        }
        push(octets, &alphabet);
    }
    found
}

/// The value in the standard alphabet, and what was wrong with its own.
fn to_standard(value: &[u8]) -> (Vec<u8>, Vec<(u8, Vec<u8>)>) {
    let is_url_safe = value.iter().any(|octet| matches!(octet, b'-' | b'_'));
    let lacks_padding = !value.len().is_multiple_of(4);
    let standard = value.iter().map(|octet| match octet {
        b'-' => b'+',
        b'_' => b'/',
        other => *other,
    });
    let forms = match (is_url_safe, lacks_padding) {
        (true, true) => vec![(96, vec![97])],
        (true, false) => vec![(96, Vec::new())],
        // Nothing in it tells the alphabets apart when neither of the two characters occurs.
        (false, true) if value.iter().any(|octet| matches!(octet, b'+' | b'/')) => vec![(97, Vec::new())],
        (false, true) => vec![(97, vec![96])],
        (false, false) => Vec::new(),
    };
    (standard.collect(), forms)
}

fn hex(value: &[u8]) -> Option<Vec<u8>> {
    let digit = |octet: u8| {
        char::from(octet)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let (pairs, rest) = value.as_chunks::<2>();
    let octets = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    octets.collect::<Option<Vec<_>>>().filter(|_| rest.is_empty())
}

fn is_escape(text: &[u8]) -> bool {
    matches!(text, [b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf abc | openssl sha1 -binary`, in each form.
    const DIGEST: &str = "a9993e364706816aba3e25717850c26c9cd0d89d";

    fn forms(value: &str, placement: Placement) -> Vec<u8> {
        let readings = readings(value.as_bytes(), placement, |length| length == 20);
        let [reading] = readings.as_slice() else {
            panic!("{value}: {readings:?}")
        };
        assert_eq!(Some(reading.octets.clone()), hex(DIGEST.as_bytes()));
        reading.forms.iter().map(|(row, _)| *row).collect()
    }

    #[test]
    fn each_form_is_read_off_the_value() {
        for (value, expected) in [
            ("qZk+NkcGgWq6PiVxeFDCbJzQ2J0=", &[][..]),
            (DIGEST, &[95]),
            ("A9993E364706816ABA3E25717850C26C9CD0D89D", &[95]),
            ("qZk-NkcGgWq6PiVxeFDCbJzQ2J0=", &[96]),
            ("qZk+NkcGgWq6PiVxeFDCbJzQ2J0", &[97]),
            ("qZk%2BNkcGgWq6PiVxeFDCbJzQ2J0%3D", &[98]),
            ("YTk5OTNlMzY0NzA2ODE2YWJhM2UyNTcxNzg1MGMyNmM5Y2QwZDg5ZA==", &[100]),
            ("cVprK05rY0dnV3E2UGlWeGVGRENiSnpRMkowPQ==", &[100]),
            ("qZk+NkcGgWq6PiVxeFDCbJzQ2J0=\n", &[101]),
        ] {
            assert_eq!(forms(value, Placement::Header), expected, "{value}");
        }
        assert_eq!(forms("qZk NkcGgWq6PiVxeFDCbJzQ2J0=", Placement::Query), [99]);
    }
}
