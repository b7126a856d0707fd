//! Requests that oauthlib signed and judged: what holds is valid at once, and the base string is oauthlib's.

use oauth1::explain::{Options, Outcome, RawRequest, Secrets, explain};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::lines;

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
    fn request(&self) -> RawRequest {
        let typed = self
            .form
            .as_ref()
            .map(|_| ("Content-Type", "application/x-www-form-urlencoded"));
        let header = self.authorization.as_deref().map(|value| ("Authorization", value));
        let headers = [typed, header].into_iter().flatten();
        RawRequest {
            method: self.method.clone(),
            target: self.url.clone(),
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
                .collect(),
            body: self.form.clone().unwrap_or_default().into_bytes(),
        }
    }
}

#[test]
fn what_oauthlib_accepts_is_valid_at_once() {
    let mut held = 0;
    for (at, line) in lines::<Line>("tests/oauthlib/requests.jsonl").iter().enumerate() {
        let secrets = Secrets {
            consumer_secret: Some(Zeroizing::new(line.consumer_secret.clone())),
            token_secret: Some(Zeroizing::new(line.token_secret.clone())),
            ..Secrets::default()
        };
        // The hashes there are of no body at all, and a token secret without its token is a mistake of its own.
        let has_body_hash = line.base.contains("oauth_body_hash");
        let lacks_token = !line.token_secret.is_empty() && !line.base.contains("oauth_token%3D");
        if !line.holds || has_body_hash || lacks_token {
            continue;
        }

        let explanation = explain(&line.request(), &secrets, &Options::default());

        let base = explanation.base_string.as_ref().map(|base| base.text.clone());
        assert_eq!(explanation.outcome, Outcome::Valid, "line {} {:?}", at + 1, explanation);
        assert!(explanation.macs <= 1, "line {}", at + 1);
        assert!(base.is_none_or(|base| base == line.base), "line {}", at + 1);
        held += 1;
    }
    assert!(held >= 100);
}
