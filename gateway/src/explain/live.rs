//! Refused requests explained while the gateway runs: on demand, with the store's secrets, one at a time.
//!
//! Never in the way of a request, and only for an admin or a debug token of the same integration. A finding about a key
//! confirms a guess, so explanations are counted, and each stands in the audit log.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use oauth1::explain::{Explanation, Options, RawRequest, Secrets, explain};
use oauth1::{BaseForm, ParameterName, SignatureMethod, Target};
use serde_json::{Value, json};
use token_store::{ConsumerId, ConsumerRecord, OwnToken, Store, StoreError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::debug_token::DebugTokens;
use super::fault::{Evidence, Shown};
use super::known::{Faulty, wiped};
use super::rejections::{Rejection, Rejections};
use super::to_json;
use crate::authenticate::target::without_port;
use crate::clock::Clock;
use crate::live::Live;
use crate::refusal::Cause;
use crate::rehearsal::{Outcome, Place};

/// What explains, shared by all workers and the admin listener.
pub struct Explainer {
    /// What may be explained.
    pub rejections: Rejections,
    /// Who else may ask.
    pub debug_tokens: DebugTokens,
    store: Arc<dyn Store>,
    pub(super) clock: Clock,
    pub(super) live: Arc<ArcSwap<Live>>,
    shown: Shown,
    turn: Arc<Semaphore>,
    /// The minute, and the explanations in it.
    minutes: Mutex<BTreeMap<Counted, (u64, u32)>>,
}

/// What explanations are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Counted {
    /// A consumer, whose secrets a finding may confirm.
    Consumer(ConsumerId),
    /// All requests whose key nobody has.
    Unknown,
    /// All requests that were pasted with secrets of their own: only their cost counts.
    Given,
}

impl Counted {
    pub(super) fn of(consumer: Option<&ConsumerRecord>) -> Self {
        consumer.map_or(Self::Unknown, |one| Self::Consumer(one.consumer.id))
    }
}

