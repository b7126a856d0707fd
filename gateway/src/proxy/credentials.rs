//! What upstream itself demands (product.md 7): added last, so that nothing of a client's can stand in for it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use crate::authenticate::{Authenticated, Caller};
use crate::config::{Credentials, Oauth1Credentials};

/// What is added to every request to one upstream, prepared when the configuration loads.
#[derive(Clone, Debug)]
pub enum UpstreamCredential {
    /// A header that was made once.
    Header(HeaderName, HeaderValue),
    /// The storefront's own token of the customer who calls.
    Customer,
    /// A signature of the gateway's own, made when the request is sent.
    Oauth1(Arc<Oauth1Credentials>),
}

impl UpstreamCredential {
    /// `None`: upstream demands nothing. A secret with octets that no header can carry was refused by the configuration.
    pub fn of(credentials: &Credentials) -> Option<Self> {
        let (name, text) = match credentials {
            Credentials::None => return None,
            Credentials::Customer => return Some(Self::Customer),
            Credentials::Oauth1(credentials) => return Some(Self::Oauth1(Arc::clone(credentials))),
            Credentials::Bearer { token } => (AUTHORIZATION, format!("Bearer {}", token.expose())),
            Credentials::Basic { username, password } => (
                AUTHORIZATION,
                format!("Basic {}", STANDARD.encode(format!("{username}:{}", password.expose()))),
            ),
            Credentials::Header { name, value } => (name.clone(), value.expose().to_owned()),
        };
        Some(Self::Header(name, sensitive(&text)?))
    }

    /// Replaces whatever stands under that name. Who calls upstream without a token of theirs calls as nobody.
    pub fn apply(&self, headers: &mut HeaderMap, caller: &Authenticated) {
        match self {
            Self::Header(name, value) => replace(headers, name, Some(value.clone())),
            Self::Customer => replace(headers, &AUTHORIZATION, bearer_of(caller)),
            Self::Oauth1(_) => replace(headers, &AUTHORIZATION, None),
        }
    }
}

/// What came with the customer's sign-in, if something did.
fn bearer_of(caller: &Authenticated) -> Option<HeaderValue> {
    let token = match caller.caller() {
        Caller::Customer { token, .. } => token.as_ref()?.upstream_token.as_ref()?,
        Caller::Integration(_) | Caller::Delegated(..) | Caller::Admin(_) | Caller::Guest(_) => return None,
    };
    sensitive(&format!("Bearer {}", token.expose()))
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Also what stands under a name that a CGI-like upstream reads as that name.
fn replace(headers: &mut HeaderMap, name: &HeaderName, value: Option<HeaderValue>) {
    let folded = |theirs: &HeaderName| {
        let pairs = || theirs.as_str().bytes().zip(name.as_str().bytes());
        theirs.as_str().len() == name.as_str().len()
            && pairs().all(|(theirs, ours)| theirs == ours || (b"-_".contains(&theirs) && b"-_".contains(&ours)))
    };
    let claimed: Vec<HeaderName> = headers.keys().filter(|name| folded(name)).cloned().collect();
    for name in claimed {
        headers.remove(name);
    }
    if let Some(value) = value {
        headers.insert(name.clone(), value);
    }
}
