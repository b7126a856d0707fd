//! The embedded store: one file, one process, nothing to install.
//!
//! Durable rows in redb; one thread writes, and what waits together shares a sync. Nonces in memory (`nonces.rs`).

mod audit;
pub(crate) mod consumers;
mod nonces;
mod tables;
mod users;
mod writer;

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use redb::{Database, ReadTransaction, ReadableDatabase as _, ReadableTable as _, WriteTransaction};

use self::nonces::Nonces;
use self::tables::{AHEAD, COUNTERS, META, NONCES};
use self::writer::{Writer, unavailable};
use crate::change::Listeners;
use crate::codec::{decode, encode, token_digest};
use crate::open::OpenError;
use crate::seal::Sealer;
use crate::{
    Account, AccountId, AuditEntry, Claim, ConsumerId, ConsumerRecord, Delegated, Freshness, IntegrationId,
    IntegrationPage, IntegrationQuery, Listener, LockoutKind, NewAccount, NewAuditEntry, NewConsumer, NonceClaim, Put,
    SignInFailures, Store, StoreError, UnixSeconds, User, UserKind, UserToken,
};

/// A store in a folder of this machine.
pub struct Embedded {
    database: Arc<Database>,
    writer: Writer,
    sealer: Arc<Sealer>,
    nonces: Nonces,
    /// What this process served ahead of its clock, so that one second's requests write once.
    ahead: Mutex<HashMap<(u64, String), UnixSeconds>>,
    leases: Mutex<HashMap<String, (String, Instant)>>,
    listeners: Arc<Listeners>,
    freshness: Arc<Freshness>,
}

impl Embedded {
    /// Opens or makes the store in `folder`. Without keys one is made beside it at the first start.
    pub fn open(folder: &Path, keys: &[[u8; 32]], now: UnixSeconds) -> Result<Self, OpenError> {
        let file_fault =
            |path: &Path, error: std::io::Error| OpenError::File(path.display().to_string(), Box::new(error));
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| file_fault(folder, error))?;
        let path = folder.join(FILE);
        let database = Database::create(&path).map_err(|error| {
            if matches!(error, redb::DatabaseError::DatabaseAlreadyOpen) {
                OpenError::Locked(folder.display().to_string())
            } else {
                OpenError::File(path.display().to_string(), Box::new(error))
            }
        })?;
        // Only who holds the lock may make the key: two first starts must not make two.
        let made;
        let keys = if keys.is_empty() {
            made = [own_key(folder).map_err(|error| file_fault(&folder.join(KEY_FILE), error))?];
            &made
        } else {
            keys
        };
        let sealer = Arc::new(Sealer::new(keys).map_err(|_| OpenError::WrongKey)?);
        let nonces = prepare(&database, &sealer, now)?;
        let database = Arc::new(database);
        let (listeners, freshness) = (Arc::new(Listeners::default()), Arc::new(Freshness::default()));
        // One process writes: what it has read stays true until it changes it itself.
        freshness.heard(u64::MAX);
        let writer = Writer::start(Arc::clone(&database), Arc::clone(&listeners), Arc::clone(&freshness))
            .map_err(|error| file_fault(folder, error))?;
        Ok(Self {
            database,
            writer,
            sealer,
            nonces,
            ahead: Mutex::default(),
            leases: Mutex::default(),
            listeners,
            freshness,
        })
    }

    fn read<T>(&self, read: impl FnOnce(&ReadTransaction, &Sealer) -> Result<T, StoreError>) -> Result<T, StoreError> {
        read(&self.database.begin_read().fault()?, &self.sealer)
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

    /// A timestamp ahead of our clock is on disk before it is served: after a crash it may not be served again.
    async fn remember_ahead(&self, consumer: u64, digest: &str, timestamp: UnixSeconds) -> Result<(), StoreError> {
        let key = (consumer, digest.to_owned());
        {
            let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
            if ahead.get(&key).is_some_and(|served| *served >= timestamp) {
                return Ok(());
            }
            if ahead.len() >= MOST_AHEAD {
                ahead.clear();
            }
        }
        let row = key.clone();
        self.write(move |transaction, _| {
            let mut table = transaction.open_table(AHEAD).fault()?;
            let name = (row.0, row.1.as_str());
            let before = table.get(name).fault()?.map_or(0, |before| before.value());
            table.insert(name, before.max(timestamp)).fault()?;
            Ok(((), Vec::new()))
        })
        .await?;
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let mark = ahead.entry(key).or_default();
        *mark = timestamp.max(*mark);
        Ok(())
    }
}

