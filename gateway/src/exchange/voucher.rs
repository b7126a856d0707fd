//! The storefront vouches for a customer's password (`[tokens.customer] credentials = "http"`): a POST of user name and
//! password, answered by the customer's number, and by the storefront's own token where it gives one.
//!
//! 401 means a wrong password. Anything else that isn't such an answer says nothing of the password: the sign-in is 503, and
//! is not counted as a failure. Nothing of what is asked or answered is ever logged.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::json;
use token_store::Secret;
use tokio::sync::Semaphore;

use crate::config::{Config, CustomerCredentials, CustomerHttp};
use crate::listen::tls::authorities;
use crate::live::LiveError;
use crate::refusal::{Cause, Refusal};
use crate::upstream::connect::{client_config, connect, system_roots};

/// Asks the storefront.
pub struct Voucher {
    config: CustomerHttp,
    tls: Arc<rustls::ClientConfig>,
    turns: Semaphore,
}

/// Whom the storefront vouches for.
#[derive(Debug)]
pub struct Vouched {
    /// The customer's number.
    pub id: u64,
    /// The storefront's own token.
    pub token: Option<Secret>,
}

/// Why the storefront said neither yes nor no.
#[derive(Debug, thiserror::Error)]
pub enum VouchError {
    /// Too many sign-ins at once.
    #[error("more sign-ins wait for the storefront than it is asked at once")]
    Busy,
    /// No connection, or none that is trusted.
    #[error("can't connect: {0}")]
    Connect(#[source] std::io::Error),
    /// The exchange broke.
    #[error("the exchange broke: {0}")]
    Broken(#[source] hyper::Error),
    /// Too slow.
    #[error("no answer in time")]
    Timeout,
    /// Neither 200 nor 401.
    #[error("it answered {0}")]
    Status(StatusCode),
    /// 200, and something else than is agreed.
    #[error("its answer is not {{\"id\": …, \"token\": …}} of at most 64 KiB")]
    Answer,
    /// What is asked can't be put into a request.
    #[error("tokens.customer.url can't be asked")]
    Url,
}

/// What the storefront answers.
#[derive(Deserialize)]
struct Answer {
    id: std::num::NonZeroU64,
    token: Option<String>,
}

impl Voucher {
    /// As configured; `None`: accounts are kept here.
    pub fn of(config: &Config) -> Result<Option<Self>, LiveError> {
        let config = match &config.tokens.customer_credentials {
            CustomerCredentials::Local => return Ok(None),
            CustomerCredentials::Http(config) => config.clone(),
        };
        let roots = match &config.ca {
            Some(path) => authorities(path)?,
            None => system_roots(),
        };
        Ok(Some(Self {
            config: *config,
            tls: client_config(roots)?,
            turns: Semaphore::new(AT_ONCE),
        }))
    }

    /// Whom it vouches for; `None`: the password is wrong.
    pub async fn ask(&self, username: &str, password: &Secret) -> Result<Option<Vouched>, VouchError> {
        let _turn = self.turns.try_acquire().map_err(|_| VouchError::Busy)?;
        let asked = tokio::time::timeout(self.config.timeout, self.exchange(username, password)).await;
        asked.unwrap_or(Err(VouchError::Timeout))
    }

    async fn exchange(&self, username: &str, password: &Secret) -> Result<Option<Vouched>, VouchError> {
        let request = self.request(username, password)?;
        let target = &self.config.target;
        let stream = connect(target, &target.host, Arc::clone(&self.tls))
            .await
            .map_err(VouchError::Connect)?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(VouchError::Broken)?;
        let answer = async {
            let response = sender.send_request(request).await.map_err(VouchError::Broken)?;
            judge(response).await
        };
        tokio::pin!(connection);
        tokio::pin!(answer);
        // The connection is driven here, not in a task of its own: when the call ends, so does it.
        tokio::select! {
            biased;
            outcome = &mut answer => outcome,
            // It may have ended with the answer: what was read of that is still to be had.
            _ended = &mut connection => answer.await,
        }
    }

    fn request(&self, username: &str, password: &Secret) -> Result<Request<Full<Bytes>>, VouchError> {
        let body = json!({ "username": username, "password": password.expose() }).to_string();
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.config.path.parse().map_err(|_| VouchError::Url)?;
        let host = HeaderValue::from_str(&self.config.authority).map_err(|_| VouchError::Url)?;
        let agent = HeaderValue::from_static(concat!("countersign/", env!("CARGO_PKG_VERSION")));
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().extend([
            (HOST, host),
            (CONTENT_TYPE, json.clone()),
            (ACCEPT, json),
            (USER_AGENT, agent),
            (CONNECTION, HeaderValue::from_static("close")),
        ]);
        Ok(request)
    }
}

async fn judge(response: Response<Incoming>) -> Result<Option<Vouched>, VouchError> {
    match response.status() {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED => return Ok(None),
        other => return Err(VouchError::Status(other)),
    }
    let body = Limited::new(response.into_body(), LONGEST_ANSWER).collect().await;
    let octets = body.map_err(|_| VouchError::Answer)?.to_bytes();
    let answer: Answer = serde_json::from_slice(&octets).map_err(|_| VouchError::Answer)?;
    let token = answer.token.filter(|token| !token.is_empty());
    // What no header can carry is nothing that could be forwarded.
    let fits = |token: &String| token.len() <= LONGEST_TOKEN && token.bytes().all(|octet| octet.is_ascii_graphic());
    if token.as_ref().is_some_and(|token| !fits(token)) {
        return Err(VouchError::Answer);
    }
    Ok(Some(Vouched {
        id: answer.id.get(),
        token: token.map(Secret::new),
    }))
}

impl From<VouchError> for Refusal {
    fn from(error: VouchError) -> Self {
        tracing::warn!(%error, "the storefront did not say whether a customer's password is right");
        match error {
            VouchError::Busy => Cause::Overloaded.into(),
            VouchError::Connect(_)
            | VouchError::Broken(_)
            | VouchError::Timeout
            | VouchError::Status(_)
            | VouchError::Answer
            | VouchError::Url => Cause::UpstreamUnhealthy.into(),
        }
    }
}

/// Sign-ins that wait for the storefront at a time.
const AT_ONCE: usize = 64;
const LONGEST_ANSWER: usize = 64 * 1024;
const LONGEST_TOKEN: usize = 4096;
