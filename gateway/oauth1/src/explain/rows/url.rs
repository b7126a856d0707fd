//! E1 to E19: the URL.

use std::borrow::Cow;

use super::{Dimension, Variant, shown};
use crate::Scheme;
use crate::explain::draft::Draft;
use crate::explain::encoder::Encoder;
use crate::explain::source::{Source, decode, decode_form, replaced};
use crate::target::host_and_port;

pub(super) fn add<'a>(source: &'a Source<'a>, out: &mut Vec<Variant<'a>>) {
    scheme(source, out);
    host(source, out);
    other_addresses(source, out);
    port(source, out);
    path(source, out);
    slashes(source, out);
    prefixes(source, out);
    tidied(source, out);
}

fn scheme<'a>(source: &'a Source<'a>, out: &mut Vec<Variant<'a>>) {
    let (row, other) = match source.scheme {
        Scheme::Https => (1, Scheme::Http),
        Scheme::Http => (2, Scheme::Https),
    };
    let right = source.right();
    let at = |scheme: &str| {
        let url = Draft {
            scheme: if scheme == "http" { "http" } else { "https" },
            ..right.clone()
        };
        shown(&url.url_text())
    };
    let change = move |draft: &mut Draft<'a>| draft.scheme = other.as_str();
    out.push(
        Variant::new(row, Dimension::Scheme, change)
            .telling(at(other.as_str()))
            .telling(at(source.scheme.as_str())),
    );
}

fn host<'a>(source: &'a Source<'a>, out: &mut Vec<Variant<'a>>) {
    let right = source.right();
    let host = right.host.to_vec();
    let sent = source.raw.first("host").unwrap_or_default();
    let (as_sent, _) = host_and_port(sent.as_bytes());
    let (as_configured, _) = host_and_port(source.authority.as_bytes());
    let mut spellings = vec![host.to_ascii_uppercase(), capital(&host), title(&host)];
    for other in [as_sent, as_configured] {
        if other.eq_ignore_ascii_case(&host) {
            spellings.push(other.to_vec());
        }
    }
    for spelling in spellings {
        out.push(to_host(5, spelling));
    }
    let www = match host.strip_prefix(b"www.") {
        Some(bare) => bare.to_vec(),
        None => [b"www.", host.as_slice()].concat(),
    };
    out.push(to_host(6, www));
}

fn to_host<'a>(row: u8, host: Vec<u8>) -> Variant<'a> {
    let detail = shown(&host);
    Variant::new(row, Dimension::Host, move |draft| draft.host = Cow::Owned(host.clone())).telling(detail)
}

/// E7 and E8: addresses that the request itself names.
fn other_addresses<'a>(source: &'a Source<'a>, out: &mut Vec<Variant<'a>>) {
    let called = source.raw.first("host");
    if let Some(host) = called.filter(|host| !host.eq_ignore_ascii_case(&source.authority)) {
        for scheme in [source.scheme, other(source.scheme)] {
            for with_port in [true, false] {
                address(7, scheme, host, with_port, out);
            }
        }
    }
    let forwarded = source.raw.first("forwarded").unwrap_or_default();
    let named = forwarded
        .split([';', ','])
        .filter_map(|part| part.trim().split_once('='));
    let named = named.filter(|(name, _)| name.eq_ignore_ascii_case("host"));
    let reported = ["x-forwarded-host", "x-original-host"];
    let reported = reported.into_iter().filter_map(|name| source.raw.first(name));
    let lists = reported.flat_map(|value| value.split(','));
    for host in lists.chain(named.map(|(_, host)| host)).take(MAX_REPORTED) {
        let host = host.trim().trim_matches('"');
        if !host.is_empty() {
            address(8, source.scheme, host, true, out);
            address(8, other(source.scheme), host, true, out);
        }
    }
}

fn address(row: u8, scheme: Scheme, authority: &str, with_port: bool, out: &mut Vec<Variant<'_>>) {
    let (host, port) = host_and_port(authority.as_bytes());
    let host = host.to_ascii_lowercase();
    let port = if with_port && port != scheme.default_port() {
        port
    } else {
        b""
    };
    let port = port.to_vec();
    let mut detail = format!("{}://{}", scheme.as_str(), shown(&host));
    if !port.is_empty() {
        detail.push(':');
        detail.push_str(&shown(&port));
    }
    let change = move |draft: &mut Draft<'_>| {
        draft.scheme = scheme.as_str();
        draft.host = Cow::Owned(host.clone());
        draft.port = Cow::Owned(port.clone());
    };
    out.push(Variant::new(row, Dimension::Host, change).telling(detail));
}

fn port<'a>(source: &'a Source<'a>, out: &mut Vec<Variant<'a>>) {
    let own = if source.scheme == Scheme::Https { "443" } else { "80" };
    let other = if source.scheme == Scheme::Https { "80" } else { "443" };
    for port in [own, other] {
        let change = move |draft: &mut Draft<'a>| {
            if draft.port.is_empty() {
                draft.port = Cow::Borrowed(port.as_bytes());
            }
        };
        out.push(Variant::new(3, Dimension::Port, change).telling(port));
    }
    out.push(Variant::new(4, Dimension::Port, |draft| {
        draft.port = Cow::Borrowed(b"");
    }));
    // The port that a client puts behind the path is the one that it would have put before, a default one too.
    let change = move |draft: &mut Draft<'a>| {
        if draft.port.is_empty() {
            draft.port = Cow::Borrowed(own.as_bytes());
        }
        draft.port_behind_path = true;
    };
    out.push(Variant::new(19, Dimension::Port, change));
}

