//! `force` of a route: parameters whose value the gateway says, whatever the client sent (magento.md 5.6).

use std::collections::BTreeMap;
use std::fmt;

use super::fault::Place;
use super::key::Takes;
use super::nearest::nearest;
use super::node::Value;
use super::reader::Section;

/// A parameter and the value it has for every request of its route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forced {
    /// As written, taken apart at its dots: `customer.id` is the member `id` of `customer`.
    pub names: Vec<String>,
    /// What it becomes.
    pub value: ForcedValue,
    /// Where the route's path holds it, if it does.
    pub segment: Option<Segment>,
}

/// What a forced parameter becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForcedValue {
    /// Itself.
    Text(String),
    /// Itself.
    Number(i64),
    /// Itself.
    Flag(bool),
    /// `"null"`: nothing.
    Null,
    /// `"%customer_id%"`: the number of the customer who calls, or nothing.
    CustomerId,
}

/// A segment of a request's path. The one optional segment that a path may have shifts all after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment {
    /// So many before it.
    FromStart(usize),
    /// So many after it.
    FromEnd(usize),
}

/// The forced parameters of a route with that path; for each that can't be one, its name and why.
pub fn forced(path: &str, given: BTreeMap<String, ForcedValue>) -> Result<Vec<Forced>, Vec<(String, String)>> {
    let mut all: Vec<Forced> = Vec::new();
    let mut faults = Vec::new();
    for (name, value) in given {
        match one(path, &name, value) {
            Ok(one) => match all.iter().find(|other| other.overlaps(&one)) {
                Some(other) => {
                    let what = format!("is the same member as {:?}, or within it", other.names.join("."));
                    faults.push((name, what));
                }
                None => all.push(one),
            },
            Err(what) => faults.push((name, what)),
        }
    }
    if faults.is_empty() { Ok(all) } else { Err(faults) }
}

fn one(path: &str, name: &str, value: ForcedValue) -> Result<Forced, String> {
    let names: Vec<String> = name.split('.').map(str::to_owned).collect();
    if names.iter().any(|name| folded(name).is_empty()) || names.len() > MOST_NAMES {
        return Err(format!(
            "takes a name, or names joined by dots, {MOST_NAMES} at most: \"customer.id\""
        ));
    }
    let segment = match names.as_slice() {
        [only] => segment(path, &folded(only))?,
        _ => None,
    };
    if segment.is_some() && !value.fits_a_path() {
        return Err("stands in the path, where its value can be neither null, empty, dots nor hold a slash".to_owned());
    }
    Ok(Forced { names, value, segment })
}

/// Where the path holds a variable of that (folded) name.
fn segment(path: &str, name: &str) -> Result<Option<Segment>, String> {
    let templates: Vec<&str> = path.trim_matches('/').split('/').collect();
    let variable = |template: &str| {
        let inner = template.strip_prefix('{')?.strip_suffix('}')?;
        Some(folded(inner))
    };
    let is_named = |template: &&str| variable(template).is_some_and(|own| own == name);
    let mut places = templates.iter().enumerate().filter(|(_, template)| is_named(template));
    let (at, template) = match (places.next(), places.next()) {
        (None, _) => return Ok(None),
        (Some(only), None) => only,
        (Some(_), Some(_)) => return Err("stands in the path twice".to_owned()),
    };
    let is_odd = |template: &str| template.ends_with("?}") || template.starts_with("{*");
    let after = templates.len() - at - 1;
    let odd_before = templates.iter().take(at).any(|one| is_odd(one));
    let odd_after = templates.iter().skip(at + 1).any(|one| is_odd(one));
    match (is_odd(template), odd_before, odd_after) {
        (false, false, _) => Ok(Some(Segment::FromStart(at))),
        (false, true, false) => Ok(Some(Segment::FromEnd(after))),
        _ => Err("is a segment of the path that can't be told from an optional one".to_owned()),
    }
}

impl fmt::Display for Forced {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{} = {}", self.names.join("."), self.value)
    }
}

impl fmt::Display for ForcedValue {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(to, "{text:?}"),
            Self::Number(number) => write!(to, "{number}"),
            Self::Flag(flag) => write!(to, "{flag}"),
            Self::Null => to.write_str("null"),
            Self::CustomerId => to.write_str(CUSTOMER_ID),
        }
    }
}

impl From<&ForcedValue> for serde_json::Value {
    /// As the configuration has it.
    fn from(value: &ForcedValue) -> Self {
        match value {
            ForcedValue::Text(text) => text.as_str().into(),
            ForcedValue::Number(number) => (*number).into(),
            ForcedValue::Flag(flag) => (*flag).into(),
            ForcedValue::Null => "null".into(),
            ForcedValue::CustomerId => CUSTOMER_ID.into(),
        }
    }
}

impl Forced {
    /// Whether one is the other's member, or the same.
    fn overlaps(&self, other: &Self) -> bool {
        let mut pairs = self.names.iter().zip(&other.names);
        pairs.all(|(one, other)| folded(one) == folded(other))
    }
}

