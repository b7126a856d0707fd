use super::*;
use crate::clock::Clock;
use crate::integration::double::{Callback, Manner};
use crate::upstream::connect::{client_config, system_roots};

fn poster(allow: &[&str]) -> Poster {
    let allowed = |text: &&str| AllowedCallback {
        net: text.parse().unwrap(),
        port: None,
    };
    Poster {
        timeout: Duration::from_millis(600),
        allow: allow.iter().map(allowed).collect(),
        tls: client_config(system_roots()).unwrap(),
    }
}

async fn post(callback: &Callback) -> Result<Delivered, PostError> {
    let form = [("a", "1 & ü"), ("oauth_verifier", "v")];
    poster(&["127.0.0.0/8"])
        .post(&callback.url(), &form, &OwnAddresses::default())
        .await
}

#[tokio::test]
async fn the_form_arrives_as_one_post() {
    let callback = Callback::friendly().await;

    let delivered = post(&callback).await.unwrap();

    assert_eq!((delivered.status, delivered.address), (200, callback.address));
    let request = callback.requests().remove(0);
    assert!(request.starts_with("POST /callback HTTP/1.1\r\n"), "{request}");
    assert!(
        request.contains(&format!("host: {}\r\n", callback.address)),
        "{request}"
    );
    assert!(request.contains("content-type: application/x-www-form-urlencoded\r\n"));
    assert_eq!(callback.field(0, "a"), "1 & ü");
}

#[tokio::test]
async fn a_server_error_is_delivered() {
    let answer = "HTTP/1.1 500 Oh\r\nContent-Length: 9\r\n\r\nan\u{1b}[31m \n";
    let callback = Callback::start(Manner::Says(answer.to_owned())).await;

    let delivered = post(&callback).await.unwrap();

    assert_eq!((delivered.status, delivered.excerpt.as_str()), (500, "an [31m  "));
}

