//! Accounts: made, changed, withdrawn; admins', and those of customers where their passwords are kept here. The admin API works through this, and the command line where no gateway runs.
//!
//! Whatever ends an account's use ends its tokens, too, everywhere at once: the account first, so that no sign-in that is
//! under way can leave a token behind.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use token_store::{
    Account, AccountId, NewAccount, Put, Role, Secret, Store, StoreError, Totp, TotpStage, User, UserKind,
};
use tokio::sync::{Mutex, MutexGuard};

use super::password::{HashFailed, Passwords};
use super::sign_in::counted;
use super::{recovery, totp};
use crate::clock::Clock;
use crate::integration::definition::{is_email, is_unseen};
use crate::random::{self, NoRandomness};

/// Makes and changes admin accounts.
#[derive(Clone)]
pub struct Accounts {
    store: Arc<dyn Store>,
    clock: Clock,
    passwords: Passwords,
}

/// What a new account is made from.
pub struct Creation {
    /// The name it signs in with.
    pub username: String,
    /// What it signs in with.
    pub password: Secret,
    /// What it may do.
    pub role: Role,
    /// Its e-mail address, may be empty.
    pub email: String,
}

/// What a new customer account is made from.
pub struct Customer {
    /// The storefront's number.
    pub id: AccountId,
    /// The e-mail address, by which customers sign in.
    pub username: String,
    /// What they sign in with.
    pub password: Secret,
}

/// What is handed out for a second factor, once.
pub struct Enrolment {
    /// For the device.
    pub secret: Secret,
    /// For when the device is lost.
    pub recovery: Vec<Secret>,
}

