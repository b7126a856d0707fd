//! What only the store itself can be given: customers, whom nothing makes from outside but the storefront.

use std::sync::Arc;
use std::time::Duration;

use token_store::{LockoutKind, NewAccount, OpenOptions, Role, Secret, Store, UserKind, open};
use tokio::sync::OnceCell;

use crate::call::Call;
use crate::gateway::Gateway;
use crate::shop::{PASSWORD, Shop};
use crate::sign::now;
use crate::wait::eventually;

impl Gateway {
    /// Adds a customer who signs in with [`PASSWORD`], and answers the number; the gateway starts again for it.
    pub async fn add_customer(&self, email: &str) -> u64 {
        self.stop().await;
        let store = self.open_store().await;
        let new = NewAccount {
            kind: UserKind::Customer,
            username: email.to_owned(),
            email: email.to_owned(),
            password_hash: Secret::new(HASH),
            role: Role::Viewer,
            active: true,
            resources: None,
            totp: None,
        };
        let made = store.create_account(new, now()).await.unwrap().unwrap();
        store.close().await.unwrap();
        drop(store);
        self.start_again().await;
        made.id.0
    }

    /// How many failed sign-ins of an admin's name are counted; the gateway is stopped for it.
    pub async fn failures_of_admin(&self, username: &str) -> u32 {
        self.stop().await;
        let store = self.open_store().await;
        let failures = store
            .sign_in_failures(LockoutKind::Admin, username, now())
            .await
            .unwrap();
        store.close().await.unwrap();
        failures.map_or(0, |failures| failures.count)
    }

    /// Opens the store; an embedded one while no process has it open.
    async fn open_store(&self) -> Arc<dyn Store> {
        let url = self.store_url();
        let (url, encryption_keys) = match url.strip_prefix("embedded:") {
            Some(folder) => (format!("embedded:{}/{folder}", self.folder().display()), Vec::new()),
            None => (url, vec![ENCRYPTION_KEY]),
        };
        let options = OpenOptions {
            url,
            encryption_keys,
            timeout: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(1),
            cache: 100,
            now: now(),
            serves: false,
        };
        eventually("the store can be opened", async || open(&options).await.ok()).await
    }
}

impl Shop {
    /// A shop with a customer, [`CUSTOMER`], for all tests that need one: the shop, and the customer's number.
    pub async fn with_customer() -> (&'static Self, u64) {
        static SHOP: OnceCell<(Shop, u64)> = OnceCell::const_new();
        let start = async || {
            let shop = Self::new().start().await;
            let customer = shop.gateway.add_customer(CUSTOMER).await;
            (shop, customer)
        };
        let (shop, customer) = SHOP.get_or_init(start).await;
        (shop, *customer)
    }

    /// Signs [`CUSTOMER`] in: a bearer token.
    pub async fn customer_token(&self) -> String {
        let credentials = serde_json::json!({ "username": CUSTOMER, "password": PASSWORD });
        let call = Call::post("/rest/V1/integration/customer/token").json(&credentials);
        let answer = call.send(&self.gateway).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json().as_str().unwrap_or_default().to_owned()
    }
}

/// What [`crate::shop::ShopBuilder::store`] configures.
const ENCRYPTION_KEY: [u8; 32] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30,
    31,
];
/// The customer of [`Shop::with_customer`].
pub const CUSTOMER: &str = "roni_cost@example.com";
/// Of [`PASSWORD`], by another implementation than ours, at the least cost.
const HASH: &str = "$argon2id$v=19$m=64,t=1,p=1$bDDPBZ0j8f1F6bI4TT7DTQ$kAdX78xvRl996gi32SKlkkebVxvV8W+JCHtwVlb+Q40";
