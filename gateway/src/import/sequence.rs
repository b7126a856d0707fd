//! The order in which a storefront loads its modules, so that files merge as they do there.

use std::collections::{BTreeMap, BTreeSet};

use super::php::Value;

/// Modules in load order, and what is to be said of others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequence {
    /// Those whose files count.
    pub order: Vec<String>,
    /// Switched off in `config.php`.
    pub disabled: Vec<String>,
    /// There, but not in `config.php`: the storefront doesn't know them yet.
    pub unknown: Vec<String>,
    /// Switched on in `config.php`, but not there.
    pub missing: Vec<String>,
    /// Modules that come after one another in a circle.
    pub circular: Vec<String>,
}

/// The order of the modules that were found, each with those that it comes after. `config` is what `app/etc/config.php`
/// returns: where it lists modules, its order holds.
pub fn of(found: &BTreeMap<String, Vec<String>>, config: Option<&Value>) -> Sequence {
    match config.and_then(|config| config.get("modules")) {
        Some(Value::List(modules)) => by_config(found, modules),
        Some(Value::Text(_) | Value::Number(_) | Value::Boolean(_) | Value::Computed) | None => by_sequence(found),
    }
}

fn by_config(found: &BTreeMap<String, Vec<String>>, modules: &[(Option<String>, Value)]) -> Sequence {
    let mut sequence = Sequence::default();
    let mut listed = BTreeSet::new();
    for (name, state) in modules {
        let Some(name) = name else { continue };
        let is_on = !matches!(state, Value::Number(0) | Value::Boolean(false));
        if !listed.insert(name.as_str()) {
            continue;
        }
        let list = match (is_on, found.contains_key(name)) {
            (true, true) => &mut sequence.order,
            (true, false) => &mut sequence.missing,
            (false, true) => &mut sequence.disabled,
            (false, false) => continue,
        };
        list.push(name.clone());
    }
    let unknown = found.keys().filter(|name| !listed.contains(name.as_str()));
    sequence.unknown = unknown.cloned().collect();
    sequence
}

/// Each after those that it names; where that leaves a choice, Magento's own first, then by name.
fn by_sequence(found: &BTreeMap<String, Vec<String>>) -> Sequence {
    let mut sequence = Sequence::default();
    let mut waits: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut after: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, before) in found {
        let before = before.iter().filter(|one| found.contains_key(*one) && *one != name);
        let before: BTreeSet<&str> = before.map(String::as_str).collect();
        for one in &before {
            after.entry(*one).or_default().push(name);
        }
        waits.insert(name, before);
    }
    let rank = |name: &'_ str| (!name.starts_with("Magento_"), name.to_owned());
    let free = waits.iter().filter(|(_, before)| before.is_empty());
    let mut free: BTreeSet<(bool, String)> = free.map(|(name, _)| rank(name)).collect();
    while !waits.is_empty() {
        let next = free.pop_first().map(|(_, name)| name);
        let name = next.unwrap_or_else(|| {
            // All that is left waits for something: the circle is opened at its first.
            let first = waits
                .keys()
                .map(|name| rank(name))
                .min()
                .map(|(_, name)| name)
                .unwrap_or_default();
            sequence.circular.push(first.clone());
            first
        });
        waits.remove(name.as_str());
        for follower in after.get(name.as_str()).into_iter().flatten() {
            if let Some(before) = waits.get_mut(follower)
                && before.remove(name.as_str())
                && before.is_empty()
            {
                free.insert(rank(follower));
            }
        }
        sequence.order.push(name);
    }
    sequence
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(modules: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        modules
            .iter()
            .map(|(name, before)| ((*name).to_owned(), owned(before)))
            .collect()
    }

    #[test]
    fn a_module_comes_after_those_that_it_names() {
        let found = found(&[
            ("Acme_Alpha", &["Magento_Sales", "Not_There"]),
            ("Magento_Catalog", &["Magento_Store"]),
            ("Magento_Sales", &["Magento_Catalog"]),
            ("Magento_Store", &[]),
            ("Acme_Beta", &[]),
        ]);

        let sequence = of(&found, None);

        assert_eq!(
            sequence.order,
            [
                "Magento_Store",
                "Magento_Catalog",
                "Magento_Sales",
                "Acme_Alpha",
                "Acme_Beta"
            ]
        );
        assert_eq!(sequence.circular, [""; 0]);
    }

    #[test]
    fn a_circle_is_opened_and_told() {
        let found = found(&[("A_A", &["B_B"]), ("B_B", &["A_A"]), ("C_C", &["A_A", "C_C"])]);

        let sequence = of(&found, None);

        assert_eq!(sequence.order, ["A_A", "B_B", "C_C"]);
        assert_eq!(sequence.circular, ["A_A"]);
    }

    #[test]
    fn config_php_says_the_order_and_what_is_switched_off() {
        let found = found(&[("A_A", &[]), ("B_B", &[]), ("C_C", &[]), ("D_D", &[])]);
        let config = crate::import::php::parse(
            "<?php return ['modules' => ['C_C' => 1, 'A_A' => 1, 'B_B' => 0, 'E_E' => 1, 'F_F' => 0]];",
        )
        .unwrap();

        let sequence = of(&found, Some(&config));

        assert_eq!(sequence.order, ["C_C", "A_A"]);
        assert_eq!(sequence.disabled, ["B_B"]);
        assert_eq!(sequence.unknown, ["D_D"]);
        assert_eq!(sequence.missing, ["E_E"]);
    }
}
