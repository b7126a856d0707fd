//! The secrets file of `countersign explain`: what the server knows of a request's consumer and token.

use oauth1::BaseForm;
use oauth1::explain::{Options, Secrets};
use serde::Deserialize;
use token_store::Secret;
use zeroize::Zeroizing;

/// As the file has it. Other fields, as an activation's answer holds them, are not read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Known {
    consumer_key: Option<String>,
    consumer_secret: Option<Secret>,
    #[serde(alias = "access_token", alias = "token_key")]
    token: Option<String>,
    #[serde(alias = "access_token_secret")]
    token_secret: Option<Secret>,
    request_token: Option<String>,
    request_token_secret: Option<Secret>,
    previous_consumer_secrets: Vec<Secret>,
    previous_token_secrets: Vec<Secret>,
    rsa_public_key: Option<String>,
    base_url: Option<String>,
    received_at: Option<u64>,
    timestamp_window: Option<u64>,
    compat: Vec<String>,
}

/// Why a secrets file can't be used; never with its contents.
#[derive(Debug, thiserror::Error)]
pub enum Faulty {
    /// Not JSON, or not of that shape.
    #[error("{0}")]
    Shape(String),
    /// `compat` has a name that isn't one.
    #[error("compat: {0:?} is neither \"magento-sort\", \"magento-host\" nor \"collapse_identical_pairs\"")]
    Compat(String),
    /// `base_url` isn't a URL.
    #[error("base_url: {0:?} is not an absolute URL, as https://shop.example")]
    BaseUrl(String),
    /// `rsa_public_key` isn't a key.
    #[error("rsa_public_key: not a PEM of an RSA key of 2048 bits or more")]
    RsaKey,
}

impl Known {
    /// From JSON.
    pub fn read(text: &str) -> Result<Self, Faulty> {
        serde_json::from_str(text).map_err(|error| {
            let place = place(&error);
            Faulty::Shape(if error.is_data() {
                format!("{place}: not the shape of a secrets file")
            } else {
                format!("{place}: is not JSON")
            })
        })
    }

    /// What the explainer is given.
    pub fn into_parts(self) -> Result<(Secrets, Options), Faulty> {
        let url = self.base_url.as_ref();
        if let Some(url) = url.filter(|url| oauth1::Target::from_url(url).is_none()) {
            return Err(Faulty::BaseUrl(url.clone()));
        }
        let key = self.rsa_public_key.as_deref();
        if key.is_some_and(|pem| oauth1::RsaPublicKey::from_pem(pem).is_none()) {
            return Err(Faulty::RsaKey);
        }
        let options = Options {
            compat: self.forms()?,
            base_url: self.base_url,
            received_at: self.received_at,
            timestamp_window: self.timestamp_window.unwrap_or(DEFAULT_WINDOW_SECS),
            nonce_used: false,
            without_body: false,
        };
        let secrets = Secrets {
            consumer_key: self.consumer_key,
            consumer_secret: self.consumer_secret.as_ref().map(wiped),
            token: self.token,
            token_secret: self.token_secret.as_ref().map(wiped),
            request_token: self.request_token,
            request_token_secret: self.request_token_secret.as_ref().map(wiped),
            previous_consumer_secrets: self.previous_consumer_secrets.iter().map(wiped).collect(),
            previous_token_secrets: self.previous_token_secrets.iter().map(wiped).collect(),
            rsa_public_key: self.rsa_public_key,
        };
        Ok((secrets, options))
    }

    fn forms(&self) -> Result<BaseForm, Faulty> {
        let mut forms = BaseForm::default();
        for name in &self.compat {
            match name.as_str() {
                "magento-sort" => forms.magento_sort = true,
                "magento-host" => forms.magento_host = true,
                "collapse_identical_pairs" => forms.collapse_identical_pairs = true,
                other => return Err(Faulty::Compat(other.to_owned())),
            }
        }
        Ok(forms)
    }
}

/// Where JSON is wrong. The parser's own words would quote what stands there, and with it a secret.
pub fn place(error: &serde_json::Error) -> String {
    format!("line {}, column {}", error.line(), error.column())
}

/// A secret as the explainer takes it: wiped with the search.
pub(super) fn wiped(secret: &Secret) -> Zeroizing<String> {
    Zeroizing::new(secret.expose().to_owned())
}

/// As `[oauth] timestamp_window`.
const DEFAULT_WINDOW_SECS: u64 = 600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_the_file_never_quotes_it() {
        for text in [
            "{ geheim",
            "{\"consumer_secret\": [\"geheim\"]}",
            "{\"token_secret\": 1, \"geheim\": 2}",
        ] {
            let fault = Known::read(text)
                .and_then(Known::into_parts)
                .map(|_| ())
                .expect_err("not a secrets file")
                .to_string();
            assert!(!fault.contains("geheim"), "{fault}");
        }
        assert!(matches!(
            Known::read("{\"compat\": [\"magento\"]}").and_then(Known::into_parts),
            Err(Faulty::Compat(_))
        ));
        assert!(matches!(
            Known::read("{\"base_url\": \"shop\"}").and_then(Known::into_parts),
            Err(Faulty::BaseUrl(_))
        ));
    }
}
