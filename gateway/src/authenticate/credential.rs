//! What verifying a consumer's requests needs, in the worker's own memory: its record and the prepared keys.
//!
//! An entry is believed as long as the store's [`token_store::Freshness`] has not moved since it was filled; a
//! revocation moves it, everywhere within a second. Bounded; nothing is shared with other threads.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::HeaderValue;
use oauth1::{Keys, MethodSet, Placements, RsaPublicKey, SignatureMethod};
use token_store::{
    ConsumerId, ConsumerRecord, Exchanged, Freshness, IntegrationId, OwnToken, Secret, Status, Store, StoreError,
};

use super::secret_use::{ConsumerSecret, Noted};
use crate::authorize::opened_routes::{OpenedRoutes, RoutePlace};
use crate::authorize::resources::ResourceTree;
use crate::clock::Clock;
use crate::random::CREDENTIAL_LENGTH;

/// A consumer as the hot path needs it. What each request asks stands in it, side by side: the record is a heap of small
/// pieces all over memory, and with a thousand consumers each piece is one that the processor has to wait for.
pub struct Credential {
    id: ConsumerId,
    integration: Option<IntegrationId>,
    /// The access token, while it is not revoked and was used since its exchange.
    settled_token: Option<[u8; CREDENTIAL_LENGTH]>,
    methods: MethodSet,
    placements: Option<Placements>,
    is_active: bool,
    quirks: Quirks,
    has_previous_secret: bool,
    opened: Cell<OpenedRoutes>,
    with_token: OnceCell<Keys>,
    record: Arc<ConsumerRecord>,
    rsa: Option<RsaPublicKey>,
    without_token: OnceCell<Keys>,
    /// When the use of its secrets was last noted, the current one's first.
    noted: [Cell<u64>; 2],
    /// The header values that tell upstream who calls.
    pub identity: Identity,
}

/// Flags of the integration that every request asks for.
#[derive(Clone, Copy)]
struct Quirks {
    collapses_identical_pairs: bool,
    leaves_body_hash_raw: bool,
    requires_body_hash: bool,
}

