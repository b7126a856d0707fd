//! What the headers of one hop say: who called, over what, under which id (RFC 7239, W3C Trace Context).

use std::cell::RefCell;
use std::net::IpAddr;

use http::HeaderValue;

use crate::request_id::RequestId;

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
    /// Whether the last request named that host: it was valid.
    pub fn knows(&self, host: &str) -> bool {
        let memory = self.0.borrow();
        memory
            .as_ref()
            .is_some_and(|known| known.host.as_bytes() == host.as_bytes())
    }

    /// The values for a request of `client`, which signed `proto` and named `host`.
    pub fn hop(&self, client: IpAddr, proto: &'static str, host: &str, request_id: &RequestId) -> Hop {
        let mut memory = self.0.borrow_mut();
        let known = memory
            .take()
            .filter(|known| known.client == client && known.proto == proto && known.host.as_bytes() == host.as_bytes());
        let common = memory.insert(known.unwrap_or_else(|| Common::new(client, proto, host)));
        Hop {
            request_id: request_id.id.clone(),
            forwarded_for: common.forwarded_for.clone(),
            proto,
            host: common.host.clone(),
            forwarded: common.forwarded.clone(),
            traceparent: request_id.traceparent.clone(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request_id::RequestIds;

    fn told(hop: &Hop) -> [&str; 4] {
        [&hop.forwarded_for, &hop.host, &hop.forwarded, &hop.traceparent].map(|value| value.to_str().unwrap())
    }

    #[test]
    fn what_a_connection_remembers_is_told_only_while_client_scheme_and_host_stay_the_same() {
        let memory = HopMemory::default();
        let ids = RequestIds::new().unwrap();
        let id = ids.given(HeaderValue::from_static("0123456789abcdef0123456789abcdef"));
        let (one, other) = (
            IpAddr::from([192, 0, 2, 1]),
            IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]),
        );
        let trace = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";

        for _ in 0..2 {
            let hop = memory.hop(one, "http", "shop.example", &id);
            assert!(memory.knows("shop.example") && !memory.knows("shop.exampl") && !memory.knows(""));
            let forwarded = "for=192.0.2.1;host=\"shop.example\";proto=http";
            assert_eq!(told(&hop), ["192.0.2.1", "shop.example", forwarded, trace]);
        }
        let hop = memory.hop(one, "https", "shop.example", &id);
        assert_eq!(told(&hop)[2], "for=192.0.2.1;host=\"shop.example\";proto=https");
        let hop = memory.hop(one, "https", "other.example", &id);
        assert_eq!(
            told(&hop)[1..3],
            ["other.example", "for=192.0.2.1;host=\"other.example\";proto=https"]
        );
        let hop = memory.hop(other, "https", "other.example", &id);
        let forwarded = "for=\"[2001:db8::1]\";host=\"other.example\";proto=https";
        assert_eq!(told(&hop), ["2001:db8::1", "other.example", forwarded, trace]);
    }
}
