//! Who signs: credentials made from a number, and a store filled with them through the `Store` trait.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use token_store::{
    Consumer, ConsumerId, ConsumerRecord, Grant, Integration, IntegrationId, NewAccount, NewIntegration, OpenOptions,
    OwnToken, Role, Secret, Setup, Status, Store, User, UserKind, UserToken,
};

use super::Failure;
use super::arguments::Arguments;
use super::pollset::unix_seconds;

/// A consumer and its access token.
pub(super) struct Credentials {
    pub(super) key: String,
    pub(super) secret: String,
    pub(super) token: String,
    pub(super) token_secret: String,
    /// An admin's bearer token.
    pub(super) bearer: String,
}

impl Credentials {
    /// Those of consumer `number`, 1 the first.
    pub(super) fn of(number: u64) -> Self {
        let made = |what: &str| {
            let digest = Sha256::digest(format!("countersign load {what} {number}"));
            let letter = |octet: &u8| char::from_digit(u32::from(octet % 36), 36).unwrap_or('0');
            digest.iter().map(letter).collect::<String>()
        };
        Self {
            key: made("key"),
            secret: made("secret"),
            token: made("token"),
            token_secret: made("token secret"),
            bearer: made("bearer"),
        }
    }
}

/// `count` numbers spread evenly over the consumers 1 to `among`.
pub(super) fn spread(count: u64, among: u64) -> impl Iterator<Item = u64> {
    let step = (among / count.max(1)).max(1);
    (0..count.min(among)).map(move |place| 1 + place * step)
}

/// `fill --store URL --key BASE64 --consumers N --bearers N --resource ID`
pub(super) fn fill(arguments: &mut Arguments) -> Result<Value, Failure> {
    let url: String = arguments.required("store")?;
    let key: String = arguments.required("key")?;
    let consumers: u64 = arguments.required("consumers")?;
    let bearers: u64 = arguments.or("bearers", 0)?;
    let resource: String = arguments.required("resource")?;
    arguments.finish()?;
    on_store(url, &key, async |store| {
        let now = unix_seconds();
        let mut next = 1;
        while next <= consumers {
            let last = consumers.min(next + BATCH - 1);
            let records = (next..=last).map(|number| record(number, &resource, now)).collect();
            store.create_consumers(records).await?;
            next = last + 1;
        }
        if bearers > 0 {
            let made = store.create_account(admin(), now).await?;
            let admin = made.ok_or("the account is there already")?;
            for number in spread(bearers, bearers) {
                let token = bearer(number, admin.id.0, now);
                store.put_user_token(&token).await?;
            }
        }
        Ok(json!({ "consumers": consumers, "bearers": bearers }))
    })
}

/// Opens a store, works on it, closes it.
pub(super) fn on_store(
    url: String,
    key: &str,
    work: impl AsyncFnOnce(&Arc<dyn Store>) -> Result<Value, Failure>,
) -> Result<Value, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let store = token_store::open(&OpenOptions {
            url,
            encryption_keys: vec![decode_key(key)?],
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            cache: 1000,
            now: unix_seconds(),
            serves: false,
        })
        .await?;
        let done = work(&store).await?;
        store.close().await?;
        Ok(done)
    })
}

/// `credentials --tokens N --among N`: `key secret token token_secret`, a line each.
pub(super) fn print(arguments: &mut Arguments) -> Result<Value, Failure> {
    let tokens = arguments.required("tokens")?;
    let among = arguments.required("among")?;
    arguments.finish()?;
    for number in spread(tokens, among) {
        let one = Credentials::of(number);
        println!("{} {} {} {}", one.key, one.secret, one.token, one.token_secret);
    }
    Ok(json!({ "tokens": tokens }))
}

fn record(number: u64, resource: &str, now: u64) -> ConsumerRecord {
    let credentials = Credentials::of(number);
    let id = ConsumerId(number);
    ConsumerRecord {
        version: 1,
        consumer: Consumer {
            id,
            name: format!("Integration{number}"),
            key: credentials.key,
            secret: Secret::new(credentials.secret),
            previous_secret: None,
            callback_url: None,
            rejected_callback_url: None,
            created_at: now,
            updated_at: now,
            posted_at: Some(now),
        },
        integration: Some(Integration {
            id: IntegrationId(number),
            consumer_id: id,
            status: Status::Active,
            created_at: now,
            updated_at: now,
            definition: NewIntegration {
                name: format!("Load {number}"),
                email: format!("load{number}@shop.example"),
                endpoint: None,
                identity_link_url: None,
                setup: Setup::Manual,
                grant: Grant::Listed(BTreeSet::from([resource.to_owned()])),
                signature_methods: None,
                rsa_public_key: None,
                two_legged: false,
                placements: None,
                callback_urls: Vec::new(),
                flags: BTreeSet::new(),
            },
        }),
        token: Some(OwnToken::Access {
            token: credentials.token,
            secret: Secret::new(credentials.token_secret),
            revoked: false,
            created_at: now,
            exchanged: None,
        }),
    }
}

fn admin() -> NewAccount {
    NewAccount {
        kind: UserKind::Admin,
        username: "load".to_owned(),
        email: "load@shop.example".to_owned(),
        // Nobody signs in with it: its tokens are put in the store.
        password_hash: Secret::new(""),
        role: Role::Admin,
        active: true,
        resources: None,
        totp: None,
    }
}

fn bearer(number: u64, admin: u64, now: u64) -> UserToken {
    UserToken {
        digest: hex(&Sha256::digest(Credentials::of(number).bearer)),
        user: User {
            kind: UserKind::Admin,
            id: admin,
        },
        created_at: now,
        expires_at: Some(now + 24 * 3600),
        upstream_token: None,
        is_beside_jwt: false,
    }
}

/// As the store names a token.
pub(super) fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |mut hex, octet| {
        // Writing to a String can't fail.
        let _written = write!(hex, "{octet:02x}");
        hex
    })
}

fn decode_key(text: &str) -> Result<[u8; 32], Failure> {
    use base64::Engine as _;
    let octets = base64::engine::general_purpose::STANDARD.decode(text)?;
    octets.try_into().map_err(|_| "--key is not 32 octets".into())
}

/// Consumers of one call.
const BATCH: u64 = 5000;
