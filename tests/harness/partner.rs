//! A partner's callback endpoint: receives the verifier POST, behaves as it is told, and can make the handshake.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::call::Call;
use crate::gateway::Gateway;
use crate::sign::{Credentials, Signing, pairs_of_form};
use crate::wait::{background, eventually};
use crate::wire::{Response, Wire, read_body, read_head};

/// A running callback server; each integration gets an endpoint of its own on it.
#[derive(Clone)]
pub struct Partner {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    posts: Mutex<Vec<(String, Posted)>>,
    answers: Mutex<Vec<(String, PartnerAnswer)>>,
    endpoints: AtomicUsize,
}

/// A verifier POST as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    /// Header lines.
    pub headers: Vec<(String, String)>,
    /// All fields, in their order, where it is a form.
    pub fields: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Posted {
    /// A field; panics where there is none.
    pub fn field(&self, name: &str) -> &str {
        let found = self.fields.iter().find(|(field, _)| field == name);
        found.map_or_else(|| panic!("the POST lacks {name}"), |(_, value)| value.as_str())
    }
}

/// How the partner answers the POST.
#[derive(Clone, Debug)]
pub enum PartnerAnswer {
    /// That status, an empty body.
    Status(u16),
    /// A redirect.
    Redirect(String),
    /// 200 after a while.
    Late(Duration),
    /// Nothing at all.
    Never,
    /// Closes without an answer.
    Close,
    /// Status 200, then a body without an end.
    Endless,
    /// Performs the whole handshake toward this public listener first, then answers 200.
    HandshakeFirst(SocketAddr, String),
}

