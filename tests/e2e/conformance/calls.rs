//! Signed calls of resources.

use harness::{Call, Placement, Shop, Signing};
use serde_json::json;

use crate::services::{over_both_stores, refused};

over_both_stores!(
    a_nonce_counts_once_on_any_route,
    a_nonce_counts_for_each_consumer,
    a_timestamp_is_near_and_positive,
    a_version_is_1_0_or_absent,
    each_missing_parameter_is_named,
    a_method_is_known_by_its_exact_name,
    parameters_may_stand_in_the_query,
    a_header_may_be_in_any_case,
    a_token_that_is_gone_or_of_another_length_is_refused,
    an_inactive_integration_is_a_guest,
    a_resource_that_is_not_granted_is_named,
    a_self_route_is_no_integrations,
    an_anonymous_route_forgives_a_bad_bearer_and_no_bad_oauth,
    an_error_is_json_or_xml,
    a_store_code_may_stand_in_the_path,
    a_search_with_indexes_past_nine_verifies,
    a_form_body_is_signed,
    an_anonymous_call_sets_no_cookie,
    a_path_without_a_route_is_not_found,
);

async fn a_nonce_counts_once_on_any_route(shop: &Shop) {
    let signing = Signing::with(&shop.reader().await).set("oauth_nonce", "the-same-everywhere");
    let call = Call::get("/rest/V1/products/nonce-here").signed(signing.clone());
    let elsewhere = Call::get("/rest/V1/products/nonce-there").signed(signing);

    assert_eq!(call.send(&shop.gateway).await.status, 200);
    let (again, other) = (call.send(&shop.gateway).await, elsewhere.send(&shop.gateway).await);

    for refused in [again, other] {
        assert_eq!(refused.refusal(), (401, "nonce_used"));
        assert!(
            refused.field("message").starts_with("The nonce is already being used"),
            "{}",
            refused.text()
        );
    }
}

async fn a_nonce_counts_for_each_consumer(shop: &Shop) {
    for _ in 0..2 {
        let signing = Signing::with(&shop.reader().await).set("oauth_nonce", "one-of-each-consumer");

        let served = Call::get("/rest/V1/products/each")
            .signed(signing)
            .send(&shop.gateway)
            .await;

        assert_eq!(served.status, 200, "{}", served.text());
    }
}

async fn a_timestamp_is_near_and_positive(shop: &Shop) {
    let reader = shop.reader().await;
    let send = async |signing: Signing| {
        let call = Call::get("/rest/V1/products/timestamp").signed(signing);
        call.send(&shop.gateway).await
    };

    // Past 600 seconds ahead as Magento, past 600 behind as well.
    for offset in [603, -603, -86_400] {
        let refused = send(Signing::with(&reader).at(offset)).await;
        assert_eq!(refused.refusal(), (401, "timestamp_refused"), "{offset}");
        assert_eq!(refused.field("message"), "An error occurred validating the nonce");
    }
    for text in ["0", "-1", "soon", "1.5"] {
        let refused = send(Signing::with(&reader).set("oauth_timestamp", text)).await;
        assert_eq!(refused.refusal(), (401, "timestamp_refused"), "{text}");
    }
}

async fn a_version_is_1_0_or_absent(shop: &Shop) {
    let reader = shop.reader().await;
    let send = async |signing: Signing| {
        Call::get("/rest/V1/products/version")
            .signed(signing)
            .send(&shop.gateway)
            .await
    };

    let with = send(Signing::with(&reader).set("oauth_version", "1.0")).await;
    let without = send(Signing::with(&reader).without("oauth_version")).await;

    assert_eq!((with.status, without.status), (200, 200));
    for version in ["1.0a", "2.0"] {
        let refused = send(Signing::with(&reader).set("oauth_version", version)).await;
        let expected = json!({ "message": "The \"%1\" Oauth version isn't supported.", "parameters": [version] });
        assert_eq!((refused.status, refused.json()), (400, expected));
    }
}

