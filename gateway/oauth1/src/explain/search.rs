//! The search: single mistakes, all of them; then pairs by their likelihood, until one fits or the budget is spent.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::catalogue::Catalogue;
use super::digest::{Hash, Keyed};
use super::draft::Draft;
use super::keys::Candidate;
use super::rows::Variant;

/// What is looked for.
pub(super) enum Wanted {
    /// One of these MACs.
    Macs(Vec<(Hash, Vec<u8>)>),
    /// The plain digest that an RSA signature holds.
    Digest(Hash, Vec<u8>),
}

/// A mistake found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) row: u8,
    pub(super) details: Vec<String>,
    /// The others that give the same octets.
    pub(super) also: Vec<(u8, Vec<String>)>,
}

/// What the search ended with: the mistakes, and which of the readings they explain.
pub(super) struct Hit {
    pub(super) mistakes: Vec<Mistake>,
    pub(super) reading: usize,
    /// What the client signed, where that is another base string than the right one.
    pub(super) base: Option<Vec<u8>>,
}

/// MACs and octets that may still be spent. Counting, not a clock, so that the same request gets the same answer anywhere.
pub(super) struct Budget {
    pub(super) macs: u32,
    octets: usize,
    is_spent: bool,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self {
            macs: 0,
            octets: 0,
            is_spent: false,
        }
    }

    /// Whether one more over that many octets may be computed; it is counted then.
    fn spend(&mut self, octets: usize) -> bool {
        let octets = self.octets.saturating_add(octets);
        if self.macs >= MAX_MACS || octets > MAX_OCTETS {
            self.is_spent = true;
            return false;
        }
        self.macs += 1;
        self.octets = octets;
        true
    }
}

/// A key prepared for every hash that is looked for.
struct Key(Vec<Keyed>);

/// One search over one request.
pub(super) struct Search<'s> {
    pub(super) catalogue: &'s Catalogue,
    pub(super) wanted: &'s Wanted,
    pub(super) budget: Budget,
}

/// What single mistakes make of a request.
pub(super) struct Singles<'v, 'a> {
    /// Base strings but the right one, each with the variants that make it, the best first.
    bases: Vec<(Vec<u8>, Vec<&'v Variant<'a>>)>,
    /// Keys but the right one, likewise.
    keys: Vec<(&'v [u8], Vec<&'v Candidate>)>,
}

