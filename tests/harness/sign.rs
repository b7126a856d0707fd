//! A signer that knows RFC 5849 and nothing of ours: what the gateway verifies was signed by somebody else.
//!
//! Everything can be bent: parameters changed, left out or added before the signature is computed, another URL signed
//! than the one that is called.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac as _};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

/// A consumer, and the token that it signs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// `oauth_consumer_key`
    pub consumer_key: String,
    /// Its secret.
    pub consumer_secret: String,
    /// `oauth_token` and its secret.
    pub token: Option<(String, String)>,
}

impl Credentials {
    /// Without a token: token requests, and two-legged calls.
    pub fn consumer(key: &str, secret: &str) -> Self {
        Self {
            consumer_key: key.to_owned(),
            consumer_secret: secret.to_owned(),
            token: None,
        }
    }

    /// The same consumer with a token.
    #[must_use]
    pub fn with_token(&self, token: &str, secret: &str) -> Self {
        Self {
            token: Some((token.to_owned(), secret.to_owned())),
            ..self.clone()
        }
    }

    /// The same consumer without its token.
    #[must_use]
    pub fn without_token(&self) -> Self {
        Self {
            token: None,
            ..self.clone()
        }
    }

    /// The token itself.
    pub fn token(&self) -> &str {
        self.token.as_ref().map_or("", |(token, _)| token)
    }

    /// Its secret.
    pub fn token_secret(&self) -> &str {
        self.token.as_ref().map_or("", |(_, secret)| secret)
    }
}

/// Where the `oauth_*` parameters stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// `Authorization: OAuth …`
    Header,
    /// The query string.
    Query,
    /// The form body.
    Form,
}

/// How a call is signed.
#[derive(Clone)]
pub struct Signing {
    credentials: Credentials,
    parameters: Vec<(String, String)>,
    pub(crate) placement: Placement,
    url: Option<String>,
    method: Option<String>,
    form: Option<String>,
    algorithm: Option<String>,
    key: Option<String>,
    rsa_key: Option<PathBuf>,
    reorder: fn(&mut [(String, String)]),
    finish: fn(String) -> String,
    scheme: String,
    realm: Option<String>,
    signature: Option<String>,
    is_unsigned: bool,
}

impl Signing {
    /// HMAC-SHA256 in the header, now, with a fresh nonce.
    pub fn with(credentials: &Credentials) -> Self {
        let mut parameters = vec![
            ("oauth_consumer_key".to_owned(), credentials.consumer_key.clone()),
            ("oauth_nonce".to_owned(), nonce()),
            ("oauth_signature_method".to_owned(), "HMAC-SHA256".to_owned()),
            ("oauth_timestamp".to_owned(), now().to_string()),
            ("oauth_version".to_owned(), "1.0".to_owned()),
        ];
        if let Some((token, _)) = &credentials.token {
            parameters.push(("oauth_token".to_owned(), token.clone()));
        }
        Self {
            credentials: credentials.clone(),
            parameters,
            placement: Placement::Header,
            url: None,
            method: None,
            form: None,
            algorithm: None,
            key: None,
            rsa_key: None,
            reorder: |_| {},
            finish: |signature| signature,
            scheme: "OAuth".to_owned(),
            realm: None,
            signature: None,
            is_unsigned: false,
        }
    }

    /// Another signature method, by its name.
    #[must_use]
    pub fn method(self, name: &str) -> Self {
        self.set("oauth_signature_method", name)
    }

    /// Computes with this method, whatever the parameter says.
    #[must_use]
    pub fn computed_by(mut self, name: &str) -> Self {
        self.algorithm = Some(name.to_owned());
        self
    }

    /// `oauth_timestamp` so many seconds from now.
    #[must_use]
    pub fn at(self, offset_secs: i64) -> Self {
        let at = i64::try_from(now()).unwrap() + offset_secs;
        self.set("oauth_timestamp", &at.to_string())
    }

