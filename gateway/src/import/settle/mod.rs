//! Records into the store: what is there already stays, so that a second import changes nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;
use token_store::{
    ConsumerId, ConsumerRecord, Grant, IntegrationId, IntegrationQuery, NewAuditEntry, OwnToken, Put, Secret, Setup,
    Status, Store, StoreError, UnixSeconds,
};

use super::live::{Wanted, definition_differences};
use super::{Note, Weight};
use crate::observe::audit::named;

/// What an import would do to a store.
#[derive(Debug, Default)]
pub struct Plan {
    /// To be made, with numbers that are free.
    pub create: Vec<ConsumerRecord>,
    /// To be deleted first: what the gateway made of a definition and nobody used yet.
    pub replace: Vec<ConsumerRecord>,
    /// To be changed to what the export says.
    pub update: Vec<ConsumerRecord>,
    /// How many stand in the store as the export has them.
    pub unchanged: usize,
    /// What is left alone, and what gets other numbers.
    pub notes: Vec<Note>,
}

/// Why a plan was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Somebody else changed the store meanwhile.
    #[error("the store changed during the import, at consumer {0}: run the import again")]
    Changed(u64),
}

/// Compares the export with the store. `update`: records that differ are changed to what the export says. Without a store,
/// everything is new.
pub async fn plan(store: Option<&Arc<dyn Store>>, wanted: Vec<Wanted>, update: bool) -> Result<Plan, StoreError> {
    let mut plan = Plan::default();
    let Some(store) = store else {
        plan.create = wanted.into_iter().map(|one| one.record).collect();
        return Ok(plan);
    };
    let mut numbers = Numbers::new(&wanted);
    for one in wanted {
        if let Some(stands) = store.consumer_by_key(&one.record.consumer.key).await? {
            plan.compare(&stands, one, update);
            continue;
        }
        let unused = unused_namesake(store, &one.record).await?;
        if let Some(why) = taken(store, &one.record, unused.as_ref().map(|one| one.consumer.id)).await? {
            plan.notes.push(Note::not_carried(&one.place, label(&one.record), why));
            continue;
        }
        let Wanted { mut record, place } = one;
        if let Some(given) = numbers.give(store, &mut record).await? {
            plan.notes.push(Note::look(&place, label(&record), given));
        }
        if let Some(unused) = unused {
            let why = "takes the place of the one that the gateway made from [[integrations]], which nobody used yet";
            plan.notes.push(Note::look(&place, label(&record), why));
            plan.replace.push(unused);
        }
        plan.create.push(record);
    }
    let mut kept = Vec::new();
    for record in std::mem::take(&mut plan.update) {
        match taken(store, &record, Some(record.consumer.id)).await? {
            None => kept.push(record),
            Some(why) => {
                let what = label(&record);
                if let Some(note) = plan.notes.iter_mut().find(|note| note.what == what) {
                    (note.weight, note.why) = (Weight::NotCarried, why);
                }
            }
        }
    }
    plan.update = kept;
    Ok(plan)
}

/// Writes what was planned, reads it back, and puts it into the audit log. What was signed before is unsure from here on:
/// whether the storefront served it is not known here.
pub async fn carry_out(store: &Arc<dyn Store>, plan: &Plan, now: UnixSeconds) -> Result<(), SettleError> {
    if !(plan.create.is_empty() && plan.update.is_empty()) {
        store.raise_floor(now).await?;
    }
    for unused in &plan.replace {
        match store.delete_consumer(unused.consumer.id, Some(unused.version)).await? {
            Put::Done(_) => {}
            Put::Changed | Put::NameTaken => return Err(SettleError::Changed(unused.consumer.id.0)),
        }
    }
    for some in plan.create.chunks(CHUNK) {
        store.create_consumers(some.to_vec()).await?;
        for record in some {
            confirm(store, record, now).await?;
        }
    }
    for record in &plan.update {
        match store.update_consumer(record).await? {
            Put::Done(_) => confirm(store, record, now).await?,
            Put::Changed | Put::NameTaken => return Err(SettleError::Changed(record.consumer.id.0)),
        }
    }
    Ok(())
}

/// A record must stand as it was written: then it is put into the audit log.
async fn confirm(store: &Arc<dyn Store>, record: &ConsumerRecord, now: UnixSeconds) -> Result<(), SettleError> {
    let stands = store.consumer_by_key(&record.consumer.key).await?;
    let is_there = stands.is_some_and(|stands| differences(&stands, record).is_empty());
    if !is_there {
        return Err(SettleError::Changed(record.consumer.id.0));
    }
    store.append_audit(audited(record, now)).await?;
    Ok(())
}

