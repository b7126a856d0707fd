//! Who may use a route: all of its resources are needed, and what was not granted is refused.

use harness::{Call, Credentials, PASSWORD, Shop};
use serde_json::json;

#[tokio::test]
async fn an_integration_without_the_grant_is_refused() {
    let shop = Shop::shared().await;
    let other = shop
        .integration()
        .granted(&["Magento_Sales::sales"])
        .active()
        .await
        .credentials;

    let refused = Call::get("/rest/V1/products/no-grant")
        .signed_by(&other)
        .send(&shop.gateway)
        .await;

    assert_eq!(refused.refusal(), (401, "resource_denied"));
    assert_eq!(
        refused.json(),
        json!({
            "message": "The consumer isn't authorized to access %resources.",
            "parameters": { "resources": "Magento_Catalog::products" },
        })
    );
    assert_eq!(shop.upstream.count("no-grant"), 0);
}

#[tokio::test]
async fn what_was_found_of_a_grant_is_found_anew_after_a_reload_and_a_refusal_stays_one() {
    let needing = |resource: &str| {
        format!(
            "[[resources]]\nid = \"Shop::a\"\n[[resources]]\nid = \"Shop::b\"\n\
             [[routes]]\npath = \"/rest/V1/remembered\"\nmethods = [\"GET\"]\nupstream = \"storefront\"\n\
             resources = [\"{resource}\"]\n"
        )
    };
    let shop = Shop::new().without_routes().append(&needing("Shop::a")).start().await;
    let integration = shop.integration().granted(&["Shop::a"]).active().await.credentials;
    let call = async || {
        let call = Call::get("/rest/V1/remembered").signed_by(&integration);
        call.send(&shop.gateway).await
    };
    assert_eq!((call().await.status, call().await.status), (200, 200));

    shop.gateway
        .reload(|config| config.without_more().append(&needing("Shop::b")))
        .await;

    for _ in 0..3 {
        assert_eq!(call().await.refusal(), (401, "resource_denied"));
    }
    assert_eq!(shop.upstream.count("remembered"), 2);
}

#[tokio::test]
async fn every_resource_of_a_route_is_needed() {
    let shop = Shop::shared().await;
    let one = shop
        .integration()
        .granted(&["Magento_Sales::sales"])
        .active()
        .await
        .credentials;
    let both = shop
        .integration()
        .granted(&["Magento_Sales::sales", "Magento_Sales::actions_view"]);
    let both = both.active().await.credentials;

    let refused = Call::get("/rest/V1/orders/both")
        .signed_by(&one)
        .send(&shop.gateway)
        .await;
    let served = Call::get("/rest/V1/orders/both")
        .signed_by(&both)
        .send(&shop.gateway)
        .await;

    assert_eq!(refused.refusal(), (401, "resource_denied"));
    assert_eq!(
        refused.json()["parameters"]["resources"],
        "Magento_Sales::actions_view, Magento_Sales::sales"
    );
    assert_eq!(served.status, 200);
}

#[tokio::test]
async fn a_grant_reaches_neither_up_nor_down_the_tree() {
    let shop = Shop::shared().await;
    let above = shop
        .integration()
        .granted(&["Magento_Backend::admin"])
        .active()
        .await
        .credentials;

    let refused = Call::get("/rest/V1/products/above")
        .signed_by(&above)
        .send(&shop.gateway)
        .await;

    assert_eq!(refused.refusal(), (401, "resource_denied"));
}

#[tokio::test]
async fn an_integration_that_may_everything_is_served_everywhere_but_where_nobody_may() {
    let shop = Shop::shared().await;
    let all = shop.integration().granted_all().active().await.credentials;
    let get = async |path: &str| Call::get(path).signed_by(&all).send(&shop.gateway).await;

    assert_eq!(get("/rest/V1/products/all").await.status, 200);
    assert_eq!(get("/rest/V1/orders/all").await.status, 200);
    assert_eq!(get("/rest/V1/store/all").await.status, 200);
    assert_eq!(get("/rest/V1/forgotten/all").await.refusal(), (401, "resource_denied"));
    assert_eq!(
        get("/rest/V1/customers/me/all").await.refusal(),
        (401, "resource_denied")
    );
    assert_eq!(shop.upstream.count("forgotten"), 0);
}

