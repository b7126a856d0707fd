//! Magento's five services (magento.md 4), method by method, over both stores: every result, error and side effect. A test is
//! named after its service and method.

mod admin_token;
mod authorization;
mod customer_token;
mod integration;
mod killed;
mod oauth;
mod two_admins;

use harness::redis::{Options, Server};
use harness::{Call, Credentials, Refusal, Shop};
use tokio::sync::OnceCell;

/// Runs a test over the embedded store and over Redis: each a test of its own, in a module of its name.
macro_rules! over_both_stores {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[tokio::test]
            async fn embedded() {
                super::$name(harness::Shop::shared().await).await;
            }

            #[tokio::test]
            async fn redis() {
                super::$name(crate::services::on_redis().await).await;
            }
        }
    )+};
}
pub(crate) use over_both_stores;

/// The shop on a Redis of its own that all these tests share.
pub(crate) async fn on_redis() -> &'static Shop {
    static SHARED: OnceCell<Shop> = OnceCell::const_new();
    SHARED.get_or_init(async || new_on_redis().await).await
}

/// A shop of the test's own, on a Redis of its own that outlives a kill.
pub(crate) async fn new_on_redis() -> Shop {
    let options = Options {
        append_only: true,
        ..Options::default()
    };
    // Kept until the process ends.
    let redis = Box::leak(Box::new(Server::start(options).await));
    Shop::new().store(&redis.url()).start().await
}

/// How a signed call for products is refused.
pub(crate) async fn refused(shop: &Shop, credentials: &Credentials) -> Refusal {
    products(credentials).refusal(&shop.gateway).await
}

/// Whether a signed call for products is served.
async fn is_served(shop: &Shop, credentials: &Credentials) -> bool {
    products(credentials).send(&shop.gateway).await.status == 200
}

fn products(credentials: &Credentials) -> Call {
    Call::get("/rest/V1/products/services").signed_by(credentials)
}

const PRODUCTS: &str = "Magento_Catalog::products";