async fn each_missing_parameter_is_named(shop: &Shop) {
    let reader = shop.reader().await;
    let names = [
        "oauth_consumer_key",
        "oauth_signature",
        "oauth_signature_method",
        "oauth_nonce",
        "oauth_timestamp",
        "oauth_token",
    ];
    for name in names {
        let call = Call::get("/rest/V1/products/missing").signed(Signing::with(&reader).without(name));
        let refused = call.send(&shop.gateway).await;

        let expected = json!({ "message": "\"%fieldName\" is required. Enter and try again.", "parameters": { "fieldName": name } });
        assert_eq!((refused.status, refused.json()), (400, expected), "{name}");
    }
    let all = Call::post("/oauth/token/request")
        .header("Authorization", "OAuth realm=\"x\"")
        .send(&shop.gateway)
        .await;
    assert_eq!(all.status, 400);
    assert_eq!(
        all.text().matches("+is+required.+Enter+and+try+again").count(),
        5,
        "{}",
        all.text()
    );
}

async fn a_method_is_known_by_its_exact_name(shop: &Shop) {
    let reader = shop.reader().await;
    let send = async |name: &str, computed: &str| {
        let signing = Signing::with(&reader).method(name).computed_by(computed);
        Call::get("/rest/V1/products/method")
            .signed(signing)
            .send(&shop.gateway)
            .await
    };

    assert_eq!(send("HMAC-SHA256", "HMAC-SHA256").await.status, 200);
    assert_eq!(send("HMAC-SHA1", "HMAC-SHA1").await.status, 200);
    // In clear it is not even looked at.
    assert_eq!(send("PLAINTEXT", "PLAINTEXT").await.status, 400);
    for (name, computed) in [("hmac-sha256", "HMAC-SHA256"), ("HMAC-SHA512", "HMAC-SHA512")] {
        let refused = send(name, computed).await;
        let expected = json!({ "message": "Signature method %1 is not supported", "parameters": [name] });
        assert_eq!((refused.status, refused.json()), (400, expected));
    }
}

async fn parameters_may_stand_in_the_query(shop: &Shop) {
    let signing = Signing::with(&shop.reader().await).placed(Placement::Query);

    let served = Call::get("/rest/V1/products?mark=in-the-query")
        .signed(signing)
        .send(&shop.gateway)
        .await;

    assert_eq!(served.status, 200, "{}", served.text());
    let seen = shop.upstream.seen("mark=in-the-query");
    assert!(seen.iter().all(|one| !one.target.contains("oauth_")));
}

async fn a_header_may_be_in_any_case(shop: &Shop) {
    for scheme in ["oauth", "OAUTH", "oAuth"] {
        let signing = Signing::with(&shop.reader().await).scheme(scheme);
        let call = Call::get("/rest/V1/products/case").signed(signing).to(&shop.gateway);

        assert_eq!(call.send().await.status, 200, "{scheme}");
    }
}

async fn a_token_that_is_gone_or_of_another_length_is_refused(shop: &Shop) {
    let one = shop.integration().granted_all().active().await;
    let consumer = shop
        .admin
        .get(&format!("/integrations/{}", one.id))
        .await
        .field("consumer_id");
    shop.admin.delete(&format!("/consumers/{consumer}/access-token")).await;
    let short = one.credentials.with_token("invalid", "secret");

    let ill_sized = Call::get("/rest/V1/products/ill-sized")
        .signed_by(&short)
        .send(&shop.gateway)
        .await;

    assert_eq!(refused(shop, &one.credentials).await, (401, "token_rejected"));
    assert_eq!(ill_sized.status, 400);
    assert_eq!(
        ill_sized.field("message"),
        "The token length is invalid. Check the length and try again."
    );
}

async fn an_inactive_integration_is_a_guest(shop: &Shop) {
    let one = shop.integration().granted_all().active().await;
    shop.admin
        .post(&format!("/integrations/{}/deactivate", one.id), &json!(null))
        .await;

    let answer = Call::get("/rest/V1/products/inactive")
        .signed_by(&one.credentials)
        .send(&shop.gateway)
        .await;

    let expected = json!({
        "message": "The consumer isn't authorized to access %resources.",
        "parameters": { "resources": "Magento_Catalog::products" },
    });
    assert_eq!((answer.status, answer.json()), (401, expected));
}

async fn a_resource_that_is_not_granted_is_named(shop: &Shop) {
    let reader = shop.reader().await;

    let answer = Call::get("/rest/V1/orders/1")
        .signed_by(&reader)
        .send(&shop.gateway)
        .await;

    assert_eq!(answer.status, 401);
    assert_eq!(
        answer.json()["parameters"]["resources"],
        "Magento_Sales::actions_view, Magento_Sales::sales"
    );
}

