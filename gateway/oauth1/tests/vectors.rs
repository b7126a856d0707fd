//! Published vectors and our own, read from `vectors/*.txt`: stanzas of `key: value`, apart by an empty line. Expected
//! values come from the publications and from other implementations, never from this crate.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "test harness: a broken vector file is a failed test"
)]

use oauth1::{
    BaseForm, Keys, MethodSet, RequestParts, RsaPublicKey, SignatureMethod, Target, base_string, body_hash, percent,
};

/// One stanza.
struct Vector(Vec<(&'static str, &'static str)>);

impl Vector {
    fn find(&self, key: &str) -> Option<&'static str> {
        self.0.iter().find(|(name, _)| *name == key).map(|(_, value)| *value)
    }

    fn get(&self, key: &str) -> &'static str {
        self.find(key)
            .unwrap_or_else(|| panic!("{} lacks {key}", self.find("id").unwrap_or("a vector")))
    }

    fn target(&self, url: &'static str) -> Target<'static> {
        let target = Target::from_url(url).expect("an absolute URL");
        Target {
            authority: self.find("host").unwrap_or(target.authority),
            ..target
        }
    }

    /// The signatures of all methods it has.
    fn signatures(&self) -> impl Iterator<Item = (SignatureMethod, &'static str)> {
        self.0
            .iter()
            .filter_map(|(name, value)| SignatureMethod::from_name(name).map(|method| (method, *value)))
    }

    fn keys(&self) -> Keys {
        Keys::new(
            SignatureMethod::ALL.into_iter().collect(),
            self.get("consumer-secret"),
            self.get("token-secret"),
        )
    }
}

fn vectors(file: &'static str, count: usize) -> Vec<Vector> {
    let mut vectors = Vec::new();
    for stanza in file.split("\n\n").map(str::trim).filter(|stanza| !stanza.is_empty()) {
        let lines = stanza.lines().filter(|line| !line.starts_with('#'));
        let pairs: Vec<_> = lines
            .map(|line| {
                line.split_once(':')
                    .map(|(key, value)| (key, value.trim()))
                    .expect("key: value")
            })
            .collect();
        if !pairs.is_empty() {
            vectors.push(Vector(pairs));
        }
    }
    assert_eq!(vectors.len(), count, "every vector is there");
    vectors
}

fn text(octets: Vec<u8>) -> String {
    String::from_utf8(octets).expect("a base string is ASCII")
}

fn octets_of_hex(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("hex"), 16).expect("hex"))
        .collect()
}

fn pem(label: &str, base64: &str) -> String {
    format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
}

/// What the page of vectors numbers: V1 to V30, some of them in parts.
#[test]
fn every_published_vector_is_there() {
    let mut ids: Vec<&str> = [
        vectors(include_str!("vectors/encoding.txt"), 10),
        vectors(include_str!("vectors/normalisation.txt"), 7),
        vectors(include_str!("vectors/base_uri.txt"), 11),
        vectors(include_str!("vectors/requests.txt"), 20),
        vectors(include_str!("vectors/signatures.txt"), 4),
        vectors(include_str!("vectors/body_hash.txt"), 2),
        vectors(include_str!("vectors/rsa.txt"), 3),
    ]
    .iter()
    .flatten()
    .flat_map(|vector| vector.get("id").split(' '))
    .collect();
    ids.sort_unstable();
    ids.dedup();

    assert_eq!(ids.len(), 56);
    for number in 1..=30 {
        let (whole, part) = (format!("V{number}"), format!("V{number}."));
        assert!(ids.iter().any(|id| *id == whole || id.starts_with(&part)), "{whole}");
    }
}

#[test]
fn octets_are_encoded_as_published() {
    for vector in vectors(include_str!("vectors/encoding.txt"), 10) {
        let octets = octets_of_hex(vector.get("octets"));
        assert_eq!(percent::encode(&octets), vector.get("encoded"), "{}", vector.get("id"));
    }
}

