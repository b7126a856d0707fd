//! A read cache in front of either backend: consumers, delegated tokens, bearer tokens and accounts, by what they are asked
//! for. Bounded; filled only with what was read; emptied by the change itself.
//!
//! A fill that races a change must lose: a reader notes how many changes were heard before it reads, and what it read is kept
//! only if none was heard meanwhile. While the feed of changes is silent, everything is read through.

mod directory;
mod kept;

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use quick_cache::sync::Cache;

use self::kept::{Kept, absent_account, absent_consumer, absent_delegated, absent_user_token};
use crate::codec::token_digest;
use crate::event::{Cursor, Delivery, Event, OutboxCounts, Recorder, Settled};
use crate::secret_use::SecretUses;
use crate::{
    Account, AccountId, AuditEntry, Claim, ConsumerId, ConsumerRecord, Delegated, Freshness, IntegrationId,
    IntegrationPage, IntegrationQuery, Listener, LockoutKind, NewAccount, NewAuditEntry, NewConsumer, NonceClaim, Put,
    Secret, SignInFailures, Store, StoreError, UnixSeconds, User, UserKind, UserToken,
};

/// The cache and what it stands in front of.
pub struct Cached {
    inner: Arc<dyn Store>,
    kept: Arc<Kept>,
    freshness: Arc<Freshness>,
}

impl Cached {
    /// With at most `entries` of each kind.
    pub fn new(inner: Arc<dyn Store>, entries: usize) -> Self {
        let kept = Arc::new(Kept::new(entries));
        let forgetting = Arc::clone(&kept);
        inner.on_change(Box::new(move |change| forgetting.forget(change)));
        let freshness = inner.freshness();
        Self { inner, kept, freshness }
    }

    /// What memory has, if it may be believed now.
    fn in_memory<K, V, Q>(&self, cache: &Cache<K, Arc<V>>, key: &Q) -> Option<Arc<V>>
    where
        K: std::hash::Hash + Eq,
        Q: std::hash::Hash + quick_cache::Equivalent<K> + ?Sized,
    {
        self.is_live().then(|| cache.get(key)).flatten()
    }

    /// What memory has, or what `read` finds; `name` stands for the thing in the memory of absences.
    async fn through<K, V, F>(
        &self,
        cache: &Cache<K, Arc<V>>,
        key: K,
        name: String,
        read: F,
    ) -> Result<Option<Arc<V>>, StoreError>
    where
        K: std::hash::Hash + Eq + Clone + Send + Sync,
        V: Send + Sync,
        F: Future<Output = Result<Option<Arc<V>>, StoreError>> + Send,
    {
        let live = self.is_live();
        if live {
            if let Some(found) = cache.get(&key) {
                return Ok(Some(found));
            }
            if self
                .kept
                .absent
                .get(&name)
                .is_some_and(|since| since.elapsed() < ABSENT_FOR)
            {
                return Ok(None);
            }
        }
        let heard = *self.kept.heard();
        let found = read.await?;
        if live {
            let unchanged = self.kept.heard();
            if *unchanged == heard {
                match &found {
                    Some(value) => cache.insert(key, Arc::clone(value)),
                    None => self.kept.absent.insert(name, Self::now()),
                }
            }
        }
        Ok(found)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "how long an absence is believed, in the cache's own time"
    )]
    fn now() -> Instant {
        Instant::now()
    }

    fn is_live(&self) -> bool {
        self.freshness.is_live(self.freshness.millis(Self::now()))
    }
}

#[async_trait]
impl Store for Cached {
    async fn create_consumer(&self, new: NewConsumer, now: UnixSeconds) -> Result<Option<ConsumerRecord>, StoreError> {
        self.inner.create_consumer(new, now).await
    }

    async fn create_consumers(&self, new: Vec<ConsumerRecord>) -> Result<(), StoreError> {
        self.inner.create_consumers(new).await
    }

    async fn consumer(&self, id: ConsumerId) -> Result<Option<Arc<ConsumerRecord>>, StoreError> {
        self.inner.consumer(id).await
    }

    async fn consumer_by_key(&self, key: &str) -> Result<Option<Arc<ConsumerRecord>>, StoreError> {
        let read = self.inner.consumer_by_key(key);
        self.through(&self.kept.consumers, key.to_owned(), absent_consumer(key), read)
            .await
    }

    async fn consumer_by_integration(&self, id: IntegrationId) -> Result<Option<Arc<ConsumerRecord>>, StoreError> {
        self.inner.consumer_by_integration(id).await
    }

    async fn consumer_by_name(&self, name: &str) -> Result<Option<Arc<ConsumerRecord>>, StoreError> {
        self.inner.consumer_by_name(name).await
    }

    async fn consumer_of_token(&self, token: &str) -> Result<Option<ConsumerId>, StoreError> {
        self.inner.consumer_of_token(token).await
    }

