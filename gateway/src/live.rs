//! What a reload swaps: routes, resources, limits, upstreams and `[oauth]`, prepared so that no request has to.

use std::collections::BTreeMap;
use std::sync::Arc;

use oauth1::Rules;
use token_store::NewIntegration;
use tokio::sync::Semaphore;

use crate::authenticate::signature::rules;
use crate::authorize::resources::ResourceTree;
use crate::config::{self, Config};
use crate::explain::fault::Verified;
use crate::limit::RateLimits;
use crate::listen::tls::{TlsError, authorities, server_config};
use crate::proxy::credentials::UpstreamCredential;
use crate::proxy::route::Routes;
use crate::service::in_flight::Shares;
use crate::upstream::connect::{client_config, system_roots};
use crate::upstream::health::Health;
use crate::upstream::room;

/// The configuration at work.
pub struct Live {
    /// Finds an index into `routes`.
    pub table: Routes,
    /// In the configuration's order.
    pub routes: Vec<Route>,
    /// The ACL tree.
    pub tree: Arc<ResourceTree>,
    /// In the order of their names.
    pub upstreams: Vec<Upstream>,
    /// `[oauth]`
    pub oauth: config::Oauth,
    /// `[public]`
    pub public: config::Public,
    /// `[callbacks]`
    pub callbacks: config::Callbacks,
    /// How callbacks' certificates are verified.
    pub callback_tls: Arc<rustls::ClientConfig>,
    /// What any signed request may look like.
    pub rules: Rules,
    /// The same on `/oauth/token/access`, where Magento's own client repeats the verifier in the form.
    pub rules_of_exchange: Rules,
    /// `[[integrations]]`
    pub integrations: Vec<NewIntegration>,
    /// `[events]`
    pub events: config::Events,
    /// `[[webhooks]]`
    pub webhooks: Vec<config::Webhook>,
    /// `[sweeps]`
    pub sweeps: config::Sweeps,
    /// `[[limits]]` at work.
    pub rates: RateLimits,
    /// The part of the requests in flight that all workers share.
    pub in_flight: Arc<Semaphore>,
    /// The part of HTTP/2's requests on shared connections that all workers share.
    pub streams: Arc<Semaphore>,
    /// The part of the connections to upstreams that all workers share.
    pub upstream_connections: Arc<room::Shared>,
    /// TLS of the public listener.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// The realm of `WWW-Authenticate`.
    pub realm: String,
    /// Whether a signature verified on one of our own endpoints.
    pub exchange_verified: Verified,
}

/// A route at work.
pub struct Route {
    /// As configured.
    pub config: config::Route,
    /// Its place in [`Live::routes`].
    pub number: u32,
    /// Its place in [`Live::upstreams`].
    pub upstream: usize,
    /// Whether a signature verified on it.
    pub verified: Verified,
}

/// An upstream at work.
pub struct Upstream {
    /// `[upstreams.NAME]`
    pub name: String,
    /// Its place in [`Live::upstreams`].
    pub number: usize,
    /// As configured.
    pub config: Arc<config::Upstream>,
    /// What it demands.
    pub credential: Option<UpstreamCredential>,
    /// How its TLS is verified.
    pub tls: Arc<rustls::ClientConfig>,
    /// Which of its targets fail their health check.
    pub health: Health,
}

/// Why a configuration that parsed can't be put to work.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// A certificate file.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// TLS itself.
    #[error("TLS toward upstreams: {0}")]
    Rustls(#[from] rustls::Error),
    /// Two routes that can't be told apart, or a template.
    #[error("route {index}: {reason}")]
    Route {
        /// Its place in the configuration.
        index: usize,
        /// What is wrong.
        reason: String,
    },
}

impl Live {
    /// Prepares a configuration for so many workers.
    pub fn new(config: &Config, workers: usize) -> Result<Self, LiveError> {
        let table = Routes::new(&config.routes).map_err(|faults| {
            let (index, reason) = faults
                .into_iter()
                .next()
                .map_or_else(Default::default, |(i, e)| (i, e.to_string()));
            LiveError::Route { index, reason }
        })?;
        let places: BTreeMap<&str, usize> = config
            .upstreams
            .keys()
            .enumerate()
            .map(|(place, name)| (name.as_str(), place))
            .collect();
        let route = |(index, route): (usize, &config::Route)| {
            let upstream = places.get(route.upstream.as_str()).copied();
            let upstream = upstream.ok_or_else(|| LiveError::Route {
                index,
                reason: format!("upstream {:?} is not configured", route.upstream),
            })?;
            Ok(Route {
                config: route.clone(),
                number: u32::try_from(index).unwrap_or(u32::MAX),
                upstream,
                verified: Verified::default(),
            })
        };
        let system = client_config(system_roots())?;
        let placements = config.oauth.placements;
        Ok(Self {
            table,
            routes: config
                .routes
                .iter()
                .enumerate()
                .map(route)
                .collect::<Result<_, LiveError>>()?,
            tree: Arc::new(ResourceTree::new(&config.resources)),
            upstreams: upstreams(config, &system)?,
            integrations: config.integrations.clone(),
            events: config.events.clone(),
            webhooks: config.webhooks.clone(),
            sweeps: config.sweeps,
            rates: RateLimits::new(&config.limits),
            rules: rules(placements, &config.public.limits, false),
            rules_of_exchange: rules(placements, &config.public.limits, true),
            realm: config.public.base_urls.first().map_or_else(
                || "countersign".to_owned(),
                |url| format!("{}://{}{}", url.scheme.as_str(), url.authority, url.prefix),
            ),
            callback_tls: callback_tls(&config.callbacks, system)?,
            callbacks: config.callbacks.clone(),
            in_flight: Shares::of(config.public.limits.in_flight, workers).shared(),
            streams: Shares::of(config.public.limits.streams(), workers).shared(),
            upstream_connections: {
                let shares = Shares::of(config.public.limits.upstream_connections, workers);
                room::Shared::new(shares.shared())
            },
            tls: config.public.tls.as_ref().map(server_config).transpose()?,
            oauth: config.oauth.clone(),
            public: config.public.clone(),
            exchange_verified: Verified::default(),
        })
    }
}

/// In the order of their names.
fn upstreams(config: &Config, system: &Arc<rustls::ClientConfig>) -> Result<Vec<Upstream>, LiveError> {
    let upstream = |(number, (name, upstream)): (usize, (&String, &config::Upstream))| {
        let tls = match &upstream.ca {
            Some(path) => client_config(authorities(path)?)?,
            None => Arc::clone(system),
        };
        Ok(Upstream {
            name: name.clone(),
            number,
            config: Arc::new(upstream.clone()),
            credential: UpstreamCredential::of(&upstream.credentials),
            tls,
            health: Health::of(upstream),
        })
    };
    config.upstreams.iter().enumerate().map(upstream).collect()
}

/// An authority for partners' certificates is trusted besides the system's, not instead.
fn callback_tls(
    callbacks: &config::Callbacks,
    system: Arc<rustls::ClientConfig>,
) -> Result<Arc<rustls::ClientConfig>, LiveError> {
    match &callbacks.ca {
        None => Ok(system),
        Some(path) => {
            let mut roots = system_roots();
            roots.extend(authorities(path)?.roots);
            Ok(client_config(roots)?)
        }
    }
}
