//! The Redis backend: one server, a primary behind Sentinels, or a Cluster.
//!
//! Records are read and written by scripts through a pool, on the store's own thread. Nonces are claimed on lanes: one
//! connection for each thread that serves and each primary. The feed hears changes and meets servers.

mod accounts;
mod address;
mod audit;
mod consumers;
mod delegated;
mod events;
mod feed;
mod inspect;
mod keys;
mod lane;
mod meet;
mod memory;
mod nodes;
mod nonces;
mod pool;
mod records;
mod reseal;
mod script;
#[cfg(test)]
mod tests;
mod users;
mod wire;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

pub use self::inspect::{Inspected, Obstacle, Settings, inspect, inspect_keys};

use self::address::Address;
use self::feed::Feed;
use self::keys::{CONSUMER_KEYS, INTEGRATIONS, NAMES};
use self::meet::{Absent, MeetError};
use self::memory::{Shared, State, unavailable};
use self::nodes::{Dialer, server_info};
use self::records::Records;
use self::script::{BEAT, LEASE};
use crate::event::{Cursor, Delivery, Event, Happening, OutboxCounts, Recorder, Settled};
use crate::nonce::far_ahead;
use crate::seal::Sealer;
use crate::secret_use::SecretUses;
use crate::{
    Account, AccountId, AuditEntry, Claim, ConsumerId, ConsumerRecord, Delegated, Freshness, IntegrationId,
    IntegrationPage, IntegrationQuery, Listener, LockoutKind, NewAccount, NewAuditEntry, NewConsumer, NonceClaim,
    OpenError, OpenOptions, Put, Secret, SignInFailures, Store, StoreError, UnixSeconds, User, UserKind, UserToken,
};

/// A store in Redis.
struct Redis {
    records: Records,
}

impl Drop for Redis {
    fn drop(&mut self) {
        // The store's thread sees it within a heartbeat and ends.
        self.records.shared.closed.store(true, Ordering::Release);
    }
}

/// Why a URL names no store in Redis, for who has not opened it yet; `None`: it names one.
pub fn fault_of_url(url: &str) -> Option<String> {
    match Address::parse(url) {
        Ok(_) => None,
        Err(OpenError::BadUrl(_, why)) => Some(why),
        Err(other) => Some(other.to_string()),
    }
}

/// Opens by URL. A server that is not reached is no fault: the store answers that it is unavailable until it is.
pub async fn open(options: &OpenOptions) -> Result<Arc<dyn Store>, OpenError> {
    let address = Address::parse(&options.url)?;
    let sealer = Sealer::new(&options.encryption_keys).map_err(|_| OpenError::KeyNeeded)?;
    let dialer = Dialer::new(address, options.timeout, options.connect_timeout);
    let shared = Arc::new(Shared::new(dialer, sealer));
    let (opened, outcome) = oneshot::channel();
    let on_thread = Arc::clone(&shared);
    std::thread::Builder::new()
        .name("store-redis".to_owned())
        .spawn(move || run(on_thread, opened))
        .map_err(|error| OpenError::File("a thread for the store".to_owned(), Box::new(error)))?;
    let runtime = outcome.await.map_err(|_| unavailable("the store's thread ended"))??;
    wait_until_it_serves(&shared).await;
    let records = Records::new(shared, runtime);
    Ok(Arc::new(Redis { records }))
}

/// The store's thread: meets the server, then follows it until the store is dropped.
fn run(shared: Arc<Shared>, opened: oneshot::Sender<Result<Handle, OpenError>>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let error = OpenError::File("a runtime for the store".to_owned(), Box::new(error));
            drop(opened.send(Err(error)));
            return;
        }
    };
    runtime.block_on(async {
        let met = match Feed::meet(&shared, None, Absent::Make).await {
            Ok(mut feed) => feed.check_keys().await.map(|()| feed),
            Err(error) => Err(error),
        };
        let first = match met {
            Ok(feed) => Some(feed),
            Err(MeetError::WrongKey) => {
                drop(opened.send(Err(OpenError::WrongKey)));
                return;
            }
            Err(MeetError::KeyMissing) => {
                drop(opened.send(Err(OpenError::KeyMissing)));
                return;
            }
            Err(error @ MeetError::Evicts(_)) => {
                drop(opened.send(Err(OpenError::Unsafe(error.to_string()))));
                return;
            }
            Err(error @ MeetError::Lost) => {
                shared.set(State::Lost);
                tracing::error!(%error, "the store holds what an earlier one left, and serves nobody");
                None
            }
            Err(error) => {
                tracing::warn!(%error, "the store is not reached yet; trying on");
                None
            }
        };
        if opened.send(Ok(Handle::current())).is_err() {
            return;
        }
        let identity = first.as_ref().and_then(|feed| feed.identity().cloned());
        feed::run(shared, first, identity).await;
    });
}

