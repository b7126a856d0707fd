//! The layout of the file: every table on one page.

use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};

use super::file::Fault as _;
use crate::{StoreError, UnixSeconds};

/// Consumer number → sealed record.
pub(super) const CONSUMERS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("consumers");
/// Consumer key → consumer number.
pub(super) const CONSUMER_KEYS: TableDefinition<'_, &str, u64> = TableDefinition::new("consumer_keys");
/// Integration number → consumer number.
pub(super) const INTEGRATIONS: TableDefinition<'_, u64, u64> = TableDefinition::new("integrations");
/// Integration name → consumer number: what makes names unique.
pub(super) const NAMES: TableDefinition<'_, &str, u64> = TableDefinition::new("names");
/// Token digest → consumer number, own and delegated tokens.
pub(super) const TOKENS: TableDefinition<'_, &str, u64> = TableDefinition::new("tokens");
/// (consumer number, token digest) → sealed delegated token.
pub(super) const DELEGATED: TableDefinition<'_, (u64, &str), &[u8]> = TableDefinition::new("delegated");
/// (kind, user number, token digest) → consumer number: the access tokens that a user delegated.
pub(super) const DELEGATED_BY: TableDefinition<'_, (u8, u64, &str), u64> = TableDefinition::new("delegated_by");
/// Digest → sealed bearer token.
pub(super) const USER_TOKENS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("user_tokens");
/// (kind, user number, digest) → expiry: a user's bearer tokens.
pub(super) const USER_TOKENS_OF: TableDefinition<'_, (u8, u64, &str), Option<u64>> =
    TableDefinition::new("user_tokens_of");
/// (kind, expiry, digest) → user number: what the sweep walks.
pub(super) const USER_TOKENS_UNTIL: TableDefinition<'_, (u8, u64, &str), u64> =
    TableDefinition::new("user_tokens_until");
/// (kind, user number) → when all tokens of that user last ended.
pub(super) const REVOKED_BEFORE: TableDefinition<'_, (u8, u64), u64> = TableDefinition::new("revoked_before");
/// Name → sealed secret.
pub(super) const SECRETS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("secrets");
/// (kind, number) → sealed account.
pub(super) const ACCOUNTS: TableDefinition<'_, (u8, u64), &[u8]> = TableDefinition::new("accounts");
/// (kind, name) → account number.
pub(super) const ACCOUNT_NAMES: TableDefinition<'_, (u8, &str), u64> = TableDefinition::new("account_names");
/// (kind, name as typed) → (failures, lock expiry).
pub(super) const LOCKOUTS: TableDefinition<'_, (u8, &str), (u32, u64)> = TableDefinition::new("lockouts");
/// (lock expiry, kind, name): what the sweep walks.
pub(super) const LOCKOUTS_UNTIL: TableDefinition<'_, (u64, u8, &str), ()> = TableDefinition::new("lockouts_until");
/// Number → sealed audit entry.
pub(super) const AUDIT: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("audit");
/// (consumer number, fingerprint of a secret) → when it was last used.
pub(super) const SECRET_USES: TableDefinition<'_, (u64, &str), u64> = TableDefinition::new("secret_uses");
/// Number → sealed event: the log.
pub(super) const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");
/// (webhook, event id) → (when it is due, sealed delivery).
pub(super) const OUTBOX: TableDefinition<'_, (&str, &str), (u64, &[u8])> = TableDefinition::new("outbox");
/// (webhook, when it is due, event id): what is delivered next.
pub(super) const OUTBOX_DUE: TableDefinition<'_, (&str, u64, &str), ()> = TableDefinition::new("outbox_due");
/// Name → sealed delivery: the dead letters.
pub(super) const DEAD: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("dead");
/// Counters: the last number given, by what is numbered.
pub(super) const COUNTERS: TableDefinition<'_, &str, u64> = TableDefinition::new("counters");
/// Rows that stand alone: the canary, a mark of each key that was ever the first, the mark of a clean end, the last audit entry's
/// number and hash, the floor, and how far our clock was when claims counted.
pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// (consumer number, token digest) → the latest timestamp ahead of our clock that was served.
pub(super) const AHEAD: TableDefinition<'_, (u64, &str), u64> = TableDefinition::new("ahead");
/// What [`AHEAD`] was at the last loss of nonces.
pub(super) const AHEAD_BEFORE: TableDefinition<'_, (u64, &str), u64> = TableDefinition::new("ahead_before");
/// Minute → nonces as 64-bit hashes, written at a clean end only.
pub(super) const NONCES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("nonces");

/// Hexadecimal digests all lie below it.
pub(super) const AFTER_ALL_DIGESTS: &str = "g";

/// The next number of a kind: positive, never given twice.
pub(super) fn next_number(transaction: &WriteTransaction, of: &str) -> Result<u64, StoreError> {
    let mut counters = transaction.open_table(COUNTERS).fault()?;
    let next = counters.get(of).fault()?.map_or(0, |last| last.value()) + 1;
    counters.insert(of, next).fault()?;
    Ok(next)
}

/// A row of [`META`] that holds a second, as eight octets.
pub(super) fn second(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
    row: &str,
) -> Result<Option<UnixSeconds>, StoreError> {
    let known = meta.get(row).fault()?.and_then(|row| row.value().try_into().ok());
    Ok(known.map(u64::from_le_bytes))
}

/// Writes such a row.
pub(super) fn set_second(
    meta: &mut Table<'_, &'static str, &'static [u8]>,
    row: &str,
    to: UnixSeconds,
) -> Result<(), StoreError> {
    meta.insert(row, to.to_le_bytes().as_slice()).fault()?;
    Ok(())
}