    async fn list_integrations(&self, query: &IntegrationQuery) -> Result<IntegrationPage, StoreError> {
        if !self.is_live() {
            return self.inner.list_integrations(query).await;
        }
        self.kept.directory.list(&*self.inner, query).await
    }

    async fn integrations(&self) -> Result<Vec<ConsumerRecord>, StoreError> {
        self.inner.integrations().await
    }

    async fn update_consumer(&self, record: &ConsumerRecord) -> Result<Put, StoreError> {
        self.inner.update_consumer(record).await
    }

    async fn delete_consumer(&self, id: ConsumerId, version: Option<u64>) -> Result<Put, StoreError> {
        self.inner.delete_consumer(id, version).await
    }

    async fn drop_unreadable(&self, id: IntegrationId) -> Result<bool, StoreError> {
        self.inner.drop_unreadable(id).await
    }

    async fn note_secret_uses(&self, id: ConsumerId, seen: &SecretUses) -> Result<(), StoreError> {
        self.inner.note_secret_uses(id, seen).await
    }

    async fn secret_uses(&self, id: ConsumerId) -> Result<SecretUses, StoreError> {
        self.inner.secret_uses(id).await
    }

    async fn put_delegated(&self, new: &Delegated) -> Result<(), StoreError> {
        self.inner.put_delegated(new).await
    }

    async fn delegated(&self, consumer: ConsumerId, token: &str) -> Result<Option<Arc<Delegated>>, StoreError> {
        let digest = token_digest(token);
        let name = absent_delegated(consumer, &digest);
        self.through(
            &self.kept.delegated,
            (consumer.0, digest),
            name,
            self.inner.delegated(consumer, token),
        )
        .await
    }

    async fn delegated_of(&self, consumer: ConsumerId) -> Result<Vec<Delegated>, StoreError> {
        self.inner.delegated_of(consumer).await
    }

    async fn delegated_by(&self, user: User) -> Result<Vec<Delegated>, StoreError> {
        self.inner.delegated_by(user).await
    }

    async fn replace_delegated(&self, token: &str, row: &Delegated) -> Result<Put, StoreError> {
        self.inner.replace_delegated(token, row).await
    }

    async fn delete_delegated(&self, consumer: ConsumerId, token: &str) -> Result<bool, StoreError> {
        self.inner.delete_delegated(consumer, token).await
    }

