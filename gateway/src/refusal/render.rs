//! Cause to response: status, headers and body, in the dialect of the path and the form that `Accept` asks for.

use std::fmt::Write as _;

use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::{Cause, Extra, Message, Refusal};
use crate::body::ResponseBody;

/// How a refusal is worded, by the path that was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Routes and user tokens: Magento's REST errors, JSON or XML.
    Rest,
    /// `/oauth/token/*`: `oauth_problem=<sentence>`.
    Token,
    /// `/oauth/initiate`, `/oauth/token`: `oauth_problem=<cause>` and its parameters (RFC 5849, problem reporting).
    Rfc,
}

/// What the answer depends on besides the refusal itself.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// By path.
    pub dialect: Dialect,
    /// The request's headers, for `Accept`.
    pub headers: &'a HeaderMap,
    /// The realm of `WWW-Authenticate`.
    pub realm: &'a str,
    /// Whether unknown consumer, unknown or foreign token and bad signature share one answer.
    pub uniform: bool,
}

/// The response of a refusal.
pub fn render(refusal: &Refusal, answer: &Answer<'_>) -> Response<ResponseBody> {
    let uniform;
    let refusal = if answer.uniform && tells_what_exists(refusal.cause) {
        uniform = Refusal {
            explanation: refusal.explanation.clone(),
            ..Refusal::from(Cause::SignatureInvalid)
        };
        &uniform
    } else {
        refusal
    };
    let status = match (answer.dialect, refusal.cause) {
        (Dialect::Rfc, Cause::TimestampRefused) => StatusCode::BAD_REQUEST,
        (Dialect::Rfc | Dialect::Rest | Dialect::Token, _) => refusal.status,
    };
    let (content_type, body) = body(refusal, status, answer);
    let mut response = Response::new(ResponseBody::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    if status == StatusCode::UNAUTHORIZED
        && let Ok(value) = HeaderValue::from_str(&challenge(refusal, answer.realm))
    {
        headers.insert(WWW_AUTHENTICATE, value);
    }
    if status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS {
        let secs = if let Extra::RetryAfter(secs) = refusal.extra {
            secs
        } else {
            1
        };
        headers.insert(RETRY_AFTER, HeaderValue::from(secs));
    }
    if let Extra::Allow(allow) = &refusal.extra
        && let Ok(value) = HeaderValue::from_str(allow)
    {
        headers.insert(ALLOW, value);
    }
    response
}

fn tells_what_exists(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::ConsumerKeyUnknown | Cause::TokenRejected | Cause::SignatureInvalid
    )
}

fn challenge(refusal: &Refusal, realm: &str) -> String {
    let mut value = format!("OAuth realm=\"{realm}\", oauth_problem=\"{}\"", refusal.cause.as_str());
    if let Extra::Timestamps(low, high) = refusal.extra {
        // Writing to a String can't fail.
        let _written = write!(value, ", oauth_acceptable_timestamps=\"{low}-{high}\"");
    }
    value
}

fn body(refusal: &Refusal, status: StatusCode, answer: &Answer<'_>) -> (&'static str, String) {
    let accept = answer
        .headers
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if names_problem_json(accept) {
        return ("application/problem+json", problem_json(refusal, status));
    }
    match answer.dialect {
        Dialect::Rfc => (FORM, rfc_form(refusal)),
        Dialect::Token => (FORM, token_form(refusal)),
        Dialect::Rest if prefers_xml(accept) => ("application/xml; charset=utf-8", rest_xml(refusal)),
        Dialect::Rest => ("application/json; charset=utf-8", rest_text(refusal)),
    }
}

fn names_problem_json(accept: &str) -> bool {
    accept.split(',').any(|range| {
        let (media_type, weight) = weighed(range);
        media_type == "application/problem+json" && weight > 0
    })
}

/// A media range of `Accept`, in lower case, and its weight in thousandths.
fn weighed(range: &str) -> (String, u32) {
    let mut words = range.split(';').map(str::trim);
    let media_type = words.next().unwrap_or_default().to_ascii_lowercase();
    let weight = words.find_map(|word| word.strip_prefix("q=").or_else(|| word.strip_prefix("Q=")));
    (media_type, weight.map_or(MOST_WEIGHT, thousandths))
}

