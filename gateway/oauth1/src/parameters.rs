//! The parameters of a request, from header, query and form: each kept once per occurrence, in canonical encoding, sorted
//! (RFC 5849 section 3.4.1.3, C31 to C40).

use std::cmp::Ordering;

use crate::{
    ParameterName, Placement, Problem, RequestParts,
    authorization::{Authorization, Pairs},
    natural_order,
    percent::{self, Decoding},
};

/// A request's parameters. What is canonical on the wire is borrowed; the rest stands re-encoded in one buffer.
pub(crate) struct Parameters<'a> {
    list: Vec<Parameter<'a>>,
    buffer: Vec<u8>,
    /// Octets of all names and values, for the size of the base string.
    encoded_len: usize,
}

/// One pair in canonical encoding.
#[derive(Clone, Copy)]
pub(crate) struct Parameter<'a> {
    /// The name's first eight octets: decides most comparisons.
    prefix: u64,
    name: Text<'a>,
    value: Text<'a>,
    placement: Placement,
    is_oauth: bool,
}

/// Octets on the wire, or a range of the buffer.
#[derive(Clone, Copy)]
pub(crate) enum Text<'a> {
    Wire(&'a [u8]),
    Buffer { start: usize, end: usize },
}

impl<'a> Parameters<'a> {
    /// All of a request, with what it lacks or has too much of; sorted.
    pub(crate) fn of(parts: &RequestParts<'a>) -> Result<Self, Problem> {
        let header = match Authorization::read(parts.authorization) {
            Authorization::OAuth(rest) => Some(rest),
            Authorization::Other | Authorization::Bearer | Authorization::Several => None,
        };
        let (mut parameters, _) = Self::collect(parts, header, usize::MAX)?;
        parameters.sort();
        Ok(parameters)
    }

    /// Those of the `OAuth` header, of query and form (at most `limit` of these two), and the header's realm; unsorted.
    pub(crate) fn collect(
        parts: &RequestParts<'a>,
        header: Option<&'a [u8]>,
        limit: usize,
    ) -> Result<(Self, Option<Text<'a>>), Problem> {
        let mut parameters = Self::with_capacity(USUAL_COUNT);
        let realm = header.map_or(Ok(None), |rest| parameters.add_header(Pairs::new(rest)))?;
        if let Some(query) = parts.target.query {
            parameters.add_form(query.as_bytes(), Placement::Query, limit)?;
        }
        if let Some(form) = parts.form {
            parameters.add_form(form, Placement::Form, limit)?;
        }
        Ok((parameters, realm))
    }

    pub(crate) fn with_capacity(pairs: usize) -> Self {
        Self {
            list: Vec::with_capacity(pairs),
            buffer: Vec::new(),
            encoded_len: 0,
        }
    }

