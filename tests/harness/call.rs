//! Calls over raw sockets: what is sent is exactly what the test says.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::gateway::Gateway;
use crate::sign::{Credentials, Placement, Signing, percent_encode};
use crate::wait::DEADLINE;
use crate::wire::{Refusal, Response, Stream, Wire, read_response};

/// A call, to be signed when it is known where it goes.
#[derive(Clone)]
pub struct Call {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    signing: Option<Signing>,
}

impl Call {
    /// Any method and raw target.
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            signing: None,
        }
    }

    /// `GET`
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// `POST`, without a body so far.
    pub fn post(target: &str) -> Self {
        Self::new("POST", target)
    }

    /// One more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A body of that media type.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self.header("Content-Type", content_type)
    }

    /// A JSON body.
    #[must_use]
    pub fn json(self, body: &serde_json::Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// A form body, already encoded.
    #[must_use]
    pub fn form(self, encoded: &str) -> Self {
        self.body(FORM, encoded)
    }

    /// A refusal's cause is wanted in the body, for statuses other than 401.
    #[must_use]
    pub fn asking_for_the_cause(self) -> Self {
        self.header("Accept", "application/problem+json")
    }

    /// Signed as the RFC says.
    #[must_use]
    pub fn signed_by(self, credentials: &Credentials) -> Self {
        self.signed(Signing::with(credentials))
    }

    /// Signed in a way of its own.
    #[must_use]
    pub fn signed(mut self, signing: Signing) -> Self {
        self.signing = Some(signing);
        self
    }

    /// The octets toward a gateway's public listener.
    pub fn to(&self, gateway: &Gateway) -> Message {
        self.to_address(gateway.public(), gateway.base_url())
    }

    /// Sends it to a gateway's public listener.
    pub async fn send(&self, gateway: &Gateway) -> Response {
        self.to(gateway).send().await
    }

    /// Sends it to a gateway, which refuses: how.
    pub async fn refusal(&self, gateway: &Gateway) -> Refusal {
        self.clone().asking_for_the_cause().send(gateway).await.refusal()
    }

    /// The octets toward an address where clients sign `base_url`.
    pub fn to_address(&self, address: SocketAddr, base_url: &str) -> Message {
        let mut message = Message {
            address,
            tls: None,
            method: self.method.clone(),
            target: self.target.clone(),
            version: "HTTP/1.1".to_owned(),
            headers: Vec::new(),
            body: self.body.clone(),
        };
        let authority = base_url.split_once("://").map_or(base_url, |(_, rest)| rest);
        let authority = authority.split('/').next().unwrap_or_default();
        message.headers.push(("Host".to_owned(), authority.to_owned()));
        message.headers.extend(self.headers.clone());
        if let Some(signing) = &self.signing {
            self.sign(signing, base_url, &mut message);
        }
        if !message.body.is_empty() || ["POST", "PUT", "PATCH"].contains(&self.method.as_str()) {
            message
                .headers
                .push(("Content-Length".to_owned(), message.body.len().to_string()));
        }
        message
    }

    fn sign(&self, signing: &Signing, base_url: &str, message: &mut Message) {
        let is_form = self
            .headers
            .iter()
            .any(|(name, value)| name == "Content-Type" && value.starts_with(FORM));
        let form = if is_form {
            String::from_utf8_lossy(&self.body).into_owned()
        } else {
            String::new()
        };
        let parameters = signing.parameters(&self.method, &format!("{base_url}{}", self.target), &form);
        let pair = |(name, value): &(String, String)| format!("{}={}", percent_encode(name), percent_encode(value));
        let encoded = parameters.iter().map(pair).collect::<Vec<_>>().join("&");
        match signing.placement {
            Placement::Header => {
                message
                    .headers
                    .push(("Authorization".to_owned(), signing.header(&parameters)));
            }
            Placement::Query => {
                let joint = if message.target.contains('?') { '&' } else { '?' };
                message.target = format!("{}{joint}{encoded}", message.target);
            }
            Placement::Form => {
                let joint = if message.body.is_empty() { "" } else { "&" };
                message.body.extend(format!("{joint}{encoded}").bytes());
                if !is_form {
                    message.headers.push(("Content-Type".to_owned(), FORM.to_owned()));
                }
            }
        }
    }
}

/// A request as it goes over the wire. Sending it twice sends the same octets twice.
#[derive(Clone)]
pub struct Message {
    /// Where to.
    pub address: SocketAddr,
    /// TLS toward that name.
    pub tls: Option<(Arc<ClientConfig>, String)>,
    /// `GET`
    pub method: String,
    /// As it stands on the request line.
    pub target: String,
    /// `HTTP/1.1`
    pub version: String,
    /// All of them, `Host` and `Content-Length` too, in their order.
    pub headers: Vec<(String, String)>,
    /// Its octets.
    pub body: Vec<u8>,
}

