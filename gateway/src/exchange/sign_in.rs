//! Who signs in (magento.md 4.1, 4.2, 4.5): the lock-out first, then whoever vouches for the password.
//!
//! One message for every failure: unknown user, wrong password, inactive account, locked name; and the same work for an
//! unknown user as for a known one.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;
use token_store::audit::{Note, noted};
use token_store::{Account, LockoutKind, Put, Secret, Store, StoreError, Totp, TotpStage, User, UserKind};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::address_budget::AddressBudgets;
use super::credentials::Credentials;
use super::password::{HashFailed, Passwords};
use super::voucher::Voucher;
use super::{recovery, totp};
use crate::clock::Clock;
use crate::config::Lockout;
use crate::observe::Metrics;
use crate::observe::audit::{self, of_account};
use crate::refusal::{Cause, Refusal};

/// Checks sign-ins.
pub struct SignIns {
    store: Arc<dyn Store>,
    clock: Clock,
    passwords: Passwords,
    attempts: Attempts,
    /// How many may be under way on the public listener: those past it are turned away at once, so that a flood of guesses,
    /// or a storefront that hangs, takes no place from other requests.
    places: Semaphore,
    /// The same on the admin listener: whatever the public one suffers from, admins sign in.
    admin_places: Semaphore,
    budgets: Arc<AddressBudgets>,
    failed: Arc<Failed>,
}

/// A sign-in that is tried.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    /// Whose accounts.
    pub kind: UserKind,
    /// What was typed.
    pub credentials: &'a Credentials,
    /// Where.
    pub door: Door,
}

/// Where a sign-in is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The public listener, and the client's address; `None`: a trusted proxy that names no client.
    Public(Option<IpAddr>),
    /// The admin listener, or the control socket.
    Admin,
}

/// Who signed in.
pub struct SignedIn {
    /// Kind and number.
    pub user: User,
    /// The account, where it is kept here.
    pub account: Option<Arc<Account>>,
    /// The storefront's own token, where it vouched and gave one.
    pub upstream_token: Option<Secret>,
}

/// What an account says to credentials.
enum Told {
    Yes(SignedIn),
    No,
    /// The password is right. Neither a success nor a failure: whoever guesses passwords must not clear what is counted of
    /// their guesses at codes.
    CodeNeeded(u64),
}

/// How many sign-ins failed, wherever they were tried.
#[derive(Default)]
struct Failed {
    admin: AtomicU64,
    customer: AtomicU64,
}

impl Failed {
    fn of(&self, kind: UserKind) -> &AtomicU64 {
        match kind {
            UserKind::Admin => &self.admin,
            UserKind::Customer => &self.customer,
        }
    }
}

/// One attempt at a time for a name: guesses at once must not all be tried before the first of them is counted.
struct Attempts {
    /// Apart, so that a storefront that hangs holds up no admin.
    admin: [Semaphore; 64],
    customer: [Semaphore; 64],
    hasher: RandomState,
}

impl SignIns {
    /// On a store.
    pub fn new(store: Arc<dyn Store>, clock: Clock) -> Result<Self, HashFailed> {
        Ok(Self {
            store,
            clock,
            passwords: Passwords::new()?,
            attempts: Attempts::new(),
            places: Semaphore::new(AT_ONCE),
            admin_places: Semaphore::new(ADMINS_AT_ONCE),
            budgets: Arc::default(),
            failed: Arc::default(),
        })
    }

    /// Shows how many failed.
    pub fn expose(&self, metrics: &Metrics) {
        let failed = Arc::clone(&self.failed);
        let help = "Sign-ins that failed, on any listener, by kind of account.";
        metrics.counters("sign_in_failures_total", help, move || {
            [("admin", UserKind::Admin), ("customer", UserKind::Customer)]
                .map(|(label, kind)| (format!("{{kind={label:?}}}"), failed.of(kind).load(Ordering::Relaxed)))
                .into()
        });
    }

    /// What hashes passwords, for accounts.
    pub fn passwords(&self) -> &Passwords {
        &self.passwords
    }

