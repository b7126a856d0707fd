//! What the console reads: the routing table, upstreams, limits, usage, and what would become of a request.

use harness::{Admin, Answer, Call, PASSWORD, Shop, eventually, free_port};
use serde_json::{Value, json};

const LIMITS: &str = r#"
[[limits]]
per = "integration"
requests = 1000
window = "10s"
burst = 50
[[limits]]
per = "route"
concurrency = 7
only = ["/rest/{store?}/V1/products"]
"#;

#[tokio::test]
async fn routes_are_listed_as_they_are_configured() {
    let shop = Shop::shared().await;

    let all = shop.admin.get("/routes").await;
    let some = shop
        .admin
        .get("/routes?resource=Magento_Catalog::products&method=patch")
        .await
        .json();
    let one = shop.admin.get("/routes?path=secure").await.json();

    assert_eq!(all.status, 200);
    assert_eq!(
        all.json()["items"].as_array().map(Vec::len).map(Value::from),
        Some(all.json()["total"].clone())
    );
    assert_eq!(
        all.json()["items"][0],
        json!({
            "path": "/rest/{store?}/V1/products", "host": null, "methods": ["GET", "POST"], "upstream": "storefront",
            "resources": ["Magento_Catalog::products"], "mode": "enforce", "secure": false, "encoded_slash": "refuse",
            "keep_oauth": false, "force": {},
        })
    );
    assert_eq!(
        (&some["total"], &some["items"][0]["encoded_slash"]),
        (&json!(1), &json!("allow"))
    );
    assert_eq!((&one["total"], &one["items"][0]["secure"]), (&json!(1), &json!(true)));
}

#[tokio::test]
async fn routes_are_listed_page_by_page() {
    let shop = Shop::shared().await;
    let all = shop.admin.get("/routes").await.json();

    let first = shop.admin.get("/routes?limit=2").await;
    let second = shop
        .admin
        .get(&format!("/routes?limit=2&after={}", first.field("next")))
        .await
        .json();
    let last = shop.admin.get("/routes?after=1000").await.json();

    let (items, all) = (first.json(), all["items"].as_array().unwrap().clone());
    assert_eq!(items["items"], json!(all[..2]));
    assert_eq!(second["items"], json!(all[2..4]));
    assert_eq!(last, json!({ "items": [], "next": null, "total": all.len() }));
    assert_eq!(shop.admin.get("/routes?limit=x").await.status, 400);
    assert_eq!(shop.admin.get("/routes?unknown=1").await.status, 400);
}

#[tokio::test]
async fn every_list_has_the_same_shape() {
    let shop = Shop::shared().await;
    shop.integration().created().await;
    let lists = [
        "/integrations",
        "/consumers?key=x",
        "/admins",
        "/resources",
        "/routes",
        "/upstreams",
        "/limits",
        "/usage",
        "/audit",
        "/sweeps",
    ];
    for path in lists {
        let list = shop.admin.get(path).await.json();

        let is_whole = list["items"].is_array() && list["total"].is_u64() && list.get("next").is_some();
        assert!(is_whole, "{path}: {list}");
    }
    let tokens = shop.admin.get("/tokens").await.json();
    assert!(tokens["items"].is_array() && tokens.get("total").is_some() && tokens.get("next").is_some());
}

#[tokio::test]
async fn routes_follow_a_reload() {
    let shop = Shop::new().start().await;
    let route = "[[routes]]\npath = \"/later\"\nupstream = \"storefront\"\nresources = [\"self\"]\n\
                 force = { \"customer.id\" = \"%customer_id%\", \"store_id\" = 1, \"none\" = \"null\" }\n";

    shop.gateway.reload(|config| config.append(route)).await;

    let found = shop.admin.get("/routes?path=/later").await.json();
    assert_eq!(
        found["items"][0]["force"],
        json!({ "customer.id": "%customer_id%", "store_id": 1, "none": "null" })
    );
}

#[tokio::test]
async fn upstreams_are_listed_with_how_their_targets_are() {
    let gone = free_port();
    let shop = Shop::new()
        .set("upstreams.gone", "targets", &format!("[\"http://127.0.0.1:{gone}\"]"))
        .set("upstreams.gone", "balance", "\"least-requests\"")
        .append("[upstreams.gone.credentials]\nmode = \"bearer\"\ntoken = \"a-secret-token\"\n")
        .append("[[routes]]\npath = \"/gone\"\nupstream = \"gone\"\nresources = [\"anonymous\"]")
        .start()
        .await;
    let upstreams = async || shop.admin.get("/upstreams").await;
    shop.upstream.answers("never", Answer::Never);
    let call = Call::get("/rest/V1/store/never").to(&shop.gateway);
    let waiting = tokio::spawn(async move { call.try_send().await.map(|answer| answer.status) });
    eventually("the call that waits", async || {
        (shop.upstream.count("never") == 1).then_some(())
    })
    .await;
    Call::get("/rest/V1/store/once").send(&shop.gateway).await;
    Call::get("/gone").send(&shop.gateway).await;

    let seen = eventually("the workers' views", async || {
        let seen = upstreams().await.json();
        let is_seen = seen["items"][0]["targets"][0]["status"] == "unreachable"
            && seen["items"][1]["targets"][0]["active_requests"] == 1
            && seen["items"][1]["targets"][0]["idle_connections"] == 1;
        is_seen.then_some(seen)
    })
    .await;

    waiting.abort();
    assert_eq!(seen["total"], 2);
    let (gone_now, storefront) = (&seen["items"][0], &seen["items"][1]);
    assert_eq!(
        (&gone_now["name"], &gone_now["balance"]),
        (&json!("gone"), &json!("least-requests"))
    );
    assert_eq!(gone_now["targets"][0]["url"], format!("http://127.0.0.1:{gone}"));
    assert_eq!(
        (&gone_now["credentials"], &storefront["credentials"]),
        (&json!("bearer"), &json!("none"))
    );
    assert!(!upstreams().await.text().contains("a-secret-token"));
    let target = &storefront["targets"][0];
    assert_eq!(
        (&storefront["name"], &target["status"]),
        (&json!("storefront"), &json!("ok"))
    );
    assert_eq!(target["url"], format!("http://{}", shop.upstream.address()));
}

