//! OAuth 1.0a toward upstream (product.md 7): the gateway signs with its own consumer and token what is really sent, anew for
//! each attempt. A retry has a nonce and a timestamp of its own, so upstream never takes it for a replay.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderValue, Request};
use oauth1::sign::{Credentials, Stamp, authorization};
use oauth1::{RequestParts, Scheme, Target};

use crate::clock::Clock;
use crate::config::Oauth1Credentials;
use crate::random;
use crate::refusal::Cause;

/// Goes with a request that is to be signed.
#[derive(Clone)]
pub struct Resign {
    credentials: Arc<Oauth1Credentials>,
    /// The body, where it is a form: its fields are signed (RFC 5849 section 3.4.1.3.1).
    form: Option<Bytes>,
}

impl Resign {
    /// With these credentials.
    pub fn new(credentials: &Arc<Oauth1Credentials>, form: Option<Bytes>) -> Self {
        Self {
            credentials: Arc::clone(credentials),
            form,
        }
    }

    fn header<B>(&self, request: &Request<B>, scheme: Scheme, now: u64) -> Result<HeaderValue, Cause> {
        let own = &self.credentials;
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        let (scheme, authority, prefix) = match &own.base_url {
            Some(base) => (base.scheme, base.authority.as_str(), base.prefix.as_str()),
            None => (scheme, host.ok_or(Cause::Internal)?, ""),
        };
        let path = format!("{prefix}{}", request.uri().path());
        let parts = RequestParts {
            method: request.method().as_str(),
            target: Target {
                scheme,
                authority,
                path: &path,
                query: request.uri().query(),
            },
            authorization: None,
            form: self.form.as_deref(),
        };
        let token = own.token.as_ref();
        let credentials = Credentials {
            consumer_key: &own.consumer_key,
            consumer_secret: own.consumer_secret.expose(),
            token: token.map(|(token, _)| token.as_str()),
            token_secret: token.map_or("", |(_, secret)| secret.expose()),
        };
        let nonce = random::credential().map_err(|_| Cause::Internal)?;
        let stamp = Stamp {
            method: own.method,
            timestamp: now,
            nonce: &nonce,
            extra: &[],
        };
        // What can't be taken apart can't be signed: upstream could not verify it.
        let header = authorization(&parts, &credentials, &stamp).ok_or(Cause::RequestMalformed)?;
        let mut value = HeaderValue::try_from(header).map_err(|_| Cause::Internal)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// Signs a request that asks for it; its `Host` stands already.
pub(super) fn sign<B>(request: &mut Request<B>, scheme: Scheme, clock: &Clock) -> Result<(), Cause> {
    let Some(resign) = request.extensions().get::<Resign>() else {
        return Ok(());
    };
    let value = resign.header(request, scheme, clock.now())?;
    request.headers_mut().insert(AUTHORIZATION, value);
    Ok(())
}
