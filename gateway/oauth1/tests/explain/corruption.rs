//! No false diagnosis: what is changed at random is no known mistake, so nothing is named.

use oauth1::explain::{Outcome, RawRequest, explain};
use proptest::prelude::*;
use proptest::sample::Index;
use zeroize::Zeroizing;

use crate::{Vector, names};

/// What is changed of a request that is right.
#[derive(Clone, Copy, Debug)]
enum Part {
    Path,
    Nonce,
    Signature,
    ConsumerSecret,
    TokenSecret,
    Body,
}

const PARTS: [Part; 6] = [
    Part::Path,
    Part::Nonce,
    Part::Signature,
    Part::ConsumerSecret,
    Part::TokenSecret,
    Part::Body,
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_random_corruption_is_never_given_a_name(
        vector in 0..RIGHT,
        part in proptest::sample::select(&PARTS),
        at: Index,
        letters in "[g-z]{3}",
    ) {
        let vector = &Vector::all()[vector];
        let (mut request, mut secrets) = (vector.request(), vector.secrets());
        let before = (request.clone(), secrets.consumer_secret.clone(), secrets.token_secret.clone());
        let has_token = vector.request.contains("oauth_token=");
        match part {
            Part::Path => request.target = replaced(&request.target, "/rest/", at, &letters),
            Part::Nonce => in_header(&mut request, "oauth_nonce=\"", at, &letters),
            Part::Signature => in_header(&mut request, "oauth_signature=\"", at, &letters),
            Part::ConsumerSecret => secrets.consumer_secret = changed(secrets.consumer_secret, at, &letters),
            Part::TokenSecret if has_token => secrets.token_secret = changed(secrets.token_secret, at, &letters),
            Part::Body if vector.request.contains("urlencoded") => {
                let body = String::from_utf8(request.body).expect("a form");
                request.body = replaced(&body, "name=", at, &letters).into_bytes();
            }
            Part::TokenSecret | Part::Body => {}
        }
        prop_assume!((request.clone(), secrets.consumer_secret.clone(), secrets.token_secret.clone()) != before);

        let explanation = explain(&request, &secrets, &vector.options());

        prop_assert_eq!(explanation.outcome, Outcome::Unknown, "{:?}", names(&explanation));
        prop_assert!(explanation.macs <= 6_000);
    }
}

/// Three letters anywhere behind `mark`, among the letters and digits that follow it.
fn replaced(text: &str, mark: &str, at: Index, letters: &str) -> String {
    let Some((before, rest)) = text.split_once(mark) else {
        return text.to_owned();
    };
    let end = rest
        .find(|one: char| !one.is_ascii_alphanumeric())
        .unwrap_or(rest.len());
    let (kept, rest) = rest.split_at(at.index(end + 1));
    [before, mark, kept, letters, rest].concat()
}

/// Three letters in place of three others, so that a signature still has its length.
fn overwritten(text: &str, mark: &str, at: Index, letters: &str) -> String {
    let (before, rest) = text.split_once(mark).expect("the parameter");
    let end = rest.find(['%', '"']).expect("its end");
    if end <= letters.len() {
        return text.to_owned();
    }
    let (kept, rest) = rest.split_at(at.index(end - letters.len()));
    let (_, rest) = rest.split_at(letters.len());
    [before, mark, kept, letters, rest].concat()
}

fn in_header(request: &mut RawRequest, mark: &str, at: Index, letters: &str) {
    let change = if mark.starts_with("oauth_signature") {
        overwritten
    } else {
        replaced
    };
    for (_, value) in request.headers.iter_mut().filter(|(name, _)| name == "Authorization") {
        let text = std::str::from_utf8(value).expect("text");
        *value = change(text, mark, at, letters).into_bytes();
    }
}

fn changed(secret: Option<Zeroizing<String>>, at: Index, letters: &str) -> Option<Zeroizing<String>> {
    let secret = secret?;
    let (before, behind) = secret.split_at(at.index(secret.len() + 1));
    Some(Zeroizing::new([before, letters, behind].concat()))
}

/// The vectors begin with that many requests that are right, all with the header but the last.
const RIGHT: usize = 8;