#[tokio::test]
async fn limits_are_listed_with_how_many_they_count() {
    let shop = Shop::new().append(LIMITS).start().await;
    let call = Call::get("/rest/V1/products/limited").signed_by(&shop.reader().await);
    assert_eq!(call.send(&shop.gateway).await.status, 200);

    let limits = shop.admin.get("/limits").await.json();

    let expected = json!([
        { "per": "integration", "requests": 1000, "window_seconds": 10.0, "burst": 50, "concurrency": null, "only": [],
          "counted": 1 },
        { "per": "route", "requests": null, "window_seconds": 1.0, "burst": 0, "concurrency": 7,
          "only": ["/rest/{store?}/V1/products"], "counted": 0 },
    ]);
    assert_eq!(limits, json!({ "items": expected, "next": null, "total": 2 }));
}

#[tokio::test]
async fn a_request_is_tried_without_being_sent() {
    let shop = Shop::shared().await;
    let id = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .active()
        .await
        .id;
    let inactive = shop.integration().granted_all().created().await;
    let try_it = async |method: &str, url: &str, id: Option<u64>| {
        let mut body = json!({ "method": method, "url": url });
        if let Some(id) = id {
            body["integration_id"] = json!(id);
        }
        shop.admin.post("/routes/test", &body).await.json()
    };
    let decided = |answer: &Value| (answer["decision"].clone(), answer["refusal"]["cause"].clone());

    let granted = try_it("get", "http://shop.example/rest/de/V1/products/tried?x=1", Some(id)).await;
    assert_eq!(decided(&granted), (json!("forward"), json!(null)));
    assert_eq!(granted["route"]["path"], "/rest/{store?}/V1/products/{sku}");
    assert_eq!(
        (&granted["host"], &granted["path"]),
        (&json!("shop.example"), &json!("/rest/de/V1/products/tried"))
    );
    assert_eq!(granted["integration"]["granted"], true);
    let lacking = try_it("GET", "/rest/V1/orders/1", Some(id)).await;
    assert_eq!(decided(&lacking), (json!("refuse"), json!("resource_denied")));
    assert_eq!(
        lacking["integration"]["lacking"],
        json!(["Magento_Sales::actions_view", "Magento_Sales::sales"])
    );
    let cases = [
        (
            "GET",
            "/rest/V1/products/x",
            Some(inactive),
            "refuse",
            json!("integration_inactive"),
        ),
        (
            "GET",
            "/rest/V1/customers/me",
            Some(id),
            "refuse",
            json!("resource_denied"),
        ),
        ("GET", "/rest/V1/observed/x", Some(inactive), "forward", json!(null)),
        ("GET", "/rest/V1/store/x", None, "forward", json!(null)),
        ("GET", "/rest/V1/forgotten/x", None, "refuse", json!("resource_denied")),
        ("PATCH", "/rest/V1/products", None, "refuse", json!("method_refused")),
        ("GET", "/nowhere", None, "refuse", json!("route_unknown")),
        ("GET", "/rest/V1/../x", None, "refuse", json!("target_refused")),
        ("POST", "/oauth/token/request", None, "endpoint", json!(null)),
    ];
    for (method, url, id, decision, cause) in cases {
        let answer = try_it(method, url, id).await;
        assert_eq!(decided(&answer), (json!(decision), cause), "{method} {url}: {answer}");
    }
    assert_eq!(shop.upstream.count("tried"), 0);
}

#[tokio::test]
async fn what_can_not_be_tried_is_told() {
    let shop = Shop::shared().await;
    let post = async |body: Value| shop.admin.post("/routes/test", &body).await.status;

    assert_eq!(post(json!({ "url": "/a" })).await, 400);
    assert_eq!(post(json!({ "method": "GET", "url": "nowhere" })).await, 400);
    assert_eq!(
        post(json!({ "method": "GET", "url": "/rest/V1/products", "integration_id": 999_999_999 })).await,
        404
    );
    assert_eq!(
        post(json!({ "method": "GET", "url": "/a", "integration": "x" })).await,
        400
    );
}

