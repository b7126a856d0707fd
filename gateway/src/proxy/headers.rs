//! Headers toward upstream: nothing of a client's that could pass for ours, nothing of one hop on the next, then who calls.
//!
//! Order matters (operations.md 4): names that fold to one of ours go first, `Connection`'s list is obeyed before ours are
//! added, so it can't name them.

use http::header::{CONNECTION, COOKIE, FORWARDED, HeaderMap, HeaderName, HeaderValue, TE, TRAILER};

use super::hop::Hop;
use crate::authenticate::{Authenticated, Caller};
use crate::header;
use crate::listen::head::folds_to;

/// Makes a client's headers upstream's. hyper frames what is sent from the body's own length. Answers the `traceparent`
/// that the client named, which goes on.
pub fn rewrite(
    headers: &mut HeaderMap,
    caller: &Authenticated,
    hop: Hop,
    keep_authorization: bool,
) -> Option<HeaderValue> {
    let traceparent = header::first(headers, &TRACEPARENT)
        .filter(|value| is_traceparent(value.as_bytes()))
        .cloned();
    remove_listed(headers);
    remove(headers, |name| match name {
        // We answered it, and send the body as it comes.
        "expect" | "trailer" | "content-length" => true,
        "authorization" => !keep_authorization,
        // What goes with a parent that is not valid is not valid either (W3C Trace Context, 3.3.1).
        "tracestate" => traceparent.is_none(),
        name => is_of_one_hop(name) || is_ours(name),
    });
    headers.reserve(MOST_ADDED);
    headers.insert(X_USER_TYPE, HeaderValue::from_static(caller.user_type()));
    if let Some(id) = user_id(caller) {
        headers.insert(X_USER_ID, id);
    }
    if let Some(credential) = caller.credential() {
        let identity = &credential.identity;
        let named = [
            (X_CONSUMER_ID, &identity.consumer_id),
            (X_CONSUMER_KEY, &identity.consumer_key),
            (X_INTEGRATION_ID, &identity.integration_id),
            (X_INTEGRATION_NAME, &identity.integration_name),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                headers.insert(name, value.clone());
            }
        }
    }
    headers.insert(X_REQUEST_ID, hop.request_id);
    headers.insert(X_FORWARDED_FOR, hop.forwarded_for);
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(hop.proto));
    headers.insert(X_FORWARDED_HOST, hop.host);
    headers.insert(FORWARDED, hop.forwarded);
    headers.insert(TRACEPARENT, traceparent.clone().unwrap_or(hop.traceparent));
    traceparent
}

/// The names that [`rewrite`] gives a request: those of every one, and those that also tell an integration.
pub fn added(for_integration: bool) -> impl Iterator<Item = HeaderName> {
    let of_integration = [
        X_CONSUMER_ID,
        X_CONSUMER_KEY,
        X_INTEGRATION_ID,
        X_INTEGRATION_NAME,
        X_USER_ID,
    ];
    let of_all = [
        X_USER_TYPE,
        X_REQUEST_ID,
        X_FORWARDED_FOR,
        X_FORWARDED_PROTO,
        X_FORWARDED_HOST,
        FORWARDED,
        TRACEPARENT,
    ];
    of_integration
        .into_iter()
        .filter(move |_| for_integration)
        .chain(of_all)
}

/// An integration's number was made a value with its other ones.
fn user_id(caller: &Authenticated) -> Option<HeaderValue> {
    match caller.caller() {
        Caller::Integration(credential) => credential.identity.integration_id.clone(),
        Caller::Delegated(..) | Caller::Admin(_) | Caller::Customer { .. } | Caller::Guest { .. } => {
            caller.user_id().map(HeaderValue::from)
        }
    }
}

/// Removes what concerns one connection only (RFC 9110 section 7.6.1). hyper frames anew, so framing goes too, except the
/// length of a body that is forwarded as it is.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    remove_listed(headers);
    remove(headers, is_of_one_hop);
}