impl Plan {
    fn compare(&mut self, stands: &ConsumerRecord, one: Wanted, update: bool) {
        let differs = differences(stands, &one.record);
        if differs.is_empty() {
            self.unchanged += 1;
            return;
        }
        let what = label(&one.record);
        let differs = differs.join(", ");
        if !update {
            let why =
                format!("the store has it with another {differs}: left as it is there; --update takes the export's");
            self.notes.push(Note::not_carried(&one.place, what, why));
            return;
        }
        let why = format!("changed to the export's {differs}");
        self.notes.push(Note::look(&one.place, what, why));
        self.update.push(merged(stands, one.record));
    }
}

/// The export's record in the place of the one that stands: its numbers, its version, and what only the gateway knows stay.
fn merged(stands: &ConsumerRecord, mut record: ConsumerRecord) -> ConsumerRecord {
    record.version = stands.version;
    record.consumer.id = stands.consumer.id;
    record.consumer.name.clone_from(&stands.consumer.name);
    if let (Some(new), Some(old)) = (&mut record.integration, &stands.integration) {
        new.id = old.id;
        new.consumer_id = old.consumer_id;
        let (mine, theirs) = (&mut new.definition, &old.definition);
        mine.signature_methods.clone_from(&theirs.signature_methods);
        mine.rsa_public_key.clone_from(&theirs.rsa_public_key);
        mine.two_legged = theirs.two_legged;
        mine.placements.clone_from(&theirs.placements);
        mine.callback_urls.clone_from(&theirs.callback_urls);
        mine.flags.clone_from(&theirs.flags);
    }
    record
}

/// What of an integration differs; numbers, versions and times don't count.
fn differences(stands: &ConsumerRecord, wanted: &ConsumerRecord) -> Vec<&'static str> {
    let mut differs = Vec::new();
    let mut compare = |what: &'static str, is_same: bool| {
        if !is_same {
            differs.push(what);
        }
    };
    compare("consumer secret", stands.consumer.secret == wanted.consumer.secret);
    compare(
        "callback URL",
        stands.consumer.callback_url == wanted.consumer.callback_url,
    );
    compare("token", same_token(stands.token.as_ref(), wanted.token.as_ref()));
    match (&stands.integration, &wanted.integration) {
        (None, None) => {}
        (Some(_), None) | (None, Some(_)) => compare("integration", false),
        (Some(one), Some(other)) => {
            compare("status", one.status == other.status);
            compare("setup", one.definition.setup == other.definition.setup);
            differs.extend(definition_differences(&one.definition, &other.definition));
        }
    }
    differs
}

/// Whether a client that holds the one's credentials is served alike by the other.
fn same_token(one: Option<&OwnToken>, other: Option<&OwnToken>) -> bool {
    let parts = |token: &OwnToken| -> (u8, Option<String>, Option<Secret>, bool) {
        let (stage, verifier, revoked) = match token {
            OwnToken::Verifier { verifier, .. } => (0, Some(verifier.clone()), false),
            OwnToken::Request { .. } => (1, None, false),
            OwnToken::Access { revoked, .. } => (2, None, *revoked),
        };
        let secret = token.secret().cloned().or(verifier);
        (stage, token.token().map(str::to_owned), secret, revoked)
    };
    one.map(parts) == other.map(parts)
}

/// The integration of that name which the gateway made from `[[integrations]]` and nobody activated: its credentials were
/// never shown to anybody.
async fn unused_namesake(
    store: &Arc<dyn Store>,
    record: &ConsumerRecord,
) -> Result<Option<ConsumerRecord>, StoreError> {
    let Some(wanted) = record
        .integration
        .as_ref()
        .map(|one| &one.definition)
        .filter(|one| one.setup == Setup::Config)
    else {
        return Ok(None);
    };
    let stands = store.consumer_by_name(&wanted.name).await?;
    let is_unused = |stands: &Arc<ConsumerRecord>| {
        let integration = stands.integration.as_ref();
        let is_configured =
            integration.is_some_and(|one| one.definition.setup == Setup::Config && one.status != Status::Active);
        is_configured && stands.token.is_none() && stands.consumer.posted_at.is_none()
    };
    Ok(stands.filter(is_unused).map(|stands| (*stands).clone()))
}

/// Why a record can't stand beside what the store has.
async fn taken(
    store: &Arc<dyn Store>,
    record: &ConsumerRecord,
    own: Option<ConsumerId>,
) -> Result<Option<String>, StoreError> {
    if let Some(integration) = &record.integration
        && let Some(other) = store.consumer_by_name(&integration.definition.name).await?
        && Some(other.consumer.id) != own
    {
        return Ok(Some(
            "the store has an integration of that name with another consumer key".to_owned(),
        ));
    }
    if let Some(token) = record.token.as_ref().and_then(OwnToken::token)
        && let Some(other) = store.consumer_of_token(token).await?
        && Some(other) != own
    {
        return Ok(Some("its token is another consumer's in the store".to_owned()));
    }
    Ok(None)
}

