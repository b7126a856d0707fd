//! The tree of ACL resources (magento.md 4.6, 5.5): what a grant opens, who stands above whom, and which ids exist.

use std::collections::{BTreeMap, BTreeSet};

use token_store::Grant;

use crate::config::Resource;

/// The tree, as `[[resources]]` define it.
#[derive(Clone, Debug, Default)]
pub struct ResourceTree {
    by_id: BTreeMap<String, Resource>,
}

/// An id that is in no `[[resources]]`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("resource {id:?} is unknown{}", suggestion.as_ref().map(|near| format!("; did you mean {near:?}?")).unwrap_or_default())]
pub struct UnknownResource {
    /// As given.
    pub id: String,
    /// The nearest id that exists.
    pub suggestion: Option<String>,
}

impl ResourceTree {
    /// From the configuration, which has checked parents and cycles.
    pub fn new(resources: &[Resource]) -> Self {
        Self {
            by_id: resources.iter().map(|one| (one.id.clone(), one.clone())).collect(),
        }
    }

    /// Whether `grant` opens every one of `required`: what is not listed is denied.
    pub fn permits(&self, grant: &Grant, required: &BTreeSet<String>) -> bool {
        match grant {
            Grant::All => true,
            Grant::Listed(listed) => listed.contains(ALL) || required.iter().all(|id| listed.contains(id)),
        }
    }

    /// Those of `required` that `grant` doesn't open.
    pub fn lacking(&self, grant: &Grant, required: &BTreeSet<String>) -> Vec<String> {
        match grant {
            Grant::Listed(listed) if !self.permits(grant, required) => required.difference(listed).cloned().collect(),
            Grant::All | Grant::Listed(_) => Vec::new(),
        }
    }

    /// Checks that every id exists.
    pub fn check<'a>(&self, ids: impl IntoIterator<Item = &'a String>) -> Result<(), UnknownResource> {
        match ids.into_iter().find(|id| !self.by_id.contains_key(*id) && *id != ALL) {
            None => Ok(()),
            Some(id) => Err(UnknownResource {
                id: id.clone(),
                suggestion: self.nearest(id),
            }),
        }
    }

    /// The ids with all their ancestors, as the tree of check-boxes submits them.
    pub fn with_ancestors(&self, ids: &BTreeSet<String>) -> BTreeSet<String> {
        let mut all = ids.clone();
        for id in ids {
            let mut above = self.by_id.get(id).and_then(|one| one.parent.as_ref());
            while let Some(parent) = above {
                // What is there already has its ancestors there, too.
                if !all.insert(parent.clone()) {
                    break;
                }
                above = self.by_id.get(parent).and_then(|one| one.parent.as_ref());
            }
        }
        all
    }

    /// All resources, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Resource> {
        self.by_id.values()
    }

    fn nearest(&self, id: &str) -> Option<String> {
        crate::config::nearest(id, self.by_id.keys().map(String::as_str)).map(str::to_owned)
    }
}

/// Everything (magento.md 9.2).
pub const ALL: &str = "Magento_Backend::all";

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> ResourceTree {
        let one = |id: &str, parent: Option<&str>| Resource {
            id: id.to_owned(),
            title: id.to_owned(),
            parent: parent.map(str::to_owned),
            order: 0,
        };
        ResourceTree::new(&[
            one("Magento_Backend::admin", None),
            one("Magento_Catalog::catalog", Some("Magento_Backend::admin")),
            one("Magento_Catalog::products", Some("Magento_Catalog::catalog")),
            one("Magento_Sales::sales", Some("Magento_Backend::admin")),
        ])
    }

    fn ids(ids: &[&str]) -> BTreeSet<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn every_required_resource_must_be_listed_and_all_opens_everything() {
        let tree = tree();
        let listed = Grant::Listed(ids(&["Magento_Catalog::products"]));

        assert!(tree.permits(&listed, &ids(&["Magento_Catalog::products"])));
        assert!(!tree.permits(&listed, &ids(&["Magento_Catalog::products", "Magento_Sales::sales"])));
        assert!(!tree.permits(
            &Grant::Listed(ids(&["Magento_Catalog::catalog"])),
            &ids(&["Magento_Catalog::products"])
        ));
        assert!(tree.permits(&Grant::All, &ids(&["Magento_Sales::sales"])));
        assert!(tree.permits(&Grant::Listed(ids(&[ALL])), &ids(&["Magento_Sales::sales"])));
    }

    #[test]
    fn ancestors_come_with_what_is_below_them() {
        let with = tree().with_ancestors(&ids(&["Magento_Catalog::products"]));

        assert_eq!(
            with,
            ids(&[
                "Magento_Backend::admin",
                "Magento_Catalog::catalog",
                "Magento_Catalog::products"
            ])
        );
    }

    #[test]
    fn an_unknown_id_is_refused_with_the_nearest_that_exists() {
        let unknown = tree().check(&ids(&["Magento_Catalog::product"])).unwrap_err();

        assert_eq!(unknown.suggestion.as_deref(), Some("Magento_Catalog::products"));
    }
}
