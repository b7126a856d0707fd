//! Consumers, integrations, own tokens.

use std::collections::BTreeSet;

use redb::{ReadTransaction, ReadableTable as _, ReadableTableMetadata as _, WriteTransaction};

use super::delegated;
use super::events::Pen;
use super::secret_uses;
use super::tables::{CONSUMER_KEYS, CONSUMERS, COUNTERS, INTEGRATIONS, NAMES, TOKENS};
use super::writer::Changes;
use super::{Fault, next_number};
use crate::codec::{decode, encode, token_digest};
use crate::event::Happening;
use crate::seal::Sealer;
use crate::{Change, ConsumerId, ConsumerRecord, IntegrationId, NewConsumer, OwnToken, Put, StoreError, UnixSeconds};

pub(super) fn row_name(id: u64) -> String {
    format!("consumer:{id}")
}

pub(super) fn create(
    pen: Pen<'_>,
    new: NewConsumer,
    now: UnixSeconds,
) -> Result<(Option<ConsumerRecord>, Changes), StoreError> {
    let transaction = pen.transaction;
    if let Some(integration) = &new.integration
        && owner(&transaction.open_table(NAMES).fault()?, &integration.name)?.is_some()
    {
        return Ok((None, Vec::new()));
    }
    if owner(&transaction.open_table(CONSUMER_KEYS).fault()?, &new.key)?.is_some() {
        return Err(taken("key"));
    }
    let id = ConsumerId(next_number(transaction, "consumer")?);
    let integration = match new.integration {
        None => None,
        Some(_) => Some(IntegrationId(next_number(transaction, "integration")?)),
    };
    let record = new.into_record(id, integration, now);
    insert(transaction, pen.sealer, &record)?;
    pen.record(&Happening::Consumer {
        before: None,
        after: Some(&record),
    })?;
    let change = Change::Consumer {
        id,
        key: record.consumer.key.clone(),
    };
    Ok((Some(record), vec![change]))
}

/// Who has that name, key or token digest.
pub(super) fn owner(
    index: &impl redb::ReadableTable<&'static str, u64>,
    entry: &str,
) -> Result<Option<u64>, StoreError> {
    Ok(index.get(entry).fault()?.map(|id| id.value()))
}

/// Keys and tokens are random, or checked by who brings them along: a collision is nobody's request to answer with a no.
pub(super) fn taken(what: &str) -> StoreError {
    StoreError::Corrupt(format!("another record has that {what}"))
}

/// Writes a record with all its index entries.
fn insert(transaction: &WriteTransaction, sealer: &Sealer, record: &ConsumerRecord) -> Result<(), StoreError> {
    let id = record.consumer.id.0;
    let row = encode(sealer, &row_name(id), record)?;
    transaction
        .open_table(CONSUMERS)
        .fault()?
        .insert(id, row.as_slice())
        .fault()?;
    transaction
        .open_table(CONSUMER_KEYS)
        .fault()?
        .insert(record.consumer.key.as_str(), id)
        .fault()?;
    if let Some(integration) = &record.integration {
        transaction
            .open_table(INTEGRATIONS)
            .fault()?
            .insert(integration.id.0, id)
            .fault()?;
        transaction
            .open_table(NAMES)
            .fault()?
            .insert(integration.definition.name.as_str(), id)
            .fault()?;
    }
    if let Some(digest) = digest_of(record) {
        transaction
            .open_table(TOKENS)
            .fault()?
            .insert(digest.as_str(), id)
            .fault()?;
    }
    Ok(())
}

/// Digest of the token string by which a record is found, if it has one yet.
fn digest_of(record: &ConsumerRecord) -> Option<String> {
    record.token.as_ref().and_then(OwnToken::token).map(token_digest)
}

/// Whether a consumer was ever made here; numbers are never given again, so deleting takes nothing back.
pub(super) fn was_ever_one(transaction: &WriteTransaction) -> Result<bool, StoreError> {
    let counters = transaction.open_table(COUNTERS).fault()?;
    Ok(counters.get("consumer").fault()?.is_some())
}

pub(super) fn create_many(
    transaction: &WriteTransaction,
    sealer: &Sealer,
    records: &[ConsumerRecord],
) -> Result<((), Changes), StoreError> {
    refuse_taken(transaction, records)?;
    for record in records {
        insert(transaction, sealer, record)?;
    }
    let mut counters = transaction.open_table(COUNTERS).fault()?;
    let most = |numbers: &mut dyn Iterator<Item = u64>| numbers.max().unwrap_or_default();
    let consumers = most(&mut records.iter().map(|record| record.consumer.id.0));
    let integrations = most(
        &mut records
            .iter()
            .filter_map(|one| one.integration.as_ref())
            .map(|one| one.id.0),
    );
    for (name, most) in [("consumer", consumers), ("integration", integrations)] {
        let last = counters.get(name).fault()?.map_or(0, |last| last.value());
        counters.insert(name, last.max(most)).fault()?;
    }
    Ok(((), vec![Change::Everything]))
}

