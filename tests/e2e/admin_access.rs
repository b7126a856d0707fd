//! Who may call the admin API, that no change overtakes another, and that every change is written down.

use harness::{Admin, Call, Connection, PASSWORD, Shop, eventually};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;

#[tokio::test]
async fn no_call_is_answered_without_a_good_token() {
    let shop = Shop::shared().await;
    let token = shop.admin.token();
    let access_token = shop.reader().await.token().to_owned();
    let headers = [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        "Bearer nobodys".to_owned(),
        format!("Bearer {}", token.split_at(1).1),
        format!("Bearer {token}x"),
        format!("Bearer {}", token.to_uppercase()),
        format!("Bearer  {token}"),
        format!("Basic {token}"),
        token.to_owned(),
        format!("Bearer {access_token}"),
        "OAuth oauth_token=\"x\"".to_owned(),
    ];
    for header in headers {
        let call = Call::get("/api/v1/integrations").header("Authorization", &header);
        let answer = shop.gateway.admin_call(call).await;

        assert_eq!(answer.status, 401, "{header}");
        assert!(
            answer
                .header("www-authenticate")
                .is_some_and(|challenge| challenge.starts_with("Bearer"))
        );
        assert!(!answer.text().contains("items"));
    }
}

#[tokio::test]
async fn who_crowds_the_admin_listener_from_one_address_locks_nobody_else_out() {
    let shop = Shop::new().start().await;
    let address = shop.gateway.admin();
    let held = async || {
        let mut connection = Connection::open(address).await.unwrap();
        let request = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n";
        connection.write(request).await.ok()?;
        let answer = connection.response("GET").await.ok()?;
        (answer.status == 200).then_some(connection)
    };
    let mut crowd = Vec::new();
    for _ in 0..192 {
        crowd.push(eventually("a connection is let in", held).await);
    }

    let mut past = Connection::open(address).await.unwrap();
    let is_closed = past.closes().await;
    let elsewhere = TcpSocket::new_v4().unwrap();
    elsewhere.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut elsewhere = elsewhere.connect(address).await.unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    elsewhere.write_all(request).await.unwrap();
    let mut metrics = String::new();
    elsewhere.read_to_string(&mut metrics).await.unwrap();
    let over_the_socket = shop.gateway.command(&["admin", "list"]);

    assert!(is_closed);
    assert!(metrics.starts_with("HTTP/1.1 200 "), "{metrics}");
    assert!(
        metrics.contains("countersign_admin_connections_refused_total"),
        "{metrics}"
    );
    assert!(!metrics.contains("countersign_admin_connections_refused_total 0\n"));
    assert!(over_the_socket.status.success(), "{over_the_socket:?}");
    shop.gateway.logged("an admin connection was closed").await;
}

#[tokio::test]
async fn a_token_counts_in_the_header_alone_and_once() {
    let shop = Shop::shared().await;
    let token = shop.admin.token();
    let bearer = format!("Bearer {token}");

    let query = Call::get(&format!("/api/v1/integrations?access_token={token}"));
    let cookie =
        Call::get("/api/v1/integrations").header("Cookie", &format!("token={token}; countersign_session={token}"));
    let twice = Call::get("/api/v1/integrations")
        .header("Authorization", &bearer)
        .header("Authorization", &bearer);

    for call in [query, cookie, twice] {
        assert_eq!(shop.gateway.admin_call(call).await.status, 401);
    }
}

#[tokio::test]
async fn a_customers_token_is_no_admins() {
    let (shop, _) = Shop::with_customer().await;
    let bearer = format!("Bearer {}", shop.customer_token().await);

    let call = Call::get("/api/v1/integrations").header("Authorization", &bearer);

    assert_eq!(shop.gateway.admin_call(call).await.status, 401);
}

