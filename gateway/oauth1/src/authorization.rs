//! The `Authorization` header: which scheme it holds, and the pairs of the `OAuth` one (RFC 5849 section 3.5.1, C3 to C8).

use crate::{
    Problem,
    percent::{CanonicalPair, Wire},
};

/// What an `Authorization` header holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Authorization<'a> {
    /// Nothing that concerns OAuth: no header, or another scheme (C10).
    Other,
    /// A bearer token.
    Bearer,
    /// `OAuth`, and what follows it.
    OAuth(&'a [u8]),
    /// Two schemes: never pick one of them (C8).
    Several,
}

impl<'a> Authorization<'a> {
    /// Reads the scheme, in any letter case (C3).
    pub(crate) fn read(header: Option<&'a [u8]>) -> Self {
        let Some(header) = header else { return Self::Other };
        let header = header.trim_ascii();
        let end = header
            .iter()
            .position(|octet| is_separator(*octet))
            .unwrap_or(header.len());
        let (scheme, rest) = header.split_at(end);
        if scheme.eq_ignore_ascii_case(b"OAuth") {
            Self::OAuth(rest)
        } else if holds_second_scheme(rest) {
            Self::Several
        } else if scheme.eq_ignore_ascii_case(b"Bearer") {
            Self::Bearer
        } else {
            Self::Other
        }
    }
}

/// One `name=value` of the header, still encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair<'a> {
    pub(crate) name: Wire<'a>,
    pub(crate) value: Wire<'a>,
    /// Whether the value stood in quotes and holds a backslash: legal in `realm` alone (C6).
    pub(crate) holds_backslash: bool,
}

/// The pairs of an `OAuth` header. Empty elements are skipped, values may be unquoted (C5).
#[derive(Clone, Debug)]
pub(crate) struct Pairs<'a> {
    rest: &'a [u8],
}

impl<'a> Pairs<'a> {
    /// Of what follows the scheme.
    pub(crate) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// The next pair, read once, if it is written as almost all are: an `oauth_*` in canonical encoding, quoted, nothing but a
    /// comma behind it. Takes nothing else.
    #[inline]
    pub(crate) fn next_usual(&mut self) -> Option<CanonicalPair<'a>> {
        self.skip_separators();
        let (pair, rest) = CanonicalPair::split(self.rest, *b"=\"")?;
        let rest = rest.strip_prefix(b"\"")?;
        if !pair.name.starts_with(b"oauth_") || !matches!(rest, [] | [b',', ..]) {
            return None;
        }
        self.rest = rest;
        Some(pair)
    }

    /// The next pair, however it is written.
    #[inline(never)]
    pub(crate) fn next(&mut self) -> Result<Option<Pair<'a>>, Problem> {
        self.skip_separators();
        if self.rest.is_empty() {
            return Ok(None);
        }
        let end = self
            .rest
            .iter()
            .position(|octet| is_separator(*octet) || matches!(octet, b'=' | b'"'));
        let (name, rest) = self.rest.split_at(end.ok_or(Problem::Malformed)?);
        let Some((b'=', rest)) = skip_white_space(rest).split_first() else {
            return Err(Problem::Malformed);
        };
        if name.is_empty() {
            return Err(Problem::Malformed);
        }
        let rest = skip_white_space(rest);
        let (value, holds_backslash, rest) = match rest.split_first() {
            Some((b'"', quoted)) => quoted_value(quoted)?,
            _ => unquoted_value(rest)?,
        };
        self.rest = rest;
        Ok(Some(Pair {
            name: Wire::of(name),
            value: Wire::of(value),
            holds_backslash,
        }))
    }

    #[inline]
    fn skip_separators(&mut self) {
        while let [b' ' | b'\t' | b',', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }
}

