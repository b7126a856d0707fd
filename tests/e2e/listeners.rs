//! What each listener serves, and what it never does.

use harness::{Call, Shop};

#[tokio::test]
async fn the_public_listener_serves_neither_admin_api_nor_health_nor_metrics() {
    let shop = Shop::shared().await;
    let paths = [
        "/health/live",
        "/health/ready",
        "/metrics",
        "/api/v1/integrations",
        "/api/v1/tokens",
        "/api/v1/reload",
        "/api/v1/openapi.json",
        "/sign-in",
        "/",
    ];
    for path in paths {
        for method in ["GET", "POST"] {
            let bearer = format!("Bearer {}", shop.admin.token());
            let call = Call::new(method, path).header("Authorization", &bearer);

            assert_eq!(
                call.refusal(&shop.gateway).await,
                (404, "route_unknown"),
                "{method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn the_public_listener_does_not_serve_them_for_an_absolute_target_or_another_host() {
    let shop = Shop::shared().await;
    let admin = shop.gateway.admin();

    for target in ["/metrics".to_owned(), format!("http://{admin}/metrics")] {
        let call = Call::get(&target)
            .to(&shop.gateway)
            .with_changed_header("host", |_| admin.to_string());

        assert_eq!(call.refusal().await, (404, "route_unknown"), "{target}");
    }
}

#[tokio::test]
async fn the_admin_listener_serves_no_route_and_no_token_endpoint() {
    let shop = Shop::shared().await;

    for path in [
        "/rest/V1/store/admin-side",
        "/oauth/token/request",
        "/rest/V1/integration/admin/token",
    ] {
        assert_eq!(shop.gateway.admin_call(Call::get(path)).await.status, 404, "{path}");
    }
    assert_eq!(shop.upstream.count("admin-side"), 0);
}

#[tokio::test]
async fn health_says_live_and_ready_by_component() {
    let shop = Shop::shared().await;

    let live = shop.gateway.admin_call(Call::get("/health/live")).await;
    let ready = shop.gateway.admin_call(Call::get("/health/ready")).await;

    assert_eq!((live.status, ready.status), (200, 200));
    assert_eq!(ready.json()["components"]["store"]["status"], "ok");
}

#[tokio::test]
async fn metrics_count_requests_and_refusals_by_cause() {
    let shop = Shop::new().start().await;
    let refused = "countersign_refusals_total{cause=\"route_unknown\"}";

    Call::get("/rest/V1/store/counted").send(&shop.gateway).await;
    Call::get("/nowhere").send(&shop.gateway).await;

    assert_eq!(
        shop.gateway.metric("countersign_requests_total{status=\"2xx\"}").await,
        1
    );
    assert_eq!(shop.gateway.metric(refused).await, 1);
}
