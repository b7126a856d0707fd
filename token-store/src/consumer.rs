//! A consumer (RFC 5849: client) and the record in which everything that belongs to one consumer stands.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::{Integration, IntegrationId, NewIntegration, OwnToken, Secret, Status, UnixSeconds};

/// A consumer's number: positive, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConsumerId(pub u64);

/// A consumer: who signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consumer {
    /// Its number.
    pub id: ConsumerId,
    /// `Integration<id>` where it belongs to an integration.
    pub name: String,
    /// `oauth_consumer_key`, 32 characters.
    pub key: String,
    /// The consumer secret, 32 characters.
    pub secret: Secret,
    /// The secret that a rotation replaced, while both are valid.
    pub previous_secret: Option<PreviousSecret>,
    /// Where the request token's `oauth_callback` points, or none for `oob`.
    pub callback_url: Option<String>,
    /// Where a rejected resource owner is sent.
    pub rejected_callback_url: Option<String>,
    /// When it was made.
    pub created_at: UnixSeconds,
    /// When it last changed.
    pub updated_at: UnixSeconds,
    /// When the credentials were last posted to the integration's endpoint: opens the window in which a request token may
    /// be asked for. `None`: never posted, which counts as expired (magento.md 2.7), or the tokens were made by hand since.
    pub posted_at: Option<UnixSeconds>,
}

/// A replaced consumer secret that is still accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousSecret {
    /// The old secret.
    pub secret: Secret,
    /// Accepted up to and including this second.
    pub valid_until: UnixSeconds,
}

/// What [`crate::Store::create_consumer`] takes; the store gives the numbers.
#[derive(Clone, Debug)]
pub struct NewConsumer {
    /// `None`: named `Integration<id>` after the integration that comes with it.
    pub name: Option<String>,
    /// Fresh, 32 characters.
    pub key: String,
    /// Fresh, 32 characters.
    pub secret: Secret,
    /// See [`Consumer::callback_url`].
    pub callback_url: Option<String>,
    /// See [`Consumer::rejected_callback_url`].
    pub rejected_callback_url: Option<String>,
    /// The integration that it belongs to, made in the same change.
    pub integration: Option<NewIntegration>,
}

/// Everything that belongs to one consumer, read and changed as one: no reader ever sees half of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerRecord {
    /// Moves by one with every change; [`crate::Store::update_consumer`] compares it.
    pub version: u64,
    /// Who signs.
    pub consumer: Consumer,
    /// The integration that the consumer belongs to, if any.
    pub integration: Option<Integration>,
    /// The consumer's own token row (magento.md 1.9); tokens delegated by users stand beside it, see [`crate::Delegated`].
    pub token: Option<OwnToken>,
}

impl NewConsumer {
    /// The record of a new consumer; its integration, if one is given, stands inactive.
    pub(crate) fn into_record(
        self,
        id: ConsumerId,
        integration: Option<IntegrationId>,
        now: UnixSeconds,
    ) -> ConsumerRecord {
        let integration = self
            .integration
            .zip(integration)
            .map(|(definition, id_of_it)| Integration {
                id: id_of_it,
                consumer_id: id,
                status: Status::Inactive,
                created_at: now,
                updated_at: now,
                definition,
            });
        let named = integration.as_ref().map(|one| format!("Integration{}", one.id.0));
        let consumer = Consumer {
            id,
            name: self.name.or(named).unwrap_or_default(),
            key: self.key,
            secret: self.secret,
            previous_secret: None,
            callback_url: self.callback_url,
            rejected_callback_url: self.rejected_callback_url,
            created_at: now,
            updated_at: now,
            posted_at: None,
        };
        ConsumerRecord {
            version: 1,
            consumer,
            integration,
            token: None,
        }
    }
}

impl ConsumerRecord {
    /// What two of these records have in common that only one may have.
    pub(crate) fn double(records: &[Self]) -> Option<&'static str> {
        fn is_double<K: Eq + std::hash::Hash>(mut keys: impl Iterator<Item = K>) -> bool {
            let mut seen = HashSet::new();
            !keys.all(|key| seen.insert(key))
        }
        let integrations = || records.iter().filter_map(|one| one.integration.as_ref());
        let tokens = records.iter().filter_map(|one| one.token.as_ref()?.token());
        [
            ("number", is_double(records.iter().map(|one| one.consumer.id))),
            ("key", is_double(records.iter().map(|one| &one.consumer.key))),
            ("integration number", is_double(integrations().map(|one| one.id))),
            ("name", is_double(integrations().map(|one| &one.definition.name))),
            ("token", is_double(tokens)),
        ]
        .into_iter()
        .find_map(|(what, is_double)| is_double.then_some(what))
    }
}