/// Makes what a new file lacks, checks the keys, and finds out whether the last process ended cleanly.
fn prepare(database: &Database, sealer: &Sealer, now: UnixSeconds) -> Result<Nonces, OpenError> {
    let transaction = database.begin_write().fault()?;
    let nonces = {
        let mut meta = transaction.open_table(META).fault()?;
        let canary = meta.get(CANARY).fault()?.map(|row| row.value().to_vec());
        let key: [u8; 16] = if let Some(row) = canary {
            decode(sealer, CANARY, &row).map_err(|_| OpenError::WrongKey)?
        } else {
            let mut key = [0; 16];
            aws_lc_rs::rand::fill(&mut key).map_err(|_| unavailable("the system gave no random octets"))?;
            let row = encode(sealer, CANARY, &key)?;
            meta.insert(CANARY, row.as_slice()).fault()?;
            key
        };
        // The mark goes before anything is served: a crash from here on is a loss.
        let ended_cleanly = meta.remove(CLEAN).fault()?.is_some();
        if ended_cleanly {
            Nonces::restored(key, stored(&transaction)?, started())
        } else {
            Nonces::after_loss(key, now, ahead_before(&transaction, now)?)
        }
    };
    touch_tables(&transaction)?;
    transaction.commit().fault()?;
    Ok(nonces)
}

fn stored(transaction: &WriteTransaction) -> Result<nonces::Dump, StoreError> {
    let table = transaction.open_table(NONCES).fault()?;
    let mut dump = Vec::new();
    for row in table.iter().fault()? {
        let (minute, octets) = row.fault()?;
        let hashes = octets
            .value()
            .as_chunks()
            .0
            .iter()
            .map(|chunk| u64::from_le_bytes(*chunk))
            .collect();
        dump.push((minute.value(), hashes));
    }
    Ok(dump)
}

/// The marks that still matter; those whose timestamp has passed go.
fn ahead_before(
    transaction: &WriteTransaction,
    now: UnixSeconds,
) -> Result<HashMap<(u64, String), UnixSeconds>, StoreError> {
    let mut table = transaction.open_table(AHEAD).fault()?;
    table.retain(|_, timestamp| timestamp > now).fault()?;
    let rows = table.iter().fault()?.map(|row| {
        let (key, timestamp) = row.fault()?;
        let (consumer, digest) = key.value();
        Ok(((consumer, digest.to_owned()), timestamp.value()))
    });
    rows.collect()
}

/// A read of a table that was never written would fail: make them all.
fn touch_tables(transaction: &WriteTransaction) -> Result<(), StoreError> {
    transaction.open_table(tables::CONSUMERS).fault()?;
    transaction.open_table(tables::CONSUMER_KEYS).fault()?;
    transaction.open_table(tables::INTEGRATIONS).fault()?;
    transaction.open_table(tables::NAMES).fault()?;
    transaction.open_table(tables::TOKENS).fault()?;
    transaction.open_table(tables::DELEGATED).fault()?;
    transaction.open_table(tables::USER_TOKENS).fault()?;
    transaction.open_table(tables::USER_TOKENS_OF).fault()?;
    transaction.open_table(tables::USER_TOKENS_UNTIL).fault()?;
    transaction.open_table(tables::ACCOUNTS).fault()?;
    transaction.open_table(tables::ACCOUNT_NAMES).fault()?;
    transaction.open_table(tables::LOCKOUTS).fault()?;
    transaction.open_table(tables::LOCKOUTS_UNTIL).fault()?;
    transaction.open_table(tables::AUDIT).fault()?;
    transaction.open_table(COUNTERS).fault()?;
    transaction.open_table(AHEAD).fault()?;
    transaction.open_table(NONCES).fault()?;
    Ok(())
}

