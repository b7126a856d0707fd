//! One thread's share of the gateway.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderValue;
use oauth1::Keys;
use token_store::Store;

use super::in_flight::{InFlight, Shares};
use crate::authenticate::bearer;
use crate::authenticate::credential::Credentials;
use crate::authenticate::jwt::Jwts;
use crate::authenticate::secret_use::Noted;
use crate::authenticate::target::Origin;
use crate::clock::Clock;
use crate::config;
use crate::exchange::user_token::UserTokens;
use crate::explain::live::Explainer;
use crate::integration::handshake::Handshakes;
use crate::live::Live;
use crate::observe::usage::{Tally, Usage};
use crate::observe::{AccessLog, Shard};
use crate::proxy::assertion::{Assertions, Signed};
use crate::proxy::request_body::RequestBody;
use crate::request_id::RequestIds;
use crate::upstream::Upstream;
use crate::upstream::board::View;
use crate::upstream::room::Room;

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
    /// What a request may wait for it in all; `None`: it is in this process.
    pub store_limit: Option<Duration>,
    /// Consumers, with prepared keys.
    pub credentials: Credentials,
    /// Verifies nothing at the usual cost.
    pub dummy: Keys,
    /// Sign-ins of users.
    pub users: Arc<UserTokens>,
    jwts: Arc<Jwts>,
    /// What tells upstreams who calls, signed.
    pub assertions: Arc<Assertions>,
    /// Where the token endpoints note the steps of a handshake.
    pub handshakes: Arc<Handshakes>,
    /// Where refusals are kept.
    pub explainer: Arc<Explainer>,
    live: Arc<ArcSwap<Live>>,
    local: RefCell<Rc<Local>>,
    pub(super) ids: RequestIds,
    threads: usize,
    view: Arc<View>,
    usage: Arc<Usage>,
    warned_of_host: Cell<u64>,
}

/// The configuration at work, as one worker holds it: its own pools, and a count of its own for the shared part.
pub struct Local {
    /// Counts this worker's configurations, from one on.
    pub number: u64,
    /// Shared by all workers.
    pub live: Arc<Live>,
    /// Of the public listener: connections keep those they began with.
    pub limits: Rc<config::Limits>,
    /// This worker's pools, in the order of [`Live::upstreams`].
    pub upstreams: Vec<Upstream<RequestBody>>,
    /// This worker's view of the requests in flight.
    pub in_flight: Rc<InFlight>,
    /// This worker's view of HTTP/2's requests that share their client's connection with others.
    pub streams: Rc<InFlight>,
    /// Who used which route.
    pub tally: Tally,
    /// Assertions of callers that are sent again.
    pub assertions: Signed,
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
    /// What a request may wait for it in all; `None`: it is in this process.
    pub store_limit: Option<Duration>,
    /// Sign-ins of users.
    pub users: Arc<UserTokens>,
    /// What verifies users' JWTs.
    pub jwts: Arc<Jwts>,
    /// What tells upstreams who calls, signed.
    pub assertions: Arc<Assertions>,
    /// Where the token endpoints note the steps of a handshake.
    pub handshakes: Arc<Handshakes>,
    /// Where refusals are kept.
    pub explainer: Arc<Explainer>,
    /// Which of two consumer secrets was used.
    pub noted: Arc<Noted>,
    /// What a reload swaps.
    pub live: Arc<ArcSwap<Live>>,
    /// How many workers there are.
    pub threads: usize,
    /// Where it writes down how its upstreams are.
    pub view: Arc<View>,
    /// Where its tallies go.
    pub usage: Arc<Usage>,
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
        let credentials = Credentials::new(Arc::clone(&parts.store), parts.clock, methods, parts.cache, parts.noted);
        Rc::new(Self {
            credentials,
            dummy: Keys::dummy(methods),
            local: RefCell::new(Rc::new(Local::new(1, live, parts.clock, parts.threads, &parts.usage))),
            threads: parts.threads,
            clock: parts.clock,
            metrics: parts.metrics,
            log: parts.log,
            store: parts.store,
            store_limit: parts.store_limit,
            users: parts.users,
            jwts: parts.jwts,
            assertions: parts.assertions,
            handshakes: parts.handshakes,
            explainer: parts.explainer,
            live: parts.live,
            ids: parts.ids,
            view: parts.view,
            usage: parts.usage,
            warned_of_host: Cell::new(0),
        })
    }

    /// What reads bearer tokens, now.
    pub fn bearers(&self) -> bearer::Reader<'_> {
        bearer::Reader {
            store: &self.store,
            jwts: &self.jwts,
            now: self.clock.now(),
        }
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
            *local = Rc::new(Local::new(
                local.number + 1,
                live,
                self.clock,
                self.threads,
                &self.usage,
            ));
        }
        Rc::clone(&local)
    }

    /// An id that nobody else has.
    pub fn next_id(&self) -> HeaderValue {
        self.ids.next().id
    }

    /// Ends upstream connections that idled too long, and tells the others what this worker knows.
    pub fn tick(&self) {
        let local = self.local.borrow();
        for upstream in &local.upstreams {
            upstream.close_idle();
        }
        local.tally.hand_over();
        self.view.write(&local.upstreams);
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
    fn new(number: u64, live: Arc<Live>, clock: Clock, threads: usize, usage: &Arc<Usage>) -> Self {
        let limits = Rc::new(live.public.limits.clone());
        let own = Shares::of(limits.upstream_connections, threads).own();
        let room = Room::new(own, Arc::clone(&live.upstream_connections), limits.in_flight_wait);
        let upstreams = live.upstreams.iter();
        let upstreams = upstreams.map(|one| Upstream::new(one, &room, clock)).collect();
        let shares = Shares::of(limits.in_flight, threads);
        let in_flight = InFlight::new(shares, Arc::clone(&live.in_flight), limits.in_flight_wait);
        let shares = Shares::of(limits.streams(), threads);
        let streams = InFlight::new(shares, Arc::clone(&live.streams), limits.in_flight_wait);
        let tally = Tally::new(Arc::clone(usage), Arc::clone(&live), clock);
        Self {
            number,
            live,
            limits,
            upstreams,
            in_flight,
            streams,
            tally,
            assertions: Signed::default(),
        }
    }
}