/// A value up to its closing quote, whether it holds a backslash, and what follows the element.
fn quoted_value(quoted: &[u8]) -> Result<(&[u8], bool, &[u8]), Problem> {
    let mut holds_backslash = false;
    let mut is_escaped = false;
    let end = quoted.iter().position(|octet| match octet {
        _ if is_escaped => {
            is_escaped = false;
            false
        }
        b'\\' => {
            (is_escaped, holds_backslash) = (true, true);
            false
        }
        octet => *octet == b'"',
    });
    let (value, rest) = quoted.split_at(end.ok_or(Problem::Malformed)?);
    match skip_white_space(rest.get(1..).unwrap_or_default()) {
        rest @ ([] | [b',', ..]) => Ok((value, holds_backslash, rest)),
        _ => Err(Problem::Malformed),
    }
}

/// A value up to the next comma. White space or a quote inside would be a second scheme or a broken list.
fn unquoted_value(rest: &[u8]) -> Result<(&[u8], bool, &[u8]), Problem> {
    let end = rest.iter().position(|octet| *octet == b',').unwrap_or(rest.len());
    let (value, rest) = rest.split_at(end);
    let value = value.trim_ascii_end();
    if value.iter().any(|octet| matches!(octet, b' ' | b'\t' | b'"')) {
        return Err(Problem::Malformed);
    }
    Ok((value, false, rest))
}

/// Whether another scheme stands in what follows the first: a word and its credentials behind a comma, or `OAuth`
/// anywhere outside of quotes.
fn holds_second_scheme(rest: &[u8]) -> bool {
    let mut is_quoted = false;
    let mut is_escaped = false;
    let elements = rest.split(|octet| {
        is_quoted ^= *octet == b'"' && !is_escaped;
        is_escaped = is_quoted && *octet == b'\\' && !is_escaped;
        *octet == b',' && !is_quoted
    });
    elements.enumerate().any(|(at, element)| {
        let unquoted = element.split(|octet| *octet == b'"').next().unwrap_or_default();
        let mut words = unquoted
            .split(|octet| matches!(octet, b' ' | b'\t'))
            .filter(|word| !word.is_empty());
        let is_oauth = words.clone().any(|word| word.eq_ignore_ascii_case(b"OAuth"));
        let is_first_a_name = words.next().is_some_and(|first| !first.contains(&b'='));
        let is_followed = words.next().is_some_and(|second| !second.starts_with(b"="));
        is_oauth || at > 0 && is_first_a_name && is_followed
    })
}

fn is_separator(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b',')
}

