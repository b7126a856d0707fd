//! What upstream itself demands (product.md 7): added last, so that nothing of a client's can stand in for it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use crate::config::Credentials;

/// A header that is added to every request to one upstream, made once when the configuration loads.
#[derive(Clone, Debug)]
pub struct UpstreamCredential {
    name: HeaderName,
    value: HeaderValue,
}

impl UpstreamCredential {
    /// `None`: upstream demands nothing. A secret with octets that no header can carry was refused by the configuration.
    pub fn of(credentials: &Credentials) -> Option<Self> {
        let (name, text) = match credentials {
            Credentials::None => return None,
            Credentials::Bearer { token } => (AUTHORIZATION, format!("Bearer {}", token.expose())),
            Credentials::Basic { username, password } => (
                AUTHORIZATION,
                format!("Basic {}", STANDARD.encode(format!("{username}:{}", password.expose()))),
            ),
            Credentials::Header { name, value } => (name.clone(), value.expose().to_owned()),
        };
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(Self { name, value })
    }

    /// Replaces whatever stands under that name, or under one that a CGI-like upstream reads as that name.
    pub fn apply(&self, headers: &mut HeaderMap) {
        let folded = |name: &HeaderName| {
            let pairs = || name.as_str().bytes().zip(self.name.as_str().bytes());
            name.as_str().len() == self.name.as_str().len()
                && pairs().all(|(theirs, ours)| theirs == ours || (b"-_".contains(&theirs) && b"-_".contains(&ours)))
        };
        let claimed: Vec<HeaderName> = headers.keys().filter(|name| folded(name)).cloned().collect();
        for name in claimed {
            headers.remove(name);
        }
        headers.insert(self.name.clone(), self.value.clone());
    }
}
