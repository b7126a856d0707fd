//! Its own signer (RFC 5849), cheap: for each token everything but nonce, timestamp and signature is laid out once.
//!
//! The parameters that a request may carry are named `p0` … so that they sort behind `oauth_*`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac};
use sha1::Sha1;
use sha2::Sha256;

use super::Failure;
use super::arguments::Arguments;
use super::consumers::{Credentials, spread};
use super::pollset::seed;

/// Makes requests: fresh nonce, timestamp and signature each, tokens uniform.
pub(super) struct Signer {
    tokens: Vec<Token>,
    /// Between nonce and timestamp in the base string.
    method: &'static str,
    random: u64,
    nonce: u64,
    /// Timestamps are drawn from this minute instead of the clock.
    minute: Option<u64>,
}

/// The layout of one token's requests.
struct Token {
    key: Key,
    base_before: Vec<u8>,
    base_after: Vec<u8>,
    head: Vec<u8>,
}

enum Key {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    /// Nothing to sign: the head is whole.
    Bearer,
}

impl Signer {
    /// From `--authority HOST:PORT --path PATH --parameters N --method HMAC-SHA1|HMAC-SHA256|bearer --tokens N --among N
    /// --minute N`.
    pub(super) fn of(arguments: &mut Arguments, authority: &str) -> Result<Self, Failure> {
        let path: String = arguments.or("path", USUAL_PATH.to_owned())?;
        let parameters: usize = arguments.or("parameters", 1)?;
        let method: String = arguments.or("method", "HMAC-SHA1".to_owned())?;
        let tokens: u64 = arguments.or("tokens", 1000)?;
        let among: u64 = arguments.or("among", tokens)?;
        let minute = arguments.optional("minute")?;
        let request = Request {
            authority: arguments.optional("authority")?.unwrap_or_else(|| authority.to_owned()),
            path,
            query: query(parameters),
        };
        let method = known_method(&method)?;
        let tokens = spread(tokens, among)
            .map(|number| Token::new(&Credentials::of(number), &request, method))
            .collect::<Result<_, _>>()?;
        Ok(Self::new(tokens, method, minute))
    }

    /// For one consumer alone.
    pub(super) fn alone(number: u64, method: &str, authority: &str) -> Result<Self, Failure> {
        let method = known_method(method)?;
        let request = Request {
            authority: authority.to_owned(),
            path: USUAL_PATH.to_owned(),
            query: query(1),
        };
        let token = Token::new(&Credentials::of(number), &request, method)?;
        Ok(Self::new(vec![token], method, None))
    }

    fn new(tokens: Vec<Token>, method: &'static str, minute: Option<u64>) -> Self {
        Self {
            tokens,
            method,
            random: mix(seed()) | 1,
            nonce: mix(seed().wrapping_add(1)),
            minute,
        }
    }

    /// Writes a request into `out`. `now` in Unix seconds.
    pub(super) fn write(&mut self, now: u64, out: &mut Vec<u8>) {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let count = u64::try_from(self.tokens.len()).unwrap_or(1);
        let chosen = usize::try_from((self.random >> 16) % count).unwrap_or_default();
        self.nonce = self.nonce.wrapping_add(1);
        let timestamp = self.minute.map_or(now, |minute| minute * 60 + (self.random >> 8) % 60);
        let Some(token) = self.tokens.get(chosen) else {
            return;
        };
        out.clear();
        out.extend_from_slice(&token.head);
        if !matches!(token.key, Key::Bearer) {
            token.sign(self.method, &hex(mix(self.nonce)), &decimal(timestamp), out);
        }
        out.extend_from_slice(b"\r\n\r\n");
    }
}

/// What all tokens' requests have in common.
struct Request {
    authority: String,
    path: String,
    query: Vec<String>,
}

