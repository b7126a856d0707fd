//! A store that is gone, hangs, refuses writes or has forgotten: 503 in time, nothing forwarded, nobody called bad, and
//! service again without a restart.

use std::time::Duration;

use harness::redis::{Options, Server};
use harness::{Call, Credentials, Message, PASSWORD, Refusal, Response, Shop, eventually};
use serde_json::json;
use tokio::time::Instant;

#[tokio::test]
async fn a_store_that_is_gone_is_unavailable_and_comes_back() {
    let (mut redis, shop, reader) = shop_on_redis().await;

    redis.kill();

    assert_unavailable(&shop, &reader).await;
    redis.start_again().await;
    assert_served_again(&shop, &reader).await;
}

#[tokio::test]
async fn a_store_that_hangs_is_unavailable_and_comes_back() {
    let (redis, shop, reader) = shop_on_redis().await;

    redis.pause();

    assert_unavailable(&shop, &reader).await;
    redis.resume();
    assert_served_again(&shop, &reader).await;
}

#[tokio::test]
async fn a_store_that_takes_no_writes_is_unavailable_and_comes_back() {
    let (redis, shop, reader) = shop_on_redis().await;

    redis.set("min-replicas-to-write", "1").await;

    assert_eq!(signed(&shop, &reader).await.refusal(), (503, "store_unavailable"));
    assert_eq!(shop.upstream.count("faults"), 0);
    redis.set("min-replicas-to-write", "0").await;
    assert_served_again(&shop, &reader).await;
}

#[tokio::test]
async fn a_full_store_is_unavailable_and_comes_back() {
    let (redis, shop, reader) = shop_on_redis().await;

    redis.set("maxmemory", "1").await;

    assert_eq!(signed(&shop, &reader).await.refusal(), (503, "store_unavailable"));
    assert_eq!(shop.upstream.count("faults"), 0);
    redis.set("maxmemory", "0").await;
    assert_served_again(&shop, &reader).await;
}

#[tokio::test]
async fn an_integration_that_nobody_can_read_hides_no_other_and_can_be_deleted() {
    let (redis, shop, _reader) = shop_on_redis().await;
    let id = shop.integration().created().await;
    let path = format!("/integrations/{id}");
    let consumer = redis
        .command(&["HGET", "{countersign}:integrations", &id.to_string()])
        .await;

    let row = ["HSET", "{countersign}:consumers", consumer.text().unwrap(), "junk"];
    redis.command(&row).await;
    // Whoever has it in memory forgets.
    redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    let others = eventually("it is left out", async || {
        let list = shop.admin.get("/integrations").await;
        let items = list.json()["items"].as_array().cloned().unwrap_or_default();
        (list.status == 200 && items.iter().all(|item| item["id"] != id)).then_some(items.len())
    })
    .await;
    let deleted = shop.admin.delete(&path).await;

    assert_eq!((others, deleted.status), (1, 200), "{}", deleted.text());
    assert_eq!(shop.admin.get(&path).await.status, 404);
    shop.gateway.logged("left out of the list").await;
}

#[tokio::test]
async fn an_outage_calls_nobody_bad_on_any_endpoint() {
    let (mut redis, shop, reader) = shop_on_redis().await;
    let (_, handshake) = shop.integration().posted(&shop.partner, &shop.gateway).await;

    redis.kill();

    let unknown_bearer = Call::get("/rest/V1/products/outage").header("Authorization", "Bearer nobody-knows");
    assert_eq!(unknown_bearer.refusal(&shop.gateway).await, (503, "store_unavailable"));
    let unknown = Credentials::consumer(&"x".repeat(32), "x").with_token(&"y".repeat(32), "y");
    assert_eq!(signed(&shop, &unknown).await.refusal(), (503, "store_unavailable"));
    let sign_in =
        Call::post("/rest/V1/integration/admin/token").json(&json!({ "username": "a", "password": PASSWORD }));
    assert_eq!(sign_in.refusal(&shop.gateway).await, (503, "store_unavailable"));
    let token_call = handshake.ask_request_token(handshake.request_signing()).await;
    assert_eq!(token_call.status, 503);
    assert_eq!(
        token_call.form("oauth_problem"),
        "The credential store is not available. Try again later."
    );
    assert_eq!(signed(&shop, &reader).await.header("retry-after"), Some("1"));
    assert_eq!(shop.upstream.count("outage"), 0);
}

