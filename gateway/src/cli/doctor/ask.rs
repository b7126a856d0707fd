//! One small HTTP request, bounded in time and size.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;

use crate::config::UpstreamTarget;
use crate::upstream::connect::connect;

/// Where, how the certificate is verified, and for how long.
pub(super) struct Ask<'a> {
    pub(super) target: &'a UpstreamTarget,
    /// The name that a certificate must be for.
    pub(super) name: &'a str,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) connect_timeout: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("can't be reached: {0}")]
    Connect(io::Error),
    #[error("broke the exchange: {0}")]
    Broken(hyper::Error),
    #[error("took the connection, but did not answer within {} s", ANSWER.as_secs())]
    Late,
}

impl Ask<'_> {
    /// Its answer to a request without a body; of an answer's body as much as [`LARGEST`] is kept, or nothing.
    pub(super) async fn ask(&self, method: Method, path: &str, host: &str) -> Result<Response<Bytes>, AskError> {
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
        tokio::time::timeout(ANSWER, exchange)
            .await
            .map_err(|_| AskError::Late)?
            .map_err(AskError::Broken)
    }
}

const ANSWER: Duration = Duration::from_secs(5);
const LARGEST: usize = 64 * 1024;
