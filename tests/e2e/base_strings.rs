//! What is signed: RFC 5849's base string, the forms that Magento's clients need, and where the parameters may stand.

use harness::{Call, Credentials, Placement, Refusal, Shop, Signing};
use serde_json::json;

#[tokio::test]
async fn queries_of_every_shape_verify_and_pass_unchanged() {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;
    let queries = [
        "mark=shape01&name=J%C3%BCrgen%20M%C3%BCller",
        "mark=shape02&a=x%20y&b=x+y&c=x%2By",
        "mark=shape03&a=2&a=1&a=2",
        "mark=shape04&searchCriteria[filter_groups][0][filters][0][value]=%25bag%25",
        "mark=shape05&searchCriteria%5BpageSize%5D=10&searchCriteria%5BcurrentPage%5D=2",
        "mark=shape06&flag&empty=&=nameless",
        "mark=shape07&&a=1&",
        "mark=shape08&a=b=c&d==",
        "mark=shape09&raw=%FF%FE&lower=%c3%bc",
        "mark=shape10&tilde=~&tilde=%7E&star=*&paren=(1)&quote='&bang=!",
        "mark=shape11&a-=1&a1=2&a=3&A=4",
        "mark=shape12&semi=a;b=c&at=@&colon=:&slash=/&question=?",
    ];
    for query in queries {
        let call = Call::get(&format!("/rest/V1/products?{query}")).signed_by(&reader);

        assert_eq!(call.send(&shop.gateway).await.status, 200, "{query}");

        let mark = query.split('&').next().unwrap_or_default();
        assert_eq!(shop.upstream.only(mark).target, format!("/rest/V1/products?{query}"));
    }
}

#[tokio::test]
async fn paths_are_signed_as_they_were_sent() {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;

    for sku in [
        "a%20b",
        "24%2FMB01",
        "%C3%BC",
        "a;v=1",
        "a+b",
        "a%2Bb",
        "(a)",
        "a:b@c",
        "%7Euser",
    ] {
        let path = format!("/rest/V1/products/{sku}-path");
        let call = Call::get(&path).signed_by(&reader);

        assert_eq!(call.send(&shop.gateway).await.status, 200, "{sku}");
        assert_eq!(shop.upstream.only(&path).target, path);
    }
}

#[tokio::test]
async fn forms_of_every_shape_verify_and_pass_unchanged() {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;
    let forms = [
        "a=1&b=2",
        "name=J%C3%BCrgen+M&x=%2B",
        "a=2&a=1&a=2",
        "a[]=1&a[]=2",
        "flag&empty=",
        "a=b=c",
        "{\"json\":1}",
    ];

    for (number, form) in forms.into_iter().enumerate() {
        let mark = format!("form-shape{number}");
        let call = Call::post(&format!("/rest/V1/products?mark={mark}&a=3"))
            .form(form)
            .signed_by(&reader);

        assert_eq!(call.send(&shop.gateway).await.status, 200, "{form}");
        let seen = shop.upstream.only(&mark);
        assert_eq!(seen.text(), form);
        assert_eq!(seen.header("content-length"), Some(form.len().to_string().as_str()));
    }
}

#[tokio::test]
async fn a_form_is_signed_whatever_the_method_and_however_the_type_is_spelled() {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;

    for method in ["PUT", "PATCH", "DELETE"] {
        let call = Call::new(method, "/rest/V1/products/put-form")
            .form("a=1&b=2")
            .signed_by(&reader);
        assert_eq!(call.send(&shop.gateway).await.status, 200, "{method}");
    }
    let spelled = "application/x-www-form-urlencoded; charset=UTF-8";
    let call = Call::post("/rest/V1/products").body(spelled, "a=1").signed_by(&reader);
    assert_eq!(call.send(&shop.gateway).await.status, 200);
}

#[tokio::test]
async fn other_bodies_are_not_signed() {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;

    for content_type in [
        "application/json",
        "text/xml",
        "multipart/form-data; boundary=x",
        "text/plain",
    ] {
        let call = Call::post("/rest/V1/products?mark=other")
            .body(content_type, "a=1&b=2")
            .signed_by(&reader);
        assert_eq!(call.send(&shop.gateway).await.status, 200, "{content_type}");
    }
}

