//! Parameters that a route forces: whatever upstream reads finds the route's value, and nothing of the client's.

use harness::{CALLBACK, CUSTOMER, Call, Shop};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

const ROUTES: &str = r#"
[[routes]]
path = "/rest/{store?}/V1/forced/mine"
methods = ["GET", "POST", "PUT", "DELETE"]
upstream = "storefront"
resources = ["self"]
force = { "customerId" = "%customer_id%" }
[[routes]]
path = "/rest/{store?}/V1/forced/profile"
methods = ["PUT"]
upstream = "storefront"
resources = ["self"]
force = { "customer.id" = "%customer_id%", "customer.group_id" = 1, "customer.note" = "null", "customer.active" = true }
[[routes]]
path = "/rest/{store?}/V1/forced/of/{customerId}/carts"
methods = ["GET", "POST"]
upstream = "storefront"
resources = ["self"]
force = { "customerId" = "%customer_id%" }
[[routes]]
path = "/rest/V1/forced/open"
methods = ["GET", "POST"]
upstream = "storefront"
resources = ["anonymous"]
force = { "customerId" = "%customer_id%", "channel" = "web" }
"#;

/// A shop with forced parameters, and its customer's number.
async fn shop() -> &'static (Shop, u64) {
    static SHOP: OnceCell<(Shop, u64)> = OnceCell::const_new();
    let start = async || {
        let shop = Shop::new().append(ROUTES).start().await;
        let customer = shop.gateway.add_customer(CUSTOMER).await;
        (shop, customer)
    };
    SHOP.get_or_init(start).await
}

async fn by_customer(shop: &Shop, call: Call) -> Call {
    call.header("Authorization", &format!("Bearer {}", shop.customer_token().await))
}

/// What upstream got of a body.
fn body(shop: &Shop, mark: &str) -> Value {
    serde_json::from_str(&shop.upstream.only(mark).text()).unwrap()
}

