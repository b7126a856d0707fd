//! Routes: host, method and path template → the route that serves a request.
//!
//! A tree of segments per host, built when the configuration loads: what a lookup costs depends on the path's segments,
//! not on how many routes there are. Segments are judged decoded once; what upstream gets is what the client sent, so a
//! path that upstream could read differently is refused instead of tidied.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;

use crate::authenticate::target::without_port;
use crate::config;

/// All routes.
#[derive(Debug, Default)]
pub struct Routes {
    by_host: HashMap<String, Node>,
    any_host: Node,
}

/// What a lookup found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// The route's place in the configuration.
    Route(usize),
    /// The path is there, the method isn't: what `Allow` says.
    OtherMethods(String),
    /// No such path.
    Unknown,
    /// A path that is always refused: dot segments, empty segments, backslashes, controls, broken escapes.
    Refused,
}

/// A place in the tree: what may follow, literals before a variable before the rest.
#[derive(Debug, Default)]
struct Node {
    /// In the order of [`by_length`]: few of them at most places, and comparing lengths costs less than hashing.
    literals: Vec<(String, Self)>,
    variable: Option<Box<Self>>,
    rest: Vec<Entry>,
    here: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    method: String,
    route: usize,
    encoded_slash: bool,
}

/// A template that can't be a route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Doesn't begin with a slash.
    #[error("a path begins with /")]
    NoSlash,
    /// `//`, or a segment that would be refused in a request.
    #[error("segment {0:?} can't be matched: empty, dots or an escape")]
    Segment(String),
    /// Braces that are no variable's: a variable is a whole segment.
    #[error("segment {0:?} can't be matched: braces stand around a whole segment, as {{name}}, {{name?}} or {{*name}}")]
    Braces(String),
    /// A query or a fragment, which is no part of a path.
    #[error("segment {0:?} can't be matched: a route is found by its path, without ? or # and what follows")]
    Query(String),
    /// `{*rest}` before the end.
    #[error("{{*rest}} stands only at the end")]
    RestInside,
    /// Another route has that host, method and template.
    #[error("{0} is already a route for this method and host")]
    Taken(String),
}

impl Routes {
    /// Builds the tree; the index of each fault is its route's.
    pub fn new(routes: &[config::Route]) -> Result<Self, Vec<(usize, TemplateError)>> {
        let mut all = Self::default();
        let mut faults = Vec::new();
        for (index, route) in routes.iter().enumerate() {
            if let Err(fault) = all.insert(index, route) {
                faults.push((index, fault));
            }
        }
        if faults.is_empty() { Ok(all) } else { Err(faults) }
    }

    fn insert(&mut self, index: usize, route: &config::Route) -> Result<(), TemplateError> {
        let segments = parse(&route.path)?;
        for method in &route.methods {
            let entry = Entry {
                method: method.clone(),
                route: index,
                encoded_slash: route.encoded_slash,
            };
            let root = match &route.host {
                Some(host) => self.by_host.entry(host.clone()).or_default(),
                None => &mut self.any_host,
            };
            root.insert(&segments, &entry)
                .map_err(|()| TemplateError::Taken(route.path.clone()))?;
        }
        Ok(())
    }

    /// The route for a request. `host` as the request has it, perhaps with a port; `path` raw.
    pub fn find(&self, host: &str, method: &str, path: &str) -> Found {
        let Some(segments) = segments(path) else {
            return Found::Refused;
        };
        // HEAD goes by GET.
        let method = if method == "HEAD" { "GET" } else { method };
        let mut search = Search {
            method,
            slash: segments.has_slash,
            best: None,
            allow: Vec::new(),
            slash_refused: false,
        };
        let of_host = if self.by_host.is_empty() {
            None
        } else {
            self.by_host.get(&without_port(host).to_ascii_lowercase())
        };
        for root in of_host.into_iter().chain([&self.any_host]) {
            root.find(&segments.decoded, &mut search);
            if search.best.is_some() {
                break;
            }
        }
        match search {
            Search { best: Some(route), .. } => Found::Route(route),
            Search {
                slash_refused: true, ..
            } => Found::Refused,
            Search { allow, .. } if allow.is_empty() => Found::Unknown,
            Search { allow, .. } => Found::OtherMethods(allow_header(allow)),
        }
    }
}

enum Template {
    Literal(String),
    Variable,
    Optional,
    Rest,
}