/// The key beside the store, made at the first start, for its owner only.
fn own_key(folder: &Path) -> std::io::Result<[u8; 32]> {
    let path = folder.join(KEY_FILE);
    let invalid = || std::io::Error::new(std::io::ErrorKind::InvalidData, "is not 32 octets in base64");
    match OpenOptions::new().read(true).open(&path) {
        Ok(mut file) => {
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            let octets = STANDARD.decode(text.trim()).map_err(|_| invalid())?;
            octets.try_into().map_err(|_| invalid())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut key = [0; 32];
            aws_lc_rs::rand::fill(&mut key).map_err(std::io::Error::other)?;
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?;
            writeln!(file, "{}", STANDARD.encode(key))?;
            file.sync_all()?;
            Ok(key)
        }
        Err(error) => Err(error),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "nonces are kept by the store's own clock, which nobody can turn back"
)]
fn started() -> Instant {
    Instant::now()
}

/// The next number of a kind: positive, never given twice.
fn next_number(transaction: &WriteTransaction, of: &str) -> Result<u64, StoreError> {
    let mut counters = transaction.open_table(COUNTERS).fault()?;
    let next = counters.get(of).fault()?.map_or(0, |last| last.value()) + 1;
    counters.insert(of, next).fault()?;
    Ok(next)
}

/// redb's errors are the file's: the store is unavailable.
trait Fault<T> {
    fn fault(self) -> Result<T, StoreError>;
}

impl<T, E: std::error::Error + Send + Sync + 'static> Fault<T> for Result<T, E> {
    fn fault(self) -> Result<T, StoreError> {
        self.map_err(|error| StoreError::Unavailable(Box::new(error)))
    }
}

#[async_trait]
impl Store for Embedded {
    async fn create_consumer(&self, new: NewConsumer, now: UnixSeconds) -> Result<Option<ConsumerRecord>, StoreError> {
        self.write(move |transaction, sealer| consumers::create(transaction, sealer, new, now))
            .await
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
        self.read(|transaction, sealer| consumers::list(transaction, sealer, query))
    }

    async fn update_consumer(&self, record: &ConsumerRecord) -> Result<Put, StoreError> {
        let record = record.clone();
        self.write(move |transaction, sealer| consumers::update(transaction, sealer, record))
            .await
    }

    async fn delete_consumer(&self, id: ConsumerId, version: Option<u64>) -> Result<Put, StoreError> {
        self.write(move |transaction, sealer| consumers::delete(transaction, sealer, id.0, version))
            .await
    }

    async fn put_delegated(&self, new: &Delegated) -> Result<(), StoreError> {
        let new = new.clone();
        self.write(move |transaction, sealer| consumers::put_delegated(transaction, sealer, &new))
            .await
    }

    async fn delegated(&self, consumer: ConsumerId, token: &str) -> Result<Option<Arc<Delegated>>, StoreError> {
        self.read(|transaction, sealer| Ok(consumers::delegated(transaction, sealer, consumer.0, token)?.map(Arc::new)))
    }

    async fn delegated_of(&self, consumer: ConsumerId) -> Result<Vec<Delegated>, StoreError> {
        self.read(|transaction, sealer| consumers::delegated_of(transaction, sealer, consumer.0))
    }

    async fn replace_delegated(&self, token: &str, row: &Delegated) -> Result<Put, StoreError> {
        let (token, row) = (token.to_owned(), row.clone());
        self.write(move |transaction, sealer| consumers::replace_delegated(transaction, sealer, &token, row))
            .await
    }

    async fn delete_delegated(&self, consumer: ConsumerId, token: &str) -> Result<bool, StoreError> {
        let token = token.to_owned();
        self.write(move |transaction, _| consumers::delete_delegated(transaction, consumer.0, &token))
            .await
    }

    async fn claim_nonce(&self, claim: NonceClaim<'_>) -> Result<Claim, StoreError> {
        let digest = claim.token.map(token_digest).unwrap_or_default();
        let found = self
            .nonces
            .claim(&claim, &digest, started())
            .map_err(|error| StoreError::Unavailable(Box::new(error)))?;
        if found == Claim::Fresh && claim.timestamp > claim.now {
            self.remember_ahead(claim.consumer.0, &digest, claim.timestamp).await?;
        }
        Ok(found)
    }

