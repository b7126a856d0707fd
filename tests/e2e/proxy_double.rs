//! An upstream written by hand: each connection is a story of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use harness::{Shop, ShopBuilder, background};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A listening upstream and how many connections it accepted.
pub(crate) struct Double {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Double {
    /// Every connection is given to `serve`, with its number.
    pub(crate) async fn start<F>(serve: impl Fn(TcpStream, usize) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listening = background().spawn(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            (listener.local_addr().unwrap(), listener)
        });
        let (address, listener) = listening.await.unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        background().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = count.fetch_add(1, Ordering::SeqCst);
                background().spawn(serve(stream, number));
            }
        });
        Self { address, accepted }
    }

    /// As a value of `targets`.
    pub(crate) fn targets(&self) -> String {
        format!("[\"http://{}\"]", self.address)
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

/// A shop in front of these targets, a TOML list: everything under `/double/` goes there, whoever asks. One thread, so that
/// what the next request meets is what the one before left behind.
pub(crate) fn shop_before(targets: &str) -> ShopBuilder {
    let route = "[[routes]]\npath = \"/double/{*rest}\"\nmethods = [\"GET\", \"POST\", \"PUT\"]\nupstream = \"double\"\n\
                 resources = [\"anonymous\"]\n";
    Shop::new()
        .set("public", "threads", "1")
        .set("upstreams.double", "targets", targets)
        .append(route)
}

/// Reads up to the end of a head; what came, at most part of a body behind it. Empty: the other end closed.
pub(crate) async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        let mut some = [0; 4096];
        match stream.read(&mut some).await {
            Ok(0) | Err(_) => return String::new(),
            Ok(length) => head.extend_from_slice(some.get(..length).unwrap()),
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Sends a whole 200 with this body.
pub(crate) async fn answer(stream: &mut TcpStream, body: &str) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(head.as_bytes()).await
}
