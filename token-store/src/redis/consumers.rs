//! Consumers, integrations and their own tokens.

use std::collections::BTreeSet;

use super::events;
use super::keys::{self, CONSUMER_KEYS, CONSUMERS, INTEGRATIONS, NAMES, SECRET_USES, TOKENS};
use super::records::{self, Committed, Records};
use super::script::{Calls, Commit};
use crate::codec::token_digest;
use crate::event::Happening;
use crate::secret_use::{SecretUses, merged};
use crate::{Change, ConsumerId, ConsumerRecord, IntegrationId, NewConsumer, OwnToken, Put, StoreError, UnixSeconds};

pub(super) fn row_name(id: u64) -> String {
    format!("consumer:{id}")
}

fn number(id: u64) -> Vec<u8> {
    id.to_string().into_bytes()
}

fn name_of(record: &ConsumerRecord) -> Option<&str> {
    record.integration.as_ref().map(|one| one.definition.name.as_str())
}

fn digest_of(record: &ConsumerRecord) -> Option<String> {
    record.token.as_ref().and_then(OwnToken::token).map(token_digest)
}

/// Keys and tokens are random, or checked by who brings them along: a collision is nobody's request to answer with a no.
pub(super) fn taken(what: &str) -> StoreError {
    StoreError::Corrupt(format!("another record has that {what}"))
}

/// Writes a record with all its index entries.
fn insert(records: &Records, commit: &mut Commit, record: &ConsumerRecord) -> Result<(), StoreError> {
    let id = record.consumer.id.0;
    let row = records.seal(&row_name(id), record)?;
    commit.write("HSET", CONSUMERS, &[&number(id), &row]);
    commit.write("HSET", CONSUMER_KEYS, &[record.consumer.key.as_bytes(), &number(id)]);
    if let Some(integration) = &record.integration {
        commit.write("HSET", INTEGRATIONS, &[&number(integration.id.0), &number(id)]);
        commit.write("HSET", NAMES, &[integration.definition.name.as_bytes(), &number(id)]);
    }
    if let Some(digest) = digest_of(record) {
        commit.write("HSET", TOKENS, &[digest.as_bytes(), &number(id)]);
    }
    Ok(())
}

pub(super) async fn create(
    records: &Records,
    new: NewConsumer,
    now: UnixSeconds,
) -> Result<Option<ConsumerRecord>, StoreError> {
    for step in records::steps() {
        let id = ConsumerId(records.next_number("consumer", step).await?);
        let integration = match &new.integration {
            None => None,
            Some(_) => Some(IntegrationId(records.next_number("integration", step).await?)),
        };
        let record = new.clone().into_record(id, integration, now);
        match try_create(records, &record).await? {
            Created::Done => return Ok(Some(record)),
            Created::NameTaken => return Ok(None),
            Created::NumberTaken => {}
        }
    }
    Err(taken("number"))
}

/// What became of a record that is new.
enum Created {
    Done,
    NameTaken,
    /// The counter is behind the rows: what was given to it is another's.
    NumberTaken,
}

async fn try_create(records: &Records, record: &ConsumerRecord) -> Result<Created, StoreError> {
    let mut commit = Commit::default();
    let key = commit.expect(CONSUMER_KEYS, &record.consumer.key, None);
    let name = name_of(record).map(|name| commit.expect(NAMES, name, None));
    expect_numbers(&mut commit, record);
    insert(records, &mut commit, record)?;
    let happening = Happening::Consumer {
        before: None,
        after: Some(record),
    };
    events::record(records, &mut commit, &happening)?;
    let change = Change::Consumer {
        id: record.consumer.id,
        key: record.consumer.key.clone(),
    };
    match records.commit(&commit, &[change]).await? {
        Committed::Done => Ok(Created::Done),
        Committed::Refused(place) if place == key => Err(taken("key")),
        Committed::Refused(place) if Some(place) == name => Ok(Created::NameTaken),
        Committed::Refused(_) => Ok(Created::NumberTaken),
    }
}

