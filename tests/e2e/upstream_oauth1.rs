//! Upstream credentials of mode `oauth1`: the gateway signs with a consumer and token of its own what it really sends. A signer
//! that knows RFC 5849 and nothing of ours says whether it did.

use std::collections::{BTreeMap, BTreeSet};

use harness::{Call, Credentials, Placement, Seen, Shop, ShopBuilder, Signing, free_port, now, pairs_of_form};

const TABLE: &str = "upstreams.storefront.credentials";
const ROUTES: &str = r#"
[[resources]]
id = "Magento_Catalog::products"
[[routes]]
path = "/rest/V1/products"
methods = ["POST"]
upstream = "storefront"
resources = ["Magento_Catalog::products"]
[[routes]]
path = "/rest/V1/products/{sku}"
methods = ["GET"]
upstream = "storefront"
resources = ["Magento_Catalog::products"]
encoded_slash = "allow"
[[routes]]
path = "/rest/V1/store/{what}"
methods = ["GET", "POST"]
upstream = "storefront"
resources = ["anonymous"]
"#;

#[tokio::test]
async fn what_is_sent_is_signed_whoever_called() {
    let shop = signing().start().await;
    let reader = shop.reader().await;
    let targets = [
        "/rest/V1/products/plain",
        "/rest/V1/products/24-MB01?fields=items%5Bsku%5D&fields=a+b&empty=&flag&a%3Db=c%26d",
        "/rest/V1/products/a%2Fb?searchCriteria[pageSize]=1&%C3%A9=%E2%98%83",
    ];

    for target in targets {
        assert_eq!(
            Call::get(target).signed_by(&reader).send(&shop.gateway).await.status,
            200
        );
        assert_signed(&shop, &shop.upstream.only(target), "");
    }
    let bearer =
        Call::get("/rest/V1/products/by-bearer").header("Authorization", &format!("Bearer {}", shop.admin.token()));
    assert_eq!(bearer.send(&shop.gateway).await.status, 200);
    assert_signed(&shop, &shop.upstream.only("by-bearer"), "");
    assert_eq!(
        Call::get("/rest/V1/store/by-guest").send(&shop.gateway).await.status,
        200
    );
    assert_signed(&shop, &shop.upstream.only("by-guest"), "");
}

#[tokio::test]
async fn a_form_is_signed_as_it_is_forwarded_and_another_body_is_not() {
    let shop = signing().start().await;
    let reader = shop.reader().await;
    let form = "name=a+b&name=%C3%A9&x=&y=1%2B1";

    let by_guest = Call::post("/rest/V1/store/guest-form?q=1").form(form);
    let by_header = Call::post("/rest/V1/products?header-form")
        .form(form)
        .signed_by(&reader);
    let signing_in_form = Signing::with(&reader).placed(Placement::Form);
    let in_form = Call::post("/rest/V1/products?in-form")
        .form(form)
        .signed(signing_in_form);
    let json = Call::post("/rest/V1/store/json").json(&serde_json::json!({ "a": "b" }));
    for call in [by_guest, by_header, in_form, json] {
        assert_eq!(call.send(&shop.gateway).await.status, 200);
    }

    for mark in ["guest-form", "header-form", "in-form"] {
        let seen = shop.upstream.only(mark);
        assert_eq!(seen.text(), form, "{mark}");
        assert_signed(&shop, &seen, form);
    }
    assert_signed(&shop, &shop.upstream.only("store/json"), "");
}

#[tokio::test]
async fn oauth_parameters_of_the_client_s_query_are_neither_sent_nor_signed() {
    let shop = signing().start().await;
    let reader = shop.reader().await;
    let signing = Signing::with(&reader).placed(Placement::Query);

    let call = Call::get("/rest/V1/products/in-query?a=b").signed(signing);
    assert_eq!(call.send(&shop.gateway).await.status, 200);

    let seen = shop.upstream.only("in-query");
    assert_eq!(seen.target, "/rest/V1/products/in-query?a=b");
    assert_signed(&shop, &seen, "");
}

#[tokio::test]
async fn each_request_has_a_nonce_and_a_timestamp_of_its_own() {
    let shop = signing().start().await;
    let reader = shop.reader().await;
    let mut sent = BTreeSet::new();
    for _ in 0..20 {
        let call = Call::get("/rest/V1/products/fresh").signed_by(&reader);
        assert_eq!(call.send(&shop.gateway).await.status, 200);
    }

    for seen in shop.upstream.seen("fresh") {
        let said = said(&seen);
        assert!(said["oauth_timestamp"].parse::<u64>().unwrap().abs_diff(now()) <= 5);
        sent.insert(said["oauth_nonce"].clone());
    }

    assert_eq!(sent.len(), 20);
}