#[tokio::test]
async fn a_grant_that_is_taken_away_ends_at_once() {
    let shop = Shop::shared().await;
    let integration = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .active()
        .await;
    let call = Call::get("/rest/V1/products/taken-away").signed_by(&integration.credentials);
    assert_eq!(call.send(&shop.gateway).await.status, 200);

    let path = format!("/integrations/{}/resources", integration.id);
    assert_eq!(shop.admin.delete(&path).await.status, 200);

    let call = Call::get("/rest/V1/products/taken-away").signed_by(&integration.credentials);
    assert_eq!(call.send(&shop.gateway).await.refusal(), (401, "resource_denied"));
}

#[tokio::test]
async fn a_grant_that_is_given_counts_at_once() {
    let shop = Shop::shared().await;
    let integration = shop.integration().active().await;
    let get = async || {
        Call::get("/rest/V1/products/given")
            .signed_by(&integration.credentials)
            .send(&shop.gateway)
            .await
    };
    assert_eq!(get().await.refusal(), (401, "resource_denied"));

    let path = format!("/integrations/{}/resources", integration.id);
    assert_eq!(
        shop.admin
            .put(&path, &json!(["Magento_Catalog::products"]))
            .await
            .status,
        200
    );

    assert_eq!(get().await.status, 200);
}

#[tokio::test]
async fn what_was_read_of_grants_can_be_sent_back() {
    let shop = Shop::shared().await;
    for integration in [
        shop.integration().granted(&["Magento_Catalog::products"]),
        shop.integration().granted_all(),
        shop.integration(),
    ] {
        let path = format!("/integrations/{}/resources", integration.created().await);
        let before = shop.admin.get(&path).await.json();

        let answer = shop.admin.put(&path, &before).await;

        assert_eq!((answer.status, answer.json()), (200, before), "{}", answer.text());
    }
}

#[tokio::test]
async fn grants_are_replaced_only_by_what_says_which() {
    let shop = Shop::shared().await;
    let integration = shop.integration().granted(&["Magento_Catalog::products"]);
    let path = format!("/integrations/{}/resources", integration.created().await);
    let before = shop.admin.get(&path).await.json();

    for body in [
        json!({}),
        json!({ "all": false }),
        json!({ "all": false, "resource": [] }),
    ] {
        let refused = shop.admin.put(&path, &body).await;
        assert_eq!(refused.status, 400, "{body}");
        assert_eq!(shop.admin.get(&path).await.json(), before);
    }
    let listed = shop
        .admin
        .put(&path, &json!({ "resources": ["Magento_Sales::sales"] }))
        .await;
    assert_eq!(listed.json()["resources"], json!(["Magento_Sales::sales"]));
    let words = shop.admin.put(&path, &json!({ "resources": "all" })).await;
    assert_eq!(
        words.json()["parameters"],
        json!({ "fieldName": "resources", "expected": "a list" })
    );
}

#[tokio::test]
async fn a_guest_is_refused_where_a_resource_is_needed() {
    let shop = Shop::shared().await;

    let refused = Call::get("/rest/V1/products/guest").send(&shop.gateway).await;

    assert_eq!(refused.refusal(), (401, "resource_denied"));
    assert_eq!(refused.json()["parameters"]["resources"], "Magento_Catalog::products");
    assert_eq!(shop.upstream.count("products/guest"), 0);
}

#[tokio::test]
async fn everybody_may_use_an_anonymous_route() {
    let shop = Shop::shared().await;

    let served = Call::get("/rest/V1/store/anonymous-guest").send(&shop.gateway).await;

    assert_eq!(served.status, 200);
    assert_eq!(
        shop.upstream.only("anonymous-guest").header("x-user-type"),
        Some("guest")
    );
}

#[tokio::test]
async fn who_signs_an_anonymous_call_is_known_upstream() {
    let shop = Shop::shared().await;
    let integration = shop.integration().active().await;

    let call = Call::get("/rest/V1/store/anonymous-signed").signed_by(&integration.credentials);
    assert_eq!(call.send(&shop.gateway).await.status, 200);

    let seen = shop.upstream.only("anonymous-signed");
    assert_eq!(seen.header("x-user-type"), Some("integration"));
    assert_eq!(
        seen.header("x-integration-id"),
        Some(integration.id.to_string().as_str())
    );
}