pub(super) async fn create_many(records: &Records, all: &[ConsumerRecord]) -> Result<(), StoreError> {
    if let Some(what) = ConsumerRecord::double(all) {
        return Err(taken(what));
    }
    // What is taken is found before the first of several chunks is written.
    for writes in [false, true] {
        if writes {
            // Before the first row, so that nobody is given a number of theirs meanwhile, nor after an end halfway.
            pass_numbers(records, all).await?;
        }
        for some in all.chunks(CHUNK) {
            let mut commit = Commit::default();
            for record in some {
                expect_nothing(&mut commit, record);
                if writes {
                    insert(records, &mut commit, record)?;
                }
            }
            let changes: &[Change] = if writes { &[Change::Everything] } else { &[] };
            if records.commit(&commit, changes).await? != Committed::Done {
                return Err(taken("number, key, name or token"));
            }
        }
    }
    Ok(())
}

/// Nothing stands under any name of the record.
fn expect_nothing(commit: &mut Commit, record: &ConsumerRecord) {
    expect_numbers(commit, record);
    commit.expect(CONSUMER_KEYS, &record.consumer.key, None);
    if let Some(name) = name_of(record) {
        commit.expect(NAMES, name, None);
    }
    if let Some(digest) = digest_of(record) {
        commit.expect(TOKENS, &digest, None);
    }
}

fn expect_numbers(commit: &mut Commit, record: &ConsumerRecord) {
    commit.expect(CONSUMERS, &record.consumer.id.0.to_string(), None);
    if let Some(integration) = &record.integration {
        commit.expect(INTEGRATIONS, &integration.id.0.to_string(), None);
    }
}

/// Numbers that were brought along are not given again.
async fn pass_numbers(records: &Records, all: &[ConsumerRecord]) -> Result<(), StoreError> {
    let consumers = all.iter().map(|one| one.consumer.id.0).max();
    let integrations = all.iter().filter_map(|one| one.integration.as_ref());
    let integrations = integrations.map(|one| one.id.0).max();
    for (of, most) in [("consumer", consumers), ("integration", integrations)] {
        raise_counter(records, of, most.unwrap_or_default()).await?;
    }
    Ok(())
}

async fn raise_counter(records: &Records, of: &str, to: u64) -> Result<(), StoreError> {
    loop {
        let calls = Calls::default().add("HGET", keys::COUNTERS, &[of.as_bytes()]);
        let last: Option<u64> = records.call_one(&calls).await?;
        if last.unwrap_or_default() >= to {
            return Ok(());
        }
        let mut commit = Commit::default();
        commit.expect(keys::COUNTERS, of, last.map(number).as_deref());
        commit.write("HSET", keys::COUNTERS, &[of.as_bytes(), &number(to)]);
        if records.commit(&commit, &[]).await? == Committed::Done {
            return Ok(());
        }
    }
}

pub(super) async fn by_id(records: &Records, id: u64) -> Result<Option<ConsumerRecord>, StoreError> {
    Ok(current(records, id).await?.map(|(_, record)| record))
}

async fn current(records: &Records, id: u64) -> Result<Option<(Vec<u8>, ConsumerRecord)>, StoreError> {
    records.row(CONSUMERS, &id.to_string(), &row_name(id)).await
}

/// By an index: keys, names or integrations.
pub(super) async fn by(records: &Records, index: &str, field: &str) -> Result<Option<ConsumerRecord>, StoreError> {
    records.row_via((index, field), CONSUMERS, row_name).await
}

pub(super) async fn of_token(records: &Records, token: &str) -> Result<Option<u64>, StoreError> {
    records
        .call_one(&Calls::default().add("HGET", TOKENS, &[token_digest(token).as_bytes()]))
        .await
}

