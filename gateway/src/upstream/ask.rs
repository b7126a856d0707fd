//! One small HTTP request to a target on a connection of its own, bounded in time and size: for looking, not for forwarding.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;

use crate::config::UpstreamTarget;
use crate::upstream::connect::connect;

/// Where, how the certificate is verified, and for how long.
pub struct Ask<'a> {
    /// Where.
    pub target: &'a UpstreamTarget,
    /// The name that a certificate must be for.
    pub name: &'a str,
    /// Whom its certificate must be signed by.
    pub tls: Arc<ClientConfig>,
    /// For the connection, TLS included.
    pub connect_timeout: Duration,
    /// From then on, for the answer.
    pub timeout: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No connection, or none that is trusted.
    #[error("can't be reached: {0}")]
    Connect(io::Error),
    /// Not HTTP/1.1, or cut.
    #[error("broke the exchange: {0}")]
    Broken(hyper::Error),
    /// Nothing within the time.
    #[error("took the connection, but did not answer within {0:?}")]
    Late(Duration),
}

impl Ask<'_> {
    /// Its answer to a request without a body; of an answer's body 64 KiB at most are kept, or nothing.
    pub async fn ask(&self, method: Method, path: &str, host: &str) -> Result<Response<Bytes>, AskError> {
        let connecting = connect(self.target, self.name, Arc::clone(&self.tls));
        let connected = tokio::time::timeout(self.connect_timeout, connecting).await;
        let stream = connected
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(AskError::Connect)?;
        let exchange = async {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            let mut request = Request::new(Empty::<Bytes>::new());
            *request.method_mut() = method;
            if let (Ok(uri), Ok(host)) = (path.parse(), host.parse()) {
                *request.uri_mut() = uri;
                request.headers_mut().insert(http::header::HOST, host);
                let agent = concat!("countersign/", env!("CARGO_PKG_VERSION"));
                request
                    .headers_mut()
                    .insert(http::header::USER_AGENT, HeaderValue::from_static(agent));
            }
            let answer = async {
                let (head, body) = sender.send_request(request).await?.into_parts();
                let body = Limited::new(body, LARGEST).collect().await;
                let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
                Ok(Response::from_parts(head, body))
            };
            // The connection has no end of its own; the answer has.
            tokio::select! {
                answer = answer => answer,
                Err(error) = connection => Err(error),
            }
        };
        tokio::time::timeout(self.timeout, exchange)
            .await
            .map_err(|_| AskError::Late(self.timeout))?
            .map_err(AskError::Broken)
    }
}

const LARGEST: usize = 64 * 1024;
