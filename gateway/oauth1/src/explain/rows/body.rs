//! E46 to E54: the body.

use super::json::{self, Nesting};
use super::query::{as_on_the_wire, plus_is_plus};
use super::{Dimension, Variant, multipart, shown};
use crate::explain::draft::{Draft, Pair, Writing};
use crate::explain::source::{Look, Origin, Source, decode_form, fields};

pub(super) fn add<'a>(source: &'a Source<'a>, out: &mut Vec<Variant<'a>>) {
    let body = source.raw.body.as_slice();
    if source.raw.has_form() {
        let row = if source.look == Look::Json { 50 } else { 46 };
        out.push(Variant::new(row, Dimension::Body, |draft| {
            draft.pairs.retain(|pair| !pair.is_form());
        }));
        in_url(source, out);
        for names in [true, false] {
            out.push(Variant::new(53, Dimension::Body, move |draft| {
                as_on_the_wire(draft, Pair::is_form, names, true);
            }));
        }
        out.push(Variant::new(54, Dimension::Plus, |draft| {
            plus_is_plus(draft, Pair::is_form);
        }));
    } else if source.look != Look::Empty && !is_left_out(source) {
        unsigned(source, out);
    }
    if source.look == Look::Json && !is_left_out(source) {
        for nesting in Nesting::ALL {
            if let Some(members) = json::members(body, nesting) {
                out.push(Variant::new(47, Dimension::Body, move |draft| {
                    draft.pairs.retain(|pair| !pair.is_form());
                    for (name, value) in &members {
                        draft
                            .pairs
                            .push(Pair::unsent(Origin::Form, name.as_str(), value.as_str()));
                    }
                }));
            }
        }
    }
}

/// Whether a body that isn't a form, or is JSON, is too long to be taken for one that is signed.
pub(super) fn is_left_out(source: &Source<'_>) -> bool {
    let is_plain_form = source.raw.has_form() && source.look != Look::Json;
    source.raw.body.len() > MAX_BODY && !is_plain_form
}

/// A body that isn't signed, taken for one that is.
fn unsigned<'a>(source: &'a Source<'a>, out: &mut Vec<Variant<'a>>) {
    let body = source.raw.body.as_slice();
    if source.look == Look::Json {
        for (name, value) in [(body, &b""[..]), (b"", body), (b"data", body)] {
            out.push(Variant::new(48, Dimension::Body, move |draft| {
                draft.pairs.push(Pair::unsent(Origin::Form, name, value));
            }));
        }
        out.push(Variant::new(48, Dimension::Body, move |draft| {
            let mut pair = Pair::unsent(Origin::Form, body, "");
            pair.writing = Writing::Bare;
            draft.pairs.push(pair);
        }));
    }
    let as_form: Vec<_> = fields(body, Origin::Form).map(|sent| (sent.name, sent.value)).collect();
    let row = if source.look == Look::Json { 48 } else { 49 };
    let media_type = source.raw.first("content-type").unwrap_or("no type");
    out.push(adding(row, as_form).telling(media_type));
    if let Some(boundary) = multipart::boundary(media_type) {
        let parts = multipart::parts(body, boundary);
        let plain = parts.iter().filter(|part| !part.is_file);
        out.push(adding(
            51,
            plain.map(|part| (part.name.clone(), part.value.clone())).collect(),
        ));
        out.push(adding(
            51,
            parts.into_iter().map(|part| (part.name, part.value)).collect(),
        ));
    }
}

fn adding<'a>(row: u8, pairs: Vec<(Vec<u8>, Vec<u8>)>) -> Variant<'a> {
    Variant::new(row, Dimension::Body, move |draft: &mut Draft<'_>| {
        for (name, value) in &pairs {
            draft
                .pairs
                .push(Pair::unsent(Origin::Form, name.as_slice(), value.as_slice()));
        }
    })
}

/// E52: the form behind the URL.
fn in_url<'a>(source: &'a Source<'a>, out: &mut Vec<Variant<'a>>) {
    let form = shown(&source.raw.body);
    let text = own(&form);
    // Behind a query of the request's own, and then as little signed as that.
    let query = own(source.query.as_deref().unwrap_or_default());
    let whole = (!query.is_empty()).then(|| format!("{query}&{text}"));
    for (text, with_query) in [(text, false)].into_iter().chain(whole.map(|whole| (whole, true))) {
        let decoded = shown(&decode_form(text.as_bytes()));
        for text in [text, decoded] {
            let behind = format!("?{text}").into_bytes();
            out.push(Variant::new(52, Dimension::Body, move |draft| {
                draft.behind.clone_from(&behind);
                draft
                    .pairs
                    .retain(|pair| !(pair.is_form() || with_query && pair.is_query()));
            }));
        }
    }
}

/// Fields without the protocol's.
fn own(text: &str) -> String {
    let own: Vec<_> = text.split('&').filter(|field| !field.starts_with("oauth_")).collect();
    own.join("&")
}

/// Of a longer body that isn't signed the search would be over before it began.
const MAX_BODY: usize = 256 * 1024;
