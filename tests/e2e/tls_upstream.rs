//! HTTPS toward upstream: the name is sent and verified, by the system's roots or an authority of one's own.

use std::sync::{Arc, Mutex};

use harness::{Call, Shop, background};
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::proxy_double::shop_before;
use crate::tls_certificates::{Authority, Identity};

/// An upstream over TLS: its port, and the names and hosts that it was asked for.
pub(crate) struct Secure {
    pub(crate) port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// SNI and `Host`.
type Asked = (Option<String>, String);

async fn secure(identity: &Identity) -> Secure {
    secure_answering(identity, "secure").await
}

/// The same, with this body to whatever comes.
pub(crate) async fn secure_answering(identity: &Identity, body: &str) -> Secure {
    let length = body.len();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(identity.chain(), identity.private_key())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&asked);
    let listening = background().spawn(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        background().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    continue;
                };
                let name = stream.get_ref().1.server_name().map(str::to_owned);
                let mut head = vec![0; 16_384];
                let length = stream.read(&mut head).await.unwrap_or_default();
                let head = String::from_utf8_lossy(head.get(..length).unwrap()).into_owned();
                let host = head
                    .split("host: ")
                    .nth(1)
                    .and_then(|rest| rest.split('\r').next())
                    .unwrap_or_default()
                    .to_owned();
                noted.lock().unwrap().push((name, host));
                let _sent = stream.write_all(answer.as_bytes()).await;
                let _closed = stream.shutdown().await;
            }
        });
        port
    });
    Secure {
        port: listening.await.unwrap(),
        asked,
    }
}

async fn call(shop: &Shop) -> (u16, String) {
    let got = Call::get("/double/secure")
        .asking_for_the_cause()
        .send(&shop.gateway)
        .await;
    (got.status, if got.status == 200 { got.text() } else { got.cause() })
}

fn refused() -> (u16, String) {
    (502, "upstream_connect".to_owned())
}

#[tokio::test]
async fn the_targets_name_is_sent_verified_and_called() {
    let authority = Authority::new();
    let upstream = secure(&authority.server(&["localhost"])).await;
    let shop = shop_before(&format!("[\"https://localhost:{}\"]", upstream.port))
        .set("upstreams.double", "ca", &format!("\"{}\"", authority.path().display()))
        .start()
        .await;

    let got = call(&shop).await;

    assert_eq!(got, (200, "secure".to_owned()));
    let asked = upstream.asked.lock().unwrap().clone();
    assert_eq!(
        asked,
        [(Some("localhost".to_owned()), format!("localhost:{}", upstream.port))]
    );
}

#[tokio::test]
async fn a_configured_host_stands_for_the_targets_own_name() {
    let authority = Authority::new();
    let upstream = secure(&authority.server(&["magento.example"])).await;
    let shop = shop_before(&format!("[\"https://127.0.0.1:{}\"]", upstream.port))
        .set("upstreams.double", "ca", &format!("\"{}\"", authority.path().display()))
        .set("upstreams.double", "host", "\"magento.example\"")
        .start()
        .await;

    let got = call(&shop).await;

    assert_eq!(got, (200, "secure".to_owned()));
    let asked = upstream.asked.lock().unwrap().clone();
    assert_eq!(
        asked,
        [(Some("magento.example".to_owned()), "magento.example".to_owned())]
    );
}

#[tokio::test]
async fn an_address_is_verified_as_one() {
    let authority = Authority::new();
    let upstream = secure(&authority.server(&["127.0.0.1"])).await;
    let shop = shop_before(&format!("[\"https://127.0.0.1:{}\"]", upstream.port))
        .set("upstreams.double", "ca", &format!("\"{}\"", authority.path().display()))
        .start()
        .await;

    assert_eq!(call(&shop).await, (200, "secure".to_owned()));
}

#[tokio::test]
async fn a_certificate_of_another_name_or_authority_or_none_that_is_trusted_is_refused() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (good, wrong) = (
        secure(&authority.server(&["localhost"])).await,
        secure(&authority.server(&["other.example"])).await,
    );
    let ca = |authority: &Authority| format!("\"{}\"", authority.path().display());
    let at = |port: u16| shop_before(&format!("[\"https://localhost:{port}\"]"));

    let another_name = at(wrong.port)
        .set("upstreams.double", "ca", &ca(&authority))
        .start()
        .await;
    let another_authority = at(good.port)
        .set("upstreams.double", "ca", &ca(&stranger))
        .start()
        .await;
    let the_systems_roots = at(good.port).start().await;

    for shop in [another_name, another_authority, the_systems_roots] {
        assert_eq!(call(&shop).await, refused());
        shop.gateway.logged("upstream can't be reached").await;
    }
    assert!(good.asked.lock().unwrap().is_empty() && wrong.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn plain_http_on_a_port_of_tls_and_tls_on_a_plain_one_can_not_be_reached() {
    let authority = Authority::new();
    let plain = harness::Upstream::start().await;
    let shop = shop_before(&format!("[\"https://localhost:{}\"]", plain.address().port()))
        .set("upstreams.double", "ca", &format!("\"{}\"", authority.path().display()))
        .start()
        .await;

    assert_eq!(call(&shop).await, refused());
}
