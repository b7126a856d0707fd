//! Activation (magento.md 3; product.md 6): by exchange where there is an endpoint, else the tokens are made at once.
//!
//! The verifier is committed before it is posted, with no lock held: partners ask for tokens during the POST. Activating
//! again replaces a stuck token row and posts the same verifier.
//!
//! Deactivating is a pause: the access token stays and its calls are a guest's; activating ends the pause and makes nothing
//! new (magento.md 3.3: what exists is kept). Reauthorizing replaces the token, paused or not.

use token_store::{ConsumerRecord, IntegrationId, OwnToken, Secret, Status};

use super::handshake::Step;
use super::verifier_post::{Delivered, PostError, Poster};
use super::{Failure, Integrations, Next, address};
use crate::integration::definition::Invalid;
use crate::random;

/// What an activation did.
#[derive(Debug)]
pub struct Activated {
    /// The integration's state now.
    pub status: Status,
    /// Whether the integration must fetch its tokens by exchange.
    pub exchange: bool,
    /// Made at once, where there is no exchange; shown this once.
    pub credentials: Option<IssuedCredentials>,
    /// What became of the verifier POST, if there was one. Without an answer the activation stands and the POST can be
    /// made again: the verifier is the same.
    pub delivery: Option<Result<Delivered, PostError>>,
    /// The record now.
    pub record: ConsumerRecord,
}

/// The set of four.
#[derive(Clone, Debug)]
pub struct IssuedCredentials {
    /// Consumer key.
    pub consumer_key: String,
    /// Consumer secret.
    pub consumer_secret: Secret,
    /// Access token.
    pub access_token: String,
    /// Its secret.
    pub access_token_secret: Secret,
}

/// Whether an activation replaces what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// An active integration keeps its tokens.
    Keep,
    /// Reauthorize: the old tokens end at once.
    Replace,
}

impl Integrations {
    /// Activates. `exchange = Some(false)` makes the tokens at once although there is an endpoint. Where an access token
    /// stands already, it is only made to count again. `version` compares unless `None`.
    pub async fn activate(
        &self,
        id: IntegrationId,
        mut version: Option<u64>,
        exchange: Option<bool>,
        renewal: Renewal,
    ) -> Result<Activated, Failure> {
        let record = self.get(id).await?;
        let integration = record.integration.as_ref().ok_or(Failure::Unknown(id))?;
        if renewal == Renewal::Keep && has_access_token(&record) && integration.status == Status::Inactive {
            let resumed = self.resume(id, version).await?;
            if is_live(&resumed) {
                return Ok(Activated::already(resumed, false));
            }
            version = version.map(|_| resumed.version);
        }
        let endpoint = integration.definition.endpoint.clone();
        match endpoint.filter(|_| exchange != Some(false)) {
            Some(endpoint) => self.activate_by_exchange((id, version), &endpoint, renewal).await,
            None => self.activate_at_once((id, version), renewal).await,
        }
    }

    async fn activate_by_exchange(
        &self,
        (id, version): (IntegrationId, Option<u64>),
        endpoint: &str,
        renewal: Renewal,
    ) -> Result<Activated, Failure> {
        let way = self.poster(endpoint)?;
        let fresh = random::secret()?;
        let record = self
            .change(id, version, |record, now| {
                if renewal == Renewal::Keep && is_live(record) {
                    return Ok(Next::Leave);
                }
                // A verifier that was posted and not used up is posted again: the partner may have it already.
                let verifier = match (&record.token, renewal) {
                    (Some(OwnToken::Verifier { verifier, .. } | OwnToken::Request { verifier, .. }), Renewal::Keep) => {
                        verifier.clone()
                    }
                    (Some(OwnToken::Access { .. }) | None, Renewal::Keep) | (_, Renewal::Replace) => fresh.clone(),
                };
                record.token = Some(OwnToken::Verifier {
                    verifier,
                    created_at: now,
                });
                record.consumer.posted_at = Some(now);
                record.consumer.updated_at = now;
                set_status(record, Status::Inactive, now);
                Ok(Next::Write)
            })
            .await?;
        let Some(delivery) = self.deliver(&way, endpoint, &record).await else {
            return Ok(Activated::already(record, true));
        };
        // The partner may have finished the exchange during the POST.
        let record = self.get(id).await.map_or(record, |now| (*now).clone());
        Ok(Activated {
            status: record.integration.as_ref().map_or(Status::Inactive, |one| one.status),
            exchange: true,
            credentials: None,
            delivery: Some(delivery),
            record,
        })
    }

