//! The forms of the base string that real clients and Magento need (magento.md 2.6; Q3). PHP's order is in
//! `vectors/natural_order.txt`.

use oauth1::{BaseForm, Keys, Problem, RequestParts, Scheme, SignatureMethod, Target};

use super::{RESOURCE, URL, base, base_in, get, header, request, require, with, without};

const RFC: BaseForm = BaseForm {
    magento_sort: false,
    magento_host: false,
    collapse_identical_pairs: false,
};
const SORT: BaseForm = BaseForm {
    magento_sort: true,
    ..RFC
};
const HOST: BaseForm = BaseForm {
    magento_host: true,
    ..RFC
};
const COLLAPSE: BaseForm = BaseForm {
    collapse_identical_pairs: true,
    ..RFC
};

fn keys() -> Keys {
    Keys::new(SignatureMethod::ALL.into_iter().collect(), "cs", "ts")
}

/// The usual header with the signature (by Python's `hmac`) of another base string than its own.
fn verdict(url: &str, signature: &str, forms: &[BaseForm]) -> Result<BaseForm, Problem> {
    let mut parameters = without("oauth_signature");
    parameters.push(("oauth_signature", signature));
    let written = header(&parameters);
    require(&get(url, &written), RESOURCE).and_then(|signed| signed.verify(&keys(), forms))
}

/// magento-sort
#[test]
fn numbers_in_names_are_sorted_by_value() {
    let query = request("GET", "http://h/?a[10]=x&a[2]=y&a[02]=z&b=10&b=9");

    assert_eq!(
        base_in(&query, SORT),
        "GET&http%3A%2F%2Fh%2F&a%255B02%255D%3Dz%26a%255B2%255D%3Dy%26a%255B10%255D%3Dx%26b%3D9%26b%3D10"
    );
    assert_eq!(
        base(&query),
        "GET&http%3A%2F%2Fh%2F&a%255B02%255D%3Dz%26a%255B10%255D%3Dx%26a%255B2%255D%3Dy%26b%3D10%26b%3D9"
    );
}

/// magento-sort: with indices below ten the two orders agree.
#[test]
fn what_has_no_long_number_is_sorted_alike() {
    let query = request("GET", "http://h/?f[0][a]=1&f[1][b]=2&f[0][b]=3&A=4&~=5&_=6&-=7");

    assert_eq!(base_in(&query, SORT), base(&query));
}

/// magento-host
#[test]
fn host_and_port_are_kept_as_sent() {
    let of = |scheme, authority| {
        let target = Target {
            scheme,
            authority,
            ..request("GET", "http://h/").target
        };
        base_in(
            &RequestParts {
                target,
                ..request("GET", "http://h/")
            },
            HOST,
        )
    };

    assert_eq!(
        of(Scheme::Http, "Shop.Example:80"),
        "GET&http%3A%2F%2FShop.Example%3A80%2F&"
    );
    assert_eq!(of(Scheme::Https, "user@h:443"), "GET&https%3A%2F%2Fh%3A443%2F&");
}

/// Q3: sent twice, signed once. Unequal duplicates stay (P28).
#[test]
fn identical_pairs_are_collapsed() {
    let query = request("GET", "http://h/?a=1&b=2&a=1&b=3&a=1");

    assert_eq!(base_in(&query, COLLAPSE), "GET&http%3A%2F%2Fh%2F&a%3D1%26b%3D2%26b%3D3");
}

/// Each form verifies only where it is tried, and the one that held is told.
#[test]
fn a_form_verifies_only_where_it_is_tried() {
    for (url, signature, form) in [
        (
            "http://shop.example/rest/V1/products?a[10]=x&a[2]=y",
            "UGQp0yCOv17ltYRsvwyscLrs7HM%3D",
            SORT,
        ),
        (
            "http://Shop.Example:80/rest/V1/products",
            "qBlby7vW%2BUP%2FzXkDaZ7BpQq98wU%3D",
            HOST,
        ),
        (
            "http://shop.example/rest/V1/products?a=1&a=1",
            "hno36EFQ7LmhRTM2jmbEiryZF2E%3D",
            COLLAPSE,
        ),
    ] {
        assert_eq!(verdict(url, signature, &[RFC, form]), Ok(form), "{url}");
        assert_eq!(verdict(url, signature, &[RFC]), Err(Problem::SignatureInvalid), "{url}");
        assert_eq!(verdict(url, signature, &[]), Err(Problem::SignatureInvalid), "{url}");
    }
}

/// RFC 5849 comes first.
#[test]
fn the_first_form_that_holds_is_told() {
    let url = "http://shop.example/rest/V1/products?a[2]=y&a[3]=x";

    assert_eq!(
        verdict(url, "PgKHQaRJ9pTrGkQxJ4IlQZgT7KE%3D", &[RFC, SORT, HOST, COLLAPSE]),
        Ok(RFC)
    );
}

/// For hints: whether the client signed another request, or used another hash.
#[test]
fn a_signature_of_another_request_or_hash_is_recognised() {
    let written = header(&with("oauth_signature", "V3OrPGRIebmIqGiVqudhXR3TDZE%3D"));
    let called = get(URL, &written);
    let signed = require(&called, RESOURCE).expect("complete");
    let https = RequestParts {
        target: Target {
            scheme: Scheme::Https,
            ..called.target
        },
        ..called
    };
    let sha256 = header(&with(
        "oauth_signature",
        "Av4b%2BLBmZA7ib43DUnBMnV2ektFgjY088pqZfkkHQ3Q%3D",
    ));
    let other_hash = require(&get(URL, &sha256), RESOURCE).expect("complete");

    assert!(signed.verify_against(&https, &keys()));
    assert!(!signed.verify_against(&called, &keys()));
    assert!(!signed.verify_other_hash(&keys()));
    assert!(other_hash.verify_other_hash(&keys()));
}
