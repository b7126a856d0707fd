//! The starter configuration before a stand-in storefront of Magento's size: one line is edited, and all of it works.

#![expect(clippy::unwrap_used, reason = "tests: a broken precondition fails the test at once")]

mod magento;
mod redis_user;
mod starter;

use harness::{Call, Placement, Signing};
use serde_json::json;

use crate::starter::{Starter, routes};

/// Everything that the routes of the starter need.
fn all_resources() -> Vec<String> {
    let mut ids: Vec<String> = routes().into_iter().map(|route| route.resource).collect();
    ids.sort();
    ids.dedup();
    ids.retain(|id| id.contains("::"));
    ids
}

fn borrowed(ids: &[String]) -> Vec<&str> {
    ids.iter().map(String::as_str).collect()
}

#[tokio::test]
async fn forty_routes_and_more_serve_who_was_granted_their_resource() {
    let starter = Starter::shared().await;
    let integration = starter.integration(&borrowed(&all_resources())).await;
    let mut served = 0;

    for route in routes().iter().filter(|route| route.resource.contains("::")) {
        for method in &route.methods {
            let target = format!("{}?of=granted", route.example());
            let answer = starter.send(Call::new(method, &target).signed_by(&integration)).await;

            assert_eq!(answer.status, 200, "{method} {target}: {}", answer.text());
            assert_eq!(
                answer.header("x-seen-target"),
                Some(target.as_str()),
                "{method} {target}"
            );
            served += 1;
        }
    }
    assert!(served >= 40, "{served} routes");
}

#[tokio::test]
async fn each_route_refuses_who_lacks_its_resource_and_upstream_never_hears_of_it() {
    let starter = Starter::shared().await;
    let integration = starter.integration(&["Magento_Backend::dashboard"]).await;

    for route in routes().iter().filter(|route| route.resource != "anonymous") {
        for method in &route.methods {
            let target = format!("{}?of=refused", route.example());
            let signed = starter.send(Call::new(method, &target).signed_by(&integration)).await;
            let unsigned = starter.send(Call::new(method, &target)).await;

            for refused in [signed, unsigned] {
                assert_eq!(refused.refusal(), (401, "resource_denied"), "{method} {target}");
                assert_eq!(
                    refused.json()["parameters"]["resources"],
                    route.resource,
                    "{method} {target}"
                );
            }
        }
    }
    assert_eq!(starter.magento.count("of=refused"), 0);
}

#[tokio::test]
async fn anybody_may_call_what_is_anonymous() {
    let starter = Starter::shared().await;
    let anonymous: Vec<_> = routes()
        .into_iter()
        .filter(|route| route.resource == "anonymous")
        .collect();

    for route in &anonymous {
        for method in &route.methods {
            let answer = starter.send(Call::new(method, &route.example())).await;
            assert_eq!(answer.status, 200, "{method} {}", route.example());
        }
    }
    assert!(anonymous.len() >= 10, "{} routes", anonymous.len());
}

#[tokio::test]
async fn hundreds_of_products_come_whole_whatever_their_sku_holds() {
    let starter = Starter::shared().await;
    let integration = starter.integration(&["Magento_Catalog::products"]).await;

    for sku in magento::skus() {
        let target = format!("/rest/V1/products/{}", harness::percent_encode(&sku));
        let answer = starter.send(Call::get(&target).signed_by(&integration)).await;

        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        assert_eq!(answer.json(), magento::product(&sku), "{target}");
    }
}

