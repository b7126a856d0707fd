//! One thread's share of the gateway.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderValue;
use oauth1::Keys;
use token_store::Store;

use super::in_flight::{InFlight, Shares};
use crate::authenticate::credential::Credentials;
use crate::authenticate::target::Origin;
use crate::clock::Clock;
use crate::exchange::user_token::UserTokens;
use crate::integration::handshake::Handshakes;
use crate::live::Live;
use crate::observe::{AccessLog, Shard};
use crate::proxy::request_body::RequestBody;
use crate::request_id::RequestIds;
use crate::upstream::Upstream;

/// One thread's share of the gateway: everything a request touches, and nothing of it shared with other threads.
pub struct Worker {
    /// Time.
    pub clock: Clock,
    /// Counters.
    pub metrics: Arc<Shard>,
    /// Lines.
    pub log: AccessLog,
    /// State.
    pub store: Arc<dyn Store>,
    /// Consumers, with prepared keys.
    pub credentials: Credentials,
    /// Verifies nothing at the usual cost.
    pub dummy: Keys,
    /// Sign-ins of users.
    pub users: Arc<UserTokens>,
    /// Where the token endpoints note the steps of a handshake.
    pub handshakes: Arc<Handshakes>,
    live: Arc<ArcSwap<Live>>,
    local: RefCell<Rc<Local>>,
    pub(super) ids: RequestIds,
    threads: usize,
    warned_of_host: Cell<u64>,
}

/// The configuration at work, as one worker holds it: its own pools, and a count of its own for the shared part.
pub struct Local {
    /// Shared by all workers.
    pub live: Arc<Live>,
    /// This worker's pools, in the order of [`Live::upstreams`].
    pub upstreams: Vec<Upstream<RequestBody>>,
    /// This worker's view of the requests in flight.
    pub in_flight: Rc<InFlight>,
}

/// What a worker is made from.
pub struct WorkerParts {
    /// Time.
    pub clock: Clock,
    /// Counters.
    pub metrics: Arc<Shard>,
    /// Lines.
    pub log: AccessLog,
    /// State.
    pub store: Arc<dyn Store>,
    /// Sign-ins of users.
    pub users: Arc<UserTokens>,
    /// Where the token endpoints note the steps of a handshake.
    pub handshakes: Arc<Handshakes>,
    /// What a reload swaps.
    pub live: Arc<ArcSwap<Live>>,
    /// How many workers there are.
    pub threads: usize,
    /// Consumers kept in this worker's memory.
    pub cache: usize,
    /// Where request ids start.
    pub ids: RequestIds,
}

impl Worker {
    /// A worker of this thread.
    pub fn new(parts: WorkerParts) -> Rc<Self> {
        let live = parts.live.load_full();
        let methods = live.oauth.signature_methods;
        let credentials = Credentials::new(Arc::clone(&parts.store), parts.clock, methods, parts.cache);
        Rc::new(Self {
            credentials,
            dummy: Keys::dummy(methods),
            local: RefCell::new(Rc::new(Local::new(live, parts.clock, parts.threads))),
            threads: parts.threads,
            clock: parts.clock,
            metrics: parts.metrics,
            log: parts.log,
            store: parts.store,
            users: parts.users,
            handshakes: parts.handshakes,
            live: parts.live,
            ids: parts.ids,
            warned_of_host: Cell::new(0),
        })
    }

    /// Whether `X-Forwarded-*` of this peer are believed.
    pub fn trusts(&self, ip: IpAddr) -> bool {
        self.local
            .borrow()
            .live
            .public
            .trusted_proxies
            .iter()
            .any(|net| net.contains(&ip))
    }

    /// The configuration at work; taken over anew after a reload.
    pub fn local(&self) -> Rc<Local> {
        let current = self.live.load();
        let mut local = self.local.borrow_mut();
        if !Arc::ptr_eq(&local.live, &current) {
            let live = Arc::clone(&current);
            self.credentials.set_methods(live.oauth.signature_methods);
            *local = Rc::new(Local::new(live, self.clock, self.threads));
        }
        Rc::clone(&local)
    }

    /// An id that nobody else has.
    pub fn next_id(&self) -> HeaderValue {
        self.ids.next()
    }

    /// Ends upstream connections that idled too long.
    pub fn close_idle(&self) {
        for upstream in &self.local.borrow().upstreams {
            upstream.close_idle();
        }
    }

    /// Said at the first mismatch and then ever more rarely: a client's mistake must not fill the log.
    pub(super) fn warn_of_host(&self, seen: &Origin<'_>, signed: &Origin<'_>) {
        let before = self.metrics.host_mismatch();
        if before.is_multiple_of(self.warned_of_host.get().max(1)) {
            self.warned_of_host.set((before + 1) * 10);
            tracing::warn!(
                called = format!("{}://{}", seen.scheme.as_str(), seen.authority),
                must_sign = format!("{}://{}{}", signed.scheme.as_str(), signed.authority, signed.prefix),
                "a request came to another address than the one that clients must sign; check public.base_url and trusted_proxies"
            );
        }
    }
}

impl Local {
    fn new(live: Arc<Live>, clock: Clock, threads: usize) -> Self {
        let upstreams = live
            .upstreams
            .iter()
            .map(|one| Upstream::new(&one.config, &one.tls, clock))
            .collect();
        let limits = &live.public.limits;
        let shares = Shares::of(limits.in_flight, threads);
        let in_flight = InFlight::new(shares, Arc::clone(&live.in_flight), limits.in_flight_wait);
        Self {
            live,
            upstreams,
            in_flight,
        }
    }
}