    async fn put_user_token(&self, token: &UserToken) -> Result<(), StoreError> {
        let token = token.clone();
        self.write(move |transaction, sealer| users::put_token(transaction, sealer, &token))
            .await
    }

    async fn user_token(&self, digest: &str) -> Result<Option<Arc<UserToken>>, StoreError> {
        self.read(|transaction, sealer| Ok(users::token(transaction, sealer, digest)?.map(Arc::new)))
    }

    async fn user_tokens_of(&self, user: User) -> Result<Vec<UserToken>, StoreError> {
        self.read(|transaction, sealer| users::tokens_of(transaction, sealer, user))
    }

    async fn delete_user_tokens(&self, user: User) -> Result<u64, StoreError> {
        self.write(move |transaction, _| users::delete_tokens_of(transaction, user))
            .await
    }

    async fn sweep_user_tokens(&self, kind: UserKind, now: UnixSeconds, limit: usize) -> Result<u64, StoreError> {
        self.write(move |transaction, _| users::sweep_tokens(transaction, kind, now, limit))
            .await
    }

    async fn create_account(&self, new: NewAccount, now: UnixSeconds) -> Result<Option<Account>, StoreError> {
        self.write(move |transaction, sealer| users::create_account(transaction, sealer, new, now))
            .await
    }

    async fn account(&self, kind: UserKind, id: AccountId) -> Result<Option<Arc<Account>>, StoreError> {
        self.read(|transaction, sealer| Ok(users::account(transaction, sealer, kind, id.0)?.map(Arc::new)))
    }

    async fn account_by_name(&self, kind: UserKind, username: &str) -> Result<Option<Arc<Account>>, StoreError> {
        self.read(|transaction, sealer| Ok(users::account_by_name(transaction, sealer, kind, username)?.map(Arc::new)))
    }

    async fn accounts(&self, kind: UserKind) -> Result<Vec<Account>, StoreError> {
        self.read(|transaction, sealer| users::accounts(transaction, sealer, kind))
    }

    async fn update_account(&self, account: &Account) -> Result<Put, StoreError> {
        let account = account.clone();
        self.write(move |transaction, sealer| users::update_account(transaction, sealer, account))
            .await
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

    async fn lease(&self, name: &str, holder: &str, ttl_secs: u64) -> Result<bool, StoreError> {
        let now = started();
        let until = now + std::time::Duration::from_secs(ttl_secs);
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        let free = leases
            .get(name)
            .is_none_or(|(held_by, held_until)| held_by == holder || *held_until <= now);
        if free {
            leases.insert(name.to_owned(), (holder.to_owned(), until));
        }
        Ok(free)
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.read(|transaction, _| {
            transaction.open_table(META).fault()?.get(CANARY).fault()?;
            Ok(())
        })
    }

    async fn init(&self) -> Result<(), StoreError> {
        // The file is the store: a new folder is a new one.
        Ok(())
    }

    fn freshness(&self) -> Arc<Freshness> {
        Arc::clone(&self.freshness)
    }

    fn on_change(&self, listener: Listener) {
        self.listeners.add(listener);
    }

    async fn close(&self) -> Result<(), StoreError> {
        let dump = self.nonces.dump();
        self.write(move |transaction, _| {
            let mut table = transaction.open_table(NONCES).fault()?;
            table.retain(|_, _| false).fault()?;
            for (minute, hashes) in dump {
                let octets: Vec<u8> = hashes.into_iter().flat_map(u64::to_le_bytes).collect();
                table.insert(minute, octets.as_slice()).fault()?;
            }
            transaction
                .open_table(META)
                .fault()?
                .insert(CLEAN, [].as_slice())
                .fault()?;
            Ok(((), Vec::new()))
        })
        .await?;
        // Nothing is written after the mark: a claim that came later would be lost with the process.
        self.writer.stop().await;
        Ok(())
    }
}

/// The file in the store's folder.
const FILE: &str = "store.redb";
const KEY_FILE: &str = "encryption.key";
/// Sealed with the first key; holds the nonces' hash key.
const CANARY: &str = "canary";
/// There only between a clean end and the next start.
const CLEAN: &str = "clean";
/// Tokens whose last timestamp ahead of our clock is kept in memory; forgetting one costs a write.
const MOST_AHEAD: usize = 100_000;
