//! An integration: what an admin creates, activates and withdraws (magento.md 1.4, product.md 5).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{ConsumerId, ConsumerRecord, OwnToken, UnixSeconds};

/// An integration's number: positive, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IntegrationId(pub u64);

/// An integration's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Created, or being authorized again: its calls are a guest's.
    Inactive,
    /// Its access token opens what was granted.
    Active,
    /// Its definition in the configuration changed ("Reset" in the console).
    Recreated,
}

/// Who defined an integration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Setup {
    /// An admin.
    Manual,
    /// `[[integrations]]` in the configuration: can't be edited or deleted through the API.
    Config,
}

/// The resources an integration may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grant {
    /// `Magento_Backend::all`.
    All,
    /// Just these; what is not listed is denied.
    Listed(BTreeSet<String>),
}

/// An integration as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Integration {
    /// Its number.
    pub id: IntegrationId,
    /// Its consumer's number.
    pub consumer_id: ConsumerId,
    /// Inactive, active or recreated.
    pub status: Status,
    /// When it was made.
    pub created_at: UnixSeconds,
    /// When it last changed.
    pub updated_at: UnixSeconds,
    /// What an admin may edit.
    #[serde(flatten)]
    pub definition: NewIntegration,
}

/// What defines an integration: everything that its creator gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewIntegration {
    /// Unique, 1 to 255 characters.
    pub name: String,
    /// May be empty.
    pub email: String,
    /// Where the credentials are posted ("Callback URL" in the console).
    pub endpoint: Option<String>,
    /// Where the merchant signs in to the third party.
    pub identity_link_url: Option<String>,
    /// Who defined it.
    pub setup: Setup,
    /// What it may use.
    pub grant: Grant,
    /// Accepted signature methods by their wire names; `None`: the configured ones.
    pub signature_methods: Option<Vec<String>>,
    /// PEM; where present only RSA methods are accepted.
    pub rsa_public_key: Option<String>,
    /// Whether it may sign without a token.
    pub two_legged: bool,
    /// Accepted placements (`header`, `query`, `form`); `None`: the configured ones.
    pub placements: Option<Vec<String>>,
    /// Callback URLs of the three-legged flow, matched exactly; none: only `oob`.
    pub callback_urls: Vec<String>,
    /// Compatibility flags (oauth1.md 6) by name.
    pub flags: BTreeSet<String>,
}

impl NewIntegration {
    /// Whether somebody on the way can read what is sent to one of its URLs.
    pub fn is_in_clear(&self) -> bool {
        let urls = [&self.endpoint, &self.identity_link_url];
        urls.into_iter()
            .flatten()
            .any(|url| url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http:")))
    }
}

/// Which integrations to list, and how.
#[derive(Clone, Debug, Default)]
pub struct IntegrationQuery {
    /// Case-insensitive part of the name.
    pub name_contains: Option<String>,
    /// Only those in this state.
    pub status: Option<Status>,
    /// Only those that are sent something in clear: a URL of theirs starts with `http:`.
    pub in_clear: bool,
    /// Only those whose activation by exchange is under way: keys were posted, and the access token was not fetched.
    pub exchanging: bool,
    /// The order.
    pub sort: IntegrationSort,
    /// Whether the order is reversed.
    pub descending: bool,
    /// Where the page before ended (`next` of its answer).
    pub after: Option<String>,
    /// Rows a page, 1 to 1000.
    pub limit: usize,
}

/// By what integrations are ordered; ties by id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IntegrationSort {
    /// By number.
    #[default]
    Id,
    /// By name.
    Name,
    /// By state.
    Status,
    /// By the last change.
    UpdatedAt,
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct IntegrationPage {
    /// The records; each has an integration.
    pub items: Vec<ConsumerRecord>,
    /// Pass as `after` to go on; `None`: this was the last page.
    pub next: Option<String>,
    /// How many match in all.
    pub total: u64,
}

impl IntegrationQuery {
    /// Whether a record is asked for.
    pub fn matches(&self, record: &ConsumerRecord) -> bool {
        let Some(integration) = &record.integration else {
            return false;
        };
        let has_part = |part: &String| {
            integration
                .definition
                .name
                .to_lowercase()
                .contains(&part.to_lowercase())
        };
        self.name_contains.as_ref().is_none_or(has_part)
            && self.status.is_none_or(|status| integration.status == status)
            && (!self.in_clear || integration.definition.is_in_clear())
            && (!self.exchanging || matches!(record.token, Some(OwnToken::Verifier { .. } | OwnToken::Request { .. })))
    }

    /// Takes what matches out of `all`, and cuts the page out of it. The cursor names the last row by its sort key, so that
    /// rows which come or go in between shift nothing.
    pub(crate) fn page<'a>(&self, all: impl Iterator<Item = &'a ConsumerRecord>) -> IntegrationPage {
        let mut total = 0;
        let mut keyed: Vec<(String, &ConsumerRecord)> = Vec::new();
        for record in all.filter(|record| self.matches(record)) {
            total += 1;
            let key = sort_key(record, self.sort);
            let is_beyond = match (&self.after, self.descending) {
                (None, _) => true,
                (Some(after), false) => key > *after,
                (Some(after), true) => key < *after,
            };
            if is_beyond {
                keyed.push((key, record));
            }
        }
        let order = |one: &(String, &ConsumerRecord), other: &(String, &ConsumerRecord)| {
            let order = one.0.cmp(&other.0);
            if self.descending { order.reverse() } else { order }
        };
        let limit = self.limit.clamp(1, MOST_A_PAGE);
        let has_more = keyed.len() > limit;
        // Only the page's own rows are put in order.
        if has_more {
            keyed.select_nth_unstable_by(limit, order);
            keyed.truncate(limit);
        }
        keyed.sort_unstable_by(order);
        let next = keyed.last().filter(|_| has_more).map(|(key, _)| key.clone());
        IntegrationPage {
            items: keyed.into_iter().map(|(_, record)| record.clone()).collect(),
            next,
            total,
        }
    }
}

/// Orders as text: numbers padded, ties by id.
fn sort_key(record: &ConsumerRecord, sort: IntegrationSort) -> String {
    let Some(integration) = &record.integration else {
        return String::new();
    };
    let id = integration.id.0;
    match sort {
        IntegrationSort::Id => format!("{id:020}"),
        IntegrationSort::Name => format!("{}\u{0}{id:020}", integration.definition.name.to_lowercase()),
        IntegrationSort::Status => format!("{}\u{0}{id:020}", integration.status as u8),
        IntegrationSort::UpdatedAt => format!("{:020}\u{0}{id:020}", integration.updated_at),
    }
}

const MOST_A_PAGE: usize = 1000;
