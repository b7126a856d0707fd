//! E92, E103 to E118: the protocol's own parameters.

use std::borrow::Cow;

use super::{Dimension, Variant, shown};
use crate::ParameterName;
use crate::explain::draft::{Draft, Pair, Writing};
use crate::explain::encoder::Encoder;
use crate::explain::source::{Origin, Source, decode, replaced};

pub(super) fn add<'a>(source: &'a Source<'a>, out: &mut Vec<Variant<'a>>) {
    method_names(source, out);
    unsent(source, out);
    unsigned(source, out);
    timestamps(source, out);
    callbacks(out);
    out.push(Variant::new(115, Dimension::Oauth, |draft| {
        for pair in named(draft, ParameterName::BodyHash) {
            pair.writing = Writing::Raw;
        }
    }));
    out.push(Variant::new(117, Dimension::Oauth, |draft| {
        draft
            .pairs
            .retain(|pair| pair.origin != Origin::Header || pair.is_oauth());
    }));
    out.push(Variant::new(118, Dimension::Oauth, |draft| {
        for pair in draft.pairs.iter_mut().filter(|pair| pair.is_oauth()) {
            pair.value = Cow::Owned(replaced(&pair.value, b' ', b"+"));
        }
    }));
}

fn named<'d, 'a>(draft: &'d mut Draft<'a>, name: ParameterName) -> impl Iterator<Item = &'d mut Pair<'a>> {
    let is_named = move |pair: &&mut Pair<'a>| *pair.name == *name.as_str().as_bytes();
    draft.pairs.iter_mut().filter(is_named)
}

fn without(draft: &mut Draft<'_>, name: &[u8]) {
    draft.pairs.retain(|pair| *pair.name != *name);
}

fn method_names<'a>(source: &'a Source<'a>, out: &mut Vec<Variant<'a>>) {
    let declared = source.get(ParameterName::SignatureMethod).unwrap_or_default();
    for method in METHODS.into_iter().filter(|method| method.as_bytes() != declared) {
        let change = move |draft: &mut Draft<'a>| {
            for pair in named(draft, ParameterName::SignatureMethod) {
                pair.value = Cow::Borrowed(method.as_bytes());
            }
        };
        out.push(Variant::new(92, Dimension::Oauth, change).telling(method));
    }
}

/// What was signed and not sent: E103, E104, E106, E108.
fn unsent<'a>(source: &'a Source<'a>, out: &mut Vec<Variant<'a>>) {
    for writing in [Writing::Usual, Writing::Bare] {
        out.push(Variant::new(103, Dimension::Oauth, move |draft| {
            let mut pair = Pair::unsent(Origin::Header, ParameterName::Signature.as_str(), "");
            pair.writing = writing;
            draft.pairs.push(pair);
        }));
    }
    if let Some(realm) = &source.realm {
        for realm in [realm.clone(), decode(realm)] {
            out.push(Variant::new(104, Dimension::Oauth, move |draft| {
                draft.pairs.push(Pair::unsent(Origin::Header, "realm", realm.clone()));
            }));
        }
    }
    for (row, name, value) in [(106, ParameterName::Version, "1.0"), (108, ParameterName::Token, "")] {
        if source.get(name).is_none() {
            out.push(Variant::new(row, Dimension::Oauth, move |draft| {
                draft.pairs.push(Pair::unsent(Origin::Header, name.as_str(), value));
            }));
        }
    }
}

/// What was sent and not signed: E105, E107, E108, E113, E114.
fn unsigned<'a>(source: &'a Source<'a>, out: &mut Vec<Variant<'a>>) {
    let token_is_empty = source.get(ParameterName::Token).is_some_and(<[u8]>::is_empty);
    for sent in source.sent.iter().filter(|sent| sent.name.starts_with(b"oauth_")) {
        let name = sent.name.as_slice();
        let row = match name {
            b"oauth_version" => 105,
            b"oauth_token" if token_is_empty => 108,
            b"oauth_token" => 107,
            b"oauth_callback" | b"oauth_verifier" => 113,
            _ => 114,
        };
        out.push(Variant::new(row, Dimension::Oauth, move |draft| without(draft, name)).telling(shown(name)));
    }
    let both = Variant::new(113, Dimension::Oauth, |draft| {
        without(draft, b"oauth_callback");
        without(draft, b"oauth_verifier");
    });
    out.push(both.telling("oauth_callback and oauth_verifier"));
    let all = Variant::new(114, Dimension::Oauth, |draft| {
        draft.pairs.retain(|pair| !pair.is_oauth());
    });
    out.push(all.telling("its oauth_ parameters"));
}

/// E110: the clock read twice.
fn timestamps<'a>(source: &'a Source<'a>, out: &mut Vec<Variant<'a>>) {
    let text = source.text(ParameterName::Timestamp);
    let Ok(sent) = text.parse::<i64>() else { return };
    let seconds = (-5..=5).filter(|by| *by != 0).map(|by| sent.saturating_add(by));
    let other = if text.len() >= MILLISECOND_DIGITS {
        sent / 1000
    } else {
        sent.saturating_mul(1000)
    };
    for signed in seconds.chain([other]).filter(|signed| *signed > 0) {
        let change = move |draft: &mut Draft<'a>| {
            for pair in named(draft, ParameterName::Timestamp) {
                pair.value = Cow::Owned(signed.to_string().into_bytes());
            }
        };
        out.push(Variant::new(110, Dimension::Oauth, change).telling(signed.to_string()));
    }
}

/// E111 and E112: callback and verifier decoded or encoded once more.
fn callbacks(out: &mut Vec<Variant<'_>>) {
    let recodings: [(u8, Recode); 3] = [
        (111, decode),
        (111, |text| decode(&replaced(text, b'+', b" "))),
        (112, |text| Encoder::Rfc.encode(text)),
    ];
    for (row, recode) in recodings {
        out.push(Variant::new(row, Dimension::Oauth, move |draft| {
            for name in [ParameterName::Callback, ParameterName::Verifier] {
                for pair in named(draft, name) {
                    pair.value = Cow::Owned(recode(&pair.value));
                }
            }
        }));
    }
}

type Recode = fn(&[u8]) -> Vec<u8>;

const METHODS: [&str; 8] = [
    "HMAC-SHA1",
    "HMAC-SHA256",
    "HMAC-SHA512",
    "HMAC-SHA384",
    "HMAC-MD5",
    "RSA-SHA1",
    "RSA-SHA256",
    "PLAINTEXT",
];

const MILLISECOND_DIGITS: usize = 13;
