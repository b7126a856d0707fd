//! The URL as the client saw it (RFC 5849 section 3.4.1.2).

use crate::percent;

/// The scheme that the client used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`, default port 80
    Http,
    /// `https`, default port 443
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that is left out of the base string (C43).
    pub(crate) fn default_port(self) -> &'static [u8] {
        match self {
            Self::Http => b"80",
            Self::Https => b"443",
        }
    }
}

/// The URL that was called, in raw pieces: nothing decoded, nothing normalised.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// As the client saw it, so behind TLS termination: https.
    pub scheme: Scheme,
    /// Host and port as sent (`Host`, `:authority` or the configured base URL).
    pub authority: &'a str,
    /// The raw path of the request line; empty counts as `/`.
    pub path: &'a str,
    /// What follows the first `?`, raw.
    pub query: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// From an absolute `http` or `https` URL, as one types it. A fragment is dropped.
    pub fn from_url(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let scheme = match scheme {
            _ if scheme.eq_ignore_ascii_case("http") => Scheme::Http,
            _ if scheme.eq_ignore_ascii_case("https") => Scheme::Https,
            _ => return None,
        };
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (rest, query) = rest
            .split_once('?')
            .map_or((rest, None), |(before, query)| (before, Some(query)));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        (!authority.is_empty()).then_some(Self {
            scheme,
            authority,
            path,
            query,
        })
    }

    /// Whether the path can stand in a request line: `/…`, without white space or control characters (C45, C50).
    pub(crate) fn has_sound_path(&self) -> bool {
        let octets = self.path.as_bytes();
        let is_sound = |sound, octet: &u8| sound & !matches!(octet, 0..=b' ' | 0x7f);
        octets.first().is_none_or(|first| *first == b'/') && octets.iter().fold(true, is_sound)
    }

    /// Appends the base string URI, encoded once more: lower-case host, no default port, raw path, no query (C42 to C48).
    /// `is_as_sent`: host and port as sent.
    pub(crate) fn write_encoded(&self, is_as_sent: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(self.scheme.as_str().as_bytes());
        out.extend_from_slice(b"%3A%2F%2F");
        let authority = self.authority.as_bytes();
        if is_as_sent {
            percent::encode_into(after_userinfo(authority), out);
        } else {
            let (host, port) = host_and_port(authority);
            if host.iter().any(u8::is_ascii_uppercase) {
                percent::encode_into(&host.to_ascii_lowercase(), out);
            } else {
                percent::encode_into(host, out);
            }
            if !port.is_empty() && port != self.scheme.default_port() {
                out.extend_from_slice(b"%3A");
                percent::encode_into(port, out);
            }
        }
        let path = self.path.as_bytes();
        percent::encode_into(if path.is_empty() { b"/" } else { path }, out);
    }
}

/// Host (an IPv6 one in its brackets) and port, which is empty where there is none; without `user:password@` (C47).
pub(crate) fn host_and_port(authority: &[u8]) -> (&[u8], &[u8]) {
    let special = authority.iter().rposition(|octet| matches!(octet, b':' | b']' | b'@'));
    match special.map(|at| authority.split_at(at)) {
        None => (authority, &[]),
        Some((host, [b':', port @ ..])) => (after_userinfo(host), port),
        Some((_, [b'@', host @ ..])) => (host, &[]),
        Some(_) => (after_userinfo(authority), &[]),
    }
}

fn after_userinfo(host: &[u8]) -> &[u8] {
    host.rsplit(|octet| *octet == b'@').next().unwrap_or_default()
}
