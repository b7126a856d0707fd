//! Bearer tokens (magento.md 4.9): opaque tokens and JWTs of admins and customers, and integrations' access tokens where allowed.
//!
//! A bad bearer is a guest, never an error: the refusal, if any, is the route's. A store that can't answer is 503.

use std::rc::Rc;
use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use token_store::{Account, AccountId, OwnToken, Store, User, UserKind, UserToken};

use super::credential::Credentials;
use super::jwt::{self, Jwts};
use super::{Authenticated, Caller, Guest};
use crate::header;
use crate::random::CREDENTIAL_LENGTH;
use crate::refusal::{Cause, Refusal};

/// The one `Authorization` header, of `most` octets; two of them are malformed (C8).
pub fn authorization(headers: &HeaderMap, most: usize) -> Result<Option<&[u8]>, Cause> {
    let mut values = header::all(headers, &AUTHORIZATION);
    match (values.next(), values.next()) {
        (Some(only), None) if only.len() > most => Err(Cause::RequestMalformed),
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

/// Reads users' bearer tokens, kept ones and JWTs.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// Where tokens are kept.
    pub store: &'a Arc<dyn Store>,
    /// What verifies JWTs.
    pub jwts: &'a Jwts,
    /// Unix seconds.
    pub now: u64,
}

/// A token that opens something.
pub struct Brought {
    /// Whose it is.
    pub user: User,
    /// As it is kept; JWTs are not.
    pub row: Option<Arc<UserToken>>,
}

impl Reader<'_> {
    /// Whose token it is, if it opens something. Its looks tell which kind it is: neither is ever tried as the other.
    pub async fn user(&self, token: &str) -> Result<Option<Brought>, Refusal> {
        if token.len() > LONGEST {
            return Ok(None);
        }
        if jwt::is_jwt(token) {
            let user = Box::pin(self.jwts.read(token, self.now)).await?;
            return Ok(user.map(|user| Brought { user, row: None }));
        }
        let found = self.store.user_token(&digest(token)).await?;
        let is_live = |row: &Arc<UserToken>| row.expires_at.is_none_or(|at| at > self.now) && !row.is_beside_jwt;
        Ok(found.filter(is_live).map(|row| Brought {
            user: row.user,
            row: Some(row),
        }))
    }

    /// An account that its token opens, while it is active.
    pub async fn admin(&self, user: User) -> Result<Option<Arc<Account>>, Refusal> {
        if user.kind != UserKind::Admin {
            return Ok(None);
        }
        let account = self.store.account(UserKind::Admin, AccountId(user.id)).await?;
        Ok(account.filter(|account| account.definition.active))
    }
}

/// Who a bearer token is. `forwards_own`: upstream wants the storefront's own token of a customer.
pub async fn authenticate(
    token: &str,
    reader: Reader<'_>,
    credentials: &Credentials,
    access_tokens: bool,
    forwards_own: bool,
) -> Result<Authenticated, Refusal> {
    let bad = Authenticated::new(Caller::Guest(Guest::BadBearer));
    if let Some(Brought { user, row }) = reader.user(token).await? {
        return Ok(match user.kind {
            UserKind::Admin => {
                let account = reader.admin(user).await?;
                account.map_or(bad, |account| Authenticated::new(Caller::Admin(account)))
            }
            UserKind::Customer => {
                let row = match row {
                    None if forwards_own => reader.store.user_token(&digest(token)).await?,
                    row => row,
                };
                Authenticated::new(Caller::Customer {
                    id: user.id,
                    token: row,
                })
            }
        });
    }
    if access_tokens
        && token.len() == CREDENTIAL_LENGTH
        && let Some(credential) = integration(token, reader.store, credentials).await?
    {
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