/// What `Connection` lists, and itself.
fn remove_listed(headers: &mut HeaderMap) {
    if !header::has(headers, &CONNECTION) {
        return;
    }
    let listed: Vec<HeaderName> = header::all(headers, &CONNECTION)
        // The usual ones name no header that is not removed anyway.
        .filter(|value| *value != "keep-alive" && *value != "close")
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| !is_judged_by(name.as_str()))
        .collect();
    for name in listed {
        headers.remove(name);
    }
    headers.remove(CONNECTION);
}

/// Removes every header whose (lower-case) name is `gone`: one look at what is there costs less than asking the map for
/// each name that might be. Mostly it is one, and nothing needs gathering.
fn remove(headers: &mut HeaderMap, gone: impl Fn(&str) -> bool) {
    let is_gone = |name: &&HeaderName| gone(name.as_str());
    let Some(first) = headers.keys().find(is_gone).cloned() else {
        return;
    };
    headers.remove(first);
    let others: Vec<HeaderName> = headers.keys().filter(is_gone).cloned().collect();
    for name in others {
        headers.remove(name);
    }
}

/// What a request is judged by goes on, whatever `Connection` lists: upstream must read the same request.
fn is_judged_by(name: &str) -> bool {
    matches!(
        name,
        "host" | "content-length" | "content-type" | "content-encoding" | "origin" | "access-control-request-method"
    )
}

fn is_of_one_hop(name: &str) -> bool {
    matches!(
        name,
        "keep-alive"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
            | "http2-settings"
            | "proxy-authenticate"
            | "proxy-authorization"
    )
}

