//! The verifier POST (magento.md 3.2): guarded against reaching where it must not, bounded in time and size, and no
//! redirect is followed. The address that was checked is the one that is called.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::address::{self, AddressRefused, OwnAddresses};
use crate::config::AllowedCallback;
use crate::listen::connection::Stream;
use crate::refusal::form_encode;

/// How callbacks are called.
#[derive(Clone)]
pub struct Poster {
    /// For the whole call.
    pub timeout: Duration,
    /// Private addresses that may be called.
    pub allow: Vec<AllowedCallback>,
    /// TLS: the system's roots, or a configured authority besides.
    pub tls: Arc<rustls::ClientConfig>,
}

/// What a callback answered: any answer means that the message was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Its status.
    pub status: u16,
    /// The beginning of its body, for the tracker.
    pub excerpt: String,
}

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// The URL, or an address that its host has.
    #[error(transparent)]
    Refused(#[from] AddressRefused),
    /// The host has no address.
    #[error("the host can't be resolved")]
    Resolve(#[source] std::io::Error),
    /// No connection, or none that is trusted.
    #[error("can't connect")]
    Connect(#[source] std::io::Error),
    /// The exchange broke.
    #[error("the exchange broke")]
    Broken(#[source] hyper::Error),
    /// Too slow.
    #[error("no answer in time")]
    Timeout,
}

impl Poster {
    /// Posts a form.
    pub async fn post(&self, url: &str, form: &[(&str, &str)], own: &OwnAddresses) -> Result<Delivered, PostError> {
        match tokio::time::timeout(self.timeout, self.call(url, form, own)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(PostError::Timeout),
        }
    }

    async fn call(&self, url: &str, form: &[(&str, &str)], own: &OwnAddresses) -> Result<Delivered, PostError> {
        let parsed = url::Url::parse(url).map_err(|_| AddressRefused::NotAUrl)?;
        let host = parsed.host_str().ok_or(AddressRefused::NotAUrl)?.to_owned();
        let port = parsed.port_or_known_default().ok_or(AddressRefused::NotAUrl)?;
        let address = self.resolve(&host, port, own).await?;
        let tcp = TcpStream::connect(address).await.map_err(PostError::Connect)?;
        let stream = if parsed.scheme() == "https" {
            let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            let name = ServerName::try_from(bare).map_err(|error| PostError::Connect(std::io::Error::other(error)))?;
            let tls = TlsConnector::from(Arc::clone(&self.tls))
                .connect(name, tcp)
                .await
                .map_err(PostError::Connect)?;
            Stream::Tls(Box::new(tls.into()))
        } else {
            Stream::Plain(tcp)
        };
        let authority = match parsed.port() {
            Some(port) => format!("{host}:{port}"),
            None => host,
        };
        let target = match parsed.query() {
            Some(query) => format!("{}?{query}", parsed.path()),
            None => parsed.path().to_owned(),
        };
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(PostError::Broken)?;
        let exchange = async move {
            let response = sender
                .send_request(request(&target, &authority, form)?)
                .await
                .map_err(PostError::Broken)?;
            let status = response.status().as_u16();
            Ok(Delivered {
                status,
                excerpt: excerpt(response.into_body()).await,
            })
        };
        tokio::pin!(connection);
        tokio::pin!(exchange);
        // The connection is driven here, not in a task of its own: when the call ends, so does it.
        tokio::select! {
            biased;
            outcome = &mut exchange => outcome,
            ended = &mut connection => match ended {
                Ok(()) => exchange.await,
                Err(error) => Err(PostError::Broken(error)),
            },
        }
    }

    /// Every address that the host has must be one that may be called: nobody chooses between them by luck.
    async fn resolve(&self, host: &str, port: u16, own: &OwnAddresses) -> Result<SocketAddr, PostError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host((bare, port))
            .await
            .map_err(PostError::Resolve)?
            .take(MOST_ADDRESSES)
            .collect();
        for address in &addresses {
            address::check(*address, &self.allow, own)?;
        }
        let none = || PostError::Resolve(std::io::ErrorKind::NotFound.into());
        addresses.first().copied().ok_or_else(none)
    }
}

fn request(target: &str, authority: &str, form: &[(&str, &str)]) -> Result<Request<Full<Bytes>>, PostError> {
    let pairs: Vec<String> = form
        .iter()
        .map(|(name, value)| format!("{name}={}", form_encode(value)))
        .collect();
    let mut request = Request::new(Full::new(Bytes::from(pairs.join("&"))));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = target.parse().map_err(|_| AddressRefused::NotAUrl)?;
    let headers = request.headers_mut();
    headers.insert(
        HOST,
        HeaderValue::from_str(authority).map_err(|_| AddressRefused::NotAUrl)?,
    );
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!("countersign/", env!("CARGO_PKG_VERSION"))),
    );
    Ok(request)
}

/// The beginning of the answer. What comes after the bound, or breaks, is not waited for.
async fn excerpt(mut body: Incoming) -> String {
    let mut octets = Vec::new();
    while octets.len() < LONGEST_ANSWER {
        match body.frame().await {
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    octets.extend_from_slice(&data);
                }
            }
            Some(Err(_)) | None => break,
        }
    }
    octets.truncate(LONGEST_EXCERPT);
    String::from_utf8_lossy(&octets)
        .chars()
        .map(|one| if one.is_control() { ' ' } else { one })
        .collect()
}

const MOST_ADDRESSES: usize = 16;
const LONGEST_ANSWER: usize = 64 * 1024;
const LONGEST_EXCERPT: usize = 1024;
