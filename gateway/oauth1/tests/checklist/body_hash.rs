//! The body hash (X3, X4). Published vectors are in `vectors/body_hash.txt`.

use oauth1::{Problem, body_hash};

use super::{RESOURCE, URL, get, header, normalised, parse, post, problem, request, require, with};

/// By `printf 'Hello World!' | openssl dgst -sha1 -binary | base64`, and so on.
const SHA1: &[u8] = b"Lve95gjOVATpfV8EL5X4nxwjKHE=";
const SHA256: &[u8] = b"f4OxZX/x/FO5LcGBSKHWXfwtSx+j1ncoSt3SABJtkGk=";

/// X3
#[test]
fn a_declared_hash_is_signed_and_told() {
    let written = header(&with("oauth_body_hash", "Lve95gjOVATpfV8EL5X4nxwjKHE%3D"));
    let parts = get(URL, &written);

    assert!(normalised(&parts).starts_with("oauth_body_hash=Lve95gjOVATpfV8EL5X4nxwjKHE%3D&"));
    assert_eq!(require(&parts, RESOURCE).expect("complete").body_hash(), Some(SHA1));
}

/// X3: its fields are signed already, and a second truth could differ. Q8, Q12: an empty form has no fields.
#[test]
fn a_form_carries_no_body_hash() {
    let written = header(&with("oauth_body_hash", "x"));
    let url = format!("{URL}?oauth_body_hash=x");
    let in_query = oauth1::RequestParts {
        form: Some(b"a=1"),
        ..request("POST", &url)
    };

    let rejected = Problem::Rejected("oauth_body_hash".to_owned());
    assert_eq!(problem(&post(URL, &written, "a=1")), rejected);
    assert_eq!(problem(&in_query), rejected);
    assert!(parse(&post(URL, &written, "")).is_ok());
}

/// X4: SHA-1 only where the consumer may use it.
#[test]
fn the_length_of_the_hash_names_it() {
    let body = b"Hello World!";
    assert_eq!(body_hash::check(body, SHA1, true), Ok(()));
    assert_eq!(body_hash::check(body, SHA1, false), Err(Problem::BodyHashInvalid));
    assert_eq!(body_hash::check(body, SHA256, false), Ok(()));
    assert_eq!(
        body_hash::check(b"Hello World", SHA256, false),
        Err(Problem::BodyHashInvalid)
    );
}

/// X3, C59: strict base64; a hash of another length is no hash.
#[test]
fn what_is_no_hash_is_invalid() {
    for declared in [
        &b""[..],
        b"Lve95gjOVATpfV8EL5X4nxwjKHE",
        b"Lve95gjOVATpfV8EL5X4nxwjKHF=",
        b"Lve95gjOVATpfV8EL5X4nxwjKHE=\n",
        b"2ef7bde608ce5404e97d5f042f95f89f1c232871",
        b"7Qdih1MuhjZehB6Sv8UNjA==",
        b"\xff",
    ] {
        let checked = body_hash::check(b"Hello World!", declared, true);
        assert_eq!(checked, Err(Problem::BodyHashInvalid), "{declared:?}");
    }
}
