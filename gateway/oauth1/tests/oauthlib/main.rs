//! Requests that oauthlib (Python) signed and judged: base string and verdict are the same here. `generate.py` wrote
//! `requests.jsonl` and writes as many more as one likes.
#![expect(clippy::expect_used, reason = "test harness: a broken vector file is a failed test")]

use std::path::Path;

use oauth1::{
    Acceptance, BaseForm, Call, Keys, Limits, MethodSet, OauthRequest, Placements, Problem, RequestParts, Rules,
    SignatureMethod, Target, base_string,
};
use serde::Deserialize;

/// One line.
#[derive(Deserialize)]
struct Line {
    method: String,
    url: String,
    authorization: Option<String>,
    form: Option<String>,
    consumer_secret: String,
    token_secret: String,
    base: String,
    holds: bool,
}

impl Line {
    fn parts(&self) -> RequestParts<'_> {
        RequestParts {
            method: &self.method,
            target: Target::from_url(&self.url).expect("an absolute URL"),
            authorization: self.authorization.as_deref().map(str::as_bytes),
            form: self.form.as_deref().map(str::as_bytes),
        }
    }

    fn verify(&self) -> Result<BaseForm, Problem> {
        let methods: MethodSet = SignatureMethod::ALL.into_iter().collect();
        let accept = Acceptance {
            methods,
            version_1_0a: false,
        };
        let found = OauthRequest::parse(&self.parts(), &RULES)?.ok_or(Problem::Malformed)?;
        let signed = found.require(Call::Resource { two_legged: true }, &accept)?;
        let keys = Keys::new(methods, &self.consumer_secret, &self.token_secret);
        signed.verify(&keys, &[BaseForm::default()])
    }
}

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

#[test]
fn oauthlib_agrees() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oauthlib/requests.jsonl");
    let text = std::fs::read_to_string(path).expect("generated requests");
    let mut counts = [0; 2];
    let mut differences = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let request: Line = serde_json::from_str(line).expect("a request");

        let base = base_string::of(&request.parts(), BaseForm::default());
        let verdict = request.verify();

        if base.as_deref() != Ok(request.base.as_bytes()) || verdict.is_ok() != request.holds {
            let base = base.map(|base| String::from_utf8_lossy(&base).into_owned());
            differences.push(format!("line {}: {verdict:?}, {base:?}", at + 1));
        }
        counts[usize::from(request.holds)] += 1;
    }
    assert_eq!(differences, Vec::<String>::new());
    assert!(
        counts.iter().all(|count| *count >= 100),
        "both verdicts are there: {counts:?}"
    );
}
