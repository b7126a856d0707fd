//! `/oauth/token/request`: the verifier row becomes a request token (magento.md 2.5 stage C).

use http::Response;
use token_store::{ConsumerRecord, OwnToken, Put};

use super::{TRIES, reread, token_answer};
use crate::authenticate::signature::{Proven, Verifier};
use crate::body::ResponseBody;
use crate::random;
use crate::refusal::{Cause, Message, Refusal};

/// Issues a request token to a consumer whose signature holds and whose nonce was claimed.
pub async fn issue(verifier: &Verifier<'_>, proven: &Proven<'_>) -> Result<Response<ResponseBody>, Refusal> {
    let confirmed = proven.signed().callback().is_some();
    let mut record = proven.credential.record().clone();
    for _ in 0..TRIES {
        let (token, secret) = (random::credential()?, random::secret()?);
        record.token = Some(next(&record, verifier, token.clone(), secret.clone())?);
        match verifier.store.update_consumer(&record).await? {
            Put::Done(_) => return Ok(token_answer(&token, secret.expose(), confirmed)),
            Put::Changed | Put::NameTaken => record = (*reread(verifier, &record).await?).clone(),
        }
    }
    Err(Cause::Overloaded.into())
}

fn next(
    record: &ConsumerRecord,
    verifier: &Verifier<'_>,
    token: String,
    secret: token_store::Secret,
) -> Result<OwnToken, Refusal> {
    let now = verifier.now;
    let lifetime = verifier.oauth.consumer_expiry.as_secs();
    // Never posted counts as expired (magento.md 2.7).
    if record
        .consumer
        .posted_at
        .is_none_or(|at| now.saturating_sub(at) >= lifetime)
    {
        return Err(Cause::ConsumerKeyExpired.into());
    }
    match &record.token {
        None => Err(Refusal::saying(
            Cause::TokenRejected,
            Message::Positional(
                "A token with consumer ID %1 does not exist",
                record.consumer.id.0.to_string(),
            ),
        )),
        Some(OwnToken::Request { .. } | OwnToken::Access { .. }) => Err(Refusal::saying(
            Cause::TokenUsed,
            Message::Plain("Cannot create request token because consumer token is not a verifier token"),
        )),
        Some(OwnToken::Verifier { verifier: posted, .. }) => Ok(OwnToken::Request {
            token,
            secret,
            verifier: posted.clone(),
            created_at: now,
            expires_at: now.saturating_add(verifier.oauth.request_token_lifetime.as_secs()),
        }),
    }
}