impl Token {
    fn new(credentials: &Credentials, request: &Request, method: &str) -> Result<Self, Failure> {
        let Credentials {
            key,
            secret,
            token,
            token_secret,
            bearer,
        } = credentials;
        let Request { authority, path, query } = request;
        let mark = if query.is_empty() { "" } else { "?" };
        let start = format!(
            "GET {path}{mark}{} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: load\r\nAccept: application/json\r\n",
            query.join("&")
        );
        let authorization = if method == "bearer" {
            format!("Authorization: Bearer {bearer}")
        } else {
            format!(
                "Authorization: OAuth oauth_consumer_key=\"{key}\", oauth_token=\"{token}\", \
                 oauth_signature_method=\"{method}\", oauth_version=\"1.0\", "
            )
        };
        let raw = format!("{secret}&{token_secret}");
        let before = format!(
            "GET&{}&oauth_consumer_key%3D{key}%26oauth_nonce%3D",
            encode(&format!("http://{authority}{path}"))
        );
        let mut after = format!("%26oauth_token%3D{token}%26oauth_version%3D1.0");
        for pair in query {
            after.push_str("%26");
            after.push_str(&encode(pair));
        }
        Ok(Self {
            key: match method {
                "HMAC-SHA1" => Key::Sha1(Hmac::new_from_slice(raw.as_bytes())?),
                "HMAC-SHA256" => Key::Sha256(Hmac::new_from_slice(raw.as_bytes())?),
                _ => Key::Bearer,
            },
            base_before: before.into_bytes(),
            base_after: after.into_bytes(),
            head: (start + &authorization).into_bytes(),
        })
    }

    /// Appends nonce, timestamp and signature.
    fn sign(&self, method: &str, nonce: &[u8], timestamp: &[u8], out: &mut Vec<u8>) {
        let pieces = [
            self.base_before.as_slice(),
            nonce,
            b"%26oauth_signature_method%3D",
            method.as_bytes(),
            b"%26oauth_timestamp%3D",
            timestamp,
            self.base_after.as_slice(),
        ];
        let mut signature = [0; 44];
        let length = match &self.key {
            Key::Sha1(key) => {
                let mac = pieces.iter().fold(key.clone(), Mac::chain_update);
                STANDARD.encode_slice(mac.finalize().into_bytes(), &mut signature)
            }
            Key::Sha256(key) => {
                let mac = pieces.iter().fold(key.clone(), Mac::chain_update);
                STANDARD.encode_slice(mac.finalize().into_bytes(), &mut signature)
            }
            Key::Bearer => Ok(0),
        };
        out.extend_from_slice(b"oauth_timestamp=\"");
        out.extend_from_slice(timestamp);
        out.extend_from_slice(b"\", oauth_nonce=\"");
        out.extend_from_slice(nonce);
        out.extend_from_slice(b"\", oauth_signature=\"");
        for octet in signature.get(..length.unwrap_or_default()).unwrap_or_default() {
            match octet {
                b'+' => out.extend_from_slice(b"%2B"),
                b'/' => out.extend_from_slice(b"%2F"),
                b'=' => out.extend_from_slice(b"%3D"),
                plain => out.push(*plain),
            }
        }
        out.push(b'"');
    }
}

fn known_method(name: &str) -> Result<&'static str, Failure> {
    let known = ["HMAC-SHA1", "HMAC-SHA256", "bearer"];
    let found = known.into_iter().find(|method| *method == name);
    found.ok_or_else(|| format!("{name:?} is no method").into())
}

fn query(parameters: usize) -> Vec<String> {
    (0..parameters)
        .map(|number| format!("p{number}=value{number}"))
        .collect()
}

/// RFC 5849 section 3.6.
fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, octet| {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            encoded.push(char::from(octet));
        } else {
            encoded.push('%');
            encoded.extend(hex_of(octet).map(|digit| char::from(digit.to_ascii_uppercase())));
        }
        encoded
    })
}

fn hex_of(octet: u8) -> [u8; 2] {
    [octet >> 4, octet & 15].map(|nibble| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 })
}

fn hex(number: u64) -> [u8; 16] {
    let mut text = [0; 16];
    for (pair, octet) in text.chunks_exact_mut(2).zip(number.to_be_bytes()) {
        pair.copy_from_slice(&hex_of(octet));
    }
    text
}

fn decimal(mut number: u64) -> [u8; 10] {
    let mut text = [b'0'; 10];
    for digit in text.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
    text
}

/// `SplitMix64`'s finish: no two numbers give the same, so counting makes nonces that never repeat.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

const USUAL_PATH: &str = "/rest/V1/products/24-MB01";
