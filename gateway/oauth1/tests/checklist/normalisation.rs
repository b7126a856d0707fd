//! Which parameters are signed, and in which order (1.4: C31 to C40). Published vectors are in `vectors/normalisation.txt`.

use super::{URL, base, get, header, normalised, normalised_query, parse, post, usual, with};

/// C31
#[test]
fn header_query_and_form_are_signed_together() {
    let written = "OAuth realm=\"x\", oauth_nonce=\"n\", h=\"1\"";

    assert_eq!(
        normalised(&post("http://h/?q=1", written, "f=1")),
        "f=1&h=1&oauth_nonce=n&q=1"
    );
}

/// C32
#[test]
fn the_signature_is_the_only_oauth_parameter_that_is_not_signed() {
    let written = header(&usual());

    assert!(!normalised(&get(URL, &written)).contains("oauth_signature="));
    assert!(normalised(&get(URL, &written)).contains("oauth_signature_method=HMAC-SHA1"));
    assert_eq!(normalised_query("oauth_signature=1&oauth_signature=2&a=3"), "a=3");
    assert_eq!(
        normalised_query("oauth%5Fsignature=1&oauth_signaturex=2"),
        "oauth_signaturex=2"
    );
}

/// C33, P28: a duplicate that is added changes what is signed.
#[test]
fn duplicates_are_all_kept_and_sorted_by_value() {
    assert_eq!(normalised_query("a=2&a=1&a=2"), "a=1&a=2&a=2");
    assert_ne!(normalised_query("a=1"), normalised_query("a=1&a=1"));
    assert_eq!(normalised(&post("http://h/?a=2", "OAuth", "a=1")), "a=1&a=2");
}

/// C34, Q21
#[test]
fn a_name_alone_has_an_empty_value() {
    assert_eq!(normalised_query("searchCriteria"), "searchCriteria=");
    assert_eq!(normalised_query("searchCriteria="), "searchCriteria=");
    assert_eq!(normalised_query("a&&b&"), "a=&b=");
    assert_eq!(normalised_query("=v&="), "=&=v");
    assert_eq!(normalised_query(""), "");
}

/// C35
#[test]
fn a_second_equals_sign_belongs_to_the_value() {
    assert_eq!(normalised_query("q=a=b&r=="), "q=a%3Db&r=%3D");
}

/// C36, T2
#[test]
fn pairs_are_sorted_by_their_encoding_name_first() {
    assert_eq!(normalised_query("a1=1&a=2&a-=3"), "a=2&a-=3&a1=1");
    assert_eq!(normalised_query("a=9&a=10"), "a=10&a=9");
    // Encoded, `é` begins with `%` and comes first; raw it would come last. `:` as `%3A` stands before `1`.
    assert_eq!(normalised_query("z=1&%C3%A9=1&x=1&x=:"), "%C3%A9=1&x=%3A&x=1&z=1");
    assert_eq!(normalised_query("B=1&a=1&~=1&_=1"), "B=1&_=1&a=1&~=1");
}

/// C36: names that agree in their first eight octets, or are shorter than that.
#[test]
fn names_are_sorted_to_their_end() {
    assert_eq!(
        normalised_query("abcdefghi=1&abcdefgh=2&abcdefg=3&abcdefgha=4&abc=5"),
        "abc=5&abcdefg=3&abcdefgh=2&abcdefgha=4&abcdefghi=1"
    );
}

/// C37, P26: what isn't a form isn't signed; the caller says so by giving none.
#[test]
fn a_body_that_is_no_form_adds_nothing() {
    let written = header(&usual());

    assert_eq!(normalised(&post(URL, &written, "")), normalised(&get(URL, &written)));
}

/// C38
#[test]
fn a_form_is_signed_whatever_the_method() {
    for method in ["PUT", "PATCH", "DELETE"] {
        let parts = oauth1::RequestParts {
            method,
            ..post("http://h/", "OAuth", "a=1")
        };
        assert_eq!(base(&parts), format!("{method}&http%3A%2F%2Fh%2F&a%3D1"));
    }
}

/// C39: PHP and curl call JSON a form unless told otherwise.
#[test]
fn json_sent_as_a_form_is_one_odd_pair() {
    let written = header(&usual());
    let parts = post("http://h/", &written, "{\"a\":\"b=c\"}");

    assert!(parse(&parts).is_ok());
    assert!(normalised(&parts).starts_with("%7B%22a%22%3A%22b=c%22%7D&oauth_consumer_key"));
}

/// C39
#[test]
fn octets_sent_as_a_form_are_signed_as_octets() {
    let parts = oauth1::RequestParts {
        form: Some(b"\xff\x00=\x80"),
        ..post("http://h/", "OAuth", "")
    };

    assert_eq!(normalised(&parts), "%FF%00=%80");
}

/// C40, U2
#[test]
fn brackets_mean_nothing() {
    assert_eq!(
        normalised_query("a[]=2&a[]=1&f[x][y]=z"),
        "a%5B%5D=1&a%5B%5D=2&f%5Bx%5D%5By%5D=z"
    );
    assert_eq!(normalised_query("a%5B0%5D=1"), normalised_query("a[0]=1"));
}

/// C36 at length: as many as the limit lets in, all of one name.
#[test]
fn a_thousand_pairs_of_one_name_are_sorted() {
    let query: Vec<_> = (0..1000).rev().map(|value| format!("a={value:04}")).collect();
    let sorted: Vec<_> = query.iter().rev().cloned().collect();

    assert_eq!(normalised_query(&query.join("&")), sorted.join("&"));
}

/// C32: what is signed doesn't depend on the signature that came.
#[test]
fn another_signature_leaves_the_base_string_as_it_is() {
    let (one, other) = (header(&usual()), header(&with("oauth_signature", "eA%3D%3D")));

    assert_eq!(base(&get(URL, &one)), base(&get(URL, &other)));
}
