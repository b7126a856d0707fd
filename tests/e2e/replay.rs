//! A request counts once: whoever sends it again, however it is spelled, whenever it comes.

use harness::{Call, Message, Placement, Shop, Signing, now};
use tokio::task::JoinSet;

#[tokio::test]
async fn the_same_request_is_served_once() {
    let shop = Shop::shared().await;
    let call = Call::get("/rest/V1/products/replay-twice")
        .signed_by(&shop.reader().await)
        .to(&shop.gateway);

    let first = call.send().await;
    let second = call.send().await;

    assert_eq!(first.status, 200, "{}", first.text());
    assert_eq!(second.refusal(), (401, "nonce_used"));
    assert_eq!(shop.upstream.count("replay-twice"), 1);
}

#[tokio::test]
async fn of_sixteen_connections_with_the_same_request_one_is_served() {
    let shop = Shop::shared().await;
    let call = Call::get("/rest/V1/products/replay-at-once")
        .signed_by(&shop.reader().await)
        .to(&shop.gateway);

    let mut statuses = at_once(&call, 16).await;

    statuses.sort_unstable();
    assert_eq!(statuses, [[200].as_slice(), &[401; 15]].concat());
    assert_eq!(shop.upstream.count("replay-at-once"), 1);
}

#[tokio::test]
async fn a_request_is_refused_after_a_clean_restart() {
    let shop = Shop::new().start().await;
    let reader = shop.reader().await;
    let call = Call::get("/rest/V1/products/restart")
        .signed_by(&reader)
        .to(&shop.gateway);
    assert_eq!(call.send().await.status, 200);

    shop.gateway.stop().await;
    shop.gateway.start_again().await;

    let replay = call.send().await;
    let fresh = Call::get("/rest/V1/products/restart")
        .signed_by(&reader)
        .send(&shop.gateway)
        .await;
    assert_eq!(replay.refusal(), (401, "nonce_used"));
    assert_eq!(fresh.status, 200, "{}", fresh.text());
    assert_eq!(shop.upstream.count("restart"), 2);
}

#[tokio::test]
async fn a_request_that_was_not_sent_before_a_clean_restart_is_served_after_it() {
    let shop = Shop::new().start().await;
    let call = Call::get("/rest/V1/products/signed-before")
        .signed_by(&shop.reader().await)
        .to(&shop.gateway);

    shop.gateway.stop().await;
    shop.gateway.start_again().await;

    assert_eq!(call.send().await.status, 200);
}

#[tokio::test]
async fn a_request_is_unsure_after_a_kill() {
    let shop = Shop::new().start().await;
    let reader = shop.reader().await;
    let call = Call::get("/rest/V1/products/kill")
        .asking_for_the_cause()
        .signed_by(&reader)
        .to(&shop.gateway);
    assert_eq!(call.send().await.status, 200);

    shop.gateway.kill();
    shop.gateway.start_again().await;

    let replay = call.send().await;
    let fresh = Call::get("/rest/V1/products/kill")
        .signed_by(&reader)
        .send(&shop.gateway)
        .await;
    assert_eq!(replay.refusal(), (503, "replay_unsure"));
    assert_eq!(replay.header("retry-after"), Some("1"));
    assert_eq!(fresh.status, 200, "{}", fresh.text());
    assert_eq!(shop.upstream.count("kill"), 2);
}

#[tokio::test]
async fn a_request_stays_unsure_when_a_clean_restart_follows_the_kill() {
    let shop = Shop::new().start().await;
    let reader = shop.reader().await;
    let now = Call::get("/rest/V1/products/kill-stop").asking_for_the_cause();
    let ahead = now.clone().signed(Signing::with(&reader).at(300)).to(&shop.gateway);
    let now = now.signed_by(&reader).to(&shop.gateway);
    assert_eq!((now.send().await.status, ahead.send().await.status), (200, 200));

    shop.gateway.kill();
    shop.gateway.start_again().await;
    shop.gateway.stop().await;
    shop.gateway.start_again().await;

    assert_eq!(now.send().await.refusal(), (503, "replay_unsure"));
    assert_eq!(ahead.send().await.refusal(), (503, "replay_unsure"));
    assert_eq!(shop.upstream.count("kill-stop"), 2);
}

#[tokio::test]
async fn a_timestamp_ahead_of_our_clock_is_remembered_over_a_kill() {
    let shop = Shop::new().start().await;
    let reader = shop.reader().await;
    let ahead = |secs| {
        Call::get("/rest/V1/products/ahead")
            .asking_for_the_cause()
            .signed(Signing::with(&reader).at(secs))
    };
    let call = ahead(300).to(&shop.gateway);
    assert_eq!(call.send().await.status, 200);

    shop.gateway.kill();
    shop.gateway.start_again().await;

    let replay = call.send().await;
    let later = ahead(310).send(&shop.gateway).await;
    assert_eq!(replay.refusal(), (503, "replay_unsure"));
    assert_eq!(later.status, 200, "{}", later.text());
    assert_eq!(shop.upstream.count("ahead"), 2);
}