async fn a_self_route_is_no_integrations(shop: &Shop) {
    let one = shop.integration().granted_all().active().await;

    let answer = Call::get("/rest/V1/customers/me/x")
        .signed_by(&one.credentials)
        .send(&shop.gateway)
        .await;

    assert_eq!(
        (answer.status, answer.json()["parameters"].clone()),
        (401, json!({ "resources": "self" }))
    );
}

async fn an_anonymous_route_forgives_a_bad_bearer_and_no_bad_oauth(shop: &Shop) {
    let reader = shop.reader().await;
    let forged = reader.with_token(reader.token(), "wrong");
    let call = Call::get("/rest/V1/store/websites");

    let bearer = call
        .clone()
        .header("Authorization", "Bearer nobodys")
        .send(&shop.gateway)
        .await;
    let oauth = call.signed_by(&forged).send(&shop.gateway).await;

    assert_eq!((bearer.status, oauth.status), (200, 401));
    assert_eq!(
        oauth.field("message"),
        "The signature is invalid. Verify and try again."
    );
}

async fn an_error_is_json_or_xml(shop: &Shop) {
    let call = Call::get("/rest/V1/products/form");

    let json = call.clone().send(&shop.gateway).await;
    let xml = call.header("Accept", "application/xml").send(&shop.gateway).await;

    assert_eq!(
        json.text(),
        "{\"message\":\"The consumer isn't authorized to access %resources.\",\"parameters\":{\"resources\":\"Magento_Catalog::products\"}}"
    );
    assert_eq!(
        xml.text(),
        "<?xml version=\"1.0\"?>\n<response><message>The consumer isn't authorized to access %resources.</message>\
         <parameters><resources>Magento_Catalog::products</resources></parameters></response>\n"
    );
    assert_eq!((json.status, xml.status), (401, 401));
}

async fn a_store_code_may_stand_in_the_path(shop: &Shop) {
    let reader = shop.reader().await;
    for store in ["", "/default", "/all", "/de"] {
        let path = format!("/rest{store}/V1/products/with-store-code");
        let served = Call::get(&path).signed_by(&reader).send(&shop.gateway).await;

        assert_eq!(served.status, 200, "{store}");
        assert!(shop.upstream.count(&path) > 0, "{store}");
    }
}

async fn a_search_with_indexes_past_nine_verifies(shop: &Shop) {
    let reader = shop.reader().await;
    let filter = |index: usize| format!("searchCriteria[filter_groups][{index}][filters][0][field]=sku");
    let query = format!("{}&{}", filter(2), filter(10));
    let call = Call::get(&format!("/rest/V1/products?{query}"));
    let two_before_ten = |pairs: &mut [(String, String)]| {
        let index = |name: &str| u8::from(name.contains("%5B10%5D"));
        let is_search = |name: &str| name.starts_with("search");
        pairs.sort_by(|(one, _), (other, _)| {
            if is_search(one) && is_search(other) {
                index(one).cmp(&index(other))
            } else {
                one.cmp(other)
            }
        });
    };

    let by_octets = call.clone().signed_by(&reader).send(&shop.gateway).await;
    let natural = call
        .signed(Signing::with(&reader).reordered(two_before_ten))
        .send(&shop.gateway)
        .await;

    assert_eq!((by_octets.status, natural.status), (200, 200));
}

async fn a_form_body_is_signed(shop: &Shop) {
    let call = Call::post("/rest/V1/products")
        .form("sku=24-MB01&qty=1")
        .signed_by(&shop.reader().await);
    let changed = call.clone().to(&shop.gateway).with_body("sku=24-MB01&qty=9");

    assert_eq!(changed.refusal().await, (401, "signature_invalid"));
    assert_eq!(call.send(&shop.gateway).await.status, 200);
}

async fn an_anonymous_call_sets_no_cookie(shop: &Shop) {
    let served = Call::get("/rest/V1/store/storeConfigs").send(&shop.gateway).await;

    assert_eq!((served.status, served.header("set-cookie")), (200, None));
}

async fn a_path_without_a_route_is_not_found(shop: &Shop) {
    let answer = Call::get("/rest/V1/no/such/service").send(&shop.gateway).await;

    let expected = json!({ "message": "Request does not match any route." });
    assert_eq!((answer.status, answer.json()), (404, expected));
}
