//! The embedded store: one file, one process, nothing to install.
//!
//! Durable rows in redb; one thread writes, and what waits together shares a sync. Nonces in memory (`nonces.rs`).

mod accounts;
mod ahead;
mod audit;
mod consumers;
mod delegated;
mod events;
mod file;
mod guard;
mod high_water;
pub mod inspect;
mod leases;
mod listed;
mod nonces;
mod open;
mod reseal;
mod secret_uses;
mod secrets;
mod tables;
mod users;
mod writer;

pub use self::file::NAME as FILE;
pub(crate) use self::high_water::REACH_SECS;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use redb::{ReadTransaction, WriteTransaction};

use self::ahead::Ahead;
use self::events::Pen;
use self::file::{Fault, StoreFile};
use self::high_water::HighWater;
use self::leases::Leases;
use self::listed::SaidOnce;
use self::nonces::{Nonces, started};
use self::tables::next_number;
use self::writer::{Writer, unavailable};
use crate::audit::Noting;
use crate::change::Listeners;
use crate::codec::token_digest;
use crate::event::{Cursor, Delivery, Event, Happening, OutboxCounts, Recorder, RecorderSlot, Settled};
use crate::nonce::far_ahead;
use crate::open::OpenError;
use crate::seal::Sealer;
use crate::secret_use::SecretUses;
use crate::{
    Account, AccountId, AuditEntry, Claim, ConsumerId, ConsumerRecord, Delegated, Freshness, IntegrationId,
    IntegrationPage, IntegrationQuery, Listener, LockoutKind, NewAccount, NewAuditEntry, NewConsumer, NonceClaim, Put,
    Secret, SignInFailures, Store, StoreError, UnixSeconds, User, UserKind, UserToken,
};

/// A store in a folder of this machine.
pub struct Embedded {
    file: Arc<StoreFile>,
    /// By the opener's clock.
    opened_at: UnixSeconds,
    writer: Writer,
    sealer: Arc<Sealer>,
    nonces: Nonces,
    high_water: HighWater,
    ahead: Ahead,
    leases: Leases,
    said: SaidOnce,
    listeners: Arc<Listeners>,
    freshness: Arc<Freshness>,
    recorder: Arc<RecorderSlot>,
    /// Nonces are being written down: what is claimed from now on would be lost.
    closing: AtomicBool,
}

impl Embedded {
    /// Opens or makes the store in `folder`. Without keys one is made beside it at the first start.
    pub fn open(folder: &Path, keys: &[[u8; 32]], now: UnixSeconds) -> Result<Self, OpenError> {
        let (file, sealer, nonces) = open::open(folder, keys, now)?;
        let (file, listeners, freshness) = (Arc::new(file), Arc::new(Listeners::default()), Arc::default());
        // One process writes: what it has read stays true until it changes it itself.
        Freshness::heard(&freshness, u64::MAX);
        let writer = Writer::start(Arc::clone(&file), Arc::clone(&listeners), Arc::clone(&freshness))
            .map_err(|error| OpenError::File(folder.display().to_string(), Box::new(error)))?;
        Ok(Self {
            file,
            opened_at: now,
            writer,
            sealer: Arc::new(sealer),
            nonces,
            high_water: HighWater::default(),
            ahead: Ahead::default(),
            leases: Leases::default(),
            said: SaidOnce::default(),
            listeners,
            freshness,
            recorder: Arc::default(),
            closing: AtomicBool::new(false),
        })
    }

    /// Requests up to this second may have been served before nonces were lost.
    pub(crate) fn floor(&self) -> UnixSeconds {
        self.nonces.floor()
    }

    fn read<T>(&self, read: impl FnOnce(&ReadTransaction, &Sealer) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.file.read(|transaction| read(transaction, &self.sealer))
    }

    fn by(
        &self,
        find: impl FnOnce(&ReadTransaction) -> Result<Option<u64>, StoreError>,
    ) -> Result<Option<Arc<ConsumerRecord>>, StoreError> {
        self.read(|transaction, sealer| match find(transaction)? {
            None => Ok(None),
            Some(id) => Ok(consumers::by_id(transaction, sealer, id)?.map(Arc::new)),
        })
    }

    /// Runs a change on the writer's thread, with the sealer at hand.
    async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&WriteTransaction, &Sealer) -> Result<(T, writer::Changes), StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let sealer = Arc::clone(&self.sealer);
        self.writer.write(move |transaction| job(transaction, &sealer)).await
    }

    /// The same for a change that is told of in events and noted in the audit log, in the same transaction.
    async fn tell<T: Send + 'static>(
        &self,
        job: impl FnOnce(Pen<'_>) -> Result<(T, writer::Changes), StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (recorder, noting) = (Arc::clone(&self.recorder), Noting::here());
        self.write(move |transaction, sealer| {
            job(Pen {
                transaction,
                sealer,
                recorder: &recorder,
                noting: noting.as_ref(),
            })
        })
        .await
    }
}