#[tokio::test]
async fn a_bad_bearer_on_an_anonymous_route_is_a_guest() {
    let shop = Shop::shared().await;
    let call = Call::get("/rest/V1/store/anonymous-bearer").header("Authorization", "Bearer nobodys");

    assert_eq!(call.send(&shop.gateway).await.status, 200);

    let seen = shop.upstream.only("anonymous-bearer");
    assert_eq!(seen.header("x-user-type"), Some("guest"));
    assert_eq!(seen.header("authorization"), None);
}

#[tokio::test]
async fn bad_oauth_on_an_anonymous_route_is_refused() {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;
    let wrong = reader.with_token(reader.token(), "wrong");

    let call = Call::get("/rest/V1/store/anonymous-forged").signed_by(&wrong);

    assert_eq!(call.refusal(&shop.gateway).await, (401, "signature_invalid"));
    assert_eq!(shop.upstream.count("anonymous-forged"), 0);
}

#[tokio::test]
async fn a_replay_on_an_anonymous_route_is_refused() {
    let shop = Shop::shared().await;
    let call = Call::get("/rest/V1/store/anonymous-twice")
        .signed_by(&shop.reader().await)
        .to(&shop.gateway);

    assert_eq!(call.send().await.status, 200);
    assert_eq!(call.send().await.refusal(), (401, "nonce_used"));
}

#[tokio::test]
async fn what_is_a_customers_own_is_refused_to_integrations_and_admins() {
    let shop = Shop::shared().await;
    let all = shop.integration().granted_all().active().await.credentials;
    let own = || Call::get("/rest/V1/customers/me/refused");

    let integration = own().signed_by(&all).send(&shop.gateway).await;
    let admin = bearer(own(), shop.admin.token()).send(&shop.gateway).await;
    let guest = own().send(&shop.gateway).await;

    for refused in [integration, admin, guest] {
        assert_eq!(refused.refusal(), (401, "resource_denied"));
        assert_eq!(refused.json()["parameters"]["resources"], "self");
    }
    assert_eq!(shop.upstream.count("me/refused"), 0);
}

#[tokio::test]
async fn what_is_a_customers_own_is_served_to_the_customer() {
    let (shop, customer) = Shop::with_customer().await;
    let token = shop.customer_token().await;

    let served = bearer(Call::get("/rest/V1/customers/me/served"), &token)
        .send(&shop.gateway)
        .await;

    assert_eq!(served.status, 200);
    let seen = shop.upstream.only("me/served");
    assert_eq!(seen.header("x-user-type"), Some("customer"));
    assert_eq!(seen.header("x-user-id"), Some(customer.to_string().as_str()));
}

#[tokio::test]
async fn a_customer_is_refused_where_a_resource_is_needed() {
    let (shop, _) = Shop::with_customer().await;
    let token = shop.customer_token().await;

    let refused = bearer(Call::get("/rest/V1/products/customer"), &token)
        .send(&shop.gateway)
        .await;

    assert_eq!(refused.refusal(), (401, "resource_denied"));
}

#[tokio::test]
async fn a_full_admins_bearer_token_opens_every_resource() {
    let shop = Shop::shared().await;

    let served = bearer(Call::get("/rest/V1/products/full-admin"), shop.admin.token())
        .send(&shop.gateway)
        .await;

    assert_eq!(served.status, 200);
    assert_eq!(shop.upstream.only("full-admin").header("x-user-type"), Some("admin"));
}

#[tokio::test]
async fn a_viewers_bearer_token_opens_no_resource() {
    let shop = Shop::shared().await;
    let viewer = json!({ "username": "viewer-on-routes", "password": PASSWORD, "role": "viewer" });
    assert_eq!(shop.admin.post("/admins", &viewer).await.status, 201);
    let viewer = harness::Admin::sign_in(shop.gateway.admin(), "viewer-on-routes", PASSWORD).await;

    let refused = bearer(Call::get("/rest/V1/products/viewer"), viewer.token())
        .send(&shop.gateway)
        .await;

    assert_eq!(refused.refusal(), (401, "resource_denied"));
}

