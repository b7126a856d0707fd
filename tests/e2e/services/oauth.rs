//! `OauthService` (magento.md 4.7).

use harness::{Credentials, Handshake, PartnerAnswer, Response, Shop};
use serde_json::json;

use super::{PRODUCTS, is_served, over_both_stores, refused};

over_both_stores!(
    oauth_create_consumer,
    oauth_create_consumer_refused,
    oauth_create_access_token,
    oauth_create_access_token_clearing,
    oauth_get_access_token,
    oauth_load_consumer,
    oauth_load_consumer_by_key,
    oauth_post_to_consumer,
    oauth_post_to_consumer_refused,
    oauth_post_to_consumer_unreachable,
    oauth_post_to_consumer_with_an_access_token,
    oauth_delete_consumer,
    oauth_delete_integration_token,
);

const UNKNOWN: &str = "A consumer with ID \"%1\" doesn't exist. Verify the ID and try again.";

async fn oauth_create_consumer(shop: &Shop) {
    let new = json!({ "name": "By its service", "callback_url": "https://app.example/cb" });
    let (one, other) = (
        shop.admin.post("/consumers", &new).await,
        shop.admin.post("/consumers", &new).await,
    );

    assert_eq!((one.status, other.status), (201, 201), "{}", one.text());
    for made in [&one, &other] {
        let (key, secret) = (made.field("key"), made.field("secret"));
        let fits =
            |text: &str| text.len() == 32 && text.bytes().all(|one| one.is_ascii_lowercase() || one.is_ascii_digit());
        assert!(fits(&key) && fits(&secret), "{}", made.text());
        assert_eq!(made.field("callback_url"), "https://app.example/cb");
    }
    assert_ne!(one.field("key"), other.field("key"));
    assert_ne!(one.field("secret"), other.field("secret"));
}

async fn oauth_create_consumer_refused(shop: &Shop) {
    let cases = [
        (json!({}), "\"%fieldName\" is required. Enter and try again."),
        (
            json!({ "name": "x", "callback_url": "nowhere" }),
            "callback_url: Invalid Callback URL",
        ),
        (
            json!({ "name": "x", "rejected_callback_url": "nowhere" }),
            "rejected_callback_url: Invalid Rejected Callback URL",
        ),
    ];
    for (body, sentence) in cases {
        let answer = shop.admin.post("/consumers", &body).await;

        assert_eq!(
            (answer.status, answer.field("message")),
            (400, sentence.to_owned()),
            "{body}"
        );
    }
}

async fn oauth_create_access_token(shop: &Shop) {
    let (id, consumer) = consumer_of_integration(shop).await;
    let path = format!("/consumers/{consumer}/access-token");

    let made = shop.admin.post(&path, &json!(null)).await;
    let second = shop.admin.post(&path, &json!(null)).await;

    assert_eq!(made.status, 201, "{}", made.text());
    assert!(is_served(shop, &credentials(&made)).await);
    assert_eq!(shop.admin.status(id).await, "active");
    // Nothing is made where a token exists: the one that is there still serves.
    assert_eq!(second.status, 409);
    assert!(is_served(shop, &credentials(&made)).await);
    let unknown = shop.admin.post("/consumers/999999999/access-token", &json!(null)).await;
    assert_eq!((unknown.status, unknown.field("message")), (404, UNKNOWN.to_owned()));
}

async fn oauth_create_access_token_clearing(shop: &Shop) {
    let (_, consumer) = consumer_of_integration(shop).await;
    let path = format!("/consumers/{consumer}/access-token");
    let old = credentials(&shop.admin.post(&path, &json!(null)).await);

    let made = shop.admin.post(&path, &json!({ "clear": true })).await;

    let new = credentials(&made);
    assert_eq!(made.status, 201, "{}", made.text());
    let consumer = |one: &Credentials| (one.consumer_key.clone(), one.consumer_secret.clone());
    assert_eq!(consumer(&new), consumer(&old));
    assert_ne!((new.token(), new.token_secret()), (old.token(), old.token_secret()));
    assert!(is_served(shop, &new).await);
    assert_eq!(refused(shop, &old).await, (401, "token_rejected"));
}