fn skip_white_space(text: &[u8]) -> &[u8] {
    text.trim_ascii_start()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(header: &str) -> Result<Vec<(String, String)>, Problem> {
        let Authorization::OAuth(rest) = Authorization::read(Some(header.as_bytes())) else {
            panic!("not an OAuth header: {header}")
        };
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let mut pairs = Pairs::new(rest);
        let mut all = Vec::new();
        while let Some(pair) = pairs.next()? {
            all.push((text(pair.name.octets()), text(pair.value.octets())));
        }
        Ok(all)
    }

    fn one(name: &str, value: &str) -> Vec<(String, String)> {
        vec![(name.to_owned(), value.to_owned())]
    }

    #[test]
    fn the_scheme_is_read_in_any_letter_case_and_spacing() {
        for header in [
            "OAuth a=\"b\"",
            "oauth a=\"b\"",
            "OAUTH \t a=\"b\"",
            "OAuth, a=\"b\"",
            "OAuth,a=\"b\"",
        ] {
            assert_eq!(pairs(header), Ok(one("a", "b")), "{header}");
        }
    }

    #[test]
    fn empty_elements_a_trailing_comma_and_unquoted_values_are_tolerated() {
        for header in [
            "OAuth ,,a=\"b\" , ,",
            "OAuth a=b",
            "OAuth a = b ,",
            "OAuth a =\t\"b\"\t,",
        ] {
            assert_eq!(pairs(header), Ok(one("a", "b")), "{header}");
        }
    }

    #[test]
    fn raw_base64_is_taken_as_it_stands() {
        assert_eq!(pairs("OAuth a=x+/y=="), Ok(one("a", "x+/y==")));
        assert_eq!(pairs("OAuth a=\"x+/y==\""), Ok(one("a", "x+/y==")));
    }

    #[test]
    fn broken_lists_are_malformed() {
        for header in [
            "OAuth a",
            "OAuth =\"b\"",
            "OAuth a=\"b",
            "OAuth a=\"b\\\"",
            "OAuth a=\"b\" c=\"d\"",
            "OAuth a=\"b\"c",
            "OAuth a=b\"c",
            "OAuth \"a\"=\"b\"",
            "OAuth a=\"b\", Basic dXNlcg==",
            "OAuth a=\"b\", Bearer abc",
            "OAuth a=b, Basic",
            "OAuth a=b OAuth c=d",
        ] {
            assert_eq!(pairs(header), Err(Problem::Malformed), "{header}");
        }
    }

    #[test]
    fn a_quoted_pair_is_kept_within_its_value_and_told() {
        let mut pairs = Pairs::new(b" realm=\"a\\\"b,c\", x=\"1\"");

        let (first, second, third) = (pairs.next(), pairs.next(), pairs.next());

        let realm = Pair {
            name: Wire::Plain(b"realm"),
            value: Wire::Raw(b"a\\\"b,c"),
            holds_backslash: true,
        };
        let other = Pair {
            name: Wire::Plain(b"x"),
            value: Wire::Plain(b"1"),
            holds_backslash: false,
        };
        assert_eq!((first, second, third), (Ok(Some(realm)), Ok(Some(other)), Ok(None)));
    }

    #[test]
    fn only_what_needs_no_work_is_usual() {
        let mut pairs = Pairs::new(b" oauth_a=\"b%2F\",oauth_b=\"\"");
        let first = CanonicalPair {
            name: b"oauth_a",
            value: b"b%2F",
            is_plain: false,
        };
        let second = CanonicalPair {
            name: b"oauth_b",
            value: b"",
            is_plain: true,
        };
        assert_eq!(pairs.next_usual(), Some(first));
        assert_eq!(pairs.next_usual(), Some(second));
        assert_eq!(pairs.next_usual(), None);

        for header in [
            " realm=\"x\"",
            " oauth_a=b",
            " oauth_a =\"b\"",
            " oauth_a=\"b\" ,",
            " oauth_a=\"b%2f\"",
            " oauth_a=\"b",
        ] {
            let mut pairs = Pairs::new(header.as_bytes());
            assert_eq!(pairs.next_usual(), None, "{header}");
            assert_eq!(pairs.rest, header.trim_start().as_bytes(), "{header}");
        }
    }

    #[test]
    fn other_schemes_are_told_apart() {
        let read = |header: &'static str| Authorization::read(Some(header.as_bytes()));
        assert_eq!(read("Basic dXNlcg=="), Authorization::Other);
        assert_eq!(read("bearer abc"), Authorization::Bearer);
        assert_eq!(read("Digest username=\"x, OAuth y\""), Authorization::Other);
        assert_eq!(read("oauth_token=\"x\""), Authorization::Other);
        assert_eq!(Authorization::read(None), Authorization::Other);
        for header in [
            "Digest username=\"x\\\", OAuth y\", nonce=abc, qop = auth",
            "Signature keyId=\"a\",headers=\"host date\", signature=\"b==\"",
            "Basic abc, def",
        ] {
            assert_eq!(read(header), Authorization::Other, "{header}");
        }
    }

    #[test]
    fn two_schemes_are_never_one() {
        for header in [
            "Basic x, OAuth a=\"b\"",
            "Bearer x,oauth a=\"b\"",
            "Basic OAuth",
            "Basic x, OAuth",
            "Bearer abc, Basic dXNlcg==",
            "Basic dXNlcg==,Bearer abc",
            "Digest username=\"x\", Bearer abc",
        ] {
            let read = Authorization::read(Some(header.as_bytes()));
            assert_eq!(read, Authorization::Several, "{header}");
        }
    }

    #[test]
    fn eight_thousand_commas_are_no_pairs() {
        assert_eq!(pairs(&format!("OAuth {}", ",".repeat(8192))), Ok(Vec::new()));
    }
}