/// Of the media types of `Accept` that we can answer with, the one of the greatest weight decides, among equals the first
/// (magento.md 5.4, RFC 9110 section 12.5.1). Where none is: JSON, an answer being better than none.
pub(crate) fn prefers_xml(accept: &str) -> bool {
    let mut best = (0, false);
    for range in accept.split(',') {
        let (media_type, weight) = weighed(range);
        let is_xml = match media_type.as_str() {
            "text/xml" | "application/xml" | "application/xhtml+xml" => true,
            "*/*" | "application/*" | "application/json" => false,
            _ => continue,
        };
        if weight > best.0 {
            best = (weight, is_xml);
        }
    }
    best.1
}

/// A weight of `0` to `1` with at most three decimals (RFC 9110 section 12.4.2); anything else counts as none given.
fn thousandths(weight: &str) -> u32 {
    let (whole, decimals) = weight.split_once('.').unwrap_or((weight, ""));
    let is_sound =
        matches!(whole, "0" | "1") && decimals.len() <= 3 && decimals.bytes().all(|one| one.is_ascii_digit());
    match format!("{whole}{decimals:0<3}").parse() {
        Ok(thousandths) if is_sound && thousandths <= MOST_WEIGHT => thousandths,
        Ok(_) | Err(_) => MOST_WEIGHT,
    }
}

const MOST_WEIGHT: u32 = 1000;

pub(super) fn rest_json(refusal: &Refusal) -> Value {
    let members = rest_members(refusal).into_iter();
    Value::Object(members.map(|(name, member)| (name.to_owned(), member)).collect())
}

/// In Magento's order.
fn rest_members(refusal: &Refusal) -> Vec<(&'static str, Value)> {
    let explanation = refusal.explanation.as_deref();
    let explanation = explanation.map(|explanation| (EXPLANATION, explanation.clone()));
    let mut members = message_members(&refusal.message);
    members.extend(explanation);
    members
}

fn message_members(message: &Message) -> Vec<(&'static str, Value)> {
    match message {
        Message::Plain(sentence) => vec![("message", json!(sentence))],
        Message::Positional(sentence, value) => vec![("message", json!(sentence)), ("parameters", json!([value]))],
        Message::Named(sentence, name, value) => {
            let parameters = Map::from_iter([((*name).to_owned(), Value::from(value.as_str()))]);
            vec![("message", json!(sentence)), ("parameters", Value::Object(parameters))]
        }
        Message::SecondFactor(user) => vec![
            ("message", json!(SECOND_FACTOR)),
            ("parameters", json!({ "user_id": user, "active_providers": ["totp"] })),
        ],
        Message::Absent(names) => match names.as_slice() {
            [name] => vec![
                ("message", json!(FIELD_REQUIRED)),
                ("parameters", json!({ "fieldName": name })),
            ],
            names => {
                let fault = |name: &String| json!({"message": FIELD_REQUIRED, "parameters": {"fieldName": name}});
                vec![
                    ("message", json!("One or more input exceptions have occurred.")),
                    ("errors", names.iter().map(fault).collect()),
                ]
            }
        },
    }
}