/// `X-Consumer-*` and `X-Integration-*`, made once.
pub struct Identity {
    /// `X-Consumer-Id`
    pub consumer_id: Option<HeaderValue>,
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
        let flag = |name| definition.is_some_and(|one| one.flags.contains(name));
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
        let methods = if rsa.is_some() { methods } else { methods.without_rsa() };
        let settled_token = match &record.token {
            Some(OwnToken::Access {
                token,
                revoked: false,
                exchanged: None,
                ..
            }) => token.as_bytes().try_into().ok(),
            Some(OwnToken::Access { .. } | OwnToken::Request { .. } | OwnToken::Verifier { .. }) | None => None,
        };
        Self {
            id: record.consumer.id,
            integration: integration.map(|one| one.id),
            settled_token,
            quirks: Quirks {
                collapses_identical_pairs: flag("collapse_identical_pairs"),
                leaves_body_hash_raw: flag("mastercard"),
                requires_body_hash: flag("require_body_hash"),
            },
            has_previous_secret: record.consumer.previous_secret.is_some(),
            opened: Cell::default(),
            placements: definition.and_then(|one| one.placements.as_ref()).map(|names| {
                let has = |name: &str| names.iter().any(|one| one == name);
                Placements {
                    header: has("header"),
                    query: has("query"),
                    form: has("form"),
                }
            }),
            is_active: integration.is_some_and(|one| one.status == Status::Active),
            identity: Identity::of(&record),
            record,
            methods,
            rsa,
            without_token: OnceCell::new(),
            with_token: OnceCell::new(),
            noted: Default::default(),
        }
    }

    /// The consumer.
    pub fn id(&self) -> ConsumerId {
        self.id
    }

    /// Its integration.
    pub fn integration(&self) -> Option<IntegrationId> {
        self.integration
    }

    /// Whether its own token is an access token in use: not revoked, and used since its exchange.
    pub fn has_settled_token(&self) -> bool {
        self.settled_token.is_some()
    }

    /// Whether this is that token.
    pub fn is_settled_token(&self, token: &[u8]) -> bool {
        self.settled_token.as_ref().is_some_and(|own| own == token)
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
        self.placements
    }

    /// A compatibility flag of the integration.
    pub fn flag(&self, name: &str) -> bool {
        self.record
            .integration
            .as_ref()
            .is_some_and(|one| one.definition.flags.contains(name))
    }

    /// Whether identical pairs are signed once.
    pub fn collapses_identical_pairs(&self) -> bool {
        self.quirks.collapses_identical_pairs
    }

    /// Whether the value of `oauth_body_hash` is signed as it is.
    pub fn leaves_body_hash_raw(&self) -> bool {
        self.quirks.leaves_body_hash_raw
    }

    /// Whether a body that is no form needs its `oauth_body_hash`.
    pub fn requires_body_hash(&self) -> bool {
        self.quirks.requires_body_hash
    }

    /// Whether it may sign without a token.
    pub fn two_legged(&self) -> bool {
        self.record
            .integration
            .as_ref()
            .is_some_and(|one| one.definition.two_legged)
    }

    /// Whether the integration was granted all of `required`, which the route at `place` needs.
    pub fn grants(&self, required: &BTreeSet<String>, tree: &ResourceTree, place: RoutePlace) -> bool {
        let mut opened = self.opened.get();
        if opened.holds(place) {
            return true;
        }
        let integration = self.record.integration.as_ref();
        let grants = integration.is_some_and(|one| tree.permits(&one.definition.grant, required));
        if grants {
            opened.note(place);
            self.opened.set(opened);
        }
        grants
    }

    /// Whether the integration is active.
    pub fn is_active(&self) -> bool {
        self.is_active
    }

    /// Keys for a request without a token.
    pub fn keys_without_token(&self) -> &Keys {
        self.without_token
            .get_or_init(|| self.keys(self.record.consumer.secret.expose(), ""))
    }

    /// Keys for a request with the consumer's own token, as it stands; `None`: it has none.
    pub fn keys_with_own_token(&self) -> Option<&Keys> {
        if let Some(keys) = self.with_token.get() {
            return Some(keys);
        }
        let secret = self.own_token_secret()?;
        Some(
            self.with_token
                .get_or_init(|| self.keys(self.record.consumer.secret.expose(), secret)),
        )
    }

    /// The secret of its own token, as it stands.
    pub fn own_token_secret(&self) -> Option<&str> {
        self.record.token.as_ref()?.secret().map(Secret::expose)
    }

    /// What its access token was exchanged from, if that is this request token.
    pub fn exchanged_from(&self, token: &str) -> Option<&Exchanged> {
        self.record.token.as_ref()?.exchanged_from(token)
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

impl Identity {
    /// All of it stands in one piece of memory, which its values share.
    fn of(record: &ConsumerRecord) -> Self {
        let integration = record.integration.as_ref();
        let texts = [
            Some(record.consumer.id.0.to_string()),
            Some(record.consumer.key.clone()),
            integration.map(|one| one.id.0.to_string()),
            integration.map(|one| one.definition.name.clone()),
        ];
        let all = Bytes::from(texts.iter().flatten().map(String::as_str).collect::<String>());
        let mut from = 0;
        let [consumer_id, consumer_key, integration_id, integration_name] = texts.map(|text| {
            let range = from..from + text?.len();
            from = range.end;
            HeaderValue::from_maybe_shared(all.slice(range)).ok()
        });
        Self {
            consumer_id,
            consumer_key,
            integration_id,
            integration_name,
        }
    }
}

/// A worker's credentials.
pub struct Credentials {
    store: Arc<dyn Store>,
    freshness: Arc<Freshness>,
    clock: Clock,
    methods: Cell<MethodSet>,
    noted: Arc<Noted>,
    entries: RefCell<quick_cache::unsync::Cache<Key, Entry>>,
}

/// A consumer key. In place: looking one up doesn't lead elsewhere.
type Key = [u8; CREDENTIAL_LENGTH];

#[derive(Clone)]
struct Entry {
    credential: Rc<Credential>,
    generation: u64,
}

impl Credentials {
    /// Empty; keeps at most `most` consumers. `methods` are the configured ones; `noted` hears which secrets are used.
    pub fn new(store: Arc<dyn Store>, clock: Clock, methods: MethodSet, most: usize, noted: Arc<Noted>) -> Self {
        let freshness = store.freshness();
        Self {
            store,
            freshness,
            clock,
            methods: Cell::new(methods),
            noted,
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
        if let Some(known) = self.in_memory(key.as_bytes(), self.clock.instant()) {
            return Ok(Some(known));
        }
        // Read before the record: a change in between makes the entry stale at once, never current by mistake.
        let generation = self.freshness.generation();
        let Some(record) = self.store.consumer_by_key(key).await? else {
            if let Ok(key) = Key::try_from(key.as_bytes()) {
                self.entries.borrow_mut().remove(&key);
            }
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

    /// A signature held by this secret. It is noted only where there are two, and not twice in a second.
    pub fn saw(&self, credential: &Credential, which: ConsumerSecret, now: u64) {
        if !credential.has_previous_secret {
            return;
        }
        let [current, previous] = &credential.noted;
        let noted = match which {
            ConsumerSecret::Current => current,
            ConsumerSecret::Previous => previous,
        };
        if noted.replace(now) != now {
            self.noted.saw(&credential.record, which, now);
        }
    }

    /// The consumer with that key, if memory has it and is known to be current at that time.
    pub fn in_memory(&self, key: &[u8], now: Instant) -> Option<Rc<Credential>> {
        let entries = self.entries.borrow();
        let entry = entries.get(<&Key>::try_from(key).ok()?)?;
        let current =
            entry.generation == self.freshness.generation() && self.freshness.is_live(self.freshness.millis(now));
        current.then(|| Rc::clone(&entry.credential))
    }

    /// Prepared keys live on when the record turns out to be the one they were made from.
    fn keep(&self, key: &str, record: Arc<ConsumerRecord>, generation: u64) -> Rc<Credential> {
        let Ok(key) = Key::try_from(key.as_bytes()) else {
            return Rc::new(Credential::new(record, self.methods.get()));
        };
        let mut entries = self.entries.borrow_mut();
        let kept = entries
            .get(&key)
            .filter(|entry| entry.credential.record == record)
            .cloned();
        let credential = kept.map_or_else(
            || Rc::new(Credential::new(record, self.methods.get())),
            |entry| entry.credential,
        );
        entries.insert(
            key,
            Entry {
                credential: Rc::clone(&credential),
                generation,
            },
        );
        credential
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use token_store::{NewConsumer, OpenOptions, open};

    use super::*;

    #[tokio::test]
    async fn memory_answers_only_while_the_store_was_heard_and_nothing_changed() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let options = OpenOptions {
            url: format!("embedded:{}", folder.path().display()),
            encryption_keys: Vec::new(),
            timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            cache: 10,
            now: clock.now(),
            serves: false,
        };
        let store = open(&options).await.unwrap();
        let key = "k".repeat(CREDENTIAL_LENGTH);
        let consumer = NewConsumer {
            name: Some("Courier".to_owned()),
            key: key.clone(),
            secret: Secret::new("s".repeat(CREDENTIAL_LENGTH)),
            callback_url: None,
            rejected_callback_url: None,
            integration: None,
        };
        store.create_consumer(consumer, clock.now()).await.unwrap().unwrap();
        let credentials = Credentials::new(Arc::clone(&store), clock, MethodSet::ALL, 10, Arc::default());
        let freshness = store.freshness();
        let is_known = || credentials.in_memory(key.as_bytes(), clock.instant()).is_some();
        assert!(!is_known());

        assert!(credentials.by_key(&key).await.unwrap().is_some());

        assert!(is_known());
        freshness.heard(0);
        assert!(!is_known());
        freshness.heard(u64::MAX);
        assert!(is_known());
        freshness.bump();
        assert!(!is_known());
        for near in ["k", &format!("{key}k"), &"K".repeat(CREDENTIAL_LENGTH)] {
            assert!(credentials.in_memory(near.as_bytes(), clock.instant()).is_none());
        }
    }
}