/// Why an account could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No randomness for a password.
    #[error(transparent)]
    Hash(#[from] HashFailed),
    /// Nobody has that number.
    #[error("The account doesn't exist.")]
    Unknown,
    /// Another one has that name.
    #[error("An account with the name \"{0}\" exists.")]
    Exists(String),
    /// Another customer has that name or that number.
    #[error("A customer with this number or e-mail address exists.")]
    CustomerExists,
    /// It changed since it was read.
    #[error("It was changed meanwhile. Read it again and repeat the change.")]
    Changed,
    /// Nobody could manage accounts any more.
    #[error("This is the last active account with the role admin. Make another one first.")]
    LastAdmin,
    /// A second factor is there.
    #[error("The account has a second factor. Remove it first.")]
    Enrolled,
    /// Nothing was handed out, or it was confirmed.
    #[error("There is no second factor to confirm.")]
    NothingToConfirm,
    /// Not the code of now.
    #[error("The code is wrong. Check the clocks and try the next one.")]
    WrongCode,
    /// No randomness.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// A field.
    #[error("{0}")]
    Invalid(&'static str),
}

impl Accounts {
    /// On a store.
    pub fn new(store: Arc<dyn Store>, clock: Clock, passwords: Passwords) -> Self {
        Self {
            store,
            clock,
            passwords,
        }
    }

    /// Makes one, active.
    pub async fn create(&self, new: Creation) -> Result<Account, AccountError> {
        check_name(&new.username)?;
        check_password(&new.password)?;
        check_email(&new.email)?;
        let new = NewAccount {
            kind: UserKind::Admin,
            username: new.username,
            email: new.email,
            password_hash: self.passwords.hash(&new.password).await?,
            role: new.role,
            active: true,
            resources: None,
            totp: None,
        };
        let username = new.username.clone();
        let made = self.store.create_account(new, self.clock.now()).await?;
        made.ok_or(AccountError::Exists(username))
    }

    /// Makes a customer's, with the storefront's number: what `[tokens.customer] credentials = "local"` asks.
    pub async fn create_customer(&self, new: Customer) -> Result<Account, AccountError> {
        if !(1..=u64::from(u32::MAX)).contains(&new.id.0) {
            return Err(AccountError::Invalid(
                "id: the storefront's number, from 1 to 4294967295",
            ));
        }
        if !is_email(&new.username) {
            return Err(AccountError::Invalid(
                "username: an e-mail address of at most 254 characters, as name@example.com",
            ));
        }
        check_password(&new.password)?;
        let account = NewAccount {
            kind: UserKind::Customer,
            email: new.username.clone(),
            username: new.username,
            password_hash: self.passwords.hash(&new.password).await?,
            role: Role::Viewer,
            active: true,
            resources: None,
            totp: None,
        };
        let made = self.store.create_account_as(new.id, account, self.clock.now()).await?;
        made.ok_or(AccountError::CustomerExists)
    }

    /// A customer's, by number.
    pub async fn customer(&self, id: AccountId) -> Result<Arc<Account>, AccountError> {
        let found = self.store.account(UserKind::Customer, id).await?;
        found.ok_or(AccountError::Unknown)
    }

    /// All customers', by number.
    pub async fn customers(&self) -> Result<Vec<Account>, AccountError> {
        Ok(self.store.accounts(UserKind::Customer).await?)
    }

    /// Deletes a customer's; their tokens end. Before it, so that where the store fails in between the account still stands
    /// and the deletion can be repeated; and after it, for a sign-in that was under way.
    pub async fn delete_customer(&self, id: AccountId, version: Option<u64>) -> Result<(), AccountError> {
        let customer = self.customer(id).await?;
        if version.is_some_and(|version| version != customer.version) {
            return Err(AccountError::Changed);
        }
        self.end_customer_tokens(id).await?;
        match self.store.delete_account(UserKind::Customer, id, version).await? {
            Put::Done(_) => {}
            Put::Changed | Put::NameTaken => {
                self.customer(id).await?;
                return Err(AccountError::Changed);
            }
        }
        self.end_customer_tokens(id).await.inspect_err(|error| {
            let customer = id.0;
            tracing::error!(%error, customer, "a deleted customer who signed in just then may have a token: revoke theirs");
        })?;
        Ok(())
    }

    async fn end_customer_tokens(&self, id: AccountId) -> Result<(), StoreError> {
        let (kind, id) = (UserKind::Customer, id.0);
        self.store
            .revoke_user_tokens(User { kind, id }, self.clock.now())
            .await?;
        Ok(())
    }

    /// By number.
    pub async fn get(&self, id: AccountId) -> Result<Arc<Account>, AccountError> {
        let found = self.store.account(UserKind::Admin, id).await?;
        found.ok_or(AccountError::Unknown)
    }

    /// All of them, by number.
    pub async fn all(&self) -> Result<Vec<Account>, AccountError> {
        Ok(self.store.accounts(UserKind::Admin).await?)
    }

    /// Compare-and-set, where a version is given; otherwise applied to whatever stands.
    pub async fn change(
        &self,
        id: AccountId,
        version: Option<u64>,
        edit: impl Fn(&mut NewAccount) -> Result<(), AccountError>,
    ) -> Result<Account, AccountError> {
        for _ in 0..TRIES {
            let before = self.get(id).await?;
            if version.is_some_and(|version| version != before.version) {
                return Err(AccountError::Changed);
            }
            let mut after = Account::clone(&before);
            edit(&mut after.definition)?;
            check_name(&after.definition.username)?;
            check_email(&after.definition.email)?;
            let turn = self.keep_an_admin(&before, &after).await?;
            after.updated_at = self.clock.now();
            let put = self.store.update_account(&after).await;
            if let Some(turn) = turn {
                turn.end(&*self.store).await;
            }
            match put? {
                Put::Done(version) => {
                    after.version = version;
                    self.end_tokens(&before, &after).await?;
                    self.end_lock(&before, &after).await?;
                    return Ok(after);
                }
                Put::NameTaken => return Err(AccountError::Exists(after.definition.username)),
                // What memory has of another gateway's change is a second old at most.
                Put::Changed => tokio::time::sleep(PAUSE).await,
            }
        }
        Err(AccountError::Changed)
    }

    /// Ends its use, or begins it again; a lock after failed sign-ins ends with that, also where it was in use.
    pub async fn set_active(&self, id: AccountId, active: bool) -> Result<Account, AccountError> {
        let edit = |definition: &mut NewAccount| {
            definition.active = active;
            Ok(())
        };
        let account = self.change(id, None, edit).await?;
        if active {
            self.unlock(&account).await?;
        }
        Ok(account)
    }

    /// Another password is another beginning: who was locked out by guesses at the old one gets in.
    async fn end_lock(&self, before: &Account, after: &Account) -> Result<(), AccountError> {
        if before.definition.password_hash == after.definition.password_hash {
            return Ok(());
        }
        self.unlock(after).await
    }

    async fn unlock(&self, account: &Account) -> Result<(), AccountError> {
        let definition = &account.definition;
        let counted = counted(definition.kind);
        self.store.clear_sign_in_failures(counted, &definition.username).await?;
        Ok(())
    }

    /// Another password; who signed in with the old one has to sign in again.
    pub async fn set_password(&self, id: AccountId, password: &Secret) -> Result<Account, AccountError> {
        check_password(password)?;
        let hash = self.passwords.hash(password).await?;
        self.change(id, None, |definition| {
            definition.password_hash = hash.clone();
            Ok(())
        })
        .await
    }

    /// A new second factor: its secret and its recovery codes. No code is asked for until one has been confirmed.
    pub async fn enrol(&self, id: AccountId) -> Result<(Account, Enrolment), AccountError> {
        let handed = Enrolment {
            secret: totp::secret()?,
            recovery: recovery::draw()?,
        };
        let kept = handed
            .recovery
            .iter()
            .map(|code| recovery::digest(&handed.secret, code));
        let kept: Vec<Secret> = kept.collect();
        let changed = self.change(id, None, |definition| {
            let is_active = |one: &Totp| one.stage != TotpStage::Pending;
            if definition.totp.as_ref().is_some_and(is_active) {
                return Err(AccountError::Enrolled);
            }
            definition.totp = Some(Totp {
                secret: handed.secret.clone(),
                stage: TotpStage::Pending,
                recovery: kept.clone(),
            });
            Ok(())
        });
        Ok((changed.await?, handed))
    }

    /// A code shows that the secret arrived: from here on each sign-in needs one, and this one is used.
    pub async fn confirm(&self, id: AccountId, code: &str) -> Result<Account, AccountError> {
        self.change(id, None, |definition| {
            let pending = |one: &&mut Totp| one.stage == TotpStage::Pending;
            let one = definition
                .totp
                .as_mut()
                .filter(pending)
                .ok_or(AccountError::NothingToConfirm)?;
            let step = totp::step_of(&one.secret, code, self.clock.now(), None);
            let last_step = step.ok_or(AccountError::WrongCode)?;
            one.stage = TotpStage::Active { last_step };
            Ok(())
        })
        .await
    }

    /// Takes the second factor away.
    pub async fn remove_totp(&self, id: AccountId, version: Option<u64>) -> Result<Account, AccountError> {
        self.change(id, version, |definition| {
            definition.totp = None;
            Ok(())
        })
        .await
    }

    /// Somebody must be left who can manage accounts. Who ceases to does it in a turn: of two who withdraw each other at
    /// once, the second is judged by what the first has left.
    async fn keep_an_admin(&self, before: &Account, after: &Account) -> Result<Option<Turn>, AccountError> {
        let manages = |one: &Account| one.definition.active && one.definition.role == Role::Admin;
        if !manages(before) || manages(after) {
            return Ok(None);
        }
        let turn = Turn::take(&*self.store).await?;
        match self.all().await {
            Ok(all) if all.iter().any(|one| one.id != before.id && manages(one)) => Ok(Some(turn)),
            judged => {
                turn.end(&*self.store).await;
                judged.and(Err(AccountError::LastAdmin))
            }
        }
    }

    async fn end_tokens(&self, before: &Account, after: &Account) -> Result<(), AccountError> {
        // Also where it was withdrawn before: that time the store may have been gone half-way.
        if !after.definition.active || before.definition.password_hash != after.definition.password_hash {
            let (kind, id) = (UserKind::Admin, after.id.0);
            self.store
                .revoke_user_tokens(User { kind, id }, self.clock.now())
                .await?;
        }
        Ok(())
    }
}

/// The one turn, among all gateways of a store, in which an account ceases to manage others.
struct Turn {
    holder: MutexGuard<'static, Option<String>>,
}

/// One at a time in this process; and the name under which it holds the store's lease.
static TURN: Mutex<Option<String>> = Mutex::const_new(None);

impl Turn {
    async fn take(store: &dyn Store) -> Result<Self, AccountError> {
        let mut holder = TURN.lock().await;
        let name = match &*holder {
            Some(name) => name.clone(),
            None => holder.insert(random::credential()?).clone(),
        };
        // Longer than a lease lasts whose gateway was killed.
        for _ in 0..TRIES_FOR_A_TURN {
            if store.lease(LEASE, &name, LEASE_SECS).await? {
                return Ok(Self { holder });
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(AccountError::Changed)
    }

    /// Others need not wait until the lease has run out.
    async fn end(self, store: &dyn Store) {
        let name = self.holder.as_deref().unwrap_or_default();
        if let Err(error) = store.lease(LEASE, name, 0).await {
            tracing::debug!(%error, "a lease runs out by itself");
        }
    }
}

/// An account without its password, its second factor's secret and its recovery codes, of which only is told how many are left.
pub fn shown(account: &Account) -> Value {
    let definition = &account.definition;
    let factor = definition.totp.as_ref().filter(|one| one.stage != TotpStage::Pending);
    json!({
        "id": account.id,
        "username": definition.username,
        "email": definition.email,
        "role": definition.role,
        "active": definition.active,
        "resources": definition.resources,
        "totp": factor.is_some(),
        "recovery_codes": factor.map(|one| one.recovery.len()),
        "created_at": account.created_at,
        "updated_at": account.updated_at,
    })
}

/// A customer's account without its password.
pub fn shown_customer(account: &Account) -> Value {
    json!({
        "id": account.id,
        "username": account.definition.username,
        "created_at": account.created_at,
        "updated_at": account.updated_at,
    })
}

/// What a name must be.
pub fn check_name(username: &str) -> Result<(), AccountError> {
    let plain = !username.is_empty()
        && username.chars().count() <= 255
        && !username.chars().any(|one| is_unseen(one) || one.is_whitespace());
    plain.then_some(()).ok_or(AccountError::Invalid(
        "username: from 1 to 255 characters, none of them white space or a control character (nor of writing direction)",
    ))
}

/// What a password must be.
pub fn check_password(password: &Secret) -> Result<(), AccountError> {
    (8..=1024)
        .contains(&password.expose().chars().count())
        .then_some(())
        .ok_or(AccountError::Invalid("password: from 8 to 1024 characters"))
}

/// What an address must be.
pub fn check_email(email: &str) -> Result<(), AccountError> {
    (email.is_empty() || is_email(email))
        .then_some(())
        .ok_or(AccountError::Invalid(
            "email: an e-mail address of at most 254 characters, as name@example.com",
        ))
}

const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(75);
const LEASE: &str = "last-admin";
/// More than reading all accounts and writing one can take.
const LEASE_SECS: u64 = 5;
const TRIES_FOR_A_TURN: u32 = 80;
