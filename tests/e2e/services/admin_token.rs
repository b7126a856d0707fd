//! `AdminTokenService` (magento.md 4.1, 4.2, 4.4, 4.5).

use harness::{Call, PASSWORD, Response, Shop};
use serde_json::{Value, json};

use super::over_both_stores;

over_both_stores!(
    admin_token_create,
    admin_token_create_refused,
    admin_token_create_locked,
    admin_token_revoke,
);

const SENTENCE: &str =
    "The account sign-in was incorrect or your account is disabled temporarily. Please wait and try again later.";

async fn admin_token_create(shop: &Shop) {
    admin(shop, "tokens-admin").await;

    let (one, other) = (
        sign_in(shop, json!({ "username": "tokens-admin", "password": PASSWORD })).await,
        sign_in(shop, json!({ "username": "tokens-admin", "password": PASSWORD })).await,
    );

    assert_eq!((one.status, other.status), (200, 200), "{}", one.text());
    assert!(one.json().as_str().is_some_and(|token| !token.is_empty()));
    assert_ne!(one.body, other.body);
    assert_eq!(products(shop, &one).await.status, 200);
    assert_eq!(products(shop, &other).await.status, 200);
}

async fn admin_token_create_refused(shop: &Shop) {
    admin(shop, "refused-admin").await;
    let required = |field: &str| json!({ "message": "\"%fieldName\" is required. Enter and try again.", "parameters": { "fieldName": field } });
    let both = json!({
        "message": "One or more input exceptions have occurred.",
        "errors": [required("username"), required("password")],
    });
    let cases = [
        (json!({}), 400, both.clone()),
        (json!({ "username": "", "password": "" }), 400, both.clone()),
        (json!({ "username": null, "password": null }), 400, both),
        (json!({ "username": "refused-admin" }), 400, required("password")),
        (json!({ "password": PASSWORD }), 400, required("username")),
        (
            json!({ "username": "refused-admin", "password": "wrong" }),
            401,
            json!({ "message": SENTENCE }),
        ),
        (
            json!({ "username": "nobody-at-all", "password": PASSWORD }),
            401,
            json!({ "message": SENTENCE }),
        ),
    ];
    for (body, status, answer) in cases {
        let refused = sign_in(shop, body.clone()).await;

        assert_eq!((refused.status, refused.json()), (status, answer), "{body}");
    }
}

async fn admin_token_create_locked(shop: &Shop) {
    let good = |name: &str| json!({ "username": name, "password": PASSWORD });
    let bad = |name: &str| json!({ "username": name, "password": "wrong" });
    for (name, failures) in [("five-times", 5), ("six-times", 6)] {
        admin(shop, name).await;
        for _ in 0..failures {
            assert_eq!(sign_in(shop, bad(name)).await.status, 401);
        }
    }

    let (after_five, after_six) = (
        sign_in(shop, good("five-times")).await,
        sign_in(shop, good("six-times")).await,
    );

    assert_eq!(after_five.status, 200);
    assert_eq!(
        (after_six.status, after_six.json()),
        (401, json!({ "message": SENTENCE }))
    );
    // A success forgets the failures before it.
    assert_eq!(sign_in(shop, bad("five-times")).await.status, 401);
    assert_eq!(sign_in(shop, good("five-times")).await.status, 200);
}

async fn admin_token_revoke(shop: &Shop) {
    let id = admin(shop, "revoked-admin").await;
    let credentials = json!({ "username": "revoked-admin", "password": PASSWORD });
    let tokens = [
        sign_in(shop, credentials.clone()).await,
        sign_in(shop, credentials.clone()).await,
    ];
    admin(shop, "other-admin").await;
    let others = sign_in(shop, json!({ "username": "other-admin", "password": PASSWORD })).await;
    assert_eq!(products(shop, &tokens[0]).await.status, 200);

    let revoked = shop.admin.delete(&format!("/admins/{id}/tokens")).await;

    assert_eq!((revoked.status, revoked.json()), (200, json!({ "revoked": 2 })));
    for token in &tokens {
        let refused = products(shop, token).await;
        assert_eq!(
            (refused.status, refused.json()["parameters"]["resources"].clone()),
            (401, json!("Magento_Catalog::products"))
        );
    }
    // Nobody else's end, and new ones are given.
    assert_eq!(products(shop, &others).await.status, 200);
    assert_eq!(products(shop, &sign_in(shop, credentials).await).await.status, 200);
    assert_eq!(shop.admin.delete("/admins/999999999/tokens").await.status, 404);
}

async fn sign_in(shop: &Shop, body: Value) -> Response {
    let call = Call::post("/rest/V1/integration/admin/token").json(&body);
    call.send(&shop.gateway).await
}

/// A full admin of the test's own, by number.
async fn admin(shop: &Shop, username: &str) -> u64 {
    let new = json!({ "username": username, "password": PASSWORD, "role": "admin" });
    let made = shop.admin.post("/admins", &new).await;
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()["id"].as_u64().unwrap()
}

async fn products(shop: &Shop, token: &Response) -> Response {
    let token = token.json().as_str().unwrap_or_default().to_owned();
    let call = Call::get("/rest/V1/products/by-admin").header("Authorization", &format!("Bearer {token}"));
    call.send(&shop.gateway).await
}