/// All of it before anything is written: what was brought along takes nothing from what stands, nor from itself.
fn refuse_taken(transaction: &WriteTransaction, records: &[ConsumerRecord]) -> Result<(), StoreError> {
    if let Some(what) = ConsumerRecord::double(records) {
        return Err(taken(what));
    }
    let rows = transaction.open_table(CONSUMERS).fault()?;
    let integrations = transaction.open_table(INTEGRATIONS).fault()?;
    let keys = transaction.open_table(CONSUMER_KEYS).fault()?;
    let names = transaction.open_table(NAMES).fault()?;
    let tokens = transaction.open_table(TOKENS).fault()?;
    for record in records {
        if rows.get(record.consumer.id.0).fault()?.is_some() {
            return Err(taken("number"));
        }
        if owner(&keys, &record.consumer.key)?.is_some() {
            return Err(taken("key"));
        }
        if let Some(integration) = &record.integration {
            if integrations.get(integration.id.0).fault()?.is_some() {
                return Err(taken("integration number"));
            }
            if owner(&names, &integration.definition.name)?.is_some() {
                return Err(taken("name"));
            }
        }
        if let Some(digest) = digest_of(record)
            && owner(&tokens, &digest)?.is_some()
        {
            return Err(taken("token"));
        }
    }
    Ok(())
}

pub(super) fn by_id(
    transaction: &ReadTransaction,
    sealer: &Sealer,
    id: u64,
) -> Result<Option<ConsumerRecord>, StoreError> {
    let table = transaction.open_table(CONSUMERS).fault()?;
    let row = table.get(id).fault()?;
    row.map(|row| decode(sealer, &row_name(id), row.value())).transpose()
}

pub(super) fn id_of_key(transaction: &ReadTransaction, key: &str) -> Result<Option<u64>, StoreError> {
    owner(&transaction.open_table(CONSUMER_KEYS).fault()?, key)
}

pub(super) fn id_of_name(transaction: &ReadTransaction, name: &str) -> Result<Option<u64>, StoreError> {
    owner(&transaction.open_table(NAMES).fault()?, name)
}

pub(super) fn id_of_integration(transaction: &ReadTransaction, id: u64) -> Result<Option<u64>, StoreError> {
    Ok(transaction
        .open_table(INTEGRATIONS)
        .fault()?
        .get(id)
        .fault()?
        .map(|id| id.value()))
}

pub(super) fn id_of_token(transaction: &ReadTransaction, token: &str) -> Result<Option<u64>, StoreError> {
    owner(&transaction.open_table(TOKENS).fault()?, &token_digest(token))
}

fn current(transaction: &WriteTransaction, sealer: &Sealer, id: u64) -> Result<Option<ConsumerRecord>, StoreError> {
    let table = transaction.open_table(CONSUMERS).fault()?;
    let row = table.get(id).fault()?;
    row.map(|row| decode(sealer, &row_name(id), row.value())).transpose()
}

pub(super) fn update(pen: Pen<'_>, mut record: ConsumerRecord) -> Result<(Put, Changes), StoreError> {
    let (transaction, sealer) = (pen.transaction, pen.sealer);
    let id = record.consumer.id.0;
    let Some(before) = current(transaction, sealer, id)?.filter(|one| one.version == record.version) else {
        return Ok((Put::Changed, Vec::new()));
    };
    let name = |record: &ConsumerRecord| record.integration.as_ref().map(|one| one.definition.name.clone());
    let (old_name, new_name) = (name(&before), name(&record));
    let (old_digest, new_digest) = (digest_of(&before), digest_of(&record));
    let mut names = transaction.open_table(NAMES).fault()?;
    let mut keys = transaction.open_table(CONSUMER_KEYS).fault()?;
    let mut tokens = transaction.open_table(TOKENS).fault()?;
    let of_another = |owner: Option<u64>| owner.is_some_and(|owner| owner != id);
    if let Some(wanted) = &new_name
        && of_another(owner(&names, wanted)?)
    {
        return Ok((Put::NameTaken, Vec::new()));
    }
    if of_another(owner(&keys, &record.consumer.key)?) {
        return Err(taken("key"));
    }
    if let Some(wanted) = &new_digest
        && old_digest != new_digest
        && owner(&tokens, wanted)?.is_some()
    {
        return Err(taken("token"));
    }
    if let Some(old) = &old_name {
        names.remove(old.as_str()).fault()?;
    }
    keys.remove(before.consumer.key.as_str()).fault()?;
    if let Some(old) = &old_digest {
        tokens.remove(old.as_str()).fault()?;
    }
    drop((names, keys, tokens));
    record.version += 1;
    insert(transaction, sealer, &record)?;
    pen.record(&Happening::Consumer {
        before: Some(&before),
        after: Some(&record),
    })?;
    let keys: BTreeSet<String> = [before.consumer.key, record.consumer.key].into_iter().collect();
    let changes = keys
        .into_iter()
        .map(|key| Change::Consumer {
            id: ConsumerId(id),
            key,
        })
        .collect();
    Ok((Put::Done(record.version), changes))
}

