//! TLS of the public listener: certificates by name, clients' certificates, versions, and new certificates by reload.

use std::sync::Arc;

use harness::{Call, Response, Shop, ShopBuilder};
use rustls::{ClientConfig, version};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::hostile_corpus::ANONYMOUS;
use crate::tls_certificates::{Authority, Identity};

fn with(identity: &Identity) -> ShopBuilder {
    Shop::new()
        .set("public.tls", "cert", &format!("\"{}\"", identity.certificate()))
        .set("public.tls", "key", &format!("\"{}\"", identity.key()))
}

async fn get(shop: &Shop, config: &Arc<ClientConfig>, name: &str) -> std::io::Result<Response> {
    let message = Call::get(&format!("{ANONYMOUS}/tls")).to(&shop.gateway);
    message.over_tls(config, name).try_send().await
}

/// The certificate that the listener shows for a name.
async fn shown(shop: &Shop, config: &Arc<ClientConfig>, name: &str) -> std::io::Result<Vec<u8>> {
    let stream = TcpStream::connect(shop.gateway.public()).await?;
    let name = name.to_owned().try_into().map_err(std::io::Error::other)?;
    let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await?;
    Ok(stream
        .get_ref()
        .1
        .peer_certificates()
        .unwrap()
        .first()
        .unwrap()
        .to_vec())
}

fn own(identity: &Identity) -> Vec<u8> {
    identity.chain().remove(0).to_vec()
}

#[tokio::test]
async fn every_name_gets_its_own_certificate_and_other_names_the_first() {
    let authority = Authority::new();
    let first = authority.server(&["shop.example", "other.example", "192.0.2.1"]);
    let second = authority.server(&["b2b.example"]);
    let wildcard = authority.server(&["*.stores.example"]);
    let table = |one: &Identity| {
        format!(
            "[[public.tls.certificates]]\ncert = \"{}\"\nkey = \"{}\"",
            one.certificate(),
            one.key()
        )
    };
    let shop = with(&first)
        .append(&table(&second))
        .append(&table(&wildcard))
        .start()
        .await;
    let config = authority.trusting(&[]);

    for (name, expected) in [
        ("shop.example", &first),
        ("other.example", &first),
        ("192.0.2.1", &first),
        ("b2b.example", &second),
        ("B2B.EXAMPLE", &second),
        ("one.stores.example", &wildcard),
    ] {
        assert!(shown(&shop, &config, name).await.unwrap() == own(expected), "{name}");
    }
    // The first certificate is for neither: the client finds that out.
    for name in ["stores.example", "a.b.stores.example", "unknown.example"] {
        assert!(shown(&shop, &config, name).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn where_an_authority_is_named_clients_need_its_certificate() {
    let (authority, other) = (Authority::new(), Authority::new());
    let identity = authority.server(&["shop.example"]);
    let shop = with(&identity)
        .set(
            "public.tls",
            "client_ca",
            &format!("\"{}\"", authority.path().display()),
        )
        .start()
        .await;
    let client = |identity: Option<&Identity>| authority.client_config(rustls::ALL_VERSIONS, &["http/1.1"], identity);

    let good = get(&shop, &client(Some(&authority.client("partner"))), "shop.example").await;
    let none = get(&shop, &client(None), "shop.example").await;
    let strange = get(&shop, &client(Some(&other.client("partner"))), "shop.example").await;
    let a_servers = get(&shop, &client(Some(&identity)), "shop.example").await;

    assert_eq!(good.unwrap().status, 200);
    assert!(none.is_err() && strange.is_err() && a_servers.is_err());
}

#[tokio::test]
async fn both_versions_are_spoken_unless_the_older_is_refused() {
    let authority = Authority::new();
    let identity = authority.server(&["shop.example"]);
    let (both, newer) = (
        with(&identity).start().await,
        with(&identity)
            .set("public.tls", "min_version", "\"1.3\"")
            .start()
            .await,
    );
    let of = |version| authority.client_config(&[version], &["http/1.1"], None);

    assert_eq!(
        get(&both, &of(&version::TLS12), "shop.example").await.unwrap().status,
        200
    );
    assert_eq!(
        get(&both, &of(&version::TLS13), "shop.example").await.unwrap().status,
        200
    );
    assert!(get(&newer, &of(&version::TLS12), "shop.example").await.is_err());
    assert_eq!(
        get(&newer, &of(&version::TLS13), "shop.example").await.unwrap().status,
        200
    );
}

#[tokio::test]
async fn what_is_no_tls_is_closed_and_costs_nobody_else() {
    let authority = Authority::new();
    let shop = with(&authority.server(&["shop.example"])).start().await;
    for octets in [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".as_slice(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &[0xFF; 300],
        &[0x16; 300],
    ] {
        let mut connection = harness::Connection::open(shop.gateway.public()).await.unwrap();
        connection.write(octets).await.unwrap();
        assert!(connection.closes().await);
    }

    assert_eq!(
        get(&shop, &authority.trusting(&["http/1.1"]), "shop.example")
            .await
            .unwrap()
            .status,
        200
    );
}

#[tokio::test]
async fn a_reload_shows_new_certificates_and_keeps_connections() {
    let authority = Authority::new();
    let (old, new) = (authority.server(&["shop.example"]), authority.server(&["shop.example"]));
    let shop = with(&old).start().await;
    let config = authority.trusting(&["http/1.1"]);
    let message = Call::get(&format!("{ANONYMOUS}/kept-tls"))
        .to(&shop.gateway)
        .over_tls(&config, "shop.example");
    let mut kept = message.connect().await.unwrap();
    kept.write(&message.octets()).await.unwrap();
    assert_eq!(kept.response("GET").await.unwrap().status, 200);
    assert!(shown(&shop, &config, "shop.example").await.unwrap() == own(&old));

    let renewed = |config: harness::Config| {
        config
            .set("public.tls", "cert", &format!("\"{}\"", new.certificate()))
            .set("public.tls", "key", &format!("\"{}\"", new.key()))
    };
    shop.gateway.reload(renewed).await;

    assert!(shown(&shop, &config, "shop.example").await.unwrap() == own(&new));
    kept.write(&message.octets()).await.unwrap();
    assert_eq!(kept.response("GET").await.unwrap().status, 200);
    // A certificate that can't be used leaves the last good one in force.
    std::fs::write(new.certificate(), "no certificate").unwrap();
    shop.gateway.reload(|config| config).await;
    assert!(shown(&shop, &config, "shop.example").await.is_ok());
}

#[tokio::test]
async fn a_request_knows_that_it_came_over_tls() {
    let authority = Authority::new();
    let route = "[[routes]]\npath = \"/only-https/{x}\"\nmethods = [\"GET\"]\nupstream = \"storefront\"\nresources = [\"anonymous\"]\nsecure = true\n";
    let shop = with(&authority.server(&["shop.example"]))
        .append(route)
        .set("public", "base_url", "[]")
        .start()
        .await;
    let call = Call::get("/only-https/1").to(&shop.gateway);

    let got = call
        .over_tls(&authority.trusting(&["http/1.1"]), "shop.example")
        .send()
        .await;

    assert_eq!(got.status, 200, "{}", got.text());
    let seen = shop.upstream.only("only-https");
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
    assert!(
        seen.header("forwarded")
            .is_some_and(|value| value.ends_with("proto=https"))
    );
}
