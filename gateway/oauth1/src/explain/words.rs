//! Sentences: the braces filled in, what is shared by several rows said as shared.

use super::catalogue::{Catalogue, Id};
use super::search::Mistake;

/// One entry of a diagnosis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its name.
    pub id: Id,
    /// What the client signed, and what to change.
    pub sentence: String,
    /// Names that give the same octets.
    pub also: Vec<Id>,
    /// Which library or habit usually does it: never a fact.
    pub usual_cause: Option<&'static str>,
    /// What to change where the gateway, or a proxy in front of it, is wrong and not the client: only where that may be, and
    /// never known from the request alone.
    pub operator: Option<String>,
}

impl Finding {
    pub(super) fn new(catalogue: &Catalogue, id: Id, details: &[String]) -> Self {
        let row = catalogue.of(id);
        Self {
            id,
            sentence: fill(row.sentence, details),
            also: Vec::new(),
            usual_cause: Some(row.cause).filter(|cause| !cause.is_empty() && is_cause(id, details)),
            operator: (!row.operator.is_empty()).then(|| fill(row.operator, details)),
        }
    }

    pub(super) fn of(catalogue: &Catalogue, mistake: &Mistake) -> Self {
        let mut finding = Self::new(catalogue, Id::Mistake(mistake.row), &mistake.details);
        finding.also = mistake.also.iter().map(|(row, _)| Id::Mistake(*row)).collect();
        if let Some(shared) = shared(mistake) {
            let setting = setting(catalogue.row(mistake.row).sentence);
            finding.sentence = match (setting, shared.strip_suffix('.')) {
                (Some(setting), Some(shared)) => format!("{shared} {setting}."),
                _ => shared.to_owned(),
            };
            return finding;
        }
        for (row, details) in mistake.also.iter().take(MAX_ALTERNATIVES) {
            let other = fill(catalogue.row(*row).sentence, details);
            finding.sentence.push_str(" Or: ");
            finding.sentence.push_str(&other);
        }
        finding
    }
}

/// E91 has one of SHA1 alone: a library whose default that is did not compute anything else.
fn is_cause(id: Id, details: &[String]) -> bool {
    id != Id::Mistake(91) || details.iter().any(|detail| detail.ends_with("-SHA1"))
}

/// What may be said of rows that can't be told apart, and of no single one of them.
fn shared(mistake: &Mistake) -> Option<&'static str> {
    let all = || std::iter::once(mistake.row).chain(mistake.also.iter().map(|(row, _)| *row));
    let within = |rows: &[u8]| !mistake.also.is_empty() && all().all(|row| rows.contains(&row));
    SHARED
        .iter()
        .find(|(rows, _)| within(rows))
        .map(|(_, sentence)| *sentence)
}

/// What an admin may set instead, where a row names it: `(or set …)`.
fn setting(sentence: &str) -> Option<&str> {
    let (_, behind) = sentence.split_at(sentence.find("(or set ")?);
    let end = behind.find(')')?;
    behind.get(..=end)
}

fn fill(sentence: &str, details: &[String]) -> String {
    let mut details = details.iter();
    let mut filled = String::with_capacity(sentence.len() + 64);
    let mut rest = sentence;
    while let Some((before, behind)) = rest.split_once('{') {
        let Some((_, after)) = behind.split_once('}') else {
            break;
        };
        filled.push_str(before);
        filled.push_str(&details.next().map(|detail| plain(detail)).unwrap_or_default());
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// What came with a request, as a sentence may hold it: of bounded length, without control characters.
fn plain(detail: &str) -> String {
    let mut plain: String = detail
        .chars()
        .take(MAX_DETAIL)
        .map(|character| if character.is_control() { '\u{fffd}' } else { character })
        .collect();
    if detail.chars().nth(MAX_DETAIL).is_some() {
        plain.push('…');
    }
    plain
}

const SHARED: [(&[u8], &str); 7] = [
    (
        &[29, 30, 32, 37],
        "Your client signed only one of the repeated parameters; all that are sent must be signed.",
    ),
    (
        &[20, 37, 33],
        "Your client left the query (one parameter) out of the signature; every query parameter is part of it.",
    ),
    (
        &[46, 37, 33],
        "Your client left the form (one field) out of the signature; every field of a form is part of it.",
    ),
    (
        &[33, 34, 37],
        "Your client left a parameter with an empty value out of the signature; it is signed as name followed by =.",
    ),
    (
        &[57, 58, 59, 63, 26],
        "Your client did not encode names or values: all but A-Z a-z 0-9 - . _ ~ must be encoded in the base string.",
    ),
    (
        &[39, 40, 41, 42, 43, 44, 45],
        "Your client sorted the parameters differently; sort by encoded name, then by encoded value, byte by byte.",
    ),
    (
        &[12, 17, 18],
        "Your client left the path out at the site's root; for the root sign a single slash, otherwise the path as sent.",
    ),
];

const MAX_DETAIL: usize = 200;
const MAX_ALTERNATIVES: usize = 2;