fn path<'a>(source: &'a Source<'a>, out: &mut Vec<Variant<'a>>) {
    let path = source.path.as_bytes();
    out.push(to_path(9, decode(path)));
    out.push(to_path(9, decode_form(path)));
    out.push(to_path(10, replaced(path, b'%', b"%25")));
    let segments = |encoder: Encoder| -> Vec<u8> {
        let segments: Vec<_> = path
            .split(|octet| *octet == b'/')
            .map(|segment| encoder.encode(&decode(segment)))
            .collect();
        segments.join(&b'/')
    };
    out.push(to_path(11, segments(Encoder::Rfc)));
    out.push(to_path(11, segments(Encoder::UriComponent)));
    out.push(to_path(11, Encoder::Uri.encode(&decode(path))));
    out.push(to_path(11, with_escapes(path, u8::to_ascii_lowercase)));
    out.push(to_path(11, with_escapes(path, u8::to_ascii_uppercase)));
    out.push(to_path(11, replaced(path, b'+', b"%20")));
    let plus = shown(path).replace("%20", "+");
    out.push(to_path(11, plus.into_bytes()));
}

fn slashes<'a>(source: &'a Source<'a>, out: &mut Vec<Variant<'a>>) {
    let path = source.path.as_str();
    match path.strip_suffix('/') {
        Some(shorter) if !shorter.is_empty() => out.push(to_path(12, shorter)),
        Some(_) => {}
        None => out.push(to_path(13, format!("{path}/"))),
    }
    if path == "/" {
        out.push(to_path(18, ""));
    }
    out.push(to_path(17, "/"));
    out.push(to_path(17, ""));
}

fn prefixes<'a>(source: &'a Source<'a>, out: &mut Vec<Variant<'a>>) {
    let path = source.path.as_str();
    let ends = path.char_indices().skip(1).filter(|(_, character)| *character == '/');
    for (at, _) in ends.take(MAX_PREFIX_SEGMENTS) {
        if let Some((prefix, rest)) = path.split_at_checked(at) {
            out.push(to_path(14, rest).telling(prefix));
        }
    }
    let forwarded = source.raw.first("x-forwarded-prefix").unwrap_or_default();
    let known = [forwarded, &source.public_path]
        .into_iter()
        .map(|one| one.trim_end_matches('/'));
    for prefix in known.chain(PREFIXES).filter(|prefix| prefix.starts_with('/')) {
        out.push(to_path(15, format!("{prefix}{path}")).telling(prefix));
    }
}

fn tidied<'a>(source: &'a Source<'a>, out: &mut Vec<Variant<'a>>) {
    let path = source.path.as_str();
    let merged = merge(path);
    out.push(to_path(16, without_dots(path)));
    out.push(to_path(16, without_dots(&merged)));
    out.push(to_path(16, merged));
}

fn to_path<'a>(row: u8, path: impl Into<Vec<u8>>) -> Variant<'a> {
    let path = path.into();
    Variant::new(row, Dimension::Path, move |draft| draft.path = Cow::Owned(path.clone()))
}

fn other(scheme: Scheme) -> Scheme {
    match scheme {
        Scheme::Http => Scheme::Https,
        Scheme::Https => Scheme::Http,
    }
}

fn capital(host: &[u8]) -> Vec<u8> {
    let mut host = host.to_vec();
    if let Some(first) = host.first_mut() {
        first.make_ascii_uppercase();
    }
    host
}

fn title(host: &[u8]) -> Vec<u8> {
    let labels: Vec<_> = host.split(|octet| *octet == b'.').map(capital).collect();
    labels.join(&b'.')
}

/// The two digits behind each `%` changed.
fn with_escapes(path: &[u8], change: fn(&u8) -> u8) -> Vec<u8> {
    let mut left = 0;
    let changed = path.iter().map(|octet| match (*octet, left) {
        (b'%', _) => {
            left = 2;
            b'%'
        }
        (_, 0) => *octet,
        (_, _) => {
            left -= 1;
            change(octet)
        }
    });
    changed.collect()
}

fn merge(path: &str) -> String {
    let mut merged = String::with_capacity(path.len());
    for character in path.chars() {
        if character != '/' || !merged.ends_with('/') {
            merged.push(character);
        }
    }
    merged
}

/// RFC 3986 section 5.2.4, as far as absolute paths need it.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            other => kept.push(other),
        }
    }
    let ends_in_dots = path.ends_with("/.") || path.ends_with("/..");
    if ends_in_dots {
        kept.push("");
    }
    format!("/{}", kept.join("/"))
}

const MAX_REPORTED: usize = 4;
const MAX_PREFIX_SEGMENTS: usize = 4;

const PREFIXES: [&str; 11] = [
    "/rest",
    "/rest/default",
    "/rest/all",
    "/rest/V1",
    "/index.php",
    "/index.php/rest",
    "/api",
    "/V1",
    "/magento",
    "/store",
    "/shop",
];
