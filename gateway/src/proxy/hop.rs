//! What the headers of one hop say: who called, over what, under which id (RFC 7239, W3C Trace Context).

use std::cell::RefCell;
use std::net::IpAddr;

use http::HeaderValue;

/// What the identity headers say besides who calls.
pub struct Hop {
    /// `X-Request-Id`
    pub request_id: HeaderValue,
    /// `X-Forwarded-For`
    pub forwarded_for: HeaderValue,
    /// `X-Forwarded-Proto`
    pub proto: &'static str,
    /// `X-Forwarded-Host`
    pub host: HeaderValue,
    /// `Forwarded`
    pub forwarded: HeaderValue,
    /// `traceparent`, where the client sent none that is valid
    pub traceparent: HeaderValue,
}

/// The values that a connection's requests have in common, made with its first.
#[derive(Debug, Default)]
pub struct HopMemory(RefCell<Option<Common>>);

#[derive(Clone, Debug)]
struct Common {
    client: IpAddr,
    proto: &'static str,
    host: HeaderValue,
    forwarded_for: HeaderValue,
    forwarded: HeaderValue,
}

impl HopMemory {
    /// The values for a request of `client`, which signed `proto` and named `host`.
    pub fn hop(&self, client: IpAddr, proto: &'static str, host: &str, request_id: &HeaderValue) -> Hop {
        let mut memory = self.0.borrow_mut();
        let known = memory
            .take()
            .filter(|known| known.client == client && known.proto == proto && known.host.as_bytes() == host.as_bytes());
        let common = memory.insert(known.unwrap_or_else(|| Common::new(client, proto, host)));
        Hop {
            request_id: request_id.clone(),
            forwarded_for: common.forwarded_for.clone(),
            proto,
            host: common.host.clone(),
            forwarded: common.forwarded.clone(),
            traceparent: traceparent(request_id),
        }
    }
}

impl Common {
    fn new(client: IpAddr, proto: &'static str, host: &str) -> Self {
        let value = |text: &str| HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("unknown"));
        let node = if client.is_ipv6() {
            format!("\"[{client}]\"")
        } else {
            client.to_string()
        };
        Self {
            client,
            proto,
            host: value(host),
            forwarded_for: value(&client.to_string()),
            forwarded: value(&format!("for={node};host=\"{host}\";proto={proto}")),
        }
    }
}

/// The request's id is the trace's; where a proxy gave it in another form, the trace begins with a fixed one.
fn traceparent(request_id: &HeaderValue) -> HeaderValue {
    let id = <&[u8; TRACE_LENGTH]>::try_from(request_id.as_bytes()).ok();
    let trace = id.filter(|id| id.iter().all(u8::is_ascii_hexdigit)).unwrap_or(TRACE);
    let (_, span) = trace.split_at(TRACE_LENGTH / 2);
    let text = [b"00-", trace.as_slice(), b"-", span, b"-01"].concat();
    HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).unwrap_or_else(|_| HeaderValue::from_static(""))
}

const TRACE_LENGTH: usize = 32;
/// For requests whose id a proxy gave in another form.
const TRACE: &[u8; TRACE_LENGTH] = b"00000000000000010000000000000001";

#[cfg(test)]
mod tests {
    use super::*;

    const ID: HeaderValue = HeaderValue::from_static("0123456789abcdef0123456789abcdef");

    fn told(hop: &Hop) -> [&str; 4] {
        [&hop.forwarded_for, &hop.host, &hop.forwarded, &hop.traceparent].map(|value| value.to_str().unwrap())
    }

    #[test]
    fn what_a_connection_remembers_is_told_only_while_client_scheme_and_host_stay_the_same() {
        let memory = HopMemory::default();
        let (one, other) = (
            IpAddr::from([192, 0, 2, 1]),
            IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]),
        );
        let trace = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";

        for _ in 0..2 {
            let hop = memory.hop(one, "http", "shop.example", &ID);
            let forwarded = "for=192.0.2.1;host=\"shop.example\";proto=http";
            assert_eq!(told(&hop), ["192.0.2.1", "shop.example", forwarded, trace]);
        }
        let hop = memory.hop(one, "https", "shop.example", &ID);
        assert_eq!(told(&hop)[2], "for=192.0.2.1;host=\"shop.example\";proto=https");
        let hop = memory.hop(one, "https", "other.example", &ID);
        assert_eq!(
            told(&hop)[1..3],
            ["other.example", "for=192.0.2.1;host=\"other.example\";proto=https"]
        );
        let hop = memory.hop(other, "https", "other.example", &ID);
        let forwarded = "for=\"[2001:db8::1]\";host=\"other.example\";proto=https";
        assert_eq!(told(&hop), ["2001:db8::1", "other.example", forwarded, trace]);
    }

    #[test]
    fn an_id_in_another_form_begins_no_trace_of_its_own() {
        for id in [
            "short",
            "0123456789abcdef0123456789abcdeg",
            "0123456789abcdef0123456789abcdef0",
        ] {
            let traceparent = traceparent(&HeaderValue::from_static(id));

            assert_eq!(traceparent, "00-00000000000000010000000000000001-0000000000000001-01");
        }
    }
}
