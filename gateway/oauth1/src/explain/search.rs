//! The search: single mistakes, all of them; then pairs by their likelihood, until one fits or the budget is spent.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::catalogue::Catalogue;
use super::digest::{Hash, Keyed};
use super::draft::Draft;
use super::keys::Candidate;
use super::rows::{Variant, shown};

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
    was_spent: bool,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self {
            macs: 0,
            octets: 0,
            is_spent: false,
            was_spent: false,
        }
    }

    /// Whether something was left untried.
    pub(super) fn is_cut_short(&self) -> bool {
        self.is_spent || self.was_spent
    }

    /// Whether one more MAC over that many octets may be computed; it is counted then.
    fn spend(&mut self, octets: usize) -> bool {
        self.is_spent |= self.macs >= MAX_MACS;
        let may = self.take(octets);
        self.macs += u32::from(may);
        may
    }

    /// Whether that many octets may still be built or hashed; they are counted then.
    fn take(&mut self, octets: usize) -> bool {
        let octets = self.octets.saturating_add(octets);
        self.is_spent |= octets > MAX_OCTETS;
        if !self.is_spent {
            self.octets = octets;
        }
        !self.is_spent
    }

    /// Pairs have octets of their own, so that they take none from single mistakes.
    fn renew(&mut self) {
        self.octets = 0;
        self.was_spent |= self.is_spent;
        self.is_spent = false;
    }
}

/// A key prepared for every hash that is looked for.
struct Key(Vec<Keyed>);

/// What tells base strings apart: they themselves may be long, and hundreds.
type Print = [u8; 32];

/// One search over one request.
pub(super) struct Search<'s> {
    pub(super) catalogue: &'s Catalogue,
    pub(super) wanted: &'s Wanted,
    pub(super) budget: Budget,
}

/// What single mistakes make of a request.
pub(super) struct Singles<'v, 'a> {
    /// Base strings but the right one.
    bases: Vec<Made<'v, 'a>>,
    /// Keys but the right one.
    keys: Vec<WrongKey<'v>>,
}

/// A base string that mistakes make.
struct Made<'v, 'a> {
    print: Print,
    /// Itself, unless there is too much of it to be kept.
    base: Option<Vec<u8>>,
    /// What makes it, the best first.
    variants: Vec<&'v Variant<'a>>,
}

/// A key that mistakes make.
struct WrongKey<'v> {
    key: Key,
    /// What makes it, the best first.
    candidates: Vec<&'v Candidate>,
}

