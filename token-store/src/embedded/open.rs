//! From a folder to a store that may serve: the key, the tables, and what is known of nonces.
//!
//! Nonces are in memory. A clean end writes them down; after any other end they are lost, and a request counts only if its
//! timestamp is later than the start, than our clock was when claims counted, and than what its token was served with ahead
//! of our clock. That stands in the file until the window has passed: a clean restart soon after a crash knows no more of
//! what was served before the crash.
//! A store that never had a consumer served nobody: it has nothing to lose.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use redb::{ReadableTable, Table, WriteTransaction};

use super::Fault;
use super::consumers;
use super::file::{NAME, StoreFile, sync_folder};
use super::high_water::HIGH_WATER;
use super::nonces::{Kept, Lost, Nonces, started};
use super::tables::{self, AHEAD, AHEAD_BEFORE, COUNTERS, META, NONCES, second, set_second};
use super::writer::unavailable;
use crate::codec::{decode, encode};
use crate::nonce::{KEPT_FOR, LONGEST_WINDOW};
use crate::open::OpenError;
use crate::seal::{MARK, Sealer};
use crate::{StoreError, UnixSeconds};

pub(super) fn open(
    folder: &Path,
    keys: &[[u8; 32]],
    now: UnixSeconds,
) -> Result<(StoreFile, Sealer, Nonces), OpenError> {
    refuse_emptied(folder)?;
    let file = StoreFile::open(folder)?;
    // Only who has the file open may make the key: two first starts must not make two.
    let made;
    let keys = if keys.is_empty() {
        made = [own_key(folder, file.write(is_new)??)?];
        &made
    } else {
        keys
    };
    let sealer = Sealer::new(keys).map_err(|_| OpenError::WrongKey)?;
    let nonces = file.write(|transaction| prepare(transaction, &sealer, now, started()))??;
    Ok((file, sealer, nonces))
}

/// The file is made before the key: where only the key is left, everything else was lost, which must not look like a first
/// start.
pub(super) fn refuse_emptied(folder: &Path) -> Result<(), OpenError> {
    let path = folder.join(NAME);
    let is_empty = std::fs::metadata(&path).map_or(true, |found| found.len() == 0);
    if is_empty && folder.join(KEY_FILE).exists() {
        return Err(OpenError::Emptied(path.display().to_string()));
    }
    Ok(())
}

fn is_new(transaction: &WriteTransaction) -> Result<bool, StoreError> {
    let meta = transaction.open_table(META).fault()?;
    Ok(meta.get(CANARY).fault()?.is_none())
}

/// Makes what a new file lacks, checks the keys, and finds out whether the last process ended cleanly.
fn prepare(
    transaction: &WriteTransaction,
    sealer: &Sealer,
    now: UnixSeconds,
    instant: Instant,
) -> Result<Nonces, OpenError> {
    touch_tables(transaction)?;
    let mut meta = transaction.open_table(META).fault()?;
    let canary = meta.get(CANARY).fault()?.map(|row| row.value().to_vec());
    let key: [u8; 16] = if let Some(row) = canary {
        decode(sealer, CANARY, &row).map_err(|_| OpenError::WrongKey)?
    } else {
        let mut key = [0; 16];
        aws_lc_rs::rand::fill(&mut key).map_err(|_| unavailable("the system gave no random octets"))?;
        let row = encode(sealer, CANARY, &key)?;
        meta.insert(CANARY, row.as_slice()).fault()?;
        // Nothing was served yet.
        set_second(&mut meta, HIGH_WATER, 0)?;
        key
    };
    check_keys(&meta, sealer)?;
    if let Some(mark) = sealer.mark() {
        let row = encode(sealer, &mark, &())?;
        meta.insert(mark.as_str(), row.as_slice()).fault()?;
    }
    // The mark goes before anything is served: a crash from here on is a loss.
    let ended_cleanly = meta.remove(CLEAN).fault()?.is_some();
    let may_have_served = consumers::was_ever_one(transaction)?;
    let kept = if ended_cleanly {
        written_down(transaction)?
    } else {
        Kept::default()
    };
    let lost = lost(transaction, &mut meta, now, may_have_served && !ended_cleanly)?;
    Ok(Nonces::new(key, kept, lost, instant))
}

