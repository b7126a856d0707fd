//! Forced parameters (magento.md 5.6): in the path, the query and a JSON body, so that whatever upstream reads finds the
//! route's value and nothing of the client's, in any spelling, place or order.

use std::fmt;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Uri};
use hyper::body::Body as _;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Exchange;
use super::payload::{Payload, bound};
use crate::authenticate::body::{Bound, declared_length, is_encoded, names_other_charset};
use crate::authenticate::{Authenticated, Caller};
use crate::authorize::Permitted;
use crate::config::{Forced, ForcedValue, Segment, folded};
use crate::refusal::{Cause, Message, Refusal};
use token_store::UserKind;

/// Forces a route's parameters into a request that was judged as it came.
pub(super) async fn apply(
    exchange: &Exchange<'_>,
    forced: &[Forced],
    permitted: &Permitted,
    parts: &mut Parts,
    payload: &mut Payload,
) -> Result<(), Refusal> {
    let customer = customer(permitted.caller());
    let all: Vec<Said<'_>> = forced.iter().map(|one| Said::of(one, customer)).collect();
    let body = read_json(exchange, parts, payload).await?;
    let makes_body = is_told_in_a_body(&parts.method);
    parts.uri = target(&parts.uri, &all, makes_body)?;
    let is_elsewhere = |one: &&Said<'_>| one.forced.segment.is_some();
    let new = match body {
        Some(text) => {
            let refused = || malformed("Decoding error.");
            rewritten(std::str::from_utf8(&text).ok().ok_or_else(refused)?, &all).ok_or_else(refused)?
        }
        None if makes_body && !all.iter().all(|one| is_elsewhere(&one)) => {
            parts
                .headers
                .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            let mut object = all.iter().filter(|one| !is_elsewhere(one));
            object
                .try_fold("{}".to_owned(), |text, one| member(&text, &one.names(), &one.json))
                .ok_or(Cause::Internal)?
        }
        None => return Ok(()),
    };
    for digest in DIGESTS {
        parts.headers.remove(digest);
    }
    *payload = Payload::Read(Bytes::from(new));
    Ok(())
}

/// The customer who calls, in person or by an integration.
fn customer(caller: &Authenticated) -> Option<u64> {
    match caller.caller() {
        Caller::Customer { id, .. } => Some(*id),
        Caller::Delegated(_, user, _) if user.kind == UserKind::Customer => Some(user.id),
        Caller::Delegated(..) | Caller::Integration(_) | Caller::Admin(_) | Caller::Guest(_) => None,
    }
}

/// Methods whose parameters are read from the body: they get one.
fn is_told_in_a_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

/// A forced parameter with this request's value.
struct Said<'a> {
    forced: &'a Forced,
    /// In a JSON body.
    json: String,
    /// In path and query; `None`: there is nothing to say.
    text: Option<String>,
}

impl<'a> Said<'a> {
    fn of(forced: &'a Forced, customer: Option<u64>) -> Self {
        let text = match &forced.value {
            ForcedValue::Text(text) => Some(text.clone()),
            ForcedValue::Number(number) => Some(number.to_string()),
            ForcedValue::Flag(flag) => Some(flag.to_string()),
            ForcedValue::Null => None,
            ForcedValue::CustomerId => customer.map(|id| id.to_string()),
        };
        let json = match (&forced.value, &text) {
            (ForcedValue::Text(text), _) => serde_json::Value::from(text.as_str()).to_string(),
            (_, Some(text)) => text.clone(),
            (_, None) => "null".to_owned(),
        };
        Self { forced, json, text }
    }

    fn names(&self) -> Vec<&'a str> {
        self.forced.names.iter().map(String::as_str).collect()
    }
}