#[tokio::test]
async fn a_form_on_get_is_refused() {
    let shop = Shop::shared().await;

    let call = Call::get("/rest/V1/products/get-form")
        .form("a=1")
        .signed_by(&shop.reader().await);

    assert_eq!(call.refusal(&shop.gateway).await.status, 400);
    assert_eq!(shop.upstream.count("get-form"), 0);
}

#[tokio::test]
async fn a_method_override_does_not_change_what_is_signed() {
    let shop = Shop::shared().await;
    let call = Call::post("/rest/V1/products?mark=override").header("X-HTTP-Method-Override", "DELETE");

    let call = call.signed_by(&shop.reader().await);

    assert_eq!(call.send(&shop.gateway).await.status, 200);
    assert_eq!(shop.upstream.only("mark=override").method, "POST");
}

#[tokio::test]
async fn head_is_signed_as_head() {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;
    let head = Call::new("HEAD", "/rest/V1/products/signed-head");

    assert_eq!(head.clone().signed_by(&reader).send(&shop.gateway).await.status, 200);
    let as_get = head
        .signed(Signing::with(&reader).for_method("GET"))
        .send(&shop.gateway)
        .await;
    assert_eq!(as_get.refusal(), (401, "signature_invalid"));
}

#[tokio::test]
async fn each_placement_is_served_and_ends_here() {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;
    let signed = |placement| Signing::with(&reader).placed(placement);

    let query = Call::get("/rest/V1/products?mark=in-query&b=%20&a=1").signed(signed(Placement::Query));
    assert_eq!(query.send(&shop.gateway).await.status, 200);
    let form = Call::post("/rest/V1/products?mark=in-form")
        .form("b=%20&a=1&a=2")
        .signed(signed(Placement::Form));
    assert_eq!(form.send(&shop.gateway).await.status, 200);

    assert_eq!(
        shop.upstream.only("in-query").target,
        "/rest/V1/products?mark=in-query&b=%20&a=1"
    );
    let seen = shop.upstream.only("in-form");
    assert_eq!(seen.text(), "b=%20&a=1&a=2");
    assert_eq!(seen.header("content-length"), Some("13"));
}

#[tokio::test]
async fn a_query_of_oauth_parameters_alone_leaves_no_question_mark() {
    let shop = Shop::shared().await;
    let signing = Signing::with(&shop.reader().await).placed(Placement::Query);

    assert_eq!(
        Call::get("/rest/V1/products/alone")
            .signed(signing)
            .send(&shop.gateway)
            .await
            .status,
        200
    );
    assert_eq!(shop.upstream.only("products/alone").target, "/rest/V1/products/alone");
}

#[tokio::test]
async fn a_placement_that_is_switched_off_is_refused() {
    let shop = Shop::new().set("oauth", "placements", "[\"header\"]").start().await;
    let reader = shop.reader().await;
    let call = |placement| Call::post("/rest/V1/products").signed(Signing::with(&reader).placed(placement));

    assert_eq!(call(Placement::Header).send(&shop.gateway).await.status, 200);
    assert_eq!(
        call(Placement::Query).refusal(&shop.gateway).await,
        (400, "parameter_rejected")
    );
    assert_eq!(
        call(Placement::Form).refusal(&shop.gateway).await,
        (400, "parameter_rejected")
    );
    assert_eq!(shop.upstream.count(""), 1);
}

#[tokio::test]
async fn an_integrations_own_placements_count_instead() {
    let shop = Shop::shared().await;
    let integration = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .with("placements", json!(["header"]));
    let credentials = integration.active().await.credentials;
    let call =
        |placement| Call::get("/rest/V1/products/own-place").signed(Signing::with(&credentials).placed(placement));

    assert_eq!(
        call(Placement::Query).refusal(&shop.gateway).await,
        (400, "parameter_rejected")
    );
    assert_eq!(call(Placement::Header).send(&shop.gateway).await.status, 200);
}

#[tokio::test]
async fn natural_order_is_accepted_of_magentos_clients() {
    let shop = Shop::shared().await;
    let signing = Signing::with(&shop.reader().await).reordered(two_before_ten);

    let call = Call::get("/rest/V1/products?f[10]=a&f[2]=b").signed(signing);

    assert_eq!(call.send(&shop.gateway).await.status, 200);
}

