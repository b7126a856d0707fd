//! Percent-encoding (1.3: C24 to C30). Its published vectors are in `vectors/encoding.txt`.

use oauth1::percent;

use super::{URL, get, header, normalised, normalised_query, with};

/// C24, C25
#[test]
fn every_octet_but_the_unreserved_is_encoded_in_upper_case() {
    let unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for octet in 0..=u8::MAX {
        let expected = if unreserved.as_bytes().contains(&octet) {
            char::from(octet).to_string()
        } else {
            format!("%{octet:02X}")
        };
        assert_eq!(percent::encode(&[octet]), expected);
    }
}

/// C25, C26: what the wire had doesn't matter.
#[test]
fn parameters_are_encoded_anew_whatever_the_wire_had() {
    assert_eq!(normalised_query("a=%c3%a9%2f"), "a=%C3%A9%2F");
    assert_eq!(normalised_query("a=%7E%41%2D"), "a=~A-");
    assert_eq!(normalised_query("a=!*'()"), "a=%21%2A%27%28%29");
    assert_eq!(normalised_query("a=%21%2A%27%28%29"), "a=%21%2A%27%28%29");
    assert_eq!(normalised_query("a=~"), normalised_query("a=%7e"));
}

/// C27, C28
#[test]
fn a_plus_is_a_space_in_query_and_form_and_a_plus_in_the_header() {
    let in_header = header(&with("b", "x+y"));
    let parts = super::post("http://h/?q=x+y&r=x%20y&s=x%2By", &in_header, "f=x+y&g=%2B");

    assert!(normalised(&parts).starts_with("b=x%2By&f=x%20y&g=%2B&"));
    assert!(normalised(&parts).ends_with("&q=x%20y&r=x%20y&s=x%2By"));
}

/// C28
#[test]
fn a_semicolon_separates_nothing() {
    assert_eq!(normalised_query("a=1;b=2"), "a=1%3Bb%3D2");
}

/// C28, T3, U11
#[test]
fn nothing_is_decoded_twice() {
    assert_eq!(
        normalised_query("a=%2541&oauth_callback=%252541"),
        "a=%2541&oauth_callback=%252541"
    );
    let in_header = header(&with("oauth_callback", "http%3A%2F%2Fc%2F%3Fa%3D%2520"));
    assert!(normalised(&get(URL, &in_header)).starts_with("oauth_callback=http%3A%2F%2Fc%2F%3Fa%3D%2520&"));
}

/// C28: as browsers do.
#[test]
fn a_broken_escape_in_query_or_form_stands_for_itself() {
    assert_eq!(normalised_query("a=100%&b=%zz%4"), "a=100%25&b=%25zz%254");
}

/// C29
#[test]
fn names_are_encoded_as_values_are() {
    assert_eq!(normalised_query("a+b%5b=1&%c3%a9=2"), "%C3%A9=2&a%20b%5B=1");
}

/// C30: two spellings of the same letter stay two; octets that are no text stay octets.
#[test]
fn text_is_never_normalised() {
    assert_eq!(normalised_query("a=e%CC%81"), "a=e%CC%81");
    assert_eq!(normalised_query("a=%C3%A9"), "a=%C3%A9");
    assert_eq!(normalised_query("a=%FF%fe%00"), "a=%FF%FE%00");
    assert_eq!(normalised_query("a=é"), "a=%C3%A9");
}
