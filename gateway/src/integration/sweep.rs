//! Two sweeps on a schedule (magento.md 4.8): failed sign-ins whose lock is over, bearer tokens that have expired.
//!
//! Readers refuse what has expired anyway: a sweep only frees memory. It works in small steps, so that live requests don't
//! wait for it, and one gateway at a time where several share a store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use token_store::{Store, StoreError, UserKind};

use crate::clock::Clock;
use crate::live::Live;
use crate::observe::Metrics;
use crate::random::{self, NoRandomness};

/// What is swept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// `outdated_authentication_failures_cleanup`
    AuthenticationFailures,
    /// `expired_tokens_cleanup`: admins' and customers' bearer tokens; integrations' never.
    ExpiredTokens,
}

/// Runs sweeps.
#[derive(Clone)]
pub struct Sweeps {
    store: Arc<dyn Store>,
    clock: Clock,
    live: Arc<ArcSwap<Live>>,
    /// Who holds the lease.
    holder: String,
    counts: Arc<[Counts; 2]>,
}

/// For metrics, by sweep.
#[derive(Debug, Default)]
pub struct Counts {
    /// Runs that ended well.
    pub runs: AtomicU64,
    /// Runs that did not.
    pub failures: AtomicU64,
    /// What was removed.
    pub removed: AtomicU64,
    /// When the last run ended well, Unix seconds.
    pub last_run: AtomicU64,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swept {
    /// That many were removed.
    Removed(u64),
    /// Another gateway sweeps just now.
    Elsewhere,
}

impl Sweep {
    /// Both.
    pub const ALL: [Self; 2] = [Self::AuthenticationFailures, Self::ExpiredTokens];

    /// Its name in the configuration, the API and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AuthenticationFailures => "outdated_authentication_failures_cleanup",
            Self::ExpiredTokens => "expired_tokens_cleanup",
        }
    }

    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sweep| sweep.as_str() == name)
    }
}

impl Sweeps {
    /// On a store, with the schedule of the configuration at work.
    pub fn new(store: Arc<dyn Store>, clock: Clock, live: Arc<ArcSwap<Live>>) -> Result<Self, NoRandomness> {
        Ok(Self {
            store,
            clock,
            live,
            holder: random::credential()?,
            counts: Arc::default(),
        })
    }

    /// Shows what was counted among the metrics, by sweep.
    pub fn expose(&self, metrics: &Metrics) {
        let rows = |of: fn(&Counts) -> &AtomicU64| {
            let sweeps = self.clone();
            move || {
                let row = |sweep: Sweep| {
                    let value = of(sweeps.counts(sweep)).load(Ordering::Relaxed);
                    (format!("{{sweep=\"{}\"}}", sweep.as_str()), value)
                };
                Sweep::ALL.map(row).to_vec()
            }
        };
        let help = "Rows that sweeps removed.";
        metrics.counters("sweep_removed_total", help, rows(|one| &one.removed));
        let help = "Sweeps that ended well on this gateway.";
        metrics.counters("sweep_runs_total", help, rows(|one| &one.runs));
        let help = "Sweeps that the store ended early.";
        metrics.counters("sweep_failures_total", help, rows(|one| &one.failures));
        let help = "When a sweep last ended well on this gateway; 0: not yet.";
        metrics.gauges("sweep_last_success_timestamp_seconds", help, rows(|one| &one.last_run));
    }

    /// What was counted of a sweep.
    pub fn counts(&self, sweep: Sweep) -> &Counts {
        let [failures, tokens] = &*self.counts;
        match sweep {
            Sweep::AuthenticationFailures => failures,
            Sweep::ExpiredTokens => tokens,
        }
    }

    /// Runs each on its schedule, for ever: whoever spawns it ends it.
    pub async fn run(self) {
        let mut last = Sweep::ALL.map(|sweep| (sweep, self.clock.instant()));
        loop {
            tokio::time::sleep(TICK).await;
            for (sweep, began) in &mut last {
                let every = self.live.load().sweeps.every(*sweep);
                let now = self.clock.instant();
                if every.is_none_or(|every| now.duration_since(*began) < every) {
                    continue;
                }
                *began = now;
                match self.once(*sweep).await {
                    Ok(Swept::Removed(0) | Swept::Elsewhere) => {}
                    Ok(Swept::Removed(removed)) => tracing::info!(sweep = sweep.as_str(), removed, "swept"),
                    Err(error) => tracing::warn!(sweep = sweep.as_str(), %error, "a sweep ended early"),
                }
            }
        }
    }

    /// Runs one now, step by step, until nothing is left to remove.
    pub async fn once(&self, sweep: Sweep) -> Result<Swept, StoreError> {
        let swept = self.sweep(sweep).await;
        let counts = self.counts(sweep);
        match &swept {
            Ok(Swept::Removed(removed)) => {
                counts.runs.fetch_add(1, Ordering::Relaxed);
                counts.removed.fetch_add(*removed, Ordering::Relaxed);
                counts.last_run.store(self.clock.now(), Ordering::Relaxed);
            }
            Ok(Swept::Elsewhere) => {}
            Err(_) => {
                counts.failures.fetch_add(1, Ordering::Relaxed);
            }
        }
        swept
    }

    async fn sweep(&self, sweep: Sweep) -> Result<Swept, StoreError> {
        let mut removed = 0;
        for rows in Rows::of(sweep) {
            loop {
                if !self.store.lease(sweep.as_str(), &self.holder, LEASE_SECS).await? {
                    return Ok(Swept::Elsewhere);
                }
                let began = self.clock.instant();
                let step = self.step(*rows).await?;
                removed += step;
                if step < STEP {
                    break;
                }
                let took = self.clock.instant().duration_since(began);
                tokio::time::sleep(PAUSE.max(took)).await;
            }
        }
        Ok(Swept::Removed(removed))
    }

    async fn step(&self, rows: Rows) -> Result<u64, StoreError> {
        let now = self.clock.now();
        let limit = usize::try_from(STEP).unwrap_or(usize::MAX);
        match rows {
            Rows::Failures => self.store.sweep_sign_in_failures(now, limit).await,
            Rows::Tokens(kind) => self.store.sweep_user_tokens(kind, now, limit).await,
        }
    }
}

/// What one step after the other removes.
#[derive(Clone, Copy)]
enum Rows {
    Failures,
    Tokens(UserKind),
}

impl Rows {
    fn of(sweep: Sweep) -> &'static [Self] {
        match sweep {
            Sweep::AuthenticationFailures => &[Self::Failures],
            Sweep::ExpiredTokens => &[Self::Tokens(UserKind::Admin), Self::Tokens(UserKind::Customer)],
        }
    }
}

const TICK: Duration = Duration::from_secs(1);
/// Rows a step: few, since a request may have to wait for the whole of one, on the store's server or on this core. So many
/// hold Redis for 0.4 ms (measured), and a million rows are gone in two to three minutes.
pub(super) const STEP: u64 = 50;
/// Between steps at least, so that others get their turn; as long as the step took where that is more.
const PAUSE: Duration = Duration::from_millis(3);
const LEASE_SECS: u64 = 30;
