//! E55 to E69: how names, values and the whole are encoded.

use std::borrow::Cow;

use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

use super::{Dimension, Variant};
use crate::explain::draft::{Draft, Pair};
use crate::explain::encoder::Encoder;

pub(super) fn add(out: &mut Vec<Variant<'_>>) {
    for url in [Encoder::Rfc, Encoder::Nothing] {
        out.push(Variant::new(55, Dimension::Joining, move |draft| {
            draft.joined = Encoder::Nothing;
            draft.url = url;
        }));
    }
    out.push(Variant::new(56, Dimension::Joining, |draft| {
        draft.url = Encoder::Nothing;
    }));
    out.push(Variant::new(57, Dimension::Encoding, |draft| {
        draft.names = Encoder::Nothing;
        draft.values = Encoder::Nothing;
    }));
    for encoder in [Encoder::Nothing, Encoder::Uri] {
        out.push(Variant::new(58, Dimension::Encoding, move |draft| {
            draft.names = encoder;
        }));
    }
    for (row, encoder) in FAMILIES {
        family(row, encoder, out);
    }
    for (row, rewrite) in REWRITINGS {
        texts(row, rewrite, out);
    }
    out.push(Variant::new(69, Dimension::Encoding, |draft| {
        for pair in draft.pairs.iter_mut().filter(|pair| pair.is_oauth()) {
            pair.value = Cow::Owned(Encoder::Rfc.encode(&pair.value));
        }
    }));
}

/// An encoder for values, for both sides of a pair, for the outer join, and for all.
fn family(row: u8, encoder: Encoder, out: &mut Vec<Variant<'_>>) {
    for (names, values, outer) in [
        (true, true, false),
        (false, true, false),
        (false, false, true),
        (true, true, true),
    ] {
        out.push(Variant::new(row, Dimension::Encoding, move |draft| {
            if names {
                draft.names = encoder;
            }
            if values {
                draft.values = encoder;
            }
            if outer {
                draft.joined = encoder;
                draft.url = encoder;
            }
        }));
    }
}

/// Another text of the same letters: in all pairs, in values, in the query, in the form.
fn texts(row: u8, rewrite: Rewrite, out: &mut Vec<Variant<'_>>) {
    let all = |_: &Pair<'_>| true;
    let choices: [(Chosen, bool); 4] = [
        (all, true),
        (all, false),
        (|pair| pair.is_query(), true),
        (|pair| pair.is_form(), true),
    ];
    for (chosen, names) in choices {
        out.push(Variant::new(row, Dimension::Encoding, move |draft: &mut Draft<'_>| {
            for pair in draft.pairs.iter_mut().filter(|pair| chosen(pair)) {
                if names && let Some(name) = rewritten(&pair.name, rewrite) {
                    pair.name = Cow::Owned(name);
                }
                if let Some(value) = rewritten(&pair.value, rewrite) {
                    pair.value = Cow::Owned(value);
                }
            }
        }));
    }
}

type Chosen = fn(&Pair<'_>) -> bool;
type Rewrite = fn(&str) -> Option<Vec<u8>>;

fn rewritten(octets: &[u8], rewrite: Rewrite) -> Option<Vec<u8>> {
    if octets.is_ascii() {
        return None;
    }
    rewrite(std::str::from_utf8(octets).ok()?)
}

fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars()
        .map(|character| u8::try_from(u32::from(character)).ok())
        .collect()
}

/// Each octet of the UTF-8 taken for a Latin-1 letter.
#[expect(clippy::unnecessary_wraps, reason = "one of a family that may have no answer")]
fn twice(text: &str) -> Option<Vec<u8>> {
    let text: String = text.bytes().map(char::from).collect();
    Some(text.into_bytes())
}

#[expect(clippy::unnecessary_wraps, reason = "one of a family that may have no answer")]
fn composed(text: &str) -> Option<Vec<u8>> {
    let text = ComposingNormalizerBorrowed::new_nfc().normalize(text);
    Some(text.into_owned().into_bytes())
}

#[expect(clippy::unnecessary_wraps, reason = "one of a family that may have no answer")]
fn decomposed(text: &str) -> Option<Vec<u8>> {
    let text = DecomposingNormalizerBorrowed::new_nfd().normalize(text);
    Some(text.into_owned().into_bytes())
}

const REWRITINGS: [(u8, Rewrite); 4] = [(66, latin1), (67, twice), (68, composed), (68, decomposed)];

const FAMILIES: [(u8, Encoder); 10] = [
    (59, Encoder::UriComponent),
    (60, Encoder::Tilde),
    (61, Encoder::LowerHex),
    (62, Encoder::Plus),
    (62, Encoder::PhpUrlencode),
    (63, Encoder::Slash),
    (63, Encoder::Uri),
    (64, Encoder::Java),
    (65, Encoder::HttpUtility),
    (65, Encoder::WebUtility),
];
