//! What verifying a consumer's requests needs, in the worker's own memory: its record and the prepared keys.
//!
//! An entry is believed as long as the store's [`token_store::Freshness`] has not moved since it was filled; a
//! revocation moves it, everywhere within a second. Bounded; nothing is shared with other threads.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use http::HeaderValue;
use oauth1::{Keys, MethodSet, Placements, RsaPublicKey, SignatureMethod};
use token_store::{ConsumerRecord, Freshness, OwnToken, Status, Store, StoreError};

use crate::authorize::resources::ResourceTree;
use crate::clock::Clock;

/// A consumer as the hot path needs it.
pub struct Credential {
    record: Arc<ConsumerRecord>,
    methods: MethodSet,
    rsa: Option<RsaPublicKey>,
    without_token: OnceCell<Keys>,
    with_token: OnceCell<Keys>,
    /// The header values that tell upstream who calls.
    pub identity: Identity,
}

/// `X-Consumer-*` and `X-Integration-*`, made once.
pub struct Identity {
    /// `X-Consumer-Id`
    pub consumer_id: HeaderValue,
    /// `X-Consumer-Key`
    pub consumer_key: Option<HeaderValue>,
    /// `X-Integration-Id`
    pub integration_id: Option<HeaderValue>,
    /// `X-Integration-Name`
    pub integration_name: Option<HeaderValue>,
}

impl Credential {
    fn new(record: Arc<ConsumerRecord>, configured: MethodSet) -> Self {
        let integration = record.integration.as_ref();
        let definition = integration.map(|one| &one.definition);
        let rsa = definition
            .and_then(|one| one.rsa_public_key.as_deref())
            .and_then(RsaPublicKey::from_pem);
        let named = definition.and_then(|one| one.signature_methods.as_ref());
        let methods = match named {
            Some(names) => names
                .iter()
                .filter_map(|name| SignatureMethod::from_name(name))
                .collect(),
            None if rsa.is_some() => MethodSet::EMPTY
                .with(SignatureMethod::RsaSha1)
                .with(SignatureMethod::RsaSha256),
            None => configured,
        };
        let identity = Identity {
            consumer_id: HeaderValue::from(record.consumer.id.0),
            consumer_key: HeaderValue::from_str(&record.consumer.key).ok(),
            integration_id: integration.map(|one| HeaderValue::from(one.id.0)),
            integration_name: definition.and_then(|one| HeaderValue::from_bytes(one.name.as_bytes()).ok()),
        };
        Self {
            record,
            methods,
            rsa,
            without_token: OnceCell::new(),
            with_token: OnceCell::new(),
            identity,
        }
    }

    /// The record, as of the last change that was heard of.
    pub fn record(&self) -> &ConsumerRecord {
        &self.record
    }

    /// The methods this consumer may use.
    pub fn methods(&self) -> MethodSet {
        self.methods
    }

    /// Whether the integration may place `oauth_*` there; `None`: as configured for all.
    pub fn placements(&self) -> Option<Placements> {
        let names = self.record.integration.as_ref()?.definition.placements.as_ref()?;
        let has = |name: &str| names.iter().any(|one| one == name);
        Some(Placements {
            header: has("header"),
            query: has("query"),
            form: has("form"),
        })
    }

    /// A compatibility flag of the integration.
    pub fn flag(&self, name: &str) -> bool {
        self.record
            .integration
            .as_ref()
            .is_some_and(|one| one.definition.flags.contains(name))
    }

    /// Whether it may sign without a token.
    pub fn two_legged(&self) -> bool {
        self.record
            .integration
            .as_ref()
            .is_some_and(|one| one.definition.two_legged)
    }

    /// Whether the integration was granted all of `required`.
    pub fn grants(&self, required: &BTreeSet<String>, tree: &ResourceTree) -> bool {
        self.record
            .integration
            .as_ref()
            .is_some_and(|one| tree.permits(&one.definition.grant, required))
    }

    /// Whether the integration is active.
    pub fn is_active(&self) -> bool {
        self.record
            .integration
            .as_ref()
            .is_some_and(|one| one.status == Status::Active)
    }

    /// Keys for a request without a token.
    pub fn keys_without_token(&self) -> &Keys {
        self.without_token
            .get_or_init(|| self.keys(self.record.consumer.secret.expose(), ""))
    }

