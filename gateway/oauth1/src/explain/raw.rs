//! A raw HTTP/1.1 request, as a server saw it: request line, header, body (by its length, chunked, or all that follows).

use std::borrow::Cow;

use super::source::{Origin, decode, fields};
use super::{curl, judge};
use crate::authorization::{Authorization, Pairs};
use crate::{ParameterName, Placement};

/// A request as it came.
#[derive(Clone, PartialEq, Eq)]
pub struct RawRequest {
    /// The method as sent.
    pub method: String,
    /// The request target as sent: `/path?query`, or an absolute URL.
    pub target: String,
    /// Names and values in their order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, its framing undone.
    pub body: Vec<u8>,
}

impl RawRequest {
    /// Reads the octets of one request; what is behind it doesn't matter. Lines may end in LF alone, as pasted ones do.
    /// Or what `curl -v` or `curl --trace-ascii` printed of it. `Err`: what is wrong with it.
    pub fn parse(octets: &[u8]) -> Result<Self, &'static str> {
        let octets = octets.strip_prefix(BYTE_ORDER_MARK).unwrap_or(octets);
        let printed = curl::request(octets).map(Cow::Owned);
        let octets = &*printed.unwrap_or(Cow::Borrowed(octets));
        let start = octets.iter().position(|octet| !matches!(octet, b'\r' | b'\n'));
        let octets = start.and_then(|at| octets.get(at..)).unwrap_or_default();
        let (line, mut rest) = line(octets);
        let line = std::str::from_utf8(line).map_err(|_| "the request line isn't text")?;
        let mut words = line.split(' ').filter(|word| !word.is_empty());
        let (Some(method), Some(target), version, None) = (words.next(), words.next(), words.next(), words.next())
        else {
            return Err("the request line isn't METHOD TARGET HTTP/1.1");
        };
        if !version.is_some_and(|version| version.starts_with("HTTP/")) {
            return Err("the request line isn't METHOD TARGET HTTP/1.1");
        }
        if !method.bytes().all(is_token) {
            return Err("the request line's method isn't one");
        }
        let mut headers = Vec::new();
        loop {
            let (field, after) = self::line(rest);
            rest = after;
            if field.is_empty() {
                break;
            }
            if field.starts_with(b" ") || field.starts_with(b"\t") {
                return Err("a header is folded over several lines: each must stand in one");
            }
            headers.push(header(field)?);
        }
        let body = body(&headers, rest)?;
        Ok(Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers,
            body,
        })
    }

    /// The values of all headers of that name.
    pub fn all<'s, 'n>(&'s self, name: &'n str) -> impl Iterator<Item = &'s [u8]> + use<'s, 'n> {
        self.headers
            .iter()
            .filter(move |(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
    }

    /// The first value of that name, as text.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.all(name).next().and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Whether the body is a form: its fields are signed (C11).
    pub fn has_form(&self) -> bool {
        let mut types = self.all("content-type");
        let media_type = types
            .next()
            .and_then(|value| value.split(|octet| *octet == b';').next());
        types.next().is_none() && media_type.is_some_and(|value| value.trim_ascii().eq_ignore_ascii_case(FORM))
    }
}

impl RawRequest {
    /// The same without the line end that an editor puts behind a form, where nothing says how long the form is.
    pub(super) fn without_last_line_end(&self) -> Option<Self> {
        let is_framed = ["content-length", "transfer-encoding"]
            .iter()
            .any(|name| self.all(name).next().is_some());
        let body = self
            .body
            .strip_suffix(b"\n")
            .filter(|_| self.has_form() && !is_framed)?;
        Some(Self {
            body: body.strip_suffix(b"\r").unwrap_or(body).to_owned(),
            ..self.clone()
        })
    }

    /// The value of an `oauth_*` parameter, wherever it stands.
    pub fn named(&self, name: ParameterName) -> Option<String> {
        let wanted = name.as_str().as_bytes();
        let header = self
            .all("authorization")
            .next()
            .and_then(oauth_pairs)
            .unwrap_or_default();
        let query = self.target.split_once('?').map(|(_, query)| query).unwrap_or_default();
        let form = if self.has_form() { self.body.as_slice() } else { b"" };
        let fields = fields(query.as_bytes(), Origin::Query).chain(fields(form, Origin::Form));
        let elsewhere = fields.map(|field| (field.name, field.value));
        let mut all = header
            .into_iter()
            .map(|(name, value)| (decode(&name), decode(&value)))
            .chain(elsewhere);
        let found = all.find(|(name, _)| name == wanted);
        found.map(|(_, value)| String::from_utf8_lossy(&value).into_owned())
    }

