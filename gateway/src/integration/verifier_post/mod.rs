//! The verifier POST (magento.md 3.2) and what else is posted to partners: guarded against reaching where it must not, bounded in time and size, and no
//! redirect is followed. The address that was checked is the one that is called.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderName, HeaderValue, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::address::{self, AddressRefused, OwnAddresses};
use crate::config::AllowedCallback;
use crate::listen::Stream;
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

/// What is posted.
#[derive(Clone, Debug)]
pub struct Message {
    /// `Content-Type`
    pub content_type: HeaderValue,
    /// Besides it.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: Bytes,
}

/// What a callback answered: any answer means that the message was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Who answered.
    pub address: SocketAddr,
    /// Its status.
    pub status: u16,
    /// The beginning of its body, for the tracker; control characters are blanks, and what was posted in confidence is not
    /// shown where the other side repeats it.
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

/// What came of the answer so far.
struct Answer {
    address: SocketAddr,
    status: u16,
    octets: Vec<u8>,
}

impl Poster {
    /// Posts a form. Once the status is there the form is delivered, whatever becomes of the rest of the answer.
    pub async fn post(&self, url: &str, form: &[(&str, &str)], own: &OwnAddresses) -> Result<Delivered, PostError> {
        let secrets = form.iter().filter(|(name, _)| SECRETS.contains(name));
        let secrets: Vec<&str> = secrets.map(|(_, value)| *value).collect();
        self.deliver(url, Message::form(form), own, &secrets).await
    }

    /// Posts anything, in the same way.
    pub async fn send(&self, url: &str, message: Message, own: &OwnAddresses) -> Result<Delivered, PostError> {
        self.deliver(url, message, own, &[]).await
    }

    async fn deliver(
        &self,
        url: &str,
        message: Message,
        own: &OwnAddresses,
        secrets: &[&str],
    ) -> Result<Delivered, PostError> {
        let mut answer = None;
        let outcome = tokio::time::timeout(self.timeout, self.call(url, message, own, &mut answer)).await;
        match (answer, outcome) {
            (Some(answer), _) => Ok(answer.delivered(secrets)),
            (None, Ok(Err(error))) => Err(error),
            (None, Ok(Ok(())) | Err(_)) => Err(PostError::Timeout),
        }
    }

    async fn call(
        &self,
        url: &str,
        message: Message,
        own: &OwnAddresses,
        answer: &mut Option<Answer>,
    ) -> Result<(), PostError> {
        let place = Place::of(url)?;
        let tcp = self.connect(&place, &own.resolved().await).await?;
        let address = tcp.peer_addr().map_err(PostError::Connect)?;
        let stream = self.secure(&place, tcp).await?;
        let request = request(&place, message)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(PostError::Broken)?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(PostError::Broken)?;
            let answer = answer.insert(Answer {
                address,
                status: response.status().as_u16(),
                octets: Vec::new(),
            });
            answer.read(response.into_body()).await;
            Ok(())
        };
        tokio::pin!(connection);
        tokio::pin!(exchange);
        // The connection is driven here, not in a task of its own: when the call ends, so does it.
        tokio::select! {
            biased;
            outcome = &mut exchange => outcome,
            // It may have ended with the answer: what was read of that is still to be had.
            ended = &mut connection => match (exchange.await, ended) {
                (Ok(()), _) => Ok(()),
                (Err(_), Err(error)) => Err(PostError::Broken(error)),
                (Err(error), Ok(())) => Err(error),
            },
        }
    }

    /// Every address that the host has must be one that may be called: nobody chooses between them by luck. Then they are
    /// tried in turn, each for its share of the time.
    async fn connect(&self, place: &Place, own: &OwnAddresses) -> Result<TcpStream, PostError> {
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host((place.bare_host(), place.port))
            .await
            .map_err(PostError::Resolve)?
            .take(MOST_ADDRESSES)
            .collect();
        for address in &addresses {
            address::check(*address, &self.allow, own)?;
        }
        let share = self.timeout / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
        let mut outcome = Err(PostError::Resolve(std::io::ErrorKind::NotFound.into()));
        for address in addresses {
            outcome = match tokio::time::timeout(share, TcpStream::connect(address)).await {
                Ok(connected) => connected.map_err(PostError::Connect),
                Err(_) => Err(PostError::Timeout),
            };
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    async fn secure(&self, place: &Place, tcp: TcpStream) -> Result<Stream, PostError> {
        if !place.tls {
            return Ok(Stream::Plain(tcp));
        }
        let name = ServerName::try_from(place.bare_host().to_owned());
        let name = name.map_err(|error| PostError::Connect(std::io::Error::other(error)))?;
        let tls = TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp).await;
        Ok(Stream::Tls(Box::new(tls.map_err(PostError::Connect)?.into())))
    }
}

