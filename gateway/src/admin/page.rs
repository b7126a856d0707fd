//! Pages of lists: how long they are, and those of lists that are held in memory.

use std::num::NonZeroUsize;

use serde::Deserialize;
use serde_json::{Value, json};

/// Which page.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paging {
    after: Option<usize>,
    limit: Option<NonZeroUsize>,
}

impl Paging {
    /// That page of `items`.
    pub fn of(self, items: Vec<Value>) -> Value {
        page(items, self.after, self.limit)
    }
}

/// How many items a page has, where so many were asked for.
pub fn size(limit: Option<NonZeroUsize>) -> usize {
    limit.map_or(USUAL, NonZeroUsize::get).min(MOST)
}

/// At most `limit` of `items` after the first `after`; `next` is what to go on after.
pub fn page(items: Vec<Value>, after: Option<usize>, limit: Option<NonZeroUsize>) -> Value {
    let (after, limit) = (after.unwrap_or(0), size(limit));
    let total = items.len();
    let items: Vec<Value> = items.into_iter().skip(after).take(limit).collect();
    let end = after.saturating_add(items.len());
    // Cursors of all lists are texts.
    let next = (!items.is_empty() && end < total).then(|| end.to_string());
    json!({ "items": items, "next": next, "total": total })
}

const USUAL: usize = 100;
const MOST: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(after: Option<usize>, limit: usize) -> Value {
        page(
            (0..5).map(|number| json!(number)).collect(),
            after,
            NonZeroUsize::new(limit),
        )
    }

    #[test]
    fn a_list_is_read_page_by_page() {
        assert_eq!(of(None, 2), json!({ "items": [0, 1], "next": "2", "total": 5 }));
        assert_eq!(of(Some(2), 3), json!({ "items": [2, 3, 4], "next": null, "total": 5 }));
        assert_eq!(of(Some(9), 3), json!({ "items": [], "next": null, "total": 5 }));
    }
}
