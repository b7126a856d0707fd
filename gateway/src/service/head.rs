//! What a request's head says before anything is looked up: its bounds, its method, its id, its client, its dialect.

use std::net::IpAddr;

use http::header::ACCEPT;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};

use super::Peer;
use crate::config;
use crate::header;
use crate::proxy::headers::X_REQUEST_ID;
use crate::refusal::{Cause, Dialect, Refusal};
use crate::request_id::{RequestId, RequestIds};

/// The head's bounds and its method. HTTP/1 heads were judged before they came here.
pub(super) fn check(parts: &Parts, limits: &config::Limits) -> Result<(), Refusal> {
    if parts.version == Version::HTTP_2 {
        check_size(parts, limits)?;
    }
    check_method(&parts.method, parts.uri.path())
}

/// The method, whatever the route.
pub fn check_method(method: &Method, path: &str) -> Result<(), Refusal> {
    match *method {
        Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::PATCH | Method::DELETE => Ok(()),
        Method::OPTIONS if path != "*" => Ok(()),
        Method::OPTIONS => Err(Cause::TargetRefused.into()),
        Method::CONNECT | Method::TRACE => Err(Refusal::method_not_allowed(METHODS.to_owned())),
        _ => Err(Refusal::method_unknown()),
    }
}

/// The same bounds as HTTP/1's, on what its head would be.
fn check_size(parts: &Parts, limits: &config::Limits) -> Result<(), Cause> {
    let target = parts.uri.path_and_query().map_or(1, |target| target.as_str().len());
    if target > limits.target {
        return Err(Cause::TargetTooLong);
    }
    let field = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 4;
    let head: usize = parts.headers.iter().map(field).sum();
    if head + target > limits.head || parts.headers.len() > limits.headers {
        return Err(Cause::HeadTooLarge);
    }
    Ok(())
}

/// What `Accept` says, however many lines it has.
pub(super) fn accept(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut lines = header::all(headers, &ACCEPT);
    let first = lines.next()?;
    let Some(second) = lines.next() else {
        return Some(first.clone());
    };
    let all = [first, second].into_iter().chain(lines);
    let all: Vec<&[u8]> = all.map(HeaderValue::as_bytes).collect();
    HeaderValue::from_bytes(&all.join(&b","[..])).ok()
}

/// A trusted proxy's id is kept, so that one request has one id throughout; nobody else's is.
pub(super) fn request_id(ids: &RequestIds, headers: &HeaderMap, trusted: bool) -> RequestId {
    let given = trusted.then(|| headers.get(&X_REQUEST_ID)).flatten().filter(|value| {
        let bytes = value.as_bytes();
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
        (1..=128).contains(&bytes.len()) && bytes.iter().all(plain)
    });
    given.map_or_else(|| ids.next(), |value| ids.given(value.clone()))
}

/// The first address, from the nearest on, that no trusted proxy has.
pub(super) fn client(peer: &Peer, headers: &HeaderMap, public: &config::Public) -> IpAddr {
    let trusts = |ip: IpAddr| public.trusted_proxies.iter().any(|net| net.contains(&ip));
    if !trusts(peer.address) {
        return peer.address;
    }
    let listed = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut addresses: Vec<&str> = listed.flat_map(|value| value.split(',')).map(str::trim).collect();
    addresses.reverse();
    let mut client = peer.address;
    for address in addresses {
        let Some(ip) = address_of(address) else { break };
        client = ip;
        if !trusts(ip) {
            break;
        }
    }
    client
}

/// An address as proxies write it: IPv6 in brackets or not, a port behind it or not.
fn address_of(text: &str) -> Option<IpAddr> {
    let parsed = text.parse::<IpAddr>().ok();
    let address = parsed.or_else(|| {
        text.parse::<std::net::SocketAddr>()
            .ok()
            .map(|with_port| with_port.ip())
    });
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    address.or_else(bracketed).map(|ip| ip.to_canonical())
}

/// How refusals of this path are worded.
pub(super) fn dialect(paths: &config::Paths, path: &str) -> Dialect {
    let path = path.strip_suffix('/').unwrap_or(path);
    if path == paths.token_request || path == paths.token_access {
        Dialect::Token
    } else if path == paths.initiate || path == paths.token {
        Dialect::Rfc
    } else {
        Dialect::Rest
    }
}

const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_a_proxy_names_is_read_with_or_without_its_port() {
        let read = |text| address_of(text).map(|ip| ip.to_string());

        assert_eq!(read("192.0.2.1").as_deref(), Some("192.0.2.1"));
        assert_eq!(read("192.0.2.1:4711").as_deref(), Some("192.0.2.1"));
        assert_eq!(read("2001:db8::1").as_deref(), Some("2001:db8::1"));
        assert_eq!(read("[2001:db8::1]").as_deref(), Some("2001:db8::1"));
        assert_eq!(read("[2001:db8::1]:443").as_deref(), Some("2001:db8::1"));
        assert_eq!(read("::ffff:192.0.2.1").as_deref(), Some("192.0.2.1"));
        assert_eq!(read("unknown"), None);
    }
}