#[async_trait]
impl Store for Embedded {
    async fn create_consumer(&self, new: NewConsumer, now: UnixSeconds) -> Result<Option<ConsumerRecord>, StoreError> {
        self.tell(move |pen| consumers::create(pen, new, now)).await
    }

    async fn create_consumers(&self, new: Vec<ConsumerRecord>) -> Result<(), StoreError> {
        self.write(move |transaction, sealer| consumers::create_many(transaction, sealer, &new))
            .await
    }

    async fn consumer(&self, id: ConsumerId) -> Result<Option<Arc<ConsumerRecord>>, StoreError> {
        self.by(|_| Ok(Some(id.0)))
    }

    async fn consumer_by_key(&self, key: &str) -> Result<Option<Arc<ConsumerRecord>>, StoreError> {
        self.by(|transaction| consumers::id_of_key(transaction, key))
    }

    async fn consumer_by_integration(&self, id: IntegrationId) -> Result<Option<Arc<ConsumerRecord>>, StoreError> {
        self.by(|transaction| consumers::id_of_integration(transaction, id.0))
    }

    async fn consumer_by_name(&self, name: &str) -> Result<Option<Arc<ConsumerRecord>>, StoreError> {
        self.by(|transaction| consumers::id_of_name(transaction, name))
    }

    async fn consumer_of_token(&self, token: &str) -> Result<Option<ConsumerId>, StoreError> {
        self.read(|transaction, _| Ok(consumers::id_of_token(transaction, token)?.map(ConsumerId)))
    }

    async fn list_integrations(&self, query: &IntegrationQuery) -> Result<IntegrationPage, StoreError> {
        Ok(query.page(self.integrations().await?.iter()))
    }

    async fn integrations(&self) -> Result<Vec<ConsumerRecord>, StoreError> {
        self.read(consumers::integrations)
    }

    async fn update_consumer(&self, record: &ConsumerRecord) -> Result<Put, StoreError> {
        let record = record.clone();
        self.tell(move |pen| consumers::update(pen, record)).await
    }

    async fn delete_consumer(&self, id: ConsumerId, version: Option<u64>) -> Result<Put, StoreError> {
        self.tell(move |pen| consumers::delete(pen, id.0, version)).await
    }

    async fn drop_unreadable(&self, id: IntegrationId) -> Result<bool, StoreError> {
        self.write(move |transaction, sealer| consumers::drop_unreadable(transaction, sealer, id.0))
            .await
    }

    async fn note_secret_uses(&self, id: ConsumerId, seen: &SecretUses) -> Result<(), StoreError> {
        let seen = seen.clone();
        self.write(move |transaction, _| secret_uses::note(transaction, id.0, &seen))
            .await
    }

    async fn secret_uses(&self, id: ConsumerId) -> Result<SecretUses, StoreError> {
        self.read(|transaction, _| secret_uses::of(transaction, id.0))
    }

    async fn put_delegated(&self, new: &Delegated) -> Result<(), StoreError> {
        let new = new.clone();
        self.write(move |transaction, sealer| delegated::put(transaction, sealer, &new))
            .await
    }

    async fn delegated(&self, consumer: ConsumerId, token: &str) -> Result<Option<Arc<Delegated>>, StoreError> {
        self.read(|transaction, sealer| Ok(delegated::one(transaction, sealer, consumer.0, token)?.map(Arc::new)))
    }

    async fn delegated_of(&self, consumer: ConsumerId) -> Result<Vec<Delegated>, StoreError> {
        self.read(|transaction, sealer| delegated::of(transaction, sealer, consumer.0))
    }

    async fn delegated_by(&self, user: User) -> Result<Vec<Delegated>, StoreError> {
        self.read(|transaction, sealer| delegated::by(transaction, sealer, user))
    }

    async fn replace_delegated(&self, token: &str, row: &Delegated) -> Result<Put, StoreError> {
        let (token, row) = (token.to_owned(), row.clone());
        self.tell(move |pen| delegated::replace(pen, &token, row)).await
    }

    async fn delete_delegated(&self, consumer: ConsumerId, token: &str) -> Result<bool, StoreError> {
        let token = token.to_owned();
        self.tell(move |pen| delegated::delete(pen, consumer.0, &token)).await
    }

