//! The catalogue as a table: likelihood, sentences and usual cause of each row.

use std::cmp::Reverse;
use std::fmt;

/// A name of the catalogue: stable and public.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Id {
    /// `E1`…: a mistake that reproduces the client's signature, or the form of its value.
    Mistake(u8),
    /// `N1`…: the same symptom without a mistake in the signature.
    Note(u8),
}

impl fmt::Display for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mistake(number) => write!(formatter, "E{number}"),
            Self::Note(number) => write!(formatter, "N{number}"),
        }
    }
}

/// One row.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Row {
    /// Higher is tried first, and wins among equal octets.
    pub(super) prior: u32,
    pub(super) in_pairs: bool,
    pub(super) sentence: &'static str,
    pub(super) cause: &'static str,
    /// What to change where it is not the client that is wrong; empty where it always is.
    pub(super) operator: &'static str,
}

/// All rows.
pub(super) struct Catalogue(Vec<(Id, Row)>);

impl Catalogue {
    pub(super) fn read() -> Self {
        let lines = TEXT.lines().filter(|line| !line.starts_with('#'));
        Self(lines.filter_map(parse).collect())
    }

    pub(super) fn of(&self, id: Id) -> Row {
        let found = self.0.iter().find(|(other, _)| *other == id);
        found.map(|(_, row)| *row).unwrap_or_default()
    }

    pub(super) fn row(&self, number: u8) -> Row {
        self.of(Id::Mistake(number))
    }

    /// For sorting: the likelier first, but a specific row before the general one that it is like.
    pub(super) fn rank(&self, number: u8) -> (Reverse<u32>, u8) {
        let general = SPECIFIC.iter().filter(|(specific, _)| *specific == number);
        let above = general.map(|(_, general)| self.row(*general).prior + 1).max();
        (Reverse(self.row(number).prior.max(above.unwrap_or_default())), number)
    }
}

fn parse(line: &'static str) -> Option<(Id, Row)> {
    let mut columns = line.split('|').map(str::trim);
    let name = columns.next()?;
    let number = name.get(1..)?.parse().ok()?;
    let id = if name.starts_with('N') {
        Id::Note(number)
    } else {
        Id::Mistake(number)
    };
    let row = Row {
        prior: columns.next()?.parse().ok()?,
        in_pairs: columns.next()? == "pairs",
        sentence: columns.next()?,
        cause: columns.next()?,
        operator: columns.next().unwrap_or_default(),
    };
    Some((id, row))
}

/// Rows that say more than another whose octets they share.
const SPECIFIC: [(u8, u8); 9] = [
    (18, 17),
    (25, 24),
    (40, 39),
    (43, 39),
    (54, 53),
    (60, 62),
    (72, 71),
    (108, 33),
    (115, 57),
];

const TEXT: &str = include_str!("catalogue.txt");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_its_row() {
        let catalogue = Catalogue::read();

        let mistakes = (1..=118).map(Id::Mistake);
        for id in mistakes.chain((1..=8).map(Id::Note)) {
            let sentence = catalogue.of(id).sentence;
            assert!(sentence.ends_with('.') || sentence.ends_with('?'), "{id}: {sentence:?}");
        }
        assert_eq!(catalogue.0.len(), 126);
    }

    #[test]
    fn what_can_be_the_gateways_fault_has_a_sentence_for_its_operator() {
        let catalogue = Catalogue::read();
        let braces = |sentence: &str| sentence.matches('{').count();

        let theirs: Vec<u8> = (1..=118)
            .filter(|row| !catalogue.row(*row).operator.is_empty())
            .collect();

        assert_eq!(theirs, [1, 2, 7, 8, 14, 15]);
        for row in theirs.into_iter().map(|row| catalogue.row(row)) {
            assert_eq!(braces(row.operator), braces(row.sentence), "{}", row.operator);
        }
    }
}