#[tokio::test]
async fn another_target_gets_a_signature_for_its_own_address() {
    let front = harness::Upstream::start().await;
    let targets = format!("[\"http://127.0.0.1:{}\", \"http://{}\"]", free_port(), front.address());
    let shop = signing().start().await;
    shop.gateway
        .reload(|config| config.set("upstreams.storefront", "targets", &targets))
        .await;

    for turn in 0..4 {
        let call = Call::get(&format!("/rest/V1/store/moved-{turn}"));
        assert_eq!(call.send(&shop.gateway).await.status, 200);
        let seen = front.only(&format!("moved-{turn}"));
        assert_eq!(seen.header("host"), Some(front.address().to_string().as_str()));
        assert_signed_for(&format!("http://{}", front.address()), &own(), &seen, "");
    }
}

#[tokio::test]
async fn what_upstream_takes_for_its_address_is_signed_where_it_is_told() {
    let shop = signing()
        .set(TABLE, "base_url", "\"https://shop.example/magento\"")
        .start()
        .await;

    let call = Call::get("/rest/V1/store/elsewhere?a=b");
    assert_eq!(call.send(&shop.gateway).await.status, 200);

    let seen = shop.upstream.only("elsewhere");
    assert_signed_for("https://shop.example/magento", &own(), &seen, "");
}

#[tokio::test]
async fn without_a_token_and_with_another_method_it_signs_too() {
    for method in ["HMAC-SHA1", "HMAC-SHA512"] {
        let shop = shop()
            .set(TABLE, "mode", "\"oauth1\"")
            .set(TABLE, "consumer_key", "\"our own key\"")
            .set(TABLE, "consumer_secret", "\"our own secret\"")
            .set(TABLE, "signature_method", &format!("\"{method}\""))
            .start()
            .await;

        assert_eq!(
            Call::get("/rest/V1/store/two-legged").send(&shop.gateway).await.status,
            200
        );

        let seen = shop.upstream.only("two-legged");
        assert_eq!(said(&seen)["oauth_signature_method"], method);
        assert!(!said(&seen).contains_key("oauth_token"));
        let url = format!("http://{}", shop.upstream.address());
        assert_signed_for(&url, &Credentials::consumer("our own key", "our own secret"), &seen, "");
    }
}

#[tokio::test]
async fn a_route_that_keeps_the_client_s_signature_does_not_go_with_one_of_ours() {
    let shop = signing().start().await;
    let before = shop.gateway.config_path();
    let kept = std::fs::read_to_string(&before).unwrap() + "keep_oauth = true\n";
    std::fs::write(before, kept).unwrap();

    let checked = shop.gateway.command(&["check"]);

    let told = String::from_utf8_lossy(&checked.stderr).into_owned() + &String::from_utf8_lossy(&checked.stdout);
    assert_eq!(checked.status.code(), Some(78));
    assert!(
        told.contains("keep_oauth: of /rest/V1/store/{what} can't go with"),
        "{told}"
    );
}

#[tokio::test]
async fn the_gateway_s_own_secrets_reach_no_log() {
    let shop = signing().set("log", "level", "\"trace\"").start().await;
    let answer = Call::get("/rest/V1/store/logged").send(&shop.gateway).await;
    shop.gateway.access_line(&answer).await;

    let said = shop.gateway.whole_log().await + &shop.gateway.access_log();

    for secret in ["our own secret", "our token's secret"] {
        assert!(!said.contains(secret), "{secret}");
    }
}

/// With routes that keep nothing of the client's signature: that and one of ours don't go together.
fn shop() -> ShopBuilder {
    Shop::new().without_routes().append(ROUTES)
}

fn signing() -> ShopBuilder {
    shop()
        .set(TABLE, "mode", "\"oauth1\"")
        .set(TABLE, "consumer_key", "\"our own key\"")
        .set(TABLE, "consumer_secret", "\"our own secret\"")
        .set(TABLE, "access_token", "\"our token\"")
        .set(TABLE, "access_token_secret", "\"our token's secret\"")
}

fn own() -> Credentials {
    Credentials::consumer("our own key", "our own secret").with_token("our token", "our token's secret")
}

/// Every parameter of the one `Authorization` header, decoded.
fn said(seen: &Seen) -> BTreeMap<String, String> {
    let header = seen.header("authorization").unwrap();
    let pairs = header.strip_prefix("OAuth ").unwrap().split(", ");
    let unquoted = pairs.map(|pair| pair.replace('"', "")).collect::<Vec<_>>().join("&");
    pairs_of_form(&unquoted).into_iter().collect()
}

fn assert_signed(shop: &Shop, seen: &Seen, form: &str) {
    assert_signed_for(&format!("http://{}", shop.upstream.address()), &own(), seen, form);
}

/// The signature is the one that these credentials make of what was received.
fn assert_signed_for(base: &str, credentials: &Credentials, seen: &Seen, form: &str) {
    let said = said(seen);
    let signing = Signing::with(credentials)
        .method(&said["oauth_signature_method"])
        .set("oauth_nonce", &said["oauth_nonce"])
        .set("oauth_timestamp", &said["oauth_timestamp"]);
    let expected = signing.parameters(&seen.method, &format!("{base}{}", seen.target), form);

    assert_eq!(said, expected.into_iter().collect());
}
