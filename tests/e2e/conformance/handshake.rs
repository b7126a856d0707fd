//! The token endpoints.

use harness::{Call, Credentials, Shop, Signing};
use serde_json::json;

use crate::services::over_both_stores;

over_both_stores!(
    a_request_token_is_32_characters_twice,
    magentos_own_client_gets_its_tokens,
    a_wrong_secret_is_refused,
    an_unknown_key_is_refused,
    a_key_of_31_characters_is_refused,
    a_consumer_that_was_never_posted_is_expired,
    a_verifier_is_32_characters_and_the_right_one,
    an_access_token_call_is_repeated_within_its_grace_alone,
    a_request_token_opens_no_resource,
    a_token_of_another_consumer_is_refused,
);

const SIGNATURE: &str = "oauth_problem=The+signature+is+invalid.+Verify+and+try+again.";

async fn a_request_token_is_32_characters_twice(shop: &Shop) {
    let (_, handshake) = shop.integration().posted(&shop.partner, &shop.gateway).await;

    let answer = handshake.ask_request_token(handshake.request_signing()).await;

    assert_eq!(answer.status, 200);
    let fits =
        |text: &str| text.len() == 32 && text.bytes().all(|one| one.is_ascii_lowercase() || one.is_ascii_digit());
    assert!(fits(&answer.form("oauth_token")) && fits(&answer.form("oauth_token_secret")));
    assert_eq!(answer.text().split('&').count(), 2);
}

async fn magentos_own_client_gets_its_tokens(shop: &Shop) {
    let (id, handshake) = shop
        .integration()
        .granted_all()
        .posted(&shop.partner, &shop.gateway)
        .await;

    // It sends a callback that nobody asked for, and its verifier in the header and again as a form field.
    let asked = handshake
        .request_signing()
        .set("oauth_callback", "http://client.example/cb");
    let request_token = handshake.pair(&handshake.ask_request_token(asked).await);
    let form = format!("oauth_verifier={}", handshake.verifier);
    let call = Call::post("/oauth/token/access")
        .form(&form)
        .signed(handshake.access_signing(&request_token).for_form(""));
    let access_token = handshake.pair(&call.send(&shop.gateway).await);

    assert_eq!(
        (access_token.token().len(), access_token.token_secret().len()),
        (32, 32)
    );
    assert_eq!(shop.admin.status(id).await, "active");
    let probe = Call::get("/rest/default/V1/products").header("Accept", "application/json");
    assert_eq!(probe.signed_by(&access_token).send(&shop.gateway).await.status, 200);
}

async fn a_wrong_secret_is_refused(shop: &Shop) {
    let (_, handshake) = shop.integration().posted(&shop.partner, &shop.gateway).await;
    let wrong = Credentials::consumer(&handshake.consumer.consumer_key, &"x".repeat(32));

    let refused = handshake.ask_request_token(Signing::with(&wrong)).await;

    assert_eq!((refused.status, refused.text()), (401, SIGNATURE.to_owned()));
}

async fn an_unknown_key_is_refused(shop: &Shop) {
    let unknown = Credentials::consumer(&"k".repeat(32), &"s".repeat(32));

    let refused = Call::post("/oauth/token/request")
        .signed_by(&unknown)
        .send(&shop.gateway)
        .await;

    assert_eq!(refused.status, 401);
    assert_eq!(
        refused.text(),
        "oauth_problem=A+consumer+having+the+specified+key+does+not+exist"
    );
}

async fn a_key_of_31_characters_is_refused(shop: &Shop) {
    let short = Credentials::consumer(&"k".repeat(31), &"s".repeat(32));

    let refused = Call::post("/oauth/token/request")
        .signed_by(&short)
        .send(&shop.gateway)
        .await;

    assert_eq!(
        (refused.status, refused.text()),
        (401, "oauth_problem=Consumer+key+is+not+the+correct+length".to_owned())
    );
}

