//! A partner's callback endpoint for tests: a real server with the manners, good and bad, that partners have.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// How it answers.
#[derive(Clone, Debug)]
pub(crate) enum Manner {
    /// With these octets, at once.
    Says(String),
    /// With these octets, later.
    Late(Duration, String),
    /// Not at all, the connection open.
    Silent,
    /// With a head, and a body that never ends but says nothing.
    HeadOnly,
    /// With a body without end.
    Endless,
    /// By hanging up.
    HangsUp,
}

/// A callback that is being served.
pub(crate) struct Callback {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl Callback {
    pub(crate) async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&received);
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(answer(stream, manner.clone(), Arc::clone(&log)));
            }
        });
        Self {
            address,
            received,
            serving,
        }
    }

    /// 200 with an empty body.
    pub(crate) async fn friendly() -> Self {
        Self::start(Manner::Says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned())).await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/callback", self.address)
    }

    /// Whole requests, as they came.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.received.lock().unwrap().clone()
    }

    /// The fields of the form that came with request `number`.
    pub(crate) fn form(&self, number: usize) -> Vec<(String, String)> {
        let request = self.requests().get(number).cloned().unwrap_or_default();
        let body = request.split("\r\n\r\n").nth(1).unwrap_or_default();
        url::form_urlencoded::parse(body.as_bytes()).into_owned().collect()
    }

    /// One field of it.
    pub(crate) fn field(&self, number: usize, name: &str) -> String {
        let found = self.form(number).into_iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value).unwrap_or_default()
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(mut stream: TcpStream, manner: Manner, log: Arc<Mutex<Vec<String>>>) {
    let request = read(&mut stream).await;
    log.lock().unwrap().push(request);
    match manner {
        Manner::Says(octets) => write(&mut stream, octets.as_bytes()).await,
        Manner::Late(delay, octets) => {
            tokio::time::sleep(delay).await;
            write(&mut stream, octets.as_bytes()).await;
        }
        Manner::Silent => std::future::pending().await,
        Manner::HeadOnly => {
            write(&mut stream, b"HTTP/1.1 202 Accepted\r\nContent-Length: 10\r\n\r\nhel").await;
            std::future::pending::<()>().await;
        }
        Manner::Endless => {
            write(&mut stream, b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n").await;
            let block = vec![b'x'; 64 * 1024];
            while stream.write_all(&block).await.is_ok() {}
        }
        Manner::HangsUp => {}
    }
}

async fn write(stream: &mut TcpStream, octets: &[u8]) {
    // The other end may have gone, which is its right.
    if stream.write_all(octets).await.is_ok() {
        stream.flush().await.unwrap_or_default();
    }
}

/// A head and the body that its Content-Length announces.
async fn read(stream: &mut TcpStream) -> String {
    let mut octets = Vec::new();
    let mut block = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&octets).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let announced = head
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .map_or(0, |(_, value)| value.trim().parse().unwrap_or_default());
            if body.len() >= announced {
                return text;
            }
        }
        match stream.read(&mut block).await {
            Ok(read @ 1..) => octets.extend(block.iter().take(read)),
            Ok(0) | Err(_) => return text,
        }
    }
}