fn rest_text(refusal: &Refusal) -> String {
    let members: Vec<String> = rest_members(refusal)
        .iter()
        .map(|(name, member)| format!("\"{name}\":{member}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

fn rest_xml(refusal: &Refusal) -> String {
    let mut inner = String::new();
    for (name, member) in rest_members(refusal) {
        xml_element(&mut inner, name, &member);
    }
    xml_document(&inner)
}

fn token_form(refusal: &Refusal) -> String {
    if refusal.cause == Cause::Internal {
        return format!("oauth_problem={}", form_encode("internal_error&message=empty_message"));
    }
    let mut body = format!("oauth_problem={}", form_encode(&sentence(&refusal.message)));
    add_explanation(refusal, &mut body);
    body
}

/// A form has no place for a tree: it gets the result, and the name and sentence of each finding with whose it is.
fn add_explanation(refusal: &Refusal, body: &mut String) {
    let Some(explanation) = refusal.explanation.as_deref() else {
        return;
    };
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut told = text(explanation, "result");
    for finding in explanation
        .get("diagnosis")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        // Writing to a String can't fail.
        let _written = write!(told, "; {}: {}", text(finding, "id"), text(finding, "sentence"));
        if text(finding, "fault") == "operator" {
            told.push_str(" (for the operator)");
        }
    }
    body.push_str("&explanation=");
    body.push_str(&form_encode(&told));
}

fn rfc_form(refusal: &Refusal) -> String {
    let mut body = format!("oauth_problem={}", refusal.cause.as_str());
    let mut add = |name: &str, value: &str| {
        body.push('&');
        body.push_str(name);
        body.push('=');
        body.push_str(&form_encode(value));
    };
    if let Extra::Timestamps(low, high) = refusal.extra {
        add("oauth_acceptable_timestamps", &format!("{low}-{high}"));
    }
    if let Extra::Rejected(name, value) = &refusal.extra {
        let value = oauth1::percent::encode(value);
        add("oauth_parameters_rejected", &format!("{name}={value}"));
    }
    match (&refusal.message, refusal.cause) {
        (Message::Absent(names), _) => add("oauth_parameters_absent", &names.join("&")),
        (Message::Positional(_, _), Cause::VersionRejected) => add("oauth_acceptable_versions", "1.0-1.0"),
        (Message::Positional(_, name), Cause::ParameterRejected) => add("oauth_parameters_rejected", name),
        (Message::Plain(_) | Message::Positional(..) | Message::Named(..) | Message::SecondFactor(_), _) => {}
    }
    add_explanation(refusal, &mut body);
    body
}

fn problem_json(refusal: &Refusal, status: StatusCode) -> String {
    let mut problem = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "detail": sentence(&refusal.message),
        "cause": refusal.cause.as_str(),
    });
    if let Extra::Timestamps(low, high) = refusal.extra
        && let Some(members) = problem.as_object_mut()
    {
        members.insert("oauth_acceptable_timestamps".to_owned(), json!(format!("{low}-{high}")));
    }
    if let (Some(explanation), Some(members)) = (refusal.explanation.as_deref(), problem.as_object_mut()) {
        members.insert(EXPLANATION.to_owned(), explanation.clone());
    }
    problem.to_string()
}

/// The sentence with its placeholders substituted, as `oauth_problem` carries it (magento.md 2.2).
fn sentence(message: &Message) -> String {
    let required = |name: &str| format!("\"{name}\" is required. Enter and try again.");
    match message {
        Message::Plain(sentence) => (*sentence).to_owned(),
        Message::Positional(sentence, value) => sentence.replace("%1", value),
        Message::Named(sentence, name, value) => sentence.replace(&format!("%{name}"), value),
        Message::SecondFactor(_) => SECOND_FACTOR.to_owned(),
        Message::Absent(names) => match names.as_slice() {
            [name] => required(name),
            names => names
                .iter()
                .map(|name| required(name).trim_end_matches('.').to_owned())
                .collect::<Vec<_>>()
                .join(", "),
        },
    }
}

/// The form encoding of PHP's `http_build_query`: `+` for a space, all else but `-._` and alphanumerics escaped.
pub(crate) fn form_encode(text: &str) -> String {
    text.bytes()
        .fold(String::with_capacity(text.len() + 16), |mut encoded, byte| {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' => encoded.push(char::from(byte)),
                b' ' => encoded.push('+'),
                _ => {
                    // Writing to a String can't fail.
                    let _written = write!(encoded, "%{byte:02X}");
                }
            }
            encoded
        })
}

/// Magento's XML of a JSON answer: members as elements, list entries and numbered keys as `<item>`.
pub(crate) fn xml(value: &Value) -> String {
    let mut inner = String::new();
    xml_node(&mut inner, value);
    xml_document(&inner)
}

fn xml_document(inner: &str) -> String {
    format!("<?xml version=\"1.0\"?>\n<response>{inner}</response>\n")
}

