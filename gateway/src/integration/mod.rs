//! The life of an integration (product.md 6; magento.md 3): created, activated, used, withdrawn.

pub mod activation;
pub mod address;
pub mod configured;
pub mod consumer;
pub mod definition;
#[cfg(test)]
pub(crate) mod double;
pub mod events;
pub mod handshake;
pub mod identity_link;
pub mod shown;
pub mod sweep;
#[cfg(test)]
mod tests;
pub mod verifier_post;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use token_store::{
    ConsumerId, ConsumerRecord, Grant, IntegrationId, IntegrationPage, IntegrationQuery, NewConsumer, NewIntegration,
    PreviousSecret, Put, Setup, Store, StoreError,
};

use self::definition::Invalid;
use self::handshake::Handshakes;
use crate::clock::Clock;
use crate::live::Live;
use crate::random::{self, NoRandomness};

/// Creates, changes and activates integrations; the admin listener and the sandbox call it.
#[derive(Clone)]
pub struct Integrations {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    pub(crate) live: Arc<ArcSwap<Live>>,
    /// Addresses that no callback may reach, whatever is allowed: our own listeners and the store.
    pub(crate) own: Arc<address::OwnAddresses>,
    /// What was seen of their handshakes.
    pub(crate) handshakes: Arc<Handshakes>,
}

/// Why something could not be done to an integration.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No such integration.
    #[error("The integration with ID \"%1\" doesn't exist.")]
    Unknown(IntegrationId),
    /// No such consumer.
    #[error("A consumer with ID \"%1\" doesn't exist. Verify the ID and try again.")]
    UnknownConsumer(ConsumerId),
    /// Another one has that name.
    #[error("The integration with name \"%1\" exists.")]
    NameTaken(String),
    /// A field.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// It changed since it was read.
    #[error("The integration was changed meanwhile. Read it again and repeat the change.")]
    Changed,
    /// Defined by the configuration.
    #[error("The integrations created in the config file can't be edited.")]
    FromConfig,
    /// Defined by the configuration, asked to be deleted.
    #[error("Uninstall the extension to remove integration '%1'.")]
    FromConfigDelete(String),
    /// An access token is there, which a verifier would end.
    #[error("This consumer has an access token. Delete it first: posting a verifier would end it.")]
    HasAccessToken,
    /// Activation by exchange needs to say where the store is.
    #[error("Set public.base_url: activation by exchange tells the integration the store's address.")]
    NoBaseUrl,
    /// The verifier POST got no answer.
    #[error("The attempt to post data to consumer failed due to an unexpected error. Please try again later.")]
    CallbackFailed(verifier_post::PostError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No randomness.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// What a change comes to, judged on the record as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It is as it should be.
    Leave,
    /// The record was changed.
    Write,
}

/// How a record is named.
#[derive(Clone, Copy, Debug)]
enum Of {
    Integration(IntegrationId),
    Consumer(ConsumerId),
}