fn label(record: &ConsumerRecord) -> String {
    match &record.integration {
        Some(integration) => format!("integration {:?}", integration.definition.name),
        None => format!("consumer {}", record.consumer.id.0),
    }
}

/// The numbers that are given: the storefront's where they are free, else fresh ones.
struct Numbers {
    consumers: BTreeSet<u64>,
    integrations: BTreeSet<u64>,
    /// Above all that were seen, once it was needed.
    fresh: Option<(u64, u64)>,
}

impl Numbers {
    fn new(wanted: &[Wanted]) -> Self {
        let integrations = wanted.iter().filter_map(|one| one.record.integration.as_ref());
        Self {
            consumers: wanted.iter().map(|one| one.record.consumer.id.0).collect(),
            integrations: integrations.map(|one| one.id.0).collect(),
            fresh: None,
        }
    }

    /// Gives a record its numbers; answers what is to be said where they aren't the storefront's.
    async fn give(
        &mut self,
        store: &Arc<dyn Store>,
        record: &mut ConsumerRecord,
    ) -> Result<Option<String>, StoreError> {
        let consumer = record.consumer.id;
        let mut said = Vec::new();
        if store.consumer(consumer).await?.is_some() {
            let fresh = self.fresh_consumer(store).await?;
            record.consumer.id = ConsumerId(fresh);
            said.push(format!(
                "consumer number {} is taken in the store: it gets {fresh}",
                consumer.0
            ));
        }
        if let Some(integration) = &mut record.integration {
            integration.consumer_id = record.consumer.id;
            let id = integration.id;
            if store.consumer_by_integration(id).await?.is_some() {
                let fresh = self.fresh_integration(store).await?;
                integration.id = IntegrationId(fresh);
                said.push(format!(
                    "integration number {} is taken in the store: it gets {fresh}",
                    id.0
                ));
            }
        }
        Ok((!said.is_empty()).then(|| said.join("; ")))
    }

    async fn fresh_consumer(&mut self, store: &Arc<dyn Store>) -> Result<u64, StoreError> {
        let (mut consumer, integration) = self.above(store).await?;
        while store.consumer(ConsumerId(consumer)).await?.is_some() {
            consumer += 1;
        }
        self.fresh = Some((consumer + 1, integration));
        Ok(consumer)
    }

    async fn fresh_integration(&mut self, store: &Arc<dyn Store>) -> Result<u64, StoreError> {
        let (consumer, mut integration) = self.above(store).await?;
        while store
            .consumer_by_integration(IntegrationId(integration))
            .await?
            .is_some()
        {
            integration += 1;
        }
        self.fresh = Some((consumer, integration + 1));
        Ok(integration)
    }

    /// Numbers above those of the export and of all integrations in the store.
    async fn above(&self, store: &Arc<dyn Store>) -> Result<(u64, u64), StoreError> {
        if let Some(fresh) = self.fresh {
            return Ok(fresh);
        }
        let mut consumer = self.consumers.last().copied().unwrap_or_default();
        let mut integration = self.integrations.last().copied().unwrap_or_default();
        let mut query = IntegrationQuery {
            limit: 1000,
            ..IntegrationQuery::default()
        };
        loop {
            let page = store.list_integrations(&query).await?;
            for one in page.items.iter().filter_map(|record| record.integration.as_ref()) {
                consumer = consumer.max(one.consumer_id.0);
                integration = integration.max(one.id.0);
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => return Ok((consumer + 1, integration + 1)),
            }
        }
    }
}

/// Without anything secret.
fn audited(record: &ConsumerRecord, now: UnixSeconds) -> NewAuditEntry {
    let after = match &record.integration {
        None => json!({ "consumer_key": record.consumer.key }),
        Some(integration) => json!({
            "name": integration.definition.name,
            "consumer_id": record.consumer.id.0,
            "consumer_key": record.consumer.key,
            "status": match integration.status {
                Status::Inactive => "inactive",
                Status::Active => "active",
                Status::Recreated => "recreated",
            },
            "setup": match integration.definition.setup {
                Setup::Manual => "manual",
                Setup::Config => "config",
            },
            "all_resources": integration.definition.grant == Grant::All,
            "resources": match &integration.definition.grant {
                Grant::All => BTreeSet::new(),
                Grant::Listed(ids) => ids.clone(),
            },
        }),
    };
    NewAuditEntry {
        at: now,
        actor: "cli".to_owned(),
        origin: "import".to_owned(),
        action: if record.integration.is_some() {
            "integration.imported"
        } else {
            "consumer.imported"
        }
        .to_owned(),
        subject: named(record),
        before: serde_json::Value::Null,
        after,
    }
}

/// Records written at once.
const CHUNK: usize = 200;

#[cfg(test)]
mod tests;
