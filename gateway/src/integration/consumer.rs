//! The OAuth service (magento.md 4.7): a consumer and its tokens by hand, with or without an integration.

use std::sync::Arc;

use token_store::{ConsumerId, ConsumerRecord, NewConsumer, OwnToken, Put, Secret, Status};

use super::activation::IssuedCredentials;
use super::definition::{self, Invalid, is_name};
use super::{Failure, Integrations, Next, Of};
use crate::random;

impl Integrations {
    /// Makes a consumer without an integration; key and secret are always fresh.
    pub async fn create_consumer(
        &self,
        name: String,
        callback_url: Option<String>,
        rejected_callback_url: Option<String>,
    ) -> Result<ConsumerRecord, Failure> {
        if name.trim().is_empty() {
            return Err(Invalid::Required("name").into());
        }
        if !is_name(&name) {
            let what = definition::NAME;
            return Err(Invalid::Field { field: "name", what }.into());
        }
        for (field, what, url) in [
            ("callback_url", "Invalid Callback URL", &callback_url),
            (
                "rejected_callback_url",
                "Invalid Rejected Callback URL",
                &rejected_callback_url,
            ),
        ] {
            if url.as_ref().is_some_and(|url| url::Url::parse(url).is_err()) {
                return Err(Invalid::Field { field, what }.into());
            }
        }
        let new = NewConsumer {
            name: Some(name),
            key: random::credential()?,
            secret: random::secret()?,
            callback_url,
            rejected_callback_url,
            integration: None,
        };
        let made = self.store.create_consumer(new, self.clock.now()).await?;
        // Only an integration's name can be taken.
        made.ok_or(Failure::Changed)
    }

    /// One consumer.
    pub async fn consumer(&self, id: ConsumerId) -> Result<Arc<ConsumerRecord>, Failure> {
        self.store.consumer(id).await?.ok_or(Failure::UnknownConsumer(id))
    }

    /// Deletes it with its integration, tokens and nonces; answers what it was.
    pub async fn delete_consumer(&self, id: ConsumerId, version: Option<u64>) -> Result<Arc<ConsumerRecord>, Failure> {
        let record = self.consumer(id).await?;
        if let Some(integration) = record
            .integration
            .as_ref()
            .filter(|one| self.is_configured(&one.definition))
        {
            return Err(Failure::FromConfigDelete(integration.definition.name.clone()));
        }
        match self.store.delete_consumer(id, version).await? {
            Put::Done(_) => Ok(record),
            Put::Changed | Put::NameTaken => {
                self.consumer(id).await?;
                Err(Failure::Changed)
            }
        }
    }

    /// Makes the access token at once: `None` where a token row exists and `clear` is false, and then nothing is made.
    pub async fn create_access_token(&self, id: ConsumerId, clear: bool) -> Result<Option<IssuedCredentials>, Failure> {
        let (token, secret) = (random::credential()?, random::secret()?);
        let record = self
            .change_consumer(id, |record, now| {
                if record.token.is_some() && !clear {
                    return Ok(Next::Leave);
                }
                record.token = Some(OwnToken::Access {
                    token: token.clone(),
                    secret: secret.clone(),
                    revoked: false,
                    created_at: now,
                    exchanged: None,
                });
                record.consumer.posted_at = None;
                super::activation::set_status(record, Status::Active, now);
                Ok(Next::Write)
            })
            .await?;
        let made = record.token.as_ref().and_then(OwnToken::token) == Some(token.as_str());
        Ok(made.then(|| IssuedCredentials {
            consumer_key: record.consumer.key.clone(),
            consumer_secret: record.consumer.secret.clone(),
            access_token: token,
            access_token_secret: secret,
        }))
    }

    /// Deletes its own token row, whatever its stage; `false`: there was none.
    pub async fn delete_own_token(&self, id: ConsumerId) -> Result<bool, Failure> {
        let existed = std::sync::atomic::AtomicBool::new(false);
        self.change_consumer(id, |record, now| {
            let had = record.token.take().is_some();
            existed.store(had, std::sync::atomic::Ordering::Relaxed);
            if !had {
                return Ok(Next::Leave);
            }
            record.consumer.updated_at = now;
            Ok(Next::Write)
        })
        .await?;
        Ok(existed.into_inner())
    }

    /// Posts key, secret, address and verifier to `endpoint`, and answers the verifier (magento.md 3.2). A verifier that is
    /// there already is posted again; a consumer with an access token is left as it is.
    pub async fn post_to_endpoint(&self, id: ConsumerId, endpoint: &str) -> Result<Secret, Failure> {
        let way = self.poster(endpoint)?;
        let fresh = random::secret()?;
        let record = self
            .change_consumer(id, |record, now| {
                // Its owner signs with it: whoever wants it ended deletes it first.
                if matches!(record.token, Some(OwnToken::Access { revoked: false, .. })) {
                    return Err(Failure::HasAccessToken);
                }
                let verifier = match &record.token {
                    Some(OwnToken::Verifier { verifier, .. } | OwnToken::Request { verifier, .. }) => verifier.clone(),
                    Some(OwnToken::Access { .. }) | None => fresh.clone(),
                };
                record.token = Some(OwnToken::Verifier {
                    verifier,
                    created_at: now,
                });
                record.consumer.posted_at = Some(now);
                record.consumer.updated_at = now;
                super::activation::set_status(record, Status::Inactive, now);
                Ok(Next::Write)
            })
            .await?;
        let delivery = self.deliver(&way, endpoint, &record).await.ok_or(Failure::Changed)?;
        delivery.map_err(Failure::CallbackFailed)?;
        match record.token {
            Some(OwnToken::Verifier { verifier, .. }) => Ok(verifier),
            Some(OwnToken::Request { .. } | OwnToken::Access { .. }) | None => Err(Failure::Changed),
        }
    }

    async fn change_consumer(
        &self,
        id: ConsumerId,
        step: impl Fn(&mut ConsumerRecord, u64) -> Result<Next, Failure>,
    ) -> Result<ConsumerRecord, Failure> {
        self.change_of(Of::Consumer(id), None, step).await
    }
}
