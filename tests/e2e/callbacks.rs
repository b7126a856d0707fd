//! The verifier POST: whatever the partner does it ends in time, and it reaches nothing that it must not.

use std::time::Duration;

use harness::{Call, PartnerAnswer, Response, Shop};
use serde_json::json;
use tokio::sync::OnceCell;
use tokio::time::Instant;

#[tokio::test]
async fn a_partner_may_make_the_whole_handshake_before_it_answers() {
    let shop = Shop::shared().await;
    let endpoint = shop.partner.endpoint();
    let first = PartnerAnswer::HandshakeFirst(shop.gateway.public(), shop.gateway.base_url().to_owned());
    shop.partner.answers(&endpoint, first);

    let (answer, id) = activate(shop, &endpoint).await;

    assert_eq!(
        (answer.status, answer.field("callback_status")),
        (200, "200".to_owned())
    );
    assert_eq!(answer.field("status"), "active");
    assert_eq!(shop.admin.status(id).await, "active");
}

#[tokio::test]
async fn any_answer_means_delivered() {
    let shop = Shop::shared().await;

    for status in [204, 404, 500, 503] {
        let endpoint = shop.partner.endpoint();
        shop.partner.answers(&endpoint, PartnerAnswer::Status(status));

        let (answer, _) = activate(shop, &endpoint).await;

        assert_eq!(
            (answer.status, answer.field("callback_status")),
            (200, status.to_string())
        );
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let shop = Shop::shared().await;
    let (endpoint, canary) = (shop.partner.endpoint(), shop.partner.endpoint());
    shop.partner.answers(&endpoint, PartnerAnswer::Redirect(canary.clone()));

    let (answer, _) = activate(shop, &endpoint).await;

    assert_eq!(
        (answer.status, answer.field("callback_status")),
        (200, "302".to_owned())
    );
    assert!(shop.partner.posts(&canary).is_empty());
}

#[tokio::test]
async fn an_answer_without_end_is_cut() {
    let shop = Shop::shared().await;
    let endpoint = shop.partner.endpoint();
    shop.partner.answers(&endpoint, PartnerAnswer::Endless);
    let began = Instant::now();

    let (answer, _) = activate(shop, &endpoint).await;

    assert_eq!(
        (answer.status, answer.field("callback_status")),
        (200, "200".to_owned())
    );
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_partner_that_answers_too_late_has_not_been_reached() {
    let shop = impatient().await;
    let endpoint = shop.partner.endpoint();
    shop.partner
        .answers(&endpoint, PartnerAnswer::Late(Duration::from_secs(20)));

    assert_failed(&activate(shop, &endpoint).await.0);
}

#[tokio::test]
async fn a_partner_that_never_answers_has_not_been_reached() {
    let shop = impatient().await;
    let endpoint = shop.partner.endpoint();
    shop.partner.answers(&endpoint, PartnerAnswer::Never);
    let began = Instant::now();

    let (answer, id) = activate(shop, &endpoint).await;

    assert_failed(&answer);
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(shop.admin.status(id).await, "inactive");
}

#[tokio::test]
async fn a_partner_that_hangs_up_has_not_been_reached() {
    let shop = Shop::shared().await;
    let endpoint = shop.partner.endpoint();
    shop.partner.answers(&endpoint, PartnerAnswer::Close);

    assert_failed(&activate(shop, &endpoint).await.0);
}

#[tokio::test]
async fn a_partner_that_does_not_listen_has_not_been_reached() {
    let shop = Shop::shared().await;
    let endpoint = format!("http://127.0.0.1:{}/callback", harness::free_port());

    assert_failed(&activate(shop, &endpoint).await.0);
}

#[tokio::test]
async fn a_failed_post_can_be_made_again_with_the_same_verifier() {
    let shop = Shop::shared().await;
    let endpoint = shop.partner.endpoint();
    shop.partner.answers(&endpoint, PartnerAnswer::Close);
    let (failed, id) = activate(shop, &endpoint).await;
    assert_failed(&failed);
    shop.partner.answers(&endpoint, PartnerAnswer::Status(200));

    shop.admin.activate(id).await;

    let posts = shop.partner.posts(&endpoint);
    assert_eq!(posts.len(), 2);
    assert_eq!(posts[0].fields, posts[1].fields);
}

#[tokio::test]
async fn nothing_waits_while_a_partner_does() {
    let shop = Shop::shared().await;
    let endpoint = shop.partner.endpoint();
    shop.partner
        .answers(&endpoint, PartnerAnswer::Late(Duration::from_secs(3)));
    let reader = shop.reader().await;
    let posting = tokio::spawn(async move { activate(shop, &endpoint).await.0 });
    let began = Instant::now();

    let served = Call::get("/rest/V1/products/meanwhile")
        .signed_by(&reader)
        .send(&shop.gateway)
        .await;
    let other = shop.integration().active().await;

    assert_eq!(served.status, 200);
    assert!(other.id > 0 && began.elapsed() < Duration::from_secs(3));
    assert_eq!(posting.await.map(|answer| answer.status).ok(), Some(200));
}

#[tokio::test]
async fn no_spelling_of_a_private_address_is_an_endpoint() {
    let shop = strict().await;
    let hosts = [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "0",
        "0.0.0.0",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.localhost",
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "10.0.0.1",
        "10.255.255.255",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "169.254.169.254",
        "0xa9fea9fe",
        "2852039166",
        "[::ffff:169.254.169.254]",
        "100.64.0.1",
        "192.0.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "%31%32%37.0.0.1",
        "127。0。0。1",
        "①②⑦.0.0.1",
    ];
    let port = shop.partner.address().port();
    for host in hosts {
        let refused = create(shop, &format!("http://{host}:{port}/callback/canary/")).await;

        assert!(
            [400, 422].contains(&refused.status),
            "{host}: {} {}",
            refused.status,
            refused.text()
        );
    }
    assert!(shop.partner.posts("/callback/canary/").is_empty());
}

#[tokio::test]
async fn a_private_literal_is_refused_as_such() {
    let shop = strict().await;

    for host in ["127.0.0.1", "[::1]", "169.254.169.254", "192.168.0.1"] {
        assert_eq!(
            create(shop, &format!("http://{host}/callback")).await.status,
            422,
            "{host}"
        );
    }
}

#[tokio::test]
async fn a_url_that_could_be_read_in_two_ways_is_no_endpoint() {
    let shop = Shop::shared().await;
    let port = shop.partner.address().port();
    let urls = [
        format!("http://user@127.0.0.1:{port}/"),
        format!("http://partner.example@127.0.0.1:{port}/"),
        format!("http://127.0.0.1:{port}#@partner.example/"),
        format!("http://127.0.0.1:{port}\\@partner.example/"),
        format!("http:127.0.0.1:{port}/"),
        format!("http:///127.0.0.1:{port}/"),
        format!("//127.0.0.1:{port}/"),
        format!("http://127.0.0.1:{port}/\r\nX: y"),
        format!("http://127.0.0.1:{port}/\0"),
        format!(" http://127.0.0.1:{port}/"),
        "http://127.0.0.1:99999/".to_owned(),
        "http://".to_owned(),
        "gopher://127.0.0.1:70/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "ftp://partner.example/".to_owned(),
        "redis://partner.example/".to_owned(),
        "javascript:alert(1)".to_owned(),
        "data:text/plain,x".to_owned(),
        format!("https://partner.example/{}", "a".repeat(3000)),
    ];
    for url in urls {
        let refused = create(shop, &url).await;

        assert!([400, 422].contains(&refused.status), "{url:?}: {}", refused.status);
    }
}

#[tokio::test]
async fn our_own_listeners_are_no_endpoint_although_their_network_is_allowed() {
    let shop = Shop::shared().await;
    let (public, admin) = (shop.gateway.public(), shop.gateway.admin());

    for address in [public, admin] {
        for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0x7f000001"] {
            let endpoint = format!("http://{host}:{}/api/v1/reload", address.port());

            assert_eq!(create(shop, &endpoint).await.status, 422, "{endpoint}");
        }
    }
}

#[tokio::test]
async fn an_allowed_port_allows_that_port_only() {
    let shop = Shop::new().start().await;
    let partner = shop.partner.address();
    let other = harness::Partner::start().await;
    shop.gateway
        .reload(|config| config.set("callbacks", "allow", &format!("[\"127.0.0.1/32:{}\"]", partner.port())))
        .await;

    let allowed = create(&shop, &format!("http://{partner}/callback/allowed/")).await;
    let refused = create(&shop, &other.endpoint()).await;

    assert_eq!((allowed.status, refused.status), (201, 422));
}

#[tokio::test]
async fn an_endpoint_that_is_no_longer_allowed_is_not_called() {
    let shop = Shop::new().start().await;
    let endpoint = shop.partner.endpoint();
    let id = shop.integration().with("endpoint", endpoint.as_str()).created().await;
    shop.gateway
        .reload(|config| config.set("callbacks", "allow", "[]"))
        .await;

    let refused = shop
        .admin
        .post(&format!("/integrations/{id}/activate"), &json!(null))
        .await;

    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(shop.partner.posts(&endpoint).is_empty());
    assert_eq!(
        shop.admin
            .get(&format!("/integrations/{id}/handshake"))
            .await
            .field("stage"),
        "null"
    );
}

/// Nothing private may be called.
async fn strict() -> &'static Shop {
    static SHOP: OnceCell<Shop> = OnceCell::const_new();
    SHOP.get_or_init(async || Shop::new().set("callbacks", "allow", "[]").start().await)
        .await
}

/// Waits for partners but briefly.
async fn impatient() -> &'static Shop {
    static SHOP: OnceCell<Shop> = OnceCell::const_new();
    SHOP.get_or_init(async || Shop::new().set("callbacks", "timeout", "\"500ms\"").start().await)
        .await
}

async fn create(shop: &Shop, endpoint: &str) -> Response {
    shop.integration().with("endpoint", endpoint).send().await
}

async fn activate(shop: &Shop, endpoint: &str) -> (Response, u64) {
    let id = shop.integration().with("endpoint", endpoint).created().await;
    (
        shop.admin
            .post(&format!("/integrations/{id}/activate"), &json!(null))
            .await,
        id,
    )
}

fn assert_failed(answer: &Response) {
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert_eq!(answer.field("code"), "callback_failed");
    assert_eq!(
        answer.field("message"),
        "The attempt to post data to consumer failed due to an unexpected error. Please try again later."
    );
}