/// Each key that was ever the first has to be among those that are given: rows that it sealed are still there.
pub(super) fn check_keys(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
    sealer: &Sealer,
) -> Result<(), OpenError> {
    for row in meta.range(MARK..).fault()? {
        let (name, row) = row.fault()?;
        if !name.value().starts_with(MARK) {
            break;
        }
        decode::<()>(sealer, name.value(), row.value()).map_err(|_| OpenError::KeyMissing)?;
    }
    Ok(())
}

/// What the last loss left open. A loss that is found now is written down first.
fn lost(
    transaction: &WriteTransaction,
    meta: &mut Table<'_, &'static str, &'static [u8]>,
    now: UnixSeconds,
    is_loss: bool,
) -> Result<Lost, StoreError> {
    let mut ahead = transaction.open_table(AHEAD).fault()?;
    let mut before = transaction.open_table(AHEAD_BEFORE).fault()?;
    let still_matters = |timestamp: u64| timestamp.saturating_add(KEPT_FOR) > now;
    ahead.retain(|_, timestamp| still_matters(timestamp)).fault()?;
    before.retain(|_, timestamp| still_matters(timestamp)).fault()?;
    let mut floor = second(meta, FLOOR)?.unwrap_or_default();
    if is_loss {
        // The clock may stand before what was served: a machine without one of its own starts anywhere.
        floor = floor.max(now).max(second(meta, HIGH_WATER)?.unwrap_or_default());
        set_second(meta, FLOOR, floor)?;
        for row in ahead.iter().fault()? {
            let (name, timestamp) = row.fault()?;
            before.insert(name.value(), timestamp.value()).fault()?;
        }
    }
    let rows = before.iter().fault()?.map(|row| {
        let (name, timestamp) = row.fault()?;
        let (consumer, digest) = name.value();
        Ok(((consumer, digest.to_owned()), timestamp.value()))
    });
    Ok(Lost {
        floor,
        ahead_before: rows.collect::<Result<HashMap<_, _>, StoreError>>()?,
    })
}

/// Writes down that requests up to this second may have been served elsewhere.
pub(super) fn raise_floor(transaction: &WriteTransaction, to: UnixSeconds) -> Result<(), StoreError> {
    let mut meta = transaction.open_table(META).fault()?;
    let floor = second(&meta, FLOOR)?.unwrap_or_default().max(to);
    set_second(&mut meta, FLOOR, floor)
}

/// Shows that the disk takes writes.
pub(super) fn check(transaction: &WriteTransaction) -> Result<(), StoreError> {
    let mut meta = transaction.open_table(META).fault()?;
    meta.insert(CHECKED, [].as_slice()).fault()?;
    Ok(())
}

/// Takes back a floor, and marks of tokens, that lie further ahead of a clock that is right than any request can be. What was
/// served is known from the high-water mark; where a clock that was ahead moved that too, the longest window is kept clear.
pub(super) fn lower_floor(transaction: &WriteTransaction, now: UnixSeconds) -> Result<UnixSeconds, StoreError> {
    let mut meta = transaction.open_table(META).fault()?;
    let floor = second(&meta, FLOOR)?.unwrap_or_default();
    let most = now.saturating_add(LONGEST_WINDOW);
    if floor <= most {
        return Ok(floor);
    }
    // An older version wrote no mark.
    let served = second(&meta, HIGH_WATER)?.unwrap_or(floor);
    let lowered = served.clamp(now, most);
    set_second(&mut meta, FLOOR, lowered)?;
    set_second(&mut meta, HIGH_WATER, served.min(lowered))?;
    for table in [AHEAD, AHEAD_BEFORE] {
        let mut marks = transaction.open_table(table).fault()?;
        marks.retain(|_, timestamp| timestamp <= most).fault()?;
    }
    Ok(lowered)
}

fn written_down(transaction: &WriteTransaction) -> Result<Kept, StoreError> {
    let table = transaction.open_table(NONCES).fault()?;
    let mut kept = Kept::default();
    for row in table.iter().fault()? {
        let (minute, octets) = row.fault()?;
        let hashes = octets.value().as_chunks().0.iter();
        kept.insert(minute.value(), hashes.map(|chunk| u64::from_le_bytes(*chunk)).collect());
    }
    Ok(kept)
}

