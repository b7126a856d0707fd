//! Each refusal has its status, its cause, and Magento's body in the form that was asked for; nothing of it is cached, and
//! none of it reaches upstream.

use std::time::Duration;

use harness::{Answer, Call, Connection, Refusal, Shop};
use serde_json::json;

#[tokio::test]
async fn json_is_the_usual_form() {
    let shop = Shop::shared().await;

    let told = Call::get("/rest/V1/products/form-json").send(&shop.gateway).await;

    assert_eq!(told.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(
        told.text(),
        "{\"message\":\"The consumer isn't authorized to access %resources.\",\
         \"parameters\":{\"resources\":\"Magento_Catalog::products\"}}"
    );
}

#[tokio::test]
async fn xml_is_answered_to_who_prefers_it() {
    let shop = Shop::shared().await;

    for accept in [
        "application/xml",
        "text/xml",
        "application/xhtml+xml",
        "text/html, application/xml;q=0.9, */*;q=0.8",
    ] {
        let told = Call::get("/rest/V1/products/form-xml")
            .header("Accept", accept)
            .send(&shop.gateway)
            .await;

        assert_eq!(told.status, 401, "{accept}");
        assert_eq!(
            told.header("content-type"),
            Some("application/xml; charset=utf-8"),
            "{accept}"
        );
        assert_eq!(
            told.text(),
            "<?xml version=\"1.0\"?>\n<response><message>The consumer isn't authorized to access %resources.</message>\
             <parameters><resources>Magento_Catalog::products</resources></parameters></response>\n"
        );
    }
}

#[tokio::test]
async fn lists_are_items_in_xml() {
    let shop = Shop::shared().await;
    let call = Call::get("/rest/V1/products/form-xml").header("Accept", "application/xml");
    let unsigned = call.clone().header("Authorization", "OAuth oauth_token=\"x\"");
    let version = call.header("Authorization", "OAuth oauth_version=\"<2&3>\"");

    let several = unsigned.send(&shop.gateway).await.text();
    let one = version.send(&shop.gateway).await.text();

    assert!(
        several
            .contains("exceptions have occurred.</message><errors><item><message>&quot;%fieldName&quot; is required."),
        "{several}"
    );
    assert!(
        one.contains("<parameters><item>&lt;2&amp;3&gt;</item></parameters>"),
        "{one}"
    );
}

#[tokio::test]
async fn problem_json_is_answered_to_who_asks_for_it() {
    let shop = Shop::shared().await;
    let call = Call::get("/rest/V1/products/form-problem").asking_for_the_cause();

    let told = call.send(&shop.gateway).await;

    assert_eq!(told.status, 401);
    assert_eq!(told.header("content-type"), Some("application/problem+json"));
    let problem = told.json();
    assert_eq!(problem["status"], 401);
    assert_eq!(problem["cause"], "resource_denied");
    assert_eq!(
        problem["detail"],
        "The consumer isn't authorized to access Magento_Catalog::products."
    );
    assert_eq!(problem["type"], "about:blank");
    assert_eq!(problem["title"], "Unauthorized");
}

#[tokio::test]
async fn who_refuses_problem_json_or_names_it_elsewhere_gets_the_usual_form() {
    let shop = Shop::shared().await;
    let call = Call::get("/rest/V1/products/form-usual");

    for accept in [
        "application/problem+json;q=0",
        "application/problem+jsonx",
        "text/plain;x=\"application/problem+json\"",
    ] {
        let told = call.clone().header("Accept", accept).send(&shop.gateway).await;
        let usual = told.header("content-type");
        assert_eq!(usual, Some("application/json; charset=utf-8"), "{accept}");
    }
    let second_line = call
        .header("Accept", "text/html")
        .header("Accept", "Application/Problem+JSON");
    let told = second_line.send(&shop.gateway).await;
    assert_eq!(told.header("content-type"), Some("application/problem+json"));
}

#[tokio::test]
async fn a_connection_that_ends_with_a_refused_body_says_so() {
    let shop = Shop::shared().await;
    let read = Call::post("/rest/V1/products")
        .form("a=1")
        .header("Authorization", "OAuth x=");
    let unread = Call::post("/rest/V1/products").body("text/plain", "x".repeat(20_000));
    let none = Call::get("/rest/V1/products/refused-without-body");

    for (call, expected) in [(read, None), (unread, Some("close")), (none, None)] {
        let message = call.to(&shop.gateway);
        let mut connection = message.connect().await.unwrap();
        connection.write(&message.octets()).await.unwrap();
        let told = connection.response("POST").await.unwrap();

        assert!(told.status >= 400, "{}", told.text());
        assert_eq!(told.header("connection"), expected, "{}", told.text());
        if expected.is_none() {
            connection.write(&message.octets()).await.unwrap();
            assert_eq!(connection.response("POST").await.unwrap().status, told.status);
        }
    }
}

#[tokio::test]
async fn every_401_challenges_with_its_cause() {
    let shop = Shop::shared().await;
    let bearer = Call::get("/rest/V1/products/1").header("Authorization", "Bearer nobodys");
    let sign_in = Call::post("/rest/V1/integration/admin/token").json(&json!({ "username": "a", "password": "b" }));
    let expected = [
        (Call::get("/rest/V1/products/1"), "resource_denied"),
        (bearer, "bearer_invalid"),
        (sign_in, "sign_in_failed"),
    ];
    for (call, cause) in expected {
        let told = call.send(&shop.gateway).await;

        let challenge = told.header("www-authenticate").unwrap_or_default();
        assert!(challenge.starts_with("OAuth realm=\""), "{challenge}");
        assert!(challenge.contains(&format!("oauth_problem=\"{cause}\"")), "{challenge}");
    }
}

#[tokio::test]
async fn refusals_are_not_cached() {
    let shop = Shop::shared().await;
    let calls = [
        Call::get("/rest/V1/products/1"),
        Call::get("/nowhere"),
        Call::post("/oauth/token/request"),
        Call::new("PATCH", "/rest/V1/products"),
    ];
    for call in calls {
        let told = call.send(&shop.gateway).await;

        assert!(told.status >= 400);
        assert_eq!(told.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn an_unknown_path_matches_no_route() {
    let shop = Shop::shared().await;

    let told = Call::get("/rest/V1/unknown").send(&shop.gateway).await;

    assert_eq!(told.status, 404);
    assert_eq!(told.json(), json!({ "message": "Request does not match any route." }));
    assert_eq!(refusal(Call::get("/rest/V1/unknown")).await, (404, "route_unknown"));
    assert_eq!(shop.upstream.count("unknown"), 0);
}

#[tokio::test]
async fn another_method_than_the_routes_is_told_which_ones_there_are() {
    let shop = Shop::shared().await;

    let told = Call::new("DELETE", "/rest/V1/products").send(&shop.gateway).await;

    assert_eq!(told.status, 405);
    let mut allowed: Vec<&str> = told.header("allow").unwrap_or_default().split(", ").collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
    assert_eq!(
        refusal(Call::new("DELETE", "/rest/V1/products")).await,
        (405, "method_refused")
    );
}

#[tokio::test]
async fn methods_that_nothing_serves_are_not_implemented() {
    for method in ["BREW", "PROPFIND", "get", "A-VERY-LONG-METHOD"] {
        assert_eq!(
            refusal(Call::new(method, "/rest/V1/products/1")).await,
            (501, "method_refused"),
            "{method}"
        );
    }
    assert_eq!(
        refusal(Call::new("TRACE", "/rest/V1/products/1")).await,
        (405, "method_refused")
    );
}

#[tokio::test]
async fn ambiguous_targets_are_refused() {
    let shop = Shop::shared().await;
    let targets = [
        "/rest/V1/products/..",
        "/rest/V1/products/.",
        "/rest/V1/products/%2e%2e/orders",
        "/rest/V1/products/%2E",
        "/rest//V1/products",
        "/rest/V1/products//a",
        "/rest/V1/products/a%5Cb",
        "/rest/V1/products/a%00b",
        "/rest/V1/products/a%0D%0Ab",
        "/rest/V1/products/a%7Fb",
        "/rest/V1/orders/a%2Fb",
        "/rest/V1/products/a%2F..%2Fb",
    ];
    for target in targets {
        let call = Call::get(target).signed_by(&shop.reader().await);

        assert_eq!(call.refusal(&shop.gateway).await, (400, "target_refused"), "{target}");
    }
}

#[tokio::test]
async fn too_much_is_refused_with_its_own_cause() {
    let long_target = Call::get(&format!("/rest/V1/products/{}", "a".repeat(9000)));
    let large_form = Call::post("/rest/V1/store/1").form(&format!("a={}", "x".repeat(1_100_000)));

    // A head over its bounds is not read any further: whatever it accepts, the answer is JSON.
    let too_long = long_target.send(&Shop::shared().await.gateway).await;
    assert_eq!(too_long.status, 414);
    assert_eq!(too_long.field("message"), "The request target is too long.");
    assert_eq!(refusal(large_form).await, (413, "body_too_large"));
}

#[tokio::test]
async fn a_body_that_is_declared_too_large_is_refused_before_it_comes() {
    let shop = Shop::shared().await;
    let head = "POST /rest/V1/store/declared HTTP/1.1\r\nHost: a\r\nAccept: application/problem+json\r\nContent-Length: 99999999\r\n\r\n";
    let mut connection = Connection::open(shop.gateway.public()).await.expect("connects");

    connection.write(head.as_bytes()).await.expect("writes");
    let told = connection.response("POST").await.expect("answers");

    assert_eq!(told.refusal(), (413, "body_too_large"));
    assert_eq!(shop.upstream.count("store/declared"), 0);
}

#[tokio::test]
async fn a_body_that_turns_out_too_large_is_refused() {
    let shop = Shop::new().set("public.limits", "body", "\"1KiB\"").start().await;
    let chunk = format!("800\r\n{}\r\n0\r\n\r\n", "x".repeat(2048));
    let call = Call::post("/rest/V1/store/chunked")
        .asking_for_the_cause()
        .to(&shop.gateway);
    let mut call = call
        .without_header("content-length")
        .with_header("Transfer-Encoding", "chunked");
    call.body = chunk.into_bytes();

    assert_eq!(call.send().await.refusal(), (413, "body_too_large"));
}

#[tokio::test]
async fn a_form_that_does_not_arrive_is_not_waited_for() {
    let shop = Shop::new()
        .set("public.limits", "body_timeout", "\"300ms\"")
        .start()
        .await;
    let head = "POST /rest/V1/store/late HTTP/1.1\r\nHost: a\r\nAccept: application/problem+json\r\n\
                Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 10\r\n\r\na=";
    let mut connection = Connection::open(shop.gateway.public()).await.expect("connects");

    connection.write(head.as_bytes()).await.expect("writes");
    let told = connection.response("POST").await.expect("answers");

    assert_eq!(told.refusal(), (408, "request_timeout"));
    assert_eq!(shop.upstream.count("store/late"), 0);
}

#[tokio::test]
async fn an_upstream_that_can_not_be_reached_is_a_bad_gateway() {
    let port = harness::free_port();
    let shop = Shop::new().append(&format!("[upstreams.gone]\ntargets = [\"http://127.0.0.1:{port}\"]"));
    let route = "[[routes]]\npath = \"/rest/V1/gone\"\nupstream = \"gone\"\nresources = [\"anonymous\"]";
    let shop = shop.append(route).start().await;

    let told = Call::get("/rest/V1/gone")
        .asking_for_the_cause()
        .send(&shop.gateway)
        .await;

    assert_eq!(told.refusal(), (502, "upstream_connect"));
}

#[tokio::test]
async fn an_upstream_that_breaks_off_is_a_bad_gateway_and_a_post_is_sent_once() {
    let shop = Shop::shared().await;
    shop.upstream.answers("breaks-off", Answer::Close);
    shop.upstream
        .answers("nonsense", Answer::Raw(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec()));

    let broken = Call::post("/rest/V1/store/breaks-off")
        .json(&json!({}))
        .refusal(&shop.gateway)
        .await;
    let nonsense = Call::get("/rest/V1/store/nonsense").refusal(&shop.gateway).await;

    assert_eq!(broken, (502, "upstream_broken"));
    assert_eq!(nonsense, (502, "upstream_broken"));
    assert_eq!(shop.upstream.count("breaks-off"), 1);
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_is_a_gateway_timeout() {
    let shop = Shop::new()
        .set("upstreams.storefront", "first_byte_timeout", "\"300ms\"")
        .start()
        .await;
    shop.upstream.answers("store/silent", Answer::Never);

    assert_eq!(
        Call::get("/rest/V1/store/silent").refusal(&shop.gateway).await,
        (504, "upstream_timeout")
    );
}

#[tokio::test]
async fn upstreams_own_errors_pass_as_they_are() {
    let shop = Shop::shared().await;
    shop.upstream
        .answers("own-404", Answer::Status(404, "{\"message\":\"no such product\"}"));
    shop.upstream
        .answers("own-401", Answer::Status(401, "{\"message\":\"upstream says no\"}"));
    shop.upstream.answers("own-500", Answer::Status(500, "oops"));

    for (path, status, body) in [
        ("own-404", 404, "{\"message\":\"no such product\"}"),
        ("own-401", 401, "{\"message\":\"upstream says no\"}"),
        ("own-500", 500, "oops"),
    ] {
        let answer = Call::get(&format!("/rest/V1/store/{path}")).send(&shop.gateway).await;

        assert_eq!((answer.status, answer.text()), (status, body.to_owned()));
    }
}

#[tokio::test]
async fn a_streamed_answer_arrives_piece_by_piece() {
    let shop = Shop::shared().await;
    let (piece, pause) = ("0123456789", Duration::from_millis(500));
    shop.upstream
        .answers("store/stream", Answer::Stream { piece, times: 3, pause });
    let call = Call::get("/rest/V1/store/stream").to(&shop.gateway);
    let mut connection = call.connect().await.expect("connects");

    connection.write(&call.octets()).await.expect("writes");
    let began = tokio::time::Instant::now();
    let mut first = Vec::new();
    while !first.windows(piece.len()).any(|octets| octets == piece.as_bytes()) {
        first.extend(connection.read().await.expect("a piece"));
    }
    let after = began.elapsed();

    let times = |octets: &[u8]| String::from_utf8_lossy(octets).matches(piece).count();
    assert!(times(&first) < 3, "buffered: all pieces came at once after {after:?}");
}

#[tokio::test]
async fn the_log_line_has_the_cause_and_whose_fault_it_is() {
    let shop = Shop::shared().await;
    shop.upstream.answers("store/faulty", Answer::Close);

    let client = Call::get("/nowhere").send(&shop.gateway).await;
    let upstream = Call::post("/rest/V1/store/faulty").send(&shop.gateway).await;

    let line = shop.gateway.access_line(&client).await;
    assert_eq!(
        (line["cause"].as_str(), line["side"].as_str()),
        (Some("route_unknown"), Some("client"))
    );
    let line = shop.gateway.access_line(&upstream).await;
    assert_eq!(
        (line["cause"].as_str(), line["side"].as_str()),
        (Some("upstream_broken"), Some("upstream"))
    );
}

async fn refusal(call: Call) -> Refusal {
    let shop = Shop::shared().await;
    call.refusal(&shop.gateway).await
}
