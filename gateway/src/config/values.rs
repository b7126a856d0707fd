//! The texts that stand for typed values: durations, sizes, URLs, networks.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;
use oauth1::Scheme;

use super::key::without_password;
use super::{AllowedCallback, BaseUrl, UpstreamTarget};

/// `250ms`, `10s`, `5m`, `4h`, `1d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let millis_a_unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => {
            return Err(format!(
                "{text:?} is not a duration: write it as \"250ms\", \"10s\", \"5m\", \"4h\" or \"1d\""
            ));
        }
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(millis_a_unit))
        .map(Duration::from_millis)
        .ok_or_else(|| format!("{text:?} is not a duration: a whole number, then ms, s, m, h or d"))
}

/// `512B`, `32KiB`, `10MiB`, `1GiB`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..).unwrap_or_default() {
        "B" | "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => {
            return Err(format!(
                "{text:?} is not a size: write it as \"8KiB\", \"10MiB\" or \"1GiB\""
            ));
        }
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit))
        .ok_or_else(|| format!("{text:?} is not a size: a whole number, then B, KiB, MiB or GiB"))
}

/// `127.0.0.1:8080`, `[::]:8080`.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is not an address: write it as \"127.0.0.1:8080\" or \"[::]:8080\""))
}

/// `scheme://authority[/path]` in its three parts; nothing decoded.
fn split_url(text: &str) -> Result<(Scheme, &str, &str), String> {
    let (scheme, rest) = if let Some(rest) = text.strip_prefix("https://") {
        (Scheme::Https, rest)
    } else if let Some(rest) = text.strip_prefix("http://") {
        (Scheme::Http, rest)
    } else {
        return Err(format!("{text:?} is not a URL: it begins with http:// or https://"));
    };
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    if authority.is_empty() || authority.contains(['@', ' ', '?', '#', '\\']) || path.contains(['?', '#', ' ']) {
        return Err(format!(
            "{:?} is not a plain URL: no user name, query or fragment belongs here",
            without_password(text)
        ));
    }
    Ok((scheme, authority, path))
}

fn host_and_port(authority: &str, scheme: Scheme) -> Result<(String, u16), String> {
    let default = match scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    };
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest
                .split_once(']')
                .ok_or_else(|| format!("{authority:?} lacks its ]"))?;
            (host, after.strip_prefix(':'))
        }
        None => authority
            .split_once(':')
            .map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        None => default,
        Some(port) => port
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(|| format!("{port:?} is not a port"))?,
    };
    if host.is_empty() {
        return Err(format!("{authority:?} names no host"));
    }
    Ok((host.to_ascii_lowercase(), port))
}

pub(super) fn base_url(text: &str) -> Result<BaseUrl, String> {
    let (scheme, authority, path) = split_url(text)?;
    let (host, port) = host_and_port(authority, scheme)?;
    Ok(BaseUrl {
        scheme,
        authority: authority_of(&host, port, scheme),
        prefix: path.trim_end_matches('/').to_owned(),
    })
}

/// As `Host` says it.
fn authority_of(host: &str, port: u16, scheme: Scheme) -> String {
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    match (scheme, port) {
        (Scheme::Http, 80) | (Scheme::Https, 443) => host,
        (_, port) => format!("{host}:{port}"),
    }
}

/// Something that is asked: where it is, what `Host` says, and the path.
pub(super) struct Url {
    pub(super) target: UpstreamTarget,
    pub(super) authority: String,
    pub(super) path: String,
}

pub(super) fn url(text: &str) -> Result<Url, String> {
    let (scheme, authority, path) = split_url(text)?;
    let (host, port) = host_and_port(authority, scheme)?;
    let path = if path.is_empty() { "/" } else { path };
    if path.parse::<http::uri::PathAndQuery>().is_err() {
        return Err(format!("{path:?} is not a path"));
    }
    Ok(Url {
        authority: authority_of(&host, port, scheme),
        path: path.to_owned(),
        target: UpstreamTarget { scheme, host, port },
    })
}

pub(super) fn target(text: &str) -> Result<UpstreamTarget, String> {
    let (scheme, authority, path) = split_url(text)?;
    if !path.trim_end_matches('/').is_empty() {
        return Err(format!(
            "{text:?}: a target is scheme, host and port; the path is forwarded as the client sent it"
        ));
    }
    let (host, port) = host_and_port(authority, scheme)?;
    Ok(UpstreamTarget { scheme, host, port })
}

pub(super) fn net(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
        .map_err(|_| format!("{text:?} is not a network: write it as \"10.0.0.0/8\" or \"::1/128\""))
}

/// A network, with a port if wanted: `127.0.0.1/32:9000`, `[fd00::/8]:9000`.
pub(super) fn allowed_callback(text: &str) -> Result<AllowedCallback, String> {
    if let Some((inner, port)) = text.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
        return Ok(AllowedCallback {
            net: net(inner)?,
            port: Some(port_of(port)?),
        });
    }
    if let Ok(net) = net(text) {
        return Ok(AllowedCallback { net, port: None });
    }
    match text.rsplit_once(':') {
        Some((network, port)) => Ok(AllowedCallback {
            net: net(network)?,
            port: Some(port_of(port)?),
        }),
        None => net(text).map(|net| AllowedCallback { net, port: None }),
    }
}

fn port_of(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("{text:?} is not a port"))
}

/// 32 octets in base64.
pub(super) fn key(text: &str) -> Result<[u8; 32], String> {
    STANDARD
        .decode(text.trim())
        .ok()
        .and_then(|octets| octets.try_into().ok())
        .ok_or_else(|| "is not 32 octets in base64; `countersign config new-key` prints one".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_need_their_unit() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1d"), Ok(Duration::from_secs(86_400)));
        assert!(duration("10").is_err());
        assert!(duration("-1s").is_err());
        assert!(duration("99999999999999999999d").is_err());
        assert_eq!(size("32KiB"), Ok(32 * 1024));
        assert!(size("1MB").is_err());
    }

    #[test]
    fn a_base_url_loses_its_default_port_and_keeps_its_prefix() {
        let url = base_url("https://Shop.example:443/store/").unwrap();

        assert_eq!(
            (url.authority.as_str(), url.prefix.as_str()),
            ("shop.example", "/store")
        );
        assert_eq!(url.with_slash(), "https://shop.example/store/");
        assert!(base_url("https://user@shop.example").is_err());
        assert!(base_url("shop.example").is_err());
    }

    #[test]
    fn an_allowed_callback_may_name_a_port() {
        assert_eq!(allowed_callback("127.0.0.1/32:9000").unwrap().port, Some(9000));
        assert_eq!(allowed_callback("10.0.0.0/8").unwrap().port, None);
        assert_eq!(allowed_callback("::1/128").unwrap().port, None);
        assert_eq!(allowed_callback("[fd00::/8]:80").unwrap().port, Some(80));
    }
}