impl Search<'_> {
    /// The reading that the base string holds for under the key.
    pub(super) fn holds(&mut self, key: &[u8], base: &[u8]) -> Option<usize> {
        let key = self.prepare(key);
        self.matches(&key, base)
    }

    /// Every mistake alone (section 4.2 of the catalogue's page): all are made, so that equivalents are known. Those that
    /// change nothing, or nothing that another doesn't, vanish.
    pub(super) fn single<'v, 'a>(
        &mut self,
        right: &(Draft<'a>, Vec<u8>),
        key: &[u8],
        variants: &'v [Variant<'a>],
        candidates: &'v [Candidate],
    ) -> (Option<Hit>, Singles<'v, 'a>) {
        // Keys first: nothing is built for them.
        let keys = self.wrong_keys(key, candidates);
        let mut hit = None;
        for wrong in &keys {
            if let Some(reading) = self.matches(&wrong.key, &right.1) {
                hit = hit.or_else(|| Some(Hit::single(mistake(wrong.rows()), reading, None)));
            }
        }
        let prepared = self.prepare(key);
        let (mut bases, mut places) = (Vec::<Made<'v, 'a>>::new(), BTreeMap::new());
        let (mut found, mut kept) = (None, 0_usize);
        let right_print = print(&right.1);
        for variant in self.in_order(variants) {
            let base = made(&right.0, [variant]);
            if !self.budget.take(base.len()) {
                break;
            }
            let print = print(&base);
            if print == right_print {
                continue;
            }
            let place = *places.entry(print).or_insert(bases.len());
            if let Some(made) = bases.get_mut(place) {
                made.variants.push(variant);
                continue;
            }
            if let Some(reading) = self.matches(&prepared, &base) {
                found = found.or_else(|| Some((place, reading, base.clone())));
            }
            kept = kept.saturating_add(base.len());
            bases.push(Made {
                print,
                base: (kept <= MAX_KEPT).then_some(base),
                variants: vec![variant],
            });
        }
        for made in &mut bases {
            made.variants.sort_by_key(|one| self.catalogue.rank(one.row));
        }
        if let Some((place, reading, base)) = found {
            let made = bases.get(place).map(Made::rows);
            hit = hit.or_else(|| Some(Hit::single(mistake(made?), reading, Some(base))));
        }
        bases.sort_by_key(|made| made.variants.first().map(|best| self.catalogue.rank(best.row)));
        let hit = hit.or_else(|| self.constructions(key, &right.1));
        (hit, Singles { bases, keys })
    }

    /// The likelier first; before them all what cuts a long form off, which makes a short base string of it.
    fn in_order<'v, 'a>(&self, variants: &'v [Variant<'a>]) -> Vec<&'v Variant<'a>> {
        let mut ordered: Vec<_> = variants.iter().collect();
        ordered.sort_by_cached_key(|one| (!matches!(one.row, 46 | 50), self.catalogue.rank(one.row)));
        ordered
    }

    fn wrong_keys<'v>(&self, right: &[u8], candidates: &'v [Candidate]) -> Vec<WrongKey<'v>> {
        let mut grouped: BTreeMap<&'v [u8], Vec<&'v Candidate>> = BTreeMap::new();
        for candidate in candidates.iter().filter(|one| one.key.as_slice() != right) {
            grouped.entry(candidate.key.as_slice()).or_default().push(candidate);
        }
        let mut keys: Vec<_> = grouped
            .into_iter()
            .map(|(octets, mut candidates)| {
                candidates.sort_by_key(|one| self.catalogue.rank(one.row));
                let key = self.prepare(octets);
                WrongKey { key, candidates }
            })
            .collect();
        keys.sort_by_key(|wrong| wrong.candidates.first().map(|best| self.catalogue.rank(best.row)));
        keys
    }

    /// E93 and E94: no HMAC, or one with its arguments exchanged.
    fn constructions(&mut self, key: &[u8], base: &[u8]) -> Option<Hit> {
        let Wanted::Macs(wanted) = self.wanted else { return None };
        let of_row = |row| mistake(std::iter::once((row, Vec::new())));
        let texts = [[base, key].concat(), [key, base].concat(), base.to_vec()];
        for (reading, (hash, digest)) in wanted.iter().enumerate() {
            for text in &texts {
                if self.budget.spend(text.len()) && hash.is_of(digest, text) {
                    return Some(Hit::single(of_row(93), reading, None));
                }
            }
            if self.budget.spend(key.len()) && Keyed::new(*hash, base).is_mac(digest, key) {
                return Some(Hit::single(of_row(94), reading, None));
            }
        }
        None
    }

    /// Two mistakes of the rows that the pair search has, the likelier first; the first that fits is the answer.
    pub(super) fn pair<'a>(&mut self, right: &Draft<'a>, key: &[u8], singles: &Singles<'_, 'a>) -> Option<Hit> {
        self.budget.renew();
        let firsts = self.firsts(singles);
        let prepared = self.prepare(key);
        let mut tried: BTreeSet<Print> = singles.bases.iter().map(|made| made.print).collect();
        tried.insert(print(&right.build()));
        for (at, second) in self.by_likelihood(&firsts, &singles.keys) {
            let first = firsts.get(at)?;
            match second {
                Second::Key(at) => {
                    let wrong = singles.keys.get(at)?;
                    let base = match &first.made.base {
                        Some(base) => Cow::Borrowed(base),
                        None => Cow::Owned(made(right, [first.variant])),
                    };
                    if let Some(reading) = self.matches(&wrong.key, &base) {
                        return Some(Hit {
                            mistakes: vec![mistake(first.made.rows()), mistake(wrong.rows())],
                            reading,
                            base: Some(base.into_owned()),
                        });
                    }
                }
                Second::Base(at) => {
                    let second = firsts.get(at)?;
                    let draft = drafted(right, [first.variant, second.variant]);
                    let base = draft.build();
                    if self.budget.take(base.len())
                        && tried.insert(print(&base))
                        && let Some(reading) = self.matches(&prepared, &base)
                    {
                        // What is equal alone may differ beside another mistake.
                        let firsts = first.made.rows_where(|one| made(right, [one, second.variant]) == base);
                        let seconds = second.made.rows_where(|one| made(right, [first.variant, one]) == base);
                        return Some(Hit {
                            mistakes: vec![mistake(firsts).within(&draft), mistake(seconds).within(&draft)],
                            reading,
                            base: Some(base),
                        });
                    }
                }
            }
            if self.budget.is_spent {
                return None;
            }
        }
        None
    }

    /// What the pair search has of the base strings: the best of its rows for each, and beside it one of each other row,
    /// since they may differ where a second mistake is made.
    fn firsts<'p, 'v, 'a>(&self, singles: &'p Singles<'v, 'a>) -> Vec<First<'p, 'v, 'a>> {
        let mut firsts = Vec::new();
        for made in &singles.bases {
            let mut rows = BTreeSet::new();
            for variant in &made.variants {
                let row = self.catalogue.row(variant.row);
                if row.in_pairs && rows.insert(variant.row) {
                    firsts.push(First {
                        prior: row.prior,
                        variant,
                        made,
                        is_best: rows.len() == 1,
                    });
                }
            }
        }
        firsts
    }

    /// Every pair, the likelier first: base string and key, or two changes of the base string in the order of dimensions.
    fn by_likelihood(&self, firsts: &[First<'_, '_, '_>], keys: &[WrongKey<'_>]) -> Vec<(usize, Second)> {
        let mut pairs = Vec::new();
        for (at, first) in firsts.iter().enumerate() {
            for (other, second) in firsts.iter().enumerate() {
                if first.variant.dimension < second.variant.dimension {
                    pairs.push((first.prior * second.prior, at, Second::Base(other)));
                }
            }
            for (other, wrong) in keys.iter().enumerate().filter(|_| first.is_best) {
                let best = wrong.candidates.iter().find(|one| one.in_pairs);
                let row = best.map(|one| self.catalogue.row(one.row));
                if let Some(row) = row.filter(|row| row.in_pairs) {
                    pairs.push((first.prior * row.prior, at, Second::Key(other)));
                }
            }
        }
        // Stable: of equal likelihood the catalogue's order decides.
        pairs.sort_by_key(|(likelihood, _, _)| Reverse(*likelihood));
        pairs.into_iter().map(|(_, at, second)| (at, second)).collect()
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
    made: &'p Made<'v, 'a>,
    /// Of several rows that make the same, one is enough for a second mistake that leaves the base string alone.
    is_best: bool,
}

