//! Signatures (1.7: C58 to C63). Published vectors are in `vectors/`; the expected values here are Python's `hmac`.

use oauth1::{Acceptance, BaseForm, Keys, MethodSet, Problem, RequestParts, RsaPublicKey, SignatureMethod};

use super::{RESOURCE, URL, form, get, header, parse, refused, request, require, with, without};

const SECRETS: (&str, &str) = ("cs&%", "t s");
const SHA1: &str = "s0HA1zWukp4VkSxcBR+ioiSHSJw=";
const SHA256: &str = "Y4jAS08yQ61zeVnonSPu0tFWaIdWJ/278x5H/QrKT7Q=";
const SHA512: &str = "yujUP4dmTRhI+CTcdz6Q3W7vsTa5GzbZdktmyHFiSu7Djm0Ol3TpYZSHpbFpYzy5KA8y9ueCfmds/TQD1fsmFw==";
const SHA1_OF_POST: &str = "r0tOETZKmTk8jzIfphHGRhfsXC8=";
const SHA256_OF_POST: &str = "s6/4qLbyaM0HdOTqjMFc7fy4SwS9vk6PokRisA5tgJA=";
const SHA512_OF_POST: &str = "jQ3wcCO1lDxLuKJ3DOjVAh40diwzQq6iEkNv/Y3L4QHpMcgAQpOAkW/rTy/e4Jilg8/+TTHH1fL0zhjpyK+qDA==";

fn percent(text: &str) -> String {
    oauth1::percent::encode(text.as_bytes())
}

fn all() -> MethodSet {
    SignatureMethod::ALL.into_iter().collect()
}

fn keys() -> Keys {
    Keys::new(all(), SECRETS.0, SECRETS.1)
}

/// The usual parameters with that method and that signature, encoded.
fn signed<'a>(method: &'a str, signature: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut parameters = without("oauth_signature");
    parameters.retain(|(name, _)| *name != "oauth_signature_method");
    parameters.extend([("oauth_signature_method", method), ("oauth_signature", signature)]);
    parameters
}

fn verify(parts: &RequestParts<'_>, keys: &Keys) -> Result<BaseForm, Problem> {
    require(parts, RESOURCE)?.verify(keys, &[BaseForm::default()])
}

/// The verdict on a header with that method and that signature, unencoded.
fn verdict(method: &str, signature: &str, keys: &Keys) -> Result<BaseForm, Problem> {
    let url = format!("{URL}?b=2+%2B&a=1");
    verify(&get(&url, &header(&signed(method, &percent(signature)))), keys)
}

/// C58, X1: whatever the placement.
#[test]
fn the_right_signature_verifies_in_every_placement() {
    for (method, signature, of_post) in [
        ("HMAC-SHA1", SHA1, SHA1_OF_POST),
        ("HMAC-SHA256", SHA256, SHA256_OF_POST),
        ("HMAC-SHA512", SHA512, SHA512_OF_POST),
    ] {
        let (encoded, encoded_of_post) = (percent(signature), percent(of_post));
        let url = format!("{URL}?{}&b=2+%2B&a=1", form(&signed(method, &encoded)));
        let fields = format!("a=1&{}&b=2%20%2B", form(&signed(method, &encoded_of_post)));
        let in_form = RequestParts {
            form: Some(fields.as_bytes()),
            ..request("POST", URL)
        };

        assert_eq!(verdict(method, signature, &keys()), Ok(BaseForm::default()), "{method}");
        assert_eq!(
            verify(&request("GET", &url), &keys()),
            Ok(BaseForm::default()),
            "{method}"
        );
        assert_eq!(verify(&in_form, &keys()), Ok(BaseForm::default()), "{method}");
        let put = RequestParts {
            method: "PUT",
            ..in_form
        };
        assert_eq!(verify(&put, &keys()), Err(Problem::SignatureInvalid), "{method}");
    }
}

/// C58, Q4: the secrets are encoded in the key; raw ones make another key.
#[test]
fn another_secret_verifies_nothing() {
    for (consumer_secret, token_secret) in [
        ("cs&%", ""),
        ("", "t s"),
        ("t s", "cs&%"),
        ("cs", "%&t s"),
        ("cs%26%25", "t%20s"),
        ("cs&% ", "t s"),
    ] {
        let keys = Keys::new(all(), consumer_secret, token_secret);
        let refused = verdict("HMAC-SHA1", SHA1, &keys);
        assert_eq!(
            refused,
            Err(Problem::SignatureInvalid),
            "{consumer_secret} {token_secret}"
        );
    }
}

