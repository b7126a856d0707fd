//! Health checks: each target is asked every so often how it is, and one that fails gets no request until it passes again.
//!
//! A gateway asks once for all its workers, which read the outcome as one flag a target.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{Method, StatusCode};
use rustls::ClientConfig;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::ask::{Ask, AskError};
use super::{authority, certificate_name};
use crate::config;
use crate::live::{self, Live};

/// Which targets of an upstream fail their health check: a flag a target, in the configuration's order. Where there is no check
/// there are no flags.
#[derive(Debug)]
pub struct Health(Vec<Arc<AtomicBool>>);

impl Health {
    /// All are well.
    pub fn of(config: &config::Upstream) -> Self {
        let checked = config.health_check.iter().flat_map(|_| &config.targets);
        Self(checked.map(|_| Arc::default()).collect())
    }

    /// The flag of one target, if it is checked: set while it fails.
    pub(super) fn of_target(&self, number: usize) -> Option<Arc<AtomicBool>> {
        self.0.get(number).cloned()
    }
}

/// Brings over what was known of the same targets by the same check, so that a reload sends nothing to one that fails.
pub fn carry_over(from: &[live::Upstream], to: &[live::Upstream]) {
    for new in to {
        let is_same =
            |old: &&live::Upstream| old.name == new.name && old.config.health_check == new.config.health_check;
        let Some(old) = from.iter().find(is_same) else { continue };
        for (target, fails) in new.config.targets.iter().zip(&new.health.0) {
            let mut before = old.config.targets.iter().zip(&old.health.0);
            if let Some((_, before)) = before.find(|(one, _)| *one == target) {
                fails.store(before.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        }
    }
}

/// Asks all targets that are to be asked, for as long as the configuration stands, and begins anew with each reload.
pub async fn check(live: Arc<ArcSwap<Live>>) {
    loop {
        let at_work = live.load_full();
        // All end with the set.
        let mut watches = JoinSet::new();
        for upstream in &at_work.upstreams {
            let Some(check) = &upstream.config.health_check else {
                continue;
            };
            for (target, fails) in upstream.config.targets.iter().zip(&upstream.health.0) {
                let watch = Watch {
                    upstream: upstream.name.clone(),
                    config: Arc::clone(&upstream.config),
                    check: check.clone(),
                    target: target.clone(),
                    tls: Arc::clone(&upstream.tls),
                    fails: Arc::clone(fails),
                };
                watches.spawn(watch.run());
            }
        }
        while Arc::ptr_eq(&at_work, &live.load()) {
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// What is asked of one target.
struct Watch {
    upstream: String,
    config: Arc<config::Upstream>,
    check: config::HealthCheck,
    target: config::UpstreamTarget,
    tls: Arc<ClientConfig>,
    fails: Arc<AtomicBool>,
}

/// Why a target fails.
#[derive(Debug, thiserror::Error)]
enum Ill {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("answered {0}")]
    Status(StatusCode),
}

impl Watch {
    async fn run(self) {
        let mut times = tokio::time::interval(self.check.interval);
        times.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut against = 0;
        loop {
            times.tick().await;
            let outcome = self.ask().await;
            let fails = self.fails.load(Ordering::Relaxed);
            if outcome.is_err() == fails {
                against = 0;
                continue;
            }
            against += 1;
            let enough = if fails {
                self.check.successes
            } else {
                self.check.failures
            };
            if against < enough {
                continue;
            }
            against = 0;
            self.fails.store(!fails, Ordering::Relaxed);
            let (upstream, target) = (&self.upstream, authority(&self.target));
            match outcome {
                Ok(()) => tracing::info!(
                    upstream,
                    target,
                    "a target passes its health check again: it gets requests"
                ),
                Err(error) => {
                    tracing::warn!(upstream, target, %error, "a target fails its health check: it gets no requests");
                }
            }
        }
    }

    async fn ask(&self) -> Result<(), Ill> {
        let authority = authority(&self.target);
        let host = self.config.host.as_deref();
        let ask = Ask {
            target: &self.target,
            name: host.map_or(self.target.host.as_str(), certificate_name),
            tls: Arc::clone(&self.tls),
            connect_timeout: self.check.timeout,
            timeout: self.check.timeout,
        };
        let asking = ask.ask(Method::GET, &self.check.path, host.unwrap_or(&authority));
        let answer = tokio::time::timeout(self.check.timeout, asking).await;
        let status = answer.unwrap_or(Err(AskError::Late(self.check.timeout)))?.status();
        if passes(status) {
            Ok(())
        } else {
            Err(Ill::Status(status))
        }
    }
}

/// Whether a target that answered its check so is well.
pub fn passes(status: StatusCode) -> bool {
    status.is_success() || status.is_redirection()
}

/// How often a reload is looked for.
const LOOK: Duration = Duration::from_millis(200);
