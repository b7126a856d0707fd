//! What each fuzz target does with its octets: parse, and check what must hold of whatever was parsed. Also compiled into
//! `tests/corpus.rs`, which replays the seeds.

use oauth1::{
    Acceptance, BaseForm, Call, Keys, Limits, OauthRequest, ParameterName, Placements, RequestParts, RsaPublicKey,
    Rules, Scheme, SignatureMethod, Target, base_string as base_strings, body_hash,
};

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
    repeat_in_form: true,
};

const BARE: RequestParts<'static> = RequestParts {
    method: "POST",
    target: Target {
        scheme: Scheme::Https,
        authority: "shop.example",
        path: "/rest/V1/products",
        query: None,
    },
    authorization: None,
    form: None,
};

/// The octets as an `Authorization` header.
pub fn authorization(octets: &[u8]) {
    request(&RequestParts {
        authorization: Some(octets),
        ..BARE
    });
}

/// The octets as a form, and as a query if they are text: both mean the same.
pub fn parameters(octets: &[u8]) {
    let form = RequestParts {
        form: Some(octets),
        ..BARE
    };
    request(&form);
    if let Ok(query) = std::str::from_utf8(octets) {
        let target = Target {
            query: Some(query),
            ..BARE.target
        };
        let query = RequestParts { target, ..BARE };
        request(&query);
        assert_eq!(
            base_strings::of(&form, BaseForm::default()),
            base_strings::of(&query, BaseForm::default())
        );
    }
}

/// The octets as a URL.
pub fn target(octets: &[u8]) {
    let Ok(url) = std::str::from_utf8(octets) else { return };
    if let Some(target) = Target::from_url(url) {
        request(&RequestParts { target, ..BARE });
    }
}

/// The octets as a whole request: method, URL, header and form, a line each.
pub fn base_string(octets: &[u8]) {
    let mut lines = octets.splitn(4, |octet| *octet == b'\n');
    let method = lines.next().map(String::from_utf8_lossy).unwrap_or_default();
    let url = lines.next().map(String::from_utf8_lossy).unwrap_or_default();
    request(&RequestParts {
        method: &method,
        target: Target::from_url(&url).unwrap_or(BARE.target),
        authorization: lines.next(),
        form: lines.next(),
    });
}

/// The octets as a signature, and as a body hash: neither can be guessed.
pub fn signature(octets: &[u8]) {
    let all = SignatureMethod::ALL;
    let keys = Keys::new(
        all.into_iter().collect(),
        "a secret of the consumer",
        "a secret of the token",
    );
    let dummy = Keys::dummy(all.into_iter().collect());
    for method in all {
        assert!(!keys.verify(method, b"GET&http%3A%2F%2Fh%2F&", octets));
        assert!(!dummy.verify(method, b"GET&http%3A%2F%2Fh%2F&", octets));
    }
    assert!(body_hash::check(b"a body", octets, true).is_err());
}

/// The octets as a PEM file, and as what stands in one.
pub fn rsa_key(octets: &[u8]) {
    if let Ok(pem) = std::str::from_utf8(octets) {
        key(pem);
    }
    for label in ["PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE"] {
        key(&format!(
            "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
            base64(octets)
        ));
    }
}

fn key(pem: &str) {
    if let Some(key) = RsaPublicKey::from_pem(pem) {
        assert!((2048..=8192).contains(&key.bits()));
        let keys = Keys::rsa(SignatureMethod::ALL.into_iter().collect(), &key);
        assert!(!keys.verify(SignatureMethod::RsaSha256, b"text", b"c2lnbmF0dXJl"));
    }
}

/// What holds of every request that can be read.
fn request(parts: &RequestParts<'_>) {
    let base = base_strings::of(parts, BaseForm::default());
    if let Ok(base) = &base {
        // Nothing that a request holds can be taken for a separator (P21).
        assert!(base.is_ascii());
        assert_eq!(base.split(|octet| *octet == b'&').count(), 3);
        // Encoded text holds no escape that encoding would have written otherwise.
        let decoded = String::from_utf8_lossy(base).replace("%25", "%");
        assert!(!decoded.contains('+') && !decoded.contains(' '));
    }
    let Ok(Some(found)) = OauthRequest::parse(parts, &RULES) else {
        return;
    };
    let base = base.expect("what can be parsed has a base string");
    for name in ParameterName::ALL {
        assert!(
            found
                .get(name)
                .is_none_or(|value| value.len() <= RULES.limits.oauth_value)
        );
    }
    let accept = Acceptance {
        methods: SignatureMethod::ALL.into_iter().collect(),
        version_1_0a: true,
    };
    let placement = found.placement();
    let Ok(signed) = found.require(Call::Resource { two_legged: true }, &accept) else {
        return;
    };
    // A form field that repeats one of the header counts once, so the base string may be shorter.
    assert!(signed.base_string(BaseForm::default()) == base || placement == oauth1::Placement::Header);
    let keys = Keys::new(accept.methods, "a secret of the consumer", "a secret of the token");
    assert!(signed.verify(&keys, &forms()).is_err());
}

fn forms() -> Vec<BaseForm> {
    let mut forms = Vec::new();
    for magento_sort in [false, true] {
        for magento_host in [false, true] {
            for collapse_identical_pairs in [false, true] {
                forms.push(BaseForm {
                    magento_sort,
                    magento_host,
                    collapse_identical_pairs,
                });
            }
        }
    }
    forms
}

fn base64(octets: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in octets.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, octet| bits << 8 | u32::from(*octet)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let letter = ALPHABET[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}