/// C58: without a token the key still ends in `&`.
#[test]
fn without_a_token_the_key_ends_in_an_ampersand() {
    let mut parameters = with("oauth_signature", "%2FnDz3X5wjrhkIz%2FSuSK7%2Ftgfl5s%3D");
    parameters.retain(|(name, _)| *name != "oauth_token");
    let written = header(&parameters);

    let signed = require(&get(URL, &written), oauth1::Call::Resource { two_legged: true });
    let verdict = signed.and_then(|signed| signed.verify(&Keys::new(all(), "cs&%", ""), &[BaseForm::default()]));

    assert_eq!(verdict, Ok(BaseForm::default()));
}

/// C59, U24: one octet more or less, another alphabet, unused bits, missing padding: nothing else than the one encoding.
#[test]
fn a_signature_is_canonical_base64_of_the_right_length() {
    let longer = format!("{SHA1}AAAA");
    let of_64 = "A".repeat(88);
    let of_97 = "A".repeat(132);
    for signature in [
        "",
        "=",
        "s0HA1zWukp4VkSxcBR+ioiSHSJw",
        "s0HA1zWukp4VkSxcBR+ioiSHSJw==",
        "s0HA1zWukp4VkSxcBR+ioiSHSJx=",
        "s0HA1zWukp4VkSxcBR+ioiSHSJz=",
        "s0HA1zWukp4VkSxcBR-ioiSHSJw=",
        "s0HA1zWukp4VkSxcBR+ioiSHSJw=\n",
        " s0HA1zWukp4VkSxcBR+ioiSHSJw=",
        "s0HA1zWukp4VkSxc BR+ioiSHSJw=",
        "S0HA1zWukp4VkSxcBR+ioiSHSJw=",
        "s0HA1zWukp4VkSxcBR+ioiSH",
        "b341c0d735ae929e15912c5c051fa2a22487489c",
        SHA256,
        &longer,
        &of_64,
        &of_97,
        "\u{e9}",
    ] {
        let verdict = verdict("HMAC-SHA1", signature, &keys());
        assert_eq!(verdict, Err(Problem::SignatureInvalid), "{signature:?}");
    }
}

/// P2: each bit counts.
#[test]
fn a_signature_with_one_bit_changed_is_wrong() {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for at in 0..SHA1.len() - 2 {
        for bit in 0..6 {
            let mut changed = SHA1.as_bytes().to_vec();
            let value = alphabet.iter().position(|octet| *octet == changed[at]).expect("base64");
            changed[at] = alphabet[value ^ 1 << bit];
            let changed = String::from_utf8(changed).expect("ASCII");
            assert!(verdict("HMAC-SHA1", &changed, &keys()).is_err(), "{changed}");
        }
    }
}

/// C60
#[test]
fn an_rsa_consumers_secrets_are_not_in_use() {
    let vector = include_str!("../vectors/rsa.txt");
    let spki = vector
        .lines()
        .find_map(|line| line.strip_prefix("spki: "))
        .expect("a key");
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{spki}\n-----END PUBLIC KEY-----\n");
    let key = RsaPublicKey::from_pem_of_test_vector(&pem).expect("a key of 1024 bits");
    assert!(RsaPublicKey::from_pem(&pem).is_none(), "too small to be registered");
    let rsa = Keys::rsa(all(), &key);

    // C63, P18: not with an empty secret, nor with the text of the key as one.
    for secret in ["", &pem, spki] {
        for method in ["HMAC-SHA1", "HMAC-SHA256", "HMAC-SHA512", "PLAINTEXT"] {
            let url = format!("{URL}?b=2+%2B&a=1");
            let credentials = oauth1::sign::Credentials {
                consumer_key: super::KEY,
                consumer_secret: secret,
                token: Some(super::TOKEN),
                token_secret: "",
            };
            let stamp = oauth1::sign::Stamp {
                method: SignatureMethod::from_name(method).expect("a method"),
                timestamp: 1_700_000_000,
                nonce: "n",
                extra: &[],
            };
            let written = oauth1::sign::authorization(&request("GET", &url), &credentials, &stamp).expect("signed");
            let own = Keys::new(all(), secret, "");
            assert!(verify(&get(&url, &written), &own).is_ok(), "{method}");
            assert_eq!(
                verify(&get(&url, &written), &rsa),
                Err(Problem::SignatureInvalid),
                "{method}"
            );
        }
    }
}