async fn a_consumer_that_was_never_posted_is_expired(shop: &Shop) {
    let made = shop.admin.post("/consumers", &json!({ "name": "Never posted" })).await;
    let consumer = Credentials::consumer(&made.field("key"), &made.field("secret"));

    let refused = Call::post("/oauth/token/request")
        .signed_by(&consumer)
        .send(&shop.gateway)
        .await;

    assert_eq!(
        (refused.status, refused.text()),
        (401, "oauth_problem=Consumer+key+has+expired".to_owned())
    );
}

async fn a_verifier_is_32_characters_and_the_right_one(shop: &Shop) {
    let (_, handshake) = shop.integration().posted(&shop.partner, &shop.gateway).await;
    let request_token = handshake.request_token().await;
    let ask = async |signing: Signing| handshake.ask_access_token(signing).await;

    let absent = ask(Signing::with(&request_token)).await;
    let short = ask(Signing::with(&request_token).set("oauth_verifier", &"v".repeat(31))).await;
    let wrong = ask(Signing::with(&request_token).set("oauth_verifier", &"v".repeat(32))).await;
    let right = ask(handshake.access_signing(&request_token)).await;

    assert_eq!(absent.status, 400);
    assert_eq!(
        absent.text(),
        "oauth_problem=%22oauth_verifier%22+is+required.+Enter+and+try+again."
    );
    assert_eq!(
        (short.status, short.text()),
        (401, "oauth_problem=Verifier+is+not+the+correct+length".to_owned())
    );
    assert_eq!(
        (wrong.status, wrong.text()),
        (
            401,
            "oauth_problem=Token+verifier+and+verifier+token+do+not+match".to_owned()
        )
    );
    assert_eq!(right.status, 200);
}

async fn an_access_token_call_is_repeated_within_its_grace_alone(shop: &Shop) {
    let integration = shop.integration().granted(&["Magento_Catalog::products"]);
    let (_, handshake) = integration.posted(&shop.partner, &shop.gateway).await;
    let request_token = handshake.request_token().await;
    let ask = async || {
        handshake
            .ask_access_token(handshake.access_signing(&request_token))
            .await
    };

    let (first, lost) = (ask().await, ask().await);
    let credentials = handshake.pair(&first);
    assert_eq!(first.text(), lost.text());
    let used = Call::get("/rest/V1/products/used")
        .signed_by(&credentials)
        .send(&shop.gateway)
        .await;
    assert_eq!(used.status, 200);

    let late = ask().await;
    assert_eq!(
        (late.status, late.text()),
        (401, "oauth_problem=Specified+token+does+not+exist".to_owned())
    );
    let of_access = handshake.ask_access_token(handshake.access_signing(&credentials)).await;
    assert_eq!(
        (of_access.status, of_access.text()),
        (401, "oauth_problem=Token+is+already+being+used".to_owned())
    );
}

async fn a_request_token_opens_no_resource(shop: &Shop) {
    let (_, handshake) = shop
        .integration()
        .granted_all()
        .posted(&shop.partner, &shop.gateway)
        .await;
    let request_token = handshake.request_token().await;

    let answer = Call::get("/rest/V1/products/by-request")
        .signed_by(&request_token)
        .send(&shop.gateway)
        .await;

    assert_eq!(
        (answer.status, answer.field("message")),
        (401, "Token is not an access token".to_owned())
    );
}

async fn a_token_of_another_consumer_is_refused(shop: &Shop) {
    let (one, other) = (shop.reader().await, shop.reader().await);
    let crossed = one.with_token(other.token(), other.token_secret());
    let (_, mine) = shop.integration().posted(&shop.partner, &shop.gateway).await;
    let (_, theirs) = shop.integration().posted(&shop.partner, &shop.gateway).await;
    let request_token = theirs.request_token().await;
    let stolen = mine
        .consumer
        .with_token(request_token.token(), request_token.token_secret());

    let resource = Call::get("/rest/V1/products/crossed")
        .signed_by(&crossed)
        .send(&shop.gateway)
        .await;
    let access = mine.ask_access_token(mine.access_signing(&stolen)).await;

    assert_eq!(
        (resource.status, resource.field("message")),
        (401, "Token is not associated with the specified consumer".to_owned())
    );
    assert_eq!(access.status, 401);
    assert_eq!(
        access.text(),
        "oauth_problem=Request+token+is+not+associated+with+the+specified+consumer"
    );
}
