//! E73 to E90: the keys that a client may have signed with in place of the right one.

use zeroize::Zeroizing;

use super::Secrets;
use super::source::{Source, decode};
use super::value::readings;
use crate::{ParameterName, Placement, percent};

/// A key, and the mistake that makes it.
pub(super) struct Candidate {
    pub(super) row: u8,
    pub(super) details: Vec<String>,
    /// Whether the pair search has it.
    pub(super) in_pairs: bool,
    pub(super) key: Zeroizing<Vec<u8>>,
}

/// The two secrets of the right key; the second is empty without a token.
pub(super) struct Right<'a> {
    pub(super) consumer: &'a [u8],
    pub(super) token: &'a [u8],
    /// Whether the second is what it must be: not where a token came whose secret isn't known.
    pub(super) knows_token: bool,
}

type Octets = Zeroizing<Vec<u8>>;

impl<'a> Right<'a> {
    /// Those of the request; `None`: the consumer's isn't known.
    pub(super) fn of(source: &Source<'_>, secrets: &'a Secrets) -> Option<Self> {
        let consumer = secrets.consumer_secret.as_ref()?.as_bytes();
        let sent = source.token();
        let is_request_token = sent.is_some() && sent == secrets.request_token.as_deref().map(str::as_bytes);
        let token = match sent {
            None => None,
            Some(_) if is_request_token => secrets.request_token_secret.as_ref(),
            Some(_) => secrets.token_secret.as_ref(),
        };
        Some(Self {
            consumer,
            token: token.map(|secret| secret.as_bytes()).unwrap_or_default(),
            knows_token: sent.is_none() || token.is_some(),
        })
    }

    /// Both encoded, joined by `&` (C58).
    pub(super) fn key(&self) -> Octets {
        joined(self.consumer, self.token)
    }
}

/// Every wrong key.
pub(super) fn all(source: &Source<'_>, secrets: &Secrets, right: &Right<'_>) -> Vec<Candidate> {
    let mut list = List(Vec::with_capacity(128));
    shapes(right, &mut list);
    white_space(right, &mut list);
    wrong_secrets(source, secrets, right, &mut list);
    words(right, &mut list);
    spellings(right, &mut list);
    cuts(right, &mut list);
    list.0
}

struct List(Vec<Candidate>);

impl List {
    fn add(&mut self, row: u8, key: Octets) {
        self.add_telling(row, key, None, true);
    }

    fn add_telling(&mut self, row: u8, key: Octets, detail: Option<&str>, in_pairs: bool) {
        self.0.push(Candidate {
            row,
            details: detail.into_iter().map(str::to_owned).collect(),
            in_pairs,
            key,
        });
    }

    /// The key with one secret replaced.
    fn consumer(&mut self, row: u8, right: &Right<'_>, consumer: &[u8]) {
        self.add(row, joined(consumer, right.token));
    }

    fn token(&mut self, row: u8, right: &Right<'_>, token: &[u8]) {
        self.add(row, joined(right.consumer, token));
    }
}

/// E73 to E78, E86: the key put together in another way.
fn shapes(right: &Right<'_>, list: &mut List) {
    let (consumer, token) = (encoded(right.consumer), encoded(right.token));
    list.token(73, right, b"");
    list.add(74, consumer.clone());
    list.add(75, concat(&[&consumer, &token]));
    list.add(76, joined(right.token, right.consumer));
    list.add(77, concat(&[right.consumer, b"&", right.token]));
    list.add(77, concat(&[right.consumer, b"&", &token]));
    list.add(77, concat(&[&consumer, b"&", right.token]));
    list.add(78, joined(&consumer, &token));
    list.consumer(78, right, &consumer);
    list.token(78, right, &token);
    list.add(78, encoded(&right.key()));
    list.consumer(86, right, b"");
    list.add(86, concat(&[]));
    list.add(86, concat(&[b"&"]));
}

/// E79: white space round a secret or the key, or in the stored secret.
fn white_space(right: &Right<'_>, list: &mut List) {
    let (consumer, token, key) = (right.consumer, right.token, right.key());
    for (before, behind, in_pairs) in SPACES {
        let padded = |secret: &[u8]| concat(&[before, secret, behind]);
        for (what, key) in [
            ("consumer secret", joined(&padded(consumer), token)),
            ("token secret", joined(consumer, &padded(token))),
            ("pair of secrets", joined(&padded(consumer), &padded(token))),
            ("key", padded(&key)),
        ] {
            list.add_telling(79, key, Some(what), in_pairs && what != "pair of secrets");
        }
    }
    let (bare_consumer, bare_token) = (consumer.trim_ascii(), token.trim_ascii());
    for (what, key) in [
        ("stored consumer secret", joined(bare_consumer, token)),
        ("stored token secret", joined(consumer, bare_token)),
        ("stored secrets", joined(bare_consumer, bare_token)),
    ] {
        list.add_telling(79, key, Some(what), true);
    }
}

