//! What each fuzz target does with its octets: parse, and check what must hold of whatever was parsed. Also compiled into
//! `tests/corpus.rs`, which replays the seeds.

use oauth1::explain::{self as explainer, Options, RawRequest, Secrets};
use oauth1::sign::{self, Credentials, Stamp};
use oauth1::timestamp::Window;
use oauth1::{
    Acceptance, BaseForm, Call, Keys, Limits, OauthRequest, ParameterName, Placements, RequestParts, RsaPublicKey,
    Rules, Scheme, SignatureMethod, Target, base_string as base_strings, body_hash, percent,
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

/// The octets as a request that we sign: it verifies, and under no other secret.
pub fn signed(octets: &[u8]) {
    let mut lines = octets.splitn(3, |octet| *octet == b'\n');
    let method = lines.next().map(String::from_utf8_lossy).unwrap_or_default();
    let url = lines.next().map(String::from_utf8_lossy).unwrap_or_default();
    let mut parts = RequestParts {
        method: &method,
        target: Target::from_url(&url).unwrap_or(BARE.target),
        authorization: None,
        form: lines.next(),
    };
    let credentials = Credentials {
        consumer_key: "k&=",
        consumer_secret: "a secret",
        token: Some("tttttttttttttttttttttttttttttttt"),
        token_secret: "another",
    };
    let stamp = Stamp {
        method: SignatureMethod::HmacSha256,
        timestamp: 1_318_622_958,
        nonce: "n",
        extra: &[],
    };
    let Some(header) = sign::authorization(&parts, &credentials, &stamp) else {
        return;
    };
    parts.authorization = Some(header.as_bytes());
    let accept = Acceptance {
        methods: [SignatureMethod::HmacSha256].into_iter().collect(),
        version_1_0a: false,
    };
    // What a form repeats of the header is signed twice and counts once.
    let rules = Rules {
        repeat_in_form: false,
        ..RULES
    };
    // The request may hold parameters of its own that no request may hold.
    let Ok(Some(found)) = OauthRequest::parse(&parts, &rules) else {
        return;
    };
    let signed = found.require(Call::Resource { two_legged: false }, &accept);
    let signed = signed.expect("all that is required");
    let verified = |consumer: &str, token: &str| signed.verify(&Keys::new(accept.methods, consumer, token), &forms());
    assert_eq!(verified("a secret", "another"), Ok(BaseForm::default()));
    assert!(verified("a secret", "").is_err() && verified("a secret&another", "").is_err());
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

/// The octets as `oauth_timestamp` and `oauth_nonce`, a line each: digits alone pass, and no control character.
pub fn timestamp(octets: &[u8]) {
    let mut lines = octets.splitn(2, |octet| *octet == b'\n');
    let (timestamp, nonce) = (lines.next().unwrap_or_default(), lines.next().unwrap_or(b"n"));
    if timestamp.len().max(nonce.len()) > RULES.limits.oauth_value {
        return;
    }
    let header = format!(
        "OAuth oauth_consumer_key=\"k\",oauth_signature_method=\"HMAC-SHA1\",oauth_signature=\"c2ln\",\
         oauth_timestamp=\"{}\",oauth_nonce=\"{}\"",
        percent::encode(timestamp),
        percent::encode(nonce)
    );
    let rules = Rules {
        limits: Limits {
            authorization: usize::MAX,
            ..RULES.limits
        },
        ..RULES
    };
    let parts = RequestParts {
        authorization: Some(header.as_bytes()),
        ..BARE
    };
    let found = OauthRequest::parse(&parts, &rules);
    let found = found.expect("a sound header").expect("an OAuth header");
    assert_eq!(found.get(ParameterName::Timestamp), Some(timestamp));
    assert_eq!(found.get(ParameterName::Nonce), Some(nonce));
    let accept = Acceptance {
        methods: [SignatureMethod::HmacSha1].into_iter().collect(),
        version_1_0a: false,
    };
    let digits = std::str::from_utf8(timestamp)
        .ok()
        .filter(|text| text.len() <= 12 && text.bytes().all(|octet| octet.is_ascii_digit()));
    let seconds = digits
        .and_then(|text| text.parse::<u64>().ok())
        .filter(|seconds| *seconds > 0);
    let is_nonce = (1..=255).contains(&nonce.len()) && !nonce.iter().any(u8::is_ascii_control);
    let signed = found.require(Call::Resource { two_legged: true }, &accept);
    assert_eq!(signed.is_ok(), seconds.is_some() && is_nonce);
    let (Ok(signed), Some(seconds)) = (signed, seconds) else {
        return;
    };
    assert_eq!(signed.timestamp_and_nonce(), Some((seconds, nonce)));
    let window = Window { secs: 600 };
    for (now, is_inside) in [
        (seconds.saturating_sub(600), true),
        (seconds + 600, true),
        (seconds + 601, false),
        (seconds.saturating_sub(601), seconds <= 600),
        (u64::MAX, false),
    ] {
        assert_eq!(signed.check_timestamp(window, now).is_ok(), is_inside);
    }
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
                    ..BaseForm::default()
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

/// The octets as a raw request whose signature is explained: bounded, silent about secrets, and over the base string that
/// is verified.
pub fn explain(octets: &[u8]) {
    let Ok(request) = RawRequest::parse(octets) else { return };
    let known = || Some(zeroize::Zeroizing::new("never-to-be-told".to_owned()));
    let secrets = Secrets {
        consumer_secret: known(),
        token_secret: known(),
        ..Secrets::default()
    };
    let options = Options {
        base_url: Some("https://shop.example".to_owned()),
        ..Options::default()
    };
    let explanation = explainer::explain(&request, &secrets, &options);

    assert!(explanation.macs <= 6_000);
    let is_told = request.target.contains("never-to-be-told") || octets.windows(5).any(|text| text == b"never");
    assert!(is_told || !format!("{explanation:?}").contains("never-to-be-told"));
    let kept = request.clone().without_clear_secrets();
    assert_eq!(kept.named(ParameterName::Nonce), request.named(ParameterName::Nonce));
    let (path, query) = match request.target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (request.target.as_str(), None),
    };
    let parts = RequestParts {
        method: &request.method,
        target: Target {
            path,
            query,
            ..BARE.target
        },
        authorization: request.all("authorization").next(),
        form: request.has_form().then_some(request.body.as_slice()),
    };
    if let Some(base) = explanation
        .base_string
        .filter(|_| path.starts_with('/') && !path.contains("token/access"))
    {
        let verified = base_strings::of(&parts, BaseForm::default()).unwrap_or_default();
        assert_eq!(base.text, String::from_utf8_lossy(&verified));
    }
}