fn xml_element(text: &mut String, name: &str, value: &Value) {
    text.push('<');
    text.push_str(name);
    text.push('>');
    xml_node(text, value);
    text.push_str("</");
    text.push_str(name);
    text.push('>');
}

fn xml_node(text: &mut String, value: &Value) {
    match value {
        Value::Null => {}
        Value::Bool(flag) => text.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => text.push_str(&number.to_string()),
        Value::String(string) => {
            for character in string.chars() {
                match character {
                    '&' => text.push_str("&amp;"),
                    '<' => text.push_str("&lt;"),
                    '>' => text.push_str("&gt;"),
                    '"' => text.push_str("&quot;"),
                    // XML 1.0 has no place for other controls.
                    control if control < ' ' && !matches!(control, '\t' | '\n' | '\r') => text.push('\u{FFFD}'),
                    other => text.push(other),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| xml_element(text, "item", item)),
        Value::Object(members) => members
            .iter()
            .for_each(|(name, member)| xml_element(text, name, member)),
    }
}

const EXPLANATION: &str = "explanation";
const FORM: &str = "application/x-www-form-urlencoded";
/// Magento's words; here the code goes along in the field `code`.
const SECOND_FACTOR: &str = "Please use the 2fa provider-specific endpoints to obtain a token.";
const FIELD_REQUIRED: &str = "\"%fieldName\" is required. Enter and try again.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_absent_parameters_are_joined_without_their_last_period() {
        let refusal = Refusal::absent_fields(vec!["oauth_nonce".into(), "oauth_timestamp".into()]);

        let body = token_form(&refusal);

        assert_eq!(
            body,
            "oauth_problem=%22oauth_nonce%22+is+required.+Enter+and+try+again%2C+%22oauth_timestamp%22+is+required.+Enter+and+try+again"
        );
    }

    #[test]
    fn one_absent_parameter_keeps_its_period_and_its_placeholder_in_json() {
        let refusal = Refusal::absent_fields(vec!["oauth_nonce".into()]);

        assert_eq!(
            token_form(&refusal),
            "oauth_problem=%22oauth_nonce%22+is+required.+Enter+and+try+again."
        );
        assert_eq!(
            rest_json(&refusal).to_string(),
            r#"{"message":"\"%fieldName\" is required. Enter and try again.","parameters":{"fieldName":"oauth_nonce"}}"#
        );
    }

    #[test]
    fn the_type_of_the_greatest_weight_decides_and_among_equals_the_first() {
        for xml in [
            "text/xml",
            "application/json;q=0.5, application/xml",
            "application/json;q=0.8,text/xml;q=0.9",
            "application/xhtml+xml, */*",
            "text/html, application/xml;q=0.9, */*;q=0.8",
            "application/json;q=0, application/xml;q=0.001",
        ] {
            assert!(prefers_xml(xml), "{xml}");
        }
        for json in [
            "",
            "*/*",
            "text/html",
            "application/xml;q=0.5, application/json;q=0.51",
            "application/json, application/xml",
            "application/xml;q=0",
            "application/json, application/xml;q=9",
        ] {
            assert!(!prefers_xml(json), "{json}");
        }
    }

    #[test]
    fn a_denied_resource_names_it_in_json_and_in_xml() {
        let refusal = Refusal::not_authorized(Cause::ResourceDenied, "Magento_Catalog::products");

        let json = rest_json(&refusal);

        assert_eq!(
            json.to_string(),
            r#"{"message":"The consumer isn't authorized to access %resources.","parameters":{"resources":"Magento_Catalog::products"}}"#
        );
        assert_eq!(
            xml(&json),
            "<?xml version=\"1.0\"?>\n<response><message>The consumer isn't authorized to access %resources.</message><parameters><resources>Magento_Catalog::products</resources></parameters></response>\n"
        );
    }

    #[test]
    fn every_cause_has_a_word_of_its_own() {
        let words: std::collections::BTreeSet<_> = Cause::ALL.iter().map(|cause| cause.as_str()).collect();

        assert_eq!(words.len(), Cause::ALL.len());
    }
}