async fn oauth_get_access_token(shop: &Shop) {
    let (id, consumer) = consumer_of_integration(shop).await;
    let path = format!("/consumers/{consumer}/access-token");
    let (posted, _) = shop.integration().posted(&shop.partner, &shop.gateway).await;
    let of_posted = shop
        .admin
        .get(&format!("/integrations/{posted}"))
        .await
        .field("consumer_id");

    let none = shop.admin.get(&path).await;
    let verifier = shop.admin.get(&format!("/consumers/{of_posted}/access-token")).await;
    let issued = shop.admin.activate(id).await;
    let got = shop.admin.get(&path).await;

    // Neither none nor a verifier is an access token.
    assert_eq!((none.status, verifier.status), (404, 404));
    assert_eq!(got.status, 200);
    for field in ["consumer_key", "consumer_secret", "access_token", "access_token_secret"] {
        assert_eq!(got.field(field), issued.field(field), "{field}");
    }
    assert_eq!(
        shop.admin
            .get("/consumers/999999999/access-token")
            .await
            .field("message"),
        UNKNOWN
    );
}

async fn oauth_load_consumer(shop: &Shop) {
    let made = shop.admin.post("/consumers", &json!({ "name": "To be loaded" })).await;

    let loaded = shop.admin.get(&format!("/consumers/{}", made.field("id"))).await;
    let unknown = shop.admin.get("/consumers/999999999").await;

    assert_eq!((loaded.status, loaded.field("name")), (200, "To be loaded".to_owned()));
    assert_eq!(loaded.field("key"), made.field("key"));
    assert!(!loaded.text().contains("secret"));
    assert_eq!(unknown.status, 404);
    assert_eq!(
        unknown.json(),
        json!({ "message": UNKNOWN, "parameters": ["999999999"] })
    );
}

async fn oauth_load_consumer_by_key(shop: &Shop) {
    let made = shop.admin.post("/consumers", &json!({ "name": "By its key" })).await;

    let found = shop
        .admin
        .get(&format!("/consumers?key={}", made.field("key")))
        .await
        .json();
    let unknown = shop.admin.get("/consumers?key=nobodys").await.json();

    assert_eq!(
        (&found["total"], &found["items"][0]["id"]),
        (&json!(1), &made.json()["id"])
    );
    assert_eq!(unknown, json!({ "items": [], "next": null, "total": 0 }));
}

async fn oauth_post_to_consumer(shop: &Shop) {
    let made = shop
        .admin
        .post("/consumers", &json!({ "name": "To be posted to" }))
        .await;
    let endpoint = shop.partner.endpoint();
    let path = format!("/consumers/{}/verifier", made.field("id"));

    let first = shop.admin.post(&path, &json!({ "endpoint": endpoint })).await;
    let again = shop.admin.post(&path, &json!({ "endpoint": endpoint })).await;

    assert_eq!(first.status, 200, "{}", first.text());
    let posts = shop.partner.posts(&endpoint);
    assert_eq!(posts.len(), 2);
    for posted in &posts {
        assert_eq!(posted.field("oauth_consumer_key"), made.field("key"));
        assert_eq!(posted.field("oauth_consumer_secret"), made.field("secret"));
        assert_eq!(posted.field("store_base_url"), format!("{}/", shop.gateway.base_url()));
        // A verifier that is there is posted again.
        assert_eq!(posted.field("oauth_verifier"), first.field("verifier"));
    }
    assert_eq!(first.field("verifier"), again.field("verifier"));
    assert_eq!(first.field("verifier").len(), 32);
    // The window for the request token is open.
    Handshake::with(&posts[1], &shop.gateway).request_token().await;
}

async fn oauth_post_to_consumer_refused(shop: &Shop) {
    let made = shop.admin.post("/consumers", &json!({ "name": "Not posted to" })).await;
    let path = format!("/consumers/{}/verifier", made.field("id"));
    let endpoint = json!({ "endpoint": shop.partner.endpoint() });

    let unknown = shop.admin.post("/consumers/999999999/verifier", &endpoint).await;
    let absent = shop.admin.post(&path, &json!({})).await;
    let refused = shop
        .admin
        .post(&path, &json!({ "endpoint": "http://169.254.169.254/" }))
        .await;

    assert_eq!(unknown.status, 404);
    assert_eq!(
        unknown.json(),
        json!({ "message": UNKNOWN, "parameters": ["999999999"] })
    );
    assert_eq!((absent.status, refused.status), (400, 422));
}