#[tokio::test]
async fn a_bad_bearer_is_told_from_a_missing_one_by_its_cause_alone() {
    let shop = Shop::shared().await;

    let bad = bearer(Call::get("/rest/V1/products/bad-bearer"), "nobodys")
        .send(&shop.gateway)
        .await;
    let none = Call::get("/rest/V1/products/bad-bearer").send(&shop.gateway).await;

    assert_eq!(bad.refusal(), (401, "bearer_invalid"));
    assert_eq!(bad.body, none.body);
}

#[tokio::test]
async fn a_bearer_header_has_exactly_two_pieces() {
    let shop = Shop::shared().await;
    let token = shop.admin.token();
    let bad = [
        format!("Bearer  {token}"),
        format!("Bearer {token} x"),
        "Bearer".to_owned(),
        format!("Bearer\t{token}"),
    ];

    for header in bad {
        let call = Call::get("/rest/V1/products/pieces").header("Authorization", &header);
        assert_eq!(call.send(&shop.gateway).await.status, 401, "{header}");
    }
    let call = Call::get("/rest/V1/products/pieces").header("Authorization", &format!("bEARER {token}"));
    assert_eq!(call.send(&shop.gateway).await.status, 200);
}

#[tokio::test]
async fn an_unknown_resource_can_not_be_granted() {
    let shop = Shop::shared().await;

    let refused = shop.integration().granted(&["Magento_Catalog::product"]).send().await;

    assert_eq!(refused.status, 400);
    assert!(
        refused
            .field("message")
            .contains("did you mean \"Magento_Catalog::products\"?"),
        "{}",
        refused.text()
    );
}

#[tokio::test]
async fn a_grant_of_a_resource_that_is_gone_opens_nothing_else() {
    let shop = Shop::new()
        .append("[[resources]]\nid = \"Shop_Extra::extra\"")
        .start()
        .await;
    let extra = shop
        .integration()
        .granted(&["Shop_Extra::extra"])
        .active()
        .await
        .credentials;

    let refused = Call::get("/rest/V1/products/extra")
        .signed_by(&extra)
        .send(&shop.gateway)
        .await;

    assert_eq!(refused.refusal(), (401, "resource_denied"));
}

#[tokio::test]
async fn what_was_granted_before_its_resource_was_gone_stands_in_no_changes_way() {
    let shop = Shop::new()
        .append("[[resources]]\nid = \"Shop_Extra::extra\"")
        .start()
        .await;
    let made = shop.integration().granted(&["Shop_Extra::extra"]).created().await;
    let path = format!("/integrations/{made}");
    shop.gateway
        .reload(|config| config.replace("Shop_Extra::extra", "Shop_Extra::other"))
        .await;
    let mut body = shop.admin.get(&path).await.json();
    body["email"] = json!("new@shop.example");

    let changed = shop.admin.put(&path, &body).await;
    let kept = shop
        .admin
        .put(
            &format!("{path}/resources"),
            &json!({ "resources": ["Shop_Extra::extra", "Magento_Catalog::products"] }),
        )
        .await;
    let unknown = shop
        .admin
        .put(
            &format!("{path}/resources"),
            &json!({ "resources": ["Shop_Extra::gone"] }),
        )
        .await;

    assert_eq!(changed.status, 200, "{}", changed.text());
    assert_eq!(changed.json()["resources"], json!(["Shop_Extra::extra"]));
    assert_eq!((kept.status, unknown.status), (200, 400), "{}", kept.text());
}

#[tokio::test]
async fn a_route_that_demands_https_is_refused_in_clear() {
    let shop = Shop::shared().await;
    let reader: Credentials = shop.reader().await;

    let refused = Call::get("/rest/V1/secure/1")
        .signed_by(&reader)
        .send(&shop.gateway)
        .await;

    assert_eq!(refused.status, 400);
    assert_eq!(refused.field("message"), "Operation allowed only in HTTPS");
    assert_eq!(shop.upstream.count("/secure/"), 0);
}

fn bearer(call: Call, token: &str) -> Call {
    call.header("Authorization", &format!("Bearer {token}"))
}