impl Integrations {
    /// On these parts; `own` are the addresses that callbacks may never reach.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Clock,
        live: Arc<ArcSwap<Live>>,
        own: address::OwnAddresses,
        handshakes: Arc<Handshakes>,
    ) -> Self {
        Self {
            store,
            clock,
            live,
            own: Arc::new(own),
            handshakes,
        }
    }

    /// Creates an integration with its consumer: inactive, its credentials fresh.
    pub async fn create(&self, new: NewIntegration) -> Result<ConsumerRecord, Failure> {
        self.check(&new)?;
        let name = new.name.clone();
        let consumer = NewConsumer {
            name: None,
            key: random::credential()?,
            secret: random::secret()?,
            callback_url: None,
            rejected_callback_url: None,
            integration: Some(new),
        };
        let made = self.store.create_consumer(consumer, self.clock.now()).await?;
        made.ok_or(Failure::NameTaken(name))
    }

    /// One integration with its consumer.
    pub async fn get(&self, id: IntegrationId) -> Result<Arc<ConsumerRecord>, Failure> {
        self.store
            .consumer_by_integration(id)
            .await?
            .ok_or(Failure::Unknown(id))
    }

    /// A page of them.
    pub async fn list(&self, query: &IntegrationQuery) -> Result<IntegrationPage, Failure> {
        Ok(self.store.list_integrations(query).await?)
    }

    /// Replaces what its creator gave; `version` compares unless `None`.
    pub async fn update(
        &self,
        id: IntegrationId,
        version: Option<u64>,
        new: NewIntegration,
    ) -> Result<ConsumerRecord, Failure> {
        let standing = self.get(id).await?;
        self.check_change(&new, standing.integration.as_ref().map(|one| &one.definition))?;
        self.change(id, version, |record, now| {
            let Some(integration) = &mut record.integration else {
                return Err(Failure::Unknown(id));
            };
            if self.is_configured(&integration.definition) {
                return Err(Failure::FromConfig);
            }
            integration.definition.clone_from(&new);
            integration.updated_at = now;
            Ok(Next::Write)
        })
        .await
    }

    /// Replaces what it may use.
    pub async fn grant(
        &self,
        id: IntegrationId,
        version: Option<u64>,
        grant: Grant,
    ) -> Result<ConsumerRecord, Failure> {
        if let Grant::Listed(ids) = &grant {
            let standing = self.get(id).await?;
            let added = added(ids, standing.integration.as_ref().map(|one| &one.definition.grant));
            self.live.load().tree.check(added).map_err(Invalid::Resource)?;
        }
        self.change(id, version, |record, now| {
            let Some(integration) = &mut record.integration else {
                return Err(Failure::Unknown(id));
            };
            if self.is_configured(&integration.definition) {
                return Err(Failure::FromConfig);
            }
            integration.definition.grant = grant.clone();
            integration.updated_at = now;
            Ok(Next::Write)
        })
        .await
    }

    /// Deletes it with its consumer and all its tokens; answers what it was.
    pub async fn delete(&self, id: IntegrationId, version: Option<u64>) -> Result<Arc<ConsumerRecord>, Failure> {
        let record = self.get(id).await?;
        let integration = record.integration.as_ref().ok_or(Failure::Unknown(id))?;
        if self.is_configured(&integration.definition) {
            return Err(Failure::FromConfigDelete(integration.definition.name.clone()));
        }
        match self.store.delete_consumer(record.consumer.id, version).await? {
            Put::Done(_) => Ok(record),
            Put::Changed | Put::NameTaken => {
                // Gone meanwhile, or another version than the caller saw.
                self.get(id).await?;
                Err(Failure::Changed)
            }
        }
    }

    /// Deletes one that nobody can read; `false`: it can be read, or there is none.
    pub async fn drop_unreadable(&self, id: IntegrationId) -> Result<bool, Failure> {
        Ok(self.store.drop_unreadable(id).await?)
    }

    /// A new consumer secret; the old one is accepted for the grace.
    pub async fn rotate_secret(
        &self,
        id: IntegrationId,
        version: Option<u64>,
        grace: Duration,
    ) -> Result<ConsumerRecord, Failure> {
        let fresh = random::secret()?;
        self.change(id, version, |record, now| {
            let secret = std::mem::replace(&mut record.consumer.secret, fresh.clone());
            let valid_until = now.saturating_add(grace.as_secs());
            record.consumer.previous_secret = (!grace.is_zero()).then_some(PreviousSecret { secret, valid_until });
            record.consumer.updated_at = now;
            Ok(Next::Write)
        })
        .await
    }

    /// Applies `step` to the record as it stands, and again where another change was faster, unless the caller named the
    /// version that it saw.
    pub(crate) async fn change(
        &self,
        id: IntegrationId,
        version: Option<u64>,
        step: impl Fn(&mut ConsumerRecord, u64) -> Result<Next, Failure>,
    ) -> Result<ConsumerRecord, Failure> {
        self.change_of(Of::Integration(id), version, step).await
    }

    /// The same, for either name of a record.
    async fn change_of(
        &self,
        of: Of,
        version: Option<u64>,
        step: impl Fn(&mut ConsumerRecord, u64) -> Result<Next, Failure>,
    ) -> Result<ConsumerRecord, Failure> {
        for _ in 0..TRIES {
            let mut record = (*self.find(of).await?).clone();
            if version.is_some_and(|version| version != record.version) {
                return Err(Failure::Changed);
            }
            match step(&mut record, self.clock.now())? {
                Next::Leave => return Ok(record),
                Next::Write => {}
            }
            match self.store.update_consumer(&record).await? {
                Put::Done(version) => {
                    record.version = version;
                    return Ok(record);
                }
                Put::NameTaken => {
                    let name = record.integration.map(|one| one.definition.name).unwrap_or_default();
                    return Err(Failure::NameTaken(name));
                }
                Put::Changed => {}
            }
        }
        Err(Failure::Changed)
    }

    async fn find(&self, of: Of) -> Result<Arc<ConsumerRecord>, Failure> {
        match of {
            Of::Integration(id) => self.get(id).await,
            Of::Consumer(id) => self.consumer(id).await,
        }
    }

    /// Whether the configuration at work defines it: then it is changed there. One that the configuration no longer names
    /// is anybody's who manages integrations.
    fn is_configured(&self, definition: &NewIntegration) -> bool {
        let is_named = |one: &NewIntegration| one.name == definition.name;
        definition.setup == Setup::Config && self.live.load().integrations.iter().any(is_named)
    }

    fn check(&self, new: &NewIntegration) -> Result<(), Failure> {
        definition::check(new, &self.live.load().tree)?;
        self.check_endpoint(new)?;
        Ok(())
    }

    /// What stands already may stay, though a new configuration knows its resources or allows its endpoint no more: a change
    /// of something else must not fail for that.
    fn check_change(&self, new: &NewIntegration, standing: Option<&NewIntegration>) -> Result<(), Failure> {
        let mut fresh = new.clone();
        if let Grant::Listed(ids) = &new.grant {
            fresh.grant = Grant::Listed(added(ids, standing.map(|one| &one.grant)).cloned().collect());
        }
        definition::check(&fresh, &self.live.load().tree)?;
        if standing.is_none_or(|one| one.endpoint != new.endpoint) {
            self.check_endpoint(new)?;
        }
        Ok(())
    }

    fn check_endpoint(&self, new: &NewIntegration) -> Result<(), Invalid> {
        let Some(endpoint) = &new.endpoint else {
            return Ok(());
        };
        let callbacks = self.live.load().callbacks.clone();
        address::check_literal(endpoint, &callbacks.allow, &self.own)
            .map_err(|refused| Invalid::EndpointRefused(refused.to_string()))
    }

    /// All that is wrong with a definition, field by field.
    pub fn faults(&self, new: &NewIntegration) -> Vec<Invalid> {
        let mut faults = definition::faults(new, &self.live.load().tree);
        let is_url = new.endpoint.as_deref().is_some_and(definition::is_url);
        faults.extend(is_url.then(|| self.check_endpoint(new).err()).flatten());
        faults
    }
}

/// Those that were not granted before.
fn added<'a>(ids: &'a BTreeSet<String>, standing: Option<&Grant>) -> impl Iterator<Item = &'a String> {
    ids.iter().filter(move |id| match standing {
        Some(Grant::Listed(listed)) => !listed.contains(*id),
        Some(Grant::All) | None => true,
    })
}

/// How often a change is tried again that another one overtook. Of those that race one wins each time, so this many may.
const TRIES: usize = 64;