impl Message {
    /// A header's value; panics where there is none.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map_or_else(|| panic!("no {name}"), |(_, value)| value.as_str())
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with another value of a header.
    #[must_use]
    pub fn with_changed_header(mut self, name: &str, change: impl Fn(&str) -> String) -> Self {
        for (field, value) in &mut self.headers {
            if field.eq_ignore_ascii_case(name) {
                *value = change(value);
            }
        }
        self
    }

    /// The same without a header.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Self {
        self.headers.retain(|(field, _)| !field.eq_ignore_ascii_case(name));
        self
    }

    /// The same with another target.
    #[must_use]
    pub fn with_target(mut self, target: &str) -> Self {
        target.clone_into(&mut self.target);
        self
    }

    /// The same with another method.
    #[must_use]
    pub fn with_method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    /// The same with another body, its length declared.
    #[must_use]
    pub fn with_body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        let length = self.body.len().to_string();
        self.without_header("Content-Length")
            .with_header("Content-Length", &length)
    }

    /// The same to another gateway; what was signed stays.
    #[must_use]
    pub fn at(mut self, gateway: &Gateway) -> Self {
        self.address = gateway.public();
        self
    }

    /// The same over TLS.
    #[must_use]
    pub fn over_tls(mut self, config: &Arc<ClientConfig>, name: &str) -> Self {
        self.tls = Some((Arc::clone(config), name.to_owned()));
        self
    }

    /// All octets. Header values are Latin-1, so that any octet can be sent.
    pub fn octets(&self) -> Vec<u8> {
        let latin1 = |text: &str| -> Vec<u8> {
            let octet = |character: char| u8::try_from(u32::from(character));
            text.chars()
                .flat_map(|one| octet(one).map_or_else(|_| one.to_string().into_bytes(), |octet| vec![octet]))
                .collect()
        };
        let mut octets = format!("{} {} {}\r\n", self.method, self.target, self.version).into_bytes();
        for (name, value) in &self.headers {
            octets.extend(latin1(&format!("{name}: {value}\r\n")));
        }
        octets.extend(b"\r\n");
        octets.extend(&self.body);
        octets
    }

    /// Sends it on a connection of its own; panics where no answer comes.
    pub async fn send(&self) -> Response {
        match self.try_send().await {
            Ok(response) => response,
            Err(error) => panic!("{} {}: {error}", self.method, self.target),
        }
    }

    /// Sends it on a connection of its own.
    pub async fn try_send(&self) -> io::Result<Response> {
        let mut connection = self.connect().await?;
        connection.write(&self.octets()).await?;
        connection.response(&self.method).await
    }

    /// Sends it, to be refused: how.
    pub async fn refusal(&self) -> Refusal {
        self.clone()
            .with_header("Accept", "application/problem+json")
            .send()
            .await
            .refusal()
    }

    /// A connection to where it goes.
    pub async fn connect(&self) -> io::Result<Connection> {
        match &self.tls {
            None => Connection::open(self.address).await,
            Some((config, name)) => Connection::open_tls(self.address, config, name).await,
        }
    }
}

/// A raw connection.
pub struct Connection {
    wire: Wire,
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self::of(Box::new(stream)))
    }

    /// Connects and shakes hands.
    pub async fn open_tls(address: SocketAddr, config: &Arc<ClientConfig>, name: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await?;
        Ok(Self::of(Box::new(stream)))
    }

    fn of(stream: Box<dyn Stream>) -> Self {
        Self {
            wire: BufReader::new(stream),
        }
    }

    /// Sends octets.
    pub async fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.wire.write_all(octets).await?;
        self.wire.flush().await
    }

    /// Says that nothing more comes.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.wire.shutdown().await
    }

    /// The next response, which answers `method`.
    pub async fn response(&mut self, method: &str) -> io::Result<Response> {
        let response = tokio::time::timeout(DEADLINE, read_response(&mut self.wire, method)).await;
        response.map_err(|_| io::Error::other("no whole answer in time"))?
    }

    /// Some octets of what came, none at the end.
    pub async fn read(&mut self) -> io::Result<Vec<u8>> {
        use tokio::io::AsyncReadExt as _;
        let mut octets = vec![0; 65_536];
        let read = tokio::time::timeout(DEADLINE, self.wire.read(&mut octets)).await;
        octets.truncate(read.map_err(|_| io::Error::other("nothing came in time"))??);
        Ok(octets)
    }

    /// Whether the other end closes within the deadline; what it says before that is passed over.
    pub async fn closes(&mut self) -> bool {
        loop {
            match self.read().await {
                Ok(octets) if octets.is_empty() => return true,
                Ok(_) => {}
                Err(error) => return error.kind() != io::ErrorKind::Other,
            }
        }
    }
}

const FORM: &str = "application/x-www-form-urlencoded";
