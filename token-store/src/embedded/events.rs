//! Events: their log, the outbox of each webhook, the dead letters.

use redb::{ReadTransaction, ReadableTable as _, WriteTransaction};

use super::listed::{SaidOnce, listed};
use super::tables::{COUNTERS, DEAD, EVENTS, OUTBOX, OUTBOX_DUE};
use super::writer::Changes;
use super::{Fault, audit, next_number};
use crate::audit::Noting;
use crate::codec::{decode, encode};
use crate::event::{Cursor, Delivery, Event, Happening, OutboxCounts, RecorderSlot, Settled};
use crate::seal::Sealer;
use crate::{StoreError, UnixSeconds};

pub(super) fn event_row(number: u64) -> String {
    format!("event:{number}")
}

pub(super) fn outbox_row(webhook: &str, id: &str) -> String {
    format!("outbox:{webhook}:{id}")
}

pub(super) fn dead_row(name: &str) -> String {
    format!("dead:{name}")
}

/// What a change is written with: the transaction, what seals its rows, and who says what is told and noted of it.
#[derive(Clone, Copy)]
pub(super) struct Pen<'a> {
    pub(super) transaction: &'a WriteTransaction,
    pub(super) sealer: &'a Sealer,
    pub(super) recorder: &'a RecorderSlot,
    pub(super) noting: Option<&'a Noting>,
}

impl Pen<'_> {
    /// Writes what is told and noted of a change, beside it.
    pub(super) fn record(&self, happening: &Happening<'_>) -> Result<(), StoreError> {
        if let Some(noting) = self.noting
            && let Some(entry) = noting.entry(happening)
        {
            audit::append(self.transaction, self.sealer, entry)?;
            noting.taken();
        }
        let recording = self.recorder.record(happening);
        for (event, webhooks) in recording.events {
            let number = next_number(self.transaction, "event")?;
            let row = encode(self.sealer, &event_row(number), &event)?;
            let mut log = self.transaction.open_table(EVENTS).fault()?;
            log.insert(number, row.as_slice()).fault()?;
            let kept = u64::try_from(recording.bounds.log).unwrap_or(u64::MAX);
            // Also where the bound became less.
            loop {
                let oldest = log.first().fault()?.map(|(number, _)| number.value());
                match oldest.filter(|oldest| number - oldest >= kept) {
                    Some(oldest) => drop(log.remove(oldest).fault()?),
                    None => break,
                }
            }
            drop(log);
            for webhook in webhooks {
                let delivery = Delivery::new(webhook, event.clone());
                enqueue(self.transaction, self.sealer, &delivery, recording.bounds.outbox)?;
            }
        }
        Ok(())
    }
}

/// Moves a counter by one; answers what it is then.
fn count(transaction: &WriteTransaction, name: &str, up: bool) -> Result<u64, StoreError> {
    let mut counters = transaction.open_table(COUNTERS).fault()?;
    let before = counters.get(name).fault()?.map_or(0, |count| count.value());
    let now = if up { before + 1 } else { before.saturating_sub(1) };
    counters.insert(name, now).fault()?;
    Ok(now)
}

fn waiting(webhook: &str) -> String {
    format!("outbox:{webhook}")
}

fn enqueue(
    transaction: &WriteTransaction,
    sealer: &Sealer,
    delivery: &Delivery,
    most: usize,
) -> Result<(), StoreError> {
    let (webhook, id) = (delivery.webhook.as_str(), delivery.event.id.as_str());
    let row = encode(sealer, &outbox_row(webhook, id), delivery)?;
    dequeue(transaction, webhook, id)?;
    let mut outbox = transaction.open_table(OUTBOX).fault()?;
    let value = (delivery.due_at, row.as_slice());
    outbox.insert((webhook, id), value).fault()?;
    drop(outbox);
    let mut due = transaction.open_table(OUTBOX_DUE).fault()?;
    due.insert((webhook, delivery.due_at, id), ()).fault()?;
    drop(due);
    let mut waits = count(transaction, &waiting(webhook), true)?;
    while waits > u64::try_from(most).unwrap_or(u64::MAX) {
        let Some(oldest) = oldest(transaction, webhook)? else {
            break;
        };
        dequeue(transaction, webhook, &oldest)?;
        count(transaction, DROPPED, true)?;
        waits -= 1;
    }
    Ok(())
}

/// The id of the oldest event that waits for a webhook. Its row is not read: an unreadable one must go, too.
fn oldest(transaction: &WriteTransaction, webhook: &str) -> Result<Option<String>, StoreError> {
    let outbox = transaction.open_table(OUTBOX).fault()?;
    let first = outbox.range((webhook, "")..).fault()?.next().transpose().fault()?;
    let of_webhook = first.filter(|(key, _)| key.value().0 == webhook);
    Ok(of_webhook.map(|(key, _)| key.value().1.to_owned()))
}

/// Takes a delivery out of the outbox; `false`: it was gone.
fn dequeue(transaction: &WriteTransaction, webhook: &str, id: &str) -> Result<bool, StoreError> {
    let mut outbox = transaction.open_table(OUTBOX).fault()?;
    let removed = outbox.remove((webhook, id)).fault()?.map(|row| row.value().0);
    drop(outbox);
    let Some(due_at) = removed else { return Ok(false) };
    let mut due = transaction.open_table(OUTBOX_DUE).fault()?;
    due.remove((webhook, due_at, id)).fault()?;
    drop(due);
    count(transaction, &waiting(webhook), false)?;
    Ok(true)
}