#[tokio::test]
async fn a_page_of_all_products_streams_through_with_its_search_criteria() {
    let starter = Starter::shared().await;
    let integration = starter.integration(&["Magento_Catalog::products"]).await;
    let criteria = "searchCriteria[filter_groups][0][filters][0][field]=name\
                    &searchCriteria[filter_groups][0][filters][0][value]=%25Tasche%20f%C3%BCr%2010%20%E2%82%AC%25\
                    &searchCriteria[filter_groups][0][filters][0][condition_type]=like\
                    &searchCriteria[filter_groups][10][filters][0][field]=status\
                    &searchCriteria[filter_groups][2][filters][0][field]=price&searchCriteria[pageSize]=500";
    let target = format!("/rest/default/V1/products?{criteria}");

    let answer = starter.send(Call::get(&target).signed_by(&integration)).await;

    let items = answer.json()["items"].as_array().map_or(0, Vec::len);
    assert_eq!((answer.status, items), (200, magento::skus().len()));
    assert!(answer.body.len() > 1_000_000, "{} octets", answer.body.len());
    assert_eq!(answer.header("x-seen-target"), Some(target.as_str()));
}

#[tokio::test]
async fn a_large_product_is_written_as_it_was_sent() {
    let starter = Starter::shared().await;
    let integration = starter.integration(&["Magento_Catalog::products"]).await;
    let body = json!({ "product": { "sku": "neu", "description": "ä".repeat(300_000) } });

    let answer = starter
        .send(Call::post("/rest/all/V1/products").json(&body).signed_by(&integration))
        .await;

    assert_eq!((answer.status, answer.json()), (200, body));
}

#[tokio::test]
async fn a_store_code_may_stand_before_the_version() {
    let starter = Starter::shared().await;
    let integration = starter.integration(&["Magento_Sales::actions_view"]).await;

    for store in ["", "/default", "/all", "/de_store", "/b2b"] {
        let target = format!("/rest{store}/V1/orders/7");
        let answer = starter.send(Call::get(&target).signed_by(&integration)).await;
        assert_eq!(
            (answer.status, answer.header("x-seen-target")),
            (200, Some(target.as_str()))
        );
    }
    let deeper = starter
        .send(Call::get("/rest/a/b/V1/orders/7").signed_by(&integration))
        .await;
    assert_eq!(deeper.status, 404);
}

#[tokio::test]
async fn a_request_is_served_once_in_either_placement() {
    let starter = Starter::shared().await;
    let integration = starter.integration(&["Magento_Sales::actions_view"]).await;

    for placement in [Placement::Header, Placement::Query] {
        let signing = Signing::with(&integration).placed(placement);
        let message = starter.message(&Call::get("/rest/V1/orders?searchCriteria[pageSize]=1").signed(signing));

        let (first, replay) = (message.send().await, message.send().await);

        assert_eq!((first.status, replay.cause()), (200, "nonce_used".to_owned()));
        assert_eq!(
            first.header("x-seen-target"),
            Some("/rest/V1/orders?searchCriteria[pageSize]=1")
        );
    }
}

#[tokio::test]
async fn what_is_no_route_is_not_found_and_what_is_no_method_is_refused() {
    let starter = Starter::shared().await;
    let integration = starter.integration(&borrowed(&all_resources())).await;
    let send = async |method: &str, target: &str| {
        let answer = starter.send(Call::new(method, target).signed_by(&integration)).await;
        answer.status
    };

    assert_eq!(send("GET", "/rest/V1/modules").await, 404);
    assert_eq!(send("GET", "/admin").await, 404);
    assert_eq!(send("DELETE", "/rest/V1/orders/7").await, 405);
    assert_eq!(send("GET", "/rest/V1/orders/..%2Fcustomers").await, 400);
    assert_eq!(send("GET", "/rest/V1/orders/7%2F8").await, 400);
}

#[test]
fn one_line_is_edited() {
    let (given, edited) = starter::configuration("http://127.0.0.1:1");

    let differing: Vec<_> = given
        .lines()
        .zip(edited.lines())
        .filter(|(one, other)| one != other)
        .collect();
    assert_eq!(
        differing,
        [(
            "targets = [\"http://127.0.0.1:8081\"]",
            "targets = [\"http://127.0.0.1:1\"]"
        )]
    );
}
