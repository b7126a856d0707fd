//! From the cheapest question to the dearest: who signed, the value's form, the right base string under the right key,
//! then the search.

use subtle::ConstantTimeEq;

use super::catalogue::{Catalogue, Id};
use super::digest::Hash;
use super::draft::Draft;
use super::keys::{self, Candidate, Right};
use super::raw::REMOVED_PAIR_READ;
use super::rows;
use super::search::{Budget, Hit, Mistake, Search, Wanted};
use super::source::{Source, decode};
use super::value::{Reading, readings};
use super::words::Finding;
use super::{Explanation, Gap, Options, Outcome, REMOVED, Secrets, order::Order, rsa};
use crate::{BaseForm, ParameterName, Placement, RsaPublicKey, SignatureMethod, body_hash};

/// What an explanation is made with.
struct Judge<'s> {
    catalogue: &'s Catalogue,
    source: &'s Source<'s>,
    secrets: &'s Secrets,
    options: &'s Options,
    /// `oauth_signature_method`
    declared: String,
}

/// A value read: what to look for, and each reading's facts.
struct Value {
    wanted: Wanted,
    facts: Vec<Vec<Mistake>>,
}

pub(super) fn judge(catalogue: &Catalogue, source: &Source<'_>, secrets: &Secrets, options: &Options) -> Explanation {
    let judge = Judge {
        catalogue,
        source,
        secrets,
        options,
        declared: source.text(ParameterName::SignatureMethod).into_owned(),
    };
    let right = source.right();
    let mut explanation = Explanation::of(source, &right, judge.key_shape());
    if options.without_form {
        // Without the form's fields it isn't the server's.
        explanation.base_string = None;
    }
    let who = judge.who();
    if who.is_empty() {
        judge.signature(right, &mut explanation);
    } else {
        explanation.diagnosed(who);
    }
    judge.say_clock_first(&mut explanation);
    explanation
}

/// The client's signature cut to four characters; nothing of one that may be its secrets in clear.
pub(super) fn shown_signature(source: &Source<'_>) -> String {
    let declared = source.text(ParameterName::SignatureMethod);
    let is_plaintext = declared == SignatureMethod::Plaintext.as_str();
    if is_plaintext || !is_digest(&source.signature, source.placement) {
        return "…".to_owned();
    }
    let text = String::from_utf8_lossy(&source.signature);
    let mut shown: String = text.chars().take(SHOWN_CHARACTERS).collect();
    shown.push('…');
    shown
}

/// Whether a value may be a signature: anything else may be a secret in clear.
pub(super) fn is_digest(value: &[u8], placement: Placement) -> bool {
    let reads = |length: usize| Hash::of_length(length).is_some() || length >= MIN_RSA_LENGTH;
    !readings(value, placement, reads).is_empty()
}