pub(super) fn delete(pen: Pen<'_>, id: u64, version: Option<u64>) -> Result<(Put, Changes), StoreError> {
    let transaction = pen.transaction;
    let Some(record) = current(transaction, pen.sealer, id)?.filter(|one| version.is_none_or(|v| v == one.version))
    else {
        return Ok((Put::Changed, Vec::new()));
    };
    transaction.open_table(CONSUMERS).fault()?.remove(id).fault()?;
    transaction
        .open_table(CONSUMER_KEYS)
        .fault()?
        .remove(record.consumer.key.as_str())
        .fault()?;
    if let Some(integration) = &record.integration {
        transaction
            .open_table(INTEGRATIONS)
            .fault()?
            .remove(integration.id.0)
            .fault()?;
        transaction
            .open_table(NAMES)
            .fault()?
            .remove(integration.definition.name.as_str())
            .fault()?;
    }
    let mut digests: Vec<String> = digest_of(&record).into_iter().collect();
    let mut changes = vec![Change::Consumer {
        id: ConsumerId(id),
        key: record.consumer.key.clone(),
    }];
    for digest in delegated::delete_all(transaction, pen.sealer, id)? {
        changes.push(Change::Delegated {
            consumer: ConsumerId(id),
            digest: digest.clone(),
        });
        digests.push(digest);
    }
    let mut tokens = transaction.open_table(TOKENS).fault()?;
    for digest in digests {
        tokens.remove(digest.as_str()).fault()?;
    }
    drop(tokens);
    secret_uses::forget(transaction, id)?;
    pen.record(&Happening::Consumer {
        before: Some(&record),
        after: None,
    })?;
    Ok((Put::Done(record.version + 1), changes))
}

pub(super) fn integrations(transaction: &ReadTransaction, sealer: &Sealer) -> Result<Vec<ConsumerRecord>, StoreError> {
    let table = transaction.open_table(CONSUMERS).fault()?;
    let mut all = Vec::with_capacity(usize::try_from(table.len().fault()?).unwrap_or_default());
    for row in table.iter().fault()? {
        let (id, row) = row.fault()?;
        match decode::<ConsumerRecord>(sealer, &row_name(id.value()), row.value()) {
            Ok(record) if record.integration.is_some() => all.push(record),
            Ok(_) => {}
            // One row that nobody can read hides no other.
            Err(error) => tracing::error!(%error, "left out of the list of integrations"),
        }
    }
    Ok(all)
}

/// All that can be known of it without reading it: what the indexes say.
pub(super) fn drop_unreadable(
    transaction: &WriteTransaction,
    sealer: &Sealer,
    integration: u64,
) -> Result<(bool, Changes), StoreError> {
    let mut integrations = transaction.open_table(INTEGRATIONS).fault()?;
    let Some(id) = integrations.get(integration).fault()?.map(|id| id.value()) else {
        return Ok((false, Vec::new()));
    };
    if !matches!(current(transaction, sealer, id), Err(StoreError::Corrupt(_))) {
        return Ok((false, Vec::new()));
    }
    transaction.open_table(CONSUMERS).fault()?.remove(id).fault()?;
    integrations.retain(|_, of| of != id).fault()?;
    for index in [CONSUMER_KEYS, NAMES, TOKENS] {
        transaction
            .open_table(index)
            .fault()?
            .retain(|_, of| of != id)
            .fault()?;
    }
    delegated::delete_all(transaction, sealer, id)?;
    secret_uses::forget(transaction, id)?;
    Ok((true, vec![Change::Everything]))
}