    // Handed on as it is: in a future of its own, each signed request would pay for one more box.
    fn claim_nonce<'store, 'claim, 'both>(
        &'store self,
        claim: NonceClaim<'claim>,
    ) -> Pin<Box<dyn Future<Output = Result<Claim, StoreError>> + Send + 'both>>
    where
        'store: 'both,
        'claim: 'both,
        Self: 'both,
    {
        self.inner.claim_nonce(claim)
    }

    async fn put_user_token(&self, token: &UserToken) -> Result<(), StoreError> {
        self.inner.put_user_token(token).await
    }

    async fn user_token(&self, digest: &str) -> Result<Option<Arc<UserToken>>, StoreError> {
        if let Some(found) = self.in_memory(&self.kept.user_tokens, digest) {
            return Ok(Some(found));
        }
        let read = self.inner.user_token(digest);
        self.through(
            &self.kept.user_tokens,
            digest.to_owned(),
            absent_user_token(digest),
            read,
        )
        .await
    }

    async fn user_tokens_of(&self, user: User) -> Result<Vec<UserToken>, StoreError> {
        self.inner.user_tokens_of(user).await
    }

    async fn list_user_tokens(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<UserToken>, Option<String>), StoreError> {
        self.inner.list_user_tokens(after, limit).await
    }

    async fn delete_user_token(&self, digest: &str) -> Result<bool, StoreError> {
        self.inner.delete_user_token(digest).await
    }

    async fn revoke_user_tokens(&self, user: User, now: UnixSeconds) -> Result<u64, StoreError> {
        self.inner.revoke_user_tokens(user, now).await
    }

    async fn revoked_before(&self, user: User) -> Result<UnixSeconds, StoreError> {
        if let Some(found) = self.in_memory(&self.kept.revocations, &user) {
            return Ok(*found);
        }
        // Always answered, so that also a user who never revoked anything costs the store nothing.
        let read = async { Ok(Some(Arc::new(self.inner.revoked_before(user).await?))) };
        let found = self.through(&self.kept.revocations, user, String::new(), read).await?;
        Ok(found.map_or(0, |second| *second))
    }

    async fn sweep_user_tokens(&self, kind: UserKind, now: UnixSeconds, limit: usize) -> Result<u64, StoreError> {
        self.inner.sweep_user_tokens(kind, now, limit).await
    }

    async fn create_account(&self, new: NewAccount, now: UnixSeconds) -> Result<Option<Account>, StoreError> {
        self.inner.create_account(new, now).await
    }

    async fn create_account_as(
        &self,
        id: AccountId,
        new: NewAccount,
        now: UnixSeconds,
    ) -> Result<Option<Account>, StoreError> {
        self.inner.create_account_as(id, new, now).await
    }

    async fn delete_account(&self, kind: UserKind, id: AccountId, version: Option<u64>) -> Result<Put, StoreError> {
        self.inner.delete_account(kind, id, version).await
    }

    async fn account(&self, kind: UserKind, id: AccountId) -> Result<Option<Arc<Account>>, StoreError> {
        if let Some(found) = self.in_memory(&self.kept.accounts, &(kind, id.0)) {
            return Ok(Some(found));
        }
        let read = self.inner.account(kind, id);
        self.through(&self.kept.accounts, (kind, id.0), absent_account(kind, id.0), read)
            .await
    }

    async fn account_by_name(&self, kind: UserKind, username: &str) -> Result<Option<Arc<Account>>, StoreError> {
        self.inner.account_by_name(kind, username).await
    }

    async fn accounts(&self, kind: UserKind) -> Result<Vec<Account>, StoreError> {
        self.inner.accounts(kind).await
    }

    async fn update_account(&self, account: &Account) -> Result<Put, StoreError> {
        self.inner.update_account(account).await
    }

    async fn sign_in_failures(
        &self,
        kind: LockoutKind,
        name: &str,
        now: UnixSeconds,
    ) -> Result<Option<SignInFailures>, StoreError> {
        self.inner.sign_in_failures(kind, name, now).await
    }

    async fn record_sign_in_failure(
        &self,
        kind: LockoutKind,
        name: &str,
        now: UnixSeconds,
        lock_secs: u64,
    ) -> Result<SignInFailures, StoreError> {
        self.inner.record_sign_in_failure(kind, name, now, lock_secs).await
    }

    async fn clear_sign_in_failures(&self, kind: LockoutKind, name: &str) -> Result<(), StoreError> {
        self.inner.clear_sign_in_failures(kind, name).await
    }

    async fn sweep_sign_in_failures(&self, now: UnixSeconds, limit: usize) -> Result<u64, StoreError> {
        self.inner.sweep_sign_in_failures(now, limit).await
    }

    async fn append_audit(&self, entry: NewAuditEntry) -> Result<AuditEntry, StoreError> {
        self.inner.append_audit(entry).await
    }

    async fn audit(&self, after: u64, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        self.inner.audit(after, limit).await
    }

    async fn audit_length(&self) -> Result<u64, StoreError> {
        self.inner.audit_length().await
    }

    async fn tell_user_token(&self, token: &UserToken) -> Result<(), StoreError> {
        self.inner.tell_user_token(token).await
    }

    async fn last_event(&self) -> Result<Cursor, StoreError> {
        self.inner.last_event().await
    }

    async fn events(&self, after: Cursor, limit: usize) -> Result<Vec<(Cursor, Event)>, StoreError> {
        self.inner.events(after, limit).await
    }

    async fn due_deliveries(&self, webhook: &str, now: UnixSeconds, limit: usize) -> Result<Vec<Delivery>, StoreError> {
        self.inner.due_deliveries(webhook, now, limit).await
    }

    async fn settle_delivery(&self, delivery: &Delivery, settled: Settled) -> Result<bool, StoreError> {
        self.inner.settle_delivery(delivery, settled).await
    }

    async fn dead_deliveries(&self, after: &str, limit: usize) -> Result<Vec<Delivery>, StoreError> {
        self.inner.dead_deliveries(after, limit).await
    }

    async fn replay_delivery(&self, name: &str, now: UnixSeconds, most: usize) -> Result<Option<Delivery>, StoreError> {
        self.inner.replay_delivery(name, now, most).await
    }

    async fn reseal(&self, webhooks: &[String]) -> Result<u64, StoreError> {
        // The records stay what they are.
        self.inner.reseal(webhooks).await
    }

    async fn outbox_counts(&self, webhooks: &[String]) -> Result<OutboxCounts, StoreError> {
        self.inner.outbox_counts(webhooks).await
    }

    fn record_events(&self, recorder: Recorder) {
        self.inner.record_events(recorder);
    }

    async fn lease(&self, name: &str, holder: &str, ttl_secs: u64) -> Result<bool, StoreError> {
        self.inner.lease(name, holder, ttl_secs).await
    }

    async fn shared_secret(&self, name: &str, fresh: &Secret) -> Result<Secret, StoreError> {
        self.inner.shared_secret(name, fresh).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.inner.check().await
    }

    async fn raise_floor(&self, to: UnixSeconds) -> Result<(), StoreError> {
        self.inner.raise_floor(to).await
    }

    fn unsure_until(&self, now: UnixSeconds) -> Option<UnixSeconds> {
        self.inner.unsure_until(now)
    }

    async fn init(&self) -> Result<(), StoreError> {
        self.inner.init().await
    }

    fn freshness(&self) -> Arc<Freshness> {
        self.inner.freshness()
    }

    fn on_change(&self, listener: Listener) {
        self.inner.on_change(listener);
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }
}

/// How long an absence is believed.
const ABSENT_FOR: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