#[tokio::test]
async fn a_reload_that_lengthens_the_window_opens_no_replay() {
    let shop = Shop::new().set("oauth", "timestamp_window", "\"1s\"").start().await;
    let call = Call::get("/rest/V1/products/longer")
        .signed_by(&shop.reader().await)
        .to(&shop.gateway);
    assert_eq!(call.send().await.status, 200);
    let left = now() + 2;
    harness::eventually("the timestamp leaves the window", async || {
        (now() >= left).then_some(())
    })
    .await;
    assert_eq!(call.send().await.cause(), "timestamp_refused");

    shop.gateway
        .reload(|config| config.set("oauth", "timestamp_window", "\"15m\""))
        .await;

    assert_eq!(call.send().await.refusal(), (401, "nonce_used"));
    assert_eq!(shop.upstream.count("longer"), 1);
}

#[tokio::test]
async fn a_request_without_grant_has_used_its_nonce() {
    let shop = Shop::shared().await;
    let stranger = shop.integration().active().await.credentials;
    let call = Call::get("/rest/V1/products/ungranted")
        .signed_by(&stranger)
        .to(&shop.gateway);

    assert_eq!(call.send().await.cause(), "resource_denied");
    assert_eq!(call.send().await.cause(), "nonce_used");
}

#[tokio::test]
async fn a_forgery_does_not_use_up_the_owners_nonce() {
    let shop = Shop::shared().await;
    let call = Call::get("/rest/V1/products/owner")
        .signed_by(&shop.reader().await)
        .to(&shop.gateway);
    let forged = call.clone().with_target("/rest/V1/products/thief");

    assert_eq!(forged.send().await.cause(), "signature_invalid");
    assert_eq!(call.send().await.status, 200);
}

#[tokio::test]
async fn the_same_nonce_counts_anew_with_another_timestamp_token_or_consumer() {
    let shop = Shop::shared().await;
    let (one, other) = (shop.reader().await, shop.reader().await);
    let two_legged = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .with("two_legged", true)
        .active()
        .await;
    let call = |signing: Signing| Call::get("/rest/V1/products/nonce").signed(signing.set("oauth_nonce", "the-same"));
    let at = now().to_string();
    let timed = |signing: Signing| signing.set("oauth_timestamp", &at);

    for signing in [
        timed(Signing::with(&one)),
        Signing::with(&one).at(-5),
        timed(Signing::with(&other)),
        timed(Signing::with(&two_legged.credentials)),
        timed(Signing::with(&two_legged.credentials.without_token())),
    ] {
        let served = call(signing).send(&shop.gateway).await;

        assert_eq!(served.status, 200, "{}", served.text());
    }
}

#[tokio::test]
async fn a_nonce_is_told_from_one_in_another_case() {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;
    let at = now().to_string();
    let call = |nonce: &str| {
        let signing = Signing::with(&reader)
            .set("oauth_timestamp", &at)
            .set("oauth_nonce", nonce);
        Call::get("/rest/V1/products/case").signed(signing)
    };

    assert_eq!(call("nonce").send(&shop.gateway).await.status, 200);
    assert_eq!(call("NONCE").send(&shop.gateway).await.status, 200);
    assert_eq!(call("nonce").send(&shop.gateway).await.cause(), "nonce_used");
}

#[tokio::test]
async fn parameters_in_another_order_are_the_same_request() {
    is_a_replay(|call| {
        call.with_changed_header("authorization", |value| {
            let mut pairs: Vec<&str> = value.trim_start_matches("OAuth ").split(", ").collect();
            pairs.reverse();
            format!("OAuth {}", pairs.join(","))
        })
    })
    .await;
}

#[tokio::test]
async fn parameters_moved_to_the_query_are_the_same_request() {
    is_a_replay(|call| {
        let query = call
            .header("authorization")
            .trim_start_matches("OAuth ")
            .replace(", ", "&")
            .replace('"', "");
        let target = format!("{}&{query}", call.target);
        call.without_header("authorization").with_target(&target)
    })
    .await;
}

#[tokio::test]
async fn escapes_in_lower_case_are_the_same_request() {
    is_a_replay(|call| call.with_changed_header("authorization", lower_case_escapes)).await;
}

