//! `/oauth/token/access`: the request token becomes the access token, once; a lost response may be asked again
//! (magento.md 2.5 stage D; product.md 6).

use http::Response;
use token_store::{ConsumerRecord, Exchanged, OwnToken, Put, Secret, Status};

use super::{TRIES, reread, token_answer};
use crate::authenticate::signature::{Proven, TokenUse, Verifier};
use crate::body::ResponseBody;
use crate::random::{self, CREDENTIAL_LENGTH};
use crate::refusal::{Cause, Message, Refusal};

/// Exchanges a request token whose signature holds and whose nonce was claimed.
pub async fn issue(verifier: &Verifier<'_>, proven: &Proven<'_>) -> Result<Response<ResponseBody>, Refusal> {
    match &proven.token {
        TokenUse::Own => {}
        // Tokens that users delegate are exchanged at `/oauth/token`.
        TokenUse::None | TokenUse::Delegated(_) => return Err(unknown()),
    }
    let mut record = proven.credential.record().clone();
    for _ in 0..TRIES {
        match step(&record, verifier, proven)? {
            Step::Again(token, secret) => return Ok(token_answer(&token, secret.expose(), false)),
            Step::Exchange(next) => match verifier.store.update_consumer(&next).await? {
                Put::Done(_) => return answer_of(&next),
                Put::Changed | Put::NameTaken => record = (*reread(verifier, &record).await?).clone(),
            },
        }
    }
    Err(Cause::Overloaded.into())
}

enum Step {
    /// The pair that was issued, for a response that was lost.
    Again(String, Secret),
    /// The record with its access token.
    Exchange(Box<ConsumerRecord>),
}

fn step(record: &ConsumerRecord, verifier: &Verifier<'_>, proven: &Proven<'_>) -> Result<Step, Refusal> {
    let named = proven.signed().token().unwrap_or_default();
    let now = verifier.now;
    match &record.token {
        Some(OwnToken::Request {
            token,
            secret,
            verifier: expected,
            expires_at,
            ..
        }) if token == named => {
            if *expires_at <= now {
                return Err(Cause::TokenExpired.into());
            }
            let brought = check_verifier(proven, expected)?;
            let exchanged = Exchanged {
                request_token: token.clone(),
                request_secret: secret.clone(),
                verifier: brought,
                at: now,
            };
            let mut next = record.clone();
            next.token = Some(OwnToken::Access {
                token: random::credential()?,
                secret: random::secret()?,
                revoked: false,
                created_at: now,
                exchanged: Some(exchanged),
            });
            if let Some(integration) = &mut next.integration {
                integration.status = Status::Active;
                integration.updated_at = now;
            }
            Ok(Step::Exchange(Box::new(next)))
        }
        Some(OwnToken::Access { token, .. }) if token == named => Err(Refusal::saying(
            Cause::TokenUsed,
            Message::Plain("Token is already being used"),
        )),
        Some(
            own @ OwnToken::Access {
                token,
                secret,
                revoked: false,
                ..
            },
        ) => {
            let grace = verifier.oauth.exchange_grace.as_secs();
            let from = own
                .exchanged_from(named)
                .filter(|from| grace > 0 && now <= from.at.saturating_add(grace));
            let from = from.ok_or_else(unknown)?;
            check_verifier(proven, &from.verifier)?;
            Ok(Step::Again(token.clone(), secret.clone()))
        }
        Some(OwnToken::Verifier { .. } | OwnToken::Request { .. } | OwnToken::Access { .. }) | None => Err(unknown()),
    }
}

/// Constant-time; a wrong verifier changes nothing, so the row may be tried again (magento.md 2.8).
fn check_verifier(proven: &Proven<'_>, expected: &Secret) -> Result<Secret, Refusal> {
    let invalid = |sentence| Refusal::saying(Cause::VerifierInvalid, Message::Plain(sentence));
    let brought = proven
        .signed()
        .verifier()
        .and_then(|octets| std::str::from_utf8(octets).ok());
    let brought = brought.ok_or_else(|| invalid("Verifier is invalid"))?;
    if brought.len() != CREDENTIAL_LENGTH {
        return Err(invalid("Verifier is not the correct length"));
    }
    let brought = Secret::new(brought);
    if brought == *expected {
        Ok(brought)
    } else {
        Err(invalid("Token verifier and verifier token do not match"))
    }
}

fn answer_of(record: &ConsumerRecord) -> Result<Response<ResponseBody>, Refusal> {
    match &record.token {
        Some(OwnToken::Access { token, secret, .. }) => Ok(token_answer(token, secret.expose(), false)),
        Some(OwnToken::Verifier { .. } | OwnToken::Request { .. }) | None => Err(Cause::Internal.into()),
    }
}

fn unknown() -> Refusal {
    Cause::TokenRejected.into()
}
