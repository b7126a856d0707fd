//! Gateway, upstream, partner and an admin who is signed in: what nearly every test starts from.

use tokio::sync::OnceCell;

use crate::admin::{Admin, NewIntegration};
use crate::gateway::{Config, Gateway};
use crate::partner::Partner;
use crate::sign::Credentials;
use crate::upstream::Upstream;

/// A running shop.
pub struct Shop {
    /// The gateway under test.
    pub gateway: Gateway,
    /// What it protects.
    pub upstream: Upstream,
    /// Callback endpoints.
    pub partner: Partner,
    /// The account that is there from the start.
    pub admin: Admin,
    config: Config,
}

/// A shop that is being set up.
#[derive(Clone)]
pub struct ShopBuilder {
    config: Config,
    routes: bool,
    base_url: Option<String>,
}

impl Shop {
    /// A shop of the test's own.
    #[expect(clippy::new_ret_no_self, reason = "a builder: a shop has to start")]
    pub fn new() -> ShopBuilder {
        let config = Config::default()
            .set("public", "threads", "2")
            .set("public.limits", "connections", "2000")
            .set("store", "url", "\"embedded:store\"")
            // All tests come from one address.
            .set("lockout", "max_failures_per_address", "1000000")
            .set("callbacks", "allow", "[\"127.0.0.0/8\"]");
        ShopBuilder {
            config,
            routes: true,
            base_url: None,
        }
    }

    /// The shop that all tests of this process share: default configuration; each test makes integrations of its own.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Shop> = OnceCell::const_new();
        SHARED.get_or_init(async || Self::new().start().await).await
    }

    /// Another one, for tests of requests that must not arrive: what all others send never counts there.
    pub async fn attacked() -> &'static Self {
        static ATTACKED: OnceCell<Shop> = OnceCell::const_new();
        ATTACKED.get_or_init(async || Self::new().start().await).await
    }

    /// An integration, made by the first admin.
    pub fn integration(&self) -> NewIntegration<'_> {
        self.admin.integration()
    }

    /// The credentials of a fresh integration that may use products and nothing else.
    pub async fn reader(&self) -> Credentials {
        let integration = self.integration().granted(&["Magento_Catalog::products"]);
        integration.active().await.credentials
    }

    /// One more gateway on the same configuration, for a store that both can reach; clients sign the same URL.
    pub async fn second_gateway(&self) -> Gateway {
        Gateway::start(self.config.clone(), Some(self.gateway.base_url()), &[]).await
    }
}

impl ShopBuilder {
    /// One key of the configuration, its value as TOML.
    #[must_use]
    pub fn set(mut self, section: &str, key: &str, value: &str) -> Self {
        self.config = self.config.set(section, key, value);
        self
    }

    /// More TOML: routes, resources.
    #[must_use]
    pub fn append(mut self, toml: &str) -> Self {
        self.config = self.config.append(toml);
        self
    }

    /// Keeps everything in Redis.
    #[must_use]
    pub fn store(self, url: &str) -> Self {
        self.set("store", "url", &format!("\"{url}\"")).set(
            "store",
            "encryption_keys",
            &format!("[\"{ENCRYPTION_KEY}\"]"),
        )
    }

    /// Without the usual routes.
    #[must_use]
    pub fn without_routes(mut self) -> Self {
        self.routes = false;
        self
    }

    /// Clients sign this, whatever address the gateway has.
    #[must_use]
    pub fn signed_as(mut self, base_url: &str) -> Self {
        self.base_url = Some(base_url.to_owned());
        self
    }

    /// Starts everything.
    pub async fn start(self) -> Shop {
        let (upstream, partner) = (Upstream::start().await, Partner::start().await);
        let mut config = self.config;
        config = config.set(
            "upstreams.storefront",
            "targets",
            &format!("[\"http://{}\"]", upstream.address()),
        );
        if self.routes {
            config = config.append(ROUTES);
        }
        let first = [
            ("COUNTERSIGN_ADMIN_USER", ADMIN),
            ("COUNTERSIGN_ADMIN_PASSWORD", PASSWORD),
        ];
        let gateway = Gateway::start(config.clone(), self.base_url.as_deref(), &first).await;
        let admin = Admin::sign_in(gateway.admin(), ADMIN, PASSWORD).await;
        Shop {
            gateway,
            upstream,
            partner,
            admin,
            config,
        }
    }
}

/// The first admin's name.
pub const ADMIN: &str = "first-admin";
/// Their password.
pub const PASSWORD: &str = "correct horse battery staple";
/// 32 octets, for stores that need a key.
const ENCRYPTION_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// The usual routes: one of each kind.
const ROUTES: &str = include_str!("routes.toml");