impl Search<'_> {
    /// The reading that the base string holds for under the key.
    pub(super) fn holds(&mut self, key: &[u8], base: &[u8]) -> Option<usize> {
        let key = self.prepare(key);
        self.matches(&key, base)
    }

    /// Every mistake alone (section 4.2 of the catalogue's page): all are tried, so that equivalents are known.
    pub(super) fn single(
        &mut self,
        right: &(Draft<'_>, Vec<u8>),
        key: &[u8],
        singles: &Singles<'_, '_>,
    ) -> Option<Hit> {
        let prepared = self.prepare(key);
        let mut hit = None;
        for (base, variants) in &singles.bases {
            if let Some(reading) = self.matches(&prepared, base) {
                let all = variants.iter().map(|one| (one.row, one.details.clone()));
                hit = hit.or_else(|| Some(Self::hit(all, reading, Some(base))));
            }
        }
        for (candidate, rows) in &singles.keys {
            let candidate = self.prepare(candidate);
            if let Some(reading) = self.matches(&candidate, &right.1) {
                let all = rows.iter().map(|one| (one.row, one.details.clone()));
                hit = hit.or_else(|| Some(Self::hit(all, reading, None)));
            }
        }
        hit.or_else(|| self.constructions(key, &right.1))
    }

    /// E93 and E94: no HMAC, or one with its arguments exchanged.
    fn constructions(&mut self, key: &[u8], base: &[u8]) -> Option<Hit> {
        let Wanted::Macs(wanted) = self.wanted else { return None };
        let texts = [[base, key].concat(), [key, base].concat(), base.to_vec()];
        for (reading, (hash, digest)) in wanted.iter().enumerate() {
            for text in &texts {
                if self.budget.spend(text.len()) && hash.is_of(digest, text) {
                    return Some(Self::hit([(93, Vec::new())].into_iter(), reading, None));
                }
            }
            if self.budget.spend(key.len()) && Keyed::new(*hash, base).is_mac(digest, key) {
                return Some(Self::hit([(94, Vec::new())].into_iter(), reading, None));
            }
        }
        None
    }

    /// Two mistakes of the rows that the pair search has, the likelier first; the first that fits is the answer.
    pub(super) fn pair<'a>(&mut self, right: &Draft<'a>, key: &[u8], singles: &Singles<'_, 'a>) -> Option<Hit> {
        let (firsts, wrong_keys) = self.parts(singles);
        let prepared = self.prepare(key);
        let mut tried: BTreeSet<Vec<u8>> = singles.bases.iter().map(|(base, _)| base.clone()).collect();
        tried.insert(right.build());
        for (at, second) in by_likelihood(&firsts, &wrong_keys) {
            let first = firsts.get(at)?;
            let (found, other, base) = match second {
                Second::Key(at) => {
                    let (_, candidate, key) = wrong_keys.get(at)?;
                    let found = self.matches(key, first.base);
                    let base = found.map(|_| first.base.to_vec());
                    (found, (candidate.row, &candidate.details), base)
                }
                Second::Base(at) => {
                    let second = firsts.get(at)?.variant;
                    let mut draft = right.clone();
                    first.variant.apply(&mut draft);
                    second.apply(&mut draft);
                    let base = draft.build();
                    if tried.contains(&base) {
                        continue;
                    }
                    let found = self.matches(&prepared, &base);
                    let hit = found.map(|_| base.clone());
                    tried.insert(base);
                    (found, (second.row, &second.details), hit)
                }
            };
            if let Some(reading) = found {
                let mistakes = [(first.variant.row, &first.variant.details), other];
                let mistakes = mistakes.map(|(row, details)| Mistake {
                    row,
                    details: details.clone(),
                    also: Vec::new(),
                });
                return Some(Hit {
                    mistakes: mistakes.to_vec(),
                    reading,
                    base,
                });
            }
            if self.budget.is_spent {
                return None;
            }
        }
        None
    }

    /// The base strings and keys whose rows the pair search has.
    fn parts<'p, 'v, 'a>(&self, singles: &'p Singles<'v, 'a>) -> (Vec<First<'p, 'v, 'a>>, Vec<WrongKey<'v>>) {
        let firsts = singles.bases.iter().filter_map(|(base, rows)| {
            let variant = *rows.first()?;
            let row = self.catalogue.row(variant.row);
            let prior = row.prior;
            row.in_pairs.then_some(First { prior, variant, base })
        });
        let keys = singles.keys.iter().filter_map(|(octets, rows)| {
            let best = *rows.iter().find(|one| one.in_pairs)?;
            let row = self.catalogue.row(best.row);
            row.in_pairs.then(|| (row.prior, best, self.prepare(octets)))
        });
        (firsts.collect(), keys.collect())
    }

    /// The best of several rows that give the same octets, the rest beside it.
    fn hit(rows: impl Iterator<Item = (u8, Vec<String>)>, reading: usize, base: Option<&Vec<u8>>) -> Hit {
        let mut rows = rows.collect::<Vec<_>>().into_iter();
        let (row, details) = rows.next().unwrap_or_default();
        let mut also: Vec<(u8, Vec<String>)> = Vec::new();
        for (other, details) in rows {
            if other != row && !also.iter().any(|(known, _)| *known == other) {
                also.push((other, details));
            }
        }
        Hit {
            mistakes: vec![Mistake { row, details, also }],
            reading,
            base: base.cloned(),
        }
    }

    fn prepare(&self, key: &[u8]) -> Key {
        match self.wanted {
            Wanted::Macs(wanted) => Key(wanted.iter().map(|(hash, _)| Keyed::new(*hash, key)).collect()),
            Wanted::Digest(..) => Key(Vec::new()),
        }
    }

    fn matches(&mut self, key: &Key, base: &[u8]) -> Option<usize> {
        match self.wanted {
            Wanted::Macs(wanted) => {
                let mut readings = wanted.iter().zip(&key.0).enumerate();
                let found = readings
                    .find(|(_, ((_, digest), keyed))| self.budget.spend(base.len()) && keyed.is_mac(digest, base));
                found.map(|(reading, _)| reading)
            }
            Wanted::Digest(hash, digest) => (self.budget.spend(base.len()) && hash.is_of(digest, base)).then_some(0),
        }
    }
}