    /// Failures are counted by name as typed, unknown names too. `voucher`: who is asked instead of the accounts kept here.
    pub async fn check(
        &self,
        attempt: Attempt<'_>,
        lockout: Lockout,
        voucher: Option<&Voucher>,
    ) -> Result<SignedIn, Refusal> {
        let (places, address) = match attempt.door {
            Door::Public(address) => (&self.places, address),
            Door::Admin => (&self.admin_places, None),
        };
        let now = self.clock.monotonic();
        let budget = address.map(|address| AddressBudgets::begin(&self.budgets, address, lockout, now));
        let mut budget = budget.transpose()?;
        let _place = places.try_acquire().map_err(|_| Cause::Overloaded)?;
        let told = self.try_once(attempt, lockout, voucher).await;
        let has_failed = |refusal: &Refusal| refusal.cause() == Cause::SignInFailed && !refusal.asks_for_code();
        if let Some(budget) = &mut budget
            && told.as_ref().is_err_and(has_failed)
        {
            budget.failed();
        }
        told
    }

    async fn try_once(
        &self,
        attempt: Attempt<'_>,
        lockout: Lockout,
        voucher: Option<&Voucher>,
    ) -> Result<SignedIn, Refusal> {
        let Attempt { kind, credentials, .. } = attempt;
        let (now, counted) = (self.clock.now(), counted(kind));
        let name = credentials.username.as_str();
        let _turn = self.attempts.turn(counted, name).await?;
        let failures = self.store.sign_in_failures(counted, name, now).await?;
        // While locked nothing is tried and nothing is counted, so the lock ends (magento.md 4.5).
        if failures.is_some_and(|failures| failures.count >= lockout.max_failures) {
            self.failed.of(kind).fetch_add(1, Ordering::Relaxed);
            return Err(Cause::SignInFailed.into());
        }
        let told = match voucher {
            None => self.by_account(kind, credentials).await?,
            Some(voucher) => by_storefront(kind, credentials, voucher).await?,
        };
        match told {
            Told::Yes(signed_in) => {
                if failures.is_some() {
                    self.store.clear_sign_in_failures(counted, name).await?;
                }
                Ok(signed_in)
            }
            Told::CodeNeeded(user) => Err(Refusal::second_factor(user)),
            Told::No => {
                let lock = lockout.duration.as_secs();
                let after = self.store.record_sign_in_failure(counted, name, now, lock).await?;
                self.failed.of(kind).fetch_add(1, Ordering::Relaxed);
                if after.count >= lockout.max_failures {
                    // Without the name as typed: it may be a password in the wrong field.
                    tracing::warn!(
                        ?kind,
                        minutes = lock / 60,
                        "a name failed to sign in too often: it is locked"
                    );
                }
                Err(Cause::SignInFailed.into())
            }
        }
    }

    async fn by_account(&self, kind: UserKind, credentials: &Credentials) -> Result<Told, Refusal> {
        let account = self.store.account_by_name(kind, &credentials.username).await?;
        let hash = account.as_ref().map(|account| &account.definition.password_hash);
        let right = self.passwords.verify(&credentials.password, hash).await?;
        let Some(account) = account.filter(|account| right && account.definition.active) else {
            return Ok(Told::No);
        };
        match (second_factor(&account), &credentials.code) {
            (None, _) => {}
            (Some(_), None) => return Ok(Told::CodeNeeded(account.id.0)),
            (Some(_), Some(code)) => {
                if !self.spend_code(&account, code).await? {
                    return Ok(Told::No);
                }
            }
        }
        Ok(Told::Yes(SignedIn {
            user: User { kind, id: account.id.0 },
            account: Some(account),
            upstream_token: None,
        }))
    }

