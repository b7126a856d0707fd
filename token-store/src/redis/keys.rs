//! The whole key layout, on one page.
//!
//! Records share one hash tag: names, keys and token strings are unique over all consumers, so one script must see them
//! all. Nonces are where the load is: each bucket is a tag of its own, and a Cluster spreads them over its nodes.
//!
//! | key | what |
//! |---|---|
//! | `{countersign}:store` | hash: `identity`, `canary` (sealed; holds the nonces' hash key), `origin`, `floor`, `floor_at`, `version` |
//! | `{countersign}:keys` | hash: the mark of each encryption key that was ever the first → sealed with it |
//! | `{countersign}:servers` | hash: a server's run id and replication id → when it was first seen |
//! | `{countersign}:ahead` | sorted set: consumer and token digest by the latest timestamp ahead of the clock that was served |
//! | `{countersign}:beat` | written by each gateway's heartbeat: shows that the server takes writes |
//! | `{countersign}:counters` | hash: the last number given, by what is numbered |
//! | `{countersign}:consumers` | hash: consumer number → sealed record |
//! | `{countersign}:consumer-keys`, `:names`, `:integrations`, `:tokens` | hashes: key, name, integration number, token digest → consumer number |
//! | `{countersign}:secret-uses` | hash: consumer number → when its secrets were last used, by their fingerprint (JSON) |
//! | `{countersign}:delegated:N` | hash of consumer N: token digest → sealed delegated token |
//! | `{countersign}:delegated-by:KIND:N` | set of the access tokens that a user delegated: consumer number, `:`, digest; may name one that is gone |
//! | `{countersign}:user-tokens` | hash: digest → sealed bearer token |
//! | `{countersign}:user-tokens-of:KIND:N`, `:user-tokens-until:KIND` | set of a user's digests; sorted set of digests by expiry |
//! | `{countersign}:revoked-before:KIND` | hash: user number → when all tokens of that user last ended |
//! | `{countersign}:secrets` | hash: name → sealed secret that all gateways share |
//! | `{countersign}:accounts:KIND`, `:account-names:KIND` | hashes: number → sealed account; name → number |
//! | `{countersign}:lockouts`, `:lockouts-until` | hash: kind and name → `count:expiry`; sorted set of the same by expiry |
//! | `{countersign}:audit` | hash: number → sealed entry; `last` → sealed number and hash of the last |
//! | `{countersign}:events` | stream: `id`, `event`, `at`, `data` (JSON) of what happened, cut to about `events.log` entries |
//! | `{countersign}:outbox:WEBHOOK`, `:outbox-order:WEBHOOK`, `:outbox-due:WEBHOOK` | hash: event id → sealed delivery; sorted sets of ids: by themselves, and by when they are due |
//! | `{countersign}:dead`, `:dead-order` | hash: event id and webhook → sealed delivery that was given up; sorted set of the same |
//! | `{countersign}:lease:NAME` | holder, expires by itself |
//! | `cs:{BBB}:MINUTE` | set of the nonces' 64-bit hashes of one bucket and minute (both hex), expires by itself |
//! | `cs:{BBB}:guard` | Cluster only: a random value on each node, to tell one that was emptied |
//!
//! Changes are published on the channel `{countersign}:changes:DB`.

use crate::{LockoutKind, User, UserKind};

pub(super) const STORE: &str = "{countersign}:store";
pub(super) const KEYS: &str = "{countersign}:keys";
pub(super) const SERVERS: &str = "{countersign}:servers";
pub(super) const AHEAD: &str = "{countersign}:ahead";
pub(super) const BEAT: &str = "{countersign}:beat";
pub(super) const COUNTERS: &str = "{countersign}:counters";
pub(super) const CONSUMERS: &str = "{countersign}:consumers";
pub(super) const CONSUMER_KEYS: &str = "{countersign}:consumer-keys";
pub(super) const NAMES: &str = "{countersign}:names";
pub(super) const INTEGRATIONS: &str = "{countersign}:integrations";
pub(super) const TOKENS: &str = "{countersign}:tokens";
pub(super) const USER_TOKENS: &str = "{countersign}:user-tokens";
pub(super) const SECRETS: &str = "{countersign}:secrets";
pub(super) const LOCKOUTS: &str = "{countersign}:lockouts";
pub(super) const LOCKOUTS_UNTIL: &str = "{countersign}:lockouts-until";
pub(super) const AUDIT: &str = "{countersign}:audit";

pub(super) const SECRET_USES: &str = "{countersign}:secret-uses";
pub(super) const EVENTS: &str = "{countersign}:events";
pub(super) const DEAD: &str = "{countersign}:dead";
pub(super) const DEAD_ORDER: &str = "{countersign}:dead-order";

