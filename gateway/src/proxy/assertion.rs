//! `X-Countersign-Assertion`: what the identity headers say, as a short-lived JWT (RFC 7519) that upstream verifies itself,
//! so that it need not trust the network between.
//!
//! ES256 (RFC 7518, 3.4). The key is made once, kept sealed in the store and shared by all gateways; its public half is at
//! `/.well-known/jwks.json`. A worker signs anew for a caller once in half a life: what it sends lives as long again at least.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use http::{Request, Response};
use serde::Serialize;
use serde_json::json;
use token_store::{Store, UserKind};

use super::Exchange;
use crate::authenticate::credential::Credential;
use crate::authenticate::{Authenticated, Caller};
use crate::body::ResponseBody;
use crate::live::Upstream;
use crate::random::NoRandomness;
use crate::refusal::{Cause, Refusal};
use crate::shared_key::SharedKey;

/// The key of this store.
pub struct Assertions {
    key: SharedKey<Key>,
}

struct Key {
    pair: EcdsaKeyPair,
    /// The JOSE header, as it stands in every assertion.
    header: String,
    public: serde_json::Value,
}

impl Assertions {
    /// On a store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            key: SharedKey::new(store, KEY_NAME),
        }
    }

    async fn key(&self) -> Result<Arc<Key>, Refusal> {
        let fresh = || {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| NoRandomness)?;
            let octets = pair.to_pkcs8v1().map_err(|_| Cause::Internal)?;
            Ok(octets.as_ref().to_vec())
        };
        self.key.get(fresh, Key::of).await
    }

    /// The public keys that assertions are verified with (RFC 7517, 5); none where no upstream gets any.
    pub async fn published(&self, is_in_use: bool) -> Result<Response<ResponseBody>, Refusal> {
        let keys = if is_in_use {
            vec![self.key().await?.public.clone()]
        } else {
            Vec::new()
        };
        let mut response = Response::new(ResponseBody::from(json!({ "keys": keys }).to_string()));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        Ok(response)
    }
}

impl Key {
    fn of(octets: &[u8]) -> Option<Self> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, octets).ok()?;
        // SEC 1, 2.3.3: 4, then both coordinates.
        let point = pair.public_key().as_ref().strip_prefix(&[4])?;
        let (x, y) = point.split_at_checked(COORDINATE)?;
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        // RFC 7638, 3: these members, in this order, without spaces.
        let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let name = URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()));
        let header = json!({ "alg": "ES256", "kid": name, "typ": "JWT" }).to_string();
        Some(Self {
            header: URL_SAFE_NO_PAD.encode(header),
            public: json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": name, "alg": "ES256", "use": "sig" }),
            pair,
        })
    }

    fn sign(&self, claims: &Claims<'_>) -> Result<HeaderValue, Cause> {
        let claims = serde_json::to_vec(claims).map_err(|_| Cause::Internal)?;
        let signed = format!("{}.{}", self.header, URL_SAFE_NO_PAD.encode(claims));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = signature.map_err(|_| Cause::Internal)?;
        let whole = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
        let mut value = HeaderValue::from_str(&whole).map_err(|_| Cause::Internal)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// What an assertion says: the identity headers' names in JSON's spelling, for whom, and for how long.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: String,
    iat: u64,
    exp: u64,
    user_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumer_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumer_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    integration_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    integration_name: Option<&'a str>,
}

/// What a worker signed, to be sent again.
#[derive(Default)]
pub struct Signed {
    by_caller: RefCell<HashMap<(usize, Who), Entry>>,
}

/// One caller, as far as an assertion tells callers apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Who {
    Integration(u64),
    /// Consumer and user.
    ForAdmin(u64, u64),
    ForCustomer(u64, u64),
    Admin(u64),
    Customer(u64),
    Guest,
}

struct Entry {
    value: HeaderValue,
    signed_at: Instant,
    /// What it was signed with, and whom it names as they were.
    key: Arc<Key>,
    credential: Option<Rc<Credential>>,
}

