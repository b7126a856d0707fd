//! E70 to E72: the method.

use std::borrow::Cow;

use super::{Dimension, Variant};
use crate::explain::source::Source;

pub(super) fn add<'a>(source: &'a Source<'a>, out: &mut Vec<Variant<'a>>) {
    out.push(to(70, source.raw.method.to_ascii_lowercase()));
    for method in METHODS {
        if !source.raw.method.eq_ignore_ascii_case(method) {
            out.push(to(71, method).telling(method));
        }
    }
    for name in ["x-http-method-override", "x-method-override", "x-http-method"] {
        if let Some(method) = source.raw.first(name) {
            out.push(to(72, method.to_ascii_uppercase()).telling(method.to_ascii_uppercase()));
        }
    }
}

fn to<'a>(row: u8, method: impl Into<Vec<u8>>) -> Variant<'a> {
    let method = method.into();
    Variant::new(row, Dimension::Method, move |draft| {
        draft.method = Cow::Owned(method.clone());
    })
}

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"];