async fn oauth_post_to_consumer_unreachable(shop: &Shop) {
    let made = shop.admin.post("/consumers", &json!({ "name": "Unreachable" })).await;
    let endpoint = shop.partner.endpoint();
    let path = format!("/consumers/{}/verifier", made.field("id"));
    let post = async || shop.admin.post(&path, &json!({ "endpoint": endpoint })).await;

    shop.partner.answers(&endpoint, PartnerAnswer::Close);
    let failed = post().await;
    shop.partner.answers(&endpoint, PartnerAnswer::Status(500));
    let delivered = post().await;

    assert_eq!(
        (failed.status, failed.field("code")),
        (502, "callback_failed".to_owned())
    );
    let sentence = "The attempt to post data to consumer failed due to an unexpected error. Please try again later.";
    assert_eq!(failed.field("message"), sentence);
    // Any answer means delivered, and the verifier is the one that was lost.
    assert_eq!(delivered.status, 200);
    let posts = shop.partner.posts(&endpoint);
    assert_eq!(posts[0].field("oauth_verifier"), delivered.field("verifier"));
}

async fn oauth_post_to_consumer_with_an_access_token(shop: &Shop) {
    let one = shop.integration().granted(&[PRODUCTS]).active().await;
    let integration = format!("/integrations/{}", one.id);
    let before = shop.admin.get(&integration).await.json();
    let path = format!("/consumers/{}/verifier", before["consumer_id"]);
    let endpoint = shop.partner.endpoint();

    let refused = shop.admin.post(&path, &json!({ "endpoint": endpoint })).await;

    assert_eq!(refused.status, 409, "{}", refused.text());
    assert!(shop.partner.posts(&endpoint).is_empty());
    assert_eq!(shop.admin.get(&integration).await.json(), before);
    assert!(is_served(shop, &one.credentials).await);
}

async fn oauth_delete_consumer(shop: &Shop) {
    let one = shop.integration().granted(&[PRODUCTS]).active().await;
    let integration = format!("/integrations/{}", one.id);
    let path = format!("/consumers/{}", shop.admin.get(&integration).await.field("consumer_id"));
    let before = shop.admin.get(&path).await.json();

    let gone = shop.admin.delete(&path).await;

    assert_eq!((gone.status, gone.json()), (200, before));
    // With its integration and tokens.
    assert_eq!(shop.admin.get(&integration).await.status, 404);
    assert_eq!(refused(shop, &one.credentials).await, (401, "consumer_key_unknown"));
    let again = shop.admin.delete(&path).await;
    assert_eq!((again.status, again.field("message")), (404, UNKNOWN.to_owned()));
}

async fn oauth_delete_integration_token(shop: &Shop) {
    let one = shop.integration().granted(&[PRODUCTS]).active().await;
    let consumer = shop
        .admin
        .get(&format!("/integrations/{}", one.id))
        .await
        .field("consumer_id");
    let path = format!("/consumers/{consumer}/access-token");
    assert!(is_served(shop, &one.credentials).await);

    let (existed, again) = (shop.admin.delete(&path).await, shop.admin.delete(&path).await);

    assert_eq!((existed.status, existed.json()), (200, json!(true)));
    assert_eq!((again.status, again.json()), (200, json!(false)));
    assert_eq!(refused(shop, &one.credentials).await, (401, "token_rejected"));
    assert_eq!(shop.admin.delete("/consumers/999999999/access-token").await.status, 404);
}

/// The numbers of a fresh integration and of its consumer.
async fn consumer_of_integration(shop: &Shop) -> (u64, String) {
    let id = shop.integration().granted(&[PRODUCTS]).created().await;
    (
        id,
        shop.admin
            .get(&format!("/integrations/{id}"))
            .await
            .field("consumer_id"),
    )
}

fn credentials(answer: &Response) -> Credentials {
    let consumer = Credentials::consumer(&answer.field("consumer_key"), &answer.field("consumer_secret"));
    consumer.with_token(&answer.field("access_token"), &answer.field("access_token_secret"))
}
