//! A request that somebody pastes, explained with the store's secrets of the consumer that it names, or with secrets that
//! come along. Nothing of either is kept.

use std::sync::Arc;

use oauth1::ParameterName;
use oauth1::explain::{Options, RawRequest, explain_pasted, explain_unreadable};
use serde_json::Value;
use token_store::ConsumerRecord;

use super::fault::Evidence;
use super::live::{Counted, Explainer, Unexplained};
use super::{Known, to_json};
use crate::authenticate::target::{Claimed, Origin};

/// An answer, and whose secrets it was found with.
pub struct Pasted {
    /// As `countersign explain` says it.
    pub answer: Value,
    /// `oauth_consumer_key`, as the request has it.
    pub consumer_key: String,
    /// Whose key that is, where the store was asked.
    pub consumer: Option<Arc<ConsumerRecord>>,
}

impl Explainer {
    /// Explains the octets of a request; `given`: secrets in place of the store's. Its clock is judged only with
    /// `received_at` (UNIX seconds): a pasted request is old.
    pub async fn explain_pasted(
        &self,
        octets: &[u8],
        given: Option<Known>,
        received_at: Option<u64>,
    ) -> Result<Pasted, Unexplained> {
        let request = match RawRequest::parse(octets) {
            Ok(request) => request,
            Err(what) => {
                return Ok(Pasted {
                    answer: to_json(&explain_unreadable(what), Evidence::Nothing, 0),
                    consumer_key: String::new(),
                    consumer: None,
                });
            }
        };
        let consumer_key = request.named(ParameterName::ConsumerKey).unwrap_or_default();
        let Some(given) = given else {
            return self.with_stored(request, consumer_key, received_at).await;
        };
        let (secrets, options) = given.into_parts()?;
        let options = Options {
            base_url: options.base_url.or_else(|| self.base_url(&request)),
            received_at: received_at.or(options.received_at),
            ..options
        };
        let turn = self.turn(Counted::Given).await?;
        let search = move || explain_pasted(&request, &secrets, &options);
        let (explanation, ms) = self.search(turn, search).await?;
        Ok(Pasted {
            // Whose secrets these are nobody knows, nor which gateway they are for.
            answer: to_json(&explanation, Evidence::Nothing, ms),
            consumer_key,
            consumer: None,
        })
    }

    async fn with_stored(
        &self,
        request: RawRequest,
        consumer_key: String,
        received_at: Option<u64>,
    ) -> Result<Pasted, Unexplained> {
        let consumer = self.consumer(&consumer_key).await?;
        let turn = self.turn(Counted::of(consumer.as_deref())).await?;
        let secrets = self.secrets(&request, consumer.as_deref()).await?;
        let base_url = self.base_url(&request);
        let options = Options {
            base_url: base_url.clone(),
            received_at,
            ..self.rules(consumer.as_deref())
        };
        let request = Arc::new(request);
        let explained = Arc::clone(&request);
        let search = move || explain_pasted(&explained, &secrets, &options);
        let (explanation, ms) = self.search(turn, search).await?;
        let called = (&*request, base_url.as_deref().unwrap_or_default());
        let evidence = self.evidence(&explanation, consumer.as_deref(), called);
        Ok(Pasted {
            answer: to_json(&explanation, evidence, ms),
            consumer_key,
            consumer,
        })
    }

    /// What clients of the address that the request names must sign.
    fn base_url(&self, request: &RawRequest) -> Option<String> {
        let live = self.live.load();
        if live.public.base_urls.is_empty() {
            return None;
        }
        let claimed = Claimed {
            tls: false,
            host: request.first("host").unwrap_or_default(),
            forwarded: None,
        };
        let origin = Origin::of(&live.public.base_urls, &claimed);
        Some(format!(
            "{}://{}{}",
            origin.scheme.as_str(),
            origin.authority,
            origin.prefix
        ))
    }
}
