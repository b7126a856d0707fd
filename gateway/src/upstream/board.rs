//! What the workers see of their targets, for operators: each writes its own view down a few times a second.

use std::sync::{Arc, Mutex, PoisonError};

use super::Upstream;
use crate::config;

/// All workers' views.
#[derive(Default)]
pub struct Board {
    views: Mutex<Vec<Arc<View>>>,
}

/// One worker's.
#[derive(Default)]
pub struct View(Mutex<Vec<Of>>);

/// What a worker sees of one upstream: for each target, in the configuration's order.
struct Of {
    upstream: Arc<config::Upstream>,
    targets: Vec<TargetNow>,
}

/// A target as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetNow {
    /// Requests under way.
    pub active: usize,
    /// Connections that wait for the next request.
    pub idle: usize,
    /// Whether the last connection to it failed.
    pub unreachable: bool,
    /// Whether its circuit breaker has opened.
    pub open: bool,
    /// Whether it fails its health check.
    pub unhealthy: bool,
}

impl Board {
    /// A new worker's view.
    pub fn view(&self) -> Arc<View> {
        let view = Arc::new(View::default());
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        views.push(Arc::clone(&view));
        view
    }

    /// The targets of an upstream at work, all workers together.
    pub fn targets(&self, upstream: &Arc<config::Upstream>) -> Vec<TargetNow> {
        let mut all = vec![TargetNow::default(); upstream.targets.len()];
        for view in self.views.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let view = view.0.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(of) = view.iter().find(|of| Arc::ptr_eq(&of.upstream, upstream)) else {
                continue;
            };
            for (sum, one) in all.iter_mut().zip(&of.targets) {
                sum.active += one.active;
                sum.idle += one.idle;
                sum.unreachable |= one.unreachable;
                sum.open |= one.open;
                sum.unhealthy |= one.unhealthy;
            }
        }
        all
    }
}

impl TargetNow {
    /// `ok`, or what is wrong with it.
    pub fn status(self) -> &'static str {
        if self.unhealthy {
            "unhealthy"
        } else if self.open {
            "open"
        } else if self.unreachable {
            "unreachable"
        } else {
            "ok"
        }
    }
}

impl View {
    /// Writes down how a worker's upstreams are.
    pub fn write<B>(&self, upstreams: &[Upstream<B>]) {
        let of = |upstream: &Upstream<B>| Of {
            upstream: Arc::clone(&upstream.config),
            targets: upstream.targets.iter().map(super::Target::now).collect(),
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = upstreams.iter().map(of).collect();
    }
}

impl<B> super::Target<B> {
    fn now(&self) -> TargetNow {
        let (idle, unreachable) = self.pool.now();
        TargetNow {
            active: self.active.get(),
            idle,
            unreachable,
            open: self.breaker.has_opened(),
            unhealthy: self.fails_its_check(),
        }
    }
}
