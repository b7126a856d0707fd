//! What was signed can't be changed, and what was not signed with the right secrets doesn't get through.

use harness::{Call, Credentials, Message, Placement, Refusal, Shop, Signing};

const PATH: &str = "/rest/V1/products/forged?fields=items&page=1&page=2";

#[tokio::test]
async fn no_octet_of_the_target_can_be_changed() {
    let shop = Shop::shared().await;
    let call = Call::get(PATH)
        .asking_for_the_cause()
        .signed_by(&shop.reader().await)
        .to(&shop.gateway);

    for position in 1..call.target.len() {
        let mut octets = call.target.clone().into_bytes();
        octets[position] = if octets[position] == b'x' { b'y' } else { b'x' };
        let target = String::from_utf8(octets).expect("still ASCII");
        let forged = call.clone().with_target(&target).send().await;

        assert!([400, 401, 404].contains(&forged.status), "{target}: {}", forged.status);
    }
    assert_eq!(shop.upstream.count("octets?fields"), 0);
    assert_eq!(call.send().await.status, 200);
}

#[tokio::test]
async fn no_octet_of_a_form_can_be_changed() {
    let shop = Shop::shared().await;
    let call = Call::post("/rest/V1/products?mark=form-octets").form("sku=24-MB01&qty=1&note=a+b%2Bc");
    let call = call.signed_by(&shop.reader().await).to(&shop.gateway);

    for position in 0..call.body.len() {
        let mut body = call.body.clone();
        body[position] = if body[position] == b'1' { b'2' } else { b'1' };
        let forged = call.clone().with_body(&body).refusal().await;

        assert_eq!(forged, (401, "signature_invalid"), "{}", String::from_utf8_lossy(&body));
    }
    assert_eq!(shop.upstream.count("form-octets"), 0);
    assert_eq!(call.send().await.status, 200);
}

#[tokio::test]
async fn no_octet_of_the_oauth_parameters_can_be_changed() {
    let shop = Shop::shared().await;
    let call = Call::get("/rest/V1/products/header-octets")
        .signed_by(&shop.reader().await)
        .to(&shop.gateway);
    let header = call.header("authorization").to_owned();

    // The scheme's case is nobody's business, and neither is the space behind it or behind a comma.
    for position in 6..header.len() {
        let mut octets = header.clone().into_bytes();
        if octets[position] == b' ' {
            continue;
        }
        octets[position] = if octets[position] == b'x' { b'y' } else { b'x' };
        let changed = String::from_utf8(octets).expect("still ASCII");
        let forged = call
            .clone()
            .with_changed_header("authorization", |_| changed.clone())
            .send()
            .await;

        assert!([400, 401].contains(&forged.status), "{changed}: {}", forged.status);
    }
    assert_eq!(shop.upstream.count("header-octets"), 0);
    assert_eq!(call.send().await.status, 200);
}

#[tokio::test]
async fn a_method_can_not_be_changed() {
    assert_eq!(
        forged(|call| call.with_method("DELETE")).await,
        (401, "signature_invalid")
    );
}

#[tokio::test]
async fn get_can_not_be_made_head() {
    let shop = Shop::shared().await;
    let call = Call::get("/rest/V1/products/head")
        .signed_by(&shop.reader().await)
        .to(&shop.gateway);

    let forged = call.with_method("HEAD").send().await;

    assert_eq!(forged.refusal(), (401, "signature_invalid"));
}

#[tokio::test]
async fn a_path_can_not_be_changed() {
    assert_eq!(
        forged(|call| call.with_target("/rest/default/V1/products/forged?fields=items&page=1&page=2")).await,
        (401, "signature_invalid")
    );
}

#[tokio::test]
async fn an_escape_in_the_path_can_not_be_respelled() {
    assert_eq!(
        forged(|call| call.with_target("/rest/V1/products/%66orged?fields=items&page=1&page=2")).await,
        (401, "signature_invalid")
    );
}

#[tokio::test]
async fn a_parameter_can_not_be_added() {
    assert_eq!(forged(|call| add(call, "&all=1")).await, (401, "signature_invalid"));
}

