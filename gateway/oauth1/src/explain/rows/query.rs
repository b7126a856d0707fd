//! E20 to E26, E33 to E38: the query, and what is lost or changed of single parameters.

use std::borrow::Cow;

use super::{Dimension, Variant, shown};
use crate::explain::draft::{Draft, Pair, Writing};
use crate::explain::encoder::Encoder;
use crate::explain::source::{Source, decode, decode_form, replaced};

pub(super) fn add<'a>(source: &'a Source<'a>, out: &mut Vec<Variant<'a>>) {
    out.push(Variant::new(20, Dimension::Query, |draft| {
        draft.pairs.retain(|pair| !pair.is_query());
    }));
    in_url(source, out);
    out.push(Variant::new(23, Dimension::Query, |draft| {
        let again: Vec<_> = draft.pairs.iter().filter(|pair| pair.is_query()).cloned().collect();
        draft.pairs.extend(again);
    }));
    encodings(out);
    empty_values(out);
    bare_names(out);
    equals_signs(out);
    names(out);
    single(source, out);
}

/// E21 and E22: the query inside the URL.
fn in_url<'a>(source: &'a Source<'a>, out: &mut Vec<Variant<'a>>) {
    let sent: Vec<_> = source.query.iter().flat_map(|query| query.split('&')).collect();
    let own: Vec<_> = sent.into_iter().filter(|field| !field.starts_with("oauth_")).collect();
    if own.is_empty() {
        return;
    }
    let query = own.join("&");
    let decoded = shown(&decode_form(query.as_bytes()));
    for (row, keeps) in [(21, true), (22, false)] {
        for text in [&query, &decoded] {
            let behind = format!("?{text}").into_bytes();
            out.push(Variant::new(row, Dimension::Query, move |draft| {
                draft.behind.clone_from(&behind);
                draft.pairs.retain(|pair| keeps || !pair.is_query());
            }));
        }
    }
}

/// E24 to E26: encoded or decoded once too often, or a `+` taken for itself.
fn encodings(out: &mut Vec<Variant<'_>>) {
    for (what, names, values) in [
        ("names and values", true, true),
        ("names", true, false),
        ("values", false, true),
    ] {
        let change = move |draft: &mut Draft<'_>| as_on_the_wire(draft, Pair::is_query, names, values);
        out.push(Variant::new(24, Dimension::Query, change).telling(what));
    }
    out.push(Variant::new(25, Dimension::Plus, |draft| {
        plus_is_plus(draft, Pair::is_query);
    }));
    for decoding in [decode as fn(&[u8]) -> Vec<u8>, decode_form, |text| {
        replaced(text, b'+', b" ")
    }] {
        out.push(Variant::new(26, Dimension::Query, move |draft| {
            for pair in draft.pairs.iter_mut().filter(|pair| pair.is_query()) {
                pair.name = Cow::Owned(decoding(&pair.name));
                pair.value = Cow::Owned(decoding(&pair.value));
            }
        }));
    }
}

/// Names, values or both of the chosen pairs as they stood on the wire.
pub(super) fn as_on_the_wire<'a>(draft: &mut Draft<'a>, chosen: fn(&Pair<'a>) -> bool, names: bool, values: bool) {
    for pair in &mut draft.pairs {
        let Some(sent) = pair.sent.filter(|_| chosen(pair)) else {
            continue;
        };
        if names {
            pair.name = Cow::Borrowed(&sent.wire_name);
        }
        if values {
            pair.value = Cow::Borrowed(&sent.wire_value);
        }
    }
}

/// The chosen pairs decoded without the form's rule for `+`.
pub(super) fn plus_is_plus<'a>(draft: &mut Draft<'a>, chosen: fn(&Pair<'a>) -> bool) {
    for pair in &mut draft.pairs {
        if let Some(sent) = pair.sent.filter(|_| chosen(pair)) {
            pair.name = Cow::Owned(decode(&sent.wire_name));
            pair.value = Cow::Owned(decode(&sent.wire_value));
        }
    }
}

fn empty_values(out: &mut Vec<Variant<'_>>) {
    out.push(Variant::new(33, Dimension::Query, |draft| {
        draft.pairs.retain(|pair| pair.is_oauth() || !pair.value.is_empty());
    }));
    out.push(Variant::new(33, Dimension::Query, |draft| {
        draft.pairs.retain(|pair| !pair.value.is_empty());
    }));
}

fn is_bare(pair: &Pair<'_>) -> bool {
    pair.sent.is_some_and(|sent| !sent.has_equals)
}

fn bare_names(out: &mut Vec<Variant<'_>>) {
    out.push(Variant::new(34, Dimension::Query, |draft| {
        draft.pairs.retain(|pair| !is_bare(pair));
    }));
    out.push(Variant::new(34, Dimension::Query, |draft| {
        for pair in draft.pairs.iter_mut().filter(|pair| is_bare(pair)) {
            pair.writing = Writing::Bare;
        }
    }));
    // What JavaScript makes of a value that isn't there.
    out.push(Variant::new(34, Dimension::Query, |draft| {
        for pair in draft.pairs.iter_mut().filter(|pair| is_bare(pair)) {
            pair.value = Cow::Borrowed(b"undefined");
        }
    }));
}

/// E35: a value that holds a `=` on the wire.
fn equals_signs(out: &mut Vec<Variant<'_>>) {
    let holds = |pair: &Pair<'_>| pair.sent.is_some_and(|sent| sent.wire_value.contains(&b'=')) && !pair.is_oauth();
    out.push(Variant::new(35, Dimension::Query, move |draft| {
        draft.pairs.retain(|pair| !holds(pair));
    }));
    for decoding in [decode_form as fn(&[u8]) -> Vec<u8>, decode] {
        out.push(Variant::new(35, Dimension::Query, move |draft| {
            for pair in draft.pairs.iter_mut().filter(|pair| holds(pair)) {
                let wire = pair.sent.map(|sent| sent.wire_value.as_slice()).unwrap_or_default();
                let cut = wire.split(|octet| *octet == b'=').next().unwrap_or_default();
                pair.value = Cow::Owned(decoding(cut));
            }
        }));
    }
}

fn names(out: &mut Vec<Variant<'_>>) {
    out.push(Variant::new(36, Dimension::Query, |draft| {
        for pair in draft.pairs.iter_mut().filter(|pair| !pair.is_oauth()) {
            let name = pair.name.iter().map(|octet| match octet {
                b'.' | b' ' => b'_',
                other => *other,
            });
            pair.name = Cow::Owned(name.collect());
        }
    }));
    out.push(Variant::new(38, Dimension::Query, |draft| {
        for pair in &mut draft.pairs {
            if let Some(rest) = pair.name.strip_prefix(b"amp;") {
                pair.name = Cow::Owned(rest.to_vec());
            }
        }
    }));
}

/// E37: one application parameter left out, each in turn.
fn single<'a>(source: &'a Source<'a>, out: &mut Vec<Variant<'a>>) {
    let own = source.sent.iter().filter(|sent| !sent.name.starts_with(b"oauth_"));
    for left_out in own.take(MAX_LEFT_OUT) {
        let change = move |draft: &mut Draft<'a>| {
            draft
                .pairs
                .retain(|pair| !pair.sent.is_some_and(|sent| std::ptr::eq(sent, left_out)));
        };
        let name = Encoder::Nothing.encode(&left_out.name);
        out.push(Variant::new(37, Dimension::Query, change).telling(shown(&name)));
    }
}

const MAX_LEFT_OUT: usize = 64;
