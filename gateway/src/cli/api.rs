//! The admin API as a command calls it: over the admin listener, or the control socket beside the store.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, IF_MATCH};
use http::{HeaderValue, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use oauth1::Scheme;
use serde_json::{Value, json};
use token_store::Secret;
use token_store::codec::token_digest;
use tokio::net::UnixStream;

use super::prompt::{self, Unanswered};
use super::{ConfigFile, block_on, fail, open};
use crate::config::{Environment, UpstreamTarget};
use crate::listen::Stream;
use crate::upstream::connect::{client_config, connect, system_roots};

/// Where the API is, and the token that opens it.
pub(super) struct Api {
    place: Place,
    token: Option<String>,
    /// Whether the token was made for this command, and ends with it.
    is_own: bool,
}

enum Place {
    Network(UpstreamTarget),
    Socket(PathBuf),
}

/// Why a call has no answer, or not the one that was wanted.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("{0:?} is not the URL of an admin listener: write it as http://127.0.0.1:9090")]
    Url(String),
    #[error("can't reach the admin API at {place}: {error}; is the gateway running?")]
    Connect { place: String, error: std::io::Error },
    #[error("the exchange broke: {0}")]
    Broken(String),
    #[error("{0}")]
    Audit(String),
    #[error("the admin API did not answer within {} s", TIMEOUT.as_secs())]
    Late,
    #[error("{message} ({status})")]
    Refused { status: u16, message: String },
    #[error("what answers there is not Countersign's admin API")]
    Foreign,
    #[error("there is no integration with the name {0:?}")]
    NoSuchName(String),
    #[error("there is no consumer with the key {0:?}")]
    NoSuchConsumer(String),
    #[error("there is no admin account with the name or number {0:?}")]
    NoSuchAccount(String),
    #[error("nobody is signed in: {0}")]
    Prompt(#[from] Unanswered),
}

/// Where a command finds the admin API.
#[derive(Debug, clap::Args)]
pub(super) struct AdminApi {
    #[command(flatten)]
    file: ConfigFile,
    /// The admin listener [default: beside an embedded store its control socket, with Redis admin.listen]
    #[arg(long, global = true, value_name = "URL")]
    admin: Option<String>,
}

impl AdminApi {
    /// Makes some calls; prints why one failed.
    pub(super) fn calls<T>(&self, calls: impl AsyncFnOnce(&Api) -> Result<T, CallError>) -> Result<T, ExitCode> {
        let config = self.file.load()?;
        block_on(async {
            let api = match (&self.admin, open::control_socket(&config)) {
                (None, Some(socket)) => Ok(Api::on_socket(socket)),
                (Some(url), _) => Api::sign_in(url).await,
                (None, None) => Api::sign_in(&format!("http://{}", config.admin.listen)).await,
            };
            let answer = match api {
                Ok(api) => {
                    let answer = calls(&api).await;
                    api.sign_out().await;
                    answer
                }
                Err(error) => Err(error),
            };
            answer.map_err(|error| fail(&error))
        })
    }
}

impl Api {
    /// On the admin listener, with the token of `COUNTERSIGN_TOKEN`, or a sign-in with `COUNTERSIGN_ADMIN_USER` and
    /// `COUNTERSIGN_ADMIN_PASSWORD` or at a prompt.
    pub(super) async fn sign_in(url: &str) -> Result<Self, CallError> {
        let target = parse(url).ok_or_else(|| CallError::Url(url.to_owned()))?;
        let mut api = Self {
            place: Place::Network(target),
            token: None,
            is_own: false,
        };
        api.token = Environment::of_process().get("COUNTERSIGN_TOKEN");
        if api.token.is_none() {
            api.token = Some(api.token().await?);
            api.is_own = true;
        }
        Ok(api)
    }

    /// On the control socket, which asks for no token.
    pub(super) fn on_socket(path: PathBuf) -> Self {
        Self {
            place: Place::Socket(path),
            token: None,
            is_own: false,
        }
    }

    /// Ends the token that was made for this command. One that doesn't end now, as a JWT, ends by itself.
    pub(super) async fn sign_out(&self) {
        let Some(token) = self.token.as_ref().filter(|_| self.is_own) else {
            return;
        };
        let path = format!("/api/v1/tokens/{}", token_digest(token));
        let _ended: Result<Value, CallError> = self.call(Method::DELETE, &path, None).await;
    }

    async fn token(&self) -> Result<String, CallError> {
        let environment = Environment::of_process();
        let known = environment.get("COUNTERSIGN_ADMIN_USER");
        let (username, password) = match known.zip(environment.get("COUNTERSIGN_ADMIN_PASSWORD")) {
            Some((username, password)) => (username, Secret::new(password)),
            None => (
                prompt::line("User name: ", INSTEAD)?,
                prompt::secret("Password: ", INSTEAD)?,
            ),
        };
        let mut body = json!({ "username": username, "password": password.expose() });
        let mut answer = self.call(Method::POST, "/api/v1/tokens", Some(&body)).await;
        if matches!(&answer, Err(CallError::Refused { status: 401, message }) if message.contains("2fa")) {
            let code = prompt::line(
                "Code, or a recovery code: ",
                "the account has a second factor: set COUNTERSIGN_TOKEN",
            )?;
            if let Some(fields) = body.as_object_mut() {
                fields.insert("code".to_owned(), code.into());
            }
            answer = self.call(Method::POST, "/api/v1/tokens", Some(&body)).await;
        }
        let answer = answer?;
        let token = answer.get("token").and_then(Value::as_str).map(str::to_owned);
        token.ok_or_else(|| CallError::Broken("the sign-in answered no token".to_owned()))
    }

    /// One call; anything but a 2xx is an error with the API's sentence.
    pub(super) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, CallError> {
        let called = tokio::time::timeout(TIMEOUT, self.call_to_the_end(method, path, body)).await;
        called.map_err(|_| CallError::Late)?
    }

    /// The same, however long it takes, as a sweep over millions does.
    pub(super) async fn call_to_the_end(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, CallError> {
        let broken = |error: hyper::Error| CallError::Broken(error.to_string());
        let mut request = Request::new(Full::new(
            body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string())),
        ));
        *request.uri_mut() = path
            .parse()
            .map_err(|_| CallError::Broken(format!("{path:?} is not a path")))?;
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_static("countersign"));
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if method == Method::DELETE || method == Method::PUT {
            headers.insert(IF_MATCH, HeaderValue::from_static("*"));
        }
        if let Some(token) = &self.token
            && let Ok(value) = HeaderValue::from_str(&format!("Bearer {token}"))
        {
            headers.insert(AUTHORIZATION, value);
        }
        *request.method_mut() = method;
        let response = match &self.place {
            Place::Network(target) => {
                let tls = client_config(system_roots()).map_err(|error| CallError::Broken(error.to_string()))?;
                let place = format!("{}://{}:{}", target.scheme.as_str(), target.host, target.port);
                let stream: Stream = connect(target, &target.host, Arc::clone(&tls))
                    .await
                    .map_err(|error| CallError::Connect { place, error })?;
                exchange(TokioIo::new(stream), request).await
            }
            Place::Socket(path) => {
                let place = path.display().to_string();
                let stream = UnixStream::connect(path)
                    .await
                    .map_err(|error| CallError::Connect { place, error })?;
                exchange(TokioIo::new(stream), request).await
            }
        };
        let (status, octets) = response.map_err(broken)?;
        let answer: Value = serde_json::from_slice(&octets).unwrap_or(Value::Null);
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        Err(CallError::Refused {
            status,
            message: sentence(&answer),
        })
    }
}

