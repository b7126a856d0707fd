//! The storefront's double: records every request as it came over the wire, and answers as it is told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::wait::background;
use crate::wire::{Head, Wire, read_body, read_head};

/// A running upstream.
#[derive(Clone)]
pub struct Upstream {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    seen: Mutex<Vec<Seen>>,
    answers: Mutex<Vec<(String, Answer)>>,
    open: AtomicUsize,
    most_open: AtomicUsize,
}

/// A request that reached upstream.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `GET`
    pub method: String,
    /// As it stood on the request line.
    pub target: String,
    /// In their order, names as sent.
    pub headers: Vec<(String, String)>,
    /// Unchunked.
    pub body: Vec<u8>,
}

impl Seen {
    /// All values of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self
            .headers
            .iter()
            .filter(|(field, _)| field.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The one value of a header; `None` where there is none; panics where there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        match self.all(name).as_slice() {
            [] => None,
            [one] => Some(one),
            several => panic!("{name} came {} times: {several:?}", several.len()),
        }
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// How upstream answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// 200 and what came, as JSON.
    Echo,
    /// That status and body.
    Status(u16, &'static str),
    /// Echo, after a while.
    Late(Duration),
    /// Nothing, while the connection lasts.
    Never,
    /// Closes without an answer.
    Close,
    /// These octets and nothing else, then closes. A whole answer must say so with `Connection: close`: without it the gateway
    /// may send its next request, anybody's, into the end.
    Raw(Vec<u8>),
    /// A chunked body: each piece after a pause.
    Stream {
        /// What is sent.
        piece: &'static str,
        /// How often.
        times: usize,
        /// Before each.
        pause: Duration,
    },
}

impl Upstream {
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
                    let state = Arc::clone(&shared);
                    background().spawn(async move {
                        let open = state.open.fetch_add(1, Ordering::Relaxed) + 1;
                        state.most_open.fetch_max(open, Ordering::Relaxed);
                        serve(stream, Arc::clone(&state)).await;
                        state.open.fetch_sub(1, Ordering::Relaxed);
                    });
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

    /// From now on, how requests are answered whose target contains `mark`.
    pub fn answers(&self, mark: &str, answer: Answer) {
        let mut answers = self.state.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(0, (mark.to_owned(), answer));
    }

    /// All requests so far whose target contains `mark`.
    pub fn seen(&self, mark: &str) -> Vec<Seen> {
        let seen = self.state.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().filter(|one| one.target.contains(mark)).cloned().collect()
    }

    /// How many there were.
    pub fn count(&self, mark: &str) -> usize {
        self.seen(mark).len()
    }

    /// How many connections were open at once, at most.
    pub fn most_open(&self) -> usize {
        self.state.most_open.load(Ordering::Relaxed)
    }

    /// The only one; panics where there is none or are several.
    pub fn only(&self, mark: &str) -> Seen {
        let mut seen = self.seen(mark);
        assert_eq!(seen.len(), 1, "requests for {mark}");
        seen.remove(0)
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) {
    let mut wire: Wire = BufReader::new(Box::new(stream));
    while let Ok(Some(head)) = read_head(&mut wire).await {
        let mut first = head.first.split(' ');
        let (method, target) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
        let (method, target) = (method.to_owned(), target.to_owned());
        if head.header("expect").is_some() && wire.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_err() {
            return;
        }
        let Ok(body) = read_body(&mut wire, &head, false).await else {
            return;
        };
        let seen = Seen {
            method,
            target,
            headers: head.headers.clone(),
            body,
        };
        let answer = {
            let answers = state.answers.lock().unwrap_or_else(PoisonError::into_inner);
            let told = answers.iter().find(|(mark, _)| seen.target.contains(mark.as_str()));
            told.map_or(Answer::Echo, |(_, answer)| answer.clone())
        };
        state
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(seen.clone());
        if !give(&mut wire, &head, &seen, answer).await {
            return;
        }
    }
}

/// Whether the connection can go on.
async fn give(wire: &mut Wire, head: &Head, seen: &Seen, answer: Answer) -> bool {
    let octets = match answer {
        Answer::Echo => whole(200, &echo(seen), head),
        Answer::Status(status, body) => whole(status, body, head),
        Answer::Late(pause) => {
            tokio::time::sleep(pause).await;
            whole(200, &echo(seen), head)
        }
        Answer::Never => {
            // Until the other end gives up.
            let mut sink = [0; 1];
            let _gone: Result<usize, std::io::Error> = wire.read(&mut sink).await;
            return false;
        }
        Answer::Close => return false,
        Answer::Raw(octets) => {
            let sent = wire.write_all(&octets).await;
            return sent.is_ok() && wire.shutdown().await.is_err();
        }
        Answer::Stream { piece, times, pause } => return stream(wire, piece, times, pause).await,
    };
    wire.write_all(&octets).await.is_ok()
}

async fn stream(wire: &mut Wire, piece: &str, times: usize, pause: Duration) -> bool {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut sent = wire.write_all(head.as_bytes()).await;
    for _ in 0..times {
        tokio::time::sleep(pause).await;
        let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
        sent = sent.and(wire.write_all(chunk.as_bytes()).await);
    }
    sent.and(wire.write_all(b"0\r\n\r\n").await).is_ok()
}

fn whole(status: u16, body: &str, head: &Head) -> Vec<u8> {
    let bodiless = head.first.starts_with("HEAD ");
    let text = format!(
        "HTTP/1.1 {status} Answer\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
        body.len(),
        if bodiless { "" } else { body }
    );
    text.into_bytes()
}

fn echo(seen: &Seen) -> String {
    json!({ "method": seen.method, "target": seen.target, "headers": seen.headers, "body": seen.text() }).to_string()
}
