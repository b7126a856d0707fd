//! Every call of the admin API and the least role that may make it (product.md 5): one below is told so, nobody is told
//! nothing, no call is missing here, and no answer is kept.

use std::collections::BTreeSet;

use harness::{Call, Shop};
use serde_json::Value;

const OPEN: [(&str, &str); 2] = [("POST", "/tokens"), ("GET", "/openapi.json")];

const VIEWER: [(&str, &str); 22] = [
    ("GET", "/tokens"),
    ("GET", "/integrations"),
    ("GET", "/integrations/{id}"),
    ("GET", "/integrations/{id}/resources"),
    ("GET", "/integrations/{id}/handshake"),
    ("GET", "/rejections"),
    ("GET", "/consumers"),
    ("GET", "/consumers/{id}"),
    ("GET", "/audit"),
    ("GET", "/events"),
    ("GET", "/events/dead"),
    ("GET", "/sweeps"),
    ("GET", "/admins"),
    ("GET", "/admins/{id}"),
    ("GET", "/customers"),
    ("GET", "/customers/{id}"),
    ("GET", "/resources"),
    ("GET", "/routes"),
    ("GET", "/upstreams"),
    ("GET", "/limits"),
    ("GET", "/usage"),
    ("GET", "/traffic"),
];

const OPERATOR: [(&str, &str); 13] = [
    ("DELETE", "/tokens/{id}"),
    ("POST", "/integrations/{id}/activate"),
    ("POST", "/integrations/{id}/reauthorize"),
    ("POST", "/integrations/{id}/deactivate"),
    ("GET", "/rejections/{request_id}"),
    ("DELETE", "/consumers/{id}/access-token"),
    ("POST", "/events/dead/replay"),
    ("POST", "/events/dead/{name}/replay"),
    ("POST", "/sweeps/{name}"),
    ("DELETE", "/admins/{id}/tokens"),
    ("DELETE", "/customers/{id}/tokens"),
    ("POST", "/routes/test"),
    ("POST", "/explain"),
];

const ADMIN: [(&str, &str); 24] = [
    ("POST", "/integrations"),
    ("PUT", "/integrations/{id}"),
    ("DELETE", "/integrations/{id}"),
    ("PUT", "/integrations/{id}/resources"),
    ("DELETE", "/integrations/{id}/resources"),
    ("POST", "/integrations/{id}/rotate-secret"),
    ("POST", "/integrations/{id}/debug-token"),
    ("POST", "/consumers"),
    ("DELETE", "/consumers/{id}"),
    ("GET", "/consumers/{id}/access-token"),
    ("POST", "/consumers/{id}/access-token"),
    ("POST", "/consumers/{id}/verifier"),
    ("POST", "/admins"),
    ("PUT", "/admins/{id}"),
    ("POST", "/admins/{id}/disable"),
    ("POST", "/admins/{id}/enable"),
    ("POST", "/admins/{id}/password"),
    ("POST", "/admins/{id}/totp"),
    ("POST", "/admins/{id}/totp/confirm"),
    ("DELETE", "/admins/{id}/totp"),
    ("POST", "/customers"),
    ("DELETE", "/customers/{id}"),
    ("POST", "/reload"),
    ("POST", "/store/reseal"),
];

#[tokio::test]
async fn each_call_needs_its_role_and_has_one() {
    let shop = Shop::new().start().await;
    let (viewer, operator) = (
        shop.admin.colleague("viewer").await,
        shop.admin.colleague("operator").await,
    );

    for (calls, may_not, may) in [
        (&VIEWER[..], &[][..], &viewer),
        (&OPERATOR[..], &[&viewer][..], &operator),
        (&ADMIN[..], &[&viewer, &operator][..], &shop.admin),
    ] {
        for call in calls {
            let nobody = shop.gateway.admin_call(made(call)).await;
            assert_eq!(nobody.status, 401, "{call:?}: {}", nobody.text());
            for account in may_not {
                let refused = account.call(made(call)).await;
                assert_eq!(refused.status, 403, "{call:?}: {}", refused.text());
            }
            // What is read for ever has no end to wait for.
            if call.1 != "/events" {
                let reached = may.call(made(call)).await;
                assert!(
                    ![401, 403, 405].contains(&reached.status),
                    "{call:?}: {}",
                    reached.text()
                );
                assert_eq!(reached.header("cache-control"), Some("no-store"), "{call:?}");
            }
        }
    }
}

#[tokio::test]
async fn every_call_that_is_described_is_held_to_a_role_here() {
    let shop = Shop::shared().await;
    let document = shop.gateway.admin_call(Call::get("/api/v1/openapi.json")).await.json();

    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, calls)| {
            let methods = calls.as_object().unwrap().keys();
            methods.map(move |method| (method.to_uppercase(), path.clone()))
        })
        .collect();

    let held = OPEN.iter().chain(&VIEWER).chain(&OPERATOR).chain(&ADMIN);
    let held: BTreeSet<(String, String)> = held
        .map(|(method, path)| ((*method).to_owned(), (*path).to_owned()))
        .collect();
    assert_eq!(described, held);
}

/// The call, of what doesn't exist and without anything in it.
fn made((method, path): &(&str, &str)) -> Call {
    let path = ["{id}", "{name}", "{request_id}"]
        .iter()
        .fold((*path).to_owned(), |path, name| path.replace(name, "999999999"));
    let call = Call::new(method, &format!("/api/v1{path}")).header("If-Match", "*");
    if matches!(*method, "POST" | "PUT") {
        call.json(&Value::Object(serde_json::Map::new()))
    } else {
        call
    }
}