/// HTTP/2 may split cookies for its compression's sake; HTTP/1.1 has one field of them (RFC 9113 section 8.2.3).
pub fn join_cookies(headers: &mut HeaderMap) {
    let mut cookies = header::all(headers, &COOKIE);
    let (Some(first), Some(second)) = (cookies.next(), cookies.next()) else {
        return;
    };
    let all: Vec<&[u8]> = [first, second]
        .into_iter()
        .chain(cookies)
        .map(HeaderValue::as_bytes)
        .collect();
    // What was valid in pieces is valid joined.
    if let Ok(joined) = HeaderValue::from_bytes(&all.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
}

/// What a client said of trailers, which goes on although it concerns one hop: we pass trailers on.
#[derive(Debug, Default)]
pub struct Trailers {
    accepted: bool,
    announced: Vec<HeaderValue>,
}

impl Trailers {
    /// Whether they are accepted, and over HTTP/2 which ones come (HTTP/1's are dropped).
    pub fn of(headers: &HeaderMap, http2: bool) -> Self {
        let lists_trailers = |value: &HeaderValue| {
            let mut codings = value.as_bytes().split(|byte| *byte == b',');
            codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
        };
        if !header::has(headers, &TE) && !header::has(headers, &TRAILER) {
            return Self::default();
        }
        Self {
            accepted: headers.get_all(TE).iter().any(lists_trailers),
            announced: if http2 {
                headers.get_all(TRAILER).iter().cloned().collect()
            } else {
                Vec::new()
            },
        }
    }

    /// Says it to upstream.
    pub fn restore(self, headers: &mut HeaderMap) {
        if self.accepted {
            headers.insert(TE, HeaderValue::from_static("trailers"));
            headers.insert(CONNECTION, HeaderValue::from_static("te"));
        }
        for names in self.announced {
            headers.append(TRAILER, names);
        }
    }
}

/// Trailers without what would frame, route or identify (RFC 9110 section 6.5.1), should a recipient merge them into the
/// head.
pub fn keep_trailers(mut trailers: HeaderMap) -> HeaderMap {
    remove_listed(&mut trailers);
    remove(&mut trailers, |name| match name {
        "content-length" | "host" | "authorization" | "trailer" | "expect" => true,
        name => is_of_one_hop(name) || is_ours(name),
    });
    trailers
}

/// Whether a (lower-case) name folds to one that only we may set, in any spelling (CGI-like upstreams read `X_User_Id` as
/// `X-User-Id`), or is a misspelt one that means framing or credentials.
pub fn is_ours(name: &str) -> bool {
    let name = name.as_bytes();
    let folds = |ours: &str| folds_to(name, ours.as_bytes());
    match name {
        [b'x', b'-' | b'_', ..] => {
            let begins = |prefix: &str| {
                name.get(..prefix.len())
                    .is_some_and(|start| folds_to(start, prefix.as_bytes()))
            };
            OURS.into_iter().any(folds) || PREFIXES.into_iter().any(begins)
        }
        // CGI makes HTTP_PROXY of the last, which many a program takes for the proxy that it is to use (httpoxy).
        b"forwarded" | b"traceparent" | b"proxy" => true,
        _ => name.contains(&b'_') && MISSPELT.into_iter().any(folds),
    }
}

/// `00-<32 hex>-<16 hex>-<2 hex>` with neither id all zero (W3C Trace Context).
fn is_traceparent(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else {
        return false;
    };
    let mut parts = text.split('-');
    let (Some(version), Some(trace), Some(parent), Some(flags), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let hex = |part: &str, length| {
        part.len() == length
            && part
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let some = |part: &str| part.bytes().any(|byte| byte != b'0');
    version == "00" && hex(trace, 32) && hex(parent, 16) && hex(flags, 2) && some(trace) && some(parent)
}

const OURS: [&str; 11] = [
    "x-user-type",
    "x-user-id",
    "x-request-id",
    "x-real-ip",
    "x-original-host",
    "x-original-url",
    "x-rewrite-url",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-forwarded",
];
const PREFIXES: [&str; 5] = [
    "x-consumer-",
    "x-integration-",
    "x-forwarded-",
    "x-countersign-",
    "x-debug-countersign-",
];
/// Names that a server behind CGI's rules can't tell from the same with `_`.
const MISSPELT: [&str; 8] = [
    "content-length",
    "transfer-encoding",
    "proxy-authorization",
    "proxy-connection",
    "keep-alive",
    "http2-settings",
    "content-type",
    "content-encoding",
];
const X_CONSUMER_ID: HeaderName = HeaderName::from_static("x-consumer-id");
const X_CONSUMER_KEY: HeaderName = HeaderName::from_static("x-consumer-key");
const X_INTEGRATION_ID: HeaderName = HeaderName::from_static("x-integration-id");
const X_INTEGRATION_NAME: HeaderName = HeaderName::from_static("x-integration-name");
const X_USER_TYPE: HeaderName = HeaderName::from_static("x-user-type");
const X_USER_ID: HeaderName = HeaderName::from_static("x-user-id");
/// On every request upstream and every response downstream.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// Headers that are added to a request.
const MOST_ADDED: usize = 16;
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            )
        };
        let mut headers = HeaderMap::new();
        for (name, value) in pairs.iter().map(pair) {
            headers.append(name, value);
        }
        headers
    }

    fn rewritten(mut headers: HeaderMap) -> HeaderMap {
        let hop = Hop {
            request_id: HeaderValue::from_static("r1"),
            forwarded_for: HeaderValue::from_static("192.0.2.1"),
            proto: "https",
            host: HeaderValue::from_static("shop.example"),
            forwarded: HeaderValue::from_static("for=192.0.2.1"),
            traceparent: HeaderValue::from_static("00-a-b-01"),
        };
        rewrite(&mut headers, &Authenticated::guest(), hop, false);
        headers
    }

    #[test]
    fn the_names_that_are_told_are_those_that_are_set() {
        let mut set: Vec<HeaderName> = rewritten(HeaderMap::new()).keys().cloned().collect();
        let mut told: Vec<HeaderName> = added(false).collect();
        set.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        told.sort_by(|one, other| one.as_str().cmp(other.as_str()));

        assert_eq!(told, set);
    }

    #[test]
    fn a_header_that_folds_to_one_of_ours_never_reaches_upstream() {
        let headers = rewritten(sent(&[
            ("X-User-Id", "1"),
            ("X_User_Id", "2"),
            ("x-consumer_id", "3"),
            ("X_CONSUMER_KEY", "k"),
            ("X-Forwarded-For", "10.0.0.1"),
            ("x_forwarded_prefix", "/admin"),
            ("X-User-Type", "admin"),
            ("X-User-Type", "admin"),
            ("X-Other", "stays"),
        ]));

        assert_eq!(headers.get_all("x-user-type").iter().collect::<Vec<_>>(), ["guest"]);
        assert_eq!(headers.get("x-forwarded-for").unwrap(), "192.0.2.1");
        for gone in [
            "x-user-id",
            "x_user_id",
            "x-consumer_id",
            "x_consumer_key",
            "x_forwarded_prefix",
        ] {
            assert!(!headers.contains_key(gone), "{gone}");
        }
        assert_eq!(headers.get("x-other").unwrap(), "stays");
    }

    #[test]
    fn every_name_that_only_we_may_say_is_gone_in_every_spelling() {
        let names = [
            "x-user-type",
            "x-user-id",
            "x-request-id",
            "x-real-ip",
            "x-original-host",
            "x-original-url",
            "x-rewrite-url",
            "x-http-method-override",
            "x-http-method",
            "x-method-override",
            "x-forwarded",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-host",
            "x-forwarded-port",
            "x-consumer-id",
            "x-integration-name",
            "x-countersign-assertion",
            "x-debug-countersign-token",
        ];
        let misspelt = [
            "content_length",
            "transfer_encoding",
            "proxy_authorization",
            "proxy_connection",
            "keep_alive",
            "http2_settings",
            "content_type",
            "content_encoding",
            "proxy",
        ];
        let said = [
            "x-user-type",
            "x-request-id",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-host",
        ];

        let spelled = names
            .into_iter()
            .flat_map(|name| [name.to_owned(), name.replace('-', "_")]);
        for name in spelled.chain(misspelt.map(str::to_owned)) {
            let headers = rewritten(sent(&[(&name, "theirs"), (&name, "theirs, too")]));

            assert_eq!(headers.contains_key(&name), said.contains(&name.as_str()), "{name}");
            assert!(
                headers.values().all(|value| !value.as_bytes().starts_with(b"theirs")),
                "{name}"
            );
        }
        let near = [
            "x-user-idle",
            "x-forwardedness",
            "x-request",
            "x-countersigned",
            "xx-user-id",
            "accept_language",
        ];
        let headers = rewritten(sent(&near.map(|name| (name, "passes"))));
        assert!(near.iter().all(|name| headers.contains_key(*name)));
    }

    #[test]
    fn trailers_can_not_say_what_a_head_may_not() {
        let listed = [
            ("Connection", "X-Hop"),
            ("X-Hop", "1"),
            ("Content-Length", "3"),
            ("Transfer-Encoding", "chunked"),
            ("Host", "evil.example"),
            ("Authorization", "Bearer x"),
            ("Trailer", "x"),
            ("Expect", "100-continue"),
            ("TE", "trailers"),
            ("Proxy-Authorization", "Basic x"),
            ("X-User-Id", "7"),
            ("X_Consumer_Key", "k"),
            ("X-Forwarded-For", "192.0.2.7"),
            ("X-Countersign-Assertion", "a.b.c"),
            ("Grpc-Status", "0"),
        ];

        let kept = keep_trailers(sent(&listed));

        let names: Vec<&str> = kept.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["grpc-status"]);
    }

    #[test]
    fn connection_names_its_own_headers_but_never_ours_or_host() {
        let headers = rewritten(sent(&[
            ("Connection", "X-User-Type, X-Hop, Host, close"),
            ("X-Hop", "1"),
            ("Host", "a"),
            ("Keep-Alive", "5"),
            ("TE", "trailers"),
            ("Upgrade", "h2c"),
            ("Authorization", "OAuth x"),
        ]));

        assert_eq!(headers.get("x-user-type").unwrap(), "guest");
        assert!(headers.contains_key("host"));
        for gone in ["connection", "x-hop", "keep-alive", "te", "upgrade", "authorization"] {
            assert!(!headers.contains_key(gone), "{gone}");
        }
    }

    #[test]
    fn a_valid_traceparent_passes_and_an_invalid_one_is_replaced() {
        let valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

        let kept = rewritten(sent(&[("traceparent", valid)]));
        let replaced = rewritten(sent(&[("traceparent", "00-0-0-0")]));

        assert_eq!(kept.get("traceparent").unwrap(), valid);
        assert_eq!(replaced.get("traceparent").unwrap(), "00-a-b-01");
    }
}