/// A clean end: the next start goes on from here.
pub(super) fn write_down(transaction: &WriteTransaction, kept: &Kept) -> Result<(), StoreError> {
    let mut table = transaction.open_table(NONCES).fault()?;
    table.retain(|_, _| false).fault()?;
    for (minute, hashes) in kept {
        let octets: Vec<u8> = hashes.iter().flat_map(|hash| hash.to_le_bytes()).collect();
        table.insert(minute, octets.as_slice()).fault()?;
    }
    let mut meta = transaction.open_table(META).fault()?;
    meta.insert(CLEAN, [].as_slice()).fault()?;
    Ok(())
}

/// A read of a table that was never written would fail: make them all.
fn touch_tables(transaction: &WriteTransaction) -> Result<(), StoreError> {
    transaction.open_table(tables::CONSUMERS).fault()?;
    transaction.open_table(tables::CONSUMER_KEYS).fault()?;
    transaction.open_table(tables::INTEGRATIONS).fault()?;
    transaction.open_table(tables::NAMES).fault()?;
    transaction.open_table(tables::TOKENS).fault()?;
    transaction.open_table(tables::DELEGATED).fault()?;
    transaction.open_table(tables::DELEGATED_BY).fault()?;
    transaction.open_table(tables::USER_TOKENS).fault()?;
    transaction.open_table(tables::USER_TOKENS_OF).fault()?;
    transaction.open_table(tables::USER_TOKENS_UNTIL).fault()?;
    transaction.open_table(tables::REVOKED_BEFORE).fault()?;
    transaction.open_table(tables::SECRETS).fault()?;
    transaction.open_table(tables::ACCOUNTS).fault()?;
    transaction.open_table(tables::ACCOUNT_NAMES).fault()?;
    transaction.open_table(tables::LOCKOUTS).fault()?;
    transaction.open_table(tables::LOCKOUTS_UNTIL).fault()?;
    transaction.open_table(tables::AUDIT).fault()?;
    transaction.open_table(tables::SECRET_USES).fault()?;
    transaction.open_table(tables::EVENTS).fault()?;
    transaction.open_table(tables::OUTBOX).fault()?;
    transaction.open_table(tables::OUTBOX_DUE).fault()?;
    transaction.open_table(tables::DEAD).fault()?;
    transaction.open_table(COUNTERS).fault()?;
    Ok(())
}

/// The key beside the store: made with a new store, for its owner only. A store that is not new has lost it.
fn own_key(folder: &Path, is_new: bool) -> Result<[u8; 32], OpenError> {
    match key_beside(folder)? {
        Some(key) => Ok(key),
        None if is_new => make_key(folder)
            .map_err(|error| OpenError::File(folder.join(KEY_FILE).display().to_string(), Box::new(error))),
        None => Err(OpenError::WrongKey),
    }
}

/// The key beside the store, if there is one.
pub(super) fn key_beside(folder: &Path) -> Result<Option<[u8; 32]>, OpenError> {
    let path = folder.join(KEY_FILE);
    let fault = |error: std::io::Error| OpenError::File(path.display().to_string(), Box::new(error));
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let octets = STANDARD.decode(text.trim()).ok();
            let key = octets.and_then(|octets| octets.try_into().ok());
            let what = || std::io::Error::new(std::io::ErrorKind::InvalidData, "is not 32 octets in base64");
            key.map(Some).ok_or_else(|| fault(what()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fault(error)),
    }
}

/// Whole or not at all: half a key would lock its owner out.
fn make_key(folder: &Path) -> std::io::Result<[u8; 32]> {
    let mut key = [0; 32];
    aws_lc_rs::rand::fill(&mut key).map_err(std::io::Error::other)?;
    let unfinished = folder.join(format!("{KEY_FILE}.new"));
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)?;
    writeln!(file, "{}", STANDARD.encode(key))?;
    file.sync_all()?;
    std::fs::rename(&unfinished, folder.join(KEY_FILE))?;
    sync_folder(folder)?;
    Ok(key)
}

const KEY_FILE: &str = "encryption.key";
/// Sealed with the first key; holds the nonces' hash key.
pub(super) const CANARY: &str = "canary";
/// There only between a clean end and the next start.
const CLEAN: &str = "clean";
/// Written by [`check`].
const CHECKED: &str = "checked";
/// Requests up to this second may have been served before the last loss.
pub(super) const FLOOR: &str = "floor";