    async fn claim_nonce(&self, claim: NonceClaim<'_>) -> Result<Claim, StoreError> {
        let digest = claim.token.map(token_digest).unwrap_or_default();
        let found = self
            .nonces
            .claim(&claim, &digest, started())
            .map_err(|error| StoreError::Unavailable(Box::new(error)))?;
        if self.closing.load(Ordering::SeqCst) {
            return Err(unavailable("the store is closing"));
        }
        if found == Claim::Fresh {
            self.high_water.cover(&self.writer, claim.now).await?;
            if claim.timestamp > claim.now {
                let token = (claim.consumer.0, digest);
                self.ahead.remember(&self.writer, token, claim.timestamp).await?;
            }
        }
        Ok(found)
    }

    async fn put_user_token(&self, token: &UserToken) -> Result<(), StoreError> {
        let token = token.clone();
        self.tell(move |pen| users::put_token(pen, &token)).await
    }

    async fn user_token(&self, digest: &str) -> Result<Option<Arc<UserToken>>, StoreError> {
        self.read(|transaction, sealer| Ok(users::token(transaction, sealer, digest)?.map(Arc::new)))
    }

    async fn user_tokens_of(&self, user: User) -> Result<Vec<UserToken>, StoreError> {
        self.read(|transaction, sealer| users::tokens_of(transaction, sealer, user))
    }

    async fn list_user_tokens(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<UserToken>, Option<String>), StoreError> {
        self.read(|transaction, sealer| users::list_tokens(transaction, sealer, after.unwrap_or_default(), limit))
    }

    async fn delete_user_token(&self, digest: &str) -> Result<bool, StoreError> {
        let digest = digest.to_owned();
        self.tell(move |pen| users::delete_one_token(pen, &digest)).await
    }

    async fn revoke_user_tokens(&self, user: User, now: UnixSeconds) -> Result<u64, StoreError> {
        self.tell(move |pen| users::revoke_tokens_of(pen, user, now)).await
    }

    async fn revoked_before(&self, user: User) -> Result<UnixSeconds, StoreError> {
        self.read(|transaction, _| users::revoked_before(transaction, user))
    }

    async fn sweep_user_tokens(&self, kind: UserKind, now: UnixSeconds, limit: usize) -> Result<u64, StoreError> {
        self.write(move |transaction, _| users::sweep_tokens(transaction, kind, now, limit))
            .await
    }

    async fn create_account(&self, new: NewAccount, now: UnixSeconds) -> Result<Option<Account>, StoreError> {
        self.tell(move |pen| accounts::create(pen, (None, new), now)).await
    }

    async fn create_account_as(
        &self,
        id: AccountId,
        new: NewAccount,
        now: UnixSeconds,
    ) -> Result<Option<Account>, StoreError> {
        self.tell(move |pen| accounts::create(pen, (Some(id.0), new), now))
            .await
    }

    async fn delete_account(&self, kind: UserKind, id: AccountId, version: Option<u64>) -> Result<Put, StoreError> {
        self.tell(move |pen| accounts::delete(pen, (kind, id.0), version)).await
    }

    async fn account(&self, kind: UserKind, id: AccountId) -> Result<Option<Arc<Account>>, StoreError> {
        self.read(|transaction, sealer| Ok(accounts::by_id(transaction, sealer, kind, id.0)?.map(Arc::new)))
    }

    async fn account_by_name(&self, kind: UserKind, username: &str) -> Result<Option<Arc<Account>>, StoreError> {
        self.read(|transaction, sealer| Ok(accounts::by_name(transaction, sealer, kind, username)?.map(Arc::new)))
    }

    async fn accounts(&self, kind: UserKind) -> Result<Vec<Account>, StoreError> {
        self.read(|transaction, sealer| accounts::all(transaction, sealer, kind))
    }

    async fn update_account(&self, account: &Account) -> Result<Put, StoreError> {
        let account = account.clone();
        self.tell(move |pen| accounts::update(pen, account)).await
    }

    async fn sign_in_failures(
        &self,
        kind: LockoutKind,
        name: &str,
        now: UnixSeconds,
    ) -> Result<Option<SignInFailures>, StoreError> {
        self.read(|transaction, _| users::failures(transaction, kind, name, now))
    }

    async fn record_sign_in_failure(
        &self,
        kind: LockoutKind,
        name: &str,
        now: UnixSeconds,
        lock_secs: u64,
    ) -> Result<SignInFailures, StoreError> {
        let name = name.to_owned();
        self.write(move |transaction, _| users::record_failure(transaction, kind, &name, now, lock_secs))
            .await
    }