#[tokio::test]
async fn a_pair_can_not_be_repeated() {
    assert_eq!(forged(|call| add(call, "&page=2")).await, (401, "signature_invalid"));
}

#[tokio::test]
async fn another_value_of_a_parameter_can_not_be_added() {
    assert_eq!(
        forged(|call| add(call, "&fields=secrets")).await,
        (401, "signature_invalid")
    );
}

#[tokio::test]
async fn a_parameter_can_not_be_left_out() {
    assert_eq!(
        forged(|call| call.with_target("/rest/V1/products/forged?fields=items&page=1")).await,
        (401, "signature_invalid")
    );
}

#[tokio::test]
async fn a_header_parameter_that_is_not_ours_is_signed_too() {
    assert_eq!(
        forged(|call| call.with_changed_header("authorization", |value| format!("{value}, page=\"3\""))).await,
        (401, "signature_invalid")
    );
}

#[tokio::test]
async fn a_form_can_not_be_hidden_behind_another_media_type() {
    let shop = Shop::shared().await;
    let call = Call::post("/rest/V1/products?mark=hidden-form")
        .form("qty=1")
        .signed_by(&shop.reader().await);
    let call = call.to(&shop.gateway);

    let hidden = call.with_changed_header("content-type", |_| "text/plain".to_owned());

    assert_eq!(hidden.refusal().await, (401, "signature_invalid"));
    assert_eq!(shop.upstream.count("hidden-form"), 0);
}

#[tokio::test]
async fn form_fields_must_be_signed() {
    let shop = Shop::shared().await;
    let signing = Signing::with(&shop.reader().await).for_form("");

    let call = Call::post("/rest/V1/products?mark=unsigned-form")
        .form("qty=1")
        .signed(signing);

    assert_eq!(call.refusal(&shop.gateway).await, (401, "signature_invalid"));
}

#[tokio::test]
async fn a_request_counts_for_the_host_it_was_signed_for() {
    let shop = Shop::new().set("public", "base_url", "[]").start().await;
    let call = Call::get("/rest/V1/products/host")
        .signed_by(&shop.reader().await)
        .to(&shop.gateway);

    let elsewhere = call
        .clone()
        .with_changed_header("host", |_| "staging.example".to_owned());

    assert_eq!(elsewhere.refusal().await, (401, "signature_invalid"));
    assert_eq!(call.send().await.status, 200);
}

#[tokio::test]
async fn a_request_signed_for_another_public_address_is_refused() {
    let signing = |credentials: &Credentials| {
        Signing::with(credentials).for_url("http://staging.example/rest/V1/products/secrets")
    };

    assert_eq!(with_secrets(signing).await, (401, "signature_invalid"));
}

#[tokio::test]
async fn a_wrong_consumer_secret_is_refused() {
    let wrong = |right: &Credentials| Credentials {
        consumer_secret: "x".repeat(32),
        ..right.clone()
    };

    assert_eq!(
        with_secrets(|right| Signing::with(&wrong(right))).await,
        (401, "signature_invalid")
    );
}

#[tokio::test]
async fn a_wrong_token_secret_is_refused() {
    let wrong = |right: &Credentials| right.with_token(right.token(), &"x".repeat(32));

    assert_eq!(
        with_secrets(|right| Signing::with(&wrong(right))).await,
        (401, "signature_invalid")
    );
}

#[tokio::test]
async fn swapped_secrets_are_refused() {
    let swapped = |right: &Credentials| Credentials {
        consumer_secret: right.token_secret().to_owned(),
        ..right.with_token(right.token(), &right.consumer_secret)
    };

    assert_eq!(
        with_secrets(|right| Signing::with(&swapped(right))).await,
        (401, "signature_invalid")
    );
}

#[tokio::test]
async fn the_consumer_secret_alone_is_refused() {
    let signing = |right: &Credentials| Signing::with(right).keyed(&format!("{}&", right.consumer_secret));

    assert_eq!(with_secrets(signing).await, (401, "signature_invalid"));
}