#[test]
fn parameters_are_normalised_as_published() {
    for vector in vectors(include_str!("vectors/normalisation.txt"), 7) {
        let target = Target {
            query: Some(vector.get("query")),
            ..vector.target("http://h/")
        };
        let parts = RequestParts {
            method: "GET",
            target,
            authorization: None,
            form: None,
        };

        let base = base_string::of(&parts, BaseForm::default()).map(text);

        let normalised = percent::encode(vector.get("normalised").as_bytes());
        assert_eq!(
            base,
            Ok(format!("GET&http%3A%2F%2Fh%2F&{normalised}")),
            "{}",
            vector.get("id")
        );
    }
}

#[test]
fn urls_become_base_string_uris_as_published() {
    for vector in vectors(include_str!("vectors/base_uri.txt"), 11) {
        let target = Target {
            query: None,
            ..vector.target(vector.get("url"))
        };
        let parts = RequestParts {
            method: "GET",
            target,
            authorization: None,
            form: None,
        };

        let base = base_string::of(&parts, BaseForm::default()).map(text);

        let uri = percent::encode(vector.get("base-uri").as_bytes());
        assert_eq!(base, Ok(format!("GET&{uri}&")), "{}", vector.get("id"));
    }
}

#[test]
fn requests_have_the_published_base_strings_and_signatures() {
    for vector in vectors(include_str!("vectors/requests.txt"), 20) {
        let id = vector.get("id");
        let parts = RequestParts {
            method: vector.get("method"),
            target: vector.target(vector.get("url")),
            authorization: vector.find("authorization").map(str::as_bytes),
            form: vector.find("form").map(str::as_bytes),
        };

        let base = base_string::of(&parts, BaseForm::default()).map(text);

        assert_eq!(base.as_deref(), Ok(vector.get("base")), "{id}");
        for (method, signature) in vector.signatures() {
            let holds = vector
                .keys()
                .verify(method, vector.get("base").as_bytes(), signature.as_bytes());
            assert!(holds, "{id} {}", method.as_str());
        }
    }
}

#[test]
fn base_strings_have_the_published_signatures_and_no_others() {
    for vector in vectors(include_str!("vectors/signatures.txt"), 4) {
        for (method, signature) in vector.signatures() {
            let (id, name) = (vector.get("id"), method.as_str());
            let base = vector.get("base").as_bytes();
            assert!(vector.keys().verify(method, base, signature.as_bytes()), "{id} {name}");
            let other = format!("{}x", vector.get("token-secret"));
            let keys = Keys::new(
                SignatureMethod::ALL.into_iter().collect(),
                vector.get("consumer-secret"),
                &other,
            );
            assert!(
                !keys.verify(method, base, signature.as_bytes()),
                "{id} {name} with another secret"
            );
        }
    }
}

#[test]
fn a_plaintext_signature_is_encoded_once_more_in_the_header() {
    let vectors = vectors(include_str!("vectors/signatures.txt"), 4);
    let vector = vectors
        .iter()
        .find(|vector| vector.find("encoded").is_some())
        .expect("V7");
    assert_eq!(
        percent::encode(vector.get("PLAINTEXT").as_bytes()),
        vector.get("encoded")
    );
}

#[test]
fn bodies_have_the_published_hashes() {
    for vector in vectors(include_str!("vectors/body_hash.txt"), 2) {
        for hash in ["sha1", "sha256", "sha512"]
            .into_iter()
            .filter_map(|name| vector.find(name))
        {
            assert_eq!(
                body_hash::check(vector.get("body").as_bytes(), hash.as_bytes(), true),
                Ok(()),
                "{hash}"
            );
            assert!(
                body_hash::check(b"Hello world!", hash.as_bytes(), true).is_err(),
                "{hash}"
            );
        }
    }
}

#[test]
fn rsa_signatures_hold_as_published() {
    for vector in vectors(include_str!("vectors/rsa.txt"), 3) {
        let pem = pem("PUBLIC KEY", vector.get("spki"));
        let key = RsaPublicKey::from_pem_of_test_vector(&pem).expect("a public key");
        let keys = Keys::rsa(SignatureMethod::ALL.into_iter().collect::<MethodSet>(), &key);
        for (method, signature) in vector.signatures() {
            let base = vector.get("base");
            assert!(
                keys.verify(method, base.as_bytes(), signature.as_bytes()),
                "{} {}",
                vector.get("id"),
                method.as_str()
            );
            assert!(
                !keys.verify(method, format!("{base}x").as_bytes(), signature.as_bytes()),
                "{}",
                vector.get("id")
            );
        }
    }
}

