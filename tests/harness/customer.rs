//! Customers, straight in an embedded store: nothing makes them from outside but the storefront.

use std::time::Duration;

use token_store::{NewAccount, OpenOptions, Role, Secret, UserKind, open};

use crate::gateway::Gateway;
use crate::sign::now;

impl Gateway {
    /// Adds a customer who signs in with [`crate::PASSWORD`], and answers the number; the gateway starts again for it.
    pub async fn add_customer(&self, email: &str) -> u64 {
        self.stop().await;
        let options = OpenOptions {
            url: format!("embedded:{}/store", self.folder().display()),
            encryption_keys: Vec::new(),
            timeout: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(1),
            cache: 100,
            now: now(),
        };
        let store = open(&options).await.unwrap();
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
}

/// Of [`crate::PASSWORD`], by another implementation than ours, at the least cost.
const HASH: &str = "$argon2id$v=19$m=64,t=1,p=1$bDDPBZ0j8f1F6bI4TT7DTQ$kAdX78xvRl996gi32SKlkkebVxvV8W+JCHtwVlb+Q40";