#[tokio::test]
async fn a_redirect_is_delivered_and_not_followed() {
    let elsewhere = Callback::friendly().await;
    let answer = format!(
        "HTTP/1.1 307 Go\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
        elsewhere.url()
    );
    let callback = Callback::start(Manner::Says(answer)).await;

    let delivered = post(&callback).await.unwrap();

    assert_eq!(delivered.status, 307);
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn no_answer_is_given_up_in_time() {
    let callback = Callback::start(Manner::Silent).await;
    let (clock, began) = (Clock::system(), Clock::system().instant());

    let outcome = post(&callback).await;

    assert!(matches!(outcome, Err(PostError::Timeout)), "{outcome:?}");
    assert!(clock.instant().duration_since(began) < Duration::from_secs(3));
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_none() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned();
    let callback = Callback::start(Manner::Late(Duration::from_secs(2), answer)).await;

    let outcome = post(&callback).await;

    assert!(matches!(outcome, Err(PostError::Timeout)), "{outcome:?}");
}

#[tokio::test]
async fn a_body_that_never_ends_is_delivered_with_what_came() {
    let callback = Callback::start(Manner::HeadOnly).await;

    let delivered = post(&callback).await.unwrap();

    assert_eq!((delivered.status, delivered.excerpt.as_str()), (202, "hel"));
}

#[tokio::test]
async fn of_a_gigabyte_only_the_beginning_is_read() {
    let callback = Callback::start(Manner::Endless).await;

    let delivered = post(&callback).await.unwrap();

    assert_eq!(delivered.status, 200);
    assert_eq!(delivered.excerpt.len(), LONGEST_EXCERPT);
}

#[tokio::test]
async fn what_was_posted_in_confidence_is_not_in_the_excerpt_of_an_answer_that_repeats_it() {
    let (key, secret, verifier) = ("k".repeat(32), "s3cr3t".repeat(5), "v3r1f1er".repeat(4));
    let form = [
        ("oauth_consumer_key", key.as_str()),
        ("oauth_consumer_secret", secret.as_str()),
        ("store_base_url", "https://shop.example/"),
        ("oauth_verifier", verifier.as_str()),
    ];
    let filler = "x".repeat(LONGEST_EXCERPT - 20);
    let whole = format!("{{\"key\":\"{key}\",\"secret\":\"{secret}\"}} {verifier}{verifier}");
    for (answer, excerpt) in [
        (whole, format!("{{\"key\":\"{key}\",\"secret\":\"***\"}} ******")),
        (format!("it was {}s3c", "s3cr3t".repeat(3)), "it was ***".to_owned()),
        (format!("{filler}{verifier}"), format!("{filler}***")),
    ] {
        let length = answer.len();
        let answer = format!("HTTP/1.1 500 Oops\r\nContent-Length: {length}\r\n\r\n{answer}");
        let callback = Callback::start(Manner::Says(answer)).await;
        let own = OwnAddresses::default();

        let delivered = poster(&["127.0.0.1/32"]).post(&callback.url(), &form, &own).await;

        assert_eq!(delivered.unwrap().excerpt, excerpt);
    }
}

#[tokio::test]
async fn a_callback_that_hangs_up_did_not_answer() {
    let callback = Callback::start(Manner::HangsUp).await;

    let outcome = post(&callback).await;

    assert!(matches!(outcome, Err(PostError::Broken(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_private_address_is_not_called_unless_it_is_listed() {
    let callback = Callback::friendly().await;

    let outcome = poster(&[]).post(&callback.url(), &[], &OwnAddresses::default()).await;

    assert!(
        matches!(outcome, Err(PostError::Refused(AddressRefused::NotPublic(_)))),
        "{outcome:?}"
    );
    assert!(callback.requests().is_empty());
}

#[tokio::test]
async fn a_name_is_judged_by_every_address_that_it_has() {
    let callback = Callback::friendly().await;
    let url = format!("http://localhost:{}/callback", callback.address.port());

    let outcome = poster(&["::1/128"]).post(&url, &[], &OwnAddresses::default()).await;

    assert!(matches!(outcome, Err(PostError::Refused(_))), "{outcome:?}");
    assert!(callback.requests().is_empty());
}

#[tokio::test]
async fn our_own_listener_is_not_called_though_it_is_listed() {
    let callback = Callback::friendly().await;
    let own = OwnAddresses {
        addresses: vec![SocketAddr::from(([0, 0, 0, 0], callback.address.port()))],
        names: Vec::new(),
    };

    let outcome = poster(&["0.0.0.0/0"]).post(&callback.url(), &[], &own).await;

    assert!(
        matches!(outcome, Err(PostError::Refused(AddressRefused::Own(_)))),
        "{outcome:?}"
    );
    assert!(callback.requests().is_empty());
}

#[tokio::test]
async fn over_tls_an_authority_that_is_not_trusted_gets_nothing() {
    let certificate = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let served = tls_callback(&certificate).await;
    let url = format!("https://{}/callback", served.0);

    let outcome = poster(&["127.0.0.0/8"])
        .post(&url, &[("a", "1")], &OwnAddresses::default())
        .await;

    assert!(matches!(outcome, Err(PostError::Connect(_))), "{outcome:?}");
}

#[tokio::test]
async fn over_tls_a_trusted_authority_gets_the_form() {
    let certificate = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let served = tls_callback(&certificate).await;
    let url = format!("https://{}/callback", served.0);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.cert.der().clone()).unwrap();
    let trusting = Poster {
        tls: client_config(roots).unwrap(),
        ..poster(&["127.0.0.0/8"])
    };

    let delivered = trusting
        .post(&url, &[("a", "1")], &OwnAddresses::default())
        .await
        .unwrap();

    assert_eq!(delivered.status, 204);
    served.1.await.unwrap();
}

/// One TLS connection, answered with 204.
async fn tls_callback(certificate: &rcgen::CertifiedKey<rcgen::KeyPair>) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let key = rustls_pki_types::PrivateKeyDer::Pkcs8(certificate.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(mut tls) = acceptor.accept(stream).await else {
            return;
        };
        let mut block = [0; 4096];
        assert!(tls.read(&mut block).await.unwrap() > 0);
        tls.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        tls.flush().await.unwrap();
    });
    (address, serving)
}
