//! E27 to E32: repeated names and lists.

use std::borrow::Cow;

use super::{Dimension, Variant};
use crate::explain::draft::{Draft, Pair};
use crate::explain::source::Source;

pub(super) fn add<'a>(_source: &'a Source<'a>, out: &mut Vec<Variant<'a>>) {
    for indexed in [true, false] {
        out.push(Variant::new(27, Dimension::Repeated, move |draft| {
            name_repeated(draft, indexed);
        }));
    }
    brackets(out);
    out.push(Variant::new(29, Dimension::Repeated, |draft| keep_one(draft, true)));
    out.push(Variant::new(30, Dimension::Repeated, |draft| keep_one(draft, false)));
    for join in [Join::Text(","), Join::Text(", "), Join::Text(" "), Join::PythonList] {
        out.push(Variant::new(31, Dimension::Repeated, move |draft| {
            join_repeated(draft, join);
        }));
    }
    out.push(Variant::new(32, Dimension::Repeated, |draft| {
        let mut kept: Vec<Pair<'_>> = Vec::with_capacity(draft.pairs.len());
        for pair in draft.pairs.drain(..) {
            if !kept.iter().any(|one| one.name == pair.name && one.value == pair.value) {
                kept.push(pair);
            }
        }
        draft.pairs = kept;
    }));
}

/// Groups of pairs of the same application name, as positions, where there are at least two.
fn groups(draft: &Draft<'_>) -> Vec<Vec<usize>> {
    let mut groups: Vec<(&[u8], Vec<usize>)> = Vec::new();
    for (at, pair) in draft.pairs.iter().enumerate().filter(|(_, pair)| !pair.is_oauth()) {
        match groups.iter_mut().find(|(name, _)| *name == &*pair.name) {
            Some((_, places)) => places.push(at),
            None => groups.push((&pair.name, vec![at])),
        }
    }
    let places = groups.into_iter().map(|(_, places)| places);
    places.filter(|places| places.len() > 1).collect()
}

/// `a[0]`, `a[1]`, or `a[]`.
fn name_repeated(draft: &mut Draft<'_>, indexed: bool) {
    for places in groups(draft) {
        for (index, at) in places.into_iter().enumerate() {
            if let Some(pair) = draft.pairs.get_mut(at) {
                let suffix = if indexed { format!("[{index}]") } else { "[]".to_owned() };
                pair.name.to_mut().extend_from_slice(suffix.as_bytes());
            }
        }
    }
}

/// E28: the brackets of array names added, dropped, or with an index.
fn brackets(out: &mut Vec<Variant<'_>>) {
    for ((what, form), (empty, indexed)) in [
        ("without their brackets", Form::Bare),
        ("with indices", Form::Indexed),
        ("with empty brackets", Form::Empty),
    ]
    .into_iter()
    .flat_map(|written| [(true, true), (true, false), (false, true)].map(|kinds| (written, kinds)))
    {
        let change = move |draft: &mut Draft<'_>| {
            let mut counts: Vec<Vec<u8>> = Vec::new();
            for pair in &mut draft.pairs {
                let is_changed = if pair.name.ends_with(b"[]") { empty } else { indexed };
                let Some(stem) = stem(&pair.name).filter(|_| is_changed).map(<[u8]>::to_vec) else {
                    continue;
                };
                let index = counts.iter().filter(|name| **name == stem).count();
                counts.push(stem.clone());
                pair.name = Cow::Owned(match form {
                    Form::Bare => stem,
                    Form::Indexed => [stem, format!("[{index}]").into_bytes()].concat(),
                    Form::Empty => [stem, b"[]".to_vec()].concat(),
                });
            }
        };
        out.push(Variant::new(28, Dimension::Query, change).telling(what));
    }
}

#[derive(Clone, Copy)]
enum Form {
    Bare,
    Indexed,
    Empty,
}

/// A name before its `[]` or `[0]`.
fn stem(name: &[u8]) -> Option<&[u8]> {
    let inside = name.strip_suffix(b"]")?;
    let at = inside.iter().rposition(|octet| *octet == b'[')?;
    let (stem, index) = inside.split_at(at);
    let index = index.get(1..).unwrap_or_default();
    (!stem.is_empty() && index.iter().all(u8::is_ascii_digit)).then_some(stem)
}

/// Of equal names the last, or the first.
fn keep_one(draft: &mut Draft<'_>, last: bool) {
    let mut dropped = Vec::new();
    for places in groups(draft) {
        let kept = if last { places.last() } else { places.first() }.copied();
        dropped.extend(places.into_iter().filter(|at| Some(*at) != kept));
    }
    remove(draft, &dropped);
}

#[derive(Clone, Copy)]
enum Join {
    Text(&'static str),
    /// What `str` makes of a list.
    PythonList,
}

fn join_repeated(draft: &mut Draft<'_>, join: Join) {
    let mut dropped = Vec::new();
    for places in groups(draft) {
        let values = places.iter().filter_map(|at| draft.pairs.get(*at));
        let values: Vec<_> = values
            .map(|pair| String::from_utf8_lossy(&pair.value).into_owned())
            .collect();
        let value = match join {
            Join::Text(separator) => values.join(separator),
            Join::PythonList => format!("['{}']", values.join("', '")),
        };
        let mut places = places.into_iter();
        if let Some(first) = places.next().and_then(|at| draft.pairs.get_mut(at)) {
            first.value = Cow::Owned(value.into_bytes());
        }
        dropped.extend(places);
    }
    remove(draft, &dropped);
}

fn remove(draft: &mut Draft<'_>, dropped: &[usize]) {
    let mut at = 0;
    draft.pairs.retain(|_| {
        at += 1;
        !dropped.contains(&(at - 1))
    });
}
