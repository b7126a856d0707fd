//! Typed keys of a section: each with its default, noted where it is read.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::fault::Place;
use super::key::{Takes, listed};
use super::nearest::nearest;
use super::node::{Node, Value, quoted};
use super::reader::Section;
use super::values;

impl Section<'_, '_> {
    /// A text, unset by default.
    pub(super) fn text(&self, key: &str) -> Option<(String, Place)> {
        self.text_that(key, Takes::Text, None, "a text in quotes")
    }

    pub(super) fn text_or(&self, key: &str, default: &str) -> String {
        let text = self.text_that(key, Takes::Text, Some(quoted(default)), "a text in quotes");
        text.map_or_else(|| default.to_owned(), |(text, _)| text)
    }

    /// A text that must be there.
    pub(super) fn required(&self, key: &str) -> Option<(String, Place)> {
        let text = self.text(key);
        if text.is_none() && !self.is_set(key) {
            self.fault_of_missing(key, "is missing");
        }
        text
    }

    /// A text that is parsed, unset by default.
    pub(super) fn parsed<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        self.parse_text(key, self.text(key), parse)
    }

    /// A text that is parsed.
    pub(super) fn parsed_or<T: Display>(&self, key: &str, default: T, parse: impl Fn(&str) -> Result<T, String>) -> T {
        let literal = Some(quoted(&default.to_string()));
        let text = self.text_that(key, Takes::Text, literal, "a text in quotes");
        self.parse_text(key, text, parse).unwrap_or(default)
    }

    fn parse_text<T>(
        &self,
        key: &str,
        text: Option<(String, Place)>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (text, place) = text?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(what) => {
                self.fault_at(&place, key, &what);
                None
            }
        }
    }

    pub(super) fn text_that(
        &self,
        key: &str,
        takes: Takes,
        default: Option<String>,
        wanted: &str,
    ) -> Option<(String, Place)> {
        let node = self.scalar(key, takes, default)?;
        match node.value.text() {
            Ok(text) => Some((text, node.place)),
            Err(kind) => {
                self.fault_at(&node.place, key, &format!("takes {wanted}, not {kind}"));
                None
            }
        }
    }

    /// One of a few words.
    pub(super) fn word<T: Copy + PartialEq>(&self, key: &str, default: T, known: &[(&'static str, T)]) -> T {
        let names: Vec<&'static str> = known.iter().map(|(name, _)| *name).collect();
        let literal = known
            .iter()
            .find(|(_, value)| *value == default)
            .map(|(name, _)| quoted(name));
        let text = self.text_that(key, Takes::Word(names.clone()), literal, "a text in quotes");
        let parse = |text: &str| {
            let found = known.iter().find(|(name, _)| *name == text);
            found.map(|(_, value)| *value).ok_or_else(|| none_of(text, &names))
        };
        self.parse_text(key, text, parse).unwrap_or(default)
    }

    /// A list of known words.
    pub(super) fn words(&self, key: &str, default: &[&'static str], known: &[&'static str]) -> Vec<&'static str> {
        let literal = Some(list_literal(default));
        let parse = |text: &str| {
            let found = known.iter().copied().find(|one| *one == text);
            found.ok_or_else(|| none_of(text, known))
        };
        let texts = self.texts_that(key, Takes::Words(known.to_vec()), literal);
        let given = texts.as_ref().map_or(0, Vec::len);
        let parsed = self.parse_all(key, texts, parse);
        // With a fault in it the list isn't what was meant: nothing more is said of it.
        parsed
            .filter(|parsed| parsed.len() == given)
            .unwrap_or_else(|| default.to_vec())
    }

    pub(super) fn flag(&self, key: &str, default: bool) -> bool {
        let Some(node) = self.scalar(key, Takes::Flag, Some(default.to_string())) else {
            return default;
        };
        let kind = node.value.kind();
        let flag = match node.value {
            Value::Bool(flag) => Some(flag),
            // From the environment everything is text.
            Value::Text(text) if is_variable(&node.place) => text.parse().ok(),
            Value::Text(_) | Value::Table(_) | Value::Array(_) | Value::Integer(_) | Value::Other => None,
        };
        flag.unwrap_or_else(|| {
            self.fault_at(&node.place, key, &format!("takes true or false, not {kind}"));
            default
        })
    }

    /// A whole number within bounds, both inclusive.
    pub(super) fn number(&self, key: &str, default: u64, bounds: RangeInclusive<u64>) -> u64 {
        let takes = Takes::Number(*bounds.start(), *bounds.end());
        let Some(node) = self.scalar(key, takes, Some(default.to_string())) else {
            return default;
        };
        let number = match &node.value {
            Value::Integer(number) => u64::try_from(*number).ok(),
            Value::Text(text) if is_variable(&node.place) => text.parse().ok(),
            Value::Text(_) | Value::Table(_) | Value::Array(_) | Value::Bool(_) | Value::Other => None,
        };
        if let Some(number) = number.filter(|number| bounds.contains(number)) {
            number
        } else {
            let what = format!("takes a whole number from {} to {}", bounds.start(), bounds.end());
            self.fault_at(&node.place, key, &what);
            default
        }
    }

    pub(super) fn count(&self, key: &str, default: usize, bounds: RangeInclusive<usize>) -> usize {
        let wide = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let number = self.number(key, wide(default), wide(*bounds.start())..=wide(*bounds.end()));
        usize::try_from(number).unwrap_or(default)
    }

    /// A number of 32 bits.
    pub(super) fn small(&self, key: &str, default: u32, bounds: RangeInclusive<u32>) -> u32 {
        let number = self.number(
            key,
            default.into(),
            u64::from(*bounds.start())..=u64::from(*bounds.end()),
        );
        u32::try_from(number).unwrap_or(default)
    }

    /// A duration within bounds, both inclusive.
    pub(super) fn duration(&self, key: &str, default: &str, bounds: (&'static str, &'static str)) -> Duration {
        let takes = Takes::Duration(bounds.0, bounds.1);
        let text = self.text_that(
            key,
            takes,
            Some(quoted(default)),
            "a duration in quotes, such as \"10s\"",
        );
        let within = |text: &str| within(text, values::duration, bounds);
        let duration = self.parse_text(key, text, within);
        duration.unwrap_or_else(|| values::duration(default).unwrap_or_default())
    }

    /// A size within bounds, both inclusive.
    pub(super) fn size(&self, key: &str, default: &str, bounds: (&'static str, &'static str)) -> u64 {
        let takes = Takes::Size(bounds.0, bounds.1);
        let text = self.text_that(key, takes, Some(quoted(default)), "a size in quotes, such as \"10MiB\"");
        let within = |text: &str| within(text, values::size, bounds);
        let size = self.parse_text(key, text, within);
        size.unwrap_or_else(|| values::size(default).unwrap_or_default())
    }

    /// A size that must fit memory.
    pub(super) fn octets(&self, key: &str, default: &str, bounds: (&'static str, &'static str)) -> usize {
        usize::try_from(self.size(key, default, bounds)).unwrap_or(usize::MAX)
    }

    /// A list of texts with their places, empty by default; a single text counts as a list of one, and the environment
    /// separates by commas.
    pub(super) fn texts(&self, key: &str) -> Option<Vec<(String, Place)>> {
        self.texts_that(key, Takes::Texts, Some("[]".to_owned()))
    }

    pub(super) fn texts_that(&self, key: &str, takes: Takes, default: Option<String>) -> Option<Vec<(String, Place)>> {
        let node = self.scalar(key, takes, default)?;
        let place = node.place;
        match node.value {
            Value::Text(text) if is_variable(&place) => {
                Some(listed(&text).map(|item| (item.to_owned(), place.clone())).collect())
            }
            Value::Text(text) => Some(vec![(text, place)]),
            Value::Array(items) => Some(
                items
                    .into_iter()
                    .filter_map(|item| self.text_of_list(key, item))
                    .collect(),
            ),
            wrong @ (Value::Table(_) | Value::Integer(_) | Value::Bool(_) | Value::Other) => {
                self.fault_at(&place, key, &format!("takes a list of texts, not {}", wrong.kind()));
                None
            }
        }
    }

    fn text_of_list(&self, key: &str, item: Node) -> Option<(String, Place)> {
        match item.value.text() {
            Ok(text) => Some((text, item.place)),
            Err(kind) => {
                self.fault_at(&item.place, key, &format!("takes texts, not {kind}"));
                None
            }
        }
    }

    /// A list of texts, each parsed; empty by default.
    pub(super) fn all_parsed<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        self.parse_all(key, self.texts(key), parse).unwrap_or_default()
    }

    /// A list of texts, each parsed, that must be there and hold something.
    pub(super) fn some_parsed<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, String>, example: &str) -> Vec<T> {
        let texts = self.texts(key);
        if texts.as_ref().is_none_or(Vec::is_empty) {
            self.fault_of_missing(key, &format!("is missing: set {key} = [\"{example}\"]"));
        }
        self.parse_all(key, texts, parse).unwrap_or_default()
    }

    /// A list of texts, each parsed, that can't be empty.
    pub(super) fn all_parsed_or<T: Display>(
        &self,
        key: &str,
        default: Vec<T>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let written: Vec<String> = default.iter().map(T::to_string).collect();
        let literal = list_literal(&written.iter().map(String::as_str).collect::<Vec<_>>());
        let texts = self.texts_that(key, Takes::Texts, Some(literal));
        if texts.as_ref().is_some_and(Vec::is_empty) {
            self.fault(key, "is empty; leave it out for the default");
        }
        let parsed = self.parse_all(key, texts, parse);
        parsed.filter(|all| !all.is_empty()).unwrap_or(default)
    }

    fn parse_all<T>(
        &self,
        key: &str,
        texts: Option<Vec<(String, Place)>>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let mut parsed = Vec::new();
        for (text, place) in texts? {
            match parse(&text) {
                Ok(value) => parsed.push(value),
                Err(what) => self.fault_at(&place, key, &what),
            }
        }
        Some(parsed)
    }
}

fn within<T: PartialOrd>(
    text: &str,
    parse: impl Fn(&str) -> Result<T, String>,
    (least, most): (&str, &str),
) -> Result<T, String> {
    let value = parse(text)?;
    if value < parse(least)? || value > parse(most)? {
        return Err(format!("{text:?} is out of range: from {least:?} to {most:?}"));
    }
    Ok(value)
}

fn none_of(text: &str, known: &[&'static str]) -> String {
    let list = known
        .iter()
        .map(|word| format!("{word:?}"))
        .collect::<Vec<_>>()
        .join(", ");
    match nearest(text, known.iter().copied()) {
        Some(near) => format!("{text:?} is none of {list}; did you mean {near:?}?"),
        None => format!("{text:?} is none of {list}"),
    }
}

fn list_literal(texts: &[&str]) -> String {
    let items: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", items.join(", "))
}

fn is_variable(place: &Place) -> bool {
    matches!(place, Place::Variable(_))
}