#[tokio::test]
async fn a_body_that_names_another_customer_names_the_caller_upstream() {
    let (shop, customer) = shop().await;
    let said = r#"{"customer_id":1,"qty":1.50,"customerId":2,"customerId":3}"#;

    let call = Call::post("/rest/V1/forced/mine?mark=body&customer_id=4").body("application/json", said);
    let served = by_customer(shop, call).await.send(&shop.gateway).await;

    assert_eq!(served.status, 200, "{}", served.text());
    let seen = shop.upstream.only("mark=body");
    assert_eq!(seen.target, "/rest/V1/forced/mine?mark=body");
    let expected =
        format!(r#"{{"customer_id":{customer},"qty":1.50,"customerId":{customer},"customerId":{customer}}}"#);
    assert_eq!(seen.text(), expected);
    assert_eq!(seen.header("content-length"), Some(expected.len().to_string().as_str()));
}

#[tokio::test]
async fn a_query_that_names_another_customer_names_the_caller_upstream() {
    let (shop, customer) = shop().await;

    let query = "customerId=1&mark=query&customer_id=2&%63ustomerId=3&customerId[]=4&customerId=5";
    let call = by_customer(shop, Call::get(&format!("/rest/de/V1/forced/mine?{query}"))).await;
    let served = call.send(&shop.gateway).await;

    assert_eq!(served.status, 200, "{}", served.text());
    let seen = shop.upstream.only("mark=query");
    assert_eq!(
        seen.target,
        format!("/rest/de/V1/forced/mine?mark=query&customerId={customer}")
    );
}

#[tokio::test]
async fn a_path_that_names_another_customer_names_the_caller_upstream() {
    let (shop, customer) = shop().await;

    for (at, mark) in [("/rest/V1", "a"), ("/rest/de/V1", "b")] {
        let call = Call::get(&format!("{at}/forced/of/%39999/carts?customerId=1&mark=path-{mark}"));
        let served = by_customer(shop, call).await.send(&shop.gateway).await;

        assert_eq!(served.status, 200, "{}", served.text());
        let seen = shop.upstream.only(&format!("mark=path-{mark}"));
        assert_eq!(seen.target, format!("{at}/forced/of/{customer}/carts?mark=path-{mark}"));
    }
}

#[tokio::test]
async fn members_of_an_object_are_forced_and_the_others_stay() {
    let (shop, customer) = shop().await;
    let said = json!({ "customer": { "id": 1, "groupId": 2, "email": "a@b.example", "active": false }, "x": [] });

    let call = Call::new("PUT", "/rest/V1/forced/profile?mark=nested&customer[id]=5").json(&said);
    let served = by_customer(shop, call).await.send(&shop.gateway).await;

    assert_eq!(served.status, 200, "{}", served.text());
    let expected = json!({
        "customer": { "id": customer, "groupId": 1, "email": "a@b.example", "active": true, "note": null }, "x": []
    });
    assert_eq!(body(shop, "mark=nested"), expected);
    assert_eq!(
        shop.upstream.only("mark=nested").target,
        "/rest/V1/forced/profile?mark=nested"
    );
}

#[tokio::test]
async fn a_request_without_a_body_gets_one_where_its_method_has_one() {
    let (shop, customer) = shop().await;

    let post = by_customer(shop, Call::post("/rest/V1/forced/mine?mark=bodiless")).await;
    let delete = by_customer(shop, Call::new("DELETE", "/rest/V1/forced/mine?mark=deleted")).await;
    assert_eq!(post.send(&shop.gateway).await.status, 200);
    assert_eq!(delete.send(&shop.gateway).await.status, 200);

    assert_eq!(body(shop, "mark=bodiless"), json!({ "customerId": customer }));
    let seen = shop.upstream.only("mark=bodiless");
    assert_eq!(seen.header("content-type"), Some("application/json"));
    let seen = shop.upstream.only("mark=deleted");
    assert_eq!((seen.text().as_str(), seen.body.len()), ("", 0));
    assert!(
        seen.target.ends_with(&format!("?mark=deleted&customerId={customer}")),
        "{}",
        seen.target
    );
}

#[tokio::test]
async fn a_body_beside_a_query_is_forced_as_well() {
    let (shop, customer) = shop().await;

    let call = Call::new("DELETE", "/rest/V1/forced/mine?mark=both").json(&json!({ "customerId": 1 }));
    let served = by_customer(shop, call).await.send(&shop.gateway).await;

    assert_eq!(served.status, 200, "{}", served.text());
    assert_eq!(body(shop, "mark=both"), json!({ "customerId": customer }));
    let seen = shop.upstream.only("mark=both");
    assert!(
        seen.target.ends_with(&format!("&customerId={customer}")),
        "{}",
        seen.target
    );
}

#[tokio::test]
async fn who_is_no_customer_has_no_customers_number() {
    let (shop, _) = shop().await;

    let call = Call::post("/rest/V1/forced/open?mark=guest&channel=x").json(&json!({ "customerId": 1 }));
    let served = call.send(&shop.gateway).await;
    let asked = Call::get("/rest/V1/forced/open?mark=asking&customerId=1")
        .send(&shop.gateway)
        .await;

    assert_eq!((served.status, asked.status), (200, 200), "{}", served.text());
    assert_eq!(
        body(shop, "mark=guest"),
        json!({ "customerId": null, "channel": "web" })
    );
    assert_eq!(
        shop.upstream.only("mark=asking").target,
        "/rest/V1/forced/open?mark=asking&channel=web"
    );
}

#[tokio::test]
async fn a_body_that_cannot_be_forced_is_refused_and_goes_nowhere() {
    let (shop, _) = shop().await;
    let cases = [
        (
            "application/x-www-form-urlencoded",
            "customerId=1",
            "Content-Type header is invalid.",
        ),
        (
            "application/xml",
            "<customerId>1</customerId>",
            "Content-Type header is invalid.",
        ),
        (
            "application/json; charset=utf-16",
            "{}",
            "UTF-8 is the only supported charset.",
        ),
        ("application/json", "{\"customerId\":1,}", "Decoding error."),
        ("application/json", "[1]", "Decoding error."),
        ("application/json", "\"text\"", "Decoding error."),
    ];

    for (content_type, text, sentence) in cases {
        let call = Call::post("/rest/V1/forced/mine?mark=refused").body(content_type, text);
        let refused = by_customer(shop, call).await.send(&shop.gateway).await;

        assert_eq!(refused.status, 400, "{content_type} {text}");
        assert_eq!(refused.field("message"), sentence);
    }
    let call = Call::post("/rest/V1/forced/mine?mark=refused").body("application/json", "\u{1F}\u{8B}");
    let encoded = by_customer(shop, call.header("Content-Encoding", "gzip")).await;
    assert_eq!(encoded.refusal(&shop.gateway).await, (415, "form_encoded"));
    assert_eq!(shop.upstream.count("mark=refused"), 0);
}

#[tokio::test]
async fn a_digest_of_the_body_as_it_came_does_not_go_on_with_another() {
    let (shop, customer) = shop().await;

    let call = Call::post("/rest/V1/forced/mine?mark=digest").body("application/problem+json; charset=\"UTF-8\"", "{}");
    let digests = ["Content-MD5", "Digest", "Content-Digest", "Repr-Digest"];
    let call = digests.into_iter().fold(call, |call, name| call.header(name, "of {}"));
    let served = by_customer(shop, call).await.send(&shop.gateway).await;

    assert_eq!(served.status, 200, "{}", served.text());
    assert_eq!(body(shop, "mark=digest"), json!({ "customerId": customer }));
    let seen = shop.upstream.only("mark=digest");
    assert!(
        digests.into_iter().all(|name| seen.header(name).is_none()),
        "{:?}",
        seen.headers
    );
}

#[tokio::test]
async fn a_body_of_two_types_or_none_is_not_forced() {
    let (shop, _) = shop().await;
    let call = || Call::post("/rest/V1/forced/mine?mark=typed").body("application/json", "{}");

    let twice = by_customer(shop, call().header("Content-Type", "application/json")).await;
    let none = by_customer(shop, call())
        .await
        .to(&shop.gateway)
        .without_header("Content-Type");
    let (twice, none) = (twice.send(&shop.gateway).await, none.send().await);

    assert_eq!((twice.status, none.status), (400, 400));
    assert_eq!(twice.field("message"), "Content-Type header is invalid.");
    assert_eq!(none.field("message"), "Content-Type header is empty.");
    assert_eq!(shop.upstream.count("mark=typed"), 0);
}

#[tokio::test]
async fn a_body_past_a_mebibyte_is_refused_declared_or_not() {
    let (shop, _) = shop().await;
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 20));
    let just = format!("{{\"a\":\"{}\"}}", "x".repeat((1 << 20) - 8));
    let target = "/rest/V1/forced/mine?mark=large";
    let chunked = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());

    let declared = by_customer(shop, Call::post(target).body("application/json", &large)).await;
    let streamed = by_customer(shop, Call::post(target).header("Content-Type", "application/json")).await;
    let streamed = streamed.asking_for_the_cause().to(&shop.gateway);
    let streamed = streamed.with_body(&chunked).without_header("Content-Length");
    let fits = by_customer(shop, Call::post(target).body("application/json", &just)).await;

    assert_eq!(declared.refusal(&shop.gateway).await, (413, "body_too_large"));
    let streamed = streamed.with_header("Transfer-Encoding", "chunked").send().await;
    assert_eq!(streamed.refusal(), (413, "body_too_large"));
    assert_eq!(fits.send(&shop.gateway).await.status, 200);
    assert_eq!(shop.upstream.count("mark=large"), 1);
}