/// After a loss, or in a new store, nothing counts for a second or two: the start waits that out, a client need not.
async fn wait_until_it_serves(shared: &Shared) {
    let serves = || match &**shared.load() {
        State::Known(known) => known.settled && known.clock.now(now()) > known.floor,
        // There is nothing to wait for.
        State::Unreached { .. } | State::Lost => true,
    };
    let deadline = now() + START;
    while !serves() && now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// In a Cluster each primary holds a part of the nonces: with one of them gone, or no primary any more, a part of all requests
/// is 503.
async fn whole(shared: &Shared) -> Result<(), StoreError> {
    let known = shared.known()?;
    for node in known.map.nodes().iter().filter(|_| known.map.is_cluster()) {
        let asked = async { server_info(&mut shared.dialer.connect(node, |_| ()).await?).await };
        asked.await.map_err(pool::of_redis)?;
    }
    Ok(())
}

#[async_trait]
impl Store for Redis {
    async fn create_consumer(&self, new: NewConsumer, now: UnixSeconds) -> Result<Option<ConsumerRecord>, StoreError> {
        consumers::create(&self.records, new, now).await
    }

    async fn create_consumers(&self, new: Vec<ConsumerRecord>) -> Result<(), StoreError> {
        consumers::create_many(&self.records, &new).await
    }

    async fn consumer(&self, id: ConsumerId) -> Result<Option<Arc<ConsumerRecord>>, StoreError> {
        Ok(consumers::by_id(&self.records, id.0).await?.map(Arc::new))
    }

    async fn consumer_by_key(&self, key: &str) -> Result<Option<Arc<ConsumerRecord>>, StoreError> {
        Ok(consumers::by(&self.records, CONSUMER_KEYS, key).await?.map(Arc::new))
    }

    async fn consumer_by_integration(&self, id: IntegrationId) -> Result<Option<Arc<ConsumerRecord>>, StoreError> {
        let found = consumers::by(&self.records, INTEGRATIONS, &id.0.to_string()).await?;
        Ok(found.map(Arc::new))
    }

    async fn consumer_by_name(&self, name: &str) -> Result<Option<Arc<ConsumerRecord>>, StoreError> {
        Ok(consumers::by(&self.records, NAMES, name).await?.map(Arc::new))
    }

    async fn consumer_of_token(&self, token: &str) -> Result<Option<ConsumerId>, StoreError> {
        Ok(consumers::of_token(&self.records, token).await?.map(ConsumerId))
    }

    async fn list_integrations(&self, query: &IntegrationQuery) -> Result<IntegrationPage, StoreError> {
        Ok(query.page(self.integrations().await?.iter()))
    }

    async fn integrations(&self) -> Result<Vec<ConsumerRecord>, StoreError> {
        consumers::integrations(&self.records).await
    }

    async fn update_consumer(&self, record: &ConsumerRecord) -> Result<Put, StoreError> {
        consumers::update(&self.records, record).await
    }

    async fn delete_consumer(&self, id: ConsumerId, version: Option<u64>) -> Result<Put, StoreError> {
        consumers::delete(&self.records, id.0, version).await
    }

    async fn drop_unreadable(&self, id: IntegrationId) -> Result<bool, StoreError> {
        consumers::drop_unreadable(&self.records, id.0).await
    }

    async fn note_secret_uses(&self, id: ConsumerId, seen: &SecretUses) -> Result<(), StoreError> {
        consumers::note_secret_uses(&self.records, id.0, seen).await
    }

    async fn secret_uses(&self, id: ConsumerId) -> Result<SecretUses, StoreError> {
        Ok(consumers::secret_uses(&self.records, id.0).await?.1)
    }

    async fn put_delegated(&self, new: &Delegated) -> Result<(), StoreError> {
        delegated::put(&self.records, new).await
    }

    async fn delegated(&self, consumer: ConsumerId, token: &str) -> Result<Option<Arc<Delegated>>, StoreError> {
        Ok(delegated::one(&self.records, consumer.0, token).await?.map(Arc::new))
    }

    async fn delegated_of(&self, consumer: ConsumerId) -> Result<Vec<Delegated>, StoreError> {
        delegated::of(&self.records, consumer.0).await
    }

    async fn delegated_by(&self, user: User) -> Result<Vec<Delegated>, StoreError> {
        let revoked_before = users::revoked_before(&self.records, user).await?;
        delegated::by(&self.records, user, revoked_before).await
    }

    async fn replace_delegated(&self, token: &str, row: &Delegated) -> Result<Put, StoreError> {
        delegated::replace(&self.records, token, row).await
    }

    async fn delete_delegated(&self, consumer: ConsumerId, token: &str) -> Result<bool, StoreError> {
        delegated::delete(&self.records, consumer.0, token).await
    }

    async fn claim_nonce(&self, claim: NonceClaim<'_>) -> Result<Claim, StoreError> {
        nonces::claim(&self.records, &claim).await
    }

    async fn put_user_token(&self, token: &UserToken) -> Result<(), StoreError> {
        users::put_token(&self.records, token).await
    }

    async fn user_token(&self, digest: &str) -> Result<Option<Arc<UserToken>>, StoreError> {
        Ok(users::token(&self.records, digest).await?.map(Arc::new))
    }

    async fn user_tokens_of(&self, user: User) -> Result<Vec<UserToken>, StoreError> {
        users::tokens_of(&self.records, user).await
    }

    async fn list_user_tokens(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<UserToken>, Option<String>), StoreError> {
        users::list_tokens(&self.records, after.unwrap_or_default(), limit).await
    }

    async fn delete_user_token(&self, digest: &str) -> Result<bool, StoreError> {
        users::delete_one_token(&self.records, digest).await
    }

    async fn revoke_user_tokens(&self, user: User, now: UnixSeconds) -> Result<u64, StoreError> {
        users::revoke_tokens_of(&self.records, user, now).await
    }

    async fn revoked_before(&self, user: User) -> Result<UnixSeconds, StoreError> {
        users::revoked_before(&self.records, user).await
    }

    async fn sweep_user_tokens(&self, kind: UserKind, now: UnixSeconds, limit: usize) -> Result<u64, StoreError> {
        users::sweep_tokens(&self.records, kind, now, limit).await
    }

    async fn create_account(&self, new: NewAccount, now: UnixSeconds) -> Result<Option<Account>, StoreError> {
        accounts::create(&self.records, new, now).await
    }

    async fn create_account_as(
        &self,
        id: AccountId,
        new: NewAccount,
        now: UnixSeconds,
    ) -> Result<Option<Account>, StoreError> {
        accounts::create_as(&self.records, id, new, now).await
    }

    async fn delete_account(&self, kind: UserKind, id: AccountId, version: Option<u64>) -> Result<Put, StoreError> {
        accounts::delete(&self.records, (kind, id.0), version).await
    }

    async fn account(&self, kind: UserKind, id: AccountId) -> Result<Option<Arc<Account>>, StoreError> {
        Ok(accounts::by_id(&self.records, kind, id.0).await?.map(Arc::new))
    }

    async fn account_by_name(&self, kind: UserKind, username: &str) -> Result<Option<Arc<Account>>, StoreError> {
        Ok(accounts::by_name(&self.records, kind, username).await?.map(Arc::new))
    }

    async fn accounts(&self, kind: UserKind) -> Result<Vec<Account>, StoreError> {
        accounts::all(&self.records, kind).await
    }

    async fn update_account(&self, account: &Account) -> Result<Put, StoreError> {
        accounts::update(&self.records, account).await
    }

    async fn sign_in_failures(
        &self,
        kind: LockoutKind,
        name: &str,
        now: UnixSeconds,
    ) -> Result<Option<SignInFailures>, StoreError> {
        users::failures(&self.records, kind, name, now).await
    }

    async fn record_sign_in_failure(
        &self,
        kind: LockoutKind,
        name: &str,
        now: UnixSeconds,
        lock_secs: u64,
    ) -> Result<SignInFailures, StoreError> {
        users::record_failure(&self.records, kind, name, now, lock_secs).await
    }

    async fn clear_sign_in_failures(&self, kind: LockoutKind, name: &str) -> Result<(), StoreError> {
        users::clear_failures(&self.records, kind, name).await
    }

    async fn sweep_sign_in_failures(&self, now: UnixSeconds, limit: usize) -> Result<u64, StoreError> {
        users::sweep_failures(&self.records, now, limit).await
    }

    async fn append_audit(&self, entry: NewAuditEntry) -> Result<AuditEntry, StoreError> {
        audit::append(&self.records, entry).await
    }

    async fn audit(&self, after: u64, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        audit::read(&self.records, after, limit).await
    }

    async fn audit_length(&self) -> Result<u64, StoreError> {
        audit::length(&self.records).await
    }

    async fn tell_user_token(&self, token: &UserToken) -> Result<(), StoreError> {
        events::tell(&self.records, &Happening::UserToken(token)).await
    }

    async fn last_event(&self) -> Result<Cursor, StoreError> {
        events::last(&self.records).await
    }

    async fn events(&self, after: Cursor, limit: usize) -> Result<Vec<(Cursor, Event)>, StoreError> {
        events::after(&self.records, after, limit).await
    }

    async fn due_deliveries(&self, webhook: &str, now: UnixSeconds, limit: usize) -> Result<Vec<Delivery>, StoreError> {
        events::due(&self.records, webhook, now, limit).await
    }

    async fn settle_delivery(&self, delivery: &Delivery, settled: Settled) -> Result<bool, StoreError> {
        events::settle(&self.records, delivery, settled).await
    }

    async fn dead_deliveries(&self, after: &str, limit: usize) -> Result<Vec<Delivery>, StoreError> {
        events::dead(&self.records, after, limit).await
    }

    async fn replay_delivery(&self, name: &str, now: UnixSeconds, most: usize) -> Result<Option<Delivery>, StoreError> {
        events::replay(&self.records, name, now, most).await
    }

    async fn outbox_counts(&self, webhooks: &[String]) -> Result<OutboxCounts, StoreError> {
        events::counts(&self.records, webhooks).await
    }

    async fn reseal(&self, webhooks: &[String]) -> Result<u64, StoreError> {
        reseal::all(&self.records, webhooks).await
    }

    fn record_events(&self, recorder: Recorder) {
        self.records.recorder.set(recorder);
    }

    async fn lease(&self, name: &str, holder: &str, ttl_secs: u64) -> Result<bool, StoreError> {
        let mut lease = LEASE.prepare_invoke();
        lease.key(keys::STORE).key(keys::lease(name));
        lease.arg(self.records.identity()?).arg(holder).arg(ttl_secs.max(1));
        self.records.run(lease).await
    }

    async fn shared_secret(&self, name: &str, fresh: &Secret) -> Result<Secret, StoreError> {
        users::shared_secret(&self.records, name, fresh).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        let mut beat = BEAT.prepare_invoke();
        beat.key(keys::STORE).key(keys::BEAT).arg(self.records.identity()?);
        let (_millis, _version): (u64, u64) = self.records.run(beat).await?;
        let shared = &self.records.shared;
        whole(shared).await.inspect_err(|_| shared.look.notify_one())
    }

    async fn raise_floor(&self, to: UnixSeconds) -> Result<(), StoreError> {
        nonces::raise_floor(&self.records, to).await
    }

    /// By the server's clock, which wrote it.
    fn unsure_until(&self, _now: UnixSeconds) -> Option<UnixSeconds> {
        let known = self.records.shared.known().ok()?;
        far_ahead(known.floor, known.clock.now(now()))
    }

    async fn init(&self) -> Result<(), StoreError> {
        meet::init(&self.records.shared).await.map_err(|error| match error {
            MeetError::Store(error) => error,
            MeetError::Redis(error) => pool::of_redis(error),
            other @ (MeetError::Lost | MeetError::WrongKey | MeetError::KeyMissing | MeetError::Evicts(_)) => {
                StoreError::Unavailable(Box::new(other))
            }
        })
    }

    fn freshness(&self) -> Arc<Freshness> {
        Arc::clone(&self.records.shared.freshness)
    }

    fn on_change(&self, listener: Listener) {
        self.records.shared.listeners.add(listener);
    }

    async fn close(&self) -> Result<(), StoreError> {
        // Everything is in the server already.
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a start may wait")]
fn now() -> Instant {
    Instant::now()
}

/// How long a start waits for a new store or a loss to settle.
const START: Duration = Duration::from_secs(4);