/// C61: the key itself, encoded once more in the header.
#[test]
fn a_plaintext_signature_is_the_key() {
    for (signature, holds) in [
        ("cs%26%25&t%20s", true),
        ("cs&%&t s", false),
        ("cs%26%25&t%20s&", false),
        ("cs%26%25&t%20", false),
        ("", false),
    ] {
        assert_eq!(verdict("PLAINTEXT", signature, &keys()).is_ok(), holds, "{signature}");
    }
    let written = header(&signed("PLAINTEXT", "cs%2526%2525%26t%2520s"));
    assert_eq!(verify(&get(URL, &written), &keys()), Ok(BaseForm::default()));
}

/// C62, X2
#[test]
fn a_method_is_known_by_its_exact_name() {
    for method in [
        "hmac-sha1",
        "HMAC-SHA-1",
        "HMAC_SHA1",
        "HMAC-SHA384",
        "RSA-SHA512",
        "none",
        "",
        "HMAC-SHA1%20",
        "%FF",
    ] {
        let parameters = signed(method, "c2ln");
        let Some(Problem::SignatureMethodRejected(named)) = refused(&parameters) else {
            panic!("{method} was accepted")
        };
        assert_eq!(named, method.replace("%20", " ").replace("%FF", "\u{fffd}"));
    }
}

/// C63, P9
#[test]
fn a_method_that_is_not_accepted_is_rejected_and_never_verifies() {
    let accept = Acceptance {
        methods: MethodSet::EMPTY.with(SignatureMethod::HmacSha256),
        version_1_0a: false,
    };
    for method in SignatureMethod::ALL {
        let written = header(&signed(method.as_str(), "c2ln"));
        let found = parse(&get(URL, &written)).and_then(|found| found.require(RESOURCE, &accept));
        assert_eq!(found.is_ok(), method == SignatureMethod::HmacSha256, "{method:?}");
    }
    let only_sha256 = Keys::new(accept.methods, SECRETS.0, SECRETS.1);
    assert!(verdict("HMAC-SHA256", SHA256, &only_sha256).is_ok());
    for (method, signature) in [
        ("HMAC-SHA1", SHA1),
        ("HMAC-SHA512", SHA512),
        ("PLAINTEXT", "cs%26%25&t%20s"),
    ] {
        assert!(verdict(method, signature, &only_sha256).is_err(), "{method}");
    }
}

/// C62: the declared method's hash, not whichever fits.
#[test]
fn a_signature_of_another_hash_is_wrong() {
    for (method, signature) in [
        ("HMAC-SHA1", SHA256),
        ("HMAC-SHA256", SHA1),
        ("HMAC-SHA512", SHA256),
        ("PLAINTEXT", SHA1),
        ("RSA-SHA1", SHA1),
    ] {
        let refused = verdict(method, signature, &keys());
        assert_eq!(refused, Err(Problem::SignatureInvalid), "{method}");
    }
}

/// P5: the keys that unknown consumers are verified with.
#[test]
fn dummy_keys_verify_nothing() {
    let dummy = Keys::dummy(all());
    let empty = Keys::new(all(), "", "");
    let url = format!("{URL}?b=2+%2B&a=1");
    let credentials = oauth1::sign::Credentials {
        consumer_key: super::KEY,
        consumer_secret: "",
        token: Some(super::TOKEN),
        token_secret: "",
    };
    for method in SignatureMethod::ALL.into_iter().filter(|method| !method.is_rsa()) {
        let stamp = oauth1::sign::Stamp {
            method,
            timestamp: 1_700_000_000,
            nonce: "n",
            extra: &[],
        };
        let written = oauth1::sign::authorization(&request("GET", &url), &credentials, &stamp).expect("signed");
        assert!(verify(&get(&url, &written), &empty).is_ok(), "{method:?}");
        assert!(verify(&get(&url, &written), &dummy).is_err(), "{method:?}");
    }
}

/// P19
#[test]
fn nothing_secret_shows_in_debug_output() {
    let written = header(&signed("HMAC-SHA1", "hush"));
    let found = parse(&get(URL, &written)).expect("an OAuth request");
    let shown = format!("{found:?} {:?}", keys());

    for secret in ["hush", "cs", "t s", super::TOKEN] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