impl Partner {
    /// Starts one on a free port.
    pub async fn start() -> Self {
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let listening = background().spawn(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            background().spawn(async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    background().spawn(serve(stream, Arc::clone(&shared)));
                }
            });
            address
        });
        Self {
            address: listening.await.unwrap(),
            state,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// An endpoint that nobody else has.
    pub fn endpoint(&self) -> String {
        let number = self.state.endpoints.fetch_add(1, Ordering::Relaxed);
        format!("http://{}/callback/{number}/", self.address)
    }

    /// From now on, how POSTs to an endpoint are answered.
    pub fn answers(&self, endpoint: &str, answer: PartnerAnswer) {
        let mut answers = self.state.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(0, (endpoint.to_owned(), answer));
    }

    /// All POSTs to an endpoint so far.
    pub fn posts(&self, endpoint: &str) -> Vec<Posted> {
        let posts = self.state.posts.lock().unwrap_or_else(PoisonError::into_inner);
        let here = posts.iter().filter(|(target, _)| endpoint.ends_with(target.as_str()));
        here.map(|(_, posted)| posted.clone()).collect()
    }

    /// The latest POST to an endpoint, which may still be on its way.
    pub async fn posted(&self, endpoint: &str) -> Posted {
        eventually("a verifier POST", async || self.posts(endpoint).pop()).await
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) {
    let mut wire: Wire = BufReader::new(Box::new(stream));
    let Ok(Some(head)) = read_head(&mut wire).await else {
        return;
    };
    let Ok(body) = read_body(&mut wire, &head, false).await else {
        return;
    };
    let target = head.first.split(' ').nth(1).unwrap_or_default().to_owned();
    let body = String::from_utf8_lossy(&body).into_owned();
    let posted = Posted {
        headers: head.headers,
        fields: pairs_of_form(&body),
        body,
    };
    let answer = {
        let answers = state.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let told = answers.iter().find(|(endpoint, _)| endpoint.ends_with(target.as_str()));
        told.map_or(PartnerAnswer::Status(200), |(_, answer)| answer.clone())
    };
    state
        .posts
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push((target, posted.clone()));
    give(&mut wire, answer, &posted).await;
}

async fn give(wire: &mut Wire, answer: PartnerAnswer, posted: &Posted) {
    let whole = |status: u16, more: &str| {
        format!("HTTP/1.1 {status} Answer\r\n{more}Content-Length: 0\r\nConnection: close\r\n\r\n")
    };
    let text = match answer {
        PartnerAnswer::Status(status) => whole(status, ""),
        PartnerAnswer::Redirect(to) => whole(302, &format!("Location: {to}\r\n")),
        PartnerAnswer::Late(pause) => {
            tokio::time::sleep(pause).await;
            whole(200, "")
        }
        PartnerAnswer::Never => {
            tokio::time::sleep(Duration::from_secs(120)).await;
            return;
        }
        PartnerAnswer::Close => return,
        PartnerAnswer::Endless => {
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n";
            let mut sent = wire.write_all(head.as_bytes()).await;
            let piece = vec![b'x'; 65_536];
            while sent.is_ok() {
                sent = wire.write_all(&piece).await;
            }
            return;
        }
        PartnerAnswer::HandshakeFirst(address, base_url) => {
            let handshake = Handshake::of(posted, address, &base_url);
            let finished = handshake.finish().await;
            whole(if finished.token.is_some() { 200 } else { 500 }, "")
        }
    };
    // The other end may have gone: its matter.
    let _sent: std::io::Result<()> = wire.write_all(text.as_bytes()).await;
}

/// The partner's side of the exchange, with what was posted.
#[derive(Clone)]
pub struct Handshake {
    /// Key and secret.
    pub consumer: Credentials,
    /// `oauth_verifier`
    pub verifier: String,
    address: SocketAddr,
    base_url: String,
}

impl Handshake {
    /// Toward a gateway.
    pub fn with(posted: &Posted, gateway: &Gateway) -> Self {
        Self::of(posted, gateway.public(), gateway.base_url())
    }

    fn of(posted: &Posted, address: SocketAddr, base_url: &str) -> Self {
        Self {
            consumer: Credentials::consumer(
                posted.field("oauth_consumer_key"),
                posted.field("oauth_consumer_secret"),
            ),
            verifier: posted.field("oauth_verifier").to_owned(),
            address,
            base_url: base_url.to_owned(),
        }
    }

    /// With a consumer that was made by hand and so never posted.
    pub fn of_consumer(consumer: &Credentials, gateway: &Gateway) -> Self {
        Self {
            consumer: consumer.clone(),
            verifier: String::new(),
            address: gateway.public(),
            base_url: gateway.base_url().to_owned(),
        }
    }

    /// The same toward another gateway; what is signed stays.
    #[must_use]
    pub fn at(mut self, gateway: &Gateway) -> Self {
        self.address = gateway.public();
        self
    }

    /// How a request for a request token is signed.
    pub fn request_signing(&self) -> Signing {
        Signing::with(&self.consumer)
    }

    /// How a request for an access token is signed.
    pub fn access_signing(&self, request_token: &Credentials) -> Signing {
        Signing::with(request_token).set("oauth_verifier", &self.verifier)
    }

    /// `POST /oauth/token/request`, signed in a way of its own.
    pub async fn ask_request_token(&self, signing: Signing) -> Response {
        self.post("/oauth/token/request", signing).await
    }

    /// `POST /oauth/token/access`, signed in a way of its own.
    pub async fn ask_access_token(&self, signing: Signing) -> Response {
        self.post("/oauth/token/access", signing).await
    }

    /// The request token; panics where it is refused.
    pub async fn request_token(&self) -> Credentials {
        self.pair(&self.ask_request_token(self.request_signing()).await)
    }

    /// The access token; panics where it is refused.
    pub async fn access_token(&self, request_token: &Credentials) -> Credentials {
        self.pair(&self.ask_access_token(self.access_signing(request_token)).await)
    }

    /// Both steps.
    pub async fn finish(&self) -> Credentials {
        self.access_token(&self.request_token().await).await
    }

    /// The credentials that an answer carries.
    pub fn pair(&self, answer: &Response) -> Credentials {
        assert_eq!(answer.status, 200, "{}", answer.text());
        self.consumer
            .with_token(&answer.form("oauth_token"), &answer.form("oauth_token_secret"))
    }

    async fn post(&self, path: &str, signing: Signing) -> Response {
        Call::post(path)
            .signed(signing)
            .to_address(self.address, &self.base_url)
            .send()
            .await
    }
}