/// E80 to E84, E90: another secret, or what isn't one.
fn wrong_secrets(source: &Source<'_>, secrets: &Secrets, right: &Right<'_>, list: &mut List) {
    let consumer_key = source.get(ParameterName::ConsumerKey).unwrap_or_default();
    let token_key = source.token().unwrap_or_default();
    for (what, key) in [
        ("consumer key", joined(consumer_key, right.token)),
        ("token", joined(right.consumer, token_key)),
        ("consumer key and token", joined(consumer_key, token_key)),
    ] {
        list.add_telling(80, key, Some(what), true);
    }
    for earlier in secrets.previous_consumer_secrets.iter().take(MAX_EARLIER) {
        list.consumer(81, right, earlier.as_bytes());
    }
    for earlier in secrets.previous_token_secrets.iter().take(MAX_EARLIER) {
        list.token(82, right, earlier.as_bytes());
    }
    let others = [&secrets.request_token_secret, &secrets.token_secret];
    let row = if source.token().is_some() { 83 } else { 90 };
    for other in others.into_iter().flatten() {
        list.token(row, right, other.as_bytes());
    }
    if let Some(verifier) = source.get(ParameterName::Verifier) {
        list.token(84, right, verifier);
        list.token(84, right, &concat(&[right.token, verifier]));
    }
}

/// E85: what is printed of a variable that isn't set.
fn words(right: &Right<'_>, list: &mut List) {
    for word in WORDS {
        let (used, text) = (format!("“{word}”"), word.as_bytes());
        let in_pairs = matches!(word, "undefined" | "null");
        list.add_telling(85, joined(right.consumer, text), Some(&used), in_pairs);
        list.add_telling(85, joined(text, right.token), Some(&used), false);
    }
}

/// E87 and E88: quotation marks, secrets decoded before use.
fn spellings(right: &Right<'_>, list: &mut List) {
    for mark in [b"\"", b"'"] {
        let quoted = |secret: &[u8]| concat(&[mark, secret, mark]);
        let (consumer, token) = (quoted(right.consumer), quoted(right.token));
        list.consumer(87, right, &consumer);
        list.token(87, right, &token);
        list.add(87, joined(&consumer, &token));
    }
    let decodings = |secret: &[u8]| -> Vec<Octets> {
        let found = readings(secret, Placement::Header, |length| length > 0);
        let octets = found.into_iter().map(|reading| Zeroizing::new(reading.octets));
        octets.take(MAX_DECODINGS).collect()
    };
    let (consumers, tokens) = (decodings(right.consumer), decodings(right.token));
    for consumer in &consumers {
        list.consumer(88, right, consumer);
        list.add(88, concat(&[consumer, b"&", &encoded(right.token)]));
    }
    for token in &tokens {
        list.token(88, right, token);
    }
    for (consumer, token) in consumers.iter().zip(&tokens) {
        list.add(88, joined(consumer, token));
        list.add(88, concat(&[consumer, b"&", token]));
    }
}

/// E89: what copying and shells cut off.
fn cuts(right: &Right<'_>, list: &mut List) {
    let shorter = |secret: &[u8]| -> Vec<Octets> {
        let first = secret.split_first().map(|(_, rest)| rest);
        let last = secret.split_last().map(|(_, rest)| rest);
        let special = CUTTERS.iter().filter_map(|cutter| {
            let at = secret.iter().position(|octet| octet == cutter)?;
            secret.get(..at)
        });
        let cut = first.into_iter().chain(last).chain(special);
        let decoded = secret.contains(&b'%').then(|| decode(secret));
        let cut = cut.map(<[u8]>::to_vec).chain(decoded);
        cut.filter(|cut| !cut.is_empty()).map(Zeroizing::new).collect()
    };
    for consumer in shorter(right.consumer) {
        list.consumer(89, right, &consumer);
    }
    for token in shorter(right.token) {
        list.token(89, right, &token);
    }
}

fn joined(consumer: &[u8], token: &[u8]) -> Octets {
    concat(&[&encoded(consumer), b"&", &encoded(token)])
}

fn encoded(secret: &[u8]) -> Octets {
    let mut out = Zeroizing::new(Vec::with_capacity(secret.len() * 3));
    percent::encode_into(secret, &mut out);
    out
}

fn concat(pieces: &[&[u8]]) -> Octets {
    Zeroizing::new(pieces.concat())
}

/// What stands before and behind, and whether the pair search has it.
const SPACES: [(&[u8], &[u8], bool); 8] = [
    (b"", b"\n", true),
    (b"", b"\r\n", false),
    (b"", b"\r", false),
    (b"", b"\t", false),
    (b"", b" ", true),
    (b"", b"\xc2\xa0", false),
    (b" ", b"", false),
    (b"\xef\xbb\xbf", b"", false),
];

const WORDS: [&str; 7] = ["undefined", "null", "None", "nil", "(null)", "false", "0"];
const CUTTERS: &[u8] = b"&#$%+= ";
/// More are not kept by anybody.
const MAX_EARLIER: usize = 8;
const MAX_DECODINGS: usize = 2;
