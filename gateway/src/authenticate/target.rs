//! The URL as the client saw it (RFC 5849 section 3.4.1.2): from the configuration first, else from the request.

use std::borrow::Cow;

use http::HeaderMap;
use oauth1::{Scheme, Target};

use crate::config::BaseUrl;
use crate::header;
use crate::refusal::Cause;

/// Scheme, authority and path prefix that clients sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// http or https, as the client saw it.
    pub scheme: Scheme,
    /// Host, and port as configured or sent.
    pub authority: Cow<'a, str>,
    /// What a proxy in front strips from the path.
    pub prefix: &'a str,
}

/// What the request itself says of where it went.
#[derive(Clone, Copy, Debug)]
pub struct Claimed<'a> {
    /// Whether this connection is TLS.
    pub tls: bool,
    /// The one valid `Host` (or `:authority`).
    pub host: &'a str,
    /// What a trusted proxy says; nobody else's word counts.
    pub forwarded: Option<&'a Forwarded>,
}

/// What a proxy in front saw, by its `X-Forwarded-*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    is_https: Option<bool>,
    host: Option<String>,
    port: Option<u16>,
}

impl Forwarded {
    /// The last entry of each header: the nearest proxy appended it, and vouches for no other. What isn't a scheme, a host
    /// or a port is not taken, nor is a header that came twice: which of them the proxy wrote can't be told (C53).
    pub fn of(headers: &HeaderMap) -> Self {
        let last = |name| {
            let mut values = headers.get_all(name).iter();
            let (Some(only), None) = (values.next(), values.next()) else {
                return None;
            };
            only.to_str().ok()?.rsplit(',').next().map(str::trim)
        };
        Self {
            is_https: match last("x-forwarded-proto") {
                Some(proto) if proto.eq_ignore_ascii_case("https") => Some(true),
                Some(proto) if proto.eq_ignore_ascii_case("http") => Some(false),
                Some(_) | None => None,
            },
            host: last("x-forwarded-host").filter(|host| is_host(host)).map(str::to_owned),
            port: last("x-forwarded-port").and_then(|port| port.parse().ok()),
        }
    }
}

impl<'a> Origin<'a> {
    /// The configured base URL whose authority the request's Host names, else the first; with none configured, what the
    /// request says.
    pub fn of(base_urls: &'a [BaseUrl], claimed: &Claimed<'a>) -> Self {
        let seen = claimed.seen();
        let configured = match base_urls {
            [] => return seen,
            [only] => only,
            [first, ..] => base_urls.iter().find(|url| same_authority(url, &seen)).unwrap_or(first),
        };
        Self {
            scheme: configured.scheme,
            authority: Cow::Borrowed(&configured.authority),
            prefix: &configured.prefix,
        }
    }

    /// The signed URL of a raw request target.
    pub fn target<'t>(&'t self, path: &'t str, query: Option<&'t str>) -> Target<'t> {
        Target {
            scheme: self.scheme,
            authority: &self.authority,
            path,
            query,
        }
    }

    /// The path that clients sign: the prefix put back.
    pub fn path<'t>(&self, path: &'t str) -> Cow<'t, str> {
        if self.prefix.is_empty() {
            Cow::Borrowed(path)
        } else {
            Cow::Owned(format!("{}{path}", self.prefix))
        }
    }
}

impl<'a> Claimed<'a> {
    /// The address that the request came to, by its own word and its trusted proxy's.
    pub fn seen(&self) -> Origin<'a> {
        let (is_https, host, port) = match self.forwarded {
            None => (None, None, None),
            Some(forwarded) => (forwarded.is_https, forwarded.host.as_deref(), forwarded.port),
        };
        let host = host.unwrap_or(self.host);
        let authority = match port {
            Some(port) => Cow::Owned(format!("{}:{port}", without_port(host))),
            None => Cow::Borrowed(host),
        };
        let https = is_https.unwrap_or(self.tls);
        Origin {
            scheme: if https { Scheme::Https } else { Scheme::Http },
            authority,
            prefix: "",
        }
    }
}

fn same_authority(url: &BaseUrl, seen: &Origin<'_>) -> bool {
    let default = match url.scheme {
        Scheme::Http => ":80",
        Scheme::Https => ":443",
    };
    let seen = seen.authority.strip_suffix(default).unwrap_or(&seen.authority);
    url.authority.eq_ignore_ascii_case(seen)
}