/// The first mistake of a pair: one of the base string.
struct First<'p, 'v, 'a> {
    prior: u32,
    variant: &'v Variant<'a>,
    base: &'p [u8],
}

type WrongKey<'v> = (u32, &'v Candidate, Key);

/// Every pair, the likelier first: base string and key, or two changes of the base string in the order of dimensions.
fn by_likelihood(firsts: &[First<'_, '_, '_>], keys: &[WrongKey<'_>]) -> Vec<(usize, Second)> {
    let mut pairs = Vec::new();
    for (at, first) in firsts.iter().enumerate() {
        for (other, second) in firsts.iter().enumerate() {
            if first.variant.dimension < second.variant.dimension {
                pairs.push((first.prior * second.prior, at, Second::Base(other)));
            }
        }
        for (other, (prior, _, _)) in keys.iter().enumerate() {
            pairs.push((first.prior * prior, at, Second::Key(other)));
        }
    }
    // Stable: of equal likelihood the catalogue's order decides.
    pairs.sort_by_key(|(likelihood, _, _)| Reverse(*likelihood));
    pairs.into_iter().map(|(_, at, second)| (at, second)).collect()
}

#[derive(Clone, Copy)]
enum Second {
    Base(usize),
    Key(usize),
}

impl<'v, 'a> Singles<'v, 'a> {
    /// Makes each mistake once; those that change nothing, or nothing that another doesn't, vanish.
    pub(super) fn new(
        catalogue: &Catalogue,
        right: &(Draft<'a>, Vec<u8>),
        variants: &'v [Variant<'a>],
        keys: (&[u8], &'v [Candidate]),
    ) -> Self {
        let mut bases: BTreeMap<Vec<u8>, Vec<&'v Variant<'a>>> = BTreeMap::new();
        let mut octets = 0_usize;
        for variant in variants {
            let mut draft = right.0.clone();
            variant.apply(&mut draft);
            let base = draft.build();
            octets = octets.saturating_add(base.len());
            if base != right.1 {
                bases.entry(base).or_default().push(variant);
            }
            if octets > MAX_OCTETS {
                break;
            }
        }
        let mut bases: Vec<_> = bases.into_iter().collect();
        for (_, rows) in &mut bases {
            rows.sort_by_key(|one| catalogue.rank(one.row));
        }
        bases.sort_by_key(|(_, rows)| rows.first().map(|best| catalogue.rank(best.row)));
        let mut grouped: BTreeMap<&'v [u8], Vec<&'v Candidate>> = BTreeMap::new();
        for candidate in keys.1.iter().filter(|one| one.key.as_slice() != keys.0) {
            grouped.entry(candidate.key.as_slice()).or_default().push(candidate);
        }
        let mut keys: Vec<_> = grouped.into_iter().collect();
        for (_, rows) in &mut keys {
            rows.sort_by_key(|one| catalogue.rank(one.row));
        }
        keys.sort_by_key(|(_, rows)| rows.first().map(|best| catalogue.rank(best.row)));
        Self { bases, keys }
    }
}

/// Of one explanation.
pub(super) const MAX_MACS: u32 = 6_000;
/// Octets of base strings that one explanation builds for single mistakes, and hashes in all: a request of a thousand
/// parameters takes no longer than some tenths of a second.
const MAX_OCTETS: usize = 32 * 1024 * 1024;
