//! Why a signature does not verify, as commands, the admin API and refusals tell it: `known` is the secrets file of the
//! command; `capture` keeps what a refused request leaves behind in `rejections`; `live` explains one of them on demand, for
//! an admin or for who has a `debug_token`; `pasted` explains one that somebody brings; `fault` says who has to change
//! something.

pub mod capture;
pub mod debug_token;
pub mod fault;
mod known;
pub mod live;
pub mod pasted;
pub mod rejections;
mod seen;

pub use known::{Faulty, Known, place};

use oauth1::explain::{Explanation, Finding, Gap, Outcome};
use serde_json::{Value, json};

use self::fault::Evidence;

/// The answer (`result`, `diagnosis`, what the server built, `cost`).
pub fn to_json(explanation: &Explanation, evidence: Evidence, ms: u64) -> Value {
    let findings = explanation.diagnosis.iter();
    let diagnosis: Vec<Value> = findings.map(|finding| to_entry(finding, evidence)).collect();
    let parameters: Vec<Value> = explanation
        .parameters
        .iter()
        .map(|one| {
            json!({
                "name": one.name,
                "value": one.value,
                "origin": one.origin.as_str(),
                "signed": one.is_signed,
            })
        })
        .collect();
    let base = explanation.base_string.as_ref();
    let mut answer = json!({
        "result": explanation.outcome.as_str(),
        "diagnosis": diagnosis,
        "base_string": base.map(|base| &base.text),
        "base_string_parts": base.map(|base| {
            json!({ "method": base.method, "url": base.url, "parameters": base.parameters })
        }),
        "signed_base_string": explanation.signed_base_string,
        "parameters": parameters,
        "key_shape": explanation.key_shape,
        "cost": { "macs": explanation.macs, "ms": ms },
    });
    if let (Some(advice), Some(answer)) = (advice(explanation), answer.as_object_mut()) {
        answer.insert("advice".to_owned(), advice.into());
    }
    answer
}

/// One mistake, and who has to change something: `developer`, `operator`, or `either` where nothing is known of it.
fn to_entry(finding: &Finding, evidence: Evidence) -> Value {
    let also: Vec<_> = finding.also.iter().map(ToString::to_string).collect();
    let (mut sentence, mut fault) = (finding.sentence.as_str(), "developer");
    let mut more: Vec<(&str, &str)> = finding
        .usual_cause
        .map(|cause| ("usual_cause", cause))
        .into_iter()
        .collect();
    match (finding.operator.as_deref(), evidence.reason()) {
        (Some(theirs), Some(reason)) => {
            (sentence, fault) = (theirs, "operator");
            more = vec![("fault_reason", reason)];
        }
        (Some(theirs), None) if evidence == Evidence::Nothing => {
            fault = "either";
            more.push(("operator_sentence", theirs));
        }
        (Some(_) | None, _) => {}
    }
    let mut entry = json!({ "id": finding.id.to_string(), "sentence": sentence, "also": also, "fault": fault });
    if let Some(entry) = entry.as_object_mut() {
        entry.extend(more.into_iter().map(|(name, text)| (name.to_owned(), text.into())));
    }
    entry
}

/// The names of what an answer found.
pub fn names(answer: &Value) -> Vec<&Value> {
    let findings = answer.get("diagnosis").and_then(Value::as_array);
    findings
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.get("id"))
        .collect()
}

/// What to do when no mistake was found.
fn advice(explanation: &Explanation) -> Option<String> {
    if explanation.outcome != Outcome::Unknown {
        return None;
    }
    if explanation.gaps.is_empty() {
        let compared = match explanation.base_string {
            Some(_) => COMPARE,
            None => "It is PLAINTEXT: the value must be the key itself.",
        };
        return Some(format!("{NONE_FITS} {compared}"));
    }
    let gaps = explanation.gaps.iter().map(|gap| match gap {
        Gap::Signature => {
            "Nothing was tried: the signature itself was not kept, since it may have been secrets in clear. Give the raw \
             request to `countersign explain --secrets` to have it compared."
        }
        Gap::Clear => {
            "What came as oauth_signature looks like two secrets joined by &: if it was, your client sent its secrets in clear, \
             so correct it and rotate both secrets now. The value itself was not kept, and nothing was tried."
        }
        Gap::Form => {
            "Nothing was tried: the body was not kept, as only forms of at most 64 KiB are that were read whole, and a form's \
             fields are part of the signature. Give the raw request to `countersign explain --secrets`."
        }
        Gap::Secret => {
            "Nothing was tried: no secret is known. Name consumer_secret (for RSA rsa_public_key), and token_secret where a \
             token is sent."
        }
        Gap::Value => {
            "Nothing could be tried: what was sent as oauth_signature is no digest of a known length, in base64, hex or any \
             other known form."
        }
        Gap::TokenSecret => {
            "The secret of the token is not known, so only keys without one were tried: name token_secret to have the others \
             tried, too."
        }
        Gap::Budget => {
            "The search was cut short, since the request is so long: not every mistake, or not every two of them, was tried. A \
             shorter request that fails in the same way can be searched to its end. Or compare the client's own base string \
             with the one above: the first difference is the answer."
        }
    });
    Some(gaps.collect::<Vec<_>>().join(" "))
}

const NONE_FITS: &str = "None of the known mistakes, alone or two together, gives the client's signature.";
const COMPARE: &str = "Compare the client's own base string with the one above: the first difference is the answer. Not to be \
                       found are a parameter removed on the way, a nonce drawn anew after signing, somebody else's secret, \
                       altered text, and three mistakes at once.";