#[tokio::test]
async fn a_viewer_reads_and_does_nothing_else() {
    let shop = Shop::shared().await;
    let viewer = signed_in(shop, "api-viewer", "viewer").await;
    let id = shop.integration().created().await;

    assert_eq!(viewer.get("/integrations").await.status, 200);
    assert_eq!(viewer.get(&format!("/integrations/{id}")).await.status, 200);
    for path in ["activate", "reauthorize", "deactivate", "rotate-secret"] {
        assert_eq!(
            viewer
                .post(&format!("/integrations/{id}/{path}"), &json!({}))
                .await
                .status,
            403,
            "{path}"
        );
    }
    assert_eq!(viewer.integration().send().await.status, 403);
    assert_eq!(viewer.delete(&format!("/integrations/{id}")).await.status, 403);
    assert_eq!(
        viewer
            .put(&format!("/integrations/{id}/resources"), &json!([]))
            .await
            .status,
        403
    );
    assert_eq!(viewer.post("/admins", &json!({})).await.status, 403);
    assert_eq!(viewer.post("/reload", &json!(null)).await.status, 403);
    assert_eq!(shop.admin.status(id).await, "inactive");
}

#[tokio::test]
async fn an_operator_activates_and_sees_no_credentials() {
    let shop = Shop::shared().await;
    let operator = signed_in(shop, "api-operator", "operator").await;
    let id = shop.integration().created().await;

    let activated = operator.activate(id).await;

    assert_eq!(activated.json(), json!({ "status": "active", "exchange": false }));
    let consumer = shop
        .admin
        .get(&format!("/integrations/{id}"))
        .await
        .field("consumer_id");
    assert_eq!(
        operator
            .get(&format!("/consumers/{consumer}/access-token"))
            .await
            .status,
        403
    );
    assert_eq!(operator.integration().send().await.status, 403);
    assert_eq!(operator.delete(&format!("/integrations/{id}")).await.status, 403);
}

#[tokio::test]
async fn unknown_ids_are_not_found() {
    let shop = Shop::shared().await;
    let unknown = "No such entity with %fieldName = %fieldValue";

    for id in [
        "0",
        "-1",
        "+1",
        "01",
        "1x",
        "x",
        "99999999999999999999999",
        "1%00",
        "..%2f1",
        "*",
        "%0d%0aX:1",
    ] {
        let answer = shop.admin.get(&format!("/integrations/{id}")).await;

        assert_eq!(answer.status, 404, "{id}: {}", answer.text());
    }
    let answer = shop.admin.get("/integrations/no-number").await;
    assert_eq!(answer.field("message"), unknown);
    let answer = shop.admin.get("/integrations/999999999").await;
    assert_eq!(
        (answer.status, answer.field("message")),
        (404, "The integration with ID \"%1\" doesn't exist.".to_owned())
    );
}

#[tokio::test]
async fn every_call_of_an_unknown_integration_is_not_found() {
    let shop = Shop::shared().await;
    let (missing, body) = ("/integrations/999999999", json!({ "name": "x" }));

    for path in ["/activate", "/reauthorize", "/deactivate", "/rotate-secret"] {
        assert_eq!(
            shop.admin.post(&format!("{missing}{path}"), &json!({})).await.status,
            404,
            "{path}"
        );
    }
    assert_eq!(shop.admin.put(missing, &body).await.status, 404);
    assert_eq!(shop.admin.delete(missing).await.status, 404);
    assert_eq!(shop.admin.get(&format!("{missing}/resources")).await.status, 404);
    assert_eq!(
        shop.admin.put(&format!("{missing}/resources"), &json!([])).await.status,
        404
    );
    assert_eq!(shop.admin.get("/consumers/999999999").await.status, 404);
    assert_eq!(shop.admin.delete("/admins/999999999/tokens").await.status, 404);
}