pub(super) async fn integrations(records: &Records) -> Result<Vec<ConsumerRecord>, StoreError> {
    let rows = records.rows::<ConsumerRecord>(CONSUMERS, row_name).await?.into_iter();
    let readable = rows.filter_map(|row| records::readable(row, "integrations"));
    Ok(readable.filter(|record| record.integration.is_some()).collect())
}

/// All that can be known of it without reading it: what the indexes say.
pub(super) async fn drop_unreadable(records: &Records, integration: u64) -> Result<bool, StoreError> {
    let found = Calls::default().add("HGET", INTEGRATIONS, &[&number(integration)]);
    let Some(id) = records.call_one::<Option<u64>>(&found).await? else {
        return Ok(false);
    };
    let found = Calls::default().add("HGET", CONSUMERS, &[&number(id)]);
    let row: Option<Vec<u8>> = records.call_one(&found).await?;
    if !matches!(current(records, id).await, Err(StoreError::Corrupt(_))) {
        return Ok(false);
    }
    let mut commit = Commit::default();
    commit.expect(CONSUMERS, &id.to_string(), row.as_deref());
    commit.write("HDEL", CONSUMERS, &[&number(id)]);
    commit.write("HDEL", SECRET_USES, &[&number(id)]);
    for index in [CONSUMER_KEYS, INTEGRATIONS, NAMES, TOKENS] {
        for field in records.fields_of(index, id).await? {
            commit.write("HDEL", index, &[&field]);
        }
    }
    commit.drop_with_index(&keys::delegated(id), TOKENS);
    Ok(records.commit(&commit, &[Change::Everything]).await? == Committed::Done)
}

pub(super) async fn update(records: &Records, record: &ConsumerRecord) -> Result<Put, StoreError> {
    loop {
        let found = current(records, record.consumer.id.0).await?;
        let Some((row, before)) = found.filter(|(_, before)| before.version == record.version) else {
            return Ok(Put::Changed);
        };
        if let Some(put) = try_update(records, (&row, &before), record).await? {
            return Ok(put);
        }
    }
}

/// `None`: the row is another by now. Where the version is the same it was only sealed anew, and nothing has changed.
async fn try_update(
    records: &Records,
    (row, before): (&[u8], &ConsumerRecord),
    record: &ConsumerRecord,
) -> Result<Option<Put>, StoreError> {
    let id = record.consumer.id.0;
    let mut record = record.clone();
    record.version += 1;
    let mut commit = Commit::default();
    let unchanged = commit.expect(CONSUMERS, &id.to_string(), Some(row));
    let mut name = None;
    if name_of(before) != name_of(&record) {
        name = name_of(&record).map(|wanted| commit.expect(NAMES, wanted, None));
        if let Some(old) = name_of(before) {
            commit.write("HDEL", NAMES, &[old.as_bytes()]);
        }
    }
    let (old_digest, new_digest) = (digest_of(before), digest_of(&record));
    if old_digest != new_digest {
        if let Some(wanted) = &new_digest {
            commit.expect(TOKENS, wanted, None);
        }
        if let Some(old) = &old_digest {
            commit.write("HDEL", TOKENS, &[old.as_bytes()]);
        }
    }
    if before.consumer.key != record.consumer.key {
        commit.expect(CONSUMER_KEYS, &record.consumer.key, None);
        commit.write("HDEL", CONSUMER_KEYS, &[before.consumer.key.as_bytes()]);
    }
    insert(records, &mut commit, &record)?;
    let happening = Happening::Consumer {
        before: Some(before),
        after: Some(&record),
    };
    events::record(records, &mut commit, &happening)?;
    let keys: BTreeSet<&String> = [&before.consumer.key, &record.consumer.key].into_iter().collect();
    let changes: Vec<Change> = keys
        .into_iter()
        .map(|key| Change::Consumer {
            id: ConsumerId(id),
            key: key.clone(),
        })
        .collect();
    match records.commit(&commit, &changes).await? {
        Committed::Done => Ok(Some(Put::Done(record.version))),
        Committed::Refused(place) if place == unchanged => Ok(None),
        Committed::Refused(place) if Some(place) == name => Ok(Some(Put::NameTaken)),
        Committed::Refused(_) => Err(taken("key or token")),
    }
}

