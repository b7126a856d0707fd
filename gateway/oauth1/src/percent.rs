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

/// A text as it came: what already is the encoding of its octets is borrowed as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire<'a> {
    /// Nothing but letters, digits and `-._~`.
    Plain(&'a [u8]),
    /// Canonical, with escapes.
    Escaped(&'a [u8]),
    /// Anything else.
    Raw(&'a [u8]),
}

impl<'a> Wire<'a> {
    /// What `text` is.
    pub(crate) fn of(text: &'a [u8]) -> Self {
        match Self::split(text) {
            (wire, []) => wire,
            _ => Self::Raw(text),
        }
    }

    /// The longest canonical beginning of `text`, and what follows it.
    #[inline]
    pub(crate) fn split(text: &'a [u8]) -> (Self, &'a [u8]) {
        let plain = unreserved_len(text);
        let len = if text.get(plain) == Some(&b'%') {
            canonical_len(text, plain)
        } else {
            plain
        };
        let (canonical, rest) = text.split_at(len);
        if len == plain {
            (Self::Plain(canonical), rest)
        } else {
            (Self::Escaped(canonical), rest)
        }
    }

    /// Whether it stands for itself.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// As it stands.
    pub(crate) fn octets(&self) -> &'a [u8] {
        match self {
            Self::Plain(octets) | Self::Escaped(octets) | Self::Raw(octets) => octets,
        }
    }
}

/// Name and value in canonical encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CanonicalPair<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) value: &'a [u8],
    /// Whether neither holds an escape, so that encoding them once more changes nothing.
    pub(crate) is_plain: bool,
}

impl<'a> CanonicalPair<'a> {
    /// The longest canonical beginnings of a name, and of what follows it and `separator`; and what follows them. `None`: no
    /// separator stands there.
    #[inline]
    pub(crate) fn split<const N: usize>(text: &'a [u8], separator: [u8; N]) -> Option<(Self, &'a [u8])> {
        let (name, rest) = Wire::split(text);
        let (value, rest) = Wire::split(rest.strip_prefix(separator.as_slice())?);
        let pair = Self {
            name: name.octets(),
            value: value.octets(),
            is_plain: name.is_plain() && value.is_plain(),
        };
        Some((pair, rest))
    }
}