    /// Adds the pairs of the `OAuth` header, all but `realm`, which is answered (C6, C7).
    fn add_header(&mut self, pairs: Pairs<'a>) -> Result<Option<Text<'a>>, Problem> {
        let mut realm = None;
        for (count, pair) in pairs.enumerate() {
            let pair = pair?;
            if count >= MAX_HEADER_PARAMETERS {
                return Err(Problem::TooLarge);
            }
            let name = self.text(pair.name, Decoding::Header)?;
            if self.octets(name).eq_ignore_ascii_case(b"realm") {
                let value = if pair.holds_backslash {
                    self.unquoted(pair.value)
                } else {
                    Text::Wire(pair.value)
                };
                if realm.replace(value).is_some() {
                    return Err(Problem::Malformed);
                }
                continue;
            }
            if pair.holds_backslash || !self.is_utf8(name) {
                return Err(Problem::Malformed);
            }
            let value = self.text(pair.value, Decoding::Header)?;
            self.push(name, value, Placement::Header);
        }
        Ok(realm)
    }

    /// Adds the pairs of a query or form, at most until there are `limit` of both together (C28, C34, C35).
    pub(crate) fn add_form(&mut self, text: &'a [u8], placement: Placement, limit: usize) -> Result<(), Problem> {
        let header = self
            .list
            .iter()
            .filter(|parameter| parameter.placement == Placement::Header)
            .count();
        for pair in pairs(text) {
            if self.list.len() - header >= limit {
                return Err(Problem::TooLarge);
            }
            let (name, value) = split_pair(pair);
            let name = self.text(name, Decoding::Form)?;
            let value = self.text(value, Decoding::Form)?;
            self.push(name, value, placement);
        }
        Ok(())
    }

    /// Adds a header parameter that is encoded already.
    pub(crate) fn add_encoded(&mut self, name: &'a [u8], value: &'a [u8]) {
        self.push(Text::Wire(name), Text::Wire(value), Placement::Header);
    }

    /// Whether any `oauth_*` stands in that placement.
    pub(crate) fn holds_oauth(&self, placement: Placement) -> bool {
        self.list
            .iter()
            .any(|parameter| parameter.is_oauth && parameter.placement == placement)
    }

    /// Brings them into the order of RFC 5849 section 3.4.1.3.2: encoded names, then encoded values, by octets (C36).
    pub(crate) fn sort(&mut self) {
        let buffer = &self.buffer;
        self.list.sort_unstable_by(|one, other| {
            one.prefix
                .cmp(&other.prefix)
                .then_with(|| by_octets(one, other, buffer))
        });
    }

    /// Drops each form field that repeats a header parameter with the same value; another value is refused, and one
    /// that the header lacks is a second placement. They must be sorted.
    pub(crate) fn fold_repeats(&mut self) -> Result<(), Problem> {
        let buffer = &self.buffer;
        let mut problem = None;
        let header = self
            .list
            .iter()
            .filter(|parameter| parameter.is_oauth && parameter.is_of(Placement::Header));
        let mut unrepeated: Vec<Parameter<'a>> = header.copied().collect();
        self.list.retain(|field| {
            if !field.is_oauth || !field.is_of(Placement::Form) {
                return true;
            }
            let name = field.name.octets(buffer);
            match unrepeated
                .iter()
                .position(|sent| sent.name.octets(buffer) == name)
                .map(|at| unrepeated.swap_remove(at))
            {
                Some(sent) if sent.value.octets(buffer) == field.value.octets(buffer) => {}
                Some(_) => problem = Some(Problem::Rejected(text_of(name))),
                None => problem = Some(Problem::TwoPlacements),
            }
            false
        });
        problem.map_or(Ok(()), Err)
    }

    /// Refuses an `oauth_*` that is there twice (C9), or that must never be sent (P31). They must be sorted.
    pub(crate) fn check_oauth_names(&self) -> Result<(), Problem> {
        let mut before: Option<&[u8]> = None;
        for parameter in self.list.iter().filter(|parameter| parameter.is_oauth) {
            let name = self.octets(parameter.name);
            if before == Some(name) || NEVER_SENT.contains(&name) {
                return Err(Problem::Rejected(text_of(name)));
            }
            before = Some(name);
        }
        Ok(())
    }

    /// The decoded values of the parameters that the protocol knows; every `oauth_*` value holds at most `limit` octets.
    pub(crate) fn known(&mut self, limit: usize) -> Result<Known<'a>, Problem> {
        let mut known = Known::default();
        for at in 0..self.list.len() {
            let Some(Parameter {
                name,
                value,
                is_oauth: true,
                ..
            }) = self.list.get(at).copied()
            else {
                continue;
            };
            let value = self.decoded(value);
            if self.octets(value).len() > limit {
                return Err(Problem::TooLarge);
            }
            if let Some(slot) = ParameterName::of(self.octets(name)).and_then(|name| known.0.get_mut(name as usize)) {
                *slot = Some(value);
            }
        }
        Ok(known)
    }

    /// Every pair that is signed, in the order of `natural` or of RFC 5849; they must be sorted.
    pub(crate) fn signed(&self, natural: bool, collapse: bool) -> Vec<(&[u8], &[u8])> {
        let mut pairs: Vec<_> = self.signed_in_order().collect();
        if natural {
            pairs.sort_by(|one, other| {
                natural_order::compare(one.0, other.0).then_with(|| natural_order::compare(one.1, other.1))
            });
        }
        if collapse {
            pairs.dedup();
        }
        pairs
    }

    /// The same in the order of RFC 5849, without a list of their own.
    pub(crate) fn signed_in_order(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.list
            .iter()
            .map(|parameter| (self.octets(parameter.name), self.octets(parameter.value)))
            .filter(|(name, _)| *name != ParameterName::Signature.as_str().as_bytes())
    }

    /// Room that their part of the base string is likely to take.
    pub(crate) fn base_string_len(&self) -> usize {
        self.encoded_len + self.encoded_len / 4 + self.list.len() * "%3D%26".len()
    }

    /// The octets behind a text of these parameters.
    pub(crate) fn octets<'s>(&'s self, text: Text<'a>) -> &'s [u8] {
        text.octets(&self.buffer)
    }

    fn push(&mut self, name: Text<'a>, value: Text<'a>, placement: Placement) {
        let octets = self.octets(name);
        let (prefix, is_oauth) = (prefix(octets), octets.starts_with(OAUTH_PREFIX));
        self.encoded_len += octets.len() + self.octets(value).len();
        self.list.push(Parameter {
            prefix,
            name,
            value,
            placement,
            is_oauth,
        });
    }