/// A webhook's outbox: its rows, their order, when they are due.
pub(super) fn outbox(webhook: &str) -> [String; 3] {
    ["outbox", "outbox-order", "outbox-due"].map(|of| format!("{{countersign}}:{of}:{webhook}"))
}

pub(super) fn delegated(consumer: u64) -> String {
    format!("{{countersign}}:delegated:{consumer}")
}

pub(super) fn delegated_by(user: User) -> String {
    format!("{{countersign}}:delegated-by:{}:{}", kind_name(user.kind), user.id)
}

pub(super) fn user_tokens_of(kind: UserKind, id: u64) -> String {
    format!("{{countersign}}:user-tokens-of:{}:{id}", kind_name(kind))
}

pub(super) fn user_tokens_until(kind: UserKind) -> String {
    format!("{{countersign}}:user-tokens-until:{}", kind_name(kind))
}

pub(super) fn revoked_before(kind: UserKind) -> String {
    format!("{{countersign}}:revoked-before:{}", kind_name(kind))
}

pub(super) fn accounts(kind: UserKind) -> String {
    format!("{{countersign}}:accounts:{}", kind_name(kind))
}

pub(super) fn account_names(kind: UserKind) -> String {
    format!("{{countersign}}:account-names:{}", kind_name(kind))
}

pub(super) fn lease(name: &str) -> String {
    format!("{{countersign}}:lease:{name}")
}

pub(super) fn changes(db: i64) -> String {
    format!("{{countersign}}:changes:{db}")
}

/// A member of [`LOCKOUTS`].
pub(super) fn lockout(kind: LockoutKind, name: &str) -> String {
    match kind {
        LockoutKind::Admin => format!("admin:{name}"),
        LockoutKind::Customer => format!("customer:{name}"),
    }
}

pub(super) fn kind_name(kind: UserKind) -> &'static str {
    match kind {
        UserKind::Admin => "admin",
        UserKind::Customer => "customer",
    }
}

/// The nonces of one bucket and minute.
///
/// Each signed request names one: digits without the formatter, which takes as long as all else of a claim.
pub(super) fn nonces(bucket: u16, minute: u64) -> String {
    let mut key = String::with_capacity("cs:{BBB}:".len() + 16);
    key.push_str("cs:{");
    push_hex(&mut key, u64::from(bucket), 3);
    key.push_str("}:");
    push_hex(&mut key, minute, 1);
    key
}

/// At least so many digits.
fn push_hex(text: &mut String, number: u64, least: u32) {
    let digits = (u64::BITS - number.leading_zeros()).div_ceil(4).max(least);
    for place in (0..digits).rev() {
        let digit = u32::try_from((number >> (4 * place)) & 0xF).unwrap_or_default();
        text.extend(char::from_digit(digit, 16));
    }
}

pub(super) fn guard(bucket: u16) -> String {
    format!("cs:{{{bucket:03x}}}:guard")
}

/// The Cluster slot of a key: CRC-16 (XMODEM) of its hash tag, modulo 16384.
pub(super) fn slot(key: &str) -> u16 {
    let tag = key
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'))
        .map(|(tag, _)| tag)
        .filter(|tag| !tag.is_empty())
        .unwrap_or(key);
    let crc = tag.bytes().fold(0_u16, |crc, octet| {
        (0..8).fold(crc ^ (u16::from(octet) << 8), |crc, _| {
            if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x1021
            }
        })
    });
    crc % SLOTS
}

/// Slots of a Cluster.
pub(super) const SLOTS: u16 = 16384;
/// Buckets of nonces: 12 bits of the hash.
pub(super) const BUCKETS: u16 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_cluster_specification() {
        // From the specification's reference: CRC16("123456789") is 0x31C3.
        assert_eq!(slot("123456789"), 0x31C3 % SLOTS);
        // As `redis-cli cluster keyslot foo` answers.
        assert_eq!(slot("foo"), 12182);
        assert_eq!(slot("x{foo}y"), slot("foo"));
        assert_eq!(slot(STORE), slot(AUDIT));
        assert_eq!(slot(&nonces(0xa3f, 1)), slot(&guard(0xa3f)));
    }

    #[test]
    fn a_key_of_nonces_is_written_as_the_formatter_writes_it() {
        for bucket in [0, 1, 0x0F, 0x10, 0xA3F, 0xFFF] {
            for minute in [0, 1, 0xF, 0x10, 30_000_000, u64::MAX] {
                assert_eq!(nonces(bucket, minute), format!("cs:{{{bucket:03x}}}:{minute:x}"));
            }
        }
    }
}