#[tokio::test]
async fn empty_secrets_are_refused() {
    assert_eq!(
        with_secrets(|right| Signing::with(right).keyed("&")).await,
        (401, "signature_invalid")
    );
    assert_eq!(
        with_secrets(|right| Signing::with(right).keyed("")).await,
        (401, "signature_invalid")
    );
}

#[tokio::test]
async fn another_consumers_secrets_are_refused() {
    let shop = Shop::shared().await;
    let (one, other) = (shop.reader().await, shop.reader().await);
    let mixed = Credentials {
        consumer_key: one.consumer_key,
        ..other
    };

    let call = Call::get("/rest/V1/products/mixed").signed_by(&mixed);

    assert_eq!(call.refusal(&shop.gateway).await, (401, "token_rejected"));
}

#[tokio::test]
async fn a_signature_by_another_hash_than_named_is_refused() {
    assert_eq!(
        with_secrets(|right| Signing::with(right).computed_by("HMAC-SHA1")).await,
        (401, "signature_invalid")
    );
}

#[tokio::test]
async fn the_plaintext_of_the_secrets_is_no_signature() {
    assert_eq!(
        with_secrets(|right| Signing::with(right).computed_by("PLAINTEXT")).await,
        (401, "signature_invalid")
    );
}

#[tokio::test]
async fn a_signature_has_one_spelling() {
    let changes: [fn(String) -> String; 9] = [
        |signature| signature.trim_end_matches('=').to_owned(),
        |signature| format!("{signature}="),
        |signature| format!("{signature}\n"),
        |signature| format!(" {signature}"),
        |signature| signature.to_lowercase(),
        |signature| signature.replacen('=', "A=", 1),
        |signature| format!("{signature}{signature}"),
        |signature| signature.chars().take(22).collect(),
        |_| String::new(),
    ];
    for change in changes {
        let refused = with_secrets(|right| Signing::with(right).finished(change)).await;

        assert!([400, 401].contains(&refused.status), "{refused:?}");
        assert!(
            ["signature_invalid", "parameter_absent"].contains(&refused.cause.as_str()),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn bits_behind_the_signatures_last_octet_are_refused() {
    // 32 octets leave two bits of the last character unused: four spellings would decode alike.
    let stray = |signature: String| {
        let mut octets = signature.into_bytes();
        let last = octets.len() - 2;
        octets[last] += 1;
        String::from_utf8(octets).expect("still ASCII")
    };

    assert_eq!(
        with_secrets(|right| Signing::with(right).finished(stray)).await,
        (401, "signature_invalid")
    );
}

#[tokio::test]
async fn a_bad_signature_in_the_query_or_form_is_refused() {
    let wrong = |right: &Credentials| right.with_token(right.token(), &"x".repeat(32));
    let placed = |placement| move |right: &Credentials| Signing::with(&wrong(right)).placed(placement);

    assert_eq!(with_secrets(placed(Placement::Query)).await, (401, "signature_invalid"));
    let shop = Shop::shared().await;
    let form = Call::post("/rest/V1/products").signed(placed(Placement::Form)(&shop.reader().await));
    assert_eq!(form.refusal(&shop.gateway).await, (401, "signature_invalid"));
}

/// A call that was signed well and then changed; the unchanged one still passes.
async fn forged(change: impl FnOnce(Message) -> Message) -> Refusal {
    let shop = Shop::shared().await;
    let call = Call::get(PATH).signed_by(&shop.reader().await).to(&shop.gateway);
    let refusal = change(call.clone()).refusal().await;
    assert_eq!(call.send().await.status, 200);
    refusal
}

fn add(call: Message, more: &str) -> Message {
    let target = format!("{}{more}", call.target);
    call.with_target(&target)
}

/// A call that was signed in some wrong way.
async fn with_secrets(signing: impl FnOnce(&Credentials) -> Signing) -> Refusal {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;
    let refusal = Call::get("/rest/V1/products/secrets")
        .signed(signing(&reader))
        .refusal(&shop.gateway)
        .await;
    assert_eq!(shop.upstream.count("products/secrets"), 0);
    refusal
}