    /// A parameter's value, before it is signed; added where there was none. A signature is sent as it is given.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        if name == "oauth_signature" {
            self.signature = Some(value.to_owned());
            return self;
        }
        match self.parameters.iter_mut().find(|(one, _)| one == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.parameters.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// One more parameter, signed; a second one where there is one already.
    #[must_use]
    pub fn add(mut self, name: &str, value: &str) -> Self {
        self.parameters.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without a parameter.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.is_unsigned |= name == "oauth_signature";
        self.parameters.retain(|(one, _)| one != name);
        self
    }

    /// In another place than the header.
    #[must_use]
    pub fn placed(mut self, placement: Placement) -> Self {
        self.placement = placement;
        self
    }

    /// Signs this URL, whatever is called; its scheme, authority and path are taken octet by octet.
    #[must_use]
    pub fn for_url(mut self, url: &str) -> Self {
        self.url = Some(url.to_owned());
        self
    }

    /// Signs another HTTP method than is called.
    #[must_use]
    pub fn for_method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Signs these form fields, whatever the body is.
    #[must_use]
    pub fn for_form(mut self, form: &str) -> Self {
        self.form = Some(form.to_owned());
        self
    }

    /// Signs with this HMAC key.
    #[must_use]
    pub fn keyed(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// Signs with an RSA private key, by openssl.
    #[must_use]
    pub fn with_rsa_key(mut self, pem: PathBuf) -> Self {
        self.rsa_key = Some(pem);
        self
    }

    /// Changes the order of the encoded pairs before they are joined.
    #[must_use]
    pub fn reordered(mut self, reorder: fn(&mut [(String, String)])) -> Self {
        self.reorder = reorder;
        self
    }

    /// Changes the signature after it was computed.
    #[must_use]
    pub fn finished(mut self, finish: fn(String) -> String) -> Self {
        self.finish = finish;
        self
    }

    /// Another spelling of the scheme.
    #[must_use]
    pub fn scheme(mut self, scheme: &str) -> Self {
        scheme.clone_into(&mut self.scheme);
        self
    }

    /// With a realm.
    #[must_use]
    pub fn realm(mut self, realm: &str) -> Self {
        self.realm = Some(realm.to_owned());
        self
    }

    /// The parameters with their signature, for a call of `url` with these form fields.
    pub fn parameters(&self, method: &str, url: &str, form: &str) -> Vec<(String, String)> {
        let url = self.url.as_deref().unwrap_or(url);
        let base = self.base_string(
            self.method.as_deref().unwrap_or(method),
            url,
            self.form.as_deref().unwrap_or(form),
        );
        let named = |name: &str| {
            self.parameters
                .iter()
                .find(|(one, _)| one == name)
                .map(|(_, value)| value.clone())
        };
        let algorithm = self
            .algorithm
            .clone()
            .or_else(|| named("oauth_signature_method"))
            .unwrap_or_default();
        let mut parameters = self.parameters.clone();
        if !self.is_unsigned {
            let computed = || (self.finish)(self.signature(&algorithm, &base));
            parameters.push((
                "oauth_signature".to_owned(),
                self.signature.clone().unwrap_or_else(computed),
            ));
        }
        parameters
    }

    /// The value of an `Authorization` header.
    pub fn header(&self, parameters: &[(String, String)]) -> String {
        let realm = self.realm.iter().map(|realm| format!("realm=\"{realm}\""));
        let pair = |(name, value): &(String, String)| format!("{}=\"{}\"", percent_encode(name), percent_encode(value));
        let pairs: Vec<String> = realm.chain(parameters.iter().map(pair)).collect();
        format!("{} {}", self.scheme, pairs.join(", "))
    }

    /// RFC 5849 section 3.4.1
    fn base_string(&self, method: &str, url: &str, form: &str) -> String {
        let url = url.split('#').next().unwrap_or_default();
        let (base_uri, query) = url.split_once('?').unwrap_or((url, ""));
        let mut pairs: Vec<(String, String)> = [pairs_of_form(query), pairs_of_form(form), self.parameters.clone()]
            .concat()
            .iter()
            .filter(|(name, _)| name != "oauth_signature")
            .map(|(name, value)| (percent_encode(name), percent_encode(value)))
            .collect();
        pairs.sort();
        (self.reorder)(&mut pairs);
        let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!(
            "{}&{}&{}",
            percent_encode(&method.to_uppercase()),
            percent_encode(base_uri),
            percent_encode(&pairs.join("&"))
        )
    }

    /// RFC 5849 sections 3.4.2 to 3.4.4
    fn signature(&self, algorithm: &str, base: &str) -> String {
        let secrets = format!(
            "{}&{}",
            percent_encode(&self.credentials.consumer_secret),
            percent_encode(self.credentials.token_secret())
        );
        let key = self.key.clone().unwrap_or(secrets);
        match algorithm {
            "HMAC-SHA256" => BASE64_STANDARD.encode(hmac_sha256(&key, base)),
            "HMAC-SHA512" => {
                let mut mac = Hmac::<Sha512>::new_from_slice(key.as_bytes()).unwrap();
                mac.update(base.as_bytes());
                BASE64_STANDARD.encode(mac.finalize().into_bytes())
            }
            "PLAINTEXT" => key,
            "RSA-SHA1" => self.rsa("-sha1", base),
            "RSA-SHA256" => self.rsa("-sha256", base),
            // Also what unknown methods are sent with.
            _ => {
                let mut mac = Hmac::<Sha1>::new_from_slice(key.as_bytes()).unwrap();
                mac.update(base.as_bytes());
                BASE64_STANDARD.encode(mac.finalize().into_bytes())
            }
        }
    }

    fn rsa(&self, digest: &str, base: &str) -> String {
        let mut openssl = Command::new("openssl")
            .args(["dgst", digest, "-sign"])
            .arg(self.rsa_key.as_ref().unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        openssl.stdin.take().unwrap().write_all(base.as_bytes()).unwrap();
        BASE64_STANDARD.encode(openssl.wait_with_output().unwrap().stdout)
    }
}

/// RFC 5849 section 3.6, of a text whose octets past ASCII stand as Latin-1 (see [`pairs_of_form`]).
pub fn percent_encode(text: &str) -> String {
    octets(text)
        .into_iter()
        .map(|octet| match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(octet).to_string(),
            _ => format!("%{octet:02X}"),
        })
        .collect()
}

/// The pairs of a query string or form body, decoded; octets that aren't UTF-8 as private-use characters.
pub fn pairs_of_form(encoded: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let mut octets = Vec::new();
        let mut rest = text.bytes();
        while let Some(octet) = rest.next() {
            octets.push(match octet {
                b'+' => b' ',
                b'%' => {
                    let digits = [rest.next().unwrap_or(b'?'), rest.next().unwrap_or(b'?')];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                other => other,
            });
        }
        String::from_utf8(octets).unwrap_or_else(|raw| {
            let raw = raw.into_bytes();
            raw.into_iter()
                .map(|octet| char::from_u32(PRIVATE_USE + u32::from(octet)).unwrap())
                .collect()
        })
    };
    let pairs = encoded.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

fn octets(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    for character in text.chars() {
        match u32::from(character)
            .checked_sub(PRIVATE_USE)
            .and_then(|raw| u8::try_from(raw).ok())
        {
            Some(raw) => octets.push(raw),
            None => octets.extend(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    octets
}

fn hmac_sha256(key: &str, text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Unix seconds.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A nonce that nobody used.
fn nonce() -> String {
    format!("{:016x}{:016x}", random(), random())
}

/// A number that nobody else has: the standard library's hasher is keyed by the system's randomness.
pub(crate) fn random() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(SystemTime::now())
}

/// Where octets that aren't UTF-8 are kept in a text.
const PRIVATE_USE: u32 = 0x10_F700;