    /// The request as it may be kept: without secrets that travelled as parameters, and without a signature that is one in
    /// clear (PLAINTEXT, or a value that is no digest). Of a header that can't be read only that is kept.
    #[must_use]
    pub fn without_clear_secrets(mut self) -> Self {
        let declared = self.named(ParameterName::SignatureMethod).unwrap_or_default();
        let is_plaintext = declared.eq_ignore_ascii_case("PLAINTEXT");
        for (name, value) in &mut self.headers {
            if name.eq_ignore_ascii_case("authorization") {
                *value = header_without_secrets(value, is_plaintext);
            }
        }
        if let Some((path, query)) = self.target.split_once('?') {
            let query = text_without_secrets(query.as_bytes(), is_plaintext, Placement::Query);
            self.target = format!("{path}?{}", String::from_utf8_lossy(&query));
        }
        if self.has_form() {
            self.body = text_without_secrets(&self.body, is_plaintext, Placement::Form);
        }
        self
    }
}

/// The pairs of an `OAuth` header as they stand; `None`: it isn't one, or can't be read.
fn oauth_pairs(header: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let Authorization::OAuth(rest) = Authorization::read(Some(header)) else {
        return None;
    };
    let mut pairs = Pairs::new(rest);
    let mut found = Vec::new();
    while let Some(pair) = pairs.next().ok()? {
        found.push((pair.name.octets().to_vec(), pair.value.octets().to_vec()));
    }
    Some(found)
}

fn header_without_secrets(header: &[u8], is_plaintext: bool) -> Vec<u8> {
    let Some(pairs) = oauth_pairs(header) else {
        return UNREADABLE.to_vec();
    };
    let written = pairs.into_iter().map(|(name, value)| {
        let stand_in = stand_in(&decode(&name), &decode(&value), is_plaintext, Placement::Header);
        let value = stand_in.map_or(value, |text| text.as_bytes().to_vec());
        [name, b"=\"".to_vec(), value, b"\"".to_vec()].concat()
    });
    [b"OAuth ".to_vec(), written.collect::<Vec<_>>().join(&b", "[..])].concat()
}

fn text_without_secrets(text: &[u8], is_plaintext: bool, placement: Placement) -> Vec<u8> {
    let pieces = text.split(|octet| *octet == b'&').map(|piece| {
        let removed = fields(piece, Origin::Query).find_map(|field| {
            let stand_in = stand_in(&field.name, &field.value, is_plaintext, placement)?;
            Some([&field.wire_name, &b"="[..], stand_in.as_bytes()].concat())
        });
        removed.unwrap_or_else(|| piece.to_vec())
    });
    pieces.collect::<Vec<_>>().join(&b'&')
}

/// What is kept of a value that may be a secret in clear; `None`: it is none.
fn stand_in(name: &[u8], value: &[u8], is_plaintext: bool, placement: Placement) -> Option<&'static str> {
    match name {
        b"oauth_signature" if !is_plaintext && judge::is_digest(value, placement) => None,
        b"oauth_signature" if !is_plaintext && (is_pair(value) || is_pair(&decode(value))) => Some(REMOVED_PAIR),
        b"oauth_consumer_secret" | b"oauth_token_secret" | b"oauth_signature" => Some(REMOVED),
        _ => None,
    }
}

/// Whether it looks like the two secrets of a key: `x&y`, the second one may be empty.
fn is_pair(value: &[u8]) -> bool {
    let mut parts = value.split(|octet| *octet == b'&');
    let first = parts.next().unwrap_or_default();
    !first.is_empty() && parts.count() == 1
}

/// What stands in the place of a value that isn't kept.
pub const REMOVED: &str = "removed";
/// In the place of a signature that looked like two secrets in clear, as it is written in a request.
const REMOVED_PAIR: &str = "removed%26removed";
/// The same, read.
pub(super) const REMOVED_PAIR_READ: &[u8] = b"removed&removed";
/// Reads as an OAuth header that is broken.
const UNREADABLE: &[u8] = b"OAuth %";

impl std::fmt::Debug for RawRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Header and body may hold secrets.
        write!(formatter, "RawRequest({} …)", self.method)
    }
}

/// A header's name and its trimmed value.
fn header(field: &[u8]) -> Result<(String, Vec<u8>), &'static str> {
    let colon = field.iter().position(|octet| *octet == b':');
    let (name, value) = colon.map(|at| field.split_at(at)).ok_or("a header line has no colon")?;
    let name = std::str::from_utf8(name).map_err(|_| "a header's name isn't text")?;
    if name.is_empty() || name.contains(|character: char| character.is_whitespace() || character.is_control()) {
        return Err("a header's name holds white space");
    }
    let value = value.get(1..).unwrap_or_default().trim_ascii();
    Ok((name.to_owned(), value.to_owned()))
}

