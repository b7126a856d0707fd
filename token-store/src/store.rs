//! The one trait behind which state is kept; its verbs carry their guarantees.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use crate::change::Listener;
use crate::event::{Cursor, Delivery, Event, OutboxCounts, Recorder, Settled};
use crate::secret_use::SecretUses;
use crate::{
    Account, AccountId, AuditEntry, Claim, ConsumerId, ConsumerRecord, Delegated, IntegrationId, IntegrationPage,
    IntegrationQuery, LockoutKind, NewAccount, NewAuditEntry, NewConsumer, NonceClaim, Secret, SignInFailures,
    UnixSeconds, User, UserKind, UserToken,
};

/// Why the store could not do or find out. Never a statement about the records themselves.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Gone, hung, refusing, read-only, loading, full or otherwise not answering in time: 503.
    #[error("store unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store answered, but it is not the store that was known: emptied or replaced. 503 until it is restored or
    /// `countersign store init` says that it is new.
    #[error("store lost its identity: restore it, or run `countersign store init` if it is meant to be new")]
    IdentityLost,
    /// A record can't be read: foreign, of the wrong type, or not opened by any encryption key.
    #[error("unreadable record {0}")]
    Corrupt(String),
}

/// What a compare-and-set did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// Written; the record's new version.
    Done(u64),
    /// The record changed (or went) since it was read; nothing was written.
    Changed,
    /// Another record has that unique name; nothing was written.
    NameTaken,
}

/// How current what was read from a cache is. Shared by every reader; two relaxed loads on the hot path.
#[derive(Debug)]
pub struct Freshness {
    started: Instant,
    generation: AtomicU64,
    live_until: AtomicU64,
    beats: AtomicU64,
    beats_micros: AtomicU64,
}

impl Default for Freshness {
    #[expect(
        clippy::disallowed_methods,
        reason = "the base of this clock; whoever reads it brings the time"
    )]
    fn default() -> Self {
        Self {
            started: Instant::now(),
            generation: AtomicU64::new(0),
            live_until: AtomicU64::new(0),
            beats: AtomicU64::new(0),
            beats_micros: AtomicU64::new(0),
        }
    }
}

