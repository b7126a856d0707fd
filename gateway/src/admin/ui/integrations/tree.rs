//! The tree of check-boxes: below `Magento_Backend::admin`, in its order; a resource that is newly ticked takes those above it
//! along, what was granted before stays as it is.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};
use serde::Deserialize;

use super::super::client::Problem;
use super::super::parts::icon;
use super::super::visitor::Visitor;

/// All resources by what is above them.
pub(in crate::admin::ui) struct Tree {
    below: BTreeMap<String, Vec<Resource>>,
    above: BTreeMap<String, String>,
    roots: Vec<Resource>,
    members: BTreeSet<String>,
    /// With what is never ticked by itself.
    known: BTreeSet<String>,
}

/// A resource, as the API shows it.
#[derive(Clone, Debug, Deserialize)]
pub(in crate::admin::ui) struct Resource {
    pub(in crate::admin::ui) id: String,
    pub(in crate::admin::ui) title: String,
    parent: Option<String>,
    order: i64,
}

impl Tree {
    pub(in crate::admin::ui) async fn load(visitor: &Visitor) -> Result<Self, Problem> {
        #[derive(Deserialize)]
        struct Resources {
            items: Vec<Resource>,
        }
        let resources: Resources = visitor.api.get("/resources").await?;
        Ok(Self::of(resources.items))
    }

    fn of(items: Vec<Resource>) -> Self {
        let known: BTreeSet<String> = items.iter().map(|one| one.id.clone()).collect();
        let mut tree = Self {
            below: BTreeMap::new(),
            above: BTreeMap::new(),
            roots: Vec::new(),
            members: BTreeSet::new(),
            known,
        };
        for one in items {
            let parent = one.parent.clone().filter(|parent| tree.known.contains(parent));
            if let Some(parent) = &parent {
                tree.above.insert(one.id.clone(), parent.clone());
            }
            if is_frame(&one.id) {
                continue;
            }
            tree.members.insert(one.id.clone());
            match parent.filter(|parent| !FRAMES.contains(&parent.as_str())) {
                Some(parent) => tree.below.entry(parent).or_default().push(one),
                None => tree.roots.push(one),
            }
        }
        let by_order = |one: &Resource, other: &Resource| (one.order, &one.title).cmp(&(other.order, &other.title));
        tree.roots.sort_by(by_order);
        tree.below.values_mut().for_each(|siblings| siblings.sort_by(by_order));
        tree
    }

    /// How many can be ticked.
    pub(super) fn size(&self) -> usize {
        self.members.len()
    }

    /// How many of these can be ticked.
    pub(in crate::admin::ui) fn count_of<'a>(&self, ids: impl IntoIterator<Item = &'a String>) -> usize {
        ids.into_iter().filter(|id| self.members.contains(*id)).count()
    }

    /// The topmost, in order.
    pub(in crate::admin::ui) fn roots(&self) -> &[Resource] {
        &self.roots
    }

    /// Those right below one.
    pub(in crate::admin::ui) fn below(&self, id: &str) -> &[Resource] {
        self.below.get(id).map_or(&[], Vec::as_slice)
    }

    /// What a form grants. Nobody who touches no tick may widen a grant: only what is newly ticked takes those above it
    /// along, which a form without script can't know. What is gone from the tree stays until the last tick goes: a
    /// configuration may bring it back.
    pub(super) fn grant(&self, granted: &BTreeSet<String>, ticked: &BTreeSet<String>) -> BTreeSet<String> {
        let is_untouched = granted.intersection(&self.members).eq(ticked);
        let is_beside = |id: &String| is_frame(id) || !self.known.contains(id);
        let stays = |id: &&String| is_untouched || is_beside(id) && !ticked.is_empty();
        let standing = granted.iter().filter(stays);
        let newly = ticked.difference(granted).cloned().collect();
        let mut all = self.with_ancestors(&newly);
        all.extend(ticked.iter().chain(standing).cloned());
        all
    }

    /// With everything above them.
    fn with_ancestors(&self, ids: &BTreeSet<String>) -> BTreeSet<String> {
        let mut all = ids.clone();
        for id in ids {
            let mut above = self.above.get(id);
            while let Some(parent) = above {
                if !all.insert(parent.clone()) {
                    break;
                }
                above = self.above.get(parent);
            }
        }
        all
    }

    /// Whether one stands below another, or is it.
    pub(in crate::admin::ui) fn is_below(&self, id: &str, other: &str) -> bool {
        let mut at = Some(id);
        while let Some(here) = at {
            if here == other {
                return true;
            }
            at = self.above.get(here).map(String::as_str);
        }
        false
    }

    /// How many of those below one are among `ids`, and how many there are.
    fn granted_below(&self, id: &str, ids: &BTreeSet<String>) -> (usize, usize) {
        self.below(id).iter().fold((0, 0), |(granted, all), one| {
            let (granted_below, all_below) = self.granted_below(&one.id, ids);
            let own = usize::from(ids.contains(&one.id));
            (granted + own + granted_below, all + 1 + all_below)
        })
    }

    fn matches(&self, one: &Resource, sought: &str) -> bool {
        is_match(one, sought) || self.below(&one.id).iter().any(|child| self.matches(child, sought))
    }
}

/// What is never ticked by itself.
pub(super) fn is_frame(id: &str) -> bool {
    FRAMES.contains(&id)
}

