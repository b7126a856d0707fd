//! The demo integration: receives the verifier at its callback endpoint and performs the handshake, as a partner's server
//! would. It signs with a client library.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use oauth1_request::{Builder, Credentials, HMAC_SHA1};
use token_store::Secret;
use tokio::sync::watch;

use super::{Trouble, server};

/// The running integration.
pub(super) struct Partner {
    address: SocketAddr,
}

/// What the handshake gave it.
#[derive(Clone)]
pub(super) struct Tokens {
    pub(super) consumer_key: String,
    pub(super) consumer_secret: Secret,
    pub(super) token: String,
    pub(super) token_secret: Secret,
}

type Slot = watch::Sender<Option<Tokens>>;

/// The one integration of this process; its callback is a plain function of the request.
static RECEIVED: OnceLock<Arc<Slot>> = OnceLock::new();

fn received() -> Arc<Slot> {
    Arc::clone(RECEIVED.get_or_init(|| Arc::new(watch::Sender::new(None))))
}

impl Partner {
    pub(super) async fn start() -> std::io::Result<Self> {
        Ok(Self {
            address: server::start(SocketAddr::from(([127, 0, 0, 1], 0)), answer).await?,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Forgets what came before.
    pub(super) fn expect_handshake() {
        received().send_replace(None);
    }

    /// Waits for the handshake's end.
    pub(super) async fn tokens(most: Duration) -> Option<Tokens> {
        let mut slot = received().subscribe();
        let arrived = tokio::time::timeout(most, slot.wait_for(Option::is_some)).await;
        arrived.ok()?.ok()?.clone()
    }
}

/// `POST /callback`: answers at once and performs the handshake meanwhile.
async fn answer(request: Request<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    if request.method() != Method::POST || request.uri().path() != "/callback" {
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    }
    let form: Vec<(String, String)> = url::form_urlencoded::parse(request.body()).into_owned().collect();
    tokio::spawn(async move {
        match handshake(&form).await {
            Ok(tokens) => {
                received().send_replace(Some(tokens));
            }
            Err(error) => tracing::error!(error, "the demo integration's handshake failed"),
        }
    });
    response
}

async fn handshake(form: &[(String, String)]) -> Result<Tokens, String> {
    let field = |name: &str| {
        let found = form.iter().find(|(field, _)| field == name);
        found
            .map(|(_, value)| value.clone())
            .ok_or_else(|| format!("the verifier POST lacks {name}"))
    };
    let (key, secret) = (field("oauth_consumer_key")?, field("oauth_consumer_secret")?);
    let (base, verifier) = (field("store_base_url")?, field("oauth_verifier")?);
    let consumer = Credentials::new(key.as_str(), secret.as_str());
    let mut last = String::new();
    for _ in 0..TRIES {
        let uri = format!("{base}oauth/token/request");
        let mut builder = Builder::<_, _, &str>::new(consumer, HMAC_SHA1);
        let signed = builder.callback("oob").post(&uri, &());
        match token_call(&uri, &signed).await {
            Ok((token, token_secret)) => {
                let uri = format!("{base}oauth/token/access");
                let mut builder = Builder::new(consumer, HMAC_SHA1);
                let requested = Credentials::new(token.as_str(), token_secret.as_str());
                let signed = builder.token(requested).verifier(verifier.as_str()).post(&uri, &());
                let (token, token_secret) = token_call(&uri, &signed).await.map_err(|error| error.to_string())?;
                let (consumer_secret, token_secret) = (Secret::new(secret), Secret::new(token_secret));
                return Ok(Tokens {
                    consumer_key: key,
                    consumer_secret,
                    token,
                    token_secret,
                });
            }
            // A store that has just been made can't tell this second from its past: sign again.
            Err(error) => last = error.to_string(),
        }
        tokio::time::sleep(AGAIN).await;
    }
    Err(last)
}

async fn token_call(uri: &str, authorization: &str) -> Result<(String, String), Trouble> {
    let uri: http::Uri = uri.parse()?;
    let address: SocketAddr = uri.authority().ok_or("no authority")?.as_str().parse()?;
    let mut request = Request::new(Full::new(Bytes::new()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri.path().parse()?;
    request
        .headers_mut()
        .insert(AUTHORIZATION, HeaderValue::from_str(authorization)?);
    let (status, body) = server::call(address, request).await?;
    if status != 200 {
        return Err(format!("{status} {body}").into());
    }
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let field = |name: &str| {
        pairs
            .iter()
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.clone())
    };
    field("oauth_token")
        .zip(field("oauth_token_secret"))
        .ok_or_else(|| format!("no token in {body}").into())
}

const TRIES: usize = 5;
const AGAIN: Duration = Duration::from_millis(600);