    async fn clear_sign_in_failures(&self, kind: LockoutKind, name: &str) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.write(move |transaction, _| users::clear_failures(transaction, kind, &name))
            .await
    }

    async fn sweep_sign_in_failures(&self, now: UnixSeconds, limit: usize) -> Result<u64, StoreError> {
        self.write(move |transaction, _| users::sweep_failures(transaction, now, limit))
            .await
    }

    async fn append_audit(&self, entry: NewAuditEntry) -> Result<AuditEntry, StoreError> {
        self.write(move |transaction, sealer| audit::append(transaction, sealer, entry))
            .await
    }

    async fn audit(&self, after: u64, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        self.read(|transaction, sealer| audit::read(transaction, sealer, after, limit))
    }

    async fn audit_length(&self) -> Result<u64, StoreError> {
        self.read(audit::length)
    }

    async fn tell_user_token(&self, token: &UserToken) -> Result<(), StoreError> {
        let token = token.clone();
        self.tell(move |pen| {
            pen.record(&Happening::UserToken(&token))?;
            Ok(((), Vec::new()))
        })
        .await
    }

    async fn last_event(&self) -> Result<Cursor, StoreError> {
        self.read(|transaction, _| events::last(transaction))
    }

    async fn events(&self, after: Cursor, limit: usize) -> Result<Vec<(Cursor, Event)>, StoreError> {
        self.read(|transaction, sealer| events::after(transaction, sealer, &self.said, after, limit))
    }

    async fn due_deliveries(&self, webhook: &str, now: UnixSeconds, limit: usize) -> Result<Vec<Delivery>, StoreError> {
        self.read(|transaction, sealer| events::due(transaction, sealer, &self.said, webhook, (now, limit)))
    }

    async fn settle_delivery(&self, delivery: &Delivery, settled: Settled) -> Result<bool, StoreError> {
        let delivery = delivery.clone();
        self.write(move |transaction, sealer| events::settle(transaction, sealer, &delivery, settled))
            .await
    }

    async fn dead_deliveries(&self, after: &str, limit: usize) -> Result<Vec<Delivery>, StoreError> {
        self.read(|transaction, sealer| events::dead(transaction, sealer, after, limit))
    }

    async fn replay_delivery(&self, name: &str, now: UnixSeconds, most: usize) -> Result<Option<Delivery>, StoreError> {
        let name = name.to_owned();
        self.write(move |transaction, sealer| events::replay(transaction, sealer, &name, (now, most)))
            .await
    }

    async fn outbox_counts(&self, webhooks: &[String]) -> Result<OutboxCounts, StoreError> {
        self.read(|transaction, _| events::counts(transaction, webhooks))
    }

    async fn reseal(&self, _webhooks: &[String]) -> Result<u64, StoreError> {
        reseal::all(self).await
    }

    fn record_events(&self, recorder: Recorder) {
        self.recorder.set(recorder);
    }

    async fn lease(&self, name: &str, holder: &str, ttl_secs: u64) -> Result<bool, StoreError> {
        Ok(self.leases.take(name, holder, ttl_secs, started()))
    }

    async fn shared_secret(&self, name: &str, fresh: &Secret) -> Result<Secret, StoreError> {
        let (name, fresh) = (name.to_owned(), fresh.clone());
        self.write(move |transaction, sealer| secrets::shared(transaction, sealer, &name, fresh))
            .await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.write(|transaction, _| Ok((open::check(transaction)?, Vec::new())))
            .await
    }

    async fn raise_floor(&self, to: UnixSeconds) -> Result<(), StoreError> {
        self.write(move |transaction, _| Ok((open::raise_floor(transaction, to)?, Vec::new())))
            .await?;
        self.nonces.raise_floor(to);
        Ok(())
    }

    fn unsure_until(&self, now: UnixSeconds) -> Option<UnixSeconds> {
        far_ahead(self.nonces.floor(), now)
    }

    async fn init(&self) -> Result<(), StoreError> {
        // The file is the store, a new folder a new one: what can be wrong in it is only what a clock said.
        let now = self.opened_at;
        let floor = self
            .write(move |transaction, _| Ok((open::lower_floor(transaction, now)?, Vec::new())))
            .await?;
        self.nonces.set_floor(floor);
        self.high_water.forget();
        Ok(())
    }

    fn freshness(&self) -> Arc<Freshness> {
        Arc::clone(&self.freshness)
    }

    fn on_change(&self, listener: Listener) {
        self.listeners.add(listener);
    }

    async fn close(&self) -> Result<(), StoreError> {
        // A claim looks at this after it was kept: either it is in what is written now, or it doesn't count.
        self.closing.store(true, Ordering::SeqCst);
        if self.writer.has_stopped() {
            return Ok(());
        }
        let kept = self.nonces.kept();
        self.write(move |transaction, _| {
            open::write_down(transaction, &kept)?;
            Ok(((), Vec::new()))
        })
        .await?;
        self.writer.stop().await;
        self.file.close();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
