//! Verification alone, in this process: parse, require, verify, with prepared keys of many tokens.

use oauth1::{
    Acceptance, BaseForm, Call, Keys, MethodSet, OauthRequest, Problem, RequestParts, Rules, SignatureMethod,
};
use serde_json::{Value, json};

use super::Failure;
use super::arguments::Arguments;
use super::consumers::{Credentials, spread};
use super::counter::ratio;
use super::pollset::{monotonic_nanos, unix_seconds};
use super::signer::Signer;

/// `verify --rounds N`, and the signer's: every token's request is verified once a round.
pub(super) fn run(arguments: &mut Arguments) -> Result<Value, Failure> {
    let rounds: u64 = arguments.or("rounds", 100)?;
    let tokens: u64 = arguments.or("tokens", 10_000)?;
    let method: String = arguments.or("method", "HMAC-SHA1".to_owned())?;
    let methods: MethodSet = SignatureMethod::from_name(&method).into_iter().collect();
    arguments.finish()?;

    let mut requests = Vec::new();
    let mut head = Vec::new();
    for number in spread(tokens, tokens) {
        let credentials = Credentials::of(number);
        let keys = Keys::new(methods, &credentials.secret, &credentials.token_secret);
        Signer::alone(number, &method, AUTHORITY)?.write(unix_seconds(), &mut head);
        let text = std::str::from_utf8(&head)?;
        let authorization = text.split("Authorization: ").nth(1).ok_or("nothing was signed")?;
        requests.push((keys, authorization.trim_end().to_owned()));
    }
    let mut failed = 0;
    let start = monotonic_nanos();
    for _ in 0..rounds {
        for (keys, authorization) in &requests {
            failed += u64::from(verify(keys, authorization, methods).is_err());
        }
    }
    let spent = monotonic_nanos() - start;
    if failed > 0 {
        return Err(format!("{failed} signatures did not verify").into());
    }
    let verified = rounds * tokens;
    Ok(json!({ "verified": verified, "micros": ratio(spent, verified) / 1000.0 }))
}

fn verify(keys: &Keys, authorization: &str, methods: MethodSet) -> Result<BaseForm, Problem> {
    let parts = RequestParts {
        method: "GET",
        target: oauth1::Target {
            scheme: oauth1::Scheme::Http,
            authority: AUTHORITY,
            path: "/rest/V1/products/24-MB01",
            query: Some("p0=value0"),
        },
        authorization: Some(authorization.as_bytes()),
        form: None,
    };
    let rules = Rules {
        placements: oauth1::Placements {
            header: true,
            query: true,
            form: true,
        },
        limits: oauth1::Limits {
            parameters: 1000,
            authorization: 8192,
            oauth_value: 2048,
        },
        repeat_in_form: false,
    };
    let acceptance = Acceptance {
        methods,
        version_1_0a: false,
    };
    let request = OauthRequest::parse(&parts, &rules)?.ok_or(Problem::Malformed)?;
    let signed = request.require(Call::Resource { two_legged: false }, &acceptance)?;
    signed.verify(keys, &[BaseForm::default()])
}

const AUTHORITY: &str = "shop.example:8080";