/// The body, if one came: JSON, small enough to be held and changed.
async fn read_json(exchange: &Exchange<'_>, parts: &Parts, payload: &mut Payload) -> Result<Option<Bytes>, Refusal> {
    if matches!(payload, Payload::Unread(incoming) if incoming.is_end_stream()) {
        return Ok(None);
    }
    if declared_length(&parts.headers).is_some_and(|length| length > MOST_BODY) {
        return Err(Cause::BodyTooLarge.into());
    }
    let limits = &exchange.local.live.public.limits;
    let size = limits.body.min(MOST_BODY);
    let text = payload
        .read(&exchange.served.turn, Bound { size, ..bound(limits) })
        .await?;
    if text.is_empty() {
        return Ok(None);
    }
    // It may have been read before, for its hash.
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > MOST_BODY {
        return Err(Cause::BodyTooLarge.into());
    }
    check_type(&parts.headers)?;
    Ok(Some(text))
}

fn check_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (types.next(), types.next()) else {
        let what = if headers.contains_key(CONTENT_TYPE) {
            "Content-Type header is invalid."
        } else {
            "Content-Type header is empty."
        };
        return Err(malformed(what));
    };
    let text = value.to_str().unwrap_or_default().to_ascii_lowercase();
    let media_type = text.split(';').next().unwrap_or_default().trim();
    if media_type != "application/json" && !(media_type.starts_with("application/") && media_type.ends_with("+json")) {
        return Err(malformed("Content-Type header is invalid."));
    }
    if names_other_charset(&text) {
        return Err(malformed("UTF-8 is the only supported charset."));
    }
    if is_encoded(headers) {
        let what = "A JSON body with a Content-Encoding can't be read.";
        return Err(Refusal::saying(Cause::FormEncoded, Message::Plain(what)));
    }
    Ok(())
}

fn malformed(sentence: &'static str) -> Refusal {
    Refusal::saying(Cause::RequestMalformed, Message::Plain(sentence))
}