/// Appends the encoded octets.
pub(crate) fn encode_into(octets: &[u8], out: &mut Vec<u8>) {
    let mut rest = octets;
    loop {
        let (plain, special) = rest.split_at(unreserved_len(rest));
        out.extend_from_slice(plain);
        let Some((octet, tail)) = special.split_first() else {
            return;
        };
        escape_into(*octet, out);
        rest = tail;
    }
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

/// Appends the canonical encoding of what `wire` decodes to: decoded exactly once, encoded again (C25, C28).
pub(crate) fn canonicalise_into(wire: &[u8], decoding: Decoding, out: &mut Vec<u8>) -> Result<(), Problem> {
    out.reserve(wire.len() * ESCAPE_LENGTH);
    let mut rest = wire;
    loop {
        let (plain, special) = rest.split_at(unreserved_len(rest));
        out.extend_from_slice(plain);
        let Some((octet, tail)) = special.split_first() else {
            return Ok(());
        };
        let (decoded, after) = match (*octet, escaped(tail)) {
            (b'%', Some(decoded)) => decoded,
            (b'%', None) if decoding == Decoding::Header => return Err(Problem::Malformed),
            (b'+', _) if decoding == Decoding::Form => (b' ', tail),
            (octet, _) => (octet, tail),
        };
        if is_unreserved(decoded) {
            out.push(decoded);
        } else {
            escape_into(decoded, out);
        }
        rest = after;
    }
}

/// Appends the octets that a text stands for; a broken escape, and a `+`, stand for themselves.
pub(crate) fn decode_into(encoded: &[u8], out: &mut Vec<u8>) {
    out.reserve(encoded.len());
    let mut rest = encoded;
    loop {
        let (plain, special) = rest.split_at(unreserved_len(rest));
        out.extend_from_slice(plain);
        let Some((octet, tail)) = special.split_first() else {
            return;
        };
        let escape = if *octet == b'%' { escaped(tail) } else { None };
        let (decoded, after) = escape.unwrap_or((*octet, tail));
        out.push(decoded);
        rest = after;
    }
}

/// Whether a wire text decodes to UTF-8.
pub(crate) fn is_utf8(wire: &Wire<'_>) -> bool {
    let mut decoded = Vec::new();
    wire.is_plain() || {
        decode_into(wire.octets(), &mut decoded);
        std::str::from_utf8(&decoded).is_ok()
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

/// Octets at the beginning of `text` that [`encode`] could have made; the first `plain` of them stand for themselves.
#[inline(never)]
fn canonical_len(text: &[u8], plain: usize) -> usize {
    let mut len = plain;
    while let Some([b'%', high, low, after @ ..]) = text.get(len..)
        && let (Some(high), Some(low)) = (upper_hex_value(*high), upper_hex_value(*low))
        && !is_unreserved(high << 4 | low)
    {
        len += ESCAPE_LENGTH + unreserved_len(after);
    }
    len
}

/// Octets at the beginning of `text` that stand for themselves.
fn unreserved_len(text: &[u8]) -> usize {
    let (chunks, rest) = text.as_chunks::<CHUNK>();
    for (at, chunk) in chunks.iter().enumerate() {
        let within = count_unreserved(chunk);
        if within < CHUNK {
            return at * CHUNK + within;
        }
    }
    chunks.len() * CHUNK + count_unreserved(rest)
}

#[inline]
fn count_unreserved(text: &[u8]) -> usize {
    text.iter().take_while(|octet| is_unreserved(**octet)).count()
}

fn is_unreserved(octet: u8) -> bool {
    UNRESERVED.get(usize::from(octet)).is_some_and(|unreserved| *unreserved)
}

/// Octets that are looked at together.
const CHUNK: usize = 8;

/// `%XX`
const ESCAPE_LENGTH: usize = 3;

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
        assert_eq!(Wire::of(b""), Wire::Plain(b""));
        assert_eq!(Wire::of(b"abc-._~"), Wire::Plain(b"abc-._~"));
        for wire in ["%5B%5D", "%5B", "a%5Bb%5D", "a%20"] {
            assert_eq!(Wire::of(wire.as_bytes()), Wire::Escaped(wire.as_bytes()), "{wire}");
        }
        for wire in ["%5b", "%41", "a b", "a+b", "%", "%4", "%zz", "%20%", "%20%7E", "a%2"] {
            assert_eq!(Wire::of(wire.as_bytes()), Wire::Raw(wire.as_bytes()), "{wire}");
        }
    }

    #[test]
    fn a_canonical_beginning_ends_where_work_begins() {
        let plain = Wire::split(b"oauth_nonce=\"x\"");
        let escaped = Wire::split(b"a%2Fb%2f");

        assert_eq!(plain, (Wire::Plain(b"oauth_nonce"), &b"=\"x\""[..]));
        assert_eq!(escaped, (Wire::Escaped(b"a%2Fb"), &b"%2f"[..]));
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
    fn only_a_percent_sign_begins_an_escape() {
        let mut decoded = Vec::new();
        decode_into(b"@42%42+41", &mut decoded);
        assert_eq!(decoded, b"@42B+41");
        assert!(is_utf8(&Wire::of(b"@ff")));
    }

    #[test]
    fn a_prefix_is_seen_through_its_escapes() {
        assert!(form_starts_with(b"%6Fauth%5ftoken", b"oauth_"));
        assert!(!form_starts_with(b"oauth", b"oauth_"));
        assert!(!form_starts_with(b"%256Fauth_", b"oauth_"));
    }
}