impl Judge<'_> {
    /// N2 to N4: a key or token that isn't the known one.
    fn who(&self) -> Vec<Finding> {
        let key = self.source.text(ParameterName::ConsumerKey);
        let token = self.source.token().map(String::from_utf8_lossy);
        let differs = |sent: &str, known: Option<&String>| known.is_some_and(|known| known != sent);
        let is_padded = |sent: &str, known: Option<&String>| known.is_some_and(|known| known.trim() == sent.trim());
        let known = self.secrets.consumer_key.as_ref();
        if differs(&key, known) {
            return if is_padded(&key, known) {
                vec![self.note(3, &["The consumer key"])]
            } else {
                vec![self.note(2, &[])]
            };
        }
        let Some(token) = token else { return Vec::new() };
        let (own, request) = (self.secrets.token.as_ref(), self.secrets.request_token.as_ref());
        let is_request_token = request.is_some_and(|request| *request == *token);
        if !differs(&token, own) || is_request_token {
            return Vec::new();
        }
        if is_padded(&token, own) {
            vec![self.note(3, &["The token"])]
        } else {
            vec![self.note(4, &[])]
        }
    }

    fn signature(&self, right: Draft<'_>, explanation: &mut Explanation) {
        if let Some(gap) = self.unkept() {
            explanation.gaps.push(gap);
            return;
        }
        let secrets = Right::of(self.source, self.secrets);
        let lacks_token_secret = secrets.as_ref().is_some_and(|right| !right.knows_token);
        let candidates = secrets
            .as_ref()
            .map(|right| keys::all(self.source, self.secrets, right));
        let candidates = candidates.unwrap_or_default();
        let key = secrets.as_ref().map(Right::key).unwrap_or_default();
        if secrets.is_some()
            && let Some(found) = self.in_clear(&key, &candidates)
        {
            match found {
                found if !found.is_empty() => explanation.diagnosed(found),
                _ if lacks_token_secret => explanation.diagnosed(vec![self.mistake(73, &[])]),
                _ => self.sound(explanation),
            }
            return;
        }
        let Some(value) = self.read() else {
            self.unreadable((secrets.is_some(), lacks_token_secret), explanation);
            return;
        };
        let needs_key = matches!(value.wanted, Wanted::Macs(_));
        if needs_key && secrets.is_none() {
            explanation.gaps.push(Gap::Secret);
            return;
        }
        let lacks_token_secret = lacks_token_secret && needs_key;
        let candidates = if needs_key { candidates.as_slice() } else { &[] };
        let mut search = Search {
            catalogue: self.catalogue,
            wanted: &value.wanted,
            budget: Budget::new(),
        };
        let found = self.find(right, (&key, candidates), &mut search);
        explanation.macs = search.budget.macs;
        let Some(mut hit) = found else {
            let is_cut_short = search.budget.is_cut_short() || rows::are_left_out(self.source);
            let gaps = [(lacks_token_secret, Gap::TokenSecret), (is_cut_short, Gap::Budget)];
            explanation
                .gaps
                .extend(gaps.into_iter().filter_map(|(is, gap)| is.then_some(gap)));
            return;
        };
        if lacks_token_secret && !hit.mistakes.iter().any(|one| KEYS.contains(&one.row)) {
            // A token's secret is never empty, and the key that fits has none.
            hit.mistakes.push(Mistake {
                row: 73,
                details: Vec::new(),
                also: Vec::new(),
            });
        }
        let facts = value.facts.get(hit.reading).map(Vec::as_slice).unwrap_or_default();
        let all: Vec<_> = hit.mistakes.iter().chain(facts).collect();
        if all.is_empty() {
            self.sound(explanation);
        } else {
            let findings = all.into_iter().map(|mistake| Finding::of(self.catalogue, mistake));
            explanation.diagnosed(findings.collect());
            let signed = hit.base.as_deref();
            explanation.signed_base_string = signed.map(|base| String::from_utf8_lossy(base).into_owned());
        }
    }

    /// What was not kept, without which nothing can be tried.
    fn unkept(&self) -> Option<Gap> {
        match self.source.signature.as_slice() {
            REMOVED_PAIR_READ => Some(Gap::Clear),
            signature if signature == REMOVED.as_bytes() => Some(Gap::Signature),
            _ => self.options.without_form.then_some(Gap::Form),
        }
    }

    /// Of a signature that is no value of its method, only why nothing could be tried.
    fn unreadable(&self, (has_secrets, lacks_token_secret): (bool, bool), explanation: &mut Explanation) {
        let is_plaintext = self.declared == SignatureMethod::Plaintext.as_str();
        match self.rsa_key() {
            Some(_) if self.is_declared_rsa() => explanation.diagnosed(vec![self.note(8, &[])]),
            None if self.is_declared_rsa() => explanation.gaps.push(Gap::Secret),
            _ if !has_secrets => explanation.gaps.push(Gap::Secret),
            _ if lacks_token_secret => explanation.gaps.push(Gap::TokenSecret),
            _ if !is_plaintext => explanation.gaps.push(Gap::Value),
            _ => {}
        }
    }

    /// The right base string, then what the mistakes make of it. No mistakes: it holds.
    fn find(&self, right: Draft<'_>, (key, candidates): (&[u8], &[Candidate]), search: &mut Search<'_>) -> Option<Hit> {
        let base = right.build();
        let mut accepted = vec![base.clone()];
        accepted.extend(self.compat(&right));
        for (at, base) in accepted.iter().enumerate() {
            let is_new = accepted.iter().position(|other| other == base) == Some(at);
            if is_new && let Some(reading) = search.holds(key, base) {
                return Some(Hit {
                    mistakes: Vec::new(),
                    reading,
                    base: None,
                });
            }
        }
        let variants = rows::all(self.source);
        let right = (right, base);
        let (hit, singles) = search.single(&right, key, &variants, candidates);
        hit.or_else(|| search.pair(&right.0, key, &singles))
    }

    /// The base strings of the forms that are accepted here beside RFC 5849's.
    fn compat(&self, right: &Draft<'_>) -> Vec<Vec<u8>> {
        let BaseForm {
            magento_sort,
            magento_host,
            collapse_identical_pairs,
            raw_body_hash: _,
        } = self.options.compat;
        let sorted = |draft: &mut Draft<'_>| draft.order = Order::Natural;
        let as_sent = |draft: &mut Draft<'_>| {
            let authority = self.source.authority.as_bytes();
            draft.host = authority.to_vec().into();
            draft.port = Vec::new().into();
        };
        let collapsed = |draft: &mut Draft<'_>| {
            let mut kept: Vec<super::draft::Pair<'_>> = Vec::new();
            for pair in draft.pairs.drain(..) {
                if !kept.iter().any(|one| one.name == pair.name && one.value == pair.value) {
                    kept.push(pair);
                }
            }
            draft.pairs = kept;
        };
        let mut out = Vec::new();
        for (sort, host, collapse) in [
            (true, false, false),
            (false, true, false),
            (true, true, false),
            (false, false, true),
        ] {
            let is_off = sort && !magento_sort || host && !magento_host || collapse && !collapse_identical_pairs;
            if is_off {
                continue;
            }
            let mut draft = right.clone();
            if sort {
                sorted(&mut draft);
            }
            if host {
                as_sent(&mut draft);
            }
            if collapse {
                collapsed(&mut draft);
            }
            out.push(draft.build());
        }
        out
    }

    /// PLAINTEXT, and E102: the value is a key. `None`: it is none; an empty list: it is the right one, as declared.
    fn in_clear(&self, key: &[u8], candidates: &[Candidate]) -> Option<Vec<Finding>> {
        let is_plaintext = self.declared == SignatureMethod::Plaintext.as_str();
        let value = self.source.signature.as_slice();
        let same = |value: &[u8], key: &[u8]| !key.is_empty() && bool::from(value.ct_eq(key));
        let decoded = decode(value);
        let mut findings = Vec::new();
        if !same(value, key) {
            let wrong = candidates.iter().filter(|one| same(value, &one.key));
            let best = wrong.min_by_key(|one| self.catalogue.rank(one.row));
            match best {
                Some(one) => findings.push(self.mistake(one.row, &one.details)),
                None if decoded != value && same(&decoded, key) => findings.push(self.mistake(98, &[])),
                None => return None,
            }
        }
        if !is_plaintext {
            findings.insert(0, self.mistake(102, std::slice::from_ref(&self.declared)));
        }
        Some(findings)
    }

    /// Form and hash of the value (section 4.0 of the catalogue's page); `None`: it is no signature's.
    fn read(&self) -> Option<Value> {
        let (value, placement) = (self.source.signature.as_slice(), self.source.placement);
        if let Some(key) = self.rsa_key() {
            let length = key.bits().div_ceil(8);
            for reading in readings(value, placement, |octets| octets == length) {
                if let Some((hash, digest)) = rsa::recover(&key, &reading.octets) {
                    let facts = self.facts(&reading, &format!("RSA-{}", hash.as_str()));
                    return Some(Value {
                        wanted: Wanted::Digest(hash, digest),
                        facts: vec![facts],
                    });
                }
            }
        }
        let readings = readings(value, placement, |octets| Hash::of_length(octets).is_some());
        let (mut macs, mut facts) = (Vec::new(), Vec::new());
        for reading in readings {
            if let Some(hash) = Hash::of_length(reading.octets.len()) {
                facts.push(self.facts(&reading, &format!("HMAC-{}", hash.as_str())));
                macs.push((hash, reading.octets));
            }
        }
        (!macs.is_empty()).then_some(Value {
            wanted: Wanted::Macs(macs),
            facts,
        })
    }

    /// E91 and E95 to E101.
    fn facts(&self, reading: &Reading, used: &str) -> Vec<Mistake> {
        let mut facts = Vec::new();
        if !self.declared.eq_ignore_ascii_case(used) {
            facts.push(Mistake {
                row: 91,
                details: vec![self.declared.clone(), used.to_owned()],
                also: Vec::new(),
            });
        }
        facts.extend(reading.forms.iter().map(|(row, also)| Mistake {
            row: *row,
            details: Vec::new(),
            also: also.iter().map(|row| (*row, Vec::new())).collect(),
        }));
        facts
    }

    /// A right signature: N7, N1, E109, E116.
    fn sound(&self, explanation: &mut Explanation) {
        let mut findings = Vec::new();
        if self.options.nonce_used {
            findings.push(self.note(7, &[]));
        }
        if self.is_in_milliseconds() {
            findings.push(self.mistake(109, &[]));
        } else {
            findings.extend(self.clock());
        }
        if let Some(declared) = self.source.get(ParameterName::BodyHash)
            && !self.options.without_body
            && body_hash::check(&self.source.raw.body, declared, true).is_err()
        {
            findings.push(self.mistake(116, &[]));
        }
        if findings.is_empty() {
            explanation.outcome = Outcome::Valid;
        } else {
            explanation.diagnosed(findings);
        }
    }

    /// A clock outside the window is why the request is refused, whatever else is wrong with it. It is told to whom the
    /// secrets are known alone: where mistakes make the signature.
    fn say_clock_first(&self, explanation: &mut Explanation) {
        let are_mistakes = explanation
            .diagnosis
            .iter()
            .all(|finding| matches!(finding.id, Id::Mistake(_)));
        if explanation.outcome == Outcome::Diagnosed
            && are_mistakes
            && !self.is_in_milliseconds()
            && let Some(clock) = self.clock()
        {
            explanation.diagnosis.insert(0, clock);
        }
    }

    fn is_in_milliseconds(&self) -> bool {
        let timestamp = self.source.text(ParameterName::Timestamp);
        timestamp.len() == MILLISECOND_DIGITS && timestamp.parse::<u64>().is_ok()
    }

    /// N1
    fn clock(&self) -> Option<Finding> {
        let sent: u64 = self.source.text(ParameterName::Timestamp).parse().ok()?;
        let now = self.options.received_at?;
        let drift = sent.abs_diff(now);
        if drift <= self.options.timestamp_window {
            return None;
        }
        let direction = if sent > now { "ahead" } else { "behind" };
        let direction = match (drift / DAY, drift / HOUR) {
            (0..=1, 0..=1) => direction.to_owned(),
            (0..=1, hours) => format!("{direction} (about {hours} hours)"),
            (days, _) => format!("{direction} (about {days} days)"),
        };
        Some(self.note(1, &[&drift.to_string(), &direction]))
    }

    /// Which parts the right key has; no octets, no lengths.
    fn key_shape(&self) -> String {
        if self.is_declared_rsa() {
            return "<RSA public key>".to_owned();
        }
        let Some(right) = Right::of(self.source, self.secrets) else {
            return "<unknown>&<unknown>".to_owned();
        };
        let part = |secret: &[u8], name: &'static str| if secret.is_empty() { "<empty>" } else { name };
        let consumer = part(right.consumer, "<consumer secret>");
        let token = if right.knows_token {
            part(right.token, "<token secret>")
        } else {
            "<unknown>"
        };
        format!("{consumer}&{token}")
    }

    fn is_declared_rsa(&self) -> bool {
        self.declared.starts_with("RSA-")
    }

    fn rsa_key(&self) -> Option<RsaPublicKey> {
        RsaPublicKey::from_pem(self.secrets.rsa_public_key.as_deref()?)
    }

    fn note(&self, number: u8, details: &[&str]) -> Finding {
        let details: Vec<_> = details.iter().map(|detail| (*detail).to_owned()).collect();
        Finding::new(self.catalogue, Id::Note(number), &details)
    }

    fn mistake(&self, row: u8, details: &[String]) -> Finding {
        Finding::new(self.catalogue, Id::Mistake(row), details)
    }
}

impl Explanation {
    fn diagnosed(&mut self, findings: Vec<Finding>) {
        self.outcome = Outcome::Diagnosed;
        self.diagnosis = findings;
    }
}

const SHOWN_CHARACTERS: usize = 4;
/// Of a signature under a key of 1024 bits.
const MIN_RSA_LENGTH: usize = 128;
const MILLISECOND_DIGITS: usize = 13;
/// Seconds.
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
/// Rows that change the key.
const KEYS: std::ops::RangeInclusive<u8> = 73..=90;