    /// A code counts once, on whichever gateway: the step that it was of, or what is left of the recovery codes, is kept
    /// before the sign-in is good.
    async fn spend_code(&self, account: &Arc<Account>, code: &Secret) -> Result<bool, StoreError> {
        let mut account = Arc::clone(account);
        for _ in 0..TRIES {
            let Some(factor) = second_factor(&account).and_then(|factor| spent(factor, code, self.clock.now())) else {
                return Ok(false);
            };
            let mut after = Account::clone(&account);
            after.definition.totp = Some(factor);
            if let Put::Done(_) = noted(self.recovery(&after), self.store.update_account(&after))
                .await
                .0?
            {
                return Ok(true);
            }
            // It changed meanwhile; perhaps only by another sign-in with an earlier code.
            let before = &account.definition;
            let current = self.store.account_by_name(before.kind, &before.username).await?;
            match current.filter(|now| now.definition.password_hash == before.password_hash) {
                Some(current) => account = current,
                None => return Ok(false),
            }
        }
        Ok(false)
    }

    /// A recovery code that is used may mean that somebody found the list: it stands in the audit log.
    fn recovery(&self, account: &Account) -> Note {
        let who = account.definition.username.as_str();
        let entry = audit::of(self.clock.now(), who, "sign-in", "admin.recovery_code_used");
        let left = |one: &Account| one.definition.totp.as_ref().map_or(0, |factor| factor.recovery.len());
        audit::note(entry, move |happening| {
            let told = of_account(
                happening,
                |id| format!("admin/{id}"),
                |one| json!({ "recovery_codes": left(one) }),
            );
            told.filter(|(_, (before, after))| before != after)
        })
    }

    /// Whether the account was neither disabled nor given another password meanwhile: both end all tokens, and must not miss
    /// one that was just being made.
    pub async fn still_holds(&self, signed_in: &SignedIn) -> Result<bool, StoreError> {
        let Some(account) = &signed_in.account else {
            return Ok(true);
        };
        let before = &account.definition;
        let now = match self.store.account_by_name(before.kind, &before.username).await? {
            Some(now) => Some(now),
            // Renamed, or deleted.
            None => self.store.account(before.kind, account.id).await?,
        };
        Ok(now.is_some_and(|now| {
            let now = &now.definition;
            now.active && now.password_hash == before.password_hash
        }))
    }
}

async fn by_storefront(kind: UserKind, credentials: &Credentials, voucher: &Voucher) -> Result<Told, Refusal> {
    let vouched = voucher.ask(&credentials.username, &credentials.password).await?;
    Ok(vouched.map_or(Told::No, |vouched| {
        Told::Yes(SignedIn {
            user: User { kind, id: vouched.id },
            account: None,
            upstream_token: vouched.token,
        })
    }))
}

/// The second factor, where codes are asked for.
fn second_factor(account: &Account) -> Option<&Totp> {
    let factor = account.definition.totp.as_ref()?;
    (factor.stage != TotpStage::Pending).then_some(factor)
}

/// The factor once a code is used: six digits of now, or a recovery code. `None`: it is neither.
fn spent(factor: &Totp, code: &Secret, now: u64) -> Option<Totp> {
    let TotpStage::Active { last_step } = factor.stage else {
        return None;
    };
    let mut after = factor.clone();
    if let Some(last_step) = totp::step_of(&factor.secret, code.expose(), now, Some(last_step)) {
        after.stage = TotpStage::Active { last_step };
    } else {
        after.recovery = recovery::spend(&factor.secret, &factor.recovery, code)?;
    }
    Some(after)
}

/// Whose failures they are.
pub(super) fn counted(kind: UserKind) -> LockoutKind {
    match kind {
        UserKind::Admin => LockoutKind::Admin,
        UserKind::Customer => LockoutKind::Customer,
    }
}

impl Attempts {
    fn new() -> Self {
        Self {
            admin: std::array::from_fn(|_| Semaphore::new(1)),
            customer: std::array::from_fn(|_| Semaphore::new(1)),
            hasher: RandomState::new(),
        }
    }

    /// Waits for the turn of a name. Some names share one: that costs time, and the bound costs no memory.
    async fn turn(&self, kind: LockoutKind, name: &str) -> Result<SemaphorePermit<'_>, Refusal> {
        let turns = match kind {
            LockoutKind::Admin => &self.admin,
            LockoutKind::Customer => &self.customer,
        };
        let place = self.hasher.hash_one(name) % 64;
        let turns = usize::try_from(place).ok().and_then(|place| turns.get(place));
        let turn = turns.ok_or(Cause::Internal)?.acquire().await;
        turn.map_err(|_| Cause::Internal.into())
    }
}

