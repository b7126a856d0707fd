//! The percent-encoders that clients use in place of RFC 5849 section 3.6.

use crate::percent;

/// How octets become part of a base string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoder {
    /// RFC 5849 section 3.6.
    Rfc,
    /// Nothing is encoded.
    Nothing,
    /// JavaScript's `encodeURIComponent`.
    UriComponent,
    /// JavaScript's `encodeURI`.
    Uri,
    /// `~` encoded.
    Tilde,
    /// Hex digits in lower case.
    LowerHex,
    /// A space as `+`.
    Plus,
    /// PHP's `urlencode`.
    PhpUrlencode,
    /// `/` left.
    Slash,
    /// `java.net.URLEncoder`.
    Java,
    /// .NET's `HttpUtility.UrlEncode`.
    HttpUtility,
    /// .NET's `WebUtility.UrlEncode`.
    WebUtility,
}

impl Encoder {
    pub(super) fn encode_into(self, octets: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Rfc => percent::encode_into(octets, out),
            Self::Nothing => out.extend_from_slice(octets),
            Self::UriComponent => write(octets, "!*'()", Style::UPPER, out),
            Self::Uri => write(octets, ";,/?:@&=+$!*'()#", Style::UPPER, out),
            Self::Tilde => write(octets, "", Style::UPPER.with_tilde(), out),
            Self::LowerHex => write(octets, "", Style::LOWER, out),
            Self::Plus => write(octets, "", Style::UPPER.with_plus(), out),
            Self::PhpUrlencode => write(octets, "", Style::UPPER.with_plus().with_tilde(), out),
            Self::Slash => write(octets, "/", Style::UPPER, out),
            Self::Java => write(octets, "*", Style::UPPER.with_plus().with_tilde(), out),
            Self::HttpUtility => write(octets, "!*()", Style::LOWER.with_plus().with_tilde(), out),
            Self::WebUtility => write(octets, "!*()", Style::UPPER.with_plus().with_tilde(), out),
        }
    }

    pub(super) fn encode(self, octets: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(octets.len() + octets.len() / 2);
        self.encode_into(octets, &mut out);
        out
    }
}

#[derive(Clone, Copy)]
struct Style {
    digits: &'static [u8; 16],
    space_is_plus: bool,
    encodes_tilde: bool,
}

impl Style {
    const UPPER: Self = Self {
        digits: b"0123456789ABCDEF",
        space_is_plus: false,
        encodes_tilde: false,
    };
    const LOWER: Self = Self {
        digits: b"0123456789abcdef",
        ..Self::UPPER
    };

    const fn with_plus(self) -> Self {
        Self {
            space_is_plus: true,
            ..self
        }
    }

    const fn with_tilde(self) -> Self {
        Self {
            encodes_tilde: true,
            ..self
        }
    }
}

/// `left` stands for itself beside letters, digits and `-._`.
fn write(octets: &[u8], left: &str, style: Style, out: &mut Vec<u8>) {
    for octet in octets {
        let stands = match octet {
            b'~' => !style.encodes_tilde,
            b'-' | b'.' | b'_' => true,
            other => other.is_ascii_alphanumeric() || left.as_bytes().contains(other),
        };
        if stands {
            out.push(*octet);
        } else if *octet == b' ' && style.space_is_plus {
            out.push(b'+');
        } else {
            let digit = |half: u8| style.digits.get(usize::from(half)).copied().unwrap_or_default();
            out.extend_from_slice(&[b'%', digit(octet >> 4), digit(octet & 0xf)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// JavaScript's as Node prints them, `Slash` as Python's `quote`; the others as their documentation has them.
    #[test]
    fn each_encoder_is_that_of_its_language() {
        let text = "a~b c+d/e!*'()é".as_bytes();
        for (encoder, expected) in [
            (Encoder::Rfc, "a~b%20c%2Bd%2Fe%21%2A%27%28%29%C3%A9"),
            (Encoder::Nothing, "a~b c+d/e!*'()é"),
            (Encoder::UriComponent, "a~b%20c%2Bd%2Fe!*'()%C3%A9"),
            (Encoder::Uri, "a~b%20c+d/e!*'()%C3%A9"),
            (Encoder::PhpUrlencode, "a%7Eb+c%2Bd%2Fe%21%2A%27%28%29%C3%A9"),
            (Encoder::Java, "a%7Eb+c%2Bd%2Fe%21*%27%28%29%C3%A9"),
            (Encoder::HttpUtility, "a%7eb+c%2bd%2fe!*%27()%c3%a9"),
            (Encoder::WebUtility, "a%7Eb+c%2Bd%2Fe!*%27()%C3%A9"),
            (Encoder::Slash, "a~b%20c%2Bd/e%21%2A%27%28%29%C3%A9"),
            (Encoder::Tilde, "a%7Eb%20c%2Bd%2Fe%21%2A%27%28%29%C3%A9"),
            (Encoder::LowerHex, "a~b%20c%2bd%2fe%21%2a%27%28%29%c3%a9"),
            (Encoder::Plus, "a~b+c%2Bd%2Fe%21%2A%27%28%29%C3%A9"),
        ] {
            assert_eq!(String::from_utf8_lossy(&encoder.encode(text)), expected, "{encoder:?}");
        }
    }
}
