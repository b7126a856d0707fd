//! `/oauth/initiate`: temporary credentials, the first step of the three-legged flow (RFC 5849 section 2.1).

use http::Response;
use token_store::{Delegated, DelegatedStage, IntegrationId};

use super::token_answer;
use crate::authenticate::signature::{Proven, Verifier};
use crate::body::ResponseBody;
use crate::random;
use crate::refusal::{Cause, Refusal};

/// Issues a request token that a user has still to approve.
pub async fn issue(verifier: &Verifier<'_>, proven: &Proven<'_>) -> Result<Response<ResponseBody>, Refusal> {
    let record = proven.credential.record();
    let integration = record.integration.as_ref().ok_or(Cause::IntegrationInactive)?;
    if !proven.credential.is_active() {
        return Err(inactive(integration.id));
    }
    let callback = callback(proven, &integration.definition.callback_urls)?;
    make_room(verifier, record.consumer.id).await?;
    let row = Delegated {
        version: 0,
        consumer_id: record.consumer.id,
        token: random::credential()?,
        secret: random::secret()?,
        created_at: verifier.now,
        expires_at: Some(verifier.now.saturating_add(verifier.oauth.initiate_lifetime.as_secs())),
        stage: DelegatedStage::Pending { callback },
    };
    verifier.store.put_delegated(&row).await?;
    Ok(token_answer(&row.token, row.secret.expose(), true))
}

/// Fixed here and signed, so that nobody can send a user elsewhere later (P1): one that was registered, exactly, or `oob`.
fn callback(proven: &Proven<'_>, registered: &[String]) -> Result<String, Refusal> {
    let given = proven.signed().callback().unwrap_or_default();
    match std::str::from_utf8(given).ok() {
        Some(OUT_OF_BAND) => Ok(OUT_OF_BAND.to_owned()),
        Some(url) if registered.iter().any(|one| one == url) => Ok(url.to_owned()),
        Some(_) | None => Err(Refusal::callback_rejected(given)),
    }
}

/// Requests that nobody decided in time go; a consumer that has too many waiting must wait, too (C81).
async fn make_room(verifier: &Verifier<'_>, consumer: token_store::ConsumerId) -> Result<(), Refusal> {
    let rows = verifier.store.delegated_of(consumer).await?;
    let (gone, waiting): (Vec<&Delegated>, Vec<&Delegated>) = rows
        .iter()
        .filter(|row| !matches!(row.stage, DelegatedStage::Access { .. }))
        .partition(|row| row.expires_at.is_some_and(|at| at <= verifier.now));
    for row in gone {
        verifier.store.delete_delegated(consumer, &row.token).await?;
    }
    if waiting.len() >= MOST_WAITING {
        return Err(Cause::RateLimited.into());
    }
    Ok(())
}

fn inactive(integration: IntegrationId) -> Refusal {
    tracing::info!(
        integration = integration.0,
        "initiate by an integration that is not active"
    );
    Cause::IntegrationInactive.into()
}

/// No callback: the user carries the verifier over.
pub(super) const OUT_OF_BAND: &str = "oob";
/// Request tokens of one consumer that wait for a decision.
const MOST_WAITING: usize = 1000;