impl Answer {
    /// The beginning of the body. What comes after the bound, or breaks, is not waited for.
    async fn read(&mut self, mut body: Incoming) {
        while self.octets.len() < LONGEST_ANSWER {
            let Some(Ok(frame)) = body.frame().await else { break };
            if let Ok(data) = frame.into_data() {
                let room = LONGEST_ANSWER - self.octets.len();
                self.octets.extend(data.iter().take(room));
            }
        }
    }

    fn delivered(self, secrets: &[&str]) -> Delivered {
        let mut text = String::from_utf8_lossy(&self.octets).into_owned();
        for secret in secrets {
            text = without(&text, secret);
        }
        let mut end = LONGEST_EXCERPT.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        Delivered {
            address: self.address,
            status: self.status,
            excerpt: text
                .chars()
                .map(|one| if one.is_control() { ' ' } else { one })
                .collect(),
        }
    }
}

/// A text without a secret, also where it broke off in the middle of one.
fn without(text: &str, secret: &str) -> String {
    if secret.is_empty() {
        return text.to_owned();
    }
    let mut text = text.replace(secret, MASK);
    let begun = (SHORTEST_PART..secret.len()).rev();
    let begun = begun
        .filter_map(|end| secret.get(..end))
        .find(|part| text.ends_with(part));
    if let Some(begun) = begun {
        text.truncate(text.len() - begun.len());
        text.push_str(MASK);
    }
    text
}

/// A URL, taken apart.
struct Place {
    tls: bool,
    /// An IPv6 address in its brackets.
    host: String,
    port: u16,
    /// As the `Host` header says it.
    authority: String,
    target: String,
}

impl Place {
    fn of(url: &str) -> Result<Self, AddressRefused> {
        let parsed = url::Url::parse(url).map_err(|_| AddressRefused::NotAUrl)?;
        let tls = match parsed.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(AddressRefused::NotAUrl),
        };
        let host = parsed.host_str().ok_or(AddressRefused::NotAUrl)?.to_owned();
        Ok(Self {
            tls,
            port: parsed.port_or_known_default().ok_or(AddressRefused::NotAUrl)?,
            authority: match parsed.port() {
                Some(port) => format!("{host}:{port}"),
                None => host.clone(),
            },
            target: match parsed.query() {
                Some(query) => format!("{}?{query}", parsed.path()),
                None => parsed.path().to_owned(),
            },
            host,
        })
    }

    fn bare_host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }
}

impl Message {
    fn form(form: &[(&str, &str)]) -> Self {
        let pairs: Vec<String> = form
            .iter()
            .map(|(name, value)| format!("{name}={}", form_encode(value)))
            .collect();
        Self {
            content_type: HeaderValue::from_static("application/x-www-form-urlencoded"),
            headers: Vec::new(),
            body: Bytes::from(pairs.join("&")),
        }
    }
}

fn request(place: &Place, message: Message) -> Result<Request<Full<Bytes>>, PostError> {
    let mut request = Request::new(Full::new(message.body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = place.target.parse().map_err(|_| AddressRefused::NotAUrl)?;
    let headers = request.headers_mut();
    headers.insert(
        HOST,
        HeaderValue::from_str(&place.authority).map_err(|_| AddressRefused::NotAUrl)?,
    );
    headers.insert(CONTENT_TYPE, message.content_type);
    headers.extend(message.headers);
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!("countersign/", env!("CARGO_PKG_VERSION"))),
    );
    Ok(request)
}

const MOST_ADDRESSES: usize = 16;
const LONGEST_ANSWER: usize = 64 * 1024;
const LONGEST_EXCERPT: usize = 1024;
/// Fields of the form that nobody but the integration may learn.
const SECRETS: [&str; 2] = ["oauth_consumer_secret", "oauth_verifier"];
const MASK: &str = "***";
/// Octets of a secret that an answer breaks off in, and that tell something of it.
const SHORTEST_PART: usize = 4;

#[cfg(test)]
mod tests;