/// C60
#[test]
fn only_strictly_encoded_rsa_keys_are_keys() {
    let keys = strict_rsa_vectors("key");
    assert_eq!(keys.len(), 30);
    for vector in keys {
        let (label, why) = (vector.get("label"), vector.get("key"));
        let (der, is_key) = accepted_or_refused(&vector);
        assert_eq!(RsaPublicKey::from_pem(&pem(label, der)).is_some(), is_key, "{why}");
        // Neither cut, nor behind or before something else, nor wrapped.
        if is_key {
            let wrapped: Vec<_> = der.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
            let text = format!("subject=x\n{}trailer\n", pem(label, &wrapped.join("\r\n")));
            assert_eq!(
                RsaPublicKey::from_pem(&text),
                RsaPublicKey::from_pem(&pem(label, der)),
                "{why}"
            );
            assert!(
                RsaPublicKey::from_pem(&pem(label, der.split_at(4).1)).is_none(),
                "{why}"
            );
            assert!(
                RsaPublicKey::from_pem(&pem(label, &der.replace('M', "-"))).is_none(),
                "{why}"
            );
            assert!(RsaPublicKey::from_pem(&pem(label, der).replace("-----END", "----- END")).is_none());
            assert!(
                RsaPublicKey::from_pem(&pem(label, der).replacen(label, "KEY", 1)).is_none(),
                "{why}"
            );
        }
    }
}

/// C60
#[test]
fn only_strictly_padded_rsa_signatures_hold() {
    let signatures = strict_rsa_vectors("signature");
    assert_eq!(signatures.len(), 42);
    for vector in signatures {
        let why = vector.get("signature");
        let key = RsaPublicKey::from_pem(&pem("RSA PUBLIC KEY", vector.get("public"))).expect("a key");
        let keys = Keys::rsa(SignatureMethod::ALL.into_iter().collect::<MethodSet>(), &key);
        let method = SignatureMethod::from_name(vector.get("method")).expect("a method");
        let (signature, holds) = accepted_or_refused(&vector);
        let base = vector.get("base").as_bytes();

        assert_eq!(keys.verify(method, base, signature.as_bytes()), holds, "{why}");

        for spoiled in [
            format!("{signature}="),
            format!("{signature}\n"),
            signature.replace('=', ""),
        ] {
            assert!(!keys.verify(method, base, spoiled.as_bytes()), "{why}");
        }
    }
}

fn strict_rsa_vectors(kind: &str) -> Vec<Vector> {
    let mut vectors = vectors(include_str!("vectors/rsa_strict.txt"), 72);
    vectors.retain(|vector| vector.find(kind).is_some());
    vectors
}

fn accepted_or_refused(vector: &Vector) -> (&'static str, bool) {
    match vector.find("accepted") {
        Some(value) => (value, true),
        None => (vector.get("refused"), false),
    }
}

/// magento.md 2.6
#[test]
fn names_are_sorted_naturally_as_php_sorts_them() {
    for vector in vectors(include_str!("vectors/natural_order.txt"), 300) {
        let query = vector.get("query");
        let parts = RequestParts {
            method: "GET",
            target: Target {
                query: Some(query),
                ..vector.target("http://h/")
            },
            authorization: None,
            form: None,
        };
        let form = BaseForm {
            magento_sort: true,
            ..BaseForm::default()
        };

        let base = base_string::of(&parts, form).map(text);

        let sorted: Vec<_> = vector.get("sorted").split('&').map(|name| format!("{name}=")).collect();
        let normalised = percent::encode(sorted.join("&").as_bytes());
        let expected = format!("GET&http%3A%2F%2Fh%2F&{normalised}");
        assert_eq!(base, Ok(expected), "{}", vector.get("id"));
    }
}