impl Freshness {
    /// `now` in milliseconds of this clock.
    pub fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.started).as_millis()).unwrap_or(u64::MAX)
    }

    /// Moves whenever anything read before may have changed.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether the feed of changes was heard recently enough, at `now_millis` of [`Freshness::millis`], for memory to be
    /// believed.
    pub fn is_live(&self, now_millis: u64) -> bool {
        now_millis < self.live_until.load(Ordering::Acquire)
    }

    /// Something changed: forget.
    pub fn bump(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// The feed was heard; memory may be believed until `until_millis` of [`Freshness::millis`] (`u64::MAX`: for ever, as with one process only).
    pub fn heard(&self, until_millis: u64) {
        self.live_until.store(until_millis, Ordering::Release);
    }

    /// A heartbeat was answered, after that time.
    pub fn beat(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.beats_micros.fetch_add(micros, Ordering::Relaxed);
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// Heartbeats that were answered, and how long they took in all; none where the store is in the process.
    pub fn beats(&self) -> (u64, Duration) {
        let micros = self.beats_micros.load(Ordering::Relaxed);
        (self.beats.load(Ordering::Relaxed), Duration::from_micros(micros))
    }
}

/// Where state is kept. Every method is cancel-safe in that a dropped call leaves no half-made change.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    // ---- consumers, integrations and their own tokens ----

    /// Makes a consumer, and its integration if one is given, in one change. `None`: the integration's name is taken.
    async fn create_consumer(&self, new: NewConsumer, now: UnixSeconds) -> Result<Option<ConsumerRecord>, StoreError>;

    /// Makes many with the numbers that they bring, for imports and load tests. Numbers, keys, names and tokens must be free:
    /// what is taken is found before anything is written. Numbers that are given later are greater. The embedded store makes
    /// all of them in one change; in Redis they are written a few hundred at a time, and a fault, or somebody who takes
    /// one of their names meanwhile, leaves those made that were written before.
    async fn create_consumers(&self, new: Vec<ConsumerRecord>) -> Result<(), StoreError>;

    /// By number.
    async fn consumer(&self, id: ConsumerId) -> Result<Option<Arc<ConsumerRecord>>, StoreError>;

    /// By `oauth_consumer_key`.
    async fn consumer_by_key(&self, key: &str) -> Result<Option<Arc<ConsumerRecord>>, StoreError>;

    /// By the integration's number.
    async fn consumer_by_integration(&self, id: IntegrationId) -> Result<Option<Arc<ConsumerRecord>>, StoreError>;

    /// By the integration's name, exactly.
    async fn consumer_by_name(&self, name: &str) -> Result<Option<Arc<ConsumerRecord>>, StoreError>;

    /// The consumer under which this `oauth_token` stands now, as its own token or as a delegated one.
    async fn consumer_of_token(&self, token: &str) -> Result<Option<ConsumerId>, StoreError>;

    /// Integrations, a page at a time.
    async fn list_integrations(&self, query: &IntegrationQuery) -> Result<IntegrationPage, StoreError>;

    /// All consumers that have an integration, in no order: what lists are made from.
    async fn integrations(&self) -> Result<Vec<ConsumerRecord>, StoreError>;

    /// Compare-and-set: writes the record if the stored version is still `record.version`, and moves the version by one.
    async fn update_consumer(&self, record: &ConsumerRecord) -> Result<Put, StoreError>;

    /// Deletes the consumer with its integration and all its tokens; `version` compares unless `None`.
    async fn delete_consumer(&self, id: ConsumerId, version: Option<u64>) -> Result<Put, StoreError>;

    /// Deletes an integration whose record can't be read, with all that points to it; `false`: there is none, or it can be.
    async fn drop_unreadable(&self, id: IntegrationId) -> Result<bool, StoreError>;

    /// Keeps when these secrets of a consumer were last used, where that is later than what is kept; others are forgotten.
    /// The record and its version stay as they are.
    async fn note_secret_uses(&self, id: ConsumerId, seen: &SecretUses) -> Result<(), StoreError>;

    /// When secrets of a consumer were last used, as far as that was noted.
    async fn secret_uses(&self, id: ConsumerId) -> Result<SecretUses, StoreError>;

    // ---- delegated tokens ----

    /// Keeps a new delegated token (`version` 0).
    async fn put_delegated(&self, new: &Delegated) -> Result<(), StoreError>;

    /// One delegated token of a consumer.
    async fn delegated(&self, consumer: ConsumerId, token: &str) -> Result<Option<Arc<Delegated>>, StoreError>;

    /// All delegated tokens of a consumer.
    async fn delegated_of(&self, consumer: ConsumerId) -> Result<Vec<Delegated>, StoreError>;

    /// The access tokens that a user delegated and that have not ended, in no order.
    async fn delegated_by(&self, user: User) -> Result<Vec<Delegated>, StoreError>;

    /// Compare-and-set: replaces the row named `token` by `row` (which may carry another token string), if the stored
    /// version is still `row.version`. At most one of any number of racing calls is [`Put::Done`].
    async fn replace_delegated(&self, token: &str, row: &Delegated) -> Result<Put, StoreError>;

    /// Deletes a delegated token; `false`: there was none.
    async fn delete_delegated(&self, consumer: ConsumerId, token: &str) -> Result<bool, StoreError>;

    // ---- nonces ----

    /// Claims a nonce: exactly one winner. Never retried.
    async fn claim_nonce(&self, claim: NonceClaim<'_>) -> Result<Claim, StoreError>;

    // ---- users' bearer tokens ----

    /// Keeps a bearer token.
    async fn put_user_token(&self, token: &UserToken) -> Result<(), StoreError>;

    /// By digest; expired ones may still be answered, the caller compares `expires_at`.
    async fn user_token(&self, digest: &str) -> Result<Option<Arc<UserToken>>, StoreError>;

    /// All tokens of a user.
    async fn user_tokens_of(&self, user: User) -> Result<Vec<UserToken>, StoreError>;

    /// Bearer tokens of all users, a page at a time: those that stand all along are met at least once. Answers where to go
    /// on; a page has about `limit` of them.
    async fn list_user_tokens(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<UserToken>, Option<String>), StoreError>;

    /// Deletes one token; `false`: there was none.
    async fn delete_user_token(&self, digest: &str) -> Result<bool, StoreError>;

    /// Ends all tokens of a user, in one change: the kept ones are deleted, and `revoked_before` moves on, so that those that
    /// are not kept and those that were delegated count no more. Answers how many there were of the kept and the delegated.
    async fn revoke_user_tokens(&self, user: User, now: UnixSeconds) -> Result<u64, StoreError>;

    /// When all tokens of the user last ended; 0: never. Each revocation moves it up, by a second at least: which it was
    /// issued under tells whether a token has ended, whatever the clocks say.
    async fn revoked_before(&self, user: User) -> Result<UnixSeconds, StoreError>;

    /// One bounded step of the sweep: deletes up to `limit` tokens of that kind with `expires_at` ≤ `now`.
    async fn sweep_user_tokens(&self, kind: UserKind, now: UnixSeconds, limit: usize) -> Result<u64, StoreError>;

    // ---- accounts ----

    /// Makes an account. `None`: the name is taken.
    async fn create_account(&self, new: NewAccount, now: UnixSeconds) -> Result<Option<Account>, StoreError>;

    /// Makes an account with a number that somebody else gave it, as a customer's is the storefront's. `None`: the name or
    /// the number is taken. Numbers that are given later by [`Store::create_account`] are greater.
    async fn create_account_as(
        &self,
        id: AccountId,
        new: NewAccount,
        now: UnixSeconds,
    ) -> Result<Option<Account>, StoreError>;

    /// Deletes an account; `version` compares unless `None`. Its tokens stand: [`Store::revoke_user_tokens`].
    async fn delete_account(&self, kind: UserKind, id: AccountId, version: Option<u64>) -> Result<Put, StoreError>;

    /// By number.
    async fn account(&self, kind: UserKind, id: AccountId) -> Result<Option<Arc<Account>>, StoreError>;

    /// By name.
    async fn account_by_name(&self, kind: UserKind, username: &str) -> Result<Option<Arc<Account>>, StoreError>;

    /// All accounts of a kind, by number.
    async fn accounts(&self, kind: UserKind) -> Result<Vec<Account>, StoreError>;

    /// Compare-and-set on `account.version`.
    async fn update_account(&self, account: &Account) -> Result<Put, StoreError>;

    // ---- failed sign-ins ----

    /// The failures of a name, unless they expired at `now`.
    async fn sign_in_failures(
        &self,
        kind: LockoutKind,
        name: &str,
        now: UnixSeconds,
    ) -> Result<Option<SignInFailures>, StoreError>;

    /// Counts one more, atomically across gateways, and moves `lock_expires_at` to `now` + `lock_secs`.
    async fn record_sign_in_failure(
        &self,
        kind: LockoutKind,
        name: &str,
        now: UnixSeconds,
        lock_secs: u64,
    ) -> Result<SignInFailures, StoreError>;

    /// A success: forget them.
    async fn clear_sign_in_failures(&self, kind: LockoutKind, name: &str) -> Result<(), StoreError>;

    /// One bounded step of the sweep: deletes up to `limit` with `lock_expires_at` ≤ `now`.
    async fn sweep_sign_in_failures(&self, now: UnixSeconds, limit: usize) -> Result<u64, StoreError>;

    // ---- audit ----

    /// Numbers, chains and appends. The entry of a change goes along with the change instead: [`crate::audit::noted`].
    async fn append_audit(&self, entry: NewAuditEntry) -> Result<AuditEntry, StoreError>;

    /// Entries with a number above `after`, in order, up to `limit`. One that is missing or can't be opened is left out.
    async fn audit(&self, after: u64, limit: usize) -> Result<Vec<AuditEntry>, StoreError>;

    /// How many entries there are: the number of the last that was appended, whether it still stands or not.
    async fn audit_length(&self) -> Result<u64, StoreError>;

    // ---- events ----

    /// Says what is recorded of changes from now on, each in the commit of its change. Once for a store.
    fn record_events(&self, recorder: Recorder);

    /// Records what is told of a bearer token that is issued and not kept, as a JWT is; for one that is kept
    /// [`Store::put_user_token`] does it.
    async fn tell_user_token(&self, token: &UserToken) -> Result<(), StoreError>;

    /// The place of the latest event in the log.
    async fn last_event(&self) -> Result<Cursor, StoreError>;

    /// Events behind a place in the log, in order, up to `limit`. What the log has dropped is passed over.
    async fn events(&self, after: Cursor, limit: usize) -> Result<Vec<(Cursor, Event)>, StoreError>;

    /// Deliveries to a webhook that are due at `now`, the longest due first. They stay until they are settled.
    async fn due_deliveries(&self, webhook: &str, now: UnixSeconds, limit: usize) -> Result<Vec<Delivery>, StoreError>;

    /// Takes a delivery out of the outbox, keeps it for another try, or moves it to the dead letters. `false`: it was gone.
    async fn settle_delivery(&self, delivery: &Delivery, settled: Settled) -> Result<bool, StoreError>;

    /// Dead letters whose [`Delivery::name`] is behind `after`, in order, up to `limit`.
    async fn dead_deliveries(&self, after: &str, limit: usize) -> Result<Vec<Delivery>, StoreError>;

    /// Moves a dead letter back to its outbox, due at `now` and as if it were never tried; the outbox keeps `most`.
    async fn replay_delivery(&self, name: &str, now: UnixSeconds, most: usize) -> Result<Option<Delivery>, StoreError>;

    /// How much waits for these webhooks, and is dead.
    async fn outbox_counts(&self, webhooks: &[String]) -> Result<OutboxCounts, StoreError>;

    // ---- the store itself ----

    /// Seals anew, with the first key, every row that another one sealed, in small steps; then the other keys may be dropped
    /// wherever the first is the same. Deliveries wait for `webhooks`. Answers how many rows it were.
    async fn reseal(&self, webhooks: &[String]) -> Result<u64, StoreError>;

    /// The secret of that name, which all gateways share: `fresh` where there was none yet. Of any number of racing calls
    /// all answer the same.
    async fn shared_secret(&self, name: &str, fresh: &Secret) -> Result<Secret, StoreError>;

    /// Takes or renews a named lease for `ttl_secs`; `false`: somebody else holds it. For sweeps.
    async fn lease(&self, name: &str, holder: &str, ttl_secs: u64) -> Result<bool, StoreError>;

    /// One round trip that shows the store alive, known and writable.
    async fn check(&self) -> Result<(), StoreError>;

    /// Requests up to this second are unsure from now on: an import brings tokens that were served elsewhere, with nonces
    /// that nobody knows here. Other gateways hear of it within a second.
    async fn raise_floor(&self, to: UnixSeconds) -> Result<(), StoreError>;

    /// Up to when every request is unsure, where that is further ahead than a loss or an import leaves it: a clock was ahead
    /// when it was written, or is behind now.
    fn unsure_until(&self, now: UnixSeconds) -> Option<UnixSeconds>;

    /// Says that a store which lost its identity is a new one (`countersign store init`), and that the opener's clock is
    /// right: where an embedded store's floor lies further ahead of it than any window, it is lowered. What was served by a
    /// clock that was right, or ahead by no more than the longest window, counts no second time; what was served while it
    /// was further ahead may, once that time comes.
    async fn init(&self) -> Result<(), StoreError>;

    /// How current cached reads are.
    fn freshness(&self) -> Arc<Freshness>;

    /// Adds a listener for changes, the gateway's own and those of others. It is called before [`Freshness::bump`], and for
    /// own writes before they are answered.
    fn on_change(&self, listener: Listener);

    /// Ends cleanly: what is kept in memory only is written where the next start finds it.
    async fn close(&self) -> Result<(), StoreError>;
}
