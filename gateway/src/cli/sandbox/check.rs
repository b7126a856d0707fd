//! `--check`: the handshake, a signed call, its replay, a call without grant.

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use http_body_util::Full;
use oauth1_request::{HMAC_SHA1, Token};

use super::{Sandbox, Trouble, server};

/// One signed GET with exactly this `Authorization`.
async fn get(sandbox: &Sandbox, path: &str, authorization: &str) -> Result<(u16, String), Trouble> {
    let mut request = Request::new(Full::new(Bytes::new()));
    *request.uri_mut() = path.parse()?;
    request
        .headers_mut()
        .insert(AUTHORIZATION, HeaderValue::from_str(authorization)?);
    server::call(sandbox.public, request).await
}

fn sign(sandbox: &Sandbox, path: &str) -> String {
    let tokens = &sandbox.tokens;
    let token = Token::from_parts(
        tokens.consumer_key.as_str(),
        tokens.consumer_secret.expose(),
        tokens.token.as_str(),
        tokens.token_secret.expose(),
    );
    oauth1_request::get(format!("http://{}{path}", sandbox.public), &(), &token, HMAC_SHA1)
}

/// What came of each step, a line a step; and whether all went as they must.
pub(super) async fn run(sandbox: &Sandbox) -> (String, bool) {
    let mut told = "ok    handshake: verifier posted, request token, access token, integration active".to_owned();
    let product = "/rest/V1/products/24-MB01";
    let signed = sign(sandbox, product);
    let denied = "/rest/V1/customers/1";
    let steps = [
        (
            "a signed call is served",
            get(sandbox, product, &signed).await,
            (200, "Joust Duffle Bag"),
        ),
        (
            "its replay is refused",
            get(sandbox, product, &signed).await,
            (401, "The nonce is already being used"),
        ),
        (
            "a call without grant is refused",
            get(sandbox, denied, &sign(sandbox, denied)).await,
            (401, "Magento_Customer::customer"),
        ),
    ];
    let mut passed = true;
    for (step, outcome, (status, part)) in steps {
        let line = match outcome {
            Ok((answered, body)) if answered == status && body.contains(part) => format!("\nok    {step} ({status})"),
            Ok((answered, body)) => {
                passed = false;
                format!("\nFAIL  {step}: {answered} {body}")
            }
            Err(error) => {
                passed = false;
                format!("\nFAIL  {step}: {error}")
            }
        };
        told.push_str(&line);
    }
    (told, passed)
}