pub(super) async fn delete(records: &Records, id: u64, version: Option<u64>) -> Result<Put, StoreError> {
    loop {
        let found = current(records, id).await?;
        let Some((row, record)) = found.filter(|(_, one)| version.is_none_or(|version| version == one.version)) else {
            return Ok(Put::Changed);
        };
        if try_delete(records, &row, &record).await? {
            return Ok(Put::Done(record.version + 1));
        }
        // It changed meanwhile: a version that is asked for is no longer there, else somebody else got on.
    }
}

async fn try_delete(records: &Records, row: &[u8], record: &ConsumerRecord) -> Result<bool, StoreError> {
    let id = record.consumer.id.0;
    let delegated = keys::delegated(id);
    let digests: Vec<String> = records
        .call_one(&Calls::default().add("HKEYS", &delegated, &[]))
        .await?;
    let mut commit = Commit::default();
    commit.expect(CONSUMERS, &id.to_string(), Some(row));
    commit.write("HDEL", CONSUMERS, &[&number(id)]);
    commit.write("HDEL", SECRET_USES, &[&number(id)]);
    commit.write("HDEL", CONSUMER_KEYS, &[record.consumer.key.as_bytes()]);
    if let Some(integration) = &record.integration {
        commit.write("HDEL", INTEGRATIONS, &[&number(integration.id.0)]);
        commit.write("HDEL", NAMES, &[integration.definition.name.as_bytes()]);
    }
    // Also those that came since their digests were read.
    commit.drop_with_index(&delegated, TOKENS);
    if let Some(digest) = digest_of(record) {
        commit.write("HDEL", TOKENS, &[digest.as_bytes()]);
    }
    let happening = Happening::Consumer {
        before: Some(record),
        after: None,
    };
    events::record(records, &mut commit, &happening)?;
    let mut changes = vec![Change::Consumer {
        id: ConsumerId(id),
        key: record.consumer.key.clone(),
    }];
    changes.extend(digests.into_iter().map(|digest| Change::Delegated {
        consumer: ConsumerId(id),
        digest,
    }));
    Ok(records.commit(&commit, &changes).await? == Committed::Done)
}

/// When its secrets were last used: as it is kept, and read.
pub(super) async fn secret_uses(records: &Records, id: u64) -> Result<(Option<Vec<u8>>, SecretUses), StoreError> {
    let calls = Calls::default().add("HGET", SECRET_USES, &[&number(id)]);
    let kept: Option<Vec<u8>> = records.call_one(&calls).await?;
    let corrupt = |_| StoreError::Corrupt(format!("secret-uses:{id}"));
    let uses = kept.as_deref().map(serde_json::from_slice).transpose();
    let uses = uses.map_err(corrupt)?.unwrap_or_default();
    Ok((kept, uses))
}

pub(super) async fn note_secret_uses(records: &Records, id: u64, seen: &SecretUses) -> Result<(), StoreError> {
    loop {
        let (kept, uses) = secret_uses(records, id).await?;
        let row = serde_json::to_vec(&merged(&uses, seen)).map_err(|error| StoreError::Unavailable(Box::new(error)))?;
        let mut commit = Commit::default();
        let uses = commit.expect(SECRET_USES, &id.to_string(), kept.as_deref());
        // A consumer deleted meanwhile took its secrets along.
        commit.expect_some(CONSUMERS, &id.to_string());
        commit.write("HSET", SECRET_USES, &[&number(id), &row]);
        match records.commit(&commit, &[]).await? {
            Committed::Refused(place) if place == uses => {}
            Committed::Done | Committed::Refused(_) => return Ok(()),
        }
    }
}

/// Records a script writes at once: a few milliseconds of the server's time.
const CHUNK: usize = 200;
