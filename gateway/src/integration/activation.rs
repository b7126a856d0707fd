//! Activation (magento.md 3; product.md 6): by exchange where there is an endpoint, else the tokens are made at once.
//!
//! The verifier is committed before it is posted, with no lock held: partners ask for tokens during the POST. Activating
//! again replaces a stuck token row and posts the same verifier.

use token_store::{ConsumerRecord, Integration, IntegrationId, OwnToken, Secret, Status};

use super::verifier_post::{Delivered, Poster};
use super::{Failure, Integrations};
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
    /// What the callback answered.
    pub delivered: Option<Delivered>,
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
    /// Activates. `exchange = Some(false)` makes the tokens at once although there is an endpoint.
    pub async fn activate(
        &self,
        id: IntegrationId,
        exchange: Option<bool>,
        renewal: Renewal,
    ) -> Result<Activated, Failure> {
        let record = self.get(id).await?;
        let integration = record.integration.as_ref().ok_or(Failure::Unknown(id))?;
        let endpoint = integration
            .definition
            .endpoint
            .clone()
            .filter(|_| exchange != Some(false));
        let is_live = integration.status == Status::Active && matches!(record.token, Some(OwnToken::Access { .. }));
        if renewal == Renewal::Keep && is_live {
            return Ok(Activated {
                status: Status::Active,
                exchange: endpoint.is_some(),
                credentials: None,
                delivered: None,
                record: (*record).clone(),
            });
        }
        match endpoint {
            Some(endpoint) => self.activate_by_exchange(id, &endpoint, renewal).await,
            None => self.activate_at_once(id).await,
        }
    }

    async fn activate_by_exchange(
        &self,
        id: IntegrationId,
        endpoint: &str,
        renewal: Renewal,
    ) -> Result<Activated, Failure> {
        let (base_url, poster) = {
            let live = self.live.load();
            let base_url = live.public.base_urls.first().ok_or(Failure::NoBaseUrl)?.with_slash();
            let poster = Poster {
                timeout: live.callbacks.timeout,
                allow: live.callbacks.allow.clone(),
                tls: live.callback_tls.clone(),
            };
            (base_url, poster)
        };
        let fresh = random::secret()?;
        let record = self
            .change(id, None, |record, now| {
                // A verifier that was posted and not used yet is posted again: the partner may have it already.
                let verifier = match (&record.token, renewal) {
                    (Some(OwnToken::Verifier { verifier, .. } | OwnToken::Request { verifier, .. }), Renewal::Keep) => {
                        verifier.clone()
                    }
                    (
                        Some(OwnToken::Verifier { .. } | OwnToken::Request { .. } | OwnToken::Access { .. }) | None,
                        _,
                    ) => fresh.clone(),
                };
                record.token = Some(OwnToken::Verifier {
                    verifier,
                    created_at: now,
                });
                record.consumer.posted_at = Some(now);
                record.consumer.updated_at = now;
                set_status(record, Status::Inactive, now);
                Ok(())
            })
            .await?;
        let Some(OwnToken::Verifier { verifier, .. }) = &record.token else {
            return Err(Failure::Changed);
        };
        let form = [
            ("oauth_consumer_key", record.consumer.key.as_str()),
            ("oauth_consumer_secret", record.consumer.secret.expose()),
            ("store_base_url", base_url.as_str()),
            ("oauth_verifier", verifier.expose()),
        ];
        let delivered = poster.post(endpoint, &form, &self.own).await.map_err(|error| {
            tracing::warn!(integration = id.0, %error, "the verifier could not be posted");
            Failure::CallbackFailed(error)
        })?;
        tracing::info!(integration = id.0, status = delivered.status, "the verifier was posted");
        // The partner may have finished the exchange during the POST.
        let record = (*self.get(id).await?).clone();
        let status = record.integration.as_ref().map_or(Status::Inactive, |one| one.status);
        Ok(Activated {
            status,
            exchange: true,
            credentials: None,
            delivered: Some(delivered),
            record,
        })
    }

    async fn activate_at_once(&self, id: IntegrationId) -> Result<Activated, Failure> {
        let (token, secret) = (random::credential()?, random::secret()?);
        let record = self
            .change(id, None, |record, now| {
                record.token = Some(OwnToken::Access {
                    token: token.clone(),
                    secret: secret.clone(),
                    revoked: false,
                    created_at: now,
                    exchanged: None,
                });
                set_status(record, Status::Active, now);
                Ok(())
            })
            .await?;
        let credentials = IssuedCredentials {
            consumer_key: record.consumer.key.clone(),
            consumer_secret: record.consumer.secret.clone(),
            access_token: token,
            access_token_secret: secret,
        };
        Ok(Activated {
            status: Status::Active,
            exchange: false,
            credentials: Some(credentials),
            delivered: None,
            record,
        })
    }

    /// Ends its use at once: tokens gone, calls are a guest's. It can be activated again.
    pub async fn deactivate(&self, id: IntegrationId) -> Result<ConsumerRecord, Failure> {
        self.change(id, None, |record, now| {
            record.token = None;
            set_status(record, Status::Inactive, now);
            Ok(())
        })
        .await
    }
}

fn set_status(record: &mut ConsumerRecord, status: Status, now: u64) {
    if let Some(Integration {
        status: current,
        updated_at,
        ..
    }) = &mut record.integration
    {
        *current = status;
        *updated_at = now;
    }
}