impl ForcedValue {
    /// What a text means; a placeholder that can't be known is refused by name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_placeholder = text.len() > 2 && text.starts_with('%') && text.ends_with('%');
        match text {
            "null" => Ok(Self::Null),
            CUSTOMER_ID => Ok(Self::CustomerId),
            known if OF_THE_STOREFRONT.contains(&known) => Err(format!(
                "{known:?} needs a record that only the storefront has; the gateway knows {CUSTOMER_ID:?}"
            )),
            unknown if is_placeholder => {
                let all = OF_THE_STOREFRONT.into_iter().chain([CUSTOMER_ID]);
                let near = nearest(unknown, all).map(|near| format!("; did you mean {near:?}?"));
                Err(format!(
                    "{unknown:?} is no placeholder that the gateway knows{}",
                    near.unwrap_or_default()
                ))
            }
            literal => Ok(Self::Text(literal.to_owned())),
        }
    }

    fn fits_a_path(&self) -> bool {
        match self {
            Self::Text(text) => {
                let odd = |one: char| one.is_control() || matches!(one, '/' | '\\' | '%' | ';');
                !text.chars().all(|one| one == '.') && !text.contains(odd)
            }
            Self::Null => false,
            Self::Number(_) | Self::Flag(_) | Self::CustomerId => true,
        }
    }
}

/// A name in the form that all its spellings share: `customerId`, `customer_id` and `CustomerID` are one to a storefront
/// whose setters are found without regard to case. What follows a NUL some readers never see.
pub fn folded(name: &str) -> String {
    name.chars()
        .take_while(|one| *one != '\0')
        .filter(|one| !one.is_ascii() || one.is_ascii_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

impl Section<'_, '_> {
    /// `force` of a route.
    pub(super) fn forced(&self, path: &str) -> Vec<Forced> {
        let node = self.take("force");
        self.note("force", Takes::Forced, None, node.as_ref());
        let Some(node) = node else { return Vec::new() };
        let place = node.place.clone();
        let entries = node.value.table().unwrap_or_else(|kind| {
            self.fault_at(&place, "force", &format!("takes a table of parameters, not {kind}"));
            BTreeMap::new()
        });
        let mut given = BTreeMap::new();
        let mut places: BTreeMap<String, Place> = BTreeMap::new();
        for (name, node) in entries {
            let kind = node.value.kind();
            let value = match node.value {
                Value::Text(text) => ForcedValue::parse(&text),
                Value::Integer(number) => Ok(ForcedValue::Number(number)),
                Value::Bool(flag) => Ok(ForcedValue::Flag(flag)),
                Value::Table(_) => Err(format!("takes a value, not {kind}: write \"{name}.member\", in quotes")),
                Value::Array(_) | Value::Other => {
                    Err(format!("takes a text, a whole number, true or false, not {kind}"))
                }
            };
            match value {
                Ok(value) => {
                    places.insert(name.clone(), node.place);
                    given.insert(name, value);
                }
                Err(what) => self.fault_at(&node.place, &format!("force.{name:?}"), &what),
            }
        }
        forced(path, given).unwrap_or_else(|faults| {
            for (name, what) in faults {
                let place = places.get(&name).unwrap_or(&place);
                self.fault_at(place, &format!("force.{name:?}"), &what);
            }
            Vec::new()
        })
    }
}

const CUSTOMER_ID: &str = "%customer_id%";
/// Placeholders of the storefront (magento.md 5.6) whose values stand in its own records.
const OF_THE_STOREFRONT: [&str; 4] = [
    "%cart_id%",
    "%customer_group_id%",
    "%customer_website_id%",
    "%customer_store_id%",
];
const MOST_NAMES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str, pairs: &[(&str, &str)]) -> Result<Vec<Forced>, Vec<(String, String)>> {
        let value = |(name, text): &(&str, &str)| ((*name).to_owned(), ForcedValue::parse(text).unwrap());
        forced(path, pairs.iter().map(value).collect())
    }

    #[test]
    fn a_name_of_the_path_is_found_from_the_end_that_no_optional_segment_moves() {
        let at = |path: &str| of(path, &[("customer_id", "%customer_id%")]).map(|all| all[0].segment);

        assert_eq!(at("/rest/V1/carts"), Ok(None));
        assert_eq!(at("/rest/V1/{customerId}/carts"), Ok(Some(Segment::FromStart(2))));
        assert_eq!(
            at("/rest/{store?}/V1/{customerId}/carts/"),
            Ok(Some(Segment::FromEnd(1)))
        );
        assert!(at("/rest/{store?}/V1/{customerId}/{*rest}").is_err());
        assert!(at("/rest/{customerId?}/V1").is_err());
        assert!(at("/rest/{customerId}/{customer_id}").is_err());
    }

    #[test]
    fn two_spellings_of_one_member_and_a_member_of_a_forced_one_are_faults() {
        assert!(of("/a", &[("customerId", "1"), ("customer_id", "2")]).is_err());
        assert!(of("/a", &[("customer", "1"), ("customer.id", "2")]).is_err());
        assert!(of("/a", &[("customer.id", "1"), ("customer.group_id", "2")]).is_ok());
        assert!(of("/a", &[("customer..id", "1")]).is_err());
    }

    #[test]
    fn what_no_segment_may_be_is_not_forced_into_a_path() {
        for value in ["null", "..", "", "a/b", "a\\b", "%2F"] {
            assert!(of("/a/{b}", &[("b", value)]).is_err(), "{value:?}");
        }
        assert!(of("/a/{b}", &[("b", "me")]).is_ok());
    }

    #[test]
    fn a_placeholder_of_the_storefronts_records_is_refused_by_name() {
        assert_eq!(ForcedValue::parse("%customer_id%"), Ok(ForcedValue::CustomerId));
        assert_eq!(ForcedValue::parse("null"), Ok(ForcedValue::Null));
        assert_eq!(ForcedValue::parse("%"), Ok(ForcedValue::Text("%".to_owned())));
        assert!(
            ForcedValue::parse("%cart_id%")
                .unwrap_err()
                .contains("only the storefront has")
        );
        assert!(
            ForcedValue::parse("%customerid%")
                .unwrap_err()
                .contains("did you mean \"%customer_id%\"?")
        );
    }
}