/// The host of an authority.
pub fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// The one host that a request names: exactly one valid `Host`, which an absolute target must agree with (RFC 9112
/// section 3.2); HTTP/2's `:authority` stands in for it. `is_known`: whether one was found to be valid before.
pub fn host<'a>(
    uri: &'a http::Uri,
    headers: &'a HeaderMap,
    http2: bool,
    is_known: impl Fn(&str) -> bool,
) -> Result<&'a str, Cause> {
    let mut hosts = header::all(headers, &http::header::HOST);
    let header = match (hosts.next(), hosts.next()) {
        (Some(one), None) => Some(one.to_str().map_err(|_| Cause::RequestMalformed)?),
        (None, _) => None,
        (Some(_), Some(_)) => return Err(Cause::RequestMalformed),
    };
    let authority = uri.authority().map(http::uri::Authority::as_str);
    // Userinfo is nothing to go by (C47); over HTTP/2 it may not be there at all (RFC 9113 section 8.3.1).
    let authority = authority.map(|whole| match whole.rsplit_once('@') {
        Some((_, named)) if !http2 => named,
        Some(_) | None => whole,
    });
    let host = match (authority, header) {
        // An absolute target of another scheme is another resource, which nothing here serves (RFC 9112 section 3.2.2).
        _ if uri
            .scheme_str()
            .is_some_and(|scheme| scheme != "http" && scheme != "https") =>
        {
            return Err(Cause::TargetRefused);
        }
        (Some(authority), Some(header)) if agree(authority, header, uri.scheme_str()) => header,
        (Some(authority), None) if http2 => authority,
        (None, Some(header)) => header,
        (Some(_), Some(_)) | (Some(_) | None, None) => return Err(Cause::RequestMalformed),
    };
    if is_known(host) || is_host(host) {
        Ok(host)
    } else {
        Err(Cause::RequestMalformed)
    }
}

/// Whether an absolute target and the `Host` name the same, but for a default port that one of them leaves out.
fn agree(authority: &str, host: &str, scheme: Option<&str>) -> bool {
    let default = match scheme {
        Some("http") => ":80",
        Some("https") => ":443",
        Some(_) | None => "",
    };
    let plain = |of: &str| of.strip_suffix(default).unwrap_or(of).to_ascii_lowercase();
    authority.eq_ignore_ascii_case(host) || plain(authority) == plain(host)
}

/// `reg-name [":" port]` or `"[" IPv6 "]" [":" port]` (RFC 3986 section 3.2.2), without userinfo or escapes.
fn is_host(authority: &str) -> bool {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let Some((address, after)) = rest.split_once(']') else {
                return false;
            };
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            (
                address,
                after
                    .strip_prefix(':')
                    .or(if after.is_empty() { Some("") } else { None }),
            )
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, Some("")),
        },
    };
    let bracketed = authority.starts_with('[');
    let host_fits = bracketed
        || (!host.is_empty()
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)));
    let port_fits = port.is_some_and(|port| {
        port.is_empty() || (port.len() <= 5 && port.parse::<u16>().is_ok() && !port.starts_with('+'))
    });
    host_fits && port_fits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(url: &str) -> BaseUrl {
        let (scheme, authority) = url.split_once("://").unwrap();
        let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
        BaseUrl {
            scheme,
            authority: authority.into(),
            prefix: String::new(),
        }
    }

    fn claimed<'a>(host: &'a str, forwarded: Option<&'a Forwarded>) -> Claimed<'a> {
        Claimed {
            tls: false,
            host,
            forwarded,
        }
    }

    #[test]
    fn the_host_picks_its_base_url_and_the_first_serves_all_others() {
        let urls = [base("https://shop.example"), base("https://b2b.example:8443")];

        let second = Origin::of(&urls, &claimed("B2B.example:8443", None));
        let other = Origin::of(&urls, &claimed("10.0.0.1", None));

        assert_eq!(second.authority, "b2b.example:8443");
        assert_eq!(other.authority, "shop.example");
    }

    #[test]
    fn forwarded_headers_count_only_from_a_trusted_peer() {
        let headers = HeaderMap::from_iter([
            (
                http::HeaderName::from_static("x-forwarded-proto"),
                http::HeaderValue::from_static("http, https"),
            ),
            (
                http::HeaderName::from_static("x-forwarded-host"),
                http::HeaderValue::from_static("shop.example"),
            ),
        ]);

        let forwarded = Forwarded::of(&headers);
        let trusted = Origin::of(&[], &claimed("inner", Some(&forwarded)));
        let stranger = Origin::of(&[], &claimed("inner", None));

        assert_eq!(
            (trusted.scheme, trusted.authority.as_ref()),
            (Scheme::Https, "shop.example")
        );
        assert_eq!((stranger.scheme, stranger.authority.as_ref()), (Scheme::Http, "inner"));
    }

    #[test]
    fn a_forwarded_header_that_came_twice_is_not_taken() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-forwarded-proto", "https"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "shop.example"),
            ("x-forwarded-host", "shop.example"),
            ("x-forwarded-port", "1"),
            ("x-forwarded-port", "2"),
        ] {
            headers.append(name, http::HeaderValue::from_static(value));
        }

        assert_eq!(Forwarded::of(&headers), Forwarded::default());
    }

    #[test]
    fn what_a_proxy_forwards_of_a_host_that_is_none_is_not_taken() {
        let headers = HeaderMap::from_iter([(
            http::HeaderName::from_static("x-forwarded-host"),
            http::HeaderValue::from_static("shop.example\";for=evil"),
        )]);

        let forwarded = Forwarded::of(&headers);

        assert_eq!(claimed("inner", Some(&forwarded)).seen().authority, "inner");
    }

    #[test]
    fn a_host_with_userinfo_a_list_or_a_bad_port_is_not_a_host() {
        let bad = [
            "", "a@b", "a,b", "a/b", "a:b", "a:99999", "[::1", "[::g]", "a b", "a:+80", "a:80:80", "%41",
        ];

        assert!(bad.into_iter().all(|host| !is_host(host)));
        assert!(
            ["a", "a:80", "a:", "[::1]", "[::1]:8080", "127.0.0.1:1"]
                .into_iter()
                .all(is_host)
        );
    }
}