#[tokio::test]
async fn a_customers_integration_is_forced_to_its_customer() {
    let (shop, customer) = shop().await;
    let made = shop
        .integration()
        .granted_all()
        .with("callback_urls", json!([CALLBACK]));
    let app = made.active().await.credentials;
    let token = shop.gateway.delegated_by(CUSTOMER, &app).await;

    let call = Call::post("/rest/V1/forced/mine?mark=delegated&customerId=1").json(&json!({ "customer_id": 5 }));
    let served = call.signed_by(&token).send(&shop.gateway).await;

    assert_eq!(served.status, 200, "{}", served.text());
    assert_eq!(body(shop, "mark=delegated"), json!({ "customer_id": customer }));
}

#[tokio::test]
async fn what_cannot_be_known_is_a_fault_of_the_configuration() {
    let shop = Shop::new().start().await;
    let route = |force: &str| {
        format!(
            "[[routes]]\npath = \"/a/{{id}}\"\nupstream = \"storefront\"\nresources = [\"self\"]\nforce = {{ {force} }}\n"
        )
    };
    let cases = [
        ("\"cartId\" = \"%cart_id%\"", "only the storefront has"),
        ("\"a\" = \"%customer_i%\"", "did you mean \"%customer_id%\"?"),
        ("\"a\" = 1.5", "a whole number"),
        ("\"id\" = \"null\"", "stands in the path"),
        ("\"a_b\" = 1, \"aB\" = 2", "is the same member as"),
    ];

    for (force, what) in cases {
        shop.gateway
            .write_config(|config| config.without_more().append(&route(force)));
        let checked = shop.gateway.command(&["check"]);

        assert_eq!(checked.status.code(), Some(78), "{force}");
        let said = String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()).into_owned();
        assert!(said.contains(what), "{force}: {said}");
    }
}