#[tokio::test]
async fn a_change_needs_a_precondition() {
    let shop = Shop::shared().await;
    let id = shop.integration().created().await;
    let put =
        || Call::new("PUT", &format!("/api/v1/integrations/{id}")).json(&json!({ "name": format!("Changed {id}") }));
    let delete = || Call::new("DELETE", &format!("/api/v1/integrations/{id}"));
    let grant = || Call::new("PUT", &format!("/api/v1/integrations/{id}/resources")).json(&json!([]));

    for call in [put(), delete(), grant()] {
        assert_eq!(shop.admin.call(call.clone()).await.status, 428);
        for stale in ["\"999\"", "W/\"1\"", "1", "\"\"", "\"1x\""] {
            assert_eq!(
                shop.admin.call(call.clone().header("If-Match", stale)).await.status,
                412,
                "{stale}"
            );
        }
    }
    assert_eq!(shop.admin.call(put().header("If-Match", "*")).await.status, 200);
}

#[tokio::test]
async fn a_change_takes_the_version_that_was_read_once() {
    let shop = Shop::shared().await;
    let id = shop.integration().created().await;
    let etag = shop
        .admin
        .get(&format!("/integrations/{id}"))
        .await
        .header("etag")
        .unwrap_or_default()
        .to_owned();
    let change = || {
        let body = json!({ "name": format!("Version {id}"), "email": "a@example.com" });
        Call::new("PUT", &format!("/api/v1/integrations/{id}"))
            .json(&body)
            .header("If-Match", &etag)
    };

    let first = shop.admin.call(change()).await;
    let second = shop.admin.call(change()).await;

    assert_eq!((first.status, second.status), (200, 412));
    assert_ne!(first.header("etag"), Some(etag.as_str()));
}

#[tokio::test]
async fn of_many_changes_of_one_version_at_once_one_is_made() {
    let shop = Shop::shared().await;
    let id = shop.integration().created().await;
    let etag = shop
        .admin
        .get(&format!("/integrations/{id}"))
        .await
        .header("etag")
        .unwrap_or_default()
        .to_owned();
    let mut calls = JoinSet::new();
    for number in 0..8 {
        let body = json!({ "name": format!("Raced {id}"), "email": format!("a{number}@example.com") });
        let call = Call::new("PUT", &format!("/api/v1/integrations/{id}"))
            .json(&body)
            .header("If-Match", &etag);
        calls.spawn(async move { shop.admin.call(call).await.status });
    }

    let mut statuses = calls.join_all().await;

    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412, 412, 412, 412, 412]);
}

#[tokio::test]
async fn every_change_is_audited() {
    let shop = Shop::new().start().await;
    let id = shop.integration().created().await;
    shop.admin.activate(id).await;
    shop.admin
        .put(
            &format!("/integrations/{id}/resources"),
            &json!(["Magento_Sales::sales"]),
        )
        .await;
    shop.admin.delete(&format!("/integrations/{id}")).await;

    let audit = eventually("the audit log", async || {
        let audit = shop.admin.get("/audit?limit=1000").await.json()["items"]
            .as_array()
            .cloned()?;
        audit
            .iter()
            .any(|entry| entry["action"] == "integration.deleted")
            .then_some(audit)
    })
    .await;

    let about = format!("integration/{id}");
    let entries: Vec<&Value> = audit
        .iter()
        .filter(|entry| entry["subject"] == about.as_str())
        .collect();
    let mut actions: Vec<&str> = entries.iter().filter_map(|entry| entry["action"].as_str()).collect();
    actions.sort_unstable();
    assert_eq!(
        actions,
        [
            "integration.activated",
            "integration.created",
            "integration.deleted",
            "integration.granted"
        ]
    );
    assert!(
        entries
            .iter()
            .all(|entry| entry["actor"] == harness::ADMIN && entry["origin"] == "127.0.0.1")
    );
}

async fn signed_in(shop: &Shop, username: &str, role: &str) -> Admin {
    let new = json!({ "username": username, "password": PASSWORD, "role": role });
    assert_eq!(shop.admin.post("/admins", &new).await.status, 201);
    Admin::sign_in(shop.gateway.admin(), username, PASSWORD).await
}