    /// The POST of magento.md 3.2, noted in the handshake. `None`: the record holds no verifier.
    pub(super) async fn deliver(
        &self,
        (base_url, poster): &(String, Poster),
        endpoint: &str,
        record: &ConsumerRecord,
    ) -> Option<Result<Delivered, PostError>> {
        let Some(OwnToken::Verifier { verifier, .. }) = &record.token else {
            return None;
        };
        let form = [
            ("oauth_consumer_key", record.consumer.key.as_str()),
            ("oauth_consumer_secret", record.consumer.secret.expose()),
            ("store_base_url", base_url.as_str()),
            ("oauth_verifier", verifier.expose()),
        ];
        let (at, began) = (self.clock.now(), self.clock.instant());
        let delivery = poster.post(endpoint, &form, &self.own).await;
        let consumer = record.consumer.id;
        match &delivery {
            Ok(delivered) => {
                tracing::info!(
                    consumer = consumer.0,
                    status = delivered.status,
                    "the verifier was posted"
                );
            }
            Err(error) => tracing::warn!(consumer = consumer.0, %error, "the verifier could not be posted"),
        }
        let took = self.clock.instant().duration_since(began);
        self.handshakes
            .saw(consumer, at, Step::posted(endpoint, took, &delivery));
        Some(delivery)
    }

    /// What the POST needs, and every reason for which it can't be made, before anything is changed.
    pub(super) fn poster(&self, endpoint: &str) -> Result<(String, Poster), Failure> {
        let live = self.live.load();
        let base_url = live.public.base_urls.first().ok_or(Failure::NoBaseUrl)?.with_slash();
        let allow = live.callbacks.allow.clone();
        address::check_literal(endpoint, &allow, &self.own)
            .map_err(|refused| Invalid::EndpointRefused(refused.to_string()))?;
        let poster = Poster {
            timeout: live.callbacks.timeout,
            allow,
            tls: live.callback_tls.clone(),
        };
        Ok((base_url, poster))
    }

    async fn activate_at_once(
        &self,
        (id, version): (IntegrationId, Option<u64>),
        renewal: Renewal,
    ) -> Result<Activated, Failure> {
        let (fresh, secret) = (random::credential()?, random::secret()?);
        let record = self
            .change(id, version, |record, now| {
                if renewal == Renewal::Keep && is_live(record) {
                    return Ok(Next::Leave);
                }
                record.token = Some(OwnToken::Access {
                    token: fresh.clone(),
                    secret: secret.clone(),
                    revoked: false,
                    created_at: now,
                    exchanged: None,
                });
                record.consumer.posted_at = None;
                set_status(record, Status::Active, now);
                Ok(Next::Write)
            })
            .await?;
        // Of two activations at the same time one makes the tokens.
        if record.token.as_ref().and_then(OwnToken::token) != Some(fresh.as_str()) {
            return Ok(Activated::already(record, false));
        }
        self.handshakes
            .saw(record.consumer.id, self.clock.now(), Step::TokensMade);
        Ok(Activated {
            status: Status::Active,
            exchange: false,
            credentials: Some(IssuedCredentials {
                consumer_key: record.consumer.key.clone(),
                consumer_secret: record.consumer.secret.clone(),
                access_token: fresh,
                access_token_secret: secret,
            }),
            delivery: None,
            record,
        })
    }

    /// Ends the pause that [`Integrations::deactivate`] made.
    async fn resume(&self, id: IntegrationId, version: Option<u64>) -> Result<ConsumerRecord, Failure> {
        self.change(id, version, |record, now| {
            if !has_access_token(record) || is_live(record) {
                return Ok(Next::Leave);
            }
            set_status(record, Status::Active, now);
            Ok(Next::Write)
        })
        .await
    }

    /// Pauses it: from now on its calls are a guest's. The access token stays, so that activating again needs no new
    /// credentials. A handshake that is under way ends: the partner's next step would undo the pause.
    pub async fn deactivate(&self, id: IntegrationId) -> Result<ConsumerRecord, Failure> {
        self.change(id, None, |record, now| {
            record.token.take_if(|token| match token {
                OwnToken::Verifier { .. } | OwnToken::Request { .. } => true,
                OwnToken::Access { .. } => false,
            });
            // One that was reset stays marked so until it is activated again.
            if record
                .integration
                .as_ref()
                .is_none_or(|one| one.status != Status::Recreated)
            {
                set_status(record, Status::Inactive, now);
            }
            Ok(Next::Write)
        })
        .await
    }
}

impl Activated {
    /// Nothing was to be done.
    fn already(record: ConsumerRecord, exchange: bool) -> Self {
        Self {
            status: record.integration.as_ref().map_or(Status::Inactive, |one| one.status),
            exchange,
            credentials: None,
            delivery: None,
            record,
        }
    }
}

/// Whether its access token opens something; a revoked one doesn't.
fn is_live(record: &ConsumerRecord) -> bool {
    let is_active = record
        .integration
        .as_ref()
        .is_some_and(|one| one.status == Status::Active);
    is_active && has_access_token(record)
}

/// Whether it has an access token that nobody revoked, whether the integration is active or not.
fn has_access_token(record: &ConsumerRecord) -> bool {
    matches!(record.token, Some(OwnToken::Access { revoked: false, .. }))
}

pub(super) fn set_status(record: &mut ConsumerRecord, status: Status, now: u64) {
    if let Some(integration) = &mut record.integration {
        integration.status = status;
        integration.updated_at = now;
    }
}