    /// Keys for a request with the consumer's own token, as it stands; `None`: it has none.
    pub fn keys_with_own_token(&self) -> Option<&Keys> {
        let secret = match self.record.token.as_ref()? {
            OwnToken::Verifier { .. } => return None,
            OwnToken::Request { secret, .. } | OwnToken::Access { secret, .. } => secret,
        };
        Some(
            self.with_token
                .get_or_init(|| self.keys(self.record.consumer.secret.expose(), secret.expose())),
        )
    }

    /// Keys for any other token's secret.
    pub fn keys_with(&self, token_secret: &str) -> Keys {
        self.keys(self.record.consumer.secret.expose(), token_secret)
    }

    /// Keys with the consumer secret that a rotation replaced, while it is valid at `now`.
    pub fn previous_keys(&self, token_secret: &str, now: u64) -> Option<Keys> {
        let previous = self
            .record
            .consumer
            .previous_secret
            .as_ref()
            .filter(|one| now <= one.valid_until)?;
        Some(self.keys(previous.secret.expose(), token_secret))
    }

    fn keys(&self, consumer_secret: &str, token_secret: &str) -> Keys {
        match &self.rsa {
            Some(key) => Keys::rsa(self.methods, key),
            None => Keys::new(self.methods, consumer_secret, token_secret),
        }
    }
}

/// A worker's credentials.
pub struct Credentials {
    store: Arc<dyn Store>,
    freshness: Arc<Freshness>,
    clock: Clock,
    methods: Cell<MethodSet>,
    entries: RefCell<quick_cache::unsync::Cache<String, Entry>>,
}

#[derive(Clone)]
struct Entry {
    credential: Rc<Credential>,
    generation: u64,
}

impl Credentials {
    /// Empty; keeps at most `most` consumers. `methods` are the configured ones.
    pub fn new(store: Arc<dyn Store>, clock: Clock, methods: MethodSet, most: usize) -> Self {
        let freshness = store.freshness();
        Self {
            store,
            freshness,
            clock,
            methods: Cell::new(methods),
            entries: RefCell::new(quick_cache::unsync::Cache::new(most)),
        }
    }

    /// A reload changed the configured methods: keys are prepared anew.
    pub fn set_methods(&self, methods: MethodSet) {
        if self.methods.replace(methods) != methods {
            self.entries.borrow_mut().clear();
        }
    }

    /// The consumer with that key, if there is one. Memory answers when it is known to be current.
    pub async fn by_key(&self, key: &str) -> Result<Option<Rc<Credential>>, StoreError> {
        if let Some(known) = self.in_memory(key) {
            return Ok(Some(known));
        }
        // Read before the record: a change in between makes the entry stale at once, never current by mistake.
        let generation = self.freshness.generation();
        let Some(record) = self.store.consumer_by_key(key).await? else {
            self.entries.borrow_mut().remove(key);
            return Ok(None);
        };
        Ok(Some(self.keep(key, record, generation)))
    }

    /// The consumer with that key as the store has it now: for exchanges, which change the record.
    pub async fn current(&self, key: &str) -> Result<Option<Rc<Credential>>, StoreError> {
        let Some(known) = self.by_key(key).await? else {
            return Ok(None);
        };
        let record = self.store.consumer(known.record.consumer.id).await?;
        // A record under another key now is another consumer's business.
        Ok(record
            .filter(|one| one.consumer.key == key)
            .map(|one| Rc::new(Credential::new(one, self.methods.get()))))
    }

    fn in_memory(&self, key: &str) -> Option<Rc<Credential>> {
        let entries = self.entries.borrow();
        let entry = entries.get(key)?;
        let current = entry.generation == self.freshness.generation()
            && self.freshness.is_live(self.freshness.millis(self.clock.instant()));
        current.then(|| Rc::clone(&entry.credential))
    }

    /// Prepared keys live on when the record turns out to be the one they were made from.
    fn keep(&self, key: &str, record: Arc<ConsumerRecord>, generation: u64) -> Rc<Credential> {
        let mut entries = self.entries.borrow_mut();
        let kept = entries
            .get(key)
            .filter(|entry| entry.credential.record == record)
            .cloned();
        let credential = kept.map_or_else(
            || Rc::new(Credential::new(record, self.methods.get())),
            |entry| entry.credential,
        );
        entries.insert(
            key.to_owned(),
            Entry {
                credential: Rc::clone(&credential),
                generation,
            },
        );
        credential
    }
}
