//! The parameters of a request, from header, query and form: each kept once per occurrence, in canonical encoding, sorted
//! (RFC 5849 section 3.4.1.3, C31 to C40).

use std::cmp::Ordering;

use crate::{
    ParameterName, Placement, Placements, Problem, RequestParts,
    authorization::{Authorization, Pair, Pairs},
    form::Fields,
    natural_order,
    percent::{self, CanonicalPair, Decoding, Wire},
    text::{Buffer, Text},
};

/// A request's parameters. What is canonical on the wire is borrowed; the rest stands re-encoded in one buffer.
pub(crate) struct Parameters<'a> {
    list: Vec<Parameter<'a>>,
    buffer: Buffer,
    /// Octets of header, query and form, for the size of the base string.
    wire_len: usize,
    /// Where any `oauth_*` stands.
    oauth: Placements,
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
    /// Whether neither name nor value holds an escape.
    is_plain: bool,
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
        let realm = header.map_or(Ok(None), |rest| parameters.add_header(rest))?;
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
            buffer: Buffer::new(),
            wire_len: 0,
            oauth: Placements {
                header: false,
                query: false,
                form: false,
            },
        }
    }

    /// Adds the pairs of the `OAuth` header, all but `realm`, which is answered (C6, C7).
    fn add_header(&mut self, rest: &'a [u8]) -> Result<Option<Text<'a>>, Problem> {
        self.wire_len += rest.len();
        let mut pairs = Pairs::new(rest);
        let mut realm = None;
        for _ in 0..=MAX_HEADER_PARAMETERS {
            if let Some(pair) = pairs.next_usual() {
                self.push_usual(pair, Placement::Header);
            } else if let Some(pair) = pairs.next()? {
                self.add_pair(&pair, &mut realm)?;
            } else {
                return Ok(realm);
            }
        }
        Err(Problem::TooLarge)
    }

    fn add_pair(&mut self, pair: &Pair<'a>, realm: &mut Option<Text<'a>>) -> Result<(), Problem> {
        if pair.name.octets().eq_ignore_ascii_case(b"realm") {
            let value = self.buffer.plain(pair.value.octets(), pair.holds_backslash)?;
            return match realm.replace(value) {
                None => Ok(()),
                Some(_) => Err(Problem::Malformed),
            };
        }
        if pair.holds_backslash || !percent::is_utf8(&pair.name) {
            return Err(Problem::Malformed);
        }
        self.add(&pair.name, &pair.value, Placement::Header)
    }

    /// Adds the fields of a query or form, at most until there are `limit` of both together (C28, C34, C35).
    pub(crate) fn add_form(&mut self, text: &'a [u8], placement: Placement, limit: usize) -> Result<(), Problem> {
        let of_header = |parameter: &&Parameter<'_>| parameter.is_of(Placement::Header);
        let most = limit.saturating_add(self.list.iter().filter(of_header).count());
        self.wire_len += text.len();
        let mut fields = Fields::new(text);
        loop {
            if let Some(pair) = fields.next_usual() {
                self.push_usual(pair, placement);
            } else if let Some((name, value)) = fields.next() {
                self.add(&name, &value, placement)?;
            } else {
                return Ok(());
            }
            if self.list.len() > most {
                return Err(Problem::TooLarge);
            }
        }
    }

    /// Adds one pair as it came in that placement.
    fn add(&mut self, name: &Wire<'a>, value: &Wire<'a>, placement: Placement) -> Result<(), Problem> {
        let decoding = match placement {
            Placement::Header => Decoding::Header,
            Placement::Query | Placement::Form => Decoding::Form,
        };
        let is_plain = name.is_plain() && value.is_plain();
        let name = self.buffer.canonical(name, decoding)?;
        let value = self.buffer.canonical(value, decoding)?;
        self.push((name, value), is_plain, placement);
        Ok(())
    }

    #[inline]
    fn push_usual(&mut self, pair: CanonicalPair<'a>, placement: Placement) {
        self.push(
            (Text::Wire(pair.name), Text::Wire(pair.value)),
            pair.is_plain,
            placement,
        );
    }

    #[inline]
    fn push(&mut self, (name, value): (Text<'a>, Text<'a>), is_plain: bool, placement: Placement) {
        let octets = self.buffer.octets(name);
        let is_oauth = octets.starts_with(OAUTH_PREFIX);
        match placement {
            Placement::Header => self.oauth.header |= is_oauth,
            Placement::Query => self.oauth.query |= is_oauth,
            Placement::Form => self.oauth.form |= is_oauth,
        }
        self.list.push(Parameter {
            prefix: prefix(octets),
            name,
            value,
            placement,
            is_oauth,
            is_plain,
        });
    }

    /// Adds a header parameter that is encoded already.
    pub(crate) fn add_encoded(&mut self, name: &'a str, value: &'a str) -> Result<(), Problem> {
        self.add(
            &Wire::of(name.as_bytes()),
            &Wire::of(value.as_bytes()),
            Placement::Header,
        )
    }

    /// Where any `oauth_*` stands.
    pub(crate) fn oauth(&self) -> Placements {
        self.oauth
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
            let name = buffer.octets(field.name);
            match unrepeated
                .iter()
                .position(|sent| buffer.octets(sent.name) == name)
                .map(|at| unrepeated.swap_remove(at))
            {
                Some(sent) if buffer.octets(sent.value) == buffer.octets(field.value) => {}
                Some(_) => problem = Some(Problem::Rejected(text_of(name))),
                None => problem = Some(Problem::TwoPlacements),
            }
            false
        });
        problem.map_or(Ok(()), Err)
    }

    /// The decoded values of the parameters that the protocol knows. Refuses an `oauth_*` that is there twice (C9), that must
    /// never be sent (P31), or whose value is over `limit` octets. They must be sorted.
    pub(crate) fn known(&mut self, limit: usize) -> Result<Known<'a>, Problem> {
        let mut known = Known::default();
        let mut before = None;
        let buffer = &mut self.buffer;
        for parameter in self.list.iter().filter(|parameter| parameter.is_oauth) {
            let value = if parameter.is_plain {
                parameter.value
            } else {
                buffer.decoded(parameter.value)?
            };
            if buffer.octets(value).len() > limit {
                return Err(Problem::TooLarge);
            }
            let name = buffer.octets(parameter.name);
            let is_repeated = before
                .replace(parameter.name)
                .is_some_and(|before| buffer.octets(before) == name);
            if is_repeated || NEVER_SENT.contains(&name) {
                return Err(Problem::Rejected(text_of(name)));
            }
            if let Some(name) = ParameterName::of(name) {
                known.set(name, value);
            }
        }
        Ok(known)
    }

    /// Every pair that is signed, in the order of `natural` or of RFC 5849; they must be sorted.
    pub(crate) fn signed(&self, natural: bool, collapse: bool) -> Vec<CanonicalPair<'_>> {
        let mut pairs: Vec<_> = self.signed_in_order().collect();
        if natural {
            pairs.sort_by(|one, other| {
                natural_order::compare(one.name, other.name)
                    .then_with(|| natural_order::compare(one.value, other.value))
            });
        }
        if collapse {
            // One pair may be spelt in two ways, and only one of them without an escape.
            pairs.dedup_by_key(|pair| (pair.name, pair.value));
        }
        pairs
    }

    /// The same in the order of RFC 5849, without a list of their own.
    pub(crate) fn signed_in_order(&self) -> impl Iterator<Item = CanonicalPair<'_>> {
        let signature = ParameterName::Signature.as_str().as_bytes();
        self.list
            .iter()
            .map(|parameter| CanonicalPair {
                name: self.octets(parameter.name),
                value: self.octets(parameter.value),
                is_plain: parameter.is_plain,
            })
            .filter(move |pair| pair.name != signature)
    }

    /// Room that their part of the base string is likely to take.
    pub(crate) fn base_string_len(&self) -> usize {
        self.wire_len + self.wire_len / 4
    }

    /// The octets behind a text of these parameters.
    pub(crate) fn octets<'s>(&'s self, text: Text<'a>) -> &'s [u8] {
        self.buffer.octets(text)
    }
}

