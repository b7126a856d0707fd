//! `store.request_timeout`: a store that is slow at every step is 503 when the steps together take too long.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use harness::redis::{Options, Server};
use harness::{Call, Credentials, Shop, background};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn steps_that_are_each_in_time_are_bounded_together() {
    // A token that nobody knows takes two steps, one after the other.
    for (request_timeout, expected) in [
        ("\"300ms\"", (503, "store_unavailable")),
        ("\"5s\"", (401, "token_rejected")),
    ] {
        let redis = Server::start(Options::default()).await;
        let far = Far::before(redis.port()).await;
        let shop = Shop::new()
            .store(&format!("redis://127.0.0.1:{}", far.port))
            .set("store", "timeout", "\"300ms\"")
            .set("store", "connect_timeout", "\"5s\"")
            .set("store", "request_timeout", request_timeout)
            .start()
            .await;
        let reader = shop.reader().await;
        let call = Call::get("/rest/V1/products/far").asking_for_the_cause();
        assert_eq!(call.clone().signed_by(&reader).send(&shop.gateway).await.status, 200);
        let unknown = Credentials {
            token: Some(("z".repeat(32), "z".repeat(32))),
            ..reader
        };

        far.delay_millis.store(200, Ordering::SeqCst);
        let answered = call.signed_by(&unknown).send(&shop.gateway).await;
        far.delay_millis.store(0, Ordering::SeqCst);

        assert_eq!(answered.refusal(), expected, "{request_timeout}");
    }
}

/// A way to a server on which every answer is so late.
struct Far {
    port: u16,
    delay_millis: Arc<AtomicU64>,
}

impl Far {
    async fn before(server: u16) -> Self {
        let delay_millis = Arc::new(AtomicU64::new(0));
        let delay = Arc::clone(&delay_millis);
        let listening = background().spawn(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            (listener.local_addr().unwrap().port(), listener)
        });
        let (port, listener) = listening.await.unwrap();
        background().spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                background().spawn(carry(near, far, Arc::clone(&delay)));
            }
        });
        Self { port, delay_millis }
    }
}

async fn carry(near: TcpStream, far: TcpStream, delay: Arc<AtomicU64>) {
    let (mut asks, mut is_told) = near.into_split();
    let (mut answers, mut is_asked) = far.into_split();
    let there = background().spawn(async move { tokio::io::copy(&mut asks, &mut is_asked).await });
    let mut some = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = answers.read(&mut some).await {
        tokio::time::sleep(Duration::from_millis(delay.load(Ordering::SeqCst))).await;
        if is_told.write_all(&some[..length]).await.is_err() {
            break;
        }
    }
    there.abort();
}
