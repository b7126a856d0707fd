//! Integrations that the configuration defines (magento.md 3.7): made where they are missing, made anew where their
//! definition changed, left alone where it is only written in another order.
//!
//! What the configuration no longer names stays: only a person takes credentials away.

use std::time::Duration;

use serde_json::Value;
use token_store::audit::{Note, noted};
use token_store::event::Happening;
use token_store::{AuditEntry, ConsumerRecord, Grant, NewIntegration, Put, Setup, Status};

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

    /// Applies all definitions; `false`: not all could be, because the store is away, another gateway does it just now, or
    /// somebody changed one meanwhile.
    pub(super) async fn apply(&self, live: &Live, holder: &str) -> bool {
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
        let mut is_applied = true;
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
                // Somebody else was faster: the next round goes by what they left.
                Err(error @ (Failure::Changed | Failure::NameTaken(_))) => {
                    tracing::debug!(name, %error, "the configuration's integration is applied again");
                    is_applied = false;
                }
                Err(error) => tracing::error!(name, %error, "[[integrations]] can't be applied"),
            }
        }
        is_applied
    }

    /// Applies one definition.
    pub async fn configure(&self, definition: NewIntegration) -> Result<Configured, Failure> {
        let definition = self.normalised(definition);
        let Some(record) = self.store.consumer_by_name(&definition.name).await? else {
            if let Some(before) = self.withdrawn(&definition.name).await? {
                return self.make_anew(definition, before).await;
            }
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
            let is_fresh = record.version == FRESH && integration.status == Status::Inactive;
            if is_fresh && let Some(before) = self.withdrawn(&definition.name).await? {
                self.mark_recreated(ConsumerRecord::clone(&record), before).await?;
                return Ok(Configured::Recreated);
            }
            return Ok(Configured::Kept);
        }
        self.check(&definition)?;
        let before = shown(&record);
        self.withdraw(&record).await?;
        self.make_anew(definition, before).await
    }

    /// Deletes what another definition is to take the place of.
    pub(super) async fn withdraw(&self, record: &ConsumerRecord) -> Result<(), Failure> {
        let note = self.note(WITHDRAWN, |happening| of_consumer(happening, subject, shown));
        let deletion = self.store.delete_consumer(record.consumer.id, Some(record.version));
        match noted(note, deletion).await.0? {
            Put::Done(_) => Ok(()),
            Put::Changed | Put::NameTaken => Err(Failure::Changed),
        }
    }

    async fn make_anew(&self, definition: NewIntegration, before: Value) -> Result<Configured, Failure> {
        let made = self.create(definition).await?;
        self.mark_recreated(made, before).await?;
        Ok(Configured::Recreated)
    }

    /// What the configuration deleted to make it anew and has not made anew since: this was ended in between. The audit log
    /// knows it, with the deletion; the latest of it is asked, that is where it stands.
    async fn withdrawn(&self, name: &str) -> Result<Option<Value>, Failure> {
        let length = self.store.audit_length().await?;
        let mut end = length;
        while end > length.saturating_sub(LOOK_BACK) {
            let start = end.saturating_sub(PAGE);
            let limit = usize::try_from(end - start).unwrap_or(usize::MAX);
            let page = self.store.audit(start, limit).await?;
            let is_of_it = |one: &&AuditEntry| {
                let sides = [&one.entry.before, &one.entry.after];
                one.entry.actor == ACTOR && sides.into_iter().any(|side| side.get("name") == Some(&name.into()))
            };
            if let Some(last) = page.iter().rev().find(is_of_it) {
                return Ok((last.entry.action == WITHDRAWN).then(|| last.entry.before.clone()));
            }
            end = start;
        }
        Ok(None)
    }

    /// Ancestors are granted along, as the tree of check-boxes does.
    pub(super) fn normalised(&self, mut definition: NewIntegration) -> NewIntegration {
        if let Grant::Listed(ids) = &definition.grant {
            definition.grant = Grant::Listed(self.live.load().tree.with_ancestors(ids));
        }
        definition
    }

    async fn mark_recreated(&self, made: ConsumerRecord, before: Value) -> Result<(), Failure> {
        let Some(id) = made.integration.as_ref().map(|one| one.id) else {
            return Ok(());
        };
        let note = self.note("integration.recreated", move |happening| {
            let (subject, (_, after)) = of_consumer(happening, subject, shown)?;
            Some((subject, (before.clone(), after)))
        });
        let marking = self.change(id, None, |record, now| {
            super::activation::set_status(record, Status::Recreated, now);
            Ok(Next::Write)
        });
        noted(note, marking).await.0?;
        Ok(())
    }

    /// Nobody called: the configuration did it.
    fn note(&self, action: &str, told: impl Fn(&Happening<'_>) -> Option<Told> + Send + Sync + 'static) -> Note {
        audit::note(audit::of(self.clock.now(), ACTOR, "", action), told)
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

const ACTOR: &str = "configuration";
const WITHDRAWN: &str = "integration.deleted";
/// The version of a record that nobody has changed.
const FRESH: u64 = 1;
/// Entries of the audit log: far more than there are between an end and the next start.
const LOOK_BACK: u64 = 10_000;
const PAGE: u64 = 500;
const TICK: Duration = Duration::from_secs(1);
const LEASE: &str = "configured-integrations";
const LEASE_SECS: u64 = 10;
