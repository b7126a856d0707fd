//! The catalogue of client mistakes: each row against requests that another implementation signed with that mistake
//! (`generate.py` wrote `mistakes.jsonl`), and what holds for any request.
#![expect(clippy::expect_used, reason = "test harness: a broken vector file is a failed test")]

mod corruption;
mod gaps;
mod oauthlib;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use oauth1::ParameterName;
use oauth1::explain::{Explanation, Id, Options, Outcome, RawRequest, Secrets, explain};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// One line of the vectors.
#[derive(Deserialize)]
struct Vector {
    ids: Vec<String>,
    request: String,
    secrets: Known,
}

/// The secrets file (section 1 of the catalogue's page).
#[derive(Deserialize)]
struct Known {
    consumer_key: String,
    consumer_secret: String,
    token: String,
    token_secret: String,
    request_token: Option<String>,
    request_token_secret: Option<String>,
    #[serde(default)]
    previous_consumer_secrets: Vec<String>,
    #[serde(default)]
    previous_token_secrets: Vec<String>,
    rsa_public_key: Option<String>,
    base_url: String,
    received_at: u64,
    timestamp_window: u64,
}

impl Vector {
    fn all() -> &'static [Self] {
        static ALL: OnceLock<Vec<Vector>> = OnceLock::new();
        ALL.get_or_init(|| lines("tests/explain/mistakes.jsonl"))
    }

    fn request(&self) -> RawRequest {
        let octets: Option<Vec<u8>> = self.request.chars().map(|one| u8::try_from(one).ok()).collect();
        RawRequest::parse(&octets.expect("Latin-1")).expect("a readable request")
    }

    fn secrets(&self) -> Secrets {
        let Known {
            consumer_key,
            consumer_secret,
            token,
            token_secret,
            request_token,
            request_token_secret,
            previous_consumer_secrets,
            previous_token_secrets,
            rsa_public_key,
            ..
        } = &self.secrets;
        let secret = |text: &String| Zeroizing::new(text.clone());
        Secrets {
            consumer_key: Some(consumer_key.clone()),
            consumer_secret: Some(secret(consumer_secret)),
            token: Some(token.clone()),
            token_secret: Some(secret(token_secret)),
            request_token: request_token.clone(),
            request_token_secret: request_token_secret.as_ref().map(secret),
            previous_consumer_secrets: previous_consumer_secrets.iter().map(secret).collect(),
            previous_token_secrets: previous_token_secrets.iter().map(secret).collect(),
            rsa_public_key: rsa_public_key.clone(),
        }
    }

    fn options(&self) -> Options {
        Options {
            base_url: Some(self.secrets.base_url.clone()),
            received_at: Some(self.secrets.received_at),
            timestamp_window: self.secrets.timestamp_window,
            ..Options::default()
        }
    }

    fn explain(&self) -> Explanation {
        explain(&self.request(), &self.secrets(), &self.options())
    }
}

/// Each line of a file as JSON.
fn lines<T: DeserializeOwned>(file: &str) -> Vec<T> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = std::fs::read_to_string(path).expect("generated requests");
    let lines = text.lines().map(|line| serde_json::from_str(line).expect("a request"));
    lines.collect()
}

fn names(explanation: &Explanation) -> Vec<String> {
    explanation
        .diagnosis
        .iter()
        .map(|finding| finding.id.to_string())
        .collect()
}

#[test]
fn each_mistake_is_named() {
    let mut wrong = Vec::new();
    for (at, vector) in Vector::all().iter().enumerate() {
        let explanation = vector.explain();

        let found = names(&explanation);
        let is_right = if vector.ids.is_empty() {
            explanation.outcome == Outcome::Valid && explanation.macs <= 1
        } else {
            let (mut found, mut expected) = (found.clone(), vector.ids.clone());
            found.sort();
            expected.sort();
            explanation.outcome == Outcome::Diagnosed && found == expected
        };
        if !is_right {
            wrong.push(format!(
                "line {}: {:?} expected, {:?} {:?} found, {} MACs",
                at + 1,
                vector.ids,
                explanation.outcome,
                found,
                explanation.macs
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_row_of_the_catalogue_is_proved() {
    let proved: BTreeSet<String> = Vector::all().iter().flat_map(|vector| vector.ids.clone()).collect();

    let missing: Vec<_> = (1..=118)
        .map(|number| Id::Mistake(number).to_string())
        .filter(|name| !proved.contains(name))
        .collect();

    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn no_answer_holds_a_secret_or_a_whole_signature() {
    for vector in Vector::all() {
        let explanation = format!("{:?}", vector.explain());

        // Of those that are right it is the one that was computed.
        let signature = vector.request().named(ParameterName::Signature).unwrap_or_default();
        for secret in [
            &vector.secrets.consumer_secret,
            &vector.secrets.token_secret,
            &signature,
        ] {
            assert!(!explanation.contains(secret.as_str()), "{explanation}");
        }
    }
}

/// A mistake of the base string alone: what is shown as signed gives, under the right key, the signature that came.
#[test]
fn what_the_client_signed_instead_gives_its_very_signature() {
    let mut proved = BTreeSet::new();
    for vector in Vector::all().iter().filter(|vector| vector.ids.len() == 1) {
        let Some(signed) = vector.explain().signed_base_string else {
            continue;
        };
        let sent = |name| vector.request().named(name).unwrap_or_default();
        let has_token = !sent(ParameterName::Token).is_empty();
        let token_secret = if has_token { &vector.secrets.token_secret } else { "" };
        let key = format!("{}&{token_secret}", vector.secrets.consumer_secret);
        let mac = match sent(ParameterName::SignatureMethod).as_str() {
            "HMAC-SHA1" => mac::<Hmac<sha1::Sha1>>(&key, &signed),
            "HMAC-SHA256" => mac::<Hmac<sha2::Sha256>>(&key, &signed),
            _ => continue,
        };
        // Octets that are no text can't be shown as they were signed.
        if signed.contains(char::REPLACEMENT_CHARACTER) {
            continue;
        }
        assert_eq!(mac, sent(ParameterName::Signature), "{:?}: {signed}", vector.ids);
        proved.extend(vector.ids.clone());
    }
    assert!(proved.len() >= 50, "{proved:?}");
}

fn mac<M: Mac + KeyInit>(key: &str, text: &str) -> String {
    let mut mac = M::new_from_slice(key.as_bytes()).expect("any key");
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

#[test]
fn a_single_mistake_takes_few_macs_and_no_search_more_than_its_bound() {
    for vector in Vector::all() {
        let explanation = vector.explain();

        let bound = if vector.ids.len() < 2 { 300 } else { 6_000 };
        assert!(explanation.macs <= bound, "{:?}: {} MACs", vector.ids, explanation.macs);
    }
}
