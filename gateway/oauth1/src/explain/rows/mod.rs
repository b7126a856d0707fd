//! The catalogue's rows that change the base string: each makes a draft of what the client would have signed.

mod body;
mod encoding;
mod json;
mod method;
mod multipart;
mod oauth;
mod query;
mod repeated;
mod sorting;
mod url;

use super::draft::Draft;
use super::source::Source;

/// What a row changes. Two mistakes of a pair are of different dimensions, and are applied in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Dimension {
    Scheme,
    Host,
    Port,
    Path,
    Method,
    Query,
    Plus,
    Body,
    Repeated,
    Sorting,
    Encoding,
    Joining,
    Oauth,
}

/// One way in which a row's mistake is made.
pub(super) struct Variant<'a> {
    pub(super) row: u8,
    pub(super) dimension: Dimension,
    /// What the braces of the row's sentence are filled with, in their order.
    pub(super) details: Vec<String>,
    change: Box<dyn Fn(&mut Draft<'a>) + 'a>,
}

impl<'a> Variant<'a> {
    fn new(row: u8, dimension: Dimension, change: impl Fn(&mut Draft<'a>) + 'a) -> Self {
        Self {
            row,
            dimension,
            details: Vec::new(),
            change: Box::new(change),
        }
    }

    fn telling(mut self, detail: impl Into<String>) -> Self {
        self.details.push(detail.into());
        self
    }

    /// Makes the mistake.
    pub(super) fn apply(&self, draft: &mut Draft<'a>) {
        (self.change)(draft);
    }
}

/// Every way that this request allows, in the catalogue's order.
pub(super) fn all<'a>(source: &'a Source<'a>) -> Vec<Variant<'a>> {
    let mut out = Vec::with_capacity(256);
    url::add(source, &mut out);
    query::add(source, &mut out);
    repeated::add(source, &mut out);
    sorting::add(&mut out);
    body::add(source, &mut out);
    encoding::add(&mut out);
    method::add(source, &mut out);
    oauth::add(source, &mut out);
    out
}

/// Whether the body is so long that not every mistake with it is among them.
pub(super) fn are_left_out(source: &Source<'_>) -> bool {
    body::is_left_out(source)
}

/// Octets as a sentence shows them.
pub(in crate::explain) fn shown(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}
