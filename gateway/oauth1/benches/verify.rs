//! One verification, from the octets of a request to the verdict: GET with three query parameters, 10,000 tokens in
//! rotation, keys prepared. Reading a clock, finding the keys and claiming the nonce are not part of it.
#![expect(clippy::expect_used, reason = "bench: what it measures must verify")]

use std::hint::black_box;

use divan::Bencher;
use oauth1::sign::{Credentials, Stamp, authorization};
use oauth1::timestamp::Window;
use oauth1::{
    Acceptance, BaseForm, Call, Keys, Limits, MethodSet, OauthRequest, Placements, Problem, RequestParts, Rules,
    Scheme, SignatureMethod, Target,
};

fn main() {
    divan::main();
}

#[divan::bench(sample_count = 50, sample_size = TOKENS)]
fn hmac_sha1(bencher: Bencher<'_, '_>) {
    measure(bencher, SignatureMethod::HmacSha1, QUERY);
}

#[divan::bench(sample_count = 50, sample_size = TOKENS)]
fn hmac_sha256(bencher: Bencher<'_, '_>) {
    measure(bencher, SignatureMethod::HmacSha256, QUERY);
}

#[divan::bench(sample_count = 50, sample_size = TOKENS)]
fn hmac_sha256_with_escaped_parameters(bencher: Bencher<'_, '_>) {
    measure(bencher, SignatureMethod::HmacSha256, SEARCH);
}

fn measure(bencher: Bencher<'_, '_>, method: SignatureMethod, query: &str) {
    let requests: Vec<_> = (0..TOKENS).map(|at| Signed::new(at, method, query)).collect();
    let mut rotation = requests.iter().cycle();
    bencher.bench_local(|| {
        let request = rotation.next().expect("a cycle has no end");
        verify(black_box(request)).expect("it verifies")
    });
}

/// A request and the keys that a gateway holds for its token.
struct Signed {
    query: String,
    header: String,
    acceptance: Acceptance,
    keys: Keys,
}

impl Signed {
    fn new(at: u32, method: SignatureMethod, query: &str) -> Self {
        let text = |what: &str| format!("{what}{at:0>width$}", width = 32 - what.len());
        let (key, consumer_secret, token, token_secret) = (text("ck"), text("cs"), text("tk"), text("ts"));
        let nonce = text("n");
        let credentials = Credentials {
            consumer_key: &key,
            consumer_secret: &consumer_secret,
            token: Some(&token),
            token_secret: &token_secret,
        };
        let stamp = Stamp {
            method,
            timestamp: NOW,
            nonce: &nonce,
            extra: &[],
        };
        let header = authorization(&parts(query, None), &credentials, &stamp).expect("an HMAC method");
        let methods: MethodSet = METHODS.into_iter().collect();
        Self {
            query: query.to_owned(),
            header,
            acceptance: Acceptance {
                methods,
                version_1_0a: false,
            },
            keys: Keys::new(methods, &consumer_secret, &token_secret),
        }
    }
}

fn parts<'a>(query: &'a str, header: Option<&'a str>) -> RequestParts<'a> {
    RequestParts {
        method: "GET",
        target: Target {
            scheme: Scheme::Https,
            authority: "shop.example",
            path: "/rest/default/V1/products",
            query: Some(query),
        },
        authorization: header.map(str::as_bytes),
        form: None,
    }
}

/// What a gateway does with each request.
#[inline(never)]
fn verify(request: &Signed) -> Result<BaseForm, Problem> {
    let parts = parts(&request.query, Some(&request.header));
    let found = OauthRequest::parse(&parts, &RULES)?.ok_or(Problem::Malformed)?;
    let signed = found.require(Call::Resource { two_legged: false }, &request.acceptance)?;
    signed.check_timestamp(Window { secs: 600 }, NOW)?;
    black_box((signed.consumer_key(), signed.token(), signed.timestamp_and_nonce()));
    signed.verify(&request.keys, &FORMS)
}

const TOKENS: u32 = 10_000;
const NOW: u64 = 1_750_000_000;
const QUERY: &str = "sku=WS12-M-Orange&store=1&fields=name";
/// As Magento's clients search: brackets escaped, a space as `+`.
const SEARCH: &str = "searchCriteria%5BfilterGroups%5D%5B0%5D%5Bfilters%5D%5B0%5D%5Bfield%5D=name\
&searchCriteria%5BfilterGroups%5D%5B0%5D%5Bfilters%5D%5B0%5D%5Bvalue%5D=%25Orange+Shirt%25&searchCriteria[pageSize]=20";
const METHODS: [SignatureMethod; 2] = [SignatureMethod::HmacSha256, SignatureMethod::HmacSha1];
const FORMS: [BaseForm; 2] = [
    BaseForm {
        magento_sort: false,
        magento_host: false,
        collapse_identical_pairs: false,
        raw_body_hash: false,
    },
    BaseForm {
        magento_sort: true,
        magento_host: false,
        collapse_identical_pairs: false,
        raw_body_hash: false,
    },
];
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
    repeat_in_form: false,
};