#[derive(Clone, Copy)]
enum Second {
    Base(usize),
    Key(usize),
}

impl Hit {
    fn single(mistake: Mistake, reading: usize, base: Option<Vec<u8>>) -> Self {
        Self {
            mistakes: vec![mistake],
            reading,
            base,
        }
    }
}

impl<'v, 'a> Made<'v, 'a> {
    fn rows(&self) -> impl Iterator<Item = (u8, Vec<String>)> {
        self.rows_where(|_| true)
    }

    fn rows_where(&self, holds: impl Fn(&'v Variant<'a>) -> bool) -> impl Iterator<Item = (u8, Vec<String>)> {
        let variants = self.variants.iter().filter(move |one| holds(one));
        variants.map(|one| (one.row, one.details.clone()))
    }
}

impl WrongKey<'_> {
    fn rows(&self) -> impl Iterator<Item = (u8, Vec<String>)> {
        self.candidates.iter().map(|one| (one.row, one.details.clone()))
    }
}

/// The best of several rows that give the same octets, the rest beside it.
fn mistake(mut rows: impl Iterator<Item = (u8, Vec<String>)>) -> Mistake {
    let (row, details) = rows.next().unwrap_or_default();
    let mut also: Vec<(u8, Vec<String>)> = Vec::new();
    for (other, details) in rows {
        if other != row && !also.iter().any(|(known, _)| *known == other) {
            also.push((other, details));
        }
    }
    Mistake { row, details, also }
}

impl Mistake {
    /// Made beside another: the URL that it says was signed is the one that both of them make.
    fn within(mut self, draft: &Draft<'_>) -> Self {
        let also = self.also.iter_mut().map(|(row, details)| (*row, details));
        for (row, details) in std::iter::once((self.row, &mut self.details)).chain(also) {
            let signed = match row {
                1 | 2 => draft.url_text(),
                7 | 8 => draft.address_text(),
                _ => continue,
            };
            if let Some(detail) = details.first_mut() {
                *detail = shown(&signed);
            }
        }
        self
    }
}

/// The base string with mistakes, made in the order of their dimensions.
fn made<'a, const N: usize>(right: &Draft<'a>, mistakes: [&Variant<'a>; N]) -> Vec<u8> {
    drafted(right, mistakes).build()
}

fn drafted<'a, const N: usize>(right: &Draft<'a>, mut mistakes: [&Variant<'a>; N]) -> Draft<'a> {
    mistakes.sort_by_key(|one| one.dimension);
    let mut draft = right.clone();
    for mistake in mistakes {
        mistake.apply(&mut draft);
    }
    draft
}

fn print(base: &[u8]) -> Print {
    Sha256::digest(base).into()
}

/// Of one explanation.
pub(super) const MAX_MACS: u32 = 6_000;
/// Octets of base strings that are built and hashed for single mistakes, and as many again for pairs: enough for every
/// single mistake over a form of 256 KiB, and for what takes a second or two at most.
const MAX_OCTETS: usize = 256 * 1024 * 1024;
/// Octets of base strings that are kept for the pairs; others are built again.
const MAX_KEPT: usize = 16 * 1024 * 1024;
