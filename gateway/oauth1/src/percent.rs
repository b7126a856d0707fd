//! Percent-encoding as OAuth has it (RFC 5849 section 3.6): only letters, digits and `-._~` stand for themselves.

use crate::Problem;

/// Encodes octets; the hex digits are upper case (C24, C25).
pub fn encode(octets: &[u8]) -> String {
    let mut encoded = Vec::with_capacity(octets.len());
    encode_into(octets, &mut encoded);
    String::from_utf8_lossy(&encoded).into_owned()
}

/// How a wire text becomes octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decoding {
    /// In the `Authorization` header: `+` is a plus, a broken escape is an error (C4, C5).
    Header,
    /// In query and form, by the HTML form rule: `+` is a space, a broken escape stands for itself (C28).
    Form,
}

/// Appends the encoded octets.
pub(crate) fn encode_into(octets: &[u8], out: &mut Vec<u8>) {
    let mut rest = octets;
    while let Some(at) = rest.iter().position(|octet| !is_unreserved(*octet)) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((octet, tail)) = special.split_first() else {
            return;
        };
        escape_into(*octet, out);
        rest = tail;
    }
    out.extend_from_slice(rest);
}

/// Appends text that is encoded already, encoded once more: only its `%` change.
pub(crate) fn encode_encoded_into(encoded: &[u8], out: &mut Vec<u8>) {
    let mut pieces = encoded.split(|octet| *octet == b'%');
    out.extend_from_slice(pieces.next().unwrap_or_default());
    for piece in pieces {
        out.extend_from_slice(b"%25");
        out.extend_from_slice(piece);
    }
}

/// Whether a wire text is already what [`encode`] makes of its decoded octets, so that it can be borrowed as it is.
pub(crate) fn is_canonical(wire: &[u8]) -> bool {
    let mut rest = wire;
    loop {
        match rest {
            [] => return true,
            [b'%', high, low, tail @ ..] => match (upper_hex_value(*high), upper_hex_value(*low)) {
                (Some(high), Some(low)) if !is_unreserved(high << 4 | low) => rest = tail,
                _ => return false,
            },
            [octet, tail @ ..] if is_unreserved(*octet) => rest = tail,
            _ => return false,
        }
    }
}

/// Appends the canonical encoding of what `wire` decodes to: decoded exactly once, encoded again (C25, C28).
pub(crate) fn canonicalise_into(wire: &[u8], decoding: Decoding, out: &mut Vec<u8>) -> Result<(), Problem> {
    let mut rest = wire;
    while let Some((octet, tail)) = rest.split_first() {
        let mut decoded = *octet;
        rest = tail;
        if decoded == b'%' {
            match escaped(tail) {
                Some((value, after)) => (decoded, rest) = (value, after),
                None if decoding == Decoding::Header => return Err(Problem::Malformed),
                None => {}
            }
        } else if decoded == b'+' && decoding == Decoding::Form {
            decoded = b' ';
        }
        if is_unreserved(decoded) {
            out.push(decoded);
        } else {
            escape_into(decoded, out);
        }
    }
    Ok(())
}

/// Appends the octets of a text that [`encode`] made.
pub(crate) fn decode_into(encoded: &[u8], out: &mut Vec<u8>) {
    let mut rest = encoded;
    while let Some((octet, tail)) = rest.split_first() {
        let escape = if *octet == b'%' { escaped(tail) } else { None };
        let (decoded, after) = escape.unwrap_or((*octet, tail));
        out.push(decoded);
        rest = after;
    }
}

/// The first octets that `wire` decodes to by the form rule, compared with `prefix`.
pub(crate) fn form_starts_with(wire: &[u8], prefix: &[u8]) -> bool {
    let mut rest = wire;
    for expected in prefix {
        let Some((octet, tail)) = rest.split_first() else {
            return false;
        };
        let escape = if *octet == b'%' { escaped(tail) } else { None };
        let (decoded, after) = escape.unwrap_or((*octet, tail));
        if decoded != *expected {
            return false;
        }
        rest = after;
    }
    true
}

/// The octet of the two hex digits that `text` begins with, and what follows them.
fn escaped(text: &[u8]) -> Option<(u8, &[u8])> {
    match text {
        [high, low, tail @ ..] => Some((hex_value(*high)? << 4 | hex_value(*low)?, tail)),
        _ => None,
    }
}

fn escape_into(octet: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'%', hex_digit(octet >> 4), hex_digit(octet & 0xf)]);
}

fn hex_digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'A' + (value - 10) }
}

fn hex_value(digit: u8) -> Option<u8> {
    upper_hex_value(digit.to_ascii_uppercase())
}

fn upper_hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

pub(crate) fn is_unreserved(octet: u8) -> bool {
    UNRESERVED.get(usize::from(octet)).is_some_and(|unreserved| *unreserved)
}

const UNRESERVED: [bool; 256] = {
    let mut table = [false; 256];
    let mut octet = 0_u8;
    loop {
        #[expect(clippy::indexing_slicing, reason = "an octet is below 256; evaluated when compiling")]
        {
            table[octet as usize] = octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~');
        }
        if octet == u8::MAX {
            break table;
        }
        octet += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canonical_text_is_one_that_encodes_to_itself() {
        for (wire, canonical) in [
            ("abc-._~", true),
            ("%5B%5D", true),
            ("%5b", false),
            ("%41", false),
            ("a b", false),
            ("a+b", false),
            ("%", false),
            ("%4", false),
            ("%zz", false),
        ] {
            assert_eq!(is_canonical(wire.as_bytes()), canonical, "{wire}");
        }
    }

    #[test]
    fn a_broken_escape_stands_for_itself_in_a_form_only() {
        let mut form = Vec::new();
        assert_eq!(canonicalise_into(b"100%+%g1%", Decoding::Form, &mut form), Ok(()));
        assert_eq!(form, b"100%25%20%25g1%25");
        assert_eq!(
            canonicalise_into(b"100%", Decoding::Header, &mut Vec::new()),
            Err(Problem::Malformed)
        );
        assert_eq!(
            canonicalise_into(b"%G1", Decoding::Header, &mut Vec::new()),
            Err(Problem::Malformed)
        );
    }

    #[test]
    fn a_plus_is_a_space_in_a_form_only() {
        let (mut form, mut header) = (Vec::new(), Vec::new());
        assert_eq!(canonicalise_into(b"a+b", Decoding::Form, &mut form), Ok(()));
        assert_eq!(canonicalise_into(b"a+b", Decoding::Header, &mut header), Ok(()));
        assert_eq!((form.as_slice(), header.as_slice()), (&b"a%20b"[..], &b"a%2Bb"[..]));
    }

    #[test]
    fn a_prefix_is_seen_through_its_escapes() {
        assert!(form_starts_with(b"%6Fauth%5ftoken", b"oauth_"));
        assert!(!form_starts_with(b"oauth", b"oauth_"));
        assert!(!form_starts_with(b"%256Fauth_", b"oauth_"));
    }
}
