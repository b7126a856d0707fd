//! Bearer tokens (magento.md 4.9): opaque tokens of admins and customers, and integrations' access tokens where allowed.
//!
//! A bad bearer is a guest, never an error: the refusal, if any, is the route's. A store that can't answer is 503.

use std::rc::Rc;
use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use token_store::{AccountId, OwnToken, Store, UserKind};

use super::credential::Credentials;
use super::{Authenticated, Caller, Guest};
use crate::refusal::{Cause, Refusal};

/// The one `Authorization` header; two of them are malformed (C8).
pub fn authorization(headers: &HeaderMap) -> Result<Option<&[u8]>, Cause> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (first, None) => Ok(first.map(http::HeaderValue::as_bytes)),
        (_, Some(_)) => Err(Cause::RequestMalformed),
    }
}

/// The token of a bearer header: exactly two pieces round one space (magento.md 4.9).
pub fn token(authorization: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(authorization).ok()?;
    let (scheme, token) = text.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && !token.contains(' ')).then_some(token)
}

/// Whether the scheme is Bearer, well-formed or not.
pub fn is_bearer(authorization: &[u8]) -> bool {
    authorization
        .get(..6)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer"))
        && authorization.get(6).is_none_or(u8::is_ascii_whitespace)
}

/// Who a bearer token is.
pub async fn authenticate(
    token: &str,
    store: &Arc<dyn Store>,
    credentials: &Credentials,
    access_tokens: bool,
    now: u64,
) -> Result<Authenticated, Refusal> {
    let bad = Authenticated::new(Caller::Guest(Guest::BadBearer));
    if token.len() > LONGEST {
        return Ok(bad);
    }
    if let Some(found) = store.user_token(&digest(token)).await? {
        if found.expires_at.is_some_and(|at| at <= now) {
            return Ok(bad);
        }
        return match found.user.kind {
            UserKind::Admin => {
                let account = store.account(UserKind::Admin, AccountId(found.user.id)).await?;
                let account = account.filter(|account| account.definition.active);
                Ok(account.map_or(bad, |account| Authenticated::new(Caller::Admin(account))))
            }
            UserKind::Customer => Ok(Authenticated::new(Caller::Customer { id: found.user.id })),
        };
    }
    if access_tokens && let Some(credential) = integration(token, store, credentials).await? {
        return Ok(Authenticated::integration(credential));
    }
    Ok(bad)
}

/// The integration whose live access token it is.
async fn integration(
    token: &str,
    store: &Arc<dyn Store>,
    credentials: &Credentials,
) -> Result<Option<Rc<super::credential::Credential>>, Refusal> {
    let Some(consumer) = store.consumer_of_token(token).await? else {
        return Ok(None);
    };
    let Some(record) = store.consumer(consumer).await? else {
        return Ok(None);
    };
    let live = matches!(&record.token, Some(OwnToken::Access { token: own, revoked: false, .. }) if own == token);
    if !live {
        return Ok(None);
    }
    Ok(credentials.by_key(&record.consumer.key).await?)
}

/// What a bearer token is kept as.
pub fn digest(token: &str) -> String {
    token_store::codec::token_digest(token)
}

/// Octets of a bearer token that is looked up at all.
const LONGEST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_header_is_two_pieces_round_one_space() {
        assert_eq!(token(b"bEaReR abc"), Some("abc"));
        assert_eq!(token(b"Bearer  abc"), None);
        assert_eq!(token(b"Bearer a b"), None);
        assert_eq!(token(b"Basic abc"), None);
    }
}