fn body(headers: &[(String, Vec<u8>)], rest: &[u8]) -> Result<Vec<u8>, &'static str> {
    let named = |wanted: &str| -> Vec<&str> {
        headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| std::str::from_utf8(value).unwrap_or_default())
            .collect()
    };
    let (lengths, codings) = (named("content-length"), named("transfer-encoding"));
    match (lengths.as_slice(), codings.as_slice()) {
        // A pasted request often lacks its length: what follows is meant.
        ([], []) if rest.trim_ascii().is_empty() => Ok(Vec::new()),
        ([], []) => Ok(rest.to_owned()),
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => chunked(rest),
        ([length], []) => {
            let length: usize = length.parse().map_err(|_| "Content-Length isn't a number")?;
            let body = rest
                .get(..length)
                .ok_or("the body is shorter than its Content-Length")?;
            Ok(body.to_owned())
        }
        _ => Err("the body's framing is broken"),
    }
}

fn chunked(mut rest: &[u8]) -> Result<Vec<u8>, &'static str> {
    const BROKEN: &str = "the chunked body is broken";
    let mut body = Vec::new();
    loop {
        let (size, after) = line(rest);
        let size = std::str::from_utf8(size).map_err(|_| BROKEN)?;
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| BROKEN)?;
        if size == 0 {
            return Ok(body);
        }
        let (chunk, after) = after.split_at_checked(size).ok_or(BROKEN)?;
        body.extend_from_slice(chunk);
        let (end, after) = line(after);
        if !end.is_empty() {
            return Err(BROKEN);
        }
        rest = after;
    }
}

/// The first line without its end, and what follows.
fn line(octets: &[u8]) -> (&[u8], &[u8]) {
    let end = octets.iter().position(|octet| *octet == b'\n');
    let (line, rest) = end.map_or((octets, &[][..]), |at| octets.split_at(at));
    (
        line.strip_suffix(b"\r").unwrap_or(line),
        rest.get(1..).unwrap_or_default(),
    )
}

/// RFC 9110 section 5.6.2.
fn is_token(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet)
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const FORM: &[u8] = b"application/x-www-form-urlencoded";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunked_body_is_joined() {
        let raw =
            b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n2;x=y\r\n&c\r\n0\r\n\r\n";

        let request = RawRequest::parse(raw).expect("a sound request");

        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/a"));
        assert_eq!(request.body, b"a=b&c");
    }

    #[test]
    fn what_follows_the_declared_length_does_not_count() {
        let raw = b"POST / HTTP/1.1\nHost: h\nContent-Length: 3\n\na=b\n";

        assert_eq!(RawRequest::parse(raw).map(|request| request.body), Ok(b"a=b".to_vec()));
    }

    #[test]
    fn what_is_kept_holds_no_secret_in_clear() {
        let plain =
            b"POST /a?oauth_token_secret=geheim&b=1 HTTP/1.1\r\nAuthorization: OAuth oauth_consumer_key=\"k\", \
            oauth_signature_method=\"PLAINTEXT\", oauth_signature=\"geheim%26leise\"\r\n\
            Content-Type: application/x-www-form-urlencoded\r\n\r\noauth%5Fconsumer_secret=geheim&c=2";
        let hmac = b"GET / HTTP/1.1\r\nAuthorization: OAuth oauth_signature_method=\"HMAC-SHA1\", \
            oauth_signature=\"geheim%26leise\"\r\n\r\n";
        let broken = b"GET / HTTP/1.1\r\nAuthorization: OAuth oauth_signature=\"geheim\r\n\r\n";
        let kept = |raw: &[u8]| RawRequest::parse(raw).expect("readable").without_clear_secrets();

        for raw in [&plain[..], hmac, broken] {
            let kept = kept(raw);
            let headers: Vec<u8> = kept.headers.iter().flat_map(|(_, value)| value.clone()).collect();
            let octets = [kept.target.as_bytes(), &kept.body, &headers].concat();
            let whole = String::from_utf8_lossy(&octets);
            assert!(!whole.contains("geheim"), "{whole}");
        }
        let pair = kept(hmac);
        assert!(pair.headers[0].1.ends_with(b"oauth_signature=\"removed%26removed\""));
        assert_eq!(kept(plain).target, "/a?oauth_token_secret=removed&b=1");
        assert_eq!(kept(plain).named(ParameterName::ConsumerKey).as_deref(), Some("k"));
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_method() {
        let request = RawRequest::parse(b"\xef\xbb\xbfGET / HTTP/1.1\r\nHost: h\r\n\r\n");

        assert_eq!(request.map(|request| request.method), Ok("GET".to_owned()));
    }

    #[test]
    fn broken_framing_is_told() {
        for raw in [
            &b"GET\r\n\r\n"[..],
            b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nshort",
            b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"G(T / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n",
        ] {
            assert!(RawRequest::parse(raw).is_err(), "{}", String::from_utf8_lossy(raw));
        }
    }
}
