//! A browser's question what a page of another origin may ask (CORS) carries no credentials, and needs none.

use harness::{Call, Placement, Shop, Signing};

const ROUTES: &str = "[[routes]]\npath = \"/asked/{id}\"\nmethods = [\"GET\", \"OPTIONS\"]\nupstream = \"storefront\"\n\
                      resources = [\"Magento_Catalog::products\"]\n\
                      [[routes]]\npath = \"/nobodys/{id}\"\nmethods = [\"OPTIONS\"]\nupstream = \"storefront\"\n";

fn preflight(target: &str) -> Call {
    Call::new("OPTIONS", target)
        .header("Origin", "https://page.example")
        .header("Access-Control-Request-Method", "GET")
}

#[tokio::test]
async fn a_preflight_is_forwarded_as_a_guests_where_options_is_listed() {
    let shop = Shop::new().append(ROUTES).start().await;
    let signing = Signing::with(&shop.reader().await).placed(Placement::Query);
    let signed = Call::get("/asked/signed?a=1").signed(signing).to(&shop.gateway);

    let plain = preflight("/asked/plain").send(&shop.gateway).await;
    // A page asks about the very URL that it will call.
    let asked = preflight(&signed.target).send(&shop.gateway).await;
    let called = signed.send().await;

    assert_eq!((plain.status, asked.status, called.status), (200, 200, 200));
    let seen = shop.upstream.only("asked/plain");
    assert_eq!(
        (seen.method.as_str(), seen.header("x-user-type")),
        ("OPTIONS", Some("guest"))
    );
    for seen in shop.upstream.seen("asked/signed") {
        assert_eq!(seen.target, "/asked/signed?a=1");
    }
}

#[tokio::test]
async fn what_only_resembles_a_preflight_is_judged() {
    let shop = Shop::new().append(ROUTES).start().await;
    let no_origin = Call::new("OPTIONS", "/asked/judged").header("Access-Control-Request-Method", "GET");
    let no_method = Call::new("OPTIONS", "/asked/judged").header("Origin", "https://page.example");
    let other_method = Call::get("/asked/judged")
        .header("Origin", "https://page.example")
        .header("Access-Control-Request-Method", "GET");
    let with_credentials = preflight("/asked/judged").header("Authorization", "Bearer x");
    let with_a_body = preflight("/asked/judged").body("text/plain", "x");

    for call in [
        no_origin,
        no_method,
        other_method,
        with_a_body,
        preflight("/nobodys/judged"),
    ] {
        assert_eq!(call.refusal(&shop.gateway).await, (401, "resource_denied"));
    }
    assert_eq!(with_credentials.refusal(&shop.gateway).await, (401, "bearer_invalid"));
    let not_listed = preflight("/rest/V1/store/judged").refusal(&shop.gateway).await;
    assert_eq!(not_listed, (405, "method_refused"));
    assert_eq!(shop.upstream.count("judged"), 0);
}
