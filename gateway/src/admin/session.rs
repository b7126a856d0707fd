//! The cookie of a console's session, for the console and for calls of the API from its pages (product.md 5).

use std::net::IpAddr;

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};
use token_store::StoreError;

use super::Context;
use crate::exchange::session::Session;

/// The session that a request's cookie names.
pub async fn of(headers: &HeaderMap, context: &Context) -> Result<Option<Session>, StoreError> {
    match secret(headers) {
        Some(secret) => context.parts.users.session(secret).await,
        None => Ok(None),
    }
}

/// What the cookie holds. The one that only TLS can set is believed first.
pub fn secret(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, SECURE).or_else(|| cookie(headers, PLAIN))
}

/// The value of a cookie.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = values
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// Whether the browser reached us over TLS. The listener itself speaks none, so what stands before it ended it and may say
/// so; the browser tells by the cookie that it would not have otherwise, and by a header that it sends to trustworthy
/// addresses alone. Whoever lies here gets a cookie that its own browser drops.
pub fn is_secure(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text("host").unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let is_loopback = name == "localhost"
        || name.ends_with(".localhost")
        || name
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.is_loopback());
    cookie(headers, SECURE).is_some()
        || text("x-forwarded-proto").is_some_and(|proto| proto.rsplit(',').next().unwrap_or_default().trim() == "https")
        || text("origin").and_then(|origin| origin.strip_prefix("https://")) == Some(host)
        || (headers.contains_key("sec-fetch-site") && !is_loopback)
}

/// `Set-Cookie` for a session; an empty secret ends it.
pub fn set_cookie(secret: &str, is_secure: bool, lifetime_secs: u64) -> Option<HeaderValue> {
    let (name, secure) = if is_secure { (SECURE, "; Secure") } else { (PLAIN, "") };
    let text = format!("{name}={secret}; Path=/; HttpOnly; SameSite=Strict; Max-Age={lifetime_secs}{secure}");
    HeaderValue::try_from(text).ok()
}

const PLAIN: &str = "countersign_session";
const SECURE: &str = "__Host-countersign_session";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_tls_the_cookie_has_the_name_that_only_tls_can_set() {
        let headers = |host: &str, name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("host", host.parse().unwrap());
            headers.insert(name, value.parse().unwrap());
            headers
        };

        for (name, value) in [
            ("origin", "https://gate.example"),
            ("cookie", "a=1; __Host-countersign_session=x"),
            ("x-forwarded-proto", "https"),
            ("sec-fetch-site", "same-origin"),
        ] {
            assert!(is_secure(&headers("gate.example", name, value)), "{name}");
        }
        assert!(!is_secure(&headers(
            "gate.example",
            "origin",
            "https://elsewhere.example"
        )));
        assert!(!is_secure(&headers("gate.example", "origin", "http://gate.example")));
        assert!(!is_secure(&headers("127.0.0.1:9090", "sec-fetch-site", "same-origin")));
        assert!(!is_secure(&headers("[::1]:9090", "sec-fetch-site", "same-origin")));
        let secure = set_cookie("s", true, 60).unwrap();
        assert_eq!(
            secure,
            "__Host-countersign_session=s; Path=/; HttpOnly; SameSite=Strict; Max-Age=60; Secure"
        );
    }

    #[test]
    fn the_cookie_of_tls_is_believed_before_the_plain_one() {
        let both = "countersign_session=planted; __Host-countersign_session=ours";
        let headers = HeaderMap::from_iter([(COOKIE, HeaderValue::from_static(both))]);

        assert_eq!(secret(&headers), Some("ours"));
    }
}
