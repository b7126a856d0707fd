//! The forms of the base string that real clients and Magento need (magento.md 2.6; Q3). PHP's order is in
//! `vectors/natural_order.txt`.

use oauth1::{BaseForm, Keys, Problem, RequestParts, RsaPublicKey, Scheme, SignatureMethod, Target};

use super::{RESOURCE, TWO_LEGGED, URL, base, base_in, get, header, request, require, with, without};

const RFC: BaseForm = BaseForm {
    magento_sort: false,
    magento_host: false,
    collapse_identical_pairs: false,
    raw_body_hash: false,
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

/// What is compared is what is signed, not how it was sent.
#[test]
fn identical_pairs_are_collapsed_however_they_are_spelt() {
    let query = request("GET", "http://h/?a=~&a=%7E&%61=~&b=%7e&b=~");

    assert_eq!(base_in(&query, COLLAPSE), "GET&http%3A%2F%2Fh%2F&a%3D~%26b%3D~");
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

/// Q9: what Mastercard's own signer for Python (1.9.2) sent for a JSON body.
#[test]
fn mastercards_signer_leaves_the_body_hash_unencoded() {
    let written = concat!(
        r#"OAuth oauth_consumer_key="0123456789abcdef0123456789abcdef",oauth_nonce="322x6DuvfQqK59o6","#,
        r#"oauth_timestamp="1795830235",oauth_signature_method="RSA-SHA256",oauth_version="1.0","#,
        r#"oauth_body_hash="HVzOT5NKvtp/7uR8CbXNWYC0ZUnk9XOQ1W54XxMXhHE=","#,
        r#"oauth_signature="hF7aN7lJswzgHob5G3nwWVg5Vaj%2F6ehPQon4uoDGC5iuCv97WMvmVPdpP5O3iwM5O%2BrQxsZUDyTRj%2Fsc%2BWQ"#,
        r#"CzYYymgGvzonM0MEvYp4r6BaEMoH3DgQ91CLYYoWNokijdzfnRVIIRxnE%2BVcF10Iqbi%2FNamiqS1P5tzj7MWtoyNpIscNCkPExTdWhPKp"#,
        r#"8EeT42SHPVl6OaUxx4rH%2BrbLhGJ%2FPfvafCdlw8huDwN260l5DW6iglSd8H6lqxttO4hhjTT5Rd40tiCVVl%2FMcv%2F4b0lNe0ZjTuA5"#,
        r#"GC2V3Abh%2BXaVXQreNcB1%2FD4Puk6c0fPFwPx%2F%2FejIfFP%2Bv5QD6b7jJWg%3D%3D""#,
    );
    let call = RequestParts {
        method: "POST",
        ..get("https://api.example/rest/V1/orders?b=2&a=%C3%A9", written)
    };
    let key = RsaPublicKey::from_pem(MASTERCARD_KEY).expect("a public key");
    let keys = Keys::rsa(SignatureMethod::ALL.into_iter().collect(), &key);
    let raw = BaseForm {
        raw_body_hash: true,
        ..RFC
    };
    let signed = require(&call, TWO_LEGGED).expect("all that is required");

    assert_eq!(signed.verify(&keys, &[RFC, raw]), Ok(raw));
    assert_eq!(signed.verify(&keys, &[RFC]), Err(Problem::SignatureInvalid));
}

const MASTERCARD_KEY: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAqNEUjol6016NX0Yyr5GG
YE8GYfuvXmfvpTYxU6SPlnjC7l0k+vHd7LCTSTmCZSNdtIs3B0u9cCGsbs103CPb
NSd610m7BQheDbESbMjTZQROc/AXzpyx1FCy2piP4rygxAFQMrlrUD2+VrTkQrY9
6SJ42Ft7tx6Ts+/j1e9iUToCna7tuH5oNIKyLKU1XI2ekHsAWqZedcS2j2rycZHd
WYrgUynN3RcCP3isNGWgkKjeoCtRMSoTzcEZAjo0SJ3hBijtEhRCE//ns2rmhG34
frPv+z/6ZfY4Y2Rd6tYLFcW5n29hFCBbK61MkaizAYs/BVKI89c+zFeFF9zI16OE
PQIDAQAB
-----END PUBLIC KEY-----
";
