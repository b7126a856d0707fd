//! A storefront of Magento's size: hundreds of products of some kilobytes each, awkward SKUs among them. It answers
//! everything, says in `X-Seen-Target` what it was asked, and counts.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use harness::background;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A running storefront.
pub(crate) struct Magento {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Magento {
    pub(crate) async fn start() -> Self {
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let shared = Arc::clone(&seen);
        let listening = background().spawn(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            background().spawn(async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let seen = Arc::clone(&shared);
                    let service = service_fn(move |request| answer(request, Arc::clone(&seen)));
                    background().spawn(
                        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                    );
                }
            });
            address
        });
        Self {
            address: listening.await.unwrap(),
            seen,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests came whose target contains `mark`.
    pub(crate) fn count(&self, mark: &str) -> usize {
        self.seen
            .lock()
            .unwrap()
            .iter()
            .filter(|target| target.contains(mark))
            .count()
    }
}

async fn answer(
    request: Request<Incoming>,
    seen: Arc<Mutex<Vec<String>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let target = request.uri().to_string();
    seen.lock().unwrap().push(target.clone());
    let path = request.uri().path().to_owned();
    let is_read = request.method() == http::Method::GET;
    let sent = request
        .into_body()
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let (status, body) = match path.split_once("/V1/").map(|(_, resource)| resource) {
        Some("products") if is_read => {
            let items: Vec<Value> = skus().iter().map(|sku| product(sku)).collect();
            (
                StatusCode::OK,
                Bytes::from(json!({ "total_count": items.len(), "items": items }).to_string()),
            )
        }
        Some(resource) if is_read && resource.starts_with("products/") && !target.contains('?') => {
            let sku = decoded(resource.strip_prefix("products/").unwrap_or_default());
            if skus().contains(&sku) {
                (StatusCode::OK, Bytes::from(product(&sku).to_string()))
            } else {
                let body = Bytes::from_static(b"{\"message\":\"no such product\"}");
                (StatusCode::NOT_FOUND, body)
            }
        }
        Some(_) if !sent.is_empty() => (StatusCode::OK, sent),
        _ => (StatusCode::OK, Bytes::from(json!({ "path": path }).to_string())),
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        "content-type",
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    headers.insert("x-seen-target", HeaderValue::from_str(&target).unwrap());
    Ok(response)
}

/// Some hundred, and those that break what decodes too often, too seldom, or by the wrong alphabet.
pub(crate) fn skus() -> Vec<String> {
    let awkward = [
        "24-MB01/rot",
        "a b",
        "100%",
        "50%25",
        "C+C",
        "Größe-L",
        "鞄",
        "🎒",
        "a;b",
        "a:b@c",
        "a,b",
        "a=b&c",
        "'quoted\"",
        "..a",
        "(x)[y]{z}",
        "~-._",
    ];
    let plain = (0..300).map(|number| format!("24-WB{number:03}"));
    awkward.into_iter().map(str::to_owned).chain(plain).collect()
}

/// Some kilobytes of a product, as Magento shapes it.
pub(crate) fn product(sku: &str) -> Value {
    let attribute = |number: usize| json!({ "attribute_code": format!("attribute_{number}"), "value": format!("Wert {number} für {sku}: ąćę 価値") });
    json!({
        "sku": sku,
        "name": format!("Umhängetasche {sku}"),
        "price": 45.0,
        "status": 1,
        "visibility": 4,
        "type_id": "simple",
        "created_at": "2024-01-01 00:00:00",
        "extension_attributes": { "website_ids": [1], "category_links": [{ "position": 0, "category_id": "4" }] },
        "custom_attributes": (0..40).map(attribute).collect::<Vec<_>>(),
    })
}

fn decoded(segment: &str) -> String {
    let mut octets = Vec::new();
    let mut rest = segment.bytes();
    while let Some(octet) = rest.next() {
        if octet == b'%' {
            let digits = [rest.next().unwrap(), rest.next().unwrap()];
            octets.push(u8::from_str_radix(str::from_utf8(&digits).unwrap(), 16).unwrap());
        } else {
            octets.push(octet);
        }
    }
    String::from_utf8(octets).unwrap()
}