impl From<HashFailed> for Refusal {
    fn from(error: HashFailed) -> Self {
        tracing::error!(%error, "sign-in");
        Cause::Internal.into()
    }
}

/// Sign-ins under way at a time on the public listener.
const AT_ONCE: usize = 128;
const ADMINS_AT_ONCE: usize = 16;
const TRIES: u32 = 5;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use token_store::embedded::Embedded;
    use token_store::{NewAccount, Role};

    use super::*;

    async fn with_jane() -> (SignIns, Arc<dyn Store>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(Embedded::open(folder.path(), &[], 1).unwrap());
        let sign_ins = SignIns::new(Arc::clone(&store), Clock::system()).unwrap();
        let password = Secret::new("correct horse");
        let jane = NewAccount {
            kind: UserKind::Admin,
            username: "jane".to_owned(),
            email: String::new(),
            password_hash: sign_ins.passwords().hash(&password).await.unwrap(),
            role: Role::Admin,
            active: true,
            resources: None,
            totp: None,
        };
        store.create_account(jane, 1).await.unwrap();
        (sign_ins, store, folder)
    }

    async fn tried(sign_ins: &SignIns, password: &str, door: Door) -> Result<SignedIn, Cause> {
        let credentials = Credentials::new(Some("jane".to_owned()), Some(password.to_owned())).unwrap();
        let lockout = Lockout {
            max_failures: 6,
            duration: Duration::from_secs(60),
            max_failures_per_address: 2,
        };
        let attempt = Attempt {
            kind: UserKind::Admin,
            credentials: &credentials,
            door,
        };
        let told = sign_ins.check(attempt, lockout, None).await;
        told.map_err(|refusal| refusal.cause())
    }

    async fn signed_in(sign_ins: &SignIns) -> SignedIn {
        tried(sign_ins, "correct horse", Door::Admin).await.unwrap()
    }

    #[tokio::test]
    async fn an_address_that_failed_too_often_is_told_to_wait_and_others_are_not() {
        let (sign_ins, _store, _folder) = with_jane().await;
        let [guesses, other] = [1, 2].map(|octet| Door::Public(Some([192, 0, 2, octet].into())));

        let mut told = Vec::new();
        for (password, door) in [
            ("correct horse", guesses),
            ("wrong", guesses),
            ("wrong", guesses),
            ("correct horse", guesses),
            ("correct horse", other),
            ("correct horse", Door::Public(None)),
        ] {
            told.push(tried(&sign_ins, password, door).await.err());
        }

        let failed = Some(Cause::SignInFailed);
        assert_eq!(told, [None, failed, failed, Some(Cause::RateLimited), None, None]);
    }

    #[tokio::test]
    async fn admins_sign_in_on_their_listener_while_the_public_one_has_no_place_left() {
        let (sign_ins, _store, _folder) = with_jane().await;
        let _slow = sign_ins
            .places
            .try_acquire_many(u32::try_from(AT_ONCE).unwrap())
            .unwrap();

        let public = tried(&sign_ins, "correct horse", Door::Public(None)).await;
        let admin = tried(&sign_ins, "correct horse", Door::Admin).await;

        assert_eq!(public.err(), Some(Cause::Overloaded));
        assert!(admin.is_ok());
    }

    #[tokio::test]
    async fn a_sign_in_holds_no_more_once_its_account_is_disabled_or_has_another_password() {
        let changes: [fn(&mut NewAccount); 3] = [
            |jane| jane.email = "jane@example.org".to_owned(),
            |jane| jane.active = false,
            |jane| jane.password_hash = Secret::new("another"),
        ];
        let mut holds = Vec::new();
        for change in changes {
            let (sign_ins, store, _folder) = with_jane().await;
            let signed_in = signed_in(&sign_ins).await;
            let mut jane = Account::clone(signed_in.account.as_deref().unwrap());

            change(&mut jane.definition);
            store.update_account(&jane).await.unwrap();

            holds.push(sign_ins.still_holds(&signed_in).await.unwrap());
        }

        assert_eq!(holds, [true, false, false]);
    }
}