    /// The canonical encoding of a wire text.
    fn text(&mut self, wire: &'a [u8], decoding: Decoding) -> Result<Text<'a>, Problem> {
        if percent::is_canonical(wire) {
            return Ok(Text::Wire(wire));
        }
        let start = self.buffer.len();
        percent::canonicalise_into(wire, decoding, &mut self.buffer)?;
        Ok(Text::Buffer {
            start,
            end: self.buffer.len(),
        })
    }

    /// What a canonical encoding stands for.
    fn decoded(&mut self, encoded: Text<'a>) -> Text<'a> {
        let octets = self.octets(encoded);
        if !octets.contains(&b'%') {
            return encoded;
        }
        let mut decoded = Vec::with_capacity(octets.len());
        percent::decode_into(octets, &mut decoded);
        self.append(&decoded)
    }

    /// A quoted string without its backslashes.
    fn unquoted(&mut self, quoted: &[u8]) -> Text<'a> {
        let mut plain = Vec::with_capacity(quoted.len());
        let mut octets = quoted.iter();
        while let Some(octet) = octets.next() {
            let octet = if *octet == b'\\' { octets.next() } else { Some(octet) };
            plain.extend(octet);
        }
        self.append(&plain)
    }

    fn append(&mut self, octets: &[u8]) -> Text<'a> {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(octets);
        Text::Buffer {
            start,
            end: self.buffer.len(),
        }
    }

    fn is_utf8(&self, encoded: Text<'a>) -> bool {
        let octets = self.octets(encoded);
        let mut decoded = Vec::new();
        !octets.contains(&b'%') || {
            percent::decode_into(octets, &mut decoded);
            std::str::from_utf8(&decoded).is_ok()
        }
    }
}

impl Parameter<'_> {
    fn is_of(&self, placement: Placement) -> bool {
        self.placement == placement
    }
}

impl<'a> Text<'a> {
    fn octets<'s>(self, buffer: &'s [u8]) -> &'s [u8]
    where
        'a: 's,
    {
        match self {
            Self::Wire(octets) => octets,
            Self::Buffer { start, end } => buffer.get(start..end).unwrap_or_default(),
        }
    }
}

/// The decoded values of the parameters that the protocol knows.
#[derive(Clone, Copy, Default)]
pub(crate) struct Known<'a>([Option<Text<'a>>; ParameterName::COUNT]);

impl<'a> Known<'a> {
    pub(crate) fn get(&self, name: ParameterName) -> Option<Text<'a>> {
        self.0.get(name as usize).copied().flatten()
    }
}

/// Whether a query or form holds any name that begins with `oauth_` (C2).
pub(crate) fn mentions_oauth(text: &[u8]) -> bool {
    pairs(text).any(|pair| percent::form_starts_with(split_pair(pair).0, OAUTH_PREFIX))
}

/// The pieces between `&`, without the empty ones.
fn pairs(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|octet| *octet == b'&').filter(|pair| !pair.is_empty())
}

/// Name and value, split at the first `=` (C35); without one the value is empty (C34).
fn split_pair(pair: &[u8]) -> (&[u8], &[u8]) {
    match pair.iter().position(|octet| *octet == b'=') {
        Some(at) => (
            pair.get(..at).unwrap_or_default(),
            pair.get(at + 1..).unwrap_or_default(),
        ),
        None => (pair, &[]),
    }
}

fn by_octets(one: &Parameter<'_>, other: &Parameter<'_>, buffer: &[u8]) -> Ordering {
    let by_name = one.name.octets(buffer).cmp(other.name.octets(buffer));
    by_name.then_with(|| one.value.octets(buffer).cmp(other.value.octets(buffer)))
}

fn prefix(name: &[u8]) -> u64 {
    match name.first_chunk() {
        Some(first) => u64::from_be_bytes(*first),
        None => name
            .iter()
            .zip((0..8).rev())
            .fold(0, |prefix, (octet, place)| prefix | u64::from(*octet) << (place * 8)),
    }
}

fn text_of(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// Room for seven of OAuth's own and as many others.
const USUAL_COUNT: usize = 16;

/// Pairs of one `Authorization` header (C16).
const MAX_HEADER_PARAMETERS: usize = 64;

const OAUTH_PREFIX: &[u8] = b"oauth_";

/// Secrets never travel (P31).
const NEVER_SENT: [&[u8]; 2] = [b"oauth_consumer_secret", b"oauth_token_secret"];