fn parse(path: &str) -> Result<Vec<Template>, TemplateError> {
    let inner = path.strip_prefix('/').ok_or(TemplateError::NoSlash)?;
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if inner.is_empty() {
        return Ok(Vec::new());
    }
    let mut templates = Vec::new();
    let mut parts = inner.split('/').peekable();
    while let Some(part) = parts.next() {
        let name = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
        templates.push(match name {
            Some(name) if name.contains(['{', '}']) => return Err(TemplateError::Braces(part.to_owned())),
            Some(name) if name.starts_with('*') => {
                if parts.peek().is_some() {
                    return Err(TemplateError::RestInside);
                }
                Template::Rest
            }
            Some(name) if name.ends_with('?') => Template::Optional,
            Some(_) => Template::Variable,
            None if part.contains(['{', '}']) => return Err(TemplateError::Braces(part.to_owned())),
            None if part.contains(['?', '#']) => return Err(TemplateError::Query(part.to_owned())),
            None if part.contains('%') || judge(part).is_none() => {
                return Err(TemplateError::Segment(part.to_owned()));
            }
            None => Template::Literal(part.to_owned()),
        });
    }
    Ok(templates)
}

impl Node {
    fn insert(&mut self, templates: &[Template], entry: &Entry) -> Result<(), ()> {
        let Some((first, others)) = templates.split_first() else {
            return add(&mut self.here, entry);
        };
        match first {
            Template::Literal(text) => {
                let place = self.literals.binary_search_by(|(literal, _)| by_length(literal, text));
                let place = place.unwrap_or_else(|free| {
                    self.literals.insert(free, (text.clone(), Self::default()));
                    free
                });
                match self.literals.get_mut(place) {
                    Some((_, next)) => next.insert(others, entry),
                    None => Ok(()),
                }
            }
            Template::Variable => self.variable.get_or_insert_default().insert(others, entry),
            Template::Optional => {
                self.insert(others, entry)?;
                self.variable.get_or_insert_default().insert(others, entry)
            }
            Template::Rest => add(&mut self.rest, entry),
        }
    }

    /// Depth first, the more literal way before the other: the first that serves the method is the one.
    fn find(&self, segments: &[Cow<'_, str>], search: &mut Search<'_>) {
        let Some((first, others)) = segments.split_first() else {
            return search.take(&self.here);
        };
        let literal = self.literals.binary_search_by(|(literal, _)| by_length(literal, first));
        if let Some((_, next)) = literal.ok().and_then(|place| self.literals.get(place)) {
            next.find(others, search);
        }
        if search.best.is_none()
            && let Some(next) = &self.variable
        {
            next.find(others, search);
        }
        if search.best.is_none() {
            search.take(&self.rest);
        }
    }
}

/// The shorter one first, those of one length by octets: most comparisons look at no octet.
fn by_length(one: &str, other: &str) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

fn add(entries: &mut Vec<Entry>, entry: &Entry) -> Result<(), ()> {
    if entries.iter().any(|one| one.method == entry.method) {
        return Err(());
    }
    entries.push(entry.clone());
    Ok(())
}

struct Search<'a> {
    method: &'a str,
    slash: bool,
    best: Option<usize>,
    allow: Vec<String>,
    slash_refused: bool,
}

impl Search<'_> {
    fn take(&mut self, entries: &[Entry]) {
        match entries.iter().find(|entry| entry.method == self.method) {
            Some(entry) if self.slash && !entry.encoded_slash => self.slash_refused = true,
            Some(entry) => self.best = Some(entry.route),
            None => self.allow.extend(entries.iter().map(|entry| entry.method.clone())),
        }
    }
}

fn allow_header(mut methods: Vec<String>) -> String {
    if methods.iter().any(|method| method == "GET") {
        methods.push("HEAD".to_owned());
    }
    methods.sort_unstable();
    methods.dedup();
    methods.join(", ")
}

struct Segments<'a> {
    decoded: Vec<Cow<'a, str>>,
    has_slash: bool,
}

/// The path's segments, decoded once; `None`: a path that is always refused. One trailing slash is ignored, as Magento does.
fn segments(path: &str) -> Option<Segments<'_>> {
    let inner = path.strip_prefix('/')?;
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    let mut found = Segments {
        decoded: Vec::with_capacity(8),
        has_slash: false,
    };
    if inner.is_empty() {
        // "//" is an empty segment, "/" is the root.
        return (path == "/").then_some(found);
    }
    let mut rest = Some(inner);
    while let Some(text) = rest {
        let segment = match text.bytes().position(|byte| byte == b'/') {
            None => text,
            Some(end) => text.get(..end)?,
        };
        rest = text.get(segment.len() + 1..);
        let decoded = judge(segment)?;
        found.has_slash |= matches!(&decoded, Cow::Owned(decoded) if decoded.contains('/'));
        found.decoded.push(decoded);
    }
    Some(found)
}

