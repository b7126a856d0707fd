//! The demo storefront: products, orders, customers and carts in Magento's shape. It believes the gateway's headers.

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

/// Starts it where the default configuration looks for a storefront, or on the next port that is free.
pub(super) async fn start() -> std::io::Result<SocketAddr> {
    let mut address = SocketAddr::from(([127, 0, 0, 1], 8081));
    loop {
        match super::server::start(address, answer).await {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                address.set_port(address.port().saturating_add(1));
            }
            started => return started,
        }
    }
}

async fn answer(request: Request<Bytes>) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    // The store code, where there is one, stands before V1.
    let resource = path.split_once("/V1/").map_or("", |(_, resource)| resource);
    let (status, body) = match (request.method(), resource.split('/').collect::<Vec<_>>().as_slice()) {
        (&Method::GET, ["products"]) => {
            let items: Vec<Value> = PRODUCTS.iter().map(product).collect();
            (StatusCode::OK, json!({ "items": items, "total_count": items.len() }))
        }
        (&Method::GET, ["products", sku]) => match PRODUCTS.iter().find(|one| one.0 == *sku) {
            Some(found) => (StatusCode::OK, product(found)),
            None => (
                StatusCode::NOT_FOUND,
                json!({ "message": "The product that was requested doesn't exist. Verify the product and try again." }),
            ),
        },
        (&Method::GET, ["orders"]) => (
            StatusCode::OK,
            json!({ "items": [order(1), order(2)], "total_count": 2 }),
        ),
        (&Method::GET, ["orders", id]) => (StatusCode::OK, order(id.parse().unwrap_or(1))),
        (&Method::POST, ["orders"]) => match serde_json::from_slice::<Value>(request.body()) {
            Ok(body) => (StatusCode::OK, json!({ "entity_id": 3, "received": body })),
            Err(_) => (StatusCode::BAD_REQUEST, json!({ "message": "Decoding error." })),
        },
        (&Method::GET, ["customers", id]) => {
            let header = |name: &str| {
                request
                    .headers()
                    .get(name)
                    .and_then(|value| value.to_str().ok())
                    .map(str::to_owned)
            };
            let id = if *id == "me" {
                header("x-user-id")
            } else {
                Some((*id).to_owned())
            };
            (
                StatusCode::OK,
                json!({ "id": id, "email": "roni_cost@example.com", "firstname": "Veronica" }),
            )
        }
        (&Method::GET, ["carts", "mine"]) => (StatusCode::OK, json!({ "id": 1, "items": [] })),
        (&Method::GET, ["store", "storeViews"]) => (
            StatusCode::OK,
            json!([{ "id": 1, "code": "default", "name": "Default Store View" }]),
        ),
        _ => (
            StatusCode::NOT_FOUND,
            json!({ "message": "Request does not match any route." }),
        ),
    };
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    response
}

fn product((sku, name, price): &(&str, &str, f64)) -> Value {
    json!({ "sku": sku, "name": name, "price": price, "status": 1, "type_id": "simple" })
}

fn order(id: u64) -> Value {
    json!({ "entity_id": id, "increment_id": format!("{id:09}"), "status": "processing", "grand_total": 36.39 })
}

const PRODUCTS: [(&str, &str, f64); 3] = [
    ("24-MB01", "Joust Duffle Bag", 34.0),
    ("24-MB04", "Strive Shoulder Pack", 32.0),
    ("24-WG085", "Sprite Yoga Strap 6 foot", 14.0),
];