impl Parameter<'_> {
    fn is_of(&self, placement: Placement) -> bool {
        self.placement == placement
    }
}

/// The decoded values of the parameters that the protocol knows.
#[derive(Clone, Copy, Default)]
pub(crate) struct Known<'a>([Option<Text<'a>>; ParameterName::COUNT]);

impl<'a> Known<'a> {
    pub(crate) fn get(&self, name: ParameterName) -> Option<Text<'a>> {
        self.0.get(name as usize).copied().flatten()
    }

    /// Whether the value came as it is: nothing but letters, digits and `-._~`.
    pub(crate) fn is_plain(&self, name: ParameterName) -> bool {
        matches!(self.get(name), Some(Text::Wire(_)))
    }

    fn set(&mut self, name: ParameterName, value: Text<'a>) {
        if let Some(slot) = self.0.get_mut(name as usize) {
            *slot = Some(value);
        }
    }
}

fn by_octets(one: &Parameter<'_>, other: &Parameter<'_>, buffer: &Buffer) -> Ordering {
    let by_name = buffer.octets(one.name).cmp(buffer.octets(other.name));
    by_name.then_with(|| buffer.octets(one.value).cmp(buffer.octets(other.value)))
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

/// Room for eight of OAuth's own and some others, in less than what allocators call small.
const USUAL_COUNT: usize = 12;

/// Pairs of one `Authorization` header (C16).
const MAX_HEADER_PARAMETERS: usize = 64;

const OAUTH_PREFIX: &[u8] = b"oauth_";

/// Secrets never travel (P31).
const NEVER_SENT: [&[u8]; 2] = [b"oauth_consumer_secret", b"oauth_token_secret"];