/// Path and query with what is forced in them; in origin form.
fn target(uri: &Uri, all: &[Said<'_>], has_body: bool) -> Result<Uri, Refusal> {
    let mut path = uri.path().to_owned();
    for one in all {
        if let Some(segment) = one.forced.segment {
            // Only a customer has a path of their own.
            let value = one
                .text
                .as_deref()
                .ok_or_else(|| Refusal::not_authorized(Cause::ResourceDenied, "self"))?;
            path = with_segment(&path, segment, &oauth1::percent::encode(value.as_bytes()));
        }
    }
    let query = query(uri.query().unwrap_or_default(), all, has_body);
    let target = if query.is_empty() {
        path
    } else {
        format!("{path}?{query}")
    };
    target.parse().map_err(|_| Cause::RequestMalformed.into())
}

fn with_segment(path: &str, segment: Segment, value: &str) -> String {
    let inner = path.strip_prefix('/').unwrap_or(path);
    let (inner, end) = inner.strip_suffix('/').map_or((inner, ""), |inner| (inner, "/"));
    let mut segments: Vec<&str> = inner.split('/').collect();
    let at = match segment {
        Segment::FromStart(before) => Some(before),
        Segment::FromEnd(after) => (segments.len() - 1).checked_sub(after),
    };
    if let Some(one) = at.and_then(|at| segments.get_mut(at)) {
        *one = value;
    }
    format!("/{}{end}", segments.join("/"))
}

/// The query without whatever addresses a forced parameter, and with the parameters themselves where no body says them.
fn query(query: &str, all: &[Said<'_>], has_body: bool) -> String {
    let is_ours = |piece: &str| {
        let name = piece.split('=').next().unwrap_or_default();
        all.iter().any(|one| addresses(name, &one.forced.names, has_body))
    };
    let mut pairs: Vec<String> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        // Some readers take `;` for `&`.
        if pair.split(';').any(is_ours) {
            let others: Vec<&str> = pair.split(';').filter(|piece| !is_ours(piece)).collect();
            if !others.is_empty() {
                pairs.push(others.join(";"));
            }
        } else {
            pairs.push(pair.to_owned());
        }
    }
    for one in all.iter().filter(|one| !has_body && one.forced.segment.is_none()) {
        let mut names = one
            .forced
            .names
            .iter()
            .map(|name| oauth1::percent::encode(name.as_bytes()));
        if let Some(text) = &one.text {
            let first = names.next().unwrap_or_default();
            let members: Vec<String> = names.map(|name| format!("%5B{name}%5D")).collect();
            let value = oauth1::percent::encode(text.as_bytes());
            pairs.push(format!("{first}{}={value}", members.concat()));
        }
    }
    pairs.join("&")
}

/// Whether some reader finds the forced parameter, what holds it, or a member of it under a query's name. Beside a body
/// anything of the same first name does: readers that merge query and body take the query's whole.
fn addresses(name: &str, forced: &[String], has_body: bool) -> bool {
    let forced: Vec<String> = forced.iter().map(|name| folded(name)).collect();
    let mut name = name.to_owned();
    for _ in 0..MOST_DECODINGS {
        let decoded = decoded(&name);
        let within = |separators: &[char]| {
            let names: Vec<String> = decoded
                .split(separators)
                .map(folded)
                .filter(|part| !part.is_empty())
                .collect();
            let mut pairs = names.iter().zip(&forced);
            let compared = if has_body { 1 } else { usize::MAX };
            !names.is_empty() && pairs.by_ref().take(compared).all(|(one, other)| one == other)
        };
        if within(&['[', ']']) || within(&['[', ']', '.']) || folded(&decoded) == forced.concat() {
            return true;
        }
        if decoded == name {
            return false;
        }
        name = decoded;
    }
    // Nobody escapes a name that often.
    true
}

/// A name decoded once, as forms are.
fn decoded(name: &str) -> String {
    let mut pairs = url::form_urlencoded::parse(name.as_bytes());
    pairs.next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}

/// A JSON body, or each element of a list (bulk), with every forced parameter; `None`: it is neither.
fn rewritten(text: &str, all: &[Said<'_>]) -> Option<String> {
    let force = |text: &str| {
        all.iter()
            .try_fold(text.to_owned(), |text, one| member(&text, &one.names(), &one.json))
    };
    if !text.trim_start_matches(BLANKS).starts_with('[') {
        return force(text);
    }
    let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    let elements: Option<Vec<String>> = elements.iter().map(|one| force(one.get())).collect();
    let elements = elements.filter(|elements| !elements.is_empty())?;
    Some(format!("[{}]", elements.join(",")))
}

/// The object with that member in every spelling that it has there, else as written; all else as it was, octet by octet.
/// `None`: it is no object.
fn member(object: &str, names: &[&str], json: &str) -> Option<String> {
    let (first, inner) = names.split_first()?;
    let members: Members<'_> = serde_json::from_str(object).ok()?;
    let name = folded(first);
    let mut is_there = false;
    let mut said = Vec::with_capacity(members.0.len() + 1);
    for (key, value) in &members.0 {
        let is_it = folded(key) == name;
        is_there |= is_it;
        let value = match (is_it, inner) {
            (false, _) => value.get().to_owned(),
            (true, []) => json.to_owned(),
            (true, inner) => member(value.get(), inner, json).or_else(|| member("{}", inner, json))?,
        };
        said.push(format!("{}:{value}", serde_json::Value::from(key.as_str())));
    }
    if !is_there {
        let value = if inner.is_empty() {
            json.to_owned()
        } else {
            member("{}", inner, json)?
        };
        said.push(format!("{}:{value}", serde_json::Value::from(*first)));
    }
    Some(format!("{{{}}}", said.join(",")))
}

/// An object's members in their order, doubled ones too, values as they stand.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members<'de>;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(All)
    }
}

/// What a body must be held for at most.
const MOST_BODY: u64 = 1 << 20;
/// What a body's digest was is not what it is.
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
];
const MOST_DECODINGS: usize = 4;
const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

#[cfg(test)]
mod tests;
