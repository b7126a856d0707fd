//! The secrets file of `countersign explain`: what the server knows of a request's consumer and token.

use std::collections::BTreeMap;

use oauth1::BaseForm;
use oauth1::explain::{Options, Secrets};
use serde::de::value::MapAccessDeserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use token_store::Secret;
use zeroize::Zeroizing;

/// As the file has it.
#[derive(Debug)]
pub struct Known(Fields);

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
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
    /// The other fields of an activation's answer,
    #[serde(rename = "status")]
    _status: Option<IgnoredAny>,
    #[serde(rename = "exchange")]
    _exchange: Option<IgnoredAny>,
    #[serde(rename = "callback_status")]
    _callback_status: Option<IgnoredAny>,
    /// and of a token's.
    #[serde(rename = "revoked")]
    _revoked: Option<IgnoredAny>,
    #[serde(rename = "created_at")]
    _created_at: Option<IgnoredAny>,
}

impl<'de> Deserialize<'de> for Known {
    /// Only of an object: a struct that serde derives may be a list as well.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Known;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Known, A::Error> {
                Fields::deserialize(MapAccessDeserializer::new(map)).map(Known)
            }
        }
        deserializer.deserialize_map(Object)
    }
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
    #[error("base_url: {0:?} is not an absolute URL without a query, as https://shop.example")]
    BaseUrl(String),
    /// `rsa_public_key` isn't a key.
    #[error("rsa_public_key: not a PEM of an RSA key of 2048 bits or more")]
    RsaKey,
    /// One is longer than any that is ever made.
    #[error("{0}: longer than 4 KiB")]
    TooLong(&'static str),
}

impl Known {
    /// From JSON.
    pub fn read(text: &str) -> Result<Self, Faulty> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        serde_json::from_str(text).map_err(|error| {
            let place = place(&error);
            Faulty::Shape(match misspelt(text) {
                _ if !error.is_data() => format!("{place}: is not JSON"),
                Some(meant) => format!("{place}: not the shape of a secrets file; is {meant} meant?"),
                None => format!("{place}: not the shape of a secrets file"),
            })
        })
    }

    /// What the explainer is given.
    pub fn into_parts(self) -> Result<(Secrets, Options), Faulty> {
        self.0.into_parts()
    }
}

impl Fields {
    fn into_parts(self) -> Result<(Secrets, Options), Faulty> {
        self.check_lengths()?;
        let is_base = |url: &str| {
            let target = oauth1::Target::from_url(url);
            target.is_some_and(|target| target.query.is_none() && !target.authority.contains('@') && !url.contains('#'))
        };
        if let Some(url) = self.base_url.as_ref().filter(|url| !is_base(url)) {
            // Who is in front of the host may be a secret.
            let shown = url.rsplit('@').next().unwrap_or_default();
            return Err(Faulty::BaseUrl(shown.to_owned()));
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
            without_form: false,
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

    /// Each is tried in some hundred keys.
    fn check_lengths(&self) -> Result<(), Faulty> {
        let own = [
            ("consumer_secret", &self.consumer_secret),
            ("token_secret", &self.token_secret),
            ("request_token_secret", &self.request_token_secret),
        ];
        let own = own.into_iter().filter_map(|(name, one)| Some((name, one.as_ref()?)));
        let consumers = self.previous_consumer_secrets.iter();
        let tokens = self.previous_token_secrets.iter();
        let mut all = own
            .chain(consumers.map(|one| ("previous_consumer_secrets", one)))
            .chain(tokens.map(|one| ("previous_token_secrets", one)));
        match all.find(|(_, secret)| secret.expose().len() > LONGEST_SECRET) {
            Some((name, _)) => Err(Faulty::TooLong(name)),
            None => Ok(()),
        }
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

/// The field that one of the file nearly is: of a name that is none only its likeness to one that is may be told.
fn misspelt(text: &str) -> Option<&'static str> {
    #[expect(clippy::zero_sized_map_values, reason = "the values are secrets: none is kept")]
    let fields: BTreeMap<String, IgnoredAny> = serde_json::from_str(text).ok()?;
    let bare = |name: &str| name.to_ascii_lowercase().replace(['_', '-', ' '], "");
    let strangers = fields.keys().filter(|name| !NAMES.contains(&name.as_str()));
    let mut meant = strangers.filter_map(|stranger| {
        let stranger = bare(stranger);
        let stranger = stranger.trim_end_matches('s');
        NAMES
            .into_iter()
            .find(|name| bare(name).trim_end_matches('s') == stranger)
    });
    meant.next()
}

const NAMES: [&str; 16] = [
    "consumer_key",
    "consumer_secret",
    "token",
    "access_token",
    "token_key",
    "token_secret",
    "access_token_secret",
    "request_token",
    "request_token_secret",
    "previous_consumer_secrets",
    "previous_token_secrets",
    "rsa_public_key",
    "base_url",
    "received_at",
    "timestamp_window",
    "compat",
];
/// Octets. Those that are made have 32.
const LONGEST_SECRET: usize = 4096;
/// As `[oauth] timestamp_window`.
const DEFAULT_WINDOW_SECS: u64 = 600;

#[cfg(test)]
mod tests {
    use super::*;

    fn faulty(text: &str) -> String {
        let parts = Known::read(text).and_then(Known::into_parts);
        parts.map(|_| ()).expect_err("not a secrets file").to_string()
    }

    #[test]
    fn only_an_object_of_known_fields_is_a_secrets_file() {
        assert!(faulty("[]").contains("not the shape"));
        assert!(faulty("{\"consumersecret\": \"a\"}").contains("is consumer_secret meant?"));
        assert!(faulty("{\"nothing_known\": \"a\"}").ends_with("not the shape of a secrets file"));
        assert!(Known::read("\u{feff}{\"consumer_key\": \"a\", \"status\": \"active\"}").is_ok());
    }

    #[test]
    fn a_base_url_is_an_address_and_no_more() {
        for url in [
            "https://shop.example?a=b",
            "https://user:geheim@shop.example",
            "https://shop.example/#a",
        ] {
            let fault = faulty(&format!("{{\"base_url\": \"{url}\"}}"));
            assert!(fault.starts_with("base_url:") && !fault.contains("geheim"), "{fault}");
        }
    }

    #[test]
    fn a_secret_is_no_longer_than_any_that_is_made() {
        let long = "x".repeat(LONGEST_SECRET + 1);

        assert_eq!(
            faulty(&format!("{{\"previous_token_secrets\": [\"{long}\"]}}")),
            "previous_token_secrets: longer than 4 KiB"
        );
    }

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