#[tokio::test]
async fn natural_order_is_refused_where_only_the_rfc_counts() {
    let shop = Shop::new().set("oauth", "compat", "[]").start().await;
    let reader = shop.reader().await;
    let call = Call::get("/rest/V1/products?f[10]=a&f[2]=b");

    let natural = call.clone().signed(Signing::with(&reader).reordered(two_before_ten));

    assert_eq!(natural.refusal(&shop.gateway).await, (401, "signature_invalid"));
    assert_eq!(call.signed_by(&reader).send(&shop.gateway).await.status, 200);
}

#[tokio::test]
async fn any_other_order_is_refused() {
    let reversed = |reader: &Credentials| Signing::with(reader).reordered(<[_]>::reverse);

    assert_eq!(
        refused("/rest/V1/products?a=1", reversed).await,
        (401, "signature_invalid")
    );
}

#[tokio::test]
async fn the_host_as_it_was_sent_is_accepted_where_that_is_wanted() {
    let shop = Shop::new()
        .set("public", "base_url", "[]")
        .set("oauth", "compat", "[\"magento-host\"]")
        .start()
        .await;
    let url = "http://Shop.Example:80/rest/V1/products/as-sent";
    let call = Call::get("/rest/V1/products/as-sent").signed(Signing::with(&shop.reader().await).for_url(url));

    let sent = call
        .to(&shop.gateway)
        .with_changed_header("host", |_| "Shop.Example:80".to_owned());

    assert_eq!(sent.send().await.status, 200);
}

#[tokio::test]
async fn the_host_is_signed_in_lower_case_and_without_its_default_port() {
    let shop = Shop::new().set("public", "base_url", "[]").start().await;
    let reader = shop.reader().await;
    let signed = |url: &str| {
        let call = Call::get("/rest/V1/products/normal").signed(Signing::with(&reader).for_url(url));
        call.to(&shop.gateway)
            .with_changed_header("host", |_| "Shop.Example:80".to_owned())
    };

    assert_eq!(
        signed("http://shop.example/rest/V1/products/normal")
            .send()
            .await
            .status,
        200
    );
    let as_sent = signed("http://Shop.Example:80/rest/V1/products/normal").send().await;
    assert_eq!(as_sent.refusal(), (401, "signature_invalid"));
}

#[tokio::test]
async fn identical_pairs_are_collapsed_for_an_integration_with_that_flag_alone() {
    let shop = Shop::shared().await;
    let flags = json!(["collapse_identical_pairs"]);
    let flagged = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .with("flags", flags);
    let flagged = flagged.active().await.credentials;
    let (twice, once) = ("/rest/V1/products?a=1&a=1&b=2", "/rest/V1/products?a=1&b=2");
    let collapsed = |credentials: &Credentials| {
        let url = format!("{}{once}", shop.gateway.base_url());
        Call::get(twice).signed(Signing::with(credentials).for_url(&url))
    };

    assert_eq!(collapsed(&flagged).send(&shop.gateway).await.status, 200);
    let unflagged = collapsed(&shop.reader().await).refusal(&shop.gateway).await;
    assert_eq!(unflagged, (401, "signature_invalid"));
    let unequal = format!("{}{once}", shop.gateway.base_url());
    let unequal = Call::get("/rest/V1/products?a=1&a=2&b=2").signed(Signing::with(&flagged).for_url(&unequal));
    assert_eq!(unequal.refusal(&shop.gateway).await, (401, "signature_invalid"));
}

/// As PHP's natural order would, for just these names.
fn two_before_ten(pairs: &mut [(String, String)]) {
    let ten = pairs.iter().position(|(name, _)| name.contains("10"));
    let two = pairs.iter().position(|(name, _)| name.contains("%5B2"));
    if let (Some(ten), Some(two)) = (ten, two) {
        pairs.swap(ten, two);
    }
}

async fn refused(target: &str, signing: impl FnOnce(&Credentials) -> Signing) -> Refusal {
    let shop = Shop::shared().await;
    Call::get(target)
        .signed(signing(&shop.reader().await))
        .refusal(&shop.gateway)
        .await
}