fn is_match(one: &Resource, sought: &str) -> bool {
    one.title.to_lowercase().contains(sought) || one.id.to_lowercase().contains(sought)
}

/// How the tree is shown.
#[derive(Clone, Copy)]
pub(in crate::admin::ui) struct Shown<'a> {
    pub(super) tree: &'a Tree,
    pub(super) granted: &'a BTreeSet<String>,
    /// In lower case.
    pub(super) sought: &'a str,
    /// Not to be changed.
    pub(super) is_fixed: bool,
}

impl Shown<'_> {
    /// The whole tree.
    pub(super) fn show(&self) -> Markup {
        html! {
            ul.tree.fixed[self.is_fixed] data-live[!self.is_fixed] {
                @for root in self.tree.roots() { (self.node(root)) }
            }
        }
    }

    fn node(&self, one: &Resource) -> Markup {
        let below = self.tree.below(&one.id);
        let (granted, all) = self.tree.granted_below(&one.id, self.granted);
        let id = format!("r-{}", one.id.replace("::", "-"));
        let is_hidden = !self.sought.is_empty() && !self.tree.matches(one, self.sought);
        let is_open = !self.sought.is_empty() || granted > 0;
        html! {
            li hidden[is_hidden] {
                div.n {
                    input.box type="checkbox" id=(id) name="resource[]" value=(one.id) checked[self.granted.contains(&one.id)] disabled[self.is_fixed];
                    label for=(id) {
                        @if !self.sought.is_empty() && is_match(one, self.sought) { mark { (one.title) } } @else { (one.title) }
                    }
                    code { (one.id) }
                    @if all > 0 { span.tag { (granted) " of " (all) } }
                }
                @if all > 0 {
                    details open[is_open] {
                        summary title="Show or hide" { (icon("right")) span.vh { (one.title) ": show or hide its resources" } }
                        ul { @for child in below { (self.node(child)) } }
                    }
                }
            }
        }
    }
}

/// What stands above all that can be ticked (magento.md 6.5).
const FRAMES: [&str; 2] = ["Magento_Backend::admin", "Magento_Backend::all"];

#[cfg(test)]
mod tests {
    use super::*;

    fn one(id: &str, parent: Option<&str>, order: i64) -> Resource {
        Resource {
            id: id.to_owned(),
            title: id.to_owned(),
            parent: parent.map(str::to_owned),
            order,
        }
    }

    fn tree() -> Tree {
        Tree::of(vec![
            one("Magento_Backend::admin", None, 0),
            one("A::b", Some("Magento_Backend::admin"), 20),
            one("A::a", Some("Magento_Backend::admin"), 30),
            one("A::b1", Some("A::b"), 0),
            one("Own::root", None, 10),
        ])
    }

    #[test]
    fn the_tree_begins_below_admin_and_keeps_the_configured_order() {
        let tree = tree();

        let roots: Vec<&str> = tree.roots().iter().map(|one| one.id.as_str()).collect();
        assert_eq!(roots, ["Own::root", "A::b", "A::a"]);
        assert_eq!(tree.size(), 4);
        let granted = ["Magento_Backend::admin", "A::b", "Gone::x"].map(str::to_owned);
        assert_eq!(tree.count_of(&granted), 1);
    }

    fn set(ids: &[&str]) -> BTreeSet<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn a_ticked_resource_takes_those_above_it_along() {
        let all = tree().grant(&set(&[]), &set(&["A::b1"]));

        assert_eq!(all, set(&["A::b", "A::b1", "Magento_Backend::admin"]));
    }

    #[test]
    fn what_was_granted_before_takes_nothing_along() {
        let tree = tree();

        for granted in [
            &["A::b1"][..],
            &["Magento_Backend::admin"],
            &["Magento_Backend::admin", "A::b1"],
        ] {
            let granted = set(granted);
            let ticked = granted.intersection(&tree.members).cloned().collect();
            assert_eq!(tree.grant(&granted, &ticked), granted);
        }
        let with_gone = set(&["A::b1", "Gone::x"]);
        assert_eq!(tree.grant(&with_gone, &set(&["A::b1"])), with_gone);
        assert_eq!(tree.grant(&with_gone, &set(&[])), set(&[]));
        let more = tree.grant(&set(&["A::b1"]), &set(&["A::b1", "Own::root"]));
        assert_eq!(more, set(&["A::b1", "Own::root"]));
        let less = tree.grant(&set(&["Magento_Backend::admin", "A::a", "A::b1"]), &set(&["A::a"]));
        assert_eq!(less, set(&["Magento_Backend::admin", "A::a"]));
        assert_eq!(
            tree.grant(&set(&["Magento_Backend::admin", "A::a"]), &set(&[])),
            set(&[])
        );
    }

    #[test]
    fn what_is_not_found_is_hidden_but_still_sent() {
        let tree = tree();
        let granted = BTreeSet::from(["A::a".to_owned()]);
        let shown = Shown {
            tree: &tree,
            granted: &granted,
            sought: "b1",
            is_fixed: false,
        };

        let markup = shown.show().0;

        assert!(markup.contains("<mark>A::b1</mark>"), "{markup}");
        assert!(markup.contains("<li hidden><div class=\"n\"><input class=\"box\" type=\"checkbox\" id=\"r-A-a\" name=\"resource[]\" value=\"A::a\" checked>"), "{markup}");
    }
}
