//! The rows of the project's checklist that concern this crate (C1 to C69, X1 to X4, and what the pitfalls P, quirks Q and
//! magento.md add to them), in its order: each test names its row. Rows that need a store, a route or a trusted proxy are
//! the gateway's.
#![expect(
    clippy::expect_used,
    reason = "test harness: a request that can't be built is a failed test"
)]

mod base_string;
mod body_hash;
mod encoding;
mod magento;
mod normalisation;
mod required;
mod signature;
mod timestamp_nonce;
mod transmission;

use oauth1::{
    Acceptance, BaseForm, Call, Limits, MethodSet, OauthRequest, Placements, Problem, RequestParts, Rules,
    SignatureMethod, SignedRequest, Target,
};

/// 32 characters, as keys and tokens have.
const KEY: &str = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk";
const TOKEN: &str = "tttttttttttttttttttttttttttttttt";

const URL: &str = "http://shop.example/rest/V1/products";

const RULES: Rules = Rules {
    placements: Placements {
        header: true,
        query: true,
        form: true,
    },
    limits: Limits {
        parameters: 1000,
        authorization: 8192,
        oauth_value: 2048,
    },
    repeat_in_form: false,
};

const RESOURCE: Call = Call::Resource { two_legged: false };
const TWO_LEGGED: Call = Call::Resource { two_legged: true };

/// What every resource request carries; the signature is no real one.
fn usual() -> Vec<(&'static str, &'static str)> {
    vec![
        ("oauth_consumer_key", KEY),
        ("oauth_nonce", "n"),
        ("oauth_signature", "c2ln"),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", "1700000000"),
        ("oauth_token", TOKEN),
    ]
}

/// The usual parameters without one.
fn without(name: &str) -> Vec<(&'static str, &'static str)> {
    usual().into_iter().filter(|(other, _)| *other != name).collect()
}

/// The usual parameters with one replaced or added.
fn with(name: &'static str, value: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut parameters = without(name);
    parameters.push((name, value));
    parameters
}

/// An `Authorization` header of encoded names and values.
fn header(parameters: &[(&str, &str)]) -> String {
    let pairs: Vec<_> = parameters
        .iter()
        .map(|(name, value)| format!("{name}=\"{value}\""))
        .collect();
    format!("OAuth {}", pairs.join(", "))
}

/// A query or form of encoded names and values.
fn form(parameters: &[(&str, &str)]) -> String {
    let pairs: Vec<_> = parameters
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}

fn request<'a>(method: &'a str, url: &'a str) -> RequestParts<'a> {
    RequestParts {
        method,
        target: Target::from_url(url).expect("an absolute URL"),
        authorization: None,
        form: None,
    }
}

fn get<'a>(url: &'a str, authorization: &'a str) -> RequestParts<'a> {
    RequestParts {
        authorization: Some(authorization.as_bytes()),
        ..request("GET", url)
    }
}

fn post<'a>(url: &'a str, authorization: &'a str, form: &'a str) -> RequestParts<'a> {
    RequestParts {
        authorization: Some(authorization.as_bytes()),
        form: Some(form.as_bytes()),
        ..request("POST", url)
    }
}

fn parse<'a>(parts: &RequestParts<'a>) -> Result<OauthRequest<'a>, Problem> {
    OauthRequest::parse(parts, &RULES).map(|found| found.expect("an OAuth request"))
}

/// The problem that parsing finds.
fn problem(parts: &RequestParts<'_>) -> Problem {
    parse(parts).expect_err("a problem")
}

fn require<'a>(parts: &RequestParts<'a>, call: Call) -> Result<SignedRequest<'a>, Problem> {
    let accept = Acceptance {
        methods: SignatureMethod::ALL.into_iter().collect::<MethodSet>(),
        version_1_0a: false,
    };
    parse(parts)?.require(call, &accept)
}

/// The problem of a resource request with these parameters in its header.
fn refused(parameters: &[(&str, &str)]) -> Option<Problem> {
    require(&get(URL, &header(parameters)), RESOURCE).err()
}

fn base_in(parts: &RequestParts<'_>, form: BaseForm) -> String {
    let base = oauth1::base_string::of(parts, form).expect("a base string");
    String::from_utf8(base).expect("ASCII")
}

/// The base string of RFC 5849.
fn base(parts: &RequestParts<'_>) -> String {
    base_in(parts, BaseForm::default())
}

/// The normalised parameters in that base string: encoded once.
fn normalised(parts: &RequestParts<'_>) -> String {
    decode(base(parts).splitn(3, '&').nth(2).expect("three parts"))
}

/// The normalised parameters of a query alone.
fn normalised_query(query: &str) -> String {
    normalised(&request("GET", &format!("http://h/?{query}")))
}

/// The base string URI: not encoded.
fn base_uri(parts: &RequestParts<'_>) -> String {
    decode(base(parts).split('&').nth(1).expect("three parts"))
}

fn decode(text: &str) -> String {
    let mut pieces = text.split('%');
    let mut octets = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (hex, rest) = piece.split_at(2);
        octets.push(u8::from_str_radix(hex, 16).expect("hex"));
        octets.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(octets).expect("text")
}