/// Whether a request with that path is looked at, and not refused whatever stands there.
pub fn is_servable(path: &str) -> bool {
    segments(path).is_some()
}

/// A segment decoded once, unless upstream could take it for something else than we do.
fn judge(segment: &str) -> Option<Cow<'_, str>> {
    if segment.is_empty() {
        return None;
    }
    if is_plain(segment) {
        return Some(Cow::Borrowed(segment));
    }
    let decoded = decode(segment)?;
    let is_refused = is_odd(&decoded) || (decoded.contains('%') && hides(&decoded));
    (!is_refused).then_some(decoded)
}

/// Whether a segment is of characters that every server reads as we do, as most are: it needs no second look.
fn is_plain(segment: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    segment.bytes().all(plain) && segment.bytes().any(|byte| byte != b'.')
}

/// Whether a decoded segment holds what no segment may: controls, backslashes, what folds to a slash, only dots.
fn is_odd(segment: &str) -> bool {
    let odd = |character: char| character.is_control() || LIKE_SLASHES.contains(&character);
    segment.contains(odd) || is_dots(segment)
}

/// Whether a server that decodes more often than once would find what the first decoding did not.
fn hides(decoded: &str) -> bool {
    let mut octets = decoded.as_bytes().to_vec();
    for _ in 0..MOST_DECODINGS {
        let next = decode_again(&octets);
        if next == octets {
            return false;
        }
        let text = String::from_utf8_lossy(&next);
        if text.contains('/') || is_odd(&text) || is_overlong(&next) {
            return true;
        }
        octets = next;
    }
    // Nobody escapes an escape that often.
    true
}

/// As the most liberal server decodes: `%XX`, `%uXXXX`, and what is neither stays.
fn decode_again(octets: &[u8]) -> Vec<u8> {
    let digits = |from: usize, count: usize| {
        let digits = std::str::from_utf8(octets.get(from..from + count)?).ok()?;
        let all_digits = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        all_digits.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
    };
    let mut decoded = Vec::with_capacity(octets.len());
    let mut at = 0;
    while let Some(byte) = octets.get(at) {
        let wide = || {
            matches!(octets.get(at + 1), Some(b'u' | b'U'))
                .then(|| digits(at + 2, 4))
                .flatten()
        };
        let (length, escaped) = match byte {
            b'%' => match (digits(at + 1, 2), wide()) {
                (Some(octet), _) => (3, u8::try_from(octet).ok().map(|octet| vec![octet])),
                (None, Some(code)) => (6, char::from_u32(code).map(|one| one.to_string().into_bytes())),
                (None, None) => (1, None),
            },
            _ => (1, None),
        };
        match escaped {
            Some(escaped) => decoded.extend(escaped),
            None => decoded.extend(octets.iter().skip(at).take(length)),
        }
        at += length;
    }
    decoded
}

/// Whether octets hold a character in more octets than it needs: some servers read `C0 AE` as a dot.
fn is_overlong(octets: &[u8]) -> bool {
    octets.windows(2).any(|pair| {
        matches!(
            pair,
            [0xC0 | 0xC1, _] | [0xE0, 0x80..=0x9F] | [0xF0, 0x80..=0x8F] | [0xF8, 0x80..=0x87] | [0xFC, 0x80..=0x83]
        )
    })
}

/// `.` and `..`, also before `;` (path parameters) or a decoded slash, and in the characters that fold to dots.
fn is_dots(segment: &str) -> bool {
    let dots = |character: char| match character {
        '.' | '\u{FF0E}' | '\u{2024}' | '\u{FE52}' => Some(1),
        '\u{2025}' => Some(2),
        _ => None,
    };
    segment.split('/').any(|part| {
        let name = part.split(';').next().unwrap_or_default().trim();
        let all: Option<usize> = name.chars().map(dots).sum();
        matches!(all, Some(1 | 2))
    })
}

/// Percent-decoding; `None`: a broken escape, or octets that aren't UTF-8 (overlong forms among them).
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut octets = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            octets.push(byte);
            continue;
        }
        let high = char::from(bytes.next()?).to_digit(16)?;
        let low = char::from(bytes.next()?).to_digit(16)?;
        octets.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(octets).ok().map(Cow::Owned)
}

/// Characters that some server folds to a slash or a backslash.
const LIKE_SLASHES: [char; 9] = [
    '\\', '\u{FF0F}', '\u{2215}', '\u{29F8}', '\u{2044}', '\u{FF3C}', '\u{FE68}', '\u{29F5}', '\u{2216}',
];
/// Past the first.
const MOST_DECODINGS: usize = 4;

#[cfg(test)]
mod tests;
