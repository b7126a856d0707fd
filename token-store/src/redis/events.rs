//! Events: the stream that is their log, the outbox of each webhook, the dead letters.

use super::keys::{self, COUNTERS, DEAD, DEAD_ORDER, EVENTS};
use super::records::{self, Committed, Records};
use super::script::{Calls, Commit};
use crate::audit::Noting;
use crate::codec::decode;
use crate::event::{Cursor, Delivery, Event, Happening, OutboxCounts, Settled};
use crate::{StoreError, UnixSeconds};

pub(super) fn outbox_row(webhook: &str, id: &str) -> String {
    format!("outbox:{webhook}:{id}")
}

pub(super) fn dead_row(name: &str) -> String {
    format!("dead:{name}")
}

fn number(value: &impl ToString) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// Adds to the commit of a change what is told and noted of it.
pub(super) fn record(records: &Records, commit: &mut Commit, happening: &Happening<'_>) -> Result<(), StoreError> {
    commit.entry = Noting::here().and_then(|noting| noting.entry(happening));
    let recording = records.recorder.record(happening);
    for (event, webhooks) in recording.events {
        let data = event.data.to_string();
        let (most, at) = (number(&recording.bounds.log), number(&event.at));
        let words: [&[u8]; 12] = [
            b"MAXLEN",
            b"~",
            &most,
            b"*",
            b"id",
            event.id.as_bytes(),
            b"event",
            event.kind.as_bytes(),
            b"at",
            &at,
            b"data",
            data.as_bytes(),
        ];
        commit.write("XADD", EVENTS, &words);
        for webhook in webhooks {
            let delivery = Delivery::new(webhook, event.clone());
            enqueue(records, commit, &delivery, recording.bounds.outbox)?;
        }
    }
    Ok(())
}

/// Records what happened without a change of its own.
pub(super) async fn tell(records: &Records, happening: &Happening<'_>) -> Result<(), StoreError> {
    let mut commit = Commit::default();
    record(records, &mut commit, happening)?;
    records.commit(&commit, &[]).await?;
    Ok(())
}

fn enqueue(records: &Records, commit: &mut Commit, delivery: &Delivery, most: usize) -> Result<(), StoreError> {
    let (webhook, id) = (delivery.webhook.as_str(), delivery.event.id.as_bytes());
    let row = records.seal(&outbox_row(webhook, &delivery.event.id), delivery)?;
    let [rows, order, due] = keys::outbox(webhook);
    commit.write("HSET", &rows, &[id, &row]);
    commit.write("ZADD", &order, &[b"0", id]);
    commit.write("ZADD", &due, &[&number(&delivery.due_at), id]);
    commit.bound(&rows, (&order, &due), most, (COUNTERS, DROPPED));
    Ok(())
}

fn dequeue(commit: &mut Commit, delivery: &Delivery) {
    let [rows, order, due] = keys::outbox(&delivery.webhook);
    let id = delivery.event.id.as_bytes();
    commit.expect_some(&rows, &delivery.event.id);
    commit.write("HDEL", &rows, &[id]);
    commit.write("ZREM", &order, &[id]);
    commit.write("ZREM", &due, &[id]);
}

pub(super) async fn due(
    records: &Records,
    webhook: &str,
    now: UnixSeconds,
    limit: usize,
) -> Result<Vec<Delivery>, StoreError> {
    let [rows, _, due] = keys::outbox(webhook);
    let (mut deliveries, mut passed) = (Vec::new(), 0);
    while deliveries.len() < limit {
        let words: [&[u8]; 5] = [b"-inf", &number(&now), b"LIMIT", &number(&passed), &number(&limit)];
        let ids: Vec<String> = records
            .call_one(&Calls::default().add("ZRANGEBYSCORE", &due, &words))
            .await?;
        let name = |id: &str| outbox_row(webhook, id);
        deliveries.extend(opened(records, &rows, &ids, &name).await?);
        passed += ids.len();
        if ids.len() < limit {
            break;
        }
    }
    deliveries.truncate(limit);
    Ok(deliveries)
}

/// Those of the rows that are there and can be read: one that can't be keeps no other waiting.
async fn opened(
    records: &Records,
    table: &str,
    fields: &[String],
    name: &(dyn Fn(&str) -> String + Sync),
) -> Result<Vec<Delivery>, StoreError> {
    let rows = records.fields(table, fields).await?;
    let found = fields.iter().zip(rows).filter_map(|(field, row)| Some((field, row?)));
    let readable = found.filter_map(|(field, row)| {
        let opened = decode(records.sealer(), &name(field), &row);
        records::readable(opened, "deliveries")
    });
    Ok(readable.collect())
}