impl Who {
    fn of(caller: &Authenticated) -> Self {
        match caller.caller() {
            Caller::Integration(credential) => Self::Integration(credential.record().consumer.id.0),
            Caller::Delegated(credential, user, _) => {
                let consumer = credential.record().consumer.id.0;
                match user.kind {
                    UserKind::Admin => Self::ForAdmin(consumer, user.id),
                    UserKind::Customer => Self::ForCustomer(consumer, user.id),
                }
            }
            Caller::Admin(account) => Self::Admin(account.id.0),
            Caller::Customer { id, .. } => Self::Customer(*id),
            Caller::Guest(_) => Self::Guest,
        }
    }
}

impl Signed {
    fn find(&self, of: (usize, Who), key: &Arc<Key>, caller: &Authenticated, oldest: Instant) -> Option<HeaderValue> {
        let by_caller = self.by_caller.borrow();
        let entry = by_caller.get(&of)?;
        let names_the_same = match (&entry.credential, caller.credential()) {
            (Some(then), Some(now)) => Rc::ptr_eq(then, now),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let holds = names_the_same && Arc::ptr_eq(&entry.key, key) && entry.signed_at > oldest;
        holds.then(|| entry.value.clone())
    }

    fn keep(&self, of: (usize, Who), entry: Entry) {
        let mut by_caller = self.by_caller.borrow_mut();
        if by_caller.len() >= MOST_KEPT && !by_caller.contains_key(&of) {
            by_caller.clear();
        }
        by_caller.insert(of, entry);
    }
}

/// Adds the assertion of who calls, for that upstream.
pub(super) async fn add<B>(
    exchange: &Exchange<'_>,
    upstream: &Upstream,
    lifetime: Duration,
    caller: &Authenticated,
    request: &mut Request<B>,
) -> Result<(), Refusal> {
    let worker = &exchange.served.worker;
    let key = worker.assertions.key().await?;
    let (of, now) = ((upstream.number, Who::of(caller)), worker.clock.instant());
    let signed = &exchange.local.assertions;
    let found = now
        .checked_sub(lifetime / 2)
        .and_then(|oldest| signed.find(of, &key, caller, oldest));
    let value = if let Some(value) = found {
        value
    } else {
        let issuer = &exchange.local.live.realm;
        let value = key.sign(&claims(
            (issuer, &upstream.name),
            caller,
            (worker.clock.now(), lifetime),
        ))?;
        let entry = Entry {
            value: value.clone(),
            signed_at: now,
            key,
            credential: caller.credential().cloned(),
        };
        signed.keep(of, entry);
        value
    };
    request.headers_mut().insert(X_COUNTERSIGN_ASSERTION, value);
    Ok(())
}

fn claims<'a>(
    (iss, aud): (&'a str, &'a str),
    caller: &'a Authenticated,
    (now, lifetime): (u64, Duration),
) -> Claims<'a> {
    let record = caller.credential().map(|credential| credential.record());
    let integration = record.and_then(|record| record.integration.as_ref());
    let user_type = caller.user_type();
    let user_id = caller.user_id();
    Claims {
        iss,
        aud,
        sub: user_id.map_or_else(|| user_type.to_owned(), |id| format!("{user_type}/{id}")),
        iat: now,
        exp: now.saturating_add(lifetime.as_secs()),
        user_type,
        user_id,
        consumer_id: record.map(|record| record.consumer.id.0),
        consumer_key: record.map(|record| record.consumer.key.as_str()),
        integration_id: integration.map(|one| one.id.0),
        integration_name: integration.map(|one| one.definition.name.as_str()),
    }
}

const X_COUNTERSIGN_ASSERTION: HeaderName = HeaderName::from_static("x-countersign-assertion");
const KEY_NAME: &str = "assertion";
/// Octets of a coordinate on P-256.
const COORDINATE: usize = 32;
/// Callers whose assertions a worker keeps; past that it begins anew.
const MOST_KEPT: usize = 10_000;
