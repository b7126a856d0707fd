//! The interop client that uses `oauth1-request` to sign and hyper to send: reads one JSON document, prints one JSON
//! line a step.
#![expect(clippy::print_stdout, reason = "the lines are this program's result")]

use std::io::Read as _;

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use oauth1_request::{Builder, Credentials, HmacSha1, ParameterList};
use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error>;
type Pair = Credentials<String>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let task: Value = serde_json::from_str(&text)?;
    let peer = Peer {
        http: Client::builder(TokioExecutor::new()).build_http(),
        consumer: Credentials::new(field(&task, "consumer_key"), field(&task, "consumer_secret")),
    };

    let url = field(&task, "request_token_url");
    let mut builder = peer.builder();
    builder.callback("oob");
    let request_token = peer.token(&url, builder.post(&url, &())).await?;
    println!("{}", json!({"step": "request token", "status": 200}));

    let (url, verifier) = (field(&task, "access_token_url"), field(&task, "verifier"));
    let mut builder = peer.builder();
    builder.token(request_token.as_ref()).verifier(verifier.as_str());
    let token = peer.token(&url, builder.post(&url, &())).await?;
    println!("{}", json!({"step": "access token", "status": 200}));

    let base = field(&task, "base_url");
    for step in task.get("steps").and_then(Value::as_array).into_iter().flatten() {
        let (status, body) = peer.call(&base, step, &token).await?;
        println!(
            "{}",
            json!({"step": field(step, "name"), "status": status, "body": body})
        );
    }
    Ok(())
}

struct Peer {
    http: Client<HttpConnector, Full<Bytes>>,
    consumer: Pair,
}

impl Peer {
    fn builder(&self) -> Builder<'_, HmacSha1, &str, &str> {
        Builder::new(self.consumer.as_ref(), HmacSha1::new())
    }

    async fn token(&self, url: &str, authorization: String) -> Result<Pair, Failure> {
        let request = Request::post(url)
            .header(header::AUTHORIZATION, authorization)
            .body(Full::default())?;
        let (status, body) = self.send(request).await?;
        let value = |name: &str| {
            let prefix = format!("{name}=");
            body.split('&')
                .find_map(|piece| piece.strip_prefix(&prefix))
                .map(str::to_owned)
        };
        match (value("oauth_token"), value("oauth_token_secret")) {
            (Some(key), Some(secret)) if status == 200 => Ok(Credentials::new(key, secret)),
            _ => Err(format!("{status} {body}").into()),
        }
    }

    async fn call(&self, base: &str, step: &Value, token: &Pair) -> Result<(u16, String), Failure> {
        let method: Method = field(step, "method").parse()?;
        let url = base.to_owned() + &field(step, "path");
        let mut builder = self.builder();
        builder.token(token.as_ref());
        let (query, form) = (pairs(step, "query"), pairs(step, "form"));
        let signed = ParameterList::new(query.iter().chain(&form).cloned().collect::<Vec<_>>());
        let authorization = builder.authorize(method.as_str(), &url, &signed);

        let target = if query.is_empty() {
            url
        } else {
            oauth1_request::to_query(url, &ParameterList::new(query))
        };
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header(header::AUTHORIZATION, authorization);
        let body = if form.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
            field(step, "json")
        } else {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            oauth1_request::to_form(&ParameterList::new(form))
        };
        self.send(request.body(Full::from(body))?).await
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<(u16, String), Failure> {
        let response = self.http.request(request).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((status, String::from_utf8(body.into())?))
    }
}

fn field(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn pairs(step: &Value, name: &str) -> Vec<(String, String)> {
    let pair = |pair: &Value| {
        let text = |at: usize| pair.get(at).and_then(Value::as_str).unwrap_or_default().to_owned();
        (text(0), text(1))
    };
    step.get(name)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(pair)
        .collect()
}
