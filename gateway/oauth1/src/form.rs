//! Query and form: the fields between `&`, each split at its first `=` (RFC 5849 section 3.4.1.3.1; C28, C34, C35).

use crate::percent::{self, CanonicalPair, Wire};

/// Name and value of each field, still encoded; a field without `=` has an empty value.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Of a query or a form body.
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }

    /// The next field, read once, if it is written as most are: name and value in canonical encoding round a `=`. Takes
    /// nothing else.
    #[inline]
    pub(crate) fn next_usual(&mut self) -> Option<CanonicalPair<'a>> {
        self.skip_ampersands();
        let (pair, rest) = CanonicalPair::split(self.rest, *b"=")?;
        if !matches!(rest, [] | [b'&', ..]) {
            return None;
        }
        self.rest = rest;
        Some(pair)
    }

    #[inline]
    fn skip_ampersands(&mut self) {
        while let [b'&', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Wire<'a>, Wire<'a>);

    #[inline(never)]
    fn next(&mut self) -> Option<Self::Item> {
        self.skip_ampersands();
        if self.rest.is_empty() {
            return None;
        }
        let (field, rest) = split_before(b'&', self.rest);
        let (name, value) = split_before(b'=', field);
        self.rest = rest;
        Some((Wire::of(name), Wire::of(value.get(1..).unwrap_or_default())))
    }
}

/// Whether any name begins with `oauth_` once decoded (C2).
pub fn mentions_oauth(text: &[u8]) -> bool {
    Fields::new(text).any(|(name, _)| percent::form_starts_with(name.octets(), b"oauth_"))
}

fn split_before(separator: u8, text: &[u8]) -> (&[u8], &[u8]) {
    let at = text.iter().position(|octet| *octet == separator);
    text.split_at(at.unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Vec<(&[u8], &[u8])> {
        let all: Vec<_> = Fields::new(text.as_bytes())
            .map(|(name, value)| (name.octets(), value.octets()))
            .collect();
        let mut fields = Fields::new(text.as_bytes());
        let either = std::iter::from_fn(|| match fields.next_usual() {
            Some(pair) => Some((pair.name, pair.value)),
            None => fields.next().map(|(name, value)| (name.octets(), value.octets())),
        });
        assert_eq!(either.collect::<Vec<_>>(), all, "both ways to read agree on {text}");
        all
    }

    #[test]
    fn fields_are_split_at_ampersands_and_at_their_first_equals_sign() {
        assert_eq!(fields("a=b&c=d"), [(&b"a"[..], &b"b"[..]), (b"c", b"d")]);
        assert_eq!(fields("q=a=b&a+b=+"), [(&b"q"[..], &b"a=b"[..]), (b"a+b", b"+")]);
        assert_eq!(fields("a;b=c;d"), [(&b"a;b"[..], &b"c;d"[..])]);
    }

    #[test]
    fn a_name_alone_has_an_empty_value_and_a_value_alone_an_empty_name() {
        assert_eq!(fields("a&b="), [(&b"a"[..], &b""[..]), (b"b", b"")]);
        assert_eq!(fields("=v&="), [(&b""[..], &b"v"[..]), (b"", b"")]);
        assert_eq!(fields("a+&b"), [(&b"a+"[..], &b""[..]), (b"b", b"")]);
    }

    #[test]
    fn nothing_stands_between_two_ampersands() {
        assert_eq!(fields("&&a&&&b&"), [(&b"a"[..], &b""[..]), (b"b", b"")]);
        assert_eq!(fields(""), []);
        assert_eq!(fields("&"), []);
    }

    #[test]
    fn a_name_of_oauth_is_seen_through_its_escapes_and_only_there() {
        for text in ["a=b&oauth_token", "%6Fauth%5ftoken=x", "oauth_=", "&&oauth_x&"] {
            assert!(mentions_oauth(text.as_bytes()), "{text}");
        }
        for text in [
            "oauth=1",
            "a=oauth_token",
            "xoauth_token=1",
            "OAuth_token=1",
            "%256Fauth_token=1",
            "",
        ] {
            assert!(!mentions_oauth(text.as_bytes()), "{text}");
        }
    }
}