/// The rows of a list's page.
pub(super) fn items(page: &mut Value) -> Result<Vec<Value>, CallError> {
    match page.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => Ok(items),
        Some(_) | None => Err(CallError::Foreign),
    }
}

async fn exchange<S>(io: TokioIo<S>, request: Request<Full<Bytes>>) -> Result<(u16, Bytes), hyper::Error>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
    let driving = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let octets = response.into_body().collect().await?.to_bytes();
    driving.abort();
    Ok((status, octets))
}

/// The API's sentence, its placeholders filled in.
fn sentence(answer: &Value) -> String {
    let message = answer
        .get("message")
        .and_then(Value::as_str)
        .unwrap_or("The API refused the call.");
    let mut sentence = message.to_owned();
    match answer.get("parameters") {
        Some(Value::Array(values)) => {
            for (number, value) in values.iter().enumerate() {
                sentence = sentence.replace(&format!("%{}", number + 1), value.as_str().unwrap_or_default());
            }
        }
        Some(Value::Object(named)) => {
            for (name, value) in named {
                sentence = sentence.replace(&format!("%{name}"), value.as_str().unwrap_or_default());
            }
        }
        _ => {}
    }
    if let Some(reason) = answer.get("reason").and_then(Value::as_str) {
        sentence.push_str(" The reason: ");
        sentence.push_str(reason);
    }
    for fault in answer.get("errors").and_then(Value::as_array).into_iter().flatten() {
        sentence.push(' ');
        sentence.push_str(&self::sentence(fault));
    }
    for fault in answer.get("faults").and_then(Value::as_array).into_iter().flatten() {
        sentence.push('\n');
        sentence.push_str(fault.as_str().unwrap_or_default());
    }
    sentence
}

/// Longer than an activation waits for the integration's endpoint at most.
const TIMEOUT: Duration = Duration::from_secs(90);
const INSTEAD: &str = "set COUNTERSIGN_TOKEN, or COUNTERSIGN_ADMIN_USER and COUNTERSIGN_ADMIN_PASSWORD";

fn parse(url: &str) -> Option<UpstreamTarget> {
    let parsed = url::Url::parse(url).ok()?;
    let scheme = match parsed.scheme() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => return None,
    };
    let host = parsed
        .host_str()?
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    Some(UpstreamTarget {
        scheme,
        host,
        port: parsed.port_or_known_default()?,
    })
}
