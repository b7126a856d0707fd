//! Which addresses a callback may reach (reliability.md 4, SSRF): public ones, listed private ones, never our own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::config::AllowedCallback;

/// Addresses that no callback may reach, whatever is allowed.
#[derive(Clone, Debug, Default)]
pub struct OwnAddresses {
    /// Our listeners, and the store's servers as far as they are known by address.
    pub addresses: Vec<SocketAddr>,
    /// The store's servers by name: what a name means may change while we run.
    pub names: Vec<(String, u16)>,
}

impl OwnAddresses {
    /// The same, with what the names mean now.
    pub async fn resolved(&self) -> Self {
        let mut addresses = self.addresses.clone();
        for (name, port) in &self.names {
            // A name that has no address can't be reached by a callback, either.
            if let Ok(found) = tokio::net::lookup_host((name.as_str(), *port)).await {
                addresses.extend(found);
            }
        }
        Self {
            addresses,
            names: self.names.clone(),
        }
    }

    fn include(&self, callee: SocketAddr) -> bool {
        let ip = callee.ip();
        let is_ours = |ours: IpAddr| {
            let ours = canonical(ours);
            // A listener on all addresses is reached by any that this machine has.
            ours == ip || ip.is_unspecified() || (ours.is_unspecified() && (ip.is_loopback() || is_of_this_machine(ip)))
        };
        self.addresses
            .iter()
            .any(|ours| ours.port() == callee.port() && is_ours(ours.ip()))
    }
}

/// An address or host that may not be called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressRefused {
    /// One of ours.
    #[error("{0} is one of this gateway's own addresses")]
    Own(SocketAddr),
    /// Private, loopback, link-local, metadata or otherwise not public.
    #[error("{0} is not a public address; list it in callbacks.allow if it is meant")]
    NotPublic(SocketAddr),
    /// Not a URL.
    #[error("not a URL that can be called")]
    NotAUrl,
}

/// Whether this very address may be called.
pub fn check(address: SocketAddr, allow: &[AllowedCallback], own: &OwnAddresses) -> Result<(), AddressRefused> {
    let ip = canonical(address.ip());
    let canonical = SocketAddr::new(ip, address.port());
    if own.include(canonical) {
        return Err(AddressRefused::Own(canonical));
    }
    let listed = allow
        .iter()
        .any(|allowed| allowed.net.contains(&ip) && allowed.port.is_none_or(|port| port == canonical.port()));
    if listed || is_public(ip) {
        Ok(())
    } else {
        Err(AddressRefused::NotPublic(canonical))
    }
}

/// Refuses a URL at once whose host is an address that may not be called, in whatever spelling; names are judged when
/// they are resolved.
pub fn check_literal(url: &str, allow: &[AllowedCallback], own: &OwnAddresses) -> Result<(), AddressRefused> {
    let parsed = url::Url::parse(url).map_err(|_| AddressRefused::NotAUrl)?;
    let port = parsed.port_or_known_default().ok_or(AddressRefused::NotAUrl)?;
    match parsed.host().ok_or(AddressRefused::NotAUrl)? {
        url::Host::Ipv4(ip) => check(SocketAddr::new(ip.into(), port), allow, own),
        url::Host::Ipv6(ip) => check(SocketAddr::new(ip.into(), port), allow, own),
        url::Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            if name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost") {
                check(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port), allow, own)
            } else {
                Ok(())
            }
        }
    }
}

fn canonical(ip: IpAddr) -> IpAddr {
    embedded_v4(ip).map_or(ip, IpAddr::V4)
}

/// Only an address that an interface has can be bound.
fn is_of_this_machine(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

/// The IPv4 address that an IPv6 one stands for: mapped, compatible, 6to4, NAT64.
fn embedded_v4(ip: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(v6) = ip else { return None };
    if v6.is_loopback() || v6.is_unspecified() {
        return None;
    }
    let [head @ .., high, low] = v6.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match head {
        [0, 0, 0, 0, 0, 0xFFFF | 0] | [0x64, 0xFF9B, 0, 0, 0, 0] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

/// Whether an address belongs to the public Internet (IANA's special-purpose registries).
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = ip.is_unspecified()
        || ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_broadcast()
        || ip.is_multicast()
        || ip.is_documentation()
        || a == 0
        || a >= 240
        // Carrier-grade NAT, protocol assignments, 6to4 relays, benchmarking.
        || (a == 100 && (64..128).contains(&b))
        || (a, b, c) == (192, 0, 0)
        || (a, b, c) == (192, 88, 99)
        || (a == 198 && (18..20).contains(&b));
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, ..] = ip.segments();
    // Only global unicast is assigned to anybody; of it, Teredo, benchmarking, ORCHID and documentation are special.
    (0x2000..0x4000).contains(&a) && !(a == 0x2001 && (b < 0x200 || b == 0xDB8)) && a != 0x3FFF
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> OwnAddresses {
        OwnAddresses {
            addresses: vec!["0.0.0.0:8080".parse().unwrap(), "127.0.0.1:6379".parse().unwrap()],
            names: Vec::new(),
        }
    }

    #[test]
    fn every_spelling_of_a_private_address_is_refused() {
        for host in [
            "127.0.0.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "127.1",
            "0",
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.2.1",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            let refused = check_literal(&format!("http://{host}:9000/cb"), &[], &own());

            assert!(refused.is_err(), "{host}");
        }
    }

    #[test]
    fn a_public_address_and_a_name_pass() {
        for url in [
            "https://93.184.216.34/cb",
            "https://partner.example/cb",
            "https://[2606:2800:220:1::1]/cb",
        ] {
            assert_eq!(check_literal(url, &[], &own()), Ok(()), "{url}");
        }
    }

    #[test]
    fn a_listed_address_passes_but_never_one_of_ours() {
        let allow = [AllowedCallback {
            net: "127.0.0.0/8".parse().unwrap(),
            port: None,
        }];

        assert_eq!(check_literal("http://127.0.0.1:9000/cb", &allow, &own()), Ok(()));
        assert!(check_literal("http://127.0.0.1:8080/cb", &allow, &own()).is_err());
        assert!(check_literal("http://127.0.0.1:6379/cb", &allow, &own()).is_err());
        assert!(check_literal("http://[::ffff:127.0.0.1]:6379/cb", &allow, &own()).is_err());
    }

    #[test]
    fn another_machine_may_listen_on_the_port_that_we_listen_on() {
        let allow = [AllowedCallback {
            net: "10.0.0.0/8".parse().unwrap(),
            port: None,
        }];

        assert_eq!(check_literal("http://10.255.1.2:8080/cb", &allow, &own()), Ok(()));
    }

    #[tokio::test]
    async fn a_server_of_the_store_is_protected_by_its_name() {
        let allow = [AllowedCallback {
            net: "127.0.0.0/8".parse().unwrap(),
            port: None,
        }];
        let own = OwnAddresses {
            addresses: Vec::new(),
            names: vec![("localhost".to_owned(), 6380)],
        };

        let own = own.resolved().await;

        let refused = check("127.0.0.1:6380".parse().unwrap(), &allow, &own);
        assert!(matches!(refused, Err(AddressRefused::Own(_))));
    }

    #[test]
    fn an_entry_with_a_port_allows_that_port_only() {
        let allow = [AllowedCallback {
            net: "127.0.0.1/32".parse().unwrap(),
            port: Some(9000),
        }];

        assert_eq!(check_literal("http://127.0.0.1:9000/", &allow, &own()), Ok(()));
        assert!(check_literal("http://127.0.0.1:9001/", &allow, &own()).is_err());
    }
}