/// Why there is no explanation.
#[derive(Debug, thiserror::Error)]
pub enum Unexplained {
    /// Too many of this integration's, or others are being made.
    #[error(
        "at most {MOST_A_MINUTE} explanations a minute of one integration are made, one at a time: try again later"
    )]
    TooMany,
    /// The store. What is wrong with it is none of a client's business.
    #[error("the secrets can't be read now: try again later")]
    Store(#[from] StoreError),
    /// The secrets that came along are no secrets.
    #[error("{0}")]
    Faulty(#[from] Faulty),
    /// The search broke.
    #[error("the explanation broke off")]
    Broken,
}

impl Explainer {
    /// Nothing to explain yet.
    pub fn new(store: Arc<dyn Store>, clock: Clock, live: Arc<ArcSwap<Live>>) -> Self {
        Self {
            rejections: Rejections::default(),
            debug_tokens: DebugTokens::new(Arc::clone(&store)),
            store,
            clock,
            live,
            shown: Shown::default(),
            turn: Arc::new(Semaphore::new(1)),
            minutes: Mutex::default(),
        }
    }

    /// Explains one, as `countersign explain` does; `consumer`: whose it is.
    pub async fn explain(
        &self,
        rejection: &Arc<Rejection>,
        consumer: Option<&ConsumerRecord>,
    ) -> Result<Value, Unexplained> {
        let turn = self.turn(Counted::of(consumer)).await?;
        let secrets = self.secrets(&rejection.request, consumer).await?;
        let options = self.options(rejection, consumer);
        let explained = Arc::clone(rejection);
        let search = move || explain(&explained.request, &secrets, &options);
        let (explanation, ms) = self.search(turn, search).await?;
        let evidence = self.evidence(&explanation, consumer, (&rejection.request, &rejection.base_url));
        let mut answer = to_json(&explanation, evidence, ms);
        if let Some(sentence) = answer.pointer("/diagnosis/0/sentence").and_then(Value::as_str) {
            rejection.found.get_or_init(|| sentence.to_owned());
        }
        confess(&mut answer, rejection);
        warn_of_plaintext(&mut answer, rejection);
        Ok(answer)
    }

    /// One at a time in all: a search takes some milliseconds of a core that requests want.
    pub(super) async fn turn(&self, counted: Counted) -> Result<OwnedSemaphorePermit, Unexplained> {
        self.count(counted)?;
        let turn = tokio::time::timeout(WAIT, Arc::clone(&self.turn).acquire_owned()).await;
        turn.map_err(|_| Unexplained::TooMany)?.map_err(|_| Unexplained::Broken)
    }

    /// Off the threads that serve. With how many milliseconds it took.
    pub(super) async fn search(
        &self,
        turn: OwnedSemaphorePermit,
        search: impl FnOnce() -> Explanation + Send + 'static,
    ) -> Result<(Explanation, u64), Unexplained> {
        let clock = self.clock;
        let searching = tokio::task::spawn_blocking(move || {
            let began = clock.instant();
            let explanation = search();
            drop(turn);
            let took = clock.instant().duration_since(began).as_millis();
            (explanation, u64::try_from(took).unwrap_or(u64::MAX))
        });
        searching.await.map_err(|_| Unexplained::Broken)
    }

    /// Whose the mistakes are. `request`, and the public address that it was judged by.
    pub(super) fn evidence(
        &self,
        explanation: &Explanation,
        consumer: Option<&ConsumerRecord>,
        (request, base_url): (&RawRequest, &str),
    ) -> Evidence {
        let Some(consumer) = consumer else {
            return Evidence::Client;
        };
        let is_of_several = self
            .shown
            .is_of_several(explanation, consumer.consumer.id, self.clock.now());
        match self.has_verified(request, base_url) {
            Some(false) => Evidence::NothingVerified,
            Some(true) | None if is_of_several => Evidence::Several,
            Some(true) | None => Evidence::Client,
        }
    }

    /// Whether a signature verified where the request went; `None`: it went nowhere.
    fn has_verified(&self, request: &RawRequest, base_url: &str) -> Option<bool> {
        let live = self.live.load();
        match Self::outcome(&live, request, base_url) {
            Outcome::Endpoint => Some(live.exchange_verified.is()),
            Outcome::Route(index) => live.routes.get(index).map(|route| route.verified.is()),
            Outcome::Refused(..) => None,
        }
    }

    /// Where a request went, by today's configuration.
    pub(super) fn outcome(live: &Live, request: &RawRequest, base_url: &str) -> Outcome {
        let prefix = Target::from_url(base_url).map_or("", |base| base.path);
        let path = request.target.split('?').next().unwrap_or_default();
        let place = Place {
            host: without_port(request.first("host").unwrap_or_default()).to_ascii_lowercase(),
            path: path
                .strip_prefix(prefix.trim_end_matches('/'))
                .unwrap_or(path)
                .to_owned(),
            scheme: None,
        };
        place.outcome(&request.method, &live.public, &live.table)
    }

    /// Whose a key is: the consumer of it, or of the same without white space round it.
    pub async fn consumer(&self, key: &str) -> Result<Option<Arc<ConsumerRecord>>, StoreError> {
        let found = self.store.consumer_by_key(key).await?;
        match found {
            None if key.trim() != key => self.store.consumer_by_key(key.trim()).await,
            found => Ok(found),
        }
    }

    fn count(&self, counted: Counted) -> Result<(), Unexplained> {
        let minute = self.clock.now() / 60;
        let mut minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        // Those of earlier minutes say nothing any more.
        minutes.retain(|_, (at, _)| *at == minute);
        let (_, count) = minutes.entry(counted).or_insert((minute, 0));
        *count += 1;
        if *count > MOST_A_MINUTE {
            return Err(Unexplained::TooMany);
        }
        Ok(())
    }

    /// Only secrets of this consumer and of the token that the request names: a match with another's would betray it.
    pub(super) async fn secrets(
        &self,
        request: &RawRequest,
        consumer: Option<&ConsumerRecord>,
    ) -> Result<Secrets, StoreError> {
        let Some(record) = consumer else {
            // Of an unknown key nothing is searched.
            return Ok(Secrets {
                consumer_key: Some(String::new()),
                ..Secrets::default()
            });
        };
        let previous = record.consumer.previous_secret.as_ref();
        let definition = record.integration.as_ref().map(|one| &one.definition);
        let mut secrets = Secrets {
            consumer_key: Some(record.consumer.key.clone()),
            consumer_secret: Some(wiped(&record.consumer.secret)),
            previous_consumer_secrets: previous.map(|one| wiped(&one.secret)).into_iter().collect(),
            rsa_public_key: definition.and_then(|one| one.rsa_public_key.clone()),
            ..Secrets::default()
        };
        match &record.token {
            Some(OwnToken::Request { token, secret, .. }) => {
                secrets.request_token = Some(token.clone());
                secrets.request_token_secret = Some(wiped(secret));
            }
            Some(OwnToken::Access {
                token,
                secret,
                exchanged,
                ..
            }) => {
                secrets.token = Some(token.clone());
                secrets.token_secret = Some(wiped(secret));
                if let Some(from) = exchanged {
                    secrets.request_token = Some(from.request_token.clone());
                    secrets.request_token_secret = Some(wiped(&from.request_secret));
                }
            }
            Some(OwnToken::Verifier { .. }) | None => {}
        }
        let named = request.named(ParameterName::Token).unwrap_or_default();
        let is_own = [&secrets.token, &secrets.request_token]
            .into_iter()
            .any(|own| own.as_ref() == Some(&named));
        if is_own || named.is_empty() {
            return Ok(secrets);
        }
        if let Some(row) = self.store.delegated(record.consumer.id, &named).await? {
            secrets.token = Some(named);
            secrets.token_secret = Some(wiped(&row.secret));
        } else if secrets.token.is_none() {
            // A token that isn't there any more is no token of this consumer's.
            secrets.token = Some(String::new());
        }
        Ok(secrets)
    }

    fn options(&self, rejection: &Rejection, consumer: Option<&ConsumerRecord>) -> Options {
        Options {
            base_url: Some(rejection.base_url.clone()),
            received_at: Some(rejection.at),
            nonce_used: rejection.cause == Cause::NonceUsed,
            // Only forms are kept; that another body's hash is wrong was seen when it was there.
            without_body: rejection.cause != Cause::BodyHashInvalid,
            without_form: rejection.lacks_form,
            ..self.rules(consumer)
        }
    }

    /// How this gateway takes requests of a consumer.
    pub(super) fn rules(&self, consumer: Option<&ConsumerRecord>) -> Options {
        let oauth = &self.live.load().oauth;
        let definition = consumer
            .and_then(|one| one.integration.as_ref())
            .map(|one| &one.definition);
        Options {
            timestamp_window: oauth.timestamp_window.as_secs(),
            compat: BaseForm {
                magento_sort: oauth.magento_sort,
                magento_host: oauth.magento_host,
                collapse_identical_pairs: definition.is_some_and(|one| one.flags.contains("collapse_identical_pairs")),
                raw_body_hash: definition.is_some_and(|one| one.flags.contains("mastercard")),
            },
            ..Options::default()
        }
    }
}

/// A body that is no form isn't signed, and not kept: said where no other mistake was found than one with it may be.
fn confess(answer: &mut Value, rejection: &Rejection) {
    let request = &rejection.request;
    let was_searched = answer.pointer("/cost/macs").and_then(Value::as_u64).unwrap_or_default() > 0;
    if !was_searched || request.has_form() || request.first("content-type").is_none() {
        return;
    }
    if let Some(Value::String(advice)) = answer.get_mut("advice") {
        advice.push_str(
            " Here the body was not kept, as only short forms are: give the raw request to `countersign explain --secrets` \
             to find a mistake with it.",
        );
    }
}

/// Of PLAINTEXT without TLS nothing is tried: that is what is wrong with it.
fn warn_of_plaintext(answer: &mut Value, rejection: &Rejection) {
    let method = rejection.request.named(ParameterName::SignatureMethod);
    let is_plaintext = method.is_some_and(|method| method == SignatureMethod::Plaintext.as_str());
    if rejection.cause == Cause::HttpsRequired
        && is_plaintext
        && let Some(members) = answer.as_object_mut()
    {
        members.insert("advice".to_owned(), PLAINTEXT_IN_CLEAR.into());
    }
}

impl Unexplained {
    /// What a refusal carries in an explanation's place.
    pub fn to_json(&self) -> Value {
        json!({ "result": "unexplained", "advice": self.to_string() })
    }
}

const PLAINTEXT_IN_CLEAR: &str = "PLAINTEXT needs TLS: its signature is the secrets themselves, and this request came by http. \
                                  Call the https address, or sign by an HMAC method; and rotate both secrets, since they could \
                                  be read on the way.";
/// For a turn.
const WAIT: Duration = Duration::from_secs(2);
/// Of one integration.
pub const MOST_A_MINUTE: u32 = 30;
