//! Integrations that the configuration defines (magento.md 3.7): made where they are missing, made anew where their
//! definition changed, left alone where it is only written in another order.
//!
//! What the configuration no longer names stays: only a person takes credentials away.

use std::time::Duration;

use token_store::audit::{Note, noted};
use token_store::event::Happening;
use token_store::{ConsumerRecord, Grant, NewIntegration, Setup, Status};

use super::shown::{shown, subject};
use super::{Failure, Integrations, Next};
use crate::live::Live;
use crate::observe::audit::{self, Told, of_consumer};
use crate::random;

/// What became of one definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Configured {
    /// It was missing: made, inactive.
    Made,
    /// It stands as it is defined.
    Kept,
    /// Its definition changed: deleted and made anew with another number and another consumer; it waits to be activated.
    Recreated,
    /// An admin made one of that name: that one stays.
    NameInUse,
}

impl Integrations {
    /// Applies the definitions of the configuration at work, and again after each reload, for ever: whoever spawns it ends
    /// it. A store that is away is asked again.
    pub async fn follow_configuration(self) {
        // One for all times, so that a gateway never waits for the end of its own lease.
        let Ok(holder) = random::credential() else {
            tracing::error!("[[integrations]] can't be applied: no randomness");
            return;
        };
        let mut applied: Option<std::sync::Arc<Live>> = None;
        loop {
            let live = self.live.load_full();
            let is_new = applied
                .as_ref()
                .is_none_or(|applied| !std::sync::Arc::ptr_eq(applied, &live));
            if is_new && self.apply(&live, &holder).await {
                applied = Some(live);
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// Applies all definitions; `false`: the store could not be asked, or another gateway does it just now.
    async fn apply(&self, live: &Live, holder: &str) -> bool {
        if live.integrations.is_empty() {
            return true;
        }
        match self.store.lease(LEASE, holder, LEASE_SECS).await {
            Ok(true) => {}
            Ok(false) => return false,
            Err(error) => {
                tracing::debug!(%error, "configured integrations wait for the store");
                return false;
            }
        }
        for definition in &live.integrations {
            let name = definition.name.as_str();
            match self.configure(definition.clone()).await {
                Ok(Configured::Kept) => {}
                Ok(Configured::Made) => tracing::info!(name, "the configuration's integration was made; activate it"),
                Ok(Configured::Recreated) => tracing::warn!(
                    name,
                    "the configuration's integration was reset because its definition changed; activate it again"
                ),
                Ok(Configured::NameInUse) => {
                    tracing::error!(
                        name,
                        "[[integrations]] defines a name that an integration made by hand has; rename one"
                    );
                }
                Err(Failure::Store(error)) => {
                    tracing::warn!(name, %error, "the configuration's integration waits for the store");
                    return false;
                }
                Err(error) => tracing::error!(name, %error, "[[integrations]] can't be applied"),
            }
        }
        true
    }

    /// Applies one definition.
    pub async fn configure(&self, definition: NewIntegration) -> Result<Configured, Failure> {
        let definition = self.normalised(definition);
        let Some(record) = self.store.consumer_by_name(&definition.name).await? else {
            let note = self.note("integration.created", |happening| {
                of_consumer(happening, subject, shown)
            });
            noted(note, self.create(definition)).await.0?;
            return Ok(Configured::Made);
        };
        let Some(integration) = &record.integration else {
            return Ok(Configured::NameInUse);
        };
        if integration.definition.setup == Setup::Manual {
            return Ok(Configured::NameInUse);
        }
        if is_same(&self.normalised(integration.definition.clone()), &definition) {
            return Ok(Configured::Kept);
        }
        self.check(&definition)?;
        self.store
            .delete_consumer(record.consumer.id, Some(record.version))
            .await?;
        let made = self.create(definition).await?;
        let before = shown(&record);
        let note = self.note("integration.recreated", move |happening| {
            let (subject, (_, after)) = of_consumer(happening, subject, shown)?;
            Some((subject, (before.clone(), after)))
        });
        noted(note, self.mark_recreated(made)).await.0?;
        Ok(Configured::Recreated)
    }

    /// Ancestors are granted along, as the tree of check-boxes does.
    fn normalised(&self, mut definition: NewIntegration) -> NewIntegration {
        if let Grant::Listed(ids) = &definition.grant {
            definition.grant = Grant::Listed(self.live.load().tree.with_ancestors(ids));
        }
        definition
    }

    async fn mark_recreated(&self, made: ConsumerRecord) -> Result<ConsumerRecord, Failure> {
        let Some(id) = made.integration.as_ref().map(|one| one.id) else {
            return Ok(made);
        };
        self.change(id, None, |record, now| {
            super::activation::set_status(record, Status::Recreated, now);
            Ok(Next::Write)
        })
        .await
    }

    /// Nobody called: the configuration did it.
    fn note(&self, action: &str, told: impl Fn(&Happening<'_>) -> Option<Told> + Send + Sync + 'static) -> Note {
        audit::note(audit::of(self.clock.now(), "configuration", "", action), told)
    }
}

/// What a definition can say; sets compare whatever their order.
fn is_same(one: &NewIntegration, other: &NewIntegration) -> bool {
    one.name == other.name
        && one.email == other.email
        && one.endpoint == other.endpoint
        && one.identity_link_url == other.identity_link_url
        && one.grant == other.grant
}

const TICK: Duration = Duration::from_secs(1);
const LEASE: &str = "configured-integrations";
const LEASE_SECS: u64 = 10;