#[tokio::test]
async fn escapes_where_none_are_needed_are_the_same_request() {
    is_a_replay(|call| call.with_changed_header("authorization", |value| value.replace("HMAC", "%48%4DAC"))).await;
}

#[tokio::test]
async fn query_escapes_spelled_otherwise_are_the_same_request() {
    is_a_replay(|call| {
        let target = call.target.replace("%20", "+").replace("note=a", "%6Eote=%61");
        call.with_target(&target)
    })
    .await;
}

#[tokio::test]
async fn a_host_in_another_case_or_with_another_port_is_the_same_request() {
    is_a_replay(|call| call.with_changed_header("host", |_| "LOCALHOST:80".to_owned())).await;
}

#[tokio::test]
async fn an_absolute_target_is_the_same_request() {
    is_a_replay(|call| {
        let target = format!("http://{}{}", call.header("host"), call.target);
        call.with_target(&target)
    })
    .await;
}

#[tokio::test]
async fn a_realm_more_is_the_same_request() {
    is_a_replay(|call| {
        call.with_changed_header("authorization", |value| value.replace("OAuth ", "OAuth realm=\"x\", "))
    })
    .await;
}

#[tokio::test]
async fn the_scheme_in_another_case_is_the_same_request() {
    is_a_replay(|call| call.with_changed_header("authorization", |value| value.replace("OAuth", "oAuTh"))).await;
}

#[tokio::test]
async fn an_older_http_version_is_the_same_request() {
    is_a_replay(|mut call| {
        "HTTP/1.0".clone_into(&mut call.version);
        call
    })
    .await;
}

#[tokio::test]
async fn a_request_token_call_is_answered_once() {
    let shop = Shop::shared().await;
    let (_, handshake) = shop.integration().posted(&shop.partner, &shop.gateway).await;
    let call = Call::post("/oauth/token/request")
        .signed(handshake.request_signing())
        .to(&shop.gateway);

    assert_eq!(call.send().await.status, 200);
    let replay = call.send().await;

    assert_eq!(replay.refusal(), (401, "nonce_used"));
    assert!(
        replay
            .form("oauth_problem")
            .starts_with("The nonce is already being used by the consumer with ID ")
    );
}

#[tokio::test]
async fn an_access_token_call_is_answered_once() {
    let shop = Shop::shared().await;
    let (_, handshake) = shop.integration().posted(&shop.partner, &shop.gateway).await;
    let signing = handshake.access_signing(&handshake.request_token().await);
    let call = Call::post("/oauth/token/access").signed(signing).to(&shop.gateway);

    assert_eq!(call.send().await.status, 200);
    assert_eq!(call.send().await.refusal(), (401, "nonce_used"));
}

#[tokio::test]
async fn a_form_that_was_served_is_not_served_with_its_parameters_in_the_header() {
    let shop = Shop::shared().await;
    let signing = Signing::with(&shop.reader().await).set("oauth_nonce", "moved-from-form");
    let at = now().to_string();
    let signing = signing.set("oauth_timestamp", &at);
    let post = |placement| {
        Call::post("/rest/V1/products?mark=form-moved")
            .form("a=1")
            .signed(signing.clone().placed(placement))
    };

    assert_eq!(post(Placement::Form).send(&shop.gateway).await.status, 200);
    assert_eq!(post(Placement::Header).send(&shop.gateway).await.cause(), "nonce_used");
    assert_eq!(shop.upstream.count("form-moved"), 1);
}

/// The same octets on so many connections, all sent before the first answer is read.
async fn at_once(call: &Message, connections: usize) -> Vec<u16> {
    let mut opened = Vec::new();
    for _ in 0..connections {
        opened.push(call.connect().await.expect("connects"));
    }
    let mut calls = JoinSet::new();
    for mut connection in opened {
        let octets = call.octets();
        calls.spawn(async move {
            connection.write(&octets).await.expect("writes");
            connection.response("GET").await.expect("answers").status
        });
    }
    calls.join_all().await
}

/// What was served once is refused in another spelling.
async fn is_a_replay(respell: impl FnOnce(Message) -> Message) {
    let shop = Shop::shared().await;
    let call = Call::get("/rest/V1/products/respelled?note=a%20b")
        .signed_by(&shop.reader().await)
        .to(&shop.gateway);
    let served = call.send().await;
    assert_eq!(served.status, 200, "{}", served.text());

    let replay = respell(call).send().await;

    assert_eq!(replay.refusal(), (401, "nonce_used"), "{}", replay.text());
}

fn lower_case_escapes(value: &str) -> String {
    let mut pieces = value.split('%');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| {
        let (digits, rest) = piece.split_at(2);
        format!("{text}%{}{rest}", digits.to_lowercase())
    })
}