pub(super) fn due(
    transaction: &ReadTransaction,
    sealer: &Sealer,
    said: &SaidOnce,
    webhook: &str,
    (now, limit): (UnixSeconds, usize),
) -> Result<Vec<Delivery>, StoreError> {
    let index = transaction.open_table(OUTBOX_DUE).fault()?;
    let outbox = transaction.open_table(OUTBOX).fault()?;
    let range = index
        .range((webhook, 0, "")..(webhook, now.saturating_add(1), ""))
        .fault()?;
    let mut found: Vec<Delivery> = Vec::new();
    for entry in range {
        if found.len() >= limit {
            break;
        }
        let (key, _) = entry.fault()?;
        let id = key.value().2;
        if let Some(row) = outbox.get((webhook, id)).fault()? {
            found.extend(said.listed::<Delivery>(sealer, &outbox_row(webhook, id), row.value().1));
        }
    }
    Ok(found)
}

pub(super) fn settle(
    transaction: &WriteTransaction,
    sealer: &Sealer,
    delivery: &Delivery,
    settled: Settled,
) -> Result<(bool, Changes), StoreError> {
    if !dequeue(transaction, &delivery.webhook, &delivery.event.id)? {
        return Ok((false, Vec::new()));
    }
    match settled {
        Settled::Delivered => {}
        Settled::Again => enqueue(transaction, sealer, delivery, usize::MAX)?,
        Settled::Dead { most } => bury(transaction, sealer, delivery, most)?,
    }
    Ok((true, Vec::new()))
}

fn bury(transaction: &WriteTransaction, sealer: &Sealer, delivery: &Delivery, most: usize) -> Result<(), StoreError> {
    let name = delivery.name();
    let row = encode(sealer, &dead_row(&name), delivery)?;
    let mut dead = transaction.open_table(DEAD).fault()?;
    dead.insert(name.as_str(), row.as_slice()).fault()?;
    let mut dropped = 0;
    let mut kept = count(transaction, DEAD_LETTERS, true)?;
    while kept > u64::try_from(most).unwrap_or(u64::MAX) && dead.pop_first().fault()?.is_some() {
        kept -= 1;
        dropped += 1;
    }
    drop(dead);
    for _ in 0..dropped {
        count(transaction, DEAD_LETTERS, false)?;
        count(transaction, DROPPED, true)?;
    }
    Ok(())
}

pub(super) fn dead(
    transaction: &ReadTransaction,
    sealer: &Sealer,
    after: &str,
    limit: usize,
) -> Result<Vec<Delivery>, StoreError> {
    use std::ops::Bound::{Excluded, Unbounded};
    let table = transaction.open_table(DEAD).fault()?;
    let mut found: Vec<Delivery> = Vec::new();
    for row in table.range::<&str>((Excluded(after), Unbounded)).fault()? {
        if found.len() >= limit {
            break;
        }
        let (name, row) = row.fault()?;
        found.extend(listed::<Delivery>(sealer, &dead_row(name.value()), row.value()));
    }
    Ok(found)
}

pub(super) fn replay(
    transaction: &WriteTransaction,
    sealer: &Sealer,
    name: &str,
    (now, most): (UnixSeconds, usize),
) -> Result<(Option<Delivery>, Changes), StoreError> {
    let found: Option<Delivery> = {
        let dead = transaction.open_table(DEAD).fault()?;
        let row = dead.get(name).fault()?;
        row.map(|row| decode(sealer, &dead_row(name), row.value()))
            .transpose()?
    };
    let Some(mut delivery) = found else {
        return Ok((None, Vec::new()));
    };
    transaction.open_table(DEAD).fault()?.remove(name).fault()?;
    count(transaction, DEAD_LETTERS, false)?;
    (delivery.tries, delivery.due_at) = (0, now);
    enqueue(transaction, sealer, &delivery, most)?;
    Ok((Some(delivery), Vec::new()))
}

pub(super) fn counts(transaction: &ReadTransaction, webhooks: &[String]) -> Result<OutboxCounts, StoreError> {
    let counters = transaction.open_table(COUNTERS).fault()?;
    let read = |name: &str| Ok::<_, StoreError>(counters.get(name).fault()?.map_or(0, |count| count.value()));
    let mut counts = OutboxCounts {
        waiting: 0,
        dead: read(DEAD_LETTERS)?,
        dropped: read(DROPPED)?,
    };
    for webhook in webhooks {
        counts.waiting += read(&waiting(webhook))?;
    }
    Ok(counts)
}

pub(super) fn last(transaction: &ReadTransaction) -> Result<Cursor, StoreError> {
    let log = transaction.open_table(EVENTS).fault()?;
    let last = log.last().fault()?.map_or(0, |(number, _)| number.value());
    Ok(Cursor { major: 0, minor: last })
}

pub(super) fn after(
    transaction: &ReadTransaction,
    sealer: &Sealer,
    said: &SaidOnce,
    cursor: Cursor,
    limit: usize,
) -> Result<Vec<(Cursor, Event)>, StoreError> {
    let log = transaction.open_table(EVENTS).fault()?;
    let mut found: Vec<(Cursor, Event)> = Vec::new();
    for row in log.range(cursor.minor.saturating_add(1)..).fault()? {
        if found.len() >= limit {
            break;
        }
        let (number, row) = row.fault()?;
        let number = number.value();
        let at = Cursor {
            major: 0,
            minor: number,
        };
        let event = said.listed::<Event>(sealer, &event_row(number), row.value());
        found.extend(event.map(|event| (at, event)));
    }
    Ok(found)
}

const DROPPED: &str = "events_dropped";
const DEAD_LETTERS: &str = "dead_letters";