#[tokio::test]
async fn usage_says_who_uses_what_and_when_last() {
    let shop = Shop::new().start().await;
    let one = shop.integration().granted_all().with("name", "Busy one").active().await;
    let other = shop.integration().granted_all().active().await;
    let call = async |path: &str, by: &harness::Integration| {
        let answer = Call::get(path).signed_by(&by.credentials).send(&shop.gateway).await;
        assert_eq!(answer.status, 200);
    };
    for _ in 0..3 {
        call("/rest/V1/products/used", &one).await;
    }
    call("/rest/V1/orders/1", &one).await;
    call("/rest/V1/store/open", &other).await;
    // A refusal is no use, and told apart.
    let path = format!("/integrations/{}/resources", other.id);
    shop.admin.delete(&path).await;
    Call::get("/rest/V1/products/used")
        .signed_by(&other.credentials)
        .send(&shop.gateway)
        .await;

    let usage = eventually("the workers' tallies", async || {
        let usage = shop.admin.get("/usage").await.json();
        let counts = usage["items"].as_array()?.iter().map(|item| item["count"].as_u64());
        let all: Option<u64> = counts.sum();
        (usage["total"] == 5 && all == Some(6)).then_some(usage)
    })
    .await;

    let row = |at: usize| {
        let item = &usage["items"][at];
        (
            item["integration_id"].as_u64(),
            item["resource"].clone(),
            item["count"].clone(),
        )
    };
    assert_eq!(row(0), (Some(one.id), json!("Magento_Catalog::products"), json!(3)));
    assert_eq!(row(1), (Some(one.id), json!("Magento_Sales::actions_view"), json!(1)));
    assert_eq!(row(2), (Some(one.id), json!("Magento_Sales::sales"), json!(1)));
    assert_eq!(row(3), (Some(other.id), json!("Magento_Catalog::products"), json!(0)));
    let refused = |at: usize| {
        (
            usage["items"][at]["refused"].clone(),
            usage["items"][at]["last_seen"].clone(),
        )
    };
    assert_eq!(refused(3), (json!(1), json!(null)));
    assert!(
        usage["items"][3]["last_refused"]
            .as_u64()
            .unwrap()
            .abs_diff(harness::now())
            < 60
    );
    assert_eq!(row(4), (Some(other.id), json!("anonymous"), json!(1)));
    assert_eq!(refused(4).0, json!(0));
    assert_eq!(usage["items"][0]["integration"], "Busy one");
    let last = usage["items"][0]["last_seen"].as_u64().unwrap();
    assert!(last.abs_diff(harness::now()) < 60 && usage["since"].as_u64().unwrap() <= last);
    let filtered = shop
        .admin
        .get(&format!("/usage?integration_id={}&limit=2", one.id))
        .await
        .json();
    assert_eq!((&filtered["total"], &filtered["next"]), (&json!(3), &json!("2")));
    let by_resource = shop.admin.get("/usage?resource=Magento_Sales::sales").await.json();
    assert_eq!(by_resource["total"], 1);
}

#[tokio::test]
async fn usage_survives_a_reload_and_forgets_who_is_gone() {
    let shop = Shop::new().start().await;
    let one = shop.integration().granted_all().active().await;
    let call = async || {
        Call::get("/rest/V1/products/x")
            .signed_by(&one.credentials)
            .send(&shop.gateway)
            .await
    };
    let counts = async |wanted: u64| {
        let usage = shop.admin.get("/usage").await.json();
        (usage["items"][0]["count"] == wanted).then_some(())
    };
    call().await;
    shop.gateway
        .reload(|config| config.append("[[resources]]\nid = \"Aa_Aa::x\""))
        .await;
    call().await;
    eventually("both are counted", async || counts(2).await).await;

    shop.admin.delete(&format!("/integrations/{}", one.id)).await;

    shop.admin.get("/usage").await;
    assert_eq!(shop.admin.get("/usage").await.json()["total"], 0);
}

#[tokio::test]
async fn a_viewer_reads_them_and_an_operator_tries_requests() {
    let shop = Shop::shared().await;
    let by = async |role: &str| {
        let name = format!("console-{role}");
        let new = json!({ "username": name, "password": PASSWORD, "role": role });
        assert_eq!(shop.admin.post("/admins", &new).await.status, 201);
        Admin::sign_in(shop.gateway.admin(), &name, PASSWORD).await
    };
    let (viewer, operator) = (by("viewer").await, by("operator").await);

    for path in ["/routes", "/upstreams", "/limits", "/usage"] {
        assert_eq!(viewer.get(path).await.status, 200, "{path}");
        let nobody = shop.gateway.admin_call(Call::get(&format!("/api/v1{path}"))).await;
        assert_eq!(nobody.status, 401, "{path}");
    }
    let question = json!({ "method": "GET", "url": "/rest/V1/products" });
    assert_eq!(viewer.post("/routes/test", &question).await.status, 403);
    assert_eq!(operator.post("/routes/test", &question).await.status, 200);
}
