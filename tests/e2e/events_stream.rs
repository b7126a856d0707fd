//! Events as they happen: the live stream of the admin API, and Redis' stream.

use std::time::Duration;

use harness::redis::{Options, Reply, Server};
use harness::{ADMIN, Call, Connection, Gateway, PASSWORD, Shop, eventually};
use serde_json::{Value, json};

#[tokio::test]
async fn a_listener_hears_what_happens_from_then_on() {
    let shop = Shop::new().start().await;
    shop.integration().with("name", "Before").created().await;
    let mut listener = Listener::open(&shop, &shop.gateway, &[]).await;
    assert_eq!(listener.status(), 200);

    let id = shop.integration().with("name", "After").created().await;

    let (name, event) = listener.event().await;
    assert_eq!(name, "integration.created");
    assert_eq!(event["data"]["integration"]["id"], id);
    assert_eq!(event["data"]["integration"]["name"], "After");
}

#[tokio::test]
async fn a_listener_that_was_away_goes_on_where_it_left() {
    let shop = Shop::new().start().await;
    let mut listener = Listener::open(&shop, &shop.gateway, &[]).await;
    shop.integration().with("name", "First").created().await;
    listener.event().await;
    let place = listener.place();
    drop(listener);
    shop.integration().with("name", "Second").created().await;

    let mut again = Listener::open(&shop, &shop.gateway, &[("Last-Event-ID", &place)]).await;

    assert_eq!(again.event().await.1["data"]["integration"]["name"], "Second");
}

#[tokio::test]
async fn on_one_redis_a_listener_hears_of_the_other_gateway_and_the_stream_has_it() {
    let redis = Server::start(Options::default()).await;
    let shop = Shop::new().store(&redis.url()).start().await;
    let other = shop.second_gateway().await;
    let mut listener = Listener::open(&shop, &other, &[]).await;

    let id = shop.integration().with("name", "Elsewhere").created().await;

    let (_, event) = listener.event().await;
    assert_eq!(event["data"]["integration"]["id"], id);
    let entries = redis
        .command(&["XREVRANGE", "{countersign}:events", "+", "-", "COUNT", "1"])
        .await;
    let fields = entries.list()[0].list()[1].list();
    let texts: Vec<&str> = fields.iter().filter_map(Reply::text).collect();
    let at = event["at"].to_string();
    let data = event["data"].to_string();
    let expected = [
        "id",
        event["id"].as_str().unwrap(),
        "event",
        "integration.created",
        "at",
        &at,
        "data",
        &data,
    ];
    assert_eq!(texts, expected);
}

#[tokio::test]
async fn redis_stream_is_cut_to_about_its_bound() {
    let redis = Server::start(Options::default()).await;
    let shop = Shop::new()
        .store(&redis.url())
        .set("events", "log", "100")
        // So many sign-ins on a busy machine: one that waits for Redis is not what is tested here.
        .set("store", "timeout", "\"10s\"")
        .set("store", "request_timeout", "\"20s\"")
        .start()
        .await;

    for _ in 0..150 {
        let credentials = json!({ "username": ADMIN, "password": PASSWORD });
        let call = Call::post("/rest/V1/integration/admin/token").json(&credentials);
        assert_eq!(call.send(&shop.gateway).await.status, 200);
    }

    // Two events each, and redis cuts whole blocks of a hundred.
    let length = redis.command(&["XLEN", "{countersign}:events"]).await;
    assert!(matches!(length, Reply::Number(100..=200)), "{length:?}");
}

#[tokio::test]
async fn listeners_over_the_bound_are_refused_until_one_leaves() {
    let shop = Shop::new().set("events", "listeners", "1").start().await;
    let first = Listener::open(&shop, &shop.gateway, &[]).await;
    assert_eq!(first.status(), 200);

    let refused = shop.admin.get("/events").await;
    assert_eq!(refused.status, 503);

    drop(first);
    eventually("there is room again", async || {
        let listener = Listener::open(&shop, &shop.gateway, &[]).await;
        (listener.status() == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_listener_whose_token_ends_hears_no_more() {
    let shop = Shop::new().start().await;
    let viewer = shop.admin.colleague("viewer").await;
    let mut listener = Listener::open_as(viewer.token(), &shop.gateway, &[]).await;
    assert_eq!(listener.status(), 200);

    let accounts = shop.admin.get("/admins").await.json();
    let viewer = accounts["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["role"] == "viewer")
        .unwrap()["id"]
        .clone();
    shop.admin.delete(&format!("/admins/{viewer}/tokens")).await;

    assert!(listener.connection.closes().await);
}

#[tokio::test]
async fn a_drain_ends_the_stream() {
    let shop = Shop::new().start().await;
    let mut listener = Listener::open(&shop, &shop.gateway, &[]).await;

    let began = tokio::time::Instant::now();
    let ended = shop.gateway.stop().await;

    assert_eq!(ended.code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert!(listener.connection.closes().await);
}

#[tokio::test]
async fn a_listener_that_reads_nothing_holds_up_nobody() {
    let shop = Shop::new().start().await;
    let _idle = Listener::open(&shop, &shop.gateway, &[]).await;
    let mut listener = Listener::open(&shop, &shop.gateway, &[]).await;

    for number in 0..20 {
        shop.integration()
            .with("name", format!("Number {number}"))
            .created()
            .await;
    }

    for number in 0..20 {
        let (_, event) = listener.event().await;
        assert_eq!(event["data"]["integration"]["name"], format!("Number {number}"));
    }
}

/// A connection on which events come.
struct Listener {
    connection: Connection,
    read: String,
    place: String,
}

impl Listener {
    async fn open(shop: &Shop, gateway: &Gateway, headers: &[(&str, &str)]) -> Self {
        Self::open_as(shop.admin.token(), gateway, headers).await
    }

    async fn open_as(token: &str, gateway: &Gateway, headers: &[(&str, &str)]) -> Self {
        let mut call = Call::get("/api/v1/events").header("Authorization", &format!("Bearer {token}"));
        for (name, value) in headers {
            call = call.header(name, value);
        }
        let message = call.to_address(gateway.admin(), &format!("http://{}", gateway.admin()));
        let mut connection = message.connect().await.unwrap();
        connection.write(&message.octets()).await.unwrap();
        let mut listener = Self {
            connection,
            read: String::new(),
            place: String::new(),
        };
        while !listener.read.contains("\n\n") && !listener.read.contains("\"message\"") {
            listener.more().await;
        }
        listener
    }

    async fn more(&mut self) {
        let octets = self.connection.read().await.unwrap();
        assert!(!octets.is_empty(), "the stream ended: {}", self.read);
        self.read.push_str(&String::from_utf8_lossy(&octets));
    }

    fn status(&self) -> u16 {
        self.read.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// The next event: its name and its JSON. Chunk sizes stand on lines of their own and are passed over.
    async fn event(&mut self) -> (String, Value) {
        loop {
            if let Some((before, rest)) = self.read.split_once("\ndata: ")
                && let Some((data, after)) = rest.split_once("\n\n")
            {
                let name = before.rsplit_once("event: ").unwrap().1.to_owned();
                let place = before.rsplit_once("id: ").unwrap().1;
                place.lines().next().unwrap().clone_into(&mut self.place);
                let event = serde_json::from_str(data).unwrap();
                self.read = String::from(after);
                return (name, event);
            }
            self.more().await;
        }
    }

    fn place(&self) -> String {
        self.place.clone()
    }
}