pub(super) async fn settle(records: &Records, delivery: &Delivery, settled: Settled) -> Result<bool, StoreError> {
    let mut commit = Commit::default();
    let id = delivery.event.id.as_bytes();
    match settled {
        Settled::Delivered => dequeue(&mut commit, delivery),
        Settled::Again => {
            let [rows, _, due] = keys::outbox(&delivery.webhook);
            let row = records.seal(&outbox_row(&delivery.webhook, &delivery.event.id), delivery)?;
            commit.expect_some(&rows, &delivery.event.id);
            commit.write("HSET", &rows, &[id, &row]);
            commit.write("ZADD", &due, &[&number(&delivery.due_at), id]);
        }
        Settled::Dead { most } => {
            dequeue(&mut commit, delivery);
            let name = delivery.name();
            let row = records.seal(&dead_row(&name), delivery)?;
            commit.write("HSET", DEAD, &[name.as_bytes(), &row]);
            commit.write("ZADD", DEAD_ORDER, &[b"0", name.as_bytes()]);
            commit.bound(DEAD, (DEAD_ORDER, DEAD_ORDER), most, (COUNTERS, DROPPED));
        }
    }
    Ok(records.commit(&commit, &[]).await? == Committed::Done)
}

pub(super) async fn dead(records: &Records, after: &str, limit: usize) -> Result<Vec<Delivery>, StoreError> {
    let mut from = if after.is_empty() {
        b"-".to_vec()
    } else {
        format!("({after}").into_bytes()
    };
    let mut deliveries = Vec::new();
    while deliveries.len() < limit {
        let words: [&[u8]; 5] = [&from, b"+", b"LIMIT", b"0", &number(&limit)];
        let names: Vec<String> = records
            .call_one(&Calls::default().add("ZRANGEBYLEX", DEAD_ORDER, &words))
            .await?;
        deliveries.extend(opened(records, DEAD, &names, &dead_row).await?);
        match names.last() {
            Some(last) if names.len() == limit => from = format!("({last}").into_bytes(),
            Some(_) | None => break,
        }
    }
    deliveries.truncate(limit);
    Ok(deliveries)
}

pub(super) async fn replay(
    records: &Records,
    name: &str,
    now: UnixSeconds,
    most: usize,
) -> Result<Option<Delivery>, StoreError> {
    let Some((_, mut delivery)) = records.row::<Delivery>(DEAD, name, &dead_row(name)).await? else {
        return Ok(None);
    };
    (delivery.tries, delivery.due_at) = (0, now);
    let mut commit = Commit::default();
    commit.expect_some(DEAD, name);
    commit.write("HDEL", DEAD, &[name.as_bytes()]);
    commit.write("ZREM", DEAD_ORDER, &[name.as_bytes()]);
    enqueue(records, &mut commit, &delivery, most)?;
    let is_done = records.commit(&commit, &[]).await? == Committed::Done;
    Ok(is_done.then_some(delivery))
}

pub(super) async fn counts(records: &Records, webhooks: &[String]) -> Result<OutboxCounts, StoreError> {
    let mut calls = Calls::default()
        .add("HLEN", DEAD, &[])
        .add("HGET", COUNTERS, &[DROPPED.as_bytes()]);
    for webhook in webhooks {
        let [rows, ..] = keys::outbox(webhook);
        calls = calls.add("HLEN", &rows, &[]);
    }
    let read = records.call(&calls).await?.into_iter();
    let read = read.map(records::read::<Option<u64>>);
    let mut read = read
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .map(Option::unwrap_or_default);
    Ok(OutboxCounts {
        dead: read.next().unwrap_or_default(),
        dropped: read.next().unwrap_or_default(),
        waiting: read.sum(),
    })
}

pub(super) async fn last(records: &Records) -> Result<Cursor, StoreError> {
    let words: [&[u8]; 4] = [b"+", b"-", b"COUNT", b"1"];
    let found = entries(records, "XREVRANGE", &words).await?;
    Ok(found.into_iter().next().map(|(cursor, _)| cursor).unwrap_or_default())
}

pub(super) async fn after(records: &Records, cursor: Cursor, limit: usize) -> Result<Vec<(Cursor, Event)>, StoreError> {
    let words: [&[u8]; 4] = [&number(&format!("({cursor}")), b"+", b"COUNT", &number(&limit)];
    entries(records, "XRANGE", &words).await
}

/// Entries of the stream; one that somebody else wrote there is passed over.
async fn entries(records: &Records, command: &str, words: &[&[u8]]) -> Result<Vec<(Cursor, Event)>, StoreError> {
    let found: Vec<(String, Vec<String>)> = records.call_one(&Calls::default().add(command, EVENTS, words)).await?;
    let entry = |(id, fields): (String, Vec<String>)| Some((id.parse().ok()?, event(&fields)?));
    Ok(found.into_iter().filter_map(entry).collect())
}

fn event(fields: &[String]) -> Option<Event> {
    let field = |name: &str| {
        let mut pairs = fields.chunks_exact(2);
        pairs.find_map(|pair| match pair {
            [key, value] if key == name => Some(value.clone()),
            _ => None,
        })
    };
    Some(Event {
        id: field("id")?,
        kind: field("event")?,
        at: field("at")?.parse().ok()?,
        data: serde_json::from_str(&field("data")?).ok()?,
    })
}

const DROPPED: &str = "events_dropped";
