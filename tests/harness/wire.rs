//! HTTP/1.1 on the wire, as plainly as it goes: heads and bodies, both ways. No library of the gateway's.

use std::io;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, BufReader};

/// A socket, plain or TLS.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A buffered socket.
pub(crate) type Wire = BufReader<Box<dyn Stream>>;

/// First line and header lines; octets past ASCII as Latin-1.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    pub(crate) first: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    /// The first header of that name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Response {
    /// `200`
    pub status: u16,
    /// As they came, names as sent.
    pub headers: Vec<(String, String)>,
    /// Unchunked.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; panics when it isn't.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    /// A member of the JSON body, as text.
    pub fn field(&self, name: &str) -> String {
        match self.json().get(name) {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => panic!("no {name} in {}", self.text()),
        }
    }

    /// A field of the form-encoded body.
    pub fn form(&self, name: &str) -> String {
        let fields = crate::sign::pairs_of_form(&self.text());
        let found = fields.into_iter().find(|(field, _)| field == name);
        found.map_or_else(|| panic!("no {name} in {}", self.text()), |(_, value)| value)
    }

    /// The cause of a refusal: from the challenge of a 401, else from problem+json; empty when neither says it.
    pub fn cause(&self) -> String {
        let challenge = self.header("www-authenticate").unwrap_or_default();
        if let Some((_, rest)) = challenge.split_once("oauth_problem=\"") {
            return rest.split('"').next().unwrap_or_default().to_owned();
        }
        if self.header("content-type") == Some("application/problem+json") {
            return self.field("cause");
        }
        String::new()
    }

    /// Status and cause.
    pub fn refusal(&self) -> Refusal {
        Refusal {
            status: self.status,
            cause: self.cause(),
        }
    }
}

/// Status and cause of a refusal, to be compared with `(401, "nonce_used")`.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// `401`
    pub status: u16,
    /// The word; empty where the response told none.
    pub cause: String,
}

impl PartialEq<(u16, &str)> for Refusal {
    fn eq(&self, (status, cause): &(u16, &str)) -> bool {
        self.status == *status && self.cause == *cause
    }
}

/// Reads a head; `None`: the other end closed before its first octet.
pub(crate) async fn read_head(wire: &mut Wire) -> io::Result<Option<Head>> {
    let mut lines = Vec::new();
    loop {
        let mut line = Vec::new();
        if wire.read_until(b'\n', &mut line).await? == 0 {
            return if lines.is_empty() {
                Ok(None)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
        let text: String = line.iter().map(|octet| char::from(*octet)).collect();
        let text = text.trim_end_matches(['\r', '\n']).to_owned();
        if text.is_empty() {
            break;
        }
        lines.push(text);
    }
    let mut lines = lines.into_iter();
    let first = lines.next().unwrap_or_default();
    let field = |line: String| {
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        (name.to_owned(), value.trim().to_owned())
    };
    Ok(Some(Head {
        first,
        headers: lines.map(field).collect(),
    }))
}

/// Reads a body as its head frames it. `to_the_end`: without framing it lasts until the other end closes.
pub(crate) async fn read_body(wire: &mut Wire, head: &Head, to_the_end: bool) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if head
        .header("transfer-encoding")
        .is_some_and(|value| value.contains("chunked"))
    {
        loop {
            let mut line = String::new();
            wire.read_line(&mut line).await?;
            let digits = line.trim().split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(digits, 16).map_err(|_| io::Error::other(format!("chunk {line:?}")))?;
            let mut chunk = vec![0; size];
            wire.read_exact(&mut chunk).await?;
            body.extend(chunk);
            // The line end of the chunk; after the last one, trailers and the empty line.
            let mut end = String::new();
            wire.read_line(&mut end).await?;
            while size == 0 && !end.trim().is_empty() {
                end.clear();
                wire.read_line(&mut end).await?;
            }
            if size == 0 {
                return Ok(body);
            }
        }
    }
    if let Some(length) = head.header("content-length") {
        body.resize(length.parse().map_err(io::Error::other)?, 0);
        wire.read_exact(&mut body).await?;
    } else if to_the_end {
        wire.read_to_end(&mut body).await?;
    }
    Ok(body)
}

/// Reads a response to `method`; informational ones are passed over.
pub(crate) async fn read_response(wire: &mut Wire, method: &str) -> io::Result<Response> {
    loop {
        let head = read_head(wire).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let status: u16 = head
            .first
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .ok_or_else(|| io::Error::other(format!("not a status line: {:?}", head.first)))?;
        if (100..200).contains(&status) && status != 101 {
            continue;
        }
        let has_body = method != "HEAD" && !matches!(status, 101 | 204 | 304);
        let body = if has_body {
            read_body(wire, &head, true).await?
        } else {
            Vec::new()
        };
        return Ok(Response {
            status,
            headers: head.headers,
            body,
        });
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}