#[tokio::test]
async fn an_outage_does_not_keep_guests_from_what_everybody_may_see() {
    let (mut redis, shop, _) = shop_on_redis().await;

    redis.kill();

    assert_eq!(
        Call::get("/rest/V1/store/guest-in-outage")
            .send(&shop.gateway)
            .await
            .status,
        200
    );
    assert_eq!(
        Call::get("/rest/V1/products/1").send(&shop.gateway).await.refusal(),
        (401, "resource_denied")
    );
}

#[tokio::test]
async fn an_outage_shows_in_readiness_and_not_in_liveness() {
    let (mut redis, shop, _) = shop_on_redis().await;

    redis.kill();

    eventually("readiness ends", async || {
        (!shop.gateway.is_ready().await).then_some(())
    })
    .await;
    let live = shop.gateway.admin_call(Call::get("/health/live")).await;
    let ready = shop.gateway.admin_call(Call::get("/health/ready")).await;
    assert_eq!((live.status, ready.status), (200, 503));
    assert_ne!(ready.json()["components"]["store"]["status"], "ok");
    let api = shop.admin.get("/integrations").await;
    assert_eq!((api.status, api.field("code")), (503, "store_unavailable".to_owned()));
    redis.start_again().await;
    eventually("readiness returns", async || {
        shop.gateway.is_ready().await.then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_restarted_store_leaves_older_timestamps_unsure() {
    let (mut redis, shop, reader) = shop_on_redis().await;
    let served = call(&shop, &reader, 0);
    assert_eq!(served.send().await.status, 200);
    let never_sent = call(&shop, &reader, -1);

    redis.kill();
    redis.start_again().await;

    assert_served_again(&shop, &reader).await;
    let before = shop.upstream.count("faults");
    assert_eq!(served.refusal().await, (503, "replay_unsure"));
    assert_eq!(never_sent.refusal().await, (503, "replay_unsure"));
    assert_eq!(shop.upstream.count("faults"), before);
}

#[tokio::test]
async fn a_clock_ahead_of_ours_gets_no_replay_after_the_stores_loss() {
    let (mut redis, shop, reader) = shop_on_redis().await;
    let other = shop.reader().await;
    let ahead = call(&shop, &reader, 300);
    assert_eq!(ahead.send().await.status, 200);

    redis.kill();
    redis.start_again().await;

    // Until its token's latest timestamp has passed this client waits; others don't.
    assert_served_again(&shop, &other).await;
    assert_eq!(ahead.refusal().await, (503, "replay_unsure"));
    assert_eq!(call(&shop, &reader, 310).send().await.status, 200);
}

#[tokio::test]
async fn an_emptied_store_is_unavailable_until_it_is_said_to_be_new() {
    let (redis, shop, reader) = shop_on_redis().await;
    let served = call(&shop, &reader, 0);
    assert_eq!(served.send().await.status, 200);
    let before = shop.upstream.count("faults");

    redis.command(&["FLUSHALL"]).await;

    let gone = async || (signed(&shop, &reader).await.refusal() == (503, "store_unavailable")).then_some(());
    eventually("the loss is noticed", gone).await;
    assert_eq!(served.refusal().await, (503, "store_unavailable"));
    let told = shop.gateway.command(&["store", "init"]);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let known = async || (signed(&shop, &reader).await.refusal() == (401, "consumer_key_unknown")).then_some(());
    eventually("the store is new and empty", known).await;
    assert_eq!(shop.upstream.count("faults"), before);
}

#[tokio::test]
async fn a_gateway_that_starts_without_its_store_serves_when_the_store_is_there() {
    let (mut redis, shop, reader) = shop_on_redis().await;
    shop.gateway.stop().await;
    redis.kill();
    let starting = shop.gateway.start_again();
    let returning = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        redis.start_again().await;
    };

    tokio::join!(starting, returning);

    assert_served_again(&shop, &reader).await;
}

#[tokio::test]
async fn replays_are_refused_across_a_restart_of_the_gateway() {
    let (_redis, shop, reader) = shop_on_redis().await;
    let served = call(&shop, &reader, 0);
    assert_eq!(served.send().await.status, 200);

    shop.gateway.kill();
    shop.gateway.start_again().await;

    assert_eq!(served.send().await.refusal(), (401, "nonce_used"));
}

#[tokio::test]
async fn secrets_do_not_lie_in_the_store_in_clear() {
    let (redis, shop, reader) = shop_on_redis().await;
    let (_, handshake) = shop.integration().posted(&shop.partner, &shop.gateway).await;

    redis.command(&["SAVE"]).await;

    let folder = redis.command(&["CONFIG", "GET", "dir"]).await;
    let folder = folder
        .list()
        .get(1)
        .and_then(|one| one.text())
        .unwrap_or_default()
        .to_owned();
    let octets = std::fs::read(format!("{folder}/dump.rdb")).expect("the dump");
    let holds = |text: &str| octets.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds(&reader.consumer_key));
    for secret in [
        &reader.consumer_secret,
        &reader.token_secret().to_owned(),
        &handshake.verifier,
    ] {
        assert!(!holds(secret));
    }
    assert!(!holds(shop.admin.token()));
}

/// What was acknowledged outlives a kill of the server.
async fn shop_on_redis() -> (Server, Shop, Credentials) {
    let options = Options {
        append_only: true,
        ..Options::default()
    };
    let redis = Server::start(options).await;
    let shop = Shop::new().store(&redis.url()).start().await;
    let reader = shop.reader().await;
    (redis, shop, reader)
}

fn call(shop: &Shop, credentials: &Credentials, offset_secs: i64) -> Message {
    let signing = harness::Signing::with(credentials).at(offset_secs);
    Call::get("/rest/V1/products/faults").signed(signing).to(&shop.gateway)
}

async fn signed(shop: &Shop, credentials: &Credentials) -> Response {
    let call = Call::get("/rest/V1/products/faults")
        .asking_for_the_cause()
        .signed_by(credentials);
    call.send(&shop.gateway).await
}

/// Signed and bearer requests alike, and all of them in time.
async fn assert_unavailable(shop: &Shop, reader: &Credentials) {
    assert_eq!(signed(shop, reader).await.refusal(), (503, "store_unavailable"));
    assert_eq!(shop.upstream.count("faults"), 0);
    let refused = async || (bearer(shop).await == (503, "store_unavailable")).then_some(());
    // What was read within the last second is believed.
    eventually("a known bearer token is refused", refused).await;
    let before = shop.upstream.count("faults");
    for _ in 0..5 {
        let began = Instant::now();
        assert_eq!(signed(shop, reader).await.refusal(), (503, "store_unavailable"));
        assert_eq!(bearer(shop).await, (503, "store_unavailable"));
        assert!(began.elapsed() < LATEST, "{:?}", began.elapsed());
    }
    assert_eq!(shop.upstream.count("faults"), before);
}

async fn bearer(shop: &Shop) -> Refusal {
    let bearer = format!("Bearer {}", shop.admin.token());
    let call = Call::get("/rest/V1/products/faults").header("Authorization", &bearer);
    call.refusal(&shop.gateway).await
}

async fn assert_served_again(shop: &Shop, reader: &Credentials) {
    let began = Instant::now();
    eventually("requests are served again", async || {
        let answer = signed(shop, reader).await;
        assert!([200, 503].contains(&answer.status), "{:?}", answer.refusal());
        (answer.status == 200).then_some(())
    })
    .await;
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

/// For two requests: an error takes at most two seconds (reliability.md 3).
const LATEST: Duration = Duration::from_secs(4);
