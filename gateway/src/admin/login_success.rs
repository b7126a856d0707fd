//! Where a partner sends the merchant's window back to after the sign-in (magento.md 3.1, step 5): the address of the
//! console's page that closes it.

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue};

/// Where the browser that made this call finds the page: at the host that it called, by the scheme that its page has.
/// `listener`: what stands where the call names no host, as one through the control socket.
pub fn address(headers: &HeaderMap, listener: &str) -> String {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let is_host = |host: &&str| {
        let parsed = url::Url::parse(&format!("http://{host}/")).ok();
        parsed.is_some_and(|url| url.path() == "/" && url.query().is_none() && url.username().is_empty())
    };
    let host = text(HOST).filter(is_host).filter(|host| host.contains([':', '.']));
    let origin = text(ORIGIN).filter(|origin| {
        let called = origin.split_once("://").map(|(_, rest)| rest);
        called.is_some() && called == host
    });
    match (origin, host) {
        (Some(origin), _) => format!("{origin}{PATH}"),
        (None, Some(host)) => format!("http://{host}{PATH}"),
        (None, None) => format!("http://{listener}{PATH}"),
    }
}

/// As Magento's own, below its admin path.
pub const PATH: &str = "/integration/loginSuccessCallback";

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| (http::HeaderName::from_static(name), value.parse().unwrap());
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn the_page_is_where_the_browser_called() {
        let at = |pairs: &[(&'static str, &str)]| address(&headers(pairs), "127.0.0.1:9090");

        let here = "http://127.0.0.1:9090/integration/loginSuccessCallback";
        assert_eq!(at(&[]), here);
        assert_eq!(at(&[("host", "127.0.0.1:9090")]), here);
        assert_eq!(at(&[("host", "countersign")]), here);
        let proxied = [("host", "admin.shop.example"), ("origin", "https://admin.shop.example")];
        assert_eq!(
            at(&proxied),
            "https://admin.shop.example/integration/loginSuccessCallback"
        );
        let foreign = [("host", "admin.shop.example"), ("origin", "https://evil.example")];
        assert_eq!(
            at(&foreign),
            "http://admin.shop.example/integration/loginSuccessCallback"
        );
        assert_eq!(at(&[("host", "a.example/evil?")]), here);
    }
}
